"""Times as the API writes them. Knows no clock: what the time is comes from elsewhere."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

FAR = datetime(9999, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def text(moment: datetime) -> str:
    """A time as the API writes it: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def moment(written: str) -> datetime:
    """The API's text as a time. Without an offset it is UTC. Raises ValueError."""
    parsed = datetime.fromisoformat(written)
    return parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def midnight(at: datetime) -> datetime:
    """The beginning of its day (UTC)."""
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def milliseconds(start: datetime, end: datetime) -> int:
    """Count the milliseconds between two times."""
    return (end - start) // timedelta(milliseconds=1)


def whole(at: datetime) -> datetime:
    """Cut to the millisecond, which is all that the API tells."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
