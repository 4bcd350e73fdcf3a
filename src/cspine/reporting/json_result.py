"""``result.json``: a result for machines, as its published schema says."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from cspine.evidence import Prediction
from cspine.reporting.words import disclaimer
from cspine.reporting.written import Written
from cspine.results import Assessment, Box, KeySlice, LevelFinding, ModelFacts, Reason, StudyFacts, StudyResult
from cspine.strict_json import read_json
from cspine.study import Study

FILES = ("result.json",)

SCHEMA_VERSION = "1.2"


def write(prediction: Prediction, study: Study, folder: Path) -> Written:  # noqa: ARG001  # every format is given the scan
    """Writes ``result.json``."""
    text = json.dumps(as_json(prediction.result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    (folder / FILES[0]).write_text(text, encoding="utf-8")
    return Written(FILES)


def as_json(result: StudyResult) -> dict[str, Any]:
    """A result as plain JSON data; see ``result.schema.json``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": result.status.value,
        "reasons": _reasons(result.reasons),
        "study": _study(result.study),
        "model": _model(result.model),
        "localiser": _model(result.localiser),
        "patient_overall": _assessment(result.overall),
        "levels": [_level(finding) for finding in result.levels],
        "operating_point": result.operating_point,
        "timings_s": result.timings_s,
        "disclaimer": disclaimer(result),
        "created": result.created,
    }


def read_result(path: Path) -> dict[str, Any]:
    """Reads a ``result.json``.

    Raises:
        ValueError: It does not follow the schema.
        OSError: It cannot be read.
    """
    result: dict[str, Any] = read_json(path)
    error = best_match(_validator().iter_errors(result))
    if error is not None:
        raise ValueError(f"{path} must follow the schema of a result. At {error.json_path}: {error.message:.120}")
    return result


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(schema())


@cache
def schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) that every ``result.json`` follows."""
    text = files("cspine.reporting").joinpath("result.schema.json").read_text(encoding="utf-8")
    published: dict[str, Any] = json.loads(text)
    return published


def _reasons(reasons: tuple[Reason, ...]) -> list[dict[str, str]]:
    return [{"code": reason.code, "text": reason.text} for reason in reasons]


def _study(study: StudyFacts) -> dict[str, Any]:
    return {
        "name": study.name,
        "study_uid": study.study_uid,
        "series_uid": study.series_uid,
        "slices": study.slices,
        "spacing_mm": [round(step, 6) for step in study.spacing_mm],
        "orientation": study.orientation,
        "warnings": _reasons(study.warnings),
    }


def _model(model: ModelFacts) -> dict[str, str]:
    return {"name": model.name, "version": model.version, "sha256": model.sha256, "trained_on": model.trained_on}


def _assessment(assessment: Assessment | None) -> dict[str, Any]:
    if assessment is None:
        return {"probability": None, "range": None, "positive": None, "threshold": None}
    return {
        "probability": assessment.probability,
        "range": _range(assessment),
        "positive": assessment.positive,
        "threshold": assessment.threshold,
    }


def _range(assessment: Assessment) -> dict[str, float] | None:
    return None if assessment.low is None or assessment.high is None else {"low": assessment.low, "high": assessment.high}


def _level(finding: LevelFinding) -> dict[str, Any]:
    return {
        "level": finding.level.name,
        "status": finding.status.value,
        **_assessment(finding.assessment),
        "centre_mm": None if finding.centre_mm is None else _point(finding.centre_mm),
        "key_slice": _key_slice(finding.key_slice),
        "box_mm": _box(finding.box_mm),
        "confidence": finding.confidence,
    }


def _key_slice(key_slice: KeySlice | None) -> dict[str, Any] | None:
    return None if key_slice is None else {"index": key_slice.index, "sop_uid": key_slice.sop_uid}


def _box(box: Box | None) -> dict[str, list[float]] | None:
    return None if box is None else {"low": _point(box.low_mm), "high": _point(box.high_mm)}


def _point(point_mm: tuple[float, float, float]) -> list[float]:
    return [round(coordinate, 2) for coordinate in point_mm]
