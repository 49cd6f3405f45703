"""`SqliteContents`: what the record knows of content that is kept by digest, in the store's own file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from gateway.model.content import Content, Ending, Hold, Place, Sight
from gateway.model.digest import Digest
from gateway.model.intent import Record
from gateway.store.contents import Contents
from gateway.store.sqlite import contents, holds, publishes, tags
from gateway.store.sqlite.access import Access
from gateway.store.sqlite.database import Database


class SqliteContents(Access, Contents):
    """Part of a `SqliteStore`; `version` is the store's own count of commits."""

    def __init__(self, database: Database, version: Callable[[], int]) -> None:
        super().__init__(database)
        self._version = version

    def version(self) -> int:
        """The number of the last commit that was seen."""
        return self._version()

    async def journal(self, place: Place, content: Content, at: datetime) -> None:
        """Note content before it is stored."""
        await self._write(partial(contents.note, place=place, content=content, at=at))

    async def content(self, place: Place, digest: Digest) -> Content | None:
        """Find what was noted."""
        return await self._read(partial(contents.find, place=place, digest=digest))

    async def sight(self, place: Place, digest: Digest, *, manifest: bool = False) -> Sight:
        """Look whether it is shown."""
        return await self._read(partial(contents.sight, place=place, digest=digest, manifest=manifest))

    async def referrers(self, place: Place, subject: Digest) -> tuple[Content, ...]:
        """List what refers to a subject."""
        return await self._read(partial(contents.referrers, place=place, subject=subject))

    async def tags(self, place: Place) -> Mapping[str, Digest]:
        """List the tags."""
        return await self._read(partial(tags.every, place=place))

    async def tag(self, place: Place, tag: str) -> Digest | None:
        """Find one tag's digest."""
        return await self._read(partial(tags.one, place=place, tag=tag))

    async def untag(self, place: Place, tag: str) -> None:
        """Free a tag's name."""
        await self._write(partial(tags.free, place=place, tag=tag))

    async def drop(self, place: Place, digest: Digest) -> None:
        """Take content back, and the tags that had it."""
        await self._write(partial(tags.drop, place=place, digest=digest))

    # --- holds ----------------------------------------------------------------------------------------------------

    async def hold(self, record: Record, hold: Hold) -> None:
        """Write a record, and the hold that it opens."""
        await self._write(partial(publishes.hold, record=record, held=hold))

    async def open_holds(self, registry: str | None) -> tuple[Hold, ...]:
        """List what waits."""
        return await self._read(partial(holds.unended, registry=registry))

    async def holds(self, registry: str | None, limit: int) -> tuple[Hold, ...]:
        """List the newest holds."""
        return await self._read(partial(holds.newest, registry=registry, limit=limit))

    async def hold_of(self, record_id: str) -> Hold | None:
        """Find a hold."""
        return await self._read(partial(holds.by_id, hold_id=record_id))

    async def end_hold(self, hold_id: str, ending: Ending, problem: str, at: datetime) -> bool:
        """End a hold."""
        return await self._write(partial(holds.end, hold_id=hold_id, ending=ending, problem=problem, at=at))
