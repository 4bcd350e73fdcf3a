"""Runs ``cspine detect`` and reads what it leaves."""

import json
from pathlib import Path
from typing import Any

from cspine.cli import main
from tests.coded import asked


def journal(out: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((out / "run.json").read_text(encoding="utf-8"))
    return data


def statuses(out: Path) -> dict[str, str]:
    return {case["name"]: case["status"] for case in journal(out)["cases"]}


def detect(*arguments: str | Path, package: Path, out: Path) -> int:
    return main(["detect", *map(str, arguments), "-o", str(out), *asked(package)])
