"""Which manifests may be evidence, told by their content; and from the blobs of one, the `Evidence` that it holds.

Three are: (a) a referrer, an image with a `subject`, the empty config and nothing but bundles and envelopes as layers;
(b) cosign's older way, an image with a config that says nothing, and payloads and envelopes with cosign's annotations;
(c) the index that clients keep where a registry has no list of referrers. Everything else with a subject or an artifact
type is an image. What is told here is only what it looks like: whether it proves anything is for verification, and
nothing is evidence that did not verify.

Sources: OCI distribution specification 1.1 ("Referrers tag schema"); Sigstore's bundle specification (OCI); cosign's
`specs/SIGNATURE_SPEC.md`, and what cosign 3.1 pushes (FACTS-OCI 3).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from json import dumps
from typing import Final

from gateway import limits
from gateway.ecosystems.oci_manifest import EMPTY, INDEX, Descriptor, Kind, Manifest
from gateway.ecosystems.oci_routes import read_digest
from gateway.errors import Malformed, TooLarge
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.strict import base64, json

ENVELOPE: Final = "application/vnd.dsse.envelope.v1+json"
SIMPLE_SIGNING: Final = "application/vnd.dev.cosign.simplesigning.v1+json"
BUNDLES: Final = frozenset(
    {
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        *(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2, 3)),
    }
)
_CONFIGS: Final = frozenset(
    {
        "application/vnd.oci.image.config.v1+json",
        "application/vnd.docker.container.image.v1+json",  # COSIGN_DOCKER_MEDIA_TYPES=1
        "application/vnd.dev.cosign.artifact.sig.v1+json",  # with a subject: --registry-referrers-mode=oci-1-1
    }
)
_SIGNATURE: Final = "dev.cosignproject.cosign/signature"  # empty beside an envelope, which holds its own
_COSIGNS: Final = ("dev.cosignproject.cosign/", "dev.sigstore.cosign/")
_CREATED: Final = re.compile(r"[0-9TZ:.+-]{1,40}")
_FALLBACK: Final = re.compile(r"sha(?:256|512)-[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A manifest that looks like evidence; `legacy` in cosign's older way."""

    manifest: Manifest
    legacy: bool

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What must be read before it can be told: each at most `limits.EVIDENCE_BYTES`."""
        return self.manifest.blobs if self.legacy else self.manifest.layers


@dataclass(frozen=True, slots=True)
class Claimed:
    """Evidence as it claims to be: `subject` is what it says it is for, `tags` the only ones it may be pushed under."""

    subject: Digest
    evidence: tuple[Evidence, ...]
    tags: frozenset[str] = frozenset()


def candidate(manifest: Manifest) -> Candidate | None:
    """Say whether a manifest looks like evidence; raises `TooLarge` where it does and is over the bounds."""
    legacy = _is_legacy(manifest)
    if not legacy and not _is_referrer(manifest):
        return None
    found = Candidate(manifest, legacy)
    if len(manifest.layers) > limits.EVIDENCE_PER_DIGEST:
        raise TooLarge("evidence", f"{limits.EVIDENCE_PER_DIGEST} layers")
    if any(blob.size > limits.EVIDENCE_BYTES for blob in found.blobs):
        raise TooLarge("evidence", f"{limits.EVIDENCE_BYTES} bytes for each piece")
    return found


def claimed(of: Candidate, blobs: Mapping[Digest, bytes]) -> Claimed | None:
    """Read what a candidate holds from its blobs, by their digests; None where it is an image after all.

    Raises `Malformed` where it is evidence for nothing, or not for one subject alone.
    """
    for descriptor in of.blobs:
        body = blobs[descriptor.digest]
        if len(body) != descriptor.size or not descriptor.digest.matches(body):
            raise Malformed(f"blob {descriptor.digest}", "other bytes than its descriptor's")
    manifest = of.manifest
    if not of.legacy:
        assert manifest.subject is not None
        pieces = [(blobs[one.digest], _format(one)) for one in manifest.layers]
        return Claimed(manifest.subject.digest, _evidence(pieces))
    assert manifest.config is not None
    if not _says_nothing(blobs[manifest.config.digest], manifest):
        return None
    subject = _subject([_subjects(blobs[one.digest], one) for one in manifest.layers], manifest.subject)
    pieces = [(_with_annotations(blobs[one.digest], one), Format.COSIGN) for one in manifest.layers]
    return Claimed(subject, _evidence(pieces), legacy_tags(subject))


def legacy_tags(subject: Digest) -> frozenset[str]:
    """The tags under which cosign keeps what is about a subject."""
    stem = f"{subject.algorithm}-{subject.value}"
    return frozenset({f"{stem}.sig", f"{stem}.att", f"{stem}.sbom"})


def fallback_tag(subject: Digest) -> str:
    """The tag of the list that clients keep of a subject's referrers, where the registry keeps none."""
    return f"{subject.algorithm}-{subject.value[:64]}"


