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
from gateway.publish.evidence import gather, measure_covered, verify_all
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

        Whoever sends wrong evidence is told so; wrong evidence of others leaves the question open.
        """
        (file, *_), place = upload.files, Place(upload.registry.name, upload.name)
        attached = await self._attached(place, file.digests, also)
        evidence = await gather(self.store, upload, attached, grant.id)
        findings = await verify_all(evidence, upload, self.trust, self.at)
        upload = await asyncio.to_thread(measure_covered, upload, findings, io.BytesIO(body))
        history = await self.store.history(upload)
        waivers = await self.store.waivers_for(place.registry, upload.purl, upload.version, file.sha256, self.at)
        case = Case(self.at, upload, grant, findings, history, waivers, pushed)
        return Judged(case, decide(case, self.trust.policy))

    async def _attached(
        self, place: Place, digests: Sequence[Digest], also: Sequence[Evidence]
    ) -> tuple[Evidence, ...]:
        """The evidence that hangs below a manifest in its repository: what has just come first, then oldest first."""
        pieces = {piece.ref.id: replace(piece, ref=replace(piece.ref, source=Source.REQUEST)) for piece in also}
        for digest in digests:
            for referrer in await self.store.contents.referrers(place, digest):
                for piece in await self.store.kept_evidence(referrer.digest):
                    pieces.setdefault(piece.ref.id, piece)
        return tuple(
            replace(piece, ref=replace(piece.ref, position=position)) for position, piece in enumerate(pieces.values())
        )
