"""Images: a tag moves unless its rule says otherwise, evidence names a repository, and an unsigned push waits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from gateway.ecosystems.oci import upload
from gateway.model.case import Case, History
from gateway.model.decision import Decision, Outcome, Result
from gateway.model.evidence import EvidenceRef, Finding, Format, Source, Subject
from gateway.model.upload import Registry
from gateway.policy import CredentialRule, Mode, Policy, ReleaseRule, Rule, TagRule, decide
from gateway.reasons import CATALOGUE, Code
from tests.lab import cases as lab
from tests.lab.cases import OTHER, attestation, failed, finding

MANIFEST = b"{}"
REPOSITORY = "acme/app"
HOSTS = ("oci.acme.example", "registry.acme.example:5000")
UPLOAD = upload(Registry("images", "oci"), HOSTS, REPOSITORY, "1.0.0", MANIFEST)
(FILE,) = UPLOAD.files


def push(*findings: Finding, tag: str = "1.0.0", history: History | None = None, **changed: Any) -> Case:
    """A push of the image under a tag, with what was found as evidence."""
    pushed = upload(Registry("images", "oci"), HOSTS, REPOSITORY, tag, MANIFEST)
    by = lab.grant(registry="images", packages=("pkg:oci/acme/*",))
    return replace(lab.case(of=pushed, by=by, findings=findings, history=history), **changed)


def named(name: str | None, **changed: Any) -> Finding:
    """Provenance of the image under a name."""
    return finding(attestation(covers=(Subject(name, FILE.digests),), **changed))


def rule(**changed: Any) -> Rule:
    return lab.rule(
        packages=("pkg:oci/acme/*",), **({"credential": CredentialRule(), "release": ReleaseRule()} | changed)
    )


def judge(case: Case, **changed: Any) -> Decision:
    return decide(case, lab.policy(rule(**changed)))


def codes(decision: Decision) -> set[str]:
    return {reason.code.value for reason in decision.reasons}


GOOD = named(f"{HOSTS[0]}/{REPOSITORY}")


def test_a_signed_image_is_accepted() -> None:
    assert judge(push(GOOD)).outcome is Outcome.ACCEPT


# --- tags ---------------------------------------------------------------------------------------------------------

BOUND = History(bound=((FILE.canonical, OTHER),))
BEFORE = History(release=(lab.published(canonical=FILE.canonical, sha256=OTHER),))
SAME = History(
    bound=((FILE.canonical, FILE.sha256),), release=(lab.published(canonical=FILE.canonical, sha256=FILE.sha256),)
)


@pytest.mark.parametrize("history", [BOUND, BEFORE], ids=["bound", "published before and deleted"])
def test_a_tag_moves_unless_the_rule_calls_it_immutable(history: History) -> None:
    case = push(GOOD, history=history)
    assert codes(judge(case)) == set()
    assert codes(judge(case, tags=TagRule(("v*",)))) == set()
    for patterns in (("v*", "1.*"), ("*",), ("1.0.0",)):
        (reason,) = judge(case, tags=TagRule(patterns)).reasons
        assert (reason.code, reason.expected) == (Code.VERSION_EXISTS, f"sha256:{OTHER}")
        assert "tag" in reason.remedy


@pytest.mark.parametrize("pattern", ["1.0", "0.0", "v*", "1.0.0-*", "1.0.0*x"])
def test_a_pattern_of_tags_matches_whole(pattern: str) -> None:
    assert codes(judge(push(GOOD, history=BOUND), tags=TagRule((pattern,)))) == set()


def test_an_immutable_tag_may_be_new_or_given_the_same_digest_again() -> None:
    for history in (History(), SAME):
        assert codes(judge(push(GOOD, history=history), tags=TagRule(("*",)))) == set()


def test_an_immutable_tag_is_so_in_observe_mode_too() -> None:
    assert codes(judge(push(GOOD, history=BOUND), tags=TagRule(("*",)), mode=Mode.OBSERVE)) == {"version-exists"}


def test_a_packages_version_never_moves_whatever_the_rule_says_of_tags() -> None:
    case = lab.case(history=History(bound=((lab.CANONICAL, OTHER),)))
    loose = lab.rule(tags=TagRule(("v*",)))
    assert codes(decide(case, lab.policy(loose))) == {"version-exists"}
    assert lab.policy(loose).moves(case.upload) is False


def test_what_may_move_is_the_first_rules_to_say_and_nobodys_without_one() -> None:
    assert lab.policy(rule(), rule(tags=TagRule(("*",)))).moves(UPLOAD)
    assert not lab.policy(rule(tags=TagRule(("*",))), rule()).moves(UPLOAD)
    assert not Policy().moves(UPLOAD)


def test_without_a_rule_a_tag_is_not_called_immutable() -> None:
    assert codes(decide(push(GOOD, history=BOUND), Policy())) == {"no-rule"}


def test_without_a_rule_a_packages_version_is_taken_all_the_same() -> None:
    case = lab.case(history=History(bound=((lab.CANONICAL, OTHER),)))
    assert codes(decide(case, Policy())) == {"no-rule", "version-exists"}


def test_a_tag_that_moves_is_no_release_that_closes_and_an_immutable_one_is() -> None:
    old = History(release=(lab.published(canonical=FILE.canonical, sha256=OTHER, at=lab.AT - timedelta(days=30)),))
    closed = ReleaseRule(same_run=True, closed_after=timedelta(days=14))
    assert codes(judge(push(GOOD, history=old), release=closed)) == set()
    assert codes(judge(push(GOOD, history=old), release=closed, tags=TagRule(("*",)))) == {
        "version-exists",
        "release-closed",
    }


def test_withdrawn_bytes_do_not_come_back_under_a_tag_that_moves() -> None:
    assert codes(judge(push(GOOD, history=History(revoked=frozenset({FILE.sha256}))))) == {"digest-revoked"}


# --- names --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [REPOSITORY, *(f"{host}/{REPOSITORY}" for host in HOSTS)])
def test_evidence_names_the_repository_with_one_of_the_registrys_hosts_or_with_none(name: str) -> None:
    assert codes(judge(push(named(name)))) == set()


@pytest.mark.parametrize(
    "name",
    [
        "evil.example/acme/app",
        "oci.acme.example:443/acme/app",
        "registry.acme.example/acme/app",
        "oci.acme.example/acme/app2",
        "oci.acme.example/acme/app/x",
        "oci.acme.example//acme/app",
        "OCI.acme.example/acme/app",
        "oci.acme.example/acme/app:2.0.0",
        f"oci.acme.example/acme/app@sha256:{OTHER}",
        "pkg:oci/acme/app@2.0.0",
        "pkg:oci/acme/app2@1.0.0",
        "app",
        "acme/app ",
        "",
        "acme_app-1.0.0-py3-none-any.whl",
    ],
)
def test_evidence_that_names_another_repository_or_tag_is_a_mismatch_even_where_names_are_not_asked_for(
    name: str,
) -> None:
    unbound = (lab.asked(signers=(lab.signer(unsafe_unbound_name=True),)),)
    assert codes(judge(push(named(name)))) == {"evidence-name-mismatch"}
    assert codes(judge(push(named(name)), attestations=unbound)) == {"evidence-name-mismatch"}


PLAIN = {"predicate_type": None, "provenance": None}


def plain(name: str | None, form: Format = Format.COSIGN, **changed: Any) -> Finding:
    """A plain signature, as cosign attaches it."""
    ref = EvidenceRef("0" * 64, form, Source.REQUEST)
    return replace(named(name, **(PLAIN | changed)), evidence=ref)


def asked(*, unbound: bool, predicate: tuple[str, ...] | None = None) -> Sequence[Any]:
    return (lab.asked(predicate=predicate, min_build_level=0, signers=(lab.signer(unsafe_unbound_name=unbound),)),)


@pytest.mark.parametrize("name", ["old.example/acme/app", None])
def test_a_copied_images_signature_names_nothing(name: str | None) -> None:
    """A copy carries the signature along, and in it the reference that it was made under (CONTRACTS C.5)."""
    case = push(plain(name))
    assert judge(case, attestations=asked(unbound=True)).outcome is Outcome.ACCEPT
    assert codes(judge(case, attestations=asked(unbound=False))) == {"evidence-name-mismatch"}


def test_a_plain_signature_that_names_the_repository_is_bound_to_it() -> None:
    assert judge(push(plain(f"{HOSTS[1]}/{REPOSITORY}")), attestations=asked(unbound=False)).outcome is Outcome.ACCEPT


def test_only_cosigns_plain_signature_may_carry_an_old_name() -> None:
    elsewhere = "old.example/acme/app"
    assert codes(judge(push(plain(elsewhere, Format.BUNDLE)), attestations=asked(unbound=True))) == {
        "evidence-name-mismatch"
    }
    statement = replace(named(elsewhere), evidence=EvidenceRef("0" * 64, Format.COSIGN, Source.REQUEST))
    unbound = (lab.asked(signers=(lab.signer(unsafe_unbound_name=True),)),)
    assert codes(judge(push(statement), attestations=unbound)) == {"evidence-name-mismatch"}


def test_a_copied_images_signature_is_still_for_its_bytes_alone() -> None:
    wrong = finding(attestation(covers=(lab.subject("old.example/acme/app", sha256=OTHER),), **PLAIN))
    cosign = replace(wrong, evidence=EvidenceRef("0" * 64, Format.COSIGN, Source.REQUEST))
    assert codes(judge(push(cosign), attestations=asked(unbound=True))) == {"digest-mismatch"}


# --- waiting ------------------------------------------------------------------------------------------------------

WRONG = {
    "a bad signature": (failed(), {"signature-invalid"}),
    "another repository's run": (
        named(
            REPOSITORY,
            signer=lab.ci(repository="evil/x"),
            provenance=lab.provenance(build=lab.ci(repository="evil/x")),
        ),
        {"repository-mismatch"},
    ),
    "another name": (named("acme/other"), {"evidence-name-mismatch"}),
    "another digest": (
        finding(attestation(covers=(lab.subject(REPOSITORY, sha256=OTHER),))),
        {"digest-mismatch"},
    ),
}


def sent(one: Finding, source: Source) -> Finding:
    return replace(one, evidence=replace(one.evidence, source=source))


def test_an_unsigned_image_waits_and_is_told_how_to_go_on() -> None:
    decision = judge(push())
    assert decision.outcome is Outcome.HOLD
    (reason,) = decision.reasons
    assert reason.code is Code.EVIDENCE_MISSING
    assert "by digest" in reason.remedy


@pytest.mark.parametrize("name", WRONG)
def test_wrong_evidence_in_the_request_refuses_and_from_others_leaves_the_image_waiting(name: str) -> None:
    """Who attaches evidence is told what is wrong with it; what lies there already takes nothing from the publisher."""
    wrong, expected = WRONG[name]
    refused = judge(push(sent(wrong, Source.REQUEST)))
    assert (refused.outcome, codes(refused)) == (Outcome.REJECT, expected)
    waiting = judge(push(sent(wrong, Source.REFERRER)))
    assert (waiting.outcome, codes(waiting)) == (Outcome.HOLD, {"evidence-missing"})
    assert judge(push(sent(wrong, Source.REFERRER), GOOD)).outcome is Outcome.ACCEPT


def test_an_image_with_one_of_two_pieces_of_evidence_waits_for_the_other() -> None:
    both = (lab.asked(), lab.asked(predicate=("https://cyclonedx.org/bom",), min_build_level=0))
    decision = judge(push(sent(GOOD, Source.REQUEST)), attestations=both)
    assert (decision.outcome, codes(decision)) == (Outcome.HOLD, {"evidence-missing"})


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (push(history=History(revoked=frozenset({FILE.sha256}))), "digest-revoked"),
        (push(grant=lab.grant(registry="images")), "credential-scope"),
        (push(history=BOUND), "version-exists"),
    ],
    ids=["withdrawn bytes", "a credential for another package", "an immutable tag"],
)
def test_an_image_does_not_wait_for_what_evidence_cannot_mend(case: Case, expected: str) -> None:
    decision = judge(case, tags=TagRule(("*",)))
    assert (decision.outcome, codes(decision)) == (Outcome.REJECT, {"evidence-missing", expected})


def test_an_unsigned_image_under_an_observing_rule_is_accepted_and_says_what_it_lacks() -> None:
    decision = judge(push(), mode=Mode.OBSERVE)
    assert (decision.outcome, decision.observed) == (Outcome.ACCEPT, True)
    assert [one.reason.code for one in decision.checks if one.result is Result.LIFTED and one.reason] == [
        Code.EVIDENCE_MISSING
    ]


def test_what_an_image_may_wait_for_is_evidence_alone() -> None:
    curable = {code for code, entry in CATALOGUE.items() if entry.curable}
    assert curable == {Code.EVIDENCE_MISSING, Code.LAYOUT_THRESHOLD}
