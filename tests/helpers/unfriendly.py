"""A platform over HTTP on loopback that can misbehave: a truth in memory, honest answers, and hooks that spoil them.

It is the tests' own reading of the platform's rules and shares no code with the simulator. Every answer has a `Date` of
the platform's clock. A test says what an answer becomes (`spoil`), and finds in `asked` what was asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from aiohttp import web

from reconcile.due.rounds import Round, run_due
from reconcile.report import DueReport, Report
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api import http
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.http import Http
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.program.settings import Secret, Settings
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.tables import events
from rollbook.store.tables import windows as windows_table
from rollbook.store.tables.windows import WindowRow
from rollbook.store.vocabulary import PROVEN
from tests.helpers.organisation import START, Clock, Record
from tests.helpers.peek import peek

HALF = timedelta(minutes=30)
QUEUE = "a1b2c3d4-1111-4222-8333-000000000001"
_DETAILS = "/api/v2/analytics/conversations/details"
_LISTS = {
    "/api/v2/routing/queues": "queues",
    "/api/v2/users": "users",
    "/api/v2/authorization/divisions": "divisions",
}


def conversation(number: int) -> str:
    """The id of a conversation, of the platform's form."""
    return f"7c1f0d6e-52f1-4c1b-9a6c-{number:012d}"


@dataclass(slots=True)
class Asked:
    """One request. number: it is the n-th of its kind, from 1. target: path and query as they were sent."""

    kind: str
    number: int
    target: str
    query: Mapping[str, str]
    body: Any

    @property
    def interval(self) -> Interval:
        """What a query or a job asks for."""
        return _interval(self.body)

    @property
    def page(self) -> int:
        """Which page, from 1."""
        if isinstance(self.body, dict):
            return int(self.body["paging"]["pageNumber"])
        return int(self.query.get("pageNumber", 1))

    @property
    def ids(self) -> list[str]:
        """The ids that details are asked for."""
        return [conversation_id for conversation_id in self.query.get("id", "").split(",") if conversation_id]


