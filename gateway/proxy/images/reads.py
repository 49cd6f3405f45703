"""Reads of an OCI registry: manifests, blobs, tags and referrers, less what is hidden from whoever asks.

* Hidden content (it waits, was refused or withdrawn) is there for a grant that may publish or attach in its repository,
  and for nobody else. Such a grant also gets the newest push of a tag that waits: it must be signed.
* `reads: verified` shows what something accepted holds, and resolves a tag by the record. `reads: open` also shows what
  never came through the gateway, and asks the registry what a tag is.
* A manifest is hashed before it is served: nothing but the digest's bytes leaves under a digest. Blobs stream through.
* What was accepted here, or is asked for by a grant, is fetched with the gateway's credential; what anybody asks for
  (`read_auth: none`) and the record does not know, with none, so that the registry decides.
* A registry that answers with a redirect (to an object storage) is not followed, and its redirect not relayed.
"""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

from aiohttp import web
from cachetools import TTLCache

from gateway import limits
from gateway.config import ReadAuth
from gateway.ecosystems import oci_answers as answers
from gateway.ecosystems.oci_evidence import fallback_tag
from gateway.ecosystems.oci_manifest import INDEX, read_manifest
from gateway.ecosystems.oci_routes import BlobRead, ManifestRead, ReferrersRead, TagList
from gateway.ecosystems.protocol import Head, Reply
from gateway.errors import Malformed, UpstreamError
from gateway.model.content import Content, Sight
from gateway.model.digest import Digest
from gateway.model.names import oci_tag
from gateway.proxy import streaming
from gateway.proxy.images.asker import Asker, Need
from gateway.proxy.images.sights import Sights
from gateway.proxy.mounts import MountedDepot
from gateway.publish.images import client
from gateway.publish.images.client import Stored
from gateway.publish.images.depot import Depot
from gateway.reasons import Code, Reason
from gateway.store import Contents
from gateway.strict import json

log = logging.getLogger(__name__)
_FALLBACK: Final = re.compile(r"sha256-([0-9a-f]{64})")
_LEGACY: Final = re.compile(r"sha256-[0-9a-f]{64}\.[a-z]+")
_WHOLE: Final = re.compile(r"bytes \*/\d{1,18}")
_RELAYED: Final = ("Content-Length", "Content-Range", "Accept-Ranges")


