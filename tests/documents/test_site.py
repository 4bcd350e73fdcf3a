"""``make docs`` builds the site without a warning, and a page of it asks nothing of a network."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.documents.pages import DOCS, ROOT

_FETCHED = re.compile(r"<(?:script|img|iframe)[^>]*\bsrc=\"?(https?:[^\"> ]+)|<link[^>]*\bhref=\"?(https?:[^\"> ]+)")


def test_the_site_builds_without_a_warning_and_fetches_nothing(tmp_path: Path) -> None:
    pytest.importorskip("material")
    pytest.importorskip("mkdocstrings")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]

    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    built = {
        path.relative_to(tmp_path).with_suffix(".md").as_posix(): path.read_text(encoding="utf-8")
        for path in tmp_path.rglob("*.html")
    }
    assert {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")} <= set(built)
    assert [found for page in built.values() for found in _FETCHED.findall(page)] == []
    assert "StudyResult.to_dict" in built["reference/python.md"]
