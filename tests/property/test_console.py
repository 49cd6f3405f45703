"""Whatever a certificate, a package or a client says, the page's structure is the same and shows it as text."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from gateway.console import decision_html, decision_json
from gateway.model.decision import Check, Decision, Outcome, Result
from gateway.model.intent import Record
from gateway.reasons import Code, Reason, ascii_text

AT = datetime(2026, 11, 24, 10, 5, 7, tzinfo=UTC)
# What begins or ends something in HTML, between any other text; surrogates too, which no encoder takes.
MARKUP = [
    "<b>",
    "</code>",
    "<script>",
    "<!--",
    "-->",
    '" onclick="x',
    "'>",
    "&lt;",
    "&#60;",
    "{{",
    "{%",
    "\r\n",
    "\u202e",
]
HOSTILE = st.lists(st.sampled_from(MARKUP) | st.text(st.characters(codec=None)), min_size=1).map("".join).filter(bool)


def record(about: str, expected: str, got: str, rule: str) -> Record:
    reason = Reason(Code.REPOSITORY_MISMATCH, about, expected, got)
    check = Check("repository", about, Result.FAILED, expected, got, reason)
    return Record(
        "Vq3sYb0mRk2pXw8LzJ5tNg", AT, None, Decision(Outcome.REJECT, (check,), (reason,), rule, ""), rule, "g"
    )


class Structure(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[tuple[str, str | None], ...]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


PLAIN = Structure(decision_html(record("a", "b", "c", "d"))).tags


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_no_text_changes_the_page_around_it(about: str, expected: str, got: str, rule: str) -> None:
    hostile = record(about, expected, got if got != expected else got + "x", rule)
    page = decision_html(hostile)
    assert page.isascii()
    structure = Structure(page)
    assert structure.tags == PLAIN
    assert ascii_text(about) in structure.text
    json.dumps(decision_json(hostile)).encode("ascii")


@given(HOSTILE)
def test_what_is_shown_can_be_told_from_what_looks_like_it(text: str) -> None:
    shown = decision_html(record("file", "acme/libs", text, "rule"))
    genuine = decision_html(record("file", "acme/libs", "acme/libs", "rule"))
    assert (shown == genuine) == (text == "acme/libs")
