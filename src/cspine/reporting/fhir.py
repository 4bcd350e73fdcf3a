"""``result_fhir.json``: a DiagnosticReport with its Observations, FHIR R4, for systems that take no DICOM.

The bundle is a transaction whose entries are created only where no resource has their identifier: to send it twice
stores it once. It names no patient, as a result knows none; a site adds the subject.
"""

import json
import uuid
from html import escape
from pathlib import Path
from typing import Any

from cspine.anatomy import CERVICAL_SPINE, FRACTURE, Code
from cspine.evidence import Prediction
from cspine.reporting.codes import CT_PROCEDURE, PROBABILITY
from cspine.reporting.dicom.identity import MAKER, ObjectIdentity
from cspine.reporting.words import STATUS_WORDS, headline
from cspine.reporting.written import Written
from cspine.results import Assessment, LevelFinding, LevelStatus, StudyResult
from cspine.study import Study

FILES = ("result_fhir.json",)

_STATUS = "preliminary"
"""Nobody has read it: as the structured report of DICOM, it is neither complete nor verified."""

_SYSTEMS = {
    "SCT": "http://snomed.info/sct",
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "LN": "http://loinc.org",
    "UCUM": "http://unitsofmeasure.org",
}
_HL7 = "http://terminology.hl7.org/CodeSystem"
_ABSENT = {LevelStatus.NOT_IN_VIEW: ("not-performed", "Not Performed"), LevelStatus.UNCERTAIN: ("unknown", "Unknown")}

Resource = dict[str, Any]


def write(prediction: Prediction, study: Study, folder: Path) -> Written:
    """Writes ``result_fhir.json``."""
    text = json.dumps(bundle(prediction.result, study), indent=2, ensure_ascii=False, allow_nan=False)
    (folder / FILES[0]).write_text(text + "\n", encoding="utf-8")
    return Written(FILES)


def bundle(result: StudyResult, study: Study) -> Resource:
    """Returns the resources of a result as one transaction."""
    made = _Resources(result, ObjectIdentity.of(result, study))
    observations = [made.overall(), *(made.level(finding) for finding in result.levels)]
    resources = [made.report(observations), *observations, made.device()]
    return {"resourceType": "Bundle", "type": "transaction", "entry": [_entry(resource) for resource in resources]}


def _entry(resource: Resource) -> Resource:
    kind, (identifier,) = resource["resourceType"], resource["identifier"]
    found_by = f"identifier={identifier['system']}|{identifier['value']}"
    return {
        "fullUrl": identifier["value"],
        "resource": resource,
        "request": {"method": "POST", "url": kind, "ifNoneExist": found_by},
    }


