"""FHIR resources: as R4 wants them, and with nothing that a result does not say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from cspine.evidence import Prediction
from cspine.reporting import write_result
from cspine.reporting.fhir import bundle
from cspine.results import Assessment, LevelStatus, StudyResult
from cspine.study import Study


def _resources(made: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in made["entry"] if entry["resource"]["resourceType"] == kind]


@pytest.fixture
def known(identified: tuple[StudyResult, Study]) -> dict[str, Any]:
    return bundle(*identified)


@pytest.fixture
def identified(broken_result: StudyResult, broken_neck: Study) -> tuple[StudyResult, Study]:
    facts = replace(broken_result.study, study_uid="1.2.3.99", series_uid="1.2.3.99.1", name="DOE^JANE")
    return replace(broken_result, study=facts), replace(broken_neck, study_uid="1.2.3.99", series_uid="1.2.3.99.1")


@pytest.mark.parametrize("which", ["broken_result", "rejected_result"])
def test_every_bundle_follows_the_rules_of_fhir(which: str, broken_neck: Study, request: pytest.FixtureRequest) -> None:
    result = request.getfixturevalue(which)
    ranged = replace(result, overall=Assessment(0.62, 0.5, 0.48, 0.71)) if result.overall else result

    for given in (result, ranged, replace(result, created="")):
        parsed = Bundle.model_validate_json(json.dumps(bundle(given, broken_neck)))  # refuses what R4 does not know
        kinds = [type(entry.resource).__name__ for entry in parsed.entry or ()]
        assert kinds == ["DiagnosticReport", *["Observation"] * 8, "Device"]


@pytest.mark.parametrize(("key", "value"), [("status", None), ("valueQuantity", "high"), ("patient", "Doe")])
def test_a_bundle_that_breaks_the_rules_is_refused(known: dict[str, Any], key: str, value: str | None) -> None:
    known["entry"][1]["resource"][key] = value

    with pytest.raises(ValueError, match=key):
        Bundle.model_validate(known)


def test_every_reference_within_the_bundle_is_to_one_of_its_entries(known: dict[str, Any]) -> None:
    urls = [entry["fullUrl"] for entry in known["entry"]]
    observations = _resources(known, "Observation")
    (report,) = _resources(known, "DiagnosticReport")

    assert len(set(urls)) == len(urls) == 10
    assert all(url.startswith("urn:uuid:") for url in urls)
    assert [reference["reference"] for reference in report["result"]] == [one["identifier"][0]["value"] for one in observations]
    assert {observation["device"]["reference"] for observation in observations} == {urls[-1]}


def test_the_numbers_are_those_of_the_result_and_nothing_is_final(known: dict[str, Any], broken_result: StudyResult) -> None:
    overall, *levels = _resources(known, "Observation")
    (report,) = _resources(known, "DiagnosticReport")

    assert {one["status"] for one in (overall, *levels, report)} == {"preliminary"}
    assert broken_result.overall is not None
    assert overall["valueQuantity"]["value"] == broken_result.overall.probability
    assert overall["interpretation"][0]["coding"][0]["code"] == "POS"
    for finding, observation in zip(broken_result.levels, levels, strict=True):
        assert observation["bodySite"]["coding"][0]["code"] == finding.level.code.value
        assert ("valueQuantity" in observation) == (finding.assessment is not None) == ("dataAbsentReason" not in observation)
        if finding.assessment is not None:
            assert observation["valueQuantity"]["value"] == finding.assessment.probability
            assert observation["referenceRange"][0]["high"]["value"] == finding.assessment.threshold
    assert levels[0]["dataAbsentReason"]["coding"][0]["code"] == "not-performed"
    assert all("not a medical device" in one["note"][-1]["text"] for one in (overall, *levels))
    assert "not a medical device" in report["conclusion"]


def test_nothing_is_claimed_about_a_patient(known: dict[str, Any]) -> None:
    text = json.dumps(known)

    assert "subject" not in text
    assert "Patient" not in text
    assert "DOE" not in text
    assert text.count("urn:oid:1.2.3.99") == 9


def test_an_uncertain_level_is_unknown_and_has_no_number(broken_result: StudyResult, broken_neck: Study) -> None:
    level = replace(broken_result.levels[5], status=LevelStatus.UNCERTAIN, assessment=None)
    result = replace(broken_result, levels=(*broken_result.levels[:5], level, broken_result.levels[6]))

    observation = _resources(bundle(result, broken_neck), "Observation")[6]

    assert observation["dataAbsentReason"]["coding"][0]["code"] == "unknown"
    assert "interpretation" not in observation
    assert observation["note"][0]["text"] == "Uncertain."


def test_a_rejected_study_says_why_and_has_no_number(rejected_result: StudyResult, broken_neck: Study) -> None:
    made = bundle(rejected_result, broken_neck)

    assert "valueQuantity" not in json.dumps(made)
    assert rejected_result.reasons[0].text in _resources(made, "Observation")[0]["note"][0]["text"]


def test_the_same_result_has_the_same_identifiers_and_another_package_others(
    identified: tuple[StudyResult, Study], known: dict[str, Any]
) -> None:
    result, study = identified
    other = bundle(replace(result, model=replace(result.model, sha256="0" * 64)), study)

    assert (
        bundle(replace(result, created="2030-01-01T00:00:00+00:00"), study)["entry"][3]["fullUrl"] == known["entry"][3]["fullUrl"]
    )
    assert not {entry["fullUrl"] for entry in other["entry"]} & {entry["fullUrl"] for entry in known["entry"]}
    assert all(entry["request"]["ifNoneExist"].endswith(entry["fullUrl"]) for entry in known["entry"])


def test_markup_in_a_name_of_a_package_stays_text(broken_result: StudyResult, broken_neck: Study) -> None:
    reason = replace(broken_result.reasons[0], text="<script>alert(1)</script>")

    (report,) = _resources(bundle(replace(broken_result, reasons=(reason,)), broken_neck), "DiagnosticReport")

    assert "&lt;script&gt;" in report["text"]["div"]
    assert "<script" not in report["text"]["div"]


def test_the_file_is_written_as_a_format(broken_result: StudyResult, broken_neck: Study, tmp_path: Path) -> None:
    (name,) = write_result(Prediction(broken_result), broken_neck, tmp_path, ["fhir"]).files

    assert name == "result_fhir.json"
    assert json.loads((tmp_path / name).read_text(encoding="utf-8")) == bundle(broken_result, broken_neck)
