"""Keys of every accepted kind, each with its ways to sign, and with ways that are not accepted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from nacl import bindings as sodium

Sign = Callable[[bytes], bytes]


def ed25519ph(key: ed25519.Ed25519PrivateKey, data: bytes) -> bytes:
    """Sign with libsodium's own Ed25519ph, of which the gateway uses nothing."""
    state = sodium.crypto_sign_ed25519ph_state()
    sodium.crypto_sign_ed25519ph_update(state, data)
    secret = key.private_bytes_raw() + key.public_key().public_bytes_raw()
    return sodium.crypto_sign_ed25519ph_final_create(state, secret)


P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
P521 = ec.generate_private_key(ec.SECP521R1())
ED25519 = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
OTHER = ec.generate_private_key(ec.SECP256R1())
SHA256 = hashes.SHA256()
PSS = padding.PSS(padding.MGF1(SHA256), padding.PSS.DIGEST_LENGTH)
KINDS: dict[str, tuple[Any, Sign]] = {
    "P-256": (P256, lambda data: P256.sign(data, ec.ECDSA(SHA256))),
    "P-384": (P384, lambda data: P384.sign(data, ec.ECDSA(hashes.SHA384()))),
    "P-384 over SHA-256": (P384, lambda data: P384.sign(data, ec.ECDSA(SHA256))),
    "P-521": (P521, lambda data: P521.sign(data, ec.ECDSA(hashes.SHA512()))),
    "P-521 over SHA-256": (P521, lambda data: P521.sign(data, ec.ECDSA(SHA256))),
    "Ed25519": (ED25519, ED25519.sign),
    "Ed25519ph": (ED25519, lambda data: ed25519ph(ED25519, data)),
    "RSA PKCS#1": (RSA, lambda data: RSA.sign(data, padding.PKCS1v15(), SHA256)),
    "RSA PKCS#1 over SHA-512": (RSA, lambda data: RSA.sign(data, padding.PKCS1v15(), hashes.SHA512())),
    "RSA PSS": (RSA, lambda data: RSA.sign(data, PSS, SHA256)),
}
# Each a signature by the right key, over something else or in another way.
NEARLY: dict[str, tuple[Any, Sign]] = {
    "P-256 over SHA-384": (P256, lambda data: P256.sign(data, ec.ECDSA(hashes.SHA384()))),
    "P-384 over SHA-512": (P384, lambda data: P384.sign(data, ec.ECDSA(hashes.SHA512()))),
    "P-521 over SHA-384": (P521, lambda data: P521.sign(data, ec.ECDSA(hashes.SHA384()))),
    "RSA PKCS#1 over SHA-1": (RSA, lambda data: RSA.sign(data, padding.PKCS1v15(), hashes.SHA1())),
    "RSA PSS over SHA-224": (RSA, lambda data: RSA.sign(data, PSS, hashes.SHA224())),
    "RSA PSS of two hashes": (RSA, lambda data: RSA.sign(data, PSS, hashes.SHA512())),
}
