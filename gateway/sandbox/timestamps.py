"""The time-stamping authority: RFC 3161 responses, as CMS SignedData with `signingCertificateV2` (RFC 5035)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.sandbox import authority, der, keys

_SIGNED_DATA: Final = "1.2.840.113549.1.7.2"
_TST_INFO: Final = "1.2.840.113549.1.9.16.1.4"
_CONTENT_TYPE: Final = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST: Final = "1.2.840.113549.1.9.4"
_SIGNING_TIME: Final = "1.2.840.113549.1.9.5"
_SIGNING_CERTIFICATE_V2: Final = "1.2.840.113549.1.9.16.2.47"
_SHA256: Final = der.sequence(der.oid("2.16.840.1.101.3.4.2.1"))
_ECDSA_SHA256: Final = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_POLICY: Final = der.oid("1.3.6.1.4.1.57264.2")  # Sigstore's own time-stamping policy


@dataclass(frozen=True, slots=True)
class TimestampAuthority:
    """A key that signs times, its certificate, and the root above it."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate
    root: x509.Certificate

    @classmethod
    def create(cls, starts: datetime) -> TimestampAuthority:
        """Make fresh keys and certificates, valid for ten years."""
        root_key, key = keys.p384(), keys.p256()
        root = authority.ca_certificate("sandbox-timestamping-root", root_key, None, starts)
        return cls(key, authority.timestamping_certificate(key, (root, root_key), starts), root)

    def stamp(self, data: bytes, at: datetime, *, signature_of: bytes | None = None) -> bytes:
        """Return a response that these bytes existed; `signature_of` makes its signature one of something else."""
        return self.stamp_digest(hashlib.sha256(data).digest(), at, None, signature_of=signature_of)

    def stamp_digest(
        self, digest: bytes, at: datetime, nonce: int | None, *, signature_of: bytes | None = None
    ) -> bytes:
        """Return a response for a SHA-256 value, as a request over HTTP gives it."""
        info = der.sequence(
            der.integer(1),
            _POLICY,
            der.sequence(_SHA256, der.octets(digest)),
            der.integer(secrets.randbits(127)),
            der.generalized_time(at),
            der.sequence(der.integer(1)),  # accurate to a second
            b"" if nonce is None else der.integer(nonce),
        )
        certificate = authority.to_der(self.certificate)
        essential = der.sequence(der.sequence(der.sequence(der.octets(authority.thumbprint(self.certificate)))))
        attributes = der.set_of(
            _attribute(_CONTENT_TYPE, der.oid(_TST_INFO)),
            _attribute(_SIGNING_TIME, der.utc_time(at)),
            _attribute(_MESSAGE_DIGEST, der.octets(hashlib.sha256(info).digest())),
            _attribute(_SIGNING_CERTIFICATE_V2, essential),
        )
        signature = self.key.sign(signature_of or attributes, ec.ECDSA(hashes.SHA256()))
        signer = der.sequence(
            der.integer(1),
            der.sequence(
                self.certificate.issuer.public_bytes(),
                der.integer(self.certificate.serial_number),
            ),
            _SHA256,
            b"\xa0" + attributes[1:],  # signed as a SET, carried as [0] (RFC 5652, 5.4)
            _ECDSA_SHA256,
            der.octets(signature),
        )
        signed = der.sequence(
            der.integer(3),
            der.set_of(_SHA256),
            der.sequence(der.oid(_TST_INFO), der.tagged(0, der.octets(info))),
            der.tagged(0, certificate),
            der.set_of(signer),
        )
        granted = der.sequence(der.integer(0))
        return der.sequence(granted, der.sequence(der.oid(_SIGNED_DATA), der.tagged(0, signed)))


def _attribute(kind: str, value: bytes) -> bytes:
    return der.sequence(der.oid(kind), der.set_of(value))
