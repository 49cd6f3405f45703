"""`serve_on`: a gateway composed of its parts, listening; everything it needs is given, nothing is read from files."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from gateway import limits
from gateway.errors import StoreError
from gateway.proxy.authenticate import Authenticator
from gateway.proxy.gate import Gate
from gateway.proxy.images.gate import DepotGate
from gateway.proxy.images.token import TokenEndpoint
from gateway.proxy.locker import Locker
from gateway.proxy.mounts import Mount, Mounted, MountedDepot
from gateway.proxy.pages import Pages
from gateway.proxy.protocol import GateServer
from gateway.publish.images.depot import Depot
from gateway.publish.images.pushing import Images
from gateway.publish.publish import Publisher
from gateway.publish.served import Served, Trust
from gateway.publish.spool import Spool
from gateway.publish.surroundings import Surroundings
from gateway.service.own import own
from gateway.store import Query, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway is made of."""

    mounts: tuple[Mount, ...]
    store: Store
    key: bytes
    spool: Spool
    trust: Trust
    around: Surroundings
    public_url: str
    page_seconds: float = limits.PAGE_SECONDS

    @property
    def served(self) -> tuple[Served, ...]:
        """The registries of packages."""
        return tuple(mounted.served for mounted in self.mounts if isinstance(mounted, Mounted))

    @property
    def depots(self) -> tuple[Depot, ...]:
        """The registries of content by digest."""
        return tuple(mounted.depot for mounted in self.mounts if isinstance(mounted, MountedDepot))


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that listens; `publisher.trust` may be swapped, and `images` follows it.

    Where `look` is set, open publishes and holds are looked at at once.
    """

    publisher: Publisher
    images: Images
    look: asyncio.Event


@asynccontextmanager
async def serve_on(
    parts: Parts, sockets: Sequence[tuple[socket.socket, ssl.SSLContext | None]]
) -> AsyncIterator[Running]:
    """Settle what an earlier run left open, then listen; on the way out, finish what is under way.

    What cannot be settled yet (the registry is down) stays withheld from readers and is looked at again and again.
    """
    publisher = Publisher(parts.store, parts.spool, parts.trust, parts.around)
    authenticator = Authenticator(parts.store, parts.key)
    images = Images(parts.store, lambda: publisher.trust, parts.around)
    locker = Locker(
        authenticator, publisher, parts.around, parts.public_url, partial(images.holding.evidence_came, parts.depots)
    )
    depots = [mounted for mounted in parts.mounts if isinstance(mounted, MountedDepot)]
    tokens = TokenEndpoint(depots, authenticator, parts.around.now)
    ours = own(parts.store, locker, tokens, lambda: _ready(parts))
    gate = Gate(
        parts.mounts,
        publisher,
        DepotGate(authenticator, images, parts.around),
        authenticator,
        ours,
        around=parts.around,
        pages=Pages(parts.page_seconds),
    )
    async with AsyncExitStack() as stack:
        for upstream in [*(one.upstream for one in parts.served), *(one.upstream for one in parts.depots)]:
            await stack.enter_async_context(upstream)
        parts.spool.clear()
        for one in parts.served:  # read once, so that the first reader does not wait for it
            await parts.store.vouched(one.registry.name)
        await publisher.settle_open(parts.served)
        await images.settle_open(parts.depots)
        runner = web.ServerRunner(
            GateServer(
                gate,
                access_log=None,
                auto_decompress=False,  # CONTRACTS F.1: a compressed body is refused, never inflated
                lingering_time=limits.DRAIN_SECONDS,
                keepalive_timeout=limits.KEEPALIVE_SECONDS,
                max_line_size=limits.HEADER_LINE,
                max_field_size=limits.HEADER_LINE,
                read_bufsize=limits.READ_BUFFER,
            )
        )
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        for bound, tls in sockets:
            await web.SockSite(runner, bound, ssl_context=tls).start()
        async with asyncio.TaskGroup() as group:
            running = Running(publisher, images, asyncio.Event())
            settling = group.create_task(_settle_for_ever(running, parts))
            yield running
            settling.cancel()


async def _settle_for_ever(running: Running, parts: Parts) -> None:
    with suppress(asyncio.CancelledError):
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(running.look.wait(), limits.SETTLE_SECONDS)
            running.look.clear()
            try:
                await running.publisher.settle_open(parts.served)
                await running.images.settle_open(parts.depots)
            except StoreError as error:
                log.warning("settling: %s", error)


async def _ready(parts: Parts) -> str | None:
    try:
        await parts.store.records(Query(limit=1))
    except StoreError as error:
        return str(error)
    return None
