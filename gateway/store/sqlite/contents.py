"""The rows of content: what is made of what, and what is shown.

`shown` is written down, so that one look answers however many images share a layer. It follows from the other columns,
and every function here that changes those keeps it true: a row is shown where it is not revoked and is accepted or has
a parent that is shown. A row that is linked to and never came through the gateway has it too, and no time in `noted`.
The same bytes may be a layer and a manifest, so it has two degrees: BYTES for what something is made of, WHOLE for a
manifest that is accepted, an index's child or evidence. Only what is shown WHOLE shows what it is made of: else a layer
that somebody else signed, or evidence, could hold an image that nobody did.
"""

from __future__ import annotations

import json
import sqlite3
from datetime import datetime
from typing import Any, Final

from gateway.model.content import Content, Place, Sight
from gateway.model.digest import Digest
from gateway.store.sqlite.schema import to_column

EVIDENCE: Final = -1  # the position of a link from a subject to its evidence
BYTES: Final = 1
WHOLE: Final = 2
_COLUMNS: Final = "seq, digest, size, media_type, sha256, artifact_type, annotations, refers"
_REVOKED: Final = "EXISTS (SELECT 1 FROM revoked WHERE revoked.sha256 = contents.sha256)"


def note(connection: sqlite3.Connection, place: Place, content: Content, at: datetime) -> None:
    """Write down content that is about to be stored, or what was not known of it yet."""
    seq = _row(connection, place, content.digest)
    ((noted, sha256),) = connection.execute("SELECT noted, sha256 FROM contents WHERE seq = ?", (seq,))
    read = connection.execute("SELECT 1 FROM links WHERE parent = ? AND position <> ?", (seq, EVIDENCE)).fetchone()
    if noted is None or (content.links and not read):
        connection.execute(
            "UPDATE contents SET sha256 = ?, size = ?, media_type = ?, artifact_type = ?, annotations = ?, noted = ?"
            " WHERE seq = ?",
            (
                sha256 or content.sha256,
                content.size,
                content.media_type,
                content.artifact_type,
                json.dumps(content.annotations),
                noted or to_column(at),
                seq,
            ),
        )
        connection.executemany(
            "INSERT INTO links (parent, position, child, shows) VALUES (?, ?, ?, ?)",
            [
                (seq, position, _row(connection, place, digest), WHOLE if digest in content.children else BYTES)
                for position, digest in enumerate(content.links)
            ],
        )
        if content.links or content.sha256 != sha256:
            _reconsider(connection, [seq])
    if content.refers is not None:
        connection.execute("UPDATE contents SET refers = ? WHERE seq = ?", (str(content.refers), seq))
    if content.subject is not None and _subject(connection, seq) is None:
        subject = _row(connection, place, content.subject)
        connection.execute(
            "INSERT INTO links (parent, position, child, shows) VALUES (?, ?, ?, ?)", (subject, EVIDENCE, seq, WHOLE)
        )
        _reconsider(connection, [seq])


