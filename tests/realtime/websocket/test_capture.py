"""Live capture over real sockets: what is heard is stored once, and what is not heard is a recorded hole."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import threading
from pathlib import Path

import pytest

from realtime.storing.inbox import Inbox
from realtime.websocket.back_off import BackOff
from realtime.websocket.channel_states import Timings
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import to_text
from rollbook.genesys.topics import expand
from rollbook.store.tables import coverage
from tests.helpers.peek import peek
from tests.helpers.stage import CLOSING, QUEUES, QUICK, Capture, Stage, capture, conversation, snapshot, topic

SPANS = "SELECT scope, started_at, ended_at, end_reason FROM coverage ORDER BY coverage_id"


def reasons(running: Capture) -> list[str]:
    return [row[3] for row in running.rows(SPANS)]


def in_detail(running: Capture) -> int:
    """Count of conversations that are followed in detail."""
    return sum(line.details for line in running.supervisor.figures().lines)


async def test_what_is_sent_is_stored_once(tmp_path: Path) -> None:
    """Distinct notifications become events, a repeat with another correlation id does not, and the span has ends."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        for number in range(50):
            await stage.send(snapshot(number))
        again = json.loads(snapshot(7))
        again["metadata"]["CorrelationId"] = "another"
        await stage.send(json.dumps(again))
        await running.until(lambda: running.supervisor.frame_store.stored.events_repeated == 1)
        assert running.events() == 50
        found = running.rows("SELECT conversation_id FROM conversations ORDER BY 1")
        assert [row[0] for row in found] == [conversation(number) for number in range(50)]
        assert running.rows(SPANS)[0][2] is None
    db = sqlite3.connect(tmp_path / "rollbook.db")
    spans = db.execute("SELECT source, scope, ended_at >= started_at, end_reason FROM coverage").fetchall()
    db.close()
    assert spans == [("websocket", "line 1", 1, "stopped")]


async def test_a_cut_connection_is_a_recorded_hole_and_is_mended(tmp_path: Path) -> None:
    """A connection cut without a word ends the span, listening goes on within a second on the same channel."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        await stage.send(snapshot(1))
        await running.until(lambda: running.events() == 1)
        stage.drop()
        await running.until(lambda: len(running.rows(SPANS)) == 2, within=1.5)
        await stage.send(snapshot(2))
        await running.until(lambda: running.events() == 2)
        assert reasons(running) == ["disconnected", None]
        assert len(stage.topics) == 1


async def test_socket_closing_loses_nothing(tmp_path: Path) -> None:
    """While the socket is replaced, events flow on some socket at every moment and each arrives once."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        sent = 0

        async def sending() -> None:
            nonlocal sent
            while len(stage.topics) < 2 or sent < 2_000 or len(stage.sockets) > 1:
                await stage.send(snapshot(sent))
                sent += 1
                await asyncio.sleep(0)
                while running.supervisor.inbox.frames > 5_000:  # a flood that fills the queue is another test
                    await asyncio.sleep(0)

        await stage.send(CLOSING)
        async with asyncio.timeout(20):
            await sending()
        await running.until(lambda: running.events() == sent)
        await running.until(lambda: None not in reasons(running)[:1])
        # On a busy machine the word that the first channel is gone may come before the close frame of its socket.
        assert reasons(running) in (["rolled over", None], ["channel lost", None])
        # The close frame of the first socket may be looked at before the handshake of the second: nothing is lost then,
        # and coverage claims the moment between the two for neither.


