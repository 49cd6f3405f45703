"""The rows of what the gateway vouches for: written when a publish went through, or by an operator's command."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from gateway.model.codec import decode, encode
from gateway.model.intent import Record
from gateway.model.vouched import Vouched, vouched_for
from gateway.store.sqlite.schema import to_column
from gateway.store.store import Cause, Conflict


def vouch(
    connection: sqlite3.Connection, registry: str, canonical: str, vouched: Vouched, *, person: str, at: datetime
) -> Conflict | None:
    """Vouch for bytes by a person's word; what is vouched for already stays."""
    if found := conflict(connection, registry, canonical, vouched.sha256):
        return found
    connection.execute(
        "INSERT OR IGNORE INTO vouched (registry, canonical, sha256, body, person, at) VALUES (?, ?, ?, ?, ?, ?)",
        (registry, canonical, vouched.sha256, encode(vouched), person, to_column(at)),
    )
    return None


def conflict(connection: sqlite3.Connection, registry: str, canonical: str, sha256: str) -> Conflict | None:
    """Why these bytes are not vouched for under a name: it has others, or they were withdrawn."""
    if connection.execute("SELECT 1 FROM revoked WHERE sha256 = ?", (sha256,)).fetchone():
        return Conflict(canonical, sha256, Cause.REVOKED)
    rows = connection.execute(
        "SELECT sha256 FROM names WHERE registry = ? AND canonical = ?"
        " UNION SELECT sha256 FROM vouched WHERE registry = ? AND canonical = ?",
        (registry, canonical, registry, canonical),
    )
    return next((Conflict(canonical, other, Cause.BOUND) for (other,) in rows if other != sha256), None)


def published(connection: sqlite3.Connection, intent_id: str, at: datetime) -> None:
    """Vouch for the files of an intent that was published; its record says what was measured and proved."""
    registry, body = connection.execute("SELECT registry, body FROM records WHERE id = ?", (intent_id,)).fetchone()
    case = decode(Record, body).case
    assert case is not None
    connection.executemany(
        "INSERT OR REPLACE INTO vouched (registry, canonical, sha256, body, at) VALUES (?, ?, ?, ?, ?)",
        [(registry, name, one.sha256, encode(one), to_column(at)) for name, one in vouched_for(case).items()],
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
