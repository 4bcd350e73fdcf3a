"""FHIR resources: as R4 wants them, and with nothing that a result does not say."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhirclient.models.bundle import Bundle as BundleOfR4
from fhirclient.models.fhirabstractbase import FHIRValidationError

from cspine.evidence import Prediction
from cspine.reporting import write_result
from cspine.reporting.fhir import bundle
from cspine.results import Assessment, LevelStatus, StudyResult
from cspine.study import Study
from tests.reporting.fhir_rules import broken_rules


def _resources(made: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in made["entry"] if entry["resource"]["resourceType"] == kind]


@pytest.fixture
def known(identified: tuple[StudyResult, Study]) -> dict[str, Any]:
    return bundle(*identified)


@pytest.fixture
def identified(broken_result: StudyResult, broken_neck: Study) -> tuple[StudyResult, Study]:
    facts = replace(broken_result.study, study_uid="1.2.3.99", series_uid="1.2.3.99.1", name="DOE^JANE")
    return replace(broken_result, study=facts), replace(broken_neck, study_uid="1.2.3.99", series_uid="1.2.3.99.1")


@pytest.fixture(params=["assessed", "ranged", "uncertain", "rejected", "undated"])
def each(request: pytest.FixtureRequest, identified: tuple[StudyResult, Study], rejected_result: StudyResult) -> dict[str, Any]:
    """Returns a bundle of each kind of result."""
    result, study = identified
    assert result.overall is not None
    uncertain = replace(result.levels[5], status=LevelStatus.UNCERTAIN, assessment=None)
    results = {
        "assessed": result,
        "ranged": replace(result, overall=Assessment(0.62, 0.5, 0.48, 0.71)),
        "uncertain": replace(result, levels=(*result.levels[:5], uncertain, result.levels[6])),
        "rejected": rejected_result,
        "undated": replace(result, created=""),
    }
    made: dict[str, Any] = json.loads(json.dumps(bundle(results[request.param], study)))
    return made


def test_every_bundle_has_the_elements_of_r4_and_no_others(each: dict[str, Any]) -> None:
    kinds = ["DiagnosticReport", *["Observation"] * 8, "Device"]

    assert [entry.resource.resource_type for entry in BundleOfR4(each).entry] == kinds  # of FHIR 4.0.1; it is strict
    parsed = Bundle.model_validate(each)  # R4B has the same elements of these; this knows the forms of their values too
    assert [type(entry.resource).__name__ for entry in parsed.entry or ()] == kinds


def test_every_bundle_keeps_the_rules_of_r4(each: dict[str, Any]) -> None:
    assert broken_rules(each) == []


@pytest.mark.parametrize(("key", "value"), [("status", None), ("valueQuantity", "high"), ("patient", "Doe")])
def test_a_bundle_that_has_other_elements_is_refused(known: dict[str, Any], key: str, value: str | None) -> None:
    known["entry"][1]["resource"][key] = value
    if value is None:
        del known["entry"][1]["resource"][key]

    with pytest.raises(ValueError, match=key):
        Bundle.model_validate(known)
    with pytest.raises(FHIRValidationError, match=key):
        BundleOfR4(known)


@pytest.mark.parametrize(
    ("path", "value", "rule"),
    [
        (("total",), 10, "bdl-1"),
        (("entry", 0, "search"), {"mode": "match"}, "bdl-2"),
        (("entry", 0, "request"), None, "bdl-3"),
        (("entry", 0, "response"), {"status": "200"}, "bdl-4"),
        (("entry", 1, "fullUrl"), "urn:uuid:00000000-0000-0000-0000-000000000000", "reference within the transaction"),
        (("entry", 0, "fullUrl"), "https://a/DiagnosticReport/1/_history/2", "bdl-8"),
        (("entry", 0, "request", "method"), "POT", "http-verb"),
        (("entry", 0, "resource", "contained"), [{"resourceType": "Device"}], "dom-2"),
        (("entry", 0, "resource", "status"), "draft", "DiagnosticReport.status"),
        (("entry", 0, "resource", "issued"), "2026-01-02T03:04:05", "instant"),
        (("entry", 0, "resource", "imagingStudy", 0, "identifier", "value"), "urn:oid:1.02", "uri"),
        (("entry", 0, "resource", "text", "div"), '<div xmlns="http://www.w3.org/1999/xhtml"><script/>a</div>', "txt-1"),
        (("entry", 0, "resource", "text", "div"), '<div xmlns="http://www.w3.org/1999/xhtml"> </div>', "txt-2"),
        (("entry", 0, "resource", "text", "status"), "made", "narrative-status"),
        (("entry", 1, "resource", "referenceRange"), [{"appliesTo": [{"text": "all"}]}], "obs-3"),
        (("entry", 1, "resource", "dataAbsentReason"), {"text": "unknown"}, "obs-6"),
        (("entry", 1, "resource", "component"), "code of the observation", "obs-7"),
        (("entry", 1, "resource", "valueQuantity"), None, "an observation has a value, or says why it has none"),
        (("entry", 1, "resource", "valueQuantity", "system"), None, "qty-3"),
        (("entry", 1, "resource", "note"), [], "ele-1"),
        (("entry", 9, "resource", "deviceName", 0, "type"), "name", "Device.deviceName.type"),
    ],
)
def test_a_rule_that_is_broken_is_told(known: dict[str, Any], path: tuple[Any, ...], value: Any, rule: str) -> None:
    place: Any = known
    for step in path[:-1]:
        place = place[step]
    if rule == "obs-7":
        value = [{"code": place["code"], "valueQuantity": place["valueQuantity"]}]
    place[path[-1]] = value
    if value is None:
        del place[path[-1]]

    assert broken_rules(known) == [rule]


def test_two_entries_of_one_name_are_told(known: dict[str, Any]) -> None:
    known["entry"][0]["fullUrl"] = known["entry"][1]["fullUrl"]

    assert broken_rules(known) == ["bdl-7"]


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
