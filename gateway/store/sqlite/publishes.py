"""The rows of records, intents and names: reserving, stepping, settling.

A name's row says what it is reserved for or bound to:

| bound | intent | damaged | the name is |
|---|---|---|---|
| 0 | set | 0 | reserved by an open publish |
| 1 | - | 0 | published, bound to its digest for good |
| 1 | set | 0 | published, and the same bytes are being published again, or others where the intent is movable |
| any | set | 1 | the registry's copy is not what was verified |

`sha256` is what it is bound to; of a name that never was, what it is reserved for. `begin` and `settle` are the only
functions that change it, each within the caller's transaction, but for a tag that is deleted (`tags`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from gateway import limits
from gateway.errors import StoreError
from gateway.model.codec import decode, encode
from gateway.model.content import Hold, Place
from gateway.model.intent import Intent, IntentFile, Record, Settlement, Step
from gateway.store.sqlite import contents, holds, vouched
from gateway.store.sqlite.schema import from_column, to_column
from gateway.store.store import Began, Cause, Conflict, Query, Written

_ORDER: Final = tuple(Step)
_INTENT_COLUMNS: Final = (
    "intents.id, intents.registry, intents.name, intents.version, intents.opened, intents.step, intents.settlement,"
    " intents.problem, intents.movable, intents.hold"
)


def begin(connection: sqlite3.Connection, record: Record, intent: Intent | None) -> Began | Conflict:
    """Write a record, and its intent where no other publish stands in the way."""
    if intent is not None and (conflict := _conflict(connection, intent)):
        return conflict
    seq = _insert_record(connection, record)
    if intent is not None:
        _insert_intent(connection, seq, record, intent)
        for file in intent.files:
            contents.accept(connection, Place(intent.registry, intent.name), file.sha256)
    return Began()


def hold(connection: sqlite3.Connection, record: Record, held: Hold) -> None:
    """Write a record, and the hold that it opens."""
    if held.id != record.id or held.place.registry != record.registry:
        raise ValueError("a hold is of the record it is written with")
    _insert_record(connection, record)
    holds.add(connection, held)


def step(connection: sqlite3.Connection, intent_id: str, to: Step) -> None:
    """Move an open intent on."""
    row = connection.execute("SELECT step, settlement FROM intents WHERE id = ?", (intent_id,)).fetchone()
    if row is None or row[1] is not None:
        raise StoreError(f"publish {intent_id} is not open")
    if to is Step.SETTLED or _ORDER.index(to) < _ORDER.index(Step(row[0])):
        raise StoreError(f"publish {intent_id} cannot go from {row[0]} to {to.value}")
    connection.execute("UPDATE intents SET step = ? WHERE id = ?", (to.value, intent_id))


def settle(connection: sqlite3.Connection, intent_id: str, settlement: Settlement, problem: str, at: datetime) -> None:
    """Close an intent and say what becomes of its names."""
    row = connection.execute("SELECT settlement FROM intents WHERE id = ?", (intent_id,)).fetchone()
    if row is None:
        raise StoreError(f"there is no publish {intent_id}")
    before = None if row[0] is None else Settlement(row[0])
    if before not in {None, Settlement.DAMAGED}:
        if before is settlement:
            return
        raise StoreError(f"publish {intent_id} was settled as {row[0]} and cannot become {settlement.value}")
    connection.execute(
        "UPDATE intents SET step = ?, settlement = ?, problem = ?, settled = ? WHERE id = ?",
        (Step.SETTLED.value, settlement.value, problem, to_column(at), intent_id),
    )
    match settlement:
        case Settlement.PUBLISHED:
            connection.execute(
                "UPDATE names SET bound = 1, damaged = 0, intent = NULL, sha256 = (SELECT sha256 FROM intent_files"
                " WHERE intent_files.intent = names.intent AND intent_files.canonical = names.canonical)"
                " WHERE intent = ?",
                (intent_id,),
            )
            _insert_published(connection, intent_id, at)
            holds.end_with(connection, intent_id, at)
            vouched.published(connection, intent_id, at)
        case Settlement.ABSENT | Settlement.REFUSED:
            connection.execute("DELETE FROM names WHERE intent = ? AND bound = 0", (intent_id,))
            connection.execute("UPDATE names SET damaged = 0, intent = NULL WHERE intent = ?", (intent_id,))
        case Settlement.DAMAGED:
            connection.execute("UPDATE names SET damaged = 1 WHERE intent = ?", (intent_id,))


def intent_by_id(connection: sqlite3.Connection, intent_id: str) -> Intent | None:
    """Read one intent."""
    rows = connection.execute(f"SELECT {_INTENT_COLUMNS} FROM intents WHERE id = ?", (intent_id,))  # noqa: S608
    return next((_intent(connection, row) for row in rows), None)


def unsettled(connection: sqlite3.Connection) -> tuple[Intent, ...]:
    """Read what is open or damaged, oldest first."""
    rows = connection.execute(
        f"SELECT {_INTENT_COLUMNS} FROM intents"  # noqa: S608 - only column names
        " WHERE settlement IS NULL OR settlement = 'damaged' ORDER BY seq"
    ).fetchall()
    return tuple(_intent(connection, row) for row in rows)


def record_by_id(connection: sqlite3.Connection, record_id: str) -> Written | None:
    """Read one record."""
    row = connection.execute("SELECT id, body FROM records WHERE id = ?", (record_id,)).fetchone()
    return None if row is None else _written(connection, row)


def select(connection: sqlite3.Connection, query: Query) -> tuple[Written, ...]:
    """Read the newest records that a query asks for."""
    wanted: list[tuple[str, Any]] = [
        ("registry = ?", query.registry),
        ("purl = ?", query.purl),
        ("version = ?", query.version),
        ("outcome = ?", query.outcome and query.outcome.value),
        ("grant_id = ?", query.grant),
        ("seq IN (SELECT record FROM record_files WHERE sha256 = ?)", query.sha256),
        ("seq < (SELECT seq FROM records WHERE id = ?)", query.before),
    ]
    clauses = [clause for clause, value in wanted if value is not None]
    where = " WHERE " + " AND ".join(clauses) if clauses else ""
    rows = connection.execute(
        f"SELECT id, body FROM records{where} ORDER BY seq DESC LIMIT ?",  # noqa: S608 - the clauses above
        [*(value for _, value in wanted if value is not None), min(query.limit, limits.RECORDS_PAGE)],
    ).fetchall()
    return tuple(_written(connection, row) for row in rows)


def _conflict(connection: sqlite3.Connection, intent: Intent) -> Conflict | None:
    for file in intent.files:
        if connection.execute("SELECT 1 FROM revoked WHERE sha256 = ?", (file.sha256,)).fetchone():
            return Conflict(file.canonical, file.sha256, Cause.REVOKED)
        row = connection.execute(
            "SELECT coalesce(intent_files.sha256, names.sha256), intent, damaged FROM names"
            " LEFT JOIN intent_files USING (intent, canonical) WHERE registry = ? AND canonical = ?",
            (intent.registry, file.canonical),
        ).fetchone()
        if row is None:
            continue
        sha256, holder, damaged = row
        if holder is not None:
            return Conflict(file.canonical, sha256, Cause.DAMAGED if damaged else Cause.OPEN, holder)
        if sha256 != file.sha256 and not intent.movable:
            return Conflict(file.canonical, sha256, Cause.BOUND)
    if intent.hold is not None and ((held := holds.by_id(connection, intent.hold)) is None or held.ended):
        return Conflict(intent.files[0].canonical, intent.files[0].sha256, Cause.ENDED)
    return None


def _insert_record(connection: sqlite3.Connection, record: Record) -> int:
    upload = record.case.upload if record.case is not None else None
    seq = connection.execute(
        "INSERT INTO records (id, at, registry, purl, version, outcome, grant_id, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            record.id,
            to_column(record.at),
            record.registry,
            upload.purl if upload is not None else record.mutation and record.mutation.purl,
            upload and upload.version,
            record.decision.outcome.value,
            record.grant,
            encode(record),
        ),
    ).lastrowid
    assert seq is not None
    if upload is not None:
        connection.executemany(
            "INSERT OR IGNORE INTO record_files (sha256, record) VALUES (?, ?)",
            [(file.sha256, seq) for file in upload.files],
        )
    return seq


def _insert_intent(connection: sqlite3.Connection, seq: int, record: Record, intent: Intent) -> None:
    if record.case is None or intent.id != record.id or intent.registry != record.registry or not intent.files:
        raise ValueError("an intent is of the record it is written with, and has files")
    upload, decision = record.case.upload, record.decision
    connection.execute(
        "INSERT INTO intents (seq, id, registry, name, version, opened, step, problem, purl, release, observed, signer,"
        " movable, hold) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            seq,
            intent.id,
            intent.registry,
            intent.name,
            intent.version,
            to_column(intent.opened),
            intent.step.value,
            intent.problem,
            upload.purl,
            upload.canonical_version,
            int(decision.observed),
            encode(decision.signer) if decision.signer is not None else None,
            int(intent.movable),
            intent.hold,
        ),
    )
    connection.executemany(
        "INSERT INTO intent_files (intent, position, name, canonical, sha256, size) VALUES (?, ?, ?, ?, ?, ?)",
        [(intent.id, n, file.name, file.canonical, file.sha256, file.size) for n, file in enumerate(intent.files)],
    )
    connection.executemany(
        "INSERT INTO names (registry, canonical, sha256, bound, intent, damaged) VALUES (?, ?, ?, 0, ?, 0)"
        " ON CONFLICT (registry, canonical) DO UPDATE SET intent = excluded.intent",
        [(intent.registry, file.canonical, file.sha256, intent.id) for file in intent.files],
    )


def _insert_published(connection: sqlite3.Connection, intent_id: str, at: datetime) -> None:
    """Write the history. A name's first publish stays, unless it was only observed and this one is enforced.

    A name that moves takes a new place in the order, so that who follows it sees it again; its date stays.
    """
    # One by one: each takes the place after the last.
    for canonical, sha256 in connection.execute(
        "SELECT canonical, sha256 FROM intent_files WHERE intent = ?", (intent_id,)
    ).fetchall():
        connection.execute(
            "UPDATE published SET seq = (SELECT max(seq) + 1 FROM published), sha256 = ?, observed = intents.observed,"
            " signer = intents.signer, enforced = coalesce(enforced, iif(intents.observed, NULL, ?)) FROM intents"
            " WHERE intents.id = ? AND published.registry = intents.registry AND canonical = ?"
            " AND published.sha256 <> ?",
            (sha256, to_column(at), intent_id, canonical, sha256),
        )
    connection.execute(
        "INSERT INTO published (registry, canonical, sha256, purl, release, at, observed, signer, enforced)"
        " SELECT intents.registry, canonical, sha256, purl, release, ?1, observed, signer, iif(observed, NULL, ?1)"
        " FROM intents JOIN intent_files ON intent_files.intent = intents.id WHERE intents.id = ?2"
        " ON CONFLICT (registry, canonical) DO UPDATE SET at = excluded.at, observed = 0, signer = excluded.signer,"
        " enforced = coalesce(enforced, excluded.at) WHERE observed AND NOT excluded.observed",
        (to_column(at), intent_id),
    )


def _intent(connection: sqlite3.Connection, row: tuple[Any, ...]) -> Intent:
    id_, registry, name, version, opened, at_step, settlement, problem, movable, hold_id = row
    files: Iterator[tuple[str, str, str, int]] = connection.execute(
        "SELECT name, canonical, sha256, size FROM intent_files WHERE intent = ? ORDER BY position", (id_,)
    )
    return Intent(
        id=id_,
        registry=registry,
        name=name,
        version=version,
        files=tuple(IntentFile(*file) for file in files),
        opened=from_column(opened),
        step=Step(at_step),
        settlement=None if settlement is None else Settlement(settlement),
        problem=problem,
        movable=bool(movable),
        hold=hold_id,
    )


def _written(connection: sqlite3.Connection, row: tuple[str, bytes]) -> Written:
    return Written(decode(Record, row[1]), intent_by_id(connection, row[0]))
