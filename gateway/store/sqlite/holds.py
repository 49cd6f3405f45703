"""The rows of holds: opening, and ending once."""

from __future__ import annotations

import sqlite3
from datetime import datetime
from typing import Any, Final

from gateway import limits
from gateway.model.content import Ending, Hold, Place
from gateway.model.digest import Digest
from gateway.store.sqlite.schema import from_column, to_column

_COLUMNS: Final = (
    "id, registry, repository, tag, digest, sha256, before, grant_id, opened, deadline, ended, ending, problem"
)


def add(connection: sqlite3.Connection, hold: Hold) -> None:
    """Write a hold, as it opens."""
    connection.execute(
        f"INSERT INTO holds ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - column names
        (
            hold.id,
            hold.place.registry,
            hold.place.repository,
            hold.tag,
            str(hold.digest),
            hold.sha256,
            hold.before and str(hold.before),
            hold.grant,
            to_column(hold.opened),
            to_column(hold.deadline),
            hold.ended and to_column(hold.ended),
            hold.ending and hold.ending.value,
            hold.problem,
        ),
    )


def by_id(connection: sqlite3.Connection, hold_id: str) -> Hold | None:
    """Read one hold."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM holds WHERE id = ?", (hold_id,))  # noqa: S608 - column names
    return next((_hold(row) for row in rows), None)


def unended(connection: sqlite3.Connection, registry: str | None) -> tuple[Hold, ...]:
    """Read what waits, oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM holds"  # noqa: S608 - only column names
        " WHERE ended IS NULL AND (?1 IS NULL OR registry = ?1) ORDER BY seq",
        (registry,),
    )
    return tuple(map(_hold, rows))


def newest(connection: sqlite3.Connection, registry: str | None, limit: int) -> tuple[Hold, ...]:
    """Read the newest holds."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM holds WHERE ?1 IS NULL OR registry = ?1"  # noqa: S608 - only column names
        " ORDER BY seq DESC LIMIT ?2",
        (registry, min(limit, limits.RECORDS_PAGE)),
    )
    return tuple(map(_hold, rows))


def end(connection: sqlite3.Connection, hold_id: str, ending: Ending, problem: str, at: datetime) -> bool:
    """End a hold, unless it has ended or its content is being published under its tag."""
    found = connection.execute(
        "UPDATE holds SET ended = ?, ending = ?, problem = ? WHERE id = ? AND ended IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM names JOIN intent_files USING (intent, canonical)"
        " WHERE names.registry = holds.registry AND names.canonical = holds.repository || ':' || holds.tag"
        " AND NOT names.damaged AND intent_files.sha256 = holds.sha256)",
        (to_column(at), ending.value, problem, hold_id),
    )
    return found.rowcount == 1


def end_with(connection: sqlite3.Connection, intent_id: str, at: datetime) -> None:
    """End the holds of an intent's tags that are no younger than it, or than the hold that it releases."""
    connection.execute(
        "UPDATE holds SET ended = ?, problem = '', ending = CASE WHEN ended_by.sha256 = holds.sha256 THEN ? ELSE ? END"
        " FROM (SELECT intents.registry, canonical, intent_files.sha256,"
        " coalesce(released.opened, intents.opened) AS opened"
        " FROM intents JOIN intent_files ON intent_files.intent = intents.id"
        " LEFT JOIN holds AS released ON released.id = intents.hold WHERE intents.id = ?) AS ended_by"
        " WHERE holds.ended IS NULL AND holds.registry = ended_by.registry"
        " AND holds.repository || ':' || holds.tag = ended_by.canonical AND holds.opened <= ended_by.opened",
        (to_column(at), Ending.RELEASED.value, Ending.SUPERSEDED.value, intent_id),
    )


def _hold(row: tuple[Any, ...]) -> Hold:
    id_, registry, repository, tag, digest, sha256, before, grant, opened, deadline, ended, ending, problem = row
    return Hold(
        id=id_,
        place=Place(registry, repository),
        tag=tag,
        digest=Digest.parse(digest),
        sha256=sha256,
        before=None if before is None else Digest.parse(before),
        grant=grant,
        opened=from_column(opened),
        deadline=from_column(deadline),
        ended=None if ended is None else from_column(ended),
        ending=None if ending is None else Ending(ending),
        problem=problem,
    )
