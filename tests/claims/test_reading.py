"""No window is called proven on one witness: answers that are empty, or less than was asked, are asked again."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.times import Interval, to_text
from rollbook.store.tables import windows
from tests.helpers.liar import EMPTY, ERROR_BODIES, Lie, Scene, nothing, scene_at, without
from tests.helpers.organisation import START, WINDOW, record

HOURS = Interval(START - timedelta(hours=10), START + timedelta(hours=14))  # a day
# What is no error at first sight: a page of a job's results that lacks rows.
LESS: dict[str, Lie] = {
    "rows and no more": lambda honest: {"conversations": honest["conversations"][:1]},
    "an empty end": lambda honest: {"conversations": [], "dataAvailabilityDate": honest["dataAvailabilityDate"]},
    "a row fewer": lambda honest: {**honest, "conversations": honest["conversations"][1:]},
    "an end before the end": lambda honest: {key: value for key, value in honest.items() if key != "cursor"},
}


def eight() -> list[dict[str, Any]]:
    """Three pages of them."""
    return [record(f"c{number}", 3 * number + 1) for number in range(8)]


JOB_LIES: dict[str, Lie] = {"{}": nothing, **ERROR_BODIES, **LESS}


# The last page has no cursor that could be left out.
@pytest.mark.parametrize(
    ("lie", "page"),
    [(lie, page) for lie in JOB_LIES for page in (1, 2, 3) if (lie, page) != ("an end before the end", 3)],
)
async def test_a_page_of_a_job_that_says_less_proves_nothing(tmp_path: Path, page: int, lie: str) -> None:
    """1: one results page is `{}`, an error's body, without its watermark or short of rows, once: no false proof, and
    the next run finds all."""
    with scene_at(tmp_path, *eight()) as scene:
        scene.clock.at = HOURS.end + timedelta(hours=1)
        scene.org.watermark = to_text(scene.clock.at)
        scene.org.results[page] = JOB_LIES[lie]
        await scene.try_by_hand(HOURS, via="job")
        assert scene.wrong() == []
        report = await scene.by_hand(HOURS, via="job")
        assert report.verdict == "complete"
        assert scene.stored() == scene.org.truth


@pytest.mark.parametrize("page", [1, 2, 3])
async def test_a_page_of_a_job_without_its_watermark_proves_nothing(tmp_path: Path, page: int) -> None:
    """1: one page of the results never says until when the jobs have data, and the watermark is asked for in vain."""
    with scene_at(tmp_path, *eight()) as scene:
        scene.clock.at = HOURS.end + timedelta(hours=1)
        scene.org.watermark = to_text(scene.clock.at)

        def silent(honest: Any) -> Any:
            return {key: value for key, value in honest.items() if key != "dataAvailabilityDate"}

        scene.org.results = dict.fromkeys(range(page, 40), silent)
        report = await scene.try_by_hand(HOURS, via="job")
        assert report is None or report.verdict == "failed" or report.reading == "interval", "the query may prove it"
        assert scene.wrong() == []
        scene.org.results.clear()
        assert (await scene.by_hand(HOURS, via="job")).verdict == "complete"
        assert scene.stored() == scene.org.truth


async def test_a_job_that_lacks_what_the_query_counts_proves_nothing(tmp_path: Path) -> None:
    """K1: the job's own rows are short of two, on every page alike; the query counts them."""
    with scene_at(tmp_path, *eight()) as scene:
        scene.clock.at = HOURS.end + timedelta(hours=1)
        scene.org.watermark = to_text(scene.clock.at)
        scene.org.results = {number: without("c2", "c7") for number in range(1, 40)}
        report = await scene.try_by_hand(HOURS, via="job")
        assert report is None or report.verdict == "failed" or report.reading == "interval", "the query may prove it"
        assert scene.wrong() == []
        scene.org.results.clear()
        await scene.by_hand(HOURS, via="job")
        assert scene.verdict(HOURS) == "complete"
        assert scene.stored() == scene.org.truth


