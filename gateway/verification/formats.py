"""The formats evidence is written in: telling one from another, and each one's reader to a `Bundle`."""

from __future__ import annotations

from gateway import limits
from gateway.errors import Malformed
from gateway.model.evidence import Format
from gateway.strict import json
from gateway.verification.bundle import Bundle, read_bundle, read_pep740


def detect(body: bytes) -> Format:
    """Say how a piece of evidence is written, by the keys of its object; never raises."""
    try:
        document = json.parse_object(body, "evidence", limit=limits.EVIDENCE_BYTES)
    except Malformed:
        return Format.UNKNOWN
    keys = document.keys()
    if "mediaType" in keys or "verificationMaterial" in keys:
        return Format.BUNDLE
    if "verification_material" in keys:
        return Format.PEP740
    if {"payloadType", "payload", "signatures"} <= keys:
        return Format.DSSE
    return Format.UNKNOWN


def read(body: bytes, form: Format) -> Bundle:
    """Read evidence of a format; raises `Malformed`."""
    match form:
        case Format.BUNDLE:
            return read_bundle(body)
        case Format.PEP740:
            return read_pep740(body)
        case _:
            json.parse_object(body, "evidence", limit=limits.EVIDENCE_BYTES)  # says what is wrong with the JSON
            raise Malformed("evidence", "not a bundle, an attestation or an envelope")
