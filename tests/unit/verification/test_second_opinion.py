"""The second opinion: asked where the other engine knows the kind, decisive there, and silent elsewhere."""

from __future__ import annotations

import dataclasses

import pytest

from gateway.reasons import Code
from gateway.sandbox import Shape
from gateway.verification import second_opinion
from gateway.verification.bundle import Bundle, MessageSignature, read_bundle, read_pep740
from gateway.verification.certificate import read_leaf
from tests.lab import sigstore as lab
from tests.lab.findings import FILE, find, made, root, root_with

KNOWN = (Shape.LOG_V1, Shape.LOG_V1_TIMESTAMP, Shape.LOG_V2)


def known(bundle: Bundle, shape: Shape = Shape.LOG_V1) -> bool:
    return second_opinion.knows(root(shape), read_leaf(bundle.certificates[0]), bundle)


@pytest.mark.parametrize("shape", list(Shape))
def test_the_table_says_which_kinds_of_statement_the_other_engine_knows(shape: Shape) -> None:
    assert known(read_bundle(made(None, shape, "statement")), shape) is (shape in KNOWN)


@pytest.mark.parametrize("kind", ["statement", "digest"])
@pytest.mark.parametrize("shape", KNOWN)
def test_both_engines_accept_what_is_good(shape: Shape, kind: str) -> None:
    bundle = read_bundle(made(None, shape, kind))
    assert known(bundle, shape)
    digests = {digest.algorithm: bytes.fromhex(digest.value) for digest in FILE}
    assert second_opinion.objection(root(shape), bundle, digests) == ""


def test_a_pep740_attestation_is_put_before_the_other_engine_as_a_bundle() -> None:
    bundle = read_pep740(lab.publish_attestation_of())
    assert known(bundle)
    assert second_opinion.objection(root(Shape.LOG_V1), bundle, {}) == ""


def test_the_other_engine_objects_to_another_files_digest() -> None:
    bundle = read_bundle(made(None, Shape.LOG_V1, "digest"))
    assert isinstance(bundle.content, MessageSignature)
    assert second_opinion.objection(root(Shape.LOG_V1), bundle, {"sha256": b"\0" * 32})


@pytest.mark.parametrize("digests", [{}, {"sha512": b"\0" * 64}])
def test_an_exception_inside_a_known_kind_is_a_difference(digests: dict[str, bytes]) -> None:
    bundle = read_bundle(made(None, Shape.LOG_V1, "digest"))
    assert second_opinion.objection(root(Shape.LOG_V1), bundle, digests) == "KeyError: 'sha256'"


def test_what_the_two_engines_differ_on_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_opinion, "objection", lambda *_: "ValueError: no")
    (found,) = find(made(None, Shape.LOG_V1, "statement"), root(Shape.LOG_V1))
    assert {reason.code for reason in found.reasons} == {Code.SECOND_OPINION_DIFFERS}
    assert found.reasons[0].got == "ValueError: no"


def test_of_a_kind_the_other_engine_does_not_know_its_opinion_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second_opinion, "objection", lambda *_: "ValueError: no")
    (found,) = find(made(None, Shape.LOG_V1_INTOTO, "statement"), root(Shape.LOG_V1_INTOTO))
    assert found.attestation is not None


@pytest.mark.parametrize("index", [0, 1])
def test_several_entries_or_none_are_not_known(index: int) -> None:
    bundle = read_bundle(made(None, Shape.LOG_V1, "statement"))
    assert not known(dataclasses.replace(bundle, entries=bundle.entries * (2 * index)))


@pytest.mark.parametrize(
    "change",
    [
        {"digest": None},
        {"algorithm": "SHA2_512"},
    ],
)
def test_a_signature_without_the_digest_it_asks_for_is_not_known(change: dict[str, str | None]) -> None:
    bundle = read_bundle(made(None, Shape.LOG_V1, "digest"))
    assert isinstance(bundle.content, MessageSignature)
    content = MessageSignature(**{**dataclasses.asdict(bundle.content), **change})
    assert not known(dataclasses.replace(bundle, content=content))


@pytest.mark.parametrize("thresholds", [{"sct": 0}, {"log": 2}, {"sct": 2}])
def test_a_root_with_other_thresholds_is_not_known(thresholds: dict[str, int]) -> None:
    bundle = read_bundle(made(None, Shape.LOG_V1, "statement"))
    assert not second_opinion.knows(root_with(**thresholds), read_leaf(bundle.certificates[0]), bundle)


def test_a_timestamp_that_no_authority_of_the_root_could_make_is_not_put_before_it() -> None:
    bundle = read_bundle(made(None, Shape.LOG_V1_TIMESTAMP, "statement"))
    silent = dataclasses.replace(root_with(), timestamp_authorities=())
    assert not second_opinion.knows(silent, read_leaf(bundle.certificates[0]), bundle)
    assert second_opinion.knows(root_with(), read_leaf(bundle.certificates[0]), bundle)