@pytest.mark.parametrize("size", [10, 2_200, 60_000])
@pytest.mark.parametrize(
    ("message", "reason"), [("socket_closing", "rolled over"), ("no_longer_subscribed.x", "channel lost")]
)
async def test_a_message_about_the_channel_may_be_long(tmp_path: Path, message: str, reason: str, size: int) -> None:
    """However much the platform has to say, it is heard as what it is."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        body = {"systemTopicType": message.removesuffix(".x"), "message": "x" * size}
        await stage.send(json.dumps({"topicName": f"v2.system.{message}", "eventBody": body}))
        await running.until(lambda: reasons(running) == [reason, None])


async def test_a_channel_that_was_gone_before_it_was_replaced_is_a_hole(tmp_path: Path) -> None:
    """A socket may outlast its channel: asked a last time, it does not answer, and is claimed until its last event."""
    quick = Timings(back_off=BackOff(0.02), confirm_within=0.2)
    async with Stage() as stage, capture(stage, tmp_path, timings=quick) as running:
        await stage.send(snapshot(1))
        await running.until(lambda: running.events() == 1)
        stage.answer_pings = False
        await stage.send(CLOSING)
        await running.until(lambda: reasons(running) == ["channel lost", None])
        (_, _, ended, _), (_, began, _, _) = running.rows(SPANS)
        assert ended < began


@pytest.mark.parametrize(("answers", "reason"), [(True, "stopped"), (False, "channel lost")])
async def test_a_stop_asks_whether_the_channel_was_there(tmp_path: Path, answers: bool, reason: str) -> None:
    """What is stopped is claimed until its channel's last answer, and is waited for only for as long as that may take."""
    quick = Timings(back_off=BackOff(0.02), confirm_within=0.2)
    async with Stage() as stage:
        async with capture(stage, tmp_path, timings=quick) as running:
            asked = running.supervisor.now()
            stage.answer_pings = answers
        with sqlite3.connect(tmp_path / "rollbook.db") as db:
            ((began, ended, why),) = db.execute("SELECT started_at, ended_at, end_reason FROM coverage")
        db.close()
        assert why == reason
        assert ended >= to_text(asked) if answers else ended == began


async def test_without_a_free_channel_the_break_is_short_and_recorded(tmp_path: Path) -> None:
    """With twenty channels in use the same channel takes the new socket; the spans show where one ended and one began."""
    async with Stage() as stage:
        stage.others = 19
        async with capture(stage, tmp_path) as running:
            await stage.send(CLOSING)
            await running.until(lambda: reasons(running) == ["rolled over", None])
            assert len(stage.topics) == 1
            await stage.send(snapshot(1))
            await running.until(lambda: running.events() == 1)


async def test_an_evicted_channel_is_replaced(tmp_path: Path) -> None:
    """When the platform says that the channel is gone, a new one is made and the hole is `channel lost`."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        first = next(iter(stage.sockets))
        del stage.topics[first]
        stage.topics["streaming-0x"] = set()
        await stage.send('{"result":"404","message":"no such channel"}')
        await running.until(lambda: reasons(running) == ["channel lost", None])
        await stage.send(snapshot(1))
        await running.until(lambda: running.events() == 1)


async def test_silence_is_noticed(tmp_path: Path) -> None:
    """A socket on which nothing comes and no ping is answered is given up, and the span ends at the last sign of life."""
    quick = Timings(back_off=BackOff(0.02), ping_every=0.05, pong_within=0.05, silent_after=60)
    async with Stage() as stage:
        stage.answer_pings = False
        async with capture(stage, tmp_path, timings=quick) as running:
            await running.until(lambda: "disconnected" in reasons(running))
            stage.answer_pings = True
            await running.until(lambda: reasons(running)[-1] is None)


async def test_a_server_that_hangs_up_is_not_stormed(tmp_path: Path) -> None:
    """Against a server that accepts and closes, attempts follow the steps of the back-off."""
    steps = Timings(back_off=BackOff(0.2, 10))
    async with Stage() as stage, capture(stage, tmp_path, timings=steps) as running:
        stage.hang_up = True
        stage.drop()
        await running.until(lambda: stage.handshakes >= 4)
        assert running.supervisor.figures().lines[0].losses <= 4


async def test_refused_handshakes_cost_no_channel(tmp_path: Path) -> None:
    """While the platform refuses every handshake its channels are not used up: the line returns to the one it has."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        stage.refuse_handshake = 503
        stage.drop()
        await running.until(lambda: stage.handshakes >= 12)
        stage.refuse_handshake = None
        await running.until(lambda: reasons(running) == ["disconnected", None])
        assert [name for name, _ in stage.requests].count("create") == 1
        await stage.send(snapshot(1))
        await running.until(lambda: running.events() == 1)


