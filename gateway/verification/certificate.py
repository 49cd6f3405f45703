"""Certificates: reading a signer's leaf, and the path from it to an authority (RFC 5280, with Fulcio's profile).

Fulcio's certificate specification: https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from gateway.errors import Malformed
from gateway.model.identity import FULCIO_ARC, Contradiction, Identity, from_certificate
from gateway.model.marker import SANDBOX_OID, SANDBOX_ORGANIZATION
from gateway.verification import der
from gateway.verification.keys import PublicKey, public_key

E = TypeVar("E", bound=x509.ExtensionType)

_USERNAME: Final = f"{FULCIO_ARC}.7"
_LEGACY_ARC: Final = 7  # extensions up to here are raw text, later ones a DER UTF8String
_UTF8_STRING: Final = 0x0C
_CRITICAL_LEAF: Final = frozenset({
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
})
_CRITICAL_CA: Final = frozenset({
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.BASIC_CONSTRAINTS,
})


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A signer's certificate as read. `faults` say why it may not sign under any root; empty is good."""

    der: bytes
    certificate: x509.Certificate = field(repr=False)
    key: PublicKey
    identity: Identity
    not_before: datetime
    not_after: datetime
    scts: tuple[x509.certificate_transparency.SignedCertificateTimestamp, ...]
    sandbox: bool
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Issuer:
    """A certificate that may issue others, with what a check of a leaf needs of it."""

    certificate: x509.Certificate = field(repr=False)
    der: bytes
    key_hash: bytes  # sha256 of the SubjectPublicKeyInfo: how an SCT names the issuer
    sandbox: bool

    def valid_at(self, time: datetime) -> bool:
        """Whether the time is in the certificate's validity, both ends included."""
        return self.certificate.not_valid_before_utc <= time <= self.certificate.not_valid_after_utc


def load(data: bytes, about: str) -> x509.Certificate:
    """Read one DER certificate; raises `Malformed`."""
    try:
        certificate = x509.load_der_x509_certificate(data)
        _ = certificate.extensions  # raises for a repeated or broken one
    except Exception as error:
        raise Malformed(about, "not an X.509 certificate") from error
    return certificate


def read_leaf(data: bytes) -> Leaf:
    """Read a signer's certificate; raises `Malformed` where it is no certificate at all."""
    about = "certificate"
    certificate = load(data, about)
    try:
        key = public_key(certificate.public_key(), f"{about} key")
    except Malformed:
        raise
    except Exception as error:
        raise Malformed(f"{about} key", "not a key of a known kind") from error
    faults = [*_usage_faults(certificate)]
    subject = _subject(certificate)
    identity = Identity()
    if subject is None:
        faults.append("not exactly one subject alternative name that is a URI, an e-mail address or a user name")
    else:
        try:
            identity = from_certificate(subject, _fulcio(certificate))
        except Contradiction as error:
            faults.append(f"old and new extensions differ on the {error}")
        if identity.subject is None:
            faults.append("a subject alternative name that is not plain ASCII")
    scts = _extension(certificate, x509.PrecertificateSignedCertificateTimestamps)
    return Leaf(
        data,
        certificate,
        key,
        identity,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        tuple(scts) if scts is not None else (),
        marked(certificate),
        tuple(faults),
    )


def issuer(certificate: x509.Certificate) -> Issuer:
    """Wrap a certificate of an authority's chain."""
    spki = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    whole = certificate.public_bytes(serialization.Encoding.DER)
    return Issuer(certificate, whole, hashlib.sha256(spki).digest(), marked(certificate))


def chain(certificates: Sequence[x509.Certificate], about: str) -> tuple[Issuer, ...]:
    """Check an authority's chain, issuing certificate first; raises `Malformed` where it is not one.

    Validity in time is not looked at: whoever uses the chain asks for each time that it proved.
    """
    if not certificates:
        raise Malformed(about, "the chain is empty")
    for depth, certificate in enumerate(certificates):
        if fault := ca_fault(certificate, depth):
            raise Malformed(about, fault)
    for child, parent in itertools.pairwise(certificates):
        if not issued(child, parent):
            raise Malformed(about, "a certificate of the chain is not issued by the next one")
    return tuple(issuer(certificate) for certificate in certificates)


