"""The rows of names, as tags: `<repository>:<tag>` is bound to a manifest's sha256."""

from __future__ import annotations

import sqlite3

from gateway.model.content import Place
from gateway.model.digest import Digest
from gateway.store.sqlite import contents


def every(connection: sqlite3.Connection, place: Place) -> dict[str, Digest]:
    """Read a repository's tags, in the order of their text."""
    start = f"{place.repository}:"
    rows = connection.execute(
        # The character after the colon ends the range: neither a repository nor a tag holds either.
        "SELECT canonical, sha256 FROM names WHERE registry = ? AND canonical > ? AND canonical < ? AND bound"
        " ORDER BY canonical",
        (place.registry, start, f"{place.repository};"),
    ).fetchall()
    tags = {name.removeprefix(start): sha256 for name, sha256 in rows}
    # What refers to something else may be known by its digest alone, which is a name like a tag and no tag.
    return {tag: contents.digest_of(connection, place, sha256) for tag, sha256 in tags.items() if ":" not in tag}


def one(connection: sqlite3.Connection, place: Place, tag: str) -> Digest | None:
    """Read one tag."""
    rows = connection.execute(
        "SELECT sha256 FROM names WHERE registry = ? AND canonical = ? AND bound",
        (place.registry, f"{place.repository}:{tag}"),
    )
    return next((contents.digest_of(connection, place, sha256) for (sha256,) in rows), None)


def free(connection: sqlite3.Connection, place: Place, tag: str) -> None:
    """Free a tag; one that is being published stays reserved for that."""
    _free(connection, place, [f"{place.repository}:{tag}"])


def drop(connection: sqlite3.Connection, place: Place, digest: Digest) -> None:
    """Take content back, and free the tags that had it."""
    sha256 = contents.drop(connection, place, digest)
    rows = connection.execute("SELECT canonical FROM names WHERE sha256 = ? AND registry = ?", (sha256, place.registry))
    start = f"{place.repository}:"
    _free(connection, place, [name for (name,) in rows.fetchall() if name.startswith(start)])


def _free(connection: sqlite3.Connection, place: Place, names: list[str]) -> None:
    for name in names:
        key = (place.registry, name)
        connection.execute("UPDATE names SET bound = 0 WHERE registry = ? AND canonical = ?", key)
        connection.execute("DELETE FROM names WHERE registry = ? AND canonical = ? AND intent IS NULL", key)
