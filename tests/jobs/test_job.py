from collections import Counter
from pathlib import Path

import pytest

from cspine.errors import OutputError, PackageError, StudyError, UsageError
from cspine.jobs.job import Job, JobStatus, Shard, find_jobs
from tests.coded import coded_volume, write_nifti


@pytest.fixture
def niftis(tmp_path: Path) -> Path:
    """Returns forty files that look like studies."""
    for number in range(40):
        (tmp_path / f"neck{number}.nii").write_bytes(b"")
    return tmp_path


def test_shares_of_a_batch_are_disjoint_and_complete(niftis: Path) -> None:
    shares = [find_jobs([niftis], Shard(index, 3)) for index in (1, 2, 3)]

    names = Counter(job.name for share in shares for job in share)
    assert names == Counter(job.name for job in find_jobs([niftis]))
    assert min(len(share) for share in shares) > 5


def test_a_study_stays_in_its_share_when_others_come_or_the_folder_moves(niftis: Path, tmp_path: Path) -> None:
    before = {job.name for job in find_jobs([niftis], Shard(2, 4))}
    moved = niftis.rename(tmp_path.parent / f"{tmp_path.name}-moved")
    (moved / "another.nii").write_bytes(b"")

    after = {job.name for job in find_jobs([moved], Shard(2, 4))}

    assert before <= after <= before | {"another"}


def test_one_share_is_the_whole(niftis: Path) -> None:
    assert find_jobs([niftis], Shard(1, 1)) == find_jobs([niftis])


@pytest.mark.parametrize("text", ["0/3", "4/3", "1/0", "1", "a/b", "-1/2", "1/2/3", ""])
def test_a_share_that_is_none_is_one_line(text: str) -> None:
    with pytest.raises(UsageError, match=f"^--shard needs i/n with i from 1 to n, as 2/4. Received: {text}$"):
        Shard.parse(text)


def test_what_holds_no_study_beside_others_is_a_failed_job(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_nifti(coded_volume(), tmp_path / f"{name}.nii")
    for name in ("c", "d"):
        (tmp_path / name).mkdir()
        write_nifti(coded_volume(), tmp_path / name / "neck.nii")
    (tmp_path / "empty").mkdir()

    jobs = {job.name: job for job in find_jobs([tmp_path, tmp_path / "nowhere"])}

    assert {name: job.code for name, job in jobs.items() if job.status is JobStatus.FAILED} == {
        "empty": "no_images",
        "nowhere": "not_found",
    }
    assert jobs.keys() == {"a", "b", "neck", "neck-2", "empty", "nowhere"}
    assert "it has no files" in str(jobs["empty"].reason)


@pytest.mark.parametrize("name", ["run.json", "RUN-1-of-4.json", "failures.csv", "index.html"])
def test_no_job_takes_the_name_of_a_file_of_the_batch(name: str, tmp_path: Path) -> None:
    (tmp_path / f"{name}.nii").write_bytes(b"")

    assert [job.name for job in find_jobs([tmp_path])] == [f"{name}-2"]


def test_a_failure_has_the_code_of_its_error_and_one_line() -> None:
    job = Job("neck", "/neck")

    assert job.failed(StudyError("No.")).code == "study"
    assert job.failed(PackageError("No.")).code == "package"
    assert job.failed(OutputError("No.")) == Job("neck", "/neck", JobStatus.FAILED, code="output", reason="No.")
    broken = job.failed(ValueError("two\nlines"))
    assert (broken.code, broken.fault, broken.reason) == ("fault", True, "A fault of cspine: ValueError: two lines")
