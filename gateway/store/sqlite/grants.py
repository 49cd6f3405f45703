"""The rows of grants, and the claims on their uses."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime

from gateway.model.case import Grant
from gateway.model.codec import decode, encode
from gateway.store.sqlite.schema import from_column, to_column
from gateway.store.store import KnownGrant


def add(connection: sqlite3.Connection, grant: Grant, token_hash: str) -> None:
    """Insert a new grant."""
    connection.execute(
        "INSERT INTO grants (id, token_hash, body, uses_left) VALUES (?, ?, ?, ?)",
        (grant.id, token_hash, encode(grant), grant.uses_left),
    )


def by_id(connection: sqlite3.Connection, grant_id: str) -> tuple[Grant, str] | None:
    """Find a grant that is not revoked."""
    row = connection.execute(
        "SELECT body, uses_left, token_hash FROM grants WHERE id = ? AND revoked IS NULL", (grant_id,)
    ).fetchone()
    return None if row is None else (_grant(row[0], row[1]), row[2])


def every(connection: sqlite3.Connection) -> tuple[KnownGrant, ...]:
    """List all grants."""
    rows = connection.execute("SELECT body, uses_left, revoked FROM grants ORDER BY seq")
    return tuple(
        KnownGrant(_grant(body, uses_left), None if revoked is None else from_column(revoked))
        for body, uses_left, revoked in rows
    )


def revoke(connection: sqlite3.Connection, grant_id: str, at: datetime) -> bool:
    """Mark a grant revoked; the first date stays."""
    found = connection.execute(
        "UPDATE grants SET revoked = coalesce(revoked, ?) WHERE id = ?", (to_column(at), grant_id)
    )
    return found.rowcount == 1


def use(connection: sqlite3.Connection, grant_id: str) -> bool:
    """Take one use where one is left; a grant without a count has no end of them."""
    found = connection.execute(
        "UPDATE grants SET uses_left = uses_left - 1"
        " WHERE id = ? AND revoked IS NULL AND (uses_left IS NULL OR uses_left > 0)",
        (grant_id,),
    )
    return found.rowcount == 1


def _grant(body: bytes, uses_left: int | None) -> Grant:
    return replace(decode(Grant, body), uses_left=uses_left)
