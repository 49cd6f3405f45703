"""`Store`: what the gateway asks of its record, and the values it answers with; no SQL, no database named.

Rules that every implementation keeps:

* A method that writes returns when the write is durable. Cancelling the caller does not undo it.
* Names, uses and waivers are claimed atomically, also between processes.
* What cannot be written or read raises `StoreError`; a verdict (a name that is taken) is a value.
* `withheld` and `revoked` answer from memory; they hold this process's own writes at once and another process's within
  `limits.STORE_WATCH_SECONDS`. When they cannot be brought up to date they raise rather than show too much.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Self

from gateway.errors import StoreError
from gateway.model.case import Grant, History, Waiver
from gateway.model.decision import Outcome
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence
from gateway.model.intent import Intent, Record, Settlement, Step
from gateway.model.upload import Upload
from gateway.model.vouched import Vouched
from gateway.store.contents import Contents


@dataclass(frozen=True, slots=True)
class Began:
    """The record is written and, where there is an intent, its names are reserved."""


class Cause(StrEnum):
    """Why an intent cannot begin."""

    BOUND = "bound"  # the name is bound to other bytes for good
    OPEN = "open"  # another publish of the name is under way
    DAMAGED = "damaged"  # an earlier publish left other bytes in the registry
    REVOKED = "revoked"  # these bytes were withdrawn since the history was read
    ENDED = "ended"  # the hold that it would release has ended


@dataclass(frozen=True, slots=True)
class Conflict:
    """Nothing was written: one of the intent's names cannot be reserved, or what it would release has ended.

    `sha256` is what the name is reserved for or bound to, `intent` the publish that is open or damaged on it.
    """

    canonical: str
    sha256: str
    cause: Cause
    intent: str | None = None

    @property
    def open(self) -> bool:
        """Whether waiting may help: another publish of the name is under way."""
        return self.cause is Cause.OPEN


@dataclass(frozen=True, slots=True)
class Written:
    """A record and, where it was accepted and carried out, how its publish stands."""

    record: Record
    intent: Intent | None


@dataclass(frozen=True, slots=True)
class KnownGrant:
    """A grant as it is listed; `revoked` says when it was withdrawn."""

    grant: Grant
    revoked: datetime | None


@dataclass(frozen=True, slots=True)
class KnownWaiver:
    """A waiver as it is listed; `used_by` is the record that used it up."""

    waiver: Waiver
    used_by: str | None


@dataclass(frozen=True, slots=True)
class Revocation:
    """A person's decision to withdraw bytes."""

    sha256: str
    person: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Query:
    """Which records are asked for, newest first; None is any. `before` is the id of the last record already seen."""

    registry: str | None = None
    purl: str | None = None
    version: str | None = None
    outcome: Outcome | None = None
    sha256: str | None = None
    grant: str | None = None
    before: str | None = None
    limit: int = 100


