"""Names that move, and holds, which end once: by a release, a later push, their time or a refusal (CONTRACTS D.3)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.model.content import Ending, Hold, Place, Sight
from gateway.model.decision import Outcome
from gateway.model.intent import Settlement, Step
from gateway.store import Began, Cause, Conflict, Query, Store
from gateway.store.sqlite.schema import APPLICATION_ID, MIGRATIONS
from tests.lab import contents, records
from tests.lab.cases import AT
from tests.lab.contents import PLACE, digest, manifest
from tests.unit.store.test_durability import go, seen, start

Opener = Callable[[], Awaitable[Store]]
MINUTE = timedelta(minutes=1)
NAME = f"{PLACE.repository}:latest"
ONE, TWO = records.sha256("one"), records.sha256("two")


async def begin(
    store: Store, id_: str, word: str, tag: str = "latest", *, minute: int = 0, hold: str | None = None
) -> Began | Conflict:
    """Begin an accepted push, this many minutes after the first."""
    record = contents.record(id_, word, tag, at=AT + minute * MINUTE)
    return await store.begin(record, contents.intent(record, hold=hold))


async def publish(
    store: Store, id_: str, word: str, tag: str = "latest", *, minute: int = 0, hold: str | None = None
) -> None:
    assert await begin(store, id_, word, tag, minute=minute, hold=hold) == Began()
    await store.settle(id_, Settlement.PUBLISHED, "", AT + minute * MINUTE)


async def hold(store: Store, id_: str, word: str, tag: str = "latest", *, minute: int = 0) -> Hold:
    record, held = contents.held(id_, word, tag, at=AT + minute * MINUTE)
    await store.contents.hold(record, held)
    return held


async def endings(store: Store) -> dict[str, Ending | None]:
    return {one.id: one.ending for one in await store.contents.holds(None, 100)}


# --- names that move ----------------------------------------------------------------------------------------------


async def test_a_movable_name_moves_when_its_publish_is_settled_and_moves_back(store: Store) -> None:
    await publish(store, "a", "one")
    for id_, word, had in (("b", "two", ONE), ("c", "one", TWO)):
        assert await begin(store, id_, word) == Began()
        assert (await store.history(contents.upload(word))).bound == ((NAME, had),)
        await store.settle(id_, Settlement.PUBLISHED, "", AT)
        assert (await store.history(contents.upload(word))).bound == ((NAME, records.sha256(word)),)


async def test_a_name_that_is_not_movable_stays_bound(store: Store) -> None:
    await publish(store, "a", "one")
    record = contents.record("b", "two")
    assert await store.begin(record, records.intent(record)) == Conflict(NAME, ONE, Cause.BOUND)


@pytest.mark.parametrize("settlement", [Settlement.ABSENT, Settlement.REFUSED])
async def test_a_movable_name_keeps_what_it_had_when_a_publish_fails(store: Store, settlement: Settlement) -> None:
    await publish(store, "a", "one")
    await begin(store, "b", "two")
    await store.settle("b", settlement, "", AT)
    assert await store.contents.tag(PLACE, "latest") == digest("one")
    assert [one.sha256 for one in (await store.history(contents.upload("two"))).release] == [ONE]
    assert await begin(store, "c", "three") == Began()


async def test_a_movable_name_is_reserved_for_the_bytes_that_are_under_way(store: Store) -> None:
    await publish(store, "a", "one")
    await begin(store, "b", "two")
    assert await begin(store, "c", "three") == Conflict(NAME, TWO, Cause.OPEN, "b")
    await store.settle("b", Settlement.DAMAGED, "", AT)
    assert await begin(store, "c", "three") == Conflict(NAME, TWO, Cause.DAMAGED, "b")
    await store.settle("b", Settlement.PUBLISHED, "", AT)
    assert await store.contents.tag(PLACE, "latest") == digest("two")


async def test_a_movable_name_does_not_move_to_what_was_revoked(store: Store) -> None:
    await publish(store, "a", "one")
    await store.revoke_digest(TWO, "ops@acme.example", "leaked", AT)
    assert await begin(store, "b", "two") == Conflict(NAME, TWO, Cause.REVOKED)


async def test_an_intent_says_that_it_moves_names_and_what_it_releases(store: Store) -> None:
    await hold(store, "h", "one")
    record = contents.record("a", "one")
    intent = contents.intent(record, hold="h")
    await store.begin(record, intent)
    assert await store.intent("a") == intent


async def test_who_follows_what_was_accepted_learns_of_a_name_that_moved(store: Store, opened: Opener) -> None:
    await publish(store, "a", "one")
    await publish(store, "x", "other", "other")
    accepted = await store.accepted("images")
    await publish(store, "b", "two")
    assert accepted[NAME] == TWO
    other = await opened()
    await publish(other, "c", "three")
    await publish(other, "y", "four", "new")
    await seen(lambda: len(accepted) == 3)
    assert accepted[NAME] == records.sha256("three")


async def test_an_observed_move_is_marked_and_does_not_undo_the_first_publish(store: Store) -> None:
    await publish(store, "a", "one")
    record = contents.record("b", "two", at=AT + MINUTE, observed=True)
    await store.begin(record, contents.intent(record))
    await store.settle("b", Settlement.PUBLISHED, "", AT + MINUTE)
    history = await store.history(contents.upload("two"))
    assert history.first_publish == AT
    assert [(one.sha256, one.at, one.observed) for one in history.release] == [(TWO, AT, True)]


async def test_what_was_only_observed_is_no_first_publish_until_the_name_moves_enforced(store: Store) -> None:
    record = contents.record("a", "one", observed=True)
    await store.begin(record, contents.intent(record))
    await store.settle("a", Settlement.PUBLISHED, "", AT)
    assert (await store.history(contents.upload("two"))).first_publish is None
    await publish(store, "b", "two", minute=5)
    history = await store.history(contents.upload("two"))
    assert history.first_publish == AT + 5 * MINUTE
    assert [(one.sha256, one.observed) for one in history.release] == [(TWO, False)]


def an_older_store(place: Path) -> None:
    """A store of the first released schema, in which one file was only observed, then another enforced."""
    place.parent.mkdir(mode=0o700)
    with sqlite3.connect(place) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO published (registry, canonical, sha256, purl, release, at, observed)"
            " VALUES ('python', ?, '', 'pkg:pypi/acme-lib', '1', ?, ?)",
            [("a.whl", 5, 1), ("b.whl", 10, 0)],
        )
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    place.chmod(0o600)


async def test_a_store_of_before_names_moved_keeps_its_dates(place: Path, opened: Opener) -> None:
    an_older_store(place)
    first = (await (await opened()).history(records.upload())).first_publish
    assert first is not None
    assert first.microsecond == 10


# --- holds --------------------------------------------------------------------------------------------------------


async def test_a_hold_is_written_with_its_decision_and_shows_nothing(store: Store) -> None:
    await store.contents.journal(PLACE, manifest("one", "layer"), AT)
    record, held = contents.held("h", "one")
    held = replace(held, before=digest("zero"))
    await store.contents.hold(record, held)
    assert await store.contents.hold_of("h") == held
    assert await store.contents.hold_of("other") is None
    assert [written.record for written in await store.records(Query(outcome=Outcome.HOLD))] == [record]
    assert await store.contents.sight(PLACE, digest("one")) is Sight.HIDDEN
    assert await store.contents.tag(PLACE, "latest") is None


async def test_a_hold_of_another_record_is_a_bug_and_nothing_is_written(store: Store) -> None:
    record, held = contents.held("h", "one")
    for wrong in (replace(held, id="other"), replace(held, place=Place("other", PLACE.repository))):
        with pytest.raises(ValueError, match="of the record"):
            await store.contents.hold(record, wrong)
    assert await store.record("h") is None


async def test_a_hold_reserves_nothing(store: Store) -> None:
    await hold(store, "h", "one")
    assert await begin(store, "a", "two") == Began()


async def test_open_holds_are_listed_oldest_first_and_all_of_them_newest_first(store: Store) -> None:
    held = [await hold(store, id_, word) for id_, word in (("g", "one"), ("h", "two"), ("i", "one"))]
    await store.contents.end_hold("h", Ending.EXPIRED, "no evidence came", AT + MINUTE)
    ended = replace(held[1], ended=AT + MINUTE, ending=Ending.EXPIRED, problem="no evidence came")
    assert await store.contents.open_holds("images") == (held[0], held[2])
    assert await store.contents.open_holds(None) == (held[0], held[2])
    assert await store.contents.holds("images", 100) == (held[2], ended, held[0])
    assert await store.contents.holds(None, 2) == (held[2], ended)
    assert await store.contents.open_holds("other") == await store.contents.holds("other", 9) == ()


async def test_a_hold_ends_once(store: Store) -> None:
    await hold(store, "h", "one")
    assert await store.contents.end_hold("h", Ending.REFUSED, "revoked", AT)
    assert not await store.contents.end_hold("h", Ending.EXPIRED, "", AT + MINUTE)
    assert not await store.contents.end_hold("other", Ending.EXPIRED, "", AT)
    ended = await store.contents.hold_of("h")
    assert ended is not None
    assert (ended.ending, ended.problem, ended.ended) == (Ending.REFUSED, "revoked", AT)


async def test_an_accepted_push_ends_every_older_hold_of_its_tag_and_no_other(store: Store) -> None:
    await hold(store, "same", "one")
    await hold(store, "older", "two")
    await hold(store, "equal", "three", minute=5)
    await hold(store, "younger", "one", minute=6)
    await hold(store, "other tag", "one", "1.0")
    await publish(store, "a", "one", minute=5)
    assert await endings(store) == {
        "same": Ending.RELEASED,
        "older": Ending.SUPERSEDED,
        "equal": Ending.SUPERSEDED,
        "younger": None,
        "other tag": None,
    }


async def test_a_hold_that_has_ended_stays_as_it_ended_when_a_later_push_is_accepted(store: Store) -> None:
    await hold(store, "h", "one")
    await store.contents.end_hold("h", Ending.EXPIRED, "no evidence came", AT)
    before = await store.contents.hold_of("h")
    await publish(store, "a", "one", minute=5)
    assert await store.contents.hold_of("h") == before


async def test_an_accepted_push_leaves_the_holds_of_other_repositories_and_registries(store: Store) -> None:
    for id_, place in (("a", Place("images", "team/app2")), ("b", Place("other", PLACE.repository))):
        record, held = contents.held(id_, "one")
        await store.contents.hold(replace(record, registry=place.registry), replace(held, place=place))
    await publish(store, "c", "one", minute=5)
    assert await endings(store) == {"a": None, "b": None}


@pytest.mark.parametrize("settlement", [Settlement.ABSENT, Settlement.REFUSED, Settlement.DAMAGED])
async def test_only_what_was_published_ends_holds(store: Store, settlement: Settlement) -> None:
    await hold(store, "h", "one")
    await begin(store, "a", "one", minute=1)
    await store.settle("a", settlement, "", AT)
    assert await endings(store) == {"h": None}


async def test_a_release_takes_the_place_of_its_hold_among_the_pushes_of_the_tag(store: Store) -> None:
    await hold(store, "oldest", "zero")
    await hold(store, "h", "one", minute=1)
    await hold(store, "younger", "two", minute=2)
    await publish(store, "a", "one", minute=20, hold="h")
    assert await endings(store) == {"oldest": Ending.SUPERSEDED, "h": Ending.RELEASED, "younger": None}


async def test_an_older_hold_never_rolls_a_tag_back_over_a_newer_accepted_digest(store: Store) -> None:
    await hold(store, "h", "one")
    await publish(store, "a", "two", minute=1)
    assert await begin(store, "b", "one", minute=2, hold="h") == Conflict(NAME, ONE, Cause.ENDED)
    assert await store.record("b") is None
    assert await store.contents.tag(PLACE, "latest") == digest("two")


async def test_a_hold_that_expired_or_never_was_is_not_released(store: Store) -> None:
    await hold(store, "h", "one")
    await store.contents.end_hold("h", Ending.EXPIRED, "", AT)
    for id_ in ("h", "other"):
        assert await begin(store, "b", "one", hold=id_) == Conflict(NAME, ONE, Cause.ENDED)


async def test_a_hold_that_is_being_released_does_not_expire(store: Store) -> None:
    await hold(store, "h", "one")
    await begin(store, "a", "one", hold="h")
    await store.step("a", Step.FORWARDING)
    assert not await store.contents.end_hold("h", Ending.EXPIRED, "", AT)
    assert await endings(store) == {"h": None}


@pytest.mark.parametrize("settlement", [Settlement.ABSENT, Settlement.REFUSED, Settlement.DAMAGED])
async def test_a_hold_whose_release_failed_may_still_expire(store: Store, settlement: Settlement) -> None:
    await hold(store, "h", "one")
    await begin(store, "a", "one", hold="h")
    await store.settle("a", settlement, "", AT)
    assert await store.contents.end_hold("h", Ending.EXPIRED, "", AT)


async def test_a_publish_of_other_bytes_does_not_keep_a_hold_from_expiring(store: Store) -> None:
    await hold(store, "h", "one")
    await begin(store, "a", "two")
    assert await store.contents.end_hold("h", Ending.EXPIRED, "", AT)


# --- other processes, and a kill ----------------------------------------------------------------------------------


async def test_of_a_release_and_an_expiry_that_race_in_two_processes_one_wins(
    store: Store, opened: Opener, place: Path
) -> None:
    for n in range(30):
        await hold(store, f"h{n}", "one", f"t{n}")
    await store.close()
    release = """
        from tests.lab import contents
        for n in range(30):
            record = contents.record(f"r{n}", "one", f"t{n}")
            began = await store.begin(record, contents.intent(record, hold=f"h{n}"))
            print(f"h{n}", isinstance(began, Began), flush=True)
            if isinstance(began, Began):
                await store.settle(record.id, Settlement.PUBLISHED, "", cases.AT)
    """
    expire = """
        from gateway.model.content import Ending
        for n in reversed(range(30)):
            print(f"h{n}", await store.contents.end_hold(f"h{n}", Ending.EXPIRED, "", cases.AT), flush=True)
    """
    racers = [await asyncio.to_thread(start, place, "one", body) for body in (release, expire)]
    for racer in racers:
        go(racer)
    released, expired = [
        dict(line.split() for line in (await asyncio.to_thread(racer.communicate))[0].splitlines()) for racer in racers
    ]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert len(released) == 30
    for id_, ending in (await endings(await opened())).items():
        assert {released[id_], expired[id_]} == {"True", "False"}
        assert ending is (Ending.RELEASED if released[id_] == "True" else Ending.EXPIRED)


async def test_a_release_that_was_killed_keeps_its_hold_until_it_is_settled(
    store: Store, opened: Opener, place: Path
) -> None:
    await hold(store, "h", "one")
    await store.close()
    body = """
        import os, signal
        from tests.lab import contents
        record = contents.record("a", "one")
        await store.begin(record, contents.intent(record, hold="h"))
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = await asyncio.to_thread(start, place, "one", body)
    go(process)
    await asyncio.to_thread(process.communicate)
    again = await opened()
    assert not await again.contents.end_hold("h", Ending.EXPIRED, "", AT)
    (intent,) = await again.open_intents()
    assert (intent.hold, intent.movable) == ("h", True)
    await again.settle("a", Settlement.PUBLISHED, "", AT)
    assert await endings(again) == {"h": Ending.RELEASED}


async def test_what_another_process_accepts_changes_the_version(store: Store, opened: Opener) -> None:
    await store.contents.journal(PLACE, manifest("one"), AT)
    before = store.contents.version()
    await publish(await opened(), "a", "one")
    await seen(lambda: store.contents.version() != before)
    assert await store.contents.sight(PLACE, digest("one")) is Sight.SHOWN
