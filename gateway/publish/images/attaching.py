"""Evidence that is pushed as a manifest: telling it from an image, verifying it, and keeping it below its subject.

A manifest is evidence when it is made like evidence and every layer of it verifies, under some trust root, as evidence
for one subject; and when it goes where evidence goes: by its digest, or under cosign's own tag for that very subject.
Under any other tag it is an image like all others, whatever it holds: evidence is no side door. What is made like
evidence and does not verify is refused, and whoever pushed it is told why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from gateway import limits
from gateway.ecosystems.oci_evidence import candidate, claimed, fallback_tag, is_fallback
from gateway.ecosystems.oci_manifest import Manifest
from gateway.errors import Malformed
from gateway.model.content import Content
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence
from gateway.publish.evidence import against
from gateway.publish.images import client
from gateway.publish.images.depot import Depot
from gateway.publish.served import Trust
from gateway.publish.surroundings import Surroundings
from gateway.publish.verifying import in_turn
from gateway.reasons import Code, Reason
from gateway.store import Store
from gateway.verification import verify


class Unfit(Exception):
    """A manifest that is made like evidence and is none; `reasons` say why."""

    def __init__(self, reasons: Sequence[Reason]) -> None:
        super().__init__(reasons[0].line())
        self.reasons = tuple(reasons)


@dataclass(frozen=True, slots=True)
class Attachment:
    """Verified evidence for one subject; `pieces` is empty where it is only a list of what hangs below the subject."""

    subject: Digest
    pieces: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Attaching:
    """Recognises and keeps the evidence of every depot."""

    store: Store
    around: Surroundings

    async def recognise(
        self, depot: Depot, repository: str, tags: tuple[str, ...], manifest: Manifest, trust: Trust
    ) -> Attachment | None:
        """What the manifest is evidence for, verified; None where it is an image.

        Raises `Unfit`, `TooLarge` and `UpstreamError`.
        """
        if (subject := await self._listed(depot, repository, tags, manifest)) is not None:
            return Attachment(subject, ())
        found = candidate(manifest)
        if found is None:
            return None
        blobs = {}
        for blob in found.blobs:
            try:
                body = await self._blob(depot, repository, blob.digest)
            except client.TooLong as error:
                lie = Reason(Code.EVIDENCE_MALFORMED, f"blob {blob.digest}", f"{blob.size} bytes", "more")
                raise Unfit([lie]) from error
            if body is None:
                missing = Reason(Code.CONTENT_MISSING, "the manifest", "its blobs pushed before it", str(blob.digest))
                raise Unfit([missing])
            blobs[blob.digest] = body
        try:
            read = await in_turn(partial(claimed, found, blobs))
        except Malformed as error:
            raise Unfit([Reason(Code.EVIDENCE_MALFORMED, error.about, got=error.problem)]) from error
        if read is None or not set(tags) <= read.tags:
            return None
        for piece in read.evidence:
            if reasons := await self._unfit(piece, read.subject, trust):
                raise Unfit(reasons)
        return Attachment(read.subject, read.evidence)

    async def keep(
        self, depot: Depot, repository: str, manifest: Content, attachment: Attachment, grant: str
    ) -> Content:
        """Note verified evidence below its subject, and keep its pieces for every decision to come."""
        at = self.around.now()
        noted = replace(manifest, subject=attachment.subject)
        for piece in attachment.pieces:
            await self.store.keep_evidence(piece, (noted.digest,), grant, at)
        await self.store.contents.journal(depot.place(repository), noted, at)
        return noted

    async def _unfit(self, piece: Evidence, subject: Digest, trust: Trust) -> tuple[Reason, ...]:
        verified = partial(
            verify,
            piece,
            trust.roots,
            [(subject,)],
            self.around.now(),
            allow_sandbox=trust.allow_sandbox,
            second_opinion=trust.second_opinion,
        )
        return against(await in_turn(verified, together=piece.ref.format.judged_together), (subject,))

    async def _listed(self, depot: Depot, repository: str, tags: tuple[str, ...], manifest: Manifest) -> Digest | None:
        """The subject of a client's own list of referrers, if every one of them is evidence that we know for it."""
        if len(tags) != 1 or not is_fallback(manifest, tags[0]):
            return None
        place, contents = depot.place(repository), self.store.contents
        known = [await contents.content(place, child.digest) for child in manifest.children]
        subjects = {None if one is None else one.subject for one in known}
        (subject, *others) = subjects
        return None if others or subject is None or tags[0] != fallback_tag(subject) else subject

    async def _blob(self, depot: Depot, repository: str, digest: Digest) -> bytes | None:
        for place in depot.places(repository):
            if (found := await client.blob(depot, place, digest, limits.EVIDENCE_BYTES)) is not None:
                return found
        return None
