from dataclasses import replace

import numpy as np
import pytest

from cspine.anatomy import Level
from cspine.geometry import Grid
from cspine.phantoms import render, sample_neck
from cspine.phantoms.meshes.anatomy import shipped_anatomies
from cspine.phantoms.model.hardware.devices import HardwareDevice
from cspine.phantoms.model.hardware.placement import (
    add_hardware,
    anterior_plate,
    collar,
    dental_metal,
    endotracheal_tube,
    gastric_tube,
    kinds,
    posterior_screws,
)
from cspine.phantoms.model.neck import Neck
from tests.phantoms.necks import plain_neck


def wide(spacing_mm: float = 1.2) -> Grid:
    return plain_neck().scan_grid((2.0, spacing_mm, spacing_mm), 190.0, 40.0, 30.0)


def with_hardware(*devices: HardwareDevice) -> Neck:
    return replace(plain_neck(), hardware=devices)


def chance() -> np.random.Generator:
    return np.random.default_rng(2)


def test_metal_is_dense_enough_to_cast_streaks() -> None:
    screws = render(with_hardware(posterior_screws(chance(), plain_neck())), wide(0.8)).volume.hu
    plate = render(with_hardware(*anterior_plate(chance(), plain_neck())), wide(0.8)).volume.hu
    head = plain_neck().scan_grid((2.0, 0.8, 0.8), 190.0, 70.0, -40.0)
    crowned = render(dental_metal(np.random.default_rng(0), plain_neck()), head).volume.hu

    assert all(3000 < hu.max() <= 8000 for hu in (screws, plate, crowned))
    assert render(plain_neck(), head).volume.hu.max() < 2900


@pytest.mark.parametrize("make", [endotracheal_tube, lambda rng, neck: gastric_tube(rng, neck.tissue)])
def test_a_tube_is_a_dense_ring_in_the_throat(make) -> None:  # type: ignore[no-untyped-def]
    tube = make(chance(), plain_neck())
    middle = tube.path_mm[np.argmin(np.abs(tube.path_mm[:, 2] - plain_neck().centres_mm["C6"][2]))]
    grid = Grid.upright(middle, (5, 60, 60), (0.5, 0.4, 0.4))
    before, after = render(plain_neck(), grid).volume.hu, render(with_hardware(tube), grid).volume.hu

    assert after[2, 30, 30] == pytest.approx(tube.filling_hu, abs=30)
    assert np.count_nonzero(after - before > 80) > 40
    assert after.max() > 400


def test_a_collar_lies_outside_the_skin_only() -> None:
    before, after = render(plain_neck(), wide()), render(with_hardware(collar(chance(), plain_neck())), wide())
    changed = before.volume.hu != after.volume.hu

    assert np.count_nonzero(after.volume.hu[changed] > -400) > 500
    assert before.volume.hu[changed].max() < -300
    assert np.array_equal(before.labels.labels, after.labels.labels)


def test_hardware_looks_the_same_in_parts() -> None:
    neck = plain_neck()
    neck = with_hardware(endotracheal_tube(chance(), neck), collar(chance(), neck), posterior_screws(chance(), neck))
    grid = wide(1.6)
    part = grid.part((12, 30, 20), (9, 60, 70))

    np.testing.assert_allclose(render(neck, grid).volume.hu[12:21, 30:90, 20:90], render(neck, part).volume.hu, atol=1.5)


def test_what_a_patient_brings_is_named_and_as_frequent_as_stated() -> None:
    found = [set(kinds(add_hardware(np.random.default_rng(seed), plain_neck()))) for seed in range(300)]
    share = {kind: np.mean([kind in one for one in found]) for kind in set.union(*found)}

    assert share["table"] == 1
    assert share["endotracheal_tube"] == pytest.approx(0.12, abs=0.06)
    assert share["collar"] == pytest.approx(0.35, abs=0.09)
    assert 0.2 < share["dental_metal"] < 0.55
    assert all("endotracheal_tube" in one for one in found if "gastric_tube" in one)


def test_plates_sit_in_front_of_their_bodies() -> None:
    for seed in range(6):
        cage, plate = anterior_plate(np.random.default_rng(seed), plain_neck())
        low, high = plate.shapes[0].box_mm()
        middle = (low + high) / 2
        nearest = min(
            (plain_neck().bone(Level(n).name) for n in range(3, 8)), key=lambda bone: abs(bone.pose.centre[2] - middle[2])
        )
        own = nearest.pose.own_matrix @ (middle - nearest.pose.centre)
        assert own[1] < -6
        assert abs(own[0]) < 4
        assert len(cage.shapes) >= 1


def test_every_neck_is_equipped() -> None:
    assert kinds(sample_neck(np.random.default_rng(1), shipped_anatomies()[0]))[0] == "table"
