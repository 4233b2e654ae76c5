"""The organisation's own retention: of what the platform has deleted for its age nothing is proven, whatever it answers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconcile.due.rounds import Round, run_due
from reconcile.reading.platform_retention import NoLongerKept, Noted, PlatformRetention
from reconcile.report import due_lines
from reconcile.verify import verify
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import ApiError
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator import Simulator
from rollbook.simulator.faults.script import Fault
from rollbook.store.book import Book
from rollbook.store.commands.windows import proof_lines
from rollbook.store.tables import notes, windows
from rollbook.store.tables.windows import GIVEN_UP
from rollbook.store.vocabulary import Verdict
from tests.helpers.organisation import START, WINDOW, Clock, Organisation, read_window, record, settings
from tests.helpers.peek import peek

HALF = timedelta(minutes=30)
DAYS = 3
KEPT = timedelta(days=DAYS)


def keeping(*records: Any, days: int | Exception | None = DAYS, **more: Any) -> Organisation:
    """An organisation with a retention: what is older is not in any of its answers."""
    org = Organisation(*records, **more)
    org.keeps_days = days
    return org


async def the_round(book: Book, org: Organisation, clock: Clock, **changed: Any) -> Any:
    how = Round(wait=0, sleep=clock.sleep)
    return await run_due(book, org, settings(**changed), now=clock.now, how=how)  # type: ignore[arg-type]


def every_day(of: int = 6) -> list[Any]:
    """A conversation in every two hours of some days."""
    return [record(f"d{number}", 5 + 120 * number, 9 + 120 * number) for number in range(12 * of)]


@contextmanager
def opened(tmp_path: Path) -> Iterator[Book]:
    with Book.open(tmp_path / "rollbook.db") as book:
        yield book


@pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=10), timedelta(days=300)])
async def test_a_window_that_begins_before_the_retention_is_refused_by_hand(tmp_path: Path, later: timedelta) -> None:
    """It is one line and exit status 2, also where only the beginning is too old; nothing is asked for, nothing filed."""
    clock, org = Clock(WINDOW.start + KEPT + later), keeping(record("a", 29, 29.5))
    with opened(tmp_path) as book:
        with pytest.raises(NoLongerKept, match=r"before the platform's retention.* for 3 days.* later") as refused:
            await read_window(book, org, WINDOW, clock)
        assert (refused.value.exit_status, "\n" in str(refused.value), org.bodies) == (2, False, [])
        assert await book.read(windows.listed) == []


async def test_what_begins_within_the_retention_is_read_as_ever(tmp_path: Path) -> None:
    """The limit is as exact as the platform's clock."""
    clock = Clock(WINDOW.start + KEPT - timedelta(minutes=2))
    with opened(tmp_path) as book:
        report = await read_window(book, keeping(record("a", 5, 9)), WINDOW, clock)
        assert (report.verdict, report.owned) == (Verdict.COMPLETE, 1)


async def test_a_window_that_crosses_the_limit_while_it_is_read_is_not_proven(tmp_path: Path) -> None:
    """The platform may have deleted what the last pages would have had."""
    clock, org = Clock(WINDOW.start + KEPT - timedelta(minutes=2)), keeping(record("a", 5, 9))
    org.always = lambda _: setattr(clock, "at", clock.at + timedelta(minutes=1))
    with opened(tmp_path) as book:
        with pytest.raises(NoLongerKept):
            await read_window(book, org, WINDOW, clock)
        assert await book.read(windows.listed) == []


async def test_an_empty_answer_from_the_first_day_of_the_retention_proves_nothing(tmp_path: Path) -> None:
    """Who deletes once a day deletes a day early; a day that still shows something has not been deleted."""
    clock = Clock(WINDOW.start + KEPT - timedelta(hours=12))
    with opened(tmp_path) as book:
        report = await read_window(book, keeping(), WINDOW, clock)
        assert (report.verdict, "by the day" in (report.reason or "")) == (Verdict.FAILED, True)
        clock.at = WINDOW.start + KEPT - timedelta(hours=30)
        assert (await read_window(book, keeping(), WINDOW, clock)).verdict == Verdict.COMPLETE


async def test_the_first_day_may_be_read_where_answers_are_whole_days(tmp_path: Path) -> None:
    """The limit lies in the middle of the day: what began before it is not proven, what began after it is."""
    rows = [record(f"c{minute}", minute, minute + 1) for minute in range(1, 360, 20)]
    clock, org = Clock(START + KEPT + timedelta(minutes=45)), keeping(*rows, reading="day")
    with opened(tmp_path) as book:
        report = await the_round(book, org, clock, since=START, width=timedelta(hours=2))
        found = {to_text(read.window.start)[:13]: read.verdict for read in report.windows}
        assert ("2026-03-02T10" in found, found["2026-03-02T12"]) == (False, Verdict.COMPLETE)
        assert (await book.read(windows.listed))[0].start == "2026-03-02T12:00:00.000Z"


