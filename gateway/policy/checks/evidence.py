"""Checks that the evidence a rule asks for is there, choosing among what was sent.

Evidence can only help. Every attestation is tried against every signer that the rule allows, and the candidate that
leads to the mildest outcome is reported: one that passes, else the nearest miss. What the publisher sent with the
upload stands in for missing evidence; what others sent may do so only where that changes nothing for the worse, so
that nobody can turn an accepted or a held upload into a refused one by attaching something to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.model.case import Case
from gateway.model.decision import Check
from gateway.model.evidence import Attestation, EvidenceRef, Finding, Format, Source
from gateway.model.identity import Identity
from gateway.model.upload import File
from gateway.policy.checks.coverage import covers
from gateway.policy.checks.credential import credential_run
from gateway.policy.checks.past import release_run
from gateway.policy.checks.provenance import level_reached, provenance_agrees
from gateway.policy.checks.results import either, failed, judged, passed
from gateway.policy.checks.signer import signed_by
from gateway.policy.checks.summary import summary_says
from gateway.policy.leniency import Leniency, Weight
from gateway.policy.rules import HOLDS, AttestationRule, Rule, Signer
from gateway.reasons import Code, Reason

_LATER: Final = "Sign what you pushed; or push it by digest, attach the evidence to the digest, and push the tag last."
_OWN: Final = frozenset({Source.REQUEST, Source.ARGUMENT})


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way in which evidence might meet what is asked, with every check of it."""

    checks: tuple[Check, ...]
    own: bool = False
    attestation: Attestation | None = None

    @property
    def signer(self) -> Identity | None:
        """Whose identity stands behind it."""
        return self.attestation.signer if self.attestation else None


@dataclass(frozen=True, slots=True)
class Demand:
    """What one rule asks for one file of a case."""

    case: Case
    rule: Rule
    asked: AttestationRule
    file: File


def evidence_for(demand: Demand, lenient: Leniency) -> Candidate:
    """The candidate that counts for one file: one that passes, else the nearest miss, else that there is none."""
    candidates = [one for ref, found in pieces(demand.case.findings) for one in _candidates(demand, ref, found)]
    if not any(one.own for one in candidates):
        candidates.append(_missing(demand))

    def rank(one: Candidate) -> tuple[Weight, bool, bool, int]:
        misses = sum(check.reason is not None for check in one.checks)
        nothing = any(check.reason is not None and check.reason.code is Code.EVIDENCE_MISSING for check in one.checks)
        return lenient.weight(one.checks), nothing, not one.own, misses if one.attestation else misses + _UNVERIFIED

    return min(candidates, key=rank)


_UNVERIFIED: Final = 100  # a piece that verified comes nearer than any that did not


def best_failure(found: Sequence[Finding]) -> Finding:
    """Of one piece's failures under several roots, the one that says most; being unknown to a root says least."""
    return min(found, key=lambda one: all(reason.code is Code.CERTIFICATE_UNTRUSTED for reason in one.reasons))


def pieces(findings: Iterable[Finding]) -> Iterator[tuple[EvidenceRef, list[Finding]]]:
    """Each piece of evidence with what it came to under every root."""
    found: dict[EvidenceRef, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.evidence, []).append(finding)
    yield from found.items()


def _candidates(demand: Demand, ref: EvidenceRef, found: Sequence[Finding]) -> Iterator[Candidate]:
    """What one piece of evidence comes to, under the rule's trust roots and no others (CONTRACTS C.8)."""
    asked, about, own = demand.asked, demand.file.name, ref.source in _OWN
    if (ref.format is Format.LINKS) is not asked.layout:
        return  # links count together, under a layout, and for nothing else
    trusted = [one for one in found if one.root is None or one.root in asked.trust_roots]
    proved = [one.attestation for one in trusted if one.attestation]
    if proved:
        for attestation in proved:
            if asked.asks_for(attestation.predicate_type):
                for signer in _signers(asked):
                    yield Candidate(_judge(demand, attestation, signer, ref), own, attestation)
        return
    if trusted:
        reasons = best_failure(trusted).reasons
        yield Candidate(tuple(failed("evidence", about, reason) for reason in reasons), own)
        return
    elsewhere = [one.attestation for one in found if one.attestation]
    if any(asked.asks_for(one.predicate_type) for one in elsewhere):
        got = f"{ref.label}, known to {either(sorted({one.root for one in elsewhere}))}"
        reason = Reason(Code.CERTIFICATE_UNTRUSTED, about, f"a signer under {either(asked.trust_roots)}", got)
        yield Candidate((failed("evidence", about, reason),), own)


def _signers(asked: AttestationRule) -> tuple[Signer | None, ...]:
    """Against whom to hold an attestation: the rule's signers, or nobody but the layout itself."""
    return (None,) if asked.layout else asked.signers


def _judge(demand: Demand, attestation: Attestation, signer: Signer | None, ref: EvidenceRef) -> tuple[Check, ...]:
    """Every check of one attestation against one signer, none left out because another failed."""
    case, rule, asked, about = demand.case, demand.rule, demand.asked, demand.file.name
    identity = attestation.signer
    unbound = signer is not None and signer.unsafe_unbound_name
    copied = ref.format is Format.COSIGN and attestation.predicate_type is None
    checks = [
        passed("evidence", about, asked.wanted, f"{ref.label}, verified under {attestation.root}"),
        *covers(attestation.covers, demand.file, case.upload, unbound=unbound, copied=copied),
    ]
    if signer is None:
        return (*checks, _performed(attestation, about))
    checks += [
        *signed_by(signer, attestation, case.upload.version, about),
        *provenance_agrees(attestation, asked.provenance, about),
        *summary_says(attestation, asked.summary, demand.file, case.upload),
        *level_reached(signer, attestation, asked.min_build_level, about),
    ]
    # A key or a person has no run; a CI that is not the expected one still has one to compare.
    if signer.repository and rule.credential.same_run:
        checks.append(credential_run(case, identity, about))
    if signer.repository and rule.release.same_run:
        checks.append(release_run(case, identity, about))
    return tuple(checks)


def _performed(attestation: Attestation, about: str) -> Check:
    """The steps of the layout, with who performed them; links that were not held against it have none."""
    got = "; ".join(f"{one.step} by {', '.join(key[:8] for key in one.functionaries)}" for one in attestation.steps)
    expected = f"every step of {attestation.root}"
    return judged("steps", about, Code.LAYOUT_THRESHOLD, expected, got or "none", holds=bool(attestation.steps))


def _missing(demand: Demand) -> Candidate:
    asked, findings = demand.asked, demand.case.findings
    others = sorted(
        {
            finding.attestation.predicate_type or "a plain signature"
            for finding in findings
            if finding.attestation and not asked.asks_for(finding.attestation.predicate_type)
        }
    )
    got = f"only {either(others[:3])}" if others else "none" if not findings else "none that meets it"
    remedy = _LATER if demand.case.upload.registry.ecosystem in HOLDS else ""
    reason = Reason(Code.EVIDENCE_MISSING, demand.file.name, asked.wanted, got, remedy)
    return Candidate((failed("evidence", demand.file.name, reason),))
