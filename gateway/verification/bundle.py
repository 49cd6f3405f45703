"""Sigstore bundles and PEP 740 attestations: hostile JSON to a `Bundle`, with every rule about their shape.

Specification: https://github.com/sigstore/protobuf-specs (sigstore_bundle.proto, its proto-JSON form) and PEP 740.
Nothing is verified here. Integers may come as numbers or text and base64 in either alphabet, as proto-JSON allows;
unknown fields are ignored, as a newer signer may add some.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway import limits
from gateway.errors import Malformed
from gateway.strict import base64, json
from gateway.strict.json import Object
from gateway.verification.checkpoint import Checkpoint, read_checkpoint

_MEDIA_TYPE: Final = re.compile(
    r"application/vnd\.dev\.sigstore\.bundle(?:\+json;version=0\.([123])|\.v0\.([123])\+json)"
)
IN_TOTO: Final = "application/vnd.in-toto+json"
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")
_INT64: Final = 2**63


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That an entry is in a tree, and the log's signed word for that tree (which old v0.1 bundles lack)."""

    index: int
    size: int
    root: bytes
    hashes: tuple[bytes, ...]
    checkpoint: Checkpoint | None


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry of a transparency log. `time` counts only where the promise over it verifies."""

    index: int
    log_id: bytes
    kind: str
    version: str
    body: bytes
    time: int | None
    promise: bytes | None
    proof: InclusionProof | None


@dataclass(frozen=True, slots=True)
class MessageSignature:
    """A signature over a file's digest; `algorithm` and `digest` are the signer's unauthenticated hint at which."""

    signature: bytes
    algorithm: str | None
    digest: bytes | None


@dataclass(frozen=True, slots=True)
class SimpleSigning:
    """A signature over a payload that names an image (cosign's older form)."""

    signature: bytes
    payload: bytes


@dataclass(frozen=True, slots=True)
class Envelope:
    """A DSSE envelope, its payload still unread."""

    payload_type: str
    payload: bytes
    signatures: tuple[bytes, ...]

    @property
    def pae(self) -> bytes:
        """The bytes its signatures are over (DSSE's pre-authentication encoding)."""
        kind = self.payload_type.encode()
        return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(self.payload), self.payload)


Content: TypeAlias = MessageSignature | SimpleSigning | Envelope


class UnsupportedKind(Malformed):
    """Well-formed evidence of a kind that is not verified here."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything one piece of evidence holds; `version` is the minor version of its media type.

    Exactly one of `certificates` (leaf first) and `key_hint` says who signed; the hint may be empty.
    """

    version: int
    certificates: tuple[bytes, ...]
    key_hint: str | None
    entries: tuple[LogEntry, ...]
    timestamps: tuple[bytes, ...]
    content: Content

    @property
    def signature(self) -> bytes:
        """The signature that timestamps are over: the only one, in every form but a bare envelope."""
        content = self.content
        return content.signatures[0] if isinstance(content, Envelope) else content.signature


def read_bundle(body: bytes) -> Bundle:
    """Read a Sigstore bundle v0.1, v0.2 or v0.3; raises `Malformed`."""
    about = "bundle"
    document = json.parse_object(body, about, limit=limits.EVIDENCE_BYTES)
    media_type = json.field(document, "mediaType", str, about)
    found = _MEDIA_TYPE.fullmatch(media_type)
    if found is None:
        raise Malformed(f"{about}.mediaType", "not a Sigstore bundle of version 0.1, 0.2 or 0.3")
    version = int(found.group(1) or found.group(2))
    material = json.field(document, "verificationMaterial", dict, about)
    certificates, key_hint = _signer(material, version)
    about = "verificationMaterial"
    entries = _objects(material, "tlogEntries", about, limits.LOG_ENTRIES)
    stamps = json.optional(material, "timestampVerificationData", dict, about) or {}
    timestamps = _objects(stamps, "rfc3161Timestamps", "timestampVerificationData", limits.TIMESTAMPS)
    return Bundle(
        version,
        certificates,
        key_hint,
        tuple(read_entry(entry) for entry in entries),
        tuple(octets(stamp, "signedTimestamp", "timestamp") for stamp in timestamps),
        _content(document),
    )


def read_pep740(body: bytes) -> Bundle:
    """Read a PEP 740 attestation object (version 1) as the bundle it is a spelling of; raises `Malformed`."""
    about = "attestation"
    document = json.parse_object(body, about, limit=limits.EVIDENCE_BYTES)
    if json.field(document, "version", int, about) != 1:
        raise Malformed(f"{about}.version", "expected 1")
    material = json.field(document, "verification_material", dict, about)
    envelope = json.field(document, "envelope", dict, about)
    entries = json.items(material, "transparency_entries", dict, about, most=limits.LOG_ENTRIES)
    if not entries:
        raise Malformed(f"{about}.transparency_entries", "expected at least one")
    statement, signature = (octets(envelope, name, "envelope") for name in ("statement", "signature"))
    return Bundle(
        3,
        (octets(material, "certificate", about),),
        None,
        tuple(read_entry(entry) for entry in entries),
        (),
        Envelope(IN_TOTO, statement, (signature,)),
    )


def read_envelope(envelope: Object, about: str = "dsseEnvelope") -> Envelope:
    """Read a DSSE envelope."""
    signatures = json.items(envelope, "signatures", dict, about, most=limits.SIGNATURES)
    if not signatures:
        raise Malformed(f"{about}.signatures", "expected at least one")
    return Envelope(
        json.field(envelope, "payloadType", str, about),
        octets(envelope, "payload", about, most=limits.EVIDENCE_BYTES),
        tuple(octets(signature, "sig", f"{about}.signatures") for signature in signatures),
    )


