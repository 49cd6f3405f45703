"""What the protocol demands of the evidence inside a publish request: for PyPI, PEP 740's rules."""

from __future__ import annotations

import pytest

from gateway.model.decision import Decision, Outcome
from gateway.model.evidence import Finding, Source
from gateway.model.upload import RequestRules
from gateway.policy import decide
from gateway.reasons import Code, Reason
from tests.lab import cases as lab
from tests.lab.cases import OTHER, PEP740, PUBLISH, ROOT, attestation, failed, finding


def codes(decision: Decision) -> set[str]:
    return {reason.code.value for reason in decision.reasons}


def judged(*findings: Finding, rules: RequestRules = PEP740, roots: tuple[str, ...] = (ROOT,)) -> Decision:
    rule = lab.rule(attestations=(lab.asked(trust_roots=roots),))
    return decide(lab.case(of=lab.upload(request_rules=rules), findings=findings), lab.policy(rule))


def published(**changed: object) -> Finding:
    values: dict[str, object] = {"predicate_type": PUBLISH, "provenance": None}
    return finding(attestation(**(values | changed)), position=1)


BAD = {
    "a bad signature": (failed(position=1), {"signature-invalid"}),
    "one that could not be read": (failed(Code.EVIDENCE_MALFORMED, position=1, root=None), {"evidence-malformed"}),
    "a root that the rule does not name": (published(root="staging"), {"certificate-untrusted"}),
    "other bytes": (published(covers=(lab.subject(sha256=OTHER),)), {"digest-mismatch"}),
    "another name": (published(covers=(lab.subject("x.whl"),)), {"evidence-name-mismatch"}),
    "no name": (published(covers=(lab.subject(None),)), {"evidence-name-mismatch"}),
    "two subjects": (published(covers=(lab.subject(), lab.subject("x", sha256=OTHER))), {"evidence-malformed"}),
    "two of one predicate": (finding(position=1), {"evidence-duplicate"}),
    "another predicate": (published(predicate_type="https://spdx.dev/Document"), {"predicate-unsupported"}),
    "a plain signature": (published(predicate_type=None), {"predicate-unsupported"}),
}


@pytest.mark.parametrize("name", BAD)
def test_one_bad_attestation_in_the_request_rejects_the_upload(name: str) -> None:
    bad, expected = BAD[name]
    for findings in ((finding(), bad), (bad, finding())):
        decision = judged(*findings)
        assert codes(decision) == expected
        assert decision.outcome is Outcome.REJECT


@pytest.mark.parametrize("name", BAD)
def test_where_the_protocol_has_no_such_rules_it_can_only_help(name: str) -> None:
    bad, _ = BAD[name]
    assert codes(judged(finding(), bad, rules=RequestRules())) == set()


@pytest.mark.parametrize("name", BAD)
def test_what_others_sent_is_not_held_to_the_requests_rules(name: str) -> None:
    bad, _ = BAD[name]
    ref = lab.evidence(Source.LOCKER)
    moved = Finding(ref, bad.root, bad.attestation, bad.reasons)
    assert codes(judged(finding(), moved)) == set()


def test_provenance_and_the_publish_attestation_go_together() -> None:
    assert codes(judged(finding(), published())) == set()


def test_an_attestation_verifies_where_any_root_of_the_rule_verifies_it() -> None:
    untrusted = failed(Code.CERTIFICATE_UNTRUSTED, position=1, root="github")
    assert codes(judged(finding(), untrusted, published(), roots=("github", ROOT))) == set()


def test_the_same_piece_under_two_roots_is_no_duplicate() -> None:
    again = finding(attestation(root="copy"))
    assert codes(judged(finding(), again, roots=(ROOT, "copy"))) == set()


def test_a_bad_attestation_gives_its_reason_once_and_all_of_them() -> None:
    reasons = [Reason(Code.SCT_INVALID, "request evidence 1"), Reason(Code.LOG_PROOF_INVALID, "request evidence 1")]
    decision = judged(finding(reasons))
    assert sorted(reason.code.value for reason in decision.reasons) == ["log-proof-invalid", "sct-invalid"]


def test_evidence_for_other_bytes_is_said_once() -> None:
    decision = judged(finding(attestation(covers=(lab.subject(sha256=OTHER),))))
    assert [reason.code.value for reason in decision.reasons] == ["digest-mismatch"]
    assert decision.reasons[0].expected == f"sha256:{OTHER}"
    assert decision.reasons[0].got == f"sha256:{lab.SHA256}"
