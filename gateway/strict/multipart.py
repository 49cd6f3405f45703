"""multipart/form-data (RFC 7578): a reader without I/O that reads one body one way, and the writer of a fresh one.

What lenient readers read differently is refused: anything before the first or after the last delimiter, a bare LF,
folded, repeated or unknown part headers, a repeated or extended (`filename*`) parameter, a transfer encoding that
changes the bytes, a delimiter with anything behind it. How the bytes are cut into chunks never matters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway import limits
from gateway.errors import Malformed, TooLarge

_ABOUT: Final = "form"
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE: Final = re.compile(
    rf"multipart/form-data[ \t]*;[ \t]*({_WORD})=(?:\"([^\"\\]*)\"|({_WORD}))[ \t]*", re.IGNORECASE | re.ASCII
)
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=?-]{1,70}")  # RFC 2046's bchars, less the space
_HEADER: Final = re.compile(rf"({_WORD}):[ \t]*(.*?)[ \t]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_DISPOSITION: Final = re.compile(r"form-data(?=[ \t]*;)", re.IGNORECASE | re.ASCII)
_PARAMETER: Final = re.compile(rf"[ \t]*;[ \t]*({_WORD})=(?:\"([^\"\\]*)\"|({_WORD}))")
_IDENTITY_ENCODINGS: Final = frozenset({"binary", "8bit", "7bit"})
_KNOWN_HEADERS: Final = frozenset({"content-disposition", "content-type", "content-transfer-encoding"})
_SAFE_NAME: Final = re.compile(r'[^\x00-\x1f\x7f"\\]+')


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part's head; `filename` is None where the part is a plain field, and may be any text otherwise."""

    name: str
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part; never empty."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is complete."""


@dataclass(frozen=True, slots=True)
class End:
    """The last delimiter was read; `Reader.close` still has to say that nothing followed."""


Event: TypeAlias = PartBegin | PartData | PartEnd | End


def boundary(content_type: str) -> str:
    """Read the boundary out of a Content-Type header; raises `Malformed` for any other parameter or a second one."""
    match = _MEDIA_TYPE.fullmatch(content_type)
    if match is None or match[1].lower() != "boundary":
        raise Malformed("Content-Type", "expected multipart/form-data with one boundary and nothing else")
    value = match[3] if match[2] is None else match[2]
    if _BOUNDARY.fullmatch(value) is None:
        raise Malformed("Content-Type", "the boundary is not 1 to 70 characters of RFC 2046's set")
    return str(value)


class Reader:
    """Takes a body in pieces of any size and gives its events; raises `Malformed` or `TooLarge`, then is spent.

    Bounds the parts' number and heads. The size of a part is the caller's to bound, as the data comes.
    """

    def __init__(self, content_type: str) -> None:
        self._delimiter = b"\r\n--" + boundary(content_type).encode()
        # The first delimiter has no line before it; with one put there it reads like all others.
        self._buffer = b"\r\n"
        self._at = 0  # what lies before is taken
        self._state: Callable[[list[Event]], bool] = self._first
        self._parts = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """Take the next bytes."""
        self._buffer, self._at = self._buffer[self._at :] + chunk, 0
        events: list[Event] = []
        while self._state(events):
            pass
        return events

    def close(self) -> None:
        """Say that the body is complete; raises `Malformed` where its last delimiter is missing or junk follows."""
        if self._state != self._epilogue:
            raise Malformed(_ABOUT, "ends before its last delimiter")
        if self._buffer[self._at :] not in {b"", b"\r\n"}:
            raise Malformed(_ABOUT, "bytes after the last delimiter")

    # Each state takes what it can from the buffer and says whether the next may try.

    def _first(self, _events: list[Event]) -> bool:
        size = len(self._delimiter)
        if not self._delimiter.startswith(self._buffer[:size]):
            raise Malformed(_ABOUT, "does not begin with its delimiter")
        return len(self._buffer) >= size and self._take(size, self._after_delimiter)

    def _after_delimiter(self, events: list[Event]) -> bool:
        follows = self._buffer[self._at : self._at + 2]
        if len(follows) < 2:
            return False
        if follows == b"\r\n":
            self._parts += 1
            if self._parts > limits.FORM_FIELDS:
                raise TooLarge(_ABOUT, f"{limits.FORM_FIELDS} parts")
            return self._take(2, self._head)
        if follows != b"--" or not self._parts:
            raise Malformed(_ABOUT, "a delimiter that neither begins a part nor ends the form")
        events.append(End())
        return self._take(2, self._epilogue)

    def _head(self, events: list[Event]) -> bool:
        bound = self._at + limits.PART_HEADERS + 4
        end = self._buffer.find(b"\r\n\r\n", self._at, bound)
        if end < 0:
            if len(self._buffer) >= bound:
                raise TooLarge(_ABOUT, f"{limits.PART_HEADERS} bytes for one part's headers")
            return False
        events.append(_part_begin(self._buffer[self._at : end]))
        return self._take(end + 4 - self._at, self._body)

    def _body(self, events: list[Event]) -> bool:
        size = len(self._delimiter)
        end = found = self._buffer.find(self._delimiter, self._at)
        if found < 0:
            # What may be the beginning of a delimiter stays; a CR is nowhere in it but in front.
            begun = self._buffer.rfind(b"\r", max(self._at, len(self._buffer) - size + 1))
            end = begun if begun >= 0 else len(self._buffer)
        if end > self._at:
            events.append(PartData(self._buffer[self._at : end]))
        if found < 0:
            self._at = end
            return False
        events.append(PartEnd())
        return self._take(end + size - self._at, self._after_delimiter)

    def _epilogue(self, _events: list[Event]) -> bool:
        if len(self._buffer) - self._at > 2:
            raise Malformed(_ABOUT, "bytes after the last delimiter")
        return False

    def _take(self, size: int, then: Callable[[list[Event]], bool]) -> bool:
        self._at += size
        self._state = then
        return True


