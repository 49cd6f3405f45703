"""ZIP archives (wheels, legacy sdists) that every reader reads alike: one directory, tiled bytes, agreeing headers.

Readers differ in what they trust: the central directory, the local headers, or the first thing that looks like an
entry. So the entries must cover the file from its first byte to the directory without gap or overlap, each local
header must say what the directory says, and nothing may stand around the end record but its own comment.
Source: APPNOTE.TXT 6.3.10. Contents are inflated and checked by CRC only where they are read.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.strict.archive.member import Members, checked

_END: Final = struct.Struct("<4s4H2LH")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_EXTRA: Final = struct.Struct("<2H")
_COMMENT: Final = 0xFFFF
_FULL16: Final = 0xFFFF  # «see the 64-bit record»
_FULL32: Final = 0xFFFFFFFF
_STORED, _DEFLATED = 0, 8
_NEWEST: Final = 63  # version 6.3 of the format, as far as readers go
_FLAG_DESCRIPTOR: Final = 1 << 3
_FLAG_UTF8: Final = 1 << 11
_KNOWN_FLAGS: Final = 0b110 | _FLAG_DESCRIPTOR | _FLAG_UTF8  # bits 1 and 2 only say how hard deflate tried
_ZIP64: Final = 0x0001
_UNICODE_PATH: Final = 0x7075  # a second name for the entry, which some readers prefer


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One file or directory as the central directory gives it; `offset` is its local header's."""

    raw_name: bytes
    path: str
    folder: bool
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class ZipIndex:
    """A checked archive: `files` holds every file by its path."""

    about: str
    files: Mapping[str, ZipEntry]
    _handle: BinaryIO

    def read(self, path: str, limit: int) -> bytes:
        """Return one file's bytes, checked by size and CRC; raises `TooLarge` past `limit` bytes."""
        entry = self.files.get(path)
        if entry is None:
            raise Malformed(self.about, f"{path[:200]!r} is missing")
        about = f"{self.about}: {path}"
        if entry.size > limit or entry.packed > limit + 1024:
            raise TooLarge(about, f"{limit} bytes")
        packed = _at(self._handle, _data_offset(self._handle, entry, self.about), entry.packed, self.about)
        data = packed if entry.method == _STORED else _inflated(packed, entry.size, about)
        if len(data) != entry.size or zlib.crc32(data) != entry.crc:
            raise Malformed(about, "its bytes are not those that its header promises")
        return data


def read_zip(handle: BinaryIO, about: str) -> ZipIndex:
    """Read and check the directory of an archive in a seekable handle, which must stay open; raises `Malformed`."""
    start, size, count = _end(handle, about)
    if size > limits.ARCHIVE_DIRECTORY:
        raise TooLarge(about, f"{limits.ARCHIVE_DIRECTORY} bytes of directory")
    if count > limits.ARCHIVE_ENTRIES:
        raise TooLarge(about, f"{limits.ARCHIVE_ENTRIES} members")
    entries = list(_central(_at(handle, start, size, about), count, about))
    members = Members(about)
    for entry in entries:
        if entry.folder:
            members.add_folder(entry.path)
        else:
            members.add_file(entry.path)
    members.finish()
    _bound_sizes(entries, about)
    _check_tiling(handle, entries, start, about)
    return ZipIndex(about, {entry.path: entry for entry in entries if not entry.folder}, handle)


def _at(handle: BinaryIO, offset: int, size: int, about: str) -> bytes:
    handle.seek(offset)
    data = handle.read(size)
    if len(data) != size:
        raise Malformed(about, "the archive ends too early")
    return data


