"""Tarballs and documents that mean harm: the exact code, in bounded time, and a registry asked nothing."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import tarfile
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, Final, cast

import pytest

from gateway import limits
from tests.lab.archives import member, tar_gz
from tests.lab.gate import LabGate, lab_gate
from tests.lab.npm import MANIFEST, NpmPackage, npm_package
from tests.lab.npm_registry import NpmRegistry
from tests.lab.npm_world import POLICY
from tests.protocol.test_npm_publish import bundle, put

OWN: Final = ("package/package.json", json.dumps(MANIFEST).encode())
MALFORMED, TOO_LARGE = (400, "archive-malformed"), (400, "archive-too-large")
LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
GOOD: Final = npm_package()


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[LabGate]:
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY) as running:
        yield running
        assert not cast("NpmRegistry", running.registry).writes
        assert not list((tmp_path / "spool").iterdir())


def packed(*members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.PAX_FORMAT) -> bytes:
    """A tarball with a good package.json and more."""
    return tar_gz([member(*OWN), *members], kind=kind)


def pax(**headers: str) -> tuple[tarfile.TarInfo, bytes]:
    """A member of which an extended header says something else than its own."""
    info, data = member("package/index.js", b"x")
    info.pax_headers = headers
    return info, data


def bomb(unpacked: int) -> bytes:
    """A tarball that holds very much of nothing."""
    info = tarfile.TarInfo("package/zeros")
    info.size = unpacked
    head = gzip.decompress(tar_gz([member(*OWN)]))[:1024] + info.tobuf(tarfile.USTAR_FORMAT)
    return gzip.compress(head) if unpacked == 0 else _squeezed(head, unpacked)


def _squeezed(head: bytes, zeros: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(limits.MIB)
    pieces = [packer.compress(head), *(packer.compress(piece) for _ in range(zeros // limits.MIB + 1))]
    return b"".join(pieces) + packer.flush()


TARBALLS: Final[dict[str, tuple[tuple[int, str], Callable[[], bytes]]]] = {
    "an absolute path": (MALFORMED, lambda: packed(member("/etc/passwd", b"x"))),
    "a way up": (MALFORMED, lambda: packed(member("package/../../evil", b"x"))),
    "a way up, as Windows reads it": (MALFORMED, lambda: packed(member("package/..\\evil", b"x"))),
    "a symbolic link": (MALFORMED, lambda: packed(member("package/link", kind=LINK, link="index.js"))),
    "a hard link": (MALFORMED, lambda: packed(member("package/hard", kind=HARD, link="package/package.json"))),
    "a link out": (MALFORMED, lambda: packed(member("package/link", kind=LINK, link="/etc/passwd"))),
    "a character device": (MALFORMED, lambda: packed(member("package/tty", kind=tarfile.CHRTYPE))),
    "a block device": (MALFORMED, lambda: packed(member("package/sda", kind=tarfile.BLKTYPE))),
    "a pipe": (MALFORMED, lambda: packed(member("package/pipe", kind=tarfile.FIFOTYPE))),
    "a sparse file": (MALFORMED, lambda: packed(member("package/sparse", kind=tarfile.GNUTYPE_SPARSE))),
    "a second package.json": (MALFORMED, lambda: packed(member(OWN[0], b'{"name":"evil","version":"9.9.9"}'))),
    "one in other letters": (MALFORMED, lambda: packed(member("package/PACKAGE.JSON", b"{}"))),
    "one behind a dot": (MALFORMED, lambda: packed(member("package/./package.json", b"{}"))),
    "one in a second folder": (MALFORMED, lambda: packed(member("other/package.json", b"{}"))),
    "one by a pax path": (MALFORMED, lambda: packed(pax(path="package/package.json"))),
    "a pax path that is absolute": (MALFORMED, lambda: packed(pax(path="/etc/passwd"))),
    "a pax size that lies": (MALFORMED, lambda: packed(pax(size="1000000"))),
    "a GNU long name that leads up": (
        MALFORMED,
        lambda: packed(member("package/" + "../" * 60 + "evil", b"x"), kind=tarfile.GNU_FORMAT),
    ),
    "a second gzip member": (MALFORMED, lambda: packed() + gzip.compress(b"more")),
    "bytes behind it": (MALFORMED, lambda: packed() + b"more"),
    "no gzip": (MALFORMED, lambda: gzip.decompress(packed())),
    "cut short": (MALFORMED, lambda: packed()[:-20]),
    "a package.json of 100 MB": (
        TOO_LARGE,
        lambda: tar_gz([member(OWN[0], b'{"name":"a","version":"1.0.0","x":"' + b"a" * 100_000_000 + b'"}')]),
    ),
    "a gzip bomb": (TOO_LARGE, lambda: bomb(256 * limits.MIB)),
    "a package.json that is deep": (TOO_LARGE, lambda: tar_gz([member(OWN[0], b'{"x":' + b"[" * 100_000)])),
}


@pytest.mark.parametrize("name", TARBALLS)
async def test_a_hostile_tarball_is_refused_by_its_code(gate: LabGate, name: str) -> None:
    (status, code), made = TARBALLS[name]
    package = NpmPackage(MANIFEST, made())
    assert (await put(gate, package.document(bundle(gate, package))))[0] == status
    assert await gate.codes() == {code}


def spoilt(change: Callable[[dict[str, Any]], object]) -> bytes:
    document = GOOD.document()
    change(document)
    return json.dumps(document).encode()


DATA: Final = base64.b64encode(GOOD.content)
DOCUMENTS: Final[dict[str, tuple[int, str, Callable[[], bytes]]]] = {
    "100,000 keys": (
        403,
        "evidence-missing",
        lambda: spoilt(lambda d: d.update({f"k{n}": n for n in range(100_000)})),
    ),
    "deep nesting": (413, "upload-too-large", lambda: b'{"x":' * 100_000 + b"1" + b"}" * 100_000),
    "deep lists": (413, "upload-too-large", lambda: b'{"_attachments":' + b"[" * 100_000),
    "a manifest of 17 MB": (413, "upload-too-large", lambda: spoilt(lambda d: d.update(readme="a" * 17_000_000))),
    "a key of 17 MB": (413, "upload-too-large", lambda: b'{"' + b"a" * 17_000_000 + b'":1}'),
    "a number of a million digits": (413, "upload-too-large", lambda: b'{"x":' + b"9" * 1_000_000 + b"}"),
    "NaN": (400, "upload-malformed", lambda: b'{"x":NaN}'),
    "UTF-16": (400, "upload-malformed", lambda: spoilt(dict).decode().encode("utf-16")),
    "a byte order mark": (400, "upload-malformed", lambda: b"\xef\xbb\xbf" + spoilt(dict)),
    "a lone surrogate": (400, "upload-malformed", lambda: b'{"_id":"\\ud800"}'),
    "nothing": (400, "upload-malformed", lambda: b""),
    "a list": (400, "upload-malformed", lambda: b"[]"),
    "more behind it": (400, "upload-malformed", lambda: spoilt(dict) + b"{}"),
    "base64 of other letters": (400, "upload-malformed", lambda: spoilt(dict).replace(DATA, b"-_-_")),
    "base64 with padding inside": (400, "upload-malformed", lambda: spoilt(dict).replace(DATA, b"QUJD=QUJD")),
    "base64 without its padding": (400, "upload-malformed", lambda: spoilt(dict).replace(DATA, b"QUI")),
    "base64 with bits that nobody reads": (400, "upload-malformed", lambda: spoilt(dict).replace(DATA, b"QUJ=")),
    "base64 with a line end": (400, "upload-malformed", lambda: spoilt(dict).replace(DATA, DATA + b"\\n")),
    "base64 with an escape": (400, "upload-malformed", lambda: spoilt(dict).replace(DATA, b"\\u0051UJD")),
}  # fmt: skip


@pytest.mark.parametrize("name", DOCUMENTS)
async def test_a_hostile_document_is_refused_by_its_code(gate: LabGate, name: str) -> None:
    status, code, made = DOCUMENTS[name]
    assert (await put(gate, made()))[0] == status
    assert await gate.codes() == {code}


async def test_a_tarball_without_end_stops_at_the_bound(tmp_path: Path) -> None:
    async with lab_gate(tmp_path, ecosystem="npm", policy=POLICY, max_file=limits.MIB) as gate:
        package = NpmPackage(MANIFEST, hashlib.shake_256(b"").digest(4 * limits.MIB))
        assert (await put(gate, package.document()))[0] == 413
        assert await gate.codes() == {"upload-too-large"}
