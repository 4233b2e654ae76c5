"""A simulated day at the gate: it is asked after every commit, and its yes is held against the ledger and the truth."""

import contextlib
import math
import os
import random
import sqlite3
from bisect import bisect_left
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from reconcile import gate
from reconcile.due.rounds import AT_ONCE, Round, run_due
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.simulator import Simulator
from rollbook.simulator.faults.script import Fault
from rollbook.store.book import Book
from rollbook.store.tables import readiness, windows

START = datetime(2026, 3, 2, tzinfo=UTC)
SECOND, MINUTE, HALF = timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=30)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# With ROLLBOOK_HEAVY the whole day.
HOURS = 24 if os.environ.get("ROLLBOOK_HEAVY") else 14
WHOLE = {"complete", "settled"}
# Of the half hours that have ended, those that are polled, in turns.
LAST = range(12)


async def at_once(_: float) -> None:
    """Pauses take no time."""


class Polled(NamedTuple):
    """How many polls a day had, and of how many half hours one was answered yes."""

    polls: int
    ready: int


def _known_of(known: readiness.Evidence, interval: Interval) -> tuple[Interval, readiness.Evidence, datetime | None]:
    """(A half hour, what the ledger said of it, when a window that has all of it was read completely)."""
    start, end = interval.texts
    of_it = known._replace(
        windows=[window for window in known.windows if window.start < end and window.end > start],
        going_on=[begun for begun in known.going_on if start <= begun < end],
    )
    proofs = [
        from_text(window.last_read_at)
        for window in of_it.windows
        if window.verdict in WHOLE and window.start <= start and window.end >= end and window.last_read_at
    ]
    return interval, of_it, min(proofs, default=None)


class Gate:
    """The gate of a store, asked again and again; each yes is checked by what the store and the organisation have."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator = simulator
        self.asked = self.yes = self.settled = 0
        self.wrong: list[str] = []
        self.had: list[tuple[Interval, datetime, int]] = []  # how many conversations the store had at each yes
        self.draw = random.Random(1)
        self.commits: list[tuple[datetime, readiness.Evidence]] = []  # what the ledger said of the day since when

    def ask(self, db: sqlite3.Connection) -> None:
        """Ask, and keep what is wrong: an error here would end the writer's thread."""
        try:
            day = Interval(START, START + 2 * DAY)
            self.commits.append((self.simulator.now(), readiness.evidence(db, *day.texts)))
            self._ask_for_some(db)
        except Exception as error:
            self.wrong.append(f"{type(error).__name__}: {error}")

    def _ask_for_some(self, db: sqlite3.Connection) -> None:
        """Ask for the last hours, for a window, and for an odd part of the day."""
        now = self.simulator.now()
        latest = START + (now - START) // HALF * HALF
        odd = START + (latest - START) * self.draw.random()
        for interval in (
            Interval(max(START, latest - 2 * HOUR), latest),
            Interval(odd - (odd - START) % HALF, odd - (odd - START) % HALF + HALF),
            Interval(odd, odd + timedelta(minutes=self.draw.randrange(1, 200))),
        ):
            if START <= interval.start < interval.end:
                self._ask(db, interval, now)
        _, complete, settled = readiness.until(db)
        for shown, good in ((complete, WHOLE), (settled, {"settled"})):
            if shown is not None:
                self._hold(db, Interval(START, datetime.fromisoformat(shown)), good)

    def _ask(self, db: sqlite3.Connection, interval: Interval, now: datetime) -> None:
        for settled, good in ((False, WHOLE), (True, {"settled"})):
            # Not in a transaction of its own: the writer's connection is in none between two.
            known = readiness.evidence(db, *interval.texts)
            self.asked += 1
            if gate.judge(interval, known, now, settled=settled).ready:
                self.yes += 1
                self.settled += settled
                self._hold(db, interval, good)

    def _hold(self, db: sqlite3.Connection, interval: Interval, good: set[str]) -> None:
        """Each minute lies in a window of such a verdict, and every conversation is there with its end."""
        start, end = interval.texts
        rows = db.execute(
            'SELECT start, "end", verdict FROM windows WHERE start < ? AND "end" > ?', (end, start)
        ).fetchall()
        at = interval.start
        while at < interval.end:
            moment = to_text(at)
            if not any(first <= moment < last and verdict in good for first, last, verdict in rows):
                self.wrong.append(f"{interval.text}: yes, and {moment} is not {good}")
                return
            at += MINUTE
        query = (
            "SELECT count(*) FROM conversations WHERE conversation_start >= ? AND conversation_start < ?"
            " AND details IS NOT NULL AND conversation_end IS NOT NULL"
        )
        self.had.append((interval, self.simulator.now(), db.execute(query, (start, end)).fetchone()[0]))

    def poll_each_second(self) -> Polled:
        """Ask for one of the last half hours at each second of the day, of what the ledger said then.

        The witness is not the gate: a window that has all of it must be complete, and read before now.
        """
        polls = 0
        ready: set[Interval] = set()
        for (at, known), (until, _) in pairwise([*self.commits, (self.simulator.now(), self.commits[-1][1])]):
            second = START + timedelta(seconds=math.ceil((at - START) / SECOND))
            while second < until:
                latest = START + (second - START) // HALF * HALF
                polled = [_known_of(known, Interval(latest - (back + 1) * HALF, latest - back * HALF)) for back in LAST]
                while second < min(until, latest + HALF):
                    interval, of_it, proof = polled[polls % len(polled)]
                    polls += 1
                    if gate.judge(interval, of_it, second, settled=False).ready:
                        if proof is None or proof > second or of_it.going_on:
                            self.wrong.append(f"{interval.text}: yes at {to_text(second)}, and no window proves it")
                        else:
                            ready.add(interval)
                    second += SECOND
        return Polled(polls, len(ready))

    def hold_to_the_truth(self) -> None:
        """At each yes the store had every conversation that has started in the interval, and its end."""
        starts = sorted(
            record["conversationStart"] for record in self.simulator.truth(START, self.simulator.now()).values()
        )
        for interval, at, had in self.had:
            start, end = interval.texts
            lacking = bisect_left(starts, end) - bisect_left(starts, start) - had
            if lacking:
                self.wrong.append(f"{interval.text}: yes at {to_text(at)} without {lacking}")


