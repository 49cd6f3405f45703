"""Tiny valid distributions made in memory: the same arguments always give the same bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_METADATA_VERSION: Final = "2.1"
_WHEEL: Final = b"Wheel-Version: 1.0\nGenerator: provgate-demo\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A file to publish, and the name it is published under."""

    name: str
    content: bytes

    @property
    def sha256(self) -> str:
        """The digest of its bytes, in lower-case hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


def wheel(
    name: str,
    version: str,
    *,
    metadata_name: str | None = None,
    metadata_version: str | None = None,
    source: str = "",
) -> Distribution:
    """Make a pure Python wheel; its METADATA may name another package or version than its file name does.

    `source` is added to the module's text.
    """
    buffer = io.BytesIO()
    metadata = _metadata(metadata_name or name, metadata_version or version)
    _write_wheel(buffer, name, version, metadata=metadata, source=source)
    return Distribution(wheel_name(name, version), buffer.getvalue())


def write_large_wheel(path: Path, name: str, version: str, payload: Iterable[bytes]) -> None:
    """Write a wheel of any size to a file; `payload` is stored in it uncompressed and never held whole in memory."""
    with path.open("wb") as file:
        _write_wheel(file, name, version, metadata=_metadata(name, version), payload=payload)


def wheel_name(name: str, version: str) -> str:
    """Return the file name of a pure Python wheel."""
    return f"{_escaped(name)}-{version}-py3-none-any.whl"


def _write_wheel(
    file: IO[bytes],
    name: str,
    version: str,
    *,
    metadata: bytes,
    source: str = "",
    payload: Iterable[bytes] | None = None,
) -> None:
    module = _escaped(name)
    info = f"{module}-{version}.dist-info"
    files: dict[str, Iterable[bytes]] = {
        f"{module}/__init__.py": [f'__version__ = "{version}"\n{source}'.encode()],
        **({} if payload is None else {f"{module}/payload.bin": payload}),
        f"{info}/METADATA": [metadata],
        f"{info}/WHEEL": [_WHEEL],
    }
    record = ""
    with zipfile.ZipFile(file, "w") as archive:
        for path, pieces in files.items():
            digest, size = hashlib.sha256(), 0
            with archive.open(_entry(path), "w", force_zip64=path.endswith(".bin")) as entry:
                for piece in pieces:
                    entry.write(piece)
                    digest.update(piece)
                    size += len(piece)
            encoded = base64.urlsafe_b64encode(digest.digest()).decode().rstrip("=")
            record += f"{path},sha256={encoded},{size}\n"
        archive.writestr(_entry(f"{info}/RECORD"), f"{record}{info}/RECORD,,\n")


def _entry(path: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(path, _EPOCH)
    entry.compress_type = zipfile.ZIP_STORED if path.endswith(".bin") else zipfile.ZIP_DEFLATED
    entry.external_attr = 0o100644 << 16
    return entry


def sdist(
    name: str,
    version: str,
    *,
    metadata_name: str | None = None,
    metadata_version: str | None = None,
    source: str = "",
) -> Distribution:
    """Make a source distribution (.tar.gz); its PKG-INFO may name another package or version than its file name."""
    module = _escaped(name)
    root = f"{module}-{version}"
    files = {
        f"{root}/PKG-INFO": _metadata(metadata_name or name, metadata_version or version),
        f"{root}/pyproject.toml": _PYPROJECT.format(name=name, version=version).encode(),
        f"{root}/{module}/__init__.py": f'__version__ = "{version}"\n{source}'.encode(),
    }
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            entry.mode = 0o644
            archive.addfile(entry, io.BytesIO(content))
    return Distribution(f"{root}.tar.gz", gzip.compress(tar.getvalue(), mtime=0))


_PYPROJECT: Final = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "{name}"
version = "{version}"
"""


def _metadata(name: str, version: str) -> bytes:
    return f"Metadata-Version: {_METADATA_VERSION}\nName: {name}\nVersion: {version}\nSummary: For show.\n".encode()


def _escaped(name: str) -> str:
    return name.lower().replace("-", "_").replace(".", "_")
