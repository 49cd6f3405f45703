from __future__ import annotations

import re

import pytest

from gateway.console import reason_html, reason_markdown, reasons_index_html
from gateway.reasons import CATALOGUE, Code
from gateway.reasons.pages import page


@pytest.mark.parametrize("code", Code)
def test_a_code_has_a_page_without_script_or_address_outside(code: Code) -> None:
    html = reason_html(code)
    assert f"<h1>{CATALOGUE[code].title}</h1>" in html
    assert "<script" not in html
    assert [a for a in re.findall(r'(?:href|src)="([^"]*)"', html) if not re.fullmatch(r"/-/reasons/|[a-z-]+", a)] == []


def test_a_code_as_markdown_is_its_page() -> None:
    assert reason_markdown(Code.NO_RULE) == page(Code.NO_RULE)


def test_the_list_links_every_code_once() -> None:
    assert sorted(re.findall(r'class="code" href="/-/reasons/([a-z-]+)"', reasons_index_html())) == sorted(Code)
