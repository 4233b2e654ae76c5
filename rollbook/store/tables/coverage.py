"""The times at which capture was really listening, to what, and why it stopped. SQL only.

A span without an end is being listened to now, or its process was killed: `alive_at` is its last sign of life, at most
a few seconds old, and becomes its end when the next process finds it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.genesys.canonical_json import digest
from rollbook.genesys.times import from_text, to_text
from rollbook.store.vocabulary import EndReason

# A daemon shows a sign of life every two seconds; after this long without one nobody listens.
SILENT: Final = timedelta(seconds=30)
# A function hears when events call it. That its schedule calls it shows that it runs, and nothing of the rule that
# events come by, which may be switched off: what no event has shown for so long is not claimed.
SILENT_FUNCTION: Final = timedelta(minutes=21)
FUNCTION: Final = "lambda"

_encode: Final = msgspec.json.Encoder().encode


class Span(NamedTuple):
    """A stretch of listening. Times are API text; `ended_at` is None while it goes on."""

    source: str
    scope: str
    topics: tuple[str, ...]
    started_at: str
    ended_at: str | None
    alive_at: str
    end_reason: str | None


def begin(connection: sqlite3.Connection, source: str, scope: str, topics: Sequence[str], at: str) -> int:
    """Open a span; answers its id."""
    listed = _encode(sorted(topics))
    named = digest(listed)
    connection.execute("INSERT OR IGNORE INTO topic_sets (digest, topics) VALUES (?, ?)", (named, listed.decode()))
    cursor = connection.execute(
        "INSERT INTO coverage (source, scope, started_at, alive_at, topic_set_id)"
        " SELECT ?, ?, ?, ?, topic_set_id FROM topic_sets WHERE digest = ?",
        (source, scope, at, at, named),
    )
    assert cursor.lastrowid is not None
    return cursor.lastrowid


def end(connection: sqlite3.Connection, span: int, at: str, reason: str) -> None:
    """Close a span; one that is closed already stays as it is."""
    connection.execute(
        "UPDATE coverage SET ended_at = max(?, started_at), end_reason = ?, alive_at = max(?, started_at)"
        " WHERE coverage_id = ? AND ended_at IS NULL",
        (at, reason, at, span),
    )


def alive(connection: sqlite3.Connection, spans: Iterable[int], at: str) -> None:
    """A sign of life of these spans. One that lies far ahead of it is of a clock that has been set back since."""
    ahead = to_text(from_text(at) + SILENT)
    connection.executemany(
        "UPDATE coverage SET alive_at = CASE WHEN alive_at > ?2 THEN max(?1, started_at) ELSE max(alive_at, ?1) END"
        " WHERE coverage_id = ?3 AND ended_at IS NULL",
        [(at, ahead, span) for span in spans],
    )


def note_call(connection: sqlite3.Connection, source: str, scope: str, topics: Sequence[str], at: str) -> None:
    """A function was called by events at `at`: its span goes on; or begins, if none had come for too long."""
    going_on = connection.execute(
        "SELECT coverage_id, alive_at FROM coverage WHERE ended_at IS NULL AND source = ? AND scope = ?"
        " ORDER BY coverage_id DESC LIMIT 1",
        (source, scope),
    ).fetchone()
    if going_on is None:
        begin(connection, source, scope, topics, at)
    elif from_text(at) - from_text(going_on[1]) <= SILENT_FUNCTION:
        alive(connection, [going_on[0]], at)
    else:
        end(connection, going_on[0], going_on[1], EndReason.NO_EVENTS)
        begin(connection, source, scope, topics, at)


def is_silent(span: Span, now: datetime) -> bool:
    """Tell whether a span that has not ended has lost its process."""
    patience = SILENT_FUNCTION if span.scope == FUNCTION else SILENT
    return span.ended_at is None and span.alive_at < to_text(now - patience)


def close_stale(connection: sqlite3.Connection, now: str) -> int:
    """End the spans that a killed process left, at their last sign of life. For the one daemon, when it starts.

    now: API text. A sign of life after it is of a clock that has been set back since.
    """
    cursor = connection.execute(
        "UPDATE coverage SET ended_at = max(min(alive_at, ?), started_at), end_reason = ? WHERE ended_at IS NULL",
        (now, EndReason.KILLED),
    )
    return cursor.rowcount


def overlapping(connection: sqlite3.Connection, start: str, until: str) -> list[Span]:
    """The spans that touch [start, until), in order of their start."""
    query = (
        "SELECT source, scope, topic_set_id, started_at, ended_at, alive_at, end_reason FROM coverage"
        " WHERE started_at < ? AND coalesce(ended_at, '9') > ? ORDER BY started_at, coverage_id"
    )
    found = connection.execute(query, (until, start)).fetchall()
    # Spans of one line share their topics, here too: a thousand names are 200 KB, and a month has hundreds of spans.
    topics = {topic_set: _topics(connection, topic_set) for topic_set in {row[2] for row in found}}
    return [Span(row[0], row[1], topics[row[2]], *row[3:]) for row in found]


def _topics(connection: sqlite3.Connection, topic_set: int | None) -> tuple[str, ...]:
    row = connection.execute("SELECT topics FROM topic_sets WHERE topic_set_id = ?", (topic_set,)).fetchone()
    return tuple(msgspec.json.decode(row[0])) if row else ()


def since(connection: sqlite3.Connection) -> str | None:
    """The time at which capture first listened."""
    first: str | None = connection.execute("SELECT min(started_at) FROM coverage").fetchone()[0]
    return first


def last_hearing(connection: sqlite3.Connection) -> str | None:
    """The last time at which capture was listening, of the spans that began last; now or nearly, while it listens."""
    query = (
        "SELECT max(coalesce(ended_at, alive_at)) FROM"
        " (SELECT ended_at, alive_at FROM coverage ORDER BY coverage_id DESC LIMIT 1000)"
    )
    last: str | None = connection.execute(query).fetchone()[0]
    return last


def is_by_function(connection: sqlite3.Connection) -> bool:
    """Tell whether the last to listen was a function, which is called by events: where none come, nothing is wrong."""
    row = connection.execute("SELECT scope FROM coverage ORDER BY coverage_id DESC LIMIT 1").fetchone()
    return row is not None and row[0] == FUNCTION


def reject(connection: sqlite3.Connection, topics: Iterable[Mapping[str, Any]], at: str) -> None:
    """Remember topics that the platform refused: {"topic", "reason", "missing_permissions": [...]}."""
    connection.executemany(
        "INSERT INTO rejected_topics (topic, reason, missing_permissions, rejected_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET reason = excluded.reason, missing_permissions = excluded.missing_permissions,"
        " rejected_at = excluded.rejected_at",
        [
            (item["topic"], item.get("reason"), _encode(list(item.get("missing_permissions") or ())).decode(), at)
            for item in topics
        ],
    )


def accept(connection: sqlite3.Connection, topics: Iterable[str]) -> None:
    """Forget the refusal of topics that are subscribed now."""
    connection.executemany("DELETE FROM rejected_topics WHERE topic = ?", [(topic,) for topic in topics])


def rejected(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    """The topics that the platform refused when they were last asked for."""
    query = "SELECT topic, reason, missing_permissions, rejected_at FROM rejected_topics ORDER BY topic"
    return [
        {"topic": row[0], "reason": row[1], "missing_permissions": msgspec.json.decode(row[2]), "rejected_at": row[3]}
        for row in connection.execute(query)
    ]
