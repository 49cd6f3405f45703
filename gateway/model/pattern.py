"""Patterns over purls and refs: `*` stays inside a segment, `**` crosses; matched whole (CONTRACTS E.4)."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=16_384)
def _compiled(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"(\*\*|\*)", pattern)
    wild = {"**": r"[\s\S]*", "*": r"[^/]*"}
    return re.compile("".join(wild.get(piece, re.escape(piece)) for piece in pieces))


def matches(pattern: str, text: str) -> bool:
    """Whether the whole text matches; case counts, and nothing but `*` and `**` is special."""
    return _compiled(pattern).fullmatch(text) is not None


def ascii_lower(text: str) -> str:
    """Lower-case A to Z and nothing else (U+212A, the Kelvin sign, is not k)."""
    return "".join(chr(ord(c) + 32) if "A" <= c <= "Z" else c for c in text)
