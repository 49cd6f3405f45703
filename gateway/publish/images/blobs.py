"""Blobs in: streamed to the registry piece by piece, noted before they can be read, never kept here.

Whatever way a client sends a blob, the registry gets it in three: a session is opened, bytes are patched to it, and a
PUT without a body ends it. Before that PUT the blob is noted as hidden, unless the registry had it before and we know
nothing of it: then it is not ours to hide. A session's address keeps the registry's own query byte for byte, below our
own path: it never leads elsewhere.

The digest is the registry's to check; what it refuses is told in our words, with the protocol's code.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, urlsplit

from gateway.ecosystems.oci_routes import SESSION, UploadStart, UploadStep
from gateway.ecosystems.protocol import Head, Reply
from gateway.errors import UpstreamError
from gateway.model.content import Content
from gateway.model.digest import Digest
from gateway.publish.images import client
from gateway.publish.images.depot import Depot
from gateway.reasons import Code, Reason
from gateway.store import Contents
from gateway.upstream import Answer

_OCTETS: Final = "application/octet-stream"
_QUERY: Final = re.compile(r"[!-~]{0,4096}")
_RANGE: Final = re.compile(r"(?:bytes=)?0-(\d{1,18})")
_CHUNK: Final = re.compile(r"(\d{1,18})-(\d{1,18})")
_UUID: Final = re.compile(r"[A-Za-z0-9_.=-]{1,200}")
# What a registry may say of a blob, and what we say instead.
_SAID: Final = {
    "DIGEST_INVALID": Code.DIGEST_INVALID,
    "SIZE_INVALID": Code.DIGEST_INVALID,
    "BLOB_UPLOAD_UNKNOWN": Code.NOT_FOUND,
    "BLOB_UPLOAD_INVALID": Code.UPLOAD_MALFORMED,
    "NAME_INVALID": Code.UPLOAD_MALFORMED,
    "TOOMANYREQUESTS": Code.UPSTREAM_UNAVAILABLE,
}
_STATUSES: Final = {404: Code.NOT_FOUND, 416: Code.CHUNK_OUT_OF_ORDER, 413: Code.UPLOAD_TOO_LARGE}


@dataclass(frozen=True, slots=True)
class _Session:
    """An upload under way, where the registry has it."""

    repository: str
    name: str
    query: str

    def path(self, *more: str) -> str:
        """The address at the registry; `more` are further parameters."""
        query = "&".join(part for part in (self.query, *more) if part)
        return f"/v2/{self.repository}/blobs/uploads/{self.name}" + (f"?{query}" if query else "")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a blob is not taken, and the headers that tell a client where its upload stands."""

    reason: Reason
    headers: tuple[tuple[str, str], ...] = ()


