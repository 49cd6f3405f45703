"""What a log entry's body says was signed, by whom: the part that binds an entry to one bundle.

Entry kinds: hashedrekord 0.0.1 and 0.0.2, dsse 0.0.1 and 0.0.2, intoto 0.0.1 and 0.0.2
(https://github.com/sigstore/rekor/tree/main/pkg/types, https://github.com/sigstore/rekor-tiles).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway import limits
from gateway.errors import Malformed
from gateway.strict import base64, json
from gateway.strict.json import Object
from gateway.verification.bundle import Content, Envelope, LogEntry, octets

KINDS: Final = frozenset(
    (kind, version) for kind in ("hashedrekord", "dsse", "intoto") for version in ("0.0.1", "0.0.2")
)
_ABOUT: Final = "log entry body"
_V2_ALGORITHMS: Final = {"SHA2_256": "sha256", "SHA2_384": "sha384", "SHA2_512": "sha512"}
_SIZES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
_HASHERS: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}
_PEM: Final = re.compile(r"\s*-----BEGIN (?P<kind>CERTIFICATE|PUBLIC KEY)-----(?P<body>[^-]+)-----END (?P=kind)-----")
_VERIFIER: Final = 64 * limits.KIB  # bytes of one certificate or key; a release's chain is some 6 KiB


@dataclass(frozen=True, slots=True)
class Signed:
    """One signature that an entry records; `signature` is None for intoto 0.0.1, which records the key alone."""

    signature: bytes | None
    verifier: bytes  # DER of a certificate or of a SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True)
class EntryBody:
    """What an entry records: the digest of the file, of the payload, or of the envelope's PAE, and the signatures."""

    over: str  # "message" (a file, or the PAE of an envelope) or "payload"
    algorithm: str
    digest: bytes
    signatures: tuple[Signed, ...]


def read_body(entry: LogEntry) -> EntryBody:
    """Read an entry's canonicalized body; raises `Malformed`, and the kind must be in `KINDS`."""
    document = json.parse_object(entry.body, _ABOUT, limit=limits.EVIDENCE_BYTES)
    said = tuple(json.field(document, name, str, _ABOUT) for name in ("kind", "apiVersion"))
    if said != (entry.kind, entry.version):
        raise Malformed(_ABOUT, "another kind or version than the entry states")
    spec = json.field(document, "spec", dict, _ABOUT)
    match said:
        case ("hashedrekord", "0.0.1"):
            return _hashedrekord_1(spec)
        case ("hashedrekord", "0.0.2"):
            inner = json.field(spec, "hashedRekordV002", dict, _ABOUT)
            signature = json.field(inner, "signature", dict, _ABOUT)
            algorithm, digest = _hash_2(json.field(inner, "data", dict, _ABOUT))
            return EntryBody("message", algorithm, digest, (_signed_2(signature),))
        case ("dsse", "0.0.1"):
            found = json.items(spec, "signatures", dict, _ABOUT, most=limits.SIGNATURES)
            algorithm, digest = _hash_1(json.field(spec, "payloadHash", dict, _ABOUT))
            signed = tuple(Signed(octets(s, "signature", _ABOUT), _pem_in(s, "verifier")) for s in found)
            return EntryBody("payload", algorithm, digest, signed)
        case ("dsse", "0.0.2"):
            inner = json.field(spec, "dsseV002", dict, _ABOUT)
            found = json.items(inner, "signatures", dict, _ABOUT, most=limits.SIGNATURES)
            algorithm, digest = _hash_2(json.field(inner, "payloadHash", dict, _ABOUT))
            return EntryBody("payload", algorithm, digest, tuple(_signed_2(s) for s in found))
        case ("intoto", "0.0.1"):
            content = json.field(spec, "content", dict, _ABOUT)
            algorithm, digest = _hash_1(json.field(content, "payloadHash", dict, _ABOUT))
            return EntryBody("payload", algorithm, digest, (Signed(None, _pem_in(spec, "publicKey")),))
        case ("intoto", "0.0.2"):
            content = json.field(spec, "content", dict, _ABOUT)
            algorithm, digest = _hash_1(json.field(content, "payloadHash", dict, _ABOUT))
            envelope = json.field(content, "envelope", dict, _ABOUT)
            found = json.items(envelope, "signatures", dict, _ABOUT, most=limits.SIGNATURES)
            return EntryBody("payload", algorithm, digest, tuple(_signed_intoto(s) for s in found))
        case _:
            raise Malformed(_ABOUT, "an entry of an unknown kind")


