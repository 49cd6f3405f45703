"""Which evidence counts: the mildest candidate, the nearest miss, the rule's roots, and junk that hurts nobody."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.model.case import Case, History
from gateway.model.decision import Decision, Outcome
from gateway.model.digest import Digest
from gateway.model.evidence import Finding, Source
from gateway.model.upload import Registry
from gateway.policy import CredentialRule, Mode, ReleaseRule, Rule, Signer, decide
from gateway.reasons import Code, Reason
from tests.lab import cases as lab
from tests.lab.cases import OTHER, PUBLISH, ROOT, attestation, ci, failed, finding

CI = lab.signer()


def codes(decision: Decision) -> set[str]:
    return {reason.code.value for reason in decision.reasons}


def judged(*findings: Finding, rule: Rule | None = None) -> Decision:
    return decide(lab.case(findings=findings), lab.policy(rule or lab.rule()))


def wrong(source: Source = Source.LOCKER, position: int = 0, **changed: object) -> Finding:
    return finding(attestation(signer=ci(**changed)), source=source, position=position)


JUNK = {
    "a bad signature": failed(source=Source.LOCKER),
    "one that could not be read": failed(Code.EVIDENCE_MALFORMED, source=Source.REFERRER, root=None),
    "another repository": wrong(repository="evil/libs"),
    "another run": wrong(run="6"),
    "other bytes": finding(attestation(covers=(lab.subject(sha256=OTHER),)), source=Source.LOCKER),
    "one digest right, one wrong": finding(
        attestation(covers=(lab.subject(sha256=lab.SHA256, sha512=OTHER * 2),)), source=Source.LOCKER
    ),
    "another name": finding(attestation(covers=(lab.subject("other.whl"),)), source=Source.SIDECAR),
    "another predicate": finding(attestation(predicate_type="https://spdx.dev/Document"), source=Source.FETCHED),
    "a person": finding(attestation(signer=lab.person()), source=Source.LOCKER),
    "another root": finding(attestation(root="elsewhere"), source=Source.LOCKER),
    "unknown parameters": finding(
        attestation(provenance=lab.provenance(unknown_parameters=("x",))), source=Source.LOCKER
    ),
}


@pytest.mark.parametrize("name", JUNK)
def test_junk_of_others_beside_good_evidence_changes_nothing(name: str) -> None:
    for findings in ((JUNK[name], finding()), (finding(), JUNK[name])):
        decision = judged(*findings)
        assert decision.outcome is Outcome.ACCEPT
        assert codes(decision) == set()
        assert decision.signer == ci()


@pytest.mark.parametrize("name", JUNK)
def test_junk_of_others_does_not_spoil_an_upload_that_is_only_observed(name: str) -> None:
    rule = lab.rule(mode=Mode.OBSERVE)
    assert judged(rule=rule).outcome is Outcome.ACCEPT
    assert judged(JUNK[name], rule=rule).outcome is Outcome.ACCEPT


@pytest.mark.parametrize("name", JUNK)
def test_junk_of_others_does_not_spoil_an_upload_that_waits_for_its_evidence(name: str) -> None:
    upload = lab.upload(registry=Registry("python", "oci"), claims=())
    waiting = lab.case(of=upload, findings=[])
    assert decide(waiting, lab.policy()).outcome is Outcome.HOLD
    assert decide(replace(waiting, findings=(JUNK[name],)), lab.policy()).outcome is Outcome.HOLD


@pytest.mark.parametrize("name", JUNK)
def test_junk_of_others_does_not_spoil_an_upload_that_was_waived(name: str) -> None:
    waived = lab.case(findings=[], waivers=[lab.waiver(Code.EVIDENCE_MISSING)])
    assert decide(waived, lab.policy()).outcome is Outcome.ACCEPT
    assert decide(replace(waived, findings=(JUNK[name],)), lab.policy()).outcome is Outcome.ACCEPT


def test_junk_of_others_does_not_push_aside_a_miss_that_was_waived() -> None:
    late = finding(attestation(signer=ci(runner="x", trigger="workflow_dispatch"), provenance=lab.provenance()))
    mine = finding(
        attestation(signer=ci(trigger="x"), provenance=lab.provenance(build=ci(trigger="x"))), source=Source.LOCKER
    )
    case = lab.case(
        findings=[mine, failed(source=Source.LOCKER, position=1)], waivers=[lab.waiver(Code.TRIGGER_MISMATCH)]
    )
    assert decide(case, lab.policy()).outcome is Outcome.ACCEPT
    assert decide(replace(case, findings=(late, mine)), lab.policy()).outcome is Outcome.ACCEPT


def test_no_evidence_at_all_is_missing() -> None:
    decision = judged()
    assert codes(decision) == {"evidence-missing"}
    assert decision.reasons[0].got == "none"
    assert lab.SLSA in decision.reasons[0].expected


def test_evidence_of_another_predicate_is_said_to_be_all_there_is() -> None:
    decision = judged(finding(attestation(predicate_type=PUBLISH, provenance=None)))
    assert codes(decision) == {"evidence-missing"}
    assert PUBLISH in decision.reasons[0].got


def test_evidence_that_failed_gives_its_own_reasons() -> None:
    bad = finding(
        [Reason(Code.SCT_INVALID, "request evidence 1"), Reason(Code.TIMESTAMP_MISSING, "request evidence 1")]
    )
    assert codes(judged(bad)) == {"sct-invalid", "timestamp-missing"}


def test_evidence_that_no_root_could_read_gives_its_own_reasons() -> None:
    assert codes(judged(failed(Code.EVIDENCE_MALFORMED, root=None))) == {"evidence-malformed"}


def test_a_failure_under_one_root_does_not_matter_where_another_root_of_the_rule_verifies() -> None:
    rule = lab.rule(attestations=(lab.asked(trust_roots=("github", ROOT)),))
    assert codes(judged(failed(Code.CERTIFICATE_UNTRUSTED, root="github"), finding(), rule=rule)) == set()


def test_of_failures_under_several_roots_the_one_that_knows_the_signer_is_reported() -> None:
    rule = lab.rule(attestations=(lab.asked(trust_roots=("github", ROOT)),))
    for order in (1, -1):
        found = [failed(Code.CERTIFICATE_UNTRUSTED, root="github"), failed(Code.TIMESTAMP_INVALID)][::order]
        assert codes(judged(*found, rule=rule)) == {"timestamp-invalid"}


def test_evidence_does_not_choose_its_trust_root() -> None:
    elsewhere = finding(attestation(root="staging"))
    assert codes(judged(elsewhere)) == {"certificate-untrusted"}
    assert codes(judged(elsewhere, failed(Code.CERTIFICATE_UNTRUSTED))) == {"certificate-untrusted"}


def test_a_failure_under_a_root_that_the_rule_does_not_name_is_not_the_reason() -> None:
    assert codes(judged(failed(root="staging"))) == {"evidence-missing"}
    assert codes(judged(failed(root="staging", source=Source.LOCKER))) == {"evidence-missing"}


def test_of_several_misses_the_nearest_is_reported() -> None:
    far = wrong(Source.ARGUMENT, repository="evil/libs", runner="self-hosted", trigger="x")
    near = wrong(Source.ARGUMENT, position=1, trigger="x")
    for findings in ((far, near), (near, far)):
        assert codes(judged(*findings)) == {"trigger-mismatch", "provenance-contradiction"}


def test_evidence_that_verified_comes_nearer_than_any_that_did_not() -> None:
    miss = wrong(Source.ARGUMENT, position=1, trigger="x", runner="y")
    bad = failed(source=Source.ARGUMENT)
    assert codes(judged(bad, miss)) == {"trigger-mismatch", "runner-mismatch", "provenance-contradiction"}


def test_of_several_misses_the_publishers_own_is_reported() -> None:
    own = failed(Code.SIGNATURE_INVALID, source=Source.ARGUMENT)
    assert codes(judged(wrong(trigger="x"), own)) == {"signature-invalid"}


def test_of_several_builders_any_may_have_signed() -> None:
    other = lab.signer(repository=("acme/old",))
    rule = lab.rule(attestations=(lab.asked(signers=(other, CI)),))
    assert codes(judged(finding(), rule=rule)) == set()


def test_of_several_builders_the_nearest_miss_is_reported() -> None:
    far = lab.signer(repository=("acme/old",), repository_id=("1",), workflow=("x.yml",), runner=("self-hosted",))
    near = lab.signer(trigger=("release",))
    for signers in ((far, near), (near, far)):
        rule = lab.rule(attestations=(lab.asked(signers=signers),))
        assert codes(judged(finding(), rule=rule)) == {"trigger-mismatch"}


def test_what_a_builder_lacks_is_not_made_up_by_another() -> None:
    one, two = lab.signer(repository=("acme/old",)), lab.signer(trigger=("release",))
    rule = lab.rule(attestations=(lab.asked(signers=(one, two)),))
    assert judged(finding(), rule=rule).outcome is Outcome.REJECT


def test_alternatives_inside_a_field_are_alternatives() -> None:
    rule = lab.rule(attestations=(lab.asked(signers=(lab.signer(repository=("acme/old", "acme/libs")),)),))
    assert codes(judged(finding(), rule=rule)) == set()


def test_every_attestation_that_the_rule_asks_for_must_be_there() -> None:
    rule = lab.rule(attestations=(lab.asked(), lab.asked(predicate=(PUBLISH,))))
    publish = finding(attestation(predicate_type=PUBLISH, provenance=None), position=1)
    assert codes(judged(finding(), rule=rule)) == {"evidence-missing"}
    assert codes(judged(finding(), publish, rule=rule)) == set()


def test_a_plain_signature_is_asked_for_by_itself() -> None:
    signature = lab.asked(predicate=None, signers=(Signer(key=("release",)),))
    rule = lab.rule(attestations=(signature,), credential=CredentialRule(), release=ReleaseRule())
    plain = attestation(predicate_type=None, provenance=None, signer=None, key="release")
    assert codes(judged(finding(), rule=rule)) == {"evidence-missing"}
    assert codes(judged(finding(plain, source=Source.LOCKER), rule=rule)) == set()


def test_a_plain_signature_is_no_provenance() -> None:
    assert codes(judged(finding(attestation(predicate_type=None), source=Source.ARGUMENT))) == {"evidence-missing"}


def test_unsafe_unbound_name_lets_a_signature_without_name_pass_and_never_one_with_another() -> None:
    unbound = lab.rule(attestations=(lab.asked(signers=(lab.signer(unsafe_unbound_name=True),)),))

    def named(name: str | None) -> Finding:
        return finding(attestation(covers=(lab.subject(name),)), source=Source.LOCKER)

    assert codes(judged(named(None), rule=unbound)) == set()
    assert codes(judged(named("other.whl"), rule=unbound)) == {"evidence-name-mismatch"}
    assert codes(judged(named(None))) == {"evidence-name-mismatch"}


def test_the_attestation_of_the_credentials_run_is_the_one_that_counts() -> None:
    other = ci(run="6")
    replayed = finding(attestation(signer=other, provenance=lab.provenance(build=other)), source=Source.LOCKER)
    decision = judged(replayed, finding())
    assert codes(decision) == set()
    assert decision.signer == ci()


@pytest.mark.parametrize(("credential", "release"), [(True, False), (False, True)])
def test_same_run_is_asked_for_only_where_the_rule_says_so(*, credential: bool, release: bool) -> None:
    rule = lab.rule(credential=CredentialRule(same_run=credential), release=ReleaseRule(same_run=release))
    others = History(release=(lab.published(signer=ci(run="6")),))
    case: Case = lab.case(by=lab.token(), history=others)
    expected = {"credential-run-mismatch"} if credential else {"run-mismatch"}
    assert codes(decide(case, lab.policy(rule))) == expected


def test_every_file_of_an_upload_needs_its_own_evidence() -> None:
    sdist = lab.file(
        name="acme_lib-1.0.0.tar.gz",
        canonical="acme_lib-1.tar.gz",
        names=frozenset({"acme_lib-1.tar.gz"}),
        digests=(Digest("sha256", OTHER),),
    )
    both = lab.upload(files=(lab.file(), sdist))
    one = finding(source=Source.LOCKER)
    two = finding(
        attestation(covers=(lab.subject("acme_lib-1.0.0.tar.gz", sha256=OTHER),)), source=Source.LOCKER, position=1
    )
    decision = decide(lab.case(of=both, findings=[one]), lab.policy())
    assert {(reason.code.value, reason.about) for reason in decision.reasons} == {
        ("digest-mismatch", "acme_lib-1.0.0.tar.gz")
    }
    assert decide(lab.case(of=both, findings=[one, two]), lab.policy()).outcome is Outcome.ACCEPT
