"""`Record` and `Intent`: a decision as it is written down, and a publish under way with the step it stands at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from gateway.model.case import Case
from gateway.model.decision import Decision
from gateway.model.mutation import Mutation


class Step(StrEnum):
    """How far a publish got; written before the step's work begins, so that a crash says where it died."""

    DECIDED = "decided"  # decision and intent are on disk, nothing has gone upstream
    FORWARDING = "forwarding"  # bytes may have reached the registry
    FORWARDED = "forwarded"  # the registry said yes; its copy was not compared yet
    SETTLED = "settled"


class Settlement(StrEnum):
    """What an intent came to, as compared with what the registry serves."""

    PUBLISHED = "published"  # the registry holds exactly the verified bytes
    ABSENT = "absent"  # the registry holds nothing under this name
    REFUSED = "refused"  # the registry refused the upload
    DAMAGED = "damaged"  # the registry holds other bytes: withheld from every reader until mended


@dataclass(frozen=True, slots=True)
class IntentFile:
    """One file of an intent: the name it is stored under, its canonical name, its measured digest and size."""

    name: str
    canonical: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Intent:
    """A publish that was accepted and is being carried out. `id` is its record's id.

    `movable` says that its names may be bound to other bytes already, and move (an OCI tag); `hold` is the hold that it
    releases, which must not have ended. `problem` is what a person must know about a settlement other than PUBLISHED.
    """

    id: str
    registry: str
    name: str
    version: str
    files: tuple[IntentFile, ...]
    opened: datetime
    step: Step = Step.DECIDED
    settlement: Settlement | None = None
    problem: str = ""
    movable: bool = False
    hold: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """One decision as it is written down. `id` carries 128 random bits and is the capability to read its page.

    `mutation` is what was decided on where that was no upload; accepted, it was let through to the registry.
    """

    id: str
    at: datetime
    case: Case | None  # None: a mutation, or refused before there was an upload to decide on
    decision: Decision
    registry: str
    grant: str
    roots: tuple[tuple[str, str], ...] = ()  # name and digest of every trust root that was asked
    mutation: Mutation | None = None
