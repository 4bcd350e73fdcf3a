"""Makes pages of templates: everything is escaped, and styles and scripts are files of their own."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from cspine.node.web.services import services_of, visitor_of
from cspine.node.web.visitors import Permission
from cspine.results import DISCLAIMER

STYLES = {"node.css": (("cspine.reporting", "templates/page.css"), ("cspine.node.web", "static/node.css"))}
SCRIPTS = {
    "theme.js": (("cspine.reporting", "templates/theme.js"),),
    "node.js": (("cspine.node.web", "static/node.js"),),
}
MASK_COOKIE = "cspine_mask"


@cache
def _environment() -> Environment:
    made = Environment(
        loader=PackageLoader("cspine.node.web"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
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


def page(request: Request, template: str, context: dict[str, Any], status: int = 200) -> HTMLResponse:
    """Returns a page.

    Args:
        request: What is answered.
        template: Its name.
        context: What it is given beside what every page has.
        status: Of the answer.
    """
    visitor, config = visitor_of(request), services_of(request).config
    common = {
        "disclaimer": DISCLAIMER,
        "user": visitor.user,
        "csrf": visitor.csrf,
        "masked": is_masked(request),
        "node_name": config.node.ae_title,
        "login_required": config.login.required,
        "may_administer": visitor.may(Permission.ADMINISTER),
        "may_export": visitor.may(Permission.EXPORT),
    }
    return HTMLResponse(_environment().get_template(template).render(common | context), status)


def fragment(template: str, context: dict[str, Any]) -> HTMLResponse:
    """Returns a part of a page, which the script puts into its place."""
    return HTMLResponse(_environment().get_template(template).render(context))


def is_masked(request: Request) -> bool:
    """Says whether patients are hidden on this screen."""
    return request.cookies.get(MASK_COOKIE) == "1"
