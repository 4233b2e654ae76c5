"""For tests of the proof: an organisation whose single answers are wrong, a scene to play them in, and a judge.

The organisation is that of `organisation.py`, with the truth that a test gives it. What it answers can be altered by
page, by look-up and by page of a job's results, as bytes, before the product reads it: so a test says what came over
the wire, and not what the product should make of it. An answer that the product finds broken is asked for again, as
the client does over HTTP. The judge (`wrong`) knows the ledger, the store and the truth, and nothing of how the product
works.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web

from reconcile.due.rounds import Round, run_due
from reconcile.report import DueReport, Report
from reconcile.run.options import RunOptions, RunTask
from reconcile.run.runner import run
from rollbook.genesys.api.client import Api, DetailsJob
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.errors import ApiError, RollbookError, Unavailable
from rollbook.genesys.messages.details import DetailRow, DetailsPage, parse_page, parse_results
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import events, windows
from tests.helpers.organisation import START, Clock, Organisation, Record, heard_of, read_window
from tests.helpers.peek import peek

Answer = dict[str, Any]
# What is said instead of an honest answer: made from it, or None where it stays.
Lie = Callable[[Answer], Any]
# How often the client asks again where an answer is broken.
TRIES: Final = 6


def nothing(_honest: Answer) -> Answer:
    """Not even a name."""
    return {}


def no_rows(_honest: Answer) -> Answer:
    """A page like any other."""
    return {"conversations": [], "totalHits": 0}


ERROR_BODIES: Final[Mapping[str, Lie]] = {
    "the platform's": lambda _: {"message": "The service is unavailable", "code": "service.unavailable", "status": 503},
    "a list of errors": lambda _: {"errors": [{"code": "internal"}]},
    "a gateway's": lambda _: {"message": "Endpoint request timed out"},
    "one word": lambda _: {"error": "timeout"},
}
EMPTY: Final[Mapping[str, Lie]] = {"{}": nothing, "no rows": no_rows, **ERROR_BODIES}


def without(*ids: str) -> Lie:
    """The same answer without some of its rows, and a total that goes with that."""

    def lie(honest: Answer) -> Answer:
        rows = honest.get("conversations", [])
        left = [row for row in rows if row["conversationId"] not in ids]
        total = {"totalHits": honest["totalHits"] - len(rows) + len(left)} if "totalHits" in honest else {}
        return {**honest, "conversations": left, **total}

    return lie


def shifted(record: Record, **more: Any) -> Record:
    """The same conversation, later: rewritten in some of its fields."""
    return json.loads(json.dumps(record)) | more  # type: ignore[no-any-return]


class Liar(Organisation):
    """It lies where a test says so.

    pages, lookups, results: the n-th answer of the details query, by id, of a job's results (the first is 1) → a lie.
    each_page: asked for every page with the body of the request and the honest answer; None lets it stand.
    each_lookup: the same with the ids. sees: the divisions that the client can see; None: all. hides: the n-th
    question for them → the error that it meets. listed: what the query answers with although it does not overlap.
    before_lookup: what happens before the n-th look-up. refuse_ids: raises for ids that it will not take.
    """

    def __init__(self, *records: Record, **how: Any) -> None:
        super().__init__(*records, **how)
        self.pages: dict[int, Lie] = {}
        self.lookups: dict[int, Lie] = {}
        self.results: dict[int, Lie] = {}
        self.each_page: Callable[[Mapping[str, Any], Answer], Any] = lambda _body, _honest: None
        self.each_lookup: Callable[[Sequence[str], Answer], Any] = lambda _ids, _honest: None
        self.sees: frozenset[str] | None = None
        self.divisions_there: tuple[str, ...] = ("d1", "d2", "d3")
        self.hides: dict[int, ApiError] = {}
        self.listed: set[str] = set()
        self.before_lookup: dict[int, Callable[[Liar], None]] = {}
        self.refuse_ids: Callable[[Sequence[str]], None] = lambda _: None
        self.division_questions = self.looked_up = self.results_read = self.jobs_made = 0
        self.page_of_job: Callable[[Liar, int], None] = lambda _org, _page: None
        self.platform: Callable[[], datetime] | None = None

    # What it knows

    def now(self) -> datetime:
        """The platform's time, as the `Date` of its answers says it."""
        assert self.platform is not None
        return self.platform()

    def visible(self) -> dict[str, Record]:
        """The truth, as far as the client's divisions go."""
        return {known: row for known, row in self.truth.items() if self._seen(row)}

    def _seen(self, row: Record) -> bool:
        return self.sees is None or not self.sees.isdisjoint(row.get("divisionIds", ("d1",)))

    def _matching(self, body: Mapping[str, Any]) -> list[Record]:
        start, end = (from_text(part) for part in body["interval"].split("/"))
        rows = {row["conversationId"]: row for row in super()._matching(body)}
        for known in self.listed & self.truth.keys():
            if not body.get("conversationFilters") and start <= from_text(self.truth[known]["conversationStart"]) < end:
                rows[known] = self.truth[known]
        seen = [row for row in rows.values() if self._seen(row)]
        return sorted(seen, key=lambda row: (row["conversationStart"], row["conversationId"]))

    # What it says

    async def _said(
        self, answer: Callable[[], Any], parse: Callable[[bytes], DetailsPage], tries: int | None
    ) -> DetailsPage:
        """What the client makes of an answer: one that is broken is asked for again."""
        for _ in range(tries or TRIES):
            await asyncio.sleep(0)
            said = answer()
            try:
                return parse(said if isinstance(said, bytes) else json.dumps(said).encode())
            except ValueError as error:
                broken = error
        raise Unavailable(f"the platform's answer is broken ({broken}); try again later", status=200)

    async def query_details(self, body: Mapping[str, Any], tries: int | None = None, **_: Any) -> DetailsPage:
        """One page of the details query."""
        return await self._said(lambda: self._page_of(body), parse_page, tries)

    def _page_of(self, body: Mapping[str, Any]) -> Any:
        some, honest = self._queried(body, min(self.size, body["paging"]["pageSize"]))
        query = len(self.bodies)
        said = self.pages[query](honest) if query in self.pages else self.each_page(body, honest)
        return said if said is not None else honest if some else {}

    async def details_by_id(self, ids: Sequence[str], tries: int | None = None, **_: Any) -> list[DetailRow]:
        """Details by id."""
        page = await self._said(lambda: self._by_id(ids), parse_page, tries)
        return list(page.rows)

    def _by_id(self, ids: Sequence[str]) -> Any:
        self.asked += ids
        self.looked_up += 1
        if move := self.before_lookup.get(self.looked_up):
            move(self)
        self.refuse_ids(ids)
        known = [self.truth[asked] for asked in ids if asked in self.truth and asked not in self.unknown]
        honest: Answer = {"conversations": [row for row in known if self._seen(row)]}
        said = self.lookups[self.looked_up](honest) if self.looked_up in self.lookups else self.each_lookup(ids, honest)
        return honest if said is None else said

    async def divisions(self, **_: Any) -> list[Entity]:
        """What the client sees."""
        self.division_questions += 1
        if (error := self.hides.get(self.division_questions)) is not None:
            raise error
        return [Entity(name, name) for name in self.divisions_there if self.sees is None or name in self.sees]

    async def create_job(self, body: Mapping[str, Any], **_: Any) -> str:
        """A job, done at once: its rows are those of this moment."""
        self.jobs_made += 1
        job = f"job {self.jobs_made}"
        self._jobs[job] = {**body, "rows": self._matching(body), "watermark": self.watermark}
        return job

    async def job(self, job_id: str, **_: Any) -> DetailsJob:
        """Its state."""
        return DetailsJob(job_id, "FULFILLED", None)

    async def job_results(
        self, job_id: str, cursor: str | None = None, size: int | None = None, tries: int | None = None, **_: Any
    ) -> DetailsPage:
        """A page of its rows."""
        return await self._said(lambda: self._results_of(job_id, cursor, size), parse_results, tries)

    def _results_of(self, job_id: str, cursor: str | None, size: int | None) -> Any:
        self.results_read += 1
        self.page_of_job(self, self.results_read)
        job, first, size = self._jobs[job_id], int(cursor or 0), min(self.size, size or self.size)
        honest: Answer = {
            "conversations": job["rows"][first : first + size],
            "dataAvailabilityDate": job["watermark"],
        } | ({"cursor": str(first + size)} if first + size < len(job["rows"]) else {})
        said = self.results[self.results_read](honest) if self.results_read in self.results else None
        return honest if said is None else said

    async def cancel_job(self, job_id: str, **_: Any) -> None:
        """Take it back."""
        self._jobs.pop(job_id, None)