async def test_what_nobody_can_prove_any_more_is_given_up_in_one_row(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A second answer some time later confirms it; from then on it is neither planned nor asked about each minute."""
    clock, org = Clock(START + KEPT + timedelta(days=2)), keeping(*every_day())
    with opened(tmp_path) as book:
        await the_round(book, org, clock, since=START, width=timedelta(hours=6))
        assert await book.read(windows.listed, verdicts=[Verdict.FAILED], until=to_text(START)) == []
        assert "not read, because the organisation keeps its conversations for 3 days" in caplog.text
        clock.at += timedelta(minutes=11)
        report = await the_round(book, org, clock, since=START, width=timedelta(hours=6))
        assert (report.exit_status, len(report.given_up), "retention" in " ".join(due_lines(report))) == (3, 1, True)
        found = [row for row in await book.read(windows.listed) if row.reason == GIVEN_UP]
        assert [(row.verdict, row.attempts, row.next_try_at) for row in found] == [(Verdict.FAILED, 0, None)]
        assert (found[0].start, found[0].end) == ("2026-03-02T06:00:00.000Z", "2026-03-04T12:00:00.000Z")
        questions = org.retention_questions
        clock.at += timedelta(minutes=11)
        report = await the_round(book, org, clock, since=START, width=timedelta(hours=6))
        assert (report.windows, report.errors, report.given_up, org.retention_questions) == ((), (), (), questions)


async def test_a_window_that_waited_too_long_fails_with_its_reason(tmp_path: Path) -> None:
    """It was due as the daemon ended, and the daemon was away for longer than the organisation keeps anything."""
    org, clock = keeping(record("a", 5, 9)), Clock()
    org.refuse = lambda body, _: (_ for _ in ()).throw(ApiError("the platform is away"))
    with opened(tmp_path) as book:
        await the_round(book, org, clock, since=START, width=HALF)
        row = await book.read(windows.find, *WINDOW.texts, "")
        assert row is not None
        assert (row.verdict, row.reason) == (Verdict.FAILED, "the platform is away")
        org.refuse = lambda _body, _query: None
        for later in (KEPT + timedelta(days=1), timedelta(minutes=11)):
            clock.at += later
            await the_round(book, org, clock, since=START, width=HALF)
        row = await book.read(windows.find, *WINDOW.texts, "")
        assert row is not None
        assert (row.verdict, row.reason, row.next_try_at) == (Verdict.FAILED, GIVEN_UP, None)


async def test_what_is_proven_stays_proven_and_is_not_read_again(tmp_path: Path) -> None:
    """`complete` stays `complete`, `settled` stays `settled`; `rollbook window` says why nobody looks again."""
    org, clock = keeping(record("a", 5, 9)), Clock()
    with opened(tmp_path) as book:
        await read_window(book, org, WINDOW, clock)
        clock.at = WINDOW.start + KEPT + timedelta(hours=1)
        org.truth.clear()
        for _ in range(2):
            clock.at += timedelta(minutes=11)
            await the_round(book, org, clock, width=HALF, settle_after=timedelta(days=3))
        row = await book.read(windows.find, *WINDOW.texts, "")
        assert row is not None
        assert (row.verdict, row.attempts, row.owned) == (Verdict.COMPLETE, 1, 1)
        assert not any(body["interval"].startswith(to_text(START)[:10]) for body in org.bodies[4:])
        lost = json.loads(peek(book, notes.read, notes.PLATFORM_KEEPS) or "{}")["lost_before"]
        words = " ".join(" ".join(proof_lines(row, [], "", lost)).split())
        assert "proven, beyond the platform's retention" in words
        assert "not read again" in words


async def test_a_longer_retention_does_not_bring_back_what_was_deleted(tmp_path: Path) -> None:
    """The window is older than the retention was, so an empty answer is no proof, whatever the setting is by now."""
    org, clock = keeping(), Clock(WINDOW.start + KEPT + timedelta(days=10))
    with opened(tmp_path) as book:
        for days in (3, 3, 400, 400, 400):
            org.keeps_days = days
            with pytest.raises(NoLongerKept):
                await read_window(book, org, WINDOW, clock)
            clock.at += timedelta(minutes=11)


async def test_a_single_answer_takes_nothing_away_for_good() -> None:
    """A short retention is obeyed at once, and lasting only when it is said again; a longer one is believed the second time."""
    now = START
    first = Noted().after(1_826, now)
    short = first.after(2, now)
    assert (short.kept(now).days, short.lost_before) == (2, "")
    long = short.after(1_826, now + timedelta(minutes=1))
    assert (long.kept(now + timedelta(minutes=2)).days, long.kept(now + timedelta(minutes=20)).days) == (2, 1_826)
    assert long.after(1_826, now + timedelta(minutes=20)).lost_before == to_text(
        now + timedelta(minutes=20, days=-1_826)
    )
    none = first.after(None, now)
    assert (none.kept(now).days, none.kept(now + timedelta(minutes=20)).days) == (1_826, None)
    assert Noted().after(10**9, now).kept(now).has(START - timedelta(days=50_000))


async def test_a_retention_that_is_not_known_refuses_nothing_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The permission is missing: old windows are read, with a warning where the answer would matter."""
    org, clock = keeping(record("a", 5, 9), days=ApiError("no permission")), Clock(WINDOW.start + timedelta(days=5))
    with opened(tmp_path) as book:
        assert (await read_window(book, org, WINDOW, clock)).owned == 1
        assert "retention" not in caplog.text
        assert "keeps its conversations" not in caplog.text
        clock.at += timedelta(days=100)
        assert (await read_window(book, org, WINDOW, clock)).owned == 1
        assert "how long the organisation keeps its conversations is not known" in caplog.text


async def test_an_answer_that_fails_leaves_what_was_known(tmp_path: Path) -> None:
    """The last answer is noted, and counts until there is another one."""
    org, clock = keeping(), Clock(WINDOW.start + KEPT + timedelta(days=1))
    with opened(tmp_path) as book:
        for answer in (3, ApiError("away"), None):
            org.keeps_days = answer
            with pytest.raises(NoLongerKept):
                await read_window(book, org, WINDOW, clock)


async def test_nothing_is_asked_of_what_is_younger_than_any_retention(tmp_path: Path) -> None:
    """A daemon's usual round costs no request for it."""
    org, clock = keeping(record("a", 5, 9)), Clock()
    with opened(tmp_path) as book:
        await the_round(book, org, clock, since=START, width=HALF)
        assert org.retention_questions == 0


async def test_what_the_platform_deleted_for_its_age_is_not_gone(tmp_path: Path) -> None:
    """Nobody denies it: it keeps its data as long as we keep them, and holds no window open for ever."""
    org, clock = keeping(record("a", 5, None), record("b", 6, 9)), Clock()
    with opened(tmp_path) as book:
        await read_window(book, org, WINDOW, clock)
        org.truth = {}
        clock.at = WINDOW.start + KEPT + timedelta(hours=1)
        org.put(record("c", 3 * 1440, 3 * 1440 + 5))
        for _ in range(4):
            await the_round(book, org, clock, width=HALF, stuck_after=timedelta(days=2))
            clock.at += timedelta(hours=30)
        followed = peek(
            book, lambda db: db.execute("SELECT followed FROM conversation_rows ORDER BY number").fetchall()
        )
        row = await book.read(windows.find, *WINDOW.texts, "")
        assert followed[:2] == [("stuck",), (None,)]
        assert row is not None
        assert row.verdict == Verdict.COMPLETE


async def test_what_is_younger_is_gone_as_ever(tmp_path: Path) -> None:
    """Two answers that know something and lack it are believed of what the platform should still have."""
    org, clock = keeping(record("a", 5, None), record("b", 6, 9)), Clock()
    with opened(tmp_path) as book:
        await read_window(book, org, WINDOW, clock)
        del org.truth["a"]
        for _ in range(3):
            clock.at += timedelta(hours=1)
            await the_round(book, org, clock, width=HALF)
        followed = peek(
            book, lambda db: db.execute("SELECT followed FROM conversation_rows ORDER BY number").fetchall()
        )
        assert followed[0] == ("gone",)


async def test_verify_refuses_what_the_platform_no_longer_counts(tmp_path: Path) -> None:
    """Its counts would lack what it has deleted."""
    org, clock = keeping(), Clock(WINDOW.start + KEPT + timedelta(days=1))
    with opened(tmp_path) as book:
        kept = await PlatformRetention(org, book).of(WINDOW.start, clock.now())
        with pytest.raises(NoLongerKept):
            await verify(org, book, WINDOW, kept=kept)  # type: ignore[arg-type]


async def test_a_simulated_organisation_deletes_what_is_too_old(tmp_path: Path) -> None:
    """Lists, answers by id and the truth lack it, and the settings say for how long it is kept."""
    async with Simulator(start=START, rate=0, per_hour=20, retention_days=3) as simulator:
        simulator.clock.advance(timedelta(days=1))
        day = Interval(START, START + timedelta(hours=6))
        known = sorted(simulator.truth(day.start, day.end))
        simulator.clock.advance(timedelta(days=2, hours=3))
        left = simulator.truth(day.start, day.end)
        assert 0 < len(left) < len(known)
        wanted = replace(load(env=simulator.env, cwd=tmp_path), store_path=tmp_path / "rollbook.db")
        async with Api(wanted) as api:
            simulator.faults.add(Fault("retention", path="GET */dataretention/settings", parameters={"days": 3}))
            simulator.retention_days = 4
            assert await api.retention_days() == 3
            found = {row.conversation_id for row in await api.details_by_id(known[:100])}
            assert found == set(left) & set(known[:100])
            with Book.open(tmp_path / "rollbook.db") as book, pytest.raises(NoLongerKept):
                await read_window(book, api, day, Clock(simulator.now()), wanted)
        simulator.retention_days = None
        assert simulator.truth(day.start, day.end) == left
