"""The benchmark of a night, in small: with a network that reads blocks, and a damaged study of each kind among good ones."""

from pathlib import Path

import pydicom
import pytest

from benchmarks.damage import DAMAGES, make_batch
from benchmarks.survival import survive
from cspine.anatomy import Level
from tests.coded import asked, coded_volume, write_dicom


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Writes three studies."""
    folder = tmp_path_factory.mktemp("sources")
    for number in range(3):
        study = write_dicom(coded_volume(fractured=[Level(number + 1)]), folder / str(number))
        for path in study.iterdir():
            data = pydicom.dcmread(path)
            data.StudyInstanceUID, data.SeriesInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
            data.save_as(path)
    return sorted(folder.iterdir())


def test_a_batch_with_damaged_studies_that_is_killed_twice_and_resumed_ends_like_one_in_peace(
    sources: list[Path], coded_package: Path, tmp_path: Path
) -> None:
    damaged = make_batch(sources, tmp_path / "studies", len(DAMAGES) + 9, len(DAMAGES))

    verdict = survive(tmp_path / "studies", damaged, tmp_path, [*asked(coded_package), "--format", "json"], [0.3, 0.4])

    assert verdict.faults == ()
    assert verdict.evaluated == 9
    assert 0 < verdict.killed_at[0] < verdict.killed_at[1] < 9
    assert len(verdict.named) == len(DAMAGES)