class _Resources:
    """Makes the resources of one result."""

    def __init__(self, result: StudyResult, identity: ObjectIdentity) -> None:
        self._result, self._identity = result, identity

    def report(self, observations: list[Resource]) -> Resource:
        """Returns the report that lists the observations."""
        result = self._result
        sentences = [headline(result), *(reason.text for reason in result.reasons), result.disclaimer]
        return {
            **self._resource("DiagnosticReport"),
            "text": _narrative(sentences),
            "status": _STATUS,
            "category": [_coding(f"{_HL7}/v2-0074", "RAD", "Radiology")],
            "code": {**_concept(CT_PROCEDURE), "text": "Cervical spine fracture assessment by software"},
            **({"issued": result.created} if result.created else {}),
            **({"imagingStudy": [_imaging_study(result)]} if result.study.study_uid else {}),
            "result": [{"reference": observation["identifier"][0]["value"]} for observation in observations],
            "conclusion": " ".join((headline(result) + ".", result.disclaimer)),
        }

    def overall(self) -> Resource:
        """Returns the observation of any fracture."""
        result = self._result
        remarks = () if result.overall else tuple(reason.text for reason in result.reasons)
        absent = ("not-performed", "Not Performed")
        return self._observation("Probability of any fracture of C1 to C7", CERVICAL_SPINE, result.overall, absent, remarks)

    def level(self, finding: LevelFinding) -> Resource:
        """Returns the observation of a level."""
        remarks = () if finding.status is LevelStatus.ASSESSED else (f"{STATUS_WORDS[finding.status].capitalize()}.",)
        absent = _ABSENT.get(finding.status, ("unknown", "Unknown"))
        name = f"Probability of a fracture of {finding.level.name}"
        return self._observation(name, finding.level.code, finding.assessment, absent, remarks)

    def device(self) -> Resource:
        """Returns the software, with the package that classified."""
        model = self._result.model
        return {
            **self._resource("Device", model.sha256),
            "status": "active",
            "manufacturer": MAKER,
            "deviceName": [{"name": f"{MAKER} {model.name}", "type": "model-name"}],
            "serialNumber": model.sha256,
            "version": [{"value": model.version}],
            "note": [{"text": f"{self._result.disclaimer} Trained on: {model.trained_on}"}],
        }

    def _observation(
        self, name: str, site: Code, assessment: Assessment | None, absent: tuple[str, str], remarks: tuple[str, ...]
    ) -> Resource:
        result = self._result
        reason = {"dataAbsentReason": _coding(f"{_HL7}/data-absent-reason", *absent)}
        notes = [*remarks, result.disclaimer]
        return {
            **self._resource("Observation", site.value),
            "text": _narrative([name, *notes]),
            "status": _STATUS,
            "category": [_coding(f"{_HL7}/observation-category", "imaging", "Imaging")],
            "code": {**_concept(PROBABILITY), "text": f"{name} ({FRACTURE.meaning})"},
            **({"issued": result.created} if result.created else {}),
            **(reason if assessment is None else _numbers(assessment, result.operating_point)),
            "note": [{"text": text} for text in notes],
            "bodySite": _concept(site),
            "method": {"text": f"{result.model.name} {result.model.version}, operating point {result.operating_point}"},
            "device": {"reference": self._urn("Device", result.model.sha256)},
            **({"derivedFrom": [_imaging_study(result)]} if result.study.study_uid else {}),
        }

    def _resource(self, kind: str, *what: str) -> Resource:
        return {"resourceType": kind, "identifier": [{"system": "urn:ietf:rfc:3986", "value": self._urn(kind, *what)}]}

    def _urn(self, kind: str, *what: str) -> str:
        """Returns the same name for the same part of the same result."""
        number = int(self._identity.uid("fhir", kind, *what).removeprefix("2.25."))
        return f"urn:uuid:{uuid.UUID(int=number)}"


def _numbers(assessment: Assessment, point: str) -> Resource:
    """Returns a probability, what it means at its threshold, and its range over test-time augmentation."""
    code, word = ("POS", "Positive") if assessment.positive else ("NEG", "Negative")
    low, high = assessment.low, assessment.high
    components = [] if low is None or high is None else [("Lowest", low), ("Highest", high)]
    return {
        "valueQuantity": _quantity(assessment.probability),
        "interpretation": [_coding(f"{_HL7}/v3-ObservationInterpretation", code, word)],
        "referenceRange": [{"high": _quantity(assessment.threshold), "text": f"Negative below the threshold of {point}"}],
        **({"component": [_component(name, value) for name, value in components]} if components else {}),
    }


def _component(name: str, value: float) -> Resource:
    return {"code": {"text": f"{name} over test-time augmentation"}, "valueQuantity": _quantity(value)}


def _quantity(value: float) -> Resource:
    return {"value": value, "unit": "probability", "system": _SYSTEMS["UCUM"], "code": "1"}


def _concept(code: Code) -> Resource:
    return _coding(_SYSTEMS[code.scheme], code.value, code.meaning)


def _coding(system: str, code: str, display: str) -> Resource:
    return {"coding": [{"system": system, "code": code, "display": display}]}


def _imaging_study(result: StudyResult) -> Resource:
    return {"type": "ImagingStudy", "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{result.study.study_uid}"}}


def _narrative(lines: list[str]) -> Resource:
    paragraphs = "".join(f"<p>{escape(line)}</p>" for line in lines)
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{paragraphs}</div>'}