class ImageReads:
    """Answers reads, for every depot: a `Reason` where there is nothing for this asker. Raises `UpstreamError`."""

    def __init__(self, contents: Contents) -> None:
        self._sights = Sights(contents)
        self._manifests: TTLCache[tuple[str, str, Digest, str | None], Stored] = TTLCache(
            limits.MANIFEST_CACHE, limits.MANIFEST_CACHE_SECONDS, getsizeof=lambda stored: len(stored.body) + 1024
        )
        self._missed: TTLCache[tuple[str, str, Digest | str], bool] = TTLCache(
            limits.MISSES, limits.MANIFEST_CACHE_SECONDS
        )

    def forget(self) -> None:
        """Let go of the manifests in memory: something was deleted."""
        self._manifests.clear()

    async def manifest(self, mounted: MountedDepot, asked: ManifestRead, who: Asker) -> Reply | Reason:
        """A manifest by digest or tag."""
        found: Stored | Reason
        if isinstance(asked.reference, Digest):
            found, digest = await self._by_digest(mounted, asked.repository, asked.reference, who), asked.reference
        else:
            found = await self._by_tag(mounted, asked.repository, asked.reference, who)
            digest = Digest("sha256", found.sha256 if isinstance(found, Stored) else "")
        if isinstance(found, Reason):
            return found
        headers = (
            ("Content-Type", found.media_type),
            ("Content-Length", str(len(found.body))),
            ("Docker-Content-Digest", str(digest)),
            ("ETag", f'"{digest}"'),
            answers.NOSNIFF,
            answers.VERSION,
        )
        return Reply(HTTPStatus.OK, "OK", b"" if asked.head else found.body, headers)

    async def blob(
        self, mounted: MountedDepot, asked: BlobRead, who: Asker, head: Head, request: web.BaseRequest
    ) -> web.StreamResponse | Reply | Reason:
        """A blob, or the part of it that is asked for, streamed."""
        depot, about = mounted.depot, f"{asked.repository}@{asked.digest}"
        sight = await self._sights.of_bytes(depot.place(asked.repository), asked.digest)
        if not _sees(mounted, asked.repository, sight, who):
            return Reason(Code.CONTENT_HIDDEN, about)
        authorization = _authorization(asked.repository, sight, who)
        part = head.header("range")
        sent = {} if part is None else {"Range": part}
        for repository in _repositories(depot, asked.repository, sight):
            path = f"/v2/{repository}/blobs/{asked.digest}"
            try:
                async with depot.upstream.open(head.method, path, sent, authorization=authorization) as upstream:
                    if upstream.status == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                        return Reply(upstream.status, "", b"", _range_of(upstream.headers.get("Content-Range", "")))
                    if upstream.status in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}:
                        response = streaming.relayed(upstream, _RELAYED)
                        response.headers["Content-Type"] = "application/octet-stream"
                        response.headers["Docker-Content-Digest"] = str(asked.digest)
                        await streaming.through(upstream, response, request)
                        return response
                    if not client.not_there(upstream.status, authorization):
                        wanted = "the blob itself from the registry"  # its storage's address is not for readers
                        return Reason(Code.UPSTREAM_UNAVAILABLE, about, wanted, str(upstream.status))
            except UpstreamError as error:
                streaming.cut_off(request, error)
                raise
        return Reason(Code.NOT_FOUND, about)

    async def mountable(self, mounted: MountedDepot, source: str, digest: Digest, who: Asker) -> bool:
        """Whether the asker may have a blob of this repository mounted elsewhere: hidden content never leaves."""
        may = who.may(Need.PULL, source)
        match await self._sights.of_bytes(mounted.depot.place(source), digest):
            case Sight.SHOWN:
                return may or mounted.read_auth is ReadAuth.NONE
            case Sight.UNKNOWN:  # the registry would be asked with our credential
                return may and not mounted.verified
            case Sight.HIDDEN:
                return False

    async def tags(self, mounted: MountedDepot, asked: TagList, who: Asker) -> Reply | Reason:
        """The tags that readers may see, in pages."""
        place = mounted.depot.place(asked.repository)
        known = await self._sights.tags(place)
        shown = {tag for tag, digest in known.items() if await self._sights.sight(place, digest) is Sight.SHOWN}
        there: set[str] | None = None
        if not mounted.verified:
            authorization = None if who.may(Need.PULL, asked.repository) else ""
            there = await _tags(mounted.depot, asked.repository, authorization)
            shown = shown if there is None else (shown & there) | (there - known.keys())
        if not known and there is None:
            return Reason(Code.NOT_FOUND, asked.repository)
        return answers.tag_list(asked, shown)

    async def referrers(self, mounted: MountedDepot, asked: ReferrersRead, who: Asker) -> Reply:
        """What refers to a digest; nothing where the digest is not for this asker, and never a 404."""
        return answers.referrers(asked, await self._referrers(mounted, asked.repository, asked.digest, who))

    # --- manifests ------------------------------------------------------------------------------------------------

    async def _by_digest(self, mounted: MountedDepot, repository: str, digest: Digest, who: Asker) -> Stored | Reason:
        depot, about = mounted.depot, f"{repository}@{digest}"
        sight = await self._sights.sight(depot.place(repository), digest)
        if not _sees(mounted, repository, sight, who):
            nowhere = sight is Sight.UNKNOWN and not await self._behind(mounted, repository, digest)
            return Reason(Code.NOT_FOUND if nowhere else Code.CONTENT_HIDDEN, about)
        authorization = _authorization(repository, sight, who)
        for place in _repositories(depot, repository, sight):
            key = (depot.registry.name, place, digest, authorization)
            stored = self._manifests.get(key) or await client.manifest(depot, place, digest, authorization)
            if stored is not None:
                self._keep(key, stored)
                seen = sight is not Sight.UNKNOWN or await self._seen(mounted, repository, stored, who)
                return stored if seen else Reason(Code.CONTENT_HIDDEN, about)
        return Reason(Code.NOT_FOUND, about)

    async def _by_tag(self, mounted: MountedDepot, repository: str, tag: str, who: Asker) -> Stored | Reason:
        place = mounted.depot.place(repository)
        waiting = await self._sights.waiting(place, tag)
        if waiting is not None and who.may(Need.PUSH, repository):
            return await self._by_digest(mounted, repository, waiting.digest, who)
        published = await self._sights.tag(place, tag)
        if published is not None and mounted.verified:
            return await self._by_digest(mounted, repository, published, who)
        if not mounted.verified or _LEGACY.fullmatch(tag):  # evidence is shown with its subject, whatever its name
            found = await self._of_registry(mounted, repository, tag, who)
            if found is not None:
                return found
        if published is not None and not who.may(Need.PULL, repository):  # the registry tells strangers nothing
            return await self._by_digest(mounted, repository, published, who)
        if subject := _FALLBACK.fullmatch(tag):
            listed = await self._referrers(mounted, repository, Digest("sha256", subject[1]), who)
            if listed:
                body = answers.referrers(ReferrersRead(repository, Digest("sha256", subject[1])), listed).body
                return Stored(body, INDEX, client.measured(body))
        hidden = waiting is not None or (mounted.verified and await self._behind(mounted, repository, tag))
        return Reason(Code.CONTENT_HIDDEN if hidden else Code.NOT_FOUND, f"{repository}:{tag}")

    async def _of_registry(
        self, mounted: MountedDepot, repository: str, tag: str, who: Asker
    ) -> Stored | Reason | None:
        """What the registry has under a tag, judged by its bytes; None where it has nothing."""
        authorization = None if mounted.verified or who.may(Need.PULL, repository) else ""
        places = [repository]
        if _LEGACY.fullmatch(tag) and who.may(Need.PUSH, repository):  # what cosign adds a signature to may wait too
            places.insert(0, mounted.depot.deposits(repository))
        stored = None
        for name in dict.fromkeys(places):
            stored = stored or await client.manifest(mounted.depot, name, tag, authorization)
        if stored is None:
            return None
        if await self._seen(mounted, repository, stored, who):
            return stored
        return Reason(Code.CONTENT_HIDDEN, f"{repository}:{tag}")

    async def _seen(self, mounted: MountedDepot, repository: str, stored: Stored, who: Asker) -> bool:
        """Whether the asker may see these bytes, by whichever of their digests the record knows them."""
        place = mounted.depot.place(repository)
        sights = {await self._sights.sight(place, digest) for digest in stored.digests}
        sight = next((one for one in (Sight.HIDDEN, Sight.SHOWN) if one in sights), Sight.UNKNOWN)
        return _sees(mounted, repository, sight, who)

    async def _behind(self, mounted: MountedDepot, repository: str, reference: Digest | str) -> bool:
        """Whether the registry has what never came through here; said once in a while, for the operator."""
        key = (mounted.depot.registry.name, repository, reference)
        if (known := self._missed.get(key)) is not None:
            return known
        stored = await client.manifest(mounted.depot, repository, reference)
        self._missed[key] = stored is not None
        if stored is not None:
            log.warning(
                "content-behind-gateway: registry=%s repository=%s reference=%s digest=sha256:%s: the registry has it,"
                " nothing accepted holds it, readers get 404",
                mounted.depot.registry.name,
                repository,
                reference,
                stored.sha256,
            )
        return stored is not None

    def _keep(self, key: tuple[str, str, Digest, str | None], stored: Stored) -> None:
        if len(stored.body) + 1024 <= limits.MANIFEST_CACHE and key not in self._manifests:
            self._manifests[key] = stored

    # --- referrers ------------------------------------------------------------------------------------------------

    async def _referrers(
        self, mounted: MountedDepot, repository: str, subject: Digest, who: Asker
    ) -> tuple[Content, ...]:
        place = mounted.depot.place(repository)
        sight = await self._sights.sight(place, subject)
        if not _sees(mounted, repository, sight, who):
            return ()
        found = {one.digest: one for one in await self._sights.referrers(place, subject)}
        if not mounted.verified:
            theirs = await _listed(mounted.depot, repository, subject, _authorization(repository, sight, who))
            found |= {one.digest: one for one in theirs if one.digest not in found}
        sights = {digest: await self._sights.sight(place, digest) for digest in found}
        return tuple(one for digest, one in found.items() if _sees(mounted, repository, sights[digest], who))


