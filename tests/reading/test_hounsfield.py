"""Values that are not Hounsfield units, or not all of them, are refused with what is wrong; those of scanners are not."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cspine.errors import PixelError
from cspine.reading import find_series, limits, read_study
from cspine.reading.hounsfield import Fault, Histogram, check_hounsfield, fault_of
from cspine.reading.messages import Refusal
from cspine.reading.passes import strangers
from tests.reading.scans import Scan, body, neck, setting

Change = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def _neck() -> NDArray[np.float32]:
    return neck().astype(np.float32)


def _codes(hu: NDArray[np.floating]) -> list[str]:
    """Returns the codes of the warnings about values that are taken."""
    return [warning.code for warning in check_hounsfield(hu.astype(np.float32), "scan.nii")]


@pytest.mark.parametrize("ceiling", [250, 300, 400, 500, 700, 1000, 1300, 1500])
@pytest.mark.parametrize("step", [1, 1.5, 8])
def test_bone_that_is_cut_off_anywhere_is_refused_with_the_value(ceiling: int, step: float) -> None:
    hu = np.minimum(step * np.round(_neck() / step), ceiling)

    with pytest.raises(
        PixelError, match=rf"in scan\.nii [\d.]+% of bone is cut off at {ceiling} HU\. Give the CT before"
    ) as raised:
        check_hounsfield(hu.astype(np.float32), "scan.nii")

    assert raised.value.code == "clipped"


@pytest.mark.parametrize(
    "ceiling", [limits.BONE_REACHES_HU + 1, 2000, 2976, 3071, 4095 - 1024, 3095], ids=lambda ceiling: f"{ceiling}"
)
def test_a_ceiling_above_bone_is_normal(ceiling: int) -> None:
    hu = _neck()
    hu[:, 30:34, 30:34] = 5000  # metal

    assert _codes(np.minimum(hu, ceiling)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda hu: np.where(hu > 2500, hu, np.minimum(hu, 600)),
        lambda hu: np.concatenate([hu[:20], np.minimum(hu[20:], 600)]),
        lambda hu: np.minimum(hu, 600) + np.random.default_rng(1).normal(0, 2, hu.shape),
        lambda hu: np.where(np.indices(hu.shape)[1] < 3, 1500, np.minimum(hu, 600)),
    ],
    ids=["metal laid over it", "half of the slices", "noise laid over it", "writing burnt in"],
)
def test_a_ceiling_is_found_below_other_values(change: Change) -> None:
    fault = fault_of(change(_neck()).astype(np.float32))

    assert fault is not None
    assert fault.refusal is Refusal.CLIPPED


@pytest.mark.parametrize("end", [300, 500])
def test_bone_that_is_squeezed_by_a_table_is_refused(end: int) -> None:
    hu = _neck()

    fault = fault_of(np.where(hu > 0, end * np.tanh(hu / end), hu).astype(np.float32))

    assert fault is not None
    assert fault.refusal is Refusal.CLIPPED
    assert "ends abruptly" in fault.found or "is cut off" in fault.found


@pytest.mark.parametrize(
    ("floor", "code"), [(-449, "clipped"), (-300, "clipped"), (-200, "clipped"), (-150, "clipped"), (-99, "not_hu")]
)
def test_air_that_is_cut_off_where_networks_see_it_is_refused(floor: int, code: str) -> None:
    with pytest.raises(PixelError, match=f"air is cut off at {floor} HU|there is no air") as raised:
        check_hounsfield(np.maximum(_neck(), floor), "scan.nii")

    assert raised.value.code == code


@pytest.mark.parametrize(("floor", "codes"), [(-450, ["no_air"]), (-500, ["no_air"]), (-939, ["no_air"]), (-940, []), (-1000, [])])
def test_a_floor_that_does_no_harm_is_told(floor: int, codes: list[str]) -> None:
    assert _codes(np.maximum(_neck(), floor)) == codes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda hu: hu + 1024, "there is no air, and tissue lies near 1000, as where Rescale Slope or Intercept are missing"),
        (
            lambda hu: np.where(hu < -1000, -1000, hu + 1024),
            "much lies near 1000 HU, where tissue comes to lie where Rescale",
        ),
        (lambda hu: np.where(hu < -1000, -1000, hu + 400), "soft tissue"),
        (lambda hu: 2 * (hu + 1024) - 1024, "soft tissue|much lies near 1000 HU"),
        (lambda hu: 0.5 * (hu + 1024) - 1024, "soft tissue|most of the tissue lies near"),
        (lambda hu: hu - 600, "soft tissue|most of the tissue lies near"),
        (lambda hu: 2047 - hu, "soft tissue"),
        (lambda hu: -hu, "soft tissue|much lies near 1000 HU"),
        (lambda hu: np.where(hu < 0, hu + 65536, hu), "there is no air"),
        (lambda hu: np.where(hu < -1020, hu + 65536, hu), "are denser than any metal, as where a sign was lost"),
    ],
)
def test_values_that_are_shifted_scaled_inverted_or_without_sign_are_refused(change: Change, words: str) -> None:
    with pytest.raises(PixelError, match=rf"the values of scan\.nii are something else: they reach from .*({words})") as raised:
        check_hounsfield(change(_neck()).astype(np.float32), "scan.nii")

    assert raised.value.code == "not_hu"


@pytest.mark.parametrize(("step", "codes"), [(1, []), (2, []), (4, []), (7.1, ["coarse_values"]), (16, ["coarse_values"])])
def test_coarse_steps_are_told(step: float, codes: list[str]) -> None:
    assert _codes(step * np.round(_neck() / step)) == codes


def test_sparse_ceilings_hide_nothing() -> None:
    hu = _neck()
    hu[hu > 1400] = 1400
    hu[hu == 1400] = np.where(np.arange(np.count_nonzero(hu == 1400)) < 29, 1400, 55)

    assert _codes(hu) == []


def test_blocks_of_one_density_are_no_ceiling() -> None:
    hu = np.where(_neck() > 150, 400, np.minimum(_neck(), 150))

    assert _codes(hu) == []


def test_painted_blocks_with_softened_edges_are_no_ceiling() -> None:
    hu = np.where(_neck() > 150, 900, np.where(_neck() > -450, 40, -1000)).astype(np.float32)
    edge = (_neck() > 150) & (_neck() < 300)
    hu[edge] = np.random.default_rng(0).uniform(300, 900, np.count_nonzero(edge))

    assert _codes(hu) == []


def test_bits_that_end_within_bone_are_named(tmp_path: Path) -> None:
    scan = Scan(hu=neck(6), change=setting(BitsStored=12, HighBit=11, PixelRepresentation=1, RescaleIntercept=-1024))

    with pytest.raises(PixelError, match=r"Bits Stored hold nothing above 1023 HU, and bone reaches 10\d\d HU") as raised:
        read_study(scan.write(tmp_path))
    assert raised.value.code == "clipped"


def test_few_bits_that_bone_does_not_reach_are_read(tmp_path: Path) -> None:
    scan = Scan(hu=body(), change=setting(BitsStored=12, HighBit=11, PixelRepresentation=1, RescaleIntercept=-1024))

    assert np.array_equal(read_study(scan.write(tmp_path)).volume.hu, scan.hu)


def test_a_scan_without_bone_is_refused() -> None:
    hu = np.where(_neck() > 150, 55, _neck())
    hu[0, 0, 0] = 300

    assert fault_of(hu) is None
    hu[0, 0, 0] = 299
    assert fault_of(hu) == Fault(Refusal.NOT_HU, "they reach from -1024 to 299, so there is no bone")


def test_a_scan_much_of_which_is_denser_than_bone_is_refused() -> None:
    dense = np.arange(_neck().size).reshape(_neck().shape) % 100

    assert fault_of(np.where(dense < 4, np.float32(3071), _neck())) is None
    fault = fault_of(np.where(dense < 6, np.float32(4002), _neck()))
    assert fault is not None
    assert "many are denser than any bone" in fault.found


def test_a_scan_whose_values_are_without_a_body_is_refused() -> None:
    hu = np.where(_neck() > -450, np.random.default_rng(0).uniform(-440, 2500, _neck().shape), _neck()).astype(np.float32)

    fault = fault_of(hu)

    assert fault is not None
    assert re.search(r"only \d+\.\d% of what is denser than -450 HU is soft tissue", fault.found)


def test_a_large_volume_is_sampled_in_every_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    hu = np.repeat(_neck(), 2, axis=0)
    hu[7] = np.minimum(hu[7], 500)
    monkeypatch.setattr("cspine.reading.hounsfield._SAMPLES", hu.size // 4)

    assert fault_of(np.minimum(hu, 500)) is not None
    assert fault_of(np.repeat(_neck(), 2, axis=0)) is None


def test_a_series_that_is_cut_off_gives_way_to_one_that_is_not_and_info_says_so(tmp_path: Path) -> None:
    Scan(hu=np.minimum(neck(40), 400), series_uid="1.1", change=setting(SeriesDescription="C-SPINE")).write(tmp_path / "a")
    Scan(hu=neck(40, seed=1), series_uid="1.2").write(tmp_path / "b")

    study = read_study(tmp_path)
    summaries = {summary.series_uid: summary for summary in find_series(tmp_path)}

    assert (study.series_uid, [warning.code for warning in study.warnings]) == ("1.2", ["next_series"])
    assert "is cut off" in study.warnings[0].text or "are cut off" in study.warnings[0].text
    assert summaries["1.2"].chosen
    assert re.match(
        r"Values from air to dense bone are needed; in 1\.1 [\d.]+% of bone is cut off at 400 HU", summaries["1.1"].reason
    )
    with pytest.raises(PixelError, match="cut off at 400 HU"):
        read_study(tmp_path / "a")
    assert not find_series(tmp_path / "a")[0].chosen


@pytest.mark.parametrize("shift", [0, -700, 900])
def test_whole_numbers_are_checked_like_the_same_in_float32(shift: int) -> None:
    hu = neck(40, 400).astype(np.int16) + np.int16(shift)

    assert fault_of(hu) == fault_of(hu.astype(np.float32))
    assert strangers(hu) == strangers(hu.astype(np.float32))
    assert np.array_equal(Histogram.of(hu).counts, Histogram.of(hu.astype(np.float32)).counts)
