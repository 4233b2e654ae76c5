"""What a bare loop over EventBridge's events writes: the same rows as rollbook, a digest, `synchronous=FULL`."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable
from datetime import UTC, datetime


def opened(path: str, *, page_bytes: int = 4096) -> sqlite3.Connection:
    """A new file with the two tables."""
    database = sqlite3.connect(path, isolation_level=None)
    for statement in (
        f"PRAGMA page_size = {page_bytes}",
        "PRAGMA journal_mode = wal",
        "PRAGMA synchronous = FULL",
        "CREATE TABLE events (event_id INTEGER PRIMARY KEY, topic TEXT, conversation_id TEXT, event_time TEXT,"
        " received_at TEXT, source TEXT, body TEXT, identity BLOB UNIQUE)",
        "CREATE INDEX e ON events (conversation_id)",
        "CREATE TABLE conversations (conversation_id TEXT PRIMARY KEY, first_seen_at TEXT, last_heard TEXT)",
    ):
        database.execute(statement)
    return database


def write(database: sqlite3.Connection, envelopes: Iterable[str]) -> None:
    """Decode a batch and write it, in one commit."""
    rows, lives = [], []
    for envelope in envelopes:
        detail = json.loads(envelope)["detail"]
        body = detail["eventBody"]
        at = datetime.fromtimestamp(body["eventTime"] / 1000, UTC).isoformat()
        spelled = json.dumps(body, sort_keys=True)
        digest = hashlib.blake2b((detail["topicName"] + spelled).encode(), digest_size=16).digest()
        now = datetime.now(UTC).isoformat()
        rows.append((detail["topicName"], body["conversationId"], at, now, "sqs", spelled, digest))
        lives.append((body["conversationId"], now, at))
    database.execute("BEGIN IMMEDIATE")
    database.executemany(
        "INSERT OR IGNORE INTO events (topic, conversation_id, event_time, received_at, source, body, identity)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    database.executemany(
        "INSERT INTO conversations VALUES (?, ?, ?) ON CONFLICT DO UPDATE"
        " SET last_heard = max(last_heard, excluded.last_heard)",
        lives,
    )
    database.execute("COMMIT")
