"""Why capture missed something: spans of coverage in, a word out."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconcile.causes import Lifetime, Listening, as_known, explainer, life_of
from rollbook.genesys.messages.details import DetailRow
from rollbook.store.tables.coverage import Span
from rollbook.store.vocabulary import EndReason
from tests.helpers.paths import ROOT

QUEUE, USER = "v2.routing.queues.q1.conversations", "v2.users.u1.conversations"


def at(minute: int) -> str:
    """A time of that hour."""
    return f"2026-03-02T10:{minute:02}:00.000Z"


def span(start: int, end: int | None = None, why: str | None = "stopped", topics: tuple[str, ...] = (QUEUE,)) -> Span:
    """A stretch of listening."""
    ended = None if end is None else at(end)
    return Span("websocket", "line 1", topics, at(start), ended, ended or at(59), None if end is None else why)


def life(start: int, end: int, *entities: str) -> Lifetime:
    """A conversation's life."""
    return Lifetime(at(start), at(end), frozenset(entities or ("c1", "q1")))


@pytest.mark.parametrize(
    ("spans", "lived", "cause"),
    [
        ([], life(10, 12), "not running"),
        ([span(20)], life(10, 12), "not running"),
        ([span(11)], life(10, 12), "not running"),  # listening began in the middle of it
        ([span(0, 5, "stopped")], life(10, 12), "not running"),
        ([span(0, 5, "killed"), span(20)], life(10, 12), "not running"),
        ([span(0, 11, "killed")], life(10, 12), "not running"),
        ([span(0, 5, "disconnected"), span(20)], life(10, 12), "disconnected"),
        ([span(0, 11, "disconnected"), span(15)], life(10, 12), "disconnected"),
        ([span(0, 5, "channel lost"), span(13)], life(10, 12), "channel lost"),
        (
            [span(0, 5, "topic rejected"), span(0, topics=("v2.routing.queues.q2.conversations",))],
            life(10, 12),
            "topic rejected",
        ),
        ([span(0)], life(10, 12), "unknown"),  # it was listened for all its life
        ([span(0, 11, "rolled over"), span(11)], life(10, 12), "unknown"),  # no hole between them
        ([span(0, topics=("v2.routing.queues.q2.conversations",))], life(10, 12), "not heard by this transport"),
        (
            [span(0, topics=("v2.routing.queues.q2.conversations",)), span(30)],
            life(10, 12),
            "not heard by this transport",
        ),
        ([span(0, topics=("v2.detail.events.conversation.{id}.customer.start",))], life(10, 12), "unknown"),
        ([span(0, 5, "disconnected", (QUEUE,)), span(0, topics=(USER,))], life(10, 12, "q1", "u1"), "unknown"),
    ],
)
def test_coverage_explains_a_loss(spans: list[Span], lived: Lifetime, cause: str) -> None:
    """The word follows from what could have carried the conversation, and from why that was silent."""
    assert Listening(sorted(spans, key=lambda span: span.started_at)).cause(lived) == cause


# Calls that end a span, or have it ended, and the assignments of a channel that is let go.
ENDING = {"ChannelCommand", "CoverageEnd", "end_coverage", "end", "_end_coverage", "_let_go", "_socket_died"}


