"""`Vouched`: what the gateway answers for under one canonical name: bytes it measured, and what was proved of them.

Bytes are vouched for when their publish went through, or when an operator had what was there before measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gateway.model.case import Case
from gateway.model.digest import Digest
from gateway.model.evidence import Finding, Format
from gateway.model.upload import File


@dataclass(frozen=True, slots=True)
class Proof:
    """A bundle that verified when its publish was accepted: `evidence` is its id.

    `subject` is the name that it gives to the bytes' sha512; None where it gives none, or speaks of several things.
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
            proofs = tuple(proof for finding in case.findings for proof in _proof(finding, file, sha512))
            found[file.canonical] = Vouched(file.sha256, sha512, proofs)
    return found


def _proof(finding: Finding, file: File, sha512: str) -> Iterator[Proof]:
    attestation = finding.attestation
    if attestation is None or attestation.predicate_type is None or finding.evidence.format is not Format.BUNDLE:
        return
    if any(set(file.digests) & set(subject.digests) for subject in attestation.covers):
        named = [one.name for one in attestation.covers if Digest("sha512", sha512) in one.digests]
        subject = named[0] if named and len(attestation.covers) == 1 else None
        yield Proof(finding.evidence.id, attestation.root, attestation.predicate_type, subject)
