"""Public keys: reading them, and the one place where a signature is checked.

Accepted: ECDSA over P-256, P-384 and P-521, Ed25519 and Ed25519ph, RSA of at least 2048 bits (PKCS#1 v1.5 and PSS). The
key's own hash is tried first; larger curves and RSA also signed SHA-256 digests (cosign's default for years), so that
is tried too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils
from nacl import bindings as sodium

from gateway.errors import Malformed

RSA_BITS: Final = range(2048, 8192 + 1)
_HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}
_PREHASHED: Final = {name: utils.Prehashed(algorithm) for name, algorithm in _HASHES.items()}
_ECDSA: Final = {name: ec.ECDSA(prehashed) for name, prehashed in _PREHASHED.items()}
_PSS: Final = {name: padding.PSS(padding.MGF1(h), padding.PSS.AUTO) for name, h in _HASHES.items()}
_DIGESTS: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
_CURVES: Final = {"secp256r1": ("sha256",), "secp384r1": ("sha384", "sha256"), "secp521r1": ("sha512", "sha256")}

# RFC 8032, section 2: what Ed25519ph hashes first (flag 1, no context), and the order of the group (section 5.1).
_DOM2: Final = b"SigEd25519 no Ed25519 collisions\x01\x00"
_ORDER: Final = 2**252 + 27742317777372353535851937790883648493

_Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A key that may verify. `der` is its SubjectPublicKeyInfo, `hashes` what its signatures are made over, in order.

    `fingerprint` is the sha256 of `der`.
    """

    der: bytes
    fingerprint: bytes
    hashes: tuple[str, ...]
    public: _Public = field(repr=False)

    def signed(self, signature: bytes, message: bytes, *, only: str | None = None) -> bool:
        """Whether the key made the signature over the message; `only` names the single hash to accept.

        Ed25519 hashes by itself, and here never before: logs and authorities do not use Ed25519ph.
        """
        if isinstance(self.public, ed25519.Ed25519PublicKey):
            return _holds(self.public.verify, signature, message)
        names = self.hashes if only is None else (only,)
        return any(self._signed_digest(signature, name, _DIGESTS[name](message).digest()) for name in names)

    def signed_content(self, signature: bytes, message: bytes) -> bool:
        """As `signed`, or by Ed25519ph, which a client has to use for what is logged as a hashedrekord."""
        if self.signed(signature, message):
            return True
        prehashed = isinstance(self.public, ed25519.Ed25519PublicKey)
        return prehashed and self._signed_digest(signature, "sha512", hashlib.sha512(message).digest())

    def signed_digest(self, signature: bytes, digests: Mapping[str, bytes]) -> str | None:
        """Return the name of the digest the key signed, or None; with Ed25519 that is Ed25519ph."""
        for name in self.hashes:
            if (digest := digests.get(name)) is not None and self._signed_digest(signature, name, digest):
                return name
        return None

    def _signed_digest(self, signature: bytes, name: str, digest: bytes) -> bool:
        match self.public:
            case ec.EllipticCurvePublicKey() as key:
                return _holds(key.verify, signature, digest, _ECDSA[name])
            case rsa.RSAPublicKey() as key:
                return any(
                    _holds(key.verify, signature, digest, scheme, _PREHASHED[name])
                    for scheme in (padding.PKCS1v15(), _PSS[name])
                )
            case ed25519.Ed25519PublicKey() as key:
                return _holds(_verify_ed25519ph, key.public_bytes_raw(), signature, digest)


def _verify_ed25519ph(key: bytes, signature: bytes, digest: bytes) -> None:
    """Verify over a sha512 whose message is not at hand (RFC 8032, section 5.1.7); raises where it does not hold.

    `cryptography` has no Ed25519ph, and libsodium's own wants the whole message, of which the core has the digest
    alone. libsodium does the arithmetic, and raises for points and scalars that are not of the group.
    """
    point, scalar = signature[:32], signature[32:]
    if len(scalar) != 32 or int.from_bytes(scalar, "little") >= _ORDER:
        raise ValueError("not a signature of Ed25519ph")
    challenge = sodium.crypto_core_ed25519_scalar_reduce(hashlib.sha512(_DOM2 + point + key + digest).digest())
    right = sodium.crypto_core_ed25519_add(point, sodium.crypto_scalarmult_ed25519_noclamp(challenge, key))
    if sodium.crypto_scalarmult_ed25519_base_noclamp(scalar) != right:
        raise ValueError("another signature")


def _holds(verify: Callable[..., None], *arguments: object) -> bool:
    """Whether a verification returns; whatever it raises instead is a no (fuzzing found ValueError and TypeError)."""
    try:
        verify(*arguments)
    except Exception:  # noqa: BLE001 - a third party's parser of hostile bytes: anything else fails closed
        return False
    return True


def public_key(key: object, about: str) -> PublicKey:
    """Take a key of `cryptography`'s; raises `Malformed` for a kind or size that is not accepted."""
    match key:
        case ec.EllipticCurvePublicKey() if key.curve.name in _CURVES:
            names = _CURVES[key.curve.name]
        case ed25519.Ed25519PublicKey():
            names = ("sha512",)
        case rsa.RSAPublicKey() if key.key_size in RSA_BITS:
            names = ("sha256", "sha512", "sha384")
        case _:
            raise Malformed(about, "not an ECDSA, Ed25519 or RSA key of an accepted size")
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return PublicKey(der, hashlib.sha256(der).digest(), names, key)


def read_der(der: bytes, about: str) -> PublicKey:
    """Read a SubjectPublicKeyInfo, or the bare PKCS#1 key that old CT logs are listed with."""
    try:
        key = serialization.load_der_public_key(der)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed(about, "not a public key") from error
    return public_key(key, about)


def read_pem(pem: bytes, about: str) -> PublicKey:
    """Read one PEM public key."""
    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise Malformed(about, "not a public key in PEM") from error
    return public_key(key, about)
