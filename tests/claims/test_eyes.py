"""What a client sees belongs to its proof: whoever sees less continues, settles and ends nothing that others have read."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from rollbook.genesys.errors import PermissionRefused, Unavailable
from rollbook.genesys.times import Interval, to_text
from tests.helpers.liar import Liar, Scene, runs, scene_at, stopped
from tests.helpers.organisation import START, WINDOW, ended, record

NARROW = frozenset({"d1"})
MONTH = Interval(START - timedelta(days=21), START)
DAY = Interval(START - timedelta(hours=10), START + timedelta(hours=14))


def twelve() -> list[dict[str, Any]]:
    """A third of them in each division."""
    return [record(f"c{number:02}", 2 * number + 1, divisionIds=[f"d{number % 3 + 1}"]) for number in range(12)]


def at_the_end_of_the_day(scene: Scene) -> None:
    scene.clock.at = DAY.end + timedelta(hours=1)
    scene.org.watermark = to_text(scene.clock.at)


def three_weeks() -> list[dict[str, Any]]:
    """Two conversations a day, of two divisions."""
    return [
        record(f"m{day:02}{division}", -1440 * day + 5, -1440 * day + 9, divisionIds=[division])
        for day in range(1, 21)
        for division in ("d1", "d2")
    ]


async def interrupted(scene: Scene, after: int, via: Literal["query", "job"], window: Interval) -> None:
    """A run by hand that is asked to stop at its n-th page."""
    stop = asyncio.Event()

    def at_page(_org: Liar, page: int) -> None:
        if page >= after:
            stop.set()

    scene.org.page_of_job = at_page
    scene.org.always = lambda org: at_page(scene.org, len(org.bodies))
    await stopped(scene.by_hand(window, via=via, stop=stop))
    assert scene.claims() == {}
    scene.org.page_of_job, scene.org.always = lambda _org, _page: None, lambda _org: None


@pytest.mark.parametrize(("via", "after"), [("query", 4), ("query", 7), ("job", 1), ("job", 2)])
async def test_a_reading_is_not_continued_with_wider_eyes(tmp_path: Path, via: Any, after: int) -> None:
    """3: a month by hand, stopped after a week or two, the role widened, run again: what the first left out is read."""
    with scene_at(tmp_path, *three_weeks(), width=timedelta(hours=12), size=5) as scene:
        scene.org.watermark = to_text(scene.clock.at)
        scene.org.sees = NARROW
        await interrupted(scene, after, via, MONTH)
        scene.org.sees = None
        await scene.try_by_hand(MONTH, via=via)
        assert scene.wrong() == []
        await scene.by_hand(MONTH, via=via)
        assert scene.verdict(MONTH) in ("complete", "settled")
        assert scene.stored() == scene.org.truth


async def test_a_job_is_not_continued_with_wider_eyes(tmp_path: Path) -> None:
    """3: one job, stopped between two of its pages: its rows are those of the narrow eyes for ever."""
    with scene_at(tmp_path, *twelve(), width=timedelta(hours=12), size=2) as scene:
        at_the_end_of_the_day(scene)
        scene.org.sees = NARROW
        await interrupted(scene, 1, "job", DAY)
        scene.org.sees = None
        await scene.try_by_hand(DAY, via="job")
        assert scene.wrong() == []
        assert (await scene.by_hand(DAY, via="job")).verdict == "complete"
        assert scene.stored() == scene.org.truth


@pytest.mark.parametrize("via", ["query", "job"])
async def test_a_reading_that_is_continued_with_narrower_eyes_does_not_say_that_it_saw_all(
    tmp_path: Path, via: Any
) -> None:
    """K4, the other way round: begun with every division, gone on with one. Nothing is proven for all of them."""
    with scene_at(tmp_path, *twelve(), width=timedelta(hours=12), size=2) as scene:
        at_the_end_of_the_day(scene)
        await interrupted(scene, 2, via, DAY)
        scene.org.sees = NARROW
        await scene.try_by_hand(DAY, via=via)
        assert all(eyes(run) == {"d1"} for run in proofs(scene, DAY))
        scene.org.sees = None
        await scene.try_by_hand(DAY, via=via)
        await scene.by_hand(DAY, via=via)
        assert scene.wrong() == []
        assert scene.stored() == scene.org.truth


def eyes(run: dict[str, Any]) -> set[str]:
    """The divisions that a proof says were visible, however it writes them."""
    return set(re.findall(r"\bd\d\b", run["divisions_json"] or ""))


def proofs(scene: Scene, window: Interval) -> list[dict[str, Any]]:
    """The runs over a window that were no failure, oldest first."""
    start = to_text(window.start)
    return [
        run for run in runs(scene.path) if run["start"] == start and run["verdict"] in ("open", "complete", "settled")
    ]


@pytest.mark.parametrize("late", [False, True])
async def test_the_eyes_change_while_a_month_is_read(tmp_path: Path, late: bool) -> None:
    """K4: the role is widened between two weeks of one reading: each is consistent with itself, and they saw different
    things. late: in the last week."""
    with scene_at(tmp_path, *three_weeks(), size=100, width=timedelta(hours=12)) as scene:
        scene.org.sees = NARROW
        asked: list[str] = []

        def widen(org: Any) -> None:
            interval = org.bodies[-1]["interval"]
            if interval not in asked:
                asked.append(interval)
            if len(asked) == (3 if late else 2):
                org.sees = None

        scene.org.always = widen
        await scene.try_by_hand(MONTH)
        assert len(asked) >= (3 if late else 2), "the role has not been widened"
        assert scene.wrong() == []
        scene.org.always = lambda _: None
        await scene.by_hand(MONTH)
        assert scene.wrong() == []
        assert scene.stored() == scene.org.truth


async def test_each_proof_says_what_was_seen_when_it_was_made(tmp_path: Path) -> None:
    """12: the same process for days; a division is taken away on the second day: the proofs of that day say so."""
    with scene_at(tmp_path, *twelve(), since=START) as scene:
        await scene.rounds(61, judged=False)
        scene.org.sees = frozenset({"d1", "d2"})
        await scene.rounds(101, judged=False)
        scene.org.sees = NARROW
        await scene.rounds(161, judged=False)
        seen = {run["start"]: eyes(run) for run in runs(scene.path)}

        def half(number: int) -> str:
            return to_text(START + timedelta(minutes=30 * number))

        assert seen[half(0)] == {"d1", "d2", "d3"}
        assert seen[half(1)] == {"d1", "d2"}
        assert seen[half(3)] == {"d1"}


@pytest.mark.parametrize("error", [Unavailable("down", status=503), PermissionRefused("no", status=403)])
async def test_a_question_that_failed_is_no_answer(tmp_path: Path, error: Any) -> None:
    """12: the first question for the divisions failed: it is asked again for the next run."""
    with scene_at(tmp_path, *twelve(), since=START) as scene:
        scene.org.hides = dict.fromkeys(range(1, 4), error)
        await scene.rounds(61, judged=False)
        scene.org.hides = {}
        await scene.rounds(101, 140, judged=False)
        assert eyes(runs(scene.path)[-1]) == {"d1", "d2", "d3"}
        await scene.rounds(24 * 60, width=timedelta(minutes=30))
        assert scene.verdict(WINDOW) == "complete"


async def test_narrower_eyes_settle_nothing(tmp_path: Path) -> None:
    """12, K4: a division is taken away before the settling read. What capture lacks of it stays unproven; with the role
    given back it settles, with everything."""
    with scene_at(tmp_path, *twelve(), since=START, width=timedelta(hours=12)) as scene:
        await scene.rounds(131)
        morning = Interval(DAY.start, DAY.start + timedelta(hours=12))
        assert scene.verdict(morning) == "complete"
        scene.org.put(record("late", 29, divisionIds=["d3"]))
        scene.org.sees = NARROW
        for day in (5.2, 5.6, 6.2, 7.2):
            await scene.rounds(1440 * day, judged=False)
            assert scene.wrong(only=["settled"]) == []
            assert scene.verdict(morning) != "settled"
        gone = scene.rows("SELECT conversation_id FROM conversations WHERE followed = 'gone'")
        assert gone == [], "whoever sees less calls nothing gone"
        scene.org.sees = None
        await scene.rounds(*(1440 * day for day in (8.5, 9, 9.5, 10, 12)), judged=False)
        assert scene.verdict(morning) == "settled"
        assert scene.wrong(content=True) == []
        assert "late" in scene.stored()


async def test_narrower_eyes_call_nothing_gone(tmp_path: Path) -> None:
    """K4: emails of a division go on; it is taken away for hours, given back, and they end: their ends are found."""
    going = [record(f"e{number}", number + 1, None, divisionIds=["d2"]) for number in range(4)]
    with scene_at(tmp_path, *twelve(), *going, since=START, width=timedelta(hours=12)) as scene:
        morning = Interval(DAY.start, DAY.start + timedelta(hours=12))
        await scene.rounds(131)
        assert scene.verdict(morning) == "open"
        scene.org.sees = NARROW
        for minute in (140, 200, 400, 800, 1500):
            await scene.rounds(minute, judged=False)
            assert scene.verdict(morning) != "settled"
            assert scene.rows("SELECT conversation_id FROM conversations WHERE followed = 'gone'") == []
        scene.org.sees = None
        scene.org.put(*(ended(row, 1600) for row in going))
        await scene.rounds(1700, 1800, 2500)
        assert scene.verdict(morning) == "complete"
        assert scene.wrong(content=True) == []


async def test_another_client_with_narrower_eyes_inherits_nothing(tmp_path: Path) -> None:
    """K4: two clients work on one store; the one that sees less reads a day by hand: the half hours inside keep what
    the other has proven, and none is settled by it."""
    with scene_at(tmp_path, *twelve(), since=START) as scene:
        await scene.rounds(61)
        at_the_end_of_the_day(scene)
        scene.clock.at = DAY.end + timedelta(days=7)
        scene.org.put(record("late", 29, divisionIds=["d3"]))
        scene.org.sees = NARROW
        for _ in range(2):
            await scene.try_by_hand(DAY)
            scene.clock.at += timedelta(hours=3)
        assert scene.verdict(WINDOW) != "settled"
        scene.org.sees = None
        for _ in range(3):
            await scene.by_hand(DAY)
            scene.clock.at += timedelta(hours=3)
        assert scene.wrong(content=True) == []
        assert scene.stored() == scene.org.truth
