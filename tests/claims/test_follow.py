"""What goes on is followed to its end, and absence is believed of nobody at once: by id, stuck, gone, heard only."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import NotFound, RequestRefused
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.times import Interval, to_text
from rollbook.store.tables import coverage, events
from tests.helpers.liar import EMPTY, Lie, Scene, scene_at, stopped
from tests.helpers.organisation import START, WINDOW, at, ended, record

DAY = 1440.0
HALF_DAY = timedelta(hours=12)
MORNING = Interval(START - timedelta(hours=10), START + timedelta(hours=2))
FEWER: dict[str, Lie] = {
    **EMPTY,
    "some of them": lambda honest: {"conversations": honest["conversations"][:4]},
    "all but one": lambda honest: {"conversations": honest["conversations"][1:]},
    "others": lambda _honest: {"conversations": [record("stranger", 1)]},
}


def emails(count: int = 6) -> list[dict[str, Any]]:
    """They go on."""
    return [record(f"e{number}", number + 1, None) for number in range(count)]


def followed(scene: Scene, word: str) -> set[str]:
    """The conversations that are marked so."""
    return {row[0] for row in scene.rows("SELECT conversation_id FROM conversations WHERE followed = ?", word)}


# 4


@pytest.mark.parametrize("lie", FEWER.values(), ids=FEWER.keys())
async def test_fewer_rows_than_asked_is_no_end_of_anything(tmp_path: Path, lie: Lie) -> None:
    """4: one answer by id is empty, an error's body, or has a part of those asked for: none is gone, all are followed,
    and the window is complete when they have ended."""
    with scene_at(tmp_path, *emails(), record("c", 2), since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)
        scene.org.lookups[scene.org.looked_up + 1] = lie
        await scene.rounds(141)
        assert followed(scene, "gone") == set()
        assert scene.verdict(MORNING) == "open"
        scene.org.put(*(ended(row, 200) for row in emails()))
        await scene.rounds(210, 230, 300)
        assert scene.verdict(MORNING) == "complete"
        assert scene.wrong(content=True) == []


async def test_gone_takes_two_answers_apart_in_time(tmp_path: Path) -> None:
    """4: what was erased is gone after answers of different times that knew something of the others; not after two
    questions of one moment."""
    with scene_at(tmp_path, *emails(), record("c", 2), since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)
        scene.org.unknown.add("e0")
        scene.org.unlisted.add("e0")
        await scene.rounds(141, 141.2, judged=False)
        assert "e0" not in followed(scene, "gone")
        scene.org.put(*(ended(row, 200) for row in emails()[1:5]))
        await scene.rounds(210, 300, 600, DAY, 1.6 * DAY, judged=False)
        scene.org.put(ended(emails()[5], 1.6 * DAY))
        await scene.rounds(1.7 * DAY, 1.8 * DAY, 2.2 * DAY, judged=False)
        assert followed(scene, "gone") == {"e0"}
        assert scene.verdict(MORNING) == "complete"


async def test_all_of_them_gone_at_once_is_no_answer_that_knew_something(tmp_path: Path) -> None:
    """4: for an hour nobody is known by id, though the list has them: that is trouble of the platform's, not theirs."""
    with scene_at(tmp_path, *emails(), since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)
        scene.org.unknown |= {f"e{number}" for number in range(6)}
        await scene.rounds(141, 150, 170, 190)
        assert followed(scene, "gone") == set()
        scene.org.unknown.clear()
        scene.org.put(*(ended(row, 200) for row in emails()))
        await scene.rounds(210, 230, 300)
        assert scene.verdict(MORNING) == "complete"
        assert scene.wrong(content=True) == []


