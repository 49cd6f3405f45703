"""Public keys: reading them, and the one place where a signature is checked.

Accepted: ECDSA over P-256, P-384 and P-521, Ed25519, RSA of at least 2048 bits (PKCS#1 v1.5 and PSS). The key's own
hash is tried first; larger curves and RSA also signed SHA-256 digests
(cosign's default for years), so that is tried too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

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

_Public = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True, eq=False)
class PublicKey:
    """A key that may verify. `der` is its SubjectPublicKeyInfo, `hashes` what its signatures are made over, in order.

    Ed25519 signs messages, not digests, so `hashes` is empty for it. `fingerprint` is the sha256 of `der`.
    """

    der: bytes
    fingerprint: bytes
    hashes: tuple[str, ...]
    public: _Public = field(repr=False)

    def signed(self, signature: bytes, message: bytes, *, only: str | None = None) -> bool:
        """Whether the key made the signature over the message; `only` names the single hash to accept."""
        if isinstance(self.public, ed25519.Ed25519PublicKey):
            return _holds(self.public.verify, signature, message)
        names = self.hashes if only is None else (only,)
        return any(self._signed_digest(signature, name, _DIGESTS[name](message).digest()) for name in names)

    def signed_digest(self, signature: bytes, digests: Mapping[str, bytes]) -> str | None:
        """Return the name of the digest the key signed, or None; Ed25519 never signs one."""
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
            case _:
                return False


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
            names = ()
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