class _Stop(Exception):
    """A registry's answer, or a bound of ours, that ends an upload."""

    def __init__(self, reason: Reason, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(reason.line())
        self.refused = Refused(reason, headers)


class Blobs:
    """Takes blobs in, for every depot. Raises `UpstreamError`, and whatever a request's body raises."""

    def __init__(self, contents: Contents, now: Callable[[], datetime]) -> None:
        self._contents = contents
        self._now = now

    async def start(
        self, depot: Depot, request: UploadStart, head: Head, body: AsyncIterator[bytes]
    ) -> Reply | Refused:
        """Open an upload, or take a whole blob, or mount one; that the asker may mount it was looked at before."""
        try:
            if request.mount is not None and await self._mount(depot, request):
                return _created(request.repository, request.mount)
            session, answer = await self._open(depot, request.repository)
            if request.digest is None:
                return _accepted(request.repository, session, answer)
            _, session = await self._patch(depot, session, head, body, 0)
            return await self._finish(depot, request.repository, session, request.digest)
        except _Stop as stop:
            return stop.refused

    async def step(self, depot: Depot, request: UploadStep, head: Head, body: AsyncIterator[bytes]) -> Reply | Refused:
        """Carry out one step of an upload under way."""
        session = _Session(depot.deposits(request.repository), request.session, request.query)
        try:
            match request.method:
                case "GET":
                    answer = await self._status(depot, session)
                    return _progress(HTTPStatus.NO_CONTENT, request.repository, session, answer)
                case "DELETE":
                    return await self._cancel(depot, session)
                case "PATCH":
                    begun = await self._in_order(depot, request, session, head)
                    answer, after = await self._patch(depot, session, head, body, begun)
                    return _accepted(request.repository, after, answer)
                case _:
                    assert request.digest is not None
                    if not _empty(head):
                        begun = await self._in_order(depot, request, session, head)
                        _, session = await self._patch(depot, session, head, body, begun)
                    return await self._finish(depot, request.repository, session, request.digest)
        except _Stop as stop:
            return stop.refused

    # --- the steps ------------------------------------------------------------------------------------------------

    async def _open(self, depot: Depot, repository: str) -> tuple[_Session, Answer]:
        deposits = depot.deposits(repository)
        path = f"/v2/{deposits}/blobs/uploads/"
        answer = await depot.upstream.write("POST", path, {}, client.nothing(), 0)
        if answer.status != HTTPStatus.ACCEPTED:
            raise _Stop(_refused(depot, answer))
        return _session_of(depot, deposits, answer), answer

    async def _in_order(self, depot: Depot, request: UploadStep, session: _Session, head: Head) -> int:
        """Where the body goes on, where the client says so; docker-registry answers a wrong place with 500."""
        said = head.header("content-range")
        if said is None:
            return 0
        chunk = _CHUNK.fullmatch(said.strip())
        if chunk is None or int(chunk[2]) < int(chunk[1]):
            raise _Stop(Reason(Code.UPLOAD_MALFORMED, "Content-Range", "<first>-<last>", said))
        status = await self._status(depot, session)
        there = _size(status)
        if int(chunk[1]) == there or (there == 0 and int(chunk[1]) == 1):
            return int(chunk[1])  # the registry tells one byte and none in the same way, and knows better itself
        where = _progress(HTTPStatus.NO_CONTENT, request.repository, session, status).headers
        reason = Reason(Code.CHUNK_OUT_OF_ORDER, "Content-Range", f"a chunk from {there} on", said)
        raise _Stop(reason, tuple(header for header in where if header[0] in {"Location", "Range"}))

    async def _patch(
        self, depot: Depot, session: _Session, head: Head, body: AsyncIterator[bytes], begun: int
    ) -> tuple[Answer, _Session]:
        """Send a body on, bounded; what breaks off leaves what came so far, for a client that resumes."""
        said = head.header("content-length")
        length = int(said) if said is not None and said.isascii() and said.isdigit() else None
        if begun + (length or 0) > depot.max_blob:
            raise _Stop(await self._too_large(depot, session))
        pieces = _Bounded(body, depot.max_blob - begun)
        headers = {"Content-Type": _OCTETS}
        if (chunk := head.header("content-range")) is not None:
            headers["Content-Range"] = chunk.strip()
        try:
            answer = await depot.upstream.write("PATCH", session.path(), headers, pieces.pieces(), length)
        except UpstreamError:
            if pieces.failed is not None:
                raise pieces.failed from None  # it is the client's body that broke, not the registry
            if pieces.too_large:
                raise _Stop(await self._too_large(depot, session)) from None
            raise
        if answer.status not in {HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT} or answer.early:
            raise _Stop(_refused(depot, answer))
        after = _session_of(depot, session.repository, answer)
        if (_size(answer, 0) or 0) > depot.max_blob:  # of many patches without a Content-Range
            raise _Stop(await self._too_large(depot, after))
        return answer, after

    async def _finish(self, depot: Depot, repository: str, session: _Session, digest: Digest) -> Reply:
        """Note the blob, then have the registry check it and keep it."""
        place = depot.place(repository)
        if await self._contents.content(place, digest) is None:
            size = _size(await self._status(depot, session))
            if not await self._was_there(depot, repository, digest):
                await self._contents.journal(place, Content(digest, size, _OCTETS), self._now())
        answer = await depot.upstream.write("PUT", session.path(f"digest={digest}"), {}, client.nothing(), 0)
        if answer.status != HTTPStatus.CREATED:
            raise _Stop(_refused(depot, answer))
        return _created(repository, digest)

    async def _mount(self, depot: Depot, request: UploadStart) -> bool:
        """Have another repository's blob in this one too; False where the registry would have it sent instead."""
        repository, digest, source = request.repository, request.mount, request.source
        assert digest is not None
        assert source is not None
        deposits, place = depot.deposits(repository), depot.place(repository)
        if await self._contents.content(place, digest) is None and not await self._was_there(depot, repository, digest):
            size = await self._there(depot, source, digest)
            if size is None:
                return False
            await self._contents.journal(place, Content(digest, size, _OCTETS), self._now())
        path = f"/v2/{deposits}/blobs/uploads/?mount={digest}&from={source}"
        answer = await depot.upstream.write("POST", path, {}, client.nothing(), 0)
        if answer.status == HTTPStatus.ACCEPTED:
            await self._drop(depot, _session_of(depot, deposits, answer))
        return answer.status == HTTPStatus.CREATED

    async def _was_there(self, depot: Depot, repository: str, digest: Digest) -> bool:
        return await self._there(depot, repository, digest) is not None

    @staticmethod
    async def _there(depot: Depot, repository: str, digest: Digest) -> int | None:
        """The size of a blob that the registry has in a repository, None where it has it not."""
        path = f"/v2/{repository}/blobs/{digest}"
        async with depot.upstream.open("HEAD", path, {}) as response:
            if response.status == HTTPStatus.OK:
                return response.content_length or 0
            if response.status == HTTPStatus.NOT_FOUND:
                return None
            raise UpstreamError(depot.registry.name, f"{path} answered {response.status}")

    @staticmethod
    async def _status(depot: Depot, session: _Session) -> Answer:
        answer = await depot.upstream.document(session.path(), {})
        if answer.status not in {HTTPStatus.NO_CONTENT, HTTPStatus.ACCEPTED, HTTPStatus.OK}:
            raise _Stop(_refused(depot, answer))
        return answer

    async def _cancel(self, depot: Depot, session: _Session) -> Reply:
        answer = await self._drop(depot, session)
        if answer.status != HTTPStatus.NO_CONTENT:
            raise _Stop(_refused(depot, answer))
        return Reply(HTTPStatus.NO_CONTENT, "", b"")

    async def _too_large(self, depot: Depot, session: _Session) -> Reason:
        await self._drop(depot, session)
        return Reason(Code.UPLOAD_TOO_LARGE, "the blob", f"at most {depot.max_blob} bytes")

    @staticmethod
    async def _drop(depot: Depot, session: _Session) -> Answer:
        return await depot.upstream.write("DELETE", session.path(), {}, client.nothing(), 0)


class _Bounded:
    """A client's body on its way; remembers why it ended, which the registry's client does not tell."""

    def __init__(self, body: AsyncIterator[bytes], most: int) -> None:
        self._body = body
        self._left = most
        self.failed: Exception | None = None
        self.too_large = False

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body's pieces, until it ends, breaks off or is too long."""
        try:
            async for piece in self._body:
                self._left -= len(piece)
                if self._left < 0:
                    break
                yield piece
        except Exception as error:
            self.failed = error
            raise
        if self._left < 0:
            self.too_large = True
            raise ConnectionAbortedError("larger than the limit")


def _session_of(depot: Depot, deposits: str, answer: Answer) -> _Session:
    """The session that a registry's Location names; one that leads anywhere else is a fault of the registry."""
    location = answer.headers.get("Location", "")
    try:
        parts = urlsplit(location)
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    base = urlsplit(depot.upstream.base).path
    if parts.netloc:
        path = depot.upstream.within(location)
    else:  # of the whole origin, the base's path included
        path = parts.path.removeprefix(base) if parts.path.startswith(f"{base}/") else None
    prefix = f"/v2/{deposits}/blobs/uploads/"
    name = path.removeprefix(prefix) if path is not None and path.startswith(prefix) else ""
    if SESSION.fullmatch(name) is None or _QUERY.fullmatch(parts.query) is None:
        raise UpstreamError(depot.registry.name, "its Location of an upload leads elsewhere")
    return _Session(deposits, name, parts.query)


def _size(answer: Answer, absent: int | None = None) -> int:
    """How many bytes a session has; `0-0` stands for none and for one."""
    found = _RANGE.fullmatch(answer.headers.get("Range", ""))
    if found is None:
        if absent is None:
            raise UpstreamError(answer.url, "it does not say how much of an upload it has")
        return absent
    return int(found[1]) + 1 if int(found[1]) else 0


def _refused(depot: Depot, answer: Answer) -> Reason:
    """A registry's no as one of ours; its own words stay behind."""
    code = _SAID.get(_code_of(answer.body)) or _STATUSES.get(answer.status)
    if code is None or answer.early:
        said = f"{answer.status} {answer.reason}".strip()
        return Reason(Code.UPSTREAM_REFUSED, f"registry {depot.registry.name}", "the blob taken", said)
    about = {Code.NOT_FOUND: "this upload", Code.UPSTREAM_UNAVAILABLE: f"registry {depot.registry.name}"}
    return Reason(code, about.get(code, "the blob"))


def _code_of(body: bytes) -> str:
    try:
        return str(json.loads(body)["errors"][0]["code"])
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""


def _accepted(repository: str, session: _Session, answer: Answer) -> Reply:
    return _progress(HTTPStatus.ACCEPTED, repository, session, answer)


def _progress(status: HTTPStatus, repository: str, session: _Session, answer: Answer) -> Reply:
    """Where an upload stands, at an address of ours."""
    there = _RANGE.fullmatch(answer.headers.get("Range", ""))
    uuid = answer.headers.get("Docker-Upload-UUID", "")
    smallest = answer.headers.get("OCI-Chunk-Min-Length", "")
    headers = [("Location", _Session(repository, session.name, session.query).path())]
    headers += [("Range", f"0-{there[1]}")] if there else []
    headers += [("Docker-Upload-UUID", uuid)] if _UUID.fullmatch(uuid) else []
    headers += [("OCI-Chunk-Min-Length", smallest)] if smallest.isascii() and smallest.isdigit() else []
    return Reply(status, "", b"", tuple(headers))


def _created(repository: str, digest: Digest) -> Reply:
    where = f"/v2/{repository}/blobs/{digest}"
    return Reply(HTTPStatus.CREATED, "", b"", (("Location", where), ("Docker-Content-Digest", str(digest))))


def _empty(head: Head) -> bool:
    """Whether a PUT has no body, as its head says."""
    return head.header("transfer-encoding") is None and (head.header("content-length") or "0").strip("0") == ""
