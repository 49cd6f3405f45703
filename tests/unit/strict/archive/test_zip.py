"""ZIP archives: a good one with one field spoiled."""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from dataclasses import replace

import pytest

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.strict.archive import ZipIndex, read_zip
from tests.lab.archives import Entry, zip_of

A, B = Entry(b"a/x.py", b"one " * 100), Entry(b"a/y.py", b"two", method=0)
CRC = zlib.crc32(A.data)
PACKED = len(zip_of([A])) - len(zip_of([Entry(b"a/x.py")])) + 2


def read(data: bytes) -> ZipIndex:
    return read_zip(io.BytesIO(data), "zip")


def refused(data: bytes) -> Malformed:
    with pytest.raises(Malformed) as error:
        read(data)
    return error.value


def test_an_archive_is_its_files() -> None:
    index = read(zip_of([A, B, Entry(b"a/")]))
    assert set(index.files) == {"a/x.py", "a/y.py"}
    assert index.read("a/x.py", 400) == A.data
    assert index.read("a/y.py", 3) == B.data
    with pytest.raises(TooLarge):
        index.read("a/x.py", 399)
    with pytest.raises(Malformed, match="missing"):
        index.read("a/", 10)


@pytest.mark.parametrize("force_zip64", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_what_the_standard_library_writes_is_read(method: int, *, force_zip64: bool) -> None:
    class Unseekable(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_args: int) -> int:
            raise io.UnsupportedOperation

    for held in (io.BytesIO(), Unseekable()):
        with (
            zipfile.ZipFile(held, "w", method) as archive,
            archive.open(zipfile.ZipInfo("é/x"), "w", force_zip64=force_zip64) as member,
        ):
            member.write(b"data" * 50)
        assert read(held.getvalue()).read("é/x", 200) == b"data" * 50


def test_an_archive_comment_and_64_bit_records_are_read() -> None:
    assert read(zip_of([A], comment=b"made by hand")).files
    body = zip_of([A])
    directory = body.index(b"PK\x01\x02")
    size = len(body) - directory - 22
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, size, directory)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, len(body) - 22, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    wide = body[:-22] + record + locator + end
    assert read(wide).read("a/x.py", 400) == A.data
    from_end = {"signature": 98, "length": 94, "disk": 38, "offset": 34, "disks": 26, "count": 14, "record disk": 82}
    for what, place in from_end.items():
        spoiled = bytearray(wide)
        spoiled[-place] ^= 2
        problem = refused(bytes(spoiled)).problem
        assert "64-bit" in problem or "disagree" in problem or "split" in problem, what


def test_a_directory_of_something_else_is_refused() -> None:
    for spoiled in (
        zip_of([A]).replace(b"PK\x01\x02", b"PK\x01\x03"),
        zip_of([A, B]).replace(b"PK\x01\x02", b"PK\x05\x05"),
    ):
        assert "something else" in refused(spoiled).problem
    long = bytearray(zip_of([A]))
    long[-22 - 52 + 32] = 200  # the length of the entry's comment
    assert "ends too early" in refused(bytes(long)).problem


@pytest.mark.parametrize("form", ["<4s3L", "<3L", "<4sL2Q", "<L2Q"])
def test_every_form_of_a_data_descriptor_is_read(form: str) -> None:
    signature = [b"PK\x07\x08"] if "s" in form else []
    descriptor = struct.pack(form, *signature, CRC, PACKED, len(A.data))
    zeros = {"crc": 0, "packed": 0, "size": 0}
    streamed = replace(A, flags=8, descriptor=descriptor, local=zeros)
    assert read(zip_of([streamed, B])).read("a/x.py", 400) == A.data
    assert "disagree" in refused(zip_of([replace(streamed, local={"crc": 1, "packed": 0, "size": 0}), B])).problem
    assert "does not end where" in refused(zip_of([replace(streamed, descriptor=None), B])).problem
    for spoiled in (descriptor[:-1] + b"\1", descriptor + b"\0", descriptor[:-1], descriptor + b"PK\x03\x04" * 9):
        assert "descriptor" in refused(zip_of([replace(streamed, descriptor=spoiled), B])).problem


