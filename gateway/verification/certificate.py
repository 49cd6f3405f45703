"""Certificates: reading a signer's leaf, and the path from it to an authority (RFC 5280, with Fulcio's profile).

Fulcio's certificate specification: https://github.com/sigstore/fulcio/blob/main/docs/certificate-specification.md
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from gateway.errors import Malformed
from gateway.model.identity import FULCIO_ARC, Contradiction, Identity, from_certificate
from gateway.model.marker import SANDBOX_OID, SANDBOX_ORGANIZATION
from gateway.verification import der
from gateway.verification.keys import PublicKey, public_key

E = TypeVar("E", bound=x509.ExtensionType)

_USERNAME: Final = f"{FULCIO_ARC}.7"
_FULCIO: Final = {x509.ObjectIdentifier(f"{FULCIO_ARC}.{number}"): number for number in range(1, 24)}
_FIRST_UTF8: Final = 8  # extensions before it hold raw text, from it on a DER UTF8String
_SANDBOX: Final = x509.ObjectIdentifier(SANDBOX_OID)
_UTF8_STRING: Final = 0x0C
_CRITICAL_LEAF: Final = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
_CRITICAL_CA: Final = frozenset(
    {
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
    }
)


_CERTIFICATE_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})

_Extensions = Mapping[x509.ObjectIdentifier, x509.Extension[x509.ExtensionType]]


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """A signer's certificate as read. `faults` say why it may not sign under any root; empty is good."""

    der: bytes
    certificate: x509.Certificate = field(repr=False)
    authority_id: bytes | None  # of the key that issued it
    key: PublicKey
    identity: Identity
    not_before: datetime
    not_after: datetime
    scts: tuple[x509.certificate_transparency.SignedCertificateTimestamp, ...]
    sandbox: bool
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Issuer:
    """A certificate that may issue others, with what a check of one needs of it, read once.

    `key_hash` is how a certificate timestamp names it, `deepest` how many intermediates may stand below it (None: any).
    """

    certificate: x509.Certificate = field(repr=False)
    name: x509.Name
    key: PublicKey
    key_id: bytes | None
    authority_id: bytes | None
    key_hash: bytes
    deepest: int | None
    not_before: datetime
    not_after: datetime
    sandbox: bool

    def valid_at(self, time: datetime) -> bool:
        """Whether the time is in the certificate's validity, both ends included."""
        return self.not_before <= time <= self.not_after

    def may_stand_above(self, intermediates: int) -> bool:
        """Whether its path length allows so many intermediates below it."""
        return self.deepest is None or intermediates <= self.deepest

    def issued(self, child: x509.Certificate, authority_id: bytes | None) -> bool:
        """Whether the child names this issuer, and this issuer's key signed it; validity is not looked at."""
        if (authority_id and self.key_id and authority_id != self.key_id) or child.issuer != self.name:
            return False
        try:
            _verify_signature(child, self.key)
        except Exception:  # noqa: BLE001 - a third party's parser of hostile bytes: anything but success is a no
            return False
        return True


def load(data: bytes, about: str) -> x509.Certificate:
    """Read one DER certificate; raises `Malformed`."""
    try:
        certificate = x509.load_der_x509_certificate(data)
        _ = certificate.extensions, certificate.issuer, certificate.subject  # read here: broken ones raise on first use
    except Exception as error:
        raise Malformed(about, "not an X.509 certificate") from error
    return certificate


def read_leaf(data: bytes) -> Leaf:
    """Read a signer's certificate; raises `Malformed` where it is no certificate at all."""
    about = "certificate"
    certificate = load(data, about)
    extensions = _extensions(certificate)
    faults = [*_usage_faults(extensions)]
    subject = _subject(extensions)
    identity = Identity()
    if subject is None:
        faults.append("not exactly one subject alternative name that is a URI, an e-mail address or a user name")
    else:
        try:
            identity = from_certificate(subject, _fulcio(extensions))
        except Contradiction as error:
            faults.append(f"old and new extensions differ on the {error}")
        if identity.subject is None:
            faults.append("a subject alternative name that is not plain ASCII")
    scts = _get(extensions, x509.PrecertificateSignedCertificateTimestamps)
    return Leaf(
        data,
        certificate,
        _authority_id(extensions),
        key_of(certificate, about),
        identity,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        tuple(scts) if scts is not None else (),
        _marked(certificate, extensions),
        tuple(faults),
    )


