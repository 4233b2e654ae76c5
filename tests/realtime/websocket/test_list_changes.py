"""Whether a list of queues is believed: what is new at once, that much has vanished when a second look agrees."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.websocket.list_changes import Believed, Doubt, weigh
from reconcile.causes import Lifetime, Listening
from rollbook.genesys.errors import ConnectionLost, PermissionRefused, RollbookError, TooSlow, Unavailable
from rollbook.store.tables import coverage
from rollbook.store.tables.coverage import Span
from tests.helpers.peek import peek
from tests.helpers.stage import QUEUES, Stage, capture

IDS = st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True).map(tuple)


@pytest.mark.parametrize(
    ("known", "seen", "ids", "doubted"),
    [
        ("abcd", "abcd", "abcd", False),
        ("abcd", "abcdef", "abcdef", False),
        ("abcd", "ab", "ab", False),  # half of them: as it happens
        ("abcd", "a", "abcd", True),
        ("abcd", "axyz", "abcdxyz", True),  # as many, but others
        ("abcd", "", "abcd", True),
        ("ab", "a", "a", False),
        ("a", "", "a", True),
        ("a", "b", "ab", True),
        ("", "", "", True),
        ("", "ab", "ab", False),
    ],
)
def test_the_table_of_first_looks(known: str, seen: str, ids: str, doubted: bool) -> None:
    """Fewer than half of what was there, or nothing, needs a second look; until then all of it is there."""
    found = weigh(known, seen, 5.0, doubt=None, apart=60)
    assert (found.ids, found.doubt is not None) == (tuple(ids), doubted)


def test_a_second_look_counts_when_it_is_apart_in_time() -> None:
    """A look a second later is the same witness; one a minute later is another, and what either saw is there."""
    first = weigh("abcdef", "a", 0.0, doubt=None, apart=60)
    soon = weigh(first.ids, "b", 1.0, doubt=first.doubt, apart=60)
    assert soon == Believed(tuple("abcdef"), Doubt(("a", "b"), 0.0))
    assert weigh(soon.ids, "c", 61.0, doubt=soon.doubt, apart=60) == Believed(("a", "b", "c"))
    assert weigh(soon.ids, "abcdef", 61.0, doubt=soon.doubt, apart=60) == Believed(tuple("abcdef"))


@given(IDS, IDS, IDS, st.floats(0, 200))
def test_what_any_look_saw_is_never_let_go_by_one_look(
    known: tuple[str, ...], first: tuple[str, ...], second: tuple[str, ...], later: float
) -> None:
    """Whatever the lists, one look takes away half at most, and what the newest look has seen is heard."""
    early = weigh(known, first, 0.0, doubt=None, apart=60)
    assert set(first) <= set(early.ids)
    assert len(set(known) & set(early.ids)) * 2 >= len(known)
    late = weigh(early.ids, second, later, doubt=early.doubt, apart=60)
    assert set(second) <= set(late.ids)
    if later < 60:
        assert len(set(early.ids) & set(late.ids)) * 2 >= len(early.ids)


@pytest.mark.parametrize("seen", [0, 1])
async def test_one_short_list_lets_nothing_go(tmp_path: Path, seen: int, caplog: pytest.LogCaptureFixture) -> None:
    """A list that is empty, or nearly, for one look costs no topic; one that stays so does, and is no end of the run."""
    async with Stage(queues=5) as stage, capture(stage, tmp_path, rediscover=0.3) as running:
        asked = 0

        async def once() -> Sequence[object]:
            nonlocal asked
            asked += 1
            return [] if seen == 0 else (await Stage.queues(stage))[:1]

        stage.queues = once  # type: ignore[assignment, method-assign]
        await running.until(lambda: asked == 1)
        del stage.queues
        looks = running.supervisor._looks
        await running.until(lambda: running.supervisor._looks >= looks + 2)
        assert len(stage.heard_by_all()) == 5
        assert [span.ended_at for span in await running.book.read(coverage.overlapping, "0", "9")] == [None]
        assert "are heard on until a second look agrees" in caplog.text
        stage.queue_ids = QUEUES[:seen]
        await running.until(lambda: len(stage.heard_by_all()) == seen)
        await running.until(lambda: any(span.ended_at for span in peek(running.book, coverage.overlapping, "0", "9")))
        ended = [span.end_reason for span in await running.book.read(coverage.overlapping, "0", "9") if span.ended_at]
        assert ended == ["topics let go"]


def test_what_was_let_go_was_not_heard_by_this_transport() -> None:
    """A gap behind topics that were let go has a cause of its own: somebody was running."""
    topics = (f"v2.routing.queues.{QUEUES[0]}.conversations",)
    span = Span(
        "websocket", "line 1", topics, "2026-03-02T10:00:00.000Z", "2026-03-02T10:05:00.000Z", "", "topics let go"
    )
    life = Lifetime("2026-03-02T10:06:00.000Z", "2026-03-02T10:07:00.000Z", frozenset({QUEUES[0]}))
    assert Listening([span]).cause(life) == "not heard by this transport"


async def test_a_look_that_hangs_is_given_up_and_made_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It has an end of its own, is told once however often it hangs, lets nothing go, and the next one is as good."""
    async with Stage(queues=2) as stage, capture(stage, tmp_path, rediscover=0.02, look_within=0.05) as running:
        asked = 0

        async def hangs() -> list[object]:
            nonlocal asked
            asked += 1
            await asyncio.Event().wait()
            return []

        stage.queues = hangs  # type: ignore[assignment, method-assign]
        await running.until(lambda: asked == 4)
        figures = running.supervisor.figures()
        assert "no answer within" in (figures.discovery_failing or "")
        assert figures.looked_ago is not None
        assert figures.looked_ago > 0.1
        assert len(stage.heard_by_all()) == 2
        del stage.queues
        stage.queue_ids = QUEUES[:3]
        await running.until(lambda: len(stage.heard_by_all()) == 3)
        await running.until(lambda: running.supervisor.figures().discovery_failing is None)
    assert sum("cannot look for queues now" in record.getMessage() for record in caplog.records) == 1


