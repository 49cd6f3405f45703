"""Access tokens: what they say is what was granted, and nothing else is one of them."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.credentials import ACCESS_PREFIX, Access, Scope, keyed_hash, mint_access, read_access, recognise

KEY = b"k" * 32
ACCESS = Access(
    "abcdefghijklmnop",
    "images",
    (Scope("team/app", frozenset({"pull", "push"})), Scope("team/base", frozenset({"pull"}))),
    datetime(2026, 11, 24, 12, 5, tzinfo=UTC),
)


@pytest.mark.parametrize("access", [ACCESS, replace(ACCESS, grant=None, scopes=())])
def test_a_token_says_what_was_granted(access: Access) -> None:
    assert read_access(mint_access(access, KEY), KEY) == access


def test_it_allows_its_scopes_and_no_more() -> None:
    asked = [(r, a) for r in ("team/app", "team/base", "team", "team/app/x") for a in ("pull", "push", "delete")]
    assert {pair for pair in asked if ACCESS.allows(*pair)} == {
        ("team/app", "pull"), ("team/app", "push"), ("team/base", "pull"),
    }  # fmt: skip


def test_it_is_recognised_as_ours_so_that_it_is_never_forwarded() -> None:
    token = mint_access(ACCESS, KEY)
    assert recognise(f"Bearer {token}").token == token


def test_another_key_makes_another_token() -> None:
    assert read_access(mint_access(ACCESS, b"x" * 32), KEY) is None


def test_a_grants_hash_is_no_mac() -> None:
    payload = base64.urlsafe_b64encode(json.dumps({"grant": None}).encode()).decode().rstrip("=")
    mac = base64.urlsafe_b64encode(bytes.fromhex(keyed_hash(KEY, payload))).decode().rstrip("=")
    assert read_access(f"{ACCESS_PREFIX}{payload}.{mac}", KEY) is None


@given(data=st.data())
def test_a_token_with_one_character_changed_is_none(data: st.DataObject) -> None:
    token = mint_access(ACCESS, KEY)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from("abzAZ09-_.=+/ \u00e9").filter(lambda c: c != token[at]))
    assert read_access(token[:at] + other + token[at + 1 :], KEY) is None


@pytest.mark.parametrize("spoiled", ["", ACCESS_PREFIX, f"{ACCESS_PREFIX}.", "{}=", "{}.", "{}.x", "x{}"])
def test_what_is_no_whole_token_is_none(spoiled: str) -> None:
    assert read_access(spoiled.format(mint_access(ACCESS, KEY)), KEY) is None
