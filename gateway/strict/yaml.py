"""Operators' YAML: one reading, every value with its place, and every problem of a file in one error.

A subset that YAML 1.1 and 1.2 read alike: no anchors, aliases, tags, merge keys or second document, no key given
twice; plain scalars that the two versions read differently (`no`, `0755`, `12:30`) are refused with the mend. A date
stays text until a field asks for a date.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import yaml as pyyaml
from pydantic import BaseModel, ValidationError

from gateway import limits
from gateway.errors import ConfigurationError
from gateway.strict.json import Json
from gateway.strict.yaml_problems import Path, Place, Places, describe

M = TypeVar("M", bound=BaseModel)

_LOADER: Final = getattr(pyyaml, "CSafeLoader", pyyaml.SafeLoader)  # six times as fast where libyaml is built in
_BOOLEANS: Final = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_INTEGER: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?")
_OLD_BOOLEAN: Final = re.compile(r"yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_OLD_NUMBER: Final = re.compile(
    r"[-+]?(?:0[0-9_]+|0b[01_]+|0x[0-9a-fA-F_]+|0o[0-7]+|[1-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?|[0-9][0-9_]*_[0-9_]*)"
    r"|[-+]?(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@dataclass(frozen=True, slots=True)
class Loaded(Generic[M]):
    """A validated file, and where each part of it stands."""

    value: M
    file: str
    places: Mapping[Path, Place]

    def position(self, path: Path) -> Place:
        """Line and column, from 1, of what stands at the path, or of its nearest parent that is in the file."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))

    def problem(self, path: Path, what: str) -> str:
        """One line for a `ConfigurationError`: the place of the path, then what is wrong and how to mend it."""
        line, column = self.position(path)
        return f"{self.file}:{line}:{column}: {what}"


def load(model: type[M], text: str, file: str) -> Loaded[M]:
    """Read one YAML document as the model, strictly; raises one `ConfigurationError` with every problem found."""
    composer = _Composer(file)
    try:
        value = composer.compose(text)
        composer.stop_if_wrong()
    except pyyaml.MarkedYAMLError as error:
        raise ConfigurationError(*composer.problems, _syntax(file, error)) from None
    except (pyyaml.YAMLError, UnicodeError):
        problem = f"{file}:1:1: holds a character that YAML does not allow; keep to printable text"
        raise ConfigurationError(*composer.problems, problem) from None
    try:
        # JSON mode: strict, yet text may become a date or an enumeration's member and a list a tuple.
        made = model.model_validate_json(json.dumps(value), strict=True, extra="forbid")
    except ValidationError as error:
        raise ConfigurationError(*describe(error, model, value, Places(composer.places, composer.keys), file)) from None
    return Loaded(made, file, composer.places)


