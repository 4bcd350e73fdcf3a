"""Makes markup of templates: everything is escaped, and styles and scripts are files of their own."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

STYLES = {"node.css": (("cspine.reporting", "templates/page.css"), ("cspine.node.web", "static/node.css"))}
SCRIPTS = {
    "theme.js": (("cspine.reporting", "templates/theme.js"),),
    "node.js": (("cspine.node.web", "static/node.js"),),
}


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("cspine.node.web"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals |= {"address_of": address_of}
    return made


@cache
def asset(name: str) -> tuple[str, str] | None:
    """Returns the text and the media type of a style sheet or script of ours; ``None`` where there is none of this name."""
    parts = (STYLES | SCRIPTS).get(name)
    if parts is None:
        return None
    text = "\n".join(files(package).joinpath(place).read_text(encoding="utf-8") for package, place in parts)
    return text, "text/css" if name in STYLES else "text/javascript"


@cache
def address_of(name: str) -> str:
    """Returns where a style sheet or script is; another text has another address, so that it may be kept for long."""
    found = asset(name)
    digest = "" if found is None else hashlib.sha256(found[0].encode()).hexdigest()[:12]
    return f"/static/{name}?{digest}"


def rendered(template: str, context: dict[str, Any]) -> str:
    """Returns a part of a page as text."""
    return _environment().get_template(template).render(context)
