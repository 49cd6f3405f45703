"""npm's registry signature: ECDSA P-256 over `<name>@<version>:<integrity>`, and the list of keys it is checked with.

A key signs until it expires, and stays listed: npm takes an expired key's signature on what was published before. So in
a rotation both keys are listed, and what clients have cached still verifies. Signatures are deterministic (RFC 6979):
the same from every gateway that has the key, and after every restart.

Sources: npm's documentation of registry signatures; pacote's `registry.js`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import limits
from gateway.errors import Malformed

_HOW: Final = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)


@dataclass(frozen=True, slots=True, eq=False)
class RegistryKey:
    """One key: `public` is its SPKI in base64. Without its private half it is listed and signs nothing.

    `keyid` is made as npm's own registry makes it: the fingerprint that `ssh-keygen -l` shows.
    """

    keyid: str
    public: str
    expires: datetime | None = None
    private: ec.EllipticCurvePrivateKey | None = field(default=None, repr=False)

    def signs(self, at: datetime) -> bool:
        """Whether it may sign at a time."""
        return self.private is not None and (self.expires is None or at < self.expires)


@dataclass(frozen=True, slots=True)
class RegistryKeys:
    """The keys of one registry, in the order of preference."""

    keys: tuple[RegistryKey, ...] = ()

    def at(self, time: datetime) -> Signer | None:
        """What signs at a time: the first key that may; None where there are no keys at all."""
        if not self.keys:
            return None
        return Signer(next((key for key in self.keys if key.signs(time)), None), self.keys)


@dataclass(frozen=True, slots=True)
class Signer:
    """One key that signs (None: every one has expired), and all that are listed."""

    key: RegistryKey | None
    keys: tuple[RegistryKey, ...]

    def sign(self, message: str) -> tuple[str, str] | None:
        """A signature over a text: the key's id, and the signature in base64."""
        return None if self.key is None else (self.key.keyid, _signature(self.key, message))

    def listed(self) -> bytes:
        """The answer to `GET /-/npm/v1/keys`."""
        return json.dumps({"keys": [_listed(key) for key in self.keys]}).encode()


def read_key(pem: bytes, expires: datetime | None = None) -> RegistryKey:
    """Read a private key, or a public one that is only to be listed; raises `Malformed`."""
    try:
        private = serialization.load_pem_private_key(pem, None) if b" PRIVATE KEY-----" in pem else None
        public = private.public_key() if private is not None else serialization.load_pem_public_key(pem)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise Malformed("registry key", "not a key in PEM without a password") from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise Malformed("registry key", "not an ECDSA key on P-256, which is what npm verifies")
    spki = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    keyid = "SHA256:" + base64.b64encode(hashlib.sha256(_ssh(public)).digest()).decode().rstrip("=")
    assert private is None or isinstance(private, ec.EllipticCurvePrivateKey)
    return RegistryKey(keyid, base64.b64encode(spki).decode(), expires, private)


def _ssh(public: ec.EllipticCurvePublicKey) -> bytes:
    """A public key as SSH writes it, of which the fingerprint is made."""
    text = public.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return base64.b64decode(text.split()[1])


@lru_cache(maxsize=limits.SIGNATURES_REMEMBERED)
def _signature(key: RegistryKey, message: str) -> str:
    assert key.private is not None
    return base64.b64encode(key.private.sign(message.encode(), _HOW)).decode()


def _listed(key: RegistryKey) -> dict[str, str | None]:
    expires = None if key.expires is None else key.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {
        "expires": expires,
        "keyid": key.keyid,
        "keytype": "ecdsa-sha2-nistp256",
        "scheme": "ecdsa-sha2-nistp256",
        "key": key.public,
    }
