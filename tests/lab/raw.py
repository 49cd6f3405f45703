"""Requests byte by byte: what no HTTP client would send."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import urlsplit

BOUNDARY = "lab-boundary"


def part(name: str, value: bytes | str, *, filename: str | None = None, extra: str = "") -> bytes:
    """One part of a form; `extra` goes into the Content-Disposition or, after a newline, adds headers."""
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    head = f"Content-Disposition: {disposition}{extra}\r\n\r\n"
    return head.encode() + (value.encode() if isinstance(value, str) else value)


def form(parts: Iterable[bytes], boundary: str = BOUNDARY) -> bytes:
    """A whole form of these parts."""
    return b"".join(f"--{boundary}\r\n".encode() + p + b"\r\n" for p in parts) + f"--{boundary}--\r\n".encode()


def post(body: bytes, token: str, *, path: str = "/pypi/", boundary: str = BOUNDARY, extra: str = "") -> bytes:
    """A whole POST of a form, with Content-Length."""
    credential = base64.b64encode(f"__token__:{token}".encode()).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: gate\r\nAuthorization: Basic {credential}\r\n"
        f"Content-Type: multipart/form-data; boundary={boundary}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    )
    return head.encode() + body


async def connect(base: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open a connection to a server's address."""
    where = urlsplit(base)
    return await asyncio.open_connection(where.hostname, where.port)


async def exchange(base: str, sent: bytes, *, seconds: float = 10.0) -> tuple[int, bytes]:
    """Send bytes and read until the server closes or has answered once; status 0 is no answer at all."""
    reader, writer = await connect(base)
    try:
        writer.write(sent)
        async with asyncio.timeout(seconds):
            return await answer(reader)
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader, *, has_body: bool = True) -> tuple[int, bytes]:
    """Read one answer: its status and everything of it; an answer to HEAD has no body."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        return 0, error.partial
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    body = await reader.readexactly(length if has_body else 0)
    return int(head.split(b" ", 2)[1]), head + body


async def everything(base: str, sent: bytes, *, seconds: float = 10.0) -> bytes:
    """Send bytes and return all that comes until the server closes; a reset ends it too."""
    reader, writer = await connect(base)
    got = bytearray()
    try:
        async with asyncio.timeout(seconds):
            with suppress(ConnectionError):
                writer.write(sent)
                while piece := await reader.read(1 << 16):
                    got += piece
    finally:
        writer.close()
    return bytes(got)


def code(answer: bytes) -> str:
    """The code that an answer's reason phrase begins with, which must stand in its body too (no body answers HEAD)."""
    head, _, body = answer.partition(b"\r\n\r\n")
    match = re.fullmatch(rb"HTTP/\d\.\d \d{3} ([a-z-]+): [ -~]*", head.split(b"\r\n", 1)[0])
    assert match is not None, answer[:200]
    assert not body or match[1] in body
    return match[1].decode()
