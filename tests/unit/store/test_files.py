"""The modes of what only the gateway may read, and its key (CONTRACTS A.8)."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import StoreError
from gateway.store import Store, load_or_create_key
from gateway.store.files import _create_key
from tests.lab import records

KEY = b"k" * 32


@pytest.fixture(autouse=True)
def _lax_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def spoil(path: Path, wrong: int) -> None:
    path.chmod(wrong)


async def test_a_new_store_and_its_journal_are_readable_by_their_owner_only(place: Path) -> None:
    async with await Store.open(f"sqlite:///{place}", KEY) as store:
        await store.begin(records.record("one"), None)
        assert mode(place.parent) == 0o700
        assert {path.name for path in place.parent.iterdir()} == {f"{place.name}{end}" for end in ("", "-wal", "-shm")}
        assert {mode(path) for path in place.parent.iterdir()} == {0o600}


@pytest.mark.parametrize("wrong", [0o640, 0o604, 0o620, 0o601])
async def test_a_store_that_others_can_read_is_refused(place: Path, wrong: int) -> None:
    await (await Store.open(f"sqlite:///{place}", KEY)).close()
    spoil(place, wrong)
    with pytest.raises(StoreError, match=rf"mode {wrong:04o} lets others in; run: chmod 600"):
        await Store.open(f"sqlite:///{place}", KEY)


@pytest.mark.parametrize("wrong", [0o720, 0o702, 0o1777])
async def test_a_directory_that_others_can_write_is_refused(place: Path, wrong: int) -> None:
    place.parent.mkdir()
    spoil(place.parent, wrong)
    with pytest.raises(StoreError, match="lets others write the directory"):
        await Store.open(f"sqlite:///{place}", KEY)
    with pytest.raises(StoreError, match="lets others write the directory"):
        load_or_create_key(place.parent / "key")
    assert list(place.parent.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite:provgate.db", "sqlite://provgate.db", "postgresql:///provgate", "", "/tmp/x"])
async def test_another_kind_of_store_is_refused(url: str) -> None:
    with pytest.raises(StoreError, match="expected sqlite:///path"):
        await Store.open(url, KEY)


async def test_a_store_opens_under_the_key_it_was_made_with_only(place: Path) -> None:
    await (await Store.open(f"sqlite:///{place}", KEY)).close()
    with pytest.raises(StoreError, match="made under another key file"):
        await Store.open(f"sqlite:///{place}", b"l" * 32)
    await (await Store.open(f"sqlite:///{place}", KEY)).close()


def test_a_new_key_is_private_random_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "state" / "key"
    key = load_or_create_key(path)
    assert len(key) == 32
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o700
    assert load_or_create_key(path) == key
    assert load_or_create_key(tmp_path / "state" / "other") != key
    assert {entry.name for entry in path.parent.iterdir()} == {"key", "other"}


def test_many_that_start_at_once_read_one_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(load_or_create_key, [tmp_path / "state" / "key"] * 32))
    assert len(keys) == 1


def test_the_second_to_make_a_key_leaves_the_firsts(tmp_path: Path) -> None:
    _create_key(tmp_path / "key")
    first = (tmp_path / "key").read_bytes()
    _create_key(tmp_path / "key")
    assert (tmp_path / "key").read_bytes() == first
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("text", ["", "ab", "00" * 31, "00" * 33, "zz" * 32, "\xe9" * 64])
def test_a_file_that_is_no_key_is_refused_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o600)
    with pytest.raises(StoreError, match="not a key file"):
        load_or_create_key(path)
    assert path.read_text(encoding="utf-8") == text


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    load_or_create_key(path)
    path.chmod(0o644)
    with pytest.raises(StoreError, match="chmod 600"):
        load_or_create_key(path)
