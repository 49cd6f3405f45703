"""How a check says what it came to: passed, failed for a reason, or skipped because there was nothing to look at."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.model.decision import Check, Result
from gateway.reasons import Code, Reason


def passed(name: str, about: str, expected: str = "", got: str = "") -> Check:
    """A check that found what it expected."""
    return Check(name, about, Result.PASSED, expected, got)


def skipped(name: str, about: str, why: str) -> Check:
    """A check that had nothing to look at."""
    return Check(name, about, Result.SKIPPED, got=why)


def failed(name: str, about: str, reason: Reason) -> Check:
    """A check that did not pass; whether its reason counts is settled later."""
    return Check(name, about, Result.FAILED, reason.expected, reason.got, reason)


def judged(name: str, about: str, code: Code, expected: str, got: str, *, holds: bool, remedy: str = "") -> Check:
    """A check that passed where `holds` is true, else failed with this code."""
    if holds:
        return passed(name, about, expected, got)
    return failed(name, about, Reason(code, about, expected, got, remedy))


def either(values: Sequence[str]) -> str:
    """Alternatives in words."""
    return " or ".join(values)
