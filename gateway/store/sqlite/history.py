"""What was accepted before: the history of an upload, and what readers may see."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import datetime

from gateway.model.case import History, Published
from gateway.model.codec import decode
from gateway.model.identity import Identity
from gateway.model.upload import Upload
from gateway.store.sqlite import contents
from gateway.store.sqlite.schema import from_column, to_column
from gateway.store.store import Revocation


def of_upload(connection: sqlite3.Connection, upload: Upload) -> History:
    """Collect what decisions may depend on; only enforced publishes count as a first publish (CONTRACTS D.5)."""
    registry = upload.registry.name
    (first,) = connection.execute(
        "SELECT min(enforced) FROM published WHERE registry = ? AND purl = ?", (registry, upload.purl)
    ).fetchone()
    release: Iterator[tuple[str, str, int, bytes | None, int]] = connection.execute(
        "SELECT canonical, sha256, at, signer, observed FROM published"
        " WHERE registry = ? AND purl = ? AND release = ? ORDER BY seq",
        (registry, upload.purl, upload.canonical_version),
    )
    bound = [
        (file.canonical, sha256)
        for file in upload.files
        for (sha256,) in connection.execute(
            "SELECT sha256 FROM names WHERE registry = ? AND canonical = ? AND bound", (registry, file.canonical)
        )
    ]
    revoked = [
        file.sha256
        for file in upload.files
        if connection.execute("SELECT 1 FROM revoked WHERE sha256 = ?", (file.sha256,)).fetchone()
    ]
    return History(
        first_publish=None if first is None else from_column(first),
        release=tuple(
            Published(
                canonical=canonical,
                sha256=sha256,
                at=from_column(at),
                signer=None if signer is None else decode(Identity, signer),
                observed=bool(observed),
            )
            for canonical, sha256, at, signer, observed in release
        ),
        bound=tuple(bound),
        revoked=frozenset(revoked),
    )


def withheld(connection: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Registry -> canonical name -> verified sha256 of what no reader may see."""
    found: dict[str, dict[str, str]] = {}
    rows = connection.execute(
        "SELECT registry, canonical, sha256 FROM names WHERE intent IS NOT NULL"
        " UNION SELECT names.registry, names.canonical, names.sha256 FROM revoked JOIN names USING (sha256)"
        " UNION SELECT vouched.registry, vouched.canonical, vouched.sha256 FROM revoked JOIN vouched USING (sha256)"
    )
    for registry, canonical, sha256 in rows:
        found.setdefault(registry, {})[canonical] = sha256
    return found


def published_after(connection: sqlite3.Connection, registry: str, seq: int) -> tuple[int, dict[str, str]]:
    """Canonical name -> sha256 of what was published since a row, and the last row there is."""
    rows = connection.execute(
        "SELECT seq, canonical, sha256 FROM published WHERE registry = ? AND seq > ? ORDER BY seq", (registry, seq)
    )
    found: dict[str, str] = {}
    for last, canonical, sha256 in rows:
        seq = last
        found[canonical] = sha256
    return seq, found


def revoke(connection: sqlite3.Connection, sha256: str, person: str, why: str, at: datetime) -> None:
    """Withdraw bytes; the first time stays."""
    connection.execute(
        "INSERT INTO revoked (sha256, person, why, at) VALUES (?, ?, ?, ?) ON CONFLICT (sha256) DO NOTHING",
        (sha256, person, why, to_column(at)),
    )
    contents.withdrawn(connection, sha256)


def revoked(connection: sqlite3.Connection) -> frozenset[str]:
    """Every sha256 that was withdrawn."""
    return frozenset(sha256 for (sha256,) in connection.execute("SELECT sha256 FROM revoked"))


def revocations(connection: sqlite3.Connection) -> tuple[Revocation, ...]:
    """List what was withdrawn."""
    rows = connection.execute("SELECT sha256, person, why, at FROM revoked ORDER BY seq")
    return tuple(Revocation(sha256, person, why, from_column(at)) for sha256, person, why, at in rows)
