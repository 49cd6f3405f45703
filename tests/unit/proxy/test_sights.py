"""Answers of the record are kept while nothing was written since, and never one of before a write."""

from __future__ import annotations

from typing import Any, cast

from gateway.model.content import Place, Sight
from gateway.model.digest import Digest
from gateway.proxy.images.sights import Sights
from gateway.store import Contents

PLACE, DIGEST = Place("images", "team/app"), Digest("sha256", "0" * 64)


class Record:
    """What the record says, how often it was asked, and a write that comes while it answers."""

    def __init__(self) -> None:
        self.number, self.answer, self.asked, self.write_meanwhile = 0, Sight.HIDDEN, 0, False

    def version(self) -> int:
        return self.number

    async def sight(self, *_: Any, **__: Any) -> Sight:
        self.asked += 1
        found = self.answer
        if self.write_meanwhile:
            self.number, self.answer, self.write_meanwhile = self.number + 1, Sight.SHOWN, False
        return found


def made() -> tuple[Record, Sights]:
    record = Record()
    return record, Sights(cast("Contents", record))


async def test_an_answer_is_asked_for_once_under_one_version() -> None:
    record, sights = made()
    assert [await sights.sight(PLACE, DIGEST) for _ in range(3)] == [Sight.HIDDEN] * 3
    assert record.asked == 1
    await sights.sight(Place("images", "team/other"), DIGEST)
    assert record.asked == 2


async def test_after_a_write_it_is_asked_for_anew() -> None:
    record, sights = made()
    await sights.sight(PLACE, DIGEST)
    record.number, record.answer = 1, Sight.SHOWN
    assert await sights.sight(PLACE, DIGEST) is Sight.SHOWN


async def test_an_answer_that_a_write_overtook_is_not_kept() -> None:
    record, sights = made()
    record.write_meanwhile = True
    assert await sights.sight(PLACE, DIGEST) is Sight.HIDDEN
    assert await sights.sight(PLACE, DIGEST) is Sight.SHOWN
    assert record.asked == 2
