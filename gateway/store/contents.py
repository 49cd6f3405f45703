"""`Contents`: what the record knows of content that is kept by digest: what it is made of, who may see it, what waits.

Which digest a tag has is a published name like any other: the canonical name is `<repository>:<tag>`, its sha256 the
manifest's. An intent that may move a name is `movable`. Rules that every implementation keeps:

* `Store.begin` with an intent marks the intent's content (found by repository, which is the intent's name, and sha256)
  as accepted, in the same transaction; it is shown from then on, with all that it links to. An intent that releases a
  hold conflicts (ENDED) once the hold has ended.
* `Store.settle` as PUBLISHED moves the name, and in the same transaction ends the holds of that tag that were opened no
  later than the intent (than the hold that it releases): released where they are of the same content, else superseded.
* `sight` follows links from what is accepted, never through what is revoked, nor from a layer that is a manifest too.
  Evidence hangs below its subject.
* `version` changes with every commit of this process, and with another's within `limits.STORE_WATCH_SECONDS`; it never
  blocks. What is read after the call may be kept under the number it gave; it raises where it cannot be known.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime

from gateway.model.content import Content, Ending, Hold, Place, Sight
from gateway.model.digest import Digest
from gateway.model.intent import Record


class Contents(ABC):
    """What the record knows of content kept by digest; every method that writes returns when the write is durable."""

    @abstractmethod
    def version(self) -> int:
        """A number that changes whenever an answer of this interface may; never blocks."""

    @abstractmethod
    async def journal(self, place: Place, content: Content, at: datetime) -> None:
        """Note content before it is stored: hidden until something accepted holds it.

        A second time adds what was not known: what it is made of and how it describes itself, where nothing was read
        of it, and a subject where it had none. Nothing else changes.
        """

    @abstractmethod
    async def content(self, place: Place, digest: Digest) -> Content | None:
        """What was noted of a digest in this repository."""

    @abstractmethod
    async def sight(self, place: Place, digest: Digest, *, manifest: bool = False) -> Sight:
        """Whether readers of this repository may see a digest; a revoked one is HIDDEN, known or not.

        Bytes may be a layer and a manifest. What is shown as a layer alone is not SHOWN to who asks for a `manifest`.
        What was there before and is part of what only waits stays UNKNOWN: it cannot be hidden by a later push.
        """

    @abstractmethod
    async def referrers(self, place: Place, subject: Digest) -> tuple[Content, ...]:
        """What refers to a subject, its verified evidence among it, oldest first; whether it is shown is `sight`'s."""

    @abstractmethod
    async def tags(self, place: Place) -> Mapping[str, Digest]:
        """Every tag of the repository that was published through the gateway, with the digest it has, in text order."""

    @abstractmethod
    async def tag(self, place: Place, tag: str) -> Digest | None:
        """One tag's digest."""

    @abstractmethod
    async def untag(self, place: Place, tag: str) -> None:
        """A tag was deleted; its name is free, what it had stays in the history."""

    @abstractmethod
    async def drop(self, place: Place, digest: Digest) -> None:
        """Content was deleted: it is neither accepted nor evidence any more, and the tags that had it are gone."""

    # --- holds ----------------------------------------------------------------------------------------------------

    @abstractmethod
    async def hold(self, record: Record, hold: Hold) -> None:
        """Write the decision to hold and the hold, in one transaction; other holds of the tag stay."""

    @abstractmethod
    async def open_holds(self, registry: str | None) -> tuple[Hold, ...]:
        """Every hold of a registry (None: of any) that has not ended, oldest first."""

    @abstractmethod
    async def holds(self, registry: str | None, limit: int) -> tuple[Hold, ...]:
        """Holds, newest first, ended ones too."""

    @abstractmethod
    async def hold_of(self, record_id: str) -> Hold | None:
        """The hold that a record opened."""

    @abstractmethod
    async def end_hold(self, hold_id: str, ending: Ending, problem: str, at: datetime) -> bool:
        """End a hold; False where it has ended already, or a publish of it is under way."""
