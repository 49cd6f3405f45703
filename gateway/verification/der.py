"""A reader of DER elements, enough for a timestamp token: definite, minimal lengths and one-byte tags only."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final, NamedTuple

from gateway.errors import Malformed

INTEGER: Final = 0x02
OCTETS: Final = 0x04
OID: Final = 0x06
SEQUENCE: Final = 0x30
SET: Final = 0x31
GENERALIZED_TIME: Final = 0x18
CONTEXT_0: Final = 0xA0
CONTEXT_1: Final = 0xA1
_ABOUT: Final = "timestamp token"
_TIME: Final = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)


class Element(NamedTuple):
    """One element: its tag, the bytes of its value, and the whole of it as it stood."""

    tag: int
    value: bytes
    raw: bytes


def elements(data: bytes) -> list[Element]:
    """Read elements one after another to the end of the data; raises `Malformed` for anything that is not DER."""
    found: list[Element] = []
    at, end = 0, len(data)
    while at < end:
        if at + 2 > end:
            raise Malformed(_ABOUT, "an element is cut short")
        tag, length, start = data[at], data[at + 1], at + 2
        if tag & 0x1F == 0x1F:
            raise Malformed(_ABOUT, "a tag of more than one byte")
        if length >= 0x80:
            count = length & 0x7F
            if not 1 <= count <= 3 or start + count > end:
                raise Malformed(_ABOUT, "an element's length is not DER")
            length = int.from_bytes(data[start : start + count], "big")
            if length < 0x80 or length >> (8 * (count - 1)) == 0:
                raise Malformed(_ABOUT, "an element's length is not minimal")
            start += count
        stop = start + length
        if stop > end:
            raise Malformed(_ABOUT, "an element is longer than what holds it")
        found.append(Element(tag, data[start:stop], data[at:stop]))
        at = stop
    return found


def single(data: bytes, tag: int) -> Element:
    """Read exactly one element of that tag."""
    found = elements(data)
    if len(found) != 1:
        raise Malformed(_ABOUT, "expected exactly one element")
    return expect(found[0], tag)


def expect(element: Element, tag: int) -> Element:
    """Return the element where it has the tag."""
    if element.tag != tag:
        raise Malformed(_ABOUT, f"expected an element with tag {tag:#04x}, got {element.tag:#04x}")
    return element


def integer(element: Element) -> int:
    """Read an INTEGER."""
    value = expect(element, INTEGER).value
    if not value or len(value) > 32:
        raise Malformed(_ABOUT, "an integer of no or too many bytes")
    return int.from_bytes(value, "big", signed=True)


def generalized_time(element: Element) -> datetime:
    """Read a GeneralizedTime of RFC 3161: UTC, with or without a fraction of a second."""
    text = expect(element, GENERALIZED_TIME).value.decode("ascii", "replace")
    found = _TIME.fullmatch(text)
    if found is None:
        raise Malformed(_ABOUT, "not a time in UTC")
    year, month, day, hour, minute, second = (int(digits) for digits in found.groups()[:-1])
    microsecond = int((found[7] or "")[:6].ljust(6, "0"))
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, UTC)
    except ValueError as error:
        raise Malformed(_ABOUT, "not a time") from error