@dataclass(slots=True)
class Answer:
    """What is answered. body: bytes go out as they are, anything else as JSON.

    trickle: comes after the body, again and again, every so many seconds, and never ends. cut: the connection ends in
    the middle of the body. raw: goes out in place of head and body, without any framing.
    """

    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    trickle: bytes = b""
    every: float = 0.02
    cut: bool = False
    raw: bytes = b""

    @property
    def payload(self) -> bytes:
        """The body's bytes."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


Spoil = Callable[[Asked, Answer], Answer]


class Unfriendly:
    """The platform. now: its clock. reading: whether a query answers what is alive in its interval, or started in it.

    unlisted: what exists and no query answers with. lists: queues, users and divisions, as the platform would list
    them. results_size: the most rows of a page of a job's results.
    """

    def __init__(self, *records: Record, now: Callable[[], datetime], results_size: int = 1000) -> None:
        self.truth: dict[str, Record] = {}
        self.put(*records)
        self.now = now
        self.reading: Literal["overlap", "start"] = "overlap"
        self.unlisted: set[str] = set()
        self.lists: dict[str, list[dict[str, Any]]] = {"queues": [], "users": [], "divisions": [{"id": "d1"}]}
        self.results_size = results_size
        self.asked: list[Asked] = []
        self.counts: Counter[str] = Counter()
        self.url = ""
        self._spoils: list[tuple[str, Spoil]] = []
        self._jobs: dict[str, Mapping[str, Any]] = {}
        self._closing = asyncio.Event()

    def put(self, *records: Record) -> None:
        """Records appear, or are other than they were."""
        self.truth |= {record["conversationId"]: record for record in records}

    def spoil(self, kind: str, what: Spoil) -> None:
        """Change the answers of a kind from now on: sign_in, organization, query, by_id, job, state, results, …"""
        self._spoils.append((kind, what))

    def poison(self, interval: Interval, answer: Answer) -> None:
        """Nothing that touches an interval can be read: neither by a query nor by a job."""
        for kind in ("query", "job"):
            self.spoil(kind, when(touching(interval), answer))

    def behave(self) -> None:
        """Answer honestly again."""
        self._spoils.clear()

    def of(self, kind: str) -> list[Asked]:
        """The requests of a kind."""
        return [asked for asked in self.asked if asked.kind == kind]

    def records(self, interval: Interval) -> dict[str, Record]:
        """What started in an interval."""
        return {
            conversation_id: row
            for conversation_id, row in self.truth.items()
            if interval.contains(row["conversationStart"])
        }

    # The server

    @asynccontextmanager
    async def served(self) -> AsyncIterator[Unfriendly]:
        """Answer on loopback."""
        runner = web.ServerRunner(web.Server(self._handle), shutdown_timeout=0.5)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            self._closing.set()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = await request.read()
        kind = self._kind(request.method, request.path)
        self.counts[kind] += 1
        asked = Asked(
            kind, self.counts[kind], request.raw_path, dict(request.query), json.loads(raw) if raw[:1] == b"{" else None
        )
        self.asked.append(asked)
        answer = self._answer(asked, request.path)
        for of, what in self._spoils:
            if of == kind:
                answer = what(asked, answer)
        return await self._send(request, answer)

    @staticmethod
    def _kind(method: str, path: str) -> str:
        if path == "/oauth/token":
            return "sign_in"
        if path == "/api/v2/organizations/me":
            return "organization"
        if path in _LISTS:
            return _LISTS[path]
        if path == "/api/v2/notifications/channels" and method == "GET":
            return "channels"
        if not path.startswith("/api/v2/analytics/conversations/"):
            return "unknown"
        rest = path.removeprefix(_DETAILS).strip("/").split("/")
        match rest:
            case [""]:
                return "by_id"
            case ["query"]:
                return "query"
            case ["jobs"]:
                return "job"
            case ["jobs", "availability"]:
                return "availability"
            case ["jobs", _]:
                return "cancel" if method == "DELETE" else "state"
            case ["jobs", _, "results"]:
                return "results"
        return "one" if path.endswith("/details") else "unknown"

    async def _send(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        headers = {
            "Date": format_datetime(self.now().replace(microsecond=0), usegmt=True),
            "Content-Type": "application/json",
            **answer.headers,
        }
        payload = answer.payload
        if answer.raw:
            return await self._send_raw(request, answer)
        if not (answer.trickle or answer.cut):
            return web.Response(status=answer.status, body=payload, headers=headers)
        response = web.StreamResponse(status=answer.status, headers=headers)
        if answer.cut:
            response.content_length = len(payload) + 1_000
        with contextlib.suppress(ConnectionError):
            await response.prepare(request)
            await response.write(payload)
            while answer.trickle and not self._closing.is_set():
                await response.write(answer.trickle)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), answer.every)
        if request.transport is not None:
            request.transport.abort()
        return response

    async def _send_raw(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        transport = request.transport
        while transport is not None and not transport.is_closing() and not self._closing.is_set():
            transport.write(answer.raw if answer.raw else answer.trickle)
            answer = replace(answer, raw=b"")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), answer.every)
        if transport is not None:
            transport.abort()
        return web.Response()

    # Honest answers

    def _answer(self, asked: Asked, path: str) -> Answer:
        match asked.kind:
            case "sign_in":
                return Answer(body={"access_token": "token", "token_type": "bearer", "expires_in": 86400})
            case "organization":
                return Answer(body={"id": "c0ffee00-0000-4000-8000-000000000000", "name": "Org"})
            case "channels":
                return Answer(body={"entities": []})
            case "queues" | "users" | "divisions":
                return Answer(body=self._listed(asked))
            case "query":
                paging = asked.body["paging"]
                return Answer(body=_page(self._matching(asked.body), paging["pageNumber"], paging["pageSize"]))
            case "by_id":
                found = [self.truth[conversation_id] for conversation_id in asked.ids if conversation_id in self.truth]
                return Answer(body={"conversations": found} if found else {})
            case "one":
                row = self.truth.get(path.split("/")[-2])
                return missing("conversation") if row is None else Answer(body=row)
            case "availability":
                return Answer(body={"dataAvailabilityDate": to_text(self.now())})
            case "job":
                identity = f"10b00000-0000-4000-8000-{asked.number:012d}"
                self._jobs[identity] = asked.body
                return Answer(status=202, body={"jobId": identity})
            case "state":
                known = path.split("/")[-1] in self._jobs
                return Answer(body={"state": "FULFILLED"}) if known else missing("job")
            case "results":
                return self._results(asked, self._jobs.get(path.split("/")[-2]))
            case "cancel":
                return Answer(status=204, body=b"")
        return missing(path)

    def _listed(self, asked: Asked) -> dict[str, Any]:
        rows, size = self.lists[asked.kind], int(asked.query.get("pageSize", 25))
        first = (asked.page - 1) * size
        return listing(rows[first : first + size], page=asked.page, pages=-(-len(rows) // size), total=len(rows))

    def _matching(self, body: Mapping[str, Any]) -> list[Record]:
        interval = _interval(body)
        start, end = to_text(interval.start), to_text(interval.end)
        found = [
            row
            for conversation_id, row in self.truth.items()
            if conversation_id not in self.unlisted
            and row["conversationStart"] < end
            and (
                row["conversationStart"] >= start
                if self.reading == "start"
                else row.get("conversationEnd", "9") >= start
            )
            and all(
                _holds(row, each) for wanted in body.get("conversationFilters", ()) for each in wanted["predicates"]
            )
        ]
        return sorted(found, key=lambda row: (row["conversationStart"], row["conversationId"]))

    def _results(self, asked: Asked, job: Mapping[str, Any] | None) -> Answer:
        if job is None:
            return missing("job")
        size = min(int(asked.query.get("pageSize", 1000)), self.results_size)
        rows, first = self._matching(job), int(asked.query.get("cursor", "0").partition("-")[0])
        more = {"cursor": str(first + size)} if first + size < len(rows) else {}
        shown = {"conversations": rows[first : first + size]} if rows[first : first + size] else {}
        return Answer(body={**shown, "dataAvailabilityDate": to_text(self.now()), **more})


def _interval(body: Mapping[str, Any]) -> Interval:
    start, end = body["interval"].split("/")
    return Interval(from_text(start), from_text(end))


def _page(rows: list[Record], number: int, size: int) -> dict[str, Any]:
    shown = rows[(number - 1) * size : number * size]
    return {"conversations": shown, "totalHits": len(rows)} if shown else {}


def _holds(row: Record, predicate: Mapping[str, Any]) -> bool:
    value = row.get(predicate["dimension"])
    if predicate.get("operator", "matches") == "matches":
        return bool(value is not None and value == predicate["value"])
    return bool((value is not None) == (predicate["operator"] == "exists"))


def listing(entities: list[dict[str, Any]], *, page: int, pages: int | None, total: int | None) -> dict[str, Any]:
    """A page of a list, as the platform writes it; None: it does not say."""
    counts = {"pageCount": pages, "total": total}
    return {
        "entities": entities,
        "pageNumber": page,
        **{name: count for name, count in counts.items() if count is not None},
    }


def missing(what: str) -> Answer:
    """404, as the platform writes it."""
    return refusal(404, "not.found", f"{what} is not found")


def refusal(status: int, code: str = "internal.server.error", message: str = "It failed.") -> Answer:
    """An error, as the platform writes it."""
    return Answer(status, {"message": message, "code": code, "status": status, "contextId": "c1", "errors": []})


def gateway(status: int) -> Answer:
    """An error of a gateway before the platform: a page for people."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>"
    return Answer(status, page.encode(), {"Content-Type": "text/html"})


