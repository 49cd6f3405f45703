"""A log's checkpoint: a C2SP signed note over the size and root of its tree; other signers' lines are ignored.

Specifications: https://c2sp.org/signed-note and https://c2sp.org/tlog-checkpoint
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.strict import base64

_ABOUT: Final = "checkpoint"
_SIGNATURE_LINE: Final = "\u2014 "
_KEY_HINT: Final = 4  # bytes in front of each signature


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who it says signed, the hint at the key, the signature."""

    name: str
    hint: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a checkpoint says; `envelope` is the whole of it, `note` the text its signatures are over."""

    envelope: str
    note: bytes
    origin: str
    size: int
    root: bytes
    signatures: tuple[NoteSignature, ...]

    @property
    def signer(self) -> str:
        """The name the log signs under: Rekor v1 adds its tree's number to the origin, after ` - `."""
        return self.origin.partition(" - ")[0]


def read_checkpoint(envelope: str) -> Checkpoint:
    """Read a checkpoint; raises `Malformed`."""
    text, blank, tail = envelope.rpartition("\n\n")
    if not blank or not tail.endswith("\n"):
        raise Malformed(_ABOUT, "no signature lines after a blank line")
    lines = text.split("\n")
    if len(lines) < 3 or "" in lines:
        raise Malformed(_ABOUT, "expected origin, size and root hash, a line each")
    origin, size, root = lines[:3]
    if not (size.isascii() and size.isdigit() and len(size) <= 20) or (size != "0" and size.startswith("0")):
        raise Malformed(_ABOUT, "the tree's size is not a decimal number")
    found = tail[:-1].split("\n")
    if len(found) > limits.CHECKPOINT_SIGNATURES:
        raise TooLarge(_ABOUT, f"{limits.CHECKPOINT_SIGNATURES} signatures")
    root_hash = base64.decode(root, _ABOUT, 32)
    if len(root_hash) != 32:
        raise Malformed(_ABOUT, "the root hash is not 32 bytes")
    signatures = tuple(_signature(line) for line in found)
    return Checkpoint(envelope, f"{text}\n".encode(), origin, int(size), root_hash, signatures)


def _signature(line: str) -> NoteSignature:
    name, _, encoded = line.removeprefix(_SIGNATURE_LINE).rpartition(" ")
    if not line.startswith(_SIGNATURE_LINE) or not name:
        raise Malformed(_ABOUT, "a line after the blank one is not a signature")
    blob = base64.decode(encoded, _ABOUT, limits.SIGNATURE_BYTES)
    if len(blob) <= _KEY_HINT:
        raise Malformed(_ABOUT, "a signature is cut short")
    return NoteSignature(name, blob[:_KEY_HINT], blob[_KEY_HINT:])
