"""What any answer shows exists, whatever the question was for: it is stored, and an answer that lacks it proves nothing.

The questions here are the small ones beside a reading: what started just before midnight, a total, the first page of a
job's interval, the last page of a run that was cut short. By id it is otherwise: what nobody asked for is no answer.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconcile.patience import RunClock
from reconcile.reading.query import Stopped
from reconcile.run import by_id
from rollbook.genesys.api import request
from rollbook.genesys.errors import ApiError, PermissionRefused, RequestRefused, Unavailable
from rollbook.genesys.messages.details import DetailRow, parse_page
from rollbook.genesys.times import Interval, to_text
from tests.helpers.liar import Scene, scene_at, without
from tests.helpers.organisation import START, WINDOW, record

HOURS = timedelta(hours=1)
MIDNIGHT = 14 * 60.0  # minutes after ten
DAY = 1440.0


def listed(scene: Scene) -> None:
    """The list and the answers by id have everything from now on."""
    scene.org.unlisted.clear()
    scene.org.unknown.clear()


@pytest.mark.parametrize("reading", ["overlap", "day"])
async def test_what_a_look_over_midnight_shows_takes_a_proof_whenever_it_started(tmp_path: Path, reading: str) -> None:
    """Asked for what started just before midnight, the platform shows a call that began before: nobody lists it yet."""
    evening = Interval(START + 8 * HOURS, START + 14 * HOURS)
    long_call = record("long", MIDNIGHT - 50, MIDNIGHT - 2)
    with scene_at(tmp_path, long_call, reading=reading, since=evening.start, width=6 * HOURS) as scene:
        scene.org.unlisted = scene.org.unknown = {"long"}
        await scene.rounds(MIDNIGHT + 10.5, judged=False)
        assert (scene.verdict(evening), "long" in scene.stored()) == ("complete", False)
        listed(scene)
        await scene.rounds(MIDNIGHT + 6 * 60 + 10.5)
        assert "long" in scene.stored()
        await scene.rounds(MIDNIGHT + 6 * 60 + 30)
        assert scene.verdict(evening) == "complete"


async def test_a_window_is_not_proven_against_what_its_look_over_midnight_has_shown(tmp_path: Path) -> None:
    """The answer to what started before midnight has a call of the morning, which the morning's own answer lacks."""
    morning = Interval(START + 14 * HOURS, START + 20 * HOURS)
    with scene_at(tmp_path, record("early", MIDNIGHT + 3, MIDNIGHT + 5), width=6 * HOURS) as scene:
        scene.clock.at = morning.end + HOURS
        early = scene.org.truth["early"]

        def shows(body: Mapping[str, Any], _honest: Any) -> Any:
            return {"conversations": [early], "totalHits": 1} if body["order"] == "desc" else {}

        scene.org.each_page = shows
        report = await scene.by_hand(morning)
        assert (report.verdict, "early" in scene.stored()) == ("failed", True)
        assert "midnight" in (report.reason or "")


async def test_what_is_shown_with_a_total_must_be_known_before_it_settles(tmp_path: Path) -> None:
    """The total is what it was, and its page shows another conversation: stored, and no total settles the window."""
    with scene_at(tmp_path, record("a", 3), record("b", 7), since=START) as scene:
        scene.org.unlisted = scene.org.unknown = {"a"}
        scene.clock.at = START + timedelta(days=6)
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        listed(scene)
        scene.org.unlisted = {"b"}
        scene.clock.at += 2 * HOURS
        before = len(scene.org.bodies)
        scene.org.always = lambda _: request._count_one()
        [report] = await scene.settle(WINDOW)
        assert (report.verdict, sorted(scene.stored())) == ("failed", ["a", "b"])
        assert report.requests == len(scene.org.bodies) - before
        listed(scene)
        await scene.rounds(6 * DAY + 600)
        assert scene.verdict(WINDOW) == "settled"


async def test_a_record_that_is_shown_with_a_total_is_stored_as_it_is_now(tmp_path: Path) -> None:
    """A newer read is a newer read, though the window is settled by the total alone."""
    with scene_at(tmp_path, record("a", 3), since=START) as scene:
        scene.clock.at = START + timedelta(days=6)
        await scene.by_hand(WINDOW)
        scene.org.put(record("a", 3, mediaStatsMinConversationMos=1.0))
        scene.clock.at += 2 * HOURS
        [report] = await scene.settle(WINDOW)
        assert (report.verdict, report.passes, report.written) == ("settled", 0, 1)
        assert scene.stored() == scene.org.truth


