"""The tables of a store, and how one of an older version becomes one of today.

Rule: a column that was added stands at the end, as ``ALTER TABLE`` puts it there.
"""

from __future__ import annotations

APPLICATION_ID = 0x6F6D6973
"""``omis``: marks the file as ours in the SQLite header."""
TWO_WAY = 2
"""The version since which there are missing items and clashes."""
BATCHED = 4
"""The version since which the intents of a batch are one row; before, each had its own."""
WORDS = 5
"""The version since which tombstones have the words that Omi did not hear of."""
VERSION = WORDS

INTENTS = """
CREATE TABLE intents (
    batch TEXT PRIMARY KEY, keys TEXT NOT NULL, content TEXT NOT NULL
) WITHOUT ROWID;
"""

CLASHES = """
CREATE TABLE clashes (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,
    field TEXT NOT NULL, lost TEXT NOT NULL, kept_value TEXT NOT NULL, lost_value TEXT NOT NULL,
    restored_at REAL, UNIQUE (key, field, kept_value, lost_value)
);
"""

SCHEMA = f"""
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE links (
    key TEXT PRIMARY KEY,
    remote_id TEXT UNIQUE,
    text TEXT NOT NULL, completed INTEGER NOT NULL, due TEXT,
    section TEXT NOT NULL, rank INTEGER NOT NULL,
    base_text TEXT, base_completed INTEGER, base_due TEXT,
    remote_description TEXT, remote_completed INTEGER, remote_due_at TEXT,
    absent_since REAL, clear_due INTEGER NOT NULL, failures INTEGER NOT NULL, parked TEXT,
    doubt TEXT NOT NULL,
    missing INTEGER NOT NULL DEFAULT 0, probed_at REAL, made_at REAL
) WITHOUT ROWID;
{INTENTS}CREATE TABLE tombstones (
    key TEXT PRIMARY KEY, remote_id TEXT NOT NULL,
    text TEXT NOT NULL, completed INTEGER NOT NULL, due TEXT,
    remote_description TEXT NOT NULL, remote_completed INTEGER NOT NULL, remote_due_at TEXT,
    how TEXT NOT NULL, removed_at REAL NOT NULL, counted INTEGER NOT NULL,
    words TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE gates (
    bucket TEXT PRIMARY KEY, set_at REAL NOT NULL, retry_after REAL NOT NULL, ceiling INTEGER
) WITHOUT ROWID;
CREATE TABLE history (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL, key TEXT,
    remote_id TEXT, text TEXT NOT NULL, detail TEXT NOT NULL
);
{CLASHES}"""

_TO_2 = (
    "ALTER TABLE links ADD COLUMN missing INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE links ADD COLUMN probed_at REAL",
    "ALTER TABLE links ADD COLUMN made_at REAL",
    CLASHES,
)
_TO_5 = ("ALTER TABLE tombstones ADD COLUMN words TEXT NOT NULL DEFAULT ''",)


def migration(version: int) -> tuple[str, ...]:
    """Return the statements that make a store of an older version one of today.

    Links are read as they are until something is written. The intents are to be
    put anew: their table is empty then.
    """
    to_2 = _TO_2 if version < TWO_WAY else ()
    to_5 = _TO_5 if version < WORDS else ()
    return (*to_2, *to_5, "DROP TABLE intents", INTENTS, f"PRAGMA user_version={VERSION}")
