"""npm's publish document, taken piece by piece: the tarball's base64 goes decoded to the spool, the rest is kept.

The scanner follows strings and brackets only as far as it must to find `_attachments.<name>.data`. What is left, with
an empty text in the tarball's place, is then read strictly as a whole: where that succeeds, the scanner saw the same
document.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.model.digest import Digest, Measure
from gateway.strict import json as strict_json
from gateway.strict.base64 import Decoder

ABOUT: Final = "the publish document"
BUNDLE: Final = ".sigstore"  # an attachment of this name is evidence, and its data is text
_MARK: Final = re.compile(rb'["{}\[\]:,]')
_IN_STRING: Final = re.compile(rb'["\\]')
_DEPTH: Final = 3  # of `data`, with its key
_LONGEST_KEY: Final = 1024


@dataclass(slots=True)
class _Level:
    """One open object (`key` is the one that came last) or array (`key` None)."""

    is_object: bool
    key: str | None = None
    key_next: bool = True


class DocumentReceiver:
    """Reads one publish document; `limit` bounds the tarball. `path` is the request's, which names the package."""

    def __init__(self, path: str, spool: BinaryIO, limit: int) -> None:
        self.path = path
        self.spool = spool
        self._limit = limit
        self._measure: Measure | None = None
        self._decoder: Decoder | None = None  # while inside the tarball's text
        self._rest = bytearray()
        self._levels: list[_Level] = []
        self._in_string = False
        self._escaped = False
        self._key: bytearray | None = None  # while inside a key that counts
        self._document: strict_json.Object | None = None

    @property
    def document(self) -> strict_json.Object:
        """The document, with an empty text for the tarball's data."""
        if self._document is None:
            raise RuntimeError("the document is there after finish()")
        return self._document

    @property
    def size(self) -> int | None:
        """The tarball's size in bytes; None where the document has none."""
        return None if self._measure is None else self._measure.size

    def digests(self) -> tuple[Digest, ...]:
        """What was measured of the tarball."""
        return () if self._measure is None else self._measure.digests()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body."""
        at = 0
        while at < len(chunk):
            if self._decoder is not None:
                at = self._data(chunk, at, self._decoder)
            elif self._in_string:
                at = self._string(chunk, at)
            else:
                at = self._structure(chunk, at)

    def finish(self) -> None:
        """The body is complete: raises `Malformed` when the document is not."""
        self._document = strict_json.parse_object(bytes(self._rest), ABOUT, limit=limits.FORM_TOTAL)
        self._rest.clear()

    def _structure(self, chunk: bytes, at: int) -> int:
        found = _MARK.search(chunk, at)
        end = found.end() if found else len(chunk)
        self._keep(chunk[at:end])
        if found is None:
            return end
        top = self._levels[-1] if self._levels else None
        match found.group():
            case b'"':
                self._open(top)
            case b"{" | b"[" as bracket:
                self._levels.append(_Level(bracket == b"{"))
                if len(self._levels) > limits.JSON_DEPTH:
                    raise TooLarge(ABOUT, f"{limits.JSON_DEPTH} levels of nesting")
            case b"}" | b"]":
                if not self._levels:
                    raise Malformed(ABOUT, "not JSON: a bracket closes what was not opened")
                self._levels.pop()
            case b":" if top is not None:
                top.key_next = False
            case b"," if top is not None:
                top.key_next = True
        return end

    def _open(self, top: _Level | None) -> None:
        if top is not None and top.is_object and top.key_next:
            self._in_string = True
            self._key = bytearray() if len(self._levels) <= _DEPTH else None
        elif self._at_tarball():
            if self._measure is not None:
                raise Malformed(ABOUT, "more than one tarball")
            self._measure = Measure(("sha1", "sha512"))
            self._decoder = Decoder("the tarball's data")
        else:
            self._in_string = True

    def _at_tarball(self) -> bool:
        if len(self._levels) != _DEPTH or not all(level.is_object for level in self._levels):
            return False
        outer, name, inner = (level.key for level in self._levels)
        return outer == "_attachments" and inner == "data" and not (name or "").endswith(BUNDLE)

    def _string(self, chunk: bytes, at: int) -> int:
        if self._escaped:
            self._escaped = False
            return self._text(chunk, at, at + 1)
        found = _IN_STRING.search(chunk, at)
        end = self._text(chunk, at, found.end() if found else len(chunk))
        if found is not None and found.group() == b"\\":
            self._escaped = True
        elif found is not None:
            self._in_string = False
            if self._key is not None:
                self._levels[-1].key = _key(self._key)
                self._key = None
        return end

    def _text(self, chunk: bytes, at: int, end: int) -> int:
        self._keep(chunk[at:end])
        if self._key is not None:
            self._key += chunk[at:end]
            if len(self._key) > _LONGEST_KEY:
                raise TooLarge(ABOUT, f"{_LONGEST_KEY} bytes for a key")
        return end

    def _data(self, chunk: bytes, at: int, decoder: Decoder) -> int:
        end = chunk.find(b'"', at)
        value = decoder.feed(chunk[at : end if end >= 0 else len(chunk)])
        assert self._measure is not None
        self._measure.update(value)
        if self._measure.size > self._limit:
            raise TooLarge("the tarball", f"{self._limit} bytes")
        self.spool.write(value)
        if end < 0:
            return len(chunk)
        decoder.finish()
        self._decoder = None
        self._keep(b'"')
        return end + 1

    def _keep(self, piece: bytes) -> None:
        self._rest += piece
        if len(self._rest) > limits.FORM_TOTAL:
            raise TooLarge(f"{ABOUT} without its tarball", f"{limits.FORM_TOTAL} bytes")


def _key(raw: bytearray) -> str:
    """A key as a JSON reader takes it, escapes and all; `raw` ends with its closing quote."""
    try:
        return str(json.loads(b'"' + raw))
    except ValueError:
        raise Malformed(ABOUT, "a key that cannot be read") from None
