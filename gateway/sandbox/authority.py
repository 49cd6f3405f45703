"""The certificate authority and the certificate log: short-lived signing certificates with Fulcio's extensions."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gateway.model.identity import Identity
from gateway.model.marker import SANDBOX_OID, SANDBOX_ORGANIZATION
from gateway.sandbox import der, identities, keys

LIFETIME: Final = timedelta(minutes=10)
_SCT_LIST: Final = x509.ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
_CA_YEARS: Final = timedelta(days=3653)


@dataclass(frozen=True, slots=True)
class CertificateLog:
    """A certificate transparency log, as far as a verifier sees it: a key that signs promises (RFC 6962, 3.2)."""

    key: ec.EllipticCurvePrivateKey

    def promise(self, tbs: bytes, issuer_key_hash: bytes, at: datetime) -> bytes:
        """Return the SCT of a certificate whose TBS has no SCT list yet."""
        timestamp = int(at.timestamp() * 1000)
        # version, signature type, time, entry type precert, issuer, u24 length and TBS, no extensions
        signed = struct.pack("!BBQH", 0, 0, timestamp, 1) + issuer_key_hash
        signed += len(tbs).to_bytes(3, "big") + tbs + b"\x00\x00"
        signature = keys.sign(self.key, signed)
        head = struct.pack("!B32sQH", 0, keys.key_id(self.key), timestamp, 0)
        return head + struct.pack("!BBH", 4, 3, len(signature)) + signature  # SHA-256, ECDSA


@dataclass(frozen=True, slots=True)
class Profile:
    """How a leaf is made; the defaults are Fulcio's, everything else is a fault to rehearse.

    `changes` are those of `identities.extensions`.
    """

    starts: datetime
    ends: datetime
    code_signing: bool = True
    digital_signature: bool = True
    subject_name: bool = True
    sct_of_other_bytes: bool = False
    changes: Mapping[int, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Authority:
    """A root and the intermediate that issues; Fulcio's public instance has the same two and the same curve."""

    root_key: ec.EllipticCurvePrivateKey
    root: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    intermediate: x509.Certificate

    @classmethod
    def create(cls, starts: datetime) -> Authority:
        """Make fresh keys and certificates, valid for ten years."""
        root_key, key = keys.p384(), keys.p384()
        root = ca_certificate("sandbox", root_key, None, starts)
        return cls(root_key, root, key, ca_certificate("sandbox-intermediate", key, (root, root_key), starts))

    def issue(
        self, public: ec.EllipticCurvePublicKey, identity: Identity, profile: Profile, log: CertificateLog | None
    ) -> x509.Certificate:
        """Issue a signing certificate; without a log it carries no SCT."""
        usage = ExtendedKeyUsageOID.CODE_SIGNING if profile.code_signing else ExtendedKeyUsageOID.EMAIL_PROTECTION
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.intermediate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(profile.starts)
            .not_valid_after(profile.ends)
            .add_extension(_key_usage(signature=profile.digital_signature), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(_issued_by(self.key), critical=False)
        )
        if profile.subject_name:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([_general_name(identity.subject or "")]), critical=True
            )
        for oid, value in identities.extensions(identity, profile.changes):
            extension = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)
            builder = builder.add_extension(extension, critical=False)
        builder = builder.add_extension(marker(), critical=False)
        if log is None:
            return builder.sign(self.key, hashes.SHA384())
        # The promise covers the certificate without it: sign once to get those bytes, then again with the list last.
        tbs = builder.sign(self.key, hashes.SHA384()).tbs_certificate_bytes
        if profile.sct_of_other_bytes:
            tbs = tbs[:-1] + bytes([tbs[-1] ^ 1])
        sct = log.promise(tbs, keys.key_id(self.key), profile.starts)
        listed = struct.pack("!HH", len(sct) + 2, len(sct)) + sct
        extension = x509.UnrecognizedExtension(_SCT_LIST, der.octets(listed))
        return builder.add_extension(extension, critical=False).sign(self.key, hashes.SHA384())


def ca_certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    starts: datetime,
) -> x509.Certificate:
    """Return the certificate of an authority, self-signed where no issuer is given."""
    issuer_key = issuer[1] if issuer else key
    return (
        x509.CertificateBuilder()
        .subject_name(distinguished(name))
        .issuer_name(issuer[0].subject if issuer else distinguished(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(starts + _CA_YEARS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0 if issuer else 1), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_issued_by(issuer_key), critical=False)
        .add_extension(marker(), critical=False)
        .sign(issuer_key, hashes.SHA384())
    )


def timestamping_certificate(
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    starts: datetime,
) -> x509.Certificate:
    """Return the certificate of a time-stamping key: its only use, and that critical (RFC 3161, 2.3)."""
    return (
        x509.CertificateBuilder()
        .subject_name(distinguished("sandbox-timestamping"))
        .issuer_name(issuer[0].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(starts)
        .not_valid_after(starts + _CA_YEARS)
        .add_extension(_key_usage(), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(_issued_by(issuer[1]), critical=False)
        .add_extension(marker(), critical=False)
        .sign(issuer[1], hashes.SHA384())
    )


def distinguished(name: str) -> x509.Name:
    """Return the name of a sandbox certificate, which says that it is one."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, SANDBOX_ORGANIZATION),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def marker() -> x509.UnrecognizedExtension:
    """Return the extension by which every certificate of a sandbox is known."""
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(SANDBOX_OID), der.utf8(SANDBOX_ORGANIZATION))


def to_der(certificate: x509.Certificate) -> bytes:
    """Return the certificate's bytes."""
    return certificate.public_bytes(serialization.Encoding.DER)


def to_pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate as PEM, which is how the first log's entries hold it."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def thumbprint(certificate: x509.Certificate) -> bytes:
    """Return the SHA-256 of the certificate."""
    return hashlib.sha256(to_der(certificate)).digest()


def _issued_by(key: ec.EllipticCurvePrivateKey) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())


def _key_usage(*, authority: bool = False, signature: bool = True) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=signature and not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not signature,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(subject: str) -> x509.GeneralName:
    is_uri = "://" in subject or "@" not in subject
    return x509.UniformResourceIdentifier(subject) if is_uri else x509.RFC822Name(subject)
