"""Frozen dataclasses to JSON and back, strictly: every key known, every key there."""

from dataclasses import asdict, fields, is_dataclass
from enum import Enum
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cspine.errors import one_line

T = TypeVar("T")


class ShapeError(ValueError):
    """Data do not have the shape that they should have; the message says where and what is wrong."""


def encode(noun: Any) -> dict[str, Any]:
    """Returns a dataclass as plain dictionaries, lists, numbers and text."""
    return asdict(noun)


def decode(kind: type[T], data: object, where: str) -> T:
    """Returns plain JSON data as a dataclass.

    Args:
        kind: The dataclass; its annotations may hold numbers, text, enums, tuples, lists, dictionaries by text, ``None`` and
            dataclasses.
        data: What ``json.loads`` gave.
        where: Where the data stand, for the message.

    Raises:
        ShapeError: A key is unknown or missing, or a value has the wrong type.
        CspineError: A dataclass refuses its values.
    """
    if not isinstance(data, dict):
        raise ShapeError(f"{where} must be a JSON object. Received: {data!r:.80}")
    types = get_type_hints(kind)
    names = [f.name for f in fields(kind)]  # type: ignore[arg-type]  # every caller gives a dataclass
    unknown, missing = sorted(set(data) - set(names)), sorted(set(names) - set(data))
    if unknown or missing:
        wrong = [f"unknown: {one_line(', '.join(unknown), 80)}"] * bool(unknown) + [f"missing: {', '.join(missing)}"] * bool(
            missing
        )
        raise ShapeError(f"{where} must have exactly these keys: {', '.join(names)}. Received {'; '.join(wrong)}.")
    return kind(**{name: _value(types[name], data[name], f"{where}.{name}") for name in names})


def decode_each(kind: type[T], data: object, where: str) -> tuple[T, ...]:
    """Returns a list of plain JSON data as dataclasses; otherwise as :func:`decode`.

    Raises:
        ShapeError: It is no list, or as :func:`decode`.
    """
    if not isinstance(data, list):
        raise ShapeError(f"{where} must be a JSON list. Received: {data!r:.80}")
    return tuple(decode(kind, one, f"{where}[{number}]") for number, one in enumerate(data))


def _value(kind: Any, data: object, where: str) -> Any:
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if data is None else _value(next(p for p in parts if p is not type(None)), data, where)
    if origin is dict and isinstance(data, dict):
        return {str(key): _value(parts[1], value, f"{where}.{key}") for key, value in data.items()}
    if origin is list and isinstance(data, list):
        return [_value(parts[0], value, f"{where}[{i}]") for i, value in enumerate(data)]
    if origin is tuple and isinstance(data, list):
        kinds = [parts[0]] * len(data) if parts[-1] is Ellipsis else list(parts)
        if len(kinds) == len(data):
            return tuple(_value(k, d, f"{where}[{i}]") for i, (k, d) in enumerate(zip(kinds, data, strict=True)))
    if is_dataclass(kind) and isinstance(kind, type):
        return decode(kind, data, where)
    return _plain(kind, data, where)


def _plain(kind: Any, data: object, where: str) -> Any:
    if isinstance(kind, type) and issubclass(kind, Enum) and data in [member.value for member in kind]:
        return kind(data)
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if kind in (int, str, bool) and type(data) is kind:
        return data
    raise ShapeError(f"{where} must be {getattr(kind, '__name__', kind)}. Received: {data!r:.80}")
