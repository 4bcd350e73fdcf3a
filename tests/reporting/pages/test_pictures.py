import base64
import re
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from cspine.anatomy import Level
from cspine.evidence import Evidence, Prediction
from cspine.imaging.windowing import windowed
from cspine.reporting.pages.heat import coloured, hottest_mm
from cspine.reporting.pages.pictures import level_pictures, scout, whole_pictures
from cspine.reporting.pages.stack import stack_grid
from cspine.reporting.views import BONE_WINDOW_HU, AnatomicalPlane, key_point_mm, section
from cspine.results import Box, KeySlice
from cspine.study import Study
from cspine.volume import Volume
from tests.reporting.pages.conftest import HOT_MM
from tests.reporting.restored import archived, stored_otherwise, tilted


def _pixels(uri: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(BytesIO(base64.b64decode(uri.removeprefix("data:image/png;base64,")))))


def test_a_level_is_shown_from_three_sides_through_its_hottest_point(prediction: Prediction, broken_neck: Study) -> None:
    finding = prediction.result.levels[Level.C4 - 1]

    axial, sagittal, coronal = level_pictures(prediction, broken_neck, finding)

    assert [picture.plane for picture in (axial, sagittal, coronal)] == [
        AnatomicalPlane.AXIAL,
        AnatomicalPlane.SAGITTAL,
        AnatomicalPlane.CORONAL,
    ]
    assert finding.key_slice is not None
    assert re.fullmatch(rf"Axial, key image {finding.key_slice.index + 1}, \d mm below its middle", axial.caption)
    assert re.fullmatch(r"Sagittal, reformatted, [789] mm to the right of its middle", sagittal.caption)
    assert re.fullmatch(r"Coronal, reformatted, \d+ mm in front of its middle", coronal.caption)
    assert "heat map over it" in axial.alt


def test_without_heat_slices_pass_through_the_middle(prediction: Prediction, broken_neck: Study) -> None:
    pictures = level_pictures(replace(prediction, evidence=Evidence()), broken_neck, prediction.result.levels[Level.C4 - 1])

    assert [picture.caption for picture in pictures[1:]] == [
        "Sagittal, reformatted, through its middle",
        "Coronal, reformatted, through its middle",
    ]
    assert all(picture.heat is None for picture in pictures)


@pytest.mark.parametrize(("order", "place"), [((2, 0, 1), 1), ((1, 0, 2), 2)])
def test_only_the_picture_that_lies_as_the_images_are_stored_is_called_the_key_image(
    prediction: Prediction, broken_neck: Study, order: tuple[int, int, int], place: int
) -> None:
    stored = stored_otherwise(broken_neck, order)
    study = archived(stored, [125 - index for index in range(stored.volume.grid.shape[0])])
    index = stored.volume.grid.shape[0] // 2
    finding = replace(prediction.result.levels[Level.C4 - 1], key_slice=KeySlice(index, None))

    captions = [picture.caption for picture in level_pictures(prediction, study, finding)]

    assert f"key image {125 - index}" in captions.pop(place)
    assert all("reformatted" in caption and "image" not in caption for caption in captions)


def test_the_picture_of_the_key_image_shows_the_stored_image(prediction: Prediction, broken_neck: Study) -> None:
    study = stored_otherwise(broken_neck, (2, 0, 1))
    grid = study.volume.grid
    index = round(float(grid.index(HOT_MM)[0])) - 4
    finding = replace(prediction.result.levels[Level.C4 - 1], key_slice=KeySlice(index, None))
    assert finding.centre_mm is not None

    x, y, z = key_point_mm(study, finding)

    assert (y, z) == finding.centre_mm[1:]
    assert x == pytest.approx(grid.world((index, 0, 0))[0])
    sagittal = level_pictures(prediction, study, finding)[1]
    stored = windowed(section(study.volume, AnatomicalPlane.SAGITTAL, (x, y, z), (84.0, 84.0)).hu, BONE_WINDOW_HU) * 255
    assert np.abs(_pixels(sagittal.image).astype(float) - np.rint(stored)).max() <= 1


def test_a_picture_at_the_height_of_a_tilted_image_is_called_reformatted(prediction: Prediction, broken_neck: Study) -> None:
    captions = [
        picture.caption for picture in level_pictures(prediction, tilted(broken_neck, 10.0), prediction.result.levels[Level.C4 - 1])
    ]

    assert captions[0].startswith("Axial, reformatted at key image ")


