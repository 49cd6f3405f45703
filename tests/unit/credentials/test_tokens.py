"""Tokens: what they look like, what is kept of them, and what is no token."""

from __future__ import annotations

import pytest

from gateway.credentials import PREFIX, keyed_hash, mint, new_id, parse
from tests.lab import cases

KEY = b"k" * 32
ID = "abcdefghijklm234"


def counted(size: int) -> bytes:
    return bytes(range(size))


def a_token() -> str:
    return mint(cases.token(id=ID), KEY, counted).token


def test_a_token_gives_its_grants_id_without_its_secret() -> None:
    assert a_token().startswith(f"{PREFIX}{ID}_")
    assert parse(a_token()) == ID


def test_a_new_id_fits_into_a_token() -> None:
    assert parse(mint(cases.token(id=new_id(counted)), KEY, counted).token) == new_id(counted)


def test_what_is_kept_depends_on_the_key_and_on_every_character_of_the_token() -> None:
    minted = mint(cases.token(id=ID), KEY, counted)
    assert minted.keyed_hash == keyed_hash(KEY, minted.token)
    assert minted.keyed_hash != keyed_hash(b"l" * 32, minted.token)
    assert minted.keyed_hash != keyed_hash(KEY, minted.token[:-1] + "_")


def test_a_minted_token_does_not_show_itself() -> None:
    minted = mint(cases.token(id=ID), KEY, counted)
    assert minted.token not in repr(minted)


def test_a_grant_whose_id_is_not_a_tokens_gets_none() -> None:
    with pytest.raises(ValueError, match="new_id"):
        mint(cases.token(id="grant-1"), KEY, counted)


@pytest.mark.parametrize(
    "spoiled",
    [
        a_token()[:-1],
        a_token() + "A",
        a_token() + "\n",
        " " + a_token(),
        a_token().replace(PREFIX, "PVG_"),
        a_token().replace(ID, ID.upper()),
        a_token().replace(ID, "abcdefghijklm231"),
        a_token()[:-1] + "=",
        a_token()[:-1] + "\u0660",
        "",
    ],
)
def test_a_text_that_is_nearly_a_token_is_none(spoiled: str) -> None:
    assert parse(spoiled) is None


def test_text_that_is_no_unicode_can_be_hashed() -> None:
    assert len(keyed_hash(KEY, "pvg_\udcff")) == 64
