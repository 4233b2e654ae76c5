"""The live picture: any order, any repetition, the same result; details are never overruled."""

import random
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.messages.live_facts import believed, facts_of
from rollbook.genesys.messages.notification import LiveFacts, Notification, parse_frame
from rollbook.genesys.times import from_text, to_text
from rollbook.store.book import Book
from rollbook.store.rebuild import rebuild
from rollbook.store.tables import conversations, live_picture
from rollbook.store.tables import events as events_table

TIMES = st.integers(0, 59).map(lambda second: f"2026-03-02T10:00:{second:02}.000Z")
MAYBE = st.none() | TIMES
FACTS = st.builds(
    LiveFacts,
    started_at=MAYBE,
    ended_at=MAYBE,
    last_at=MAYBE,
    media_types=st.sampled_from([(), ("voice",), ("voice", "message")]),
    originating_direction=st.sampled_from([None, "inbound", "outbound"]),
    division_ids=st.sampled_from([(), ("d1",), ("d2",)]),
)
ARRIVED = "2026-03-02T10:01:00.000Z"


def _apply(known: live_picture.StoredPicture, gathered: live_picture.LiveFactsOf) -> live_picture.StoredPicture:
    after = live_picture.merge(known, gathered)
    if after is None:
        return known
    values = dict(zip(live_picture.COLUMNS, after, strict=True))
    return known._replace(**values)


def _facts_of(facts: LiveFacts) -> live_picture.LiveFactsOf:
    entry = live_picture.LiveFactsOf(ARRIVED)
    entry.add(facts, ARRIVED)
    return entry


def _first(facts: LiveFacts) -> live_picture.StoredPicture:
    values = dict(zip(live_picture.COLUMNS, live_picture.first(_facts_of(facts)), strict=True))
    return live_picture.StoredPicture(**values, read_at=None)