async def test_what_the_total_of_a_job_has_shown_is_not_forgotten(tmp_path: Path) -> None:
    """The first page of the same time has a conversation that the job lacks; a moment later nobody has it any more."""
    with scene_at(tmp_path, *(record(f"c{number}", 2 * number + 1) for number in range(4)), size=10) as scene:
        scene.org.watermark = to_text(scene.clock.at)
        scene.org.results[1] = without("c0")
        asked = 0

        def less(body: Mapping[str, Any], honest: Any) -> Any:
            nonlocal asked
            asked += 1
            if asked == 1:
                return None
            rows = [record for _, record in sorted(scene.org.truth.items()) if record["conversationId"] != "c0"]
            first = (body["paging"]["pageNumber"] - 1) * body["paging"]["pageSize"]
            return {"conversations": rows[first : first + body["paging"]["pageSize"]], "totalHits": 3}

        scene.org.each_page = less
        report = await scene.by_hand(WINDOW, via="job")
        assert (report.verdict, "c0" in scene.stored()) == ("failed", True)
        assert "known to exist" in (report.reason or "")


async def test_a_job_that_ends_within_the_lag_and_is_counted_by_nobody_proves_nothing(tmp_path: Path) -> None:
    """K1, K6: the jobs' data end five minutes after the window and lack what was indexed later; no total says so."""
    with scene_at(tmp_path, *(record(f"c{number}", 2 * number + 1) for number in range(4)), size=10) as scene:
        scene.org.results = {number: without("c0") for number in range(1, 40)}

        def uncounted(_body: Mapping[str, Any], honest: Any) -> Any:
            return {"conversations": [row for row in honest["conversations"] if row["conversationId"] != "c0"]}

        scene.org.each_page = uncounted
        scene.org.watermark = to_text(WINDOW.end + timedelta(minutes=5))
        assert (await scene.by_hand(WINDOW, via="job")).verdict == "failed"
        assert scene.wrong() == []


async def test_what_the_last_page_of_a_cut_run_shows_is_held_against_the_new_reading(tmp_path: Path) -> None:
    """Asked for again, the last page has another one; the reading that begins anew lacks it: not proven without it."""
    rows = [record(f"c{number}", 2 * number + 1) for number in range(5)]
    with scene_at(tmp_path, *rows, size=2) as scene:
        scene.org.unlisted = {"c3"}
        stop = asyncio.Event()
        scene.org.always = lambda org: stop.set() if len(org.bodies) == 2 else None
        with pytest.raises(Stopped):
            await scene.by_hand(WINDOW, stop=stop)
        assert "c3" not in scene.stored()
        again = len(scene.org.bodies) + 1
        scene.org.always = lambda org: org.unlisted.clear() if len(org.bodies) == again else org.unlisted.add("c3")
        report = await scene.by_hand(WINDOW)
        assert (report.verdict, "c3" in scene.stored()) == ("failed", True)


async def test_what_a_count_without_the_filter_shows_is_stored(tmp_path: Path) -> None:
    """The count beside a reading of finished conversations shows one that nobody had: its window loses its proof."""
    with scene_at(tmp_path, record("a", 3, None), record("b", 7), since=START) as scene:
        scene.org.unlisted = scene.org.unknown = {"a"}
        assert (await scene.by_hand(WINDOW)).verdict == "complete"
        listed(scene)
        scene.clock.at = START + timedelta(days=6)
        await scene.by_hand(WINDOW, ended_only=True)
        assert (scene.verdict(WINDOW), sorted(scene.stored())) == ("failed", ["a", "b"])


class _ById:
    """Answers every question with the same rows."""

    def __init__(self, *ids: str) -> None:
        page = b",".join(b'{"conversationId":"%b"}' % conversation_id.encode() for conversation_id in ids)
        self._rows = list(parse_page(b'{"conversations":[%b]}' % page).rows)

    async def details_by_id(self, _ids: Any, /, *, tries: int | None = None) -> list[DetailRow]:
        """The rows."""
        return self._rows


@pytest.mark.parametrize(
    ("came", "knows"), [((), False), (("x",), False), (("a",), True), (("k",), True), (("k", "x"), True)]
)
async def test_an_answer_with_nothing_that_was_asked_for_knows_nothing(came: tuple[str, ...], knows: bool) -> None:
    """Only what was asked for, the known conversation beside it included, makes an answer one to these ids."""
    [answer] = [found async for found in by_id.ask(_ById(*came), ["a", "b"], RunClock(lambda: START), known="k")]
    assert answer.knows is knows
    assert [row.conversation_id for row in answer.rows] == [
        conversation_id for conversation_id in came if conversation_id == "a"
    ]
    assert bool(answer.absent) is knows


