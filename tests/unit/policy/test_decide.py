"""Near misses: the acceptable case with one thing spoiled, and exactly the codes that come of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.model.case import Action, Case, GrantKind, History
from gateway.model.codec import decode, encode
from gateway.model.decision import Decision, Outcome, Result
from gateway.model.digest import Digest
from gateway.model.evidence import Source
from gateway.model.identity import GITHUB_ISSUER
from gateway.model.upload import Claim, Registry
from gateway.policy import CredentialRule, Policy, ReleaseRule, Signer, decide, refuse
from gateway.reasons import Code, Reason
from tests.lab import cases as lab
from tests.lab.cases import OTHER, PUBLISH, SHA256, SHA512, WHEEL, attestation, ci, finding, grant


def codes(decision: Decision) -> set[str]:
    return {reason.code.value for reason in decision.reasons}


def signed(**changed: object) -> Case:
    return lab.case(findings=[finding(attestation(signer=ci(**changed)))])


def said(**changed: object) -> Case:
    build = replace(lab.provenance().build, **changed)  # type: ignore[arg-type]
    return lab.case(findings=[finding(attestation(provenance=lab.provenance(build=build)))])


def claimed(field: str, value: str) -> Case:
    upload = lab.upload()
    return lab.case(of=replace(upload, claims=(*upload.claims, Claim("METADATA", field, value, WHEEL))))


def covering(*subjects: object) -> Case:
    return lab.case(findings=[finding(attestation(covers=subjects), source=Source.ARGUMENT)])


def released(**changed: object) -> Case:
    return lab.case(history=History(release=(lab.published(**changed),)))


ACCEPTED = {
    "as it is": lab.case(),
    "another attempt of the run": lab.case(by=grant(holder=ci(attempt="2"))),
    "a repository in other letters": signed(
        repository="Acme/LIBS", build_signer=f"Acme/LIBS/{lab.WORKFLOW}@refs/tags/v1.0.0"
    ),
    "an event the rule names": lab.case(
        findings=[
            finding(attestation(signer=ci(trigger="release"), provenance=lab.provenance(build=ci(trigger="release"))))
        ]
    ),
    "provenance that says little": said(repository=None, ref=None, commit=None, run=None),
    "provenance in other letters": said(repository="ACME/libs"),
    "provenance of another attempt": said(attempt="7"),
    "a form in upper case": claimed("digest:sha256", SHA256.upper()),
    "names spelled another way": claimed("name", "Acme.Lib"),
    "a version spelled another way": claimed("version", "1.0"),
    "a purl as name": covering(lab.subject("pkg:pypi/acme-lib@1.0.0")),
    "a file name spelled another way": covering(lab.subject("Acme.Lib-1.0-py3-none-any.whl")),
    "another file beside it": covering(lab.subject("acme_lib-1.0.0.tar.gz", sha256=OTHER), lab.subject()),
    "two right digests": covering(lab.subject(sha256=SHA256, sha512=SHA512)),
    "a digest nobody here computes": covering(lab.subject(sha256=SHA256, gitCommit="0" * 40)),
    "the last second of a grant": lab.case(by=grant(expires=lab.AT + timedelta(seconds=1))),
    "the first second of a grant": lab.case(by=grant(not_before=lab.AT)),
    "a grant that expired while the upload was held": replace(
        lab.case(by=grant(expires=lab.AT)), pushed=lab.AT - timedelta(seconds=1)
    ),
    "the last use of a grant": lab.case(by=grant(uses_left=1)),
    "the same bytes again": lab.case(history=History(bound=((lab.CANONICAL, SHA256),))),
    "another name that is bound": lab.case(history=History(bound=(("acme_lib-1.tar.gz", OTHER),))),
    "other bytes withdrawn": lab.case(history=History(revoked=frozenset({OTHER}))),
    "a file of the same run before": released(),
    "the last moment of an open release": released(at=lab.AT - timedelta(days=14)),
    "the same bytes of another run before": released(canonical=lab.CANONICAL, sha256=SHA256, signer=ci(run="6")),
    "the same bytes in a closed release": released(
        canonical=lab.CANONICAL, sha256=SHA256, at=lab.AT - timedelta(days=99)
    ),
}

REJECTED: dict[str, tuple[Case, set[str]]] = {
    # who signed
    "another issuer": (
        lab.case(
            findings=[finding(attestation(signer=ci(issuer="https://gitlab.com")))],
            by=grant(holder=ci(issuer="https://gitlab.com")),
        ),
        {"issuer-mismatch"},
    ),
    "an issuer that begins the same": (
        lab.case(
            findings=[finding(attestation(signer=ci(issuer=f"{GITHUB_ISSUER}/evil")))],
            by=grant(holder=ci(issuer=f"{GITHUB_ISSUER}/evil")),
        ),
        {"issuer-mismatch"},
    ),
    "another repository id": (signed(repository_id="1"), {"repository-id-mismatch", "provenance-contradiction"}),
    "no repository id": (signed(repository_id=None), {"repository-id-mismatch"}),
    "another workflow": (
        lab.case(
            findings=[
                finding(
                    attestation(
                        signer=ci(workflow=".github/workflows/ci.yml"),
                        provenance=lab.provenance(build=ci(workflow=".github/workflows/ci.yml")),
                    )
                )
            ]
        ),
        {"workflow-mismatch"},
    ),
    "no workflow": (signed(workflow=None), {"workflow-mismatch", "builder-mismatch"}),
    "a reusable workflow signs": (signed(build_signer=lab.BUILDER), {"builder-mismatch"}),
    "the workflow at another ref signs": (
        signed(build_signer=f"acme/libs/{lab.WORKFLOW}@refs/heads/evil"),
        {"builder-mismatch"},
    ),
    "the workflow in other letters signs": (
        signed(build_signer="acme/libs/.github/workflows/RELEASE.yml@refs/tags/v1.0.0"),
        {"builder-mismatch"},
    ),
    "no builder": (signed(build_signer=None), {"builder-mismatch"}),
    "a self-hosted runner": (signed(runner="self-hosted"), {"runner-mismatch", "provenance-contradiction"}),
    "no runner": (signed(runner=None), {"runner-mismatch"}),
    "another event": (signed(trigger="workflow_dispatch"), {"trigger-mismatch", "provenance-contradiction"}),
    "no event": (signed(trigger=None), {"trigger-mismatch"}),
    "no ref": (signed(ref=None), {"ref-mismatch", "builder-mismatch"}),
    "no run": (signed(run=None), {"credential-run-mismatch"}),
    "a person": (
        lab.case(findings=[finding(attestation(signer=lab.person()))]),
        {"signer-not-ci", "credential-run-mismatch"},
    ),
    "a key": (
        lab.case(findings=[finding(attestation(signer=None, key="release"))]),
        {"signer-mismatch", "credential-run-mismatch"},
    ),
    # certificate against provenance
    "provenance of another repository": (said(repository="acme/other"), {"provenance-contradiction"}),
    "provenance of another repository id": (said(repository_id="2"), {"provenance-contradiction"}),
    "provenance of another ref": (said(ref="refs/heads/main"), {"provenance-contradiction"}),
    "provenance of another commit": (said(commit="f" * 40), {"provenance-contradiction"}),
    "provenance of another workflow": (said(workflow=".github/workflows/x.yml"), {"provenance-contradiction"}),
    "provenance of another run": (said(run="9"), {"provenance-contradiction"}),
    "provenance of another runner": (said(runner="self-hosted"), {"provenance-contradiction"}),
    "provenance of another event": (said(trigger="release"), {"provenance-contradiction"}),
    "provenance of another server": (said(server="https://ghe.example"), {"provenance-contradiction"}),
    "provenance of another owner": (said(owner_id="5"), {"provenance-contradiction"}),
    "provenance of another builder": (said(build_signer=lab.BUILDER), {"provenance-contradiction"}),
    "a parameter nobody knows": (
        lab.case(findings=[finding(attestation(provenance=lab.provenance(unknown_parameters=("overrides",))))]),
        {"external-parameter-unknown"},
    ),
    "provenance that could not be read": (
        lab.case(findings=[finding(attestation(provenance=None))]),
        {"evidence-unsupported"},
    ),
    # what it covers
    "other bytes": (covering(lab.subject(sha256=OTHER)), {"digest-mismatch"}),
    "one digest right and one wrong": (covering(lab.subject(sha256=SHA256, sha512=OTHER * 2)), {"digest-mismatch"}),
    "one digest right and one not measured": (
        covering(lab.subject(sha256=SHA256, sha384="0" * 96)),
        {"digest-mismatch"},
    ),
    "no digest that is strong": (
        lab.case(
            of=lab.with_file(lab.upload(), digests=(Digest("md5", "a" * 32), Digest("sha256", SHA256))),
            findings=[finding(attestation(covers=(lab.subject(md5="a" * 32),)))],
        ),
        {"digest-mismatch"},
    ),
    "no subject at all": (covering(), {"digest-mismatch"}),
    "another version's name": (covering(lab.subject("acme_lib-1.0.1-py3-none-any.whl")), {"evidence-name-mismatch"}),
    "another version's purl": (covering(lab.subject("pkg:pypi/acme-lib@1.0.1")), {"evidence-name-mismatch"}),
    "a name that is none": (covering(lab.subject("a\nb")), {"evidence-name-mismatch"}),
    "no name": (covering(lab.subject(None)), {"evidence-name-mismatch"}),
    # the upload
    "another name in the metadata": (claimed("name", "acme-crypto"), {"package-metadata-mismatch"}),
    "a name that is none in the metadata": (claimed("name", "-"), {"package-metadata-mismatch"}),
    "another version in the metadata": (claimed("version", "1.0.0.post1"), {"package-metadata-mismatch"}),
    "a version that is none in the metadata": (claimed("version", "one"), {"package-metadata-mismatch"}),
    "another digest in the form": (claimed("digest:sha256", OTHER), {"form-digest-mismatch"}),
    "a digest in the form that nobody measured": (claimed("digest:md5", "a" * 32), {"form-digest-mismatch"}),
    # the past
    "a bound name": (lab.case(history=History(bound=((lab.CANONICAL, OTHER),))), {"version-exists"}),
    "a name bound twice": (
        lab.case(history=History(bound=((lab.CANONICAL, SHA256), (lab.CANONICAL, OTHER)))),
        {"version-exists"},
    ),
    "a name in the release": (released(canonical=lab.CANONICAL), {"version-exists"}),
    "withdrawn bytes": (lab.case(history=History(revoked=frozenset({SHA256}))), {"digest-revoked"}),
    "a file of another run before": (released(signer=ci(run="6")), {"run-mismatch"}),
    "a file of nobody before": (released(signer=None), {"run-mismatch"}),
    "a release closed a second ago": (released(at=lab.AT - timedelta(days=14, seconds=1)), {"release-closed"}),
    # the credential
    "a grant of another registry": (lab.case(by=grant(registry="staging")), {"credential-scope"}),
    "a grant of another package": (lab.case(by=grant(packages=("pkg:pypi/acme-web",))), {"credential-scope"}),
    "a grant of no package": (lab.case(by=grant(packages=())), {"credential-scope"}),
    "a grant to attach": (lab.case(by=grant(actions=frozenset({Action.ATTACH}))), {"credential-scope"}),
    "a grant of tomorrow": (lab.case(by=grant(not_before=lab.AT + timedelta(seconds=1))), {"credential-expired"}),
    "a grant that expires now": (lab.case(by=grant(expires=lab.AT)), {"credential-expired"}),
    "a grant that had expired when the upload came": (
        replace(lab.case(by=grant(expires=lab.AT)), pushed=lab.AT),
        {"credential-expired"},
    ),
    "a grant without uses": (lab.case(by=grant(uses_left=0)), {"credential-expired"}),
    "a grant of another run": (lab.case(by=grant(holder=ci(run="6"))), {"credential-run-mismatch"}),
    "a grant of the run in another repository": (
        lab.case(by=grant(holder=ci(repository="acme/other"))),
        {"credential-run-mismatch"},
    ),
    "a grant of another issuer's run": (
        lab.case(by=grant(holder=ci(issuer="https://gitlab.com"))),
        {"credential-run-mismatch"},
    ),
    "a plain token": (lab.case(by=lab.token()), {"credential-kind", "credential-run-mismatch"}),
    # the rule
    "a package without rule": (
        lab.case(of=lab.upload(purl="pkg:pypi/other"), by=grant(packages=("**",))),
        {"no-rule"},
    ),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_an_upload_that_differs_in_what_does_not_matter_is_accepted(name: str) -> None:
    decision = decide(ACCEPTED[name], lab.policy())
    assert codes(decision) == set()
    assert decision.outcome is Outcome.ACCEPT


@pytest.mark.parametrize("name", REJECTED)
def test_an_upload_with_one_thing_spoiled_is_rejected_for_exactly_that(name: str) -> None:
    case, expected = REJECTED[name]
    decision = decide(case, lab.policy())
    assert codes(decision) == expected
    assert decision.outcome is Outcome.REJECT


@pytest.mark.parametrize("name", REJECTED)
def test_a_case_that_was_written_down_is_decided_the_same_again(name: str) -> None:
    case, _ = REJECTED[name]
    again = decode(Case, encode(case))
    assert again == case
    decision = decide(again, lab.policy())
    assert decision == decide(case, lab.policy())
    assert decode(Decision, encode(decision)) == decision


@pytest.mark.parametrize("name", REJECTED)
def test_every_reason_says_what_was_expected_what_was_found_and_what_to_do(name: str) -> None:
    case, _ = REJECTED[name]
    for reason in decide(case, lab.policy()).reasons:
        assert reason.about
        assert reason.expected
        assert reason.got
        assert reason.expected != reason.got
        assert reason.remedy


def test_a_fork_that_builds_the_same_is_another_repository_and_not_the_run_of_the_credential() -> None:
    fork = ci(repository="evil/libs", repository_id="6", owner="evil", owner_id="7", run="8")
    case = lab.case(findings=[finding(attestation(signer=fork, provenance=lab.provenance(build=fork)))])
    assert codes(decide(case, lab.policy())) == {
        "repository-mismatch",
        "repository-id-mismatch",
        "credential-run-mismatch",
    }


def test_a_kelvin_sign_is_not_a_k() -> None:
    rule = lab.rule(attestations=(lab.asked(signers=(lab.signer(repository=("ac\u212ae/libs",)),)),))
    assert "repository-mismatch" in codes(decide(signed(repository="ack/libs"), lab.policy(rule)))
    assert "repository-mismatch" in codes(decide(signed(repository="acKe/libs"), lab.policy(rule)))


def test_names_of_another_ci_tell_upper_from_lower_case() -> None:
    gitlab = ci(
        issuer="https://gitlab.com",
        server="https://gitlab.com",
        repository="Acme/libs",
        workflow=".gitlab-ci.yml",
    )
    signer = lab.signer(issuer=("https://gitlab.com",), workflow=(".gitlab-ci.yml",))
    case = lab.case(
        findings=[finding(attestation(signer=gitlab, provenance=lab.provenance(build=gitlab)))], by=grant(holder=gitlab)
    )
    rule = lab.rule(attestations=(lab.asked(signers=(signer,)),))
    assert codes(decide(case, lab.policy(rule))) == {"repository-mismatch"}


def test_a_tag_of_another_version_says_which_tag_was_expected() -> None:
    case = signed(ref="refs/tags/v1.0.1", build_signer=f"acme/libs/{lab.WORKFLOW}@refs/tags/v1.0.1")
    decision = decide(case, lab.policy())
    assert codes(decision) == {"tag-version-mismatch", "provenance-contradiction"}
    (reason,) = (one for one in decision.reasons if one.code is Code.TAG_VERSION_MISMATCH)
    assert (reason.expected, reason.got) == ("refs/tags/v1.0.0", "refs/tags/v1.0.1")
    assert "refs/tags/v1.0.1" in reason.remedy


def test_the_tag_is_compared_with_the_exact_text_of_the_version() -> None:
    case = signed(ref="refs/tags/v1.0", build_signer=f"acme/libs/{lab.WORKFLOW}@refs/tags/v1.0")
    assert "tag-version-mismatch" in codes(decide(case, lab.policy()))


def test_a_branch_is_no_tag_of_another_version() -> None:
    case = signed(ref="refs/heads/main", build_signer=f"acme/libs/{lab.WORKFLOW}@refs/heads/main")
    assert codes(decide(case, lab.policy())) == {"ref-mismatch", "provenance-contradiction"}


def test_a_version_with_a_star_does_not_become_a_pattern() -> None:
    upload = lab.upload(version="*", claims=())
    assert "tag-version-mismatch" in codes(decide(replace(lab.case(), upload=upload), lab.policy()))


@pytest.mark.parametrize("trigger", ["pull_request_target", "workflow_run"])
def test_an_event_that_anybody_can_cause_counts_only_where_the_rule_names_it(trigger: str) -> None:
    case = signed(trigger=trigger)
    silent = lab.rule(attestations=(lab.asked(signers=(lab.signer(trigger=()),)),))
    named = lab.rule(attestations=(lab.asked(signers=(lab.signer(trigger=(trigger,)),)),))
    assert "trigger-mismatch" in codes(decide(case, lab.policy(silent)))
    assert "trigger-mismatch" not in codes(decide(case, lab.policy(named)))
    assert codes(decide(lab.case(), lab.policy(silent))) == set()


@pytest.mark.parametrize(
    ("field", "code"),
    [
        ("owner_id", "owner-id-mismatch"),
        ("environment", "environment-mismatch"),
        ("visibility", "visibility-mismatch"),
    ],
)
def test_a_field_that_only_some_rules_ask_for_must_be_there_and_equal(field: str, code: str) -> None:
    rule = lab.rule(attestations=(lab.asked(signers=(lab.signer(**{field: ("7",)}),)),))
    provenance = lab.provenance(build=replace(lab.provenance().build, owner_id=None))

    def case(value: str | None) -> Case:
        return lab.case(findings=[finding(attestation(signer=ci(**{field: value}), provenance=provenance))])

    assert codes(decide(case("7"), lab.policy(rule))) == set()
    assert codes(decide(case("8"), lab.policy(rule))) == {code}
    assert codes(decide(case(None), lab.policy(rule))) == {code}


def test_a_person_is_expected_by_exact_subject_and_issuer() -> None:
    jane = lab.person()
    signer = Signer(issuer=(str(jane.issuer),), subject=(str(jane.subject),))
    rule = lab.rule(attestations=(lab.asked(signers=(signer,)),), credential=CredentialRule(), release=ReleaseRule())

    def case(**changed: object) -> Case:
        return lab.case(findings=[finding(attestation(signer=lab.person(**changed)))])

    assert codes(decide(case(), lab.policy(rule))) == set()
    assert codes(decide(case(subject="Jane@acme.example"), lab.policy(rule))) == {"signer-mismatch"}
    assert codes(decide(case(subject=None), lab.policy(rule))) == {"signer-mismatch"}
    assert codes(decide(case(issuer="https://accounts.google.com"), lab.policy(rule))) == {"issuer-mismatch"}
    assert codes(decide(case(issuer=None), lab.policy(rule))) == {"issuer-mismatch"}


def test_under_a_private_ca_the_subject_alone_is_expected() -> None:
    signer = Signer(subject=("spiffe://acme.example/builder",))
    rule = lab.rule(attestations=(lab.asked(signers=(signer,)),), credential=CredentialRule(), release=ReleaseRule())
    for subject, expected in (
        ("spiffe://acme.example/builder", set()),
        ("spiffe://acme.example/x", {"signer-mismatch"}),
    ):
        by = lab.person(issuer=None, subject=subject)
        assert codes(decide(lab.case(findings=[finding(attestation(signer=by))]), lab.policy(rule))) == expected


def test_a_key_is_expected_by_its_name() -> None:
    rule = lab.rule(
        attestations=(lab.asked(signers=(Signer(key=("release",)),)),),
        credential=CredentialRule(),
        release=ReleaseRule(),
    )

    def case(key: str | None, signer: object = None) -> Case:
        return lab.case(findings=[finding(attestation(signer=signer, key=key))])

    assert codes(decide(case("release"), lab.policy(rule))) == set()
    assert codes(decide(case("other"), lab.policy(rule))) == {"signer-mismatch"}
    assert codes(decide(case(None), lab.policy(rule))) == {"signer-mismatch"}
    assert codes(decide(case("release", ci()), lab.policy(rule))) == {"signer-mismatch"}


def test_the_first_rule_that_applies_decides() -> None:
    strict = lab.rule(name="strict", packages=("pkg:pypi/acme-l*",), credential=CredentialRule((GrantKind.TOKEN,)))
    assert decide(lab.case(), lab.policy(strict, lab.rule())).rule == "strict"
    assert decide(lab.case(), lab.policy(lab.rule(), strict)).rule == "acme-python"


def test_a_rule_of_another_registry_does_not_apply() -> None:
    decision = decide(lab.case(), lab.policy(lab.rule(registries=("staging",))))
    assert codes(decision) == {"no-rule"}
    assert decision.rule == ""


def test_a_rule_of_several_registries_applies_in_each() -> None:
    rule = lab.rule(registries=("staging", "python"))
    assert decide(lab.case(), lab.policy(rule)).outcome is Outcome.ACCEPT


def test_without_a_rule_the_checks_that_hold_under_any_are_reported_all_the_same() -> None:
    case = replace(claimed("name", "other"), history=History(revoked=frozenset({SHA256})))
    decision = decide(case, Policy())
    assert codes(decision) == {"no-rule", "package-metadata-mismatch", "digest-revoked"}


@pytest.mark.parametrize("field", ["run", "issuer", "repository"])
def test_two_absences_are_not_the_same_run(field: str) -> None:
    vague = ci(**{field: None})
    case = lab.case(findings=[finding(attestation(signer=vague))], by=grant(holder=vague))
    assert "credential-run-mismatch" in codes(decide(case, lab.policy()))


def test_every_reason_is_reported_and_none_twice() -> None:
    case = replace(
        signed(runner="self-hosted", trigger="workflow_dispatch"),
        grant=grant(holder=ci(run="6"), expires=lab.AT),
        history=History(bound=((lab.CANONICAL, OTHER),)),
    )
    decision = decide(case, lab.policy())
    assert codes(decision) == {
        "runner-mismatch",
        "trigger-mismatch",
        "provenance-contradiction",
        "credential-run-mismatch",
        "credential-expired",
        "version-exists",
    }
    assert len(decision.reasons) == len(set(decision.reasons))


def test_a_decision_shows_the_checks_that_passed_with_what_they_found() -> None:
    decision = decide(lab.case(), lab.policy())
    shown = {check.name: check for check in decision.checks}
    assert {check.result for check in decision.checks} == {Result.PASSED, Result.SKIPPED}
    assert shown["ref"].got == "refs/tags/v1.0.0"
    assert {"rule", "digest", "evidence-name", "repository", "workflow", "builder", "credential-run"} <= set(shown)


def test_a_decision_names_the_policy_and_the_signer_that_met_it() -> None:
    decision = decide(lab.case(), lab.policy())
    assert decision.policy == lab.policy().revision
    assert decision.signer == ci()


def test_a_rejected_upload_was_signed_by_nobody_that_meets_the_rule() -> None:
    assert decide(signed(runner="self-hosted"), lab.policy()).signer is None


def test_a_decision_does_not_name_the_grant() -> None:
    case = lab.case(by=grant(expires=lab.AT, id="secret-id"))
    assert b"secret-id" not in encode(decide(case, lab.policy()))


def test_what_was_never_an_upload_is_refused_with_its_reasons() -> None:
    reasons = (Reason(Code.UPLOAD_MALFORMED, "form"), Reason(Code.FILE_NAME_INVALID, "x"))
    decision = refuse(reasons, "revision")
    assert decision.outcome is Outcome.REJECT
    assert decision.reasons == reasons
    assert [check.reason for check in decision.checks] == list(reasons)
    assert (decision.rule, decision.policy) == ("", "revision")


def test_a_refusal_without_a_reason_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="reason"):
        refuse((), "revision")


def test_an_ecosystem_without_normal_forms_compares_claims_exactly() -> None:
    upload = lab.upload(registry=Registry("python", "npm"), claims=(Claim("manifest", "name", "Acme-lib", WHEEL),))
    case = replace(covering(lab.subject("pkg:pypi/acme-lib@1.0.0")), upload=upload)
    assert codes(decide(case, lab.policy())) == {"package-metadata-mismatch"}


def test_pypis_publish_predicate_says_nothing_that_could_contradict() -> None:
    rule = lab.rule(attestations=(lab.asked(predicate=(PUBLISH,)),))
    case = lab.case(findings=[finding(attestation(predicate_type=PUBLISH, provenance=None))])
    assert codes(decide(case, lab.policy(rule))) == set()
