"""What pydantic found wrong with an operator's file, as lines that name the place and the mend."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from gateway.strict.json import Json

Path: TypeAlias = tuple[str | int, ...]
Place: TypeAlias = tuple[int, int]  # line and column, from 1


class Places(NamedTuple):
    """Where the values and the keys of a file stand."""

    values: Mapping[Path, Place]
    keys: Mapping[Path, Place]


_WANTED: Final[Mapping[str, str]] = {
    "string_type": "text",
    "string_sub_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping",
    "mapping_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "dataclass_type": "a mapping",
    "date_type": "a date like 2027-06-30",
    "date_parsing": "a date like 2027-06-30",
    "date_from_datetime_parsing": "a date like 2027-06-30",
    "date_from_datetime_inexact": "a date like 2027-06-30",
    "datetime_type": "a time like 2027-06-30T12:00:00Z",
    "datetime_parsing": "a time like 2027-06-30T12:00:00Z",
    "datetime_from_date_parsing": "a time like 2027-06-30T12:00:00Z",
    "timezone_aware": "a time with its zone, like 2027-06-30T12:00:00Z",
    "none_required": "nothing",
}


def describe(error: ValidationError, model: type[BaseModel], value: Json, places: Places, file: str) -> list[str]:
    """Turn every error into a line `file:line:column: what; how to mend`, in the order of the file."""
    found = [_Problem(details, places) for details in error.errors(include_url=False)]
    found = [problem for problem in found if not _shadowed(problem, found)]
    lines: dict[tuple[Place, Path], list[_Problem]] = {}
    for problem in found:
        lines.setdefault((problem.place, problem.path), []).append(problem)
    return [
        f"{file}:{line}:{column}: {text}"
        for ((line, column), _), group in sorted(lines.items(), key=lambda item: item[0][0])
        for text in _texts(group, model, value)
    ]


class _Problem:
    """One error of pydantic with its path in the file: `loc` less the labels of a union's branches."""

    def __init__(self, details: ErrorDetails, places: Places) -> None:
        self.details = details
        self.loc: Path = details["loc"]
        self.kind: str = details["type"]
        path: Path = ()
        for part in self.loc:
            if (*path, part) in places.values:
                path = (*path, part)
        self.path = path
        where = places.keys if self.kind == "extra_forbidden" else places.values
        self.place = where.get(path, (1, 1))

    @property
    def wrong_type(self) -> bool:
        return self.kind in _WANTED


def _shadowed(problem: _Problem, others: Sequence[_Problem]) -> bool:
    """Whether this says that a union's other branch did not fit, where the branch that fits has errors deeper down."""
    depth = len(problem.path)
    return problem.wrong_type and any(
        len(other.path) > depth and other.path[:depth] == problem.path and other.loc[: len(problem.loc)] != problem.loc
        for other in others
    )


def _texts(group: Sequence[_Problem], model: type[BaseModel], value: Json) -> Iterator[str]:
    """One line for all branches of a union that wanted another type, one for each other problem."""
    wrong = [problem for problem in group if problem.wrong_type]
    if wrong:
        wanted = " or ".join(dict.fromkeys(_WANTED[problem.kind] for problem in wrong))
        yield f"{_at(wrong[0].path)}expected {wanted}, got {_got(_value_at(value, wrong[0].path))}{_mend(wrong, value)}"
    seen: set[str] = set()
    for problem in group:
        if not problem.wrong_type:
            text = _text(problem, model)
            if text not in seen:
                yield text
            seen.add(text)


def _text(problem: _Problem, model: type[BaseModel]) -> str:
    details, last = problem.details, problem.loc[-1] if problem.loc else ""
    context = details.get("ctx", {})
    if problem.kind == "extra_forbidden":
        near = difflib.get_close_matches(str(last), known := _keys_at(model, problem.loc[:-1]), n=1)
        mend = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known)) or 'none'}"
        return f"unknown key {last!r}; {mend}"
    if problem.kind == "missing":
        return f"{_at(problem.path)}the key {last!r} is missing; add it"
    if problem.kind in {"literal_error", "enum"}:
        return f"{_at(problem.path)}expected {context['expected']}, got {_got(details['input'])}; write one of them"
    if problem.kind in {"value_error", "assertion_error"}:
        return f"{_at(problem.path)}{context['error']}"
    message = details["msg"]
    if problem.kind in {"too_short", "too_long"}:
        return f"{_at(problem.path)}{message[:1].lower()}{message[1:]}"
    return f"{_at(problem.path)}{message[:1].lower()}{message[1:]}; got {_got(details['input'])}"


def _at(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return f"{text.removeprefix('.')}: " if path else ""


def _got(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {value[:60]!r}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return "a list" if isinstance(value, list) else "a mapping"


def _mend(wrong: Sequence[_Problem], value: Json) -> str:
    given = _value_at(value, wrong[0].path)
    wants_text = any(_WANTED[problem.kind] == "text" for problem in wrong)
    if given is None:
        return "; write a value or remove the key"
    if wants_text and isinstance(given, (bool, int, float)):
        return "; put it in quotes"
    if any(_WANTED[problem.kind] == "a list" for problem in wrong) and isinstance(given, str):
        return f"; write [{given[:60]}]"
    if isinstance(given, str) and any(
        _WANTED[problem.kind] in {"a whole number", "true or false"} for problem in wrong
    ):
        return "; write it without quotes"
    return ""


def _value_at(value: Json, path: Path) -> Json:
    for part in path:
        match value, part:
            case dict(), str():
                value = value[part]
            case list(), int():
                value = value[part]
            case _:
                raise AssertionError("a path of the file leads nowhere")
    return value


def _keys_at(model: type[BaseModel], loc: Path) -> list[str]:
    """The keys known where an unknown one stands, found by walking the model along pydantic's location."""
    here: list[Any] = [model]
    for part in loc:
        step = [inner for hint in here for inner in _step(hint, part)]
        here = step or here  # a union branch's label names no field
    return sorted({name for hint in here for name, _ in _fields(hint)})


def _models(hint: Any) -> Iterator[Any]:
    """Take apart unions and annotations; containers stay whole."""
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        for member in get_args(hint):
            yield from _models(member)
    elif hasattr(hint, "__metadata__"):
        yield from _models(get_args(hint)[0])
    else:
        yield hint


def _step(hint: Any, part: str | int) -> Iterator[Any]:
    for one in _models(hint):
        origin, arguments = get_origin(one), get_args(one)
        if isinstance(one, type) and issubclass(one, BaseModel):
            if part in (fields := dict(_fields(one))):
                yield fields[str(part)]
        elif isinstance(part, int) and origin is not None and arguments:
            yield arguments[0]
        elif isinstance(part, str) and isinstance(origin, type) and issubclass(origin, Mapping) and len(arguments) > 1:
            yield arguments[1]


def _fields(hint: Any) -> Iterable[tuple[str, Any]]:
    for one in _models(hint):
        if isinstance(one, type) and issubclass(one, BaseModel):
            for name, info in one.model_fields.items():
                alias = info.validation_alias or info.alias
                yield (alias if isinstance(alias, str) else name), info.annotation
