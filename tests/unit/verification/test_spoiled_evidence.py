"""Near misses: evidence of the sandbox with one part spoiled, in every shape it comes in, and the code that says so."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
import yaml

from gateway.reasons import Code
from gateway.sandbox import Sandbox, Shape, Spoil
from gateway.sandbox import spoil as spoils
from gateway.verification import TRUSTED_ROOT, TrustRootSettings, build_trust_root
from tests.lab import sigstore as lab
from tests.lab.findings import find, made, root, root_with

# What each spoil must be called. A part that two steps look at (payload, digest) is also not what the log holds.
CODES: dict[Spoil, Code] = {
    Spoil.AUTHORITY_UNKNOWN: Code.CERTIFICATE_UNTRUSTED,
    Spoil.AUTHORITY_RETIRED: Code.CERTIFICATE_UNTRUSTED,
    Spoil.CERTIFICATE_EXPIRED: Code.CERTIFICATE_EXPIRED,
    Spoil.CERTIFICATE_NOT_YET_VALID: Code.CERTIFICATE_EXPIRED,
    Spoil.CODE_SIGNING_MISSING: Code.CERTIFICATE_INVALID,
    Spoil.DIGITAL_SIGNATURE_MISSING: Code.CERTIFICATE_INVALID,
    Spoil.SUBJECT_NAME_MISSING: Code.CERTIFICATE_INVALID,
    Spoil.SCT_MISSING: Code.SCT_INVALID,
    Spoil.SCT_WRONG: Code.SCT_INVALID,
    Spoil.CT_KEY_UNKNOWN: Code.SCT_INVALID,
    Spoil.CT_KEY_RETIRED: Code.SCT_INVALID,
    Spoil.PROMISE_MISSING: Code.TIMESTAMP_MISSING,
    Spoil.PROMISE_WRONG: Code.LOG_PROOF_INVALID,
    Spoil.PROMISE_OF_OTHER_BYTES: Code.LOG_PROOF_INVALID,
    Spoil.TIME_ALTERED: Code.LOG_PROOF_INVALID,
    Spoil.TIME_OUTSIDE: Code.CERTIFICATE_EXPIRED,
    Spoil.PROOF_MISSING: Code.LOG_PROOF_INVALID,
    Spoil.PROOF_WRONG: Code.LOG_PROOF_INVALID,
    Spoil.PROOF_TOO_SHORT: Code.LOG_PROOF_INVALID,
    Spoil.PROOF_INDEX_WRONG: Code.LOG_PROOF_INVALID,
    Spoil.PROOF_OF_OTHER_BYTES: Code.LOG_PROOF_INVALID,
    Spoil.ROOT_OTHER: Code.LOG_PROOF_INVALID,
    Spoil.CHECKPOINT_MISSING: Code.LOG_PROOF_INVALID,
    Spoil.CHECKPOINT_WRONG: Code.LOG_PROOF_INVALID,
    Spoil.CHECKPOINT_KEY_UNKNOWN: Code.LOG_PROOF_INVALID,
    Spoil.LOG_UNKNOWN: Code.LOG_PROOF_INVALID,
    Spoil.LOG_RETIRED: Code.LOG_PROOF_INVALID,
    Spoil.ENTRY_OF_ANOTHER: Code.LOG_ENTRY_MISMATCH,
    Spoil.ENTRY_KIND_WRONG: Code.EVIDENCE_MALFORMED,
    Spoil.SIGNATURE_WRONG: Code.SIGNATURE_INVALID,
    Spoil.SIGNATURE_MISSING: Code.EVIDENCE_MALFORMED,
    Spoil.PAYLOAD_ALTERED: Code.SIGNATURE_INVALID,
    Spoil.PAYLOAD_TYPE_ALTERED: Code.EVIDENCE_UNSUPPORTED,
    Spoil.PAYLOAD_TYPE_OTHER: Code.EVIDENCE_UNSUPPORTED,
    Spoil.DIGEST_OTHER: Code.DIGEST_MISMATCH,
    Spoil.TIMESTAMP_MISSING: Code.TIMESTAMP_MISSING,
    Spoil.TIMESTAMP_OF_OTHER_BYTES: Code.TIMESTAMP_INVALID,
    Spoil.TIMESTAMP_WRONG: Code.TIMESTAMP_INVALID,
    Spoil.TIMESTAMP_OUTSIDE: Code.CERTIFICATE_EXPIRED,
    Spoil.TIMESTAMP_AUTHORITY_UNKNOWN: Code.TIMESTAMP_INVALID,
    Spoil.TIMESTAMP_AUTHORITY_RETIRED: Code.TIMESTAMP_INVALID,
}
NOT_LOGGED = {Spoil.PAYLOAD_ALTERED, Spoil.DIGEST_OTHER}
CASES = [
    (spoil, shape, kind)
    for spoil in Spoil
    for shape in sorted(spoils.shapes(spoil), key=lambda shape: shape.value)
    for kind, fits in (("statement", spoils.of_statements), ("digest", spoils.of_digests))
    if fits(spoil)
]


@pytest.mark.parametrize("kind", ["statement", "digest"])
@pytest.mark.parametrize("shape", list(Shape))
def test_what_is_not_spoiled_verifies_in_every_shape(shape: Shape, kind: str) -> None:
    (found,) = find(made(None, shape, kind), root(shape))
    assert found.reasons == ()
    assert found.attestation is not None
    signer = found.attestation.signer
    assert signer is not None
    assert (signer.repository, signer.workflow) == (lab.SIGNER.repository, lab.SIGNER.workflow)


@pytest.mark.parametrize(("spoil", "shape", "kind"), CASES)
def test_each_spoil_gets_its_code_and_no_other(spoil: Spoil, shape: Shape, kind: str) -> None:
    (found,) = find(made(spoil, shape, kind), root(shape))
    expected = {CODES[spoil]}
    if spoil in NOT_LOGGED and shape is not Shape.TIMESTAMP:
        expected.add(Code.LOG_ENTRY_MISMATCH)
    assert {reason.code for reason in found.reasons} == expected


def test_a_sandbox_is_refused_under_any_name_unless_allowed() -> None:
    (found,) = find(made(None, Shape.LOG_V1, "statement"), root(Shape.LOG_V1), allow_sandbox=False)
    assert {reason.code for reason in found.reasons} == {Code.CERTIFICATE_SANDBOX}


def test_a_pep740_attestation_of_the_sandbox_verifies() -> None:
    (found,) = find(lab.publish_attestation_of(), root(Shape.LOG_V1))
    assert found.attestation is not None
    assert found.attestation.predicate_type == "https://docs.pypi.org/attestations/publish/v1"
    assert [subject.name for subject in found.attestation.covers] == [lab.WHEEL]


def test_evidence_no_root_claims_is_untrusted_under_each_and_one_claim_silences_the_others() -> None:
    other = Sandbox.create(lab.NOW)
    settings = TrustRootSettings.model_validate(yaml.safe_load(other.trust_root_yaml()))
    stranger = build_trust_root("stranger", settings, {TRUSTED_ROOT: other.trusted_root()})
    body = made(None, Shape.LOG_V1, "statement")
    both = find(body, stranger, root(Shape.LOG_V1))
    assert [(found.root, found.reasons) for found in both] == [("sandbox", ())]
    (alone,) = find(body, stranger)
    assert {reason.code for reason in alone.reasons} == {Code.CERTIFICATE_UNTRUSTED}


def test_a_root_past_its_last_day_accepts_nothing() -> None:
    made_by = lab.sandbox()
    document = yaml.safe_load(made_by.trust_root_yaml()) | {"not_after": "2026-11-23"}
    expired = build_trust_root(
        "sandbox", TrustRootSettings.model_validate(document), {TRUSTED_ROOT: made_by.trusted_root()}
    )
    (found,) = find(made(None, Shape.LOG_V1, "statement"), expired)
    assert {reason.code for reason in found.reasons} == {Code.TRUST_ROOT_EXPIRED}


def test_on_its_last_day_a_root_still_counts() -> None:
    made_by = lab.sandbox()
    document = yaml.safe_load(made_by.trust_root_yaml()) | {"not_after": "2026-11-24"}
    last = build_trust_root(
        "sandbox", TrustRootSettings.model_validate(document), {TRUSTED_ROOT: made_by.trusted_root()}
    )
    (found,) = find(made(None, Shape.LOG_V1, "statement"), last)
    assert found.attestation is not None


def test_what_was_remembered_never_turns_a_refusal_into_an_acceptance() -> None:
    good = made(None, Shape.LOG_V1, "statement")
    (before,) = find(good, root(Shape.LOG_V1))
    assert before.attestation is not None  # certificate, SCT and checkpoint are remembered now
    for spoil in Spoil:
        if Shape.LOG_V1 in spoils.shapes(spoil) and spoils.of_statements(spoil):
            (spoiled,) = find(made(spoil, Shape.LOG_V1, "statement"), root(Shape.LOG_V1))
            (again,) = find(made(spoil, Shape.LOG_V1, "statement"), root(Shape.LOG_V1))
            assert spoiled.attestation is None
            assert again.attestation is None


def test_a_signature_over_another_file_is_for_other_bytes() -> None:
    body = lab.signature_bundle(b"other bytes")
    (found,) = find(body, root(Shape.LOG_V1))
    assert {reason.code for reason in found.reasons} == {Code.DIGEST_MISMATCH}


@pytest.mark.parametrize(
    ("shape", "code"),
    [(Shape.LOG_V1, Code.LOG_PROOF_INVALID), (Shape.TIMESTAMP, Code.TIMESTAMP_INVALID)],
)
def test_a_proved_time_may_be_a_minute_ahead_and_no_more(shape: Shape, code: Code) -> None:
    body = made(None, shape, "statement")
    (within,) = find(body, root(shape), now=lab.NOW - timedelta(seconds=60))
    (beyond,) = find(body, root(shape), now=lab.NOW - timedelta(seconds=61))
    assert within.attestation is not None
    assert {reason.code for reason in beyond.reasons} == {code}


@pytest.mark.parametrize(
    ("shape", "thresholds", "codes"),
    [
        (Shape.TIMESTAMP, {"sct": 1, "log": 0, "timestamp": 1}, {Code.SCT_INVALID}),
        (Shape.TIMESTAMP, {"sct": 0, "log": 1, "timestamp": 1}, {Code.LOG_ENTRY_MISSING}),
        (Shape.TIMESTAMP, {"sct": 0, "log": 0, "timestamp": 2}, {Code.TIMESTAMP_MISSING}),
        (Shape.LOG_V1, {"sct": 1, "log": 2, "timestamp": 0}, {Code.LOG_ENTRY_MISSING}),
        (Shape.LOG_V1, {"sct": 2, "log": 1, "timestamp": 0}, {Code.SCT_INVALID}),
        (Shape.LOG_V1, {"sct": 1, "log": 1, "timestamp": 1}, {Code.TIMESTAMP_MISSING}),
        (Shape.LOG_V2, {"sct": 1, "log": 1, "timestamp": 1}, set()),
        (Shape.LOG_V1_TIMESTAMP, {"sct": 1, "log": 1, "timestamp": 1}, set()),
        (Shape.LOG_V1, {"sct": 0, "log": 1, "timestamp": 0}, set()),
    ],
)
def test_evidence_needs_as_many_proofs_of_each_sort_as_the_root_says(
    shape: Shape, thresholds: dict[str, int], codes: set[Code]
) -> None:
    (found,) = find(made(None, shape, "statement"), root_with(**thresholds))
    assert {reason.code for reason in found.reasons} == codes


def test_one_entry_given_twice_counts_once() -> None:
    document = json.loads(made(None, Shape.LOG_V1, "statement"))
    document["verificationMaterial"]["tlogEntries"] *= 2
    body = json.dumps(document).encode()
    (once,) = find(body, root_with())
    (twice,) = find(body, root_with(log=2))
    assert once.attestation is not None
    assert {reason.code for reason in twice.reasons} == {Code.LOG_ENTRY_MISSING}


def test_a_second_entry_that_does_not_hold_refuses_the_evidence() -> None:
    document = json.loads(made(None, Shape.LOG_V1, "statement"))
    other = json.loads(made(Spoil.PROOF_WRONG, Shape.LOG_V1, "statement"))
    document["verificationMaterial"]["tlogEntries"] += other["verificationMaterial"]["tlogEntries"]
    (found,) = find(json.dumps(document).encode(), root_with())
    assert {reason.code for reason in found.reasons} == {Code.LOG_PROOF_INVALID, Code.LOG_ENTRY_MISMATCH}


def older(version: int, shape: Shape = Shape.LOG_V1, *but: str) -> bytes:
    """A bundle of an older version, its entry without the named fields."""
    document = json.loads(made(None, shape, "statement"))
    material = document["verificationMaterial"]
    document["mediaType"] = f"application/vnd.dev.sigstore.bundle+json;version=0.{version}"
    material["x509CertificateChain"] = {"certificates": [material.pop("certificate")]}
    for name in but:
        del material["tlogEntries"][0][name]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (older(1), set()),
        (older(2), set()),
        (older(1, Shape.LOG_V1, "inclusionProof"), set()),  # the promise alone was enough then
        (older(2, Shape.LOG_V1, "inclusionProof"), {Code.LOG_PROOF_INVALID}),
        (older(1, Shape.LOG_V1_TIMESTAMP, "inclusionPromise"), {Code.LOG_PROOF_INVALID}),
        (older(2, Shape.LOG_V1_TIMESTAMP, "inclusionPromise"), set()),
    ],
)
def test_promise_and_proof_are_asked_for_as_the_bundles_version_says(body: bytes, codes: set[Code]) -> None:
    (found,) = find(body, root_with())
    assert {reason.code for reason in found.reasons} == codes


def test_an_entry_of_the_second_generation_has_one_index() -> None:
    document = json.loads(made(None, Shape.LOG_V2, "statement"))
    entry = document["verificationMaterial"]["tlogEntries"][0]
    entry["logIndex"] = str(int(entry["logIndex"]) + 1)
    (found,) = find(json.dumps(document).encode(), root_with())
    assert {reason.code for reason in found.reasons} == {Code.LOG_PROOF_INVALID}


@pytest.mark.parametrize("shape", [Shape.LOG_V1, Shape.LOG_V2])
@pytest.mark.parametrize("part", ["name", "hint"])
def test_a_checkpoint_is_signed_under_the_logs_own_name_and_key(shape: Shape, part: str) -> None:
    document = json.loads(made(None, shape, "statement"))
    checkpoint = document["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["checkpoint"]
    note, _, line = checkpoint["envelope"].partition("\n\n")
    dash, name, signature = line.rstrip("\n").split(" ")
    if part == "name":
        name = f"x{name}"
    else:
        signature = base64.b64encode(b"hint" + base64.b64decode(signature)[4:]).decode()
    checkpoint["envelope"] = f"{note}\n\n{dash} {name} {signature}\n"
    (found,) = find(json.dumps(document).encode(), root_with())
    assert {reason.code for reason in found.reasons} == {Code.LOG_PROOF_INVALID}
