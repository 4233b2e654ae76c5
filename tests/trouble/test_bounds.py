"""What never ends: cursors that stand still, answers that trickle, bodies without end. All of it has a bound.

Each case is a public report of somebody who reads the platform, or another member of its kind. Limits that are minutes
and megabytes are made such that a test can wait for them (`limit_answers`); what a limit must be is tested elsewhere.
"""

import asyncio
import contextlib
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.daemon.daemon import Daemon, Options
from realtime.daemon.health import judge
from realtime.websocket.channel_states import Timings
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.times import Interval
from rollbook.store.tables import windows as windows_table
from rollbook.store.vocabulary import PROVEN
from tests.helpers.organisation import START, WINDOW, record
from tests.helpers.unfriendly import (
    Answer,
    Asked,
    Scene,
    Spoil,
    Unfriendly,
    always,
    client,
    conversation,
    environment,
    half_hour,
    limit_answers,
    listing,
    scene,
    when,
)
from tests.helpers.whole import finish, start, until

MEGABYTE = 1 << 20
# Seconds after which a test calls a thing endless: many times what the limits below allow.
PATIENCE = 7


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Scene]:
    """A platform and an empty store; an answer may take half a second and have a megabyte."""
    limit_answers(monkeypatch, head=0.5, deadline=0.5, pace_seconds=0.3, largest=MEGABYTE)
    async with scene(tmp_path) as made:
        made.platform.reading = "start"
        yield made


def populate(world: Scene, number: int) -> list[Interval]:
    """A conversation in each of so many half hours from ten on, and a time at which they are all due."""
    world.platform.put(*(record(conversation(place), 30 * place + 5, 30 * place + 9) for place in range(number)))
    world.clock.at = START + number * timedelta(minutes=30) + timedelta(minutes=10)
    return [half_hour(30 * place) for place in range(number)]


# Cursors and pages that stand still


def goes_on(cursor: Callable[[Asked, int], str], total: int) -> Spoil:
    """The last page of a job's results names a cursor all the same."""

    def what(asked: Asked, honest: Answer) -> Answer:
        if "cursor" in honest.body:
            return honest
        return Answer(honest.status, honest.body | {"cursor": cursor(asked, total)}, honest.headers)

    return what


STANDING: dict[str, Callable[[Asked, int], str]] = {
    "its own end": lambda _asked, total: str(total),
    "itself": lambda asked, _: asked.query.get("cursor", "0"),
    "the first page": lambda _asked, _total: "0",
    "the page before": lambda _asked, total: str(total - 15),
    "always another name of its end": lambda asked, total: f"{total}-{asked.number}",
    "always another name of itself": lambda asked, total: f"{total - 5}-{asked.number}",
}


@pytest.mark.parametrize("cursor", STANDING.values(), ids=STANDING.keys())
async def test_a_cursor_that_stands_still_comes_to_an_end(world: Scene, cursor: Callable[[Asked, int], str]) -> None:
    """Four pages of results, and then none that is new: proven if all rows are there, else failed, after few requests."""
    world.platform.put(*(record(conversation(number), number / 2, 29) for number in range(35)))
    world.platform.results_size = 10
    world.platform.spoil("results", goes_on(cursor, 35))
    async with asyncio.timeout(PATIENCE):
        report = await world.by_hand(WINDOW, via="job")
    assert (report.verdict, report.unique) == ("complete", 35) or report.verdict == "failed"
    world.assert_not_wrongly_proven(WINDOW)
    assert world.platform.counts["results"] <= 40
    kept = await world.book.read(lambda db: db.execute("SELECT count(*) FROM unfinished_readings").fetchone())
    assert kept == (0,)


async def test_a_standing_cursor_stops_no_other_window(world: Scene) -> None:
    """The same in a round: whatever becomes of that window, the query reads the next one."""
    windows = populate(world, 3)
    world.platform.spoil("results", goes_on(STANDING["always another name of its end"], 1))
    async with asyncio.timeout(PATIENCE):
        report = await world.due(via="job")
    assert report.exit_status in (0, 1, 3)
    for window in windows:
        world.assert_not_wrongly_proven(window)


def stuck_at(page: int) -> Spoil:
    """A query that answers this page whatever later page is asked for."""

    def what(asked: Asked, honest: Answer) -> Answer:
        if asked.page > page and kept:
            return Answer(body=kept[0])
        kept[:] = [honest.body]
        return honest

    kept: list[Any] = []
    return what


