"""What survives: a second opening, a second process, a kill, a full disk; and what is undone."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from gateway import limits
from gateway.errors import StoreError
from gateway.model.digest import Digest
from gateway.model.intent import Record, Settlement, Step
from gateway.reasons import Code
from gateway.store import Began, Cause, Conflict, Store
from gateway.store.sqlite.database import connect
from gateway.store.sqlite.schema import MIGRATIONS
from gateway.store.sqlite.store import SqliteStore
from tests.lab import cases, records
from tests.lab.cases import AT, WHEEL

ROOT = Path(__file__).resolve().parents[3]
KEY = b"k" * 32
GOOD = records.sha256("good")
ONE = Digest("sha256", GOOD)
Opener = Callable[[], Awaitable[Store]]

PROGRAM = """
import asyncio, sys
from gateway.model.intent import Settlement, Step
from gateway.store import Began, Conflict, Store
from tests.lab import cases, records

async def main(place, who):
    async with await Store.open(f"sqlite:///{place}", b"k" * 32) as store:
        print("ready", flush=True)
        sys.stdin.readline()
        %s

asyncio.run(main(*sys.argv[1:]))
"""


def start(place: Path, who: str, body: str) -> subprocess.Popen[str]:
    """Start a process that has the store open and does `body` once it is told to."""
    program = PROGRAM % textwrap.indent(textwrap.dedent(body), " " * 8).strip()
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(place), who],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def named(id_: str) -> Record:
    return records.record(id_, records.upload(records.file(f"{id_}.whl", id_)))


def on_the_disk(store: Store) -> SqliteStore:
    assert isinstance(store, SqliteStore)
    return store


def put(place: Path, content: bytes) -> None:
    """Put another program's file where the store would be."""
    place.parent.mkdir(mode=0o700)
    place.write_bytes(content)
    place.chmod(0o600)


async def seen(condition: Callable[[], bool]) -> None:
    """Wait until the store's own watch has seen what another process wrote."""
    async with asyncio.timeout(20 * limits.STORE_WATCH_SECONDS):
        while not condition():  # noqa: ASYNC110 - the store tells nobody
            await asyncio.sleep(0)


async def test_everything_survives_a_second_opening(store: Store, opened: Opener) -> None:
    waiver = cases.waiver(Code.TAG_VERSION_MISMATCH)
    await store.add_grant(cases.grant(), "hash")
    await store.begin(named("published"), records.intent(named("published")))
    await store.settle("published", Settlement.PUBLISHED, "", AT)
    await store.begin(named("open"), records.intent(named("open")))
    await store.step("open", Step.FORWARDING)
    await store.begin(named("damaged"), records.intent(named("damaged")))
    await store.settle("damaged", Settlement.DAMAGED, "other bytes", AT)
    await store.revoke_digest(records.sha256("published"), "ops@acme.example", "leaked", AT)
    await store.put_evidence(records.evidence(), [ONE], "grant-1", AT)
    await store.add_waiver(waiver, AT)
    await store.close()

    again = await opened()
    assert await again.grant_by_id("grant-1") == (cases.grant(), "hash")
    assert [(i.id, i.step, i.settlement) for i in await again.open_intents()] == [
        ("open", Step.FORWARDING, None),
        ("damaged", Step.SETTLED, Settlement.DAMAGED),
    ]
    assert again.withheld("python") == {f"{n}.whl": records.sha256(n) for n in ("published", "open", "damaged")}
    assert await again.accepted("python") == {"published.whl": records.sha256("published")}
    assert len(await again.evidence_for([ONE])) == 1
    assert await again.waivers_for("python", cases.PURL, "1.0.0", cases.SHA256, AT) == (waiver,)
    written = await again.record("published")
    assert written is not None
    assert written.record == named("published")


