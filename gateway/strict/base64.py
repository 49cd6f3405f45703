"""Base64 from strangers: RFC 4648 section 4, canonical only.

Readers that skip foreign characters or stop at padding give different bytes for one text (`QUJD=QUJD` is `ABC` to
Node and `ABCABC` to Python); a text with non-zero trailing bits is a second spelling of the same bytes.
"""

from __future__ import annotations

import binascii

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
    if binascii.b2a_base64(value, newline=False) != raw:
        raise Malformed(about, "not canonical base64")
    if len(value) > limit:
        raise TooLarge(about, f"{limit} bytes")
    return value
