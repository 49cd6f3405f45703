"""The pages of the codes: one for each, and the list of all, grouped by what sort of thing is wrong."""

from __future__ import annotations

from typing import Final

from markdown_it import MarkdownIt
from markupsafe import Markup

from gateway.console.templating import render
from gateway.reasons import CATALOGUE, Code, Kind
from gateway.reasons.pages import page

_PAGES: Final = {code: page(code) for code in Code}  # read now: a page is rendered on the event loop
_MARKDOWN: Final = MarkdownIt("commonmark", {"html": False}).enable("table")
_KINDS: Final = {
    Kind.EVIDENCE: "Evidence",
    Kind.IDENTITY: "Who built it",
    Kind.RULE: "Rules",
    Kind.INPUT: "The upload and the request",
    Kind.CREDENTIAL: "Credentials",
    Kind.REVOCATION: "Withdrawn",
    Kind.SERVICE: "The gateway and the registry behind it",
}


def reason_markdown(code: Code) -> str:
    """Return the page of one code as it is written."""
    return _PAGES[code]


def reason_html(code: Code) -> str:
    """Return the page of one code for a browser."""
    body = Markup(_MARKDOWN.render(_PAGES[code]))  # noqa: S704 - our own text, raw HTML switched off
    return render("reason.html", code=code.value, entry=CATALOGUE[code], kind=_KINDS[CATALOGUE[code].kind], body=body)


def reasons_index_html() -> str:
    """Return the list of every code."""
    groups = [
        (title, [(code.value, entry) for code, entry in CATALOGUE.items() if entry.kind is kind])
        for kind, title in _KINDS.items()
    ]
    return render("reasons.html", groups=groups)
