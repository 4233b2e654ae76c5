"""The parts of a proof make up the whole: splits, closing questions, shifts of pages, resumed readings."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import RequestRefused, Unavailable
from rollbook.genesys.times import Interval, to_text
from tests.helpers.liar import Liar, scene_at, stopped
from tests.helpers.organisation import NOW, START, WINDOW, record

DAY = 1440.0
SECOND = Interval(START, START + timedelta(seconds=1))
CAP = 12  # rows that the pages of one query can reach, in these tests


def capped(org: Liar) -> None:
    """Pages times size may not exceed the cap: told as the platform tells it, on the page that goes beyond."""

    def refuse(body: Mapping[str, Any], _query: int) -> None:
        if body["paging"]["pageNumber"] * min(org.size, body["paging"]["pageSize"]) > CAP:
            raise RequestRefused("Pagination may not exceed 12 results", status=400, code="bad.request")

    org.refuse = refuse


def many(*directions: str | None) -> list[dict[str, Any]]:
    """Conversations of one second, five of each direction."""
    rows = []
    for place, direction in enumerate(directions):
        for number in range(5):
            row = record(f"c{place}{number}", number / 600 + place / 6000, 20)
            if direction is None:
                del row["originatingDirection"]
            else:
                row["originatingDirection"] = direction
            rows.append(row)
    return rows


@pytest.mark.parametrize(
    "directions",
    [("inbound", "outbound", "internal"), ("inbound", "outbound", None, "internal"), ("internal", "callback", "other")],
)
async def test_the_parts_of_a_split_add_up_to_the_whole(tmp_path: Path, directions: Any) -> None:
    """8: one second has more than a query can reach, and is read by direction; there is a direction that nobody has
    thought of. What the first page said of the whole is not forgotten."""
    with scene_at(tmp_path, *many(*directions)) as scene:
        capped(scene.org)
        await scene.try_by_hand(SECOND)
        assert scene.wrong() == []


async def test_the_parts_of_a_split_that_was_too_slow_add_up_too(tmp_path: Path) -> None:
    """8, its kind: the whole is never answered in time, only its parts by direction are."""
    with scene_at(tmp_path, *many("inbound", "outbound", "internal")) as scene:

        def refuse(body: Mapping[str, Any], _query: int) -> None:
            if "conversationFilters" not in body and body["paging"]["pageNumber"] > 1:
                raise Unavailable("The request took too long", status=504)

        scene.org.refuse = refuse
        await scene.try_by_hand(SECOND)
        assert scene.wrong() == []


async def test_a_bound_on_cost_leaves_no_part_unasked(tmp_path: Path) -> None:
    """13, K3: a row enters the first week of a month after that was read; the fourth week moves, so that a second pass
    follows. The closing question asks every part."""
    month = Interval(START - timedelta(days=28), START)
    rows = [record(f"m{day:02}", -DAY * day + 5, -DAY * day + 9) for day in range(1, 28)]
    with scene_at(tmp_path, *rows, width=timedelta(hours=12)) as scene:
        asked: list[str] = []

        def move(org: Liar) -> None:
            body = org.bodies[-1]
            if body["interval"] not in asked:
                asked.append(body["interval"])
            if len(asked) == 4 and "new" not in org.truth:
                org.put(*(record(f"new{number}", -DAY * 25 + 10 + number, -DAY * 25 + 20) for number in range(3)))
                org.put(record("new", -DAY * 24 + 10, -DAY * 24 + 20))
            if len(asked) == 4 and body["paging"]["pageNumber"] == 2:
                org.put(record("moved", -DAY * 2 + 10, -DAY * 2 + 20))

        scene.org.always = move  # type: ignore[assignment]
        await scene.try_by_hand(month)
        assert {"new", "moved"} <= scene.org.truth.keys()
        assert scene.wrong() == []
        scene.org.always = lambda _: None
        await scene.by_hand(month)
        assert scene.wrong() == []
        assert scene.stored() == scene.org.truth


@pytest.mark.parametrize("week", [2, 3, 4])
async def test_after_a_first_pass_every_part_is_asked_again_too(tmp_path: Path, week: int) -> None:
    """13: nothing moves in any week while it is read; a row enters the first one while a later one is."""
    month = Interval(START - timedelta(days=28), START)
    rows = [record(f"m{day:02}", -DAY * day + 5, -DAY * day + 9) for day in range(1, 28)]
    with scene_at(tmp_path, *rows, width=timedelta(hours=12)) as scene:
        asked: list[str] = []

        def enter(org: Liar) -> None:
            if org.bodies[-1]["interval"] not in asked:
                asked.append(org.bodies[-1]["interval"])
            if len(asked) == week:
                org.put(record("new", -DAY * 25 + 10, -DAY * 25 + 20))

        scene.org.always = enter  # type: ignore[assignment]
        await scene.try_by_hand(month)
        assert "new" in scene.org.truth
        assert scene.wrong() == []


# 32


def quarter() -> list[dict[str, Any]]:
    """250 of them, in three pages of a hundred."""
    return [record(f"c{number:03}", number / 10 + 1, 28) for number in range(250)]


@pytest.mark.parametrize(("leaves", "enters"), [("c010", 15), ("c099", 21), ("c000", 25)])
async def test_a_shift_of_pages_is_seen(tmp_path: Path, leaves: str, enters: float) -> None:
    """32: one row leaves a page that was read, one enters a page to come: a third is on neither, and all totals are
    what they were."""
    with scene_at(tmp_path, *quarter(), size=100) as scene:

        def move(org: Liar) -> None:
            body = org.bodies[-1]
            if body["paging"]["pageNumber"] == 2 and leaves in org.truth:
                del org.truth[leaves]
                org.put(record("enters", enters, 28))

        scene.org.always = move  # type: ignore[assignment]
        await scene.try_by_hand(WINDOW)
        assert scene.wrong() == []
        scene.org.always = lambda _: None
        await scene.by_hand(WINDOW)
        assert scene.wrong() == []


async def test_a_shift_while_nobody_reads_is_seen(tmp_path: Path) -> None:
    """32: the same between the stop and the next run: a resumed reading asks for a page again."""
    with scene_at(tmp_path, *quarter(), size=100) as scene:
        stop = asyncio.Event()
        scene.org.always = lambda org: stop.set() if org.bodies[-1]["paging"]["pageNumber"] == 1 else None
        await stopped(scene.by_hand(WINDOW, stop=stop))
        assert scene.claims() == {}
        scene.org.always = lambda _: None
        del scene.org.truth["c010"]
        scene.org.put(record("enters", 15, 28))
        await scene.try_by_hand(WINDOW)
        assert scene.wrong() == []


@pytest.mark.parametrize("hours", [1, 11])
async def test_a_resumed_month_asks_every_part_again(tmp_path: Path, hours: float) -> None:
    """32, K12: a month is stopped after two of its weeks; rows enter the first of them before it is gone on with."""
    month = Interval(START - timedelta(days=28), START)
    rows = [record(f"m{day:02}", -DAY * day + 5, -DAY * day + 9) for day in range(1, 28)]
    with scene_at(tmp_path, *rows, size=100, width=timedelta(hours=12)) as scene:
        stop = asyncio.Event()
        scene.org.always = lambda org: stop.set() if len(org.bodies) == 4 else None
        await stopped(scene.by_hand(month, stop=stop))
        assert scene.claims() == {}
        scene.org.always = lambda _: None
        scene.clock.at = NOW + timedelta(hours=hours)
        scene.org.put(record("new", -DAY * 25 + 10, -DAY * 25 + 20))
        await scene.try_by_hand(month)
        assert scene.wrong() == []


# 29


def with_attribute(value: str) -> dict[str, Any]:
    """A conversation with a participant attribute, which only jobs answer."""
    row = record("c", 25, 28)
    row["participants"][0]["attributes"] = {"step": value}
    return row


async def test_older_attributes_do_not_overwrite_newer_ones(tmp_path: Path) -> None:
    """29: Monday's job is gone on with after Tuesday's has been read: its attributes are older."""
    wide = Interval(START, START + timedelta(hours=2))
    with scene_at(tmp_path, with_attribute("old"), *(record(f"b{number}", 6 + number) for number in range(5))) as scene:
        scene.clock.at = START + timedelta(hours=4)
        scene.org.watermark = to_text(START + timedelta(hours=3))
        stop = asyncio.Event()
        scene.org.page_of_job = lambda _org, _page: stop.set()
        # The conversation is on the last page, which is read after the other job.
        scene.org.put(record("a0", 1), record("a1", 2))
        await stopped(scene.by_hand(WINDOW, via="job", stop=stop))
        scene.org.page_of_job = lambda _org, _page: None
        scene.clock.at = START + timedelta(hours=9)
        scene.org.watermark = to_text(START + timedelta(hours=8))
        scene.org.put(with_attribute("new"))
        await scene.by_hand(wide, via="job")
        await scene.try_by_hand(WINDOW, via="job")
        assert scene.rows("SELECT value FROM participant_attributes WHERE conversation_id = 'c'") == [("new",)]


async def test_a_watermark_that_goes_back_overwrites_nothing(tmp_path: Path) -> None:
    """29, K10: the jobs' data is that of an older day again: neither details nor attributes are put back."""
    with scene_at(tmp_path, with_attribute("new")) as scene:
        scene.clock.at = START + timedelta(hours=9)
        scene.org.watermark = to_text(START + timedelta(hours=8))
        await scene.by_hand(WINDOW, via="job")
        scene.org.put(with_attribute("old"))
        scene.org.watermark = to_text(START + timedelta(hours=3))
        await scene.try_by_hand(WINDOW, via="job")
        assert scene.rows("SELECT value FROM participant_attributes WHERE conversation_id = 'c'") == [("new",)]
        scene.clock.at = START + timedelta(hours=20)
        scene.org.watermark = to_text(START + timedelta(hours=19))
        scene.org.put(with_attribute("newest"))
        await scene.by_hand(WINDOW, via="job")
        assert scene.rows("SELECT value FROM participant_attributes WHERE conversation_id = 'c'") == [("newest",)]


async def test_an_older_read_marks_nobody_as_stuck(tmp_path: Path) -> None:
    """K10: a job's data is older than what has been read since: who has ended by then is not called stuck by it."""
    window = Interval(START - timedelta(days=40), START - timedelta(days=39))
    row = record("c", -40 * DAY + 5, None)
    with scene_at(tmp_path, record("c", -40 * DAY + 5, -10), width=timedelta(hours=12)) as scene:
        scene.clock.at = START + timedelta(hours=9)
        await scene.by_hand(window)
        scene.org.put(row)
        scene.org.watermark = to_text(START - timedelta(days=1))
        await scene.try_by_hand(window, via="job")
        assert scene.rows("SELECT conversation_end, followed FROM conversations WHERE conversation_id = 'c'") == [
            (to_text(START - timedelta(minutes=10)), None)
        ]
