"""RFC 3161 tokens: the reader agrees with another implementation, and no flipped bit changes what it proves."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from gateway.errors import Malformed
from gateway.sandbox import Shape, der
from gateway.sandbox.timestamps import TimestampAuthority
from gateway.verification.bundle import read_bundle
from gateway.verification.certificate import load, read_issuer
from gateway.verification.der import elements, generalized_time, integer, single
from gateway.verification.timestamp import Signer, Token, read_token, verified
from gateway.verification.timestamp import signer as tsa_signer
from gateway.verification.trust_root import TimestampAuthority as TrustedAuthority
from gateway.verification.trust_root import TrustRoot, Window
from tests.lab.data import CONFORMANCE, GITHUB, needs_data
from tests.lab.findings import made, root


def _sandbox_case() -> tuple[bytes, bytes, TrustRoot]:
    bundle = read_bundle(made(None, Shape.TIMESTAMP, "digest"))
    return bundle.timestamps[0], bundle.signature, root(Shape.TIMESTAMP)


def _signer(token: Token, of: TrustRoot) -> Signer | None:
    return next((s for a in of.timestamp_authorities if (s := a.signer_of(token)) is not None), None)


def _ours(data: bytes, signature: bytes, of: TrustRoot) -> Token | None:
    try:
        token = read_token(data)
        by = _signer(token, of)
        return token if by is not None and verified(token, signature, by) else None
    except Malformed:
        return None


def _theirs(data: bytes, signature: bytes, of: TrustRoot) -> datetime | None:
    """What rfc3161-client says, asked for each authority."""
    for authority in of.timestamp_authorities:
        assert authority.signer is not None
        builder = VerifierBuilder().tsa_certificate(authority.signer.certificate)
        for step in authority.issuers[:-1]:
            builder = builder.add_intermediate_certificate(step.certificate)
        verifier = builder.add_root_certificate(authority.issuers[-1].certificate).build()
        try:
            response = decode_timestamp_response(data)
            verifier.verify_message(response, signature)
        except Exception:  # noqa: BLE001 - whatever it raises, it does not accept
            continue
        return response.tst_info.gen_time
    return None


def test_a_good_token_is_read_as_the_other_implementation_reads_it() -> None:
    data, signature, of = _sandbox_case()
    token = _ours(data, signature, of)
    assert token is not None
    assert token.time == _theirs(data, signature, of)


def test_no_flipped_bit_changes_what_a_token_proves() -> None:
    data, signature, of = _sandbox_case()
    good = _ours(data, signature, of)
    assert good is not None
    start = data.find(good.certificates[0])  # embedded certificates are not looked at: the root names the signer
    embedded = range(start, start + sum(map(len, good.certificates)))
    accepted = []
    for place in range(len(data)):
        spoiled = bytearray(data)
        spoiled[place] ^= 1 << place % 8
        found = _ours(bytes(spoiled), signature, of)
        if found is not None:
            assert (found.time, found.imprint, found.info) == (good.time, good.imprint, good.info)
            if place not in embedded:
                accepted.append(place)
    assert len(accepted) < 30  # versions and algorithm parameters, which no signature covers


@pytest.mark.parametrize("cut", [0, 1, 2, 10, 100, -1])
def test_a_token_that_is_cut_short_is_malformed(cut: int) -> None:
    data, _, _ = _sandbox_case()
    with pytest.raises(Malformed):
        read_token(data[:cut])


def test_a_token_with_something_after_it_is_malformed() -> None:
    data, _, _ = _sandbox_case()
    with pytest.raises(Malformed):
        read_token(data + b"\0")


def test_a_token_for_another_signature_proves_nothing() -> None:
    data, signature, of = _sandbox_case()
    assert _ours(data, signature + b"\0", of) is None


@needs_data
@pytest.mark.parametrize("name", ["rekor2-timestamp-with-embedded-cert", "rekor2-timestamp-without-embedded-cert"])
def test_real_tokens_are_read_with_and_without_an_embedded_certificate(name: str) -> None:
    bundle = read_bundle((CONFORMANCE / name / "bundle.sigstore.json").read_bytes())
    token = read_token(bundle.timestamps[0])
    assert bool(token.certificates) is ("with-" in name)
    assert token.time.year == 2025


@needs_data
def test_githubs_token_names_its_authority() -> None:
    lines = (GITHUB / "github_provenance_demo-0.0.12-py3-none-any-bundle.jsonl").read_text()
    stamp = json.loads(lines)["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"][0]
    token = read_token(base64.b64decode(stamp["signedTimestamp"]))
    assert token.time == datetime(2024, 4, 22, 17, 33, 26, tzinfo=UTC)
    assert isinstance(token.signer, tuple)
    assert b"TSA intermediate" in token.signer[0]


@pytest.mark.parametrize(
    "data",
    [
        b"\x30",
        b"\x30\x02\x01",
        b"\x30\x80\x00\x00",  # indefinite
        b"\x30\x81\x01\x00",  # not minimal
        b"\x30\x82\x00\x80" + b"\0" * 128,  # not minimal
        b"\x30\x84\x00\x00\x00\x01\x00",  # more length bytes than anything here needs
        b"\x1f\x81\x01\x00",  # a long tag
        b"\x30\xff",
    ],
)
def test_what_is_not_der_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        elements(data)


def test_elements_are_read_one_after_another() -> None:
    found = elements(b"\x02\x01\x05\x04\x02ab")
    assert [(element.tag, element.value, element.raw) for element in found] == [
        (2, b"\x05", b"\x02\x01\x05"),
        (4, b"ab", b"\x04\x02ab"),
    ]
    assert integer(found[0]) == 5


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"20261124120000Z", datetime(2026, 11, 24, 12, tzinfo=UTC)),
        (b"20261124120000.5Z", datetime(2026, 11, 24, 12, 0, 0, 500_000, tzinfo=UTC)),
        (b"20261124120000", None),
        (b"202611241200Z", None),
        (b"20261124120000+0100", None),
        (b"20261324120000Z", None),
        (b"20261124120000.Z", None),
        (b"2026112412000\xd9\xa1Z", None),
        (b"20261124120000.1234567890Z", None),
        (b" 0261124120000Z", None),
    ],
)
def test_a_time_is_in_utc_to_the_second_or_finer(text: bytes, expected: datetime | None) -> None:
    element = single(bytes([0x18, len(text)]) + text, 0x18)
    if expected is None:
        with pytest.raises(Malformed):
            generalized_time(element)
    else:
        assert generalized_time(element) == expected


TSA = TimestampAuthority.create(datetime(2026, 1, 1, tzinfo=UTC))
AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
SHA256 = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
SHA1 = der.sequence(der.oid("1.3.14.3.2.26"))
TST_INFO = "1.2.840.113549.1.9.16.1.4"
SIGNATURE = b"the signature that is stamped"
TYPE, DIGEST, ESSENTIAL = "1.2.840.113549.1.9.3", "1.2.840.113549.1.9.4", "1.2.840.113549.1.9.16.2.47"


def info(*extra: bytes, version: int = 1, imprint: bytes = SIGNATURE, algorithm: bytes = SHA256) -> bytes:
    hashed = der.sequence(algorithm, der.octets(hashlib.sha256(imprint).digest()))
    return der.sequence(
        der.integer(version), der.oid("1.2.3"), hashed, der.integer(7), der.generalized_time(AT), *extra
    )


def essential(thumbprint: bytes, *algorithm: bytes) -> bytes:
    return der.sequence(der.sequence(der.sequence(*algorithm, der.octets(thumbprint))))


THUMBPRINT = hashlib.sha256(TSA.certificate.public_bytes(serialization.Encoding.DER)).digest()
GOOD = [(TYPE, der.oid(TST_INFO)), (DIGEST, b""), (ESSENTIAL, essential(THUMBPRINT))]


def forge(
    attributes: Sequence[tuple[str, bytes]] = (),
    *,
    content: bytes | None = None,
    status: int = 0,
    kind: str = TST_INFO,
    signers: int = 1,
    serial: int | None = None,
    algorithm: str = "1.2.840.10045.4.3.2",
    by: TimestampAuthority = TSA,
) -> bytes:
    """A token with one thing changed, signed by the authority as it then stands; `attributes` replace or repeat."""
    body = info() if content is None else content
    told = [*GOOD[: len(GOOD) - len(attributes)], *attributes] if attributes else GOOD
    signed = der.set_of(
        *(
            der.sequence(der.oid(name), der.set_of(value or der.octets(hashlib.sha256(body).digest())))
            for name, value in told
        )
    )
    signer = der.sequence(
        der.integer(1),
        der.sequence(by.certificate.issuer.public_bytes(), der.integer(serial or by.certificate.serial_number)),
        SHA256,
        b"\xa0" + signed[1:],
        der.sequence(der.oid(algorithm)),
        der.octets(by.key.sign(signed, ec.ECDSA(hashes.SHA256()))),
    )
    data = der.sequence(
        der.integer(3),
        der.set_of(SHA256),
        der.sequence(der.oid(kind), der.tagged(0, der.octets(body))),
        der.tagged(0, by.certificate.public_bytes(serialization.Encoding.DER)),
        der.set_of(*[signer] * signers),
    )
    content_info = der.sequence(der.oid("1.2.840.113549.1.7.2"), der.tagged(0, data))
    return der.sequence(der.sequence(der.integer(status)), content_info)


def judged(data: bytes) -> bool:
    by = tsa_signer(TSA.certificate, "tests")
    try:
        token = read_token(data)
    except Malformed:
        return False
    return by.named_by(token) and verified(token, SIGNATURE, by)


@pytest.mark.parametrize(
    "data",
    [
        forge(),
        forge(status=1),  # granted with modifications
        forge([(ESSENTIAL, essential(THUMBPRINT, SHA256))]),  # the default hash, written out
        forge(content=info(der.integer(5))),  # a nonce
    ],
)
def test_a_token_made_by_hand_verifies(data: bytes) -> None:
    assert judged(data)


@pytest.mark.parametrize(
    "data",
    [
        forge(status=2),
        forge(kind="1.2.840.113549.1.7.1"),
        forge(signers=2),
        forge(signers=0),
        forge(serial=1),
        forge(algorithm="1.2.840.10045.4.3.3"),
        forge(algorithm="1.2.3"),
        forge(content=info(version=2)),
        forge(content=info(imprint=b"another signature")),
        forge(content=info(algorithm=SHA1)),
        forge(content=info(der.tagged(1, der.sequence()))),
        forge(content=b""),
        forge([(TYPE, der.oid("1.2.840.113549.1.7.1")), *GOOD[1:]]),
        forge([GOOD[1], GOOD[2], GOOD[2]]),  # no content type, one attribute twice
        forge([*GOOD, GOOD[1]]),
        forge([*GOOD[:2], (ESSENTIAL, essential(bytes(32)))]),
        forge([*GOOD[:2], (ESSENTIAL, essential(THUMBPRINT, SHA1))]),
        forge([*GOOD[:2], (ESSENTIAL, der.sequence())]),
        forge([*GOOD[:2], (TYPE, der.oid(TST_INFO))]),
        forge([GOOD[0], (DIGEST, der.octets(bytes(32))), GOOD[2]]),
        forge([GOOD[0], GOOD[2], ("1.2.3", der.integer(1))]),
    ],
)
def test_a_token_with_one_thing_changed_proves_nothing_though_its_authority_signed_it(data: bytes) -> None:
    assert not judged(data)


def test_a_certificate_for_something_else_than_timestamps_may_not_stamp() -> None:
    code = read_bundle(made(None, Shape.LOG_V1, "digest")).certificates[0]
    for certificate in (load(code, "tests"), TSA.root):
        with pytest.raises(Malformed):
            tsa_signer(certificate, "tests")


LATER = TimestampAuthority.create(datetime(2027, 1, 1, tzinfo=UTC))
ALWAYS = Window(datetime(2020, 1, 1, tzinfo=UTC))


def thumbprint(of: TimestampAuthority) -> bytes:
    return hashlib.sha256(of.certificate.public_bytes(serialization.Encoding.DER)).digest()


def trusted(of: TimestampAuthority, window: Window = ALWAYS, *, listed: bool = True) -> TrustedAuthority:
    """The authority as a trust root has it; not `listed`: only the issuer of its certificate."""
    signer = tsa_signer(of.certificate, "tests") if listed else None
    return TrustedAuthority(signer, (read_issuer(of.root, "tests"),), window)


@pytest.mark.parametrize("listed", [True, False])
def test_an_authority_answers_for_its_token_by_a_listed_or_an_embedded_certificate(*, listed: bool) -> None:
    by = trusted(TSA, listed=listed).signer_of(read_token(forge()))
    assert by is not None
    assert verified(read_token(forge()), SIGNATURE, by)


def test_an_embedded_certificate_counts_only_where_the_authority_issued_it() -> None:
    another = TimestampAuthority.create(datetime(2026, 1, 1, tzinfo=UTC))
    assert trusted(another, listed=False).signer_of(read_token(forge())) is None


@pytest.mark.parametrize(
    ("window", "good"),
    [
        (Window(AT, AT), True),
        (Window(AT + timedelta(seconds=1)), False),
        (Window(AT - timedelta(days=1), AT - timedelta(seconds=1)), False),
    ],
)
def test_an_authority_answers_in_its_window_alone(window: Window, *, good: bool) -> None:
    assert (trusted(TSA, window).signer_of(read_token(forge())) is not None) is good


@pytest.mark.parametrize("listed", [True, False])
def test_a_certificate_outside_its_validity_stamps_nothing(*, listed: bool) -> None:
    token = read_token(forge([*GOOD[:2], (ESSENTIAL, essential(thumbprint(LATER)))], by=LATER))
    of = trusted(LATER, listed=listed)
    good_issuer = dataclasses.replace(of.issuers[0], not_before=AT)
    assert dataclasses.replace(of, issuers=(good_issuer,)).signer_of(token) is None


def test_an_issuer_outside_its_validity_takes_its_authority_along() -> None:
    of = trusted(TSA)
    past = dataclasses.replace(of.issuers[0], not_after=AT - timedelta(seconds=1))
    assert dataclasses.replace(of, issuers=(past,)).signer_of(read_token(forge())) is None
