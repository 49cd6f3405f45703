"""RFC 3161 tokens: the reader agrees with another implementation, and no flipped bit changes what it proves."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

import pytest
from rfc3161_client import VerifierBuilder, decode_timestamp_response

from gateway.errors import Malformed
from gateway.sandbox import Shape
from gateway.verification.bundle import read_bundle
from gateway.verification.der import elements, generalized_time, integer, single
from gateway.verification.timestamp import Signer, Token, read_token, verified
from gateway.verification.trust_root import TrustRoot
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