def path(
    leaf: x509.Certificate, between: Sequence[x509.Certificate], authority: Sequence[Issuer]
) -> tuple[Issuer, ...] | None:
    """Return the certificates from the leaf's issuer to the authority's anchor, or None where there is no path.

    `between` are intermediates that came with the evidence, in order; they may only lead to the authority.
    """
    current, own = leaf, list[Issuer]()
    for depth, candidate in enumerate((*between, None)):
        for index, trusted in enumerate(authority):
            if issued(current, trusted.certificate):
                found = (*own, *authority[index:])
                limit = [ca_fault(step.certificate, place) for place, step in enumerate(found)]
                return None if any(limit) else found
        if candidate is None or not issued(current, candidate) or ca_fault(candidate, depth):
            return None
        own.append(issuer(candidate))
        current = candidate
    return None


def issued(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Whether the parent's name, key identifier and key are those that issued the child."""
    if child.issuer != parent.subject:
        return False
    authority = _extension(child, x509.AuthorityKeyIdentifier)
    subject = _extension(parent, x509.SubjectKeyIdentifier)
    if authority and subject and authority.key_identifier not in {None, subject.digest}:
        return False
    try:
        child.verify_directly_issued_by(parent)
    except Exception:  # noqa: BLE001 - a third party's parser of hostile bytes: anything but success is a no
        return False
    return True


def ca_fault(certificate: x509.Certificate, depth: int) -> str:
    """Say why a certificate may not issue with `depth` intermediates below it, or return an empty text."""
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return "a certificate that is not an authority's"
    if constraints.path_length is not None and constraints.path_length < depth:
        return "a chain longer than an authority allows"
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return "an authority that may not sign certificates"
    return _unknown_critical(certificate, _CRITICAL_CA)


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether the certificate says that it is an authority's."""
    constraints = _extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def marked(certificate: x509.Certificate) -> bool:
    """Whether the certificate carries a mark of the sandbox (CONTRACTS G.1)."""
    names = [*certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    names += certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    return any(name.value == SANDBOX_ORGANIZATION for name in names) or any(
        extension.oid.dotted_string == SANDBOX_OID for extension in certificate.extensions
    )


def self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are one, as in a root certificate."""
    return certificate.subject == certificate.issuer and bool(list(certificate.subject))


def _usage_faults(certificate: x509.Certificate) -> Iterable[str]:
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield "an authority's certificate, not a signer's"
    usage = _extension(certificate, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        yield "not for digital signatures"
    if usage is not None and usage.key_cert_sign:
        yield "may sign certificates"
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    if extended is None or ExtendedKeyUsageOID.CODE_SIGNING not in extended:
        yield "not for code signing"
    if fault := _unknown_critical(certificate, _CRITICAL_LEAF):
        yield fault


def _unknown_critical(certificate: x509.Certificate, known: frozenset[x509.ObjectIdentifier]) -> str:
    unknown = any(e.critical and e.oid not in known for e in certificate.extensions)
    return "a critical extension that is not understood" if unknown else ""


def _subject(certificate: x509.Certificate) -> str | None:
    names = _extension(certificate, x509.SubjectAlternativeName)
    if names is None or len(list(names)) != 1:
        return None
    (name,) = names
    match name:
        case x509.UniformResourceIdentifier() | x509.RFC822Name():
            return name.value
        case x509.OtherName() if name.type_id.dotted_string == _USERNAME:
            return _utf8(name.value)
        case _:
            return None


def _fulcio(certificate: x509.Certificate) -> dict[int, str]:
    """Return Fulcio's extensions by last arc; what is not text is left out, so that it never matches."""
    found: dict[int, str] = {}
    for extension in certificate.extensions:
        arc, _, last = extension.oid.dotted_string.rpartition(".")
        if arc != FULCIO_ARC or not isinstance(extension.value, x509.UnrecognizedExtension):
            continue
        number = int(last)
        raw = extension.value.value
        text = _raw_text(raw) if number < _LEGACY_ARC else _utf8(raw)
        if text is not None:
            found[number] = text
    return found


def _raw_text(raw: bytes) -> str | None:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None


def _utf8(raw: bytes) -> str | None:
    try:
        return der.single(raw, _UTF8_STRING).value.decode()
    except (Malformed, UnicodeDecodeError):
        return None


def _extension(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
