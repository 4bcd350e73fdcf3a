"""``result.json``: a result for machines, as its published schema says."""

import json
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cspine.reporting.written import Written
from cspine.storage.strict_json import read_json

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

    from cspine.evidence import Prediction
    from cspine.study import Study

FILES = ("result.json",)


def write(prediction: "Prediction", study: "Study", folder: Path) -> Written:  # noqa: ARG001  # every format is given the scan
    """Writes ``result.json``."""
    (folder / FILES[0]).write_text(prediction.result.to_json(), encoding="utf-8")
    return Written(FILES)


def read_result(path: Path) -> dict[str, Any]:
    """Reads a ``result.json``.

    Raises:
        ValueError: It does not follow the schema.
        OSError: It cannot be read.
    """
    from jsonschema.exceptions import best_match  # code that only writes results need not wait for it

    result: dict[str, Any] = read_json(path)
    error = best_match(_validator().iter_errors(result))
    if error is not None:
        raise ValueError(f"{path} must follow the schema of a result. At {error.json_path}: {error.message:.120}")
    return result


@cache
def _validator() -> "Draft202012Validator":
    from jsonschema import Draft202012Validator

    return Draft202012Validator(schema())


@cache
def schema() -> dict[str, Any]:
    """Returns the JSON schema (draft 2020-12) that every ``result.json`` follows."""
    text = files("cspine.reporting").joinpath("result.schema.json").read_text(encoding="utf-8")
    published: dict[str, Any] = json.loads(text)
    return published
