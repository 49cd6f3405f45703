"""Certificates of a private authority (`kind: ca`), which names no intermediates and proves no time."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Finding, Format, Source
from gateway.model.marker import SANDBOX_OID, SANDBOX_ORGANIZATION
from gateway.reasons import Code
from gateway.verification import TrustRoot, TrustRootSettings, build_trust_root, verify
from tests.lab.keys import KINDS

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)
TYPE = "application/vnd.in-toto+json"
PAYLOAD = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "a.txt", "digest": {"sha256": "1" * 64}}],
        "predicateType": "https://acme.example/predicate",
    }
).encode()
ROOT_KEY, MIDDLE_KEY, LEAF_KEY, OTHER_KEY = (ec.generate_private_key(ec.SECP256R1()) for _ in range(4))
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
SHA256 = hashes.SHA256()
RSA_KEY = rsa.generate_private_key(65537, 2048)
ED25519_KEY = ed25519.Ed25519PrivateKey.generate()
PERSON = x509.RFC822Name("someone@acme.example")


def named(text: str, organization: str = "Acme") -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, text),
        ]
    )


def usage(*, authority: bool, signature: bool = True) -> x509.KeyUsage:
    plain = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "crl_sign"), False
    )
    return x509.KeyUsage(
        digital_signature=signature, key_cert_sign=authority, encipher_only=False, decipher_only=False, **plain
    )


def issue(
    subject: str,
    key: Key,
    parent: str,
    parent_key: Key,
    *extensions: tuple[x509.ExtensionType, bool],
    start: datetime = NOW - DAY,
    end: datetime = NOW + DAY,
    organization: str = "Acme",
    algorithm: hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | None = SHA256,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject, organization))
        .issuer_name(named(parent))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(parent_key, algorithm)


def ca(length: int | None = None, *, may_issue: bool = True) -> list[tuple[x509.ExtensionType, bool]]:
    return [(x509.BasicConstraints(ca=True, path_length=length), True), (usage(authority=may_issue), True)]


def signer(
    san: x509.GeneralName | None = PERSON, *, code: bool = True, signature: bool = True
) -> list[tuple[x509.ExtensionType, bool]]:
    purpose = ExtendedKeyUsageOID.CODE_SIGNING if code else ExtendedKeyUsageOID.CLIENT_AUTH
    found: list[tuple[x509.ExtensionType, bool]] = [
        (usage(authority=False, signature=signature), True),
        (x509.ExtendedKeyUsage([purpose]), False),
    ]
    return found if san is None else [*found, (x509.SubjectAlternativeName([san]), False)]


ROOT = issue("root", ROOT_KEY, "root", ROOT_KEY, *ca())
MIDDLE = issue("middle", MIDDLE_KEY, "root", ROOT_KEY, *ca(0))
LEAF = issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer())


def root(*chain: x509.Certificate) -> TrustRoot:
    settings = {
        "kind": "ca",
        "source": {"file": "ca.pem"},
        "thresholds": {"sct": 0, "log": 0, "timestamp": 0},
        "owner": "tests",
    }
    pem = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain or (ROOT,))
    return build_trust_root("private", TrustRootSettings.model_validate(settings), {"ca.pem": pem})


def bundle(*certificates: x509.Certificate, key: ec.EllipticCurvePrivateKey = LEAF_KEY) -> bytes:
    pae = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(PAYLOAD), PAYLOAD)
    signature = key.sign(pae, ec.ECDSA(hashes.SHA256()))
    raw = [one.public_bytes(serialization.Encoding.DER) for one in certificates]
    return json.dumps(
        {
            "mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.2",
            "verificationMaterial": {
                "x509CertificateChain": {"certificates": [{"rawBytes": _b64(one)} for one in raw]}
            },
            "dsseEnvelope": {"payload": _b64(PAYLOAD), "payloadType": TYPE, "signatures": [{"sig": _b64(signature)}]},
        }
    ).encode()


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def find(body: bytes, of: TrustRoot | None = None, now: datetime = NOW, **options: Any) -> Finding:
    evidence = Evidence(EvidenceRef("id", Format.BUNDLE, Source.LOCKER), body)
    (found,) = verify(evidence, [of or root()], [(Digest("sha256", "1" * 64),)], now, **options)
    return found


def codes(body: bytes, of: TrustRoot | None = None, now: datetime = NOW) -> set[Code]:
    return {reason.code for reason in find(body, of, now).reasons}


def test_a_certificate_verifies_through_the_intermediate_that_comes_with_it() -> None:
    found = find(bundle(LEAF, MIDDLE))
    assert found.attestation is not None
    assert found.attestation.signer is not None
    assert (found.attestation.signer.subject, found.attestation.signer.issuer) == ("someone@acme.example", None)
    assert (found.attestation.time, found.attestation.time_source) == (None, "none")


def test_a_certificate_verifies_through_an_intermediate_of_the_root() -> None:
    assert find(bundle(LEAF), root(MIDDLE, ROOT)).attestation is not None


def test_a_chain_with_a_link_missing_is_untrusted() -> None:
    assert codes(bundle(LEAF)) == {Code.CERTIFICATE_UNTRUSTED}


def test_the_root_itself_must_not_come_with_the_evidence() -> None:
    assert codes(bundle(LEAF, MIDDLE, ROOT)) == {Code.EVIDENCE_MALFORMED}


@pytest.mark.parametrize(
    "middle",
    [
        issue("middle", MIDDLE_KEY, "root", OTHER_KEY, *ca(0)),  # by another key of the same name
        issue("middle", MIDDLE_KEY, "another", ROOT_KEY, *ca(0)),
        issue("middle", OTHER_KEY, "root", ROOT_KEY, *ca(0)),
        issue("another", MIDDLE_KEY, "root", ROOT_KEY, *ca(0)),
    ],
)
def test_an_intermediate_that_is_not_of_the_chain_is_untrusted(middle: x509.Certificate) -> None:
    assert codes(bundle(LEAF, middle)) == {Code.CERTIFICATE_UNTRUSTED}


@pytest.mark.parametrize(
    "middle",
    [
        issue("middle", MIDDLE_KEY, "root", ROOT_KEY, *ca(0, may_issue=False)),
        issue("middle", MIDDLE_KEY, "root", ROOT_KEY, (x509.BasicConstraints(ca=False, path_length=None), True)),
        issue("middle", MIDDLE_KEY, "root", ROOT_KEY, (usage(authority=True), True)),
        issue(
            *("middle", MIDDLE_KEY, "root", ROOT_KEY),
            *(*ca(0), (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.25.1"), b"\x05\x00"), True)),
        ),
    ],
)
def test_an_intermediate_that_may_not_issue_is_refused_as_evidence_and_as_a_root(middle: x509.Certificate) -> None:
    assert codes(bundle(LEAF, middle)) == {Code.EVIDENCE_MALFORMED}
    with pytest.raises(Malformed):
        root(middle, ROOT)


def test_a_path_longer_than_an_authority_allows_is_untrusted() -> None:
    lower = issue("lower", OTHER_KEY, "middle", MIDDLE_KEY, *ca(0))
    leaf = issue("leaf", LEAF_KEY, "lower", OTHER_KEY, *signer())
    assert codes(bundle(leaf, lower, MIDDLE)) == {Code.CERTIFICATE_UNTRUSTED}
    roomy = issue("middle", MIDDLE_KEY, "root", ROOT_KEY, *ca(1))
    assert find(bundle(leaf, lower, roomy)).attestation is not None


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer(), end=NOW - DAY / 2), Code.CERTIFICATE_EXPIRED),
        (issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer(), start=NOW + DAY / 2), Code.CERTIFICATE_EXPIRED),
        (issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer(code=False)), Code.CERTIFICATE_INVALID),
        (issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer(signature=False)), Code.CERTIFICATE_INVALID),
        (issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer(None)), Code.CERTIFICATE_INVALID),
        (
            issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer(x509.DNSName("acme.example"))),
            Code.CERTIFICATE_INVALID,
        ),
        (issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer(), *ca()[:1]), Code.CERTIFICATE_INVALID),
        (
            issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, (usage(authority=True), True), *signer()[1:]),
            Code.CERTIFICATE_INVALID,
        ),
        (
            issue(
                *("leaf", LEAF_KEY, "middle", MIDDLE_KEY),
                *(*signer(), (x509.UnrecognizedExtension(x509.ObjectIdentifier("2.25.1"), b"\x05\x00"), True)),
            ),
            Code.CERTIFICATE_INVALID,
        ),
        (
            issue(
                *("leaf", LEAF_KEY, "middle", MIDDLE_KEY),
                *(*signer(), (x509.UnrecognizedExtension(x509.ObjectIdentifier(SANDBOX_OID), b"\x05\x00"), False)),
            ),
            Code.CERTIFICATE_SANDBOX,
        ),
        (
            issue("leaf", LEAF_KEY, "middle", MIDDLE_KEY, *signer(), organization=SANDBOX_ORGANIZATION),
            Code.CERTIFICATE_SANDBOX,
        ),
    ],
)
def test_a_certificate_with_one_thing_wrong_gets_its_code(leaf: x509.Certificate, expected: Code) -> None:
    assert codes(bundle(leaf, MIDDLE)) == {expected}


def test_an_authority_that_has_expired_vouches_for_nothing() -> None:
    assert codes(bundle(LEAF, MIDDLE), now=NOW + 2 * DAY) == {Code.CERTIFICATE_EXPIRED, Code.CERTIFICATE_UNTRUSTED}


@pytest.mark.parametrize("window", [{"end": NOW - DAY / 2}, {"start": NOW + DAY / 2}])
def test_an_intermediate_outside_its_validity_is_untrusted(window: dict[str, datetime]) -> None:
    middle = issue(
        "middle",
        MIDDLE_KEY,
        "root",
        ROOT_KEY,
        *ca(0),
        start=window.get("start", NOW - DAY),
        end=window.get("end", NOW + DAY),
    )
    assert codes(bundle(LEAF, middle)) == {Code.CERTIFICATE_UNTRUSTED}


def test_a_signature_by_another_key_is_refused() -> None:
    assert codes(bundle(LEAF, MIDDLE, key=OTHER_KEY)) == {Code.SIGNATURE_INVALID}


@pytest.mark.parametrize("chain", [(MIDDLE,), (ROOT, MIDDLE), (LEAF, MIDDLE, ROOT)])
def test_a_root_may_be_any_authority_but_no_broken_chain(chain: tuple[x509.Certificate, ...]) -> None:
    if chain == (MIDDLE,):  # an anchor need not sign itself
        assert find(bundle(LEAF), root(*chain)).attestation is not None
        return
    with pytest.raises(Malformed):
        root(*chain)


@pytest.mark.parametrize(("signed", "expected"), [(True, set()), (False, {Code.SIGNATURE_INVALID})])
def test_cosigns_older_form_carries_its_certificate_as_an_annotation(*, signed: bool, expected: set[Code]) -> None:
    image = {"docker-manifest-digest": f"sha256:{'1' * 64}"}
    payload = json.dumps({"critical": {"image": image, "type": "cosign container image signature"}}).encode()
    signature = LEAF_KEY.sign(payload if signed else b"another", ec.ECDSA(hashes.SHA256()))
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (MIDDLE, ROOT)).decode()
    body = json.dumps(
        {
            "payload": _b64(payload),
            "annotations": {
                "dev.cosignproject.cosign/signature": _b64(signature),
                "dev.sigstore.cosign/certificate": LEAF.public_bytes(serialization.Encoding.PEM).decode(),
                "dev.sigstore.cosign/chain": chain,
            },
        }
    ).encode()
    evidence = Evidence(EvidenceRef("id", Format.COSIGN, Source.REFERRER), body)
    (found,) = verify(evidence, [root()], [], NOW)
    assert {reason.code for reason in found.reasons} == expected
    assert (found.attestation is not None) is signed


@pytest.mark.parametrize(
    ("key", "algorithm", "good"),
    [
        (RSA_KEY, hashes.SHA256(), True),
        (RSA_KEY, hashes.SHA384(), True),
        (RSA_KEY, hashes.SHA224(), False),
        (ED25519_KEY, None, True),
        (OTHER_KEY, hashes.SHA384(), True),
        (OTHER_KEY, hashes.SHA224(), False),
    ],
)
def test_an_authority_signs_with_a_key_and_a_hash_of_an_accepted_kind(
    key: Key, algorithm: hashes.SHA224 | hashes.SHA256 | hashes.SHA384 | None, *, good: bool
) -> None:
    anchor = issue("anchor", key, "anchor", key, *ca(), algorithm=None if algorithm is None else hashes.SHA256())
    leaf = issue("leaf", LEAF_KEY, "anchor", key, *signer(), algorithm=algorithm)
    expected = set() if good else {Code.CERTIFICATE_UNTRUSTED}
    assert codes(bundle(leaf), root(anchor)) == expected


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_certificate_may_be_of_any_kind_of_key(kind: str) -> None:
    key, sign = KINDS[kind]
    leaf = issue("leaf", key, "middle", MIDDLE_KEY, *signer())
    pae = b"DSSEv1 %d %s %d %s" % (len(TYPE), TYPE.encode(), len(PAYLOAD), PAYLOAD)
    for message, expected in ((pae, set()), (pae + b" ", {Code.SIGNATURE_INVALID})):
        body = json.loads(bundle(leaf, MIDDLE))
        body["dsseEnvelope"]["signatures"] = [{"sig": _b64(sign(message))}]
        assert codes(json.dumps(body).encode()) == expected


def test_a_root_whose_chain_is_longer_than_one_of_it_allows_is_refused() -> None:
    lower = issue("lower", OTHER_KEY, "middle", MIDDLE_KEY, *ca(0))
    with pytest.raises(Malformed, match="longer than an authority allows"):
        root(lower, MIDDLE, ROOT)
