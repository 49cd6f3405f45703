"""Checks of the evidence inside the publish request itself, which its protocol holds to rules of its own (PEP 740)."""

from __future__ import annotations

from collections import Counter

from gateway.model.case import Case
from gateway.model.decision import Check
from gateway.model.evidence import Attestation, EvidenceRef, Finding, Source
from gateway.model.upload import RequestRules
from gateway.policy.checks.coverage import covers
from gateway.policy.checks.evidence import best_failure, pieces
from gateway.policy.checks.results import either, failed, judged, passed
from gateway.policy.rules import Rule
from gateway.reasons import Code, Reason


def request_rules(case: Case, rule: Rule) -> tuple[Check, ...]:
    """What the protocol demands of the evidence in the request, judged under every root that the rule trusts."""
    rules, about = case.upload.request_rules, case.upload.files[0].name
    roots = {root for asked in rule.attestations for root in asked.trust_roots}
    sent = [finding for finding in case.findings if finding.evidence.source is Source.REQUEST]
    checks: list[Check] = []
    proved: list[Attestation] = []
    for ref, found in pieces(sent):
        trusted = [one for one in found if one.root is None or one.root in roots]
        good = [one.attestation for one in trusted if one.attestation]
        if not good:
            if rules.every_must_verify:
                checks += _unverified(ref, trusted, roots, about)
            continue
        proved.append(good[0])
        checks += _one(case, rules, ref, good[0])
    if rules.one_per_predicate:
        counts = Counter(one.predicate_type for one in proved)
        twice = [predicate or "a plain signature" for predicate, count in counts.items() if count > 1]
        checks.append(
            judged(
                "request-duplicates",
                about,
                Code.EVIDENCE_DUPLICATE,
                "one attestation per predicate type",
                f"several of {either(twice)}" if twice else f"{len(proved)} in all",
                holds=not twice,
            )
        )
    return tuple(checks)


def _unverified(ref: EvidenceRef, trusted: list[Finding], roots: set[str], about: str) -> list[Check]:
    if trusted:
        return [failed("request-evidence", about, reason) for reason in best_failure(trusted).reasons]
    reason = Reason(Code.CERTIFICATE_UNTRUSTED, about, either(sorted(roots)), f"{ref.label}, known to none of them")
    return [failed("request-evidence", about, reason)]


def _one(case: Case, rules: RequestRules, ref: EvidenceRef, attestation: Attestation) -> list[Check]:
    """One piece that verified: its predicate, its single subject, and that it is for the file it came with."""
    about = case.upload.files[0].name
    checks: list[Check] = [passed("request-evidence", about, "evidence that verifies", ref.label)]
    if rules.predicates is not None:
        checks.append(
            judged(
                "request-predicate",
                about,
                Code.PREDICATE_UNSUPPORTED,
                either(sorted(rules.predicates)),
                attestation.predicate_type or "a plain signature",
                holds=attestation.predicate_type in rules.predicates,
            )
        )
    if rules.single_subject:
        count = len(attestation.covers)
        checks.append(
            judged(
                "request-subject", about, Code.EVIDENCE_MALFORMED, "one subject", f"{count} subjects", holds=count == 1
            )
        )
    if rules.every_must_verify:
        checks += covers(attestation.covers, case.upload.files[0], case.upload, unbound=False)
    return checks
