"""Copies of a scan: what is edited, what is not, and whether the edit shows."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cspine.anatomy import Level
from cspine.phantoms.graft.compositing import composite, variance_left
from cspine.phantoms.graft.controls import CONTROLS, Bend, ControlFacts, sample_controls
from cspine.phantoms.graft.fractures import FractureEdit, sample_fractures, torn
from cspine.phantoms.graft.grafting import control_copy, graft_copy, intact_copy
from cspine.phantoms.graft.image_quality import ImageQuality, Noise, measure_quality, stored_values
from cspine.phantoms.graft.layers import Layers, part_layers
from cspine.phantoms.model.injuries import KINDS, Fracture, sample_injury
from cspine.phantoms.model.injuries.draft import vector
from cspine.volume import Volume
from tests.phantoms.graft.stand_in import BROKEN, source


def fracture(level: Level, kind: str, severity: float, seed: int = 5) -> Fracture:
    found = sample_injury(np.random.default_rng(seed), level, source().bones[level].sites, kind, severity)
    assert isinstance(found, Fracture)
    return found


@cache
def layers_of(level: Level) -> Layers:
    made = source()
    return part_layers(made.volume, made.mask, made.bones[level], made.quality, np.random.default_rng(0))


def energy(hu: np.ndarray, where: np.ndarray) -> float:
    """Returns the median size of what is finer than three voxels."""
    return float(np.median(np.abs(hu - ndimage.uniform_filter(hu, 3))[where]))


def test_layers_make_up_the_scan_to_the_last_bit_of_a_thousandth() -> None:
    layers = layers_of(Level.C4)

    assert np.allclose(layers.bone + (1 - layers.matte) * layers.scene, layers.hu, atol=1e-3)
    assert layers.matte[layers.away_mm < -1].min() > 0.99
    assert np.all(layers.matte[layers.away_mm > 3] == 0)


@pytest.mark.parametrize("level", BROKEN)
def test_every_kind_of_fracture_changes_its_bone_and_nothing_else(level: Level) -> None:
    made, layers = source(), layers_of(level)
    for kind in KINDS[level]:
        broken = fracture(level, kind, 0.8)
        found = composite(layers, made.bones[level], [FractureEdit(broken)], made.quality, np.random.default_rng(1))

        assert np.array_equal(found.hu[~found.edited], layers.hu[~found.edited]), kind
        assert np.count_nonzero(found.edited) > 30, kind
        assert layers.away_mm[found.edited].max() < broken.spread_mm + 6, kind
        assert found.fracture.any(), kind
        loss = layers.hu[found.fracture & layers.inside].mean() - found.hu[found.fracture & layers.inside].mean()
        assert loss > 15, kind


def test_a_hairline_takes_less_density_than_a_gross_fracture() -> None:
    made, layers = source(), layers_of(Level.C4)
    lost = []
    for severity in (0.05, 0.5, 1.0):
        edit = FractureEdit(fracture(Level.C4, "pedicle", severity))
        found = composite(layers, made.bones[Level.C4], [edit], made.quality, np.random.default_rng(1))
        lost.append(float((layers.hu - found.hu)[found.edited].clip(0).sum()))

    assert lost == sorted(lost)
    assert lost[2] > 4 * lost[0] > 0


def test_fragments_lie_beyond_the_outline_and_gaps_are_as_wide_as_joints() -> None:
    made, layers = source(), layers_of(Level.C5)
    wide = torn(fracture(Level.C5, "teardrop", 1.0), 2.0)
    found = composite(layers, made.bones[Level.C5], [FractureEdit(wide)], made.quality, np.random.default_rng(1))

    assert wide.facts.gap_mm > 2.0
    assert wide.facts.displacement_mm > 4.0
    assert np.count_nonzero(found.inside & (layers.away_mm > 1.5)) > 50
    beyond = found.inside & (layers.away_mm > 1.5)
    assert found.hu[beyond].mean() > layers.hu[beyond].mean() + 100


def test_what_fills_the_place_of_bone_has_the_noise_of_the_soft_tissue_around() -> None:
    made, layers = source(), layers_of(Level.C5)
    wide = torn(fracture(Level.C5, "teardrop", 1.0), 2.4)
    burst = torn(fracture(Level.C5, "burst", 1.0), 2.4)
    ratios, steps = [], []
    for edit in (wide, burst):
        found = composite(layers, made.bones[Level.C5], [FractureEdit(edit)], made.quality, np.random.default_rng(1))
        emptied = ndimage.binary_erosion((layers.matte > 0.9) & (found.hu < 130) & found.edited)
        soft = (layers.matte == 0) & (np.abs(layers.hu - 50) < 60) & (layers.away_mm > 3)
        assert np.count_nonzero(emptied) > 60
        ratios.append(energy(found.hu, emptied) / energy(layers.hu, ndimage.binary_erosion(soft, iterations=2)))
        steps.append(found.hu[emptied].std() / made.quality.noise.std_hu)

    assert np.mean(ratios) == pytest.approx(1, abs=0.3)
    assert 0.7 < np.mean(steps) < 2.5


def test_bone_that_moved_by_half_a_voxel_keeps_its_fine_texture() -> None:
    made, rng, ratios = source(), np.random.default_rng(0), []
    white = np.asarray(made.volume.hu + rng.normal(0, 45, made.volume.grid.shape), dtype=np.float32)
    noisy = replace(made, volume=Volume(white, made.volume.grid))
    quality = measure_quality(noisy.volume, rng)
    for level in (Level.C3, Level.C5):
        bone = made.bones[level]
        layers = part_layers(noisy.volume, made.mask, bone, quality, rng)
        half = bone.axes.T @ made.volume.grid.affine[:3, :3] @ np.array([0.5, 0.5, 0.5])
        shift = Bend(ControlFacts("control_shift", (0.0, 0.0, 0.0), 1.0), vector(half), 5.0, 12.0)
        found = composite(layers, bone, [shift], quality, rng)
        deep = found.edited & ndimage.binary_erosion(layers.inside, iterations=2) & (np.linalg.norm(layers.points, axis=0) < 12)
        assert np.count_nonzero(deep) > 500
        ratios.append(energy(found.hu, deep) / energy(layers.hu, deep))

    assert np.mean(ratios) == pytest.approx(1, abs=0.08)


def test_interpolation_leaves_all_noise_at_a_voxel_and_less_of_white_noise_than_of_coarse_noise_between() -> None:
    places = np.array([[0.0, 0.5], [0.0, 0.5], [0.0, 0.5]])
    flat, coarse = np.ones((8, 16, 16)), np.zeros((8, 16, 16))
    coarse[0, 0, 0] = coarse[1, 0, 0] = coarse[-1, 0, 0] = 1
    white, smooth = (
        variance_left(places, ImageQuality((1.0, 1.0, 1.0), Noise(10.0, power / power.mean()))) for power in (flat, coarse)
    )

    assert white[0] == pytest.approx(1, abs=0.01)
    assert white[1] < 0.5
    assert smooth[1] > 0.9


def test_a_simple_detector_of_edits_cannot_tell_controls_from_fractures() -> None:
    made, features, broken = source(), [], []
    for level in BROKEN:
        bone, layers = made.bones[level], layers_of(level)
        spacing = bone.axes.T @ made.volume.grid.affine[:3, :3]
        for number in range(8):
            rng = np.random.default_rng((int(level), number))
            for edits in (sample_fractures(rng, bone, (0.0, 0.6)), sample_controls(rng, bone, spacing)):
                features.append(high_pass(composite(layers, bone, edits, made.quality, rng).hu, layers.inside))
                broken.append(isinstance(edits[0], FractureEdit))
    detector = make_pipeline(StandardScaler(), LogisticRegression(C=0.3))
    parts = StratifiedKFold(5, shuffle=True, random_state=0)
    predicted = cross_val_predict(detector, np.array(features), np.array(broken), cv=parts, method="predict_proba")[:, 1]

    assert roc_auc_score(broken, predicted) < 0.7


def high_pass(hu: np.ndarray, own: np.ndarray) -> list[float]:
    """Returns the energy of what is finer than one and two voxels in and around a vertebra."""
    fine = hu - ndimage.gaussian_filter(hu, 0.6)
    coarser = ndimage.gaussian_filter(hu, 0.6) - ndimage.gaussian_filter(hu, 1.0)
    places = (own, ndimage.binary_dilation(own, iterations=3) & ~own)
    return [float(np.log(np.mean(band[place] ** 2))) for band in (fine, coarser) for place in places]


def test_the_intact_copy_is_the_scan() -> None:
    copy = intact_copy(source())

    assert copy.hu is source().volume.hu
    assert not any(copy.fractured)
    assert not copy.edited.any()
    assert copy.facts == ()


def test_copies_tell_what_was_done_and_leave_the_rest_of_the_scan_alone() -> None:
    made = source()
    for make, is_broken in ((graft_copy, True), (control_copy, False)):
        copy = make(made, np.random.SeedSequence(3))
        levels = {fact.level for fact in copy.facts}

        assert 1 <= len(levels) <= 3
        assert levels <= set(BROKEN)
        assert np.array_equal(copy.hu[~copy.edited], made.volume.hu[~copy.edited])
        assert copy.edited.any()
        assert any(copy.fractured) == is_broken
        assert bool(copy.fractures.any()) == is_broken
        assert set(np.unique(copy.fractures)) - {0} == ({int(level) for level in levels} if is_broken else set())
        assert all((fact.severity is not None) == is_broken for fact in copy.facts)
        assert all((fact.kind in CONTROLS) != is_broken for fact in copy.facts)


def test_a_scan_of_few_grey_levels_gets_no_others() -> None:
    made = source()
    coarse = Volume(np.asarray(np.round(made.volume.hu / 16) * 16, dtype=np.float32), made.volume.grid)
    values = stored_values(coarse.hu)
    assert stored_values(made.volume.hu) is None
    assert values is not None
    copy = graft_copy(replace(made, volume=coarse, values=values), np.random.SeedSequence(2), (0.6, 0.9))

    assert copy.edited.any()
    assert np.array_equal(copy.hu[~copy.edited], coarse.hu[~copy.edited])
    assert set(np.unique(copy.hu)) <= set(values)


def test_the_same_seed_makes_the_same_copy_and_another_seed_another() -> None:
    first, again, other = (graft_copy(source(), np.random.SeedSequence(seed)) for seed in (8, 8, 9))

    assert np.array_equal(first.hu, again.hu)
    assert first.facts == again.facts
    assert not np.array_equal(first.hu, other.hu)


def test_severity_is_kept_to_and_some_fractures_are_torn_wide_apart() -> None:
    rng, bone = np.random.default_rng(0), source().bones[Level.C4]
    found = [edit.fracture.facts for _ in range(60) for edit in sample_fractures(rng, bone, (0.6, 0.7))]

    assert all(0.6 <= facts.severity <= 0.7 for facts in found)
    wide = [facts.displacement_mm for facts in found if facts.displacement_mm > 3.0]
    assert 0.02 < len(wide) / len(found) < 0.3


def test_every_kind_of_control_occurs_and_changes_something() -> None:
    made, rng = source(), np.random.default_rng(0)
    bone, layers = made.bones[Level.C3], layers_of(Level.C3)
    seen: dict[str, int] = {}
    for _ in range(25):
        for control in sample_controls(rng, bone, bone.axes.T @ made.volume.grid.affine[:3, :3]):
            found = composite(layers, bone, [control], made.quality, rng)
            changed = int(np.count_nonzero(found.edited))
            seen[control.facts.kind] = max(seen.get(control.facts.kind, 0), changed)
            assert not found.fracture.any()
        if set(seen) == set(CONTROLS) and min(seen.values()) > 20:
            break

    assert set(seen) == set(CONTROLS)
    assert min(seen.values()) > 20


def test_dark_specks_are_darker_and_bright_ones_brighter() -> None:
    made, rng = source(), np.random.default_rng(2)
    bone, layers = made.bones[Level.C4], layers_of(Level.C4)
    changes: dict[str, list[float]] = {}
    for _ in range(30):
        for control in sample_controls(rng, bone, bone.axes.T @ made.volume.grid.affine[:3, :3]):
            found = composite(layers, bone, [control], made.quality, rng)
            if found.edited.any():
                changes.setdefault(control.facts.kind, []).append(float((found.hu - layers.hu)[found.edited].mean()))
        if all(len(changes.get(f"control_{kind}", ())) >= 3 for kind in ("bright_speck", "dark_speck", "canal")):
            break

    assert np.mean(changes["control_bright_speck"]) > 20
    assert np.mean(changes["control_dark_speck"]) < -20
    assert np.mean(changes["control_canal"]) < -5


def test_two_edits_of_a_bone_are_both_seen() -> None:
    made, layers = source(), layers_of(Level.C4)
    one, other = FractureEdit(fracture(Level.C4, "spinous_process", 0.8)), FractureEdit(fracture(Level.C4, "teardrop", 0.8))
    rng = np.random.default_rng(1)
    together = composite(layers, made.bones[Level.C4], [one, other], made.quality, rng)
    each = [composite(layers, made.bones[Level.C4], [edit], made.quality, rng).fracture for edit in (one, other)]

    assert np.count_nonzero(together.fracture) == pytest.approx(np.count_nonzero(each[0] | each[1]), rel=0.05)


def test_a_source_with_one_bone_is_broken_there() -> None:
    made = source()
    only = replace(made, bones={Level.C4: made.bones[Level.C4]})

    assert {fact.level for n in range(3) for fact in graft_copy(only, np.random.SeedSequence(n)).facts} == {Level.C4}
