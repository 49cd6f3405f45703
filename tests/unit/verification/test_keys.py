"""Evidence that a key signed: every accepted kind of key, every form it comes in, and the root's windows."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Finding, Format, Source
from gateway.reasons import Code
from gateway.verification import TrustRoot, TrustRootSettings, build_trust_root, verify
from gateway.verification.keys import public_key, read_pem
from tests.lab.keys import ED25519, KINDS, NEARLY, OTHER, P256, SHA256, ed25519ph
from tests.lab.sigstore import sandbox

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CONTENT = b"the bytes of a file"
FILE = tuple(Digest(name, hashlib.new(name, CONTENT).hexdigest()) for name in ("sha256", "sha384", "sha512"))  # noqa: TID251
STATEMENT = {
    "_type": "https://in-toto.io/Statement/v1",
    "subject": [{"name": "a.txt", "digest": {"sha256": FILE[0].value}}],
    "predicateType": "https://acme.example/predicate",
    "predicate": {},
}
PAYLOAD = json.dumps(STATEMENT).encode()
TYPE = "application/vnd.in-toto+json"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def pae(payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(payload), payload)


SIGN = KINDS["P-256"][1]


def pem(key: Any) -> bytes:
    made: bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return made


def fingerprint(key: Any) -> str:
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return b64(hashlib.sha256(der).digest())


def root(*, start: str = "2026-01-01", end: str | None = None, **keys: Any) -> TrustRoot:
    windows: dict[str, Any] = {"not_before": start} | ({} if end is None else {"not_after": end})
    settings = {
        "kind": "keys",
        "keys": {name: {"file": f"{name}.pem"} | windows for name in keys},
        "thresholds": {"sct": 0, "log": 0, "timestamp": 0},
        "owner": "tests",
    }
    material = {f"{name}.pem": pem(key) for name, key in keys.items()}
    return build_trust_root("keys", TrustRootSettings.model_validate(settings), material)


def bundle(content: Mapping[str, object], hint: str | None = "") -> bytes:
    key = {} if hint is None else {"hint": hint}
    material = {"publicKey": key}
    media_type = "application/vnd.dev.sigstore.bundle.v0.3+json"
    return json.dumps({"mediaType": media_type, "verificationMaterial": material, **content}).encode()


def envelope(*signatures: bytes, payload: bytes = PAYLOAD) -> dict[str, object]:
    return {"payload": b64(payload), "payloadType": TYPE, "signatures": [{"sig": b64(one)} for one in signatures]}


def message(signature: bytes, **hint: str) -> dict[str, object]:
    return {"messageSignature": {"signature": b64(signature)} | ({"messageDigest": hint} if hint else {})}


def find(body: bytes, *roots: TrustRoot, form: Format = Format.UNKNOWN) -> tuple[Finding, ...]:
    return verify(Evidence(EvidenceRef("id", form, Source.LOCKER), body), roots, [FILE], NOW)


def codes(body: bytes, *roots: TrustRoot) -> set[Code]:
    (found,) = find(body, *roots)
    return {reason.code for reason in found.reasons}


def signer(body: bytes, *roots: TrustRoot) -> str | None:
    (found,) = find(body, *roots)
    assert found.attestation is not None, [reason.line() for reason in found.reasons]
    assert found.attestation.signer is None
    return found.attestation.key


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_statement_that_a_key_signed_verifies(kind: str) -> None:
    key, sign = KINDS[kind]
    body = bundle({"dsseEnvelope": envelope(sign(pae(PAYLOAD)))}, fingerprint(key))
    assert signer(body, root(release=key)) == "release"


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"Ed25519"}))
def test_a_file_that_a_key_signed_verifies_by_its_digest_alone(kind: str) -> None:
    key, sign = KINDS[kind]
    (found,) = find(bundle(message(sign(CONTENT)), fingerprint(key)), root(release=key))
    assert found.attestation is not None
    assert [subject.digests for subject in found.attestation.covers] == [FILE]
    assert (found.attestation.time, found.attestation.time_source) == (None, "none")


def test_ed25519_signs_files_and_not_digests_so_a_plain_signature_of_it_is_refused() -> None:
    (found,) = find(bundle(message(ED25519.sign(CONTENT)), fingerprint(ED25519)), root(release=ED25519))
    assert [(reason.code, reason.expected) for reason in found.reasons] == [
        (Code.SIGNATURE_INVALID, "a signature over the file's sha512")
    ]


@pytest.mark.parametrize("kind", sorted(NEARLY))
def test_a_signature_of_a_pairing_that_is_not_accepted_is_refused(kind: str) -> None:
    key, sign = NEARLY[kind]
    statement = bundle({"dsseEnvelope": envelope(sign(pae(PAYLOAD)))}, fingerprint(key))
    file = bundle(message(sign(CONTENT)), fingerprint(key))
    assert codes(statement, root(release=key)) == {Code.SIGNATURE_INVALID}
    assert codes(file, root(release=key)) == {Code.SIGNATURE_INVALID}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_no_bit_of_a_signature_may_change(kind: str) -> None:
    key, sign = KINDS[kind]
    good = sign(pae(PAYLOAD))
    for place in (0, len(good) // 2, len(good) - 1):
        spoiled = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
        body = bundle({"dsseEnvelope": envelope(spoiled)}, fingerprint(key))
        assert codes(body, root(release=key)) == {Code.SIGNATURE_INVALID}, place


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"Ed25519"}))
def test_a_signature_of_another_file_is_refused(kind: str) -> None:
    key, sign = KINDS[kind]
    body = bundle(message(sign(CONTENT + b" ")), fingerprint(key))
    assert codes(body, root(release=key)) == {Code.SIGNATURE_INVALID}


def test_ed25519ph_verifies_the_standards_own_example() -> None:
    public = bytes.fromhex("ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf")  # RFC 8032, section 7.3
    signature = bytes.fromhex(
        "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41"
        "31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
    )
    key = public_key(ed25519.Ed25519PublicKey.from_public_bytes(public), "key")
    digest = hashlib.sha512(b"abc").digest()
    assert key.signed_digest(signature, {"sha512": digest}) == "sha512"
    assert key.signed_digest(signature, {"sha256": digest}) is None


def test_a_signature_of_ed25519ph_has_one_form() -> None:
    """Adding the group's order to the scalar, or a point of small order, makes no other signature."""
    key, digests = public_key(ED25519.public_key(), "key"), {"sha512": hashlib.sha512(CONTENT).digest()}
    good = ed25519ph(ED25519, CONTENT)
    order = 2**252 + 27742317777372353535851937790883648493
    larger = (int.from_bytes(good[32:], "little") + order).to_bytes(32, "little")
    identity = (1).to_bytes(32, "little")
    assert key.signed_digest(good, digests) == "sha512"
    spoiled = [good[:32] + larger, good[:32] + bytes(32), identity + good[32:], identity + bytes(32), good[:63], b""]
    assert [key.signed_digest(one, digests) for one in (*spoiled, good + b"\0")] == [None] * 7


