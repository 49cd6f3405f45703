"""Links and sublayouts as evidence: hostile pieces to what they say, and who is said to have signed them.

Step 1 of `links`. Nothing is trusted yet: a sublayout or a link is read at all only where it bears the id of a key that
a layout names, so that others' junk costs little.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import TypeVar

from in_toto.models.link import Link

from gateway import limits
from gateway.errors import Malformed
from gateway.model.evidence import Evidence, EvidenceRef, Finding
from gateway.reasons import Code, Reason
from gateway.verification.formats import unreadable
from gateway.verification.keys import PublicKey
from gateway.verification.layout import Layout, Step, has_inspections, layout_of
from gateway.verification.signed_metadata import Signature, SignedMetadata, read_metadata

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class SignedLink:
    """A link after step 1; `message` is empty where no functionary of any layout is said to have signed it."""

    ref: EvidenceRef
    link: Link
    signatures: tuple[Signature, ...]
    message: bytes

    def by(self, step: Step | None) -> tuple[str, ...]:
        """Who of the step's functionaries signed it, by key id."""
        return () if step is None else _signers(step.functionaries, self.signatures, self.message)


@dataclass(frozen=True, slots=True)
class Sublayout:
    """A layout that a functionary sent in place of a link."""

    ref: EvidenceRef
    layout: Layout
    message: bytes

    def by(self, step: Step) -> tuple[str, ...]:
        """Who of the step's functionaries signed it, by key id."""
        return _signers(step.functionaries, self.layout.signed.signatures, self.message)


class _Inspections(Malformed):
    """A layout that wants something run."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is being read: the key ids that are worth a look, and what could not be read."""

    late: Callable[[], bool]
    known: set[str]
    findings: list[Finding] = field(default_factory=list)

    def read(self, pieces: Iterable[Evidence]) -> tuple[tuple[SignedLink, ...], tuple[Sublayout, ...]]:
        """Read links and sublayouts; a sublayout first, since it names functionaries of its own."""
        found = [(one.ref, signed) for one in pieces for signed in self._each(one.ref, lambda: _metadata(one.body))]  # noqa: B023
        waiting = [one for one in found if one[1].is_layout]
        sublayouts: list[Sublayout] = []
        for _ in range(limits.LAYOUT_DEPTH):
            ready = [one for one in waiting if one[1].key_ids & self.known]
            waiting = [one for one in waiting if one not in ready]
            for ref, signed in ready:
                for sublayout in self._each(ref, lambda: _sublayout(ref, signed)):  # noqa: B023
                    sublayouts.append(sublayout)
                    self.known.update(sublayout.layout.functionaries)
        for ref, _ in waiting:
            reason = Reason(Code.CERTIFICATE_UNTRUSTED, ref.label, "a layout by a functionary", "of others")
            self.findings.append(Finding(ref, None, reasons=(reason,)))
        links = [
            link
            for ref, signed in found
            if not signed.is_layout
            for link in self._each(ref, lambda: _link(ref, signed, self.known))  # noqa: B023
        ]
        return tuple(links), tuple(sublayouts)

    def _each(self, ref: EvidenceRef, read: Callable[[], _T]) -> list[_T]:
        """What reading gives; nothing, and a finding, where it fails or comes too late."""
        if self.late():
            self.findings.append(Finding(ref, None, reasons=(unverified(ref),)))
            return []
        try:
            return [read()]
        except Exception as error:  # noqa: BLE001 - a third party's reader of hostile bytes: anything else fails closed
            self.findings.append(Finding(ref, None, reasons=(_unreadable(ref.label, error),)))
            return []


def _metadata(body: bytes) -> SignedMetadata:
    signed = read_metadata(body)
    if signed.is_layout and has_inspections(signed.document):
        raise _Inspections("layout", "has inspections, which are commands to be run by the verifier")
    return signed


def _sublayout(ref: EvidenceRef, signed: SignedMetadata) -> Sublayout:
    return Sublayout(ref, layout_of(signed), signed.message)


def _link(ref: EvidenceRef, signed: SignedMetadata, known: AbstractSet[str]) -> SignedLink:
    link = signed.model
    if not isinstance(link, Link) or not isinstance(link.name, str):
        raise Malformed("link.name", "not a string")
    if not signed.key_ids & known:
        return SignedLink(ref, link, signed.signatures, b"")
    return SignedLink(ref, link, signed.signatures, link.signable_bytes if signed.envelope is None else signed.envelope)


def _unreadable(about: str, error: Exception) -> Reason:
    if isinstance(error, _Inspections):
        return Reason(Code.LAYOUT_INSPECTION, about, got=error.problem)
    return unreadable(about, error)


def _signers(known: Mapping[str, PublicKey], signatures: Iterable[Signature], message: bytes) -> tuple[str, ...]:
    hinted = [signature for signature in signatures if signature.key_id in known]
    by = [one.key_id for one in hinted if known[one.key_id].signed(one.value, message)]
    return tuple(dict.fromkeys(by))


def unverified(ref: EvidenceRef) -> Reason:
    """Say that a piece was left out because the time for one publish was spent."""
    return Reason(Code.EVIDENCE_UNVERIFIED, ref.label, f"verified within {limits.EVIDENCE_SECONDS:g} s")
