"""A verification summary counts when its verifier is the signer's, and it says PASSED of this upload, high enough."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gateway.model.digest import Digest
from gateway.model.evidence import Summary
from gateway.policy import AttestationRule, CredentialRule, ReleaseRule, Signer, SummaryRule, decide
from tests.lab import cases as lab
from tests.lab.cases import attestation, finding

VSA = "https://slsa.dev/verification_summary/v1"
VERIFIER = "https://verifier.acme.example/v1"
SIGNER = Signer(issuer=("https://github.com/login/oauth",), subject=("jane@acme.example",))
WANTED = SummaryRule(VERIFIER, ("{purl}@{version}",), "BUILD", 3)


POLICY = "https://verifier.acme.example/policy"


def summary(**changed: Any) -> Summary:
    values: dict[str, Any] = {
        "verifier": VERIFIER,
        "resource": "pkg:pypi/acme-lib@1.0.0",
        "passed": True,
        "levels": ("SLSA_BUILD_LEVEL_3", "SLSA_SOURCE_LEVEL_1"),
        "policy": POLICY,
        "policy_digests": (Digest("sha256", "a" * 64), Digest("sha512", "b" * 128)),
    }
    return Summary(**(values | changed))


def codes(said: Summary | None, wanted: SummaryRule | None = WANTED, **changed: Any) -> set[str]:
    """The codes that an upload with this summary alone is refused with."""
    proved = attestation(
        **({"signer": lab.person(), "predicate_type": VSA, "provenance": None, "summary": said} | changed)
    )
    return judged([proved], wanted)


def judged(proved: list[Any], wanted: SummaryRule | None = WANTED) -> set[str]:
    asked = AttestationRule((VSA,), (lab.ROOT,), (SIGNER,), summary=wanted)
    rule = lab.rule(attestations=(asked,), credential=CredentialRule(), release=ReleaseRule())
    findings = [finding(one, position=place) for place, one in enumerate(proved)]
    decision = decide(lab.case(findings=findings), lab.policy(rule))
    return {reason.code.value for reason in decision.reasons}


GOOD = {
    "as the rule says": {},
    "a higher level": {"levels": ("SLSA_BUILD_LEVEL_4",)},
    "levels of its own beside": {"levels": ("ACME_GOLD", "SLSA_BUILD_LEVEL_3")},
    "the version as it is normalised": {"resource": "pkg:pypi/acme-lib@1"},
    "no policy named": {"policy": None},
}
BAD: dict[str, tuple[dict[str, Any], set[str]]] = {
    "another verifier": ({"verifier": "https://verifier.acme.example/v2"}, {"summary-verifier-mismatch"}),
    "a verifier in other letters": ({"verifier": VERIFIER.title()}, {"summary-verifier-mismatch"}),
    "a verifier with more behind": ({"verifier": f"{VERIFIER}/"}, {"summary-verifier-mismatch"}),
    "another package": ({"resource": "pkg:pypi/acme-other@1.0.0"}, {"summary-resource-mismatch"}),
    "another version": ({"resource": "pkg:pypi/acme-lib@1.0.1"}, {"summary-resource-mismatch"}),
    "no version": ({"resource": "pkg:pypi/acme-lib"}, {"summary-resource-mismatch"}),
    "the rule's own text": ({"resource": "{purl}@{version}"}, {"summary-resource-mismatch"}),
    "nothing": ({"resource": ""}, {"summary-resource-mismatch"}),
    "failed": ({"passed": False}, {"summary-failed"}),
    "a lower level": ({"levels": ("SLSA_BUILD_LEVEL_2",)}, {"summary-level-too-low"}),
    "a level of another track": ({"levels": ("SLSA_SOURCE_LEVEL_3",)}, {"summary-level-too-low"}),
    "no level": ({"levels": ()}, {"summary-level-too-low"}),
    "a level with more before": ({"levels": ("XSLSA_BUILD_LEVEL_3",)}, {"summary-level-too-low"}),
    "a level with more behind": ({"levels": ("SLSA_BUILD_LEVEL_30",)}, {"summary-level-too-low"}),
    "a level in another script": ({"levels": ("SLSA_BUILD_LEVEL_\u0663",)}, {"summary-level-too-low"}),
    "several at once": (
        {"verifier": "x", "passed": False, "levels": ("FAILED",)},
        {"summary-verifier-mismatch", "summary-failed", "summary-level-too-low"},
    ),
}


@pytest.mark.parametrize("changed", GOOD.values(), ids=GOOD)
def test_a_summary_that_says_what_the_rule_wants_is_enough(changed: dict[str, Any]) -> None:
    assert codes(summary(**changed)) == set()


@pytest.mark.parametrize(("changed", "expected"), BAD.values(), ids=BAD)
def test_a_summary_that_says_another_thing_is_refused_for_it(changed: dict[str, Any], expected: set[str]) -> None:
    assert codes(summary(**changed)) == expected


def test_a_summary_is_worth_nothing_from_a_signer_who_may_not_speak_for_the_verifier() -> None:
    stranger = lab.person(subject="mallory@acme.example")
    assert codes(summary(), signer=stranger) == {"signer-mismatch"}


def test_a_summary_of_other_bytes_is_for_another_file() -> None:
    assert codes(summary(), covers=(lab.subject(sha256=lab.OTHER),)) == {"digest-mismatch"}


def test_a_summary_of_an_older_kind_is_none() -> None:
    assert codes(summary(), predicate_type="https://slsa.dev/verification_summary/v0.2") == {"evidence-missing"}


def test_a_rule_that_says_nothing_of_the_summary_accepts_none() -> None:
    assert codes(summary(), None) == {"evidence-unsupported"}
    assert codes(None) == {"evidence-unsupported"}


def test_one_that_passed_is_enough_beside_one_that_failed() -> None:
    good = attestation(signer=lab.person(), predicate_type=VSA, provenance=None, summary=summary())
    bad = replace(good, summary=summary(passed=False))
    assert judged([bad, good]) == judged([good, bad]) == set()
    assert judged([bad]) == {"summary-failed"}


@pytest.mark.parametrize(
    ("pattern", "resource", "expected"),
    [
        ("https://pypi.acme.example/packages/{file}", f"https://pypi.acme.example/packages/{lab.WHEEL}", set()),
        ("https://pypi.acme.example/packages/{file}", f"https://pypi.acme.example/packages/{lab.CANONICAL}", set()),
        (
            "https://pypi.acme.example/packages/{file}",
            "https://pypi.acme.example/packages/",
            {"summary-resource-mismatch"},
        ),
        ("git+https://github.com/acme/libs", "git+https://github.com/acme/libs", set()),
        ("git+https://github.com/acme/libs", "pkg:pypi/acme-lib@1.0.0", {"summary-resource-mismatch"}),
    ],
)
def test_a_resource_is_the_uri_that_the_rule_spells(pattern: str, resource: str, expected: set[str]) -> None:
    assert codes(summary(resource=resource), replace(WANTED, resource=(pattern,))) == expected


def test_any_of_several_resources_will_do() -> None:
    wanted = replace(WANTED, resource=("https://pypi.acme.example/{file}", "{purl}@{version}"))
    assert codes(summary(), wanted) == set()


@pytest.mark.parametrize(
    ("policy", "digest", "holds"),
    [
        ((POLICY,), (), True),
        ((f"{POLICY}/2", POLICY), (), True),
        ((), (f"sha256:{'a' * 64}",), True),
        ((), (f"sha512:{'b' * 128}", f"sha256:{'0' * 64}"), True),
        ((POLICY,), (f"sha256:{'a' * 64}",), True),
        ((f"{POLICY}/",), (), False),
        ((POLICY.upper(),), (), False),
        ((), (f"sha256:{'b' * 64}",), False),
        ((POLICY,), (f"sha256:{'b' * 64}",), False),
        ((f"{POLICY}/",), (f"sha256:{'a' * 64}",), False),
    ],
)
def test_a_summary_was_held_against_the_policy_that_the_rule_names(
    policy: tuple[str, ...], digest: tuple[str, ...], *, holds: bool
) -> None:
    wanted = replace(WANTED, policy=policy, policy_digest=digest)
    assert codes(summary(), wanted) == (set() if holds else {"summary-policy-mismatch"})
    assert codes(summary(policy=None, policy_digests=()), wanted) == {"summary-policy-mismatch"}


def test_a_version_that_looks_like_a_placeholder_is_not_filled_in() -> None:
    upload = lab.upload(version="{purl}", canonical_version="{purl}", claims=())
    asked = AttestationRule((VSA,), (lab.ROOT,), (SIGNER,), summary=replace(WANTED, resource=("x:{version}",)))
    rule = lab.rule(attestations=(asked,), credential=CredentialRule(), release=ReleaseRule())
    for resource, expected in (("x:{purl}", set()), ("x:pkg:pypi/acme-lib", {"summary-resource-mismatch"})):
        proved = attestation(
            signer=lab.person(), predicate_type=VSA, provenance=None, summary=summary(resource=resource)
        )
        decision = decide(lab.case(of=upload, findings=[finding(proved)]), lab.policy(rule))
        assert {reason.code.value for reason in decision.reasons} == expected
