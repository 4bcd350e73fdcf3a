import numpy as np

from cspine.phantoms.dataset.prevalence import PATTERNS, pattern_probabilities, sample_levels

STUDIES = 2019
PAIRS = np.array(
    [
        [146, 56, 8, 6, 16, 15, 21],
        [56, 285, 24, 15, 15, 25, 34],
        [8, 24, 73, 29, 22, 18, 14],
        [6, 15, 29, 108, 51, 31, 23],
        [16, 15, 22, 51, 162, 90, 44],
        [15, 25, 18, 31, 90, 277, 130],
        [21, 34, 14, 23, 44, 130, 393],
    ]
)
NUMBERS = [1058, 623, 239, 64, 26, 7, 2, 0]


def test_the_model_repeats_the_published_counts() -> None:
    probabilities = pattern_probabilities() * STUDIES
    pairs = np.einsum("n,ni,nj->ij", probabilities, PATTERNS, PATTERNS)
    numbers = [probabilities[PATTERNS.sum(axis=1) == n].sum() for n in range(8)]

    np.testing.assert_allclose(pairs, PAIRS, atol=0.1)
    np.testing.assert_allclose(numbers, NUMBERS, atol=0.1)


def test_levels_are_drawn_as_often_as_the_model_says() -> None:
    rng = np.random.default_rng(0)
    sampled = np.array([sample_levels(rng) for _ in range(20_000)])
    expected = PAIRS.diagonal() / STUDIES

    # five standard errors: fails once in a million seeds
    assert np.all(np.abs(sampled.mean(axis=0) - expected) < 5 * np.sqrt(expected * (1 - expected) / len(sampled)))
    assert sampled.sum(axis=1).max() <= 6


def test_the_same_seed_draws_the_same_levels() -> None:
    first, second = ([sample_levels(np.random.default_rng(seed)) for seed in range(50)] for _ in range(2))

    assert first == second
    assert len(set(first)) > 3


def test_an_enriched_study_has_each_level_fractured_half_of_the_time() -> None:
    rng = np.random.default_rng(2)

    sampled = np.array([sample_levels(rng, enriched=1.0) for _ in range(4000)])

    np.testing.assert_allclose(sampled.mean(axis=0), 0.5, atol=4 * 0.5 / np.sqrt(4000))
    np.testing.assert_allclose(np.corrcoef(sampled.T) - np.eye(7), 0, atol=0.08)


def test_the_share_of_enriched_studies_leaves_the_others_as_they_were() -> None:
    ordinary = [sample_levels(np.random.default_rng(seed)) for seed in range(300)]
    mixed = [sample_levels(np.random.default_rng(seed), enriched=0.5) for seed in range(300)]

    same = np.mean([a == b for a, b in zip(ordinary, mixed, strict=True)])

    assert 0.4 < same < 0.65
