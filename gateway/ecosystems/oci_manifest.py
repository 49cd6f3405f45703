"""A manifest's bytes -> what it is made of: an image or an index, of OCI or Docker.

What two clients could read differently is refused. A reader of JSON in Go takes `Layers` for `layers`, and the last of
both; one that guesses takes a document with layers and manifests for either (CVE-2021-41190). So a known key in another
spelling is refused, and so is a document that is both, or whose media type is not what it is sent as. Other unknown
keys are left alone, as the specification asks.

Sources: OCI image specification 1.1 (manifest, image index, descriptor); Docker image manifest version 2, schema 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway import limits
from gateway.ecosystems.oci_routes import read_digest, read_media_type
from gateway.errors import Malformed, TooLarge
from gateway.model.content import Content
from gateway.model.digest import Digest
from gateway.reasons import Code, Reason
from gateway.strict import base64, json
from gateway.strict.json import Object

IMAGE: Final = "application/vnd.oci.image.manifest.v1+json"
INDEX: Final = "application/vnd.oci.image.index.v1+json"
DOCKER_IMAGE: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
EMPTY: Final = "application/vnd.oci.empty.v1+json"

_FOREIGN: Final = (".foreign.", ".nondistributable.")
_DESCRIPTOR: Final = frozenset(
    {"mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"}
)
_BOTH: Final = frozenset({"schemaVersion", "mediaType", "artifactType", "subject", "annotations"})
_PARTS: Final = frozenset({"config", "layers", "manifests"})
_SCHEMA_1: Final = frozenset({"fsLayers", "history", "signatures", "architecture"})
_LARGEST: Final = 2**63 - 1  # bytes; what Go's int64 holds


class Kind(Enum):
    """What a manifest is."""

    IMAGE = "image"  # also a chart, a module, an artifact: anything of a config and layers
    INDEX = "index"


KINDS: Final[Mapping[str, Kind]] = {
    IMAGE: Kind.IMAGE,
    DOCKER_IMAGE: Kind.IMAGE,
    INDEX: Kind.INDEX,
    DOCKER_LIST: Kind.INDEX,
}


class UnsupportedManifest(Malformed):
    """A manifest that its format allows and the gateway does not let in; no fault of its bytes."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of one piece of content."""

    media_type: str
    digest: Digest
    size: int
    artifact_type: str = ""
    annotations: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as far as the gateway judges it; an index has children, an image a config and layers."""

    kind: Kind
    media_type: str
    config: Descriptor | None = None
    layers: tuple[Descriptor, ...] = ()
    children: tuple[Descriptor, ...] = ()
    subject: Descriptor | None = None
    artifact_type: str = ""
    annotations: tuple[tuple[str, str], ...] = ()

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The config and the layers."""
        return (*((self.config,) if self.config else ()), *self.layers)

    @property
    def links(self) -> tuple[Digest, ...]:
        """The digest of everything it is made of, once; its subject is not."""
        return tuple(dict.fromkeys(one.digest for one in (*self.blobs, *self.children)))

    @property
    def listed_type(self) -> str:
        """The artifact type that a list of referrers gives it: an image without one has its config's."""
        return self.artifact_type or (self.config.media_type if self.config else "")


def read_manifest(body: bytes, content_type: str) -> Manifest:
    """Read a manifest that is sent as `content_type`; raises `Malformed`, `TooLarge` or `UnsupportedManifest`."""
    if content_type not in KINDS:
        raise UnsupportedManifest("Content-Type", f"{content_type[:120]!r}; expected an image or an index")
    document = json.parse_object(body, "manifest", limit=limits.MANIFEST_BYTES)
    if _SCHEMA_1 & document.keys():
        raise UnsupportedManifest("manifest", "of Docker's schema 1, which is not addressed by its digest")
    _one_spelling(document, _BOTH | _PARTS, "manifest")
    if json.field(document, "schemaVersion", int, "manifest") != 2:
        raise Malformed("manifest.schemaVersion", "expected 2")
    _same_type(document, content_type)
    kind = KINDS[content_type]
    for foreign in ("manifests",) if kind is Kind.IMAGE else ("config", "layers"):
        if foreign in document:
            raise Malformed(f"manifest.{foreign}", f"in an {kind.value}, which two clients would read differently")
    subject = json.optional(document, "subject", dict, "manifest")
    common = (
        None if subject is None else _descriptor(subject, "manifest.subject"),
        _media_type(document, "artifactType", "manifest"),
        _annotations(document, "manifest"),
    )
    if kind is Kind.INDEX:
        return Manifest(kind, content_type, None, (), _descriptors(document, "manifests", _child), *common)
    config = _descriptor(json.field(document, "config", dict, "manifest"), "manifest.config")
    return Manifest(kind, content_type, config, _descriptors(document, "layers", _layer), (), *common)


