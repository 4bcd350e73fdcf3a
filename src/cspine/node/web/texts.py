"""Takes texts from requests: only what a database and a page can hold."""

import re

from starlette.datastructures import FormData
from starlette.requests import Request

_KEY = re.compile(r"[0-9A-Za-z-]{1,64}")
_KEPT = "\n"


def plain(text: object, most: int) -> str:
    """Returns a text without control characters and halves of letters, cut to so many letters."""
    return "".join(letter if letter.isprintable() or letter in _KEPT else " " for letter in str(text or "")[:most]).strip()


def key_of(request: Request) -> str:
    """Returns which study the address of a request names; nothing, which names none, where it could not be one."""
    key = str(request.path_params["key"])
    return key if _KEY.fullmatch(key) else ""


def field(form: FormData, name: str, most: int) -> str:
    """Returns a field of a form as text; empty where it is missing, or a file."""
    value = form.get(name)
    return plain(value, most) if isinstance(value, str) else ""
