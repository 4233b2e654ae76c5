"""The platform's answers: bodies by themselves, and whole readings of a simulated organisation whose answers are altered."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from reconcile import verify
from reconcile.names.refresh import refresh
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api import client
from rollbook.genesys.api.http import Answer
from rollbook.genesys.api.listing import list_page, whole_list
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.messages.details import content_digest, content_of, parse_page, parse_results
from rollbook.genesys.privacy.policy import STRICT
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval
from rollbook.store.book import Book
from tests.fuzzing.doors import Door
from tests.fuzzing.judge import SECRET, Output
from tests.fuzzing.mutations import altered
from tests.helpers.altered_platform import START, AlteredPlatform

HALF: Final = Interval(START, START + timedelta(minutes=30))


async def _reading(answers: AlteredPlatform, book: Book, settings: Settings, way: str) -> None:
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
    answers = AlteredPlatform()
    settings = answers.settings(folder, SECRET)
    number = 0
    book: Book | None = None

    def put(draw: random.Random) -> Output | None:
        nonlocal answers, number, book, settings
        if number % 100 == 0:
            if book is not None:
                book.close()
                # Jobs whose ids were altered are never asked for again, and an organisation takes so many at a time.
                answers = AlteredPlatform()
                settings = answers.settings(folder, SECRET)
            path = folder / f"platform{number}.db"
            redactor = Redactor(STRICT) if number % 200 else None
            book = Book.open(path, organization=answers.owner, redactor=redactor)
        assert book is not None
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


@contextlib.contextmanager
def answers_door(folder: Path) -> Iterator[Door]:
    """Bodies of answers, by each function that reads one."""
    answers = AlteredPlatform()
    settings = answers.settings(folder, SECRET)
    with Book.open(folder / "answers.db", organization=answers.owner) as book:
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
