"""Reads the conditions of rules, which say of what series they speak: a small language with a parser of its own.

::

    condition   = term { "or" term }
    term        = factor { "and" factor }
    factor      = "not" factor | "(" condition ")" | comparison
    comparison  = NAME ( "=" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~" ) value
    value       = 'text' | "text" | number

Names are keywords of DICOM attributes, and ``images``, ``source`` and ``site``. Text is compared without regard to case, ``~``
searches a regular expression. What an image lacks is the empty text, which is no number.
"""

import math
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from pydicom.datadict import tag_for_keyword

from cspine.errors import UsageError, one_line

OWN_NAMES = frozenset({"images", "source", "site"})
"""What a rule may ask beside attributes of the images."""

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>[A-Za-z]\w*)|(?P<sign>!=|!~|<=|>=|[=<>~()]))"
)
_ORDER: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SIGNS = frozenset({"=", "!=", "~", "!~", *_ORDER})
_DEEPEST = 32
_LONGEST = 2000
_SEARCHED = 200
"""Characters of a value that a regular expression is tried on, so that long values do not make it slow."""


class Condition(Protocol):
    """Says of what series a rule speaks."""

    def fits(self, facts: Mapping[str, str]) -> bool:
        """Says whether it speaks of a series.

        Args:
            facts: Values by name; those that are missing count as empty.
        """
        ...

    def names(self) -> frozenset[str]:
        """Returns the names that it asks for."""
        ...


@dataclass(frozen=True, slots=True)
class _Both:
    left: Condition
    right: Condition

    def fits(self, facts: Mapping[str, str]) -> bool:
        return self.left.fits(facts) and self.right.fits(facts)

    def names(self) -> frozenset[str]:
        return self.left.names() | self.right.names()


@dataclass(frozen=True, slots=True)
class _Either:
    left: Condition
    right: Condition

    def fits(self, facts: Mapping[str, str]) -> bool:
        return self.left.fits(facts) or self.right.fits(facts)

    def names(self) -> frozenset[str]:
        return self.left.names() | self.right.names()


@dataclass(frozen=True, slots=True)
class _Not:
    inner: Condition

    def fits(self, facts: Mapping[str, str]) -> bool:
        return not self.inner.fits(facts)

    def names(self) -> frozenset[str]:
        return self.inner.names()


@dataclass(frozen=True, slots=True)
class _Equal:
    name: str
    text: str

    def fits(self, facts: Mapping[str, str]) -> bool:
        value = facts.get(self.name, "")
        return value.casefold() == self.text.casefold() or (not math.isnan(_number(value)) and _number(value) == _number(self.text))

    def names(self) -> frozenset[str]:
        return frozenset({self.name})


@dataclass(frozen=True, slots=True)
class _Ordered:
    name: str
    sign: str
    limit: float

    def fits(self, facts: Mapping[str, str]) -> bool:
        return _ORDER[self.sign](_number(facts.get(self.name, "")), self.limit)

    def names(self) -> frozenset[str]:
        return frozenset({self.name})


@dataclass(frozen=True, slots=True)
class _Matching:
    name: str
    pattern: re.Pattern[str]

    def fits(self, facts: Mapping[str, str]) -> bool:
        return self.pattern.search(facts.get(self.name, "")[:_SEARCHED]) is not None

    def names(self) -> frozenset[str]:
        return frozenset({self.name})


def parse_condition(text: str) -> Condition:
    """Reads a condition.

    Raises:
        UsageError: It is none; the message shows where.
    """
    if len(text) > _LONGEST:
        raise UsageError(f"rule.if needs a condition of at most {_LONGEST} characters. Received: {len(text)}. Shorten it.")
    parser = _Parser(text)
    found = parser.condition()
    parser.expect_end()
    return found


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


class _Parser:
    """Reads a condition from left to right."""

    def __init__(self, text: str) -> None:
        self._text, self._tokens, self._next, self._depth = text, tuple(_tokens(text)), 0, 0

    def condition(self) -> Condition:
        found = self._term()
        while self._takes("or"):
            found = _Either(found, self._term())
        return found

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise _wrong(self._text, self._token.place, "'and', 'or' or its end")

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _takes(self, word: str) -> bool:
        found = self._token.kind in ("name", "sign") and self._token.text.lower() == word
        self._next += found
        return found

    def _term(self) -> Condition:
        found = self._factor()
        while self._takes("and"):
            found = _Both(found, self._factor())
        return found

    def _factor(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _wrong(self._text, self._token.place, f"at most {_DEEPEST} brackets and 'not' within one another")
        try:
            if self._takes("not"):
                return _Not(self._factor())
            if self._takes("("):
                found = self.condition()
                if not self._takes(")"):
                    raise _wrong(self._text, self._token.place, "')'")
                return found
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        name = self._taken("name", "the name of an attribute")
        if name.text not in OWN_NAMES and tag_for_keyword(name.text) is None:
            raise _wrong(self._text, name.place, f"a DICOM keyword or one of {', '.join(sorted(OWN_NAMES))}")
        sign = self._taken("sign", "a comparison")
        if sign.text not in _SIGNS:
            raise _wrong(self._text, sign.place, "a comparison")
        value = self._token
        if value.kind not in ("text", "number"):
            raise _wrong(self._text, value.place, "text in quotes or a number")
        self._next += 1
        return self._compared(name.text, sign.text, value)

    def _taken(self, kind: str, what: str) -> _Token:
        token = self._token
        if token.kind != kind:
            raise _wrong(self._text, token.place, what)
        self._next += 1
        return token

    def _compared(self, name: str, sign: str, value: _Token) -> Condition:
        if sign in _ORDER:
            if math.isnan(_number(value.text)):
                raise _wrong(self._text, value.place, "a number")
            return _Ordered(name, sign, _number(value.text))
        found: Condition = _Equal(name, value.text)
        if sign in ("~", "!~"):
            try:
                found = _Matching(name, re.compile(value.text, re.IGNORECASE))
            except (re.error, OverflowError, RecursionError):
                raise _wrong(self._text, value.place, "a regular expression") from None
        return _Not(found) if sign.startswith("!") else found


def _tokens(text: str) -> Iterator[_Token]:
    place = 0
    while text[place:].strip():
        found = _TOKEN.match(text, place)
        if found is None:
            raise _wrong(text, place, "a name, a comparison, text in quotes or a number")
        kind = str(found.lastgroup)
        yield _Token(kind, found[kind][1:-1] if kind == "text" else found[kind], found.start(kind))
        place = found.end()
    yield _Token("end", "", len(text))


def _wrong(text: str, place: int, needed: str) -> UsageError:
    rest = one_line(text[place:], 40) or "its end"
    return UsageError(f"rule.if needs {needed} at character {place + 1}. Received: {rest}. Correct the condition.")


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