async def test_of_two_processes_that_race_for_a_name_one_begins_and_one_conflicts(place: Path) -> None:
    body = """
        began = 0
        for n in range(30):
            record = records.record(f"{who}-{n}", records.upload(records.file(f"{n}.whl", who)))
            result = await store.begin(record, records.intent(record))
            print("began" if isinstance(result, Began) else f"{result.cause} {result.intent}", flush=True)
    """
    racers = [await asyncio.to_thread(start, place, who, body) for who in ("one", "two")]
    for racer in racers:
        go(racer)
    outputs = [(await asyncio.to_thread(racer.communicate))[0].splitlines() for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    for n, (one, two) in enumerate(zip(*outputs, strict=True)):
        assert (one, two) in {("began", f"open one-{n}"), (f"open two-{n}", "began")}


async def test_what_a_killed_process_was_told_is_on_the_disk(place: Path, opened: Opener) -> None:
    body = """
        async def publish(n):
            record = records.record(f"r{n}", records.upload(records.file(f"{n}.whl", who)))
            assert isinstance(await store.begin(record, records.intent(record)), Began)
            print(f"began r{n}", flush=True)
            if n % 2:
                await store.settle(record.id, Settlement.PUBLISHED, "", cases.AT)
                print(f"settled r{n}", flush=True)
        for first in range(0, 10**6, 8):
            await asyncio.gather(*(publish(n) for n in range(first, first + 8)))
    """
    process = await asyncio.to_thread(start, place, "one", body)
    assert process.stdout is not None
    go(process)
    lines = [await asyncio.to_thread(process.stdout.readline) for _ in range(300)]
    process.send_signal(signal.SIGKILL)
    rest, _ = await asyncio.to_thread(process.communicate)
    assert process.returncode == -signal.SIGKILL

    store = await opened()
    with sqlite3.connect(place) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    told = [line.split() for line in (*lines, *rest.splitlines(keepends=True)) if line.endswith("\n")]
    assert len(told) >= 300
    for what, id_ in told:
        written = await store.record(id_)
        assert written is not None
        assert written.intent is not None
        assert what == "began" or written.intent.settlement is Settlement.PUBLISHED
    still_open = {file.canonical for intent in await store.open_intents() for file in intent.files}
    assert still_open == set(store.withheld("python"))
    assert "0.whl" in still_open
    assert "1.whl" not in still_open


async def test_a_token_made_by_another_process_while_serving_is_known_at_once(place: Path, store: Store) -> None:
    process = await asyncio.to_thread(start, place, "cli", 'await store.add_grant(cases.grant(), "hash")')
    go(process)
    await asyncio.to_thread(process.communicate)
    assert await store.grant_by_id("grant-1") == (cases.grant(), "hash")


async def test_a_revocation_by_another_process_is_seen_without_a_restart(store: Store, opened: Opener) -> None:
    await store.begin(records.record("one"), records.intent(records.record("one")))
    await store.settle("one", Settlement.PUBLISHED, "", AT)
    accepted = await store.accepted("python")
    other = await opened()
    await other.revoke_digest(GOOD, "ops@acme.example", "leaked", AT)
    await other.begin(named("two"), records.intent(named("two")))
    await other.settle("two", Settlement.PUBLISHED, "", AT)
    await seen(lambda: len(accepted) == 2)
    assert store.withheld("python") == {WHEEL: GOOD}
    assert store.revoked() == {GOOD}


async def test_a_write_that_fails_does_not_take_its_neighbours_along(store: Store) -> None:
    writes = [store.begin(named(id_), records.intent(named(id_))) for id_ in ("a", "b")]
    wrong = store.begin(named("a"), None)
    results = await asyncio.gather(writes[0], wrong, writes[1], return_exceptions=True)
    assert results[0] == results[2] == Began()
    assert isinstance(results[1], StoreError)
    assert set(store.withheld("python")) == {"a.whl", "b.whl"}


async def test_a_caller_that_is_cancelled_leaves_a_write_that_is_done(store: Store) -> None:
    caller = asyncio.ensure_future(store.begin(records.record("one"), records.intent(records.record("one"))))  # noqa: TID251
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    conflict = await store.begin(records.record("two"), records.intent(records.record("two")))
    assert conflict == Conflict(WHEEL, GOOD, Cause.OPEN, "one")


async def test_a_full_disk_is_a_fault_of_every_write_and_nothing_is_left(store: Store) -> None:
    await store.begin(named("before"), None)
    await on_the_disk(store)._write(
        lambda connection: connection.execute("PRAGMA max_page_count = 1").fetchone() and None
    )
    big = [records.evidence("x" * 100_000 + str(n)) for n in range(4)]
    results = await asyncio.gather(
        *(store.keep_evidence(piece, [ONE], "grant-1", AT) for piece in big), return_exceptions=True
    )
    assert all(isinstance(result, StoreError) and "full" in str(result) for result in results)
    await on_the_disk(store)._write(
        lambda connection: connection.execute("PRAGMA max_page_count = 1000000").fetchone() and None
    )
    assert await store.kept_evidence(ONE) == ()
    assert await store.begin(named("after"), records.intent(named("after"))) == Began()


async def test_a_lock_held_by_another_process_is_a_fault_after_a_while(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STORE_BUSY_SECONDS", 0.05)
    async with await Store.open(f"sqlite:///{place}", KEY) as store:
        other = sqlite3.connect(place, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked"):
            await store.begin(named("one"), None)
        assert await store.record("one") is None
        other.execute("ROLLBACK")
        other.close()
        assert await store.begin(named("one"), None) == Began()


async def test_what_cannot_be_known_to_be_safe_is_not_shown(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: sqlite3.Connection) -> dict[str, dict[str, str]]:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr("gateway.store.sqlite.history.withheld", broken)
        with pytest.raises(StoreError, match="written, but not seen"):
            await store.begin(records.record("one"), records.intent(records.record("one")))
        with pytest.raises(StoreError, match="not known"):
            store.withheld("python")
    await store.begin(named("two"), None)
    assert store.withheld("python") == {WHEEL: GOOD}


async def test_a_closed_store_refuses_everything(store: Store) -> None:
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.begin(named("one"), None)
    with pytest.raises(StoreError, match="closed"):
        await store.record("one")


async def test_closing_finishes_what_was_handed_over(store: Store, opened: Opener) -> None:
    writes = asyncio.gather(*(store.begin(named(str(n)), None) for n in range(50)))
    await asyncio.sleep(0)
    await store.close()
    assert await writes == [Began()] * 50
    assert await (await opened()).record("49") is not None


async def test_another_programs_file_is_refused_and_left_alone(place: Path) -> None:
    put(place, b"")
    with sqlite3.connect(place) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    with pytest.raises(StoreError, match="another program"):
        await Store.open(f"sqlite:///{place}", KEY)
    with sqlite3.connect(place) as connection:
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]
    connection.close()


@pytest.mark.parametrize("content", [b"not a database, " * 1000, b"SQLite format 3\x00" + b"\x00" * 4080])
async def test_a_file_that_is_no_database_is_refused(place: Path, content: bytes) -> None:
    put(place, content)
    with pytest.raises(StoreError, match=r"provgate\.db"):
        await Store.open(f"sqlite:///{place}", KEY)


def test_a_place_without_a_write_ahead_log_is_refused() -> None:
    with pytest.raises(sqlite3.NotSupportedError, match="local disk"):
        connect(Path(":memory:"))


async def test_a_newer_programs_file_is_refused(store: Store, place: Path) -> None:
    await store.close()
    with sqlite3.connect(place) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer provgate"):
        await Store.open(f"sqlite:///{place}", KEY)


async def test_a_release_that_was_open_for_long_is_still_withheld(store: Store, opened: Opener) -> None:
    old = records.record("one", at=AT - timedelta(days=400))
    await store.begin(old, records.intent(old))
    await store.close()
    assert (await opened()).withheld("python") == {WHEEL: GOOD}
