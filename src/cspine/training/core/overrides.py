"""Settings of a recipe as flat ``key=value`` text, and back, checked against the types of its dataclasses."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from cspine.errors import CspineError, UsageError, one_line
from cspine.training.localiser.settings import LocaliserRecipe
from cspine.training.refiner.settings import RefinerRecipe
from cspine.training.slices.settings import Recipe
from cspine.training.vertebrae.settings import VertebraRecipe

AnyRecipe = Recipe | LocaliserRecipe | RefinerRecipe | VertebraRecipe

R = TypeVar("R", bound=AnyRecipe)

_FIXED = "name"
"""The name of a recipe is no setting."""

_TRUTHS = {"true": True, "false": False}


def settings(recipe: AnyRecipe) -> dict[str, str]:
    """Every setting by its dotted name, as text that :func:`with_settings` takes."""
    return {key: _text(value) for key, value in _leaves(recipe).items()}


def with_settings(recipe: R, changes: Mapping[str, str]) -> R:
    """The recipe with some settings changed.

    Args:
        recipe: The recipe as it stands in its file.
        changes: Text by dotted name, for instance ``{"fit.epochs": "3"}``.

    Raises:
        UsageError: A name is unknown, a text is not of the setting's type, or settings do not go together.
    """
    known = _leaves(recipe)
    unknown = next((key for key in changes if key not in known), None)
    if unknown is not None:
        raise UsageError(f"{recipe.name} has no setting {one_line(unknown, 80)}. Known: {', '.join(sorted(known))}.")
    changed: R = _changed(recipe, changes, recipe.name)
    return changed


def parse_assignments(texts: Sequence[str]) -> dict[str, str]:
    """``["fit.epochs=3"]`` as a dictionary.

    Raises:
        UsageError: A text has no ``=``.
    """
    parts = [text.partition("=") for text in texts]
    wrong = [text for text, (key, equals, _) in zip(texts, parts, strict=True) if not key or not equals]
    if wrong:
        raise UsageError(f"A setting must be given as key=value. Received: {one_line(', '.join(wrong))}")
    return {key.strip(): value.strip() for key, _, value in parts}


def _leaves(noun: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in fields(noun):
        value = getattr(noun, item.name)
        if is_dataclass(value):
            found |= _leaves(value, f"{prefix}{item.name}.")
        elif prefix or item.name != _FIXED:
            found[prefix + item.name] = value
    return found


def _changed(noun: Any, changes: Mapping[str, str], recipe: str, prefix: str = "") -> Any:
    """The noun with some of its leaves changed, all at once: one may be right only with another."""
    own: dict[str, str] = {}
    inner: dict[str, dict[str, str]] = {}
    for key, text in changes.items():
        name, dot, rest = key.partition(".")
        if dot:
            inner.setdefault(name, {})[rest] = text
        else:
            own[name] = text
    values = {name: _changed(getattr(noun, name), part, recipe, f"{prefix}{name}.") for name, part in inner.items()}
    told = {name: f"{prefix}{name} of {recipe} cannot be {text!r}" for name, text in own.items()}
    hints = get_type_hints(type(noun))
    for name, text in own.items():
        try:
            values[name] = _parsed(hints[name], text)
        except ValueError as error:
            raise UsageError(f"{told[name]}: {error}") from error
    try:
        return replace(noun, **values)
    except UsageError:
        raise
    except CspineError as error:
        raise UsageError(f"{', '.join(told.values())}: {error}") from error


def _parsed(kind: Any, text: str) -> Any:
    """Text as a value of a type.

    Raises:
        ValueError: It is none.
    """
    if get_origin(kind) is tuple:
        parts, texts = get_args(kind), [part for part in text.split(",") if part.strip()]
        kinds = [parts[0]] * len(texts) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) != len(texts) or not texts:
            raise ValueError(f"{len(kinds) or 'some'} values with commas between them are needed")
        return tuple(_parsed(k, t.strip()) for k, t in zip(kinds, texts, strict=True))
    if kind is bool:
        if text.lower() not in _TRUTHS:
            raise ValueError("true or false is needed")
        return _TRUTHS[text.lower()]
    if isinstance(kind, type) and issubclass(kind, Enum):
        if text not in [member.value for member in kind]:
            raise ValueError(f"one of {', '.join(str(member.value) for member in kind)} is needed")
        return kind(text)
    value = {int: int, float: float, str: str}[kind](text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a finite number is needed")
    return value


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(_text(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value.value) if isinstance(value, Enum) else str(value)
