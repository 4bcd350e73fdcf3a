"""Nouns that refuse to be wrong."""

import numpy as np
import pytest

from cspine.anatomy import CERVICAL, Level
from cspine.errors import GeometryError
from cspine.geometry import Grid
from cspine.results import Assessment, LevelFinding, LevelStatus, ModelFacts, StudyFacts, StudyResult, StudyStatus
from cspine.specs import SliceSpec
from cspine.study import SourceSlice, Study
from cspine.volume import LabelMap, Volume

_GRID = Grid.upright((0, 0, 0), (4, 3, 2), (2, 1, 1))


def test_labels_of_levels_are_those_of_the_masks() -> None:
    assert [level.name for level in CERVICAL] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert [level.value for level in Level] == list(range(1, 9))
    assert Level.from_name(" c3") is Level.C3


def test_every_level_has_its_own_code() -> None:
    codes = {level.code for level in Level}

    assert len(codes) == len(Level)
    assert all(code.scheme == "SCT" and code.value.isdigit() for code in codes)


@pytest.mark.parametrize("array", [np.zeros((4, 3, 3), np.float32), np.zeros((4, 3, 2), np.float64)])
def test_a_volume_needs_the_shape_and_type_that_its_grid_promises(array: np.ndarray) -> None:
    with pytest.raises(GeometryError, match=r"must be float32 or int16 of shape \(4, 3, 2\)"):
        Volume(array, _GRID)


def test_a_label_map_holds_bytes() -> None:
    with pytest.raises(GeometryError, match="must be uint8"):
        LabelMap(np.zeros((4, 3, 2), np.int16), _GRID)


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ({"spacing_mm": (0, 1, 1)}, r"needs voxels of 0\.2 to 20 mm and a rising window"),
        ({"size": (0, 5)}, "needs 1 to 1024 voxels along each side"),
        ({"neighbours": -1}, "needs 1 to 1024 voxels along each side, and .* numbers at most"),
        ({"window_hu": (5, 5)}, "needs .* a rising window"),
    ],
)
def test_an_impossible_slice_specification_is_refused(changed: dict[str, object], needed: str) -> None:
    fields = {"spacing_mm": (1, 1, 1), "size": (8, 8), "neighbours": 0, "window_hu": (0, 1)} | changed

    with pytest.raises(GeometryError, match=f"The input of a network {needed}"):
        SliceSpec(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", list(LevelStatus))
def test_a_probability_exists_only_where_a_level_was_assessed(status: LevelStatus) -> None:
    assessed = status in (LevelStatus.ASSESSED, LevelStatus.PARTLY_IN_VIEW)

    with pytest.raises(ValueError, match="if and only if it was assessed"):
        LevelFinding(Level.C1, status, None if assessed else Assessment(0.5, 0.5))


def test_a_rejected_study_has_no_probability() -> None:
    facts = StudyFacts("a", None, None, 3, (1, 1, 1), "axial")
    model = ModelFacts("m", "1", "0", "phantoms")

    with pytest.raises(ValueError, match="if and only if it was not rejected"):
        StudyResult(StudyStatus.REJECTED, (), facts, model, model, "balanced", Assessment(0.5, 0.5), ())


def test_an_assessment_is_positive_from_its_threshold_on() -> None:
    assert Assessment(0.4, 0.4).positive
    assert not Assessment(0.39, 0.4).positive
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        Assessment(1.2, 0.5)


@pytest.mark.parametrize(
    ("low", "high", "sure"),
    [(None, None, True), (0.5, 0.7, True), (0.3, 0.62, False), (0.1, 0.62, False), (0.62, 0.62, True)],
)
def test_an_assessment_is_sure_where_all_passes_are_on_one_side_of_the_threshold(
    low: float | None, high: float | None, sure: bool
) -> None:
    assert Assessment(0.62, 0.5, low, high).sure is sure
    assert Assessment(0.62, 0.8, low, high).sure


@pytest.mark.parametrize(("low", "high"), [(0.63, 0.7), (0.1, 0.61), (-0.1, 0.7), (0.1, 1.1)])
def test_an_assessment_lies_between_its_passes(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="lies between those of its passes"):
        Assessment(0.62, 0.5, low, high)


@pytest.mark.parametrize("rising", [True, False])
def test_the_nearest_slice_is_found_by_position(rising: bool) -> None:
    volume = Volume(np.zeros(_GRID.shape, np.float32), _GRID)
    heights = [0.0, 2.0, 4.0, 6.0][:: 1 if rising else -1]
    sources = tuple(SourceSlice("1.2", f"1.2.{n}", (0, 0, z)) for n, z in enumerate(heights))

    study = Study("a", volume, None, None, "axial", sources)

    assert heights[study.nearest_slice((50, 50, 4.4))] == 4.0


def test_the_nearest_of_many_uneven_slices_is_the_one_with_the_least_distance() -> None:
    rng = np.random.default_rng(3)
    heights = rng.permutation(np.cumsum(rng.uniform(0.5, 4, 40)))
    sources = tuple(SourceSlice("1.2", f"1.2.{n}", (0, 0, z)) for n, z in enumerate(heights))
    study = Study("a", Volume(np.zeros(_GRID.shape, np.float32), _GRID), None, None, "axial", sources)
    places = np.column_stack([rng.normal(0, 50, (500, 2)), rng.uniform(-10, 110, 500)])

    nearest = study.nearest_slices(places)

    np.testing.assert_array_equal(nearest, np.argmin(np.abs(heights - places[:, 2, None]), axis=1))


def test_without_sources_the_nearest_slice_is_one_of_the_array() -> None:
    study = Study("a", Volume(np.zeros(_GRID.shape, np.float32), _GRID), None, None, "axial")

    assert study.nearest_slice((0, 0, -3)) == 0
    assert study.nearest_slice((0, 0, 99)) == 3
