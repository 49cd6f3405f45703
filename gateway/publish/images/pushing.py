"""The path of a manifest's push, once, as numbered steps.

 1. Receive the manifest, bounded; a digest in its address must be its own.
 2. Read it strictly, and tell by its content what it is: evidence, a list of referrers, or an image.
 3. Wait for its digest's turn: while it is decided on, no evidence for it comes in unseen.

Evidence (`attaching`) needs a grant to attach, anything else one to publish. An image:

 4. Read what it reaches. Without a tag it is a deposit: stored under its digest and shown to nobody else.
 5. Wait for the turn of each of its tags, and settle what an earlier publish of them left open.
 6. Gather evidence, verify, decide, for each tag. One refusal refuses the push: nothing is stored.
 7. Store the manifest under its digest, noted before as hidden.
 8. Accepted: name it (`naming`). Held: commit the decision and the hold; the tag does not appear.
 9. Answer.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Final

from cachetools import LRUCache

from gateway import limits
from gateway.ecosystems.oci import Oci
from gateway.ecosystems.oci_answers import held as notice
from gateway.ecosystems.oci_answers import pushed
from gateway.ecosystems.oci_routes import ManifestWrite
from gateway.ecosystems.protocol import Head, Reply
from gateway.errors import StoreError, TooLarge, UpstreamError
from gateway.model.case import Action, Case, Grant
from gateway.model.content import Content, Ending, Hold, Sight
from gateway.model.decision import Decision, Outcome
from gateway.model.digest import Digest
from gateway.model.intent import Record
from gateway.policy import refuse
from gateway.publish.body import whole as whole_of
from gateway.publish.images import client
from gateway.publish.images.attaching import Attaching, Attachment, Unfit
from gateway.publish.images.deleting import Deleting, digest_key
from gateway.publish.images.depot import Depot
from gateway.publish.images.holding import Holding, tag_key
from gateway.publish.images.judging import Judge, Judged
from gateway.publish.images.naming import Accepted, Naming, bring
from gateway.publish.images.push import Attempt, Push, Refusal
from gateway.publish.images.reaching import Broken, reached, withdrawn_part
from gateway.publish.served import Trust
from gateway.publish.spending import take_uses, withdrawn
from gateway.publish.surroundings import Surroundings
from gateway.publish.turns import Turns
from gateway.reasons import Code, Reason
from gateway.store import Store

log = logging.getLogger(__name__)
_OCI: Final = Oci()


class Images:
    """Carries pushes of manifests out, for every depot. `trust` gives what is trusted now."""

    def __init__(self, store: Store, trust: Callable[[], Trust], around: Surroundings) -> None:
        self._store = store
        self._trust = trust
        self._around = around
        self._digests, self._tags = Turns(), Turns()
        self._naming = Naming(store, around)
        self.holding = Holding(store, self._naming, around, trust, self._tags)
        self.deleting = Deleting(store, trust, around, self._digests, self._tags)
        self._attaching = Attaching(store, around)
        self._told: LRUCache[tuple[str, ...], str] = LRUCache(limits.REFUSALS_REMEMBERED)

    async def put_manifest(
        self, depot: Depot, request: ManifestWrite, head: Head, grant: Grant, body: AsyncIterator[bytes]
    ) -> Reply:
        """Take one push of a manifest to its answer; `grant` may publish or attach to this repository."""
        about = f"{request.repository}{f':{request.tags[0]}' if request.tags else f'@{request.digest}'}"
        attempt = Attempt(depot, request, head, grant, self._trust(), self._around.now())
        try:
            whole = await whole_of(body, "the manifest", limits.MANIFEST_BYTES)  # 1
            try:
                push = Push.read(attempt, whole)  # 2
                async with self._digests.take(digest_key(depot, push.repository, one) for one in push.digests):  # 3
                    return await self._told_apart(push)
            except Refusal as refusal:
                return await self._refused(attempt, whole, refusal)
        except TooLarge as error:
            return _unrecorded(attempt, Reason(Code.UPLOAD_TOO_LARGE, error.about, f"at most {error.limit}"))
        except TimeoutError:
            other = "another push under way"
            return _unrecorded(attempt, Reason(Code.PUBLISH_UNSETTLED, about, "its turn", other))
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400 - one line, no traceback
            return _unrecorded(attempt, Reason(Code.RECORD_UNAVAILABLE, "the gateway's record"))
        except UpstreamError as error:
            log.error("upstream: %s", error)  # noqa: TRY400
            reason = Reason(Code.UPSTREAM_UNAVAILABLE, f"registry {error.registry}", got=error.problem)
            return _unrecorded(attempt, reason)

    async def settle_open(self, depots: Sequence[Depot]) -> bool:
        """Settle every open publish of these registries and look at their holds; False: something is left for later."""
        by_name = {depot.registry.name: depot for depot in depots}
        complete = True
        for intent in await self._store.open_intents():
            depot = by_name.get(intent.registry)
            if depot is None:
                continue
            try:
                async with self._tags.take([tag_key(depot, intent.name, intent.version)]):
                    now = await self._store.intent(intent.id)
                    if now is not None and now.settlement is None:
                        await self._naming.settle(depot, now)
            except (UpstreamError, TimeoutError) as error:
                log.warning("publish %s is not settled yet: %s", intent.id, error)
                complete = False
        for depot in depots:
            complete = await self.holding.look(depot) and complete
        return complete

    # --- 1 to 3 ---------------------------------------------------------------------------------------------------

    async def _told_apart(self, push: Push) -> Reply:
        try:
            attachment = await self._attaching.recognise(
                push.depot, push.repository, push.tags, push.manifest, push.attempt.trust
            )
        except Unfit as unfit:
            raise Refusal(*unfit.reasons) from unfit
        if attachment is None:
            return await self._image(push)
        push.attempt.may(Action.ATTACH)
        return await self._attached(push, attachment)

    # --- evidence -------------------------------------------------------------------------------------------------

    async def _attached(self, push: Push, attachment: Attachment) -> Reply:
        depot, subject = push.depot, attachment.subject
        if not attachment.pieces:  # a client's own list of referrers: the gateway keeps one itself
            return pushed(push.attempt.request, push.digest)
        async with self._digests.take([digest_key(depot, push.repository, subject)]):
            waiting = [
                again
                for hold in await self.holding.waiting_for(depot, push.repository, subject)
                if (again := await self.holding.decide_again(depot, hold, attachment.pieces)) is not None
            ]
            wrong = [again.judged for again in waiting if again.decision.outcome is Outcome.REJECT]
            if wrong and len(wrong) == len(waiting):
                raise Refusal(*wrong[0].decision.reasons, judged=wrong[0])
            noted = await self._attaching.keep(depot, push.repository, push.content, attachment, push.grant.id)
            await self._store_manifest(push, noted)
            for tag in push.tags:
                await self._put(push, depot.deposits(push.repository), tag)
            sight = await self._store.contents.sight(depot.place(push.repository), subject, manifest=True)
            if sight is not Sight.HIDDEN:
                await bring(depot, push.repository, (noted,), push.tags)
            accepted = [again for again in waiting if again.decision.outcome is Outcome.ACCEPT]
            unreleased = [reason for again in accepted if (reason := await self.holding.release(depot, again))]
        if unreleased:  # it is kept; whoever sends it again, or the next look, has what waits released
            return _unrecorded(push.attempt, unreleased[0])
        return pushed(push.attempt.request, push.digest, subject)

    # --- an image: 4 to 9 -----------------------------------------------------------------------------------------

    async def _image(self, push: Push) -> Reply:
        push.attempt.may(Action.PUBLISH)
        reaches = await self._reached(push)  # 4
        if not push.names:
            await self._store_manifest(push, push.content)
            return pushed(push.attempt.request, push.digest, push.subject)
        if reason := withdrawn_part(reaches, self._store.revoked()):
            raise Refusal(reason)
        async with self._tags.take(tag_key(push.depot, push.repository, tag) for tag in push.names):  # 5
            for intent in await self._store.open_intents():
                mine = intent.registry == push.depot.registry.name and intent.name == push.repository
                if mine and intent.version in push.names:
                    await self._naming.settle(push.depot, intent)
            judge = Judge(self._store, push.attempt.trust, push.attempt.at)
            decided = [await judge.judge(push.upload(tag), push.body, push.grant) for tag in push.names]
            for judged in decided:  # 6
                if judged.decision.outcome is Outcome.REJECT:
                    raise Refusal(*judged.decision.reasons, judged=judged)
            await self._store_manifest(push, push.content)  # 7
            opened = self._around.now()  # in the order of the turns: a slow push is no older than what it waited for
            waits = [await self._carried_out(push, judged, reaches, opened) for judged in decided]  # 8
        held = next((hold for hold in waits if hold is not None), None)
        if held is not None:  # 9
            reasons = next(judged.decision.reasons for judged, hold in zip(decided, waits, strict=True) if hold is held)
            link = push.depot.permalink(held.id)
            return pushed(push.attempt.request, push.digest, push.subject, notice(reasons, link))
        return pushed(push.attempt.request, push.digest, push.subject)

    async def _carried_out(
        self, push: Push, judged: Judged, reaches: tuple[Content, ...], opened: datetime
    ) -> Hold | None:
        """Name what was accepted, or hold it; raises `Refusal` where that may not be after all."""
        record = self._record(push.attempt, judged.case, judged.decision)
        if judged.decision.outcome is Outcome.HOLD:
            return await self._hold(push, record, opened)
        movable = push.attempt.trust.policy.moves(judged.case.upload)
        accepted = Accepted(push.digest, push.manifest.media_type, push.body, reaches, push.grant, opened, movable)
        reason = await self._naming.name(push.depot, accepted, record)
        if reason is not None:
            raise Refusal(reason, recorded=record.id)
        return None

    async def _hold(self, push: Push, record: Record, opened: datetime) -> Hold:
        """Commit a hold. Pushing the same again moves it to the end of the queue and keeps its deadline."""
        assert record.case is not None
        if reason := await withdrawn(self._store, push.grant) or await take_uses(self._store, push.grant, record):
            raise Refusal(reason)
        upload, place = record.case.upload, push.depot.place(push.repository)
        rule = push.attempt.trust.policy.rule_for(upload.registry.name, upload.purl)
        assert rule is not None
        deadline = record.at + rule.holds_for(upload.registry.ecosystem)
        there = await client.manifest(push.depot, push.repository, upload.version)
        before = None if there is None else Digest("sha256", there.sha256)
        earlier = [
            hold
            for hold in await self.holding.waiting_for(push.depot, push.repository, push.digest)
            if hold.tag == upload.version
        ]
        deadline = min([deadline, *(hold.deadline for hold in earlier)])
        hold = Hold(
            id=record.id,
            place=place,
            tag=upload.version,
            digest=push.digest,
            sha256=upload.files[0].sha256,
            before=before,
            grant=push.grant.id,
            opened=opened,
            deadline=deadline,
        )
        await self._store.contents.hold(record, hold)
        for one in earlier:
            if one.grant != hold.grant:  # another's waits for itself: it may be released when this one may not
                continue
            await self._store.contents.end_hold(one.id, Ending.SUPERSEDED, f"pushed again: {hold.id}", record.at)
        return hold

    async def _reached(self, push: Push) -> tuple[Content, ...]:
        try:
            return await reached(push.depot, push.repository, push.manifest, push.digest, push.body)
        except Broken as error:
            raise Refusal(error.reason) from error

    async def _store_manifest(self, push: Push, noted: Content) -> None:
        """Store a manifest under its digest, hidden; one that was there before, and that we know nothing of, is not."""
        depot, contents = push.depot, self._store.contents
        place, repository = depot.place(push.repository), depot.deposits(push.repository)
        there = await client.holds(depot, repository, "manifests", push.digest)
        before = (
            there
            if repository == push.repository
            else await client.holds(depot, push.repository, "manifests", push.digest)
        )
        # Readers who are shown only what was accepted lose nothing; whoever must sign it sees it then.
        if not before or depot.verified or await contents.content(place, push.digest) is not None:
            await contents.journal(place, noted, push.attempt.at)
        if not there:
            await self._put(push, repository, push.digest)

    async def _put(self, push: Push, repository: str, reference: Digest | str) -> None:
        registry = f"registry {push.depot.registry.name}"
        answer = await client.put_manifest(push.depot, repository, reference, push.manifest.media_type, push.body)
        if 200 <= answer.status < 300 and not answer.early:
            return
        said = f"{answer.status} {answer.reason}".strip()
        if answer.status in {400, 404} and b"MANIFEST_BLOB_UNKNOWN" in answer.body:
            raise Refusal(
                Reason(Code.CONTENT_MISSING, "the manifest", "all that it is made of in this repository", said)
            )
        raise Refusal(Reason(Code.UPSTREAM_REFUSED, registry, "the manifest stored", said))

    # --- records and replies --------------------------------------------------------------------------------------

    def _record(self, attempt: Attempt, case: Case | None, decision: Decision) -> Record:
        registry = attempt.depot.registry.name
        return self._around.record(registry, attempt.grant, decision, case=case, trust=attempt.trust)

    async def _refused(self, attempt: Attempt, body: bytes, refusal: Refusal) -> Reply:
        """Record a refusal and tell it; a client that only sends the same again is told the same, and counts once."""
        head, revision = attempt.head, attempt.trust.policy.revision
        lines = (reason.line() for reason in refusal.reasons)
        same = (attempt.grant.id, head.path, head.query, sha256(body).hexdigest(), revision, *lines)
        recorded = refusal.recorded or self._told.get(same)
        if recorded is None:
            judged = refusal.judged
            decision = judged.decision if judged else refuse(refusal.reasons, revision)
            record = self._record(attempt, judged.case if judged else None, decision)
            await self._store.begin(record, None)
            recorded = self._told[same] = record.id
        return _OCI.render(refusal.reasons, attempt.depot.permalink(recorded), head)


def _unrecorded(attempt: Attempt, reason: Reason) -> Reply:
    return _OCI.render((reason,), f"{attempt.depot.public_url}/-/reasons/{reason.code.value}", attempt.head)
