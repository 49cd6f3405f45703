"""A bounded memory of what was proved: keyed by content, it holds successes alone.

A refusal is never remembered, and a success only under a key that holds everything it depended on; so a memory can make
a verification faster and nothing else. Times are never part of what is remembered: each use asks its windows anew.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from cachetools import LRUCache

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memory(Generic[K, V]):
    """The latest `size` results; safe for threads. Two threads may prove one thing at the same time."""

    def __init__(self, size: int) -> None:
        self._found: LRUCache[K, V] = LRUCache(size)
        self._lock = threading.Lock()

    def proved(self, key: K, prove: Callable[[], V | None]) -> V | None:
        """Return what was proved under the key, or prove it now; None is a failure, and is not kept."""
        with self._lock:
            known = self._found.get(key)
        if known is not None:
            return known
        made = prove()
        if made is not None:
            with self._lock:
                self._found[key] = made
        return made

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._found.clear()
