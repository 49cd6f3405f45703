"""`Pages`: documents as readers were last shown them, kept for seconds, so that not every read costs the registry one.

A page is shown again while all of this holds:

* The gateway itself says who may read. Under `read_auth: passthrough` the registry does, and no page is kept.
* Nothing was written to the record or by this gateway to the registry since before the page was made, and its keys and
  trust roots are the same. So what is published, changed, withheld or revoked here shows in the very next read; with a
  record that two gateways share, what the other publishes or withholds within `limits.STORE_WATCH_SECONDS`.
* It is not older than `limits.PAGE_SECONDS`: what changes in the registry by other ways shows within that.

Who asks for a page that another is asking for waits for it, once: many readers cost a slow registry one answer.

An old page is asked for again with the registry's own ETag; where that still stands, the page does too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

from cachetools import LRUCache

from gateway import limits
from gateway.ecosystems.protocol import Reply, Route, Signer

_OVERHEAD: Final = 2048  # bytes; a page's own objects beside its body


@dataclass(frozen=True, slots=True)
class State:
    """All that a page is made from but the registry's document, as it was before the page was made.

    `version` is the record's, `writes` counts what this gateway has sent to the registry, `signer` signs for it, and
    `public` names the trust roots of the public Sigstore.
    """

    version: int
    writes: int = 0
    signer: Signer | None = None
    public: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Page:
    """A document as it was shown, with the registry's ETag of it; `until` is loop time."""

    reply: Reply
    etag: str | None = None
    until: float = 0.0


class Pages:
    """What is kept of every registry, within `limits.PAGES_TOTAL`; the least used goes first."""

    def __init__(self, seconds: float = limits.PAGE_SECONDS) -> None:
        self._seconds = seconds
        self._kept: LRUCache[tuple[str, Route], tuple[State, Page]] = LRUCache(limits.PAGES_TOTAL, getsizeof=_size)
        self._asking: dict[tuple[str, Route, State], asyncio.Event] = {}

    @asynccontextmanager
    async def behind(self, registry: str, route: Route, state: State) -> AsyncIterator[None]:
        """Wait for whoever asks for this page already; who then finds none asks himself, and holds nobody up."""
        key = (registry, route, state)
        if (other := self._asking.get(key)) is not None:
            await other.wait()
            yield
            return
        self._asking[key] = done = asyncio.Event()
        try:
            yield
        finally:
            del self._asking[key]
            done.set()

    def find(self, registry: str, route: Route, state: State) -> Page | None:
        """A page that was made from what there is now; its age is for the caller to look at."""
        found = self._kept.get((registry, route))
        return found[1] if found is not None and found[0] == state else None

    def keep(self, registry: str, route: Route, state: State, page: Page, now: float) -> None:
        """Keep a page that was asked for at `now`, but no refusal, no search (there are too many) and nothing huge."""
        kept = (state, replace(page, until=now + self._seconds))
        if page.reply.status != 200 or "?" in route.path or _size(kept) > limits.PAGES_TOTAL // 4:
            return
        self._kept[registry, route] = kept


def _size(kept: tuple[State, Page]) -> int:
    return len(kept[1].reply.body) + _OVERHEAD
