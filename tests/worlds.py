"""Random worlds: an organisation that misbehaves, clocks that jump, crashes, two writers; and what the ledger claims.

    python tests/worlds.py 10000 --at-once 2     the worlds of the seeds 1 to 10000, and what came of them
    python tests/worlds.py 1 --seed 17 -v        that one again, with its plan and what each step came to

A world is made from its plan, and a plan from its seed alone (or by Hypothesis, `test_worlds.py`). All of it runs in
one process, in the organisation's time: the simulator without sockets (`wire.py`), a real store, the reconciler as the
programs call it. After every step each window that is proven is held against the truth (`oracle.py`). At the end
everything is well again, and what was left is read and settled.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import logging
import multiprocessing
import os
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from realtime.clocks import corrected
from reconcile.due.rounds import Round, run_due
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.program.settings import Secret, Settings
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator.faults.answer_faults import falls
from rollbook.simulator.faults.script import KINDS, Fault, Script
from rollbook.simulator.organisation.late_changes import rewritten
from rollbook.simulator.rest.analytics.jobs import JobRules
from rollbook.simulator.server import Simulator, forget_handlers
from rollbook.simulator.times import moment, text
from rollbook.store.book import Book
from rollbook.store.file import locks
from rollbook.store.tables import events
from tests.helpers.oracle import EXCUSES, PROVEN, Oracle
from tests.helpers.unfriendly_faults import ODD_RECORDS
from tests.helpers.wire import Organisation, Wire

MOST_REQUESTS: Final = 1_500  # of one step: more is no end
MOST_SHOWN: Final = 6
MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86_400.0
_PROGRAM: ContextVar[int] = ContextVar("program", default=0)  # which of two that run at once makes a request
_MEMORY: Final = Path("/dev/shm")  # a disk that costs nothing, where there is one

# Plans


@dataclass(frozen=True)
class Step:
    """Something that happens. narrow: by a client that sees one division. crash: (request, how), or None."""

    name: str
    seconds: float = 0.0
    via: str = "query"
    at_once: int = 1
    narrow: bool = False
    fresh: bool = False  # by a program of its own, and not by the one that runs for long
    crash: tuple[int, str] | None = None
    interval: tuple[float, float] = (0.0, 0.0)  # parts of the time from the beginning until now
    only: str = ""  # "ended", or a direction

    def __str__(self) -> str:
        plain = Step(self.name)
        more = {name: value for name, value in vars(self).items() if value != getattr(plain, name)}
        return " ".join([self.name, *(f"{name}={value}" for name, value in more.items() if name != "name")])


@dataclass(frozen=True)
class Plan:
    """All that a world is made from. Times are seconds; `late` and `heard` are shares of the conversations."""

    seed: int
    start: datetime
    width: float
    windows: int
    conversations: int
    lag: float
    settle_after: float
    reading: str
    page: int
    job_lag: float
    late: float
    late_by: float
    share_heard: float
    latency: float
    offset: float  # by how much this machine's clock is ahead
    faults: tuple[Fault, ...]
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        lines = [
            f"seed {self.seed}: {self.conversations} conversations in {self.windows} windows of"
            f" {timedelta(seconds=self.width)} from {self.start:%Y-%m-%d %H:%M}; lag {timedelta(seconds=self.lag)},"
            f" settled after {timedelta(seconds=self.settle_after)}, reading {self.reading}, pages of {self.page},"
            f" jobs {timedelta(seconds=self.job_lag)} behind, {self.late:.0%} late by {timedelta(seconds=self.late_by)},"
            f" {self.share_heard:.0%} heard, clock {self.offset:+.1f} s"
        ]
        for fault in self.faults:
            more = {name: getattr(fault, name) for name in ("path", "after", "count", "at", "until")}
            shown = {name: value for name, value in more.items() if value not in (None, 0)}
            lines.append(f"  fault {fault.kind} {json.dumps(shown)} {json.dumps(dict(fault.parameters))}")
        return "\n".join([*lines, *(f"  {number}. {step}" for number, step in enumerate(self.steps, 1))])


QUERY, BY_ID = "POST */details/query", "GET */conversations/details"
RESULTS, JOB = "GET */details/jobs/*/results", "GET */details/jobs/*"
_SPELLINGS: Final = ("platform", "html", "json", "text", "empty")
# What trickles or never ends cannot be had without sockets; `tests/faults.py` plays it.
_PATHS: Final = (QUERY, QUERY, QUERY, BY_ID, BY_ID, RESULTS, "GET */details*", "*/analytics/*")


def plan(seed: int, draw: random.Random | None = None) -> Plan:
    """The plan of a seed. draw: where chance comes from; None: from the seed."""
    draw = draw or random.Random(f"world {seed}")
    minutes = draw.choice((10, 15, 30, 30, 60, 120, 360, 360, 1440))
    width, windows = minutes * MINUTE, draw.choice((1, 2, 3, 4))
    conversations = draw.choice((3, 8, 20, 20, 50, 120, 250))
    settle_after = draw.choice((4, 5)) * DAY if minutes >= 360 else max(HOUR, width * draw.choice((3, 6, 12)))
    page = draw.choice((100, 25, 10, 5)) if conversations <= 50 else draw.choice((100, 50, 25))
    span = width * windows
    lasts = span + settle_after
    faults = [fault for _ in range(draw.choice((0, 1, 1, 2, 2, 3, 4))) for fault in _fault(draw, lasts, width)]
    offset = draw.choice((0.0, 0.0, 0.0, 0.0, 1.5, -8.0, 20.0, 720.0, -720.0, 2700.0, -HOUR, min(5 * DAY, 20 * width)))
    steps = _steps(draw, width, windows, settle_after)
    if any(fault.kind == "no_date" for fault in faults):
        # Without a Date nobody can know that a clock is wrong.
        offset, steps = 0.0, [step for step in steps if step.name != "clock"]
    return Plan(
        seed=seed,
        start=datetime(2026, 3, 2, tzinfo=UTC) + timedelta(minutes=30 * draw.randrange(48)),
        width=width,
        windows=windows,
        conversations=conversations,
        lag=draw.choice((10, 10, 5, 2)) * MINUTE,
        settle_after=settle_after,
        reading=draw.choice(("overlap", "overlap", "overlap", "day")),
        page=page,
        job_lag=draw.choice((10 * MINUTE, HOUR, 6 * HOUR)),
        late=draw.choice((0.0, 0.0, 0.1, 0.3)),
        late_by=draw.choice((MINUTE, 10 * MINUTE, HOUR, 6 * HOUR)),
        share_heard=draw.choice((0.0, 0.3, 0.8, 1.0)),
        latency=draw.choice((0.05, 0.3, 3.0)),
        offset=offset,
        faults=tuple(faults),
        steps=tuple(steps),
    )


def _steps(draw: random.Random, width: float, windows: int, settle_after: float) -> list[Step]:
    steps, passed, most = [], 0.0, width * windows + settle_after * 1.3
    for _ in range(draw.randrange(3, 11)):
        wait = draw.choice((0.0, MINUTE, 8 * MINUTE, width / 2, width, width * windows, settle_after))
        if wait and passed + wait <= most:
            passed += wait
            steps.append(Step("wait", seconds=wait + draw.randrange(60)))
        steps.append(_step(draw, width))
    return steps


def _step(draw: random.Random, width: float) -> Step:
    name = draw.choice(("due", "due", "due", "due", "hand", "hand", "hand", "both", "change", "forget", "clock"))
    if name in ("change", "forget"):
        return Step(name, seconds=draw.choice((0.05, 0.2)))
    if name == "clock":
        return Step(name, seconds=draw.choice((0.0, 0.0, 3.0, -5.0, 900.0, -900.0, HOUR, min(5 * DAY, 20 * width))))
    via = draw.choice(("query", "query", "query", "job", "auto"))
    crash = None
    if draw.random() < 0.25:
        crash = draw.choice((1, 2, 3, 5, 8, 13, 30)), draw.choice(("kill", "cancel"))
    step = Step(
        name,
        via=via,
        at_once=draw.choice((1, 1, 3, 6)),
        narrow=draw.random() < 0.12,
        fresh=draw.random() < 0.3,
        crash=crash,
    )
    if name == "due":
        return step
    first, last = sorted((draw.choice((0.0, 0.0, 0.25, 0.5, 0.8)), draw.choice((0.3, 0.6, 0.9, 1.0, 1.0))))
    only = draw.choice(("", "", "", "", "ended", "inbound"))
    return replace(step, interval=(first, last if last > first else 1.0), only=only)


def _fault(draw: random.Random, lasts: float, width: float) -> list[Fault]:
    """A fault of the kinds A to E, and when and how often it strikes; two, where it begins and ends."""
    kind = draw.choice(sorted(name for name in _DRAWS if name in KINDS))
    path, parameters = _DRAWS[kind](draw, width)
    at = draw.choice((0.0, 0.0, 0.3, 0.6, 0.9)) * lasts
    after = draw.choice((0, 0, 0, 1, 2, 3, 5, 8))
    if kind in ("hide", "unhide"):
        begin = Fault("hide", path=QUERY, after=after, parameters={**parameters, "seed": draw.randrange(100)})
        return [begin, Fault("unhide", path=QUERY, after=after + draw.choice((1, 2, 3, 8, 30)))]
    if kind == "odd_record":
        return [Fault(kind, at=0.0, parameters=parameters)]
    if path == "":
        return [Fault(kind, at=at, parameters=parameters)]
    if draw.random() < 0.6:
        count = draw.choice((1, 1, 1, 2, 3, 8))
        return [Fault(kind, path=path, after=after, count=count, at=at or None, parameters=parameters)]
    until = at + draw.choice((MINUTE, 10 * MINUTE, HOUR, lasts))
    return [Fault(kind, path=path, count=None, at=at or None, until=until, parameters=parameters)]


def _path(draw: random.Random) -> str:
    return draw.choice(_PATHS)


def _refusal(draw: random.Random, *statuses: int) -> dict[str, Any]:
    return {"status": draw.choice(statuses), "body": draw.choice(_SPELLINGS)}


_SERVER: Final = (500, 502, 503, 504)
_Drawn = tuple[str, dict[str, Any]]
# Each kind, and how it is drawn: the path that it waits for ("": none) and its parameters.
_DRAWS: Final[dict[str, Callable[[random.Random, float], _Drawn]]] = {
    # A. Cannot be had as asked
    "status": lambda draw, _: (_path(draw), {"status": draw.choice((400, 404, 408, 413, 429, *_SERVER))}),
    "too_much": lambda draw, width: (
        draw.choice((QUERY, QUERY, BY_ID, RESULTS, "*/analytics/*")),
        {
            draw.choice(("rows", "beyond", "page_rows")): draw.choice((2, 5, 12, 30)),
            **({"width": width / draw.choice((1, 2, 4))} if draw.random() < 0.3 else {}),
            **({"ids": draw.choice((1, 5))} if draw.random() < 0.3 else {}),
            **_refusal(draw, 400, 408, 413, *_SERVER),
        },
    ),
    "slice": lambda draw, width: (
        draw.choice((QUERY, "*/analytics/*")),
        {
            "start": (begin := draw.choice((0.0, 0.3, 1.0)) * width),
            "end": begin + draw.choice((1.0, 60.0, width)),
            **_refusal(draw, 400, *_SERVER),
        },
    ),
    "long_address": lambda draw, _: (BY_ID, {"most": draw.choice((200, 1000))}),
    "job_failure": lambda _draw, _: ("", {"message": "it could not be done"}),
    "failing_jobs": lambda _draw, width: ("", {"start": 0.0, "end": width}),
    # B. One item's trouble
    "poison": lambda draw, _: (
        _path(draw),
        {"share": draw.choice((0.02, 0.1)), "seed": draw.randrange(50), **_refusal(draw, 400, *_SERVER)},
    ),
    "unknown_id": lambda _draw, _: (BY_ID, {}),
    "odd_record": lambda draw, _: (
        "",
        {
            "what": draw.choice(ODD_RECORDS),
            "share": draw.choice((0.05, 0.3)),
            "seed": draw.randrange(50),
        },
    ),
    "bad_bytes": lambda draw, _: (
        _path(draw),
        {
            "what": draw.choice(
                (
                    "nan",
                    "utf8",
                    "surrogate",
                    "control",
                    "truncated",
                    "duplicate_keys",
                    "big_number",
                    "no_id",
                    "number_id",
                    "no_start",
                    "null",
                    "text",
                    "list",
                    "nothing",
                )
            ),
            "row": draw.randrange(4),
        },
    ),
    # C. Emptiness or absence
    "empty": lambda draw, _: (_path(draw), _on_page(draw)),
    "error_body": lambda draw, _: (
        _path(draw),
        {
            "spelling": draw.choice(("platform", "errors", "error", "sign_in", "gateway", "fault", "problem", "html")),
            **_on_page(draw),
        },
    ),
    "empty_page": lambda draw, _: (_path(draw), _on_page(draw)),
    "fewer": lambda draw, _: (_path(draw), {"share": draw.choice((0.1, 0.5, 1.0))}),
    "shard": lambda draw, _: (_path(draw), {"share": draw.choice((0.1, 0.5)), "seed": draw.randrange(50)}),
    "stale": lambda draw, _: (_path(draw), {"seconds": draw.choice((20, 300, 7200))}),
    "fewer_divisions": lambda draw, _: (draw.choice((*_PATHS, "GET */divisions", "*")), {"most": draw.choice((1, 2))}),
    "fields": lambda draw, _: (
        _path(draw),
        {"drop": [draw.choice(("totalHits", "conversations", "dataAvailabilityDate", "cursor"))]},
    ),
    "totals": lambda draw, _: (
        QUERY,
        {
            "says": draw.choice(("errs", "less", "more", "saturated", "huge", "absent", "text", "null")),
            "most": draw.choice((1, 3, 10)),
        },
    ),
    "hide": lambda draw, _: ("", {"share": draw.choice((0.05, 0.3))}),
    "shift": lambda draw, _: (QUERY, {"how": draw.choice(("deleted", "hidden"))}),
    "forbid": lambda draw, _: (_path(draw), {"permission": "analytics:conversationDetail:view"}),
    # D. No progress and no bound
    "same_page": lambda draw, _: (QUERY, {"page": draw.choice((1, 2))}),
    "endless_pages": lambda draw, _: (draw.choice((QUERY, "GET */divisions")), {}),
    "standing_cursor": lambda draw, _: (RESULTS, {"names": draw.choice(("itself", "first", "end", "new"))}),
    "stuck_job": lambda draw, _: (JOB, {"state": draw.choice(("PENDING", "QUEUED", "THINKING"))}),
    "cut": lambda draw, _: (_path(draw), {"part": draw.choice((0.0, 0.5))}),
    "broken": lambda draw, _: (_path(draw), {}),
    "revoke": lambda _draw, _: ("", {}),
    "rate_limit": lambda draw, _: ("", {"allowed": draw.choice((3, 20))}),
    # E. Whose time, and how late the other side is
    "no_date": lambda _draw, _: ("*", {}),
    "date_off": lambda draw, _: ("*", {"seconds": draw.choice((-1.0, -30.0, -600.0))}),
    "index_lag": lambda draw, _: ("", {"seconds": draw.choice((60, 600, 7200)), "share": draw.choice((0.1, 1.0))}),
    "jitter": lambda draw, _: ("", {"most": 2, "recent": draw.choice((60, 3600, 10**7))}),
}


def _on_page(draw: random.Random) -> dict[str, Any]:
    return {"page": draw.choice((1, 1, 2))} if draw.random() < 0.5 else {}


# Playing one


class Died(BaseException):
    """The process was killed."""


class Endless(BaseException):
    """A step asked for so much that it has no end."""


@dataclass
class Outcome:
    """What came of a world."""

    seed: int
    verdicts: Counter[str] = field(default_factory=Counter)  # of proofs and failures, each once
    verdict_counts: Counter[str] = field(default_factory=Counter)  # at the end
    wrong: list[str] = field(default_factory=list)
    wrongly: Counter[str] = field(default_factory=Counter)  # how
    excused: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    requests: int = 0
    seconds: float = 0.0
    said: list[str] = field(default_factory=list)


class World:
    """One world, played in a folder of its own."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self._folder = plan, folder
        self._draw = random.Random(f"played {plan.seed}")
        self.outcome = Outcome(plan.seed)
        self._offset = plan.offset
        self._passed = 0.0
        self._local: dict[str, datetime] = {}
        self.simulator = self._organisation()
        self._script = self.simulator.faults._lines
        self.platform = Organisation(self.simulator, page=plan.page)
        self.settings = Settings(
            api_url="https://api.simulated.example",
            login_url="https://login.simulated.example",
            client_id=self.simulator.client_id,
            client_secret=Secret(self.simulator.client_secret),
            since=plan.start,
            width=timedelta(seconds=plan.width),
            lag=timedelta(seconds=plan.lag),
            settle_after=timedelta(seconds=plan.settle_after),
        )
        self._lives = list(self.simulator.world.conversations)
        self._to_hear = self._notifications()
        self._events: list[tuple[str, datetime]] = []
        self.oracle = Oracle(
            self.simulator,
            self.platform.shown,
            self.settings.lag,
            self.settings.settle_after,
            self.settings.stuck_after,
            self._moment_of,
        )
        self.oracle.clock_errors.add(timedelta(seconds=plan.offset))
        self._watch_acts()
        self._shifts = 0
        self._step = 0
        self._asked = 0
        self._dies: tuple[int, str, asyncio.Task[Any]] | None = None
        self._copies = 0
        self.path = folder / "rollbook.db"
        shutil.copy(_template(), self.path)
        self.api = self._connection()
        self.book = self._open(self.api)

    def _organisation(self) -> Simulator:
        plan = self.plan
        span = timedelta(seconds=plan.width * plan.windows)
        simulator = Simulator(
            seed=plan.seed,
            start=plan.start,
            rate=0,
            per_hour=plan.conversations / (span / timedelta(hours=1)),
            queues=3,
            users=4,
            reading=plan.reading,
            rate_limit=300,
            faults=plan.faults,
            job_rules=JobRules(lag=timedelta(seconds=plan.job_lag)),
            monotonic=lambda: self._passed,
            token_lifetime=10**9,
        )
        simulator.world.grow(plan.start + span)
        simulator.world._per_hour = 0  # no more of them, however long it lasts
        for life in simulator.world.conversations:
            if falls(life.id, plan.late, "late"):
                life.delay(timedelta(seconds=plan.late_by))
        return simulator

    def _watch_acts(self) -> None:
        act, moved = self.simulator._act, self.oracle.moved

        def noted(struck: Any) -> None:
            faults = list(struck)
            moved.extend((self.simulator.now(), fault.kind) for fault in faults)
            act(faults)

        self.simulator._act = noted  # type: ignore[method-assign]

    # Clocks

    def pass_(self, seconds: float) -> None:
        """Time goes on, and what is heard meanwhile is stored."""
        self._passed += seconds
        self.simulator.clock.advance(timedelta(seconds=seconds))
        now, notifications = self.simulator.now(), []
        while self._to_hear and self._to_hear[-1][0] <= now:
            at, conversation_id, frame = self._to_hear.pop()
            observed = parse_frame(frame, source="websocket", received_at=to_text(self._stamped(at)))
            if isinstance(observed, Notification):
                notifications.append(observed)
                self._events.append((conversation_id, at))
        if notifications:
            with contextlib.suppress(RollbookError):
                self.book.write(events.record, notifications, self.book.lag)

    def _ours(self, at: datetime) -> datetime:
        return at + timedelta(seconds=self._offset)

    def _stamped(self, at: datetime) -> datetime:
        """As the daemon stamps what it hears: by the platform's clock, where its own is clearly wrong."""
        return corrected(self._ours(at), None if self.api.clock_skew is None else self._offset)

    def now(self) -> datetime:
        """This machine's clock."""
        self._passed += 0.001
        self.simulator.clock.advance(timedelta(milliseconds=1))
        at = self.simulator.now()
        ours = self._ours(at)
        self._local.setdefault(to_text(ours), at)
        return ours

    def _moment_of(self, stamp: str) -> datetime:
        """When it was, by the organisation's clock, that the ledger calls so: by this machine's clock, or by theirs."""
        known = self._local.get(stamp)
        return known if known is not None else moment(stamp) - timedelta(seconds=2)

    async def sleep(self, seconds: float) -> None:
        """A pause."""
        self.pass_(max(seconds, 0.001))
        await asyncio.sleep(0)

    # What capture hears

    def _notifications(self) -> list[tuple[datetime, str, str]]:
        """(when, conversation, frame) of all that will be heard, the last first."""
        plan, found = self.plan, []
        for life in self._lives:
            if not falls(life.id, plan.share_heard, "heard"):
                continue
            start, end = text(life.start), life.record.get("conversationEnd")
            events: list[tuple[datetime, str | None]] = [(life.start, None)]
            events += [pair for ended, resumed in life.breaks for pair in ((ended, text(ended)), (resumed, None))]
            events += [(life.end, end)] if end is not None and life.end < moment("2030-01-01T00:00:00.000Z") else []
            for at, ended in events:
                if self._draw.random() < 0.15:
                    continue
                participant = {
                    "id": life.record["participants"][0]["participantId"],
                    "purpose": "customer",
                    "connectedTime": start if ended or at == life.start else text(at),
                }
                if ended is not None:
                    participant["endTime"] = ended
                body = {"id": life.id, "participants": [participant]}
                queue = self.simulator.world.queues[0]["id"]
                topic = f"v2.routing.queues.{queue}.conversations"
                found.append((at, life.id, json.dumps({"topicName": topic, "eventBody": body})))
        return sorted(found, reverse=True)

    # The product's side

    def _open(self, api: Api) -> Book:
        settings, organization = self.settings, self.simulator.world.organization
        return Book.open(self.path, organization=(organization["id"], organization["name"]), lag=settings.lag)

    def _connection(self) -> Api:
        """A program's connection to the organisation. It asks whose token it has before all else."""
        api = Api(
            self.settings,
            clock=lambda: self._passed,
            sleep=self.sleep,
            random=random.Random(self.plan.seed),
            now=self.now,
        )
        wire = Wire(self.platform, self._before)
        api._http = api._sign_in._http = wire  # type: ignore[assignment]
        return api

    async def _before(self, path: str) -> None:
        self.outcome.requests += 1
        self._asked += 1
        self._note_shifts()
        if self._asked > MOST_REQUESTS:
            raise Endless
        if self._dies is not None and self._asked >= self._dies[0] and _PROGRAM.get() == 0:
            (_, how, task), self._dies = self._dies, None
            if how == "kill":
                self.oracle.killed.add(self._step)
                self._copy()
                raise Died
            task.cancel()
            await asyncio.get_running_loop().create_future()
        wait = self._draw.expovariate(1 / self.plan.latency)
        await self.sleep(wait)

    def _note_shifts(self) -> None:
        struck = sum(line.struck for line in self.simulator.faults._lines if line.fault.kind == "shift")
        if struck > self._shifts:
            self._shifts = struck
            self.oracle.moved.append((self.simulator.now(), "shift"))

    def _copy(self) -> None:
        """The store as a kill leaves it: what is on the disk now, whatever the process still does."""
        self._copies += 1
        into = self._folder / f"{self._copies}.db"
        shutil.copy(self.path, into)
        for name in ("-wal",):
            if (log := Path(f"{self.path}{name}")).exists():
                shutil.copy(log, f"{into}{name}")

    # Steps

    async def play(self) -> None:
        """All of it."""
        began = time.perf_counter()
        try:
            for step in self.plan.steps:
                await self._do(step)
            self._mend()
            after = (
                self.plan.width * self.plan.windows + self.plan.lag + 120 - self._passed,
                2 * HOUR,
                self.plan.width * self.plan.windows + self.plan.settle_after - self._passed,
                70 * MINUTE,
                70 * MINUTE,
            )
            for seconds in after:
                await self._do(Step("wait", seconds=max(seconds, 60.0)))
                await self._do(Step("due"))
        finally:
            self.book.close()
            _forget_locks(self._folder)
            outcome, oracle = self.outcome, self.oracle
            outcome.verdicts = Counter(oracle.judged.values())
            outcome.verdict_counts = Counter(oracle.verdict_counts)
            outcome.wrong = [str(mistake) for mistake in oracle.wrong]
            outcome.wrongly, outcome.excused = Counter(oracle.wrongly.values()), oracle.excused
            for line in self._script:
                outcome.struck[line.fault.kind] += line.struck
            outcome.seconds = time.perf_counter() - began

    def _mend(self) -> None:
        """Everything is well again: the platform, and this machine's clock."""
        simulator = self.simulator
        simulator.faults = Script((), self.plan.start)
        simulator.hidden.clear()
        simulator.jobs.failing.clear()
        if hasattr(simulator.jobs, "doomed"):
            simulator.jobs.doomed.clear()
        simulator.rate_limit = 300
        simulator.jitter = simulator.jitter._replace(most=0)
        self._offset = 0.0

    async def _do(self, step: Step) -> None:
        self._step += 1
        self.platform.step = self._step
        before, asked = len(self.oracle.wrong), self.outcome.requests
        said = ""
        self.simulator.visible_divisions = [self.simulator.world.divisions[0]["id"]] if step.narrow else None
        if step.name in ("due", "hand", "both"):
            said = await self._reconcile(step)
        else:
            {"wait": self._wait, "clock": self._jump, "change": self._change, "forget": self._forget}[step.name](step)
        self._note_shifts()
        await self._settle()
        eyes = self.simulator.visible_divisions
        self._odd()
        self.oracle.judge(self.path, self._step, eyes)
        self.outcome.said.append(
            f"{self._step}. {step} -> {self.simulator.now():%d %H:%M:%S}, {self.outcome.requests - asked} requests,"
            f" {dict(self.oracle.verdict_counts)}{said and ': ' + said}"
        )
        wrong = self.oracle.wrong[before:]
        self.outcome.said += [f"    WRONG {mistake}" for mistake in wrong[:MOST_SHOWN]]
        if len(wrong) > MOST_SHOWN:
            self.outcome.said.append(f"    and {len(wrong) - MOST_SHOWN} more")

    async def _settle(self) -> None:
        """Wait until everything that was heard is stored."""
        with contextlib.suppress(RollbookError):
            await asyncio.wrap_future(self.book.write(lambda _db: None))

    def _odd(self) -> None:
        for line in self._script:
            parameters = line.fault.parameters
            if line.struck and line.fault.kind == "bad_bytes":
                self.oracle.odd_bytes = True
            elif line.struck and line.fault.kind == "odd_record":
                self.oracle.odd |= {
                    life.id for life in self._lives if falls(life.id, parameters["share"], parameters["seed"])
                }

    def _wait(self, step: Step) -> None:
        left = step.seconds
        while left > 0:
            self.pass_(min(left, 600.0))
            self.simulator._act(self.simulator.faults.due(self.simulator.now()))
            left -= 600.0

    def _jump(self, step: Step) -> None:
        self._offset = step.seconds
        self.oracle.clock_errors.add(timedelta(seconds=step.seconds))

    def _change(self, step: Step) -> None:
        """What has ended is corrected afterwards."""
        now = self.simulator.now()
        for life in self.simulator.world.conversations:
            if life.final <= now and self._draw.random() < step.seconds:
                life.revise(now, rewritten(life.view(now), self._draw))

    def _forget(self, step: Step) -> None:
        for life in list(self.simulator.world.conversations):
            if life.visible(self.simulator.now()) and self._draw.random() < step.seconds:
                self.simulator.world.forget(life.id)

    async def _reconcile(self, step: Step) -> str:
        self._asked = 0
        began, events = self.simulator.now(), list(self._events)
        struck = self._struck()
        if step.name == "both":
            works = [
                self._work(replace(step, name="due", fresh=False)),
                self._work(replace(step, name="hand", fresh=True)),
            ]
        else:
            works = [self._work(step)]
        tasks = []
        for number, work in enumerate(works):
            _PROGRAM.set(number)
            tasks.append(asyncio.create_task(work))
        _PROGRAM.set(0)
        if step.crash is not None:
            how = "cancel" if step.name == "both" else step.crash[1]
            self._dies = step.crash[0], how, tasks[0]
        copies = self._copies
        came = await asyncio.gather(*tasks, return_exceptions=True)
        self._dies = None
        await _cancel_the_rest()
        said = [self._came(end) for end in came]
        if self._copies > copies:
            self.book.close()
            self.path = self._folder / f"{self._copies}.db"
            self.api = self._connection()
            self.book = self._open(self.api)
        clean = said == [""] and step.name == "due" and not step.narrow and step.crash is None
        if clean and struck == self._struck() and self.plan.offset == 0 and not self._clocks_jump:
            self.oracle.followed(began, events)
        return "; ".join(line for line in said if line)

    @property
    def _clocks_jump(self) -> bool:
        return any(step.name == "clock" and step.seconds for step in self.plan.steps)

    def _struck(self) -> int:
        return sum(line.struck for line in self.simulator.faults._lines)

    def _came(self, end: BaseException | str) -> str:
        if not isinstance(end, BaseException):
            return end
        name = type(end).__name__
        if isinstance(end, Exception) and not isinstance(end, RollbookError):
            name = f"unforeseen {name}"
            where = traceback.extract_tb(end.__traceback__)[-1]
            self.outcome.errors[f"{name} ({Path(where.filename).name}:{where.lineno})"] += 1
            return f"{name} in {Path(where.filename).name}:{where.lineno}: {str(end)[:200]}"
        self.outcome.errors[name] += 1
        return f"{name}: {str(end)[:200]}"

    async def _work(self, step: Step) -> str:
        """What a program does: the one that runs for long, or one of its own."""
        api = self._connection() if step.fresh else self.api
        await api.organization()
        if not step.fresh:
            return await self._run(step, self.book, api)
        book = self._open(api)
        try:
            return await self._run(step, book, api)
        finally:
            book.close()

    async def _run(self, step: Step, book: Book, api: Api) -> str:
        via: Any = step.via
        settings, now = self.settings, api.now
        if step.name == "due":
            how = Round(command="daemon", via=via, wait=0, sleep=self.sleep, at_once=step.at_once)
            report = await run_due(book, api, settings, now=now, how=how)
            for _, error in report.errors:
                self.outcome.errors["of a window"] += 1
                return str(error)[:200]
            return ""
        passed = int((now() - self.plan.start).total_seconds() - 5)
        first, last = (self.plan.start + timedelta(seconds=int(passed * part)) for part in step.interval)
        if last <= first:
            return ""
        only = None
        if step.only == "inbound":
            predicate = {"dimension": "originatingDirection", "operator": "matches", "value": "inbound"}
            only = {"conversationFilters": [{"type": "and", "predicates": [{"type": "dimension", **predicate}]}]}
        await reconcile_window(
            book,
            api,
            Interval(first, last),
            settings=replace(settings, ended_only=step.only == "ended", filter=only or settings.filter),
            now=now,
            options=RunOptions(via=via, wait=0, sleep=self.sleep),
        )
        return ""