def read_issuer(certificate: x509.Certificate, about: str) -> Issuer:
    """Take a certificate that may issue others; raises `Malformed` where it may not."""
    extensions = _extensions(certificate)
    constraints = _get(extensions, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise Malformed(about, "a certificate that is not an authority's")
    usage = _get(extensions, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise Malformed(about, "an authority that may not sign certificates")
    if fault := _unknown_critical(extensions, _CRITICAL_CA):
        raise Malformed(about, fault)
    key = key_of(certificate, about)
    identifier = _get(extensions, x509.SubjectKeyIdentifier)
    return Issuer(
        certificate,
        certificate.subject,
        key,
        None if identifier is None else identifier.digest,
        _authority_id(extensions),
        key.fingerprint,
        constraints.path_length,
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
        _marked(certificate, extensions),
    )


def chain(certificates: Sequence[x509.Certificate], about: str) -> tuple[Issuer, ...]:
    """Check an authority's chain, issuing certificate first; raises `Malformed` where it is not one.

    Validity in time is not looked at: whoever uses the chain asks for each time that it proved.
    """
    if not certificates:
        raise Malformed(about, "the chain is empty")
    found = tuple(read_issuer(certificate, about) for certificate in certificates)
    for child, parent in itertools.pairwise(found):
        if not parent.issued(child.certificate, child.authority_id):
            raise Malformed(about, "a certificate of the chain is not issued by the next one")
    if not _depths_hold(found):
        raise Malformed(about, "a chain longer than an authority allows")
    return found


def path(leaf: Leaf, between: Sequence[Issuer], authority: Sequence[Issuer]) -> tuple[Issuer, ...] | None:
    """Return the certificates from the leaf's issuer to the authority's anchor, or None where there is no path.

    `between` are intermediates that came with the evidence, in order; they may only lead to the authority.
    """
    current, authority_id = leaf.certificate, leaf.authority_id
    for used in range(len(between) + 1):
        for index, trusted in enumerate(authority):
            if trusted.issued(current, authority_id):
                found = (*between[:used], *authority[index:])
                return found if _depths_hold(found) else None
        if used == len(between) or not between[used].issued(current, authority_id):
            return None
        current, authority_id = between[used].certificate, between[used].authority_id
    return None


def key_of(certificate: x509.Certificate, about: str) -> PublicKey:
    """Return the certificate's key; raises `Malformed` for one of an unknown kind."""
    try:
        key = certificate.public_key()
    except Exception as error:
        raise Malformed(f"{about} key", "not a key of a known kind") from error
    return public_key(key, f"{about} key")


def is_authority(certificate: x509.Certificate) -> bool:
    """Whether the certificate says that it is an authority's."""
    constraints = _get(_extensions(certificate), x509.BasicConstraints)
    return constraints is not None and constraints.ca


def self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are one, as in a root certificate."""
    return certificate.subject == certificate.issuer and bool(list(certificate.subject))


def _verify_signature(child: x509.Certificate, key: PublicKey) -> None:
    """Verify with the algorithm that the certificate names; raises whatever `cryptography` raises."""
    signature, signed = child.signature, child.tbs_certificate_bytes
    parameters, algorithm = child.signature_algorithm_parameters, child.signature_hash_algorithm
    if algorithm is not None and algorithm.name not in _CERTIFICATE_HASHES:
        raise ValueError("a hash that is not accepted")
    match key.public, parameters:
        case ec.EllipticCurvePublicKey() as public, ec.ECDSA():
            public.verify(signature, signed, parameters)
        case rsa.RSAPublicKey() as public, padding.PKCS1v15() | padding.PSS() if algorithm is not None:
            public.verify(signature, signed, parameters, algorithm)
        case ed25519.Ed25519PublicKey() as public, None:
            public.verify(signature, signed)
        case _:
            raise ValueError("a signature of another kind than the key")


def _depths_hold(found: Sequence[Issuer]) -> bool:
    return all(step.may_stand_above(depth) for depth, step in enumerate(found))


def _marked(certificate: x509.Certificate, extensions: _Extensions) -> bool:
    """Whether the certificate carries a mark of the sandbox (CONTRACTS G.1)."""
    names = [
        *certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME),
        *certificate.issuer.get_attributes_for_oid(NameOID.ORGANIZATION_NAME),
    ]
    return _SANDBOX in extensions or any(name.value == SANDBOX_ORGANIZATION for name in names)


def _usage_faults(extensions: _Extensions) -> Iterable[str]:
    constraints = _get(extensions, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        yield "an authority's certificate, not a signer's"
    usage = _get(extensions, x509.KeyUsage)
    if usage is None or not usage.digital_signature:
        yield "not for digital signatures"
    if usage is not None and usage.key_cert_sign:
        yield "may sign certificates"
    extended = _get(extensions, x509.ExtendedKeyUsage)
    if extended is None or ExtendedKeyUsageOID.CODE_SIGNING not in extended:
        yield "not for code signing"
    if fault := _unknown_critical(extensions, _CRITICAL_LEAF):
        yield fault


def _unknown_critical(extensions: _Extensions, known: frozenset[x509.ObjectIdentifier]) -> str:
    unknown = any(extension.critical and oid not in known for oid, extension in extensions.items())
    return "a critical extension that is not understood" if unknown else ""


def _subject(extensions: _Extensions) -> str | None:
    names = _get(extensions, x509.SubjectAlternativeName)
    found = [] if names is None else list(names)
    if len(found) != 1:
        return None
    match found[0]:
        case x509.UniformResourceIdentifier(value=value) | x509.RFC822Name(value=value):
            return value
        case x509.OtherName() as name if name.type_id.dotted_string == _USERNAME:
            return _utf8(name.value)
        case _:
            return None


def _fulcio(extensions: _Extensions) -> dict[int, str]:
    """Return Fulcio's extensions by last arc; what is not text is left out, so that it never matches."""
    found: dict[int, str] = {}
    for oid, extension in extensions.items():
        number, value = _FULCIO.get(oid), extension.value
        if number is None or not isinstance(value, x509.UnrecognizedExtension):
            continue
        raw = value.value
        text = _raw_text(raw) if number < _FIRST_UTF8 else _utf8(raw)
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
        if len(raw) > 1 and raw[0] == _UTF8_STRING and raw[1] == len(raw) - 2 < 0x80:  # the usual case, read at once
            return raw[2:].decode()
        return der.single(raw, _UTF8_STRING).value.decode()
    except (Malformed, UnicodeDecodeError):
        return None


def _authority_id(extensions: _Extensions) -> bytes | None:
    found = _get(extensions, x509.AuthorityKeyIdentifier)
    return None if found is None else found.key_identifier


def _extensions(certificate: x509.Certificate) -> _Extensions:
    return {extension.oid: extension for extension in certificate.extensions}


def _get(extensions: _Extensions, kind: type[E]) -> E | None:
    found = extensions.get(kind.oid)
    return found.value if found is not None and isinstance(found.value, kind) else None