@dataclass
class Scene:
    """A store, a clock, an organisation that may lie, and the settings of every run."""

    path: Path
    book: Book
    clock: Clock
    org: Liar
    settings: Settings
    trouble: list[str] = field(default_factory=list)

    async def by_hand(self, window: Interval, **more: Any) -> Report:
        """One window, as `--window` reads it."""
        narrowed = {name: more.pop(name) for name in ("filter", "ended_only") if name in more}
        wanted = replace(more.pop("settings", self.settings), **narrowed)
        return await read_window(self.book, self.org, window, self.clock, wanted, **more)

    async def try_by_hand(self, window: Interval, **more: Any) -> Report | None:
        """The same; None where the run ends with an error that the command would tell."""
        try:
            return await self.by_hand(window, **more)
        except RollbookError as error:
            self.trouble.append(str(error))
            return None

    async def due(self, **changed: Any) -> DueReport | None:
        """One round over what is due, as a daemon makes it, and what stands then is judged.

        None where the round ends with an error that the daemon would tell, and try again.
        """
        how = Round(
            **{name: changed.pop(name) for name in ("many", "stop", "rest", "at_once") if name in changed},
            wait=0,
            sleep=self.clock.sleep,
        )
        settings = Settings(**(_given(self.settings) | changed))
        try:
            return await run_due(self.book, self.org, settings, now=self.clock.now, how=how)  # type: ignore[arg-type]
        except RollbookError as error:
            self.trouble.append(str(error))
            return None

    async def rounds(self, *minutes: float, judged: bool = True, **changed: Any) -> None:
        """A round at each of these times (minutes after ten); after each the claims must be true.

        A run that waits moves the clock, so a time may have passed already: then the round is made at once.
        """
        for minute in minutes:
            self.clock.at = max(self.clock.at, START + timedelta(minutes=minute))
            await self.due(**changed)
            if judged:
                assert self.wrong() == [], f"after the round at minute {minute}"

    def hear(self, conversation_id: str, **more: Any) -> None:
        """Live capture hears of a conversation (`heard_of`)."""
        self.book.write(events.record, [heard_of(conversation_id, **more)], self.book.lag).result(10)

    async def settle(self, window: Interval) -> list[Report]:
        """The reading of a round that settles a window."""
        task = RunTask(
            windows=[window],
            settings=self.settings,
            now=self.clock.now,
            options=RunOptions(command="due", wait=0, sleep=self.clock.sleep),
        )
        return await run(task, self.book, cast(Api, self.org), settle=True)

    # What the store says

    def rows(self, query: str, *values: Any) -> list[Any]:
        """An answer of the store."""
        return peek(self.book, lambda db: db.execute(query, values).fetchall())

    def stored(self) -> dict[str, Record]:
        """Every conversation that has details."""
        query = "SELECT conversation_id, details FROM conversations WHERE details IS NOT NULL"
        return {known: json.loads(text) for known, text in self.rows(query)}

    def verdict(self, window: Interval, filter: str = "") -> str | None:
        """What the ledger says of a window."""
        row = peek(self.book, windows.find, to_text(window.start), to_text(window.end), filter)
        return row.verdict if row else None

    def claims(self) -> dict[str, str]:
        """Every window without a filter whose verdict is better than failed: its interval → the verdict."""
        found = self.rows(
            "SELECT start, \"end\", verdict FROM windows WHERE filter = '' AND verdict IN ('open', 'complete', 'settled')"
        )
        return {f"{start}/{end}": verdict for start, end, verdict in found}

    def wrong(self, *, content: bool = False, only: Sequence[str] = ("open", "complete", "settled")) -> list[str]:
        """What the ledger claims and is not so: no verdict better than `failed` where the truth is another.

        content: the records must be the same too, and not only be there (what changed since may not be known yet).
        """
        found, stored = [], self.stored()
        for text, verdict in self.claims().items():
            if verdict not in only:
                continue
            start, end = text.split("/")
            truth = {known: row for known, row in self.org.truth.items() if start <= row["conversationStart"] < end}
            lacking = sorted(truth.keys() - stored.keys())
            if lacking:
                found.append(f"{text} is {verdict}, and lacks {len(lacking)} of {len(truth)}: {lacking[:5]}")
            elif content and (stale := [known for known, row in truth.items() if stored[known] != row]):
                found.append(f"{text} is {verdict}, and {len(stale)} of {len(truth)} are not as they are: {stale[:5]}")
            elif verdict != "open" and (going := self._end_is_not_read(truth, stored)):
                found.append(f"{text} is {verdict}, and the details of {going[:5]} have no end yet")
        return found

    def _end_is_not_read(self, truth: Mapping[str, Record], stored: Mapping[str, Record]) -> list[str]:
        """Conversations that are to end or have ended, and whose details do not say so: they hold a window open."""
        waited = dict(self.rows("SELECT conversation_id, followed FROM conversations"))
        return [known for known in truth if "conversationEnd" not in stored[known] and not waited.get(known)]


