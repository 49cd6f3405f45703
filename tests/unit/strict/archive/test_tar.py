"""Gzipped tar archives: a good one with one thing spoiled."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Callable

import pytest

from gateway import limits
from gateway.errors import Malformed, TooLarge
from gateway.strict.archive import TarIndex, read_tar_gz
from tests.lab.archives import member, tar_gz

Member = tuple[tarfile.TarInfo, bytes]
LINK, HARD, FOLDER = tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE
GOOD: list[Member] = [
    member("r", kind=FOLDER),
    member("r/PKG-INFO", b"Name: r\n"),
    member("r/a/b.py", b"x" * 5000),
    member("r/a/link", kind=LINK, link="../PKG-INFO"),
    member("r/hard", kind=HARD, link="r/a/b.py"),
]


def read(data: bytes, *, limit: int = 100) -> TarIndex:
    return read_tar_gz(io.BytesIO(data), "tar", keep=lambda path: path.endswith("/PKG-INFO"), limit=limit)


def refused(data: bytes) -> Malformed:
    with pytest.raises(Malformed) as error:
        read(data)
    return error.value


def rewritten(change: Callable[[bytearray], None], members: list[Member] | None = None) -> bytes:
    """An archive of one member whose header is changed, with its checksum made right again."""
    raw = bytearray(gzip.decompress(tar_gz(members or [member("r/PKG-INFO", b"Name: r\n")], kind=tarfile.USTAR_FORMAT)))
    change(raw)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return gzip.compress(bytes(raw))


def put(at: int, new: bytes) -> Callable[[bytearray], None]:
    def change(raw: bytearray) -> None:
        raw[at : at + len(new)] = new

    return change


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_an_archive_is_its_files(kind: int) -> None:
    index = read(tar_gz(GOOD, kind=kind))
    assert index.files == {"r/PKG-INFO", "r/a/b.py", "r/a/link", "r/hard"}
    assert index.links == {"r/a/link", "r/hard"}
    assert index.kept == {"r/PKG-INFO": b"Name: r\n"}


@pytest.mark.parametrize("kind", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_links_are_read(kind: int) -> None:
    long = "r/" + "d" * 120 + "/é" + "x" * 120
    index = read(tar_gz([member(long, b"x"), member("r/hard", kind=HARD, link=long)], kind=kind))
    assert index.files == {long, "r/hard"}


def test_a_ustar_prefix_is_part_of_the_name() -> None:
    path = "/".join(["r", *["d" * 30] * 5, "x"])
    assert read(tar_gz([member(path)], kind=tarfile.USTAR_FORMAT)).files == {path}


def test_a_dot_in_front_is_the_root() -> None:
    members = [member(".", kind=FOLDER), member("./r", kind=FOLDER), member("./r/PKG-INFO", b"x")]
    assert read(tar_gz(members)).kept == {"r/PKG-INFO": b"x"}


def test_a_comment_for_the_whole_archive_is_read() -> None:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w", pax_headers={"comment": "0123abcd"}) as archive:
        archive.addfile(*_with_file(member("r/x", b"1")))
    assert read(gzip.compress(held.getvalue())).files == {"r/x"}


def _with_file(one: Member) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info, data = one
    info.size = len(data)
    return info, io.BytesIO(data)


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        (member("r/PKG-INFO", b"Name: evil\n"), "there twice"),
        (member("./r/PKG-INFO", b"Name: evil\n"), "there twice"),
        (member("r/a/link", b"through"), "there twice"),
        (member("r/a/link/x", b"through"), "both a file and a directory"),
        (member("r/PKG-INFO/x"), "both a file and a directory"),
        (member("r/PKG-INFO", kind=FOLDER), "both a file and a directory"),
        (member("r/a", b""), "both a file and a directory"),
        (member("r/a", kind=LINK, link="b"), "both a file and a directory"),
        (member("/r/x"), "does not stay inside"),
        (member("../x"), "does not stay inside"),
        (member("r/../../x"), "does not stay inside"),
        (member("r//x"), "does not stay inside"),
        (member("r\\..\\x"), "not portable"),
        (member("C:/x"), "not portable"),
        (member("r/a\nb"), "not portable"),
        (member("r/l", kind=LINK, link="/etc/passwd"), "does not stay inside"),
        (member("r/l", kind=LINK, link=".."), "leaves"),
        (member("r/l", kind=LINK, link="../r/x"), "leaves"),
        (member("r/a/l", kind=LINK, link="../../x"), "leaves"),
        (member("r/a/l", kind=LINK, link="b/../../../x"), "does not stay inside"),
        (member("r/a/l", kind=LINK, link="link/.."), "does not stay inside"),
        (member("r/l", kind=LINK, link="a\\..\\..\\.."), "not portable"),
        (member("r/l", kind=LINK, link=""), "does not stay inside"),
        (member("l", kind=LINK, link="../x"), "leaves"),
        (member("r/h", kind=HARD, link="/etc/passwd"), "does not stay inside"),
        (member("r/h", kind=HARD, link="../x"), "does not stay inside"),
        (member("r/h", kind=HARD, link="r/later"), "no file before it"),
        (member("r/h", kind=HARD, link="r/a/link"), "no file before it"),
        (member("r/dev", kind=tarfile.CHRTYPE), "special file"),
        (member("r/dev", kind=tarfile.BLKTYPE), "special file"),
        (member("r/pipe", kind=tarfile.FIFOTYPE), "special file"),
        (member("r/cont", kind=tarfile.CONTTYPE), "special file"),
    ],
)
def test_one_member_too_many_is_refused(extra: Member, problem: str) -> None:
    assert problem in refused(tar_gz([*GOOD, extra])).problem


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (put(0, b"r/\xff\xff"), "not UTF-8"),
        (put(50, b"hidden"), "behind the end of a name"),
        (put(124, b"0000000001x\0"), "not octal"),
        (put(124, b"-0000000001\0"), "not octal"),
        (put(124, b"\xff" * 12), "not octal"),
        (put(124, b"\x80" + b"\xff" * 11), "limit"),
        (put(156, b"S"), "special file"),
        (put(156, b"M"), "special file"),
        (put(156, b"5"), "has contents"),
        (put(156, b"2"), "has contents"),
        (put(257, b"uStar"), "no known kind"),
        (put(257, b"ustar\x0001"), "no known kind"),
        (put(257, b"ustar  \0" + b"\0" * 80 + b"prefix"), "prefix"),
    ],
)
def test_one_spoiled_header_field_is_refused(change: Callable[[bytearray], None], problem: str) -> None:
    assert read(rewritten(lambda _raw: None)).kept
    assert problem in str(refused(rewritten(change)))


def test_a_wrong_checksum_is_refused() -> None:
    raw = bytearray(gzip.decompress(tar_gz(GOOD)))
    raw[0] ^= 1
    assert "checksum" in refused(gzip.compress(bytes(raw))).problem


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (b"11 path=r/x", "cannot be read"),
        (b"99 path=r/x\n", "cannot be read"),
        (b"0 path=r/x\n", "cannot be read"),
        (b"12 path=r/x\n12 path=r/y\n", "one way only"),
        (b"9 pathrx\n", "one way only"),
        (b"11 size=-1\n", "not a number"),
        (b"22 GNU.sparse.major=1\n", "extended header GNU.sparse"),
        (b"20 hdrcharset=BINAR\n", "extended header hdrcharset"),
        (b"13 path=../x\n", "does not stay inside"),
    ],
)
def test_an_unclear_extended_header_is_refused(record: bytes, problem: str) -> None:
    assert problem in refused(_extended(record)).problem


def _extended(record: bytes, kind: bytes = b"x", times: int = 1) -> bytes:
    info, _ = member("pax", kind=kind)
    plain = gzip.decompress(tar_gz([member("r/x", b"1")], kind=tarfile.USTAR_FORMAT))
    info.size = len(record)
    head = info.tobuf(tarfile.USTAR_FORMAT) + record.ljust(-len(record) % 512 + len(record), b"\0")
    return gzip.compress(head * times + plain)


def test_an_extension_counts_once_and_for_one_member() -> None:
    assert read(_extended(b"12 path=r/z\n")).files == {"r/z"}
    assert "extended twice" in refused(_extended(b"12 path=r/z\n", times=2)).problem
    assert "for all members" in refused(_extended(b"12 path=r/z\n", kind=b"g")).problem
    assert read(_extended(b"13 comment=x\n", kind=b"g", times=2)).files == {"r/x"}
    assert isinstance(refused(_extended(b"x" * (limits.ARCHIVE_EXTENSION + 1))), TooLarge)


def test_a_damaged_or_second_stream_is_refused() -> None:
    good = tar_gz(GOOD)
    plain = gzip.decompress(good)
    for data, problem in (
        (b"", "cut short"),
        (good[:-1], "cut short"),
        (good[:-8] + b"\0" * 8, "damaged"),
        (plain, "not a gzip"),
        (good + b"\0", "bytes after the gzip"),
        (good + good, "bytes after the gzip"),
        (gzip.compress(plain + b"x"), "blocks of zeros"),
        (gzip.compress(plain + plain), "blocks of zeros"),
        (gzip.compress(plain.rstrip(b"\0")), "ends inside"),
        (gzip.compress(b""), "blocks of zeros"),
        (gzip.compress(plain[:600]), "ends inside"),
    ):
        assert problem in refused(data).problem


def test_what_is_kept_and_what_is_unpacked_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in (7, 0):
        with pytest.raises(TooLarge):
            read(tar_gz(GOOD), limit=limit)
    assert read(tar_gz(GOOD), limit=8).kept
    with pytest.raises(TooLarge):
        read(tar_gz([*GOOD, member("s/PKG-INFO", b"x")]), limit=8)
    bomb = tar_gz([member("r/x", bytes(65 * limits.MIB))])
    monkeypatch.setattr(limits, "SDIST_RATIO", 1)
    assert isinstance(refused(bomb), TooLarge)
    monkeypatch.undo()
    assert read(bomb).files == {"r/x"}
    monkeypatch.setattr(limits, "ARCHIVE_EXPANDED", 64 * limits.MIB)
    assert isinstance(refused(bomb), TooLarge)
    monkeypatch.setattr(limits, "ARCHIVE_ENTRIES", len(GOOD) - 1)
    assert isinstance(refused(tar_gz(GOOD)), TooLarge)


def test_an_archive_that_ends_behind_a_header_is_refused() -> None:
    plain = gzip.decompress(tar_gz([member("r/PKG-INFO", b"Name: r\n")], kind=tarfile.USTAR_FORMAT))
    assert "ends inside" in refused(gzip.compress(plain[:512])).problem
    extension = gzip.decompress(_extended(b"12 path=r/z\n"))[:1024]
    assert "blocks of zeros" in refused(gzip.compress(extension + bytes(1024))).problem


def test_all_extended_headers_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ARCHIVE_DIRECTORY", 3 * 525)
    assert read(_extended(b"13 comment=x\n", kind=b"g", times=3)).files == {"r/x"}
    assert isinstance(refused(_extended(b"13 comment=x\n", kind=b"g", times=4)), TooLarge)
