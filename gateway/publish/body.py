"""A request's body that is small enough to be held whole."""

from __future__ import annotations

from collections.abc import AsyncIterator

from gateway.errors import TooLarge
from gateway.reasons import Code, Reason


async def whole(body: AsyncIterator[bytes], about: str, limit: int) -> bytes:
    """Take a body of at most `limit` bytes; raises `TooLarge`, and reads no more of it, where there is more."""
    taken = bytearray()
    async for chunk in body:
        taken += chunk
        if len(taken) > limit:
            raise TooLarge(about, f"{limit} bytes")
    return bytes(taken)


async def bounded(body: AsyncIterator[bytes], limit: int) -> bytes | Reason:
    """As `whole`, with a verdict in place of an exception."""
    try:
        return await whole(body, "the request's body", limit)
    except TooLarge as error:
        return Reason(Code.UPLOAD_TOO_LARGE, error.about, f"at most {error.limit}")
