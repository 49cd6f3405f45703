"""Giving a tag to content that was accepted: the only place that gives an image its tag.

1. Look once more at what may have changed since the decision: the grant, its uses, the waivers, what was withdrawn.
2. Note what the content is made of, so that it is shown with it; under a quarantine, bring it into its repository.
3. Commit the record and the intent: from here on the content may be seen by its digest.
4. Move the registry's tag, with the gateway's own credential.
5. Settle. Where the answer was no plain yes, what the registry serves under the tag decides; while that cannot be
   looked at, the intent stays open, and the next look settles it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

from gateway.ecosystems.oci_evidence import legacy_tags
from gateway.errors import UpstreamError
from gateway.model.case import Grant
from gateway.model.content import Content
from gateway.model.digest import Digest
from gateway.model.intent import Intent, IntentFile, Record, Settlement, Step
from gateway.policy import refuse
from gateway.publish.images import client
from gateway.publish.images.depot import Depot
from gateway.publish.images.reaching import withdrawn_part
from gateway.publish.spending import in_the_way, take_uses, withdrawn
from gateway.publish.surroundings import Surroundings
from gateway.reasons import Code, Reason
from gateway.store import Conflict, Store
from gateway.upstream import NothingSent

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A manifest that may have a tag: what it is, its bytes, and what it reaches, itself last.

    `pushed` is when its push came, `movable` whether its tag may have other content already, `hold` the hold that ends
    with it.
    """

    digest: Digest
    media_type: str
    body: bytes
    reaches: tuple[Content, ...]
    grant: Grant
    pushed: datetime
    movable: bool
    hold: str | None = None


class Naming:
    """Names accepted content, for every depot."""

    def __init__(self, store: Store, around: Surroundings) -> None:
        self._store = store
        self._around = around

    async def name(self, depot: Depot, accepted: Accepted, record: Record) -> Reason | None:
        """Carry out a decision to accept; None where the tag now is the content's. The record is written either way."""
        assert record.case is not None
        upload, grant = record.case.upload, accepted.grant
        reason = await withdrawn(self._store, grant)  # 1
        reason = reason or withdrawn_part(accepted.reaches, self._store.revoked())
        if reason is None:
            spent = grant if accepted.hold is None else replace(grant, uses_left=None)  # a hold's push has used it
            reason = await take_uses(self._store, spent, record)
        if reason is not None:
            return await self._overtaken(record, reason)
        place = depot.place(upload.name)
        try:
            await bring(depot, upload.name, accepted.reaches)  # 2
            for content in accepted.reaches:
                referrers = await self._store.contents.referrers(place, content.digest)
                evidence = [one for one in referrers if one.subject is not None]  # what only states it was not accepted
                await _bring_evidence(depot, upload.name, content.digest, evidence)
        except UpstreamError as error:
            return await self._overtaken(record, _unreachable(depot, error))
        for content in accepted.reaches:
            await self._store.contents.journal(place, content, record.at)
        files = tuple(IntentFile(f.name, f.canonical, f.sha256, f.size) for f in upload.files[:1])
        intent = Intent(
            record.id,
            depot.registry.name,
            upload.name,
            upload.version,
            files,
            accepted.pushed,
            movable=accepted.movable,
            hold=accepted.hold,
        )
        began = await self._store.begin(record, intent)  # 3
        if isinstance(began, Conflict):
            return await self._overtaken(record, in_the_way(began, files[0]))
        self._around.stepped(Step.DECIDED)
        return await self._move(depot, accepted, intent)

    async def settle(self, depot: Depot, intent: Intent) -> Settlement:
        """Settle an open intent by what the registry serves under its tag; raises `UpstreamError`."""
        settlement = Settlement.PUBLISHED if await self._is_named(depot, intent) else Settlement.ABSENT
        await self._store.settle(intent.id, settlement, "", self._around.now())
        log.info("publish %s is settled: %s", intent.id, settlement.value)
        return settlement

    @staticmethod
    async def _is_named(depot: Depot, intent: Intent) -> bool:
        (file,) = intent.files
        found = await client.manifest(depot, intent.name, intent.version)
        return found is not None and found.sha256 == file.sha256

    async def _move(self, depot: Depot, accepted: Accepted, intent: Intent) -> Reason | None:
        store, registry = self._store, f"registry {depot.registry.name}"
        await store.step(intent.id, Step.FORWARDING)  # 4
        self._around.stepped(Step.FORWARDING)
        try:
            answer = await client.put_manifest(depot, intent.name, intent.version, accepted.media_type, accepted.body)
        except NothingSent as error:
            await store.settle(intent.id, Settlement.ABSENT, error.problem, self._around.now())
            return _unreachable(depot, error)
        except UpstreamError as error:
            return await self._unsure(depot, intent, _unreachable(depot, error), answered=False)
        if not 200 <= answer.status < 300 or answer.early:
            said = f"{answer.status} {answer.reason}".strip()
            refused = Reason(Code.UPSTREAM_REFUSED, registry, "the tag moved", said)
            return await self._unsure(depot, intent, refused, answered=not answer.early)
        await store.step(intent.id, Step.FORWARDED)
        self._around.stepped(Step.FORWARDED)
        await store.settle(intent.id, Settlement.PUBLISHED, "", self._around.now())  # 5
        self._around.stepped(Step.SETTLED)
        return None

    async def _unsure(self, depot: Depot, intent: Intent, reason: Reason, *, answered: bool) -> Reason | None:
        """Look at once. That the tag is not there yet proves nothing where no answer came: the next look settles it."""
        log.error("publish %s: %s", intent.id, reason.line())
        try:
            if not answered and not await self._is_named(depot, intent):
                return reason
            settlement = await self.settle(depot, intent)
        except UpstreamError as error:
            log.warning("publish %s is not settled yet: %s", intent.id, error)
            return reason
        return None if settlement is Settlement.PUBLISHED else reason

    async def _overtaken(self, record: Record, reason: Reason) -> Reason:
        """Record as refused what was accepted a moment ago and may no longer be carried out."""
        await self._store.begin(replace(record, decision=refuse((reason,), record.decision.policy)), None)
        return reason