async def _cancel_the_rest() -> None:
    """What a step left running is over: its process is."""
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    if rest:
        await asyncio.gather(*rest, return_exceptions=True)


_made: dict[int, Path] = {}


def _template() -> Path:
    """A new store, made once a process."""
    pid = os.getpid()
    if pid not in _made:
        folder = Path(tempfile.mkdtemp(prefix="rollbook-worlds-", dir=_memory()))
        Book.open(folder / "rollbook.db").close()
        _made[pid] = folder / "rollbook.db"
    return _made[pid]


def _memory() -> Path | None:
    return _MEMORY if os.access(_MEMORY, os.W_OK) else None


def _forget_locks(folder: Path) -> None:
    """A process keeps the lock file of each store open for as long as it lives: thousands are too many."""
    for path in [path for path in locks._files if folder in path.parents]:
        os.close(locks._files.pop(path)._fd)


def play(plan: Plan) -> Outcome:
    """Play a world to its end."""
    with tempfile.TemporaryDirectory(prefix="rollbook-world-", dir=_memory()) as folder:
        world = World(plan, Path(folder).resolve())
        try:
            asyncio.run(world.play())
        except Exception as error:
            raise RuntimeError(f"the world of seed {plan.seed} cannot be played: {error!r}") from error
        finally:
            forget_handlers()
        return world.outcome


