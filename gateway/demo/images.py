"""Small images as OCI layouts on disk, made here byte for byte, for real clients to push."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Image:
    """An image in an OCI layout: where it lies, its digest, and those of what it is made of."""

    layout: Path
    digest: str
    config: str
    layers: tuple[str, ...]

    @property
    def source(self) -> str:
        """How skopeo and buildah name it."""
        return f"oci:{self.layout}:it"

    @property
    def manifest(self) -> bytes:
        """The manifest's bytes."""
        return (self.layout / "blobs" / self.digest.replace(":", "/")).read_bytes()


def image(folder: Path, text: str, *layers: bytes, architecture: str = "amd64") -> Image:
    """Lay an image out whose first layer holds one file with this text; further layers are given as they are."""
    blobs = [_layer(text), *layers]
    diffs: list[str] = [f"sha256:{hashlib.sha256(gzip.decompress(one)).hexdigest()}" for one in blobs]
    config: dict[str, Any] = {
        "architecture": architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": diffs},
    }
    described: list[dict[str, Any]] = [_put(folder, LAYER, blob) for blob in blobs]
    configured = _put(folder, CONFIG, json.dumps(config).encode())
    manifest = _put(
        folder,
        MANIFEST,
        json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": configured, "layers": described}).encode(),
    )
    _entry(folder, manifest)
    return Image(folder, manifest["digest"], configured["digest"], tuple(one["digest"] for one in described))


def index(folder: Path, *texts: str) -> Image:
    """Lay a multi-platform index out, one image for each text."""
    platforms = ("amd64", "arm64", "ppc64le", "s390x")
    children: list[dict[str, Any]] = []
    for text, architecture in zip(texts, platforms, strict=False):
        child = image(folder, text, architecture=architecture)
        described: dict[str, Any] = {"mediaType": MANIFEST, "digest": child.digest, "size": len(child.manifest)}
        children.append({**described, "platform": {"architecture": architecture, "os": "linux"}})
    made = _put(folder, INDEX, json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}).encode())
    _entry(folder, made)
    return Image(folder, made["digest"], "", tuple(str(one["digest"]) for one in children))


def _layer(text: str) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        entry = tarfile.TarInfo("greeting.txt")
        entry.size = len(text.encode())
        archive.addfile(entry, io.BytesIO(text.encode()))
    return gzip.compress(held.getvalue(), mtime=0)


def _put(folder: Path, media_type: str, body: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(body).hexdigest()
    path = folder / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(body)}


def _entry(folder: Path, manifest: dict[str, Any]) -> None:
    """Name one manifest of the layout `it`."""
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    named = {**manifest, "annotations": {"org.opencontainers.image.ref.name": "it"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}))
