"""What sets a reason aside: observing lifts evidence, identity and rule; a waiver its codes; a hold what may come."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.model.case import Action, Case, History
from gateway.model.decision import Decision, Outcome, Result
from gateway.model.digest import Digest
from gateway.model.upload import Claim, Registry
from gateway.policy import CredentialRule, Mode, Policy, ReleaseRule, Rule, decide
from gateway.reasons import CATALOGUE, Code
from tests.lab import cases as lab
from tests.lab.cases import OTHER, attestation, ci, failed, finding, grant, waiver

OBSERVE = lab.rule(mode=Mode.OBSERVE)


def codes(decision: Decision) -> set[str]:
    return {reason.code.value for reason in decision.reasons}


def set_aside(decision: Decision, result: Result) -> set[str]:
    return {check.reason.code.value for check in decision.checks if check.result is result and check.reason}


LIFTED = {
    "no evidence": (lab.case(findings=[]), {"evidence-missing"}),
    "a bad signature": (lab.case(findings=[failed()]), {"signature-invalid"}),
    "another repository": (
        lab.case(
            findings=[
                finding(
                    attestation(
                        signer=ci(repository="evil/x"), provenance=lab.provenance(build=ci(repository="evil/x"))
                    )
                )
            ],
            by=grant(holder=ci(repository="evil/x")),
        ),
        {"repository-mismatch"},
    ),
    "another run of the release": (
        lab.case(history=History(release=(lab.published(signer=ci(run="6")),))),
        {"run-mismatch"},
    ),
    "a closed release": (
        lab.case(history=History(release=(lab.published(at=lab.AT - timedelta(days=30)),))),
        {"release-closed"},
    ),
}

KEPT = {
    "other bytes": (
        lab.case(findings=[finding(attestation(covers=(lab.subject(sha256=OTHER),)))]),
        {"digest-mismatch"},
    ),
    "a bound name": (lab.case(history=History(bound=((lab.CANONICAL, OTHER),))), {"version-exists"}),
    "withdrawn bytes": (lab.case(history=History(revoked=frozenset({lab.SHA256}))), {"digest-revoked"}),
    "another name in the metadata": (
        lab.case(of=lab.upload(claims=(Claim("METADATA", "name", "x", lab.WHEEL),))),
        {"package-metadata-mismatch"},
    ),
    "another digest in the form": (
        lab.case(of=lab.upload(claims=(Claim("form", "digest:sha256", OTHER, lab.WHEEL),))),
        {"form-digest-mismatch"},
    ),
    "a grant to read": (lab.case(by=grant(actions=frozenset({Action.READ}))), {"credential-scope"}),
    "a grant of yesterday": (lab.case(by=grant(expires=lab.AT)), {"credential-expired"}),
    "a plain token": (lab.case(by=lab.token()), {"credential-kind", "credential-run-mismatch"}),
}


@pytest.mark.parametrize("name", LIFTED)
def test_observing_lifts_what_is_wrong_with_evidence_identity_and_rule(name: str) -> None:
    case, expected = LIFTED[name]
    assert codes(decide(case, lab.policy())) == expected
    decision = decide(case, lab.policy(OBSERVE))
    assert decision.outcome is Outcome.ACCEPT
    assert decision.observed
    assert codes(decision) == set()
    assert set_aside(decision, Result.LIFTED) == expected


@pytest.mark.parametrize("name", KEPT)
def test_observing_lifts_nothing_else(name: str) -> None:
    case, expected = KEPT[name]
    decision = decide(case, lab.policy(OBSERVE))
    assert decision.outcome is Outcome.REJECT
    assert codes(decision) == expected


def test_a_lifted_signer_did_not_meet_the_rule() -> None:
    case, _ = LIFTED["another repository"]
    assert decide(case, lab.policy(OBSERVE)).signer is None
    assert decide(lab.case(), lab.policy(OBSERVE)).signer == ci()


def test_no_rule_is_lifted_by_nothing() -> None:
    assert decide(lab.case(), Policy()).outcome is Outcome.REJECT


# --- waivers ------------------------------------------------------------------------------------------------------


def test_a_waiver_sets_its_code_aside_and_is_named() -> None:
    case = lab.case(findings=[], waivers=[waiver(Code.EVIDENCE_MISSING)])
    decision = decide(case, lab.policy())
    assert decision.outcome is Outcome.ACCEPT
    assert set_aside(decision, Result.WAIVED) == {"evidence-missing"}
    assert decision.waivers == ("waiver-1",)


def test_a_waiver_of_another_code_does_nothing() -> None:
    decision = decide(lab.case(findings=[], waivers=[waiver(Code.REF_MISMATCH)]), lab.policy())
    assert codes(decision) == {"evidence-missing"}
    assert decision.waivers == ()


@pytest.mark.parametrize(
    "changed",
    [
        {"registry": "staging"},
        {"purl": "pkg:pypi/acme-web"},
        {"version": "1.0.1"},
        {"sha256": OTHER},
        {"expires": lab.AT},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_a_waiver_binds_registry_package_version_digest_and_time(changed: dict[str, object]) -> None:
    case = lab.case(findings=[], waivers=[waiver(Code.EVIDENCE_MISSING, **changed)])
    assert codes(decide(case, lab.policy())) == {"evidence-missing"}


@pytest.mark.parametrize("name", KEPT)
def test_what_the_catalogue_does_not_let_be_waived_is_not(name: str) -> None:
    case, expected = KEPT[name]
    waived = replace(case, waivers=(waiver(*Code),))
    assert codes(decide(waived, lab.policy())) == expected
    assert not any(CATALOGUE[Code(code)].waivable for code in expected)


def test_a_waiver_of_one_file_leaves_the_others_alone() -> None:
    sdist = lab.file(name="x.tar.gz", canonical="x.tar.gz", digests=(Digest("sha256", OTHER),))
    case = lab.case(
        of=lab.upload(files=(lab.file(), sdist)), findings=[], waivers=[waiver(Code.EVIDENCE_MISSING, sha256=OTHER)]
    )
    decision = decide(case, lab.policy())
    assert {reason.about for reason in decision.reasons} == {lab.WHEEL}


def test_a_waived_signer_is_the_one_later_files_are_compared_with() -> None:
    odd = ci(trigger="workflow_dispatch")
    case = lab.case(
        findings=[finding(attestation(signer=odd, provenance=lab.provenance(build=odd)))],
        waivers=[waiver(Code.TRIGGER_MISMATCH)],
    )
    decision = decide(case, lab.policy())
    assert decision.outcome is Outcome.ACCEPT
    assert decision.signer == odd


# --- hold ---------------------------------------------------------------------------------------------------------


def image(**changed: object) -> Case:
    upload = lab.upload(registry=Registry("python", "oci"), claims=())
    return replace(lab.case(of=upload, findings=[]), **changed)  # type: ignore[arg-type]


def holding(hold: timedelta | None) -> Rule:
    return lab.rule(hold=hold, credential=CredentialRule(), release=ReleaseRule())


def test_an_image_waits_for_evidence_that_may_still_come() -> None:
    decision = decide(image(), lab.policy(holding(None)))
    assert decision.outcome is Outcome.HOLD
    assert codes(decision) == {"evidence-missing"}


def test_an_image_does_not_wait_where_the_rule_says_never() -> None:
    assert decide(image(), lab.policy(holding(timedelta(0)))).outcome is Outcome.REJECT


def test_a_package_never_waits() -> None:
    rule = holding(timedelta(hours=1))
    assert decide(lab.case(findings=[]), lab.policy(rule)).outcome is Outcome.REJECT


def test_an_image_does_not_wait_for_what_will_not_come() -> None:
    late = image(grant=grant(expires=lab.AT))
    decision = decide(late, lab.policy(holding(None)))
    assert decision.outcome is Outcome.REJECT
    assert codes(decision) == {"evidence-missing", "credential-expired"}


def test_an_image_that_is_only_observed_does_not_wait() -> None:
    assert decide(image(), lab.policy(replace(holding(None), mode=Mode.OBSERVE))).outcome is Outcome.ACCEPT


def test_the_default_wait_is_half_an_hour_for_images_and_none_for_packages() -> None:
    rule = holding(None)
    assert rule.holds_for("oci") == timedelta(minutes=30)
    assert rule.holds_for("pypi") == timedelta(0)