def _end(handle: BinaryIO, about: str) -> tuple[int, int, int]:
    """Find the one end record; give the directory's offset, its size and its number of entries."""
    length = handle.seek(0, 2)
    tail_at = max(0, length - _END.size - _COMMENT)
    tail = _at(handle, tail_at, length - tail_at, about)
    found = tail.rfind(b"PK\x05\x06")
    if found < 0 or found + _END.size > len(tail):
        raise Malformed(about, "no ZIP archive: no end record")
    _, disk, first_disk, here, count, size, start, comment = _END.unpack_from(tail, found)
    if found + _END.size + comment != len(tail):
        raise Malformed(about, "bytes after the end record")
    end = tail_at + found
    plain = (disk, first_disk, here, count, size, start)
    if end >= _END64_LOCATOR.size + _END64.size:
        locator = _END64_LOCATOR.unpack(_at(handle, end - _END64_LOCATOR.size, _END64_LOCATOR.size, about))
        if locator[0] == b"PK\x06\x07":
            end -= _END64_LOCATOR.size + _END64.size
            plain = _end64(handle, end, locator, plain, about)
    disk, first_disk, here, count, size, start = plain
    if disk or first_disk or here != count:
        raise Malformed(about, "the archive is split over several files")
    if start + size != end:
        raise Malformed(about, "the directory does not end where the end record begins")
    return start, size, count


def _end64(
    handle: BinaryIO, at: int, locator: tuple[bytes, int, int, int], plain: tuple[int, ...], about: str
) -> tuple[int, int, int, int, int, int]:
    """Read the 64-bit end record; the 32-bit one must agree wherever it does not defer to it."""
    _, disk, offset, disks = locator
    signature, length, _, _, *wide = _END64.unpack(_at(handle, at, _END64.size, about))
    if signature != b"PK\x06\x06" or length != _END64.size - 12 or offset != at or disk or disks > 1:
        raise Malformed(about, "the 64-bit end record is not where its locator says")
    deferring = (_FULL16, _FULL16, _FULL16, _FULL16, _FULL32, _FULL32)
    for short, long, full in zip(plain, wide, deferring, strict=True):
        if short not in {long, full}:
            raise Malformed(about, "the two end records disagree")
    return wide[0], wide[1], wide[2], wide[3], wide[4], wide[5]


def _central(directory: bytes, count: int, about: str) -> Iterator[ZipEntry]:
    at = 0
    for _ in range(count):
        if at + _CENTRAL.size > len(directory):
            raise Malformed(about, "the directory ends too early")
        (
            signature, _, needs, flags, method, _, _, crc, packed, size,
            name_length, extra_length, comment_length, disk, _, attributes, offset,
        ) = _CENTRAL.unpack_from(directory, at)  # fmt: skip
        name_at = at + _CENTRAL.size
        extra_at = name_at + name_length
        at = extra_at + extra_length + comment_length
        if signature != b"PK\x01\x02" or at > len(directory):
            raise Malformed(about, "the directory ends too early or holds something else")
        raw_name = directory[name_at:extra_at]
        wide = _extra64(directory[extra_at : extra_at + extra_length], (size, packed, offset), about)
        size, packed, offset = wide
        if flags & ~_KNOWN_FLAGS:
            raise Malformed(about, f"{raw_name[:200]!r} is encrypted, patched or otherwise special")
        if method not in {_STORED, _DEFLATED}:
            raise Malformed(
                about, f"{raw_name[:200]!r} is packed with method {method}; only stored and deflate are read"
            )
        if disk or needs > _NEWEST:
            raise Malformed(about, f"{raw_name[:200]!r} is split over several files, or for newer readers")
        path, folder = _path(raw_name, flags, attributes, about)
        if (method == _STORED and size != packed) or (folder and size):
            raise Malformed(about, f"the sizes of {path[:200]!r} contradict each other")
        yield ZipEntry(raw_name, path, folder, flags, method, crc, packed, size, offset)
    if at != len(directory):
        raise Malformed(about, "more in the directory than the end record counts")


def _path(raw: bytes, flags: int, attributes: int, about: str) -> tuple[str, bool]:
    try:
        # Without the flag the name is in no stated code page beyond ASCII: readers differ.
        name = raw.decode("utf-8" if flags & _FLAG_UTF8 else "ascii")
    except UnicodeDecodeError:
        raise Malformed(about, f"the member name {raw[:200]!r} is neither ASCII nor marked as UTF-8") from None
    folder = name.endswith("/")
    kind = stat.S_IFMT(attributes >> 16)
    if kind not in {0, stat.S_IFDIR if folder else stat.S_IFREG}:
        raise Malformed(about, f"{name[:200]!r} is a link or a special file")
    return checked(name, about), folder