def after_each_commit(book: Book, ask: Callable[[sqlite3.Connection], Any]) -> None:
    """Have a function called with the writer's connection whenever something was committed."""
    assert book._writer is not None
    book._writer._after_commit = [*book._writer._after_commit, ask]


async def test_the_gate_says_yes_no_sooner_than_the_verdicts(tmp_path: Path) -> None:
    """After every commit, and at each second, of a day with outages and broken answers: no yes without verdicts and rows."""
    trouble = [
        Fault(
            "status",
            path="*details/query",
            count=None,
            at=START + 3 * HOUR,
            until=START + 4 * HOUR,
            parameters={"status": 503},
        ),
        Fault("broken", path="*details*", count=12, at=START + 6 * HOUR),
        Fault("cut", path="*details*", count=12, at=START + 8 * HOUR),
    ]
    async with Simulator(seed=11, start=START, rate=0, per_hour=12, rate_limit=10_000_000, faults=trouble) as simulator:
        flags = {"since": START, "settle_after": timedelta(hours=6)}
        settings = load(env=simulator.env, cwd=tmp_path, flags=flags)
        checked = Gate(simulator)
        with Book.open(tmp_path / "rollbook.db", organization=("o", "o")) as book:
            after_each_commit(book, checked.ask)
            async with Api(settings, sleep=at_once, now=simulator.now) as api:
                for minute in range(HOURS * 60):
                    simulator.clock.advance(MINUTE)
                    if minute % 5 == 0:
                        how = Round(command="daemon", wait=0, sleep=at_once, at_once=AT_ONCE)
                        with contextlib.suppress(RollbookError):  # the platform's trouble: the next round goes on
                            await run_due(book, api, settings, now=simulator.now, how=how)
            verdicts = await book.read(windows.by_verdict)
            since, complete, settled = await book.read(readiness.until)
        checked.hold_to_the_truth()
        polled = checked.poll_each_second()
        assert not checked.wrong, checked.wrong[:3]
        assert since == to_text(START - HOUR), "from the window on that was the last closed when it all began"
        assert complete is not None
        assert settled is not None
        assert START < datetime.fromisoformat(settled) <= datetime.fromisoformat(complete)
        assert checked.yes > checked.settled > 50
        assert polled.polls >= HOURS * 3600 - 120
        assert polled.ready > HOURS / 2
        print(f"{polled.polls:,} polls, one a second: yes to {polled.ready} half hours, none before its proof")
        print(f"asked {checked.asked:,} times, {checked.yes:,} yes, {checked.settled:,} of them settled; {verdicts}")
