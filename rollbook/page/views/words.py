"""Words, numbers and marks that all pages share: each state has a word and a shape beside its colour. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from rollbook.store.vocabulary import Verdict

# state → what it means, in a line
MEANINGS: Final[Mapping[str, str]] = {
    Verdict.SETTLED: "read once more after the platform's nightly reprocessing",
    Verdict.COMPLETE: "read whole; all of its conversations have ended",
    Verdict.OPEN: "read whole; some of its conversations go on",
    Verdict.DUE: "over, and not read yet",
    Verdict.PENDING: "not over for long enough to be read",
    Verdict.FAILED: "could not be read whole; it is tried again",
    "none": "no window of the ledger has this time",
}
# The verdicts in the order in which a column is built up from the ground.
ORDER: Final = (
    Verdict.SETTLED,
    Verdict.COMPLETE,
    Verdict.OPEN,
    Verdict.PENDING,
    Verdict.DUE,
    Verdict.FAILED,
)


def state_name(verdict: str | None) -> str:
    """The name of a state, as classes and marks have it."""
    return "none" if verdict is None else str(verdict)


def minute(text: str | None) -> str:
    """`2026-03-02 10:00`; – where there is none."""
    return f"{text[:10]} {text[11:16]}" if text else "–"


def second(text: str | None) -> str:
    """`2026-03-02 10:00:05`; what is no time stays as it is."""
    return f"{text[:10]} {text[11:19]}" if text and text[10:11] == "T" else text or "–"


def is_apart(text: str, shown: str) -> bool:
    """Tell whether a time lies more than ten seconds from another, which is written as `second` writes it."""
    return abs((datetime.fromisoformat(text[:19]) - datetime.fromisoformat(shown)).total_seconds()) > 10


def between(start: str, end: str) -> str:
    """`2026-03-02 10:00 to 10:30`: the day once, where it is the same; whole days without hours."""
    if start[11:] == end[11:] == "00:00:00.000Z":
        last = datetime.fromisoformat(end).timestamp() - 86_400
        until = datetime.fromtimestamp(last, datetime.fromisoformat(end).tzinfo).date().isoformat()
        return start[:10] if until == start[:10] else f"{start[:10]} to {until}"
    clock = end[11:16] if end[:10] == start[:10] else minute(end)
    return f"{minute(start)} to {clock}"


def percent(share: float | None) -> str:
    """A share as people read it; never 100 % for something that is not all, nor 0 % for something that is there."""
    if share is None:
        return "–"
    if 0 < share < 0.001:
        return "under 0.1 %"
    if share >= 1:
        return "100 %"
    return f"{min(share * 100, 99.99):.2f} %" if share > 0.99 else f"{share * 100:.1f} %"


def number(value: float | None) -> str:
    """A count with its thousands parted; – where nothing was counted."""
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"


def length(seconds: float) -> str:
    """`2 d 4 h`, `1 h 02 min`, `5 min 20 s`, `12 s`; not to be broken between lines."""
    return _length(seconds).replace(" ", "\u00a0")


def _length(seconds: float) -> str:
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s" if whole or not seconds else f"{seconds:.1f} s"
    if whole < 3_600:
        return f"{whole // 60} min" + (f" {whole % 60:02} s" if whole % 60 else "")
    if whole < 86_400:
        return f"{whole // 3_600} h" + (f" {whole % 3_600 // 60:02} min" if whole % 3_600 >= 60 else "")
    return f"{whole // 86_400:,} d" + (f" {whole % 86_400 // 3_600} h" if whole % 86_400 >= 3_600 else "")


def window_link(start: str) -> str:
    """The address of a window's page."""
    return f"/windows/{quote(start, safe=':')}"


def conversation_link(conversation_id: str) -> str:
    """The address of a conversation's page."""
    return f"/conversations/{quote(conversation_id, safe='')}"


def dotted(value: Any) -> str:
    """A value of a row in words: a list as its members."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "yes" if value is True else "no" if value is False else str(value)
