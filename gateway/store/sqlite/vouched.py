"""The rows of what the gateway vouches for: written when a publish went through, or by an operator's command."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from gateway.model.codec import decode, encode
from gateway.model.intent import Record
from gateway.model.vouched import Vouched, vouched_for
from gateway.store.sqlite.schema import to_column


def vouch(
    connection: sqlite3.Connection, registry: str, canonical: str, vouched: Vouched, *, person: str, at: datetime
) -> bool:
    """Vouch for bytes by a person's word; what is vouched for already stays, and other bytes of its name never are."""
    for table in ("names", "vouched"):
        known = _digest(connection, table, registry, canonical)
        if known is not None and known != vouched.sha256:
            return False
    if connection.execute("SELECT 1 FROM revoked WHERE sha256 = ?", (vouched.sha256,)).fetchone():
        return False
    connection.execute(
        "INSERT OR IGNORE INTO vouched (registry, canonical, body, person, at) VALUES (?, ?, ?, ?, ?)",
        (registry, canonical, encode(vouched), person, to_column(at)),
    )
    return True


def published(connection: sqlite3.Connection, intent_id: str, at: datetime) -> None:
    """Vouch for the files of an intent that was published; its record says what was measured and proved."""
    registry, body = connection.execute("SELECT registry, body FROM records WHERE id = ?", (intent_id,)).fetchone()
    case = decode(Record, body).case
    assert case is not None
    connection.executemany(
        "INSERT OR REPLACE INTO vouched (registry, canonical, body, at) VALUES (?, ?, ?, ?)",
        [(registry, canonical, encode(one), to_column(at)) for canonical, one in vouched_for(case).items()],
    )


def after(connection: sqlite3.Connection, registry: str, seq: int) -> tuple[int, dict[str, Vouched]]:
    """What is vouched for since a row, by canonical name, and the last row there is."""
    found: dict[str, Vouched] = {}
    rows = connection.execute(
        "SELECT seq, canonical, body FROM vouched WHERE registry = ? AND seq > ? ORDER BY seq", (registry, seq)
    )
    for last, canonical, body in rows:
        seq = last
        found[canonical] = decode(Vouched, body)
    return seq, found


def _digest(connection: sqlite3.Connection, table: str, registry: str, canonical: str) -> str | None:
    """The sha256 that a name has in a table."""
    column = "sha256" if table == "names" else "json_extract(body, '$.sha256')"
    row = connection.execute(
        f"SELECT {column} FROM {table} WHERE registry = ? AND canonical = ?",  # noqa: S608 - the two tables above
        (registry, canonical),
    ).fetchone()
    return None if row is None else str(row[0])
