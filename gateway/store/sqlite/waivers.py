"""The rows of waivers, and the claim on each one's single use."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from gateway.model.case import Waiver
from gateway.model.codec import decode, encode
from gateway.store.sqlite.schema import to_column
from gateway.store.store import KnownWaiver


def add(connection: sqlite3.Connection, waiver: Waiver, at: datetime) -> None:
    """Insert a new waiver."""
    connection.execute(
        "INSERT INTO waivers (id, registry, purl, version, sha256, expires, made, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            waiver.id,
            waiver.registry,
            waiver.purl,
            waiver.version,
            waiver.sha256,
            to_column(waiver.expires),
            to_column(at),
            encode(waiver),
        ),
    )


def every(connection: sqlite3.Connection) -> tuple[KnownWaiver, ...]:
    """List all waivers."""
    rows = connection.execute("SELECT body, used_by FROM waivers ORDER BY seq")
    return tuple(KnownWaiver(decode(Waiver, body), used_by) for body, used_by in rows)


def for_bytes(
    connection: sqlite3.Connection, *, registry: str, purl: str, version: str, sha256: str, now: datetime
) -> tuple[Waiver, ...]:
    """Find what is neither used nor expired; all four must match."""
    rows = connection.execute(
        "SELECT body FROM waivers WHERE sha256 = ? AND registry = ? AND purl = ? AND version = ?"
        " AND used IS NULL AND expires > ? ORDER BY seq",
        (sha256, registry, purl, version, to_column(now)),
    )
    return tuple(decode(Waiver, body) for (body,) in rows)


def use(connection: sqlite3.Connection, waiver_id: str, record_id: str, at: datetime) -> bool:
    """Mark a waiver used by this record; a second time by the same record is the same use."""
    found = connection.execute(
        "UPDATE waivers SET used = coalesce(used, ?), used_by = ? WHERE id = ? AND (used IS NULL OR used_by = ?)",
        (to_column(at), record_id, waiver_id, record_id),
    )
    return found.rowcount == 1