def find(connection: sqlite3.Connection, place: Place, digest: Digest) -> Content | None:
    """Read what came through the gateway."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM contents"  # noqa: S608 - only column names
        " WHERE registry = ? AND repository = ? AND digest = ? AND noted IS NOT NULL",
        (place.registry, place.repository, str(digest)),
    ).fetchall()
    return next((_content(connection, row) for row in rows), None)


def sight(connection: sqlite3.Connection, place: Place, digest: Digest, *, manifest: bool) -> Sight:
    """Look whether a digest is shown."""
    if connection.execute("SELECT 1 FROM revoked WHERE ? = 'sha256:' || sha256", (str(digest),)).fetchone():
        return Sight.HIDDEN
    row = connection.execute(
        "SELECT shown, noted IS NOT NULL FROM contents WHERE registry = ? AND repository = ? AND digest = ?",
        (place.registry, place.repository, str(digest)),
    ).fetchone()
    shown, ours = row or (0, 0)
    return Sight.SHOWN if shown >= (WHOLE if manifest else BYTES) else Sight.HIDDEN if ours else Sight.UNKNOWN


def referrers(connection: sqlite3.Connection, place: Place, subject: Digest) -> tuple[Content, ...]:
    """Read the evidence of a subject, and what only states it."""
    key = (place.registry, place.repository, str(subject))
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM contents WHERE noted IS NOT NULL AND seq IN ("  # noqa: S608 - only column names
        "SELECT links.child FROM contents AS subjects JOIN links ON links.parent = subjects.seq AND links.position = ?"
        " WHERE subjects.registry = ? AND subjects.repository = ? AND subjects.digest = ?"
        " UNION SELECT seq FROM contents WHERE registry = ? AND repository = ? AND refers = ?)"
        " ORDER BY noted, seq",
        (EVIDENCE, *key, *key),
    ).fetchall()
    return tuple(_content(connection, row) for row in rows)


def accept(connection: sqlite3.Connection, place: Place, sha256: str) -> None:
    """Mark content as accepted, whatever its digest is computed with."""
    rows = connection.execute(
        "UPDATE contents SET accepted = 1 WHERE sha256 = ? AND registry = ? AND repository = ? AND noted IS NOT NULL"
        " RETURNING seq",
        (sha256, place.registry, place.repository),
    )
    _reconsider(connection, [seq for (seq,) in rows.fetchall()])


def drop(connection: sqlite3.Connection, place: Place, digest: Digest) -> str:
    """Take back that content was accepted or is evidence; returns its sha256, empty where nothing is known of it."""
    rows = connection.execute(
        "UPDATE contents SET accepted = 0, refers = '' WHERE registry = ? AND repository = ? AND digest = ?"
        " RETURNING seq, sha256",
        (place.registry, place.repository, str(digest)),
    ).fetchall()
    for seq, sha256 in rows:
        connection.execute("DELETE FROM links WHERE child = ? AND position = ?", (seq, EVIDENCE))
        _reconsider(connection, [seq])
        return str(sha256)
    return ""


def withdrawn(connection: sqlite3.Connection, sha256: str) -> None:
    """Hide what was revoked just now, and what was shown for its sake alone."""
    rows = connection.execute("SELECT seq FROM contents WHERE sha256 = ?", (sha256,))
    _reconsider(connection, [seq for (seq,) in rows.fetchall()])


def digest_of(connection: sqlite3.Connection, place: Place, sha256: str) -> Digest:
    """The digest that a manifest is known by: its sha256, unless it came under another."""
    rows = connection.execute(
        "SELECT digest FROM contents WHERE sha256 = ? AND registry = ? AND repository = ? AND noted IS NOT NULL"
        " ORDER BY digest LIMIT 1",
        (sha256, place.registry, place.repository),
    )
    return next((Digest.parse(digest) for (digest,) in rows), Digest("sha256", sha256))


def _row(connection: sqlite3.Connection, place: Place, digest: Digest) -> int:
    """The row of a digest, made where there is none."""
    key = (place.registry, place.repository, str(digest))
    connection.execute(
        "INSERT INTO contents"
        " (registry, repository, digest, sha256, size, media_type, artifact_type, annotations, accepted, shown)"
        " VALUES (?, ?, ?, ?, 0, '', '', '[]', 0, 0) ON CONFLICT DO NOTHING",
        (*key, digest.value if digest.algorithm == "sha256" else ""),
    )
    row = connection.execute("SELECT seq FROM contents WHERE registry = ? AND repository = ? AND digest = ?", key)
    return int(row.fetchone()[0])


def _subject(connection: sqlite3.Connection, seq: int) -> Digest | None:
    rows = connection.execute(
        "SELECT digest FROM links JOIN contents ON contents.seq = links.parent"
        " WHERE links.child = ? AND links.position = ?",
        (seq, EVIDENCE),
    )
    return next((Digest.parse(digest) for (digest,) in rows), None)


def _content(connection: sqlite3.Connection, row: tuple[Any, ...]) -> Content:
    seq, digest, size, media_type, sha256, artifact_type, annotations, refers = row
    links = connection.execute(
        "SELECT digest, shows FROM links JOIN contents ON contents.seq = links.child"
        " WHERE links.parent = ? AND links.position <> ? ORDER BY links.position",
        (seq, EVIDENCE),
    ).fetchall()
    return Content(
        digest=Digest.parse(digest),
        size=size,
        media_type=media_type,
        sha256=sha256,
        links=tuple(Digest.parse(link) for link, _ in links),
        subject=_subject(connection, seq),
        artifact_type=artifact_type,
        annotations=tuple((key, value) for key, value in json.loads(annotations)),
        refers=Digest.parse(refers) if refers else None,
        children=frozenset(Digest.parse(link) for link, shows in links if shows == WHOLE),
    )


def _reconsider(connection: sqlite3.Connection, rows: list[int]) -> None:
    """Make `shown` true again for rows of which something has changed, and for all below them."""
    below = connection.execute(
        "WITH RECURSIVE below (seq, shown) AS ("
        " SELECT seq, shown FROM contents WHERE seq IN (SELECT value FROM json_each(?))"
        " UNION SELECT contents.seq, contents.shown FROM below JOIN links ON links.parent = below.seq"
        " JOIN contents ON contents.seq = links.child WHERE below.shown AND contents.shown"
        ") SELECT seq FROM below",
        (json.dumps(rows),),
    ).fetchall()
    again = json.dumps([seq for (seq,) in below])
    connection.execute("UPDATE contents SET shown = 0 WHERE seq IN (SELECT value FROM json_each(?))", (again,))
    connection.execute(
        "WITH RECURSIVE raised (seq, shown) AS ("  # noqa: S608 - constants
        " SELECT seq, iif(accepted, ?2, (SELECT max(links.shows) FROM links JOIN contents AS parents"
        " ON parents.seq = links.parent WHERE links.child = contents.seq AND parents.shown = ?2))"
        f" FROM contents WHERE seq IN (SELECT value FROM json_each(?1)) AND NOT {_REVOKED}"
        " UNION SELECT contents.seq, links.shows FROM raised JOIN links ON links.parent = raised.seq"
        " JOIN contents ON contents.seq = links.child"
        f" WHERE raised.shown = ?2 AND contents.shown < links.shows AND NOT {_REVOKED}"
        ") UPDATE contents SET shown = (SELECT max(raised.shown) FROM raised WHERE raised.seq = contents.seq)"
        " WHERE seq IN (SELECT seq FROM raised WHERE shown)",
        (again, WHOLE),
    )
