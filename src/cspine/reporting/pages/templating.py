"""Templates of pages, with their style and scripts inside."""

import base64
import hashlib
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

VIEWER_SCRIPTS = ("volume.js", "pane.js", "viewer.js")
"""The scripts of the viewer, in the order in which they build on each other."""


@cache
def environment() -> Environment:
    """Returns where templates come from: everything is escaped, and a name that is not given is an error."""
    made = Environment(
        loader=PackageLoader("cspine.reporting"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters["plain"] = asdict
    made.globals |= {"asset": _asset, "digest": _digest, "viewer_scripts": VIEWER_SCRIPTS}
    return made


def render(template: str, context: dict[str, Any]) -> str:
    """Returns the page."""
    return environment().get_template(template).render(context)


@cache
def _asset(name: str) -> Markup:
    """Returns the text of a style sheet or a script of ours."""
    return Markup(files("cspine.reporting").joinpath("templates", name).read_text(encoding="utf-8"))


@cache
def _digest(name: str) -> str:
    """Returns what a content security policy calls a script, so that no other one runs."""
    return "sha256-" + base64.b64encode(hashlib.sha256(_asset(name).encode("utf-8")).digest()).decode("ascii")
