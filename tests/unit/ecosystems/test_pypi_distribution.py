"""Wheels and sdists: what they say of themselves, and what some reader would read differently."""

from __future__ import annotations

import io
import tarfile
from dataclasses import asdict

import pytest

from gateway.ecosystems.pypi_distribution import Distribution, read_distribution, read_metadata
from gateway.errors import Malformed
from gateway.model.upload import Claim
from tests.lab.archives import Entry, member, metadata, record, sdist, tar_gz, wheel, wheel_files, zip_of

WHEEL, SDIST, ZIPPED = "acme_lib-1.0-py3-none-any.whl", "acme_lib-1.0.tar.gz", "acme_lib-1.0.zip"
INFO = "acme_lib-1.0.dist-info"


def read(data: bytes, name: str = WHEEL) -> Distribution:
    return read_distribution(io.BytesIO(data), name)


def refused(data: bytes, name: str = WHEEL) -> str:
    with pytest.raises(Malformed) as error:
        read(data, name)
    return str(error.value)


def without(path: str) -> bytes:
    return wheel({name: data for name, data in wheel_files().items() if name != path})


def test_a_wheel_says_its_name_and_version_three_times() -> None:
    assert read(wheel()) == Distribution(
        "acme-lib",
        "1.0",
        "METADATA",
        "wheel",
        tuple(
            Claim(source, field, value, WHEEL)
            for source, name in (("file name", "acme_lib"), ("METADATA", "acme-lib"), ("directory", "acme_lib"))
            for field, value in (("name", name), ("version", "1.0"))
        ),
    )


@pytest.mark.parametrize("name", [SDIST, ZIPPED])
def test_an_sdist_says_its_name_and_version_three_times(name: str) -> None:
    zipped = zip_of([Entry(b"acme_lib-1.0/PKG-INFO", metadata()), Entry(b"acme_lib-1.0/x.py", b"")])
    read_one = read(sdist() if name == SDIST else zipped, name)
    assert (read_one.name, read_one.version, read_one.kind) == ("acme-lib", "1.0", "sdist")
    assert {claim.source for claim in read_one.claims} == {"file name", "PKG-INFO", "directory"}
    assert {claim.value for claim in read_one.claims if claim.field == "version"} == {"1.0"}


def test_sources_that_disagree_are_claims_and_not_malformed() -> None:
    files = {
        f"evil-9.9.dist-info/{name}": data for name, data in (("METADATA", metadata("other", "2.0")), ("RECORD", b""))
    }
    files["evil-9.9.dist-info/RECORD"] = record(list(files))
    claims = [asdict(claim) for claim in read(wheel(files)).claims]
    assert [(claim["source"], claim["value"]) for claim in claims] == [
        ("file name", "acme_lib"),
        ("file name", "1.0"),
        ("METADATA", "other"),
        ("METADATA", "2.0"),
        ("directory", "evil"),
        ("directory", "9.9"),
    ]


def test_metadata_deeper_down_is_content() -> None:
    deep = [f"acme_lib/_vendor/{INFO}/METADATA", "acme_lib/_vendor/other-2.0.dist-info/METADATA"]
    files = {**wheel_files(), **dict.fromkeys(deep, b"Name: other\n")}
    files[f"{INFO}/RECORD"] = record(list(files))
    assert read(wheel(files)).name == "acme-lib"
    held = {"acme_lib-1.0/PKG-INFO": metadata(), "acme_lib-1.0/acme_lib.egg-info/PKG-INFO": metadata("other")}
    assert read(sdist(held), SDIST).name == "acme-lib"


@pytest.mark.parametrize(
    ("extra", "problem"),
    [
        ("other-1.0.dist-info/METADATA", "2 top-level .dist-info directories"),
        ("other-1.0.DIST-INFO/METADATA", "2 top-level .dist-info directories"),
        ("other-1.0.di\u017ft-info/METADATA", "2 top-level .dist-info directories"),
        (f"{INFO}/metadata", "exactly one"),
        (f"{INFO}/Metadata", "exactly one"),
        (f"{INFO}/\uff2dETADATA", "exactly one"),
    ],
)
def test_a_second_metadata_is_refused(extra: str, problem: str) -> None:
    files = {**wheel_files(), extra: metadata("other")}
    files[f"{INFO}/RECORD"] = record(list(files))
    packed = zip_of([Entry(name.encode(), data, flags=1 << 11) for name, data in files.items()])
    assert problem in refused(packed)


def test_a_wheel_without_its_metadata_is_refused() -> None:
    assert "0 top-level .dist-info" in refused(wheel({"acme_lib/x.py": b""}))
    assert "exactly one" in refused(without(f"{INFO}/METADATA"))
    assert "missing" in refused(without(f"{INFO}/RECORD"))
    upper = {name.replace("dist-info", "Dist-Info"): data for name, data in wheel_files().items()}
    assert "spelled" in refused(wheel(upper))


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (["acme_lib/extra.py,,"], "is listed and not there"),
        (["../acme_lib/__init__.py,,"], "is listed and not there"),
        (["/etc/passwd,,"], "is listed and not there"),
        (["acme_lib/__init__.py,,"], "not one file"),
        (["acme_lib/__init__.py"], "not one file"),
        (['"acme'], "not CSV"),
        (["a\x00b,,"], "is listed and not there"),
    ],
)
def test_a_record_with_a_line_too_many_is_refused(lines: list[str], problem: str) -> None:
    files = wheel_files()
    files[f"{INFO}/RECORD"] += "\n".join(lines).encode()
    assert problem in refused(wheel(files))