def _given(settings: Settings) -> dict[str, Any]:
    """What a test has set, so that a round may have other settings beside it."""
    default = Settings()
    return {
        name: getattr(settings, name)
        for name in ("width", "lag", "settle_after", "stuck_after", "since", "ended_only", "filter")
        if getattr(settings, name) != getattr(default, name)
    }


@contextmanager
def scene_at(path: Path, *records: Record, size: int = 3, reading: str = "overlap", **chosen: Any) -> Iterator[Scene]:
    """A new store, and an organisation with these conversations; chosen: settings. The clock stands at eleven."""
    clock = Clock()
    file = path / "rollbook.db"
    settings = Settings(**chosen)
    with Book.open(file) as book:
        org = Liar(*records, size=size, reading=reading)
        org.platform = clock.now
        yield Scene(file, book, clock, org, settings)


def runs(path: Path) -> list[dict[str, Any]]:
    """Every run of the ledger, oldest first."""
    connection = sqlite3.connect(path)
    try:
        cursor = connection.execute("SELECT * FROM window_runs ORDER BY run_id")
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]
    finally:
        connection.close()


async def stopped(work: Any) -> None:
    """What is asked to stop does so: it says that it was stopped, or has nothing to say."""
    from reconcile.reading.query import Stopped

    with suppress(Stopped, RollbookError):
        await work


class LyingSimulator(Simulator):
    """The organisation over HTTP, whose answers can be others, and bear the time of its own clock.

    says: asked with the request before it is answered; what it answers is the body, with status 200; None: the truth.
    """

    says: Callable[[web.Request], Any] = staticmethod(lambda _: None)

    @web.middleware
    async def _gate(self, request: web.Request, handler: Any) -> web.StreamResponse:
        said = self.says(request)
        answer = await super()._gate(request, handler) if said is None else web.json_response(said)
        answer.headers["Date"] = format_datetime(self.now(), usegmt=True)
        return answer

    def differ(self, by: timedelta) -> None:
        """Its clock is so much ahead of this machine's from now on."""
        self.clock.advance(datetime.now(UTC) + by - self.now())
