"""`serve_on`: a gateway composed of its parts, listening; everything it needs is given, nothing is read from files."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from aiohttp import web

from gateway import limits
from gateway.errors import StoreError
from gateway.proxy.authenticate import Authenticator
from gateway.proxy.gate import Gate
from gateway.proxy.locker import Locker
from gateway.proxy.mounts import Mounted
from gateway.proxy.protocol import GateServer
from gateway.publish.publish import Publisher, Surroundings
from gateway.publish.served import Trust
from gateway.publish.spool import Spool
from gateway.service.own import own
from gateway.store import Query, Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a gateway is made of."""

    mounts: tuple[Mounted, ...]
    store: Store
    key: bytes
    spool: Spool
    trust: Trust
    around: Surroundings
    public_url: str


@dataclass(frozen=True, slots=True)
class Running:
    """A gateway that listens; `publisher.trust` may be swapped."""

    publisher: Publisher


@asynccontextmanager
async def serve_on(
    parts: Parts, sockets: Sequence[tuple[socket.socket, ssl.SSLContext | None]]
) -> AsyncIterator[Running]:
    """Settle what an earlier run left open, then listen; on the way out, finish what is under way.

    What cannot be settled yet (the registry is down) stays withheld from readers and is looked at again and again.
    """
    publisher = Publisher(parts.store, parts.spool, parts.trust, parts.around)
    authenticator = Authenticator(parts.store, parts.key)
    locker = Locker(authenticator, publisher, parts.around, parts.public_url)
    gate = Gate(parts.mounts, publisher, authenticator, own(parts.store, locker, lambda: _ready(parts)), parts.around)
    async with AsyncExitStack() as stack:
        for mounted in parts.mounts:
            await stack.enter_async_context(mounted.served.upstream)
        parts.spool.clear()
        served = [mounted.served for mounted in parts.mounts]
        await publisher.settle_open(served)
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
            settling = group.create_task(_settle_for_ever(publisher, parts))
            yield Running(publisher)
            settling.cancel()


async def _settle_for_ever(publisher: Publisher, parts: Parts) -> None:
    served = [mounted.served for mounted in parts.mounts]
    with suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(limits.SETTLE_SECONDS)
            try:
                await publisher.settle_open(served)
            except StoreError as error:
                log.warning("settling: %s", error)


async def _ready(parts: Parts) -> str | None:
    try:
        await parts.store.records(Query(limit=1))
    except StoreError as error:
        return str(error)
    return None