@pytest.mark.parametrize("page", [1, 2])
async def test_a_query_whose_pages_stand_still_comes_to_an_end(world: Scene, page: int) -> None:
    """Every later page is the same one again, always: failed after a bounded number of requests."""
    world.platform.put(*(record(conversation(number), number / 10, 29) for number in range(250)))
    world.platform.spoil("query", stuck_at(page))
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(RollbookError):
            await world.by_hand(WINDOW)
    row = await world.book.read(windows_table.find, "2026-03-02T10:00:00.000Z", "2026-03-02T10:30:00.000Z")
    if row is not None and row.verdict in PROVEN:
        assert row.owned == 250
    assert world.platform.counts["query"] <= 1_000


@pytest.mark.parametrize(
    ("pages", "total"), [(None, None), (10**9, None), (None, 10**9)], ids=["says nothing", "pages", "total"]
)
async def test_a_list_whose_pages_stand_still_comes_to_an_end(
    world: Scene, pages: int | None, total: int | None
) -> None:
    """Every page of queues is the first one, however far it says that the list goes."""
    rows = [{"id": f"q{number}", "name": "Queue"} for number in range(100)]
    world.platform.spoil(
        "queues", lambda asked, _: Answer(body=listing(rows, page=asked.page, pages=pages, total=total))
    )
    found: list[Any] = []
    async with asyncio.timeout(PATIENCE):
        with contextlib.suppress(RollbookError):
            found = await world.api.queues()
    assert len(found) in (0, 100)
    assert world.platform.counts["queues"] <= 100


async def test_a_job_that_never_ends_is_given_up(world: Scene) -> None:
    """A job is pending for ever: the window fails, or is read another way, and is in the ledger."""
    populate(world, 2)
    world.platform.spoil("state", always(Answer(body={"state": "PENDING"})))
    async with asyncio.timeout(PATIENCE):
        report = await world.by_hand(WINDOW, via="job")
    assert report.verdict in ("failed", "complete")
    world.assert_not_wrongly_proven(WINDOW)


# Answers that trickle

TRICKLES = {
    "after the head": Answer(body=b"", trickle=b" "),
    "in the middle": Answer(body=b'{"conversations": [', trickle=b" "),
    "after all": Answer(body=b"{}", trickle=b" "),
    "in a text": Answer(body=b'{"access_token": "', trickle=b"x"),
    "in the head": Answer(raw=b"HTTP/1.1 200 OK\r\nX-Padding: ", trickle=b"x"),
    "heads of their own": Answer(raw=b"HTTP/1.1 102 Processing\r\n\r\n", trickle=b"HTTP/1.1 102 Processing\r\n\r\n"),
    "with an error": Answer(500, b"<html>", trickle=b" "),
    "nothing": Answer(body=b"", trickle=b" ", every=3600),
}


@pytest.mark.parametrize("answer", TRICKLES.values(), ids=TRICKLES.keys())
async def test_a_query_that_trickles_is_given_up(world: Scene, answer: Answer) -> None:
    """Of three windows one is answered byte by byte, for ever: it fails with a reason, the others are proven."""
    windows = populate(world, 3)
    world.platform.poison(windows[1], answer)
    async with asyncio.timeout(PATIENCE):
        report = await world.due()
    assert report.exit_status in (1, 3)
    world.assert_failed(windows[1])
    assert world.verdicts([windows[0], windows[2]]) == ["complete"] * 2
    world.platform.behave()
    world.later(hours=1)
    await world.due()
    assert world.verdicts(windows) == ["complete"] * 3


@pytest.mark.parametrize("kind", ["by_id", "divisions", "results", "state", "job", "availability"])
async def test_whatever_trickles_in_a_round_is_given_up(world: Scene, kind: str) -> None:
    """The same at any other door of a round: it ends, and proves nothing that is not so."""
    world.platform.put(record(conversation(77), 7, None))
    assert (await world.by_hand(WINDOW)).verdict == "open"
    windows = populate(world, 3)
    world.platform.spoil(kind, always(TRICKLES["after the head"]))
    async with asyncio.timeout(PATIENCE):
        report = await world.due(via="query" if kind == "by_id" else "job")
    assert report.exit_status in (0, 1, 3)
    for window in windows[1:]:
        world.assert_not_wrongly_proven(window)


