"""Codes, rows of the catalogue and pages are one set, and every page has the one form."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

from gateway import limits
from gateway.reasons import CATALOGUE, Code
from gateway.reasons.pages import page

HEADINGS = ["Why it is refused", "What you see", "How to mend it", "For operators"]
EXAMPLE = re.compile(
    r"^```text\n(?P<code>[a-z-]+): (?P<said>.+) - (?P<link>https://pypi\.acme\.example/-/"
    r"(?:d/[A-Za-z0-9_-]{22}|reasons/(?P=code)))\n```$",
    re.MULTILINE,
)


def outline(text: str) -> list[str]:
    """The headings outside of code blocks."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return re.findall(r"^#+ .*$", prose, flags=re.MULTILINE)


def test_codes_and_rows_and_pages_are_the_same_set() -> None:
    pages = {entry.name.removesuffix(".md") for entry in (files("gateway.reasons") / "pages").iterdir()}
    assert pages == {code.value for code in Code}
    assert set(CATALOGUE) == set(Code)


def test_a_slug_is_lower_case_words_joined_by_hyphens() -> None:
    assert [code.value for code in Code if not re.fullmatch(r"[a-z]+(-[a-z]+)*", code.value)] == []


@pytest.mark.parametrize("code", Code)
def test_a_page_has_the_title_of_its_row_and_the_four_headings_in_order(code: Code) -> None:
    assert outline(page(code)) == [f"# {CATALOGUE[code].title}", *(f"## {heading}" for heading in HEADINGS)]


@pytest.mark.parametrize("code", Code)
def test_no_part_of_a_page_is_empty(code: Code) -> None:
    parts = re.split(r"^#+ .*$", page(code), flags=re.MULTILINE)[1:]
    assert all(part.strip() for part in parts)


@pytest.mark.parametrize("code", Code)
def test_a_page_shows_one_line_as_clients_print_it(code: Code) -> None:
    (match,) = EXAMPLE.finditer(page(code))
    assert match["code"] == code.value
    assert match["said"].isascii()
    assert match["said"].isprintable()
    assert len(match["link"]) <= limits.PERMALINK


@pytest.mark.parametrize("code", Code)
def test_a_page_links_only_to_pages_of_other_codes(code: Code) -> None:
    targets = re.findall(r"\]\(([^)]*)\)", page(code))
    assert set(targets) <= {other.value for other in Code} - {code.value}


@pytest.mark.parametrize("code", Code)
def test_every_row_says_what_to_do_in_ascii(code: Code) -> None:
    entry = CATALOGUE[code]
    assert entry.title.isascii()
    assert entry.remedy.isascii()
    assert entry.remedy.endswith(".")
    assert 400 <= entry.status < 600