async def bring(depot: Depot, repository: str, reaches: Sequence[Content], tags: Sequence[str] = ()) -> None:
    """Bring what was kept in quarantine over into its repository; raises `UpstreamError`.

    Blobs are mounted, manifests stored anew, what holds the others last. Nothing is done where there is no quarantine.
    """
    source = depot.deposits(repository)
    if source == repository:
        return
    manifests = {one.digest for one in reaches}
    for digest in dict.fromkeys(link for one in reaches for link in one.links if link not in manifests):
        if await client.holds(depot, repository, "blobs", digest):
            continue
        answer = await client.mount(depot, repository, digest, source)
        if answer.status != HTTPStatus.CREATED:
            raise UpstreamError(depot.registry.name, f"mounting {digest} from {source} answered {answer.status}")
    for one in reaches:
        stored = await client.manifest(depot, source, one.digest)
        if stored is None:  # it was in the repository itself before
            continue
        references: tuple[Digest | str, ...] = (one.digest, *tags)
        for reference in references:
            answer = await client.put_manifest(depot, repository, reference, stored.media_type, stored.body)
            if not 200 <= answer.status < 300:
                raise UpstreamError(depot.registry.name, f"storing {reference} answered {answer.status}")


async def _bring_evidence(depot: Depot, repository: str, subject: Digest, evidence: Sequence[Content]) -> None:
    """Bring a subject's evidence over, and cosign's own tags of that subject where they are of this evidence."""
    source = depot.deposits(repository)
    if source == repository or not evidence:
        return
    await bring(depot, repository, evidence)
    for tag in sorted(legacy_tags(subject)):
        stored = await client.manifest(depot, source, tag)
        for one in evidence:
            if stored is not None and one.digest in stored.digests:
                await bring(depot, repository, (one,), (tag,))


def _unreachable(depot: Depot, error: UpstreamError) -> Reason:
    return Reason(Code.UPSTREAM_UNAVAILABLE, f"registry {depot.registry.name}", got=error.problem)
