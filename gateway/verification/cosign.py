"""cosign's older signatures: a payload beside annotations, as cosign stored them in a registry until bundles came.

Specification: https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md. As evidence they are one JSON
object, `{"payload": <base64 of the layer>, "annotations": {<the layer's annotations>}}`, which whoever found the layer
writes. The layer is either a simple signing payload, signed as plain bytes, or a DSSE envelope. The log's word for
either is a promise of inclusion alone, so they are read as bundles of version 0.1.
"""

from __future__ import annotations

import re
from typing import Final

from gateway import limits
from gateway.errors import Malformed
from gateway.model.digest import Digest
from gateway.model.evidence import Subject
from gateway.strict import base64, json
from gateway.strict.json import Object
from gateway.verification.bundle import Bundle, Envelope, LogEntry, SimpleSigning, decoded, octets, read_envelope

_ABOUT: Final = "cosign signature"
_SIGNATURE: Final = "dev.cosignproject.cosign/signature"
_CERTIFICATE: Final = "dev.sigstore.cosign/certificate"
_CHAIN: Final = "dev.sigstore.cosign/chain"
_BUNDLE: Final = "dev.sigstore.cosign/bundle"
_TIMESTAMP: Final = "dev.sigstore.cosign/rfc3161timestamp"
_TYPES: Final = frozenset({"cosign container image signature", "https://sigstore.dev/cosign/sign/v1"})
_PEM: Final = re.compile(r"-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*")


def read_cosign(body: bytes) -> Bundle:
    """Read a layer with its annotations; raises `Malformed`."""
    document = json.parse_object(body, _ABOUT, limit=limits.EVIDENCE_BYTES)
    payload = octets(document, "payload", _ABOUT)
    annotations = json.field(document, "annotations", dict, _ABOUT)
    leaf = json.optional(annotations, _CERTIFICATE, str, _ABOUT)
    chain = json.optional(annotations, _CHAIN, str, _ABOUT)
    promise = json.optional(annotations, _BUNDLE, str, _ABOUT)
    stamp = json.optional(annotations, _TIMESTAMP, str, _ABOUT)
    # The chain ends in the root, which a bundle must not hold; a trust root names its own intermediates anyway.
    certificates = () if leaf is None else (*certificates_in(leaf)[:1], *certificates_in(chain or "")[:-1])
    return Bundle(
        1,
        certificates,
        None if certificates else "",
        () if promise is None else (_entry(promise),),
        () if stamp is None else (_timestamp(stamp),),
        _content(payload, annotations),
    )


def read_subject(payload: bytes) -> Subject:
    """Read what a simple signing payload names: the image's digest, and the reference it gives it, if any."""
    about = "simple signing payload"
    document = json.parse_object(payload, about, limit=limits.EVIDENCE_BYTES)
    critical = json.field(document, "critical", dict, about)
    if json.field(critical, "type", str, about) not in _TYPES:
        raise Malformed(f"{about}.type", "not cosign's")
    image = json.field(critical, "image", dict, about)
    identity = json.optional(critical, "identity", dict, about) or {}
    name = json.optional(identity, "docker-reference", str, about) or None
    return Subject(name, (Digest.parse(json.field(image, "docker-manifest-digest", str, about)),))


def certificates_in(pem: str) -> tuple[bytes, ...]:
    """Return the DER of each certificate of a PEM text, in order."""
    found: list[bytes] = []
    at = 0
    text = pem.strip()
    while at < len(text):
        block = _PEM.match(text, at)
        if block is None or len(found) == limits.CERTIFICATES:
            raise Malformed(_ABOUT, "not PEM certificates, or too many")
        found.append(base64.decode("".join(block[1].split()), _ABOUT, limits.EVIDENCE_BYTES))
        at = block.end()
    return tuple(found)


def _content(payload: bytes, annotations: Object) -> Envelope | SimpleSigning:
    signature = json.optional(annotations, _SIGNATURE, str, _ABOUT)
    if signature:
        return SimpleSigning(decoded(signature, _ABOUT, limits.SIGNATURE_BYTES), payload)
    envelope = read_envelope(json.parse_object(payload, "envelope", limit=limits.EVIDENCE_BYTES), "envelope")
    if len(envelope.signatures) != 1:
        raise Malformed("envelope.signatures", "expected exactly one")
    return envelope


def _entry(text: str) -> LogEntry:
    about = "cosign bundle"
    document = json.parse_object(text, about, limit=limits.EVIDENCE_BYTES)
    payload = json.field(document, "Payload", dict, about)
    body = octets(payload, "body", about)
    said = json.parse_object(body, "log entry body", limit=limits.EVIDENCE_BYTES)
    index, time = (json.field(payload, name, int, about) for name in ("logIndex", "integratedTime"))
    if index < 0 or time <= 0:
        raise Malformed(about, "an index or a time below zero")
    try:
        log_id = bytes.fromhex(json.field(payload, "logID", str, about))
    except ValueError:
        raise Malformed(f"{about}.logID", "not hexadecimal") from None
    return LogEntry(
        index,
        log_id,
        json.field(said, "kind", str, "log entry body"),
        json.field(said, "apiVersion", str, "log entry body"),
        body,
        time,
        octets(document, "SignedEntryTimestamp", about, most=limits.SIGNATURE_BYTES),
        None,
    )


def _timestamp(text: str) -> bytes:
    document = json.parse_object(text, "cosign timestamp", limit=limits.EVIDENCE_BYTES)
    return octets(document, "SignedRFC3161Timestamp", "cosign timestamp")