async def test_a_first_look_that_hangs_is_made_again(tmp_path: Path) -> None:
    """A start against a platform that does not answer goes on looking, and listens when it answers."""
    async with Stage(queues=2) as stage:
        asked = 0

        async def hangs_once() -> list[object]:
            nonlocal asked
            asked += 1
            if asked == 1:
                await asyncio.Event().wait()
            return await Stage.queues(stage)  # type: ignore[return-value]

        stage.queues = hangs_once  # type: ignore[assignment, method-assign]
        async with capture(stage, tmp_path, look_within=0.1) as running:
            await running.until(lambda: len(stage.heard_by_all()) == 2)
            assert asked == 2


@pytest.mark.parametrize(
    "trouble",
    [
        TooSlow("the answer did not come at a pace worth waiting for"),
        Unavailable("try again later", status=503),
        Unavailable("the platform's answer is broken", status=200),
        ConnectionLost("no route"),
    ],
    ids=lambda error: f"{type(error).__name__} {getattr(error, 'status', '')}",
)
async def test_a_first_look_that_fails_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: RollbookError
) -> None:
    """What may pass does not end a start, however often it comes: it is said once, and the daemon listens in the end."""
    monkeypatch.setattr("realtime.websocket.supervisor._NO_LIST_AGAIN", 0.0)
    async with Stage(queues=2) as stage:
        troubles = [trouble] * 12

        async def fails() -> list[object]:
            if troubles:
                raise troubles.pop()
            return await Stage.queues(stage)  # type: ignore[return-value]

        stage.queues = fails  # type: ignore[assignment, method-assign]
        async with capture(stage, tmp_path) as running:
            await running.until(lambda: len(stage.heard_by_all()) == 2)
            assert running.supervisor.figures().discovery_failing is None
    assert sum("cannot look for queues now" in record.getMessage() for record in caplog.records) == 1


async def test_a_first_look_that_is_not_allowed_ends_the_start(tmp_path: Path) -> None:
    """A permission that is lacking is for somebody to mend."""
    async with Stage(queues=2) as stage:

        async def refused() -> list[object]:
            raise PermissionRefused("give the role the permission routing:queue:view", status=403)

        stage.queues = refused  # type: ignore[assignment, method-assign]
        with pytest.raises(PermissionRefused):
            async with capture(stage, tmp_path):
                pass


async def test_a_count_of_channels_that_fails_is_told(tmp_path: Path) -> None:
    """While the channels cannot be counted, health knows why, and forgets it when they can."""
    async with Stage(queues=1) as stage, capture(stage, tmp_path) as running:

        async def lost() -> list[object]:
            raise ConnectionLost("no route")

        stage.channels = lost  # type: ignore[assignment, method-assign]
        running.supervisor.client_channels.crowded.set()
        await running.until(lambda: "no route" in (running.supervisor.figures().counting_failing or ""))
        del stage.channels
        running.supervisor.client_channels.crowded.set()
        await running.until(lambda: running.supervisor.figures().counting_failing is None)
