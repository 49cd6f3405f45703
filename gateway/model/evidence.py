"""`Evidence`, `Attestation`, `Finding`: what was sent as proof, and what verification made of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from gateway.model.digest import Digest
from gateway.model.identity import Identity
from gateway.reasons import Reason

LINK: Final = "https://in-toto.io/attestation/link/v0.3"  # the older form of a link has no type of its own


class Format(StrEnum):
    """How a piece of evidence is written down."""

    BUNDLE = "sigstore-bundle"
    PEP740 = "pep740"
    DSSE = "dsse"
    COSIGN = "cosign-annotations"
    LAYOUT = "in-toto-layout"
    LINK = "in-toto-link"
    LINKS = "in-toto-links"  # every link of an upload taken together: never sent, only judged
    UNKNOWN = "unknown"

    @property
    def judged_together(self) -> bool:
        """Whether a piece means nothing by itself: a layout is met by all links together."""
        return self in {Format.LAYOUT, Format.LINK}


class Source(StrEnum):
    """Where a piece of evidence came from; only the publisher's own request is held to its protocol's rules."""

    REQUEST = "request"
    LOCKER = "locker"
    REFERRER = "referrer"
    SIDECAR = "sidecar"
    FETCHED = "fetched"
    ARGUMENT = "argument"


@dataclass(frozen=True, slots=True)
class EvidenceRef:
    """A piece of evidence without its bytes: `id` is the sha256 of them, `position` its place among its siblings."""

    id: str
    format: Format
    source: Source
    position: int = 0

    @property
    def label(self) -> str:
        """How a reason names this piece: `request evidence 1`; all links together are `locker links`."""
        if self.format is Format.LINKS:
            return f"{self.source.value} links"
        return f"{self.source.value} evidence {self.position + 1}"


@dataclass(frozen=True, slots=True)
class Evidence:
    """An unverified bundle, attestation, signature or layout; `body` is hostile."""

    ref: EvidenceRef
    body: bytes


@dataclass(frozen=True, slots=True)
class Subject:
    """One thing an attestation covers: every digest it gives, and the name it gives it (None: a plain signature)."""

    name: str | None
    digests: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """The facts of a SLSA provenance predicate: what its signer says of the build.

    `build` holds the identity fields that the predicate names, mapped by build type; None where it does not say.
    `unknown_parameters` are keys of `externalParameters` that no known build type defines (SLSA: should fail).
    """

    builder: str | None
    build_type: str | None
    build: Identity
    unknown_parameters: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Summary:
    """The facts of a SLSA verification summary: what a verifier says it found (VSA v1).

    `resource` is the URI that was verified, `policy` and `policy_digests` the URI and content of what it was held
    against. Whether the signer may speak for the verifier is not checked here.
    """

    verifier: str
    resource: str
    passed: bool
    levels: tuple[str, ...]
    policy: str | None = None
    policy_digests: tuple[Digest, ...] = ()


@dataclass(frozen=True, slots=True)
class Performed:
    """One step of a layout, performed as the layout demands, and the ids of the keys whose links agree on it."""

    step: str
    functionaries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attestation:
    """Evidence that verified under one trust root. Only `verification` makes one (and the codec, for replay).

    `signer` is None where a key signed (`key` then names the key within its root). `time` is the latest proved time,
    `time_source` says by what. `predicate_type` is None for a plain signature. Whether it covers an upload, and
    whether its signer is expected, is not checked here: `policy` does. `steps` is there where the root is a layout and
    its links together satisfy it.
    """

    root: str
    root_digest: str
    signer: Identity | None
    key: str | None
    time: datetime | None
    time_source: str
    predicate_type: str | None
    covers: tuple[Subject, ...]
    provenance: Provenance | None = None
    summary: Summary | None = None
    steps: tuple[Performed, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What one piece of evidence came to under one trust root; `root` is None where it failed before any root.

    Exactly one of `attestation` and `reasons` is there.
    """

    evidence: EvidenceRef
    root: str | None
    attestation: Attestation | None = None
    reasons: tuple[Reason, ...] = ()

    def __post_init__(self) -> None:
        if (self.attestation is None) != bool(self.reasons):
            raise ValueError("a finding is an attestation or the reasons why not")
