"""A simulated day of calls, measured in three ways: by the platform article's query, by an exporter, and by rollbook.

The first two ask the details query again and again about the minutes just past, as such programs do, and keep nothing;
rollbook reads the day when it is over, and once more when what came late is there. Each is held to the organisation's
truth, call by call. Some calls are long, and some audio statistics come hours late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator import Simulator
from rollbook.simulator.faults.script import Fault
from rollbook.store.book import Book
from rollbook.store.views import view_rows
from rollbook.store.views.call_quality import is_number
from rollbook.store.views.reports import POOR

PER_HOUR: Final = 25.0
_DAY: Final = timedelta(days=1)
# A call is over by then, whenever it began.
_LONGEST: Final = timedelta(hours=3)
_LAG: Final = timedelta(minutes=10)
# When all of the day is known: statistics are late by hours, emails last for six days.
_SETTLED: Final = timedelta(days=8)
_PAGE: Final = 100
_TROUBLES: Final = (
    Fault("long_calls", at=0.0, parameters={"share": 0.15}),
    Fault("late_audio", at=0.0, parameters={"share": 0.1, "seconds": 6 * 3600}),
)
_MEASURED: Final = {"dimension": "mediaStatsMinConversationMos", "operator": "exists"}
_ENDED: Final = {"dimension": "conversationEnd", "operator": "exists"}


class Trailing(NamedTuple):
    """A program that asks every so often about the time just past. ended: only for conversations that have an end."""

    name: str
    every: timedelta
    width: timedelta
    before_now: timedelta = timedelta(0)
    ended: bool = False


TRAILING: Final = (
    Trailing("the article: last 10 min", timedelta(minutes=10), timedelta(minutes=10)),
    Trailing(
        "exporter: 5 min, 1 min ago", timedelta(minutes=5), timedelta(minutes=5), timedelta(minutes=1), ended=True
    ),
)


@dataclass(frozen=True, slots=True)
class Counted:
    """Values that a way of measuring counted, beside the truth. early: first read otherwise than it is in the end."""

    name: str
    values: int
    calls: int
    twice: int
    missed: int
    early: int
    poor_share: float | None

    def as_dict(self) -> dict[str, Any]:
        """It as a JSON object."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class QualityDay:
    """A day, and what each way counted of it. measured: calls that have a MOS in the organisation's truth."""

    day: str
    calls: int
    measured: int
    poor_share: float | None
    counted: list[Counted]

    def as_dict(self) -> dict[str, Any]:
        """It as a JSON object."""
        return asdict(self)


class _Watch:
    """Values that a program took, in the order in which it took them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.first: dict[str, float] = {}
        self.values: list[float] = []

    def take(self, conversation_id: str, mos: float) -> None:
        """Count a value."""
        self.values.append(mos)
        self.first.setdefault(conversation_id, mos)

    def beside(self, truth: Mapping[str, float]) -> Counted:
        """What it comes to."""
        return Counted(
            self.name,
            values=len(self.values),
            calls=len(self.first),
            twice=len(self.values) - len(self.first),
            missed=len(truth.keys() - self.first.keys()),
            early=sum(mos != truth.get(conversation_id) for conversation_id, mos in self.first.items()),
            poor_share=_poor_share(self.values),
        )


def _poor_share(values: Iterable[float]) -> float | None:
    of = list(values)
    return sum(mos < POOR for mos in of) / len(of) if of else None


async def quality_day(path: Path, seed: int, *, per_hour: float = PER_HOUR) -> QualityDay:
    """Let a day pass, watched by the others, and read it into a new store at `path`."""
    # So long ago that by this machine's clock, too, the day was read before now: a report trusts no later reading.
    start = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - _SETTLED - 2 * _DAY
    day = Interval(start, start + _DAY)
    simulator = Simulator(seed=seed, start=start, rate=0, per_hour=per_hour, rate_limit=1_000_000, faults=_TROUBLES)
    async with simulator:
        settings = replace(
            load(env=simulator.env, cwd=Path("/")), store_path=path, lag=_LAG, stuck_after=_SETTLED - _DAY
        )
        async with Api(settings, now=simulator.now) as api, await asyncio.to_thread(Book.open, path) as book:
            watches = {trailing: _Watch(trailing.name) for trailing in TRAILING}
            read: list[_Watch] = []
            for at, act in _moments(day):
                simulator.clock.advance(at - simulator.now())
                if act is not None:
                    await _ask(api, act, day, simulator.now(), watches[act])
                else:
                    read.append(await _read(book, api, day, settings, simulator.now))
            records = simulator.truth(day.start, day.end)
    truth = {
        conversation_id: record["mediaStatsMinConversationMos"]
        for conversation_id, record in records.items()
        if "mediaStatsMinConversationMos" in record
    }
    return QualityDay(
        day=day.texts[0],
        calls=sum(_is_call(record) for record in records.values()),
        measured=len(truth),
        poor_share=_poor_share(truth.values()),
        counted=[watch.beside(truth) for watch in (*watches.values(), *read)],
    )


def _is_call(record: Mapping[str, Any]) -> bool:
    sessions = [session for participant in record["participants"] for session in participant["sessions"]]
    return any(session["mediaType"] == "voice" for session in sessions)


def _moments(day: Interval) -> Iterator[tuple[datetime, Trailing | None]]:
    """When somebody asks, in the order of time: the others until the day's last call is over; None: rollbook."""
    moments: list[tuple[datetime, Trailing | None]] = [
        (day.start + number * trailing.every, trailing)
        for trailing in TRAILING
        for number in range(1, (_DAY + _LONGEST) // trailing.every + 1)
    ]
    settled = day.end + _SETTLED
    moments += [(day.end + _LAG, None), (settled, None)]
    return iter(sorted(moments, key=lambda moment: moment[0]))


async def _ask(api: Api, trailing: Trailing, day: Interval, now: datetime, watch: _Watch) -> None:
    """Page through the query, and count each value of calls of the day."""
    end = now - trailing.before_now
    body = {
        "interval": f"{to_text(end - trailing.width)}/{to_text(end)}",
        "order": "asc",
        "orderBy": "conversationStart",
        "conversationFilters": [{"type": "and", "predicates": [_MEASURED, *([_ENDED] * trailing.ended)]}],
    }
    start, until = day.texts
    number = 0
    while True:
        number += 1
        page = await api.query_details({**body, "paging": {"pageSize": _PAGE, "pageNumber": number}})
        for row in page.rows:
            if row.conversation_id is not None and row.start is not None and start <= row.start < until:
                watch.take(row.conversation_id, row.record["mediaStatsMinConversationMos"])
        if len(page.rows) < _PAGE:  # nothing moves meanwhile: what would come next is an empty page
            return


async def _read(book: Book, api: Api, day: Interval, settings: Settings, now: Callable[[], datetime]) -> _Watch:
    """Read the day; what `rollbook report mos` then counts."""
    report = await reconcile_window(book, api, day, settings=settings, now=now)
    watch = _Watch(f"rollbook: {report.verdict}")
    for call in await book.read(lambda db: list(view_rows.mos_calls(db, *day.texts))):
        if is_number(call["mos"]):
            watch.take(call["conversation_id"], call["mos"])
    return watch
