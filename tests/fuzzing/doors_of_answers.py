"""The platform's answers: bodies by themselves, and whole readings of a simulated organisation whose answers are altered."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from reconcile import verify
from reconcile.names.refresh import refresh
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api import client
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.http import Answer
from rollbook.genesys.api.listing import list_page, whole_list
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.messages.details import content_digest, content_of, parse_page, parse_results
from rollbook.genesys.privacy.policy import STRICT
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.genesys.times import Interval
from rollbook.simulator import Simulator
from rollbook.simulator.rest.analytics.jobs import JobRules
from rollbook.store.book import Book
from tests.fuzzing.doors import Door
from tests.fuzzing.judge import SECRET, Output
from tests.fuzzing.mutations import altered
from tests.helpers.wire import Organisation, Wire

START: Final = datetime(2026, 3, 2, 10, tzinfo=UTC)
HALF: Final = Interval(START, START + timedelta(minutes=30))


class _Answers:
    """An organisation without sockets, and the bodies that it has answered with."""

    def __init__(self) -> None:
        self.simulator = Simulator(
            seed=3, start=START, rate=0, per_hour=16, rate_limit=100_000, job_rules=JobRules(seconds=0)
        )
        self.simulator.clock.advance(timedelta(days=8))
        self.simulator.world.grow(START + timedelta(hours=1))
        self.organisation = Organisation(self.simulator, page=100)
        self.bodies: dict[str, bytes] = {}
        self.passed = 0.0
        self.alter: Callable[[str, Answer], Answer] = lambda _path, answer: answer

    def settings(self, path: Path) -> Settings:
        env = {
            "GENESYSCLOUD_API_URL": "http://127.0.0.1:9",
            "GENESYSCLOUD_LOGIN_URL": "http://127.0.0.1:9",
            "GENESYSCLOUD_CLIENT_ID": "simulated-client",
            "GENESYSCLOUD_CLIENT_SECRET": SECRET,
        }
        made = load(env=env, cwd=path)
        return replace(made, client_id=self.simulator.client_id, client_secret=Secret(self.simulator.client_secret))

    async def sleep(self, seconds: float) -> None:
        self.passed += max(seconds, 0.0)
        await asyncio.sleep(0)

    def api(self, settings: Settings) -> Api:
        made = Api(
            settings, clock=lambda: self.passed, sleep=self.sleep, random=random.Random(1), now=self.simulator.now
        )
        answers = self

        class Altering(Wire):
            async def request(self, method: str, url: str, **how: Any) -> Answer:
                answers.passed += 0.05
                if answers.passed > 50_000:
                    raise AssertionError("it asks for ever")
                answer = await super().request(method, url, **how)
                answers.bodies.setdefault(url.split("?")[0], answer.body)
                return answers.alter(url, answer)

        async def nothing(_: str) -> None:
            return None

        wire = Altering(self.organisation, nothing)
        made._http = made._sign_in._http = wire  # type: ignore[assignment]
        return made


async def _reading(answers: _Answers, book: Book, settings: Settings, way: str) -> None:
    options = RunOptions(sleep=answers.sleep, via="job" if way == "job" else "query")
    async with answers.api(settings) as api:
        if way == "names":
            await refresh(book, api, now=answers.simulator.now)
        elif way == "verify":
            await verify.verify(api, book, HALF)
        elif way == "topics":
            await api.available_topics()
            channel = await api.create_channel()
            await api.subscribe(channel, ["v2.routing.queues.a.conversations"], replace=True)
            await api.subscriptions(channel)
            await api.channels()
        else:
            await reconcile_window(book, api, HALF, settings=settings, now=answers.simulator.now, options=options)


WAYS: Final = ("query", "job", "names", "verify", "topics")


@contextlib.contextmanager
def platform_door(folder: Path) -> Iterator[Door]:
    """Readings by query and by job, lists of names, counts and channels, of which some answers are altered."""
    answers = _Answers()
    settings = answers.settings(folder)
    number = 0
    book: Book | None = None

    def put(draw: random.Random) -> Output | None:
        nonlocal number, book
        if number % 100 == 0:
            if book is not None:
                book.close()
            path = folder / f"platform{number}.db"
            redactor = Redactor(STRICT) if number % 200 else None
            book = Book.open(path, organization=_organization(answers), redactor=redactor)
        number += 1
        share = draw.choice((0.1, 0.3, 1.0))
        known = list(answers.bodies.values())

        def alter(_: str, answer: Answer) -> Answer:
            if draw.random() >= share:
                return answer
            if draw.random() < 0.15:
                status = draw.choice((200, 204, 301, 400, 401, 403, 404, 408, 409, 413, 429, 500, 502, 503, 504, 599))
                answer = replace(answer, status=status)
            if draw.random() < 0.1:
                name = draw.choice(("Retry-After", "Date", "inin-ratelimit-count", "inin-ratelimit-reset"))
                value = draw.choice(("", "-1", "nan", "1e400", "inf", "9" * 400, "x", "Wed, 21 Oct 9999 07:28:00 GMT"))
                answer = replace(answer, headers={**answer.headers, name: value})
            return replace(answer, body=altered(answer.body, draw, known))

        answers.alter, answers.passed = alter, 0.0
        try:
            asyncio.run(_reading(answers, book, settings, draw.choice(WAYS)))
        finally:
            answers.alter = lambda _path, answer: answer
        return None

    try:
        yield Door("platform", put, share=3)
    finally:
        if book is not None:
            book.close()


def _organization(answers: _Answers) -> tuple[str, str]:
    found = answers.simulator.world.organization
    return str(found["id"]), str(found["name"])


@contextlib.contextmanager
def answers_door(folder: Path) -> Iterator[Door]:
    """Bodies of answers, by each function that reads one."""
    answers = _Answers()
    settings = answers.settings(folder)
    with Book.open(folder / "answers.db", organization=_organization(answers)) as book:
        for way in WAYS:
            with contextlib.suppress(RollbookError):
                asyncio.run(_reading(answers, book, settings, way))
    bodies = [body for body in answers.bodies.values() if body]
    redactor = Redactor(STRICT)
    readers: list[Callable[[bytes], Any]] = [
        partial(_rows, parse_page),
        partial(_rows, parse_results),
        partial(_rows, partial(parse_page, redact=redactor.record)),
        partial(_rows, partial(parse_results, redact=redactor.record)),
        partial(list_page, first=True),
        partial(list_page, first=False),
        whole_list,
        client._organization,
        client._retention_days,
        lambda body: verify.in_cells(client._aggregates(body)),
        lambda body: verify.counted(client._aggregates(body)),
        client._job,
        client._job_id,
        client._new_channel,
        redactor.payload,
        lambda body: content_of(body),
    ]

    def put(draw: random.Random) -> None:
        body = altered(draw.choice(bodies), draw, bodies)
        with contextlib.suppress(ValueError):
            draw.choice(readers)(body)

    yield Door("answers", put)


def _rows(parse: Callable[[bytes], Any], body: bytes) -> None:
    for row in parse(body).rows:
        if not row.broken:
            with contextlib.suppress(ValueError):
                content_digest(row.record)
        repr(row.typed)
