"""RFC 3161 timestamps: a reader of the token's CMS, and a check that costs one signature.

Read: TimeStampResp (RFC 3161, 2.4.2), SignedData with exactly one SignerInfo (RFC 5652, 5), SigningCertificate and its
second version (RFC 5816). The authority's own chain was checked when the trust root was built, so a token costs its
own signature alone; the chain's validity is asked for the token's time. Bytes that no signature covers (CMS versions,
embedded certificates that are not the signer's) are not looked at: a token is malleable and never an identity.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway import limits
from gateway.errors import Malformed
from gateway.verification import der
from gateway.verification.der import Element
from gateway.verification.keys import PublicKey, public_key

_ABOUT: Final = "timestamp token"
_GRANTED: Final = frozenset({0, 1})
_SIGNED_DATA: Final = bytes.fromhex("2a864886f70d010702")
_TST_INFO: Final = bytes.fromhex("2a864886f70d0109100104")
_CONTENT_TYPE: Final = bytes.fromhex("2a864886f70d010903")
_MESSAGE_DIGEST: Final = bytes.fromhex("2a864886f70d010904")
_SIGNING_CERTIFICATE: Final = bytes.fromhex("2a864886f70d010910020c")
_SIGNING_CERTIFICATE_2: Final = bytes.fromhex("2a864886f70d010910022f")
_HASHES: Final = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_HASHERS: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
# What a signature algorithm says of its hash; None where the digest algorithm says it.
_ALGORITHMS: Final = {
    bytes.fromhex("2a8648ce3d040302"): "sha256",  # ecdsa-with-SHA256
    bytes.fromhex("2a8648ce3d040303"): "sha384",
    bytes.fromhex("2a8648ce3d040304"): "sha512",
    bytes.fromhex("2a864886f70d01010b"): "sha256",  # sha256WithRSAEncryption
    bytes.fromhex("2a864886f70d01010c"): "sha384",
    bytes.fromhex("2a864886f70d01010d"): "sha512",
    bytes.fromhex("2a864886f70d010101"): None,  # rsaEncryption
    bytes.fromhex("2a8648ce3d0201"): None,  # id-ecPublicKey
    bytes.fromhex("2b6570"): "sha512",  # Ed25519 (RFC 8419)
}


@dataclass(frozen=True, slots=True)
class Token:
    """What one timestamp token says; nothing of it is verified yet."""

    info: bytes  # the signed TSTInfo
    time: datetime
    imprint_algorithm: str
    imprint: bytes
    signer: tuple[bytes, int] | bytes  # issuer and serial, or a subject key identifier
    attributes: bytes  # as they were signed
    content_digest: bytes
    certificate_hash: tuple[str, bytes]  # what the token says its signer's certificate hashes to
    digest_algorithm: str
    signature_hash: str
    signature: bytes
    certificates: tuple[bytes, ...]  # embedded


@dataclass(frozen=True, slots=True, eq=False)
class Signer:
    """A timestamp authority's certificate with what a check needs of it."""

    certificate: x509.Certificate
    der: bytes
    key: PublicKey
    issuer_name: bytes
    key_identifier: bytes | None

    def valid_at(self, time: datetime) -> bool:
        """Whether the time is in the certificate's validity, both ends included."""
        return self.certificate.not_valid_before_utc <= time <= self.certificate.not_valid_after_utc

    def named_by(self, token: Token) -> bool:
        """Whether the token's signer identifier and its signed certificate hash both mean this certificate."""
        if isinstance(token.signer, bytes):
            named = token.signer == self.key_identifier
        else:
            named = token.signer == (self.issuer_name, self.certificate.serial_number)
        algorithm, value = token.certificate_hash
        made = hashlib.sha1(self.der, usedforsecurity=False) if algorithm == "sha1" else _HASHERS[algorithm](self.der)
        return named and made.digest() == value


