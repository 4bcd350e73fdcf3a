"""The interface for programs: as its description says, and nothing that the description does not say."""

import io
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from sqlalchemy import update

from cspine.node.receiving.spool import Folders, Spool
from cspine.node.store import Role, State, Store
from cspine.node.store.audit import Entry, read_trail
from cspine.node.store.tables import jobs
from cspine.node.store.verdicts import read_verdicts
from cspine.node.store.worklist import listed, worklist
from cspine.node.web import uploads
from cspine.node.web.app import REST_ROUTES
from cspine.node.web.rest import openapi
from tests.node.nodes import write_series
from tests.node.web.sites import FAILED, POSITIVE, REJECTED, Made

_DESCRIBED = openapi()


def _conforms(answer: Any, path: str, method: str = "get") -> Any:
    """Returns what an answer holds, if the description allows it."""
    responses = _DESCRIBED["paths"][path][method]["responses"]
    assert str(answer.status_code) in responses, f"{path} answers {answer.status_code}: {answer.text}"
    content = responses[str(answer.status_code)].get("content", {})
    kind = answer.headers["content-type"].split(";")[0]
    assert kind in content
    if kind != "application/json":
        return answer.text
    schema = content[kind]["schema"] | {"components": _DESCRIBED["components"]}
    jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker()).validate(answer.json())
    return answer.json()


def test_every_route_is_described_and_every_description_has_a_route() -> None:
    routes = {(route.path, method.lower()) for route in REST_ROUTES for method in route.methods or () if method != "HEAD"}

    described = {(path, method) for path, item in _DESCRIBED["paths"].items() for method in item if method != "parameters"}

    assert described == routes
    for path, item in _DESCRIBED["paths"].items():
        named = {parameter["name"] for parameter in item.get("parameters", ())} | {
            parameter["name"] for method in item.values() if isinstance(method, dict) for parameter in method.get("parameters", ())
        }
        assert all(f"{{{name}}}" in path for name in named)


