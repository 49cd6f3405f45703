"""Archives made by hand, field by field, so that a test can spoil one; and small wheels and sdists."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One ZIP entry; `local` and `central` override single header fields, the rest follows from name and data."""

    name: bytes
    data: bytes = b""
    method: int = 8
    flags: int = 0
    attributes: int = 0
    extra: bytes = b""
    local_extra: bytes = b""
    descriptor: bytes | None = None
    before: bytes = b""
    after: bytes = b""
    local: Mapping[str, int | bytes] | None = None
    central: Mapping[str, int | bytes] | None = None


def zip_of(
    entries: Sequence[Entry],
    *,
    gap: bytes = b"",
    comment: bytes = b"",
    end: Mapping[str, int] | None = None,
    tail: bytes = b"",
) -> bytes:
    """An archive with exactly these entries; `gap` stands before the directory, `tail` after everything."""
    body, directory = b"", b""
    for entry in entries:
        packed = _deflated(entry.data) if entry.method == 8 else entry.data
        fields: dict[str, int | bytes] = {
            "name": entry.name, "flags": entry.flags, "method": entry.method, "crc": zlib.crc32(entry.data),
            "packed": len(packed), "size": len(entry.data), "offset": len(body) + len(entry.before),
        }  # fmt: skip
        local, central = {**fields, **(entry.local or {})}, {**fields, **(entry.central or {})}
        body += entry.before + _local(local, entry.local_extra) + packed + (entry.descriptor or b"") + entry.after
        directory += _central(central, entry)
    given = {"count": len(entries), "size": len(directory), "start": len(body) + len(gap), **(end or {})}
    record = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, given["count"], given["count"], given["size"], given["start"], len(comment)
    )
    return body + gap + directory + record + comment + tail


def tar_gz(members: Sequence[tuple[tarfile.TarInfo, bytes]], *, kind: int = tarfile.PAX_FORMAT) -> bytes:
    """A gzipped archive of these members, as the standard library writes it."""
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", format=kind) as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(held.getvalue(), mtime=0)


def member(
    name: str, data: bytes = b"", *, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tuple[tarfile.TarInfo, bytes]:
    """One member for `tar_gz`."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info, data


def metadata(name: str = "acme-lib", version: str = "1.0") -> bytes:
    """The smallest core metadata."""
    return f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode()


def wheel_files(name: str = "acme_lib", version: str = "1.0") -> dict[str, bytes]:
    """The files of the smallest wheel, with its RECORD."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": b"x = 1\n",
        f"{info}/METADATA": metadata(version=version),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\n",
    }
    return {**files, f"{info}/RECORD": record([*files, f"{info}/RECORD"])}


def record(names: Sequence[str]) -> bytes:
    """A RECORD that lists these files."""
    return "".join(f"{name},,\n" for name in names).encode()


def wheel(files: Mapping[str, bytes] | None = None) -> bytes:
    """A wheel of these files; absent: the smallest one."""
    return zip_of([Entry(name.encode(), data) for name, data in (wheel_files() if files is None else files).items()])


def sdist(files: Mapping[str, bytes] | None = None) -> bytes:
    """An sdist of these files; absent: the smallest one."""
    held = {"acme_lib-1.0/PKG-INFO": metadata(), "acme_lib-1.0/setup.py": b"#\n"} if files is None else files
    return tar_gz([member(name, data) for name, data in held.items()])


def _deflated(data: bytes) -> bytes:
    pack = zlib.compressobj(wbits=-15)
    return pack.compress(data) + pack.flush()


def _local(fields: Mapping[str, int | bytes], extra: bytes) -> bytes:
    name = fields["name"]
    assert isinstance(name, bytes)
    numbers = [fields[key] for key in ("crc", "packed", "size")]
    return (
        struct.pack(
            "<4s5H3L2H", b"PK\x03\x04", 20, fields["flags"], fields["method"], 0, 0, *numbers, len(name), len(extra)
        )
        + name
        + extra
    )


def _central(fields: Mapping[str, int | bytes], entry: Entry) -> bytes:
    name = fields["name"]
    assert isinstance(name, bytes)
    numbers = [fields[key] for key in ("crc", "packed", "size")]
    head = (b"PK\x01\x02", 0x31E, fields.get("needs", 20), fields["flags"], fields["method"], 0, 0)
    rest = (len(name), len(entry.extra), 0, fields.get("disk", 0), 0, entry.attributes, fields["offset"])
    return struct.pack("<4s6H3L5H2L", *head, *numbers, *rest) + name + entry.extra
