"""A layout in place of a link: what stands for the step, and near misses of each part of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable
from typing import Any

import pytest

from gateway import limits
from gateway.errors import Malformed
from gateway.model.evidence import Finding, Format, Performed, Source
from gateway.reasons import Code
from gateway.verification import TrustRoot, verify_links
from tests.lab import layouts as lab
from tests.lab.cases import AT

BOB = (lab.fetch(), lab.build("bob"))
PARTS = (lab.compile_(), lab.pack())
EXPIRED = "2026-11-24T00:00:00Z"


def together(bodies: Iterable[bytes], *roots: TrustRoot) -> Finding:
    (found,) = [one for one in lab.find(bodies, *roots) if one.evidence.format is Format.LINKS]
    return found


def codes(bodies: Iterable[bytes], *roots: TrustRoot) -> set[Code]:
    return {reason.code for reason in together(bodies, *roots).reasons}


def alone(body: bytes, *others: bytes) -> Finding:
    """What one piece comes to by itself, beside others."""
    found = lab.find([*others, body])
    (one,) = [one for one in found if one.evidence.id == lab.piece(body).ref.id]
    return one


@pytest.mark.parametrize("envelope", [False, True])
def test_a_sublayout_whose_steps_hold_stands_for_its_functionarys_link(envelope: bool) -> None:  # noqa: FBT001
    found = together([*BOB, *PARTS, lab.sublayout("alice", envelope=envelope)])
    assert found.attestation is not None, [reason.line() for reason in found.reasons]
    both = tuple(sorted(lab.key_id(name) for name in ("alice", "bob")))
    assert found.attestation.steps[1] == Performed("build", both)


def test_two_functionaries_may_sign_one_sublayout() -> None:
    assert codes([lab.fetch(), *PARTS, lab.sublayout("alice", "bob")]) == set()


def test_a_sublayout_may_stand_for_the_last_step_alone() -> None:
    root = lab.root(lab.layout(steps=lab.steps(threshold=1)))
    assert codes([lab.fetch(), *PARTS, lab.sublayout("alice")], root) == set()


def test_two_functionaries_may_each_send_one() -> None:
    assert codes([lab.fetch(), *PARTS, lab.sublayout("alice"), lab.sublayout("carol")]) == set()
    assert codes([lab.fetch(), *PARTS, lab.sublayout("alice"), lab.sublayout("alice", readme="again")]) == {
        Code.LAYOUT_THRESHOLD
    }


def test_the_pieces_may_come_in_any_order() -> None:
    pieces = [*BOB, *PARTS, lab.sublayout("alice")]
    assert codes(reversed(pieces)) == set()


OTHER: dict[str, Any] = {"products": {"acme.o": {"sha256": "0" * 64}}}
LACKING: dict[str, tuple[tuple[bytes, ...], set[Code]]] = {
    "without its links": ((lab.sublayout("alice"),), {Code.LAYOUT_THRESHOLD}),
    "without one of them": ((lab.sublayout("alice"), lab.pack()), {Code.LAYOUT_THRESHOLD}),
    "by a stranger": ((lab.sublayout("stranger"), *PARTS), {Code.LAYOUT_THRESHOLD}),
    "by the functionary of another step": ((lab.sublayout("fetcher"), *PARTS), {Code.LAYOUT_THRESHOLD}),
    "by the owner of the layout": ((lab.sublayout("owner"), *PARTS), {Code.LAYOUT_THRESHOLD}),
    "by the same as the link beside it": ((lab.sublayout("bob"), *PARTS), {Code.LAYOUT_THRESHOLD}),
    "out of date": ((lab.sublayout("alice", expires=EXPIRED), *PARTS), {Code.LAYOUT_THRESHOLD, Code.LAYOUT_EXPIRED}),
    "with a link of its own by another": (
        (lab.sublayout("alice"), lab.compile_("bob"), lab.pack()),
        {Code.LAYOUT_THRESHOLD},
    ),
    "with a rule broken inside": (
        (lab.sublayout("alice"), lab.compile_(materials={"evil.c": {"sha256": "0" * 64}}), lab.pack()),
        {Code.LAYOUT_THRESHOLD, Code.LAYOUT_RULE_VIOLATED},
    ),
    "that took other material than the others": (
        (lab.sublayout("alice"), lab.compile_(materials={"acme/__init__.py": {"sha256": "0" * 64}}), lab.pack()),
        {Code.LAYOUT_THRESHOLD},
    ),
    "that made another wheel": (
        (lab.sublayout("alice"), lab.compile_(), lab.pack(products={"dist/w.whl": {"sha256": "0" * 64}})),
        {Code.LAYOUT_THRESHOLD},
    ),
}


@pytest.mark.parametrize("name", sorted(LACKING))
def test_a_sublayout_stands_for_nothing(name: str) -> None:
    pieces, expected = LACKING[name]
    assert codes([*BOB, *pieces]) == expected


def test_a_layout_is_held_against_what_its_sublayout_took_and_made() -> None:
    root = lab.root(lab.layout(steps=lab.steps(threshold=1)))
    evil = {"evil.py": {"sha256": "0" * 64}}
    pieces = [lab.fetch(), lab.sublayout("alice", steps=[lab.step("pack", ["dave"])]), lab.pack(materials=evil)]
    assert codes(pieces, root) == {Code.LAYOUT_RULE_VIOLATED}


def test_an_altered_sublayout_stands_for_nothing() -> None:
    body = json.loads(lab.sublayout("alice"))
    body["signed"]["steps"][0]["expected_materials"] = []
    assert codes([*BOB, *PARTS, json.dumps(body).encode()]) == {Code.LAYOUT_THRESHOLD}


def test_junk_beside_it_changes_nothing() -> None:
    junk = [lab.sublayout("stranger", expires=f"2027-01-{day:02}T00:00:00Z") for day in range(1, limits.SUBLAYOUTS + 2)]
    junk += [lab.sublayout("alice", inspect=[lab.inspection(["true"])]), lab.pack("stranger"), lab.compile_(**OTHER)]
    for number in range(limits.SUBLAYOUTS + 1):  # in alice's name, and not by her
        forged = json.loads(lab.sublayout("alice"))
        forged["signed"]["readme"] = f"{number}"
        junk.append(json.dumps(forged).encode())
    assert codes([*junk, *BOB, *PARTS, lab.sublayout("alice")]) == set()


def nested(depth: int) -> list[bytes]:
    """Sublayouts one in another, each by the person whom the one before names, and the link of the innermost step."""
    people = ["alice", "dave", "owner", "stranger"][: depth + 1]
    made = [
        lab.sublayout(one, steps=[lab.step("part", [following])], keys={lab.key_id(following): lab.public(following)})
        for one, following in itertools.pairwise(people)
    ]
    return [*made, lab.link("part", people[-1], materials=lab.SOURCE, products=lab.WHEELS)]


def test_sublayouts_have_sublayouts_to_a_depth() -> None:
    assert codes([*BOB, *nested(limits.LAYOUT_DEPTH - 1)]) == set()
    assert codes([*BOB, *nested(limits.LAYOUT_DEPTH)]) == {Code.LAYOUT_THRESHOLD, Code.EVIDENCE_LIMIT}


def test_a_sublayout_does_not_stand_for_its_own_step() -> None:
    """One whose only functionary signed it would prove itself."""
    own: dict[str, Any] = {"keys": {lab.key_id("alice"): lab.public("alice")}, "steps": [lab.step("build", ["alice"])]}
    assert codes([*BOB, lab.sublayout("alice", **own)]) == {Code.LAYOUT_THRESHOLD}


def test_by_itself_it_is_the_functionarys_and_so_are_its_links_beside_it() -> None:
    found = alone(lab.sublayout("alice"))
    assert (found.root, found.attestation and found.attestation.key) == (lab.ROOT, lab.key_id("alice"))
    found = alone(lab.pack(), lab.sublayout("alice"))
    assert found.attestation is not None
    assert found.attestation.key is None  # the operator's layout does not know dave
    assert {reason.code for reason in alone(lab.pack(), lab.fetch()).reasons} == {Code.EVIDENCE_NAME_MISMATCH}
    assert {reason.code for reason in alone(lab.sublayout("stranger"), lab.fetch()).reasons} == {
        Code.CERTIFICATE_UNTRUSTED
    }
    assert {reason.code for reason in alone(lab.pack("stranger"), lab.sublayout()).reasons} == {
        Code.CERTIFICATE_UNTRUSTED
    }


def test_a_sublayout_that_gives_anothers_id_to_a_key_speaks_in_nobodys_name() -> None:
    """Alice lists dave's key under bob's id; neither his links nor hers become bob's."""
    step = lab.step("pack", ["bob"])
    keys = {lab.key_id("bob"): lab.public("dave") | {"keyid": lab.key_id("bob")}}
    sublayout = lab.sublayout("alice", steps=[step], keys=keys)
    body = json.loads(lab.link("pack", "dave", materials=lab.SOURCE, products=lab.WHEELS))
    body["signatures"][0]["keyid"] = lab.key_id("bob")
    pack = json.dumps(body).encode()
    found = alone(pack, sublayout)
    assert found.attestation is not None
    assert found.attestation.key is None
    assert codes([lab.fetch(), sublayout, pack]) == {Code.LAYOUT_THRESHOLD}
    assert codes([*BOB, sublayout, pack]) == set()