def is_fallback(manifest: Manifest, tag: str) -> bool:
    """Whether an index under this tag looks like a client's list of referrers.

    It is one where every child is evidence that is known already, of a subject whose `fallback_tag` this is: an image
    may bear the same tag (`cosign copy` does that), and so may an index of images.
    """
    return (
        _FALLBACK.fullmatch(tag) is not None
        and manifest.media_type == INDEX
        and manifest.subject is None
        and not manifest.artifact_type
        and bool(manifest.children)
    )


def _is_referrer(manifest: Manifest) -> bool:
    config = manifest.config
    return (
        manifest.subject is not None
        and config is not None
        and config.media_type == EMPTY
        and config.digest.matches(b"{}")
        and config.size == len(b"{}")
        and bool(manifest.layers)
        and all(layer.media_type in BUNDLES or layer.media_type == ENVELOPE for layer in manifest.layers)
    )


def _is_legacy(manifest: Manifest) -> bool:
    return (
        manifest.kind is Kind.IMAGE
        and manifest.config is not None
        and manifest.config.media_type in _CONFIGS
        and bool(manifest.layers)
        and all(
            layer.media_type in {SIMPLE_SIGNING, ENVELOPE} and _SIGNATURE in dict(layer.annotations)
            for layer in manifest.layers
        )
    )


def _says_nothing(config: bytes, manifest: Manifest) -> bool:
    """Whether a config is the one that cosign writes: of no system, with nothing to run, of these layers."""
    try:
        document = json.parse_object(config, "config", limit=limits.EVIDENCE_BYTES)
        history = json.items(document, "history", dict, "config", most=limits.EVIDENCE_PER_DIGEST)
    except Malformed:
        return False
    moments = [document.pop("created", ""), *(value for entry in history for value in entry.values())]
    empty = {
        "architecture": "",
        "config": {},
        "history": history,
        "os": "",
        "rootfs": {"type": "layers", "diff_ids": [str(layer.digest) for layer in manifest.layers]},
    }
    return (
        document == empty
        and all(entry.keys() <= {"created"} for entry in history)
        and all(isinstance(moment, str) and _CREATED.fullmatch(moment) for moment in moments)
    )


def _subjects(body: bytes, layer: Descriptor) -> frozenset[Digest]:
    """What one of cosign's layers says that it is about."""
    document = json.parse_object(body, "layer", limit=limits.EVIDENCE_BYTES)
    if layer.media_type == SIMPLE_SIGNING:
        critical = json.field(document, "critical", dict, "payload")
        image = json.field(critical, "image", dict, "payload.critical")
        return frozenset({read_digest(json.field(image, "docker-manifest-digest", str, "payload.critical.image"))})
    payload = base64.decode(json.field(document, "payload", str, "envelope"), "envelope", limits.EVIDENCE_BYTES)
    statement = json.parse_object(payload, "statement", limit=limits.EVIDENCE_BYTES)
    found = json.items(statement, "subject", dict, "statement", most=limits.STATEMENT_SUBJECTS)
    return frozenset(
        read_digest(f"{algorithm}:{json.expect(value, str, 'statement.subject.digest')}")
        for subject in found
        for algorithm, value in json.field(subject, "digest", dict, "statement.subject").items()
        if algorithm in {"sha256", "sha512"}
    )


def _subject(said: list[frozenset[Digest]], stated: Descriptor | None) -> Digest:
    """The one subject that all layers have in common, and that the manifest states where it states one."""
    common = frozenset.intersection(*said)
    if stated is not None:
        common &= {stated.digest}
    for algorithm in ("sha256", "sha512"):
        found = [digest for digest in common if digest.algorithm == algorithm]
        if len(found) == 1:
            return found[0]
    raise Malformed("layers", "evidence for several subjects" if common else "evidence for different subjects")


def _with_annotations(payload: bytes, layer: Descriptor) -> bytes:
    """A layer and cosign's annotations of it as one document, which is how verification reads them."""
    annotations = {key: text for key, text in layer.annotations if key.startswith(_COSIGNS)}
    return dumps({"annotations": annotations, "payload": b64encode(payload).decode()}, sort_keys=True).encode()


def _format(layer: Descriptor) -> Format:
    return Format.DSSE if layer.media_type == ENVELOPE else Format.BUNDLE


def _evidence(pieces: list[tuple[bytes, Format]]) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(EvidenceRef(hashlib.sha256(body).hexdigest(), form, Source.REFERRER, position), body)
        for position, (body, form) in enumerate(pieces)
    )