@given(st.lists(FACTS, min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(facts: list[LiveFacts], draw: random.Random) -> None:
    """The same events in another order, some of them twice, leave the same picture."""
    again = [*facts, *draw.sample(facts, k=draw.randint(0, len(facts)))]
    draw.shuffle(again)

    def picture(events: list[LiveFacts]) -> live_picture.StoredPicture:
        known = _first(events[0])
        for event in events[1:]:
            known = _apply(known, _facts_of(event))
        return known

    assert picture(facts) == picture(again)


@given(st.lists(FACTS, min_size=1, max_size=8), st.integers(0, 8))
def test_batches_do_not_matter(facts: list[LiveFacts], cut: int) -> None:
    """Events gathered in one batch say what they say one by one."""

    def event(facts_of_event: LiveFacts) -> Notification:
        return Notification(
            topic="t",
            body=b"{}",
            identity=b"",
            conversation_id="c",
            event_time=None,
            received_at=ARRIVED,
            source="s",
            facts=facts_of_event,
        )

    whole = live_picture.gather([event(event_facts) for event_facts in facts])["c"]
    values = dict(zip(live_picture.COLUMNS, live_picture.first(whole), strict=True))
    together = live_picture.StoredPicture(**values, read_at=None)
    known = _first(facts[0])
    for event_facts in facts[1:]:
        known = _apply(known, _facts_of(event_facts))
    assert together == known


@given(st.lists(FACTS, min_size=1, max_size=6), st.none() | TIMES, TIMES)
def test_beside_details_only_an_end_after_the_read_is_taken(
    facts: list[LiveFacts], end: str | None, read_at: str
) -> None:
    """Details stand: events change neither start, direction, media nor divisions, and add no end older than the read."""
    if end is not None and end > read_at:
        end = read_at
    known = live_picture.StoredPicture(
        "2026-03-02T09:00:00.000Z", end, "inbound", '["voice"]', "[]", "reconciled", None, None, 0, None, read_at
    )
    for event_facts in facts:
        after = _apply(known, _facts_of(event_facts))
        assert after[0] == known[0]
        assert after[2:5] == known[2:5]
        assert end is None or after.conversation_end == end
        if after.conversation_end != known.conversation_end:
            assert after.conversation_end is not None
            assert after.conversation_end > read_at
        assert bool(after.look_again) == (after.last_heard is not None and after.last_heard > read_at)
        known = after


def test_a_clock_in_the_future_asks_for_no_endless_looking(tmp_path: Path) -> None:
    """An event that bears a time after its own arrival counts as of its arrival."""
    facts = LiveFacts(
        started_at=None,
        ended_at=None,
        last_at="2999-01-01T00:00:00.000Z",
        media_types=(),
        originating_direction=None,
        division_ids=(),
    )
    assert _first(facts).last_heard == ARRIVED
    with Book.open(tmp_path / "b.db") as book:
        assert book.read_now(conversations.open_conversations) == []


CONVERSATION = "7c1f0d6e-52f1-4c1b-9a6c-2b8f1f4f9d21"
QUEUE_TOPIC = "v2.routing.queues.a1b2c3d4-1111-4222-8333-944445555666.conversations"
NEVER = ["9999-12-31T23:59:59.999Z", "2999-01-01T00:00:00.000Z", "2026-03-04T00:00:00.000Z"]
UNSET = ["0001-01-01T00:00:00.000Z", "1970-01-01T00:00:00.000Z", "1899-12-30T00:00:00Z"]


def _later(seconds: float, than: str = ARRIVED) -> str:
    return to_text(from_text(than) + timedelta(seconds=seconds))


def _event(body: dict[str, Any], arrived: str = ARRIVED, topic: str = QUEUE_TOPIC) -> Notification:
    frame = msgspec.json.encode({"topicName": topic, "eventBody": body})
    found = parse_frame(frame, source="websocket", received_at=arrived)
    assert isinstance(found, Notification)
    return found


def _snapshot(*participants: dict[str, Any]) -> dict[str, Any]:
    return {"id": CONVERSATION, "participants": list(participants)}


def _row(book: Book) -> tuple[Any, ...]:
    columns = "conversation_start, conversation_end, heard_end, last_heard"
    found = book.read_now(lambda db: db.execute(f"SELECT {columns} FROM conversations").fetchall())
    assert len(found) == 1
    return tuple(found[0])


@pytest.mark.parametrize("ahead", [0.001, 20, 3_600, 86_000])
def test_an_end_after_its_arrival_counts_as_of_its_arrival(tmp_path: Path, ahead: float) -> None:
    """The platform's clock or ours is wrong by that much: the end is known, and is no later than we heard of it."""
    end = _later(ahead)
    gone = {"purpose": "customer", "connectedTime": "2026-03-02T10:00:00.000Z", "endTime": end}
    with Book.open(tmp_path / "b.db") as book:
        book.write(events_table.record, [_event(_snapshot(gone))], book.lag).result()
        assert _row(book) == ("2026-03-02T10:00:00.000Z", ARRIVED, ARRIVED, ARRIVED)


@pytest.mark.parametrize("end", [*NEVER, *UNSET])
def test_an_end_that_cannot_be_is_no_end(tmp_path: Path, end: str) -> None:
    """The years 9999, 1970 and 1 are ways to spell "not yet": the conversation goes on, and is not heard for ever."""
    here = {"purpose": "customer", "connectedTime": "2026-03-02T10:00:00.000Z", "endTime": end}
    gone = {"purpose": "agent", "connectedTime": "2026-03-02T10:00:10.000Z", "endTime": "2026-03-02T10:00:20.000Z"}
    with Book.open(tmp_path / "b.db") as book:
        book.write(events_table.record, [_event(_snapshot(here, gone))], book.lag).result()
        start, ended, heard_end, last = _row(book)
    assert (start, ended, heard_end) == ("2026-03-02T10:00:00.000Z", None, None)
    assert last <= ARRIVED


@pytest.mark.parametrize("start", [*NEVER, *UNSET])
def test_a_start_that_cannot_be_decides_nothing(tmp_path: Path, start: str) -> None:
    """A start after the arrival is at most the arrival, one before there was a platform is none; the true one stays."""
    odd = {"purpose": "external", "connectedTime": start}
    true = {"purpose": "customer", "connectedTime": "2026-03-02T10:00:00.000Z"}
    for participants in ((odd, true), (true, odd)):
        facts = believed(facts_of(QUEUE_TOPIC, _snapshot(*participants)), ARRIVED)
        assert facts.started_at == "2026-03-02T10:00:00.000Z"
    alone = believed(facts_of(QUEUE_TOPIC, _snapshot(odd)), ARRIVED)
    assert alone.started_at == (ARRIVED if start in NEVER else None)
    with Book.open(tmp_path / "b.db") as book:
        book.write(events_table.record, [_event(_snapshot(odd))], book.lag).result()
        book.write(events_table.record, [_event(_snapshot(true))], book.lag).result()
        assert _row(book)[0] == "2026-03-02T10:00:00.000Z"


@pytest.mark.parametrize("event_time", [0, 253_402_300_799_999, "0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z"])
def test_an_events_own_time_is_believed_up_to_its_arrival(tmp_path: Path, event_time: object) -> None:
    """A detail event of the year 9999 is of its arrival; one of 1970 began nothing."""
    topic = f"v2.detail.events.conversation.{CONVERSATION}.customer.start"
    with Book.open(tmp_path / "b.db") as book:
        book.write(
            events_table.record,
            [_event({"conversationId": CONVERSATION, "eventTime": event_time}, topic=topic)],
            book.lag,
        ).result()
        start, ended, _, last = _row(book)
    assert ended is None
    assert (start, last) in ((ARRIVED, ARRIVED), (None, None))


@pytest.mark.parametrize("ahead", [20, 3_600, 10_000_000])
def test_a_replay_of_an_event_from_ahead_says_nothing_new(tmp_path: Path, ahead: float) -> None:
    """What is delivered again an hour later arrived first when it did: the row stays as it was."""
    body = _snapshot({"connectedTime": "2026-03-02T10:00:00.000Z", "endTime": _later(ahead), "purpose": "customer"})
    with Book.open(tmp_path / "b.db") as book:
        book.write(events_table.record, [_event(body)], book.lag).result()
        first = _row(book)
        book.write(events_table.record, [_event(body, _later(3_600)), _event(body, _later(7_200))], book.lag).result()
        assert _row(book) == first
        assert rebuild(book) == (1, 0)


@given(FACTS, TIMES, st.sampled_from([*NEVER, *UNSET, None]))
def test_nothing_is_believed_to_lie_ahead(facts: LiveFacts, arrived: str, odd: str | None) -> None:
    """Whatever an event says, no time is later than its arrival, and believing twice changes nothing."""
    odd_facts = msgspec.structs.replace(facts, ended_at=odd, started_at=odd or facts.started_at)
    found = believed(odd_facts, arrived)
    assert all(time is None or "2000" < time <= arrived for time in (found.started_at, found.ended_at, found.last_at))
    assert believed(found, arrived) is found


def test_a_poison_pill_is_an_event_and_no_conversation(tmp_path: Path) -> None:
    """Ids that are none are stored with their events and make no row that is asked for, not even by a rebuild."""
    odd = ["x" * 9_000, "a,b,c", "no id/at all", "x" * 65]
    with Book.open(tmp_path / "b.db") as book:
        pills = [_event({"id": time, "participants": [{"connectedTime": ARRIVED}]}) for time in odd]
        assert book.write(events_table.record, [*pills, _event(_snapshot())], book.lag).result().events_new == 5
        rebuild(book)
        ids = book.read_now(lambda db: db.execute("SELECT conversation_id FROM conversations").fetchall())
        bodies = book.read_now(lambda db: db.execute("SELECT body FROM events").fetchall())
    assert [row[0] for row in ids] == [CONVERSATION]
    assert sorted(msgspec.json.decode(row[0])["id"] for row in bodies) == sorted([*odd, CONVERSATION])


def test_one_conversation_in_two_spellings_has_one_row(tmp_path: Path) -> None:
    """A snapshot in small letters and a detail event in capitals tell of the same conversation."""
    topic = f"v2.detail.events.conversation.{CONVERSATION.upper()}.customer.end"
    ended = {"conversationId": CONVERSATION.upper(), "eventTime": "2026-03-02T10:00:30.000Z"}
    with Book.open(tmp_path / "b.db") as book:
        book.write(events_table.record, [_event(_snapshot()), _event(ended, topic=topic)], book.lag).result()
        assert _row(book)[1] == "2026-03-02T10:00:30.000Z"
