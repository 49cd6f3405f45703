"""A body on its way to a reader: one piece after the other, and never for whole where it is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import aiohttp
from aiohttp import web

from gateway import limits
from gateway.errors import UpstreamError
from gateway.proxy.protocol import SERVER


async def write(response: web.StreamResponse, chunk: bytes) -> None:
    """Send one piece; a reader who takes nothing for too long is let go, and the registry with him."""
    async with asyncio.timeout(limits.BODY_IDLE_SECONDS):
        await response.write(chunk)


def relayed(upstream: aiohttp.ClientResponse, names: Iterable[str]) -> web.StreamResponse:
    """An answer with the registry's status and those of its headers that are named and can be sent."""
    response = web.StreamResponse(status=upstream.status)
    for name in names:
        value = upstream.headers.get(name)
        if value is not None and value.isascii() and value.isprintable():
            response.headers[name] = value
    response.headers["Server"] = SERVER
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = "sandbox"
    return response


async def through(upstream: aiohttp.ClientResponse, response: web.StreamResponse, request: web.BaseRequest) -> None:
    """Stream the registry's body to the reader."""
    await response.prepare(request)
    async for chunk in upstream.content.iter_any():
        await write(response, chunk)
    await response.write_eof()


def cut_off(request: web.BaseRequest, error: UpstreamError) -> None:
    """End an answer that is under way, so that nobody takes it for whole; nothing where it has not begun."""
    if request.writer.output_size == 0:
        return
    if request.transport is not None:
        request.transport.abort()
    raise ConnectionResetError(error.problem) from error
