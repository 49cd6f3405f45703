"""The fast path of a read: documents are presented anew, files stream through, what is withheld is not there.

Under `reads: verified` a file is hashed as it streams and its last piece is held back: what is not what was accepted is
cut off before it is complete.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

import aiohttp
from aiohttp import web

from gateway.ecosystems.protocol import Head, Reply, Route, View
from gateway.errors import Malformed, UpstreamError
from gateway.model.digest import Measure
from gateway.proxy.mounts import Mounted
from gateway.proxy.protocol import SERVER
from gateway.reasons import Code, Reason

_CONDITIONAL: Final = ("range", "if-range", "if-none-match", "if-modified-since")
# What a registry may say to a reader; cookies, hop-by-hop headers, Location and its own Server stay behind.
_RELAYED: Final = ("Content-Type", "Content-Length", "Content-Range", "Accept-Ranges", "ETag", "Last-Modified")
_STATUSES: Final = frozenset({200, 206, 304, 404, 416})


async def document(mounted: Mounted, route: Route, head: Head, view: View, authorization: str | None) -> Reply:
    """Fetch one document and present it to this reader."""
    served = mounted.served
    try:
        answer = await served.upstream.document(route.path, {"Accept": "text/html"}, authorization=authorization)
        if answer.status == 200:
            return await asyncio.to_thread(served.ecosystem.present, route, answer.url, answer.body, view)
    except UpstreamError as error:
        return _refusal(mounted, head, Reason(Code.UPSTREAM_UNAVAILABLE, served.registry.name, got=error.problem))
    except Malformed as error:
        return _refusal(mounted, head, Reason(Code.UPSTREAM_UNAVAILABLE, error.about, got=error.problem))
    return _refusal(mounted, head, _not_here(answer.status, route))


async def file(
    mounted: Mounted, route: Route, head: Head, view: View, authorization: str | None, request: web.BaseRequest
) -> Reply | web.StreamResponse:
    """Stream one file through; where the view knows its digest, nothing else arrives whole."""
    canonical = route.file or ""
    if not view.shows(canonical):
        return _refusal(mounted, head, Reason(Code.FILE_WITHHELD, canonical))
    expected = view.accepted[canonical] if view.accepted is not None else None
    headers = {}
    if expected is None:  # a part of a file cannot be checked
        headers = {name: value for name in _CONDITIONAL if (value := head.header(name)) is not None}
    served = mounted.served
    try:
        async with served.upstream.open(head.method, route.path, headers, authorization=authorization) as upstream:
            if upstream.status not in _STATUSES or upstream.status == 404:
                return _refusal(mounted, head, _not_here(upstream.status, route))
            response = _response(upstream)
            await response.prepare(request)
            if head.method != "HEAD":
                await _stream(upstream, response, expected)
            await response.write_eof()
            return response
    except UpstreamError as error:
        if request.writer.output_size > 0:  # the answer is under way: cut it off, so that nobody takes it for whole
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError(error.problem) from error
        return _refusal(mounted, head, Reason(Code.UPSTREAM_UNAVAILABLE, served.registry.name, got=error.problem))


async def _stream(upstream: aiohttp.ClientResponse, response: web.StreamResponse, expected: str | None) -> None:
    if expected is None:
        async for chunk in upstream.content.iter_any():
            await response.write(chunk)
        return
    measured, held = Measure(), b""
    async for chunk in upstream.content.iter_any():
        measured.update(chunk)
        if held:
            await response.write(held)
        held = chunk
    if dict(measured.digests())["sha256"] != expected:
        raise UpstreamError("registry", "it serves other bytes than were accepted")
    with suppress(ConnectionResetError):
        await response.write(held)


def _response(upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    response = web.StreamResponse(status=upstream.status)
    for name in _RELAYED:
        if (value := upstream.headers.get(name)) is not None:
            response.headers[name] = value
    response.headers["Server"] = SERVER
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"
    return response


def _not_here(status: int, route: Route) -> Reason:
    """A registry's answer other than the thing itself. A redirect leads elsewhere and is never relayed: not here."""
    if status == 404 or 300 <= status < 400:
        return Reason(Code.NOT_FOUND, route.path)
    return Reason(Code.UPSTREAM_UNAVAILABLE, route.path, "200 from the registry", str(status))


def _refusal(mounted: Mounted, head: Head, reason: Reason) -> Reply:
    link = f"{mounted.served.public_url}/-/reasons/{reason.code.value}"
    return mounted.served.ecosystem.render((reason,), link, head)
