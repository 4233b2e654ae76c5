"""The rows of a store without numbers (schema 5 and before), moved into today's tables. SQL only.

One connection reads the earlier store, another writes the new file. A step is one transaction of the caller's, and
notes in it how far it has come, so that a move that was killed goes on after the last commit. Child rows, and the ids
that they name, are made again from `details` by the code that makes them at all times, and identities of events by
`identity_of`: what any of them is, is said nowhere else. Everything else is copied as it is, tables and views
of the user's own too. The steps that an earlier store has not taken are not taken in it: what they would add is read
by way of views that only this connection has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any, Final, Literal, NamedTuple

from rollbook.genesys.canonical_json import decode
from rollbook.genesys.messages.details import row_of
from rollbook.genesys.messages.identity import identity_of
from rollbook.store.bodies import dictionaries, frames, packing
from rollbook.store.bodies.dictionaries import Dictionary, Kind
from rollbook.store.rows import numbers
from rollbook.store.rows.child_rows import ChildRows
from rollbook.store.rows.detail_columns import CHILD_TABLES
from rollbook.store.rows.statements import in_parts
from rollbook.store.rows.texts import TextIds
from rollbook.store.tables import notes, schema
from rollbook.store.tables.names import meet

# Rows of a transaction: some hundredths of a second, and a few megabytes of log.
CONVERSATIONS: Final = 400
EVENTS: Final = 4_000

Part = Literal["numbers", "conversations", "events", "others", "end"]
# Below every key.
_LOWEST: Final = -(2**62)
# What a dictionary is learnt from in the earlier store.
_BODIES: Final[dict[Kind, tuple[str, str, str]]] = {
    "events": ("events", "event_id", "body"),
    "details": ("conversations", "rowid", "details"),
}
# What belongs to a conversation, beside its row: (earlier table, today's, columns, whether the last of them is packed).
_OF_CONVERSATION: Final = (
    ("gaps", "gap_rows", ("window_start", "kind", "cause", "detected_at", "filled_at"), False),
    ("participant_attributes", "attribute_rows", ("participant_id", "name", "value"), False),
    ("conversation_versions", "version_rows", ("read_at", "replaced_at", "details"), True),
)


# The version whose tables are read, and what the steps before it add to those of an earlier one, as they say it
# (migrations/4_open_details.sql). What else they add is empty.
_READ: Final = schema.NUMBERS - 1
_ADDED: Final[dict[int, tuple[str, ...]]] = {
    4: (
        "CREATE TEMP VIEW conversations AS SELECT c.*, CASE WHEN details IS NOT NULL AND (conversation_end IS NULL OR"
        " (conversation_end = heard_end AND json_valid(details) AND json_extract(details, '$.conversationEnd')"
        " IS NULL)) THEN 1 ELSE 0 END AS details_open, CASE WHEN EXISTS (SELECT 1 FROM main.participant_attributes AS a"
        " WHERE a.conversation_id = c.conversation_id) THEN read_at END AS attributes_at, c.rowid AS rowid"
        " FROM main.conversations AS c",
        "CREATE TEMP VIEW windows AS SELECT w.*, (SELECT divisions_json FROM main.window_runs AS run"
        ' WHERE run.start = w.start AND run."end" = w."end" AND run.filter = w.filter'
        " AND run.verdict IN ('open', 'complete', 'settled') ORDER BY run_id DESC LIMIT 1) AS divisions_json"
        " FROM main.windows AS w",
    )
}


class Place(NamedTuple):
    """The place that a move has reached: within a part, the key after which it goes on. twice: events left out."""

    part: Part
    after: int
    twice: int


def complete(old: sqlite3.Connection) -> None:
    """Let an earlier store be read as one of the last schema without numbers, by this connection alone."""
    for version in range(schema.version_of(old)[1] + 1, _READ + 1):
        for statement in _ADDED.get(version, ()):
            old.execute(statement)


def origin(new: sqlite3.Connection) -> str | None:
    """The fingerprint of the store whose rows are moved into this file; None where no move is under way in it."""
    found = new.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'moving'").fetchone()
    return new.execute("SELECT origin FROM moving").fetchone()[0] if found else None


def place(new: sqlite3.Connection) -> Place:
    """The place that the move has reached."""
    return Place(*new.execute("SELECT part, after, twice FROM moving").fetchone())


def begin(
    old: sqlite3.Connection, new: sqlite3.Connection, fingerprint: str, kinds: Iterable[Kind], *, at: str
) -> None:
    """Make today's tables in an empty file, and the dictionaries that bodies of these kinds are packed with.

    It is not marked as a store before it is one. at: API text.
    """
    new.execute("CREATE TABLE moving (origin TEXT, part TEXT, after INTEGER, twice INTEGER)")
    for _, file in schema.STEPS:
        for statement in schema.statements(file):
            new.execute(statement)
    for kind in kinds:
        found = [body.encode() for body in dictionaries.sample(old, kind, _BODIES[kind]) if isinstance(body, str)]
        content = frames.learn(packing.to_learn_from(found)) if len(found) >= dictionaries.SAMPLES[kind] // 2 else None
        if content is not None:
            dictionaries.keep(new, kind, Dictionary(frames.dictionary_id(content), content), at, before=None)
    new.execute("INSERT INTO moving VALUES (?, 'numbers', 0, 0)", (fingerprint,))


def step(old: sqlite3.Connection, new: sqlite3.Connection) -> Place:
    """Move the next rows, and answer the place that is reached."""
    now = place(new)
    reached = _MOVERS[now.part](old, new, now)
    new.execute("UPDATE moving SET part = ?, after = ?, twice = ?", reached)
    return reached


def end(old: sqlite3.Connection, new: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    """Mark the file as a store, unless it has fewer rows than the earlier one: the tables of which that is so, if any.

    Answers (rows that there were, rows that there are) by table. Child rows are made again and not compared.
    """
    twice = place(new).twice
    different = {}
    for table in [*_in_rows(), *_others(old)]:
        before, after = (db.execute(f"SELECT count(*) FROM {_quoted(table)}").fetchone()[0] for db in (old, new))
        if before != after + (twice if table == "events" else 0):
            different[table] = (before, after)
    if different:
        return different
    # What sqlite-utils reads of the steps that a store has taken, in its spelling of times.
    new.executemany(
        "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
        " VALUES (?, ?, strftime('%Y-%m-%d %H:%M:%f+00:00', 'now'))",
        [(schema.STEPS_OF, name) for name, _ in schema.STEPS[schema.version_of(old)[1] :]],
    )
    if (ours := schema.our_version()) is not None:
        notes.write(new, notes.NEEDS, ours)
    notes.write(new, notes.IN_LOG, "0")
    notes.write(new, notes.OVERWRITES, "1")
    notes.write(new, notes.MOVED, f"{twice} {origin(new)}")
    new.execute("DROP TABLE moving")
    new.execute(f"PRAGMA user_version = {schema.VERSION}")
    new.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    return {}


def immovable(old: sqlite3.Connection) -> list[str]:
    """The user's own tables that cannot be moved as rows: those with a full-text index, those with a name of ours."""
    query = "SELECT name, sql LIKE 'CREATE VIRTUAL%' FROM sqlite_master WHERE type = 'table' ORDER BY name"
    taken = {name.lower() for name in _made_by(len(schema.STEPS)) - _made_by(schema.version_of(old)[1]) | {"moving"}}
    return [name for name, is_virtual in old.execute(query) if is_virtual or name.lower() in taken]


