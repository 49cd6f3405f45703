"""A store in a directory of its own, and a way to open it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from gateway.store import Store

KEY = b"k" * 32
Opener = Callable[[], Awaitable[Store]]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "state" / "provgate.db"


@pytest.fixture
async def opened(place: Path) -> AsyncIterator[Opener]:
    """Open the same store again, as another process would."""
    stores: list[Store] = []

    async def open_() -> Store:
        stores.append(await Store.open(f"sqlite:///{place}", KEY))
        return stores[-1]

    yield open_
    for store in stores:
        await store.close()


@pytest.fixture
async def store(opened: Opener) -> Store:
    return await opened()
