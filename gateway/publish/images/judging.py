"""Deciding whether a manifest may have a tag: its evidence gathered and verified, the history read, `decide` asked.

Run when a tag is pushed, and again for each hold when evidence comes (CONTRACTS D.3): nothing here writes.
"""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.model.case import Case, Grant
from gateway.model.content import Place
from gateway.model.decision import Decision
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, Source
from gateway.model.upload import Upload
from gateway.policy import decide
from gateway.publish.evidence import gather, measure_covered, measure_signed, verify_all
from gateway.publish.served import Trust
from gateway.store import Store


@dataclass(frozen=True, slots=True)
class Judged:
    """A case and what it came to."""

    case: Case
    decision: Decision


@dataclass(frozen=True, slots=True)
class Judge:
    """Decides under one policy and one set of roots, at one time."""

    store: Store
    trust: Trust
    at: datetime

    async def judge(
        self,
        upload: Upload,
        body: bytes,
        grant: Grant,
        *,
        also: Sequence[Evidence] = (),
        pushed: datetime | None = None,
    ) -> Judged:
        """Decide on a manifest under one tag; `also` is evidence that comes in this very request, not stored yet.

        That, and what the same credential attached before, is the publisher's own: where it is wrong, the answer is no.
        Wrong evidence of others leaves the question open.
        """
        (file, *_), place = upload.files, Place(upload.registry.name, upload.name)
        attached = await self._attached(place, file.digests, also, grant.id)
        evidence = await gather(self.store, upload, attached, grant.id)
        upload = await asyncio.to_thread(measure_signed, upload, evidence, io.BytesIO(body))
        findings = await verify_all(evidence, upload, self.trust, self.at)
        upload = await asyncio.to_thread(measure_covered, upload, findings, io.BytesIO(body))
        history = await self.store.history(upload)
        waivers = await self.store.waivers_for(place.registry, upload.purl, upload.version, file.sha256, self.at)
        case = Case(self.at, upload, grant, findings, history, waivers, pushed)
        return Judged(case, decide(case, self.trust.policy))

    async def _attached(
        self, place: Place, digests: Sequence[Digest], also: Sequence[Evidence], grant: str
    ) -> tuple[Evidence, ...]:
        """The evidence below a manifest in its repository: what has just come, the publisher's own, then others'.

        So whatever others attached, it does not spend the time that verifying the publisher's takes (CONTRACTS C.12).
        """
        pieces = {piece.ref.id: (piece, True) for piece in also}
        for digest in digests:
            for referrer in await self.store.contents.referrers(place, digest):
                for piece, sender in await self.store.kept_evidence(referrer.digest):
                    pieces.setdefault(piece.ref.id, (piece, sender == grant))
        return tuple(
            replace(
                piece, ref=replace(piece.ref, source=Source.REQUEST if own else piece.ref.source, position=position)
            )
            for position, (piece, own) in enumerate(sorted(pieces.values(), key=lambda one: not one[1]))
        )