# The parts


def _number(old: sqlite3.Connection, new: sqlite3.Connection, now: Place) -> Place:
    """Give every conversation its number, those that began earlier first: their rows stand together from then on."""
    # Each in the order of an index of the earlier store: millions of ids need no sorting. Those without a start last.
    for those in ("NOT NULL ORDER BY conversation_start, rowid", "NULL ORDER BY first_seen_at, rowid"):
        in_order = f"SELECT conversation_id FROM conversations WHERE conversation_start IS {those}"
        new.executemany("INSERT INTO conversation_ids (conversation_id) VALUES (?)", old.execute(in_order))
    for table, *_ in _OF_CONVERSATION:
        alone = (
            f"SELECT DISTINCT conversation_id FROM {table} AS t WHERE NOT EXISTS"
            " (SELECT 1 FROM conversations WHERE conversation_id = t.conversation_id) ORDER BY 1"
        )
        numbers.given(new, (conversation_id for (conversation_id,) in old.execute(alone)))
    return now._replace(part="conversations", after=_LOWEST)


def _move_conversations(old: sqlite3.Connection, new: sqlite3.Connection, now: Place) -> Place:
    query = "SELECT conversation_id, number FROM conversation_ids WHERE number > ? ORDER BY number LIMIT ?"
    number_of = dict(new.execute(query, (now.after, CONVERSATIONS)).fetchall())
    columns = _columns(new, "conversation_rows")[1:]
    rows, details = [], []
    children = ChildRows(TextIds(new))
    query = f"SELECT conversation_id, details, {', '.join(columns)} FROM conversations WHERE conversation_id IN "
    for conversation_id, raw, *values in in_parts(old, query, number_of):
        number = number_of[conversation_id]
        rows.append((number, *values))
        if raw is not None:
            details.append((number, packing.pack(new, "details", raw.encode())))
            _add_children(children, number, raw.encode())
    _insert(new, "conversation_rows", ("number", *columns), sorted(rows))
    _insert(new, "detail_rows", ("number", "details"), sorted(details, key=lambda row: row[0]))
    children.insert(new)
    meet(new, children.named())
    for table, today, names, is_packed in _OF_CONVERSATION:
        query = f"SELECT conversation_id, {', '.join(names)} FROM {table} WHERE conversation_id IN "
        found: list[tuple[Any, ...]] = [(number_of[row[0]], *row[1:]) for row in in_parts(old, query, number_of)]
        if is_packed:
            found = [(*row[:-1], packing.pack(new, "details", row[-1].encode())) for row in found]
        found.sort(key=lambda row: row[:3])
        _insert(new, today, ("number", *names), found)
    if len(number_of) < CONVERSATIONS:
        return now._replace(part="events", after=_LOWEST)
    return now._replace(after=max(number_of.values()))


