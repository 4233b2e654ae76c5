"""A person of a simulated organisation, erased: the proof of the hour holds, and reading it again brings nobody back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconcile import verify
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.erasure import remains, request
from rollbook.store.erasure.person import Person
from rollbook.store.file.copying import Manner

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = Interval(START, START + timedelta(hours=1))
# Of the platform's details, written down here from its models, not from the product.
PERSONAL = {
    *("ani", "addressFrom", "addressTo", "addressOther", "participantName", "callbackNumbers", "callbackUserName"),
    *("remote", "remoteNameDisplayable", "wrapUpNote", "subject", "externalContactId", "journeyCustomerId"),
}


def personal(node: Any, name: str = "") -> Iterator[str]:
    """The texts of a record's personal fields and attributes."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from personal(value, "ani" if name == "attributes" else key)
    elif isinstance(node, list):
        for each in node:
            yield from personal(each, name)
    elif name in PERSONAL and isinstance(node, str) and len(node) > 5:
        yield node


async def test_proofs_hold_and_nobody_comes_back(tmp_path: Path) -> None:
    """The hour is read, a caller erased, the hour read again twice, by query and by a job; `verify` agrees."""
    simulator = Simulator(seed=11, start=START, rate=0, per_hour=60, rate_limit=100_000)
    store = tmp_path / "rollbook.db"
    async with simulator:
        simulator.clock.advance(timedelta(days=8))
        simulator.world.grow(START + timedelta(hours=1))
        truth = simulator.truth(HOUR.start, HOUR.end)
        often = Counter(text for record in truth.values() for text in set(personal(record)))
        hers = next(
            record
            for record in truth.values()
            for session in record["participants"][0]["sessions"]
            if session.get("ani", "").startswith("tel:") and often[session["ani"]] == 1
        )
        number = next(each["ani"] for each in hers["participants"][0]["sessions"] if "ani" in each)
        canaries = {text for text in personal(hers) if often[text] == 1}
        settings = load(env={**simulator.env, "ROLLBOOK_PACK": "none"}, cwd=tmp_path)
        reports = []

        async def run(book: Book, api: Api) -> None:
            options = RunOptions(sleep=lambda _: asyncio.sleep(0))
            reports.append(
                await reconcile_window(book, api, HOUR, settings=settings, now=simulator.now, options=options)
            )

        async with Api(settings, now=simulator.now) as api:
            with Book.open(store, organization=("o", "O"), pack="none") as book:
                await run(book, api)
            assert all(text.encode() in store.read_bytes() for text in canaries)

            def erase() -> request.Forgotten:
                with Book.open(store, pack="none") as book:
                    done = request.forget(book, Person(phones=[number]), to_text(simulator.now()), by="dpo")
                assert not remains.remove(store, done.found, to_text(simulator.now()), Manner(), journal="wal")
                return done

            done = await asyncio.to_thread(erase)
            assert list(done.found.conversations) == [hers["conversationId"]]
            with Book.open(store, pack="none") as book:
                await run(book, api)
                await run(book, api)
                assert (await verify.verify(api, book, HOUR)).equal
                gaps = await book.read(lambda db: db.execute("SELECT count(*) FROM gaps").fetchone())
    first, *again = reports
    assert first.verdict == "complete"
    assert all((each.verdict, each.written, each.changed) == ("complete", 0, 0) for each in again)
    assert gaps == (len(truth),)
    found = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert [text for text in canaries if text.encode() in found] == []