def test_a_file_that_the_record_does_not_list_is_refused() -> None:
    assert "is there and not listed" in refused(wheel({**wheel_files(), "acme_lib/hidden.py": b""}))
    assert "not UTF-8" in refused(wheel({**wheel_files(), f"{INFO}/RECORD": b"\xff,,\n"}))
    signed = {**wheel_files(), f"{INFO}/RECORD.jws": b"{}", f"{INFO}/RECORD.p7s": b""}
    assert read(wheel(signed)).name == "acme-lib"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"acme_lib-1.0/PKG-INFO": metadata(), "other/x": b""}, "2 top-level entries"),
        ({"acme_lib-1.0/PKG-INFO": metadata(), "other": b""}, "2 top-level entries"),
        ({"acme_lib-1.0/PKG-INFO": metadata(), "acme_lib-1.0/pkg-info": metadata("other")}, "exactly one"),
        ({"acme_lib-1.0/setup.py": b""}, "exactly one"),
        ({"PKG-INFO": metadata()}, "exactly one"),
        ({"acme_lib-1.0/sub/PKG-INFO": metadata()}, "exactly one"),
        ({}, "0 top-level entries"),
    ],
)
def test_an_sdist_without_its_one_pkg_info_is_refused(files: dict[str, bytes], problem: str) -> None:
    assert problem in refused(sdist(files), SDIST)
    assert problem in refused(zip_of([Entry(name.encode(), data) for name, data in files.items()]), ZIPPED)


def test_a_pkg_info_that_is_a_link_is_refused() -> None:
    for kind, link in ((tarfile.SYMTYPE, "other"), (tarfile.LNKTYPE, "acme_lib-1.0/other")):
        members = [member("acme_lib-1.0/other", metadata()), member("acme_lib-1.0/PKG-INFO", kind=kind, link=link)]
        assert "is a link" in refused(tar_gz(members), SDIST)


@pytest.mark.parametrize(
    "head",
    [
        b"Metadata-Version: 2.1\nName: acme-lib\nVersion: 1.0",
        b"Name: acme-lib\r\nVersion: 1.0\r\n\r\nbody\rName: other\n",
        b"NAME:acme-lib\nversion:\t1.0 \nSummary: x\n  Name: other\n\tVersion: 2\n\nName: other\n",
        b"Name: acme-lib\nVersion: 1.0\nAuthor: \xff\xfe\nName-Other: x\n",
    ],
)
def test_name_and_version_are_read_from_the_head(head: bytes) -> None:
    assert read_metadata(head, "METADATA") == ("acme-lib", "1.0")


@pytest.mark.parametrize(
    ("head", "problem"),
    [
        (b"", "not `Name: value`"),
        (b"\nName: a\nVersion: 1\n", "not `Name: value`"),
        (b"Name: a\n", "is missing"),
        (b"Version: 1\n", "is missing"),
        (b"Name: a\n\nVersion: 1\n", "is missing"),
        (b"Name: a\nName: b\nVersion: 1\n", "given twice"),
        (b"Name: a\nname: a\nVersion: 1\n", "given twice"),
        (b"Name: a\nVersion: 1\nVersion: 1\n", "given twice"),
        (b"Name: a\n b\nVersion: 1\n", "several lines"),
        (b"Name: a\nVersion: 1\n\t2\n", "several lines"),
        (b"Name : a\nName: b\nVersion: 1\n", "not `Name: value`"),
        (b"Name: a\nVersion: 1\nno colon\n", "not `Name: value`"),
        (b" Name: a\nVersion: 1\n", "not `Name: value`"),
        (b"\xef\xbb\xbfName: a\nVersion: 1\n", "not `Name: value`"),
        (b"Name: a\nVersion: 1\nSummary: x\rName: b\n", "carriage return"),
        (b"Summary: x\r\r\nName: a\nVersion: 1\n", "carriage return"),
        (b"Name: a\nVersion: 1\nSummary: x\x0bName: b\n", "a second name"),
        (b"Name: a\nVersion: 1\nSummary: x\x1dVersion: 2\n", "a second version"),
        (b"Name: a\nVersion: 1\nSummary: x\xc2\x85Name: b\n", "a second name"),
        (b"Name: a\nVersion: 1\nSummary: x\xe2\x80\xa8Name: b\n", "a second name"),
        (b"Name: a b\nVersion: 1\n", "package name"),
        (b"Name: \xe2\x84\xaait\nVersion: 1\n", "package name"),
        (b"Name: =?utf-8?q?acme?=\nVersion: 1\n", "package name"),
        (b"Name: a\nVersion: latest\n", "version"),
        (b"Name: a\nVersion:\n", "version"),
    ],
)
def test_an_unclear_head_is_refused(head: bytes, problem: str) -> None:
    with pytest.raises(Malformed) as error:
        read_metadata(head, "METADATA")
    assert problem in str(error.value)


@pytest.mark.parametrize("name", ["acme.exe", "acme-1.0.tar.bz2", "../acme-1.0.tar.gz"])
def test_a_file_that_is_no_distribution_is_refused(name: str) -> None:
    assert "file name" in refused(wheel(), name)
