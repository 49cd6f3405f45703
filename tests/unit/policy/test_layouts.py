"""A rule that asks for a layout: links together meet it, and nothing else does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from gateway.errors import ConfigurationError
from gateway.model.case import Case
from gateway.model.codec import decode, encode
from gateway.model.decision import Decision, Outcome
from gateway.model.evidence import LINK, Format
from gateway.policy import AttestationRule, CredentialRule, Policy, ReleaseRule, decide, load_policy, policy_schema
from gateway.reasons import Code
from gateway.verification import TrustRoot
from tests.lab import cases, layouts
from tests.lab.cases import AT, OTHER, WHEEL

ASKED = AttestationRule((LINK,), (layouts.ROOT,), (), layout=True)
POLICY = f"""\
rules:
  - name: acme
    packages: pkg:pypi/acme-*
    attestations:
      - layout: {layouts.ROOT}
"""


def rules(*asked: AttestationRule) -> Policy:
    return cases.policy(cases.rule(attestations=asked, credential=CredentialRule(), release=ReleaseRule()))


def judged(
    bodies: Iterable[bytes], *roots: TrustRoot, policy: Policy | None = None, **case: Any
) -> tuple[Case, Decision]:
    at = case.pop("at", AT)
    found = cases.case(at=at, findings=layouts.find(bodies, *roots, now=at), **case)
    return found, decide(found, policy or rules(ASKED))


def codes(bodies: Iterable[bytes], *roots: TrustRoot, **how: Any) -> set[Code]:
    _, decision = judged(bodies, *roots, **how)
    assert (decision.outcome is Outcome.ACCEPT) == (not decision.reasons)
    return {reason.code for reason in decision.reasons}


def test_links_that_satisfy_the_layout_are_accepted_and_say_who_performed_each_step() -> None:
    _, decision = judged(layouts.links())
    assert (decision.outcome, decision.reasons, decision.signer) == (Outcome.ACCEPT, (), None)
    (steps,) = [check for check in decision.checks if check.name == "steps"]
    assert steps.got.startswith(f"fetch by {layouts.key_id('fetcher')[:8]}; build by ")


def test_the_case_is_decided_again_from_its_record() -> None:
    case, decision = judged(layouts.links())
    assert decode(Case, encode(case)) == case
    assert decide(decode(Case, encode(case)), rules(ASKED)) == decision


@pytest.mark.parametrize(
    ("bodies", "code"),
    [
        ((), Code.EVIDENCE_MISSING),
        ((layouts.fetch(), layouts.build("alice")), Code.LAYOUT_THRESHOLD),
        ((layouts.fetch(), layouts.build("alice"), layouts.build("stranger")), Code.LAYOUT_THRESHOLD),
        ((layouts.build("stranger"),), Code.LAYOUT_THRESHOLD),
        ((layouts.fetch("fetcher", products={}), *layouts.links()[1:]), Code.LAYOUT_RULE_VIOLATED),
    ],
    ids=["no links", "below the threshold", "a stranger", "only a stranger", "another source"],
)
def test_links_that_do_not_satisfy_it_are_refused(bodies: tuple[bytes, ...], code: Code) -> None:
    assert codes(bodies) == {code}


def test_a_layout_that_has_expired_is_refused() -> None:
    body = layouts.layout(expires="2026-11-24T11:59:59Z")
    assert codes(layouts.links(), layouts.root(body)) == {Code.LAYOUT_EXPIRED}


@pytest.mark.parametrize(
    ("path", "digest", "code"),
    [
        (f"dist/{WHEEL}", OTHER, Code.DIGEST_MISMATCH),
        ("dist/acme_lib-1.0.1-py3-none-any.whl", cases.SHA256, Code.EVIDENCE_NAME_MISMATCH),
    ],
    ids=["other bytes", "another name"],
)
def test_the_last_steps_product_is_the_file_by_digest_and_by_name(path: str, digest: str, code: Code) -> None:
    made = {"products": {path: {"sha256": digest}}}
    assert codes([layouts.fetch(), layouts.build("alice", **made), layouts.build("bob", **made)]) == {code}


def test_a_product_of_an_earlier_step_is_not_what_the_layout_vouches_for() -> None:
    fetched = layouts.fetch(products=layouts.SOURCE | layouts.WHEELS)
    built: dict[str, Any] = {"products": {"dist/other.whl": {"sha256": OTHER}}}
    body = layouts.layout(
        steps=[layouts.step("fetch", ["fetcher"]), layouts.step("build", ["alice"], expected_products=[["ALLOW", "*"]])]
    )
    assert codes([fetched, layouts.build("alice", **built)], layouts.root(body)) == {Code.DIGEST_MISMATCH}


def test_another_layout_than_the_rules_own_does_not_count() -> None:
    assert codes(layouts.links(), layouts.root(name="other")) == {Code.CERTIFICATE_UNTRUSTED}


def test_a_link_alone_never_meets_a_layout_even_when_it_claims_to() -> None:
    _, *others = layouts.find(layouts.links())
    link = next(one for one in others if one.evidence.format is Format.LINK and one.attestation)
    alone = replace(link, evidence=replace(link.evidence, format=Format.LINKS))
    decision = decide(cases.case(findings=[alone]), rules(ASKED))
    assert {reason.code for reason in decision.reasons} == {Code.LAYOUT_THRESHOLD}


def test_links_meet_nothing_but_a_layout() -> None:
    (together,) = [one for one in layouts.find(layouts.links()) if one.evidence.format is Format.LINKS]
    asked = AttestationRule((LINK,), (layouts.ROOT,), (cases.signer(),))
    decision = decide(cases.case(findings=[together]), rules(asked))
    assert {reason.code for reason in decision.reasons} == {Code.EVIDENCE_MISSING}


def test_a_layout_beside_a_predicate_needs_both() -> None:
    both = rules(ASKED, cases.asked())
    assert codes(layouts.links(), policy=both) == {Code.EVIDENCE_MISSING}
    found = cases.case(findings=[cases.finding(), *layouts.find(layouts.links())])
    assert decide(found, both).outcome is Outcome.ACCEPT
    only = decide(cases.case(), both)
    assert {reason.code for reason in only.reasons} == {Code.EVIDENCE_MISSING}


def test_junk_links_beside_good_provenance_change_nothing() -> None:
    found = cases.case(findings=[*layouts.find([layouts.build("stranger"), b"junk"]), cases.finding()])
    assert decide(found, rules(cases.asked())).outcome is Outcome.ACCEPT


# --- In the policy's file -----------------------------------------------------------------------------------------


def problems(text: str, **kinds: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_policy({"a.yaml": text}, trust_roots=kinds or {layouts.ROOT: "layout"})
    return list(caught.value.problems)


def test_a_rule_names_its_layout() -> None:
    (rule,) = load_policy({"a.yaml": POLICY}, trust_roots={layouts.ROOT: "layout"}).rules
    assert rule.attestations == (ASKED,)
    assert rule.attestations[0].wanted == f"links that satisfy {layouts.ROOT}"


def test_a_list_of_layouts_is_a_choice() -> None:
    text = POLICY.replace(layouts.ROOT, "[a, b]")
    (rule,) = load_policy({"a.yaml": text}).rules
    assert rule.attestations[0].trust_roots == ("a", "b")


@pytest.mark.parametrize(
    "beside", ["predicate: p", "signature: true", "trust_roots: r", "signer: {key: k}", "min_build_level: 1"]
)
def test_nothing_stands_beside_a_layout(beside: str) -> None:
    (found,) = problems(f"{POLICY}        {beside}\n")
    assert found.startswith("a.yaml:6:")
    assert "beside layout" in found


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"other": "layout"}, "no trust root 'acme-release'; configured: other"),
        ({"acme-release": "keys"}, "trust root 'acme-release' is of kind keys; name one of kind layout"),
    ],
    ids=["unknown", "of another kind"],
)
def test_a_layout_is_a_trust_root_of_that_kind(kinds: dict[str, str], said: str) -> None:
    (found,) = problems(POLICY, **kinds)
    assert said in found


def test_a_layout_is_no_trust_root_of_anything_else() -> None:
    entry = "predicate: p\n        trust_roots: acme-release\n        signer: {key: k}"
    found = problems(POLICY.replace(f"layout: {layouts.ROOT}", entry))
    assert "trust root 'acme-release' is a layout; write layout: acme-release" in found[0]


@pytest.mark.parametrize("value", ["[]", "''"])
def test_an_empty_layout_is_an_expectation_of_nothing(value: str) -> None:
    (found,) = problems(POLICY.replace(layouts.ROOT, value))
    assert "matches nothing" in found


@pytest.mark.parametrize(
    ("left", "said"), [("trust_roots: r", "no signer"), ("signer: {key: k}", "no trust_roots")], ids=str
)
def test_an_entry_by_predicate_needs_roots_and_a_signer(left: str, said: str) -> None:
    text = POLICY.replace(f"layout: {layouts.ROOT}", f"predicate: p\n        {left}")
    (found,) = problems(text, r="keys")
    assert found.startswith("a.yaml:5:")
    assert said in found


def test_the_schema_for_editors_wants_a_layout_or_roots_and_a_signer() -> None:
    entry = policy_schema()["$defs"]["AttestationText"]
    assert entry["oneOf"] == [{"required": ["layout"]}, {"required": ["trust_roots", "signer"]}]
    assert "required" not in entry