def test_a_key_of_small_order_signs_nothing() -> None:
    """Such a key would be satisfied by the same signature over any file."""
    key = public_key(ed25519.Ed25519PublicKey.from_public_bytes((1).to_bytes(32, "little")), "key")
    anything = (1).to_bytes(32, "little") + bytes(32)
    assert key.signed_digest(anything, {"sha512": hashlib.sha512(CONTENT).digest()}) is None


def test_a_log_and_its_kin_sign_messages_and_never_a_prehash_of_them() -> None:
    key = public_key(ED25519.public_key(), "key")
    assert key.signed(ED25519.sign(CONTENT), CONTENT)
    assert not key.signed(ed25519ph(ED25519, CONTENT), CONTENT)
    assert key.signed_content(ed25519ph(ED25519, CONTENT), CONTENT)


@pytest.mark.parametrize("hint", ["release", "", None, "a hint that means nobody"])
def test_a_key_is_found_by_name_or_by_what_it_signed(hint: str | None) -> None:
    body = bundle({"dsseEnvelope": envelope(SIGN(pae(PAYLOAD)))}, hint)
    assert signer(body, root(other=OTHER, release=P256)) == "release"
    assert signer(bundle(message(SIGN(CONTENT)), hint), root(other=OTHER, release=P256)) == "release"


def test_a_hint_at_one_key_is_not_satisfied_by_another() -> None:
    body = bundle({"dsseEnvelope": envelope(SIGN(pae(PAYLOAD)))}, "other")
    assert codes(body, root(other=OTHER, release=P256)) == {Code.SIGNATURE_INVALID}


def test_a_key_that_no_root_has_is_untrusted() -> None:
    body = bundle({"dsseEnvelope": envelope(SIGN(pae(PAYLOAD)))})
    assert codes(body, root(other=OTHER)) == {Code.CERTIFICATE_UNTRUSTED}


def test_a_signature_over_another_statement_is_refused() -> None:
    body = bundle({"dsseEnvelope": envelope(SIGN(pae(PAYLOAD + b" ")))}, fingerprint(P256))
    assert codes(body, root(release=P256)) == {Code.SIGNATURE_INVALID}


