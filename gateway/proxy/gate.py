"""`Gate`: every request's way in. Own pages first, then the registry by host and mount, then the protocol's route.

1. Find whom the request is for: the gateway's own pages beat any mount (CONTRACTS B.1); no registry is a 404.
2. Let the protocol recognise it; unknown is refused, reads and writes alike.
3. A write with a Content-Encoding is 415, undecoded (CONTRACTS F.1).
4. Find out who asks; a write without a grant is 401 before its body is read.
5. A read takes the fast path; a publish or a mutation is handed to `publish`.

A registry of content by digest (OCI) has a way of its own from 2 on: `gateway.proxy.images`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from aiohttp import HttpVersion11, web

from gateway import limits
from gateway.config import ReadAuth
from gateway.ecosystems.protocol import Head, Login, Refused, Reply, Route, Verb, View
from gateway.errors import StoreError
from gateway.model.case import Action
from gateway.model.digest import Digest
from gateway.proxy import head as heads
from gateway.proxy import reads
from gateway.proxy.authenticate import Authenticator
from gateway.proxy.images.gate import DepotGate
from gateway.proxy.mounts import Mount, Mounted, MountedDepot, find
from gateway.proxy.pages import Page, Pages, State
from gateway.proxy.protocol import GateProtocol, plain_reply, response_of
from gateway.publish.body import bounded
from gateway.publish.mutate import Asked
from gateway.publish.publish import BodyAborted, Publisher
from gateway.publish.surroundings import Surroundings
from gateway.reasons import Code, Reason

log = logging.getLogger(__name__)
Own = Callable[[Head, AsyncIterator[bytes]], Awaitable[Reply]]
OWN: Final = "/-/"
_ACTIONS: Final = {Verb.PUBLISH: Action.PUBLISH, Verb.MUTATE: Action.MUTATE}
# Below it, what beats any mount; a registry at the root of its host keeps the rest (npm's `/-/npm`).
_OWN_NAMES: Final = frozenset({"d", "reasons", "evidence", "token", "healthz", "readyz", "metrics"})


class BodyMalformed(BodyAborted):
    """The client broke the framing of its request's body: the rest of it cannot be told from a next request."""


