"""Makes pages, with what every page has."""

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse

from cspine.node.web.markup import rendered
from cspine.node.web.services import services_of, visitor_of
from cspine.node.web.visitors import Permission
from cspine.results import DISCLAIMER

MASK_COOKIE = "cspine_mask"


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
    return HTMLResponse(rendered(template, common | context), status)


def fragment(template: str, context: dict[str, Any]) -> HTMLResponse:
    """Returns a part of a page, which the script puts into its place."""
    return HTMLResponse(rendered(template, context))


def is_masked(request: Request) -> bool:
    """Says whether patients are hidden on this screen."""
    return request.cookies.get(MASK_COOKIE) == "1"