async def failed_until_it_is_had(scene: Scene) -> None:
    """The window of c3 is not proven while no answer by id can be had, and is when the platform answers and lists it."""
    await scene.rounds(61, 75)
    assert scene.verdict(WINDOW) == "failed"
    scene.org.refuse_ids = lambda _: None
    listed(scene)
    await scene.rounds(24 * 60)
    assert (scene.verdict(WINDOW), "c3" in scene.stored()) == ("complete", True)


NO_WORD_OF_THE_PLATFORM = {
    "cut": Unavailable("the answer was cut", narrower=True),
    "a gateway's": Unavailable("no answer in time", status=504),
    "a refusal without a code": RequestRefused("Bad Request", status=400, narrower=True),
}


@pytest.mark.parametrize("error", NO_WORD_OF_THE_PLATFORM.values(), ids=NO_WORD_OF_THE_PLATFORM.keys())
async def test_an_answer_by_id_that_cannot_be_had_denies_nothing(tmp_path: Path, error: ApiError) -> None:
    """Capture has heard a call that the list lacks, and each answer for it alone is spoiled on its way: it may exist."""
    with scene_at(tmp_path, record("c1", 3, 5), record("c3", 10, 12), since=START) as scene:
        scene.hear("c3", started=10)
        scene.org.unlisted.add("c3")

        def spoiled(ids: Sequence[str]) -> None:
            if "c3" in ids:
                raise error

        scene.org.refuse_ids = spoiled
        await failed_until_it_is_had(scene)


REFUSALS = {
    "the client": PermissionRefused("analytics:conversationDetail:view is missing", status=403),
    "every question": RequestRefused("no questions by id today", status=400, code="bad.request"),
}


@pytest.mark.parametrize("error", REFUSALS.values(), ids=REFUSALS.keys())
async def test_a_refusal_of_every_id_denies_nothing(tmp_path: Path, error: ApiError) -> None:
    """Capture has heard a call that the list lacks, and what the list has is refused by id as well: it may exist."""
    with scene_at(tmp_path, record("c1", 3, 5), record("c3", 10, 12), since=START) as scene:
        scene.hear("c3", started=10)
        scene.org.unlisted.add("c3")

        def refused(_ids: Sequence[str]) -> None:
            raise error

        scene.org.refuse_ids = refused
        await failed_until_it_is_had(scene)


async def test_what_the_platform_itself_refuses_is_no_conversation(tmp_path: Path) -> None:
    """A test event has an id that the platform refuses to be asked for: it is a gap, and holds nothing up."""
    with scene_at(tmp_path, record("c1", 3, 5), since=START) as scene:
        scene.hear("c3", started=10)

        def refused(ids: Sequence[str]) -> None:
            if "c3" in ids:
                raise RequestRefused("not a valid id", status=400, code="bad.request", narrower=False)

        scene.org.refuse_ids = refused
        await scene.rounds(61)
        assert scene.verdict(WINDOW) == "complete"
        assert scene.rows("SELECT conversation_id, kind FROM gaps ORDER BY 1") == [
            ("c1", "missing"),
            ("c3", "live_only"),
        ]


@pytest.mark.parametrize(("started", "verdict"), [(10, "failed"), (65, "complete")])
async def test_what_is_heard_after_its_window_was_proven_takes_the_proof(
    tmp_path: Path, started: int, verdict: str
) -> None:
    """Nobody had heard of it when every answer denied it: the first event says that it began in the proven window."""
    with scene_at(tmp_path, record("c1", 3, 5), record("c3", 10, 95), since=START) as scene:
        scene.org.unlisted = scene.org.unknown = {"c3"}
        await scene.rounds(61, judged=False)
        assert scene.verdict(WINDOW) == "complete"
        scene.hear("c3", started=started, minute=95)
        assert scene.verdict(WINDOW) == verdict
        listed(scene)
        await scene.rounds(130, 24 * 60)
        assert (scene.verdict(WINDOW), "c3" in scene.stored()) == ("complete", True)
        scene.hear("c3", started=started, minute=96)
        assert scene.verdict(WINDOW) == "complete", "it is known by now"


async def test_who_could_not_be_had_by_id_once_is_asked_for_again(tmp_path: Path) -> None:
    """Heard of in a day that no window reads, and a gateway stands before it for a day: its details come all the same."""
    with scene_at(tmp_path, record("c1", 3, 5), record("old", -2880, -2870), since=START) as scene:
        scene.hear("old", started=-2880)

        def spoiled(ids: Sequence[str]) -> None:
            if "old" in ids:
                raise Unavailable("no answer in time", status=504)

        scene.org.refuse_ids = spoiled
        await scene.rounds(61, 24 * 60)
        assert "old" not in scene.stored()
        scene.org.refuse_ids = lambda _: None
        await scene.rounds(3 * 24 * 60, 5 * 24 * 60)
        assert "old" in scene.stored()
