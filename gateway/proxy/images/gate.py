"""`DepotGate`: the way in of every request to an OCI registry.

1. Recognise it; what is not recognised is refused. A write with a Content-Encoding is 415, undecoded (CONTRACTS F.1).
2. Find out who asks; who may not is told where tokens are. Such a 401 is no failed publish: nothing is recorded.
3. Answer a read; stream a blob in; hand a manifest or a delete to `publish`.

Under `read_auth: none` a read without a credential that finds nothing is answered with the challenge: clients that have
one wait for it, and with one there may be something (an image that its publisher must still sign).
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Final

from aiohttp import web

from gateway.ecosystems import oci_answers as answers
from gateway.ecosystems import oci_routes as routes
from gateway.ecosystems.oci import Oci
from gateway.ecosystems.protocol import Head, Reply
from gateway.errors import StoreError, UpstreamError
from gateway.proxy.authenticate import Authenticator
from gateway.proxy.images.asker import Asker, Challenge, Need, Wanted, asker
from gateway.proxy.images.reads import ImageReads
from gateway.proxy.mounts import MountedDepot
from gateway.publish.images.blobs import Blobs, Refused
from gateway.publish.images.pushing import Images
from gateway.publish.surroundings import Surroundings
from gateway.reasons import Code, Reason

log = logging.getLogger(__name__)
_OCI: Final = Oci()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, and by whom."""

    head: Head
    who: Asker
    request: web.BaseRequest
    body: AsyncIterator[bytes]


class DepotGate:
    """Answers the requests of every OCI registry."""

    def __init__(self, authenticator: Authenticator, images: Images, around: Surroundings) -> None:
        self._authenticator = authenticator
        self._images = images
        self._around = around
        self._reads = ImageReads(authenticator.store.contents)
        self._blobs = Blobs(authenticator.store.contents, around.now)

    async def __call__(
        self, mounted: MountedDepot, head: Head, request: web.BaseRequest, body: AsyncIterator[bytes]
    ) -> Reply | web.StreamResponse:
        """Answer one request; `head.path` is below `/v2`."""
        asked = routes.request(head)  # 1
        if isinstance(asked, Reason):
            return _refusal(mounted, head, asked)
        wanted = Wanted(None if isinstance(asked, routes.Ping) else asked.repository, _need(asked))
        if wanted.need is not Need.PULL and any(name.lower() == "content-encoding" for name, _ in head.headers):
            return _refusal(mounted, head, Reason(Code.CONTENT_ENCODING, "Content-Encoding", "none"))
        found = await asker(self._authenticator, mounted, head, wanted, self._around.now())  # 2
        if isinstance(found, Challenge):
            return _challenge(mounted, head, found)
        if isinstance(found, Reason):
            return _refusal(mounted, head, found)
        reply = await self._answered(mounted, asked, _Asked(head, found, request, body))  # 3
        if found.silent and isinstance(reply, Reply) and reply.status == 404:
            missing = Reason(Code.CREDENTIAL_MISSING, "Authorization", "a token of this gateway, or one for anybody")
            return _challenge(mounted, head, Challenge(missing, "", wanted.scope))
        return reply if head.method != "HEAD" or not isinstance(reply, Reply) else replace(reply, body=b"")

    async def _answered(
        self, mounted: MountedDepot, asked: routes.OciRequest, by: _Asked
    ) -> Reply | web.StreamResponse:
        answer: Reply | web.StreamResponse | Reason | Refused
        try:
            if not isinstance(asked, routes.Ping) and _quarantined(mounted, asked.repository):
                answer = Reason(Code.NOT_FOUND, asked.repository)
            else:
                answer = await self._read(mounted, asked, by) or await self._written(mounted, asked, by)
        except UpstreamError as error:
            log.error("upstream: %s", error)  # noqa: TRY400 - one line, no traceback
            answer = Reason(Code.UPSTREAM_UNAVAILABLE, f"registry {error.registry}", got=error.problem)
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400
            answer = Reason(Code.RECORD_UNAVAILABLE, "the gateway's record")
        match answer:
            case Reason():
                return _refusal(mounted, by.head, answer)
            case Refused():
                return _refusal(mounted, by.head, answer.reason, *answer.headers)
            case _:
                return answer

    async def _read(
        self, mounted: MountedDepot, asked: routes.OciRequest, by: _Asked
    ) -> Reply | web.StreamResponse | Reason | None:
        match asked:
            case routes.Ping():
                return answers.pong()
            case routes.ManifestRead():
                return await self._reads.manifest(mounted, asked, by.who)
            case routes.BlobRead():
                return await self._reads.blob(mounted, asked, by.who, by.head, by.request)
            case routes.TagList():
                return await self._reads.tags(mounted, asked, by.who)
            case routes.ReferrersRead():
                return await self._reads.referrers(mounted, asked, by.who)
            case _:
                return None

    async def _written(self, mounted: MountedDepot, asked: routes.OciRequest, by: _Asked) -> Reply | Reason | Refused:
        depot = mounted.depot
        match asked:
            case routes.UploadStart():
                if not await self._mountable(mounted, asked, by.who):
                    asked = replace(asked, mount=None, source=None)  # an upload starts, and nothing is told
                return await self._blobs.start(depot, asked, by.head, by.body)
            case routes.UploadStep():
                return await self._blobs.step(depot, asked, by.head, by.body)
            case routes.ManifestWrite() if by.who.grant is not None:
                return await self._images.put_manifest(depot, asked, by.head, by.who.grant, by.body)
            case routes.Delete() if by.who.grant is not None:
                reply = await self._images.deleting.delete(depot, asked, by.head, by.who.grant)
                self._reads.forget()
                return reply
            case _:
                return Reason(Code.OPERATION_REFUSED, f"{by.head.method} /v2{by.head.path}")

    async def _mountable(self, mounted: MountedDepot, asked: routes.UploadStart, who: Asker) -> bool:
        if asked.mount is None or asked.source is None or _quarantined(mounted, asked.source):
            return False
        return await self._reads.mountable(mounted, asked.source, asked.mount, who)


def _need(asked: routes.OciRequest) -> Need:
    match asked:
        case routes.UploadStart() | routes.UploadStep() | routes.ManifestWrite():
            return Need.PUSH
        case routes.Delete():
            return Need.DELETE
        case _:
            return Need.PULL


def _quarantined(mounted: MountedDepot, repository: str) -> bool:
    """Whether a name is of the quarantine, which has none for clients."""
    prefix = mounted.depot.quarantine
    return bool(prefix) and f"{repository}/".startswith(f"{prefix}/")


def _refusal(mounted: MountedDepot, head: Head, reason: Reason, *headers: tuple[str, str]) -> Reply:
    link = f"{mounted.depot.public_url}/-/reasons/{reason.code.value}"
    reply = _OCI.render((reason,), link, head)
    return replace(reply, headers=(*reply.headers, *headers))


def _challenge(mounted: MountedDepot, head: Head, challenge: Challenge) -> Reply:
    return _refusal(mounted, head, challenge.reason, challenge.header(mounted))
