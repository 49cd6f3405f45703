"""npm packages and publish documents as npm, pnpm and yarn make them, and spoilt ones."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

MANIFEST: dict[str, Any] = {
    "name": "@acme/widget",
    "version": "1.0.0",
    "description": "a widget",
    "main": "index.js",
    "bin": {"widget": "cli.js"},
    "scripts": {"test": "node test.js"},
    "dependencies": {"left-pad": "^1.3.0"},
}


def tarball(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """A gzipped tar, the same bytes for the same files; the names are as given, `package/` and all."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o644
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return gzip.compress(made.getvalue(), mtime=0)


def packed_by(content: bytes) -> dict[str, Any]:
    """The `package.json` of a tarball that `npm pack` made."""
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        member = archive.extractfile("package/package.json")
        assert member is not None
        found: dict[str, Any] = json.load(member)
        return found


@dataclass(frozen=True)
class NpmPackage:
    """A tarball with what its `package.json` says."""

    manifest: dict[str, Any]
    content: bytes

    @property
    def name(self) -> str:
        return str(self.manifest["name"])

    @property
    def version(self) -> str:
        return str(self.manifest["version"])

    @property
    def purl(self) -> str:
        return f"pkg:npm/{self.name.replace('@', '%40')}@{self.version}"

    @property
    def sha512(self) -> str:
        return hashlib.sha512(self.content).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def path(self) -> str:
        """The package's address below the registry, as npm escapes it."""
        return "/" + self.name.replace("/", "%2f")

    def document(self, bundle: bytes | None = None) -> dict[str, Any]:
        """The publish document that npm makes, as libnpmpublish does."""
        name, version = self.name, self.version
        attachments: dict[str, Any] = {
            f"{name}-{version}.tgz": {
                "content_type": "application/octet-stream",
                "data": base64.b64encode(self.content).decode(),
                "length": len(self.content),
            }
        }
        if bundle is not None:
            text = bundle.decode()
            media_type = json.loads(text)["mediaType"]
            attachments[f"{name}-{version}.sigstore"] = {
                "content_type": media_type,
                "data": text,
                "length": len(text),
            }
        dist = {
            "integrity": "sha512-" + base64.b64encode(hashlib.sha512(self.content).digest()).decode(),
            "shasum": hashlib.sha1(self.content).hexdigest(),
            "tarball": f"http://localhost:4873/{name}/-/{name}-{version}.tgz",
        }
        manifest = {
            **deepcopy(self.manifest),
            "_id": f"{name}@{version}",
            "_nodeVersion": "20.20.2",
            "_npmVersion": "11.19.1",
        }
        return {
            "_id": name,
            "name": name,
            "description": self.manifest.get("description"),
            "dist-tags": {"latest": version},
            "versions": {version: {**manifest, "dist": dist}},
            "access": None,
            "_attachments": attachments,
        }


def npm_package(files: Mapping[str, bytes] | None = None, **changed: Any) -> NpmPackage:
    """A package whose manifest is `MANIFEST`, changed; None takes a key out."""
    manifest = {key: value for key, value in (MANIFEST | changed).items() if value is not None}
    whole = {"package/package.json": json.dumps(manifest, indent=2).encode(), "package/index.js": b"// widget\n"}
    return NpmPackage(manifest, tarball(whole | {f"package/{name}": data for name, data in (files or {}).items()}))
