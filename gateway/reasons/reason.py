"""`Reason` and the only two functions that turn hostile text into text a terminal or a header can carry."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.reasons.catalogue import CATALOGUE, Code, Entry


def ascii_text(text: str) -> str:
    """Return the text as printable ASCII on one line; everything else becomes a visible escape.

    No CR, LF, ESC or bidi control survives, so it is safe in a reason phrase, a log line and a terminal. It is *not*
    escaped for HTML.
    """
    return "".join(c if " " <= c <= "~" else ascii(c)[1:-1] for c in text)


def one_line(text: str, limit: int) -> str:
    """Return `ascii_text`, cut to `limit` characters with a visible ellipsis."""
    line = ascii_text(text)
    return line if len(line) <= limit else line[: limit - 3] + "..."


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing wrong: what it is about, what was expected, what was found, and what to do.

    `expected` and `got` may be empty where the code says it all. `about`, `expected` and `got` may hold the
    attacker's text; `line()` makes it harmless for terminals, pages must escape it for HTML.
    """

    code: Code
    about: str
    expected: str = ""
    got: str = ""
    remedy: str = ""

    def __post_init__(self) -> None:
        if not self.remedy:
            object.__setattr__(self, "remedy", CATALOGUE[self.code].remedy)

    @property
    def entry(self) -> Entry:
        """The catalogue's row of this reason's code."""
        return CATALOGUE[self.code]

    def line(self, limit: int = 400) -> str:
        """Return `code: about: expected X, got Y` as one line of printable ASCII."""
        found = ", ".join(f"{word} {text}" for word, text in (("expected", self.expected), ("got", self.got)) if text)
        parts = [self.code.value, self.about, found or self.entry.title.lower()]
        return one_line(": ".join(p for p in parts if p), limit)
