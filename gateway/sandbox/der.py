"""A small writer of DER (X.690), for what `cryptography` does not build, and a reader of one element."""

from __future__ import annotations

from datetime import UTC, datetime


def tlv(tag: int, content: bytes) -> bytes:
    """Return one element with a one-byte tag."""
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def sequence(*parts: bytes) -> bytes:
    """Return a SEQUENCE of elements already written."""
    return tlv(0x30, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    """Return a SET OF, sorted as DER asks (X.690, 11.6)."""
    return tlv(0x31, b"".join(sorted(parts)))


def tagged(number: int, content: bytes) -> bytes:
    """Return a constructed context tag: explicit around a whole element, implicit around an element's content."""
    return tlv(0xA0 | number, content)


def integer(value: int) -> bytes:
    """Return a non-negative INTEGER."""
    return tlv(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def octets(content: bytes) -> bytes:
    """Return an OCTET STRING."""
    return tlv(0x04, content)


def utf8(text: str) -> bytes:
    """Return a UTF8String."""
    return tlv(0x0C, text.encode())


def true() -> bytes:
    """Return BOOLEAN TRUE."""
    return tlv(0x01, b"\xff")


def oid(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    return tlv(0x06, b"".join(_base128(arc) for arc in [first * 40 + second, *rest]))


def generalized_time(at: datetime) -> bytes:
    """Return a GeneralizedTime of whole seconds in UTC."""
    return tlv(0x18, at.astimezone(UTC).strftime("%Y%m%d%H%M%SZ").encode())


def utc_time(at: datetime) -> bytes:
    """Return a UTCTime, which CMS asks for until 2049 (RFC 5652, 11.3)."""
    return tlv(0x17, at.astimezone(UTC).strftime("%y%m%d%H%M%SZ").encode())


def read(data: bytes) -> tuple[int, bytes, bytes]:
    """Split off the first element: its one-byte tag, its content, what follows; raises ValueError."""
    if len(data) < 2:
        raise ValueError("DER ends early")
    size, start = data[1], 2
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(data[2:start], "big")
    if start + size > len(data):
        raise ValueError("DER ends early")
    return data[0], data[start : start + size], data[start + size :]


def _base128(arc: int) -> bytes:
    digits = [arc & 0x7F]
    while arc := arc >> 7:
        digits.append(0x80 | (arc & 0x7F))
    return bytes(reversed(digits))