@dataclass(frozen=True, slots=True)
class Encoded:
    """A form around one file: send `head`, the file's bytes, `tail`; `length` counts all three."""

    content_type: str
    head: bytes
    tail: bytes
    length: int


def encode(
    fields: Sequence[tuple[str, str]], part: str, file_name: str, file_size: int, *, randomness: bytes
) -> Encoded:
    """Write plain fields in their order and then one file; `randomness` (16 bytes) makes the boundary.

    Raises `Malformed` for a name that does not fit between quotes as it is; values may hold any text.
    """
    if len(randomness) != 16:
        raise ValueError("a boundary takes 16 random bytes")
    mark = f"provgate-{randomness.hex()}"
    pieces = [f"--{mark}\r\n{_disposition(name)}\r\n\r\n{value}\r\n" for name, value in fields]
    pieces.append(
        f"--{mark}\r\n{_disposition(part)}; filename={_quoted(file_name)}\r\n"
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    head, tail = "".join(pieces).encode(), f"\r\n--{mark}--\r\n".encode()
    return Encoded(f"multipart/form-data; boundary={mark}", head, tail, len(head) + file_size + len(tail))


def _disposition(name: str) -> str:
    return f"Content-Disposition: form-data; name={_quoted(name)}"


def _quoted(name: str) -> str:
    if _SAFE_NAME.fullmatch(name) is None:
        raise Malformed(_ABOUT, "a name that does not fit between quotes")
    return f'"{name}"'


def _part_begin(head: bytes) -> PartBegin:
    headers = _headers(head)
    encoding = headers.get("content-transfer-encoding", "binary")
    if encoding.lower() not in _IDENTITY_ENCODINGS:
        raise Malformed(_ABOUT, "a part with a transfer encoding")
    media_type = headers.get("content-type")
    if media_type is not None and media_type.lower().startswith("multipart/"):
        raise Malformed(_ABOUT, "a form inside the form")
    if "content-disposition" not in headers:
        raise Malformed(_ABOUT, "a part without Content-Disposition")
    parameters = _parameters(headers["content-disposition"])
    if "name" not in parameters:
        raise Malformed(_ABOUT, "a part without a name")
    return PartBegin(parameters["name"], parameters.get("filename"), media_type)


def _headers(head: bytes) -> dict[str, str]:
    try:
        text = head.decode()
    except UnicodeDecodeError:
        raise Malformed(_ABOUT, "a part's headers are not UTF-8") from None
    headers: dict[str, str] = {}
    for line in text.split("\r\n"):
        match = _HEADER.fullmatch(line)
        # A folded line begins with a space, which is no header name; a bare CR or LF is a control character.
        if match is None or _CONTROL.search(match[2]):
            raise Malformed(_ABOUT, "a part's header that is not `Name: value` in one line")
        name = match[1].lower()
        if name not in _KNOWN_HEADERS:
            raise Malformed(_ABOUT, f"the unknown part header {name[:60]}")
        if name in headers:
            raise Malformed(_ABOUT, f"the part header {name} is given twice")
        headers[name] = match[2]
    return headers


def _parameters(disposition: str) -> dict[str, str]:
    start = _DISPOSITION.match(disposition)
    if start is None:
        raise Malformed(_ABOUT, "a Content-Disposition other than form-data")
    parameters: dict[str, str] = {}
    at = start.end()
    while at < len(disposition):
        match = _PARAMETER.match(disposition, at)
        if match is None:
            raise Malformed(_ABOUT, "a Content-Disposition that cannot be read in one way only")
        name = match[1].lower()
        if name not in {"name", "filename"}:
            raise Malformed(_ABOUT, f"the unknown Content-Disposition parameter {name[:60]}")
        if name in parameters:
            raise Malformed(_ABOUT, f"the Content-Disposition parameter {name} is given twice")
        parameters[name] = match[3] if match[2] is None else match[2]
        at = match.end()
    return parameters