class Store(ABC):
    """The record. Open one with `Store.open`, and close it or use it as `async with`."""

    @staticmethod
    async def open(url: str, key: bytes) -> Store:
        """Open, and create or migrate, the store at `sqlite:///relative` or `sqlite:////absolute`.

        `key` is what tokens are hashed with; a store made under another key is refused, since no token in it would
        ever be recognised again.
        """
        scheme, separator, place = url.partition(":///")
        if not separator or scheme != "sqlite":
            raise StoreError(f"store: expected sqlite:///path, got {scheme}:")
        from gateway.store.sqlite.store import SqliteStore  # noqa: PLC0415 - the implementation imports this interface

        return await SqliteStore.at(place, key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @abstractmethod
    async def close(self) -> None:
        """Finish what was handed over and let go of the database."""

    @property
    @abstractmethod
    def contents(self) -> Contents:
        """What the record knows of content that is kept by digest."""

    # --- grants ---------------------------------------------------------------------------------------------------

    @abstractmethod
    async def add_grant(self, grant: Grant, token_hash: str) -> None:
        """Write a new grant and the keyed hash of its token."""

    @abstractmethod
    async def grant_by_id(self, grant_id: str) -> tuple[Grant, str] | None:
        """A grant and its token's keyed hash; None where there is none or it is revoked. Expiry is not looked at."""

    @abstractmethod
    async def grant_seen(self, grant_id: str) -> tuple[Grant, str] | None:
        """As `grant_by_id`, for reads: from memory while nothing was written.

        Another process's revocation is seen within `limits.STORE_WATCH_SECONDS`.
        """

    @abstractmethod
    async def grants(self) -> tuple[KnownGrant, ...]:
        """Every grant, revoked ones too, in the order they were made."""

    @abstractmethod
    async def revoke_grant(self, grant_id: str, at: datetime) -> bool:
        """Withdraw a grant for good; False where there is none. A second time keeps the first time's date."""

    @abstractmethod
    async def use_grant(self, grant_id: str) -> bool:
        """Take one of the grant's uses; False where none is left, or the grant is unknown or revoked."""

    # --- records and intents --------------------------------------------------------------------------------------

    @abstractmethod
    async def begin(self, record: Record, intent: Intent | None) -> Began | Conflict:
        """Write a decision and, in the same transaction, reserve the names of its intent (CONTRACTS E.1, E.2)."""

    @abstractmethod
    async def step(self, intent_id: str, step: Step) -> None:
        """Note how far a publish got; raises `StoreError` for a step back or an intent that is not open."""

    @abstractmethod
    async def settle(self, intent_id: str, settlement: Settlement, problem: str, at: datetime) -> None:
        """Close an intent: PUBLISHED binds its names for good, ABSENT and REFUSED release them, DAMAGED withholds them.

        A movable name is bound to the intent's bytes from PUBLISHED on, and keeps what it had until then.

        A damaged intent may be settled again; settling twice alike is nothing; any other change raises `StoreError`.
        """

    @abstractmethod
    async def intent(self, intent_id: str) -> Intent | None:
        """One intent as it stands."""

    @abstractmethod
    async def open_intents(self) -> tuple[Intent, ...]:
        """Every intent that is open or damaged, oldest first."""

    @abstractmethod
    async def record(self, record_id: str) -> Written | None:
        """One record with how its publish stands."""

    @abstractmethod
    async def records(self, query: Query) -> tuple[Written, ...]:
        """Records, newest first."""

    @abstractmethod
    async def history(self, upload: Upload) -> History:
        """What was accepted before under this upload's names; what `mode: observe` let through is marked or left out.

        `first_publish` counts enforced publishes only (CONTRACTS D.5).
        """

    # --- what readers may see -------------------------------------------------------------------------------------

    @abstractmethod
    def withheld(self, registry: str) -> Mapping[str, str]:
        """Canonical name -> verified sha256 of every file that is open, damaged or revoked; never blocks."""

    @abstractmethod
    def revoked(self) -> frozenset[str]:
        """The sha256 of everything withdrawn; never blocks."""

    @abstractmethod
    async def accepted(self, registry: str) -> Mapping[str, str]:
        """Canonical name -> sha256 of every file ever published through the gateway; a live view, from memory."""

    @abstractmethod
    async def vouched(self, registry: str) -> Mapping[str, Vouched]:
        """Canonical name -> what the gateway answers for under it; a live view, from memory."""

    @abstractmethod
    async def vouch(
        self, registry: str, canonical: str, vouched: Vouched, person: str, at: datetime
    ) -> Conflict | None:
        """Vouch for bytes that were there before the gate, unless the name has others or they are revoked.

        What is published through the gateway is vouched for without it.
        """

    @abstractmethod
    async def vouch_conflict(self, registry: str, canonical: str, sha256: str) -> Conflict | None:
        """What `vouch` would answer, without writing anything."""

    @abstractmethod
    async def revoke_digest(self, sha256: str, person: str, why: str, at: datetime) -> None:
        """Withdraw bytes from every registry, for good; a second time keeps the first."""

    @abstractmethod
    async def revocations(self) -> tuple[Revocation, ...]:
        """Everything withdrawn, oldest first."""

    # --- evidence -------------------------------------------------------------------------------------------------

    @abstractmethod
    async def put_evidence(self, evidence: Evidence, digests: Sequence[Digest], grant_id: str, at: datetime) -> bool:
        """Put evidence into the locker under each digest; False, and nothing kept, where a digest's place is full.

        A place is (credential, digest): what one credential sends never crowds out another's (CONTRACTS C.12).
        """

    @abstractmethod
    async def evidence_for(self, digests: Sequence[Digest]) -> tuple[tuple[Evidence, str], ...]:
        """The locker's evidence under any of the digests, oldest first, each with the grant that sent it."""

    @abstractmethod
    async def keep_evidence(self, evidence: Evidence, digests: Sequence[Digest], grant_id: str, at: datetime) -> None:
        """Keep evidence that came with a publish, so that it can be served again; not part of the locker."""

    @abstractmethod
    async def kept_evidence(self, digest: Digest) -> tuple[tuple[Evidence, str], ...]:
        """What was kept with `keep_evidence` under a digest, oldest first, each with the grant that sent it."""

    # --- waivers --------------------------------------------------------------------------------------------------

    @abstractmethod
    async def add_waiver(self, waiver: Waiver, at: datetime) -> None:
        """Write a person's decision to set codes aside once."""

    @abstractmethod
    async def waivers(self) -> tuple[KnownWaiver, ...]:
        """Every waiver, used and expired ones too, in the order they were made."""

    @abstractmethod
    async def waivers_for(
        self, registry: str, purl: str, version: str, sha256: str, now: datetime
    ) -> tuple[Waiver, ...]:
        """The waivers of exactly these bytes that are neither used nor expired."""

    @abstractmethod
    async def use_waiver(self, waiver_id: str, record_id: str, at: datetime) -> bool:
        """Use a waiver up; False where it is unknown, or another record has used it."""
