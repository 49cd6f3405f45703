"""in-toto's signed metadata to what was signed and by whom: the older form (`signed`, `signatures`) and envelopes.

Specification: https://github.com/in-toto/docs/blob/v1.0/in-toto-spec.md, sections 4.1 to 4.3, and ITE-5 for envelopes.
The library's models check the shape and give the canonical bytes that the older form's signatures are over. They never
see a document that `strict` did not read, and of what they leave out nothing is used.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

from in_toto.models.layout import Layout
from in_toto.models.link import Link

from gateway import limits
from gateway.errors import Malformed
from gateway.model.evidence import Format
from gateway.strict import json
from gateway.strict.json import Object
from gateway.verification.bundle import IN_TOTO, UnsupportedKind, octets, read_envelope

_ABOUT: Final = "in-toto metadata"
_GNUPG: Final = "other_headers"  # what in-toto keeps of an OpenPGP signature beside the signature
_FORMATS: Final = {"link": Format.LINK, "layout": Format.LAYOUT}


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature, and the id of the key that is said to have made it."""

    key_id: str
    value: bytes


@dataclass(frozen=True, slots=True)
class SignedMetadata:
    """A layout or a link with its signatures unchecked; `payload` is what an envelope holds, None in the older form."""

    document: Object
    signatures: tuple[Signature, ...]
    envelope: bytes | None = None

    @property
    def is_layout(self) -> bool:
        """Whether it is a layout, not a link."""
        return self.document.get("_type") == "layout"

    @property
    def key_ids(self) -> frozenset[str]:
        """The ids of the keys that are said to have signed it."""
        return frozenset(signature.key_id for signature in self.signatures)

    @property
    def message(self) -> bytes:
        """The bytes the signatures are over; costs a model of the whole document in the older form."""
        return self.model.signable_bytes if self.envelope is None else self.envelope

    @property
    def model(self) -> Link | Layout:
        """The library's model; raises `Malformed` where it does not take the document."""
        maker = Link if self.document.get("_type") == "link" else Layout
        try:
            # `read` replaces parts of what it is given.
            return maker.read(copy.deepcopy(self.document))
        except Exception as error:  # a third party's reader of hostile values: anything else fails closed
            raise Malformed(_ABOUT, f"not a {maker.__name__.lower()} of in-toto ({type(error).__name__})") from error


def format_of(document: Object) -> Format | None:
    """Say whether an object is a link or a layout, signatures and all; never raises."""
    try:
        return _FORMATS.get(str(_read(document)[0].get("_type")))
    except Malformed:
        return None


def read_metadata(data: bytes, limit: int = limits.EVIDENCE_BYTES) -> SignedMetadata:
    """Read a link or a layout of at most `limit` bytes; raises `Malformed`."""
    whole = json.parse_object(data, _ABOUT, limit=limit)
    document, envelope = _read(whole, limit)
    if str(document.get("_type")) not in _FORMATS:  # it may be anything, also what cannot be looked up
        raise Malformed(f"{_ABOUT}._type", "neither a link nor a layout")
    found = json.items(whole, "signatures", dict, _ABOUT, most=limits.SIGNATURES)
    if found and all(_GNUPG in one for one in found):
        raise UnsupportedKind(f"{_ABOUT}.signatures", "made by GnuPG; sign with an Ed25519, ECDSA or RSA key instead")
    return SignedMetadata(document, tuple(_signature(one, envelope is not None) for one in found), envelope)


def _read(whole: Object, limit: int = limits.EVIDENCE_BYTES) -> tuple[Object, bytes | None]:
    if "signed" in whole:
        return json.field(whole, "signed", dict, _ABOUT), None
    envelope = read_envelope(whole, _ABOUT)
    if envelope.payload_type != IN_TOTO:
        raise Malformed(f"{_ABOUT}.payloadType", "not in-toto's")
    return json.parse_object(envelope.payload, _ABOUT, limit=limit), envelope.pae


def _signature(item: Object, enveloped: bool) -> Signature:  # noqa: FBT001 - the form of the whole
    about = f"{_ABOUT}.signatures"
    key_id = json.optional(item, "keyid", str, about) or ""
    if enveloped:
        return Signature(key_id, octets(item, "sig", about, most=limits.SIGNATURE_BYTES))
    text = json.optional(item, "sig", str, about) or ""  # absent in those of GnuPG, which are not verified
    try:
        return Signature(key_id, bytes.fromhex(text))
    except ValueError:
        raise Malformed(about, "not in hexadecimal") from None
