"""The path of a publish, once, as numbered steps; nothing else in the program forwards an upload.

A request that turns out to hold no upload, but a change of what the registry says, goes on in `mutate`.

 1. Receive the body into the spool, measuring it on the way.
 2. Assemble the upload: the package's own metadata is read out of the artifact.
 3. Wait for this name's turn: of two simultaneous publishes one decides first (CONTRACTS E.1).
 4. Settle what an earlier publish of the name left open; what stays damaged refuses the name.
 5. Look up the history: what the record and the registry already bind to this name.
 6. Gather evidence and verify it under every trust root.
 7. Decide.
 8. Commit the record and the intent to disk. No record, no forward.
 9. Forward the rebuilt request with the gateway's own credential.
10. Settle: record the result; where the answer is not a plain yes to the whole body, compare what the registry serves,
    and leave the intent open while that does not settle it.
11. Answer.

A crash between 8 and 10 leaves an open intent that says how far it got; `settle` finishes it when the gateway starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from gateway import limits
from gateway.ecosystems.protocol import Assembled, Change, Head, Receiver, Refused, Reply, Write
from gateway.errors import Malformed, StoreError, TooLarge, UpstreamError
from gateway.model.case import Case, Grant
from gateway.model.decision import Decision, Outcome
from gateway.model.evidence import Source
from gateway.model.intent import Intent, IntentFile, Record, Settlement, Step
from gateway.model.upload import Upload
from gateway.policy import decide, refuse
from gateway.publish.evidence import gather, measure_covered, measure_signed, verify_all
from gateway.publish.mutate import Asked, Mutations
from gateway.publish.served import Served, Trust
from gateway.publish.settle import digest_of, holdings, settle
from gateway.publish.spending import in_the_way, take_uses, withdrawn
from gateway.publish.spool import Spool, SpooledBody, SpoolFull
from gateway.publish.surroundings import Surroundings
from gateway.publish.turns import Turns
from gateway.reasons import Code, Reason
from gateway.store import Conflict, Store
from gateway.upstream import NothingSent

log = logging.getLogger(__name__)
_UNKNOWN: Final = (
    "Publish the same file again in a minute. Whether the registry took it is not known yet; the gateway looks again "
    "by itself, and shows it to nobody until then."
)


class BodyAborted(Exception):
    """The client went away or fell silent inside its request's body."""


