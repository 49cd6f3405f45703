"""Holds: deciding again when evidence comes, releasing, and ending what waited too long (CONTRACTS D.3).

* A hold reserves nothing. Its deadline counts from its first push and is not moved by a second.
* It is decided again under the policy, the revocations and the grant of that moment, and released only while the
  registry's tag is still what it was at the push, or what this gateway has made of it since. What could not be carried
  out, because the registry was away or has lost a part, is tried again until the deadline.
* What is refused when it is decided again goes on waiting: better evidence may come until the deadline. Only a grant or
  bytes that were withdrawn end it at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.ecosystems.oci_manifest import read_manifest
from gateway.errors import Malformed, StoreError, UpstreamError
from gateway.model.content import Ending, Hold
from gateway.model.decision import Decision, Outcome
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence
from gateway.model.names import purl
from gateway.publish.images import client
from gateway.publish.images.depot import Depot
from gateway.publish.images.judging import Judge, Judged
from gateway.publish.images.naming import Accepted, Naming
from gateway.publish.images.reaching import Broken, reached
from gateway.publish.served import Trust
from gateway.publish.surroundings import Surroundings
from gateway.publish.turns import Turns
from gateway.reasons import Code, Reason
from gateway.store import Store

log = logging.getLogger(__name__)
_ENDS_AT_ONCE: Final = frozenset({Code.CREDENTIAL_INVALID, Code.DIGEST_REVOKED})


@dataclass(frozen=True, slots=True)
class Again:
    """A hold that was decided again, with the manifest as the registry has it."""

    hold: Hold
    judged: Judged
    stored: client.Stored

    @property
    def decision(self) -> Decision:
        """What it came to."""
        return self.judged.decision


class Holding:
    """The holds of every depot. `tags` are the turns of names, shared with whoever publishes them."""

    def __init__(
        self, store: Store, naming: Naming, around: Surroundings, trust: Callable[[], Trust], tags: Turns
    ) -> None:
        self._store = store
        self._naming = naming
        self._around = around
        self._trust = trust
        self._tags = tags
        self._decided_under: dict[str, object] = {}  # hold -> what it was last refused under

    async def waiting_for(self, depot: Depot, repository: str, subject: Digest) -> tuple[Hold, ...]:
        """The open holds of one manifest whose time is not over."""
        place, now = depot.place(repository), self._around.now()
        return tuple(
            hold
            for hold in await self._store.contents.open_holds(depot.registry.name)
            if hold.place == place and subject in _digests(hold) and now < hold.deadline
        )

    async def decide_again(self, depot: Depot, hold: Hold, also: Sequence[Evidence] = ()) -> Again | None:
        """Decide a hold again; None where its manifest or its record is gone. Raises `UpstreamError`."""
        written = await self._store.record(hold.id)
        stored = await client.manifest(depot, depot.deposits(hold.place.repository), hold.digest)
        if written is None or written.record.case is None or stored is None:
            return None
        case, trust = written.record.case, self._trust()
        judge = Judge(self._store, trust, self._around.now())
        pushed = case.pushed or case.at
        judged = await judge.judge(case.upload, stored.body, case.grant, also=also, pushed=pushed)
        if judged.decision.outcome is Outcome.ACCEPT:
            self._decided_under.pop(hold.id, None)  # until it is released
        else:
            self._decided_under[hold.id] = await self._circumstances(hold)
        return Again(hold, judged, stored)

    async def release(self, depot: Depot, again: Again) -> Reason | None:
        """Give an accepted hold its tag, or end it. Raises `UpstreamError`, `TimeoutError`.

        A reason says why it goes on waiting. A hold that ends otherwise is what the record says of it.
        """
        hold, place = again.hold, again.hold.place
        self._decided_under.pop(hold.id, None)  # until it has its tag, each look tries again: the registry may be away
        async with self._tags.take([tag_key(depot, place.repository, hold.tag)]):
            there = await client.manifest(depot, place.repository, hold.tag)
            ours = await self._store.contents.tag(place, hold.tag)
            expected = {hold.before, ours, *_digests(hold)}  # its own: an answer was lost, or somebody did the same
            if there is not None and not expected & set(there.digests):
                moved = "the registry's tag was moved by somebody else since the push"
                await self._end(hold, Ending.SUPERSEDED, moved)
                return None
            manifest = read_manifest(again.stored.body, again.stored.media_type)
            try:
                reaches = await reached(depot, place.repository, manifest, hold.digest, again.stored.body)
            except Broken as broken:
                log.warning("hold %s is not released: %s", hold.id, broken.reason.line())
                return broken.reason
            accepted = Accepted(
                hold.digest,
                again.stored.media_type,
                again.stored.body,
                reaches,
                again.judged.case.grant,
                hold.opened,
                self._trust().policy.moves(again.judged.case.upload),
                hold.id,
            )
            case = again.judged.case
            record = self._around.record(
                depot.registry.name, case.grant, again.decision, case=case, trust=self._trust()
            )
            reason = await self._naming.name(depot, accepted, record)
            log.info("hold %s is %s", hold.id, "released" if reason is None else f"not released: {reason.line()}")
            if reason is not None and reason.code in _ENDS_AT_ONCE:
                await self._end(hold, Ending.REFUSED, reason.line())
                return None
            return reason

    async def look(self, depot: Depot) -> bool:
        """End what waited too long, and decide again what was last decided under another policy; False: come again."""
        complete = True
        for hold in await self._store.contents.open_holds(depot.registry.name):
            try:
                complete = await self._look_at(depot, hold) and complete
            except (UpstreamError, TimeoutError, Malformed) as error:
                log.warning("hold %s is not decided again yet: %s", hold.id, error)
                complete = False
        return complete

    async def evidence_came(self, depots: Iterable[Depot], digests: Iterable[Digest]) -> None:
        """Decide every open hold on these digests again: evidence has come another way (the locker)."""
        covered = set(digests)
        for depot in depots:
            for hold in await self._store.contents.open_holds(depot.registry.name):
                if covered & _digests(hold):
                    self._decided_under.pop(hold.id, None)
                    try:
                        await self._look_at(depot, hold)
                    except (UpstreamError, TimeoutError, Malformed, StoreError) as error:
                        log.warning("hold %s is not decided again yet: %s", hold.id, error)

    async def _look_at(self, depot: Depot, hold: Hold) -> bool:
        if self._around.now() >= hold.deadline:
            await self._end(hold, Ending.EXPIRED, "its evidence did not come in time")
            return True
        if self._decided_under.get(hold.id) == await self._circumstances(hold):
            return True
        again = await self.decide_again(depot, hold)
        if again is None:
            await self._end(hold, Ending.REFUSED, "the registry has lost the manifest")
        elif again.decision.outcome is Outcome.ACCEPT:
            return await self.release(depot, again) is None
        elif found := next((reason for reason in again.decision.reasons if reason.code in _ENDS_AT_ONCE), None):
            await self._end(hold, Ending.REFUSED, found.line())
        return True

    async def _circumstances(self, hold: Hold) -> object:
        """What a decision rests on and that may change without new evidence."""
        trust, place = self._trust(), hold.place
        waivers = await self._store.waivers_for(
            place.registry, purl("oci", place.repository), hold.tag, hold.sha256, self._around.now()
        )
        roots = tuple(root.digest for root in trust.roots)
        return trust.policy.revision, roots, tuple(one.id for one in waivers), hold.sha256 in self._store.revoked()

    async def _end(self, hold: Hold, ending: Ending, problem: str) -> None:
        self._decided_under.pop(hold.id, None)
        if await self._store.contents.end_hold(hold.id, ending, problem, self._around.now()):
            log.info("hold %s has ended: %s %s", hold.id, ending.value, problem)


def _digests(hold: Hold) -> set[Digest]:
    """The digests that evidence may give a held manifest."""
    return {hold.digest, Digest("sha256", hold.sha256)}


def tag_key(depot: Depot, repository: str, tag: str) -> str:
    """The turn of a name."""
    return f"{depot.registry.name} {repository}:{tag}"
