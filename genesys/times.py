"""Time as the platform writes it. Pure.

In the house a moment is either an aware UTC `datetime` (clocks, windows) or the API's text,
`2026-03-02T10:00:00.000Z`: 24 characters that sort as time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from genesys.errors import UsageError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(
    r"P(?!$)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)
# A date with a time. `datetime.fromisoformat` reads more than the platform writes (ordinal dates, a bare year).
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s*(?:Z|z|[+-]\d\d:?\d\d|[+-]\d\d)?)?", re.ASCII)


def to_text(moment: datetime) -> str:
    """An aware moment as the API writes it; what is below a millisecond is cut off."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03}Z".rjust(24, "0")


def from_text(text: str) -> datetime:
    """A time with or without an offset (none is UTC) as an aware UTC moment. Raises ValueError."""
    text = text.strip()
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{text!r} is not a time")
    read = datetime.fromisoformat(text.replace(",", ".").replace("z", "Z").replace(" ", "T", 1).replace(" ", ""))
    try:
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{text!r} is out of range") from None


@lru_cache(maxsize=4096)
def _normalized(text: str) -> str | None:
    try:
        return to_text(from_text(text))
    except ValueError:
        return None


def normalize(value: object) -> str | None:
    """Any readable time as the API's text; None for what is no time (or no text)."""
    return _normalized(value) if isinstance(value, str) else None


def from_epoch_ms(milliseconds: object) -> str | None:
    """Milliseconds since 1970 as the API's text; None for what is no such number."""
    if not isinstance(milliseconds, int) or isinstance(milliseconds, bool):
        return None
    try:
        return to_text(_EPOCH + timedelta(milliseconds=milliseconds))
    except OverflowError:
        return None


def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds. Raises ValueError (months have no length)."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        raise ValueError(f"{text!r} is not a duration such as PT30M, PT1H30M or P4D")
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


def format_duration(duration: timedelta) -> str:
    """A duration as ISO 8601, e.g. PT30M."""
    seconds = duration.total_seconds()
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    clock = f"{hours:.0f}H" * bool(hours) + f"{minutes:.0f}M" * bool(minutes) + f"{rest:g}S" * bool(rest)
    return f"P{days:.0f}D" * bool(days) + ("P" * (not days) + f"T{clock}" if clock else "") or "PT0S"


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """[start, end): two aware UTC moments, start before end."""

    start: datetime
    end: datetime

    @property
    def text(self) -> str:
        """As the API takes it: `start/end`."""
        return f"{to_text(self.start)}/{to_text(self.end)}"

    @property
    def length(self) -> timedelta:
        """end - start."""
        return self.end - self.start

    def contains(self, moment: datetime | str) -> bool:
        """Whether a moment (or the API's text of one) lies in it."""
        if isinstance(moment, str):
            return to_text(self.start) <= moment < to_text(self.end)
        return self.start <= moment < self.end


def parse_interval(text: str, *, now: datetime) -> Interval:
    """START/END, START/DURATION or DURATION/END; times without an offset are UTC.

    Raises UsageError: malformed, the end not after the start, the end in the future.
    """
    parts = text.split("/")
    if len(parts) != 2:
        raise UsageError(
            f"{text!r} is not an interval; write START/END, START/DURATION or DURATION/END,"
            " such as 2026-03-02T10:00Z/PT30M"
        )
    first, second = (part.strip() for part in parts)
    try:
        start, end = _ends(first, second)
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not an interval: {error}") from None
    if end <= start:
        raise UsageError(f"the interval {text} must end after it starts")
    if end > now:
        raise UsageError(f"the interval {text} ends in the future (it is {to_text(now)} now); end it before now")
    return Interval(start, end)


def _ends(first: str, second: str) -> tuple[datetime, datetime]:
    if first.startswith("P"):
        end = from_text(second)
        return end - parse_duration(first), end
    start = from_text(first)
    return start, start + parse_duration(second) if second.startswith("P") else from_text(second)
