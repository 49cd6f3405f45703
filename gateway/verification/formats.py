"""The formats evidence is written in: telling one from another, and each one's reader to a `Bundle`."""

from __future__ import annotations

from typing import Final

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.model.evidence import Format
from gateway.reasons import Code, Reason
from gateway.strict import json
from gateway.strict.json import Object
from gateway.verification.bundle import (
    Bundle,
    MessageSignature,
    UnsupportedKind,
    read_bundle,
    read_envelope,
    read_pep740,
)
from gateway.verification.cosign import certificates_in, read_cosign
from gateway.verification.signed_metadata import format_of

# The first row whose keys are all there names the format.
_MARKS: Final = (
    (frozenset({"mediaType"}), Format.BUNDLE),
    (frozenset({"verificationMaterial"}), Format.BUNDLE),
    (frozenset({"verification_material"}), Format.PEP740),
    (frozenset({"payloadType", "payload", "signatures"}), Format.DSSE),
    (frozenset({"payload", "annotations"}), Format.COSIGN),
    (frozenset({"signed", "signatures"}), Format.LAYOUT),
)


def detect(body: bytes) -> Format:
    """Say how a piece of evidence is written, by the keys of its object; never raises."""
    try:
        document = json.parse_object(body, "evidence", limit=limits.EVIDENCE_BYTES)
    except Malformed:
        return Format.UNKNOWN
    form = next((form for keys, form in _MARKS if keys <= document.keys()), Format.UNKNOWN)
    # Links and layouts come in an envelope too, and look alike from outside.
    return (format_of(document) or form) if form in {Format.DSSE, Format.LAYOUT} else form


def pieces(body: bytes) -> tuple[bytes, ...]:
    """Split a `.jsonl` file into its lines, each a piece of evidence of its own; raises `TooLarge`.

    A single document that spans lines (a pretty-printed bundle) is one piece.
    """
    lines = [line for line in body.split(b"\n") if line.strip()]
    if len(lines) <= 1 or not all(line.lstrip().startswith(b"{") and line.rstrip().endswith(b"}") for line in lines):
        return (body,)
    if len(lines) > limits.EVIDENCE_PER_REQUEST:
        raise TooLarge("evidence", f"{limits.EVIDENCE_PER_REQUEST} pieces")
    return tuple(lines)


def is_plain_signature(body: bytes, form: Format) -> bool:
    """Whether evidence signs a file and not a statement; False too where it cannot be read."""
    if form is not Format.BUNDLE:
        return False  # the other formats hold statements, or name an image by its digest
    try:
        return isinstance(read_bundle(body).content, MessageSignature)
    except Malformed:
        return False


def read(body: bytes, form: Format) -> Bundle:
    """Read evidence of a format; raises `Malformed`."""
    match form:
        case Format.BUNDLE:
            return read_bundle(body)
        case Format.PEP740:
            return read_pep740(body)
        case Format.DSSE:
            return _read_dsse(json.parse_object(body, "envelope", limit=limits.EVIDENCE_BYTES))
        case Format.COSIGN:
            return read_cosign(body)
        case Format.LAYOUT | Format.LINK | Format.LINKS:
            raise UnsupportedKind("evidence", "an in-toto layout or link, which is not judged by itself")
        case Format.UNKNOWN:
            json.parse_object(body, "evidence", limit=limits.EVIDENCE_BYTES)  # says what is wrong with the JSON
            raise Malformed("evidence", "not a bundle, an attestation or an envelope")


def _read_dsse(envelope: Object) -> Bundle:
    """Read a bare envelope: signed by a key, or with the certificate beside the signature and no proof of the time.

    The SLSA generators wrote the latter: what the log said of it is in the log alone, so no root with a threshold
    accepts it.
    """
    read = read_envelope(envelope, "envelope")
    first = json.items(envelope, "signatures", dict, "envelope", most=limits.SIGNATURES)[0]
    leaf = json.optional(first, "cert", str, "envelope.signatures")
    certificates = certificates_in(leaf)[:1] if leaf else ()
    hint = None if certificates else json.optional(first, "keyid", str, "envelope.signatures") or ""
    return Bundle(3, certificates, hint, (), (), read)


def unreadable(about: str, error: Exception) -> Reason:
    """Why a piece of evidence could not be read; whatever a library raised is malformed evidence."""
    match error:
        case UnsupportedKind():
            return Reason(Code.EVIDENCE_UNSUPPORTED, about, got=str(error))
        case TooLarge():
            return Reason(Code.EVIDENCE_LIMIT, about, error.limit, error.about)
        case Malformed():
            return Reason(Code.EVIDENCE_MALFORMED, about, got=str(error))
        case _:
            return Reason(Code.EVIDENCE_MALFORMED, about, got=type(error).__name__)
