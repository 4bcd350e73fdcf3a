"""Speed: multiplications are counted right, a long scan is what it says, results are compared, the picture is drawn."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.agreement import largest_difference, of_batches, of_probabilities
from benchmarks.speed.counting import multiplications
from benchmarks.speed.floors import floors
from benchmarks.speed.machine import Machine
from benchmarks.speed.picture import draw
from benchmarks.speed.subjects import prolonged
from benchmarks.speed.watching import Run, Watch, watching
from cspine.detection import Detector
from cspine.geometry import Grid
from cspine.network_content import NetworkContent
from cspine.runtime import open_session
from cspine.runtime.openvino import ov
from cspine.study import Study
from cspine.volume import Volume


def _network(folder: Path) -> NetworkContent:
    """Returns a network of each kind that counts: 2 channels of 8 x 8 to 3 of 4 x 4, each to two, to 6 of 8 x 8, two by two."""
    op, rng = ov.opset13, np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    given = op.parameter([-1, 2, 8, 8], np.float32, name="given")
    strided = op.convolution(given, weights(3, 2, 3, 3), [2, 2], [1, 1], [1, 1], [1, 1])
    alone = op.group_convolution(strided, weights(3, 2, 1, 3, 3), [1, 1], [1, 1], [1, 1], [1, 1])
    wide = op.convolution_backprop_data(alone, weights(6, 6, 2, 2), [2, 2])
    doubled = op.group_convolution_backprop_data(wide, weights(3, 2, 2, 1, 1), [1, 1])
    made = op.matmul(op.reduce_mean(doubled, np.array([2, 3]), False), weights(6, 7), False, False)
    made.output(0).set_names({"made"})
    path = folder / "network.xml"
    ov.save_model(ov.Model([op.result(made)], [given]), path, compress_to_fp16=False)
    return NetworkContent(path.name, path.read_bytes(), path.with_suffix(".bin").read_bytes())


def test_multiplications_are_those_that_are_counted_by_hand(tmp_path: Path) -> None:
    strided, alone, wide, doubled, product = 3 * 4 * 4 * 2 * 9, 6 * 4 * 4 * 9, 6 * 4 * 4 * 6 * 4, 6 * 8 * 8 * 2, 6 * 7
    each = strided + alone + wide + doubled + product

    assert multiplications(_network(tmp_path), (1, 2, 8, 8)) == each
    assert multiplications(_network(tmp_path), (4, 2, 8, 8)) == 4 * each


def test_what_networks_are_run_on_is_seen_while_it_is_watched(tmp_path: Path) -> None:
    session = open_session(_network(tmp_path))

    with watching() as watch:
        session.run(np.zeros((2, 2, 8, 8), np.float32))
    session.run(np.zeros((1, 2, 8, 8), np.float32))

    assert [(run.shape, run.outputs) for run in watch.runs] == [((2, 2, 8, 8), frozenset({"made"}))]
    assert watch.runs_of(["made"]) == watch.runs
    assert watch.runs_of(["made", "more"]) == []


def test_a_floor_is_what_the_machine_needs_for_what_was_run() -> None:
    detector, machine = Detector(), Machine(f32=50.0, bf16=100.0, memory=2.0)
    (coarse, _), (classify,) = detector.localiser.package.manifest.networks, detector.package.manifest.networks
    shape = (1, *detector.localiser.package.manifest.coarse.size, 1)
    runs = [Run(frozenset(coarse.outputs), shape, 1.0)] * 3
    watch = Watch(runs, sampling_s=1.0, sampled_bytes=4_000_000_000)

    found = floors(detector, watch, machine, files_s=0.25, written_bytes=2_000_000)

    once = multiplications(detector.localiser.package.network("coarse"), shape)
    assert once > 1e9
    rate = {"f32": 50e9, "bf16": 100e9}[coarse.precision]
    assert found["first network"].seconds == pytest.approx(3 * 2 * once / rate)
    assert coarse.precision in found["first network"].counts
    assert (found["read"].seconds, found["sampling"].seconds, found["write"].seconds) == pytest.approx((0.25, 2.0, 0.001))
    assert found["classify"].seconds == 0
    assert classify.precision in found["classify"].counts
    assert "crop" not in found


def test_a_body_goes_on_below_the_neck_without_a_step() -> None:
    grid = Grid.upright((0.0, 0.0, 100.0), (20, 4, 4), (2.0, 1.0, 1.0))
    heights = np.broadcast_to(np.arange(20, dtype=np.int16)[:, None, None], grid.shape).copy()
    neck = Study(name="neck", volume=Volume(heights, grid), study_uid=None, series_uid=None, orientation="axial")

    long = prolonged(neck, 100.0).volume

    assert long.grid.extent_mm[0] == pytest.approx(100)
    np.testing.assert_array_equal(long.hu[-20:], heights)
    np.testing.assert_allclose(long.grid.world((30, 0, 0)), grid.world((0, 0, 0)))
    assert np.abs(np.diff(long.hu[:, 0, 0].astype(int))).max() == 1
    assert long.hu[:30].max() <= 6


def _result(folder: Path, name: str, probability: float, flagged: bool, seconds: float) -> None:
    (folder / name).mkdir(parents=True)
    told = {"overall": {"probability": probability, "flagged": flagged}, "timings_s": {"read": seconds}, "created": str(seconds)}
    (folder / name / "result.json").write_text(json.dumps(told), encoding="utf-8")


def test_results_differ_by_their_numbers_and_words_not_by_their_times(tmp_path: Path) -> None:
    for folder, probability, flagged, seconds in (("a", 0.5, True, 1.0), ("b", 0.25, True, 2.0), ("c", 0.5, False, 1.0)):
        _result(tmp_path / folder, "neck", probability, flagged, seconds)
    _result(tmp_path / "c", "more", 0.5, True, 1.0)

    assert largest_difference(*(tmp_path / name / "neck/result.json" for name in "aa")) == 0
    assert of_batches(tmp_path / "a", tmp_path / "b") == 0.25
    assert largest_difference(*(tmp_path / name / "neck/result.json" for name in "ac")) == np.inf
    assert of_batches(tmp_path / "a", tmp_path / "c") == np.inf
    assert of_batches(tmp_path / "none", tmp_path / "none") == np.inf


def test_probabilities_are_compared_by_themselves(tmp_path: Path) -> None:
    for name, probability, sliced in (("a", 0.5, 3), ("b", 0.75, 9), ("c", None, 3)):
        (tmp_path / name / "neck").mkdir(parents=True)
        levels = [{"level": "C1", "probability": probability, "key_slice": {"index": sliced}}]
        (tmp_path / name / "neck" / "result.json").write_text(json.dumps({"levels": levels}))

    assert of_probabilities(tmp_path / "a", tmp_path / "b") == 0.25
    assert of_probabilities(tmp_path / "a", tmp_path / "a") == 0
    assert of_probabilities(tmp_path / "a", tmp_path / "c") == np.inf
    assert of_probabilities(tmp_path / "a", tmp_path / "none") == np.inf


def test_the_picture_is_drawn_of_the_figures_and_is_small(tmp_path: Path) -> None:
    figures = {
        "stages": [{"name": "read", "seconds": 0.3, "floor_s": 0.2}, {"name": "check", "seconds": 0.01, "floor_s": None}],
        "slices": [{"slices": count, "processor_seconds": count / 100} for count in (100, 320)],
        "field": [{"name": "neck", "processor_seconds": 1.0}, {"name": "1000 mm long", "processor_seconds": 1.5}],
        "studies": [{"studies": count, "processor_seconds": 2.0 + count} for count in (1, 2, 4)],
    }

    draw(figures, tmp_path / "one.png")
    draw(figures | {"studies": [{"studies": 1, "processor_seconds": 9.0}]}, tmp_path / "other.png")

    one, other = ((tmp_path / name).read_bytes() for name in ("one.png", "other.png"))
    assert one.startswith(b"\x89PNG")
    assert len(one) < 100_000
    assert one != other