@pytest.mark.parametrize(
    ("spoiled", "problem"),
    [
        (replace(A, local={"name": b"a/z.py"}), "disagree"),
        (replace(A, local={"name": b"a/x.pyz"}), "disagree"),
        (replace(A, local={"method": 0}), "disagree"),
        (replace(A, local={"flags": 1 << 11}), "disagree"),
        (replace(A, local={"crc": 7}), "disagree"),
        (replace(A, local={"size": 7}), "disagree"),
        (replace(A, local={"packed": 7}), "disagree"),
        (replace(A, local={"crc": 0, "packed": 0, "size": 0}), "disagree"),
        (replace(A, before=b"#!/bin/sh\n"), "bytes before the first"),
        (replace(A, after=b"hidden"), "does not end where"),
        (replace(A, descriptor=struct.pack("<3L", CRC, PACKED, 400)), "does not end where"),
        (replace(A, central={"offset": 1}), "bytes before the first"),
        (replace(A, flags=1), "encrypted"),
        (replace(A, flags=1 << 6), "encrypted"),
        (replace(A, flags=1 << 13), "encrypted"),
        (replace(A, method=12), "method 12"),
        (replace(A, central={"disk": 1}), "split"),
        (replace(A, central={"needs": 64}), "newer readers"),
        (replace(A, method=0, central={"size": 3}), "contradict"),
        (replace(A, central={"size": 2**31}, local={"size": 2**31}), "cannot unpack"),
        (replace(A, extra=b"\x75\x70\x01\x00x"), "second name"),
        (replace(A, extra=b"\x01\x00\x09\x00x"), "torn"),
        (replace(A, extra=b"\x01"), "torn"),
        (replace(A, extra=b"\x01\x00\x00\x00" * 2), "repeated"),
        (replace(A, central={"size": 0xFFFFFFFF}), "64-bit extra"),
        (replace(A, attributes=(stat.S_IFLNK | 0o777) << 16), "link"),
        (replace(A, attributes=stat.S_IFIFO << 16), "special"),
        (replace(A, attributes=stat.S_IFDIR << 16), "special"),
        (replace(A, name=b"a\xc3\xa9"), "marked as UTF-8"),
        (replace(A, name=b"a\xff", flags=1 << 11), "marked as UTF-8"),
        (replace(A, name=b""), "does not stay inside"),
        (replace(A, name=b"/etc/passwd"), "does not stay inside"),
        (replace(A, name=b"../x"), "does not stay inside"),
        (replace(A, name=b"a/../../x"), "does not stay inside"),
        (replace(A, name=b"a/./x"), "does not stay inside"),
        (replace(A, name=b"a//x"), "does not stay inside"),
        (replace(A, name=b"a\\..\\x"), "not portable"),
        (replace(A, name=b"C:x"), "not portable"),
        (replace(A, name=b"a\x00x"), "not portable"),
        (replace(A, name=b"a\nx"), "not portable"),
        (replace(A, name=b"a/y.py/x"), "both a file and a directory"),
        (replace(A, name=b"a/y.py/", data=b""), "both a file and a directory"),
        (replace(A, name=b"a/y.py"), "there twice"),
        (replace(A, name=b"a/x/"), "contradict"),
    ],
)
def test_one_spoiled_field_is_refused(spoiled: Entry, problem: str) -> None:
    assert set(read(zip_of([A, B])).files) == {"a/x.py", "a/y.py"}
    assert problem in refused(zip_of([spoiled, B])).problem


def test_bytes_around_the_archive_are_refused() -> None:
    for data, problem in (
        (zip_of([A], gap=b"x"), "does not end where the next"),
        (zip_of([A], tail=b"x"), "bytes after"),
        (zip_of([A]) + zip_of([B]), "directory does not end where"),
        (b"x" + zip_of([A]), "directory does not end where"),
        (zip_of([A], end={"count": 0}), "more in the directory"),
        (zip_of([A], end={"count": 2}), "ends too early"),
        (zip_of([A], end={"start": 0}), "directory does not end where"),
        (zip_of([A, B], end={"size": 5}), "directory does not end where"),
        (zip_of([A])[:-1], "no end record"),
        (zip_of([])[:-4], "no end record"),
        (b"", "no end record"),
        (zip_of([], gap=b"x"), "bytes before the first"),
        (zip_of([A], comment=zip_of([])), "directory does not end where"),
    ):
        assert problem in refused(data).problem


def test_an_entry_shared_by_two_names_is_refused() -> None:
    twice = replace(A, name=b"a/z.py", before=b"", central={"offset": 0})
    assert "does not end where" in refused(zip_of([A, twice])).problem


def test_bytes_that_are_not_what_the_header_promises_are_refused_when_read() -> None:
    for wrong in ({"crc": 7}, {"size": 399}, {"size": 401}):
        index = read(zip_of([replace(A, local=wrong, central=wrong)]))
        with pytest.raises(Malformed):
            index.read("a/x.py", 1000)
    with pytest.raises(Malformed, match="deflate"):
        read(zip_of([replace(B, local={"method": 8}, central={"method": 8})])).read("a/y.py", 10)


def test_the_number_of_entries_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_ENTRIES", 1)
    assert isinstance(refused(zip_of([A, B])), TooLarge)
    monkeypatch.undo()
    monkeypatch.setattr(limits, "ARCHIVE_EXPANDED", 402)
    assert isinstance(refused(zip_of([A, B])), TooLarge)
    assert isinstance(refused(zip_of([replace(A, name=b"x" * (limits.ARCHIVE_NAME + 1))])), TooLarge)


@pytest.mark.parametrize("place", [4, 6, 8])
def test_an_archive_in_several_files_is_refused(place: int) -> None:
    data = bytearray(zip_of([A]))
    data[len(data) - 22 + place] = 2
    assert "split" in refused(bytes(data)).problem


def test_a_deflate_stream_of_empty_blocks_is_bounded() -> None:
    blocks = b"\0\0\0\xff\xff" * 600 + zlib.compress(b"x", wbits=-15)
    lying: dict[str, int | bytes] = {"method": 8, "size": 1, "crc": zlib.crc32(b"x")}
    index = read(zip_of([Entry(b"x", blocks, method=0, local=lying, central=lying)]))
    assert index.read("x", 5000) == b"x"
    with pytest.raises(TooLarge):
        index.read("x", 10)


def test_the_directory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_DIRECTORY", 52)
    assert set(read(zip_of([A])).files) == {"a/x.py"}
    assert isinstance(refused(zip_of([A, B])), TooLarge)


def test_a_local_header_that_is_none_is_refused() -> None:
    assert "disagree" in refused(zip_of([A, B]).replace(b"PK\x03\x04", b"PK\x03\x05", 1)).problem
