"""The rows of evidence: the locker, bounded per credential and digest, and what is kept to be served again.

A body is stored once, under the sha256 that is its id, however many digests and senders it stands under.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import datetime

from gateway import limits
from gateway.model.digest import Digest
from gateway.model.evidence import Evidence, EvidenceRef, Format, Source
from gateway.store.sqlite.schema import to_column


def put(
    connection: sqlite3.Connection, evidence: Evidence, digests: Sequence[Digest], grant_id: str, at: datetime
) -> bool:
    """Put one piece into the locker under every digest, or under none where one place is full."""
    names = sorted({str(digest) for digest in digests})
    if any(_full(connection, name, grant_id, evidence.ref.id) for name in names):
        return False
    _body(connection, evidence)
    ref = evidence.ref
    connection.executemany(
        "INSERT OR IGNORE INTO locker (digest, grant_id, evidence, format, at) VALUES (?, ?, ?, ?, ?)",
        [(name, grant_id, ref.id, ref.format.value, to_column(at)) for name in names],
    )
    return True


def found(connection: sqlite3.Connection, digests: Sequence[Digest]) -> tuple[tuple[Evidence, str], ...]:
    """Find what the locker holds under any of the digests; a piece once per sender."""
    rows = connection.execute(
        "SELECT evidence.id, locker.format, evidence.body, locker.grant_id FROM locker"  # noqa: S608 - only marks
        f" JOIN evidence ON evidence.id = locker.evidence WHERE locker.digest IN ({_marks(digests)})"
        " GROUP BY evidence.id, locker.grant_id ORDER BY min(locker.seq)",
        [str(digest) for digest in digests],
    )
    return tuple(
        (Evidence(EvidenceRef(id_, Format(form), Source.LOCKER, position), body), grant_id)
        for position, (id_, form, body, grant_id) in enumerate(rows)
    )


def keep(
    connection: sqlite3.Connection, evidence: Evidence, digests: Sequence[Digest], grant_id: str, at: datetime
) -> None:
    """Keep one piece that came with a publish."""
    _body(connection, evidence)
    ref = evidence.ref
    connection.executemany(
        "INSERT OR IGNORE INTO kept (digest, evidence, format, source, grant_id, at) VALUES (?, ?, ?, ?, ?, ?)",
        [(str(digest), ref.id, ref.format.value, ref.source.value, grant_id, to_column(at)) for digest in digests],
    )


def kept(connection: sqlite3.Connection, digest: Digest) -> tuple[tuple[Evidence, str], ...]:
    """Find what was kept under a digest."""
    rows: Iterator[tuple[str, str, str, bytes, str]] = connection.execute(
        "SELECT evidence.id, kept.format, kept.source, evidence.body, kept.grant_id FROM kept"
        " JOIN evidence ON evidence.id = kept.evidence WHERE kept.digest = ? ORDER BY kept.seq",
        (str(digest),),
    )
    return tuple(
        (Evidence(EvidenceRef(id_, Format(form), Source(source), position), body), grant)
        for position, (id_, form, source, body, grant) in enumerate(rows)
    )


def _full(connection: sqlite3.Connection, digest: str, grant_id: str, evidence_id: str) -> bool:
    (others,) = connection.execute(
        "SELECT count(*) FROM locker WHERE digest = ? AND grant_id = ? AND evidence <> ?",
        (digest, grant_id, evidence_id),
    ).fetchone()
    return int(others) >= limits.EVIDENCE_PER_DIGEST


def _body(connection: sqlite3.Connection, evidence: Evidence) -> None:
    if hashlib.sha256(evidence.body).hexdigest() != evidence.ref.id:
        raise ValueError("a piece of evidence is stored under the sha256 of its bytes")
    connection.execute("INSERT OR IGNORE INTO evidence (id, body) VALUES (?, ?)", (evidence.ref.id, evidence.body))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