@pytest.mark.parametrize("place", range(3))
def test_the_box_lies_on_the_bone_and_the_heat_in_the_box(prediction: Prediction, broken_neck: Study, place: int) -> None:
    picture = level_pictures(prediction, broken_neck, prediction.result.levels[Level.C4 - 1])[place]
    assert picture.box is not None
    assert picture.heat is not None
    left, top, width, height = picture.box

    grey, heat = _pixels(picture.image), _pixels(picture.heat)[..., 3]
    rows, columns = grey.shape
    middle = grey[round((top + height / 2) / picture.height * rows), round((left + width / 2) / picture.width * columns)]
    row, column = np.unravel_index(np.argmax(heat), heat.shape)
    assert middle > 150
    assert left - 2 <= (column + 0.5) / heat.shape[1] * picture.width <= left + width + 2
    assert top - 2 <= (row + 0.5) / heat.shape[0] * picture.height <= top + height + 2


def test_the_hottest_point_of_a_box_is_found_in_it(prediction: Prediction) -> None:
    heat, finding = prediction.evidence.heat, prediction.result.levels[Level.C4 - 1]
    assert heat is not None
    assert finding.box_mm is not None
    assert finding.centre_mm is not None

    x, y, z = hottest_mm(heat, finding.box_mm)

    assert (x, y) == pytest.approx(HOT_MM[:2], abs=2.5)
    assert z == pytest.approx(finding.centre_mm[2], abs=2.5)
    assert hottest_mm(heat, Box((900.0, 900.0, 900.0), (902.0, 902.0, 902.0))) == (901.0, 901.0, 901.0)


def test_faint_heat_is_not_shown_and_strong_heat_leaves_the_bone_visible() -> None:
    colours = coloured(np.array([[0.0, 0.2, 0.6, 1.0]], np.float32))[0]

    assert [int(alpha) for alpha in colours[:2, 3]] == [0, 0]
    assert 0 < colours[2, 3] < colours[3, 3] < 180


def test_names_beside_the_spine_do_not_cover_each_other(prediction: Prediction, broken_neck: Study) -> None:
    grid = stack_grid(broken_neck, prediction.result)
    assert grid is not None
    findings = tuple(
        replace(finding, centre_mm=(*finding.centre_mm[:2], 300.0)) if finding.centre_mm else finding
        for finding in prediction.result.levels
    )
    close = replace(prediction, result=replace(prediction.result, levels=findings))

    picture = scout(close, broken_neck, grid)

    heights = [mark.at for mark in picture.marks]
    assert np.min(np.diff(heights)) > 0.045 * picture.width
    assert min(heights) > 0
    assert max(heights) < picture.height
    assert [mark.name for mark in picture.marks if mark.line is not None] == ["C4"]


def test_a_scan_that_was_not_assessed_is_never_shown_from_the_side(broken_neck: Study) -> None:
    assert [picture.plane for picture in whole_pictures(broken_neck)] == [AnatomicalPlane.AXIAL, AnatomicalPlane.CORONAL]


@pytest.mark.parametrize(
    ("plane", "right", "down"),
    [
        (AnatomicalPlane.AXIAL, (1, 0, 0), (0, 1, 0)),
        (AnatomicalPlane.SAGITTAL, (0, 1, 0), (0, 0, -1)),
        (AnatomicalPlane.CORONAL, (1, 0, 0), (0, 0, -1)),
    ],
)
def test_a_section_shows_the_patients_right_and_front_on_the_left_and_the_head_above(
    broken_neck: Study, plane: AnatomicalPlane, right: tuple[int, int, int], down: tuple[int, int, int]
) -> None:
    volume = broken_neck.volume
    centre = volume.grid.centre_mm
    ball = centre + 10 * np.array(right) + 20 * np.array(down)
    places = volume.grid.world(np.moveaxis(np.indices(volume.grid.shape), 0, -1))
    marked = Volume(np.where(np.linalg.norm(places - ball, axis=-1) < 4, 9000, volume.hu).astype(np.float32), volume.grid)

    view = section(marked, plane, centre, (60.0, 80.0))

    row, column = np.argwhere(view.hu > 5000).mean(axis=0)
    rows, columns = view.hu.shape
    assert (column + 0.5) / columns * 60 - 30 == pytest.approx(10, abs=1.5)
    assert (row + 0.5) / rows * 80 - 40 == pytest.approx(20, abs=1.5)


def test_a_section_beyond_the_scan_is_filled(broken_neck: Study) -> None:
    view = section(broken_neck.volume, AnatomicalPlane.AXIAL, broken_neck.volume.grid.centre_mm, (400.0, 400.0))

    assert view.hu[0, 0] == -1000