def difference(body: EntryBody, content: Content, verifier: bytes, digests: Mapping[str, bytes]) -> str:
    """Say how the entry is of something else than this content and signer, or return an empty text.

    `digests` are those of the file, where the content is a message signature. `verifier` is the DER of the certificate
    or key that the bundle names.
    """
    if isinstance(content, Envelope):
        signatures = content.signatures
        over = content.pae if body.over == "message" else content.payload
        expected = _HASHERS[body.algorithm](over).digest()
    else:
        signatures = (content.signature,)
        if body.over != "message":
            return "an entry of an envelope beside a plain signature"
        expected = digests.get(body.algorithm, b"")
    if expected != body.digest:
        return "the digest of other content"
    if any(signed.verifier != verifier for signed in body.signatures):
        return "another certificate or key"
    recorded = [signed.signature for signed in body.signatures]
    if recorded not in ([None], list(signatures)):
        return "another signature"
    return ""


def _hashedrekord_1(spec: Object) -> EntryBody:
    signature = json.field(spec, "signature", dict, _ABOUT)
    key = json.field(signature, "publicKey", dict, _ABOUT)
    data = json.field(spec, "data", dict, _ABOUT)
    algorithm, digest = _hash_1(json.field(data, "hash", dict, _ABOUT))
    return EntryBody(
        "message", algorithm, digest, (Signed(octets(signature, "content", _ABOUT), _pem_in(key, "content")),)
    )


def _hash_1(found: Object) -> tuple[str, bytes]:
    algorithm, value = (json.field(found, name, str, _ABOUT) for name in ("algorithm", "value"))
    try:
        digest = bytes.fromhex(value)
    except ValueError:
        raise Malformed(_ABOUT, "a hash that is not hexadecimal") from None
    return _sized(algorithm, digest)


def _hash_2(found: Object) -> tuple[str, bytes]:
    name = json.field(found, "algorithm", str, _ABOUT)
    return _sized(_V2_ALGORITHMS.get(name, ""), octets(found, "digest", _ABOUT))


def _sized(algorithm: str, digest: bytes) -> tuple[str, bytes]:
    if _SIZES.get(algorithm) != len(digest):
        raise Malformed(_ABOUT, "an unknown hash, or one of another length")
    return algorithm, digest


def _signed_2(found: Object) -> Signed:
    verifier = json.field(found, "verifier", dict, _ABOUT)
    inner = json.optional(verifier, "x509Certificate", dict, _ABOUT) or json.field(verifier, "publicKey", dict, _ABOUT)
    return Signed(octets(found, "content", _ABOUT), octets(inner, "rawBytes", _ABOUT, most=_VERIFIER))


def _signed_intoto(found: Object) -> Signed:
    try:
        inner = octets(found, "sig", _ABOUT).decode("ascii")
    except UnicodeDecodeError:
        raise Malformed(_ABOUT, "a signature that is not base64 twice") from None
    return Signed(base64.decode(inner, _ABOUT, limits.SIGNATURE_BYTES), _pem_in(found, "publicKey"))


def _pem_in(found: Object, key: str) -> bytes:
    """Read the DER out of base64 of one PEM block; of a chain only the first certificate signed."""
    text = octets(found, key, _ABOUT, most=_VERIFIER).decode("ascii", "replace")
    block = _PEM.match(text)
    if block is None:
        raise Malformed(_ABOUT, "a verifier that is neither a certificate nor a key in PEM")
    return base64.decode("".join(block["body"].split()), _ABOUT, _VERIFIER)
