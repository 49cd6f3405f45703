"""What is asked of a depot's registry: manifests and small blobs, whole, bounded, and checked against their digest.

What a registry serves under a digest is measured here; bytes that are not the digest's are a fault of the registry.
A tag is resolved by its manifest's bytes, never by what a header says of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gateway import limits
from gateway.ecosystems.oci_manifest import KINDS
from gateway.errors import UpstreamError
from gateway.model.digest import Digest, Measure
from gateway.publish.images.depot import Depot
from gateway.upstream import Answer

_ACCEPT: Final = ", ".join(KINDS)


class TooLong(UpstreamError):
    """Content is longer than it may be here; who pushed it may have said otherwise."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A manifest as the registry serves it, with the digests that were measured of it."""

    body: bytes
    media_type: str
    digests: tuple[Digest, ...]

    @property
    def sha256(self) -> str:
        """Its sha256, whatever digest it was asked for by."""
        return dict(self.digests)["sha256"]


def measured(body: bytes) -> tuple[Digest, ...]:
    """Every digest that a manifest may be addressed by."""
    running = Measure(("sha512",))
    running.update(body)
    return running.digests()


async def manifest(
    depot: Depot, repository: str, reference: Digest | str, authorization: str | None = None
) -> Stored | None:
    """A manifest by tag or digest, or None where the registry has none; raises `UpstreamError`.

    `authorization` is as in `Upstream.open`.
    """
    path = f"/v2/{repository}/manifests/{reference}"
    body, media_type = await _whole(depot, path, {"Accept": _ACCEPT}, limits.MANIFEST_BYTES, authorization)
    if body is None:
        return None
    digests = measured(body)
    if isinstance(reference, Digest) and reference not in digests:
        raise UpstreamError(depot.registry.name, f"{path} is served with other bytes")
    return Stored(body, media_type, digests)


def not_there(status: int, authorization: str | None) -> bool:
    """Whether a registry's answer says that it has nothing, or nothing for whoever shows no credential."""
    refused = authorization == "" and status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
    return refused or status == HTTPStatus.NOT_FOUND


async def blob(depot: Depot, repository: str, digest: Digest, limit: int) -> bytes | None:
    """A small blob, or None where the registry has none; raises `UpstreamError`, also where it is longer."""
    path = f"/v2/{repository}/blobs/{digest}"
    body, _ = await _whole(depot, path, {}, limit)
    if body is not None and digest not in measured(body):
        raise UpstreamError(depot.registry.name, f"{path} is served with other bytes")
    return body


async def holds(depot: Depot, repository: str, kind: str, digest: Digest) -> bool:
    """Whether the registry has a blob or a manifest (`kind` is the word in its path); raises `UpstreamError`."""
    path = f"/v2/{repository}/{kind}/{digest}"
    async with depot.upstream.open("HEAD", path, {"Accept": _ACCEPT}) as response:
        if response.status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND}:
            return response.status == HTTPStatus.OK
        raise UpstreamError(depot.registry.name, f"{path} answered {response.status}")


async def put_manifest(depot: Depot, repository: str, reference: Digest | str, media_type: str, body: bytes) -> Answer:
    """Store a manifest under a digest or a tag; raises `UpstreamError`."""
    path = f"/v2/{repository}/manifests/{reference}"
    return await depot.upstream.write("PUT", path, {"Content-Type": media_type}, _once(body), len(body))


async def mount(depot: Depot, repository: str, digest: Digest, source: str) -> Answer:
    """Have a blob of another repository in this one too; a 201 says that it is."""
    path = f"/v2/{repository}/blobs/uploads/?mount={digest}&from={source}"
    return await depot.upstream.write("POST", path, {}, nothing(), 0)


async def _whole(
    depot: Depot, path: str, headers: dict[str, str], limit: int, authorization: str | None = None
) -> tuple[bytes | None, str]:
    async with depot.upstream.open("GET", path, headers, authorization=authorization) as response:
        if not_there(response.status, authorization):
            return None, ""
        if response.status != HTTPStatus.OK:
            raise UpstreamError(depot.registry.name, f"{path} answered {response.status}")
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > limit:
                response.close()
                raise TooLong(depot.registry.name, f"{path} is longer than {limit} bytes")
        return bytes(body), response.headers.get("Content-Type", "")


async def _once(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body


async def nothing() -> AsyncIterator[bytes]:
    """The body of a write that has none."""
    return
    yield b""
