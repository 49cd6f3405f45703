"""The build level a signature honestly proves: inside the build job at most 2, and 3 by a builder from elsewhere."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gateway.model.decision import Decision
from gateway.model.evidence import Attestation
from gateway.model.identity import Identity
from gateway.policy import CredentialRule, ProvenanceRule, ReleaseRule, Signer, decide
from tests.lab import cases as lab
from tests.lab.cases import BUILDER, attestation, ci, finding, reusable

INSIDE = lab.signer()
BY_BUILDER = lab.signer(build_signer=(BUILDER,))
MOVING = "acme/ci/.github/workflows/build.yml@refs/heads/main"
OWN = f"acme/libs/{lab.WORKFLOW.replace('release', 'build')}@refs/tags/v1.0.0"


def judged(proved: Attestation, signer: Signer, level: int, *builders: str) -> Decision:
    asked = lab.asked(signers=(signer,), min_build_level=level, provenance=ProvenanceRule(builder=builders))
    rule = lab.rule(attestations=(asked,), credential=CredentialRule(), release=ReleaseRule())
    return decide(lab.case(findings=[finding(proved)]), lab.policy(rule))


def codes(decision: Decision) -> set[str]:
    return {reason.code.value for reason in decision.reasons}


def by(identity: Identity) -> Attestation:
    said = lab.provenance(build=lab.provenance().build.__class__())
    return attestation(signer=identity, provenance=said)


@pytest.mark.parametrize(
    ("identity", "signer", "reached"),
    [
        (ci(), INSIDE, 2),
        (ci(runner="self-hosted"), lab.signer(runner=()), 1),
        (ci(runner=None), lab.signer(runner=()), 1),
        (reusable(), BY_BUILDER, 3),
        (reusable(runner="self-hosted"), lab.signer(runner=(), build_signer=(BUILDER,)), 1),
        (ci(build_signer=OWN), lab.signer(build_signer=(OWN,)), 2),
        (ci(build_signer=MOVING), lab.signer(build_signer=(MOVING,), unsafe_mutable_signer=True), 2),
        (lab.person(), Signer(issuer=("https://github.com/login/oauth",), subject=("jane@acme.example",)), 1),
        (
            lab.person(runner="github-hosted"),
            Signer(issuer=("https://github.com/login/oauth",), subject=("jane@acme.example",)),
            1,
        ),
    ],
    ids=[
        "inside",
        "own machine",
        "runner unknown",
        "builder",
        "builder on own machine",
        "own builder",
        "branch",
        "person",
        "person on a hosted runner",
    ],
)
def test_a_signature_proves_its_level_and_no_higher(identity: Identity, signer: Signer, reached: int) -> None:
    for level in (1, 2, 3):
        expected = set() if level <= reached else {"build-level-too-low"}
        assert codes(judged(by(identity), signer, level)) == expected


def test_a_key_proves_level_one() -> None:
    signed = attestation(signer=None, key="release")
    assert codes(judged(signed, Signer(key=("release",)), 1)) == set()
    assert codes(judged(signed, Signer(key=("release",)), 2)) == {"build-level-too-low"}


BUILD_LEVELS = (1, 2, 3)
TEKTON = "https://tekton.acme.example/chains/v2"
ROBOT = "builder@acme.iam.gserviceaccount.com"


@pytest.mark.parametrize("trusted", BUILD_LEVELS)
@pytest.mark.parametrize("wanted", BUILD_LEVELS)
def test_a_key_proves_what_its_builder_is_trusted_for(trusted: int, wanted: int) -> None:
    said = replace(lab.provenance(), builder=TEKTON)
    signed = attestation(signer=None, key="release", provenance=said)
    robot = attestation(signer=Identity(issuer="https://accounts.google.com", subject=ROBOT), provenance=said)
    signers = (
        (signed, Signer(key=("release",), build_level=trusted)),
        (robot, Signer(issuer=("https://accounts.google.com",), subject=(ROBOT,), build_level=trusted)),
    )
    for proved, signer in signers:
        assert codes(judged(proved, signer, wanted, TEKTON)) == (
            set() if wanted <= trusted else {"build-level-too-low"}
        )
        assert "builder-mismatch" in codes(judged(proved, signer, wanted, f"{TEKTON}/"))


def test_a_certificate_of_a_workflow_says_its_level_whatever_is_said_of_its_subject() -> None:
    found = ci()
    signer = Signer(issuer=(str(found.issuer),), subject=(str(found.subject),), build_level=3)
    assert codes(judged(by(found), signer, 3)) == {"build-level-too-low"}


def test_a_predicate_that_is_no_provenance_proves_no_level() -> None:
    asked = lab.asked(predicate=(lab.PUBLISH,), min_build_level=1)
    publish = attestation(predicate_type=lab.PUBLISH, provenance=None)
    decision = decide(lab.case(findings=[finding(publish)]), lab.policy(lab.rule(attestations=(asked,))))
    assert codes(decision) == {"build-level-too-low"}


def test_a_builder_is_named_exactly_but_for_the_letters_of_its_repository() -> None:
    for other, expected in (
        (BUILDER.replace("acme/ci", "Acme/CI"), set()),
        (BUILDER.replace("build.yml", "Build.yml"), {"builder-mismatch", "build-level-too-low"}),
        (BUILDER.replace("v3", "v3.1"), {"builder-mismatch", "build-level-too-low"}),
        (BUILDER.replace("acme/ci", "acme/ci2"), {"builder-mismatch", "build-level-too-low"}),
    ):
        assert codes(judged(by(ci(build_signer=other)), BY_BUILDER, 3)) == expected


def test_the_workflow_itself_is_not_the_builder_that_the_rule_names() -> None:
    assert codes(judged(by(ci()), BY_BUILDER, 2)) == {"builder-mismatch"}
