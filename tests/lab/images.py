"""The demo's small images, where tests look for them, and indexes of whatever lies in a layout."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gateway.demo.images import CONFIG, INDEX, LAYER, MANIFEST, Image, image, index

__all__ = ["CONFIG", "INDEX", "LAYER", "MANIFEST", "Image", "image", "index", "index_of", "lay"]


def lay(folder: Path, media_type: str, body: bytes) -> dict[str, Any]:
    """Put one blob or manifest into a layout; return its descriptor."""
    digest = hashlib.sha256(body).hexdigest()
    path = folder / "blobs" / "sha256" / digest
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(body)}


def index_of(folder: Path, children: Sequence[Image]) -> Image:
    """Lay out an index of images and indexes that lie in this folder already, named `it`."""
    manifests = []
    for child in children:
        media_type = json.loads(child.manifest)["mediaType"]
        manifests.append({"mediaType": media_type, "digest": child.digest, "size": len(child.manifest)})
    body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()
    made = lay(folder, INDEX, body)
    named = {**made, "annotations": {"org.opencontainers.image.ref.name": "it"}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [named]}))
    return Image(folder, made["digest"], "", tuple(child.digest for child in children))
