"""Patterns of packages and refs as rules write them: whether one is well-formed, and which others it covers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from gateway.errors import Malformed
from gateway.model.names import pypi_name
from gateway.policy.rules import Rule

_TOKENS: Final = re.compile(r"\*\*|[\s\S]")
_PACKAGE: Final = re.compile(r"pkg:(?:\*\*|(?:\*|[a-z][a-z0-9.+-]*)/[A-Za-z0-9._~%*+/-]+)")
_PYPI: Final = re.compile(r"pkg:pypi/([a-z0-9*-]+)")
_TAG: Final = re.compile(r"[A-Za-z0-9_*][A-Za-z0-9._*-]{0,127}")
_BRACES: Final = re.compile(r"\{[^}]*\}?|\}")


def package_problem(pattern: str) -> str:
    """What is wrong with a pattern of purls, and how to mend it; empty where nothing is."""
    if not pattern.startswith("pkg:"):
        return f"{pattern!r} is not a package; write it as a purl, like pkg:pypi/acme-*"
    if "***" in pattern:
        return f"{pattern!r} holds ***; write * (inside a segment) or ** (across)"
    if "/@" in pattern:
        return f"{pattern!r}: a purl writes the @ of a scope as %40; write {pattern.replace('/@', '/%40', 1)}"
    if any(mark in pattern for mark in "@?#"):
        return f"{pattern!r} has a version or qualifiers; a rule is about all versions: end it before the @, ? or #"
    if _PACKAGE.fullmatch(pattern) is None or "//" in pattern or pattern.endswith("/"):
        return f"{pattern!r} is not a purl; write pkg:<type>/<name>, like pkg:pypi/acme-*"
    if pattern.startswith("pkg:pypi/") and _PYPI.fullmatch(pattern) is None:
        return _pypi_problem(pattern)
    return ""


def _pypi_problem(pattern: str) -> str:
    name = pattern.removeprefix("pkg:pypi/")
    try:
        mended = "*".join(pypi_name(part) if part else "" for part in name.split("*"))
    except Malformed:
        return f"{pattern!r} never matches: PyPI names hold a-z, 0-9 and single dashes once normalised"
    return f"{pattern!r} never matches a normalised name; write pkg:pypi/{mended}"


def ref_problem(pattern: str) -> str:
    """What is wrong with a pattern of refs; empty where nothing is."""
    braces = [found for found in _BRACES.findall(pattern) if found != "{version}"]
    if braces:
        return f"{pattern!r} holds {braces[0]}; only {{version}} is known"
    if not pattern.startswith("refs/"):
        return (
            f"{pattern!r} is not a full ref; write refs/heads/{pattern} for a branch or refs/tags/{pattern} for a tag"
        )
    if "***" in pattern or re.search(r"[\s~^:?\[\\]", pattern):
        return f"{pattern!r} is no pattern of refs; only * and ** are special, and a ref holds no such character"
    return ""


def tag_problem(pattern: str) -> str:
    """What is wrong with a pattern of an image's tags; empty where nothing is."""
    if _TAG.fullmatch(pattern):
        return ""
    return f"{pattern!r} matches no tag: they hold letters, digits, `.`, `_` and `-`; only * is special: v*, *.*.*"


@lru_cache(maxsize=65_536)
def covers(wide: str, narrow: str) -> bool:
    """Whether the one pattern matches everything the other does; False where that takes more than reading them.

    A wildcard of the narrow one stands for any text of its kind, and so only a wildcard at least as wide takes it.
    """
    tokens = _TOKENS.findall(wide)
    places = _skip(tokens, {0})
    for symbol in _TOKENS.findall(narrow):
        places = _step(tokens, places, symbol)
    return len(tokens) in places


def _skip(tokens: Sequence[str], places: set[int]) -> set[int]:
    """Add the places behind wildcards that take nothing."""
    reached = set(places)
    for place in range(len(tokens)):
        if place in reached and tokens[place] in {"*", "**"}:
            reached.add(place + 1)
    return reached


def _step(tokens: Sequence[str], places: set[int], symbol: str) -> set[int]:
    after = set()
    for place in places:
        if place == len(tokens):
            continue
        own = tokens[place]
        if own == "**" or (own == "*" and symbol not in {"/", "**"}):
            after.add(place)
        elif own == symbol:
            after.add(place + 1)
    return _skip(tokens, after)


class Reach:
    """What the rules read so far match, so that one which can never match is found.

    Patterns are kept by the text before their first wildcard: only those whose text another begins with may cover it,
    which keeps 10,000 rules quick to load.
    """

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[str, Rule]]] = {}

    def add(self, rule: Rule) -> None:
        """Take a rule as read."""
        for pattern in rule.packages:
            self._known.setdefault(_before_wildcard(pattern), []).append((pattern, rule))

    def hidden_by(self, rule: Rule) -> tuple[Rule, ...]:
        """The earlier rules that between them match all this one does; none where it can match something."""
        found: dict[str, Rule] = {}
        for pattern in rule.packages:
            for registry in rule.registries or (None,):
                cover = self._cover(pattern, registry)
                if cover is None:
                    return ()
                found[cover.name] = cover
        return tuple(found.values())

    def _cover(self, pattern: str, registry: str | None) -> Rule | None:
        text = _before_wildcard(pattern)
        for length in range(len(text) + 1):
            for wide, rule in self._known.get(text[:length], ()):
                everywhere = not rule.registries or registry in rule.registries
                if everywhere and covers(wide, pattern):
                    return rule
        return None


def _before_wildcard(pattern: str) -> str:
    return pattern.partition("*")[0]


def types(patterns: Iterable[str]) -> frozenset[str]:
    """The purl types the patterns speak of; `*` where one may be of any."""
    return frozenset(pattern.removeprefix("pkg:").partition("/")[0].partition("*")[0] or "*" for pattern in patterns)
