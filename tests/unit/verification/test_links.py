"""Links under a layout: what satisfies it, and near misses of every step of the judgement."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from in_toto.exceptions import RuleVerificationError
from in_toto.models.link import Link
from in_toto.rulelib import unpack_rule
from in_toto.verifylib import verify_item_rules

from gateway import limits
from gateway.model.codec import decode, encode
from gateway.model.digest import Digest
from gateway.model.evidence import LINK, Attestation, Evidence, Finding, Format, Performed, Source, Subject
from gateway.reasons import Code
from gateway.verification import TrustRoot, detect, verify, verify_links
from gateway.verification.artifact_rules import violated
from gateway.verification.layout import ArtifactRule
from tests.lab import findings as sigstore_lab
from tests.lab import layouts as lab
from tests.lab.cases import AT, OTHER, SHA256, WHEEL


def together(bodies: Iterable[bytes], *roots: TrustRoot, now: datetime = AT) -> Finding:
    (found,) = [one for one in lab.find(bodies, *roots, now=now) if one.evidence.format is Format.LINKS]
    return found


def satisfied(bodies: Iterable[bytes], *roots: TrustRoot, now: datetime = AT) -> Attestation:
    found = together(bodies, *roots, now=now)
    assert found.attestation is not None, [reason.line() for reason in found.reasons]
    return found.attestation


def codes(bodies: Iterable[bytes], *roots: TrustRoot, now: datetime = AT) -> set[Code]:
    return {reason.code for reason in together(bodies, *roots, now=now).reasons}


def alone(body: bytes, *roots: TrustRoot) -> Finding:
    """What one link comes to by itself, whatever it lacks for the layout."""
    (found,) = [one for one in lab.find([body], *roots) if one.evidence.format is not Format.LINKS]
    return found


def code_of(body: bytes, *roots: TrustRoot) -> set[Code]:
    return {reason.code for reason in alone(body, *roots).reasons}


def by(*names: str) -> tuple[str, ...]:
    return tuple(sorted(lab.key_id(name) for name in names))


# --- What satisfies a layout --------------------------------------------------------------------------------------


def test_two_steps_and_two_of_three_builders_satisfy_the_layout() -> None:
    found = satisfied(lab.links())
    assert (found.root, found.predicate_type, found.signer, found.key) == (lab.ROOT, LINK, None, None)
    assert found.covers == (Subject(WHEEL, (Digest("sha256", SHA256),)),)
    assert found.steps == (Performed("fetch", by("fetcher")), Performed("build", by("alice", "bob")))


def test_all_three_builders_satisfy_it_too() -> None:
    found = satisfied([*lab.links(), lab.build("carol")])
    assert found.steps[1].functionaries == by("alice", "bob", "carol")


def test_the_order_of_the_links_does_not_matter() -> None:
    assert satisfied(reversed(lab.links())).steps == satisfied(lab.links()).steps


def test_links_in_envelopes_count_like_those_in_the_older_form() -> None:
    found = satisfied([lab.fetch(envelope=True), lab.build("alice", envelope=True), lab.build("bob")])
    assert found.steps[1].functionaries == by("alice", "bob")


def test_one_link_with_the_signatures_of_two_builders_counts_for_both() -> None:
    assert satisfied([lab.fetch(), lab.build("carol", "bob")]).steps[1].functionaries == by("bob", "carol")


def test_each_link_is_an_attestation_by_its_functionary_that_covers_the_file_where_it_made_it() -> None:
    fetched, built = alone(lab.fetch()).attestation, alone(lab.build("bob")).attestation
    assert fetched is not None
    assert built is not None
    assert (fetched.key, fetched.covers, fetched.steps) == (lab.key_id("fetcher"), (), ())
    assert (built.key, [subject.name for subject in built.covers]) == (lab.key_id("bob"), [WHEEL])


def test_the_finding_of_all_together_survives_the_record() -> None:
    for found in lab.find([*lab.links(), b"junk"]):
        assert decode(Finding, encode(found)) == found


def test_the_links_together_are_named_by_their_ids_and_where_the_last_came_from() -> None:
    bodies = lab.links()
    pieces = [lab.piece(bodies[0], 0, Source.ARGUMENT), lab.piece(bodies[1], 0), lab.piece(bodies[2], 1)]
    assert together(bodies).evidence.id == together(reversed(bodies)).evidence.id
    assert together(bodies).evidence.id != together(bodies[:2]).evidence.id
    assert together(bodies).evidence.label == "locker links"
    *_, found = verify_links(pieces, [lab.root()], [lab.FILE], AT)
    assert (found.evidence.source, found.evidence.format) == (Source.LOCKER, Format.LINKS)


# --- Near misses --------------------------------------------------------------------------------------------------


def test_one_builder_is_below_the_threshold() -> None:
    assert codes([lab.fetch(), lab.build("alice")]) == {Code.LAYOUT_THRESHOLD}


def test_the_same_builder_twice_is_one_builder() -> None:
    again = lab.build("alice", envelope=True)
    assert codes([lab.fetch(), lab.build("alice"), again, lab.build("alice", "alice")]) == {Code.LAYOUT_THRESHOLD}


def test_a_step_without_a_link_is_below_the_threshold() -> None:
    assert codes([lab.build("alice"), lab.build("bob")]) == {Code.LAYOUT_THRESHOLD}


def test_every_step_that_lacks_links_has_its_reason() -> None:
    assert len(together([lab.build("alice")]).reasons) == 2


def test_a_builder_whom_the_layout_does_not_name_does_not_count() -> None:
    assert codes([lab.fetch(), lab.build("alice"), lab.build("stranger")]) == {Code.LAYOUT_THRESHOLD}
    assert code_of(lab.build("stranger")) == {Code.CERTIFICATE_UNTRUSTED}


def test_a_functionary_of_one_step_does_not_count_for_another() -> None:
    assert codes([lab.fetch(), lab.build("alice"), lab.build("fetcher")]) == {Code.LAYOUT_THRESHOLD}
    assert code_of(lab.build("fetcher")) == {Code.CERTIFICATE_UNTRUSTED}


def test_a_link_of_a_step_that_the_layout_does_not_have_does_not_count() -> None:
    other = lab.link("package", "alice", materials=lab.SOURCE, products=lab.WHEELS)
    assert codes([lab.fetch(), other, lab.build("bob")]) == {Code.LAYOUT_THRESHOLD}
    assert code_of(other) == {Code.EVIDENCE_NAME_MISMATCH}


def test_a_signature_under_a_builders_id_that_another_key_made_does_not_count() -> None:
    body = json.loads(lab.build("stranger"))
    body["signatures"][0]["keyid"] = lab.key_id("bob")
    forged = json.dumps(body).encode()
    assert code_of(forged) == {Code.SIGNATURE_INVALID}
    assert codes([lab.fetch(), lab.build("alice"), forged]) == {Code.LAYOUT_THRESHOLD}


@pytest.mark.parametrize("envelope", [False, True])
def test_a_link_changed_after_it_was_signed_does_not_count(envelope: bool) -> None:  # noqa: FBT001
    honest = lab.build("bob", envelope=envelope)
    other = json.loads(lab.build("bob", envelope=envelope, products={"dist/x": {"sha256": OTHER}}))
    spoiled = json.dumps(other | {"signatures": json.loads(honest)["signatures"]}).encode()
    assert code_of(spoiled) == {Code.SIGNATURE_INVALID}
    assert codes([lab.fetch(), lab.build("alice"), spoiled]) == {Code.LAYOUT_THRESHOLD}


def test_builders_who_made_different_things_do_not_agree() -> None:
    differs = lab.build("bob", products={f"dist/{WHEEL}": {"sha256": OTHER}})
    assert codes([lab.fetch(), lab.build("alice"), differs]) == {Code.LAYOUT_THRESHOLD}


def test_builders_who_took_different_things_do_not_agree() -> None:
    differs = lab.build("bob", materials={})
    assert codes([lab.fetch(), lab.build("alice"), differs]) == {Code.LAYOUT_THRESHOLD}


def test_a_source_that_was_not_fetched_breaks_the_rules() -> None:
    taken = {"materials": lab.SOURCE | {"acme/extra.py": {"sha256": OTHER}}}
    found = together([lab.fetch(), lab.build("alice", **taken), lab.build("bob", **taken)])
    assert [(one.code, one.expected, one.got) for one in found.reasons] == [
        (Code.LAYOUT_RULE_VIOLATED, "DISALLOW * (materials of step build)", "acme/extra.py")
    ]


def test_a_source_that_was_changed_between_the_steps_breaks_the_rules() -> None:
    taken = {"materials": {"acme/__init__.py": {"sha256": OTHER}}}
    assert codes([lab.fetch(), lab.build("alice", **taken), lab.build("bob", **taken)]) == {Code.LAYOUT_RULE_VIOLATED}


def test_a_product_that_no_rule_allows_breaks_the_rules() -> None:
    made = {"products": lab.WHEELS | {"dist/miner.exe": {"sha256": OTHER}}}
    assert codes([lab.fetch(), lab.build("alice", **made), lab.build("bob", **made)]) == {Code.LAYOUT_RULE_VIOLATED}


def test_a_product_that_is_required_and_absent_breaks_the_rules() -> None:
    body = lab.layout(steps=lab.steps(expected_products=[["REQUIRE", "dist/sbom.json"]]))
    assert codes(lab.links(), lab.root(body)) == {Code.LAYOUT_RULE_VIOLATED}


def test_another_product_is_recorded_for_policy_to_compare() -> None:
    made = {"products": {f"dist/{WHEEL}": {"sha256": OTHER}}}
    found = satisfied([lab.fetch(), lab.build("alice", **made), lab.build("bob", **made)])
    assert found.covers == (Subject(WHEEL, (Digest("sha256", OTHER),)),)


@pytest.mark.parametrize("digests", [{}, {"md5": "d" * 32}, {"sha3-256": "0" * 64}], ids=["none", "md5", "unknown"])
def test_a_last_step_without_a_product_that_can_be_compared_is_refused(digests: dict[str, str]) -> None:
    made: dict[str, Any] = {"products": {f"dist/{WHEEL}": digests}}
    assert codes([lab.fetch(), lab.build("alice", **made), lab.build("bob", **made)]) == {Code.LAYOUT_RULE_VIOLATED}


def test_the_products_that_are_not_the_file_are_not_recorded() -> None:
    made = {"products": lab.WHEELS | {f"dist/{n}.whl": {"sha256": OTHER} for n in range(50)}}
    found = satisfied([lab.fetch(), lab.build("alice", **made), lab.build("bob", **made)])
    assert [subject.name for subject in found.covers] == [WHEEL]


# --- In force -----------------------------------------------------------------------------------------------------


def test_a_layout_holds_until_it_expires_and_not_in_that_second() -> None:
    end = datetime(2027, 6, 30, tzinfo=UTC)
    assert satisfied(lab.links(), now=end - timedelta(seconds=1)).steps
    assert codes(lab.links(), now=end) == {Code.LAYOUT_EXPIRED}


def test_a_root_past_its_last_day_is_refused() -> None:
    assert codes(lab.links(), lab.root(not_after="2026-11-23")) == {Code.TRUST_ROOT_EXPIRED}


@pytest.mark.parametrize("window", [{"start": "2026-11-25"}, {"end": "2026-11-23"}], ids=["not yet", "no longer"])
def test_a_layout_whose_owners_key_is_outside_its_days_is_refused(window: dict[str, str]) -> None:
    assert codes(lab.links(), lab.root(None, **window)) == {Code.CERTIFICATE_EXPIRED}


# --- Junk cannot hurt ---------------------------------------------------------------------------------------------


JUNK: dict[str, bytes] = {
    "bytes": b"\x00\xff",
    "an empty link": b'{"signed": {"_type": "link"}, "signatures": []}',
    "a stranger's link": lab.build("stranger"),
    "a link of another step": lab.link("package", "alice"),
    "a builder's link of another build": lab.build("carol", products={"dist/b.whl": {"sha256": OTHER}}),
    "a fetcher's link of other sources": lab.fetch(products={"acme/b.py": {"sha256": OTHER}}),
    "a layout": lab.layout(),
}


@pytest.mark.parametrize("what", sorted(JUNK))
@pytest.mark.parametrize("first", [True, False])
def test_junk_beside_good_links_changes_nothing(what: str, first: bool) -> None:  # noqa: FBT001
    bodies = [JUNK[what], *lab.links()] if first else [*lab.links(), JUNK[what]]
    assert satisfied(bodies).steps == satisfied(lab.links()).steps


def test_two_builders_who_agree_on_another_build_do_not_hide_the_two_who_made_the_file() -> None:
    body = lab.layout(steps=[*lab.steps(pubkeys=[lab.key_id(n) for n in ("alice", "bob", "carol", "fetcher")])])
    other = {"products": {"dist/other.whl": {"sha256": OTHER}}}
    others = [lab.build("carol", **other), lab.build("fetcher", **other)]
    found = satisfied([*others, *lab.links()], lab.root(body))
    assert [subject.name for subject in found.covers] == [WHEEL]


def test_more_ways_to_choose_than_the_bound_are_not_all_tried() -> None:
    noise = [lab.fetch(products={f"acme/{n}.py": {"sha256": OTHER}}) for n in range(limits.LAYOUT_CHOICES)]
    assert codes([*noise, *lab.links()]) == {Code.LAYOUT_RULE_VIOLATED}
    assert satisfied([*noise[1:], *lab.links()]).steps


def test_one_functionarys_noise_does_not_crowd_out_what_two_agree_on() -> None:
    fetched = lab.step("fetch", ["fetcher", "carol"])
    root = lab.root(lab.layout(steps=[fetched, lab.steps()[1]]))
    noise = [lab.fetch(products={f"acme/{n}.py": {"sha256": OTHER}}) for n in range(limits.LAYOUT_CHOICES)]
    assert codes([*noise, *lab.links()], root) == {Code.LAYOUT_RULE_VIOLATED}
    assert satisfied([*noise, *lab.links(), lab.fetch("carol")], root).steps[0].functionaries == by("carol", "fetcher")


def test_only_links_that_nobody_made_for_a_layout_are_told_under_each() -> None:
    roots = lab.root(), lab.root(name="other")
    found = lab.find([lab.build("stranger")], *roots)
    assert [(one.root, one.evidence.format) for one in found] == [
        (name, form) for name in (lab.ROOT, "other") for form in (Format.LINK, Format.LINKS)
    ]


def test_a_layout_that_knows_none_of_the_links_says_nothing_where_another_does() -> None:
    strangers = lab.layout(
        steps=[lab.step("fetch", ["stranger"])], keys={lab.key_id("stranger"): lab.public("stranger")}
    )
    assert {one.root for one in lab.find(lab.links(), lab.root(), lab.root(strangers, name="other"))} == {lab.ROOT}


def test_links_without_any_layout_are_untrusted() -> None:
    (found,) = lab.find([lab.fetch()], sigstore_lab.root_with())
    assert (found.root, {reason.code for reason in found.reasons}) == (None, {Code.CERTIFICATE_UNTRUSTED})


# --- Hostile evidence ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("envelope", [False, True])
def test_a_sublayout_with_inspections_is_refused_and_nothing_is_run(tmp_path: Path, envelope: bool) -> None:  # noqa: FBT001
    proof = tmp_path / "was-run"
    model = lab.model(inspect=[lab.inspection(["touch", str(proof)])])
    sublayout = lab.signed(model, "alice", envelope=envelope)
    assert code_of(sublayout) == {Code.LAYOUT_INSPECTION}
    assert satisfied([sublayout, *lab.links()]).steps
    assert not proof.exists()


def _changed(**fields: Any) -> bytes:
    body = json.loads(lab.build("bob"))
    body["signed"] |= fields
    return json.dumps(body).encode()


MALFORMED: dict[str, bytes] = {
    "materials that are a list": _changed(materials=[]),
    "a digest that is none": _changed(products={"a": {"sha256": "zz"}}),
    "a digest that is a number": _changed(products={"a": {"sha256": 1}}),
    "a name that is a number": _changed(name=7),
    "a fraction, which has no canonical form": _changed(byproducts={"return-value": 0.5}),
    "a signature that is not in hexadecimal": lab.build("bob").replace(b'"sig": "', b'"sig": "x'),
    "one key twice": lab.build("bob").replace(b'"name"', b'"name": "build", "name"'),
    "signatures that are an object": json.dumps(json.loads(lab.build("bob")) | {"signatures": {}}).encode(),
}


@pytest.mark.parametrize("what", sorted(MALFORMED))
def test_a_link_is_malformed_with(what: str) -> None:
    ref = lab.piece(lab.build("bob")).ref
    (found, *_) = [
        one
        for one in lab.find([MALFORMED[what], *lab.links()])
        if one.evidence.id != ref.id and one.reasons and one.evidence.format is not Format.LINKS
    ]
    assert {reason.code for reason in found.reasons} == {Code.EVIDENCE_MALFORMED}
    assert satisfied([MALFORMED[what], *lab.links()]).steps


def test_a_link_nested_too_deep_or_too_long_is_over_the_limit() -> None:
    deep = b'{"signed": {"_type": "link", "x": ' + b"[" * 99 + b"]" * 99 + b'}, "signatures": []}'
    for body in (deep, lab.build("bob") + b" " * limits.EVIDENCE_BYTES):
        (found,) = lab.find([body])
        assert {reason.code for reason in found.reasons} == {Code.EVIDENCE_LIMIT}


def test_a_path_that_the_library_stumbles_over_breaks_the_rule_and_raises_nothing() -> None:
    rules = [["MATCH", "*", "IN", "src", "WITH", "PRODUCTS", "FROM", "fetch"]]
    body = lab.layout(steps=lab.steps(expected_materials=rules))
    taken = {"materials": {"src//etc/passwd": {"sha256": OTHER}}}
    found = together([lab.fetch(), lab.build("alice", **taken), lab.build("bob", **taken)], lab.root(body))
    assert {reason.code for reason in found.reasons} == {Code.LAYOUT_RULE_VIOLATED}


@pytest.mark.parametrize("envelope", [False, True])
def test_links_and_layouts_are_told_apart_in_either_form(envelope: bool) -> None:  # noqa: FBT001
    assert detect(lab.fetch(envelope=envelope)) is Format.LINK
    assert detect(lab.layout(envelope=envelope)) is Format.LAYOUT


def test_an_envelope_of_another_payload_type_is_no_link() -> None:
    body = lab.fetch(envelope=True).replace(b"application/vnd.in-toto+json", b"application/json")
    assert detect(body) is Format.DSSE
    ref = replace(lab.piece(body).ref, format=Format.LINK)
    (found,) = verify_links([Evidence(ref, body)], [lab.root()], [lab.FILE], AT)
    assert {reason.code for reason in found.reasons} == {Code.EVIDENCE_MALFORMED}


def test_links_that_are_left_when_the_time_is_spent_are_not_read_and_say_so() -> None:
    bodies = lab.links()
    asked = iter([False] * 5 + [True])  # each is opened, then read
    found = verify_links([lab.piece(body) for body in bodies], [lab.root()], [lab.FILE], AT, lambda: next(asked))
    assert [{reason.code for reason in one.reasons} for one in found] == [
        {Code.EVIDENCE_UNVERIFIED},
        set(),
        set(),
        {Code.LAYOUT_THRESHOLD},
    ]


def test_verifying_one_link_alone_says_what_is_missing() -> None:
    found = verify(lab.piece(lab.build("alice")), [lab.root()], [lab.FILE], AT)
    assert [one.evidence.format for one in found] == [Format.LINK, Format.LINKS]
    assert found[0].attestation is not None
    assert {reason.code for reason in found[1].reasons} == {Code.LAYOUT_THRESHOLD}


# --- The rules, against the library's own loop --------------------------------------------------------------------


RULES = [
    ["CREATE", "dist/*"],
    ["DELETE", "tmp/*"],
    ["MODIFY", "*.lock"],
    ["ALLOW", "docs/*"],
    ["DISALLOW", "*.exe"],
    ["DISALLOW", "*"],
    ["REQUIRE", "dist/a"],
    ["MATCH", "*", "WITH", "PRODUCTS", "FROM", "first"],
    ["MATCH", "*", "IN", "src", "WITH", "MATERIALS", "FROM", "first"],
    ["match", "a*", "with", "materials", "in", "out", "from", "first"],
]


@pytest.mark.parametrize("seed", range(200))
def test_rules_come_out_as_in_the_library(seed: int) -> None:
    chance = random.Random(seed)
    paths = ["dist/a", "dist/b.exe", "tmp/x", "a.lock", "docs/a", "src/a", "out/a", "a", "a.exe"]

    def artifacts() -> dict[str, dict[str, str]]:
        return {path: {"sha256": chance.choice("ab")} for path in chance.sample(paths, chance.randint(0, 6))}

    links = {
        name: Link(name=name, materials=artifacts(), products=artifacts(), command=[]) for name in ("first", "second")
    }
    rules = chance.sample(RULES, chance.randint(1, 5))
    ours = [ArtifactRule(" ".join(words), unpack_rule(words)) for words in rules]
    for kind in ("materials", "products"):
        try:
            verify_item_rules("second", kind, rules, links)
        except RuleVerificationError:
            library = False
        else:
            library = True
        assert (not list(violated(ours, links["second"], kind, links))) is library
