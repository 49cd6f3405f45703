"""`Content` and `Hold`: what a registry keeps by its digest (OCI), and a name that waits for its evidence."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from gateway.model.digest import Digest


@dataclass(frozen=True, slots=True)
class Place:
    """Where content lies: a configured registry, and a repository's path in it."""

    registry: str
    repository: str


@dataclass(frozen=True, slots=True)
class Content:
    """One piece of content that came through the gateway, as it was measured or read there.

    A manifest has `links`, the digests of what it is made of (config, layers, children), and its own `sha256`, by which
    it can be revoked whatever its `digest` is computed with; a blob's is empty where it was not measured. `children`
    are those of the links that are manifests: what shows a manifest shows all that it is made of, a layer is bytes.
    `subject` is there where every layer was verified as evidence for it: such content is shown when its subject is.
    `refers` is the subject that a manifest states, proved or not: lists of referrers go by it. `media_type`,
    `artifact_type` and `annotations` are what such a list says of it.
    """

    digest: Digest
    size: int
    media_type: str
    sha256: str = ""
    links: tuple[Digest, ...] = ()
    subject: Digest | None = None
    artifact_type: str = ""
    annotations: tuple[tuple[str, str], ...] = ()
    refers: Digest | None = None
    children: frozenset[Digest] = frozenset()


class Sight(Enum):
    """Whether readers may see content: something accepted holds it, it waits or was refused, or it is not ours to say.

    UNKNOWN: it never came through the gateway; `reads: open` shows it, `reads: verified` does not.
    """

    SHOWN = "shown"
    HIDDEN = "hidden"
    UNKNOWN = "unknown"


class Ending(StrEnum):
    """What became of a hold."""

    RELEASED = "released"
    EXPIRED = "expired"
    SUPERSEDED = "superseded"  # a later push of the tag was accepted first
    REFUSED = "refused"  # decided again under another policy, grant or revocation


@dataclass(frozen=True, slots=True)
class Hold:
    """A tag that was pushed and waits for its image's evidence. `id` is the record of the decision to hold.

    `before` is the digest that the tag had when it was pushed. `opened` orders pushes of one tag: an accepted push ends
    every older hold of it. `problem` is what a person must know about an ending other than a release.
    """

    id: str
    place: Place
    tag: str
    digest: Digest
    sha256: str
    before: Digest | None
    grant: str
    opened: datetime
    deadline: datetime
    ended: datetime | None = None
    ending: Ending | None = None
    problem: str = ""
