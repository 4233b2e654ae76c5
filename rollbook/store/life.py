"""A conversation's whole life, as the store knows it: legs, notifications, reads, versions, gaps, and its windows."""

from __future__ import annotations

import json
import sqlite3
from typing import Any, Final

from rollbook.store import event_list
from rollbook.store.bodies import packing
from rollbook.store.event_list import Wanted

# A session's own rows, which are found by its position.
_OF_SESSIONS: Final = ("segments", "metrics", "flows", "flow_outcomes", "media_endpoint_stats")
_OF_CONVERSATIONS: Final = ("evaluations", "surveys", "resolutions")
# Columns that say which row this is, and are said by its place in what is answered.
_PLACES: Final = ("conversation_id", "participant_position", "session_position", "position")
# Places at which two versions differ: the first so many.
_CHANGES: Final = 200
# In place of a member that only one of them has.
_NOTHING: Final = object()


def collect(connection: sqlite3.Connection, conversation_id: str) -> dict[str, Any] | None:
    """Everything that is stored of a conversation; None where nothing names it. Members without a value are left out.

    `details`, a notification's `body` and a version's `details` are the API's own objects.
    """
    known = _rows(connection, "conversations", conversation_id)
    events = _events(connection, conversation_id)
    gaps = _rows(connection, "gaps", conversation_id)
    if not known and not events and not gaps:
        return None
    conversation = known[0] if known else {}
    details = conversation.pop("details", None)
    if details is not None:
        details = _json(packing.text(connection, details))
    return {
        "conversation_id": conversation_id,
        "conversation": conversation,
        "participants": _legs(connection, conversation_id),
        **{table: _bare(_rows(connection, table, conversation_id)) for table in _OF_CONVERSATIONS},
        "attributes": _bare(_rows(connection, "participant_attributes", conversation_id)),
        "events": events,
        "asked_by_id": _bare(_rows(connection, "asked_by_id", conversation_id)),
        "versions": _versions(connection, conversation_id, details),
        "gaps": _bare(gaps),
        "windows": _windows(connection, conversation.get("conversation_start")),
        "details": details,
    }


def _rows(connection: sqlite3.Connection, table: str, conversation_id: str) -> list[dict[str, Any]]:
    """The rows of a table or view, without what is null in them."""
    cursor = connection.execute(f"SELECT * FROM {table} WHERE conversation_id = ?", (conversation_id,))
    names = [column[0] for column in cursor.description]
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None} for row in cursor.fetchall()
    ]


def _bare(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: value for name, value in row.items() if name not in _PLACES} for row in rows]


def _json(text: str) -> Any:
    """The value of a body; the text itself where it is nested too deep for Python."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _legs(connection: sqlite3.Connection, conversation_id: str) -> list[dict[str, Any]]:
    """The participants, in each its sessions, and in each of these what it did."""
    participants = sorted(_rows(connection, "participants", conversation_id), key=lambda row: int(row["position"]))
    sessions = sorted(
        _rows(connection, "sessions", conversation_id), key=lambda row: (row["participant_position"], row["position"])
    )
    inner: dict[str, dict[tuple[int, int], list[dict[str, Any]]]] = {}
    for table in _OF_SESSIONS:
        of = inner[table] = {}
        rows = _rows(connection, table, conversation_id)
        for row in sorted(rows, key=lambda row: int(row.get("position", 0))):
            of.setdefault((row["participant_position"], row["session_position"]), []).append(row)
    found = []
    for participant in participants:
        legs = []
        for session in sessions:
            if session["participant_position"] == participant["position"]:
                place = (session["participant_position"], session["position"])
                own = {table: _without_ids(of[place]) for table, of in inner.items() if place in of}
                legs.append(_bare(_without_ids([session], "participant_id"))[0] | own)
        found.append(_bare([participant])[0] | {"sessions": legs})
    return found


def _without_ids(rows: list[dict[str, Any]], *names: str) -> list[dict[str, Any]]:
    """The rows without the ids that the rows above them have, and without their places."""
    left_out = names or ("participant_id", "session_id")
    return [
        {name: value for name, value in row.items() if name not in left_out and (names or name not in _PLACES)}
        for row in rows
    ]


def _events(connection: sqlite3.Connection, conversation_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    after: tuple[str, int] | None = None
    while rows := event_list.page(connection, Wanted(conversation_id), after, event_list.PAGE):
        for event in rows:
            fields = {name: getattr(event, name) for name in ("topic", "event_time", "received_at", "source")}
            found.append({**fields, "body": _json(event.body)})
        after = (rows[-1].received_at, rows[-1].event_id)
    return found


def _versions(connection: sqlite3.Connection, conversation_id: str, newest: Any) -> list[dict[str, Any]]:
    """The details before they were rewritten, the oldest first; `changes` says where the next ones differ."""
    rows = _rows(connection, "conversation_versions", conversation_id)
    found = []
    for row in sorted(rows, key=lambda row: (row["replaced_at"], row["read_at"])):
        details = _json(packing.text(connection, row["details"]))
        found.append({"read_at": row["read_at"], "replaced_at": row["replaced_at"], "details": details})
    for number, version in enumerate(found):
        after = found[number + 1]["details"] if number + 1 < len(found) else newest
        version["changes"] = _said_changes(version["details"]) or changes(version["details"], after)
    return found


def _said_changes(details: Any) -> list[str] | None:
    """Where a version differs that was not kept, because the platform has taken people's data out of it since."""
    said = details.get("notKept") if isinstance(details, dict) else None
    return said.get("changed") if isinstance(said, dict) else None


def _windows(connection: sqlite3.Connection, start: str | None) -> list[dict[str, Any]]:
    """The windows that own the conversation: those in which it started."""
    query = (
        "SELECT start, end, filter, verdict, last_read_at FROM windows WHERE start <= ?1 AND end > ?1"
        " ORDER BY start, end, filter"
    )
    names = ("start", "end", "filter", "verdict", "last_read_at")
    return [dict(zip(names, row, strict=True)) for row in connection.execute(query, (start,))]


def changes(before: Any, after: Any, path: str = "") -> list[str]:
    """Where two JSON values differ: `participants[0].sessions[1].metrics`, the first few hundred places."""
    if isinstance(before, dict) and isinstance(after, dict):
        dot = f"{path}." if path else ""
        names = [*before, *(name for name in after if name not in before)]
        pairs = [(before.get(name, _NOTHING), after.get(name, _NOTHING), f"{dot}{name}") for name in names]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = [(old, new, f"{path}[{at}]") for at, (old, new) in enumerate(zip(before, after, strict=True))]
    else:
        return [] if before == after and type(before) is type(after) else [path or "everything"]
    found: list[str] = []
    for old, new, place in pairs:
        found += changes(old, new, place)
    return found[:_CHANGES]