# What spoils an answer


def always(answer: Answer) -> Spoil:
    """This answer and no other."""
    return lambda _asked, _honest: replace(answer)


def first(answer: Answer, *, times: int = 1) -> Spoil:
    """This answer for the first requests that it is asked for, the honest one afterwards."""
    left = [times]

    def what(_: Asked, honest: Answer) -> Answer:
        left[0] -= 1
        return honest if left[0] < 0 else replace(answer)

    return what


def when(condition: Callable[[Asked], bool], answer: Answer) -> Spoil:
    """This answer for the requests of a kind that meet a condition."""
    return lambda asked, honest: replace(answer) if condition(asked) else honest


def touching(interval: Interval) -> Callable[[Asked], bool]:
    """Whether a query or a job asks for some of an interval."""
    return lambda asked: asked.interval.start < interval.end and interval.start < asked.interval.end


def too_large(limit: int, answer: Answer) -> Spoil:
    """This answer in place of one that would have more bytes than the limit."""
    return lambda _, honest: replace(answer) if len(honest.payload) > limit else honest


# What a test works with


def half_hour(minute: float) -> Interval:
    """The window that starts so many minutes after ten."""
    begin = START + timedelta(minutes=minute)
    return Interval(begin, begin + HALF)


def snapshot(conversation_id: str, *, connected: str, ended: str | None = None, purpose: str = "customer") -> str:
    """What the platform sends on a queue's topic: a conversation with one participant."""
    times = {"connectedTime": connected} | ({} if ended is None else {"endTime": ended})
    body = {"id": conversation_id, "participants": [{"id": f"{purpose}-{connected}", "purpose": purpose, **times}]}
    return json.dumps({"topicName": f"v2.routing.queues.{QUEUE}.conversations", "version": "2", "eventBody": body})


class _NoDraw(random.Random):
    def random(self) -> float:
        return 0.0


