"""Gzipped tar archives (sdists, npm packages) in one streaming pass, bounded, that every extractor reads alike.

One gzip member, one archive, zeros behind it. Files once; links relative, inside the root, and nothing written through
one. Of the extensions only a long name, a long link target and a size are read (GNU `L` and `K`, pax `path`,
`linkpath`, `size`), each once; sparse files, devices and multi-volume archives are refused.
Sources: POSIX.1-2017 pax, the GNU tar manual, RFC 1952.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import BinaryIO, Final

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.strict.archive.member import Members, checked

_BLOCK: Final = 512
_ZEROS: Final = bytes(_BLOCK)
_OCTAL: Final = re.compile(rb" *([0-7]+)[ \0]*|[ \0]*")
_FREE_OF_RATIO: Final = 64 * limits.MIB
_REGULAR: Final = frozenset({b"0", b"\0"})
_PAX_LINE: Final = re.compile(rb"([1-9][0-9]{0,7}) ")


@dataclass(frozen=True, slots=True)
class TarIndex:
    """A checked archive: every file and link by its path, and the bytes of the files that were kept."""

    files: frozenset[str]
    links: frozenset[str]
    kept: Mapping[str, bytes]


def read_tar_gz(handle: BinaryIO, about: str, *, keep: Callable[[str], bool], limit: int) -> TarIndex:
    """Read a whole archive from the start of a handle; raises `Malformed` or `TooLarge`.

    The bytes of the regular files whose path `keep` wants are returned, at most `limit` bytes of them together.
    """
    handle.seek(0)
    reader = _Reader(_Unpacked(handle, about), about, keep, limit)
    reader.run()
    return TarIndex(frozenset(reader.members.files), frozenset(reader.members.links), reader.kept)


class _Unpacked:
    """The bytes inside one gzip member, bounded in size and ratio."""

    def __init__(self, handle: BinaryIO, about: str) -> None:
        self._handle = handle
        self._about = about
        self._inflate = zlib.decompressobj(16 + zlib.MAX_WBITS)
        self._waiting = b""
        self._buffer = b""
        self._at = 0
        self._packed = 0
        self._unpacked = 0

    def read(self, size: int) -> bytes:
        """Return exactly `size` bytes, or none at the end."""
        pieces: list[bytes] = []
        missing = size
        while missing:
            if self._at == len(self._buffer) and not self._fill():
                break
            piece = self._buffer[self._at : self._at + missing]
            self._at += len(piece)
            missing -= len(piece)
            pieces.append(piece)
        if missing not in {0, size}:
            raise Malformed(self._about, "the archive ends inside a member")
        return b"".join(pieces)

    def skip(self, size: int) -> None:
        """Pass over exactly `size` bytes."""
        while size:
            if self._at == len(self._buffer) and not self._fill():
                raise Malformed(self._about, "the archive ends inside a member")
            step = min(size, len(self._buffer) - self._at)
            self._at += step
            size -= step

    def rest_is_zero(self) -> bool:
        """Read to the end; whether nothing but zeros came."""
        while True:
            if any(self._buffer[self._at :]):
                return False
            if not self._fill():
                return True

    def _fill(self) -> bool:
        self._buffer, self._at = b"", 0
        while not self._buffer:
            if self._inflate.eof:
                if self._inflate.unused_data or self._handle.read(1):
                    raise Malformed(self._about, "bytes after the gzip member")
                return False
            if not self._waiting:
                self._waiting = self._handle.read(limits.CHUNK // 4)
                self._packed += len(self._waiting)
                if not self._waiting:
                    raise Malformed(self._about, "the gzip member is cut short")
            try:
                self._buffer = self._inflate.decompress(self._waiting, limits.CHUNK)
            except zlib.error:
                raise Malformed(self._about, "not a gzip member, or a damaged one") from None
            self._waiting = self._inflate.unconsumed_tail
        self._unpacked += len(self._buffer)
        if self._unpacked > limits.ARCHIVE_EXPANDED:
            raise TooLarge(self._about, f"{limits.ARCHIVE_EXPANDED} bytes unpacked")
        if self._unpacked > _FREE_OF_RATIO + self._packed * limits.SDIST_RATIO:
            raise TooLarge(self._about, f"{limits.SDIST_RATIO} times its packed size")
        return True


@dataclass(slots=True)
class _Extension:
    """What the headers before a member say of it instead of its own."""

    given: dict[str, bytes] = field(default_factory=dict)

    def add(self, key: str, value: bytes, about: str) -> None:
        if key in self.given:
            raise Malformed(about, f"a member whose {key} is extended twice")
        self.given[key] = value


@dataclass(frozen=True, slots=True)
class _Header:
    name: bytes
    size: int
    kind: bytes
    target: bytes


@dataclass(slots=True)
class _Reader:
    """The walk over the members."""

    source: _Unpacked
    about: str
    keep: Callable[[str], bool]
    limit: int
    members: Members = field(init=False)
    kept: dict[str, bytes] = field(default_factory=dict)
    extended: int = 0

    def __post_init__(self) -> None:
        self.members = Members(self.about)

    def run(self) -> None:
        extension = _Extension()
        while True:
            block = self.source.read(_BLOCK)
            if block in {b"", _ZEROS}:
                if not block or extension.given or not self.source.rest_is_zero():
                    raise Malformed(self.about, "the archive does not end with blocks of zeros")
                self.members.finish()
                return
            header = _header(block, self.about)
            if header.kind in {b"x", b"g", b"L", b"K"}:
                self._extend(header, extension)
            else:
                self._member(header, extension)
                extension = _Extension()

    def _extend(self, header: _Header, extension: _Extension) -> None:
        body = self._body(header.size, limits.ARCHIVE_EXTENSION, "one extended header")
        self.extended += _BLOCK + len(body)
        if self.extended > limits.ARCHIVE_DIRECTORY:
            raise TooLarge(self.about, f"{limits.ARCHIVE_DIRECTORY} bytes of extended headers")
        if header.kind in {b"L", b"K"}:
            value = body.removesuffix(b"\0")
            extension.add("path" if header.kind == b"L" else "linkpath", value, self.about)
            return
        for key, value in _pax(body, self.about):
            if key in {"path", "linkpath", "size"}:
                if header.kind == b"g":
                    raise Malformed(self.about, f"a {key} for all members")
                extension.add(key, value, self.about)
            elif key.startswith("GNU.sparse.") or key == "hdrcharset":
                raise Malformed(self.about, f"the extended header {key[:60]}")

    def _member(self, header: _Header, extension: _Extension) -> None:
        given = extension.given
        size = _decimal(given["size"], self.about) if "size" in given else header.size
        path, slash = self._path(given.get("path", header.name))
        if header.kind in _REGULAR and not slash:
            self.members.add_file(path)
            self._content(path, size)
        elif header.kind == b"5" or (header.kind == b"\0" and slash):
            _need(size == 0, self.about, f"the directory {path[:200]!r} has contents")
            if path:
                self.members.add_folder(path)
            else:
                self.members.count()
        elif header.kind in {b"1", b"2"} and not slash:
            _need(size == 0, self.about, f"the link {path[:200]!r} has contents")
            self._link(path, header.kind, given.get("linkpath", header.target))
        else:
            raise Malformed(self.about, f"{path[:200]!r} is a special file (type {header.kind!r})")

    def _path(self, raw: bytes) -> tuple[str, bool]:
        """A member's path and whether it is spelled as a directory; `./` in front is the root, as `tar` writes it."""
        name = _text(raw, self.about)
        inside = name.removeprefix("./")
        if inside in {"", "."} and name:
            return "", True
        return checked(inside, self.about), inside.endswith("/")

    def _content(self, path: str, size: int) -> None:
        if not self.keep(path):
            self.source.skip(size + -size % _BLOCK)
            return
        already = sum(map(len, self.kept.values()))
        self.kept[path] = self._body(size, self.limit - already, path[:200])

    def _body(self, size: int, limit: int, what: str) -> bytes:
        if size > limit:
            raise TooLarge(self.about, f"{limit} bytes for {what}")
        body = self.source.read(size)
        _need(len(body) == size, self.about, "the archive ends inside a member")
        self.source.skip(-size % _BLOCK)
        return body

    def _link(self, path: str, kind: bytes, raw: bytes) -> None:
        target = _text(raw, self.about)
        if kind == b"1":
            inside = checked(target.removeprefix("./"), self.about)
            if inside not in self.members.files or inside in self.members.links:
                raise Malformed(self.about, f"the hard link {path[:200]!r} to what is no file before it")
        else:
            self._check_symlink(path, target)
        self.members.add_link(path)

    def _check_symlink(self, path: str, target: str) -> None:
        """`..` only in front, where it climbs real directories: behind a name it would follow wherever that leads."""
        steps = target.split("/")
        up = next((index for index, step in enumerate(steps) if step != ".."), len(steps))
        depth = path.count("/")
        if up and up >= depth:
            raise Malformed(self.about, f"the link {path[:200]!r} to {target[:200]!r} leaves the archive's root")
        if steps[up:]:
            checked("/".join(steps[up:]), self.about)


