"""Runs ``cspine detect`` and reads what it leaves."""

import json
import re
from pathlib import Path
from typing import Any

from cspine.cli import main
from tests.coded import asked

_TIMES = re.compile(r'"(created|read|check|locate|crop|classify|calibrate|write)": [^,\n]+')


def journal(out: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return data


def statuses(out: Path) -> dict[str, str]:
    return {case["name"]: case["status"] for case in journal(out)["cases"]}


def detect(*arguments: str | Path, package: Path, out: Path) -> int:
    return main(["detect", *map(str, arguments), "-o", str(out), *asked(package)])


def without_times(out: Path) -> dict[str, str]:
    """Returns the text of each ``result.json`` by study, without what differs from run to run."""
    return {path.parent.name: _TIMES.sub("", path.read_text()) for path in out.glob("*/result.json")}
