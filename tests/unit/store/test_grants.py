"""Grants and waivers: what is kept, and the claims on their uses."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.errors import StoreError
from gateway.reasons import Code
from gateway.store import KnownGrant, KnownWaiver, Store
from tests.lab import cases
from tests.lab.cases import AT

WAIVER = cases.waiver(Code.TAG_VERSION_MISMATCH)


async def test_a_grant_is_found_by_its_id_with_its_tokens_hash(store: Store) -> None:
    await store.add_grant(cases.grant(), "hash")
    assert await store.grant_by_id("grant-1") == (cases.grant(), "hash")
    assert await store.grant_by_id("grant-2") is None


async def test_an_id_is_given_once(store: Store) -> None:
    await store.add_grant(cases.grant(), "hash")
    with pytest.raises(StoreError):
        await store.add_grant(cases.token(), "other hash")
    assert await store.grant_by_id("grant-1") == (cases.grant(), "hash")


async def test_a_revoked_grant_is_listed_and_no_longer_found(store: Store) -> None:
    await store.add_grant(cases.grant(), "hash")
    assert await store.revoke_grant("grant-1", AT)
    assert await store.revoke_grant("grant-1", AT + timedelta(days=1))
    assert not await store.revoke_grant("grant-2", AT)
    assert await store.grant_by_id("grant-1") is None
    assert await store.grants() == (KnownGrant(cases.grant(), AT),)
    assert not await store.use_grant("grant-1")


async def test_many_at_once_use_a_grant_no_oftener_than_it_allows(store: Store) -> None:
    await store.add_grant(cases.token(uses_left=3), "hash")
    used = await asyncio.gather(*(store.use_grant("grant-1") for _ in range(20)))
    assert used.count(True) == 3
    found = await store.grant_by_id("grant-1")
    assert found is not None
    assert found[0].uses_left == 0


async def test_a_grant_without_a_count_is_used_without_end(store: Store) -> None:
    await store.add_grant(cases.token(), "hash")
    assert [await store.use_grant("grant-1") for _ in range(3)] == [True] * 3
    assert not await store.use_grant("grant-2")
    assert await store.grant_by_id("grant-1") == (cases.token(), "hash")


async def waivers_for(store: Store, **changed: Any) -> int:
    values: dict[str, Any] = {
        "registry": "python",
        "purl": cases.PURL,
        "version": "1.0.0",
        "sha256": cases.SHA256,
        "now": AT,
    }
    return len(await store.waivers_for(**(values | changed)))


async def test_a_waiver_is_found_for_exactly_its_bytes(store: Store) -> None:
    await store.add_waiver(WAIVER, AT)
    assert await store.waivers_for("python", cases.PURL, "1.0.0", cases.SHA256, AT) == (WAIVER,)


@pytest.mark.parametrize(
    "near",
    [
        {"registry": "staging"},
        {"purl": "pkg:pypi/acme-lib2"},
        {"version": "1.0.0.post1"},
        {"sha256": cases.OTHER},
        {"now": WAIVER.expires},
    ],
)
async def test_a_waiver_is_for_nothing_near_it(store: Store, near: dict[str, Any]) -> None:
    await store.add_waiver(WAIVER, AT)
    assert await waivers_for(store, **near) == 0


async def test_a_waiver_serves_one_record_once(store: Store) -> None:
    await store.add_waiver(WAIVER, AT)
    used = await asyncio.gather(*(store.use_waiver(WAIVER.id, f"record-{n}", AT) for n in range(5)))
    assert used == [True, False, False, False, False]
    assert await store.use_waiver(WAIVER.id, "record-0", AT)
    assert not await store.use_waiver("waiver-2", "record-0", AT)
    assert await waivers_for(store) == 0
    assert await store.waivers() == (KnownWaiver(WAIVER, "record-0"),)


async def test_another_waiver_for_the_same_bytes_is_another(store: Store) -> None:
    await store.add_waiver(WAIVER, AT)
    await store.add_waiver(replace(WAIVER, id="waiver-2"), AT)
    await store.use_waiver(WAIVER.id, "record-0", AT)
    assert await waivers_for(store) == 1


async def test_a_grant_that_readers_are_known_by_is_withdrawn_for_them_too(store: Store) -> None:
    await store.add_grant(cases.grant(), "hash")
    assert await store.grant_seen("grant-1") == (cases.grant(), "hash")
    assert await store.grant_seen("grant-1") == (cases.grant(), "hash")
    await store.revoke_grant("grant-1", AT)
    assert await store.grant_seen("grant-1") is None


async def test_a_grant_that_was_unknown_is_seen_once_it_is_made(store: Store) -> None:
    assert await store.grant_seen("grant-1") is None
    await store.add_grant(cases.grant(), "hash")
    assert await store.grant_seen("grant-1") == (cases.grant(), "hash")