def refusal(error: Malformed, about: str) -> Reason:
    """Say why a manifest was not let in; `about` is the name or the digest it came under."""
    if isinstance(error, TooLarge):
        return Reason(Code.UPLOAD_TOO_LARGE, f"{about}: {error.about}", f"at most {error.limit}")
    code = Code.OPERATION_REFUSED if isinstance(error, UnsupportedManifest) else Code.UPLOAD_MALFORMED
    return Reason(code, f"{about}: {error.about}", got=error.problem)


def content(manifest: Manifest, digest: Digest, body: bytes, subject: Digest | None = None) -> Content:
    """What the record keeps of a manifest; `subject` where it was verified as evidence for that."""
    return Content(
        digest,
        len(body),
        manifest.media_type,
        hashlib.sha256(body).hexdigest(),
        manifest.links,
        subject,
        manifest.listed_type,
        _listed(manifest.annotations),
        manifest.subject.digest if manifest.subject else None,
        frozenset(child.digest for child in manifest.children),
    )


def _same_type(document: Object, content_type: str) -> None:
    """OCI's own types may be left out of the body (cosign does); a reader then goes by the header."""
    said = json.optional(document, "mediaType", str, "manifest")
    if said is None and content_type in {IMAGE, INDEX}:
        return
    if said != content_type:
        raise Malformed("manifest.mediaType", f"{str(said)[:120]!r}, sent as {content_type}")


def _descriptors(document: Object, key: str, read: Callable[[Object, str], Descriptor]) -> tuple[Descriptor, ...]:
    found = json.items(document, key, dict, "manifest", most=limits.MANIFEST_LINKS)
    return tuple(read(one, f"manifest.{key}[{index}]") for index, one in enumerate(found))


def _child(value: Object, about: str) -> Descriptor:
    child = _descriptor(value, about)
    if child.media_type not in KINDS:
        raise UnsupportedManifest(f"{about}.mediaType", f"{child.media_type!r}; expected an image or an index")
    return child


def _layer(value: Object, about: str) -> Descriptor:
    """Foreign layers are somewhere else, and need not be what was verified."""
    layer = _descriptor(value, about)
    if any(mark in layer.media_type for mark in _FOREIGN):
        raise UnsupportedManifest(f"{about}.mediaType", f"{layer.media_type!r}, a layer that is kept elsewhere")
    return layer


def _descriptor(value: Object, about: str) -> Descriptor:
    _one_spelling(value, _DESCRIPTOR, about)
    if json.optional(value, "urls", list, about):
        raise UnsupportedManifest(f"{about}.urls", "content that is kept elsewhere")
    size = json.field(value, "size", int, about)
    if not 0 <= size <= _LARGEST:
        raise Malformed(f"{about}.size", "not a number of bytes")
    media_type = _media_type(value, "mediaType", about)
    if not media_type:
        raise Malformed(f"{about}.mediaType", "missing")
    try:
        digest = read_digest(json.field(value, "digest", str, about))
    except Malformed as error:
        raise Malformed(f"{about}.digest", error.problem) from None
    _same_data(value, digest, size, about)
    artifact_type = _media_type(value, "artifactType", about)
    return Descriptor(media_type, digest, size, artifact_type, _annotations(value, about))


def _same_data(value: Object, digest: Digest, size: int, about: str) -> None:
    """A client may take the content from the descriptor itself, so that has to be the content."""
    data = json.optional(value, "data", str, about)
    if data is None:
        return
    found = base64.decode(data, f"{about}.data", limits.MANIFEST_BYTES)
    if len(found) != size or not digest.matches(found):
        raise Malformed(f"{about}.data", "other bytes than the digest's")


def _media_type(value: Object, key: str, about: str) -> str:
    text = json.optional(value, key, str, about)
    try:
        return read_media_type(text) if text else ""
    except Malformed as error:
        raise Malformed(f"{about}.{key}", error.problem) from None


def _listed(annotations: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """The annotations, where they are short enough for a list: a manifest may be nothing but annotations."""
    return annotations if sum(len(key) + len(text) for key, text in annotations) <= limits.ANNOTATIONS_LISTED else ()


def _annotations(value: Object, about: str) -> tuple[tuple[str, str], ...]:
    found = json.optional(value, "annotations", dict, about) or {}
    if len(found) > limits.ANNOTATIONS:
        raise TooLarge(f"{about}.annotations", f"{limits.ANNOTATIONS} annotations")
    return tuple((key, json.expect(found[key], str, f"{about}.annotations")) for key in sorted(found))


def _one_spelling(value: Object, known: frozenset[str], about: str) -> None:
    folded = {key.casefold() for key in known}
    for key in value:
        if key not in known and key.casefold() in folded:
            raise Malformed(about, f"the key {key[:60]!r}, which some readers take for {key.casefold()[:60]!r}")
