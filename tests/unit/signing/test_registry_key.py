"""npm's registry signature: the key's id, what is signed, and which key of a rotation signs when."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from gateway.errors import Malformed
from gateway.signing import RegistryKeys, read_key

AT = datetime(2026, 6, 1, tzinfo=UTC)
MESSAGE = "@acme/widget@1.0.0:sha512-" + "A" * 86 + "=="
# The public registry's own key of 2022 to 2025, with the id that it gives it.
PUBLIC = """-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE1Olb3zMAFFxXKHiIkQO5cJ3Yhl5i6UPp+IhuteBJbuHcA5UogKo0EWtlWwW6KSaKoTNEYL7JlCQiVnkhBktUgg==
-----END PUBLIC KEY-----
"""


def pem(private: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def private() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_a_keys_id_is_the_public_registrys_own() -> None:
    assert read_key(PUBLIC.encode()).keyid == "SHA256:jl3bwswu80PjjokCgh0o2w5c2U4LhQAE57gj9cz1kzA"


def test_a_signature_verifies_and_is_the_same_each_time(private: ec.EllipticCurvePrivateKey) -> None:
    signer = RegistryKeys((read_key(pem(private)),)).at(AT)
    again = RegistryKeys((read_key(pem(private)),)).at(AT)
    assert signer is not None
    assert again is not None
    signed = signer.sign(MESSAGE)
    assert signed is not None
    keyid, signature = signed
    assert keyid == read_key(pem(private)).keyid
    private.public_key().verify(base64.b64decode(signature), MESSAGE.encode(), ec.ECDSA(hashes.SHA256()))
    assert again.sign(MESSAGE) == signed
    assert signer.sign(MESSAGE + "x") != signed


def test_in_a_rotation_the_first_key_that_has_not_expired_signs_and_all_are_listed(
    private: ec.EllipticCurvePrivateKey,
) -> None:
    old = read_key(pem(private), AT)
    new = read_key(pem(ec.generate_private_key(ec.SECP256R1())))
    keys = RegistryKeys((old, new))
    for time, expected in ((AT - timedelta(seconds=1), old), (AT, new)):
        signer = keys.at(time)
        assert signer is not None
        assert signer.key is expected
        listed = json.loads(signer.listed())["keys"]
        assert [(key["keyid"], key["expires"]) for key in listed] == [
            (old.keyid, "2026-06-01T00:00:00.000Z"),
            (new.keyid, None),
        ]
    shown = json.loads(keys.at(AT).listed())["keys"][0]  # type: ignore[union-attr]
    assert serialization.load_der_public_key(base64.b64decode(shown["key"])) == private.public_key()
    assert shown["scheme"] == shown["keytype"] == "ecdsa-sha2-nistp256"


def test_expired_keys_and_public_ones_are_listed_and_sign_nothing(private: ec.EllipticCurvePrivateKey) -> None:
    signer = RegistryKeys((read_key(pem(private), AT), read_key(PUBLIC.encode()))).at(AT)
    assert signer is not None
    assert signer.sign(MESSAGE) is None
    assert len(json.loads(signer.listed())["keys"]) == 2
    assert RegistryKeys().at(AT) is None


def test_a_key_as_openssl_writes_it_is_the_same_key(private: ec.EllipticCurvePrivateKey) -> None:
    traditional = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    assert b"BEGIN EC PRIVATE KEY" in traditional
    assert read_key(traditional).keyid == read_key(pem(private)).keyid
    assert read_key(traditional).signs(AT)


def test_a_key_does_not_show_itself(private: ec.EllipticCurvePrivateKey) -> None:
    assert "PRIVATE" not in repr(read_key(pem(private))).upper()


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"secret",
        PUBLIC.encode().replace(b"MFkw", b"MFkx"),
        pem(ec.generate_private_key(ec.SECP384R1())),
        pem(ed25519.Ed25519PrivateKey.generate()),
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        ),
    ],
)
def test_what_npm_could_not_verify_with_is_no_key(text: bytes) -> None:
    with pytest.raises(Malformed, match="registry key"):
        read_key(text)
