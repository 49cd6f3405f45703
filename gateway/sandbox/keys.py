"""The sandbox's keys: fresh ones, and the encodings that certificates, logs and files need of them."""

from __future__ import annotations

import base64
import hashlib
from typing import TypeAlias

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def p256() -> ec.EllipticCurvePrivateKey:
    """Return a fresh key of the kind that logs and signers have."""
    return ec.generate_private_key(ec.SECP256R1())


def p384() -> ec.EllipticCurvePrivateKey:
    """Return a fresh key of the kind that certificate authorities have."""
    return ec.generate_private_key(ec.SECP384R1())


def ed25519_key() -> ed25519.Ed25519PrivateKey:
    """Return a fresh key of the kind that the second log has."""
    return ed25519.Ed25519PrivateKey.generate()


def sign(key: PrivateKey, data: bytes) -> bytes:
    """Sign the data, with SHA-256 where the key is ECDSA."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def spki(key: PrivateKey) -> bytes:
    """Return the public half as DER SubjectPublicKeyInfo."""
    return key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PrivateKey) -> bytes:
    """Return the SHA-256 of the SubjectPublicKeyInfo, which names ECDSA logs."""
    return hashlib.sha256(spki(key)).digest()


def details(key: PrivateKey) -> str:
    """Return the kind of a log's key as trusted roots spell it."""
    return "PKIX_ED25519" if isinstance(key, ed25519.Ed25519PrivateKey) else "PKIX_ECDSA_P256_SHA_256"


def to_pem(key: PrivateKey) -> bytes:
    """Return the private key as unencrypted PKCS #8."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def from_pem(text: bytes) -> PrivateKey:
    """Read what `to_pem` wrote."""
    key = serialization.load_pem_private_key(text, password=None)
    if not isinstance(key, (ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)):
        raise TypeError("a sandbox key is ECDSA or Ed25519")
    return key


def ecdsa_from_pem(text: bytes) -> ec.EllipticCurvePrivateKey:
    """Read what `to_pem` wrote of an ECDSA key."""
    key = from_pem(text)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("this sandbox key is ECDSA")
    return key


def b64(data: bytes) -> str:
    """Return standard base64 as text."""
    return base64.b64encode(data).decode()