async def test_a_channel_that_may_be_gone_is_not_counted_among_those_that_are_there(tmp_path: Path) -> None:
    """While a line is away from its channel and the platform does not name it, no place of another program is free."""
    async with Stage() as stage:
        stage.others = 19
        async with capture(stage, tmp_path) as running:
            assert (running.supervisor.figures().channels_of_others, running.supervisor.free) == (19, 0)
            stage.refuse_handshake = 503
            stage.topics.clear()
            stage.drop()
            await running.until(lambda: stage.handshakes >= 2)
            await running.supervisor.client_channels.count(lambda: 0)
            assert (running.supervisor.figures().channels_of_others, running.supervisor.free) == (19, 0)
            stage.refuse_handshake = None


async def test_what_an_earlier_run_left_is_no_reason_to_warn(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The platform keeps a channel for a day after a clean end: it is ours. What is another program's is said."""
    async with Stage() as stage:
        with caplog.at_level(logging.WARNING):
            for run in range(3):
                async with capture(stage, tmp_path) as running:
                    assert (len(stage.topics), running.supervisor.figures().channels_of_others) == (run + 1, 0)
            assert caplog.messages == []
            stage.others = 4
            async with capture(stage, tmp_path) as running:
                assert running.supervisor.figures().channels_of_others == 4
    assert [line.partition(" of the ")[0] for line in caplog.messages] == ["4"]
    assert "give rollbook an OAuth client of its own" in caplog.text


async def test_a_refused_topic_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A topic without permission is reported with what is missing, is no part of coverage, and the others are heard."""
    async with Stage(queues=3) as stage:
        stage.refuse[topic(1)] = "routing:queue:view"
        with caplog.at_level(logging.WARNING):
            async with capture(stage, tmp_path) as running:
                await running.until(lambda: peek(running.book, coverage.rejected))
                (refused,) = await running.book.read(coverage.rejected)
                assert (refused["topic"], refused["missing_permissions"]) == (topic(1), ["routing:queue:view"])
                await running.until(lambda: peek(running.book, coverage.overlapping, "0", "9"))
                (span,) = await running.book.read(coverage.overlapping, "0", "9")
                assert set(span.topics) == {topic(0), topic(2)}
    assert "routing:queue:view" in caplog.text


async def test_a_topic_that_spoils_the_request_costs_no_other(tmp_path: Path) -> None:
    """Where one topic makes the platform refuse the whole list, the others are subscribed all the same."""
    async with Stage(queues=10) as stage:
        stage.poison.add(topic(6))
        async with capture(stage, tmp_path) as running:
            await running.until(lambda: len(stage.heard_by_all()) == 9)
            await running.until(lambda: peek(running.book, coverage.rejected))
            assert [row["topic"] for row in await running.book.read(coverage.rejected)] == [topic(6)]


async def test_queues_that_appear_and_vanish_are_followed(tmp_path: Path) -> None:
    """A new queue is heard, a deleted one is let go, by what differs; coverage says from when until when."""
    async with Stage(queues=3) as stage, capture(stage, tmp_path, rediscover=0.05) as running:
        former = stage.queue_ids
        stage.queue_ids = [former[0], former[2], "a1b2c3d4-1111-4222-8333-999999999999"]
        wanted = {f"v2.routing.queues.{queue_id}.conversations" for queue_id in stage.queue_ids}
        await running.until(lambda: stage.heard_by_all() == wanted)
        await running.until(
            lambda: (
                {
                    name
                    for span in peek(running.book, coverage.overlapping, "0", "9")
                    if not span.ended_at
                    for name in span.topics
                }
                == wanted
            )
        )
        assert [count for name, count in stage.requests if name == "subscribe"] == [3, 1]


async def test_following_goes_on_after_an_error_that_nobody_foresaw(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged with its traceback, makes the daemon degraded, and the next look finds the new queue."""

    async def broken() -> list[Entity]:
        raise KeyError("entities")

    async with Stage(queues=1) as stage, capture(stage, tmp_path, rediscover=0.05) as running:
        with monkeypatch.context() as patch:
            patch.setattr(stage, "queues", broken)
            await running.until(lambda: "KeyError" in (running.supervisor.figures().discovery_failing or ""))
        stage.queue_ids = QUEUES[:2]
        await running.until(lambda: len(stage.heard_by_all()) == 2)
        await running.until(lambda: running.supervisor.figures().discovery_failing is None)
    assert "Traceback" in caplog.text


@pytest.mark.parametrize("lost", [0, 1])
async def test_a_full_channel_takes_a_queue_in_anothers_place(
    tmp_path: Path, lost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is let go is off the list before what is new is asked for; if that goes astray, it is seen at the next look."""
    monkeypatch.setattr("realtime.websocket.supervisor._ASK_AGAIN", 1_000_000)
    quick = Timings(back_off=BackOff(0.02), pong_within=0.1)
    async with Stage(queues=1_000) as stage, capture(stage, tmp_path, timings=quick, rediscover=0.3) as running:
        stage.lose_unsubscribes = lost
        stage.queue_ids = [*stage.queue_ids[1:], QUEUES[2_000]]
        await running.until(lambda: stage.heard_by_all() == {topic(number) for number in (*range(1, 1_000), 2_000)})
        await running.until(lambda: not running.supervisor.figures().refused_topics)
        assert [count for name, count in stage.requests if name == "subscribe"] == [1_000, *[1] * (1 + lost)]


@pytest.mark.parametrize("turns", range(5))
async def test_new_settings_and_a_stop_in_one_breath(tmp_path: Path, turns: int) -> None:
    """A stop that comes so many turns of the loop after other settings is not lost."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        looking = asyncio.create_task(running.supervisor._keep_discovering())
        await asyncio.sleep(0.01)
        running.supervisor.use(Settings())
        for _ in range(turns):
            await asyncio.sleep(0)
        looking.cancel()
        await asyncio.wait({looking}, timeout=2)
        assert looking.cancelled()


async def test_twenty_thousand_queues_take_forty_requests(tmp_path: Path) -> None:
    """20,000 queues are on twenty channels after twenty creations and twenty subscriptions."""
    async with Stage(queues=20_000) as stage, capture(stage, tmp_path) as running:
        await running.until(lambda: len(stage.sockets) == 20, within=30)
        assert len(stage.heard_by_all()) == 20_000
        assert [name for name, _ in stage.requests if name != "channels"] == ["create"] * 20 + ["subscribe"] * 20
        await running.until(lambda: len(running.rows(SPANS)) == 20, within=30)


async def test_details_of_live_conversations_are_followed(tmp_path: Path) -> None:
    """A conversation heard on a queue gets its two combined detail topics over the socket, and only while it lives."""
    async with Stage() as stage, capture(stage, tmp_path, follow_details=True) as running:
        await running.until(lambda: len(stage.sockets) == 2)
        await stage.send(snapshot(1))
        await stage.send(snapshot(2, ended=True))
        await running.until(lambda: any(said["message"] == "subscribe" for said in stage.said))
        (said,) = [said for said in stage.said if said["message"] == "subscribe"]
        assert len(said["topics"]) == 2
        assert all(
            conversation(1) in combined_topic and len(combined_topic) <= 200 for combined_topic in said["topics"]
        )
        assert in_detail(running) == 1
        await stage.send(snapshot(2))  # from before its end
        await stage.send(snapshot(3))
        await running.until(lambda: in_detail(running) == 2)
        back = {"id": "p2", "purpose": "customer", "connectedTime": "2026-08-03T14:06:00.000Z"}
        await stage.send(snapshot(2, participants=[back]))
        await running.until(lambda: in_detail(running) == 3)


@pytest.mark.parametrize(("others", "lines"), [(18, 2), (19, 1)])
async def test_details_take_no_line_from_queues(tmp_path: Path, others: int, lines: int) -> None:
    """Details have a line of their own where queues leave a channel, and the room on the queues' lines where not."""
    async with Stage() as stage:
        stage.others = others
        async with capture(stage, tmp_path, follow_details=True) as running:
            assert (len(stage.sockets), running.supervisor.unplaced) == (lines, ())
            assert len(running.supervisor.figures().lines) == lines
            await stage.send(snapshot(1))
            await running.until(lambda: in_detail(running) == 1)


WRAPUP = "v2.detail.events.conversation.{id}.wrapup"


@pytest.mark.parametrize("how", ["refuse", "poison"])
async def test_a_detail_event_that_is_refused_costs_no_other(
    tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One member is refused alone or spoils its list: the others are heard, and it is reported once, by template."""
    async with Stage() as stage, capture(stage, tmp_path, follow_details=True) as running:
        await running.until(lambda: len(stage.sockets) == 2)
        stage.refuse[WRAPUP] = "analytics:conversationDetail:view"
        if how == "poison":
            stage.poison = {WRAPUP.replace("{id}", conversation(number)) for number in range(200)}

        async def followed(count: int) -> list[str]:
            await running.until(lambda: in_detail(running) == count)
            await running.until(
                lambda: len({combined_topic.split(".")[4].partition("?")[0] for combined_topic in details()}) == count
            )
            return details()

        def details() -> list[str]:
            return [combined_topic for combined_topic in stage.heard_by_all() if ".detail." in combined_topic]

        with caplog.at_level(logging.WARNING):
            for number in range(40):
                await stage.send(snapshot(number))
            await followed(40)
            requests, lists = len(stage.requests), stage.refused_lists
            for number in range(40, 80):
                await stage.send(snapshot(number))
            subscribed = {name for combined_topic in await followed(80) for name in expand(combined_topic)}
        for number in (1, 79):
            of_one = {name for name in subscribed if conversation(number) in name}
            assert len(of_one - {WRAPUP.replace("{id}", conversation(number))}) == 15
        assert (len(stage.requests), stage.refused_lists) == (requests, lists)
        await running.until(lambda: peek(running.book, coverage.rejected))
        assert [row["topic"] for row in await running.book.read(coverage.rejected)] == [WRAPUP]
        assert running.supervisor.figures().refused_topics == 1
        assert caplog.text.count("refused: v2.") == 1
        await stage.send(CLOSING)
        await running.until(lambda: len(stage.sockets) == 2 and len(stage.topics) == 4)
        await running.until(lambda: len(details()) >= 160)
        assert running.supervisor.figures().refused_topics == 1


async def test_a_full_queue_is_a_hole_with_its_cause(tmp_path: Path) -> None:
    """While the store takes nothing the socket lives, memory is bounded, and what was dropped is a `queue full` hole."""
    async with Stage() as stage, capture(stage, tmp_path, inbox=Inbox(frames=100)) as running:
        blocker = sqlite3.connect(tmp_path / "rollbook.db", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        try:
            for number in range(3_000):
                await stage.send(snapshot(number))
            await running.until(lambda: running.supervisor.inbox.dropped > 0)
            assert running.supervisor.inbox.frames <= 100
        finally:
            blocker.execute("ROLLBACK")
            blocker.close()
        # What was sent is in the socket's buffers still: it fills the queue again, and makes a hole of its own.
        await running.until(lambda: running.events() + running.supervisor.inbox.dropped == 3_000)
        await running.until(lambda: len(reasons(running)) > 1 and reasons(running)[-1] is None)
        assert set(reasons(running)[:-1]) == {"queue full"}
        await stage.send(snapshot(5_000))
        await running.until(
            lambda: running.rows(f"SELECT 1 FROM events WHERE conversation_id = '{conversation(5_000)}'")
        )
        assert running.events() + running.supervisor.inbox.dropped == 3_001
        assert stage.handshakes == 1


class FreeWhenSaid(logging.Filter):
    """Lets the store go on once the log says what could not be stored in time."""

    def __init__(self, free: threading.Event) -> None:
        super().__init__()
        self._free = free

    def filter(self, record: logging.LogRecord) -> bool:
        if "in time" in record.getMessage():
            self._free.set()
        return True


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (0, "the end of coverage could not be stored in time"),
        (1, "1 notification could not be stored in time"),
        (2, "2 notifications could not be stored in time"),
    ],
)
async def test_what_could_not_be_stored_in_time_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, sent: int, message: str
) -> None:
    """What is lost by stopping is counted, with what becomes of it; where nothing is, no loss is told."""
    monkeypatch.setattr("realtime.websocket.supervisor.STORING", 0.0)
    free = threading.Event()
    async with Stage() as stage:
        with caplog.filtering(FreeWhenSaid(free)):
            async with capture(stage, tmp_path) as running:
                running.book.write(lambda _db: free.wait(10))
                for number in range(sent):
                    await stage.send(snapshot(number))
                intake, inbox = running.supervisor.frame_store, running.supervisor.inbox
                await running.until(lambda: inbox.frames + intake.in_flight == sent)
    (line,) = (record.getMessage() for record in caplog.records if "in time" in record.getMessage())
    assert line.startswith(message)
    assert ("the next reconciliation finds" in line) is bool(sent)


BAD: dict[str, str | bytes] = {
    "no JSON": "hello",
    "a list": "[1,2,3]",
    "a number for a topic": '{"topicName":7,"eventBody":{}}',
    "nested deeply": '{"topicName":"v2.x","eventBody":' + "[" * 100_000 + "]" * 100_000 + "}",
    "binary": b'{"topicName":"v2.x","eventBody":{}}',
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_frames_are_dead_letters(tmp_path: Path, name: str) -> None:
    """What cannot be understood is kept as a dead letter, and the next notification is heard on the same socket."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        await stage.send(BAD[name])
        await stage.send(snapshot(1))
        await running.until(lambda: running.events() == 1)
        await running.until(lambda: len(running.rows("SELECT error FROM dead_letters")) == 1)
        assert stage.handshakes == 1


async def test_an_oversized_frame_stops_nothing(tmp_path: Path) -> None:
    """A frame beyond every bound is a dead letter without its content, a short hole, and listening goes on."""
    async with Stage() as stage, capture(stage, tmp_path, timings=QUICK) as running:
        await stage.send("x" * (9 * 1024 * 1024))
        await running.until(lambda: len(running.rows("SELECT error FROM dead_letters")) == 1)
        await running.until(lambda: reasons(running) == ["disconnected", None])
        await stage.send(snapshot(1))
        await running.until(lambda: running.events() == 1)


async def test_a_megabyte_of_text_is_an_event(tmp_path: Path) -> None:
    """A large but sound notification is stored whole."""
    async with Stage() as stage, capture(stage, tmp_path) as running:
        await stage.send(snapshot(1, note="x" * 1_000_000))
        await running.until(lambda: running.events() == 1)
        assert running.rows("SELECT length(body) > 1000000 FROM events") == [(1,)]


CHANNEL = "streaming-0"
TOLD: dict[str, str | bytes] = {
    "a reply": f'{{"result":"400","status":"error","message":"Channel {CHANNEL} has no room"}}',
    "no reply": f'{{"status":"error","message":"wss://streaming.example/channels/{CHANNEL} is closed"}}',
    "no JSON": f"Channel {CHANNEL}",
    "large": f"Channel {CHANNEL}" + "x" * 100_000,
    "binary": b"\xff\xfe" + CHANNEL.encode(),
    "a system message": '{"topicName":"v2.system.x.y","eventBody":'
    f'{{"systemTopicType":"token_revoked","reason":"Channel {CHANNEL} was replaced"}}}}',
}


@pytest.mark.parametrize("name", TOLD)
async def test_what_the_platform_says_of_a_channel_holds_no_secret(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A message that names the channel is logged, or kept as a dead letter, without the name."""
    with caplog.at_level(logging.DEBUG):
        async with Stage() as stage, capture(stage, tmp_path) as running:
            await stage.send(TOLD[name])
            await running.until(
                lambda: "Channel ***" in caplog.text or running.rows("SELECT 1 FROM dead_letters"), within=5
            )
            letters = [row[0] for row in running.rows("SELECT payload FROM dead_letters")]
            assert all("***" in letter for letter in letters)
    assert CHANNEL not in caplog.text
    assert CHANNEL.encode() not in (tmp_path / "rollbook.db").read_bytes()


async def test_secrets_are_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The channel's id, which lets anybody listen, is in no log and in no table."""
    with caplog.at_level(logging.DEBUG):
        async with Stage() as stage, capture(stage, tmp_path) as running:
            stage.drop()
            await running.until(lambda: len(running.rows(SPANS)) == 2)
            stage.refuse_handshake = 404
            stage.drop()
            await running.until(lambda: stage.handshakes >= 3)
            stage.refuse_handshake = None
            await running.until(lambda: reasons(running)[-1] is None and len(reasons(running)) == 3)
    assert "streaming-" not in caplog.text
    assert b"streaming-" not in (tmp_path / "rollbook.db").read_bytes()
