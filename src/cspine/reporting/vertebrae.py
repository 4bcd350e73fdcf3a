"""Writes where C1..C7 lie, for ``cspine locate``: as JSON, as a label map and as a picture."""

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from cspine.geometry import Vector
from cspine.locating import Located, Vertebra, Witness
from cspine.results import DISCLAIMER, ModelFacts, Reason, StudyFacts
from cspine.volume import LabelMap

FACTS, LABELS, LABELS_ON_SCAN, PICTURE = "vertebrae.json", "vertebrae.nii.gz", "vertebrae-on-scan.nii.gz", "vertebrae.png"

SCHEMA_VERSION = "1.1"
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def as_json(located: Located, study: StudyFacts, model: ModelFacts, reasons: tuple[Reason, ...]) -> dict[str, Any]:
    """Returns where the vertebrae lie, as plain JSON data; millimetres are LPS ``(x, y, z)``."""
    return {
        "schema_version": SCHEMA_VERSION,
        "status": "rejected" if reasons else "ok",
        "reasons": [{"code": reason.code, "text": reason.text} for reason in reasons],
        "study": {
            "name": study.name,
            "study_uid": study.study_uid,
            "series_uid": study.series_uid,
            "slices": study.slices,
            "spacing_mm": [round(step, 6) for step in study.spacing_mm],
            "orientation": study.orientation,
            "warnings": [{"code": warning.code, "text": warning.text} for warning in study.warnings],
        },
        "localiser": {"name": model.name, "version": model.version, "sha256": model.sha256, "trained_on": model.trained_on},
        "warnings": [{"code": reason.code, "text": reason.text} for reason in located.reasons],
        "witnesses": [_witness(witness) for witness in located.witnesses],
        "vertebrae": [_vertebra(vertebra) for vertebra in located.vertebrae],
        "line_mm": [_point((float(x), float(y), float(z))) for x, y, z in located.line_mm],
        "disclaimer": DISCLAIMER,
    }


def write_facts(facts: dict[str, Any], path: Path) -> None:
    """Writes ``vertebrae.json``."""
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def write_labels(labels: LabelMap, path: Path) -> None:
    """Writes a label map as NIfTI, in the world of the scan."""
    affine = _LPS_TO_RAS @ labels.grid.affine
    image = nibabel.Nifti1Image(labels.labels, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def _vertebra(vertebra: Vertebra) -> dict[str, Any]:
    return {
        "level": vertebra.level.name,
        "status": vertebra.status.value,
        "confidence": round(vertebra.confidence, 4),
        "centre_mm": _point(vertebra.centre_mm),
        "box_mm": {"low": _point(vertebra.box_mm.low_mm), "high": _point(vertebra.box_mm.high_mm)},
        "axis": [round(part, 4) for part in vertebra.axis],
    }


def _witness(witness: Witness) -> dict[str, Any]:
    return {
        "name": witness.name,
        "question": witness.question.value,
        "log_ratio": round(witness.log_ratio, 2),
        "text": witness.text,
    }


def _point(point_mm: Vector) -> list[float]:
    return [round(coordinate, 2) for coordinate in point_mm]