def test_what_others_sent_a_part_of_is_not_the_publishers_own() -> None:
    bodies = [*BOB, *PARTS, lab.sublayout("alice")]
    for place in (None, *range(len(bodies))):
        pieces = [
            lab.piece(body, at, Source.LOCKER if at == place else Source.REQUEST) for at, body in enumerate(bodies)
        ]
        found = verify_links(pieces, [lab.root()], [lab.FILE], AT)
        (whole,) = [one for one in found if one.evidence.format is Format.LINKS]
        assert whole.evidence.source is (Source.REQUEST if place is None else Source.LOCKER)


# --- GnuPG --------------------------------------------------------------------------------------------------------

GNUPG = {"keyid": "8465a1e2e0fb2b40adb2478e18fb3f537e0c8a17", "other_headers": "04000108", "signature": "ab" * 64}


def test_a_link_that_gnupg_signed_is_refused_in_words_of_its_own() -> None:
    body = json.dumps(json.loads(lab.build("bob")) | {"signatures": [GNUPG]}).encode()
    found = alone(body)
    assert {reason.code for reason in found.reasons} == {Code.EVIDENCE_UNSUPPORTED}
    assert "GnuPG" in found.reasons[0].got


def test_a_signature_of_gnupg_beside_another_is_passed_over() -> None:
    body = json.loads(lab.build("bob"))
    body["signatures"].insert(0, GNUPG)
    assert codes([lab.fetch(), lab.build("alice"), json.dumps(body).encode()]) == set()


def test_a_layout_that_names_a_key_of_gnupg_is_refused_at_load() -> None:
    body = json.loads(lab.layout())
    key = {"type": "rsa", "method": "pgp+rsa-pkcsv1.5", "hashes": ["pgp+SHA2"], "keyid": GNUPG["keyid"]}
    body["signed"]["keys"][GNUPG["keyid"]] = key | {"keytype": "rsa", "keyval": {"public": {"e": "010001", "n": "ab"}}}
    with pytest.raises(Malformed, match="GnuPG"):
        lab.root(json.dumps(body).encode())
