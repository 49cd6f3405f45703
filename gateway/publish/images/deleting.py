"""The path of a delete of a tag, a manifest or a blob, once, as numbered steps.

1. Wait for the turn of what is deleted; no publish in its repository may be unsettled.
2. A blob that something accepted holds is not deleted: its manifests go first.
3. Look once more at the grant; commit the record. No record, no forward.
4. Have the registry delete it, with the gateway's own credential.
5. Let the record follow: the tag is free, the content no longer accepted, and what waited for it ends.
6. Answer.

A crash between 4 and 5 leaves a record that names what the registry has lost: whoever asks again is told that it is
gone, and the record follows then.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from gateway.ecosystems.oci import Oci
from gateway.ecosystems.oci_routes import Delete
from gateway.ecosystems.protocol import Head, Reply
from gateway.errors import StoreError, UpstreamError
from gateway.model.case import Grant
from gateway.model.content import Ending, Sight
from gateway.model.decision import Decision
from gateway.model.digest import Digest
from gateway.model.intent import Record
from gateway.model.mutation import Mutation
from gateway.model.names import purl
from gateway.policy import let_through, refuse
from gateway.publish.images import client
from gateway.publish.images.depot import Depot
from gateway.publish.images.holding import tag_key
from gateway.publish.served import Trust
from gateway.publish.spending import take_uses, withdrawn
from gateway.publish.surroundings import Surroundings
from gateway.publish.turns import Turns
from gateway.reasons import Code, Reason
from gateway.store import Store
from gateway.upstream import NothingSent

log = logging.getLogger(__name__)
_OCI: Final = Oci()
_UNKNOWN: Final = "Look whether it is gone; if it is not, delete it again in a minute."


@dataclass(frozen=True, slots=True)
class _Asked:
    """One delete: of what, where, by whom."""

    depot: Depot
    request: Delete
    head: Head
    grant: Grant
    revision: str

    @property
    def about(self) -> str:
        """What is deleted, as clients write it."""
        reference = self.request.reference
        return f"{self.request.repository}{'@' if isinstance(reference, Digest) else ':'}{reference}"

    @property
    def mutation(self) -> Mutation:
        """What the record says of it."""
        repository = self.request.repository
        kind = {"blobs": "blob "}.get(self.request.kind, "")
        return Mutation(purl("oci", repository), repository, f"delete {kind}{self.about}")


class Deleting:
    """Carries deletes out, for every depot. The turns are those of whoever pushes: of digests, and of tags."""

    def __init__(
        self, store: Store, trust: Callable[[], Trust], around: Surroundings, digests: Turns, tags: Turns
    ) -> None:
        self._store = store
        self._trust = trust
        self._around = around
        self._digests = digests
        self._tags = tags

    async def delete(self, depot: Depot, request: Delete, head: Head, grant: Grant) -> Reply:
        """Take one delete to its answer; `grant` may change this repository."""
        asked = _Asked(depot, request, head, grant, self._trust().policy.revision)
        try:
            async with self._turn(asked):  # 1
                return await self._decided(asked)
        except TimeoutError:
            other = "a push under way"
            return _unrecorded(asked, Reason(Code.PUBLISH_UNSETTLED, asked.about, "its turn", other))
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400 - one line, no traceback
            return _unrecorded(asked, Reason(Code.RECORD_UNAVAILABLE, "the gateway's record"))

    def _turn(self, asked: _Asked) -> AbstractAsyncContextManager[None]:
        repository, reference = asked.request.repository, asked.request.reference
        if isinstance(reference, Digest):
            return self._digests.take([digest_key(asked.depot, repository, reference)])
        return self._tags.take([tag_key(asked.depot, repository, reference)])

    async def _decided(self, asked: _Asked) -> Reply:
        depot, repository = asked.depot, asked.request.repository
        for intent in await self._store.open_intents():
            if (intent.registry, intent.name) == (depot.registry.name, repository):
                got = f"{intent.version} is not"
                return _unrecorded(asked, Reason(Code.PUBLISH_UNSETTLED, repository, "every publish settled", got))
        if await self._in_use(asked):  # 2
            remedy = "Delete the manifests that hold it first."
            reason = Reason(Code.OPERATION_REFUSED, asked.about, "a blob nothing holds", "accepted images do", remedy)
            return await self._refused(asked, reason)
        record = self._record(asked, let_through(asked.mutation, asked.grant, asked.revision))  # 3
        taken = await withdrawn(self._store, asked.grant) or await take_uses(self._store, asked.grant, record)
        if taken is not None:
            return await self._refused(asked, taken)
        await self._store.begin(record, None)
        failure = await self._forward(asked)  # 4
        if failure is None or failure.code is Code.NOT_FOUND:
            known = await self._follow(asked)  # 5
            failure = None if known else failure
        if failure is None:
            return Reply(HTTPStatus.ACCEPTED, "", b"")  # 6
        log.error("delete %s: %s", record.id, failure.line())
        return _OCI.render((failure,), depot.permalink(record.id), asked.head)

    async def _in_use(self, asked: _Asked) -> bool:
        request = asked.request
        if request.kind != "blobs" or not isinstance(request.reference, Digest):
            return False
        place = asked.depot.place(request.repository)
        return await self._store.contents.sight(place, request.reference) is Sight.SHOWN

    async def _forward(self, asked: _Asked) -> Reason | None:
        """Have the registry delete it wherever it lies; None where it was somewhere."""
        depot, request = asked.depot, asked.request
        found = False
        for repository in depot.places(request.repository):
            path = f"/v2/{repository}/{request.kind}/{request.reference}"
            try:
                answer = await depot.upstream.write("DELETE", path, {}, client.nothing(), 0)
            except UpstreamError as error:
                remedy = "" if isinstance(error, NothingSent) else _UNKNOWN
                return Reason(Code.UPSTREAM_UNAVAILABLE, f"registry {depot.registry.name}", "", error.problem, remedy)
            if 200 <= answer.status < 300:
                found = True
            elif answer.status != HTTPStatus.NOT_FOUND:
                return _said_no(asked, f"{answer.status} {answer.reason}".strip(), answer.status)
        return None if found else Reason(Code.NOT_FOUND, asked.about)

    async def _follow(self, asked: _Asked) -> bool:
        """Have the record say so too; whether it was there for readers until now."""
        contents, reference = self._store.contents, asked.request.reference
        place = asked.depot.place(asked.request.repository)
        if not isinstance(reference, Digest):
            known = await contents.tag(place, reference) is not None
            await contents.untag(place, reference)
            return known
        if asked.request.kind == "blobs":
            return False
        known = await contents.sight(place, reference, manifest=True) is Sight.SHOWN
        await contents.drop(place, reference)
        for hold in await contents.open_holds(asked.depot.registry.name):
            if (hold.place, hold.digest) == (place, reference):
                await contents.end_hold(hold.id, Ending.REFUSED, "it was deleted", self._around.now())
        return known

    def _record(self, asked: _Asked, decision: Decision) -> Record:
        return self._around.record(asked.depot.registry.name, asked.grant, decision, mutation=asked.mutation)

    async def _refused(self, asked: _Asked, reason: Reason) -> Reply:
        record = self._record(asked, refuse((reason,), asked.revision))
        await self._store.begin(record, None)
        return _OCI.render((reason,), asked.depot.permalink(record.id), asked.head)


def digest_key(depot: Depot, repository: str, digest: Digest) -> str:
    """The turn of a manifest or a blob."""
    return f"{depot.registry.name} {repository}@{digest}"


def _said_no(asked: _Asked, said: str, status: int) -> Reason:
    """A registry that deletes nothing, or no tags (docker-registry 2.8), says so with 400 or 405."""
    if status in {HTTPStatus.BAD_REQUEST, HTTPStatus.METHOD_NOT_ALLOWED}:
        remedy = "Delete the manifest by its digest; a registry may have to be told that it may delete at all."
        return Reason(Code.METHOD_UNKNOWN, asked.about, "a registry that deletes this", said, remedy)
    remedy = _UNKNOWN if status >= 500 else ""
    return Reason(Code.UPSTREAM_REFUSED, f"registry {asked.depot.registry.name}", "it deleted", said, remedy)


def _unrecorded(asked: _Asked, reason: Reason) -> Reply:
    return _OCI.render((reason,), f"{asked.depot.public_url}/-/reasons/{reason.code.value}", asked.head)
