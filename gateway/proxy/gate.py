"""`Gate`: every request's way in. Own pages first, then the registry by host and mount, then the protocol's route.

1. Find whom the request is for: the gateway's own pages beat any mount (CONTRACTS B.1); no registry is a 404.
2. Let the protocol recognise it; unknown is refused, reads and writes alike.
3. A write with a Content-Encoding is 415, undecoded (CONTRACTS F.1).
4. Find out who asks; a write without a grant is 401 before its body is read.
5. A read takes the fast path; a publish is handed to `publish`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from gateway import limits
from gateway.ecosystems.protocol import Head, Reply, Route, Verb, View
from gateway.model.case import Action
from gateway.proxy import reads
from gateway.proxy.authenticate import Authenticator
from gateway.proxy.mounts import Mounted, find
from gateway.proxy.protocol import GateProtocol, plain_reply, response_of
from gateway.publish.publish import BodyAborted, Publisher, Surroundings
from gateway.reasons import Code, Reason

Own = Callable[[Head, AsyncIterator[bytes]], Awaitable[Reply]]
OWN: Final = "/-/"


class Gate:
    """The handler of every request. `own` answers the gateway's own addresses, below `/-/`."""

    def __init__(
        self, mounts: Sequence[Mounted], publisher: Publisher, authenticator: Authenticator, own: Own, around: Surroundings
    ) -> None:
        self._mounts = tuple(mounts)
        self._publisher = publisher
        self._authenticator = authenticator
        self._own = own
        self._around = around

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if isinstance(request.protocol, GateProtocol):
            request.protocol.head_came()
        try:
            answer = await self._answer(request)
        except BodyAborted:
            answer = plain_reply(Reason(Code.REQUEST_TIMEOUT, "the request's body", "the whole body"))
        response = response_of(answer) if isinstance(answer, Reply) else answer
        if not request.content.is_eof():  # answered early: drained for a while by the server, then closed
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest) -> Reply | web.StreamResponse:
        target = _target(request)
        if target is None:
            return plain_reply(Reason(Code.REQUEST_MALFORMED, "request target", "a path, or http(s)://host/path"))
        host, path, query = target
        headers = tuple((name, value) for name, value in request.headers.items())
        if path.startswith(OWN):  # 1
            return await self._own(Head(request.method, path, query, headers), _body(request))
        found = find(self._mounts, host, path)
        if found is None:
            return plain_reply(Reason(Code.ROUTE_UNKNOWN, f"{request.method} {path}"))
        mounted, below = found
        head = Head(request.method, below, query, headers)
        route = mounted.served.ecosystem.route(head)  # 2
        match route.verb:
            case Verb.READ:
                return await self._read(mounted, route, head, request)
            case Verb.PUBLISH:
                return await self._publish(mounted, head, request)
            case Verb.DEPOSIT | Verb.EVIDENCE | Verb.MUTATE | Verb.UNKNOWN:
                return _refusal(mounted, head, route.problem or Reason(Code.ROUTE_UNKNOWN, f"{head.method} {path}"))

    async def _publish(self, mounted: Mounted, head: Head, request: web.BaseRequest) -> Reply:
        if any(name.lower() == "content-encoding" for name, _ in head.headers):  # 3
            reason = Reason(Code.CONTENT_ENCODING, "Content-Encoding", "none", head.header("content-encoding") or "")
            return _refusal(mounted, head, reason)
        registry = mounted.served.registry.name
        found = await self._authenticator.grant(head, registry, None, Action.PUBLISH, self._around.now())  # 4
        if isinstance(found, Reason):
            return _refusal(mounted, head, found)
        return await self._publisher.publish(mounted.served, head, found, _body(request))  # 5

    async def _read(
        self, mounted: Mounted, route: Route, head: Head, request: web.BaseRequest
    ) -> Reply | web.StreamResponse:
        registry = mounted.served.registry.name
        credential = await self._authenticator.upstream_credential(
            head, mounted.read_auth, registry, route.package, self._around.now()
        )  # 4
        if isinstance(credential, Reason):
            return _refusal(mounted, head, credential)
        if route.redirect is not None:
            return Reply(301, "", b"", (("Location", mounted.mount + route.redirect),))
        view = await self._view(mounted)  # 5
        if route.document:
            reply = await reads.document(mounted, route, head, view, credential)
            return reply if head.method != "HEAD" else Reply(reply.status, reply.reason, b"", reply.headers)
        return await reads.file(mounted, route, head, view, credential, request=request)

    async def _view(self, mounted: Mounted) -> View:
        store, registry = self._authenticator.store, mounted.served.registry.name
        accepted = await store.accepted(registry) if mounted.verified else None
        return View(store.withheld(registry), accepted)


def _refusal(mounted: Mounted, head: Head, reason: Reason) -> Reply:
    link = f"{mounted.served.public_url}/-/reasons/{reason.code.value}"
    return mounted.served.ecosystem.render((reason,), link, head)


def _target(request: web.BaseRequest) -> tuple[str, str, str] | None:
    """Host, path and query of the request target; an absolute-form target's own authority counts (RFC 9112, 3.2.2)."""
    raw = request.raw_path
    host = request.headers.get("Host", "")
    if not raw.startswith("/"):
        absolute = urlsplit(raw)
        if absolute.scheme not in {"http", "https"} or not absolute.netloc or "@" in absolute.netloc:
            return None
        host, raw = absolute.netloc, raw[raw.index(absolute.netloc) + len(absolute.netloc) :] or "/"
    path, _, query = raw.partition("?")
    if not path.startswith("/") or "#" in raw or "\\" in path or len(request.headers.getall("Host", [])) > 1:
        return None
    return host, path, query


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The request's body as it comes; raises `BodyAborted` when it stops coming."""
    if (request.headers.get("Expect") or "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # as aiohttp does: the answer itself has not begun
    while True:
        try:
            async with asyncio.timeout(limits.BODY_IDLE_SECONDS):
                chunk = await request.content.readany()
        except (TimeoutError, ConnectionError, web.RequestPayloadError, HttpProcessingError) as error:
            raise BodyAborted(str(error)) from error
        if not chunk and request.content.at_eof():
            return
        yield chunk