@pytest.mark.parametrize("kind", ["sign_in", "queues", "users"])
@pytest.mark.parametrize(
    "answer", [TRICKLES["after the head"], TRICKLES["in a text"], TRICKLES["in the head"]], ids=["body", "text", "head"]
)
async def test_a_list_or_a_sign_in_that_trickles_is_given_up(world: Scene, kind: str, answer: Answer) -> None:
    """The look for queues ends with an error within a bound, and works when the platform does."""
    world.platform.lists["users"] = world.platform.lists["queues"] = [{"id": "q1", "name": "Queue"}]
    look = world.api.users if kind == "users" else world.api.queues
    world.platform.spoil(kind, always(answer))
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(RollbookError):
            await look()
    world.platform.behave()
    async with asyncio.timeout(PATIENCE):
        assert [queue.id for queue in await look()] == ["q1"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a daemon waits for by the real clock is short."""
    limit_answers(monkeypatch, head=0.5, deadline=0.5, pace_seconds=0.3, largest=MEGABYTE)
    monkeypatch.setattr("rollbook.genesys.api.retry.FIRST", 0.01)


async def is_told(daemon: Daemon, *words: str) -> None:
    """Wait until the daemon's health has one of these words."""
    async with asyncio.timeout(PATIENCE):
        while True:
            why = " ".join(judge(await daemon.figures())[1])
            if any(word in why for word in words):
                return
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def daemon(platform: Unfriendly, path: Path) -> AsyncIterator[Daemon]:
    """A daemon that looks every half second."""
    settings = client(platform.url, store_path=path / "rollbook.db", since=datetime.now(UTC) - timedelta(hours=2))
    made = Daemon(settings, options=Options(look_every=timedelta(seconds=0.5), timings=Timings(rediscover=0.5)))
    running = asyncio.create_task(made.run())
    try:
        await until(lambda: made.supervisor is not None or running.done(), within=20)
        yield made
        assert not running.done()
    finally:
        made.stop()
        await asyncio.wait({running}, timeout=10)
        running.cancel()
        await asyncio.wait({running})


@pytest.mark.usefixtures("impatient")
async def test_health_tells_of_a_round_that_trickles(tmp_path: Path) -> None:
    """The daemon's look at the ledger meets answers that trickle: it ends, and health says that nothing is proven."""
    async with Unfriendly(now=lambda: datetime.now(UTC)).served() as platform:
        for kind in ("query", "job"):
            platform.spoil(kind, always(TRICKLES["after the head"]))
        async with daemon(platform, tmp_path) as made:
            await is_told(made, "reconcile", "failed", "round", "window")


@pytest.mark.usefixtures("impatient")
async def test_health_tells_of_a_look_for_queues_that_trickles(tmp_path: Path) -> None:
    """The first look for queues is answered, the later ones trickle: health says so."""
    async with Unfriendly(now=lambda: datetime.now(UTC)).served() as platform:
        platform.spoil("queues", when(lambda asked: asked.number > 1, TRICKLES["after the head"]))
        async with daemon(platform, tmp_path) as made:
            await is_told(made, "queues")


# Answers without measure


def packed(size: int, *, twice: bool = False, deflate: bool = False, error: int = 200) -> Answer:
    """An answer that is small on the wire and so large when it is unpacked: an honest page but for its spaces."""
    engine = zlib.compressobj(6, wbits=15 if deflate else 31)
    body = engine.compress(b'{"conversations": [], "totalHits": 0, "padding": "')
    for _ in range(size // MEGABYTE):
        body += engine.compress(b" " * MEGABYTE)
    body += engine.compress(b'"}') + engine.flush()
    encoding = "deflate" if deflate else "gzip"
    if twice:
        return Answer(error, gzip.compress(body), {"Content-Encoding": f"{encoding}, gzip"})
    return Answer(error, body, {"Content-Encoding": encoding})


EXCESSIVE: dict[str, Callable[[], Answer]] = {
    "gzip": lambda: packed(8 * MEGABYTE),
    "deflate": lambda: packed(8 * MEGABYTE, deflate=True),
    "gzip in gzip": lambda: packed(8 * MEGABYTE, twice=True),
    "an error's body": lambda: packed(8 * MEGABYTE, error=400),
    "plain": lambda: Answer(body=b'{"padding": "' + b" " * 8 * MEGABYTE + b'"}'),
    "without end": lambda: Answer(body=b'{"padding": "', trickle=b" " * 16_384, every=0.001),
}


@pytest.mark.parametrize("answer", EXCESSIVE.values(), ids=EXCESSIVE.keys())
async def test_an_answer_beyond_all_measure_proves_nothing(world: Scene, answer: Callable[[], Answer]) -> None:
    """Eight megabytes where one is allowed: that window fails with a reason, the others are proven."""
    windows = populate(world, 3)
    world.platform.poison(windows[1], answer())
    async with asyncio.timeout(PATIENCE):
        report = await world.due()
    assert report.exit_status in (1, 3)
    world.assert_failed(windows[1])
    assert world.verdicts([windows[0], windows[2]]) == ["complete"] * 2


@pytest.mark.parametrize("kind", ["sign_in", "queues", "divisions", "by_id"])
async def test_no_door_takes_an_answer_without_end(world: Scene, kind: str) -> None:
    """The same at other doors: an error within a bound, or nothing that depends on it."""
    world.platform.put(record(conversation(77), 7, None))
    if kind == "by_id":
        await world.by_hand(WINDOW)
    populate(world, 3)
    world.platform.spoil(kind, always(EXCESSIVE["without end"]()))
    async with asyncio.timeout(PATIENCE):
        if kind in ("sign_in", "queues"):
            with pytest.raises(RollbookError):
                await world.api.queues()
        else:
            assert (await world.due()).exit_status in (0, 1, 3)


# Memory, of whole processes

# The command, within two gigabytes; at its end it says how much memory it took at most, in megabytes.
MEASURED = """
import atexit, resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
# Of this program alone: what `getrusage` tells begins with the memory of the one that has started it.
words = lambda: Path("/proc/self/status").read_text().split()
peak = lambda: int(words()[words().index("VmHWM:") + 1]) >> 10
atexit.register(lambda: print(f"peak {peak()}", file=sys.stderr))
sys.argv[0] = "rollbook"
from rollbook import commands
commands.main()
"""
MOST = 250


async def measured(*words: str, env: dict[str, str], cwd: Path) -> tuple[int, int, str]:
    """Run a command; its exit status, the most megabytes that it took, and what it printed."""
    if not Path("/proc/self/status").exists():
        pytest.skip("reads its memory as Linux tells it")
    ran = await finish(await start(*words, env=env, cwd=cwd, program=("-c", MEASURED)), within=60)
    return ran.status, int(ran.err.rsplit("peak ", 1)[1]), ran.out + ran.err


@pytest.mark.process
@pytest.mark.parametrize(
    "answer",
    [lambda: packed(400 * MEGABYTE), lambda: Answer(body=b'{"padding": "', trickle=b" " * MEGABYTE, every=0.001)],
    ids=["gzip", "without end"],
)
async def test_an_answer_that_explodes_fills_no_memory(tmp_path: Path, answer: Callable[[], Answer]) -> None:
    """`reconcile --window` against such an answer: it fails with a reason, within 250 MB."""
    async with Unfriendly(now=lambda: datetime.now(UTC)).served() as platform:
        for kind in ("query", "job"):
            platform.spoil(kind, always(answer()))
        words = ("reconcile", "--window", "2026-03-02T10:00Z/PT30M", "--json")
        status, peak, _ = await measured(*words, env=environment(platform.url), cwd=tmp_path)
    assert status in (1, 3)
    assert peak < MOST


def events() -> Iterator[bytes]:
    """Two events, as lines."""
    for number in range(2):
        body = {"conversationId": conversation(number), "eventTime": 1772447700000, "participantId": "p"}
        topic = f"v2.detail.events.conversation.{conversation(number)}.customer.start"
        yield json.dumps({"detail": {"topicName": topic, "eventBody": body}}).encode() + b"\n"


@pytest.mark.process
async def test_a_packed_file_that_explodes_fills_no_memory(tmp_path: Path) -> None:
    """`rollbook ingest` of two events with 400 MB of spaces between them, a few hundred kilobytes packed: both are stored."""
    first, other = events()
    with gzip.open(tmp_path / "events.gz", "wb", compresslevel=6) as file:
        file.write(first)
        for _ in range(400):
            file.write(b" " * MEGABYTE)
        file.write(b"\n" + other)
    status, peak, output = await measured("ingest", "events.gz", "--json", env={}, cwd=tmp_path)
    assert (status, json.loads(output.splitlines()[0])["events_new"]) == (0, 2)
    assert peak < MOST


@pytest.mark.process
async def test_an_endless_text_in_a_packed_file_fills_no_memory(tmp_path: Path) -> None:
    """The same with one text of 400 MB: it is told or kept as unreadable, and the event before it is stored."""
    first, _ = events()
    with gzip.open(tmp_path / "events.gz", "wb", compresslevel=6) as file:
        file.write(first + b'{"detail": {"topicName": "')
        for _ in range(400):
            file.write(b"x" * MEGABYTE)
    status, peak, output = await measured("ingest", "events.gz", "--json", env={}, cwd=tmp_path)
    assert status in (0, 1)
    assert json.loads(output.splitlines()[0])["events_new"] == 1
    assert peak < MOST


async def test_the_limits_of_a_test_are_those_of_the_product() -> None:
    """`limit_answers` changes what `Api` uses: without that, tests here would wait for minutes."""
    async with Unfriendly(now=lambda: datetime.now(UTC)).served() as platform:
        with pytest.MonkeyPatch.context() as patch:
            limit_answers(patch, head=0.3, deadline=0.3, pace_seconds=0.2, largest=MEGABYTE)
            patch.setattr("rollbook.genesys.api.retry.FIRST", 0.01)
            platform.spoil("organization", always(TRICKLES["after the head"]))
            async with Api(client(platform.url)) as api, asyncio.timeout(PATIENCE):
                with pytest.raises(RollbookError):
                    await api.organization()
