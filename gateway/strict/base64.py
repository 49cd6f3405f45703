"""Base64 from strangers: RFC 4648 section 4, canonical only.

Readers that skip foreign characters or stop at padding give different bytes for one text (`QUJD=QUJD` is `ABC` to
Node and `ABCABC` to Python); a text with non-zero trailing bits is a second spelling of the same bytes.
"""

from __future__ import annotations

import binascii
from dataclasses import dataclass

from gateway.errors import Malformed, TooLarge


def decode(text: str, about: str, limit: int) -> bytes:
    """Decode text that stands for at most `limit` bytes; raises `Malformed` or `TooLarge`."""
    if len(text) // 4 * 3 - 2 > limit:
        raise TooLarge(about, f"{limit} bytes")
    try:
        raw = text.encode("ascii")
        value = binascii.a2b_base64(raw, strict_mode=True)
    except (UnicodeEncodeError, binascii.Error):
        raise Malformed(about, "not base64 (RFC 4648, standard alphabet, padded)") from None
    # Only the last quantum can have a second spelling.
    if raw[-1:] == b"=" and binascii.b2a_base64(value[(len(raw) - 1) // 4 * 3 :], newline=False) != raw[-4:]:
        raise Malformed(about, "not canonical base64")
    if len(value) > limit:
        raise TooLarge(about, f"{limit} bytes")
    return value


@dataclass(slots=True)
class Decoder:
    """The same, piece by piece, for what is too large to be held; the pieces may be cut anywhere."""

    about: str
    _waiting: bytes = b""
    _ended: bool = False

    def feed(self, piece: bytes) -> bytes:
        """Decode as much as is whole; raises `Malformed`."""
        text = self._waiting + piece
        whole = len(text) // 4 * 4
        self._waiting = text[whole:]
        if not whole:
            return b""
        if self._ended:
            raise Malformed(self.about, "not base64: more behind its padding")
        try:
            value = binascii.a2b_base64(memoryview(text)[:whole], strict_mode=True)
        except binascii.Error:
            raise Malformed(self.about, "not base64 (RFC 4648, standard alphabet, padded)") from None
        self._ended = text[whole - 1 : whole] == b"="
        # Only the last quantum can have a second spelling.
        if self._ended and binascii.b2a_base64(value[(whole // 4 - 1) * 3 :], newline=False) != text[whole - 4 : whole]:
            raise Malformed(self.about, "not canonical base64")
        return value

    def finish(self) -> None:
        """Say that all has come; raises `Malformed` where a piece of it is missing."""
        if self._waiting:
            raise Malformed(self.about, "not base64: its length is no multiple of four")