async def test_what_is_gone_is_asked_for_now_and_then(tmp_path: Path) -> None:
    """4: unknown and unlisted for eight days, and back then, ended: found within a month, long after all is settled."""
    with scene_at(tmp_path, *emails(3), reading="day", since=START, width=timedelta(days=2)) as scene:
        scene.org.put(*(ended(row, 100) for row in emails(3)[1:]))
        await scene.rounds(2 * DAY)
        scene.org.unknown.add("e0")
        scene.org.unlisted.add("e0")
        await scene.rounds(*(DAY * day for day in range(3, 9)), judged=False)
        scene.org.unknown.clear()
        scene.org.put(ended(scene.org.truth["e0"], DAY * 8.5))
        scene.org.unlisted.clear()
        await scene.rounds(*(DAY * day for day in range(9, 40)), judged=False)
        assert scene.wrong(content=True) == []
        assert scene.stored()["e0"] == scene.org.truth["e0"]


async def test_what_was_read_before_is_not_gone_because_one_answer_is_empty(tmp_path: Path) -> None:
    """K1: at the settling read a part of the index is away, and the one look by id for what it lacks is answered with
    nothing: nobody is gone for that, and nothing settles."""
    rows = [record(f"c{number}", number + 1, 25) for number in range(9)]
    with scene_at(tmp_path, *rows, since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)
        scene.org.unlisted |= {"c1", "c2", "new"}
        scene.org.put(record("new", 11))
        scene.org.each_lookup = lambda _ids, _honest: {}
        await scene.rounds(5.1 * DAY, judged=False)
        assert followed(scene, "gone") == set()
        assert scene.verdict(MORNING) != "settled"
        scene.org.each_lookup = lambda _ids, _honest: None
        scene.org.unlisted.clear()
        await scene.rounds(6.5 * DAY, 7 * DAY, 8 * DAY, judged=False)
        assert scene.verdict(MORNING) == "settled"
        assert scene.wrong(content=True) == []


# 16


@pytest.mark.parametrize("ahead", [8, 20, 45])
async def test_an_end_that_is_only_heard_closes_no_window(tmp_path: Path, ahead: int) -> None:
    """16: an event says the end, with a time ahead of ours; five seconds later the details by id have none yet. The
    window is open until they have, and then what came with the end is there."""
    with scene_at(tmp_path, record("c", 5, None), since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)
        assert scene.verdict(MORNING) == "open"
        scene.hear("c", ended=140 + ahead / 60, minute=140, received=140)
        for later in (5, 15, 30, 60, 120):
            scene.clock.at = START + timedelta(minutes=140, seconds=later)
            await scene.due()
            assert scene.verdict(MORNING) == "open"
        end = record("c", 5, 140 + ahead / 60, mediaStatsMinConversationMos=3.1)
        scene.org.put(end)
        await scene.rounds(150, 170, 200)
        assert scene.verdict(MORNING) == "complete"
        assert scene.stored()["c"] == end
        assert scene.rows("SELECT mos FROM conversations WHERE conversation_id = 'c'") == [(3.1,)]


async def test_an_end_that_was_heard_before_the_first_read_closes_no_window(tmp_path: Path) -> None:
    """16, K6: the end was heard from a machine whose clock is ahead, before the first read of a window; its details
    have none yet."""
    with scene_at(tmp_path, record("c", 5, None), since=START, width=HALF_DAY) as scene:
        scene.hear("c", ended=131.5, minute=130, received=130)
        await scene.rounds(131)
        assert scene.verdict(MORNING) == "open"
        scene.org.put(record("c", 5, 130, mediaStatsMinConversationMos=3.1))
        await scene.rounds(142, 160, 200)
        assert scene.verdict(MORNING) == "complete"
        assert scene.wrong(content=True) == []


async def test_a_look_on_the_heels_of_an_event_proves_nothing_of_it(tmp_path: Path) -> None:
    """16, K6: a thread that had ended is taken up again; the look five seconds after that is shown the old record. The
    note to look again stays until a read is later than the event and the lag."""
    with scene_at(tmp_path, record("c", 5, 20), since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)
        assert scene.verdict(MORNING) == "complete"
        scene.hear("c", minute=140)
        scene.clock.at = START + timedelta(minutes=140, seconds=5)
        await scene.due()
        again = record("c", 5, 143, mediaStatsMinConversationMos=2.0)
        scene.org.put(again)
        await scene.rounds(152, 160, 200, judged=False)
        assert scene.stored()["c"] == again
        assert scene.verdict(MORNING) == "complete"


