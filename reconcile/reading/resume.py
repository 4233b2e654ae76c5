"""The memory of a reading under way, and the way to take it up again. Pure.

A `Reader` decides by what it is told and by nothing else. So it is enough to remember what it was told: told the same
again, it stands where it stood. Only what is safe in the store is remembered, so nothing has to be fetched twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Final, Literal

import msgspec

from reconcile.reading.reader import Fetch, Finished, Pause, Reader
from reconcile.reading.scan import RowTimes
from reconcile.reading.tally import Tally

# A reading is gone on with for so long. What is older is read anew: the proof is as old as its oldest page.
KEPT: Final = timedelta(hours=12)


class Entry(msgspec.Struct, omit_defaults=True):
    """A step of a reading.

    kind: "begin", before anything is written; "page" of a query; "refused": a part that could not be had as it was
    asked; "doubt" of a finished reading, or of a job's part; "job" that was started (page: its rows a page); "results"
    of it. A job's results that bring nothing new are no entry: they are asked for again. rows: (id, start, end) of a
    page.
    states: how the ids compare with the store (`Tally.state`). shares: what has become of each window so far, as
    [written, drift, {cause: count}].
    """

    kind: Literal["begin", "page", "refused", "doubt", "job", "results"]
    at: str = ""
    part: str = ""
    page: int = 0
    probe: bool = False
    total: int | None = None
    rows: list[tuple[str | None, str | None, str | None]] = []
    broken: list[int] = []  # which rows cannot be decoded
    starts: list[str] = []
    doubted: list[str] = []  # ids
    text: str = ""  # the reason of a doubt or a refusal, a job's id, the cursor of the next results
    too_large: bool = False
    divisions: str = ""  # in the first entry: what the client sees that reads (JSON), or, not known, which client it is
    watermark: str | None = None
    states: list[int] = []
    shares: list[tuple[int, int, dict[str, int]]] = []
    began: str = ""
    spent: int = 0


# An entry as it is kept.
encode: Final[Callable[[Entry], bytes]] = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Entry).decode


def decode(kept: Sequence[bytes]) -> list[Entry]:
    """Entries as they were kept; none if another version of this program has kept them."""
    try:
        return [_decode(entry) for entry in kept]
    except msgspec.MsgspecError:
        return []


def complete(entry: Entry, tally: Tally, *, began: str, spent: int) -> None:
    """Add to an entry how things stand now that its rows are written."""
    entry.states = [tally.state(row[0]) for row in entry.rows if row[0] is not None]
    entry.shares = [(share.written, share.drift, dict(share.causes)) for share in tally.shares]
    entry.began, entry.spent = began, spent


def restore(tally: Tally, entries: Sequence[Entry]) -> None:
    """Let a tally know what the entries tell."""
    for entry in entries:
        ids = [row[0] for row in entry.rows if row[0] is not None]
        for conversation_id, state in zip(ids, entry.states, strict=False):
            tally.remember(conversation_id, state)
    if entries:
        for share, (written, drift, causes) in zip(tally.shares, entries[-1].shares, strict=False):
            share.written, share.drift = written, drift
            share.causes.update(causes)


# A reading by queries


def of_page(step: Fetch, at: str, rows: Sequence[RowTimes], total: int | None) -> Entry:
    """A page that was told to a reader."""
    broken = [place for place, row in enumerate(rows) if row.broken]
    return Entry("page", at, step.part.text, step.page, step.probe, total, _plain(rows), broken)


def of_results(rows: Sequence[RowTimes], cursor: str | None, watermark: str | None) -> Entry:
    """A page of a job's results."""
    return Entry("results", rows=_plain(rows), text=cursor or "", watermark=watermark)


def _plain(rows: Sequence[RowTimes]) -> list[tuple[str | None, str | None, str | None]]:
    return [(row.id, row.start, row.end) for row in rows]


def next_question(reader: Reader, at: str) -> Fetch | Finished:
    """The next thing that a reader wants to know: what it waited for is over."""
    while isinstance(step := reader.step(at), Pause):
        pass
    return step


def replay(reader: Reader, entries: Sequence[Entry]) -> bool:
    """Tell a new reader what the entries tell. False if they do not fit: then it must be thrown away."""
    return all(_tell(reader, entry) for entry in entries)


def _tell(reader: Reader, entry: Entry) -> bool:
    if entry.kind == "begin":
        return True
    step = next_question(reader, entry.at)
    if entry.kind == "doubt" and isinstance(step, Finished):
        reader.doubt(entry.starts, entry.text)
        return True
    if not isinstance(step, Fetch) or (step.part.text, step.page, step.probe) != (entry.part, entry.page, entry.probe):
        return False
    if entry.kind == "refused":
        return reader.refused(entry.text, too_large=entry.too_large)
    if entry.kind != "page":
        return False
    broken = set(entry.broken)
    reader.take([RowTimes(*row, place in broken) for place, row in enumerate(entry.rows)], entry.total)
    return True
