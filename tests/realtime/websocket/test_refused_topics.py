"""Which topics count as refused: until they are permitted or not wanted any more, and not a moment longer."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from realtime.daemon.health import hearing, judge
from realtime.websocket.refused_topics import RefusedTopics
from realtime.websocket.subscriptions import Unasked
from rollbook.genesys.api.client import TopicState
from rollbook.genesys.topics import expand
from rollbook.store.book import Book
from rollbook.store.tables import coverage
from tests.helpers.peek import peek
from tests.helpers.stage import Stage, capture, topic

NOW = datetime(2026, 8, 3, tzinfo=UTC)
BOTH = "v2.users.u1?calls&chats"
CALLS, CHATS = expand(BOTH)


def taken(name: str) -> TopicState:
    """The platform permits it."""
    return TopicState(name, permitted=True, reason=None, missing_permissions=())


def refused(name: str) -> TopicState:
    """The platform refuses it."""
    return TopicState(name, permitted=False, reason="Not authorized for this topic.", missing_permissions=("a:b:c",))


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    with Book.open(tmp_path / "rollbook.db") as opened:
        yield opened


def kept(book: Book) -> list[str]:
    """What the book says is refused, once everything is written."""
    book.write(coverage.reject, [], "").result(10)
    return [row["topic"] for row in peek(book, coverage.rejected)]


@pytest.mark.parametrize(
    ("answers", "left"),
    [
        ([[taken(BOTH), refused(CHATS)]], [CHATS]),
        ([[taken(BOTH), refused(CHATS)], [taken(BOTH)]], []),
        ([[refused(CALLS)], [refused(BOTH)]], [CALLS, CHATS]),
        ([[refused(BOTH)], [taken(BOTH), refused(CALLS)]], [CALLS]),
        ([[refused(BOTH)], [taken(CHATS)]], [CALLS]),
        ([[refused(BOTH)], [refused(CALLS), taken(BOTH)]], [CALLS]),
    ],
)
def test_each_topic_of_a_combination_has_its_own_answer(book: Book, answers: list[Any], left: list[str]) -> None:
    """What stands for several topics is permitted or refused for each of them that is not named alone."""
    refused_topics = RefusedTopics(book, now=lambda: NOW)
    for states in answers:
        refused_topics.take_answer(states)
    assert kept(book) == left
    assert len(refused_topics) == len(left)


def test_a_refusal_is_logged_once(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    """Asked for again every hour, it is said again only after it was permitted between."""
    refused_topics = RefusedTopics(book, now=lambda: NOW)
    with caplog.at_level(logging.WARNING):
        for state in (refused(BOTH), refused(BOTH), refused(CALLS), taken(BOTH), refused(BOTH)):
            refused_topics.take_answer([state])
    assert caplog.text.count("role a:b:c") == 2


def test_what_lacks_the_same_permission_is_one_line(book: Book, caplog: pytest.LogCaptureFixture) -> None:
    """A role that lacks a permission has thousands of topics refused: they are counted, and each is a matter of -v."""
    refused_topics = RefusedTopics(book, now=lambda: NOW)
    with caplog.at_level(logging.INFO):
        refused_topics.take_answer([refused(topic(number)) for number in range(2_000)])
    (line,) = caplog.messages
    assert "2,000 topics" in line
    assert "role a:b:c" in line


async def test_who_hears_nothing_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Every topic refused: the log, the figures and the state name how many are heard, and the permission."""
    async with Stage(queues=6) as stage:
        stage.refuse = {topic(number): "conversation:communication:view" for number in range(6)}
        with caplog.at_level(logging.INFO):
            async with capture(stage, tmp_path) as running:
                await running.until(lambda: len(peek(running.book, coverage.rejected)) == 6)
                figures = running.supervisor.figures()
    needed = "give the OAuth client's role conversation:communication:view"
    assert f"line 1: hears 0 of 6 topics; 6 refused: {needed}" in caplog.messages
    assert "6 topics to hear, before 0" in caplog.messages
    assert hearing(figures) == "0 topics on 1 line, 6 refused"
    assert judge(figures) == ("degraded", [f"6 topics are refused, and none is heard: {needed}"])


def detail(number: int, *members: str) -> str:
    """Topics of a conversation's detail events."""
    return f"v2.detail.events.conversation.c{number}?{'&'.join(members)}"


@pytest.mark.parametrize(
    ("states", "members"),
    [
        ([taken(detail(1, "acw", "wrapup")), refused(detail(1, "wrapup"))], {"wrapup"}),
        ([refused(detail(1, "acw", "wrapup"))], {"acw", "wrapup"}),
        ([refused(detail(1, "acw", "wrapup")), taken(detail(2, "acw", "wrapup"))], set()),
        ([Unasked(detail(1, "acw"), permitted=False, reason="no room", missing_permissions=())], set()),
    ],
)
def test_detail_events_are_refused_by_template(book: Book, states: list[TopicState], members: set[str]) -> None:
    """One row for all conversations, of what is refused for each of them and for another reason than room."""
    refused_topics = RefusedTopics(book, now=lambda: NOW)
    refused_topics.take_answer(states)
    assert refused_topics.members == members
    templates = [f"v2.detail.events.conversation.{{id}}.{member}" for member in sorted(members)]
    assert (kept(book), len(refused_topics)) == (templates, len(members))
    refused_topics.ask_again()
    assert (kept(book), refused_topics.members) == (templates, set())
    refused_topics.take_answer([taken(detail(3, "acw", "wrapup"))])
    assert kept(book) == []


async def test_an_earlier_runs_refusals_stand_until_they_are_answered(book: Book) -> None:
    """They go on explaining gaps, are not counted as this run's, and go when permitted or not wanted any more."""
    RefusedTopics(book, now=lambda: NOW).take_answer([refused(CALLS), refused(CHATS), refused(topic(1))])
    assert len(kept(book)) == 3
    refused_topics = RefusedTopics(book, now=lambda: NOW)
    await refused_topics.load()
    refused_topics.keep_only([BOTH])
    assert (kept(book), len(refused_topics)) == ([CALLS, CHATS], 0)
    refused_topics.take_answer([taken(CALLS)])
    assert kept(book) == [CHATS]


async def test_a_topic_that_is_heard_after_a_restart_is_not_refused(tmp_path: Path) -> None:
    """The permission came while no daemon ran: the next one's first answer ends the refusal."""
    async with Stage() as stage:
        stage.refuse[topic(1)] = "routing:queue:view"
        async with capture(stage, tmp_path) as running:
            await running.until(lambda: peek(running.book, coverage.rejected))
        stage.refuse.clear()
        async with capture(stage, tmp_path) as running:
            await running.until(lambda: not peek(running.book, coverage.rejected))
            assert stage.heard_by_all() == {topic(0), topic(1)}


async def test_a_queue_that_is_gone_is_not_refused(tmp_path: Path) -> None:
    """The refusal of a topic that nobody wants any more makes nothing degraded."""
    async with Stage() as stage:
        stage.refuse[topic(1)] = "routing:queue:view"
        async with capture(stage, tmp_path, rediscover=0.05) as running:
            await running.until(lambda: peek(running.book, coverage.rejected))
            assert running.supervisor.figures().refused_topics == 1
            stage.queue_ids = stage.queue_ids[:1]
            await running.until(lambda: not peek(running.book, coverage.rejected))
            assert running.supervisor.figures().refused_topics == 0