def test_the_description_is_one_of_openapi() -> None:
    assert _DESCRIBED["openapi"] == "3.1.0"
    names = [method["operationId"] for item in _DESCRIBED["paths"].values() for method in item.values() if "operationId" in method]
    assert len(set(names)) == len(names) == len(REST_ROUTES)
    for schema in _DESCRIBED["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


@pytest.mark.parametrize("finished", [None, POSITIVE, REJECTED, FAILED])
def test_a_job_is_told_without_the_patient(guarded: Made, finished: Any) -> None:
    key = guarded.assess("1", finished)

    answer = guarded.program("robot").get(f"/jobs/{key}")

    job = _conforms(answer, "/jobs/{key}")
    assert job["id"] == key
    assert job["state"] == ("queued" if finished is None else finished.state)
    assert not any(word in answer.text for word in ("Doe", "ID1", "ACC1"))


def test_the_result_and_its_files_are_given(guarded: Made) -> None:
    key = guarded.assess("1")
    program = guarded.program("robot")

    result = _conforms(program.get(f"/jobs/{key}/result"), "/jobs/{key}/result")
    objects = _conforms(program.get(f"/jobs/{key}/objects"), "/jobs/{key}/objects")["objects"]
    files = {one["name"]: program.get(one["url"]) for one in objects}

    assert result["patient_overall"]["probability"] == 0.93
    assert set(files) == {"result.json", "result_sr.dcm"}
    assert files["result_sr.dcm"].content == b"DICM"
    assert files["result_sr.dcm"].headers["content-type"] == "application/dicom"


def test_a_program_that_reads_a_result_stands_in_the_audit_trail(guarded: Made, store: Store) -> None:
    key = guarded.assess("1")
    program = guarded.program("robot")
    program.get(f"/jobs/{key}/result")
    program.get(f"/jobs/{key}/objects/result_sr.dcm")
    program.get(f"/jobs/{key}/objects/none.dcm")

    entries = [kept.entry for kept in reversed(read_trail(store, 100))]

    assert entries == [Entry("robot", "read", key, "result.json"), Entry("robot", "read", key, "result_sr.dcm")]


@pytest.mark.parametrize("name", ["case.json", "..%2f..%2fnode.sqlite", "result.json%00", "RESULT.JSON"])
def test_no_other_file_is_given(guarded: Made, name: str) -> None:
    key = guarded.assess("1")
    (Folders(guarded.config.node.data).results / key / "case.json").write_text("{}")

    assert guarded.program("robot").get(f"/jobs/{key}/objects/{name}").status_code == 404


def test_what_is_not_there_or_not_any_more_is_told(guarded: Made, store: Store) -> None:
    program, erased, waiting = guarded.program("robot"), guarded.assess("1"), guarded.assess("2", None)
    with store.writing() as connection:
        connection.execute(update(jobs).where(jobs.c.key == erased).values(erased=True))

    for path in ("/jobs/{key}", "/jobs/{key}/result", "/jobs/{key}/objects"):
        assert _conforms(program.get(path.format(key="none")), path)["error"].startswith("There is no such job.")
    assert _conforms(program.get(f"/jobs/{waiting}/result"), "/jobs/{key}/result")["error"].startswith("There is no result.json")
    assert program.get(f"/jobs/{erased}/result").status_code == 410


def test_a_verdict_is_kept_and_a_wrong_one_is_told(guarded: Made) -> None:
    key = guarded.assess("1")
    program = guarded.program("ada", Role.READER)
    path = "/jobs/{key}/verdict"

    kept = program.post(f"/jobs/{key}/verdict", json={"levels": {"C4": False}, "comment": "none"})
    wrong = [
        program.post(f"/jobs/{key}/verdict", content=body)
        for body in (
            b"",
            b"[]",
            b'{"levels": 1}',
            b'{"levels": {"C9": true}}',
            b'{"levels": {"C1": 1}}',
            b'{"levels": {}}',
            b"[" * 60_000,
        )
    ]
    wrong += [program.post(f"/jobs/{key}/verdict", json={"levels": {"C1": True}, "more": 1})]

    assert _conforms(kept, path, "post") == {"verdicts": 1}
    assert {_conforms(answer, path, "post")["error"][:9] for answer in wrong} == {"A verdict"}
    assert {answer.status_code for answer in wrong} == {400}
    assert listed(guarded.store, key).readers == ("ada",)  # type: ignore[union-attr]


def test_a_comment_keeps_what_a_database_and_a_page_can_hold(guarded: Made) -> None:
    key = guarded.assess("1")
    body = b'{"levels": {"C4": true}, "comment": "a\\u0007b\\u202ed\\ne"}'

    answer = guarded.program("ada", Role.READER).post(f"/jobs/{key}/verdict", content=body)

    assert answer.status_code == 201
    assert read_verdicts(guarded.store)[0].verdict.comment == "a b d\ne"


def test_a_failed_job_is_queued_again(guarded: Made) -> None:
    failed, done = guarded.assess("1", FAILED), guarded.assess("2")
    program, path = guarded.program("robot"), "/jobs/{key}/requeue"

    assert _conforms(program.post(f"/jobs/{failed}/requeue"), path, "post")["id"] == failed
    assert _conforms(program.post(f"/jobs/{done}/requeue"), path, "post")["error"].startswith("Only the newest version")
    assert listed(guarded.store, failed).state is State.QUEUED  # type: ignore[union-attr]


def _zip(*folders: Path, extra: dict[str, bytes] | None = None) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for folder in folders:
            for file in sorted(folder.iterdir()):
                archive.write(file, f"{folder.name}/{file.name}")
        for name, data in (extra or {}).items():
            archive.writestr(name, data)
    return packed.getvalue()


def test_a_zip_of_two_series_is_two_jobs_and_sent_again_none(guarded: Made, tmp_path: Path) -> None:
    series = [write_series(tmp_path / f"scan{number}", number) for number in (1, 2)]
    packed = _zip(tmp_path / "scan1", tmp_path / "scan2", extra={"README.txt": b"hello", "../../escape.dcm": b"x"})
    program = guarded.program("robot")

    first = _conforms(program.post("/studies", content=packed), "/studies", "post")
    again = _conforms(program.post("/studies", content=packed), "/studies", "post")

    assert len(first["jobs"]) == 2
    assert again["jobs"] == []
    rows = {row.key: row for row in worklist(guarded.store)}
    assert {rows[job["id"]].series_uid for job in first["jobs"]} == {one.uid for one in series}
    assert {row.source for row in rows.values()} == {"upload robot"}
    assert {row.images for row in rows.values()} == {len(series[0].files)}
    assert Spool(Folders(guarded.config.node.data)).source(series[0].uid) == ("upload robot", "")
    assert list((guarded.config.node.data / "uploads").iterdir()) == []
    assert not list(tmp_path.rglob("escape.dcm"))


@pytest.mark.parametrize("packed", [b"", b"PK\x03\x04", _zip(extra={"a.txt": b"no image"}), b"x" * 1000])
def test_what_holds_no_image_is_refused_and_leaves_nothing(guarded: Made, packed: bytes) -> None:
    answer = guarded.program("robot").post("/studies", content=packed)

    assert answer.status_code == 400
    assert _conforms(answer, "/studies", "post")["error"].startswith("A zip")
    assert list((guarded.config.node.data / "uploads").iterdir()) == []
    assert worklist(guarded.store) == ()


def test_a_zip_that_unfolds_beyond_bounds_is_refused(guarded: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_LARGEST_FILE", 10_000)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(1_000_000))

    answer = guarded.program("robot").post("/studies", content=packed.getvalue())

    assert answer.status_code == 400
    assert "A file of a zip has at most 10000 bytes" in answer.json()["error"]


def test_too_large_an_upload_is_refused_while_it_comes(guarded: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "LARGEST_BYTES", 1000)

    answer = guarded.program("robot").post("/studies", content=bytes(5000))

    assert "An upload has at most 1000 bytes" in answer.json()["error"]
    assert list((guarded.config.node.data / "uploads").iterdir()) == []


def test_a_full_disk_refuses_uploads_and_says_so_on_the_worklist(guarded: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Folders, "free_gb", lambda _: 1.2)

    answer = guarded.program("robot").post("/studies", content=b"")

    assert answer.status_code == 507
    assert _conforms(answer, "/studies", "post")["error"].startswith("5 GB of free room are needed. There are 1.2.")
    assert "images are refused until some is free" in guarded.reader().get("/").text
    assert _conforms(guarded.client().get("/readyz"), "/readyz") == "not ready"


def test_health_is_told_without_a_login(guarded: Made) -> None:
    client = guarded.client(accept="*/*")

    assert _conforms(client.get("/healthz"), "/healthz") == "ok"
    assert _conforms(client.get("/readyz"), "/readyz") == "ready"
    assert _conforms(client.get("/openapi.json"), "/openapi.json") == _DESCRIBED


def test_a_store_that_does_not_answer_is_not_ready(guarded: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("gone")

    monkeypatch.setattr("cspine.node.web.rest.last_change", broken)

    assert guarded.client().get("/readyz").status_code == 503
    assert guarded.client().get("/healthz").status_code == 200


def test_metrics_tell_states_stages_drift_and_no_patient(guarded: Made) -> None:
    for name, finished in (("1", POSITIVE), ("2", REJECTED), ("3", FAILED)):
        guarded.assess(name, finished)

    text = _conforms(guarded.program("robot").get("/metrics"), "/metrics")

    assert 'cspine_jobs{state="done"} 1.0' in text
    assert 'cspine_stage_seconds_count{stage="read"} 1.0' in text
    assert 'cspine_refused{code="pixels",kind="site",name="ER"} 1.0' in text
    assert 'cspine_positive_share{kind="kernel",name="B60"} 1.0' in text
    assert not any(word in text for word in ("Doe", "ID1", "ACC1", "1.9.1"))


def test_uploads_that_a_killed_process_left_are_removed(guarded: Made) -> None:
    import os

    folder = guarded.config.node.data / "uploads"
    folder.mkdir()
    (folder / "old.zip").write_bytes(b"x")
    (folder / "new.zip").write_bytes(b"x")
    os.utime(folder / "old.zip", (0, 0))

    with guarded.serving():
        pass

    assert [path.name for path in folder.iterdir()] == ["new.zip"]