async def read_twice(scene: Scene) -> None:
    """Read the window while an answer lies, and once more: nothing untrue is claimed between, and all is stored then."""
    await scene.try_by_hand(WINDOW)
    assert scene.wrong() == []
    await scene.by_hand(WINDOW)
    assert scene.verdict(WINDOW) == "complete"
    assert scene.stored() == scene.org.truth


@pytest.mark.parametrize("lie", EMPTY.values(), ids=EMPTY.keys())
async def test_nothing_is_asked_for_twice(tmp_path: Path, lie: Lie) -> None:
    """2: page 1 is empty once, and nothing is known of the window: it is asked again before it is believed."""
    with scene_at(tmp_path, *eight()) as scene:
        scene.org.pages[1] = lie
        await read_twice(scene)


@pytest.mark.parametrize("lie", EMPTY.values(), ids=EMPTY.keys())
@pytest.mark.parametrize("week", [0, 1, 2])
async def test_a_week_of_a_month_is_not_empty_because_one_answer_is(tmp_path: Path, lie: Lie, week: int) -> None:
    """2: a month is read by hand, and the first page of one of its weeks is empty once."""
    month = Interval(START - timedelta(days=21), START)
    asked: set[str] = set()
    with scene_at(
        tmp_path,
        *(record(f"c{day}", -1440 * day + 5, -1440 * day + 9) for day in range(1, 21)),
        size=10,
        width=timedelta(hours=12),
    ) as scene:

        def once(body: Any, honest: Any) -> Any:
            asked.add(body["interval"])
            if len(asked) == week + 1 and "lied" not in asked:
                asked.add("lied")
                return lie(honest)
            return None

        scene.org.each_page = once
        await scene.try_by_hand(month)
        assert scene.wrong() == []
        await scene.by_hand(month)
        assert scene.wrong() == []
        assert scene.stored() == scene.org.truth


@pytest.mark.parametrize("lie", EMPTY.values(), ids=EMPTY.keys())
async def test_what_capture_heard_is_held_against_an_empty_answer(tmp_path: Path, lie: Lie) -> None:
    """2: capture has heard two of eight, the first page is empty: the run finds the two by id, and reads again."""
    with scene_at(tmp_path, *eight()) as scene:
        scene.hear("c3", started=10)
        scene.hear("c5", started=16)
        scene.org.pages[1] = lie
        await read_twice(scene)


async def test_what_is_found_by_id_and_never_listed_is_no_proof(tmp_path: Path) -> None:
    """2, a part of the index is away: what capture heard is found by id, and the list has it never: failed, until it
    has; nothing else of that part is known."""
    with scene_at(tmp_path, *eight(), since=START) as scene:
        scene.hear("c3", started=10)
        scene.org.unlisted |= {"c3", "c4", "c5"}
        report = await scene.try_by_hand(WINDOW)
        assert report is None or report.verdict == "failed" or report.reading == "interval", "the query may prove it"
        assert scene.verdict(WINDOW) not in ("open", "complete", "settled")
        await scene.rounds(61, 75, 120)
        scene.org.unlisted.clear()
        await scene.rounds(24 * 60, 30 * 60)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.stored() == scene.org.truth


async def test_what_is_known_later_by_id_is_held_against_the_proof(tmp_path: Path) -> None:
    """K2: heard, and at first found nowhere; later by id, and listed never: the verdict does not stand."""
    with scene_at(tmp_path, *eight(), since=START) as scene:
        scene.hear("c3", started=10)
        scene.org.unlisted |= {"c3", "c4"}
        scene.org.unknown.add("c3")
        await scene.rounds(61, judged=False)
        scene.org.unknown.clear()
        await scene.rounds(90, judged=False)
        await scene.rounds(120, 180)
        scene.org.unlisted.clear()
        await scene.rounds(26 * 60, 30 * 60)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.stored() == scene.org.truth


