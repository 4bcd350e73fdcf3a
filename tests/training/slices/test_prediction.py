from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import CERVICAL
from cspine.training.core.marks import BOX_BIT
from cspine.training.slices.family import slice_task
from cspine.training.slices.prediction import APART_MM, localise_fractures, slice_outputs, suspected_cells
from cspine.training.slices.stacks import SliceStack
from tests.training.synthetic import SPEC, Silent, fold_data, recipe, stack


def outputs(study: SliceStack, *peaks: tuple[tuple[int, int, int], float]) -> dict[str, np.ndarray]:
    """Returns the outputs of a network that sees every level right, cell by cell, and suspects some cells."""
    count, rows, columns = study.hu.shape
    known = stack(1, None).marks % BOX_BIT
    visible = np.stack([(known == level).any(axis=(1, 2)) for level in CERVICAL], axis=1).astype(np.float32)
    level_map = np.zeros((count, rows // 8, columns // 8, 8), np.float32)
    cells = known.reshape(count, rows // 8, 8, columns // 8, 8)
    for label in range(8):
        level_map[..., label] = (cells == label).mean(axis=(2, 4))
    suspicion = np.zeros((count, rows // 8, columns // 8, 1), np.float32)
    for index, score in peaks:
        suspicion[(*index, 0)] = score
    return {"fracture": visible / 2, "visible": visible, "level_map": level_map, "fracture_map": suspicion}


def test_a_place_on_a_box_or_a_cell_beside_it_is_a_hit() -> None:
    study = stack(1, 3)  # its box is in slice 13, rows 12 to 19, columns 8 to 24

    found = localise_fractures(study, outputs(study, ((13, 2, 2), 0.9), ((26, 2, 2), 0.8), ((3, 0, 0), 0.7)))

    assert found.lesions == 1
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7], atol=1e-6)
    np.testing.assert_array_equal(found.hits, [0, -1, -1])


def test_a_whole_study_has_no_fracture_and_every_place_is_wrong() -> None:
    study = stack(1, None)

    found = localise_fractures(study, outputs(study, ((13, 2, 2), 0.9)))

    assert found.lesions == 0
    np.testing.assert_array_equal(found.hits, [-1])


def test_a_fractured_study_without_boxes_is_not_counted() -> None:
    study = stack(1, 3, boxes=False)

    found = localise_fractures(study, outputs(study, ((13, 2, 2), 0.9)))

    assert found.lesions is None
    assert not len(found.scores)


def test_a_network_without_a_map_of_fractures_suspects_no_place() -> None:
    study = stack(1, 3)
    predicted = outputs(study)
    del predicted["fracture_map"]

    assert localise_fractures(study, predicted).lesions is None


def test_levels_that_are_seen_as_they_are_overlap_wholly_and_without_a_mask_it_is_not_known() -> None:
    study, unmasked = stack(1, 3), stack(1, 3, mask=False)

    known, unknown = (localise_fractures(one, outputs(one)).dice for one in (study, unmasked))

    np.testing.assert_allclose(known, 1)
    assert np.isnan(unknown).all()


@pytest.mark.parametrize("seed", range(3))
def test_suspected_places_are_the_strongest_and_lie_apart(seed: int) -> None:
    suspicion = np.random.default_rng(seed).random((40, 12, 12))
    spacing = (1.2, 0.7, 0.7)

    found = suspected_cells(suspicion, spacing)

    points = found * np.array([1.2, 5.6, 5.6])
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)[~np.eye(len(found), dtype=bool)]
    predicted = suspicion[tuple(found.T)]
    assert predicted[0] == suspicion.max()
    assert (np.diff(predicted) <= 0).all()
    assert distances.min() > APART_MM


def test_what_is_faint_is_not_suspected_cells() -> None:
    assert len(suspected_cells(np.full((4, 4, 4), 0.01), (1.0, 1.0, 1.0))) == 0


def test_one_slice_in_three_is_predicted_as_among_all_slices() -> None:
    study, network = stack(1, 3), recipe().network.build(SPEC, seed=1)

    fracture, visible = slice_outputs(network, study, SPEC, 3)

    every = slice_outputs(network, study, SPEC)
    assert len(every[0]) == 28
    np.testing.assert_allclose(fracture, every[0][::3], atol=1e-6)
    np.testing.assert_allclose(visible, every[1][::3], atol=1e-6)


def test_held_out_slices_are_validated_in_the_steps_of_the_recipe() -> None:
    settings = replace(recipe(), sampling=replace(recipe().sampling, validation_step=3))
    held_out = slice_task(settings, fold_data(), Silent()).held_out()

    fracture, visible = held_out.targets

    whole = slice_task(recipe(), fold_data(), Silent()).held_out().targets
    assert len(fracture) == len(visible) == 4 * 10
    np.testing.assert_array_equal(fracture[:10], whole[0][:28:3])
