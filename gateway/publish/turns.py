"""`Turns`: of two simultaneous publishes of one name, one goes first and the other waits, bounded (CONTRACTS E.1)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager

from gateway import limits


class Turns:
    """One lock per key, kept only while somebody holds it or waits for it."""

    def __init__(self, wait_seconds: float = limits.SIMULTANEOUS_WAIT_SECONDS) -> None:
        self._wait = wait_seconds
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def take(self, keys: Iterable[str]) -> AsyncIterator[None]:
        """Hold every key, in sorted order so that two publishes cannot wait for each other; raises `TimeoutError`."""
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(self._wait):
                for key in sorted(set(keys)):
                    await stack.enter_async_context(self._one(key))
            yield

    @asynccontextmanager
    async def _one(self, key: str) -> AsyncIterator[None]:
        lock, users = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, users + 1)
        try:
            async with lock:
                yield
        finally:
            users = self._locks[key][1] - 1
            if users:
                self._locks[key] = (lock, users)
            else:
                del self._locks[key]
