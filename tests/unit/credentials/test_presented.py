"""What an Authorization header presents (CONTRACTS A.2, A.3)."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials import Presented, mint, parse, recognise
from tests.lab import cases

TOKEN = mint(cases.token(id="abcdefghijklm234"), b"k" * 32, bytes).token
ANONYMOUS = Presented()
FOREIGN = Presented(foreign=True)


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN}",
        f"bearer {TOKEN}",
        TOKEN,
        f"Bearer   {TOKEN} ",
        basic(f"__token__:{TOKEN}"),
        basic(f"jane:{TOKEN}"),
        basic(f":{TOKEN}"),
        basic(f"__token__:{TOKEN}").replace("Basic", "BASIC"),
    ],
)
def test_a_token_is_found_under_each_scheme_and_any_user_name(header: str) -> None:
    assert recognise(header).token == TOKEN


@pytest.mark.parametrize("header", [None, "", "  ", "Basic Og=="])
def test_nothing_and_an_empty_basic_are_anonymous(header: str | None) -> None:
    assert recognise(header) == ANONYMOUS


@pytest.mark.parametrize(
    "header",
    [
        "Bearer npm_0123456789",
        basic("jane:hunter2"),
        basic("jane:"),
        basic(":hunter2"),
        "Digest username=jane",
        "Negotiate YII=",
        "x",
    ],
)
def test_another_credential_is_foreign(header: str) -> None:
    assert recognise(header) == FOREIGN


@pytest.mark.parametrize(
    "header",
    [
        f"Bearer {TOKEN[:-1]}",
        f"Bearer {TOKEN},{TOKEN}",
        f"Token {TOKEN}",
        basic(f"{TOKEN}:"),
        basic(TOKEN),
        basic(f"{TOKEN}:x-oauth-basic"),
        basic(f"jane:{TOKEN}")[:-2],
        basic(f"jane:{TOKEN}").replace("Basic ", "Basic !"),
        "Basic " + base64.b64encode(b"jane:\xff" + TOKEN.encode()).decode(),
    ],
)
def test_what_may_hold_a_token_of_ours_is_never_foreign_so_it_is_never_forwarded(header: str) -> None:
    presented = recognise(header)
    assert presented.token is not None
    assert parse(presented.token) is None
    assert not presented.foreign


def test_a_presented_token_does_not_show_itself() -> None:
    assert TOKEN not in repr(recognise(f"Bearer {TOKEN}"))


@given(st.text(max_size=200))
def test_any_header_gives_exactly_one_answer(header: str) -> None:
    presented = recognise(header)
    assert not (presented.foreign and presented.token is not None)