def _extra64(extra: bytes, narrow: tuple[int, ...], about: str) -> tuple[int, ...]:
    """Replace each narrow value that defers to the 64-bit extra field by the value there."""
    wide: bytes | None = None
    at = 0
    while at + _EXTRA.size <= len(extra):
        tag, length = _EXTRA.unpack_from(extra, at)
        at += _EXTRA.size + length
        if at > len(extra) or tag == _UNICODE_PATH or (tag == _ZIP64 and wide is not None):
            raise Malformed(about, "an extra field that is torn, repeated or gives a second name")
        if tag == _ZIP64:
            wide = extra[at - length : at]
    if at != len(extra):
        raise Malformed(about, "an extra field that is torn")
    values = list(narrow)
    for index, value in enumerate(narrow):
        if value == _FULL32:
            if wide is None or len(wide) < 8:
                raise Malformed(about, "a size that its 64-bit extra field does not give")
            values[index], wide = int.from_bytes(wide[:8], "little"), wide[8:]
    return tuple(values)


def _bound_sizes(entries: list[ZipEntry], about: str) -> None:
    if sum(entry.size for entry in entries) > limits.ARCHIVE_EXPANDED:
        raise TooLarge(about, f"{limits.ARCHIVE_EXPANDED} bytes unpacked")
    for entry in entries:
        if entry.size > (entry.packed + 1) * limits.ARCHIVE_RATIO:
            raise Malformed(about, f"{entry.path[:200]!r} cannot unpack to what its header promises")


def _check_tiling(handle: BinaryIO, entries: list[ZipEntry], directory: int, about: str) -> None:
    """Walk the local headers in the file's order: each begins where the one before ended."""
    entries = sorted(entries, key=lambda entry: entry.offset)
    starts = [*(entry.offset for entry in entries), directory]
    if starts[0] != 0:
        raise Malformed(about, "bytes before the first entry")
    for entry, following in zip(entries, starts[1:], strict=True):
        end = _data_offset(handle, entry, about) + entry.packed
        if entry.flags & _FLAG_DESCRIPTOR and end < following:
            _check_descriptor(_at(handle, end, min(following - end, 25), about), entry, about)
        elif entry.flags & _FLAG_DESCRIPTOR or end != following:
            raise Malformed(about, f"{entry.path[:200]!r} does not end where the next entry begins")


def _data_offset(handle: BinaryIO, entry: ZipEntry, about: str) -> int:
    """Compare the local header with the directory; give the place of the entry's data."""
    header = _at(handle, entry.offset, _LOCAL.size, about)
    signature, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack(header)
    rest = _at(handle, entry.offset + _LOCAL.size, name_length + extra_length, about)
    size, packed = _extra64(rest[name_length:], (size, packed), about)
    stated, central = (crc, packed, size), (entry.crc, entry.packed, entry.size)
    if entry.flags & _FLAG_DESCRIPTOR and not any(stated):
        stated = central
    same = (flags, method, rest[:name_length]) == (entry.flags, entry.method, entry.raw_name)
    if signature != b"PK\x03\x04" or not same or stated != central:
        raise Malformed(about, f"the two headers of {entry.path[:200]!r} disagree")
    return entry.offset + _LOCAL.size + len(rest)


def _check_descriptor(found: bytes, entry: ZipEntry, about: str) -> None:
    """A data descriptor has 32- or 64-bit sizes and may have a signature; it is all that follows the data."""
    narrow = (entry.packed, entry.size) if max(entry.packed, entry.size) <= _FULL32 else None
    forms = [struct.pack("<L2Q", entry.crc, entry.packed, entry.size)]
    if narrow is not None:
        forms.append(struct.pack("<3L", entry.crc, *narrow))
    if found not in {*forms, *(b"PK\x07\x08" + form for form in forms)}:
        raise Malformed(about, f"what follows the data of {entry.path[:200]!r} is not its descriptor")


def _inflated(packed: bytes, size: int, about: str) -> bytes:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = inflate.decompress(packed, size + 1)
    except zlib.error:
        raise Malformed(about, "not a deflate stream") from None
    if len(data) > size or not inflate.eof or inflate.unused_data or inflate.unconsumed_tail:
        raise Malformed(about, "its deflate stream does not end where its header says")
    return data