def _syntax(file: str, error: pyyaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    what = " ".join(part for part in (error.context, error.problem) if part)
    return f"{file}:{line}:{column}: not YAML: {what}; check the indentation and the quotes here"


@dataclass(slots=True)
class _Open:
    """A collection that has begun and not ended; `key` is what the next value of a mapping belongs to."""

    value: dict[str, Json] | list[Json]
    path: Path
    key: str | None = None


@dataclass(slots=True)
class _Composer:
    """Builds the value from the parser's events, noting places and problems."""

    file: str
    places: dict[Path, Place] = field(default_factory=dict)
    keys: dict[Path, Place] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)
    _root: Json = None

    def compose(self, text: str) -> Json:
        """Read the events of the whole text; a depth, a size or a second document stops at once."""
        if len(text.encode()) > limits.YAML_BYTES:
            raise ConfigurationError(f"{self.file}:1:1: larger than {limits.YAML_BYTES} bytes; split the file")
        documents = 0
        for event in _events(text):
            if isinstance(event, pyyaml.DocumentStartEvent):
                documents += 1
                self._document(event, documents)
            elif isinstance(event, pyyaml.AliasEvent):
                self._note(event, f"alias *{event.anchor}; write the value out")
                self._place_value(None, event)
            elif isinstance(event, pyyaml.ScalarEvent):
                self._refuse_anchor_and_tag(event)
                self._scalar(event)
            elif isinstance(event, (pyyaml.MappingStartEvent, pyyaml.SequenceStartEvent)):
                self._refuse_anchor_and_tag(event)
                self._begin(event)
            elif isinstance(event, (pyyaml.MappingEndEvent, pyyaml.SequenceEndEvent)):
                self._stack.pop()
        return self._root

    def stop_if_wrong(self) -> None:
        """Raise what was noted."""
        if self.problems:
            raise ConfigurationError(*self.problems)

    def _note(self, event: pyyaml.Event, what: str) -> None:
        line, column = _place(event)
        self.problems.append(f"{self.file}:{line}:{column}: {what}")

    def _document(self, event: pyyaml.DocumentStartEvent, count: int) -> None:
        if count > 1:
            self._note(event, "a second document; put it into a file of its own")
            self.stop_if_wrong()
        if event.version or event.tags:
            self._note(event, "a % directive; remove it")

    def _refuse_anchor_and_tag(self, event: pyyaml.ScalarEvent | pyyaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            self._note(event, f"anchor &{event.anchor}; write the value out where it is needed")
        if event.tag is not None:
            self._note(event, f"tag {event.tag}; remove it")

    def _begin(self, event: pyyaml.CollectionStartEvent) -> None:
        if len(self._stack) >= limits.YAML_DEPTH:
            self._note(event, f"more than {limits.YAML_DEPTH} levels of nesting; flatten it")
            self.stop_if_wrong()
        made: dict[str, Json] | list[Json] = {} if isinstance(event, pyyaml.MappingStartEvent) else []
        path = self._place_value(made, event)
        self._stack.append(_Open(made, path))

    def _scalar(self, event: pyyaml.ScalarEvent) -> None:
        top = self._stack[-1] if self._stack else None
        if top is not None and isinstance(top.value, dict) and top.key is None:
            self._key(top, event)
        else:
            self._place_value(self._resolve(event), event)

    def _key(self, top: _Open, event: pyyaml.ScalarEvent) -> None:
        key: str = event.value
        if key == "<<" and event.implicit[0]:
            self._note(event, "merge key <<; write the keys out")
        elif key in top.value:
            first = self.keys[*top.path, key][0]
            self._note(event, f"key {key!r} is given twice (first in line {first}); keep one")
        top.key = key
        self.keys.setdefault((*top.path, key), _place(event))

    def _place_value(self, value: Json, event: pyyaml.Event) -> Path:
        """Put a value where the innermost open collection wants it; a mapping's key cannot be one."""
        if not self._stack:
            self._root = value
            self.places[()] = _place(event)
            return ()
        top = self._stack[-1]
        if isinstance(top.value, list):
            path = (*top.path, len(top.value))
            top.value.append(value)
            self.places[path] = _place(event)
            return path
        if top.key is None:
            self._note(event, "a mapping's key that is not plain text; write text")
            top.key = ""
            self.keys.setdefault((*top.path, ""), _place(event))
            if isinstance(value, (dict, list)):
                self.stop_if_wrong()
            return top.path
        path = (*top.path, top.key)
        # A block collection begins on the line below its key, an empty value has no place: the key's is the better.
        nested = isinstance(event, pyyaml.CollectionStartEvent) and not event.flow_style
        top.value[top.key] = value
        self.places.setdefault(path, self.keys[path] if nested or value is None else _place(event))
        top.key = None
        return path

    def _resolve(self, event: pyyaml.ScalarEvent) -> Json:
        text: str = event.value
        if not event.implicit[0]:  # quoted, or a block of text
            return text
        if text in _NULLS:
            return None
        if text in _BOOLEANS:
            return _BOOLEANS[text]
        if _OLD_BOOLEAN.fullmatch(text):
            self._note(
                event, f"{text} is a truth value to some readers and text to others; write true or false, or quote it"
            )
            return text
        if len(text) <= limits.JSON_NUMBER_DIGITS:
            if _INTEGER.fullmatch(text):
                return int(text)
            if _FLOAT.fullmatch(text):
                return float(text)
        if _OLD_NUMBER.fullmatch(text):
            self._note(
                event, f"{text} is a number that readers read differently; quote it, or write it as plain decimal"
            )
        return text


def _events(text: str) -> Iterator[pyyaml.Event]:
    return iter(pyyaml.parse(text, Loader=_LOADER))


def _place(event: pyyaml.Event) -> Place:
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)
