"""`Vouched`: what the gateway answers for under one canonical name: bytes it measured, and what was proved of them.

Bytes are vouched for when their publish went through, or when an operator had what was there before measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.model.case import Case
from gateway.model.evidence import Finding, Format


@dataclass(frozen=True, slots=True)
class Proof:
    """A bundle that verified when its publish was accepted: `evidence` is its id, `subject` the one name it speaks of.

    `subject` is None where the bundle covers several things, or none by a name.
    """

    evidence: str
    root: str
    predicate_type: str
    subject: str | None


@dataclass(frozen=True, slots=True)
class Vouched:
    """The digests of the bytes, in hexadecimal, and the proofs that came with their publish."""

    sha256: str
    sha512: str
    proofs: tuple[Proof, ...] = ()


def vouched_for(case: Case) -> dict[str, Vouched]:
    """What an accepted case lets the gateway vouch for, by canonical name: files of which the sha512 was measured."""
    found = {}
    for file in case.upload.files:
        sha512 = file.digest("sha512")
        if sha512 is not None:
            proofs = tuple(proof for finding in case.findings for proof in _proof(finding, set(file.digests)))
            found[file.canonical] = Vouched(file.sha256, sha512, proofs)
    return found


def _proof(finding: Finding, digests: set[object]) -> Iterator[Proof]:
    attestation = finding.attestation
    if attestation is None or attestation.predicate_type is None or finding.evidence.format is not Format.BUNDLE:
        return
    if any(digests & set(subject.digests) for subject in attestation.covers):
        subject = attestation.covers[0].name if len(attestation.covers) == 1 else None
        yield Proof(finding.evidence.id, attestation.root, attestation.predicate_type, subject)
