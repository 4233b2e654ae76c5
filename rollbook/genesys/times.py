"""Time as the platform writes it. Pure: it never asks a clock.

In the house a moment is either an aware UTC `datetime` (clocks, windows) or the API's text,
`2026-03-02T10:00:00.000Z`: 24 characters that sort as time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

from rollbook.genesys.errors import UsageError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(
    r"P(?!$)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=\d)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?", re.ASCII
)
# A date, with or without a time. `datetime.fromisoformat` reads more than that (week dates, basic format).
_MOMENT: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?", re.ASCII | re.IGNORECASE
)


def to_text(moment: datetime) -> str:
    """An aware moment as the API writes it; what is below a millisecond is cut off."""
    utc = moment.astimezone(UTC)
    return f"{utc.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def from_text(text: str) -> datetime:
    """A time with or without an offset (none is UTC) as an aware UTC moment. Raises ValueError."""
    text = text.strip()
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{text!r} is not a time such as 2026-03-02T10:00:00Z")
    try:
        read = datetime.fromisoformat(text.upper().replace(",", "."))
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a time: {error}") from None


def normalize(value: object) -> str | None:
    """Any readable time as the API's text; None for what is no time, or no text."""
    if not isinstance(value, str):
        return None
    if _is_api_text(value):
        return value
    try:
        return to_text(from_text(value))
    except ValueError:
        return None


def _is_api_text(text: str) -> bool:
    """Tell whether a text is a possible time, spelled as the API spells it. (The hot path: half a microsecond.)"""
    if len(text) != 24 or text[23] != "Z" or text[19] != "." or text[10] != "T" or text[4] != "-" or text[7] != "-":
        return False
    if text[11:13] == "24":  # midnight, to newer Pythons; it would not sort as time
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return text[13] == text[16] == ":"


def from_epoch_ms(milliseconds: object) -> str | None:
    """Milliseconds since 1970 as the API's text; None for what is no such number."""
    if isinstance(milliseconds, float) and milliseconds.is_integer():
        milliseconds = int(milliseconds)
    if milliseconds.__class__ is not int:
        return None
    seconds, rest = divmod(milliseconds, 1_000)
    try:
        return f"{_second(seconds)}.{rest:03d}Z"
    except OverflowError:
        return None


# Events of the same second come together.
@lru_cache(maxsize=4_096)
def _second(seconds: int) -> str:
    """Seconds since 1970 as the API's text up to its point."""
    return to_text(_EPOCH + timedelta(seconds=seconds))[:19]


def parse_duration(text: str) -> timedelta:
    """An ISO 8601 duration of weeks, days, hours, minutes and seconds. Raises ValueError (months have no length)."""
    found = _DURATION.fullmatch(text.strip().upper())
    if not found or not any(found.groups()):
        raise ValueError(f"{text!r} is not a duration such as PT30M, PT1H30M or P4D")
    weeks, days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    try:
        return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        raise ValueError(f"{text!r} is too long") from None


@dataclass(frozen=True, slots=True, order=True)
class Interval:
    """[start, end): two aware UTC moments, start before end."""

    start: datetime
    end: datetime

    @property
    def text(self) -> str:
        """As the API takes it: `start/end`."""
        return "/".join(self.texts)

    @property
    def texts(self) -> tuple[str, str]:
        """Start and end, each as the API's text."""
        return to_text(self.start), to_text(self.end)

    @property
    def length(self) -> timedelta:
        """end - start."""
        return self.end - self.start

    def contains(self, moment: datetime | str) -> bool:
        """Tell whether a moment (or the API's text of one) lies in it."""
        if isinstance(moment, str):
            return to_text(self.start) <= moment < to_text(self.end)
        return self.start <= moment < self.end


def parse_interval(text: str, *, now: datetime) -> Interval:
    """START/END, START/DURATION or DURATION/END; times without an offset are UTC, below a millisecond is cut off.

    Raises UsageError: malformed, the end not after the start, the end in the future.
    """
    parts = [part.strip() for part in text.split("/")]
    if len(parts) != 2 or not all(parts):
        raise UsageError(
            f"{text!r} is not an interval; write START/END, START/DURATION or DURATION/END,"
            " such as 2026-03-02T10:00Z/PT30M"
        )
    try:
        start, end = map(_whole_milliseconds, _ends(*parts))
    except (ValueError, OverflowError) as error:
        raise UsageError(f"{text!r} is not an interval: {error}") from None
    if end <= start:
        raise UsageError(f"the interval {text} must end after it starts")
    check_ended(Interval(start, end), now)
    return Interval(start, end)


def check_ended(interval: Interval, now: datetime) -> None:
    """Raise UsageError for an interval that ends in the future."""
    if interval.end > now:
        raise UsageError(
            f"the interval {interval.text} ends in the future (it is {to_text(now)} now); end it before now"
        )


def _ends(first: str, second: str) -> tuple[datetime, datetime]:
    if first[0] in "Pp":
        end = from_text(second)
        return end - parse_duration(first), end
    start = from_text(first)
    return start, start + parse_duration(second) if second[0] in "Pp" else from_text(second)


def _whole_milliseconds(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
