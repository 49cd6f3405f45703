"""What is kept of documents stays within its bound, and only what was made from the record as it is."""

from __future__ import annotations

import pytest

from gateway import limits
from gateway.ecosystems.protocol import Reply, Route, Verb
from gateway.proxy.pages import Page, Pages, State


def route(number: int = 0, path: str = "/widget") -> Route:
    return Route(Verb.READ, f"{path}{number}", document=True)


def page(size: int = 1, status: int = 200) -> Page:
    return Page(Reply(status, "OK", bytes(size)))


NOW = State(1)


def test_a_page_is_kept_for_its_registry_route_and_record() -> None:
    pages = Pages(5.0)
    pages.keep("node", route(), NOW, page(), 10.0)
    found = pages.find("node", route(), NOW)
    assert found is not None
    assert found.until == 15.0
    assert pages.find("node", route(), State(2)) is None
    assert pages.find("node", route(1), NOW) is None
    assert pages.find("other", route(), NOW) is None


def test_the_least_used_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAGES_TOTAL", 100_000)
    pages = Pages()
    for number in range(10):
        pages.keep("node", route(number), NOW, page(18_000), 0.0)
    kept = [number for number in range(10) if pages.find("node", route(number), NOW)]
    assert kept == [6, 7, 8, 9]
    pages.keep("node", route(10), NOW, page(25_000), 0.0)  # more than a quarter: it would push out nearly all
    assert pages.find("node", route(10), NOW) is None


def test_many_small_pages_stay_within_the_bound_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "PAGES_TOTAL", 100_000)
    pages = Pages()
    for number in range(1000):
        pages.keep("node", route(number), NOW, page(0), 0.0)
    assert sum(pages.find("node", route(number), NOW) is not None for number in range(1000)) < 50


def test_no_refusal_and_no_search_is_kept() -> None:
    pages = Pages()
    pages.keep("node", route(1), NOW, page(status=404), 0.0)
    pages.keep("node", route(path="/-/v1/search?text="), NOW, page(), 0.0)
    assert pages.find("node", route(1), NOW) is None
    assert pages.find("node", route(path="/-/v1/search?text="), NOW) is None
