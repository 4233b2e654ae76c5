"""Other members of the kinds: small questions beside a reading, what becomes known meanwhile, rows without a start."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconcile.reading.query import Stopped
from reconcile.reading.reader import Reader
from reconcile.reading.visible_divisions import Eyes, trouble
from rollbook.genesys.api.listing import Entities, Entity
from rollbook.genesys.errors import ConnectionLost, PermissionRefused, RequestRefused, Unavailable
from rollbook.genesys.messages.details import parse_page
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.tables import windows
from rollbook.store.tables.conversations import Read
from tests.helpers.liar import Answer, Liar, Lie, Scene, no_rows, nothing, scene_at
from tests.helpers.organisation import START, WINDOW, record

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
WEEK_AND_MORE = Interval(START - 10 * DAY, START)


def few(number: int = 3) -> list[dict[str, Any]]:
    """Conversations of the window, each of a minute."""
    return [record(f"c{place}", 3 * place + 1, 3 * place + 2) for place in range(number)]


def before_the_second_look(scene: Scene, happens: Callable[[], None]) -> None:
    """Let something happen when a reading asks for its divisions once more: behind its pages and its look by id."""
    answer, questions = scene.org.divisions, 0

    async def divisions() -> list[Entity]:
        nonlocal questions
        questions += 1
        if questions == 2:
            happens()
        return await answer()

    scene.org.divisions = divisions  # type: ignore[method-assign,assignment]


def found_by_somebody_else(scene: Scene, conversation_id: str) -> None:
    """Write the details of a conversation as a follow-up by id does, beside the reading."""
    rows = parse_page(json.dumps({"conversations": [scene.org.truth[conversation_id]]}).encode()).rows
    now = to_text(scene.clock.now())
    read = Read(now, now, now, frozenset(), scene.settings.lag)
    scene.book.write(
        windows.write_details,
        rows,
        read,
        window=None,
        width=scene.settings.width,
        cause=lambda _row, _kind: "unknown",
    ).result(10)


# Whether all has ended


def said(**other: Any) -> Lie:
    """The honest answer, with another total."""
    return lambda honest: honest | other


SAYS_LESS: dict[str, Lie] = {
    "{}": nothing,
    "no total": said(totalHits=None),
    "fewer": said(totalHits=2),
    "a text": said(totalHits="4"),
}


@pytest.mark.parametrize("lie", SAYS_LESS.values(), ids=SAYS_LESS.keys())
async def test_a_count_without_the_filter_that_says_less_settles_nothing(tmp_path: Path, lie: Lie) -> None:
    """K1, K9: one of four goes on; the count of all says fewer than were found, or nothing, whenever it is asked."""
    with scene_at(tmp_path, *few(), record("on", 20, None), since=START) as scene:
        await scene.by_hand(WINDOW, ended_only=True)
        scene.clock.at = START + 6 * DAY
        scene.org.each_page = lambda body, honest: None if body.get("conversationFilters") else lie(honest)
        assert (await scene.by_hand(WINDOW, ended_only=True)).verdict == "complete"
        scene.org.each_page = lambda _body, _honest: None
        scene.org.put(record("on", 20, 25))
        assert (await scene.by_hand(WINDOW, ended_only=True)).verdict == "settled"


def no_more_than_a_week(body: Any, _query: int) -> None:
    """Refuse a longer interval, as the platform does where there is no filter."""
    start, end = map(from_text, body["interval"].split("/"))
    if end - start > 7 * DAY and not body.get("conversationFilters"):
        raise RequestRefused("the interval is too long", status=400)


@pytest.mark.parametrize("ended_only", [True, False])
async def test_more_than_a_week_settles_too(tmp_path: Path, ended_only: bool) -> None:
    """A: ten days are asked for in parts, and so is the total that settles them."""
    rows = [record("a", -2_000, -1_990), record("b", -9_000, -8_990), record("c", -14_000, -13_990)]
    with scene_at(tmp_path, *rows, width=DAY) as scene:
        scene.org.refuse = no_more_than_a_week
        scene.clock.at = START + 7 * DAY
        assert (await scene.by_hand(WEEK_AND_MORE, ended_only=ended_only)).verdict == "complete"
        scene.clock.at += 2 * HOUR
        settings = replace(scene.settings, ended_only=ended_only)
        if ended_only:
            assert (await scene.by_hand(WEEK_AND_MORE, ended_only=True)).verdict == "settled"
        else:
            await scene.due(since=settings.since)
            assert scene.verdict(WEEK_AND_MORE) == "settled"


# What becomes known meanwhile


@pytest.mark.parametrize("how", ["heard", "found"])
async def test_what_becomes_known_behind_the_reading_is_held_against_it(tmp_path: Path, how: str) -> None:
    """K2, K3: capture hears of a fourth, or a follow-up finds it, after the reading has asked for what it lacks."""
    with scene_at(tmp_path, *few(), record("x", 20), size=10) as scene:
        scene.org.unlisted.add("x")
        knows: dict[str, Callable[[], None]] = {
            "heard": lambda: scene.hear("x", started=20, minute=21),
            "found": lambda: found_by_somebody_else(scene, "x"),
        }
        before_the_second_look(scene, knows[how])
        report = await scene.by_hand(WINDOW)
        assert (report.verdict, scene.verdict(WINDOW)) == ("failed", "failed")
        assert "became known" in (report.reason or "")
        scene.org.unlisted.clear()
        await scene.rounds(61)
        assert (scene.verdict(WINDOW), "x" in scene.stored()) == ("complete", True)


async def test_what_becomes_known_behind_a_total_keeps_it_from_settling(tmp_path: Path) -> None:
    """K2: a total agrees with the proof; meanwhile capture hears of a conversation that the proof lacks."""
    with scene_at(tmp_path, *few(), record("x", 20), size=10, since=START) as scene:
        scene.org.unlisted.add("x")
        scene.org.unknown.add("x")
        scene.clock.at = START + 6 * DAY
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        scene.clock.at += 2 * HOUR
        scene.org.always = lambda _: scene.hear("x", started=20, minute=21)
        [report] = await scene.settle(WINDOW)
        assert (report.verdict, scene.verdict(WINDOW)) == ("failed", "failed")


@pytest.mark.parametrize("via", ["query", "job"])
async def test_finished_ones_that_are_known_must_be_in_the_answer(tmp_path: Path, via: str) -> None:
    """C, K2: of finished ones only, a part of the index is away; capture has heard the ends of two of three there."""
    with scene_at(tmp_path, *few(8), record("on", 25, None), size=10, since=START) as scene:
        scene.org.watermark = to_text(scene.clock.at)
        scene.hear("c3", started=10, ended=11, minute=11)
        scene.hear("c5", started=16, ended=17, minute=17)
        scene.hear("on", started=25, minute=26)
        scene.hear("a test event", started=12, ended=13, minute=13)
        scene.org.unlisted |= {"c3", "c4", "c5"}
        report = await scene.by_hand(WINDOW, via=via, ended_only=True)
        assert (report.verdict, report.live_only) == ("failed", 0)
        scene.org.unlisted.clear()
        report = await scene.by_hand(WINDOW, via=via, ended_only=True)
        assert (report.verdict, report.live_only, len(scene.stored())) == ("complete", 0, 8)


async def test_a_conversation_that_is_found_without_its_start_exists(tmp_path: Path) -> None:
    """K2: capture heard when it began, the list lacks it, and the answer by id has it without a start."""
    with scene_at(tmp_path, *few(), record("x", 20), size=10) as scene:
        scene.hear("x", started=20, minute=21)
        scene.org.unlisted.add("x")

        def without_start(_ids: Sequence[str], honest: Answer) -> Answer:
            rows = [{**row, "conversationStart": None} for row in honest["conversations"]]
            return {"conversations": rows}

        scene.org.each_lookup = without_start
        assert (await scene.by_hand(WINDOW)).verdict == "failed"


# What went on before the lag was over


async def test_what_was_begun_within_the_lag_is_provisional_when_it_is_gone_on_with(tmp_path: Path) -> None:
    """K5: a reading loses the connection two minutes after the window; a row comes; it is gone on with nine later."""
    with scene_at(tmp_path, *few(2), since=START) as scene:
        scene.clock.at = WINDOW.end + timedelta(minutes=2)
        scene.org.each_page = lambda _body, honest: None if honest["conversations"] else {}

        def lost() -> None:
            raise ConnectionLost("the connection was lost")

        before_the_second_look(scene, lost)
        assert await scene.try_by_hand(WINDOW) is None
        scene.org.put(record("late", 20))
        scene.clock.at = WINDOW.end + timedelta(minutes=11)
        await scene.try_by_hand(WINDOW)
        assert scene.wrong() == []
        await scene.rounds(45)
        assert (scene.verdict(WINDOW), "late" in scene.stored()) == ("complete", True)


async def test_a_proof_whose_first_page_is_of_before_the_lag_waits_to_be_read_again(tmp_path: Path) -> None:
    """K5: its last page says the same as before, with its total; the first one is of two minutes after the window."""
    with scene_at(tmp_path, *few(5), since=START) as scene:
        scene.clock.at = WINDOW.end + timedelta(minutes=2)

        def lost() -> None:
            raise ConnectionLost("the connection was lost")

        before_the_second_look(scene, lost)
        assert await scene.try_by_hand(WINDOW) is None
        scene.clock.at = WINDOW.end + timedelta(minutes=11)
        assert (await scene.by_hand(WINDOW)).verdict == "pending"
        await scene.rounds(45)
        assert scene.verdict(WINDOW) == "complete"


async def test_another_client_goes_on_with_nothing_where_nobody_may_say_what_it_sees(tmp_path: Path) -> None:
    """K4: neither client may ask for its divisions: the second one begins anew where the first was cut short."""
    with scene_at(tmp_path, *few(8), since=START) as scene:

        async def refused() -> list[Entity]:
            raise PermissionRefused("missing authorization:division:view", status=403)

        scene.org.divisions = refused  # type: ignore[method-assign,assignment]
        asked: dict[str, list[int]] = {}
        for first, then in (("a", "a"), ("a", "b")):
            stop = asyncio.Event()
            cut_at = len(scene.org.bodies) + 2
            scene.org.always = lambda org, at=cut_at, stop=stop: stop.set() if len(org.bodies) == at else None  # type: ignore[misc]
            with pytest.raises(Stopped):
                await scene.by_hand(WINDOW, stop=stop, settings=replace(scene.settings, client_id=first))
            scene.org.always = lambda _: None
            before = len(scene.org.bodies)
            await scene.by_hand(WINDOW, settings=replace(scene.settings, client_id=then))
            asked[then] = [body["paging"]["pageNumber"] for body in scene.org.bodies[before:]]
        assert (asked["a"][0], asked["b"][0]) == (2, 1)


# Rows of no window

NO_START = {"none": None, "a number": 1_772_445_600_000, "a 60th second": "2026-03-02T10:19:60.000Z"}


@pytest.mark.parametrize("via", ["query", "job"])
@pytest.mark.parametrize("start", NO_START.values(), ids=NO_START.keys())
async def test_what_goes_on_and_has_no_start_lets_no_window_be_complete(tmp_path: Path, start: Any, via: str) -> None:
    """B, K9: nobody knows which window it holds open, so that none can say that all of its conversations have ended."""

    def odd(honest: Answer) -> Answer:
        rows = honest["conversations"]
        changed = [row | {"conversationStart": start} if row["conversationId"] == "x" else row for row in rows]
        return {**honest, "conversations": changed}

    with scene_at(tmp_path, *few(), record("x", 20, None), size=10) as scene:
        scene.org.watermark = to_text(scene.clock.at)
        scene.org.each_page = lambda _body, honest: odd(honest)
        scene.org.results = dict.fromkeys(range(1, 40), odd)
        report = await scene.by_hand(WINDOW, via=via)
        assert (report.verdict, "x" in scene.stored()) == ("failed", True)
        assert "no start" in (report.reason or "")
        scene.org.each_page = lambda _body, _honest: None
        assert (await scene.by_hand(WINDOW)).verdict == "open"


# Who sees


@pytest.mark.parametrize("there", [(), ("d1",)], ids=["none", "fewer than are counted"])
async def test_a_list_of_divisions_that_shows_too_few_is_no_answer(tmp_path: Path, there: tuple[str, ...]) -> None:
    """K1, K4: the list of divisions is empty, or counts more than it shows: it is not known who reads."""
    with scene_at(tmp_path, *few(), size=10) as scene:

        async def divisions() -> Entities:
            listed = Entities(Entity(name, name) for name in there)
            listed.complete = not there
            return listed

        scene.org.divisions = divisions  # type: ignore[method-assign,assignment]
        report = await scene.by_hand(WINDOW)
        assert (report.verdict, len(scene.stored())) == ("failed", 3)
        assert "divisions" in (report.reason or "")


async def test_who_does_not_see_a_division_calls_nothing_of_it_gone(tmp_path: Path) -> None:
    """K4: a reading that proved nothing has brought a conversation of d2; who sees d1 alone lacks it, twice."""
    rows = record("a", 3, divisionIds=["d1"]), record("b", 7, divisionIds=["d2"])
    with scene_at(tmp_path, *rows, size=10) as scene:
        scene.org.totals = lambda total, _: total + 1
        assert (await scene.by_hand(WINDOW)).verdict == "failed"
        scene.org.totals = lambda total, _: total
        scene.org.sees = frozenset({"d1"})
        for _ in range(2):
            assert (await scene.by_hand(WINDOW)).verdict == "failed"
            scene.clock.at += 2 * HOUR
        assert scene.rows("SELECT conversation_id FROM conversations WHERE followed = 'gone'") == []
        scene.org.sees = None
        assert (await scene.by_hand(WINDOW)).verdict == "complete"


async def test_a_division_that_is_given_back_is_noticed_where_somebody_looked_meanwhile() -> None:
    """K4, K12: between the two looks of a long reading, another window of the round has seen less."""
    org = Liar()
    eyes = Eyes(org)
    before = await eyes.look()
    assert trouble(before, await eyes.look()) is None
    org.sees = frozenset({"d1"})
    await eyes.look()
    org.sees = None
    assert "changed" in (trouble(before, await eyes.look()) or "")


async def test_a_division_that_is_given_back_unseen_hides_what_it_has(tmp_path: Path) -> None:
    """Taken away behind the first look and given back before the last one: no question shows that, and none is later."""
    rows = record("a", 3, divisionIds=["d1"]), record("b", 7, divisionIds=["d2"])
    with scene_at(tmp_path, *rows, size=10, since=START) as scene:
        seen, hidden = None, frozenset({"d1"})
        scene.org.always = lambda org: setattr(org, "sees", hidden)
        before_the_second_look(scene, lambda: setattr(scene.org, "sees", seen))
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        assert "b" not in scene.stored()
        scene.org.always = lambda _: None
        scene.clock.at = START + 6 * DAY
        await scene.by_hand(WINDOW)
        assert (scene.verdict(WINDOW), "b" in scene.stored()) == ("settled", True)


# Totals


@pytest.mark.parametrize("blip", [nothing, no_rows])
async def test_a_job_of_nothing_is_not_confirmed_by_one_answer_of_nothing(tmp_path: Path, blip: Lie) -> None:
    """K1: the job's results are empty, and so is the query's first answer; the second one counts eight."""
    with scene_at(tmp_path, *few(8), size=10) as scene:
        scene.org.watermark = to_text(scene.clock.at)
        scene.org.results = dict.fromkeys(range(1, 40), lambda honest: {**honest, "conversations": []})
        scene.org.pages[1] = blip
        report = await scene.by_hand(WINDOW, via="job")
        assert (report.verdict, len(scene.stored())) == ("complete", 8)


async def test_a_sum_of_parts_is_no_total_of_the_whole(tmp_path: Path) -> None:
    """K2: a gateway lets only half of the window through, and a call lies in both halves; then another one comes."""
    with scene_at(tmp_path, record("long", 1, 28), *few(), size=10, since=START) as scene:

        def narrow(body: Any, _query: int) -> None:
            start, end = map(from_text, body["interval"].split("/"))
            if end - start > timedelta(minutes=20):
                raise Unavailable("no answer in time", status=504)

        scene.clock.at = START + 6 * DAY
        scene.org.refuse = narrow
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        scene.org.refuse = lambda _body, _query: None
        scene.org.put(record("x", 20, 21))
        scene.clock.at += 2 * HOUR
        await scene.settle(WINDOW)
        assert (scene.verdict(WINDOW), "x" in scene.stored()) == ("settled", True)


async def test_a_row_that_comes_behind_a_day_that_is_only_growing_is_seen(tmp_path: Path) -> None:
    """K12: whole days are answered, and this one goes on; a row of the window comes while page 1 is asked for again."""
    with scene_at(tmp_path, record("before", -100, -90), *few(5), reading="day") as scene:
        scene.org.moves[4] = lambda org: org.put(record("late", 25, 26))
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        assert "late" in scene.stored()


@pytest.mark.parametrize("blip", [nothing, no_rows])
async def test_one_look_over_midnight_that_shows_nothing_is_repeated(tmp_path: Path, blip: Lie) -> None:
    """K1, K12: a start is corrected across midnight between the readings of both days; the look for it is empty, once."""
    midnight = START + 14 * HOUR
    night = Interval(midnight - HOUR / 2, midnight)
    with scene_at(tmp_path, record("x", 14 * 60 + 1, 14 * 60 + 5), since=night.start) as scene:
        await scene.rounds(14 * 60 + 11)
        scene.org.put(record("x", 14 * 60 - 1, 14 * 60 - 0.5))
        looks = 0

        def once(body: Any, honest: Answer) -> Any:
            nonlocal looks
            looks += body["order"] == "desc"
            return blip(honest) if body["order"] == "desc" and looks == 1 else None

        scene.org.each_page = once
        await scene.rounds(14 * 60 + 41)
        assert "x" in scene.stored()


async def test_what_crosses_midnight_while_the_day_is_read_is_asked_for_by_id(tmp_path: Path) -> None:
    """K12: it began behind midnight when the reading did, and before it at its end; no look over midnight shows it."""
    minute = 14 * 60
    before, behind = record("x", minute - 1, minute + 5), record("x", minute + 1, minute + 5)
    others = [record(f"c{number}", minute + 2 + number, minute + 4 + number) for number in range(4)]
    with scene_at(tmp_path, behind, *others, since=START + 14 * HOUR - HOUR / 2) as scene:
        await scene.rounds(minute + 11)
        begins = to_text(START + 14 * HOUR)

        def crossing(body: Any, _honest: Answer) -> Any:
            if body["interval"].startswith(begins):
                scene.org.put(before)
            return nothing(_honest) if body["order"] == "desc" else None

        scene.org.each_page = crossing
        await scene.rounds(minute + 41, minute + 72)
        assert scene.stored()["x"]["conversationStart"] == before["conversationStart"]


def test_one_impossible_total_costs_no_thousand_questions() -> None:
    """D: a total of a million millions, once: the interval is read in pieces, as many as one such total may make."""
    reader = Reader(WINDOW, longest=7 * DAY)
    reader.step("")
    reader.take([], 10**12)
    reader.step("")
    assert len(reader._queue) < 40
