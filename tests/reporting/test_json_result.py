import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cspine.evidence import Prediction
from cspine.reporting import write_result
from cspine.reporting.json_result import schema
from cspine.results import Assessment, StudyResult
from cspine.study import Study

_VALIDATOR = jsonschema.Draft202012Validator


def test_the_published_schema_is_a_schema() -> None:
    _VALIDATOR.check_schema(schema())


@pytest.mark.parametrize("which", ["broken_result", "rejected_result"])
def test_every_result_follows_the_published_schema(which: str, request: pytest.FixtureRequest) -> None:
    _VALIDATOR(schema(), format_checker=jsonschema.FormatChecker()).validate(request.getfixturevalue(which).to_dict())


def test_the_file_holds_the_result(broken_result: StudyResult, broken_neck: Study, tmp_path: Path) -> None:
    (name,) = write_result(Prediction(broken_result), broken_neck, tmp_path, ["json"]).files

    data = json.loads((tmp_path / name).read_text(encoding="utf-8"))

    assert name == "result.json"
    assert data == broken_result.to_dict()
    assert (tmp_path / name).read_text(encoding="utf-8") == broken_result.to_json()
    assert [level["level"] for level in data["levels"]] == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    assert [level["positive"] for level in data["levels"]] == [None, False, False, True, False, False, False]
    assert data["levels"][0]["status"] == "not_in_view"
    assert data["patient_overall"]["positive"] is True


def test_the_range_over_passes_stands_with_each_probability(broken_result: StudyResult) -> None:
    seen = replace(broken_result, overall=Assessment(0.62, 0.5, 0.48, 0.71))

    data = seen.to_dict()

    _VALIDATOR(schema()).validate(data)
    assert data["schema_version"] == "1.2"
    assert data["patient_overall"]["range"] == {"low": 0.48, "high": 0.71}
    assert [level["range"] for level in data["levels"]] == [None] * 7


def test_every_result_says_what_it_is_not(broken_result: StudyResult, rejected_result: StudyResult) -> None:
    for result in (broken_result, rejected_result):
        assert "not a medical device" in result.to_dict()["disclaimer"]
        assert "trained on synthetic phantoms only" in result.to_dict()["disclaimer"]


def test_a_rejected_result_says_why_and_predicts_nothing(rejected_result: StudyResult) -> None:
    data = rejected_result.to_dict()

    assert data["status"] == "rejected"
    assert data["reasons"][0]["code"] == "not_hounsfield"
    assert data["patient_overall"] == {"probability": None, "range": None, "positive": None, "threshold": None}


def test_what_a_result_gives_is_a_copy(broken_result: StudyResult) -> None:
    data = broken_result.to_dict()
    data["timings_s"]["read"] = -1.0
    data["patient_overall"]["probability"] = 2.0
    data["levels"][0]["probability"] = 2.0

    _VALIDATOR(schema()).validate(broken_result.to_dict())


def test_a_number_that_json_does_not_know_is_refused(broken_result: StudyResult) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        replace(broken_result, timings_s={"read": float("nan")}).to_json()


def _without_sha(data: dict[str, Any]) -> None:
    del data["model"]["sha256"]


def _with_guess(data: dict[str, Any]) -> None:
    data["levels"][0]["probability"] = 0.3


def _without_reason(data: dict[str, Any]) -> None:
    data["status"], data["reasons"] = "rejected", []


def _with_extra(data: dict[str, Any]) -> None:
    data["patient_name"] = "Doe"


def _with_a_range_of_nothing(data: dict[str, Any]) -> None:
    data["levels"][0]["range"] = {"low": 0.1, "high": 0.2}


def _with_half_a_range(data: dict[str, Any]) -> None:
    data["patient_overall"]["range"] = {"low": 0.1}


def _above_one(data: dict[str, Any]) -> None:
    data["patient_overall"]["probability"] = 1.2


@pytest.mark.parametrize(
    "spoil", [_without_sha, _with_guess, _without_reason, _with_extra, _above_one, _with_a_range_of_nothing, _with_half_a_range]
)
def test_the_schema_refuses_what_must_not_be(spoil: Callable[[dict[str, Any]], None], broken_result: StudyResult) -> None:
    data = broken_result.to_dict()
    spoil(data)

    assert not _VALIDATOR(schema()).is_valid(data)
