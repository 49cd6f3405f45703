"""`Sights`: what the record says of content and tags, kept in memory while nothing was written since."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import TypeVar, cast

from cachetools import LRUCache

from gateway import limits
from gateway.model.content import Content, Hold, Place, Sight
from gateway.model.digest import Digest
from gateway.store import Contents

_T = TypeVar("_T")


class Sights:
    """Answers of `Contents`, each asked for once under one version of it."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._version = -1
        self._kept: LRUCache[Hashable, object] = LRUCache(limits.SIGHTS)

    async def sight(self, place: Place, digest: Digest) -> Sight:
        """Whether readers may see a manifest."""
        return await self._ask((place, digest), lambda: self._contents.sight(place, digest, manifest=True))

    async def of_bytes(self, place: Place, digest: Digest) -> Sight:
        """Whether readers may see a blob."""
        return await self._ask(("bytes", place, digest), lambda: self._contents.sight(place, digest))

    async def tag(self, place: Place, tag: str) -> Digest | None:
        """The digest that a tag was published with."""
        return await self._ask((place, tag), lambda: self._contents.tag(place, tag))

    async def tags(self, place: Place) -> Mapping[str, Digest]:
        """Every published tag."""
        return await self._ask(place, lambda: self._contents.tags(place))

    async def referrers(self, place: Place, subject: Digest) -> tuple[Content, ...]:
        """What refers to a subject, its verified evidence among it."""
        return await self._ask(("referrers", place, subject), lambda: self._contents.referrers(place, subject))

    async def waiting(self, place: Place, tag: str) -> Hold | None:
        """The newest open hold of a tag."""
        holds = await self._ask(place.registry, lambda: self._contents.open_holds(place.registry))
        return next((hold for hold in reversed(holds) if (hold.place, hold.tag) == (place, tag)), None)

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[_T]]) -> _T:
        version = self._contents.version()
        if version != self._version:
            self._kept.clear()
            self._version = version
        if key in self._kept:
            return cast("_T", self._kept[key])
        found = await ask()
        if version == self._version == self._contents.version():  # else it may be of before the write
            self._kept[key] = found
        return found
