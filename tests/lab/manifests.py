"""Manifests as bytes: a plain image, an index, and evidence in the shapes that cosign 3.1 and sigstore-js push."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any, Final

from gateway.ecosystems.oci_evidence import ENVELOPE, SIMPLE_SIGNING
from gateway.ecosystems.oci_manifest import EMPTY, IMAGE, INDEX
from gateway.model.digest import Digest

CONFIG: Final = "application/vnd.oci.image.config.v1+json"
LAYER: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
SUBJECT: Final = Digest("sha256", "5" * 64)
NOTHING: Final = b"{}"


def dumped(document: object) -> bytes:
    return json.dumps(document).encode()


def digest_of(body: bytes, algorithm: str = "sha256") -> Digest:
    return Digest(algorithm, hashlib.new(algorithm, body).hexdigest())  # noqa: TID251 - a test names its algorithm


def described(media_type: str, body: bytes, **more: Any) -> dict[str, Any]:
    """A descriptor of these bytes."""
    return {"mediaType": media_type, "digest": str(digest_of(body)), "size": len(body)} | more


def image(**changed: Any) -> dict[str, Any]:
    """An image of one layer, with some fields changed."""
    return {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": described(CONFIG, b"config"),
        "layers": [described(LAYER, b"layer")],
    } | changed


def index(*children: dict[str, Any], **changed: Any) -> dict[str, Any]:
    """An index of these children."""
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": list(children)} | changed


def child(body: bytes = b"child", **more: Any) -> dict[str, Any]:
    """An index's entry."""
    return described(IMAGE, body, **more)


def referrer(bundle: bytes = b"bundle", **changed: Any) -> dict[str, Any]:
    """A referrer that holds one bundle, as cosign 3.1 writes it: without a media type of its own."""
    return {
        "schemaVersion": 2,
        "config": described(EMPTY, NOTHING, artifactType=BUNDLE),
        "layers": [described(BUNDLE, bundle)],
        "annotations": {"dev.sigstore.bundle.content": "dsse-envelope"},
        "subject": {"mediaType": IMAGE, "size": 410, "digest": str(SUBJECT)},
        "artifactType": BUNDLE,
    } | changed


def payload(subject: Digest = SUBJECT) -> bytes:
    """What cosign signs of an image."""
    identity, of = {"docker-reference": "registry.example/team/app"}, {"docker-manifest-digest": str(subject)}
    kind = "cosign container image signature"
    return dumped({"critical": {"identity": identity, "image": of, "type": kind}, "optional": None})


def envelope(*subjects: Digest) -> bytes:
    """An envelope whose statement is about these."""
    said = [{"name": "registry.example/team/app", "digest": {one.algorithm: one.value}} for one in subjects]
    statement = dumped({"_type": "https://in-toto.io/Statement/v0.1", "subject": said, "predicateType": "t"})
    body = base64.b64encode(statement).decode()
    return dumped({"payloadType": "application/vnd.in-toto+json", "payload": body, "signatures": [{"sig": "AA=="}]})


def cosign_config(*layers: bytes, **changed: Any) -> bytes:
    """The config that cosign writes: it says nothing but which layers there are."""
    moment = "0001-01-01T00:00:00Z"
    rootfs = {"type": "layers", "diff_ids": [str(digest_of(layer)) for layer in layers]}
    history = [{"created": moment} for _ in layers]
    whole = {"architecture": "", "created": moment, "history": history, "os": "", "rootfs": rootfs, "config": {}}
    return dumped(whole | changed)


def cosign(*layers: bytes, config: bytes | None = None, media_type: str = SIMPLE_SIGNING) -> dict[str, Any]:
    """What cosign keeps under `sha256-<hex>.sig` or `.att`."""
    annotations = {
        "dev.cosignproject.cosign/signature": "AA==" if media_type == SIMPLE_SIGNING else "",
        "dev.sigstore.cosign/bundle": "{}",
        "predicateType": "t",
    }
    written = cosign_config(*layers) if config is None else config
    made = [described(media_type, layer, annotations=annotations) for layer in layers]
    return image(config=described(CONFIG, written), layers=made)


def attestations(*layers: bytes) -> dict[str, Any]:
    """What cosign keeps under `sha256-<hex>.att`."""
    return cosign(*layers, media_type=ENVELOPE)