def _header(block: bytes, about: str) -> _Header:
    magic, version, prefix = block[257:263], block[263:265], block[345:500]
    gnu, ustar = magic + version == b"ustar  \0", magic + version == b"ustar\x0000"
    if not gnu and not ustar and any(block[257:]):
        raise Malformed(about, "a member's header is of no known kind of tar")
    checksum = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    if _number(block[148:156], about) != checksum:
        raise Malformed(about, "a member's header has a wrong checksum")
    name = _terminated(block[:100], about)
    if prefix[0]:
        _need(ustar, about, "a name's prefix where its kind of tar has none")
        name = _terminated(prefix, about) + b"/" + name
    return _Header(name, _number(block[124:136], about), block[156:157], _terminated(block[157:257], about))


def _number(raw: bytes, about: str) -> int:
    """An octal number, or GNU's binary one for sizes of 8 GiB and more."""
    if raw[0] == 0x80:
        return int.from_bytes(raw[1:], "big")
    match = _OCTAL.fullmatch(raw)
    if match is None:
        raise Malformed(about, "a number in a member's header that is not octal")
    return int(match[1] or b"0", 8)


def _terminated(raw: bytes, about: str) -> bytes:
    text, _, rest = raw.partition(b"\0")
    _need(not any(rest), about, "bytes behind the end of a name")
    return text


def _pax(body: bytes, about: str) -> list[tuple[str, bytes]]:
    records: dict[str, bytes] = {}
    at = 0
    while at < len(body):
        match = _PAX_LINE.match(body, at)
        end = at + int(match[1]) if match else 0
        if match is None or end > len(body) or body[end - 1 : end] != b"\n" or end <= match.end():
            raise Malformed(about, "an extended header that cannot be read")
        key, equals, value = body[match.end() : end - 1].partition(b"=")
        name = _text(key, about)
        if not equals or name in records:
            raise Malformed(about, "an extended header that cannot be read in one way only")
        records[name] = value
        at = end
    return list(records.items())


def _decimal(raw: bytes, about: str) -> int:
    if not re.fullmatch(rb"[0-9]{1,20}", raw):
        raise Malformed(about, "a member's size that is not a number")
    return int(raw)


def _text(raw: bytes, about: str) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise Malformed(about, f"the name {raw[:200]!r} is not UTF-8") from None


def _need(holds: bool, about: str, problem: str) -> None:  # noqa: FBT001
    if not holds:
        raise Malformed(about, problem)