async def test_what_is_found_after_the_proof_calls_for_another_reading(tmp_path: Path) -> None:
    """K2: two are indexed after the first read; of one an event comes late. It is found by id, started in a window that
    is called complete, and was not in the answer that proves it: the window is read again, and the other is found."""
    with scene_at(tmp_path, *eight(), since=START) as scene:
        scene.org.unlisted |= {"c3", "c4"}
        scene.org.unknown |= {"c3", "c4"}
        await scene.rounds(61, judged=False)
        scene.org.unlisted.clear()
        scene.org.unknown.clear()
        scene.hear("c3", started=10, minute=70)
        await scene.rounds(81, 120, 200, judged=False)
        assert scene.wrong() == []
        assert scene.verdict(WINDOW) == "complete"
        assert scene.stored() == scene.org.truth


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_list_that_is_shorter_than_another_proves_nothing(tmp_path: Path, times: int) -> None:
    """K1: a smaller list that agrees with itself, so many times; capture heard one of the rows that it lacks."""
    with scene_at(tmp_path, *eight(), since=START) as scene:
        scene.hear("c6", started=19)
        seen: list[int] = []

        def short(body: Any, honest: Any) -> Any:
            if body["paging"]["pageNumber"] == 1:
                seen.append(1)
            return without("c6", "c7")(honest) | {"totalHits": 6} if len(seen) <= times else None

        scene.org.each_page = short
        await scene.try_by_hand(WINDOW)
        assert scene.wrong() == []
        await scene.rounds(61, 75, 140, 24 * 60)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.stored() == scene.org.truth


@pytest.mark.parametrize("always", [False, True])
async def test_whole_days_twice_alike_account_for_the_totals_too(tmp_path: Path, always: bool) -> None:
    """5: whole days are answered, page 3 is `{}` in both readings (or in every one), the totals say more: not proven
    before the page comes."""
    day = [record(f"d{number:02}", -60 * 9 + 10 * number, -60 * 9 + 10 * number + 5) for number in range(20)]
    with scene_at(tmp_path, *day, *eight(), reading="day", since=START) as scene:
        lies: list[int] = []

        def third(body: Any, honest: Any) -> Any:
            if body["paging"]["pageNumber"] == 3 and (always or len(lies) < 2):
                lies.append(1)
                return {}
            return None

        scene.org.each_page = third
        report = await scene.try_by_hand(WINDOW)
        assert scene.wrong() == []
        if always:
            assert report is None or report.verdict == "failed" or report.reading == "interval", (
                "the query may prove it"
            )
            scene.org.each_page = lambda _body, _honest: None
        await scene.rounds(61, 75, 150, 24 * 60)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.wrong(content=True) == []
        assert scene.org.owned().keys() <= scene.stored().keys()


async def test_a_bad_row_is_a_bad_row(tmp_path: Path) -> None:
    """25: one row ends before it starts; a page is `{}` twice: the rules of whole days do not excuse that."""
    odd = record("odd", 6, -20)
    with scene_at(tmp_path, *eight(), odd, since=START) as scene:
        scene.org.listed.add("odd")
        lies: list[int] = []

        def second(body: Any, honest: Any) -> Any:
            if body["paging"]["pageNumber"] == 2 and len(lies) < 2:
                lies.append(1)
                return {}
            return None

        scene.org.each_page = second
        await scene.try_by_hand(WINDOW)
        assert scene.wrong() == []
        await scene.rounds(61, 75, 150, 24 * 60)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.stored() == scene.org.truth


async def test_one_odd_row_makes_no_whole_days(tmp_path: Path) -> None:
    """25, K12: a row that ends before it starts is no sign that days are answered: the ledger does not say so."""
    with scene_at(tmp_path, *eight(), record("odd", 6, -20)) as scene:
        scene.org.listed.add("odd")
        await scene.try_by_hand(WINDOW)
        row = await scene.book.read(windows.find, to_text(WINDOW.start), to_text(WINDOW.end))
        assert row is not None
        assert row.reading == "interval"
        assert scene.wrong() == []