def _sees(mounted: MountedDepot, repository: str, sight: Sight, who: Asker) -> bool:
    """Whether content of this sight is there for whoever asks."""
    match sight:
        case Sight.SHOWN:
            return True
        case Sight.HIDDEN:
            return who.may(Need.PUSH, repository)
        case Sight.UNKNOWN:
            return not mounted.verified


def _authorization(repository: str, sight: Sight, who: Asker) -> str | None:
    """None is the gateway's own credential; it is not lent to strangers for what the record does not know."""
    return None if sight is Sight.SHOWN or who.may(Need.PULL, repository) else ""


def _range_of(said: str) -> tuple[tuple[str, str], ...]:
    return (("Content-Range", said),) if _WHOLE.fullmatch(said) else ()


def _repositories(depot: Depot, repository: str, sight: Sight) -> tuple[str, ...]:
    """Where the registry may keep content: what is hidden in the quarantine first."""
    return depot.places(repository) if sight is Sight.HIDDEN else (repository,)


async def _tags(depot: Depot, repository: str, authorization: str | None) -> set[str] | None:
    """Every tag that the registry has of a repository; None where it has none of that name."""
    found: set[str] = set()
    last = ""
    for _ in range(limits.TAG_PAGES):
        path = f"/v2/{repository}/tags/list?n={limits.TAGS_PAGE}" + (f"&last={quote(last, safe='')}" if last else "")
        answer = await depot.upstream.document(path, {}, authorization=authorization)
        if client.not_there(answer.status, authorization):
            return None
        if answer.status != HTTPStatus.OK:
            raise UpstreamError(depot.registry.name, f"its list of tags answered {answer.status}")
        page = _tag_names(depot, answer.body)
        found |= set(page)
        if "Link" not in answer.headers or not page:
            break
        last = max(page)
    return found


def _tag_names(depot: Depot, body: bytes) -> tuple[str, ...]:
    try:
        listed = json.optional(json.parse_object(body, "tags", limit=limits.INDEX_PAGE), "tags", list, "tags") or ()
        return tuple(oci_tag(tag) for tag in listed if isinstance(tag, str))
    except Malformed as error:
        raise UpstreamError(depot.registry.name, f"its list of tags cannot be read: {error.problem}") from error


async def _listed(depot: Depot, repository: str, subject: Digest, authorization: str | None) -> tuple[Content, ...]:
    """What the registry itself lists as referrers, or clients in its place; nothing where that cannot be read."""
    path = f"/v2/{repository}/referrers/{subject}"
    answer = await depot.upstream.document(path, {"Accept": INDEX}, authorization=authorization)
    body = answer.body if answer.status == HTTPStatus.OK else b""
    if not body:
        stored = await client.manifest(depot, repository, fallback_tag(subject), authorization)
        body = stored.body if stored is not None and stored.media_type == INDEX else b""
    try:
        return answers.listed(read_manifest(body, INDEX), subject) if body else ()
    except Malformed:
        return ()
