"""Settings of the views: what an organisation has set, kept in the store, because a view asks nobody. SQL only."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final

from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import to_text

# field of the settings → column
_COLUMNS: Final = {
    "time_zone": "time_zone",
    "view_reach": "reach",
    "include_flow_outs": "include_flow_outs",
    "include_short_abandons": "include_short_abandons",
    "include_abandons": "include_abandons",
    "short_abandon": "short_abandon",
    "answered_within": "answered_within",
}
# Nothing that the platform has is older; a zone's rules are known for some decades at most.
_FIRST: Final = datetime(1990, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(2070, 1, 1, tzinfo=UTC)
_ALWAYS: Final = "0000-01-01T00:00:00.000Z"


def asked(settings: Settings) -> dict[str, Any]:
    """Column → value, for what is set: what nobody sets stays as the store has it."""
    return {
        column: _plain(column, getattr(settings, field))
        for field, column in _COLUMNS.items()
        if field in settings.explicit
    }


def _plain(column: str, value: Any) -> Any:
    if isinstance(value, timedelta):
        return int(value / timedelta(seconds=1 if column == "reach" else 0.001))
    return int(value) if isinstance(value, bool) else value


def stored(connection: sqlite3.Connection) -> dict[str, Any]:
    """Column → value, as the store has them."""
    found = connection.execute("SELECT * FROM view_settings")
    names = [column[0] for column in found.description]
    return dict(zip(names, found.fetchone(), strict=True))


def differ(connection: sqlite3.Connection, wanted: Mapping[str, Any]) -> bool:
    """Tell whether the store has another value of any of these."""
    if not wanted:
        return False
    known = stored(connection)
    return any(known[name] != value for name, value in wanted.items())


def write(connection: sqlite3.Connection, wanted: Mapping[str, Any]) -> None:
    """Keep these; with a time zone, how far it is from UTC when."""
    known = stored(connection)
    for name, value in wanted.items():
        connection.execute(f"UPDATE view_settings SET {name} = ?", (value,))
    if wanted.get("time_zone", known["time_zone"]) != known["time_zone"]:
        connection.execute("DELETE FROM zone_offsets")
        connection.executemany("INSERT INTO zone_offsets VALUES (?, ?, ?)", offsets(wanted["time_zone"]))


def offsets(name: str) -> Iterator[tuple[str, str, int]]:
    """(From when on, what local clocks show then, seconds east of UTC) for each change of a time zone's offset."""
    zone = zone_of(name)
    at, offset = _FIRST, _offset(zone, _FIRST)
    yield _ALWAYS, _ALWAYS, _seconds(offset)
    while at < _LAST:
        until = at + timedelta(days=1)
        if _offset(zone, until) != offset:
            at = _change(zone, at, until)
            offset = _offset(zone, at)
            yield to_text(at), to_text(at + offset), _seconds(offset)
        else:
            at = until


def zone_of(name: str) -> tzinfo:
    """The time zone of a name that the settings have taken."""
    from zoneinfo import ZoneInfo  # who asks for no zone needs none of it

    return UTC if name == "UTC" else ZoneInfo(name)


def _change(zone: tzinfo, before: datetime, after: datetime) -> datetime:
    """The first second at which the offset is another than `before`."""
    offset = _offset(zone, before)
    while after - before > timedelta(seconds=1):
        middle = before + (after - before) // 2
        middle = middle.replace(microsecond=0)
        before, after = (middle, after) if _offset(zone, middle) == offset else (before, middle)
    return after


def _offset(zone: tzinfo, at: datetime) -> timedelta:
    found = at.astimezone(zone).utcoffset()
    assert found is not None
    return found


def _seconds(offset: timedelta) -> int:
    return offset // timedelta(seconds=1)
