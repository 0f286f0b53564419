"""The tables of a store, and how one of an older version becomes one of today.

Rule: a column that was added stands at the end, as ``ALTER TABLE`` puts it there.
"""

from __future__ import annotations

APPLICATION_ID = 0x6F6D6973
"""``omis``: marks the file as ours in the SQLite header."""
TWO_WAY = 2
"""The version since which there are missing items and clashes."""
CARRIED = 3
"""The version since which an intent may be all there is of a link."""
VERSION = CARRIED

SCHEMA = """
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
CREATE TABLE intents (
    key TEXT PRIMARY KEY, batch TEXT NOT NULL, place INTEGER NOT NULL,
    description TEXT NOT NULL, remote_completed INTEGER NOT NULL, due_at TEXT,
    text TEXT NOT NULL, completed INTEGER NOT NULL, due TEXT,
    known_ids TEXT NOT NULL, server_date REAL NOT NULL, sent_at REAL NOT NULL,
    failure TEXT, failed_at REAL, looks INTEGER NOT NULL,
    section TEXT NOT NULL DEFAULT '', rank INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE tombstones (
    key TEXT PRIMARY KEY, remote_id TEXT NOT NULL,
    text TEXT NOT NULL, completed INTEGER NOT NULL, due TEXT,
    remote_description TEXT NOT NULL, remote_completed INTEGER NOT NULL, remote_due_at TEXT,
    how TEXT NOT NULL, removed_at REAL NOT NULL, counted INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE gates (
    bucket TEXT PRIMARY KEY, set_at REAL NOT NULL, retry_after REAL NOT NULL, ceiling INTEGER
) WITHOUT ROWID;
CREATE TABLE history (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, event TEXT NOT NULL, key TEXT,
    remote_id TEXT, text TEXT NOT NULL, detail TEXT NOT NULL
);
"""

CLASHES = """
CREATE TABLE clashes (
    number INTEGER PRIMARY KEY, at REAL NOT NULL, key TEXT NOT NULL, text TEXT NOT NULL,
    field TEXT NOT NULL, lost TEXT NOT NULL, kept_value TEXT NOT NULL, lost_value TEXT NOT NULL,
    restored_at REAL, UNIQUE (key, field, kept_value, lost_value)
);
"""

_TO_2 = f"""
ALTER TABLE links ADD COLUMN missing INTEGER NOT NULL DEFAULT 0;
ALTER TABLE links ADD COLUMN probed_at REAL;
ALTER TABLE links ADD COLUMN made_at REAL;
{CLASHES}
"""
_TO_3 = """
ALTER TABLE intents ADD COLUMN section TEXT NOT NULL DEFAULT '';
ALTER TABLE intents ADD COLUMN rank INTEGER NOT NULL DEFAULT 0;
"""


def migration(version: int) -> str:
    """Return what makes a store of an older version one of today.

    Its rows are read as they are until something is written.
    """
    return f"{_TO_2 * (version < TWO_WAY)} {_TO_3} PRAGMA user_version={VERSION};"