# 18, K7, K8


async def test_an_id_that_is_refused_alone_is_set_apart(tmp_path: Path) -> None:
    """18: a test event bears a conversation id that is no id; by id it is 400, with whatever is asked beside it."""
    with scene_at(tmp_path, *emails(), record("c", 2), since=START, width=HALF_DAY) as scene:
        scene.hear("not an id", started=7)

        def refuse(ids: Sequence[str]) -> None:
            if "not an id" in ids:
                raise RequestRefused("The conversation id is not valid", status=400, code="bad.request")

        scene.org.refuse_ids = refuse
        await scene.rounds(131)
        assert scene.verdict(MORNING) == "open"
        scene.org.put(*(ended(row, 200) for row in emails()))
        await scene.rounds(210, 230, 300)
        assert scene.verdict(MORNING) == "complete"
        assert scene.wrong(content=True) == []


@pytest.mark.parametrize(
    "error",
    [RequestRefused("Bad", status=400), NotFound("Not found", status=404), RequestRefused("Too large", status=413)],
)
async def test_one_of_those_followed_that_is_refused_costs_no_other(tmp_path: Path, error: Exception) -> None:
    """18, K7: one that has been read before is refused by id from now on: the ends of the others are found."""
    with scene_at(tmp_path, *emails(), since=START, width=HALF_DAY) as scene:
        await scene.rounds(131)

        def refuse(ids: Sequence[str]) -> None:
            if "e3" in ids:
                raise error

        scene.org.refuse_ids = refuse
        scene.org.put(*(ended(row, 200) for row in emails() if row["conversationId"] != "e3"))
        await scene.rounds(210, 230, 300)
        stored = scene.stored()
        assert {known for known, row in stored.items() if "conversationEnd" in row} == {"e0", "e1", "e2", "e4", "e5"}
        scene.org.refuse_ids = lambda _: None
        scene.org.put(ended(scene.org.truth["e3"], 310))
        await scene.rounds(400, 2 * DAY)
        assert scene.wrong(content=True) == []


async def test_nobody_is_behind_a_limit_for_ever(tmp_path: Path) -> None:
    """K8: more go on than one round asks for; asking changes nothing of most. The last of them ends, and its end is
    found within a few rounds."""
    many = [{"conversationId": f"e{number:05}", "conversationStart": to_text(START)} for number in range(10_400)]
    with scene_at(tmp_path, *many, size=100, since=START, width=HALF_DAY) as scene:
        await scene.rounds(131, judged=False)
        for known in ("e10399", "e10200", "e00001"):
            scene.org.put({**scene.org.truth[known], "conversationEnd": to_text(START + timedelta(hours=3))})
        await scene.rounds(*range(200, 680, 60), judged=False)
        ends = scene.rows("SELECT conversation_id FROM conversations WHERE conversation_end IS NOT NULL ORDER BY 1")
        assert [row[0] for row in ends] == ["e00001", "e10200", "e10399"]


# 21, 22, 27, 28, K9


async def test_a_callback_a_month_ahead_is_found_to_have_ended(tmp_path: Path) -> None:
    """21: it goes on for forty days, and is called stuck by then; its end is found all the same."""
    with scene_at(
        tmp_path, record("c", 5, None), record("d", 6), reading="day", since=START, width=timedelta(days=2)
    ) as scene:
        await scene.rounds(*(DAY * day for day in range(2, 40, 3)))
        assert followed(scene, "stuck") == {"c"}
        scene.org.put(record("c", 5, 40 * DAY))
        await scene.rounds(*(DAY * day for day in range(41, 60, 2)))
        assert scene.wrong(content=True) == []
        assert scene.stored()["c"] == scene.org.truth["c"]