@pytest.mark.parametrize(("start", "end"), [("2026-11-25", None), ("2026-01-01", "2026-11-23")])
def test_a_key_outside_its_days_is_refused(start: str, end: str | None) -> None:
    body = bundle({"dsseEnvelope": envelope(SIGN(pae(PAYLOAD)))}, fingerprint(P256))
    assert codes(body, root(start=start, end=end, release=P256)) == {Code.CERTIFICATE_EXPIRED}


@pytest.mark.parametrize(("start", "end"), [("2026-11-24", None), ("2026-01-01", "2026-11-24")])
def test_a_keys_first_and_last_day_count(start: str, end: str | None) -> None:
    body = bundle({"dsseEnvelope": envelope(SIGN(pae(PAYLOAD)))}, fingerprint(P256))
    assert signer(body, root(start=start, end=end, release=P256)) == "release"


def test_a_bare_envelope_verifies_though_others_signed_it_too() -> None:
    stranger = OTHER.sign(pae(PAYLOAD), ec.ECDSA(SHA256))
    body = json.dumps(envelope(stranger, SIGN(pae(PAYLOAD)))).encode()
    assert signer(body, root(release=P256)) == "release"


def test_a_bundle_holds_one_signature_and_no_more() -> None:
    good = SIGN(pae(PAYLOAD))
    (found,) = find(bundle({"dsseEnvelope": envelope(good, good)}), root(release=P256))
    assert (found.root, {reason.code for reason in found.reasons}) == (None, {Code.EVIDENCE_MALFORMED})


@pytest.mark.parametrize(
    ("hint", "code"),
    [
        ({"algorithm": "SHA2_256", "digest": b64(hashlib.sha256(b"other").digest())}, Code.DIGEST_MISMATCH),
        ({"algorithm": "SHA2_512", "digest": b64(hashlib.sha256(CONTENT).digest())}, Code.DIGEST_MISMATCH),
        ({"algorithm": "MD5", "digest": b64(hashlib.sha256(CONTENT).digest())}, Code.EVIDENCE_UNSUPPORTED),
        ({"algorithm": "SHA2_256", "digest": ""}, Code.EVIDENCE_MALFORMED),
    ],
)
def test_a_hint_at_another_digest_is_refused(hint: dict[str, str], code: Code) -> None:
    assert codes(bundle(message(SIGN(CONTENT), **hint), fingerprint(P256)), root(release=P256)) == {code}


@pytest.mark.parametrize(
    ("algorithm", "name"), [("SHA2_256", "sha256"), ("SHA2_384", "sha384"), ("SHA2_512", "sha512")]
)
def test_a_hint_at_any_digest_that_we_measure_is_followed(algorithm: str, name: str) -> None:
    digest = bytes.fromhex(dict(FILE)[name])
    body = bundle(message(SIGN(CONTENT), algorithm=algorithm, digest=b64(digest)), fingerprint(P256))
    assert signer(body, root(release=P256)) == "release"


def _keys_that_may_not_verify() -> list[bytes]:
    small = rsa.generate_private_key(65537, 1024)
    old = dsa.generate_private_key(2048)
    odd = ec.generate_private_key(ec.SECP256K1())
    return [pem(small), pem(old), pem(odd), b"", b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]


@pytest.mark.parametrize("text", _keys_that_may_not_verify())
def test_a_key_of_another_kind_or_size_is_refused_at_load(text: bytes) -> None:
    with pytest.raises(Malformed):
        read_pem(text, "key")


IMAGE = {"docker-manifest-digest": f"sha256:{'1' * 64}"}
CRITICAL = {"identity": {"docker-reference": "oci.acme.example/app"}, "image": IMAGE}
KIND = "cosign container image signature"


def cosign(payload: bytes, **annotations: str) -> bytes:
    names = {
        "signature": "dev.cosignproject.cosign/signature",
        "certificate": "dev.sigstore.cosign/certificate",
        "bundle": "dev.sigstore.cosign/bundle",
    }
    return json.dumps({"payload": b64(payload), "annotations": {names[k]: v for k, v in annotations.items()}}).encode()


def simple(**changes: object) -> bytes:
    return json.dumps({"critical": {**CRITICAL, "type": KIND, **changes}, "optional": None}).encode()


def test_cosigns_simple_signing_covers_the_image_that_its_payload_names() -> None:
    (found,) = find(cosign(simple(), signature=b64(SIGN(simple()))), root(release=P256))
    assert found.attestation is not None
    (subject,) = found.attestation.covers
    assert (subject.name, subject.digests) == ("oci.acme.example/app", (Digest("sha256", "1" * 64),))
    assert found.attestation.predicate_type is None


def test_cosigns_payload_may_leave_the_name_out() -> None:
    payload = simple(identity={"docker-reference": ""})
    (found,) = find(cosign(payload, signature=b64(SIGN(payload))), root(release=P256))
    assert found.attestation is not None
    assert found.attestation.covers[0].name is None


