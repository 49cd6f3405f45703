"""JSON from strangers: one reading or `Malformed`, and typed access to what was read.

Python's own reader takes the last of two equal keys, UTF-16, a byte order mark, NaN and lone surrogates. Each of them
lets two programs read one document differently, so here each is refused (RFC 8259 leaves them to the reader).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Final, NoReturn, TypeAlias, TypeVar

from gateway import limits
from gateway.errors import Malformed, TooLarge

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Object: TypeAlias = "dict[str, Json]"
Array: TypeAlias = "list[Json]"

# The kinds that the accessors know; `dict` and `list` stand for `Object` and `Array`.
K = TypeVar("K", str, int, bool, dict[str, Json], list[Json])

_NAMES: Final[Mapping[type, str]] = {
    str: "a string",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "an array",
    type(None): "null",
}
# Whole strings are skipped in one step, so a bracket inside one never counts. Possessive: no backtracking. Each branch
# starts with one character, not with a set of them: so the search for the next is four times as fast.
_TOKEN: Final = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|\[|\{|\]|\}', re.DOTALL)
_SURROGATE_ESCAPE: Final = re.compile(r"\\u[dD][89a-fA-F]")


def parse(data: bytes | str, about: str, *, limit: int) -> Json:
    """Read one whole document of at most `limit` bytes; raises `Malformed` or `TooLarge`."""
    text = _decoded(data, about, limit)
    _bound_tokens(text, about, limit)
    _bound_depth(text, about)
    try:
        value: Json = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(about, f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})") from None
    except _Broken as error:
        raise Malformed(about, error.problem) from None
    except _TooLong:
        raise TooLarge(about, f"{limits.JSON_NUMBER_DIGITS} digits for a number") from None
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        _refuse_lone_surrogates(value, about)
    return value


def parse_object(data: bytes | str, about: str, *, limit: int) -> dict[str, Json]:
    """Read one whole document that must be an object."""
    return expect(parse(data, about, limit=limit), dict, about)


def expect(value: Json, kind: type[K], about: str) -> K:
    """Return the value where it is of the kind; a boolean is never an integer."""
    if type(value) is not kind:
        raise Malformed(about, f"expected {_NAMES[kind]}, got {_NAMES[type(value)]}")
    return value


def field(obj: Mapping[str, Json], key: str, kind: type[K], about: str) -> K:
    """Return a field that must be there; `about` is what the object is, and errors name `about.key`."""
    value = obj.get(key)
    if type(value) is kind:
        return value
    if key not in obj:
        raise Malformed(f"{about}.{key}", f"missing; expected {_NAMES[kind]}")
    return expect(value, kind, f"{about}.{key}")


def optional(obj: Mapping[str, Json], key: str, kind: type[K], about: str) -> K | None:
    """Return a field that may be absent; null counts as absent, as in proto-JSON."""
    value = obj.get(key)
    if value is None or type(value) is kind:
        return value
    return expect(value, kind, f"{about}.{key}")


def items(obj: Mapping[str, Json], key: str, kind: type[K], about: str, *, most: int) -> list[K]:
    """Return a field that must be an array of at most `most` elements, each of the kind."""
    found = field(obj, key, list, about)
    if len(found) > most:
        raise TooLarge(f"{about}.{key}", f"{most} elements")
    return [expect(item, kind, f"{about}.{key}[{index}]") for index, item in enumerate(found)]


def only(obj: Mapping[str, Json], known: frozenset[str], about: str) -> None:
    """Refuse an object with a key that is not known."""
    for key in obj:
        if key not in known:
            raise Malformed(about, f"unknown key {key[:60]!r}")


class _Broken(Exception):
    """A rule that a document breaks; the reader's hooks do not know what the document is."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


class _TooLong(Exception):
    """A number of too many digits."""


def _object(found: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(found)
    if len(made) != len(found):
        raise _Broken(f"the key {_first_repeated(found)[:60]!r} is given twice in one object")
    return made


def _integer(digits: str) -> int:
    _bound_digits(digits)
    return int(digits)


def _fraction(digits: str) -> float:
    _bound_digits(digits)
    value = float(digits)
    if not math.isfinite(value):
        raise _Broken("a number that is not finite")
    return value


def _constant(word: str) -> NoReturn:
    raise _Broken(f"{word} is not JSON")


def _bound_digits(digits: str) -> None:
    if len(digits) > limits.JSON_NUMBER_DIGITS:
        raise _TooLong


# Built once: to build one costs as much as to read a small document.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)


def _decoded(data: bytes | str, about: str, limit: int) -> str:
    if len(data) > limit:
        raise TooLarge(about, f"{limit} bytes")
    try:
        raw = data.encode() if isinstance(data, str) else data
        text = data if isinstance(data, str) else data.decode()
    except UnicodeError:
        raise Malformed(about, "not UTF-8") from None
    if len(raw) > limit:
        raise TooLarge(about, f"{limit} bytes")
    if text.startswith("\ufeff"):
        raise Malformed(about, "starts with a byte order mark")
    return text


def _bound_tokens(text: str, about: str, limit: int) -> None:
    """Bound the number of values: a mebibyte of `{}` is half a second of work, and its garbage stops every thread.

    Commas and brackets inside strings count too; written by anyone but an attacker, a value takes over 16 bytes.
    """
    most = max(limits.JSON_TOKENS, limit // limits.JSON_TOKEN)
    if len(text) > most and text.count(",") + text.count("[") + text.count("{") > most:
        raise TooLarge(about, f"{most} values")


def _bound_depth(text: str, about: str) -> None:
    """Count nesting before the recursive reader sees it; text with fewer openings than that is not even looked at."""
    if text.count("[") + text.count("{") <= limits.JSON_DEPTH:
        return
    depth = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in "[{":
            depth += 1
            if depth > limits.JSON_DEPTH:
                raise TooLarge(about, f"{limits.JSON_DEPTH} levels of nesting")
        elif first in "]}":
            depth -= 1


def _first_repeated(found: list[tuple[str, Json]]) -> str:
    seen: set[str] = set()
    for key, _ in found:
        if key in seen:
            return key
        seen.add(key)
    raise AssertionError("no key is repeated")


def _refuse_lone_surrogates(value: Json, about: str) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Malformed(about, "a string holds half of a surrogate pair") from None