async def test_finished_ones_only_are_not_settled_before_all_have_finished(tmp_path: Path) -> None:
    """22: `ended_only`, and one of five emails ends after twelve days: never settled without it, and found then."""
    with scene_at(
        tmp_path,
        *(record(f"c{number}", 3 * number + 1) for number in range(4)),
        record("late", 20, None),
        since=START,
        width=timedelta(days=2),
        ended_only=True,
    ) as scene:
        for day in range(2, 30, 1):
            if day == 12:
                scene.org.put(record("late", 20, 12 * DAY))
            await scene.rounds(DAY * day, judged=False)
            settled = scene.rows(
                "SELECT start FROM windows WHERE verdict = 'settled' AND start <= ? AND \"end\" > ?",
                to_text(START),
                to_text(START),
            )
            assert not settled or scene.stored() == scene.org.truth, f"day {day}"
        assert scene.stored() == scene.org.truth


async def test_a_child_settles_in_its_own_time(tmp_path: Path) -> None:
    """27: three hours by hand, one email of them goes on for weeks; the half hours without it settle, with what the
    nights have rewritten."""
    hours = Interval(START, START + timedelta(hours=3))
    rows = [record(f"c{number}", 30 * number + 5, 30 * number + 9) for number in range(6)]
    with scene_at(tmp_path, *rows, record("long", 7, None), size=100) as scene:
        scene.clock.at = START + timedelta(hours=4)
        await scene.by_hand(hours)
        scene.org.put(*(row | {"conferenceStart": row["conversationStart"]} for row in rows))
        scene.clock.at = START + timedelta(days=5, hours=6)
        for _ in range(5):
            await scene.due()
            scene.clock.at += timedelta(hours=5)
        verdicts = [
            scene.verdict(Interval(START + timedelta(minutes=30 * number), START + timedelta(minutes=30 * number + 30)))
            for number in range(6)
        ]
        assert verdicts == ["open", *["settled"] * 5]
        assert {known: scene.stored()[known] for known in ("c1", "c2", "c3", "c4", "c5")} == {
            known: scene.org.truth[known] for known in ("c1", "c2", "c3", "c4", "c5")
        }


async def test_what_is_heard_and_lies_in_no_window_is_asked_for_by_id(tmp_path: Path) -> None:
    """28: emails of yesterday go on when the daemon is installed: they are read by id, and followed to their ends."""
    rows = [record(f"e{number}", -DAY + number, None) for number in range(5)]
    with scene_at(tmp_path, *rows, reading="day") as scene:
        scene.book.write(
            coverage.begin, "websocket", "line 1", ["v2.routing.queues.q1.conversations"], to_text(START)
        ).result(10)
        for row in rows:
            scene.hear(row["conversationId"], started=-DAY, minute=20)
        await scene.rounds(61, 95, 150)
        assert set(scene.stored()) == {row["conversationId"] for row in rows}
        scene.org.put(*(ended(row, 160) for row in rows))
        await scene.rounds(170, 200, 260)
        assert scene.stored() == scene.org.truth
        assert scene.rows("SELECT count(*) FROM conversations WHERE provenance = 'live'") == [(0,)]


async def test_what_ended_before_the_beginning_and_is_heard_of_later_is_read(tmp_path: Path) -> None:
    """28, K9: a conversation of last week ended before the daemon came; its wrap-up code is set today, and that is all
    that is heard of it."""
    with scene_at(tmp_path, record("old", -7 * DAY, -7 * DAY + 9)) as scene:
        scene.book.write(
            coverage.begin, "websocket", "line 1", ["v2.routing.queues.q1.conversations"], to_text(START)
        ).result(10)
        scene.hear("old", started=-7 * DAY, ended=-7 * DAY + 9, minute=20)
        await scene.rounds(61, 95, 150)
        assert scene.stored() == scene.org.truth


