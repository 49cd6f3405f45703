"""Tiny valid distributions made in memory: the same arguments always give the same bytes."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass
from typing import Final

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold
_METADATA_VERSION: Final = "2.1"


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
    payload: bytes = b"",
) -> Distribution:
    """Make a pure Python wheel; its METADATA may name another package or version than its file name does.

    `source` is added to the module's text; `payload` adds a stored, uncompressed file, for a wheel of any size.
    """
    module = _escaped(name)
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}/__init__.py": f'__version__ = "{version}"\n{source}'.encode(),
        f"{info}/METADATA": _metadata(metadata_name or name, metadata_version or version),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: provgate-demo\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if payload:
        files[f"{module}/payload.bin"] = payload
    record = "".join(f"{path},sha256={_record_digest(content)},{len(content)}\n" for path, content in files.items())
    files[f"{info}/RECORD"] = (record + f"{info}/RECORD,,\n").encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path, _EPOCH)
            entry.compress_type = zipfile.ZIP_STORED if path.endswith(".bin") else zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content)
    return Distribution(f"{module}-{version}-py3-none-any.whl", buffer.getvalue())


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


def _record_digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
