"""Alterations of intact scans, and the table of what is flagged in them."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.alterations.__main__ import KeptLocaliser, Scan, main, predicted
from benchmarks.alterations.changes import ALTERATIONS, BESIDE_MM, Corners
from benchmarks.alterations.counting import ALL, Finding, rows, table
from cspine.anatomy import Level
from cspine.detection import Detector
from cspine.errors import DatasetError
from cspine.geometry import Grid
from cspine.volume import Volume
from tests.coded import coded_volume, study_of, write_nifti
from tests.coded_vertebrae import holed_volume, write_vertebra_package

WAYS = {alteration.name: alteration.change for alteration in ALTERATIONS}


def block() -> tuple[Volume, Corners]:
    """Returns a scan of 1 x 0.5 x 0.5 mm with two blocks of bone, and their corners, the upper one first."""
    grid = Grid.upright((5.0, -10.0, 50.0), (60, 160, 160), (1.0, 0.5, 0.5))
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    hu = np.full(grid.shape, 40.0, np.float32)
    corners = []
    for middle in (62.0, 38.0):
        inside = np.all(np.abs(world - (5.0, -10.0, middle)) < (12.0, 10.0, 8.0), axis=-1)
        hu[inside] = 700.0
        unit = np.array(list(np.ndindex(2, 2, 2))) * 2 - 1
        corners.append(np.array((5.0, -10.0, middle)) + unit * (12.0, 10.0, 8.0))
    return Volume(hu, grid), np.array(corners)


def altered(name: str) -> Volume:
    """Returns the blocks, altered."""
    found = WAYS[name](*block())
    assert found is not None
    return found


def edge(volume: Volume) -> np.ndarray:
    """Returns values across the edge of a block, from soft tissue into bone."""
    return volume.hu[42, 80, 40:70]


def test_a_sharper_kernel_overshoots_at_edges_and_a_softer_one_blurs_them() -> None:
    plain, sharp, soft = (edge(altered(name)) for name in ("as stored", "sharper kernel", "softer kernel"))

    assert sharp.max() > plain.max() + 100
    assert sharp.min() < plain.min() - 100
    assert np.diff(soft).max() < 0.6 * np.diff(plain).max()


@pytest.mark.parametrize("hu", [20, 40, 60])
def test_noise_has_the_standard_deviation_that_is_asked_for_and_grain_within_slices(hu: int) -> None:
    noise = altered(f"noise of {hu} HU added").hu - block()[0].hu

    assert noise.std() == pytest.approx(hu, rel=0.01)
    assert np.corrcoef(noise[:, :, 1:].ravel(), noise[:, :, :-1].ravel())[0, 1] > 0.3
    assert abs(np.corrcoef(noise[1:].ravel(), noise[:-1].ravel())[0, 1]) < 0.05


def test_an_oblique_scan_shows_the_same_bone_in_turned_slices() -> None:
    found = altered("oblique by 20 degrees")
    index = np.rint(found.grid.index((5.0, -10.0, 62.0))).astype(int)

    assert found.grid.directions[2, 0] == pytest.approx(np.cos(np.radians(20)))
    assert found.hu[tuple(index)] == pytest.approx(700)


def test_a_narrow_crop_ends_beside_the_vertebrae_and_a_short_one_within_the_outermost() -> None:
    plain, (beside, within) = block()[0], (altered(f"cropped to {what}") for what in _CROPS)

    assert beside.grid.shape[0] == plain.grid.shape[0]
    assert beside.grid.extent_mm[2] == pytest.approx(24 + 2 * BESIDE_MM, abs=1.5)
    assert within.grid.extent_mm[0] == pytest.approx(25, abs=1)
    assert within.grid.shape[1:] == plain.grid.shape[1:]
    assert within.hu[0, 80, 80] == within.hu[-1, 80, 80] == 700


_CROPS = (f"{BESIDE_MM:g} mm beside the vertebrae", "the middles of the outermost vertebrae")


def test_thicker_slices_are_averages_and_finer_ones_are_not_made() -> None:
    thick, coarse = altered("slices of 2 mm"), altered("slices of 3 mm, pixels of 1 mm")

    assert thick.grid.spacing_mm == pytest.approx((2.0, 0.5, 0.5))
    assert coarse.grid.spacing_mm == pytest.approx((3.0, 1.0, 1.0))
    inner = coarse.hu[1:-1, 1:-1, 1:-1]
    assert (inner - 40).sum() * 3 == pytest.approx((block()[0].hu - 40).sum() / 4, rel=0.01)
    assert WAYS["slices of 2 mm"](thick, block()[1]) is None
    assert WAYS["slices of 3 mm, pixels of 1 mm"](coarse, block()[1]) is None


def test_values_are_shifted_and_scaled_and_stay_above_what_files_hold() -> None:
    assert edge(altered("+50 HU")).max() == 750
    assert edge(altered("HU times 0.9")).max() == pytest.approx(630)
    air = Volume(np.full((2, 2, 2), -1000, np.float32), Grid.upright((0, 0, 0), (2, 2, 2), (1, 1, 1)))
    lowered = WAYS["HU times 1.1"](air, block()[1])

    assert lowered is not None
    assert lowered.hu.min() == -1024


def test_a_shift_by_half_a_voxel_moves_voxels_and_no_bone() -> None:
    plain, found = block()[0], altered("shifted by half a voxel")

    assert found.grid.world((0, 0, 0)) == pytest.approx(plain.grid.world((0.5, 0.5, 0.5)))
    assert found.hu[10, 20, 30] == pytest.approx(plain.hu[10:12, 20:22, 30:32].mean())


def test_streaks_begin_in_front_of_the_highest_vertebra_and_fade() -> None:
    streaks = altered("streaks").hu - block()[0].hu
    near = np.abs(streaks).mean(axis=(1, 2))

    assert near.argmax() == pytest.approx(42, abs=2)
    assert near[0] < 0.05 * near.max()
    assert np.abs(streaks[42, :20]).mean() > 1.5 * np.abs(streaks[42, -20:]).mean()


def findings(scans: int) -> list[Finding]:
    """Returns results in which the sharp kernel flags C2 in every second scan, and the last scan is rejected when it is oblique."""
    made = []
    for n in range(scans):
        levels = dict.fromkeys(("C2", "C3"), 0.1)
        sharp = n % 2 == 0
        made += [
            Finding(f"s{n}", "as stored", (), False, levels, ()),
            Finding(f"s{n}", "sharp", (), sharp, levels, ("C2",) if sharp else ()),
            Finding(f"s{n}", "oblique", ("levels_uncertain",) if n == scans - 1 else (), False, levels, ()),
        ]
    return made


def test_studies_and_levels_are_counted_by_alteration_with_intervals_over_scans() -> None:
    found = {row.name: row for row in rows(findings(8), "as stored")}

    assert found["as stored"].studies[:2] == (0, 8)
    assert found["sharp"].studies[:2] == (4, 8)
    assert found["sharp"].levels[:2] == (4, 16)
    assert found["sharp"].more == 4
    assert found["sharp"].studies[2].has_interval
    assert (found["oblique"].scans, found["oblique"].rejected, found["oblique"].studies[1]) == (8, 1, 7)
    assert found[ALL].studies[:2] == (4, 15)
    assert "4 of 8 | 0.500 (0." in table(rows(findings(8), "as stored"))


def test_few_scans_have_no_interval_however_many_alterations() -> None:
    found = {row.name: row for row in rows(findings(4), "as stored")}

    assert not found[ALL].studies[2].has_interval


@pytest.fixture(scope="module")
def detector(coded_localiser: Path, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    package = write_vertebra_package(tmp_path_factory.mktemp("packages") / "p", tmp_path_factory.mktemp("network"))
    return Detector(package, localiser=KeptLocaliser(str(coded_localiser)))


def scan(volume: Volume, name: str) -> Iterator[Scan]:
    yield Scan(name, study_of(volume, name))


def test_a_scan_is_predicted_as_stored_and_altered_and_is_not_predicted_again(detector: Detector, tmp_path: Path) -> None:
    out = tmp_path / "table.md"
    first = predicted(detector, scan(holed_volume(Level.C4), "holed"), out)
    plain = next(one for one in first if one.alteration == "as stored")

    assert plain.flagged_levels == ("C4",)
    assert {one.alteration for one in first} >= {"sharper kernel", "shifted by half a voxel", "streaks"}
    assert out.read_text().startswith("| scan | scans |")
    kept = json.loads(out.with_suffix(".json").read_text())
    kept["findings"][0]["flagged_levels"] = ["C7"]
    out.with_suffix(".json").write_text(json.dumps(kept))
    again = predicted(detector, scan(holed_volume(Level.C4), "holed"), out)
    assert again[0].flagged_levels == ("C7",)


def test_kept_levels_stay_where_the_stored_scan_has_them(detector: Detector, tmp_path: Path) -> None:
    found = predicted(detector, scan(coded_volume(half_mm=(14.0, 12.0)), "plain"), tmp_path / "table.md")

    assert all(len(one.probabilities) == 7 for one in found if one.alteration in {"as stored", "+50 HU", "HU times 0.9"})


def test_results_of_another_package_and_scans_without_vertebrae_are_refused(detector: Detector, tmp_path: Path) -> None:
    (tmp_path / "table.json").write_text(json.dumps({"by": ["x"], "findings": []}))
    with pytest.raises(DatasetError, match="holds what another package or localiser says"):
        predicted(detector, iter(()), tmp_path / "table.md")
    with pytest.raises(DatasetError, match="A scan with a surely named vertebra is needed"):
        predicted(detector, scan(coded_volume(()), "empty"), tmp_path / "other.md")


def test_a_scan_that_comes_twice_ends_in_one_line(
    detector: Detector, coded_localiser: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("benchmarks.alterations.__main__.predicted", lambda _, scans, out: list(scans))  # noqa: ARG005
    for name in ("a.nii", "b.nii"):
        write_nifti(coded_volume(), tmp_path / name)
    words = [str(tmp_path), "--localiser", str(coded_localiser), "-o", str(tmp_path / "t.md")]
    monkeypatch.setattr("sys.argv", ["benchmarks.alterations", *words])

    assert main() == 2
    assert capsys.readouterr().err.startswith("benchmarks.alterations: Each scan is needed once.")