def _add_children(children: ChildRows, number: int, raw: bytes) -> None:
    try:
        children.add(number, row_of(raw))
    except (ValueError, RecursionError):
        # Of a record that nothing can be made of, its details stay.
        return


def _move_events(old: sqlite3.Connection, new: sqlite3.Connection, now: Place) -> Place:
    query = (
        "SELECT event_id, topic, conversation_id, event_time, received_at, source, body, identity FROM events"
        " WHERE event_id > ? ORDER BY event_id LIMIT ?"
    )
    found = old.execute(query, (now.after, EVENTS)).fetchall()
    number_of = numbers.given(new, {row[2]: None for row in found if row[2] is not None})
    texts = TextIds(new)
    rows = [
        (
            event_id,
            texts.of_topic(topic, conversation_id),
            None if conversation_id is None else number_of[conversation_id],
            event_time,
            received_at,
            texts[source],
            packing.pack(new, "events", body.encode()),
            bytearray(_identity(topic, body, identity)),
        )
        for event_id, topic, conversation_id, event_time, received_at, source, body, identity in found
    ]
    # Of events whose identities were two by an earlier rule, and are the same by today's, the first is kept.
    kept = new.executemany(
        "INSERT INTO event_rows (event_id, topic, number, event_time, received_at, source, body, identity)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (identity) DO NOTHING",
        rows,
    ).rowcount
    twice = now.twice + len(rows) - max(kept, 0)
    if len(found) < EVENTS:
        return Place("others", 0, twice)
    return Place("events", found[-1][0], twice)


def _identity(topic: str, body: str, before: bytes) -> bytes:
    try:
        return identity_of(topic, decode(body))
    except (ValueError, RecursionError):
        return before  # a body that cannot be read any more


def _move_others(old: sqlite3.Connection, new: sqlite3.Connection, now: Place) -> Place:
    """Copy the next table whole; after the last, what the user has made of these tables."""
    tables = _others(old)
    if now.after < len(tables):
        _copy_whole(old, new, tables[now.after])
        return now._replace(after=now.after + 1)
    return now._replace(part="end")


def _copy_whole(old: sqlite3.Connection, new: sqlite3.Connection, table: str) -> None:
    if not _columns(new, table):
        new.execute(_sql_of(old, "table", table))
    names = _columns(old, table)
    listed = ", ".join(_quoted(name) for name in names)
    _insert(
        new, _quoted(table), [_quoted(name) for name in names], old.execute(f"SELECT {listed} FROM {_quoted(table)}")
    )


def _at_end(_: sqlite3.Connection, __: sqlite3.Connection, now: Place) -> Place:
    return now


_MOVERS: Final[dict[Part, Callable[[sqlite3.Connection, sqlite3.Connection, Place], Place]]] = {
    "numbers": _number,
    "conversations": _move_conversations,
    "events": _move_events,
    "others": _move_others,
    "end": _at_end,
}


def carry_over(old: sqlite3.Connection, new: sqlite3.Connection) -> list[str]:
    """Make the user's own indexes, views and triggers in the new file; answers those that cannot be there.

    An index on what is a view now cannot: it has to be made on the table behind it. Nor can a view of a name that is
    one of ours now.
    """
    lost = []
    ours = _made_by(schema.version_of(old)[1])
    query = (
        "SELECT type, name, sql FROM sqlite_master WHERE type <> 'table' AND sql IS NOT NULL"
        " ORDER BY CASE type WHEN 'index' THEN 0 WHEN 'view' THEN 1 ELSE 2 END, rowid"
    )
    for kind, name, sql in old.execute(query).fetchall():
        if name not in ours:
            try:
                new.execute(sql)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                    raise
                lost.append(f"{kind} {name}")
    return lost


# The tables of both


def _in_rows() -> list[str]:
    """The earlier tables whose rows are moved into today's row by row."""
    return ["conversations", "events", *(table for table, *_ in _OF_CONVERSATION)]


def _others(old: sqlite3.Connection) -> list[str]:
    """The earlier tables that are copied whole, also those that others have made."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY 1"
    moved = {*_in_rows(), *CHILD_TABLES}
    return [name for (name,) in old.execute(query) if name not in moved]


@lru_cache(maxsize=2)
def _made_by(steps: int) -> frozenset[str]:
    """The names of the tables, indexes and views that so many steps make."""
    with closing(sqlite3.connect(":memory:")) as db:
        for _, file in schema.STEPS[:steps]:
            for statement in schema.statements(file):
                db.execute(statement)
        return frozenset(name for (name,) in db.execute("SELECT name FROM sqlite_master"))


def _columns(db: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in db.execute(f"PRAGMA table_info ({_quoted(table)})")]


def _sql_of(db: sqlite3.Connection, kind: str, name: str) -> str:
    found: str = db.execute("SELECT sql FROM sqlite_master WHERE type = ? AND name = ?", (kind, name)).fetchone()[0]
    return found


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _insert(db: sqlite3.Connection, table: str, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    db.executemany(f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})", rows)