# Many


def _play_seed(seed: int) -> Outcome:
    logging.disable(logging.CRITICAL)
    return play(plan(seed))


def _outcomes(seeds: range, at_once: int) -> Iterator[Outcome]:
    if at_once == 1 or len(seeds) == 1:
        yield from map(_play_seed, seeds)
        return
    with multiprocessing.Pool(at_once, maxtasksperchild=200) as pool:
        yield from pool.imap_unordered(_play_seed, seeds)


@dataclass
class Totals:
    """What many worlds came to."""

    worlds: int = 0
    proven: Counter[str] = field(default_factory=Counter)
    verdict_counts: Counter[str] = field(default_factory=Counter)
    wrongly: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)
    struck: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    requests: int = 0

    def add(self, outcome: Outcome) -> None:
        """One more."""
        self.worlds += 1
        self.requests += outcome.requests
        for mine, theirs in (
            (self.proven, outcome.verdicts),
            (self.verdict_counts, outcome.verdict_counts),
            (self.excused, outcome.excused),
            (self.struck, outcome.struck),
            (self.errors, outcome.errors),
            (self.wrongly, outcome.wrongly),
        ):
            mine.update(theirs)

    def lines(self, seconds: float) -> list[str]:
        """As they are printed."""
        failed = self.proven["failed"]
        proven = sum(self.proven[verdict] for verdict in PROVEN)
        said = ", ".join(f"{self.proven[verdict]} {verdict}" for verdict in PROVEN)
        excused = [f"  excused {count}: {name} ({EXCUSES[name]})" for name, count in self.excused.most_common()]
        return [
            f"{self.worlds} worlds, {self.requests} requests, {seconds:.0f} s"
            f" ({seconds / max(self.worlds, 1):.2f} s a world)",
            f"windows proven {proven} ({said}), failed {failed}, PROVEN WRONGLY {self.wrongly.total()}",
            *(f"  {count} {how}" for how, count in self.wrongly.most_common()),
            f"at the end: {dict(self.verdict_counts.most_common())}",
            *excused,
            f"faults that struck: {dict(self.struck.most_common())}",
            f"runs that ended with an error: {dict(self.errors.most_common())}",
        ]


def main() -> None:
    """As the module's text says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=100)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--at-once", type=int, default=1, help="how many run beside each other")
    parser.add_argument("-v", "--verbose", action="store_true")
    given = parser.parse_args()
    began, totals = time.monotonic(), Totals()
    for outcome in _outcomes(range(given.seed, given.seed + given.count), given.at_once):
        totals.add(outcome)
        if outcome.wrong:
            print(f"seed {outcome.seed}: {outcome.wrongly.total()} proven wrongly; {outcome.wrong[0]}", flush=True)
        if given.verbose:
            print(plan(outcome.seed), *outcome.said, sep="\n", flush=True)
        elif totals.worlds % 500 == 0:
            print(f"... {totals.worlds} worlds, {totals.wrongly.total()} proven wrongly", flush=True)
    print("\n".join(totals.lines(time.monotonic() - began)))
    sys.exit(1 if totals.wrongly else 0)


if __name__ == "__main__":
    main()
