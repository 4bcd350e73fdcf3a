"""Reads the configuration of a node from a TOML file; whatever is wrong is one line that names the key."""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from cspine.errors import UsageError, one_line
from cspine.node.addresses import Address
from cspine.node.config import (
    Config,
    DeliverySettings,
    Destination,
    Folder,
    KeepSettings,
    LoginSettings,
    NodeSettings,
    ReceiverSettings,
    Rule,
    Source,
    TlsSettings,
    WorkerSettings,
)

_TABLES: dict[str, type[Any]] = {
    "node": NodeSettings,
    "receiver": ReceiverSettings,
    "worker": WorkerSettings,
    "delivery": DeliverySettings,
    "tls": TlsSettings,
    "login": LoginSettings,
    "keep": KeepSettings,
}
_LISTS: dict[str, tuple[str, type[Any]]] = {
    "source": ("sources", Source),
    "destination": ("destinations", Destination),
    "rule": ("rules", Rule),
    "folder": ("folders", Folder),
}
_KEYS = {"condition": "if", "action": "do"}
"""Keys of the file that are no names in Python."""

_LARGEST_BYTES = 1 << 20

Table = TypeVar("Table")


def read_config(path: Path) -> Config:
    """Reads a configuration; paths in it are taken from its folder.

    Raises:
        UsageError: It cannot be read, or a key or value is wrong.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST_BYTES + 1)
    except OSError as error:
        raise UsageError(f"A configuration file is needed. {path} cannot be read: {error.strerror}. Correct --config.") from None
    if len(text) > _LARGEST_BYTES:
        raise UsageError(f"A configuration has at most {_LARGEST_BYTES} bytes. {path} has more. Correct --config.")
    try:
        tables = tomllib.loads(text.decode())
    except ValueError as error:
        reason = one_line(" ".join(str(error).split()))
        raise UsageError(f"A configuration must be TOML in UTF-8. {path} is not: {reason}. Correct it.") from None
    except RecursionError:
        raise UsageError(f"A configuration must be plain TOML. {path} nests too deep. Correct it.") from None
    return parse_config(tables, path.absolute().parent)


def parse_config(tables: Mapping[str, Any], base: Path) -> Config:
    """Returns a configuration.

    Args:
        tables: What the file says.
        base: The folder that relative paths start from.

    Raises:
        UsageError: A key or value is wrong.
    """
    _refuse_unknown(tables, (*_TABLES, *_LISTS), "The configuration")
    parts: dict[str, Any] = {name: _table(_TABLES[name], tables[name], name, base) for name in _TABLES if name in tables}
    for name, (part, kind) in _LISTS.items():
        entries = tables.get(name, [])
        if not isinstance(entries, list):
            raise UsageError(f"{name} needs tables that are written as [[{name}]]. Received: [{name}]. Add the brackets.")
        parts[part] = tuple(_table(kind, entry, name, base) for entry in entries)
    if "node" not in parts:
        parts["node"] = NodeSettings()
    node = parts["node"]
    return Config(**parts | {"node": replace(node, data=base / node.data)})


def _table(kind: type[Table], table: object, where: str, base: Path) -> Table:
    if not isinstance(table, dict):
        raise UsageError(f"{where} needs a table, [{where}]. Received: {one_line(repr(table), 60)}. Correct it.")
    known = {_KEYS.get(one.name, one.name): one for one in fields(kind) if one.init}  # type: ignore[arg-type]
    _refuse_unknown(table, tuple(known), f"[{where}]")
    missing = [key for key, one in known.items() if key not in table and one.default is one.default_factory is MISSING]
    if missing:
        raise UsageError(f"[{where}] needs the key {missing[0]}. It is missing. Add it.")
    types = get_type_hints(kind)
    values = {known[key].name: _value(types[known[key].name], value, f"{where}.{key}") for key, value in table.items()}
    return kind(**{name: base / value if isinstance(value, Path) else value for name, value in values.items()})


def _refuse_unknown(given: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"Did you mean {near[0]}?" if near else f"It takes: {', '.join(known)}."
            raise UsageError(f"{where} has no key {one_line(key, 60)}. {hint}")


def _value(kind: Any, data: object, key: str) -> Any:
    if get_origin(kind) in (Union, UnionType):
        kind = next(part for part in get_args(kind) if part is not type(None))
    if get_origin(kind) is tuple:
        if not isinstance(data, list):
            raise UsageError(f"{key} needs a list in brackets. Received: {one_line(repr(data), 60)}. Correct it.")
        return tuple(_value(get_args(kind)[0], one, key) for one in data)
    if kind is float and isinstance(data, int | float) and not isinstance(data, bool):
        return float(data)
    if kind in (int, str, bool) and type(data) is kind:
        return data
    if isinstance(data, str):
        return _of_text(kind, data, key)
    raise UsageError(f"{key} needs {_WORDS.get(kind, 'text in quotes')}. Received: {one_line(repr(data), 60)}. Correct it.")


_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text in quotes"}


def _of_text(kind: Any, text: str, key: str) -> Any:
    if kind is Address:
        return Address.parse(text, key)
    if kind is Path and text and "\0" not in text:
        return Path(text).expanduser()
    if isinstance(kind, type) and issubclass(kind, Enum):
        names = [str(member.value) for member in kind]
        if text in names:
            return kind(text)
        raise UsageError(f"{key} needs one of {', '.join(names)}. Received: {one_line(text, 60)}. Correct it.")
    raise UsageError(f"{key} needs {_WORDS.get(kind, 'text')}. Received: {one_line(repr(text), 60)}. Correct it.")
