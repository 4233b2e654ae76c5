"""Whose time it is, and when a reading counts: what is read too early, by a wrong clock, or once, is no proof."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, to_text
from rollbook.store.tables import windows
from tests.helpers.liar import Scene, scene_at
from tests.helpers.organisation import START, WINDOW, record

DAY = 1440.0
HALF_DAY = timedelta(hours=12)
MORNING = Interval(START - timedelta(hours=10), START + timedelta(hours=2))


def half(number: int) -> Interval:
    """The n-th half hour after ten."""
    return Interval(START + timedelta(minutes=30 * number), START + timedelta(minutes=30 * number + 30))


def fifteen() -> list[dict[str, Any]]:
    """One every two minutes."""
    return [record(f"c{number:02}", 2 * number + 0.5, 2 * number + 1) for number in range(15)]


LATE = {f"c{number:02}" for number in range(10, 15)}


def not_indexed(scene: Scene, ids: set[str] = LATE) -> None:
    """The platform is late with these."""
    scene.org.unlisted |= ids
    scene.org.unknown |= ids


def indexed(scene: Scene) -> None:
    """It has them all."""
    scene.org.unlisted.clear()
    scene.org.unknown.clear()


# 11, K5: what is read within the lag


@pytest.mark.parametrize("seconds", [2, 300, 590])
async def test_what_is_read_within_the_lag_is_still_due(tmp_path: Path, seconds: float) -> None:
    """11: by hand, seconds after the half hour: filed, and read again at its time with what was indexed by then."""
    with scene_at(tmp_path, *fifteen(), since=START) as scene:
        not_indexed(scene)
        scene.clock.at = WINDOW.end + timedelta(seconds=seconds)
        await scene.by_hand(WINDOW)
        assert scene.wrong() == []
        assert scene.verdict(WINDOW) in ("due", "pending", "failed")
        indexed(scene)
        await scene.rounds(41, 42)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.stored() == scene.org.truth


async def test_what_is_read_within_the_lag_is_inherited_by_nothing(tmp_path: Path) -> None:
    """11: an hour by hand as soon as it is over: neither half hour in it is proven, each is read at its time."""
    rows = [record(f"c{number:02}", 4 * number + 0.5, 4 * number + 1) for number in range(15)]
    with scene_at(tmp_path, *rows, since=START) as scene:
        not_indexed(scene, {"c02", "c12", "c13"})
        scene.clock.at = START + timedelta(hours=1, seconds=2)
        await scene.by_hand(Interval(START, START + timedelta(hours=1)))
        assert scene.wrong() == []
        indexed(scene)
        await scene.rounds(71, 72)
        assert [scene.verdict(half(0)), scene.verdict(half(1))] == ["complete", "complete"]
        assert scene.stored() == scene.org.truth


async def test_a_wider_interval_that_was_read_too_early_hides_no_window(tmp_path: Path) -> None:
    """11, K5: nothing is known of the half hours inside; the row of the interval by hand does not cover them."""
    with scene_at(tmp_path, *fifteen()) as scene:
        not_indexed(scene)
        scene.clock.at = WINDOW.end + timedelta(seconds=2)
        odd = Interval(START - timedelta(minutes=5), WINDOW.end)
        await scene.by_hand(odd)
        assert scene.wrong() == []
        indexed(scene)
        await scene.rounds(41, 72)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.stored() == scene.org.truth


async def test_a_job_within_the_lag_is_provisional_too(tmp_path: Path) -> None:
    """K5: the same by a job, whose watermark is already there."""
    with scene_at(tmp_path, *fifteen(), since=START) as scene:
        not_indexed(scene)
        scene.clock.at = WINDOW.end + timedelta(seconds=30)
        scene.org.watermark = to_text(scene.clock.at)
        await scene.try_by_hand(WINDOW, via="job")
        assert scene.wrong() == []
        indexed(scene)
        await scene.rounds(41, 42)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.stored() == scene.org.truth


# 14, K6: a clock that was wrong


@pytest.mark.parametrize("ahead", [timedelta(days=5), timedelta(days=6, hours=7)])
async def test_what_a_wrong_clock_wrote_is_cleared(tmp_path: Path, ahead: timedelta) -> None:
    """14: the clock is ahead for one round (a boot before NTP), then right: read then as if for the first time, and
    settled when its days have passed; none of the days that had not come is called read."""
    with scene_at(tmp_path, *fifteen(), since=START, width=HALF_DAY) as scene:
        not_indexed(scene)
        scene.clock.at = START + timedelta(minutes=95) + ahead
        await scene.due()
        indexed(scene)
        scene.clock.at = START + timedelta(minutes=131)
        await scene.due()
        assert scene.verdict(MORNING) in ("complete", "due")
        scene.clock.at = START + timedelta(minutes=170)
        await scene.due()
        assert scene.wrong() == []
        row = await scene.book.read(windows.find, to_text(MORNING.start), to_text(MORNING.end))
        assert row is not None
        assert (row.verdict, row.settled_at) == ("complete", None)
        # The nights rewrite what was there, and the days bring more.
        scene.org.put(*(row | {"conferenceStart": row["conversationStart"]} for row in fifteen()))
        scene.org.put(*(record(f"day {day}", DAY * day, DAY * day + 5) for day in (1, 2, 3, 4, 5)))
        for day in (1, 2, 3, 4):
            scene.clock.at = START + timedelta(days=day + 0.5)
            await scene.due()
            assert scene.wrong() == []
        for later in (6, 6.5, 7, 9, 12, 12.5):
            scene.clock.at = START + timedelta(days=later)
            await scene.due()
            assert scene.wrong(content=True, only=["settled"]) == []
        assert scene.verdict(MORNING) == "settled"
        assert scene.stored() == scene.org.truth


async def test_a_try_that_a_wrong_clock_put_off_is_made_in_time(tmp_path: Path) -> None:
    """K5, K6: a window fails while the clock is days ahead; with the right clock it does not wait for those days."""
    with scene_at(tmp_path, *fifteen(), since=START, width=HALF_DAY) as scene:
        scene.org.totals = lambda total, query: total + query
        scene.clock.at = START + timedelta(days=5)
        await scene.due()
        scene.org.totals = lambda total, _: total
        scene.clock.at = START + timedelta(minutes=200)
        await scene.due()
        scene.clock.at = START + timedelta(days=1, hours=8)
        await scene.due()
        assert scene.verdict(MORNING) == "complete"
        assert scene.stored() == scene.org.truth


# 33: the nights


async def test_the_default_waits_for_the_second_night() -> None:
    """33: five days."""
    assert Settings().settle_after == timedelta(days=5)


@pytest.mark.parametrize("hour", [2, 5.5])
async def test_a_window_of_the_night_settles_after_its_reprocessing(tmp_path: Path, hour: float) -> None:
    """33: from 02:00 to 06:00 what is three days old is rewritten: what began in these hours is in the next night."""
    minute = (16 + hour) * 60  # after ten
    window = Interval(START + timedelta(minutes=minute), START + timedelta(minutes=minute + 30))
    rows = [record(f"c{number}", minute + number, minute + number + 5) for number in range(6)]
    with scene_at(tmp_path, *rows, since=window.start) as scene:
        await scene.rounds(minute + 41)
        assert scene.verdict(window) == "complete"
        await scene.rounds(minute + 4 * DAY + 31, minute + 4 * DAY + 32)
        assert scene.verdict(window) == "complete"
        scene.org.put(*(row | {"conferenceStart": row["conversationStart"]} for row in rows))
        await scene.rounds(*(minute + day * DAY for day in (5.5, 6, 6.2)))
        assert scene.verdict(window) == "settled"
        assert scene.wrong(content=True) == []


# 7, K12: one moment is believed


async def test_a_stable_contradiction_settles_nothing(tmp_path: Path) -> None:
    """7: at the settling read a part of the index is away: some of it is known and found by id, two conversations of it
    nobody knows. Failed, however often it is the same; settled when the list is whole."""
    with scene_at(tmp_path, *fifteen(), since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)
        assert scene.verdict(MORNING) == "complete"
        scene.org.put(record("new", 21), record("newer", 23))
        not_indexed(scene, {"new", "newer"})
        scene.org.unlisted |= LATE
        for day in (5.1, 5.3, 6.4, 7.5):
            await scene.rounds(day * DAY, judged=False)
            assert scene.verdict(MORNING) == "failed"
        indexed(scene)
        await scene.rounds(9 * DAY, 9.2 * DAY, 9.5 * DAY, 10 * DAY)
        assert scene.verdict(MORNING) == "settled"
        assert scene.wrong(content=True) == []


async def test_a_first_read_at_that_age_is_settled_by_a_second_witness(tmp_path: Path) -> None:
    """7: read by hand for the first time after a week, while a part of the index is away: complete, and the total that
    is asked for hours later does not agree: settled with everything."""
    with scene_at(tmp_path, *fifteen(), since=START, width=HALF_DAY) as scene:
        not_indexed(scene)
        scene.clock.at = START + timedelta(days=7)
        await scene.by_hand(MORNING)
        assert scene.verdict(MORNING) == "complete"
        assert scene.wrong(only=["settled"]) == []
        indexed(scene)
        for hours in (0.2, 1.5, 3, 8, 24, 30):
            scene.clock.at = START + timedelta(days=7, hours=hours)
            await scene.due()
            assert scene.wrong(only=["settled"]) == []
        assert scene.verdict(MORNING) == "settled"
        assert scene.stored() == scene.org.truth


async def test_a_first_read_at_that_age_settles_when_a_later_total_agrees(tmp_path: Path) -> None:
    """7: not at once, and not within the hour."""
    with scene_at(tmp_path, *fifteen(), since=START, width=HALF_DAY) as scene:
        scene.clock.at = START + timedelta(days=7)
        await scene.by_hand(MORNING)
        scene.clock.at = START + timedelta(days=7, minutes=30)
        await scene.due()
        assert scene.verdict(MORNING) == "complete"
        for hours in (2, 4):
            scene.clock.at = START + timedelta(days=7, hours=hours)
            await scene.due()
        assert scene.verdict(MORNING) == "settled"


async def test_a_part_of_the_index_that_is_away_at_a_first_late_read_by_job(tmp_path: Path) -> None:
    """7, K12: the same by a job of which the query says the same: one moment is one moment."""
    with scene_at(tmp_path, *fifteen(), since=START, width=HALF_DAY) as scene:
        not_indexed(scene)
        scene.clock.at = START + timedelta(days=7)
        scene.org.watermark = to_text(scene.clock.at)
        await scene.try_by_hand(MORNING, via="job")
        assert scene.wrong(only=["settled"]) == []
        indexed(scene)
        for hours in (2, 8, 24, 30):
            scene.clock.at = START + timedelta(days=7, hours=hours)
            await scene.due()
            assert scene.wrong(only=["settled"]) == []
        assert scene.verdict(MORNING) == "settled"
        assert scene.stored() == scene.org.truth


# 34: midnight


@pytest.mark.parametrize("reading", ["overlap", "day"])
@pytest.mark.parametrize("seconds", [3, 50])
async def test_a_start_that_is_corrected_across_midnight_is_in_one_of_the_windows(
    tmp_path: Path, reading: str, seconds: float
) -> None:
    """34: after midnight when the last window of the day is read, before it when the first of the next is: found."""
    midnight = 14 * 60.0
    begun = midnight - seconds / 60
    others = [record(f"c{number}", midnight - 20 + 5 * number, midnight - 18 + 5 * number) for number in range(6)]
    later = record("late", midnight + 0.02, midnight + 0.5)
    with scene_at(tmp_path, *others, later, reading=reading, since=START + timedelta(minutes=midnight - 30)) as scene:
        await scene.rounds(midnight + 10.5)
        scene.org.put(record("late", begun, midnight - 0.01))
        await scene.rounds(midnight + 41, judged=False)
        await scene.rounds(midnight + 72, midnight + 6 * 60)
        assert scene.stored()["late"]["conversationStart"] == scene.org.truth["late"]["conversationStart"]
        assert scene.wrong() == []


# 24's sister among the reads: something that becomes nothing


async def test_from_something_to_nothing_needs_a_second_look_when_it_settles(tmp_path: Path) -> None:
    """K1, K12: at the settling read every page is empty for an hour, and by id nobody is known: nothing settles."""
    with scene_at(tmp_path, *fifteen(), since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)
        everybody = set(scene.org.truth)
        scene.org.put(record("new", 21))
        not_indexed(scene, everybody | {"new"})
        await scene.rounds(5.1 * DAY, judged=False)
        assert scene.verdict(MORNING) != "settled"
        assert scene.rows("SELECT count(*) FROM conversations WHERE followed = 'gone'") == [(0,)]
        indexed(scene)
        await scene.rounds(6.5 * DAY, 7 * DAY, 8 * DAY, judged=False)
        assert scene.verdict(MORNING) == "settled"
        assert scene.wrong(content=True) == []
