"""`SqliteStore`: the record in one SQLite file, behind the asynchronous interface; what readers may see, in memory."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, Generic, TypeVar

from cachetools import LRUCache

from gateway import limits
from gateway.errors import StoreError
from gateway.model.case import Grant, History, Waiver
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence
from gateway.model.intent import Intent, Record, Settlement, Step
from gateway.model.upload import Upload
from gateway.model.vouched import Vouched
from gateway.store.contents import Contents
from gateway.store.files import prepare
from gateway.store.sqlite import evidence as evidence_rows
from gateway.store.sqlite import grants as grant_rows
from gateway.store.sqlite import history, publishes
from gateway.store.sqlite import vouched as vouched_rows
from gateway.store.sqlite import waivers as waiver_rows
from gateway.store.sqlite.access import Access
from gateway.store.sqlite.database import Database, connect
from gateway.store.sqlite.kept import SqliteContents
from gateway.store.sqlite.schema import migrate
from gateway.store.store import Began, Conflict, KnownGrant, KnownWaiver, Query, Revocation, Store, Written

T = TypeVar("T")

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_KEY_CHECK: Final = b"the key of this store"


@dataclass(frozen=True, slots=True)
class _Hidden:
    """What no reader may see, as of the last commit; replaced whole."""

    withheld: Mapping[str, Mapping[str, str]]
    revoked: frozenset[str]


@dataclass(slots=True)
class _Growing(Generic[T]):
    """What one registry ever published, or has vouched for: it only grows, so one dictionary serves every reader.

    `after` reads what is new since a row.
    """

    after: Callable[[sqlite3.Connection, str, int], tuple[int, dict[str, T]]]
    seq: int = 0
    names: dict[str, T] = field(default_factory=dict)
    loaded: bool = False

    def refresh(self, connection: sqlite3.Connection, registry: str) -> None:
        """Take in what is new."""
        self.seq, new = self.after(connection, registry, self.seq)
        self.names.update(new)
        self.loaded = True


class SqliteStore(Access, Store):
    """Open with `at`; the directory is private to the gateway, other processes may open the same file."""

    def __init__(self, path: Path) -> None:
        self._hidden: _Hidden | None = None
        self._accepted: dict[str, _Growing[str]] = {}
        self._vouched: dict[str, _Growing[Vouched]] = {}
        self._version = 0
        self._grants: LRUCache[str, tuple[int, tuple[Grant, str] | None]] = LRUCache(limits.GRANTS_KEPT)
        super().__init__(Database(path, self._refresh))
        self._contents = SqliteContents(self._database, self._commits)

    @classmethod
    async def at(cls, place: str, key: bytes) -> SqliteStore:
        """Open the file, creating and migrating it; raises `StoreError`."""
        return await asyncio.to_thread(cls._at, Path(place), key)

    @classmethod
    def _at(cls, path: Path, key: bytes) -> SqliteStore:
        path = path.absolute()  # SQLite takes some relative names, like :memory:, for no file at all
        prepare(path)
        try:
            connection = connect(path)
            try:
                migrate(connection)
                _check_key(connection, key)
            finally:
                connection.close()
            store = cls(path)
        except sqlite3.Error as error:
            raise StoreError(f"{path}: {error}") from error
        except StoreError as error:
            raise StoreError(f"{path}: {error}") from error
        try:
            store._database.write(store._refresh).result()
        except BaseException:
            store._database.close()
            raise
        return store

    async def close(self) -> None:
        """Finish what was handed over and close the file."""
        await asyncio.to_thread(self._database.close)

    @property
    def contents(self) -> Contents:
        """The same record's content."""
        return self._contents

    # --- grants ---------------------------------------------------------------------------------------------------

    async def add_grant(self, grant: Grant, token_hash: str) -> None:
        """Write a new grant."""
        await self._write(partial(grant_rows.add, grant=grant, token_hash=token_hash))

    async def grant_by_id(self, grant_id: str) -> tuple[Grant, str] | None:
        """Find a grant that is not revoked."""
        return await self._read(partial(grant_rows.by_id, grant_id=grant_id))

    async def grant_seen(self, grant_id: str) -> tuple[Grant, str] | None:
        """Find a grant in memory, or read it."""
        version = self._version
        kept = self._grants.get(grant_id)
        if kept is not None and kept[0] == version:
            self._seen()  # raises where memory is behind the record
            return kept[1]
        found = await self.grant_by_id(grant_id)
        if version == self._version:  # else it may be of before the write
            self._grants[grant_id] = (version, found)
        return found

    async def grants(self) -> tuple[KnownGrant, ...]:
        """List all grants."""
        return await self._read(grant_rows.every)

    async def revoke_grant(self, grant_id: str, at: datetime) -> bool:
        """Withdraw a grant."""
        return await self._write(partial(grant_rows.revoke, grant_id=grant_id, at=at))

    async def use_grant(self, grant_id: str) -> bool:
        """Take one use."""
        return await self._write(partial(grant_rows.use, grant_id=grant_id))

    # --- records and intents --------------------------------------------------------------------------------------

    async def begin(self, record: Record, intent: Intent | None) -> Began | Conflict:
        """Write a record, and reserve the names of its intent."""
        return await self._write(partial(publishes.begin, record=record, intent=intent))

    async def step(self, intent_id: str, step: Step) -> None:
        """Move an intent on."""
        await self._write(partial(publishes.step, intent_id=intent_id, to=step))

    async def settle(self, intent_id: str, settlement: Settlement, problem: str, at: datetime) -> None:
        """Close an intent."""
        await self._write(partial(publishes.settle, intent_id=intent_id, settlement=settlement, problem=problem, at=at))

    async def intent(self, intent_id: str) -> Intent | None:
        """Find an intent."""
        return await self._read(partial(publishes.intent_by_id, intent_id=intent_id))

    async def open_intents(self) -> tuple[Intent, ...]:
        """List what is open or damaged."""
        return await self._read(publishes.unsettled)

    async def record(self, record_id: str) -> Written | None:
        """Find a record."""
        return await self._read(partial(publishes.record_by_id, record_id=record_id))

    async def records(self, query: Query) -> tuple[Written, ...]:
        """Search the records."""
        return await self._read(partial(publishes.select, query=query))

    async def history(self, upload: Upload) -> History:
        """Collect an upload's history."""
        return await self._read(partial(history.of_upload, upload=upload))

    # --- what readers may see -------------------------------------------------------------------------------------

    def withheld(self, registry: str) -> Mapping[str, str]:
        """What no reader of this registry may see."""
        return self._seen().withheld.get(registry, _NOTHING)

    def revoked(self) -> frozenset[str]:
        """What was withdrawn everywhere."""
        return self._seen().revoked

    async def accepted(self, registry: str) -> Mapping[str, str]:
        """What was published; the first call reads it, later ones answer from memory."""
        return await self._grown(self._accepted, registry, history.published_after)

    async def vouched(self, registry: str) -> Mapping[str, Vouched]:
        """What is vouched for; the first call reads it, later ones answer from memory."""
        return await self._grown(self._vouched, registry, vouched_rows.after)

    async def vouch(
        self, registry: str, canonical: str, vouched: Vouched, person: str, at: datetime
    ) -> Conflict | None:
        """Vouch for bytes."""
        return await self._write(
            partial(vouched_rows.vouch, registry=registry, canonical=canonical, vouched=vouched, person=person, at=at)
        )

    async def vouch_conflict(self, registry: str, canonical: str, sha256: str) -> Conflict | None:
        """Look whether bytes may be vouched for."""
        return await self._read(partial(vouched_rows.conflict, registry=registry, canonical=canonical, sha256=sha256))

    async def revoke_digest(self, sha256: str, person: str, why: str, at: datetime) -> None:
        """Withdraw bytes."""
        await self._write(partial(history.revoke, sha256=sha256, person=person, why=why, at=at))

    async def revocations(self) -> tuple[Revocation, ...]:
        """List what was withdrawn."""
        return await self._read(history.revocations)

    # --- evidence -------------------------------------------------------------------------------------------------

    async def put_evidence(self, evidence: Evidence, digests: Sequence[Digest], grant_id: str, at: datetime) -> bool:
        """Put evidence into the locker."""
        return await self._write(
            partial(evidence_rows.put, evidence=evidence, digests=tuple(digests), grant_id=grant_id, at=at)
        )

    async def evidence_for(self, digests: Sequence[Digest]) -> tuple[tuple[Evidence, str], ...]:
        """Look into the locker."""
        return await self._read(partial(evidence_rows.found, digests=tuple(digests)))

    async def keep_evidence(self, evidence: Evidence, digests: Sequence[Digest], grant_id: str, at: datetime) -> None:
        """Keep what came with a publish."""
        await self._write(
            partial(evidence_rows.keep, evidence=evidence, digests=tuple(digests), grant_id=grant_id, at=at)
        )

    async def kept_evidence(self, digest: Digest) -> tuple[tuple[Evidence, str], ...]:
        """Find what was kept."""
        return await self._read(partial(evidence_rows.kept, digest=digest))

    # --- waivers --------------------------------------------------------------------------------------------------

    async def add_waiver(self, waiver: Waiver, at: datetime) -> None:
        """Write a waiver."""
        await self._write(partial(waiver_rows.add, waiver=waiver, at=at))

    async def waivers(self) -> tuple[KnownWaiver, ...]:
        """List all waivers."""
        return await self._read(waiver_rows.every)

    async def waivers_for(
        self, registry: str, purl: str, version: str, sha256: str, now: datetime
    ) -> tuple[Waiver, ...]:
        """Find what is neither used nor expired."""
        return await self._read(
            partial(waiver_rows.for_bytes, registry=registry, purl=purl, version=version, sha256=sha256, now=now)
        )

    async def use_waiver(self, waiver_id: str, record_id: str, at: datetime) -> bool:
        """Use a waiver up."""
        return await self._write(partial(waiver_rows.use, waiver_id=waiver_id, record_id=record_id, at=at))

    # --- inside ---------------------------------------------------------------------------------------------------

    def _commits(self) -> int:
        self._seen()
        return self._version

    async def _grown(
        self,
        every: dict[str, _Growing[T]],
        registry: str,
        after: Callable[[sqlite3.Connection, str, int], tuple[int, dict[str, T]]],
    ) -> Mapping[str, T]:
        self._seen()
        known = every.get(registry)
        if known is None or not known.loaded:
            # Filled by `_refresh`, after the commit: a batch that fails must leave nothing here.
            known = await self._write(lambda _: every.setdefault(registry, _Growing(after)))
        return MappingProxyType(known.names)

    def _seen(self) -> _Hidden:
        if self._hidden is None:
            raise StoreError("what readers may see is not known; the record could not be read")
        return self._hidden

    # It runs in the writer's thread, as what `_grown` hands over does; nothing else changes what they change.

    def _refresh(self, connection: sqlite3.Connection) -> None:
        try:
            withheld, revoked = history.withheld(connection), history.revoked(connection)
            for registry, published in self._accepted.items():
                published.refresh(connection, registry)
            for registry, answered in self._vouched.items():
                answered.refresh(connection, registry)
        except BaseException:
            self._hidden = None
            raise
        if self._hidden is None or self._hidden.withheld != withheld or self._hidden.revoked != revoked:
            self._hidden = _Hidden({name: MappingProxyType(names) for name, names in withheld.items()}, revoked)
        self._version += 1


def _check_key(connection: sqlite3.Connection, key: bytes) -> None:
    """Tie the store to its key: under another one every token would be refused without a word why."""
    check = hmac.new(key, _KEY_CHECK, hashlib.sha256).hexdigest()
    connection.execute("INSERT OR IGNORE INTO meta (name, value) VALUES ('key', ?)", (check,))
    (kept,) = connection.execute("SELECT value FROM meta WHERE name = 'key'").fetchone()
    if not hmac.compare_digest(kept, check):
        raise StoreError("made under another key file; use the one that it was made with")