@pytest.mark.parametrize(
    "payload",
    [
        simple(type="another"),
        simple(image={}),
        simple(image={"docker-manifest-digest": "sha256:" + "1" * 63}),
        simple(image={"docker-manifest-digest": "sha256:" + "A" * 64}),
        simple(identity=[]),
        b"{}",
        b"[]",
        simple().replace(b'"critical"', b'"critical":{},"critical"'),
    ],
)
def test_a_payload_that_is_not_cosigns_is_malformed(payload: bytes) -> None:
    (found,) = find(cosign(payload, signature=b64(SIGN(payload))), root(release=P256))
    assert (found.root, {reason.code for reason in found.reasons}) == (None, {Code.EVIDENCE_MALFORMED})


def test_a_cosign_signature_over_another_payload_is_refused() -> None:
    body = cosign(simple(), signature=b64(SIGN(simple(optional=1))))
    assert codes(body, root(release=P256)) == {Code.CERTIFICATE_UNTRUSTED}  # by none of the root's keys


def test_cosigns_older_attestation_is_an_envelope_in_the_layer() -> None:
    assert signer(cosign(json.dumps(envelope(SIGN(pae(PAYLOAD)))).encode()), root(release=P256)) == "release"


def test_a_layout_is_not_evidence_by_itself() -> None:
    body = json.dumps({"signed": {"_type": "layout"}, "signatures": []}).encode()
    (found,) = find(body, root(release=P256))
    assert {reason.code for reason in found.reasons} == {Code.CERTIFICATE_UNTRUSTED}


# --- With a log and a timestamp: Rekor v2 --------------------------------------------------------------------------


def logged_root(key: Any, **days: str) -> TrustRoot:
    settings = {
        "kind": "keys",
        "source": {"file": "trusted_root.json"},
        "keys": {"release": {"file": "release.pem", "not_before": "2026-01-01"} | days},
        "thresholds": {"sct": 0, "log": 1, "timestamp": 1},
        "owner": "tests",
    }
    material = {"release.pem": pem(key), "trusted_root.json": sandbox().trusted_root()}
    return build_trust_root("logged keys", TrustRootSettings.model_validate(settings), material)


def logged(signature: bytes, digest: bytes, key: Any) -> bytes:
    """A bundle of a plain signature in Rekor v2, as a client with an Ed25519 key writes it."""
    generation = sandbox().generations[-1]
    der = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    verifier = {"keyDetails": "PKIX_ED25519_PH", "publicKey": {"rawBytes": b64(der)}}
    record = {
        "data": {"algorithm": "SHA2_512", "digest": b64(digest)},
        "signature": {"content": b64(signature), "verifier": verifier},
    }
    body: dict[str, object] = {
        "apiVersion": "0.0.2",
        "kind": "hashedrekord",
        "spec": {"hashedRekordV002": record},
    }
    material = {
        "publicKey": {"hint": fingerprint(key)},
        "tlogEntries": [generation.log_v2.append(body, NOW).to_json()],
        "timestampVerificationData": {
            "rfc3161Timestamps": [{"signedTimestamp": b64(generation.timestamps.stamp(signature, NOW))}]
        },
    }
    content = message(signature, algorithm="SHA2_512", digest=b64(hashlib.sha512(CONTENT).digest()))
    media_type = "application/vnd.dev.sigstore.bundle.v0.3+json"
    return json.dumps({"mediaType": media_type, "verificationMaterial": material, **content}).encode()


def test_a_plain_signature_of_ed25519_in_rekor_v2_verifies() -> None:
    body = logged(ed25519ph(ED25519, CONTENT), hashlib.sha512(CONTENT).digest(), ED25519)
    (found,) = find(body, logged_root(ED25519))
    assert found.attestation is not None, [reason.line() for reason in found.reasons]
    assert (found.attestation.key, found.attestation.time) == ("release", NOW)


@pytest.mark.parametrize(
    ("signed", "recorded", "days", "code"),
    [
        (CONTENT, CONTENT + b" ", {}, Code.LOG_ENTRY_MISMATCH),
        (CONTENT + b" ", CONTENT, {}, Code.SIGNATURE_INVALID),
        (CONTENT, CONTENT, {"not_after": "2026-11-23"}, Code.CERTIFICATE_EXPIRED),
        (CONTENT, CONTENT, {"not_before": "2026-11-25"}, Code.CERTIFICATE_EXPIRED),
    ],
)
def test_a_near_miss_of_it_is_refused(signed: bytes, recorded: bytes, days: dict[str, str], code: Code) -> None:
    body = logged(ed25519ph(ED25519, signed), hashlib.sha512(recorded).digest(), ED25519)
    assert codes(body, logged_root(ED25519, **days)) == {code}
