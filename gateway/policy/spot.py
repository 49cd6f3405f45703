"""`Spot`: a place in a policy file while it is read, where problems and warnings are noted."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from gateway.strict.yaml import Loaded

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Spot:
    """One place, by its path; `spot / key` is the place of what stands below it."""

    loaded: Loaded[Any]
    path: tuple[str | int, ...]
    problems: list[tuple[tuple[int, int], str]]
    warnings: list[str]

    def __truediv__(self, part: str | int) -> Spot:
        return Spot(self.loaded, (*self.path, part), self.problems, self.warnings)

    @property
    def position(self) -> tuple[int, int]:
        """Line and column."""
        return self.loaded.position(self.path)

    def wrong(self, what: str) -> None:
        """Note a problem: what is wrong and how to mend it."""
        self.problems.append((self.position, self.loaded.problem(self.path, what)))

    def warn(self, what: str) -> None:
        """Note what an operator should know."""
        self.warnings.append(self.loaded.problem(self.path, what))

    def wrong_if_null(self) -> None:
        """Note that the key stands here without a value."""
        if self.path in self.loaded.places:
            self.wrong("a key without a value; write one, or remove the key")

    def texts(self, given: str | tuple[str, ...], problem: Callable[[str], str]) -> tuple[str, ...]:
        """Read one text or a list of alternatives, noting an empty list, an empty text, and what `problem` finds."""
        items = [(self, given)] if isinstance(given, str) else [(self / n, text) for n, text in enumerate(given)]
        if not items:
            self.wrong("an empty list matches nothing; name at least one, or remove the key")
        for place, text in items:
            if not text.strip():
                place.wrong("an empty text matches nothing; write a value, or remove the key")
            elif found := problem(text):
                place.wrong(found)
        return tuple(text for _, text in items)


def name_problem(text: str) -> str:
    """What is wrong with a name of the operator's own making; empty where nothing is."""
    if _NAME.fullmatch(text):
        return ""
    return f"{text[:60]!r} is no name; use letters, digits, dots, dashes and underscores, at most 100"


def exact_problem(text: str) -> str:
    """What is wrong with a text that is compared exactly."""
    if "*" in text:
        return f"{text!r} holds *, and is compared exactly: only packages and refs are patterns"
    if not text.isascii() or not text.isprintable() or text != text.strip():
        return f"{text!r} holds blanks at an end or other than printable ASCII, and so never matches"
    return ""
