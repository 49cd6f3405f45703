"""`Upstream`: the only way from the gateway to a registry; the credential is the gateway's, never the client's.

Rules kept here:

* The credential goes to the configured origin and nowhere else; a redirect is never followed (CONTRACTS A.4).
* Reads come from a pool; a write has a connection of its own, so that one that was answered early is never used again
  (CONTRACTS F.5).
* A yes that comes before the whole body was sent is no yes: `Answer.early` says so, and the caller compares.
* Bodies are bounded in time between two reads and two writes; documents and replies to writes in bytes and as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from gateway import limits
from gateway.errors import UpstreamError
from gateway.reasons import one_line

_FAULTS: Final = (aiohttp.ClientError, TimeoutError, OSError, asyncio.IncompleteReadError)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry said to a write, or a whole document it served; `url` is the address that was asked.

    `early` says that it answered a write before it had been sent the whole body.
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    url: str
    early: bool = False


class NothingSent(UpstreamError):
    """The registry was not reached: not one byte of the body left, so nothing can have become of it."""


class Upstream:
    """One registry's address and credential; `authorization` is a whole header value, or None to send none."""

    def __init__(self, name: str, base: str, authorization: str | None) -> None:
        self.name = name
        self.base = base.rstrip("/")
        self.writes = 0  # that have ended, however
        self._authorization = authorization
        self._reads: aiohttp.ClientSession | None = None
        self._writes: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        # Without a limit: each connection belongs to one request of ours, and a reader who takes his time must not keep
        # a publish from looking at the index.
        self._reads = _session(aiohttp.TCPConnector(limit=0, keepalive_timeout=30))
        self._writes = _session(aiohttp.TCPConnector(limit=0, force_close=True))
        return self

    async def __aexit__(self, *_: object) -> None:
        for session in (self._reads, self._writes):
            if session is not None:
                await session.close()

    def address(self, path: str) -> str:
        """The full address of a path below the registry's base."""
        return self.base + path

    def within(self, url: str) -> str | None:
        """The path below the base that an absolute address names, or None where it leaves this registry."""
        ours, theirs = urlsplit(self.base), urlsplit(url)
        if (ours.scheme, ours.netloc) != (theirs.scheme, theirs.netloc):
            return None
        inside = theirs.path == ours.path or theirs.path.startswith(ours.path + "/")
        return theirs.path[len(ours.path) :] if inside else None

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        authorization: str | None = None,
        body: bytes | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a read and yield the answer, its body still to come; raises `UpstreamError`.

        `authorization` replaces the gateway's own credential (`read_auth: passthrough`); an empty text sends none.
        """
        session = self._ready(self._reads)
        sent = self._headers(headers, authorization)
        try:
            async with session.request(
                method, URL(self.address(path), encoded=True), headers=sent, data=body, allow_redirects=False
            ) as response:
                yield response
        except _FAULTS as error:
            raise UpstreamError(self.name, _said(error)) from error

    async def document(
        self, path: str, headers: Mapping[str, str], *, authorization: str | None = None, body: bytes | None = None
    ) -> Answer:
        """Read one whole document; raises `UpstreamError`, also where it is too long or takes too long.

        A `body` makes the read a POST.
        """
        try:
            async with (
                asyncio.timeout(limits.DOCUMENT_SECONDS),
                self.open(
                    "GET" if body is None else "POST", path, headers, authorization=authorization, body=body
                ) as response,
            ):
                body = await _bounded(response, limits.INDEX_PAGE)
        except TimeoutError as error:
            raise UpstreamError(self.name, f"{path} took longer than {limits.DOCUMENT_SECONDS:g} seconds") from error
        if body is None:
            raise UpstreamError(self.name, f"{path} is longer than {limits.INDEX_PAGE} bytes")
        if response.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UpstreamError(self.name, f"{path} came compressed, which was not asked for")
        return Answer(response.status, _plain(response.reason), response.headers, body, self.address(path))

    async def write(
        self, method: str, path: str, headers: Mapping[str, str], body: AsyncIterator[bytes], length: int | None
    ) -> Answer:
        """Send one write with the gateway's credential and return what the registry said; raises `UpstreamError`.

        `length` None sends the body in chunks, for one whose end is not known yet.

        An error other than `NothingSent` may leave the registry with part of the body, now or a moment later: the
        caller must compare what it serves.
        """
        session = self._ready(self._writes)
        sent = self._headers(headers, None) | ({} if length is None else {"Content-Length": str(length)})
        sending = _Sending()
        try:
            async with (
                asyncio.timeout(None) as patience,
                session.request(
                    method,
                    URL(self.address(path), encoded=True),
                    headers=sent,
                    data=sending.pieces(body, patience),
                    allow_redirects=False,
                ) as response,
            ):
                early = not sending.whole
                kept = await _bounded(response, limits.REPLY_BODY) or b""
                return Answer(
                    response.status, _plain(response.reason), response.headers, kept, self.address(path), early
                )
        except _FAULTS as error:
            raise (UpstreamError if sending.begun else NothingSent)(self.name, _said(error)) from error
        finally:
            self.writes += 1

    def _headers(self, headers: Mapping[str, str], authorization: str | None) -> dict[str, str]:
        credential = self._authorization if authorization is None else authorization
        return {**headers, **({"Authorization": credential} if credential else {})}

    def _ready(self, session: aiohttp.ClientSession | None) -> aiohttp.ClientSession:
        if session is None:
            raise RuntimeError("an Upstream is used inside its async with")
        return session


@dataclass(slots=True)
class _Sending:
    """How far a body has gone. aiohttp's own time between two reads counts from the end of the body only."""

    begun: bool = False
    whole: bool = False

    async def pieces(self, body: AsyncIterator[bytes], patience: asyncio.Timeout) -> AsyncIterator[bytes]:
        """Pass the body on; each piece, and the answer after the last, must be taken in time."""
        loop = asyncio.get_running_loop()
        async for piece in body:
            self.begun = True
            patience.reschedule(loop.time() + limits.UPSTREAM_IDLE_SECONDS)
            yield piece
        patience.reschedule(loop.time() + limits.UPSTREAM_IDLE_SECONDS)
        self.whole = True


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        headers={"User-Agent": "provgate", "Accept-Encoding": "identity"},
        timeout=aiohttp.ClientTimeout(
            total=None, sock_connect=limits.UPSTREAM_CONNECT_SECONDS, sock_read=limits.UPSTREAM_IDLE_SECONDS
        ),
        read_bufsize=limits.CHUNK,
        max_line_size=limits.HEADER_LINE,
        max_field_size=limits.HEADER_LINE,
    )


async def _bounded(response: aiohttp.ClientResponse, limit: int) -> bytes | None:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > limit:
            response.close()
            return None
    return bytes(body)


def _said(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    return _plain(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)


def _plain(text: str | None) -> str:
    """The registry's own words, as text that can be recorded: they may hold bytes that are no characters at all."""
    return one_line(text or "", limits.REPLY_WORDS)