class Gate:
    """The handler of every request. `own` answers the gateway's own addresses, below `/-/`."""

    def __init__(
        self,
        mounts: Sequence[Mount],
        publisher: Publisher,
        depots: DepotGate,
        authenticator: Authenticator,
        own: Own,
        *,
        around: Surroundings,
        pages: Pages,
    ) -> None:
        self._mounts = tuple(mounts)
        self._publisher = publisher
        self._depots = depots
        self._authenticator = authenticator
        self._own = own
        self._around = around
        self._pages = pages

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        if isinstance(request.protocol, GateProtocol):
            request.protocol.head_came()
        came = heads.read(request)
        answer = plain_reply(came) if isinstance(came, Reason) else await self._answer(*came, request)
        response = response_of(answer) if isinstance(answer, Reply) else answer
        if isinstance(came, Reason) or _unfinished(request):
            response.force_close()  # whatever follows on this connection is not read as a request
            if isinstance(request.protocol, GateProtocol):
                request.protocol.answered_early()
        return response

    async def _answer(self, host: str, head: Head, request: web.BaseRequest) -> Reply | web.StreamResponse:
        try:
            return await self._dispatch(host, head, request)
        except BodyMalformed:
            return plain_reply(Reason(Code.REQUEST_MALFORMED, "the request's body", "framed as RFC 9112 says"))
        except BodyAborted:
            return plain_reply(Reason(Code.REQUEST_TIMEOUT, "the request's body", "the whole body"))
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400 - one line, no traceback
            return plain_reply(Reason(Code.RECORD_UNAVAILABLE, "the gateway's record"))

    async def _dispatch(self, host: str, head: Head, request: web.BaseRequest) -> Reply | web.StreamResponse:
        found = find(self._mounts, host, head.path, _port(request))  # 1
        if _is_own(head.path, found[0] if found else None):
            return await self._own(head, _body(request))
        if found is None:
            return plain_reply(_unknown(head.path, head))
        mounted, below = found
        head = replace(head, path=below)
        if isinstance(mounted, MountedDepot):
            return await self._depots(mounted, head, request, _body(request))
        route = mounted.served.ecosystem.route(head)  # 2
        match route.verb:
            case Verb.READ:
                return await self._read(mounted, route, head, request)
            case Verb.OWN:
                return await self._answered(mounted, route, head, request)
            case Verb.PUBLISH | Verb.MUTATE:
                return await self._written(mounted, route, head, request)
            case Verb.DEPOSIT | Verb.EVIDENCE | Verb.UNKNOWN:
                return _refusal(mounted, head, route.problem or _unknown(f"{mounted.mount}{head.path}", head))

    async def _answered(self, mounted: Mounted, route: Route, head: Head, request: web.BaseRequest) -> Reply:
        """Answer what the registry is not asked: with a grant of any kind where there is one."""
        registry = mounted.served.registry.name
        if route.login is not None:
            return await self._logged_in(mounted, route.login, head, request)
        found = await self._authenticator.grant(head, registry, None, None, self._around.now())
        view = await self._view(mounted, route)
        if isinstance(found, Reason):
            return mounted.served.ecosystem.answer(route, None, view) or _refusal(mounted, head, found)
        return mounted.served.ecosystem.answer(route, found, view) or _refusal(mounted, head, _unknown(head.path, head))

    async def _logged_in(
        self, mounted: Mounted, read: Callable[[bytes], Login | Refused], head: Head, request: web.BaseRequest
    ) -> Reply:
        """Answer a login whose password is a token of this registry; no account of the registry's is asked."""
        body = await bounded(_body(request), limits.MUTATION_BODY)
        login = body if isinstance(body, Reason) else read(body)
        if isinstance(login, Reason):
            return _refusal(mounted, head, login)
        if isinstance(login, Refused):
            return _refusal(mounted, head, *login.reasons)
        presented = replace(head, headers=(("Authorization", f"Bearer {login.token}"),))
        registry = mounted.served.registry.name
        found = await self._authenticator.grant(presented, registry, None, None, self._around.now())
        return _refusal(mounted, head, found) if isinstance(found, Reason) else login.done

    async def _written(self, mounted: Mounted, route: Route, head: Head, request: web.BaseRequest) -> Reply:
        if any(name.lower() == "content-encoding" for name, _ in head.headers):  # 3
            reason = Reason(Code.CONTENT_ENCODING, "Content-Encoding", "none", head.header("content-encoding") or "")
            return _refusal(mounted, head, reason)
        registry = mounted.served.registry.name
        found = await self._authenticator.grant(head, registry, None, _ACTIONS[route.verb], self._around.now())  # 4
        if isinstance(found, Reason) and route.package is not None:  # it may turn out to be a mutation
            mutating = await self._authenticator.grant(head, registry, None, Action.MUTATE, self._around.now())
            found = found if isinstance(mutating, Reason) else mutating
        if isinstance(found, Reason):
            return _refusal(mounted, head, found)
        revision = self._publisher.trust.policy.revision
        asked = Asked(mounted.served, head, found, revision, partial(self._view, mounted, route))
        if route.verb is Verb.MUTATE:
            return await self._publisher.mutations.request(asked, _body(request))
        return await self._publisher.publish(asked, _body(request))  # 5

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
        if route.posted:
            return await reads.posted(mounted, route, head, _body(request), credential)
        if route.document:
            reply = await self._document(mounted, route, head, credential)
            return reply if head.method != "HEAD" else Reply(reply.status, reply.reason, b"", reply.headers)
        view = await self._view(mounted, route)
        return await reads.file(mounted, route, head, view, credential, request=request)

    async def _document(self, mounted: Mounted, route: Route, head: Head, credential: str | None) -> Reply:
        """A document as it was shown a moment ago, or made anew."""
        registry, now = mounted.served.registry.name, asyncio.get_running_loop().time()
        state = State(
            self._authenticator.store.contents.version(),
            mounted.served.upstream.writes,
            mounted.served.keys.at(self._around.now()),
            self._public(),
        )
        asked = partial(reads.document, mounted, route, head)
        if mounted.read_auth is ReadAuth.PASSTHROUGH or "?" in route.path:  # a search has too many pages to keep
            page = await asked(await self._view(mounted, route), credential)
            return page.reply if isinstance(page, Page) else page
        async with self._pages.behind(registry, route, state):
            old = self._pages.find(registry, route, state)
            if old is not None and now < old.until:
                return old.reply
            page = await asked(await self._view(mounted, route), credential, old=old)
            if isinstance(page, Page):
                self._pages.keep(registry, route, state, page, now)
            return page.reply if isinstance(page, Page) else page

    def _public(self) -> frozenset[str]:
        return frozenset(root.name for root in self._publisher.trust.roots if root.public_good)

    async def _view(self, mounted: Mounted, route: Route) -> View:
        store, registry = self._authenticator.store, mounted.served.registry.name
        vouched = await store.vouched(registry)
        bundles = {}
        if route.proved is not None and (known := vouched.get(route.proved)):
            kept = await store.kept_evidence(Digest("sha256", known.sha256))
            bundles = {piece.ref.id: piece.body for piece, _ in kept}
        return View(
            store.withheld(registry),
            await store.accepted(registry) if mounted.verified else None,
            mounted.served.address,
            vouched,
            mounted.served.keys.at(self._around.now()),
            self._public(),
            bundles,
        )


def _is_own(path: str, mounted: Mount | None) -> bool:
    if not path.startswith(OWN):
        return False
    return mounted is None or mounted.mount != "" or path.removeprefix(OWN).partition("/")[0] in _OWN_NAMES


def _unknown(path: str, head: Head) -> Reason:
    return Reason(Code.ROUTE_UNKNOWN, f"{head.method} {path}")


def _refusal(mounted: Mounted, head: Head, *reasons: Reason) -> Reply:
    link = f"{mounted.served.public_url}/-/reasons/{reasons[0].code.value}"
    return mounted.served.ecosystem.render(reasons, link, head)


def _port(request: web.BaseRequest) -> int | None:
    """The port that the request came in by; None once the connection is gone."""
    name = request.transport.get_extra_info("sockname") if request.transport is not None else None
    return int(name[1]) if name else None


def _unfinished(request: web.BaseRequest) -> bool:
    """Whether a body is left, or broke, or something may follow that aiohttp loses (behind an offer to upgrade).

    What is left of a body is drained for a while, so that the client gets to read the answer.
    """
    body = request.content
    return not body.is_eof() or body.exception() is not None or "Upgrade" in request.headers


async def _body(request: web.BaseRequest) -> AsyncIterator[bytes]:
    """The request's body as it comes; raises `BodyAborted` when it stops coming, `BodyMalformed` when it is none."""
    try:
        if request.version == HttpVersion11 and (request.headers.get("Expect") or "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # as aiohttp does: the answer itself has not begun
        while True:
            async with asyncio.timeout(limits.BODY_IDLE_SECONDS):
                chunk = await request.content.readany()
            if not chunk and request.content.at_eof():
                return
            yield chunk
    except web.RequestPayloadError as error:
        raise BodyMalformed(str(error)) from error
    except (TimeoutError, ConnectionError) as error:
        raise BodyAborted(str(error)) from error
