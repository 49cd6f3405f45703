"""`Case`: everything a decision may depend on, the time included; and `Grant`, `Waiver`, `History`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.model.evidence import Finding
from gateway.model.identity import Identity
from gateway.model.upload import Upload
from gateway.reasons import Code


class Action(StrEnum):
    """What a grant may allow."""

    READ = "read"
    PUBLISH = "publish"
    MUTATE = "mutate"
    ATTACH = "attach"


class GrantKind(StrEnum):
    """How a grant came to be."""

    TOKEN = "token"  # noqa: S105 - the kind's name, not a secret
    OIDC = "oidc"


@dataclass(frozen=True, slots=True)
class Grant:
    """A publish credential as a non-human identity, without its secret.

    `holder` is the identity it is bound to (None for a plain token), `owner` the person or team that answers for it.
    `packages` are patterns over purls (`gateway.model.pattern`). `uses_left` None means unlimited.
    """

    id: str
    kind: GrantKind
    owner: str
    registry: str
    packages: tuple[str, ...]
    actions: frozenset[Action]
    not_before: datetime
    expires: datetime
    holder: Identity | None = None
    uses_left: int | None = None


@dataclass(frozen=True, slots=True)
class Waiver:
    """A person's audited, expiring decision to set named codes aside for one digest, once."""

    id: str
    registry: str
    purl: str
    version: str
    sha256: str
    codes: frozenset[Code]
    person: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class Published:
    """One file this registry already has under this version: who proved it, when, and whether policy enforced it."""

    canonical: str
    sha256: str
    at: datetime
    signer: Identity | None = None
    observed: bool = False


@dataclass(frozen=True, slots=True)
class History:
    """What this registry accepted or already holds.

    `release` holds the files of the same version, `bound` the digest each of the upload's canonical names is bound to
    for good (also after the registry lost the file), `revoked` the withdrawn sha256 values among the upload's files.
    """

    first_publish: datetime | None = None
    release: tuple[Published, ...] = ()
    bound: tuple[tuple[str, str], ...] = ()
    revoked: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Case:
    """Everything `decide` may depend on. `decode(encode(case)) == case`, so it can be decided again.

    `pushed` is when the upload came, where it was held and is decided later: its credential had to be in force then.
    """

    at: datetime
    upload: Upload
    grant: Grant
    findings: tuple[Finding, ...]
    history: History = History()
    waivers: tuple[Waiver, ...] = ()
    pushed: datetime | None = None