def reasons_in(source: str) -> Iterator[ast.expr]:
    """The reasons that a module gives for the end of a span."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in ENDING:
            yield from (*node.args[2:], *(keyword.value for keyword in node.keywords if keyword.arg == "reason"))
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "reason":
            yield node.value


@pytest.mark.parametrize("rejected", [(), ("v2.users.{id}.conversations",), ("v2.users.u1.conversations",)])
@pytest.mark.parametrize("spans", [[], [span(0, 5)]])
def test_a_gap_has_the_cause_of_its_life(spans: list[Span], rejected: tuple[str, ...]) -> None:
    """Where nobody listened, too, whose record need not be looked at; a topic that was refused is no such case."""
    raw = b'{"conversationId":"c1","participants":[{"userId":"u1"}]}'
    row = DetailRow("c1", at(10), at(12), raw, {"participants": [{"userId": "u1"}]})
    listening, now = Listening(spans, rejected), datetime(2026, 3, 2, 11, tzinfo=UTC)
    expected = listening.cause(life_of(row, "missing", now=at(59)))
    assert explainer(listening, now)(row, "missing") == expected
    assert expected == ("topic rejected" if "v2.users.u1.conversations" in rejected else "not running")


def test_an_end_is_written_in_the_words_of_the_vocabulary() -> None:
    """No text of its own: each reason that live capture and the store write down is a member of `EndReason`."""
    used: set[str] = set()
    for path in (*ROOT.glob("realtime/**/*.py"), *ROOT.glob("rollbook/store/**/*.py")):
        text = path.read_text()
        used |= set(re.findall(r"\bEndReason\.(\w+)", text))
        if "EndReason" in text:
            written = [part for reason in reasons_in(text) for part in ast.walk(reason)]
            bare = [part.value for part in written if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            assert bare == [], path
    assert used == set(EndReason.__members__)


def test_every_end_that_is_written_has_a_cause() -> None:
    """Whatever ended a span says why what came after it was not heard; "unknown" is for what was heard all the time."""
    causes = {reason: Listening([span(0, 5, reason)]).cause(life(10, 12)) for reason in EndReason}
    assert {reason for reason, cause in causes.items() if cause == "unknown"} == set()
    assert (causes[EndReason.TOPICS_LOST], causes[EndReason.TOPIC_REJECTED]) == ("channel lost", "topic rejected")


TOPICS = [QUEUE, "v2.routing.queues.q2.conversations", USER, "v2.detail.events.conversation.{id}.acw"]
spans_of_any = st.builds(
    lambda start, length, why, topics: span(start, start + length, why, tuple(sorted(topics))),
    st.integers(0, 40),
    st.integers(1, 15),
    st.sampled_from(["stopped", "disconnected", "channel lost", "rolled over"]),
    st.sets(st.sampled_from(TOPICS), min_size=1),
)


@given(
    st.lists(spans_of_any, max_size=8),
    st.integers(0, 40),
    st.integers(0, 15),
    st.sets(st.sampled_from(["q1", "q2", "u1"])),
)
def test_who_could_have_heard_it_is_who_heard_its_topics(
    spans: list[Span], start: int, length: int, entities: set[str]
) -> None:
    """Where spans that name the conversation touch it, the others say nothing, however many sets of topics there are."""
    spans.sort(key=lambda span: span.started_at)
    lived = life(start, start + length, *(entities or {"c1"}))
    able = [
        span
        for span in spans
        if any(f".{name}." in topic for topic in span.topics for name in ("{id}", *lived.entities))
    ]
    if any(span.started_at <= lived.end and (span.ended_at or "9") >= lived.start for span in able):
        assert Listening(spans).cause(lived) == Listening(able).cause(lived)


def test_a_refused_topic_is_named_before_the_transport() -> None:
    """The queue's topic was asked for and refused: that is the cause, not the transport."""
    spans = [span(0, topics=("v2.routing.queues.q2.conversations",))]
    assert Listening(spans, [QUEUE]).cause(life(10, 12)) == "topic rejected"
    assert Listening(spans, [QUEUE]).cause(life(10, 12, "q3")) == "not heard by this transport"


def test_a_changed_conversation_is_judged_by_its_end() -> None:
    """What was missed of it is how it ended: a hole before that explains nothing."""
    record: dict[str, Any] = {
        "participants": [
            {"userId": "u1", "sessions": [{"segments": [{"queueId": "q1"}, {"queueId": 7}, "x"]}]},
            7,
            {"sessions": 3},
        ]
    }
    row = DetailRow("c1", at(10), at(20), b"", record)
    spans = [span(0, 12, "disconnected"), span(15, 18, "channel lost")]
    assert life_of(row, "changed", now=at(59)) == Lifetime(at(20), at(20), frozenset({"c1", "q1", "u1"}))
    assert Listening(spans).cause(life_of(row, "changed", now=at(59))) == "channel lost"
    assert Listening(spans).cause(life_of(row, "missing", now=at(59))) == "disconnected"
    open_row = DetailRow("c1", at(10), None, b"", record)
    assert life_of(open_row, "missing", now=at(59)).end == at(59)


def test_a_span_whose_process_died_ends_at_its_last_sign_of_life() -> None:
    """Nobody has closed it, and nobody listens any more."""
    dead = Span("websocket", "line 1", (QUEUE,), at(0), None, at(5), None)
    living = Span("websocket", "line 1", (QUEUE,), at(0), None, at(29), None)
    now = datetime(2026, 3, 2, 10, 29, 20, tzinfo=UTC)
    known = as_known([dead, living], now)
    assert (known[0].ended_at, known[0].end_reason, known[1]) == (at(5), "killed", living)
    assert Listening(known[:1]).cause(life(10, 12)) == "not running"
