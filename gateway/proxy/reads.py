"""The fast path of a read: documents are presented anew, files stream through, what is withheld is not there.

Under `reads: verified` a file is hashed as it streams and its last piece is held back: what is not what was accepted is
cut off before it is complete. A part of a file cannot be verified, so there the whole is asked for and sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import aiohttp
from aiohttp import web

from gateway import limits
from gateway.config import ReadAuth
from gateway.ecosystems.protocol import Head, Reply, Route, View
from gateway.errors import Malformed, UpstreamError
from gateway.model.digest import Measure
from gateway.proxy import streaming
from gateway.proxy.mounts import Mounted
from gateway.proxy.pages import Page
from gateway.publish.body import bounded
from gateway.reasons import Code, Reason

_CONDITIONAL: Final = ("range", "if-range", "if-none-match", "if-modified-since")
_DESCRIBING: Final = ("content-type", "content-encoding", "accept")  # what goes on of a posted read's head
# What a registry may say to a reader; cookies, hop-by-hop headers, Location and its own Server stay behind.
_WHOLE: Final = ("Content-Type", "Content-Length", "ETag", "Last-Modified")
_RELAYED: Final = (*_WHOLE, "Content-Range", "Accept-Ranges")
_STATUSES: Final = frozenset({200, 206, 304, 416})


async def document(
    mounted: Mounted, route: Route, head: Head, view: View, authorization: str | None, *, old: Page | None = None
) -> Page | Reply:
    """Fetch one document and present it to this reader; `old` is shown where the registry says that it still stands."""
    served = mounted.served
    asked = {"Accept": route.accept} | ({"If-None-Match": old.etag} if old is not None and old.etag else {})
    try:
        answer = await served.upstream.document(route.path, asked, authorization=authorization)
        if answer.status == 200:
            reply = await asyncio.to_thread(served.ecosystem.present, route, answer.url, answer.body, view)
            return Page(reply, answer.headers.get("ETag"))
        if answer.status == 304 and old is not None and old.etag:
            return old
    except UpstreamError as error:
        return _refusal(mounted, head, Reason(Code.UPSTREAM_UNAVAILABLE, served.registry.name, got=error.problem))
    except Malformed as error:
        return _refusal(mounted, head, Reason(Code.UPSTREAM_UNAVAILABLE, error.about, got=error.problem))
    return _refusal(mounted, head, _not_here(answer.status, route, mounted, authorization))


async def file(
    mounted: Mounted, route: Route, head: Head, view: View, authorization: str | None, *, request: web.BaseRequest
) -> Reply | web.StreamResponse:
    """Stream one file through; where the view knows its digest, nothing else arrives whole."""
    canonical = route.file or ""
    if not view.shows(canonical) or (route.derived and view.accepted is not None):
        return _refusal(mounted, head, Reason(Code.FILE_WITHHELD, canonical))
    expected = view.accepted[canonical] if view.accepted is not None else None
    headers = {}
    if expected is None:  # a part of a file cannot be checked
        headers = {name: value for name in _CONDITIONAL if (value := head.header(name)) is not None}
    served = mounted.served
    try:
        async with served.upstream.open(head.method, route.path, headers, authorization=authorization) as upstream:
            if upstream.status != 200 and (expected is not None or upstream.status not in _STATUSES):
                return _refusal(mounted, head, _not_here(upstream.status, route, mounted, authorization))
            response = streaming.relayed(upstream, _RELAYED if expected is None else _WHOLE)
            if expected is None or head.method == "HEAD":
                await streaming.through(upstream, response, request)
            else:
                await _verified(upstream, response, request, expected)
                await response.write_eof()
            return response
    except UpstreamError as error:
        streaming.cut_off(request, error)
        return _refusal(mounted, head, Reason(Code.UPSTREAM_UNAVAILABLE, served.registry.name, got=error.problem))


async def posted(
    mounted: Mounted, route: Route, head: Head, body: AsyncIterator[bytes], authorization: str | None
) -> Reply:
    """Pass a read that is a POST on, its body undecoded (npm's audits are gzipped), and the registry's answer back."""
    served = mounted.served
    sending = await bounded(body, limits.POSTED_READ)
    if isinstance(sending, Reason):
        return _refusal(mounted, head, sending)
    sent = {name: value for name in _DESCRIBING if (value := head.header(name)) is not None}
    try:
        answer = await served.upstream.document(route.path, sent, authorization=authorization, body=sending)
    except UpstreamError as error:
        return _refusal(mounted, head, Reason(Code.UPSTREAM_UNAVAILABLE, served.registry.name, got=error.problem))
    if answer.status != 200:
        return _refusal(mounted, head, _not_here(answer.status, route, mounted, authorization))
    return Reply(200, "OK", answer.body, (("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")))


async def _verified(
    upstream: aiohttp.ClientResponse, response: web.StreamResponse, request: web.BaseRequest, expected: str
) -> None:
    """Stream a file and keep its last piece back until its digest is known; a small file's head waits too."""
    measured, held = Measure(), b""
    async for chunk in upstream.content.iter_any():
        measured.update(chunk)
        if held:
            if not response.prepared:
                await response.prepare(request)
            await streaming.write(response, held)
        held = chunk
    if dict(measured.digests())["sha256"] != expected:
        raise UpstreamError("registry", "it serves other bytes than were accepted")
    if not response.prepared:
        await response.prepare(request)
    await streaming.write(response, held)


def _not_here(status: int, route: Route, mounted: Mounted, authorization: str | None) -> Reason:
    """A registry's answer other than the thing itself. A redirect leads elsewhere and is never relayed: not here."""
    if status == 404 or 300 <= status < 400:
        return Reason(Code.NOT_FOUND, route.path)
    if mounted.read_auth is ReadAuth.PASSTHROUGH and status in {401, 403}:  # its word on the reader's own credential
        code = {401: Code.CREDENTIAL_INVALID, 403: Code.CREDENTIAL_SCOPE}[status]
        code = code if authorization else Code.CREDENTIAL_MISSING
        return Reason(code, "Authorization", "a credential that the registry takes")
    return Reason(Code.UPSTREAM_UNAVAILABLE, route.path, "200 from the registry", str(status))


def _refusal(mounted: Mounted, head: Head, reason: Reason) -> Reply:
    link = f"{mounted.served.public_url}/-/reasons/{reason.code.value}"
    return mounted.served.ecosystem.render((reason,), link, head)