# K3


@pytest.mark.parametrize("at_lookup", [False, True])
async def test_a_check_that_a_stop_cut_short_has_not_been_made(tmp_path: Path, at_lookup: bool) -> None:
    """K3: at a second reading a part of the index is away; whoever asks for the stop does so before (or while) what is
    lacking is asked for by id. Nothing is proven by a check that was not made."""
    rows = [record(f"c{number:03}", number / 10 + 1, 25) for number in range(230)]
    with scene_at(tmp_path, *rows, size=100) as scene:
        await scene.by_hand(WINDOW)
        scene.clock.at = START + timedelta(days=6)
        scene.org.put(record("new", 12))
        scene.org.unlisted |= {"new", *(f"c{number:03}" for number in range(100, 230))}
        stop = asyncio.Event()
        if at_lookup:
            # Of the first hundred, nothing is known that moment: it is the second that would show what is lacking.
            scene.org.before_lookup[scene.org.looked_up + 1] = lambda _: stop.set()
            scene.org.unknown |= {f"c{number:03}" for number in range(100, 200)}
        else:
            scene.org.always = lambda org: stop.set() if org.bodies[-1]["paging"]["pageNumber"] == 2 else None
        await stopped(scene.by_hand(WINDOW, stop=stop))
        assert scene.verdict(WINDOW) != "settled"
        scene.org.always = lambda _: None
        scene.org.unlisted.clear()
        scene.org.unknown.clear()
        for _ in range(3):
            await scene.by_hand(WINDOW)
            scene.clock.at += timedelta(hours=2)
        assert scene.wrong(content=True) == []
        assert scene.stored() == scene.org.truth


# Small


async def test_ids_in_capitals_are_the_same_conversations(tmp_path: Path) -> None:
    """Small: by id the platform writes ids in capitals: every conversation stays one, and its end is found."""
    ids = [f"1f0c2a3b-0000-4000-8000-00000000000{letter}" for letter in "abcdef"]
    rows = [record(known, number + 1, None) for number, known in enumerate(ids)]
    with scene_at(tmp_path, *rows, since=START, width=HALF_DAY) as scene:

        def shout(_ids: Any, honest: Any) -> Any:
            return {
                "conversations": [
                    row | {"conversationId": row["conversationId"].upper()} for row in honest["conversations"]
                ]
            }

        scene.org.each_lookup = shout
        await scene.rounds(131)
        scene.org.put(*(ended(row, 200) for row in rows))
        await scene.rounds(210, 230, 300)
        stored = scene.rows("SELECT conversation_id, conversation_end FROM conversations ORDER BY 1")
        assert [(known.lower(), end) for known, end in stored] == [
            (known, scene.org.truth[known]["conversationEnd"]) for known in ids
        ]
        assert scene.verdict(MORNING) == "complete"


async def test_capture_and_the_list_may_spell_an_id_in_two_ways(tmp_path: Path) -> None:
    """Small, its kind: events bear the id in capitals, the list does not: one conversation, heard and read."""
    known = "1f0c2a3b-0000-4000-8000-00000000000a"
    with scene_at(tmp_path, record(known, 5)) as scene:
        participant = {"id": "p", "purpose": "customer", "connectedTime": at(5), "endTime": at(20)}
        event = {"id": known.upper(), "participants": [participant]}
        frame = json.dumps({"topicName": "v2.routing.queues.q1.conversations", "eventBody": event})
        observation = parse_frame(frame, source="websocket", received_at=at(21))
        assert isinstance(observation, Notification)
        scene.book.write(events.record, [observation], scene.book.lag).result(10)
        scene.org.each_lookup = lambda ids, honest: {"conversations": [scene.org.truth[known]] if ids else []}
        await scene.by_hand(WINDOW)
        assert len(scene.rows("SELECT conversation_id FROM conversations")) == 1
