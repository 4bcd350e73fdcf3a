import os
from pathlib import Path

import pytest

from cspine.errors import OutputError
from cspine.jobs.folders import RECORD, JobRecord, Provenance, drop_job, kept, put_job
from cspine.jobs.job import Job, JobStatus
from cspine.jobs.scans import fingerprint_of
from tests.made_results import result_text

_PROVENANCE = Provenance("1.0", "abc", "def", "balanced", None, ("json", "png"))
_RESULT = result_text(read=1.0, write=0.25)


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """Returns a study of two files that was done."""
    scan = tmp_path / "scan"
    scan.mkdir()
    (scan / "1.dcm").write_bytes(b"one")
    (scan / "2.dcm").write_bytes(b"two")
    _put(tmp_path, JobRecord(_PROVENANCE, fingerprint_of(scan), ("result.json", "result.png"), ("a note",)))
    return Job("neck", str(scan))


def _put(out: Path, record: JobRecord) -> None:
    def write(folder: Path) -> None:
        (folder / "result.json").write_text(_RESULT)
        (folder / "result.png").write_bytes(b"")
        (folder / RECORD).write_text(record.to_json())

    put_job(out, "neck", write)


def test_a_finished_job_of_the_same_files_in_the_same_way_is_kept(job: Job, tmp_path: Path) -> None:
    assert kept(tmp_path, job, _PROVENANCE) == Job(
        "neck", job.source, JobStatus.OK, 1.25, files=("result.json", "result.png"), notes=("a note",)
    )


def test_a_job_that_has_more_formats_than_asked_for_is_kept(job: Job, tmp_path: Path) -> None:
    assert kept(tmp_path, job, Provenance("1.0", "abc", "def", "balanced", None, ("json",))) is not None


@pytest.mark.parametrize(
    "other",
    [
        Provenance("1.1", "abc", "def", "balanced", None, ("json", "png")),
        Provenance("1.0", "abd", "def", "balanced", None, ("json", "png")),
        Provenance("1.0", "abc", "deg", "balanced", None, ("json", "png")),
        Provenance("1.0", "abc", "def", "rule_out", None, ("json", "png")),
        Provenance("1.0", "abc", "def", "balanced", "1.2.3", ("json", "png")),
        Provenance("1.0", "abc", "def", "balanced", None, ("json", "png", "sr")),
    ],
)
def test_a_job_that_was_made_in_another_way_is_not_kept(job: Job, tmp_path: Path, other: Provenance) -> None:
    assert kept(tmp_path, job, other) is None


def _touch(scan: Path) -> None:
    os.utime(scan / "1.dcm", (1, 1))


def _grow(scan: Path) -> None:
    (scan / "3.dcm").write_bytes(b"three")


def _shrink(scan: Path) -> None:
    (scan / "2.dcm").unlink()


def _rewrite(scan: Path) -> None:
    before = (scan / "2.dcm").stat()
    (scan / "2.dcm").write_bytes(b"twice")
    os.utime(scan / "2.dcm", ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [_touch, _grow, _shrink, _rewrite])
def test_a_job_whose_files_are_no_longer_the_same_is_not_kept(job: Job, tmp_path: Path, change: object) -> None:
    change(Path(job.source))  # type: ignore[operator]

    assert kept(tmp_path, job, _PROVENANCE) is None


def test_a_job_whose_scan_was_moved_is_kept(job: Job, tmp_path: Path) -> None:
    moved = Path(job.source).rename(tmp_path / "elsewhere")

    assert kept(tmp_path, Job("neck", str(moved)), _PROVENANCE) is not None


@pytest.mark.parametrize("file", ["result.json", "result.png", RECORD])
def test_a_job_that_lacks_a_file_is_not_kept(job: Job, tmp_path: Path, file: str) -> None:
    (tmp_path / "neck" / file).unlink()

    assert kept(tmp_path, job, _PROVENANCE) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"provenance": 1}', '{"provenance": {"cspine": "1.0"}}'])
def test_a_record_that_cannot_be_understood_keeps_nothing(job: Job, tmp_path: Path, text: str) -> None:
    (tmp_path / "neck" / RECORD).write_text(text)

    assert kept(tmp_path, job, _PROVENANCE) is None


@pytest.mark.parametrize(
    "old_new", [('"neck"', "7"), ('"ok"', '"well"'), ('"levels": [', '"levels": [3, '), ('"read": 1.0', '"read": NaN')]
)
def test_a_result_that_does_not_follow_its_schema_keeps_nothing(job: Job, tmp_path: Path, old_new: tuple[str, str]) -> None:
    path = tmp_path / "neck" / "result.json"
    damaged = path.read_text().replace(*old_new, 1)
    assert damaged != path.read_text()
    path.write_text(damaged)

    assert kept(tmp_path, job, _PROVENANCE) is None


@pytest.mark.parametrize("name", ["../scan/1.dcm", "/etc/passwd", ".hidden", "..\\scan"])
def test_a_record_that_names_files_elsewhere_keeps_nothing(job: Job, tmp_path: Path, name: str) -> None:
    path = tmp_path / "neck" / RECORD
    path.write_text(path.read_text().replace("result.png", name.replace("\\", "\\\\")))

    assert kept(tmp_path, job, _PROVENANCE) is None


def test_a_job_that_cannot_be_written_whole_leaves_nothing(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        (folder / "result.json").write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"neck cannot be written: No space left on device\. Choose another folder with -o"):
        put_job(tmp_path, "neck", write)
    assert list(tmp_path.iterdir()) == []


def test_the_result_of_a_job_that_fails_now_is_removed_and_what_is_not_ours_is_not(job: Job, tmp_path: Path) -> None:
    (tmp_path / "thesis").mkdir()

    for name in (job.name, "thesis", "nowhere"):
        drop_job(tmp_path, name)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["scan", "thesis"]
