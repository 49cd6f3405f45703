"""The tables, as numbered migrations; a released migration is never edited, the next one is appended.

Times are integers: microseconds since 1970 in UTC. Nouns are stored whole as the codec writes them, beside the columns
that are searched by.
"""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.errors import StoreError

APPLICATION_ID: Final = 0x70766774  # "pvgt": tells our file from any other SQLite file
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE grants (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            token_hash TEXT NOT NULL,
            body BLOB NOT NULL,
            uses_left INTEGER,  -- the truth; the body's own count is as it was granted
            revoked INTEGER
        ) STRICT""",
        """CREATE TABLE records (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            at INTEGER NOT NULL,
            registry TEXT NOT NULL,
            purl TEXT,  -- NULL: refused before it was known
            version TEXT,
            outcome TEXT NOT NULL,
            grant_id TEXT NOT NULL,
            body BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX records_by_purl ON records (purl, seq)",
        "CREATE INDEX records_by_grant ON records (grant_id, seq)",
        """CREATE TABLE record_files (
            sha256 TEXT NOT NULL,
            record INTEGER NOT NULL REFERENCES records (seq),
            PRIMARY KEY (sha256, record)
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE intents (
            seq INTEGER PRIMARY KEY,  -- its record's
            id TEXT NOT NULL UNIQUE REFERENCES records (id),
            registry TEXT NOT NULL,
            name TEXT NOT NULL,
            version TEXT NOT NULL,
            opened INTEGER NOT NULL,
            step TEXT NOT NULL,
            settlement TEXT,
            settled INTEGER,
            problem TEXT NOT NULL,
            purl TEXT NOT NULL,
            release TEXT NOT NULL,  -- the canonical version
            observed INTEGER NOT NULL,
            signer BLOB
        ) STRICT""",
        "CREATE INDEX intents_unsettled ON intents (seq) WHERE settlement IS NULL OR settlement = 'damaged'",
        """CREATE TABLE intent_files (
            intent TEXT NOT NULL REFERENCES intents (id),
            position INTEGER NOT NULL,
            name TEXT NOT NULL,
            canonical TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            size INTEGER NOT NULL,
            PRIMARY KEY (intent, position)
        ) STRICT, WITHOUT ROWID""",
        # One row per reserved or bound name. `intent` is the open or damaged publish that holds it; `bound` says that
        # it was published once, so that the row outlives every intent.
        """CREATE TABLE names (
            registry TEXT NOT NULL,
            canonical TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            bound INTEGER NOT NULL,
            intent TEXT REFERENCES intents (id),
            damaged INTEGER NOT NULL,
            PRIMARY KEY (registry, canonical)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX names_held ON names (registry) WHERE intent IS NOT NULL",
        "CREATE INDEX names_by_digest ON names (sha256)",
        """CREATE TABLE published (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            registry TEXT NOT NULL,
            canonical TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            purl TEXT NOT NULL,
            release TEXT NOT NULL,
            at INTEGER NOT NULL,
            observed INTEGER NOT NULL,
            signer BLOB,
            UNIQUE (registry, canonical)
        ) STRICT""",
        "CREATE INDEX published_by_release ON published (registry, purl, release)",
        """CREATE TABLE revoked (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            sha256 TEXT NOT NULL UNIQUE,
            person TEXT NOT NULL,
            why TEXT NOT NULL,
            at INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE evidence (
            id TEXT PRIMARY KEY,
            body BLOB NOT NULL
        ) STRICT""",
        # The format stands beside the sender, not beside the bytes: whoever sends bytes first says nothing for others.
        """CREATE TABLE locker (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            digest TEXT NOT NULL,
            grant_id TEXT NOT NULL,
            evidence TEXT NOT NULL REFERENCES evidence (id),
            format TEXT NOT NULL,
            at INTEGER NOT NULL,
            UNIQUE (digest, grant_id, evidence)
        ) STRICT""",
        """CREATE TABLE kept (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            digest TEXT NOT NULL,
            evidence TEXT NOT NULL REFERENCES evidence (id),
            format TEXT NOT NULL,
            source TEXT NOT NULL,
            grant_id TEXT NOT NULL,
            at INTEGER NOT NULL,
            UNIQUE (digest, evidence)
        ) STRICT""",
        """CREATE TABLE waivers (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE,
            registry TEXT NOT NULL,
            purl TEXT NOT NULL,
            version TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            expires INTEGER NOT NULL,
            made INTEGER NOT NULL,
            used INTEGER,
            used_by TEXT,
            body BLOB NOT NULL
        ) STRICT""",
        "CREATE INDEX waivers_by_digest ON waivers (sha256)",
    ),
    (
        # One row per digest of a repository that we were told of or that something is made of. `noted` is when it came
        # through the gateway (NULL: it never did). `shown` follows from the rest: accepted, or below what is shown.
        """CREATE TABLE contents (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            registry TEXT NOT NULL,
            repository TEXT NOT NULL,
            digest TEXT NOT NULL,
            sha256 TEXT NOT NULL,  -- empty: not known
            size INTEGER NOT NULL,
            media_type TEXT NOT NULL,
            artifact_type TEXT NOT NULL,
            annotations TEXT NOT NULL,
            noted INTEGER,
            accepted INTEGER NOT NULL,
            shown INTEGER NOT NULL,
            UNIQUE (registry, repository, digest)
        ) STRICT""",
        "CREATE INDEX contents_by_sha256 ON contents (sha256, registry, repository)",
        """CREATE TABLE links (
            parent INTEGER NOT NULL REFERENCES contents (seq),
            position INTEGER NOT NULL,  -- among what the parent is made of; -1: the child is evidence about it
            child INTEGER NOT NULL REFERENCES contents (seq),
            PRIMARY KEY (parent, position, child)
        ) STRICT, WITHOUT ROWID""",
        "CREATE INDEX links_up ON links (child, parent)",
        """CREATE TABLE holds (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            id TEXT NOT NULL UNIQUE REFERENCES records (id),
            registry TEXT NOT NULL,
            repository TEXT NOT NULL,
            tag TEXT NOT NULL,
            digest TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            before TEXT,
            grant_id TEXT NOT NULL,
            opened INTEGER NOT NULL,
            deadline INTEGER NOT NULL,
            ended INTEGER,
            ending TEXT,
            problem TEXT NOT NULL
        ) STRICT""",
        "CREATE INDEX holds_open ON holds (registry, repository, tag) WHERE ended IS NULL",
        "CREATE INDEX holds_by_registry ON holds (registry, seq)",
        "ALTER TABLE intents ADD COLUMN movable INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE intents ADD COLUMN hold TEXT REFERENCES holds (id)",  # the hold that it releases
        # `at`, `observed` and `signer` are of what a name has now; this is since when enforced publishes count.
        "ALTER TABLE published ADD COLUMN enforced INTEGER",
        "UPDATE published SET enforced = at WHERE NOT observed",
    ),
    (
        # A later publish of the same bytes writes its row anew, with a new `seq`: readers look at what is new.
        """CREATE TABLE vouched (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            registry TEXT NOT NULL,
            canonical TEXT NOT NULL,
            sha256 TEXT NOT NULL,
            body BLOB NOT NULL,
            person TEXT,  -- NULL: an accepted publish's
            at INTEGER NOT NULL,
            UNIQUE (registry, canonical)
        ) STRICT""",
        "CREATE INDEX vouched_by_digest ON vouched (sha256)",
    ),
    (
        "ALTER TABLE contents ADD COLUMN refers TEXT NOT NULL DEFAULT ''",  # empty: states no subject
        "CREATE INDEX contents_by_refers ON contents (registry, repository, refers) WHERE refers <> ''",
    ),
    (
        # To which degree a parent that is shown shows its child, and to which one content is shown: `sqlite.contents`.
        "ALTER TABLE links ADD COLUMN shows INTEGER NOT NULL DEFAULT 2",
        "UPDATE contents SET shown = 2 WHERE shown",
    ),
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database to the newest version, in one transaction; raises `StoreError` for a file that is not ours."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _version(connection)
        for statement in (one for migration in MIGRATIONS[version:] for one in migration):
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _version(connection: sqlite3.Connection) -> int:
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if application != APPLICATION_ID and (application or tables):
        raise StoreError("this SQLite file belongs to another program; choose another path")
    if version > len(MIGRATIONS):
        raise StoreError(f"written by a newer provgate (schema {version}, this one knows {len(MIGRATIONS)})")
    return int(version)


def to_column(at: datetime) -> int:
    """A time as the tables hold it."""
    return (at - _EPOCH) // _MICROSECOND


def from_column(value: int) -> datetime:
    """A time as the nouns hold it, in UTC."""
    return _EPOCH + value * _MICROSECOND
