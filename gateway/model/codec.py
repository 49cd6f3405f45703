"""The codec of a `Case` and a `Decision`: canonical JSON, generic over the nouns' type hints.

`decode(encode(value)) == value` for every noun. A record from before a field existed decodes when the field has a
default; an unknown key is an error, so that nothing is lost in silence.
"""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from gateway.errors import Malformed

T = TypeVar("T")


def encode(value: object) -> bytes:
    """Return a noun as JSON with sorted keys, without blanks."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def plain(value: object) -> Any:
    """Return a noun as JSON's own types (for `--json` and pages)."""
    return _plain(value)


def decode(kind: type[T], data: bytes) -> T:
    """Read a noun back; raises `Malformed` for anything `encode` did not write."""
    try:
        document = json.loads(data)
        return typing.cast("T", _read(kind, document))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise Malformed(kind.__name__, f"not a record of this program: {error}") from error


def _plain(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(_plain(item) for item in value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    raise TypeError(f"no codec for {type(value).__name__}")


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, value: Any) -> Any:
    origin = get_origin(kind)
    if origin in {Union, types.UnionType}:
        if value is None:
            return None
        (inner,) = (option for option in get_args(kind) if option is not type(None))
        return _read(inner, value)
    if origin is frozenset:
        return frozenset(_read(get_args(kind)[0], item) for item in _list(value))
    if origin is tuple:
        options = get_args(kind)
        items = _list(value)
        if len(options) == 2 and options[1] is Ellipsis:
            return tuple(_read(options[0], item) for item in items)
        return tuple(_read(option, item) for option, item in zip(options, items, strict=True))
    return _read_plain(kind, value)


def _read_plain(kind: Any, value: Any) -> Any:
    if is_dataclass(kind):
        return _read_dataclass(typing.cast("type", kind), value)
    if issubclass(kind, tuple):  # a NamedTuple
        return kind(*(_read(hint, item) for hint, item in zip(_hints(kind).values(), _list(value), strict=True)))
    if issubclass(kind, Enum):
        return kind(value)
    if kind is datetime:
        return datetime.fromisoformat(value)
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {type(value).__name__}")
    return value


def _read_dataclass(kind: type, value: Any) -> Any:
    if not isinstance(value, dict):
        raise TypeError(f"expected an object for {kind.__name__}")
    hints = _hints(kind)
    if unknown := set(value) - set(hints):
        raise KeyError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
    missing = {
        f.name for f in fields(kind) if f.name not in value and f.default is MISSING and f.default_factory is MISSING
    }
    if missing:
        raise KeyError(f"{kind.__name__} needs {', '.join(sorted(missing))}")
    return kind(**{name: _read(hints[name], item) for name, item in value.items()})


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("expected a list")
    return value