def read_entry(entry: Object) -> LogEntry:
    """Read one transparency log entry in its proto-JSON form."""
    about = "log entry"
    kind = json.field(entry, "kindVersion", dict, about)
    promise = json.optional(entry, "inclusionPromise", dict, about)
    proof = json.optional(entry, "inclusionProof", dict, about)
    time = _int64(entry, "integratedTime", about)
    return LogEntry(
        _int64(entry, "logIndex", about),
        octets(json.field(entry, "logId", dict, about), "keyId", f"{about}.logId", most=64),
        json.field(kind, "kind", str, f"{about}.kindVersion"),
        json.field(kind, "version", str, f"{about}.kindVersion"),
        octets(entry, "canonicalizedBody", about, most=limits.EVIDENCE_BYTES),
        time or None,  # proto-JSON: zero is absent
        octets(promise, "signedEntryTimestamp", f"{about}.inclusionPromise") if promise is not None else None,
        _proof(proof) if proof is not None else None,
    )


def octets(obj: Object, key: str, about: str, *, most: int = limits.EVIDENCE_BYTES) -> bytes:
    """Return a field that holds base64 of at least one byte, in either alphabet."""
    text = json.field(obj, key, str, about)
    if not text:
        raise Malformed(f"{about}.{key}", "is empty")
    return decoded(text, f"{about}.{key}", most)


def decoded(text: str, about: str, most: int) -> bytes:
    """Decode padded, canonical base64 of one alphabet or the other."""
    if ("-" in text or "_" in text) and not ("+" in text or "/" in text):
        text = text.replace("-", "+").replace("_", "/")
    return base64.decode(text, about, most)


def _signer(material: Object, version: int) -> tuple[tuple[bytes, ...], str | None]:
    about = "verificationMaterial"
    chain = json.optional(material, "x509CertificateChain", dict, about)
    single = json.optional(material, "certificate", dict, about)
    key = json.optional(material, "publicKey", dict, about)
    if sum(item is not None for item in (chain, single, key)) != 1:
        raise Malformed(about, "expected exactly one of certificate, x509CertificateChain and publicKey")
    if key is not None:
        return (), json.optional(key, "hint", str, f"{about}.publicKey") or ""
    if single is not None:
        if version < 3:
            raise Malformed(about, "a bundle before version 0.3 holds a chain, not a single certificate")
        return (octets(single, "rawBytes", f"{about}.certificate"),), None
    assert chain is not None
    if version >= 3:
        raise Malformed(about, "a bundle of version 0.3 holds a single certificate, not a chain")
    found = json.items(chain, "certificates", dict, f"{about}.x509CertificateChain", most=limits.CERTIFICATES)
    if not found:
        raise Malformed(f"{about}.x509CertificateChain", "the chain is empty")
    return tuple(octets(item, "rawBytes", f"{about}.x509CertificateChain") for item in found), None


def _content(document: Object) -> MessageSignature | Envelope:
    about = "bundle"
    message = json.optional(document, "messageSignature", dict, about)
    envelope = json.optional(document, "dsseEnvelope", dict, about)
    if message is not None and envelope is None:
        about = "messageSignature"
        hint = json.optional(message, "messageDigest", dict, about) or {}
        digest = octets(hint, "digest", "messageDigest", most=64) if "digest" in hint else None
        algorithm = json.optional(hint, "algorithm", str, "messageDigest")
        return MessageSignature(octets(message, "signature", about, most=limits.SIGNATURE_BYTES), algorithm, digest)
    if envelope is not None and message is None:
        read = read_envelope(envelope)
        if len(read.signatures) != 1:
            raise Malformed("dsseEnvelope.signatures", "an envelope in a bundle has exactly one")
        return read
    raise Malformed(about, "expected exactly one of messageSignature and dsseEnvelope")


def _proof(proof: Object) -> InclusionProof:
    about = "inclusionProof"
    hashes = _texts(proof, "hashes", about, limits.INCLUSION_HASHES)
    checkpoint = json.optional(proof, "checkpoint", dict, about)
    note = None if checkpoint is None else json.field(checkpoint, "envelope", str, f"{about}.checkpoint")
    return InclusionProof(
        _int64(proof, "logIndex", about),
        _int64(proof, "treeSize", about),
        _hash(json.field(proof, "rootHash", str, about), f"{about}.rootHash"),
        tuple(_hash(text, f"{about}.hashes") for text in hashes),
        None if note is None else read_checkpoint(note),
    )


def _hash(text: str, about: str) -> bytes:
    value = decoded(text, about, 32)
    if len(value) != 32:
        raise Malformed(about, "not a hash of 32 bytes")
    return value


def _objects(obj: Object, key: str, about: str, most: int) -> list[Object]:
    return [] if obj.get(key) is None else json.items(obj, key, dict, about, most=most)


def _texts(obj: Object, key: str, about: str, most: int) -> list[str]:
    return [] if obj.get(key) is None else json.items(obj, key, str, about, most=most)


def _int64(obj: Object, key: str, about: str) -> int:
    """Read an int64 that cannot be negative; proto-JSON leaves zero out."""
    value = obj.get(key)
    if value is None:
        return 0
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 0 <= value < _INT64:
        raise Malformed(f"{about}.{key}", "not a whole number from 0 to 2^63 - 1")
    return value
