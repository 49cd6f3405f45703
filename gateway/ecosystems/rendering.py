"""The words of a refusal that every protocol shares: the one line, the many lines, and the status."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from gateway.reasons import Reason, ascii_text, one_line

PHRASE = 300  # characters before the link; twine and pip wrap it, and a status line may hold 8 KiB


def status_of(reasons: Sequence[Reason]) -> int:
    """The HTTP status of a refusal: a credential's 401 first, then a fault's 5xx, then the first reason's own."""
    statuses = [reason.entry.status for reason in reasons]
    challenges = [status for status in statuses if status == 401]
    faults = [status for status in statuses if status >= 500]
    return (challenges or faults or statuses)[0]


def phrase(reasons: Sequence[Reason], link: str) -> str:
    """One line of printable ASCII that stands alone: the first reason, how many more there are, and the link."""
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{one_line(reasons[0].line(), PHRASE)}{more} - {ascii_text(link)}"


def lines(reasons: Sequence[Reason], link: str) -> str:
    """Every reason with what was expected, what was found and what to do, as plain ASCII lines."""
    out = ["", f"Refused: {len(reasons)} reason{'s' if len(reasons) > 1 else ''}."]
    for reason in reasons:
        out += ["", f"  {reason.code.value}: {ascii_text(reason.entry.title)}"]
        rows = (("about", reason.about), ("expected", reason.expected), ("got", reason.got), ("to mend", reason.remedy))
        for label, text in rows:
            if text:
                out += _row(label, ascii_text(text))
    return "\n".join([*out, "", f"  Every check: {ascii_text(link)}", ""])


def _row(label: str, text: str) -> list[str]:
    # A value without blanks (a digest, a ref) is never broken: somebody will want to copy it.
    wrapped = textwrap.wrap(text, 84, break_long_words=False, break_on_hyphens=False) or [""]
    return [f"    {label + ':':<10} {line}" if i == 0 else f"    {'':<10} {line}" for i, line in enumerate(wrapped)]