@dataclass
class Scene:
    """A platform, a client of it and a store; one clock for all."""

    path: Path
    platform: Unfriendly
    clock: Clock
    api: Api
    book: Book
    settings: Settings

    async def due(
        self, *, at_once: int = 1, via: Literal["query", "job", "auto"] = "query", **changed: Any
    ) -> DueReport:
        """One round over what is due, as `reconcile --due` makes it."""
        how = Round(at_once=at_once, via=via, wait=0, sleep=self.clock.sleep)
        return await run_due(self.book, self.api, replace(self.settings, **changed), now=self.clock.now, how=how)

    async def by_hand(self, window: Interval, **more: Any) -> Report:
        """One window, as `reconcile --window` reads it."""
        return await reconcile_window(
            self.book,
            self.api,
            window,
            settings=self.settings,
            now=self.clock.now,
            options=RunOptions(sleep=self.clock.sleep, wait=0, **more),
        )

    def later(self, **much: float) -> None:
        """Let time pass."""
        self.clock.at += timedelta(**much)

    def hear(self, *frames: str) -> None:
        """Store notifications, as live capture does."""
        received = to_text(self.clock.now())
        notifications = [parse_frame(frame, source="websocket", received_at=received) for frame in frames]
        assert all(isinstance(notification, Notification) for notification in notifications)
        self.book.write(
            events.record,
            [notification for notification in notifications if isinstance(notification, Notification)],
            self.book.lag,
        ).result()

    # What the store says

    def row(self, window: Interval) -> WindowRow:
        """A window of the ledger."""
        found = peek(self.book, windows_table.find, to_text(window.start), to_text(window.end))
        assert found is not None, f"{window.text} is not in the ledger"
        return found

    def verdicts(self, windows: Iterable[Interval]) -> list[str]:
        """Their verdicts."""
        return [self.row(window).verdict for window in windows]

    def stored(self) -> dict[str, Any]:
        """Every conversation that has details: id → its record, or its bytes if they are no JSON."""
        query = "SELECT conversation_id, details FROM conversations WHERE details IS NOT NULL"
        found: list[tuple[str, Any]] = peek(self.book, lambda db: db.execute(query).fetchall())
        return {conversation_id: _decoded(details) for conversation_id, details in found}

    def ends(self) -> dict[str, str | None]:
        """Every conversation that has details: id → when it ended."""
        query = "SELECT conversation_id, conversation_end FROM conversations WHERE details IS NOT NULL"
        return dict(peek(self.book, lambda db: db.execute(query).fetchall()))

    def assert_failed(self, window: Interval) -> None:
        """The ledger says that a window could not be read: how often it was tried, why, and when it is tried again."""
        row = self.row(window)
        assert row.verdict == "failed"
        assert row.attempts >= 1
        assert row.reason
        assert row.next_try_at is not None
        runs = peek(self.book, windows_table.runs, row.start, row.end)
        assert runs
        assert runs[-1]["reason"]

    def assert_not_wrongly_proven(self, window: Interval) -> None:
        """A window is proven only if the store has all of it; else it failed, and says why."""
        if self.row(window).verdict in PROVEN:
            owned = self.platform.records(window)
            stored = self.stored()
            assert {conversation_id: stored.get(conversation_id) for conversation_id in owned} == owned
            assert self.row(window).owned == len(owned)
        else:
            self.assert_failed(window)


def _decoded(details: Any) -> Any:
    try:
        return json.loads(details)
    except (ValueError, RecursionError):
        return details


@asynccontextmanager
async def scene(
    path: Path, *records: Record, now: datetime = START + timedelta(hours=1), results_size: int = 1000, **changed: Any
) -> AsyncIterator[Scene]:
    """A platform with these records, and an empty store. changed: settings; `since` is ten o'clock."""
    clock = Clock(now)
    async with Unfriendly(*records, now=lambda: clock.at, results_size=results_size).served() as platform:
        settings = client(platform.url, **({"since": START} | changed))
        ticks = partial(_seconds, clock)
        async with Api(settings, clock=ticks, sleep=clock.sleep, random=_NoDraw(), now=clock.now) as api:
            with Book.open(path / "rollbook.db") as book:
                yield Scene(path / "rollbook.db", platform, clock, api, book, settings)


def _seconds(clock: Clock) -> float:
    return clock.at.timestamp()


def client(url: str, **changed: Any) -> Settings:
    """The settings of a client of a platform."""
    return Settings(api_url=url, login_url=url, client_id="client", client_secret=Secret("secret"), **changed)


def environment(url: str) -> dict[str, str]:
    """The same, for a process."""
    return {
        "GENESYSCLOUD_API_URL": url,
        "GENESYSCLOUD_LOGIN_URL": url,
        "GENESYSCLOUD_OAUTHCLIENT_ID": "client",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": "secret",
    }


def limit_answers(patch: pytest.MonkeyPatch, **limits: Any) -> None:
    """Give every request limits that a test can wait for, whoever makes it: the members of `rollbook.genesys.api.http.Limits`."""
    patch.setattr("rollbook.genesys.api.request.Http", lambda *_: Http(http.Limits(**limits)))