class Publisher:
    """Carries publishes out, for every registry. `trust` is swapped whole when policy or roots are reloaded."""

    def __init__(self, store: Store, spool: Spool, trust: Trust, around: Surroundings) -> None:
        self.trust = trust
        self._store = store
        self._spool = spool
        self._around = around
        self._turns = Turns()
        self.mutations = Mutations(store, self._turns, around)

    async def publish(self, asked: Asked, body: AsyncIterator[bytes]) -> Reply:
        """Take one publish request to its answer; raises `BodyAborted` when there is nobody left to answer."""
        served = asked.served
        attempt = _Attempt(served, asked.head, asked.grant, self.trust)
        try:
            with self._spool.open(attempt.grant.id) as spooled:
                assembled = await self._receive(attempt, spooled, body)  # 1, 2
                if isinstance(assembled, Refused):
                    return await self._refused(attempt, assembled.reasons)
                if isinstance(assembled, Change):
                    return await self.mutations.carry_out(asked, assembled)
                async with self._turns.take(_turns(assembled)):  # 3
                    return await self._decided(attempt, assembled, spooled)
        except SpoolFull as error:
            log.error("spool: %s", error)  # noqa: TRY400 - one line, no traceback
            return self._unrecorded(attempt, Reason(Code.SPOOL_FULL, "the gateway's spool", got=str(error)))
        except TimeoutError:
            return self._unrecorded(
                attempt, Reason(Code.PUBLISH_UNSETTLED, "this file name", "its turn", "another publish under way")
            )
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400
            return self._unrecorded(attempt, Reason(Code.RECORD_UNAVAILABLE, "the gateway's record"))
        except UpstreamError as error:
            log.error("upstream: %s", error)  # noqa: TRY400
            return self._unrecorded(
                attempt, Reason(Code.UPSTREAM_UNAVAILABLE, f"registry {error.registry}", got=error.problem)
            )

    async def settle_open(self, registries: Sequence[Served]) -> bool:
        """Settle every open or damaged intent of these registries; False where one could not be looked at yet."""
        by_name = {served.registry.name: served for served in registries}
        complete = True
        for intent in await self._store.open_intents():
            served = by_name.get(intent.registry)
            if served is None:
                continue
            try:
                async with self._turns.take(f"{intent.registry} {file.canonical}" for file in intent.files):
                    now = await self._store.intent(intent.id)
                    if now is not None and now.settlement in {None, Settlement.DAMAGED}:  # still, now it is our turn
                        await self._settle(served, now)
            except TimeoutError:  # it is being carried out, and whoever does so settles it
                complete = False
            except UpstreamError as error:
                log.warning("publish %s is not settled yet: %s", intent.id, error)
                complete = False
        return complete

    # --- 1, 2 -----------------------------------------------------------------------------------------------------

    async def _receive(
        self, attempt: _Attempt, spooled: SpooledBody, body: AsyncIterator[bytes]
    ) -> Assembled | Change | Refused:
        served = attempt.served
        try:
            receiver = served.ecosystem.receiver(attempt.head, spooled, served.max_file)
            await _feed(receiver, body)
        except TooLarge as error:
            return Refused((Reason(Code.UPLOAD_TOO_LARGE, error.about, expected=f"at most {error.limit}"),))
        except Malformed as error:
            return Refused((Reason(Code.UPLOAD_MALFORMED, error.about, got=error.problem),))
        return await asyncio.to_thread(served.ecosystem.assemble, served.registry, receiver)

    # --- 4 to 11 --------------------------------------------------------------------------------------------------

    async def _decided(self, attempt: _Attempt, assembled: Assembled, spooled: SpooledBody) -> Reply:
        served, store, upload = attempt.served, self._store, assembled.upload
        if unsettled := await self._unsettled(served, upload.files[0].canonical):  # 4
            return self._unrecorded(attempt, unsettled)
        at = self._around.now()
        history = await store.history(upload)  # 5
        known = bool(history.bound)
        present = await self._present(served, assembled, trusting=known)
        history = replace(history, bound=(*history.bound, *present))
        evidence = await gather(store, upload, assembled.evidence, attempt.grant.id)  # 6
        upload = await asyncio.to_thread(measure_signed, upload, evidence, spooled)
        findings = await verify_all(evidence, upload, attempt.trust, at)
        upload = await asyncio.to_thread(measure_covered, upload, findings, spooled)
        file = upload.files[0]
        waivers = await store.waivers_for(served.registry.name, upload.purl, upload.version, file.sha256, at)
        case = Case(at, upload, attempt.grant, findings, history, waivers)
        decision = decide(case, attempt.trust.policy)  # 7
        record = self._record(attempt, case, decision)
        proved = {finding.evidence.id for finding in findings if finding.attestation is not None}
        for piece in evidence:
            if piece.ref.source is Source.REQUEST or piece.ref.id in proved:
                await store.keep_evidence(piece, file.digests, attempt.grant.id, at)
        if decision.outcome is not Outcome.ACCEPT:
            await store.begin(record, None)
            return served.ecosystem.render(decision.reasons, served.permalink(record.id), attempt.head)
        if present and known:  # these very bytes are there, else decide had refused
            await store.begin(record, None)
            return served.ecosystem.exists()  # as the ecosystem's original answers
        begun = await self._begin(attempt, record, upload)  # 8
        if isinstance(begun, Reply):
            return begun
        if present:  # since before the gate: accepted now, so that `reads: verified` shows them
            await store.settle(begun.id, Settlement.PUBLISHED, "", self._around.now())
            return served.ecosystem.exists()
        return await self._carry_out(attempt, assembled, begun, spooled)

    async def _begin(self, attempt: _Attempt, record: Record, upload: Upload) -> Intent | Reply:
        """Write record and intent, or answer why an upload that was accepted may not be carried out after all."""
        grant = attempt.grant
        if taken := await withdrawn(self._store, grant) or await take_uses(self._store, grant, record):
            return await self._overtaken(attempt, record, taken)
        files = tuple(IntentFile(f.name, f.canonical, f.sha256, f.size) for f in upload.files)
        intent = Intent(record.id, upload.registry.name, upload.name, upload.version, files, record.at)
        began = await self._store.begin(record, intent)
        if isinstance(began, Conflict):  # since the history was read: another gateway, or a revocation
            return await self._overtaken(attempt, record, in_the_way(began, files[0]))
        self._around.stepped(Step.DECIDED)
        return intent

    async def _carry_out(self, attempt: _Attempt, assembled: Assembled, intent: Intent, spooled: SpooledBody) -> Reply:
        served = attempt.served
        try:
            refusal = await self._forwarded(served, assembled, intent, spooled)
        except StoreError as error:
            log.error("record: %s", error)  # noqa: TRY400
            refusal = Reason(Code.RECORD_UNAVAILABLE, f"publish {intent.id}", remedy=_UNKNOWN)
        if refusal is None:
            return served.ecosystem.published()  # 11
        return served.ecosystem.render((refusal,), served.permalink(intent.id), attempt.head)

    async def _forwarded(
        self, served: Served, assembled: Assembled, intent: Intent, spooled: SpooledBody
    ) -> Reason | None:
        """Forward and settle; None where the registry holds the verified bytes."""
        await self._store.step(intent.id, Step.FORWARDING)  # 9
        self._around.stepped(Step.FORWARDING)
        failure = await self._forward(served, assembled, spooled)
        if failure is not None:
            log.error("publish %s: %s", intent.id, failure.reason.line())
            return await self._settle_failed(served, intent, failure)
        await self._store.step(intent.id, Step.FORWARDED)
        self._around.stepped(Step.FORWARDED)
        await self._store.settle(intent.id, Settlement.PUBLISHED, "", self._around.now())  # 10
        self._around.stepped(Step.SETTLED)
        return None

    async def _forward(self, served: Served, assembled: Assembled, spooled: SpooledBody) -> _Failure | None:
        write = assembled.forward(self._around.random(16))
        registry = f"registry {served.registry.name}"
        try:
            answer = await served.upstream.write(
                write.method, write.path, dict(write.headers), _parts(write, spooled), write.length
            )
        except UpstreamError as error:
            conclusive = isinstance(error, NothingSent)
            return _Failure(Reason(Code.UPSTREAM_UNAVAILABLE, registry, got=error.problem), conclusive=conclusive)
        said = f"{answer.status} {answer.reason}".strip()
        if not 200 <= answer.status < 300:
            reason = Reason(Code.UPSTREAM_REFUSED, registry, "the upload accepted", said)
            # A 5xx may be a proxy's that lost patience, with the registry behind it still at work.
            return _Failure(reason, conclusive=answer.status < 500)
        if answer.early:
            got = f"{said} before the whole of it was sent"
            return _Failure(Reason(Code.UPSTREAM_UNAVAILABLE, registry, "the upload taken", got), conclusive=False)
        return None

    # --- settling -------------------------------------------------------------------------------------------------

    async def _unsettled(self, served: Served, canonical: str) -> Reason | None:
        for intent in await self._store.open_intents():
            mine = intent.registry == served.registry.name and any(f.canonical == canonical for f in intent.files)
            if not mine:
                continue
            settlement, problem = await self._settle(served, intent)
            if settlement is Settlement.DAMAGED:
                return Reason(Code.PUBLISH_UNSETTLED, canonical, "an earlier publish settled", problem)
        return None

    async def _settle(self, served: Served, intent: Intent) -> tuple[Settlement, str]:
        settlement, problem = await settle(served, intent)
        await self._store.settle(intent.id, settlement, problem, self._around.now())
        log.info("publish %s is settled: %s %s", intent.id, settlement.value, problem)
        return settlement, problem

    async def _settle_failed(self, served: Served, intent: Intent, failure: _Failure) -> Reason | None:
        """Compare what the registry holds after all; None where it is what was verified, else what to tell.

        That nothing is there yet proves nothing where bytes were sent: a registry writes what it got of a cut body
        only when it has noticed the cut. The intent then stays open, and its file withheld, until the next look.
        """
        reason = failure.reason
        try:
            settlement, why = await settle(served, intent)
        except UpstreamError as error:
            log.warning("publish %s is not settled yet: %s", intent.id, error)
            return replace(reason, remedy=_UNKNOWN)
        if settlement is Settlement.ABSENT and not why:  # not there, and not taken out either
            if not failure.conclusive:
                return replace(reason, remedy=_UNKNOWN)
            if reason.code is Code.UPSTREAM_REFUSED:
                settlement, why = Settlement.REFUSED, reason.got
        await self._store.settle(intent.id, settlement, why, self._around.now())
        if settlement is Settlement.DAMAGED:
            return Reason(Code.PUBLISH_UNSETTLED, intent.files[0].name, "the file whole", why)
        return None if settlement is Settlement.PUBLISHED else reason

    async def _present(self, served: Served, assembled: Assembled, *, trusting: bool) -> tuple[tuple[str, str], ...]:
        """Canonical name and digest of those of the upload's files that the registry already holds.

        `trusting` takes the digest that the registry states; otherwise what it serves is measured.
        """
        found = []
        for held in await holdings(served, assembled.upload.name):
            if held.canonical in {file.canonical for file in assembled.upload.files}:
                stated = held.sha256 if trusting else None
                found.append((held.canonical, stated or await digest_of(served, held, served.max_file)))
        return tuple(found)

    # --- records and replies --------------------------------------------------------------------------------------

    def _record(self, attempt: _Attempt, case: Case | None, decision: Decision) -> Record:
        registry = attempt.served.registry.name
        return self._around.record(registry, attempt.grant, decision, case=case, trust=attempt.trust)

    async def _refused(self, attempt: _Attempt, reasons: tuple[Reason, ...]) -> Reply:
        record = self._record(attempt, None, refuse(reasons, attempt.trust.policy.revision))
        await self._store.begin(record, None)
        return attempt.served.ecosystem.render(reasons, attempt.served.permalink(record.id), attempt.head)

    async def _overtaken(self, attempt: _Attempt, record: Record, reason: Reason) -> Reply:
        """Record as refused what was accepted a moment ago and may no longer be carried out."""
        refused = replace(record, decision=refuse((reason,), attempt.trust.policy.revision))
        await self._store.begin(refused, None)
        return attempt.served.ecosystem.render((reason,), attempt.served.permalink(record.id), attempt.head)

    @staticmethod
    def _unrecorded(attempt: _Attempt, reason: Reason) -> Reply:
        link = f"{attempt.served.public_url}/-/reasons/{reason.code.value}"
        return attempt.served.ecosystem.render((reason,), link, attempt.head)


@dataclass(frozen=True, slots=True)
class _Attempt:
    served: Served
    head: Head
    grant: Grant
    trust: Trust


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why forwarding failed; `conclusive` says that nothing of the body can turn up in the registry any more."""

    reason: Reason
    conclusive: bool


def _turns(assembled: Assembled) -> list[str]:
    upload = assembled.upload
    names = [file.canonical for file in upload.files] + ([upload.purl] if assembled.alone else [])
    return [f"{upload.registry.name} {name}" for name in names]


async def _feed(receiver: Receiver, body: AsyncIterator[bytes]) -> None:
    """Hand the body over in pieces of a MiB, each parsed, hashed and written in one hop to a thread."""
    waiting = bytearray()
    async for chunk in body:
        waiting += chunk
        if len(waiting) >= limits.CHUNK:
            await asyncio.to_thread(receiver.feed, bytes(waiting))
            waiting.clear()
    if waiting:
        await asyncio.to_thread(receiver.feed, bytes(waiting))
    receiver.finish()


async def _parts(write: Write, spooled: SpooledBody) -> AsyncIterator[bytes]:
    yield write.head
    pieces = write.encode(spooled)
    while piece := await asyncio.to_thread(next, pieces, b""):
        yield piece
    yield write.tail
