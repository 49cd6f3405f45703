from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaging.utils import parse_sdist_filename, parse_wheel_filename

from gateway.demo import packages


@pytest.mark.parametrize("make", [packages.wheel, packages.sdist])
def test_the_same_arguments_give_the_same_bytes(make: type) -> None:
    assert make("acme-lib", "1.0.0") == make("acme-lib", "1.0.0")
    assert make("acme-lib", "1.0.0") != make("acme-lib", "1.0.0", source="# altered\n")


def test_a_wheel_says_the_same_in_its_name_and_its_metadata() -> None:
    made = packages.wheel("acme-lib", "1.0.0")
    name, version, _, tags = parse_wheel_filename(made.name)
    assert (name, str(version), [str(tag) for tag in tags]) == ("acme-lib", "1.0.0", ["py3-none-any"])
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        assert archive.testzip() is None
        metadata = archive.read("acme_lib-1.0.0.dist-info/METADATA").decode()
        record = archive.read("acme_lib-1.0.0.dist-info/RECORD").decode()
        assert {line.split(",")[0] for line in record.splitlines()} == set(archive.namelist())
    assert "Name: acme-lib\nVersion: 1.0.0\n" in metadata


def test_a_wheel_can_name_another_package_inside() -> None:
    made = packages.wheel("acme-lib", "1.0.0", metadata_name="acme-pay", metadata_version="2.0")
    with zipfile.ZipFile(io.BytesIO(made.content)) as archive:
        assert b"Name: acme-pay\nVersion: 2.0\n" in archive.read("acme_lib-1.0.0.dist-info/METADATA")


def test_an_sdist_says_the_same_in_its_name_and_its_metadata() -> None:
    made = packages.sdist("acme-lib", "1.0.0")
    assert tuple(map(str, parse_sdist_filename(made.name))) == ("acme-lib", "1.0.0")
    with tarfile.open(fileobj=io.BytesIO(made.content)) as archive:
        member = archive.extractfile("acme_lib-1.0.0/PKG-INFO")
        assert member is not None
        assert b"Name: acme-lib\nVersion: 1.0.0\n" in member.read()


def test_a_large_wheel_lists_its_payload_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / packages.wheel_name("acme-lib", "1.0.0")
    packages.write_large_wheel(path, "acme-lib", "1.0.0", (bytes(1000) for _ in range(1000)))
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        record = archive.read("acme_lib-1.0.0.dist-info/RECORD").decode()
        digest = base64.urlsafe_b64encode(hashlib.sha256(bytes(1_000_000)).digest()).decode().rstrip("=")
        assert f"acme_lib/payload.bin,sha256={digest},1000000\n" in record
