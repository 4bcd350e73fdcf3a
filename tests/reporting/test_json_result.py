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
from cspine.reporting.words import reasons_and_warnings
from cspine.results import Assessment, Reason, StudyResult
from cspine.study import Study
from tests.made_results import made_result

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


@pytest.mark.parametrize("which", ["broken_result", "rejected_result"])
def test_a_written_result_is_read_back_as_it_was(which: str, request: pytest.FixtureRequest) -> None:
    result: StudyResult = request.getfixturevalue(which)

    read = StudyResult.from_json(result.to_json())

    assert read.to_json() == result.to_json()
    assert StudyResult.from_dict(result.to_dict()) == read
    assert (read.disclaimer, read.caution, read.overall) == (result.disclaimer, result.caution, result.overall)
    assert [finding.assessment for finding in read.levels] == [finding.assessment for finding in result.levels]


def test_a_result_without_a_scan_comes_back_equal() -> None:
    assert StudyResult.from_json(made_result(read=1.5).to_json()) == made_result(read=1.5)


def test_what_was_trained_on_grafts_says_so_beside_the_disclaimer_and_in_no_list() -> None:
    caution = Reason("trained_on_grafts", "The model was trained on synthetic fractures only.")
    result = replace(made_result(), reasons=(caution,))

    assert result.disclaimer.endswith(caution.text)
    assert result.to_dict()["disclaimer"] == result.disclaimer
    assert reasons_and_warnings(result) == ()


def test_the_wording_of_a_disclaimer_may_change() -> None:
    assert StudyResult.from_dict(made_result().to_dict() | {"disclaimer": "Other words."}) == made_result()


def _set(*keys: str | int, value: object) -> Callable[[dict[str, Any]], None]:
    def spoil(data: Any) -> None:
        for key in keys[:-1]:
            data = data[key]
        data[keys[-1]] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data.pop("model"), "the keys and values of result.json. Received: 'model'"),
        (_set("schema_version", value="1.1"), "It differs at 'schema_version'"),
        (_set("patient_name", value="x"), "It differs at 'patient_name'"),
        (_set("levels", 3, "positive", value=False), "It differs at 'levels'"),
        (_set("levels", 3, "level", value="L1"), "Received: 'L1'"),
        (_set("levels", 3, "centre_mm", value=["a", 1, 2]), r"levels\[3\]\.centre_mm\[0\] must be float"),
        (_set("levels", 3, value=7), "the keys and values of result.json"),
        (_set("status", value="perhaps"), "result.status must be StudyStatus. Received: 'perhaps'"),
        (_set("status", value="rejected"), "if and only if it was not rejected"),
        (_set("timings_s", value={"read": "long"}), "result.timings_s.read must be float"),
        (_set("patient_overall", "probability", value=1.5), "must lie in 0..1"),
    ],
)
def test_data_that_are_no_result_are_refused_in_one_line(spoil: Callable[[dict[str, Any]], None], words: str) -> None:
    data = made_result().to_dict()
    spoil(data)

    with pytest.raises(ValueError, match=words) as raised:
        StudyResult.from_dict(data)

    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["[]", "3", "null", "{", '{"status": NaN}'])
def test_text_that_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        StudyResult.from_json(text)


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
