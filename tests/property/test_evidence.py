"""Whatever bytes come as evidence: a finding with reasons, never an exception, and never an attestation of junk."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.errors import Malformed
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.model.identity import FIELDS, Contradiction, from_certificate, from_claims
from gateway.reasons import Kind
from gateway.sandbox import Shape
from gateway.verification import detect, verify
from gateway.verification.checkpoint import read_checkpoint
from gateway.verification.der import elements
from gateway.verification.provenance import SLSA_V0_2, SLSA_V1, read_provenance
from gateway.verification.statement import Statement, read_statement
from gateway.verification.timestamp import read_token
from tests.lab import sigstore as lab
from tests.lab.findings import FILE, made, root
from tests.lab.mutants import mutant

SEEDS = [made(None, shape, kind) for shape in Shape for kind in ("statement", "digest")]
SEEDS.append(lab.publish_attestation_of())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def verdict(body: bytes, form: Format = Format.UNKNOWN) -> bool:
    """Whether the evidence was accepted under either root; every refusal must carry reasons of evidence."""
    evidence = Evidence(EvidenceRef("id", form, Source.LOCKER), body)
    roots = [root(Shape.LOG_V1), root(Shape.TIMESTAMP)]
    found = verify(evidence, roots, [FILE], lab.NOW, allow_sandbox=True, second_opinion=False)
    for finding in found:
        assert (finding.attestation is None) == bool(finding.reasons)
        assert all(reason.entry.kind in {Kind.EVIDENCE, Kind.INPUT} for reason in finding.reasons)
        assert all(reason.line().isascii() for reason in finding.reasons)
    return any(finding.attestation is not None for finding in found)


@given(st.binary(max_size=200), st.sampled_from(Format))
@example(b"{}", Format.BUNDLE)
@example(b'{"mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json"}', Format.BUNDLE)
def test_any_bytes_are_refused_with_a_reason(body: bytes, form: Format) -> None:
    assert not verdict(body, form)
    detect(body)


@given(JSON, st.sampled_from(Format))
def test_any_json_is_refused_with_a_reason(document: Any, form: Format) -> None:
    assert not verdict(json.dumps(document).encode(), form)


@settings(max_examples=300)
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_a_bundle_spoiled_in_a_few_places_is_judged_and_never_raises(seed: int, times: int) -> None:
    random = Random(seed)
    body = random.choice(SEEDS)
    for _ in range(times):
        body, _ = mutant(body, SEEDS, random)
    verdict(body)


@given(st.sampled_from(SEEDS), st.data())
def test_a_bundle_with_bytes_cut_out_is_judged_and_never_raises(body: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(body) - 1))
    end = data.draw(st.integers(start, min(len(body), start + 40)))
    verdict(body[:start] + data.draw(st.binary(max_size=4)) + body[end:])


@given(st.binary(max_size=300))
def test_the_readers_of_bytes_raise_malformed_or_nothing(data: bytes) -> None:
    for read in (elements, read_token, read_statement):
        try:
            read(data)
        except Malformed:
            continue


@given(st.text(max_size=300))
def test_the_reader_of_checkpoints_raises_malformed_or_nothing(text: str) -> None:
    try:
        assert read_checkpoint(text).note
    except Malformed:
        return


PARTS = ("buildDefinition", "runDetails", "builder", "buildType", "invocation", "materials", "metadata")
PREDICATES = st.fixed_dictionaries({}, optional=dict.fromkeys(PARTS, JSON))


@given(PREDICATES, st.sampled_from([SLSA_V1, SLSA_V0_2]))
def test_the_reader_of_provenance_raises_malformed_or_nothing(predicate: Any, kind: str) -> None:
    try:
        read_provenance(Statement(kind, (), json.loads(json.dumps(predicate))))
    except Malformed:
        return


@given(st.text(max_size=80), st.dictionaries(st.integers(1, 23), st.text(max_size=80)))
def test_an_identity_is_plain_ascii_whatever_the_certificate_says(subject: str, extensions: dict[int, str]) -> None:
    try:
        found = from_certificate(subject, extensions)
    except Contradiction:
        return
    values = [getattr(found, row.name) for row in FIELDS]
    assert all(value is None or (value.isascii() and value.isprintable() and value) for value in values)


@given(st.dictionaries(st.sampled_from([row.github for row in FIELDS if row.github]), JSON), st.booleans())
def test_an_identity_is_plain_ascii_whatever_a_token_claims(claims: dict[str, Any], gitlab: bool) -> None:  # noqa: FBT001
    found = from_claims(claims, gitlab=gitlab)
    values = [getattr(found, row.name) for row in FIELDS]
    assert all(value is None or (value.isascii() and value.isprintable() and value) for value in values)