def signer(of: x509.Certificate, about: str) -> Signer:
    """Take a certificate that may sign timestamps; raises `Malformed` where it may not."""
    try:
        usage = of.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except x509.ExtensionNotFound:
        raise Malformed(about, "a certificate that is not for timestamps") from None
    # RFC 3161, 2.3: this usage alone. It also asks for a critical extension, which GitHub's authority does not mark.
    if list(usage.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
        raise Malformed(about, "a certificate that is not for timestamps alone")
    try:
        identifier = of.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        identifier = None
    whole = of.public_bytes(serialization.Encoding.DER)
    return Signer(of, whole, public_key(of.public_key(), about), of.issuer.public_bytes(), identifier)


def read_token(data: bytes) -> Token:
    """Read a timestamp response; raises `Malformed`."""
    response = der.elements(der.single(data, der.SEQUENCE).value)
    if len(response) != 2:
        raise Malformed(_ABOUT, "a response without a token")
    status = der.elements(der.expect(response[0], der.SEQUENCE).value)
    if not status or der.integer(status[0]) not in _GRANTED:
        raise Malformed(_ABOUT, "a request that was not granted")
    content = der.elements(der.expect(response[1], der.SEQUENCE).value)
    if len(content) != 2 or _oid(content[0]) != _SIGNED_DATA:
        raise Malformed(_ABOUT, "not signed data")
    return _signed_data(der.single(der.expect(content[1], der.CONTEXT_0).value, der.SEQUENCE))


def verified(token: Token, signature: bytes, by: Signer) -> bool:
    """Whether the authority's certificate signed the token, and the token is for this signature.

    Whether the token names this certificate, and whether certificate and authority were good at the token's time, is
    the caller's to check (`TimestampAuthority.signer_of`).
    """
    return (
        _HASHERS[token.imprint_algorithm](signature).digest() == token.imprint
        and _HASHERS[token.digest_algorithm](token.info).digest() == token.content_digest
        and by.key.signed(token.signature, token.attributes, only=token.signature_hash)
    )


def _signed_data(element: Element) -> Token:
    parts = der.elements(element.value)
    if len(parts) < 4:
        raise Malformed(_ABOUT, "signed data is cut short")
    _, _, content, *rest = parts
    certificates: tuple[bytes, ...] = ()
    if rest and rest[0].tag == der.CONTEXT_0:
        certificates = tuple(e.raw for e in der.elements(rest.pop(0).value) if e.tag == der.SEQUENCE)
        if len(certificates) > limits.CERTIFICATES:
            raise Malformed(_ABOUT, "too many certificates")
    if rest and rest[0].tag == der.CONTEXT_1:
        rest.pop(0)  # revocation lists: not looked at
    if len(rest) != 1:
        raise Malformed(_ABOUT, "signed data of an unknown shape")
    inner = der.elements(der.expect(content, der.SEQUENCE).value)
    if len(inner) != 2 or _oid(inner[0]) != _TST_INFO:
        raise Malformed(_ABOUT, "not a timestamp")
    info = der.single(der.expect(inner[1], der.CONTEXT_0).value, der.OCTETS).value
    return _signer_info(der.single(der.expect(rest[0], der.SET).value, der.SEQUENCE), info, certificates)


def _signer_info(element: Element, info: bytes, certificates: tuple[bytes, ...]) -> Token:
    parts = der.elements(element.value)
    if len(parts) not in {6, 7}:
        raise Malformed(_ABOUT, "a signer of an unknown shape")
    _, identifier, digest, attributes, algorithm, signature, *_ = parts
    if identifier.tag == der.SEQUENCE:
        name, serial = _two(identifier)
        who: tuple[bytes, int] | bytes = (name.raw, int.from_bytes(der.expect(serial, der.INTEGER).value, "big"))
    elif identifier.tag == 0x80:
        who = identifier.value
    else:
        raise Malformed(_ABOUT, "a signer without a name")
    # Signed as a SET, though it stands under a context tag (RFC 5652, 5.4).
    signed = der.expect(attributes, der.CONTEXT_0)
    found = _attributes(signed)
    if _oid(der.single(found.get(_CONTENT_TYPE, b""), der.OID)) != _TST_INFO:
        raise Malformed(_ABOUT, "a signature over something else than a timestamp")
    digest_algorithm = _hash_name(digest)
    named = _ALGORITHMS.get(_oid(_first(algorithm)), "")
    if named == "":
        raise Malformed(_ABOUT, "an unknown signature algorithm")
    time, imprint_algorithm, imprint = _info(info)
    return Token(
        info,
        time,
        imprint_algorithm,
        imprint,
        who,
        b"\x31" + signed.raw[1:],
        der.single(found.get(_MESSAGE_DIGEST, b""), der.OCTETS).value,
        _certificate_hash(found),
        digest_algorithm,
        named or digest_algorithm,
        der.expect(signature, der.OCTETS).value,
        certificates,
    )


def _attributes(signed: Element) -> dict[bytes, bytes]:
    """Return each signed attribute's value; one that comes twice is refused."""
    found: dict[bytes, bytes] = {}
    for attribute in der.elements(signed.value):
        kind, values = _two(attribute)
        if (name := _oid(kind)) in found:
            raise Malformed(_ABOUT, "a signed attribute is given twice")
        found[name] = der.expect(values, der.SET).value
    return found


def _certificate_hash(found: dict[bytes, bytes]) -> tuple[str, bytes]:
    """Return the hash that binds the token to one certificate: ESSCertIDv2, or the older SHA-1 one."""
    version_2 = _SIGNING_CERTIFICATE_2 in found
    value = found.get(_SIGNING_CERTIFICATE_2 if version_2 else _SIGNING_CERTIFICATE)
    if value is None:
        raise Malformed(_ABOUT, "no signing certificate attribute")
    certificates = _first(der.single(value, der.SEQUENCE))
    parts = der.elements(der.expect(_first(certificates), der.SEQUENCE).value)
    algorithm = "sha256" if version_2 else "sha1"
    if version_2 and parts and parts[0].tag == der.SEQUENCE:
        algorithm = _hash_name(parts.pop(0))
    if not parts:
        raise Malformed(_ABOUT, "no signing certificate")
    return algorithm, der.expect(parts[0], der.OCTETS).value


def _info(info: bytes) -> tuple[datetime, str, bytes]:
    """Return time, imprint algorithm and imprint of a TSTInfo (RFC 3161, 2.4.2)."""
    parts = der.elements(der.single(info, der.SEQUENCE).value)
    if len(parts) < 5 or der.integer(parts[0]) != 1:
        raise Malformed(_ABOUT, "not a timestamp of version 1")
    if any(part.tag == der.CONTEXT_1 for part in parts[5:]):
        raise Malformed(_ABOUT, "extensions that are not understood")
    algorithm, imprint = _two(parts[2])
    return der.generalized_time(parts[4]), _hash_name(algorithm), der.expect(imprint, der.OCTETS).value


def _hash_name(element: Element) -> str:
    name = _HASHES.get(_oid(_first(element)))
    if name is None:
        raise Malformed(_ABOUT, "an unknown hash")
    return name


def _first(element: Element) -> Element:
    parts = der.elements(der.expect(element, der.SEQUENCE).value)
    if not parts:
        raise Malformed(_ABOUT, "an empty sequence")
    return parts[0]


def _two(element: Element) -> tuple[Element, Element]:
    parts = der.elements(der.expect(element, der.SEQUENCE).value)
    if len(parts) != 2:
        raise Malformed(_ABOUT, "expected two elements")
    return parts[0], parts[1]


def _oid(element: Element) -> bytes:
    return der.expect(element, der.OID).value
