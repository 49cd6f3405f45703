"""What holds of every decision: evidence can only help, a written case is decided the same, patterns cover soundly."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.model.case import Case, History
from gateway.model.codec import decode, encode
from gateway.model.decision import Decision, Outcome, Result
from gateway.model.digest import Digest
from gateway.model.evidence import Attestation, Finding, Provenance, Source, Subject
from gateway.model.identity import Identity
from gateway.model.pattern import matches
from gateway.model.upload import Registry
from gateway.policy import AttestationRule, CredentialRule, Mode, Policy, ReleaseRule, Signer, decide
from gateway.policy.patterns import covers
from gateway.reasons import Code, Reason
from tests.lab import cases as lab

OTHERS = st.sampled_from([Source.LOCKER, Source.REFERRER, Source.SIDECAR, Source.FETCHED])
# Near misses: each field is the right one, a wrong one, or absent.
IDENTITIES = st.builds(
    Identity,
    **{
        field.name: st.sampled_from([getattr(lab.ci(), field.name)] * 3 + ["other", None]) for field in fields(Identity)
    },
)
SUBJECTS = st.builds(
    Subject,
    st.sampled_from([lab.WHEEL, "pkg:pypi/acme-lib@1.0.0", "other.whl", "", None]),
    st.lists(
        st.sampled_from([Digest("sha256", lab.SHA256), Digest("sha256", lab.OTHER), Digest("sha384", "0" * 96)]),
        max_size=2,
    ).map(tuple),
)
PROVENANCES = st.builds(Provenance, st.none(), st.none(), IDENTITIES, st.sampled_from([(), (), ("unknown",)]))
ATTESTATIONS = st.builds(
    Attestation,
    root=st.sampled_from([lab.ROOT, "github", "elsewhere"]),
    root_digest=st.just("5" * 64),
    signer=st.none() | IDENTITIES,
    key=st.sampled_from([None, "release", "other"]),
    time=st.just(lab.AT),
    time_source=st.just("log promise"),
    predicate_type=st.sampled_from([lab.SLSA, lab.SLSA, lab.PUBLISH, None]),
    covers=st.lists(SUBJECTS, max_size=2).map(tuple),
    provenance=st.none() | PROVENANCES,
)
REASONS = st.lists(st.builds(Reason, st.sampled_from(list(Code)), st.just("locker evidence 1")), min_size=1, max_size=2)


@st.composite
def junk(draw: st.DrawFn) -> Finding:
    ref = lab.evidence(draw(OTHERS), draw(st.integers(0, 2)))
    if draw(st.booleans()):
        proved = draw(ATTESTATIONS)
        return Finding(ref, proved.root, attestation=proved)
    return Finding(ref, draw(st.sampled_from([None, lab.ROOT, "elsewhere"])), reasons=tuple(draw(REASONS)))


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Rules that differ in what makes a case easier or harder to meet."""
    signers = draw(
        st.lists(
            st.sampled_from([lab.signer(), lab.signer(trigger=("release",)), Signer(key=("release",))]),
            min_size=1,
            max_size=2,
        )
    )
    asked = AttestationRule(
        draw(st.sampled_from([(lab.SLSA,), (lab.SLSA, lab.PUBLISH), None])),
        draw(st.sampled_from([(lab.ROOT,), (lab.ROOT, "github")])),
        tuple(signers),
        draw(st.sampled_from([0, 0, 2])),
    )
    return lab.policy(
        lab.rule(
            attestations=(asked,) if draw(st.booleans()) else (asked, lab.asked()),
            mode=draw(st.sampled_from(list(Mode))),
            credential=CredentialRule(same_run=draw(st.booleans())),
            release=ReleaseRule(
                same_run=draw(st.booleans()), closed_after=draw(st.none() | st.just(timedelta(days=1)))
            ),
        )
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Cases with no evidence, good evidence, or some of anybody's."""
    upload = lab.upload(request_rules=draw(st.sampled_from([lab.PEP740, lab.upload().request_rules])))
    if draw(st.booleans()):
        upload = replace(upload, registry=Registry("python", "oci"), claims=())
    findings = draw(st.lists(junk(), max_size=2)) + draw(st.sampled_from([[], [lab.finding()]]))
    codes = draw(
        st.sets(st.sampled_from([code for code in Code if code.value.startswith(("evidence", "trigger", "signer"))]))
    )
    return lab.case(
        of=upload,
        findings=findings,
        history=draw(st.sampled_from([History(), History(release=(lab.published(),))])),
        waivers=[lab.waiver(*codes)] if codes else [],
    )


_SEVERITY = {Outcome.ACCEPT: 0, Outcome.HOLD: 1, Outcome.REJECT: 2}


@given(cases(), policies(), junk(), st.booleans())
def test_evidence_that_others_add_never_makes_an_outcome_worse(
    case: Case, policy: Policy, added: Finding, first: Any
) -> None:
    before = decide(case, policy)
    findings = (added, *case.findings) if first else (*case.findings, added)
    after = decide(replace(case, findings=findings), policy)
    assert _SEVERITY[after.outcome] <= _SEVERITY[before.outcome]


@given(cases(), policies())
def test_a_case_that_was_written_down_is_decided_the_same(case: Case, policy: Policy) -> None:
    decision = decide(case, policy)
    assert decide(decode(Case, encode(case)), policy) == decision
    assert decode(Decision, encode(decision)) == decision


@given(cases(), policies())
def test_the_outcome_follows_from_the_reasons(case: Case, policy: Policy) -> None:
    decision = decide(case, policy)
    counting = {check.reason for check in decision.checks if check.result is Result.FAILED}
    assert counting == set(decision.reasons)
    if decision.outcome is Outcome.ACCEPT:
        assert not counting
    else:
        assert counting
        assert (decision.outcome is Outcome.HOLD) <= all(reason and reason.entry.curable for reason in counting)


@given(st.lists(ATTESTATIONS, max_size=3))
def test_nothing_is_accepted_that_no_expected_signer_signed_for_these_bytes(proved: list[Attestation]) -> None:
    findings = [lab.finding(one, source=Source.LOCKER, position=n) for n, one in enumerate(proved)]
    decision = decide(lab.case(findings=findings), lab.policy())
    good = [
        one
        for one in proved
        if one.root == lab.ROOT
        and one.predicate_type == lab.SLSA
        and one.signer is not None
        and (one.signer.issuer, one.signer.repository, one.signer.repository_id, one.signer.workflow)
        == (lab.ci().issuer, "acme/libs", "763287532", lab.WORKFLOW)
        and (one.signer.ref, one.signer.run, one.signer.build_signer)
        == (lab.ci().ref, lab.ci().run, lab.ci().build_signer)
        and any(Digest("sha256", lab.SHA256) in subject.digests for subject in one.covers)
    ]
    assert decision.outcome is Outcome.REJECT or good


PATTERNS = st.lists(st.sampled_from(["a", "b", "/", "*", "**"]), max_size=6).map(
    lambda parts: "".join(parts).replace("***", "**").replace("***", "**").replace("***", "**")
)


@given(PATTERNS, PATTERNS, st.text("ab/", max_size=7))
def test_a_pattern_that_covers_another_matches_all_that_it_does(wide: str, narrow: str, text: str) -> None:
    if covers(wide, narrow) and matches(narrow, text):
        assert matches(wide, text)


@given(PATTERNS)
def test_a_pattern_covers_itself_and_the_widest_covers_all(pattern: str) -> None:
    assert covers(pattern, pattern)
    assert covers("**", pattern)


@given(PATTERNS, st.text("ab/", max_size=7))
def test_covering_a_plain_text_is_matching_it(pattern: str, text: str) -> None:
    assert covers(pattern, text) == matches(pattern, text)
