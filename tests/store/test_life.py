"""`rollbook events` and `rollbook show`: what was heard, and a conversation's whole life, for people and programs."""

import asyncio
import json
import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from reconcile.run.runner import reconcile_window
from rollbook.commands import cli
from rollbook.genesys.api.client import Api
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator import Simulator
from rollbook.store import event_list, life
from rollbook.store.book import Book
from rollbook.store.commands import words as life_words
from rollbook.store.event_list import Wanted
from rollbook.store.tables import events
from rollbook.store.upkeep.repack import repack
from tests.helpers.peek import command, peek

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = Interval(START, START + timedelta(hours=1))
EVIL = '<script>alert("&")</script>'


def notification(
    conversation_id: str, at: datetime, topic: str = "v2.routing.queues.q.conversations", **more: Any
) -> Notification:
    """A notification about a conversation."""
    body = {
        "id": conversation_id,
        "conversationId": conversation_id,
        "participants": [{"id": "p", "connectedTime": to_text(at)}],
        **more,
    }
    frame = json.dumps({"topicName": topic, "eventBody": body})
    found = parse_frame(frame, source="websocket", received_at=to_text(at))
    assert isinstance(found, Notification)
    return found


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """An hour that was read, ten of its conversations heard before, packed; and what the platform has in it."""
    path = tmp_path_factory.mktemp("life") / "rollbook.db"
    return path, asyncio.run(_fill(path))


async def _fill(path: Path) -> dict[str, Any]:
    async with Simulator(seed=5, start=START, rate=0, per_hour=60, rate_limit=100_000) as simulator:
        simulator.clock.advance(timedelta(hours=1, minutes=20))
        settings = load(env=simulator.env, cwd=path.parent)
        simulator.world.grow(simulator.now())
        with Book.open(path, organization=("o", "Organisation"), pack="all") as book:
            some = [notification(each.id, each.start) for each in simulator.world.conversations[:10]]
            more = [
                notification("nobody-lists-it", START + timedelta(minutes=number), EVIL, name=EVIL)
                for number in (5, 6, 7)
            ]
            many = [
                notification(f"other-{number}", START + timedelta(hours=3, seconds=number)) for number in range(1_200)
            ]
            book.write(events.record, [*some, *more, *many], book.lag).result()
            async with Api(settings, now=simulator.now) as api:
                await reconcile_window(book, api, HOUR, settings=settings, now=simulator.now)
        return simulator.truth(HOUR.start, HOUR.end)


def run(path: Path, *words: str) -> Result:
    """A command on the store, which must succeed."""
    ran = command(cli, [*words, "--db", str(path)], env={"ROLLBOOK_CONFIG": "", "COLUMNS": "80"})
    assert ran.exit_code == 0, ran.output
    return ran


def answered(path: Path, *words: str) -> list[dict[str, Any]]:
    """The objects that a command prints, one a line."""
    return [json.loads(line) for line in run(path, *words, "--json").stdout.splitlines()]


def test_every_notification_is_listed_in_the_order_in_which_it_came(filled: tuple[Path, Any]) -> None:
    """An object a line, oldest first, over as many pages as there are; the body as it came, packed or not."""
    path, _ = filled
    found = answered(path, "events")
    assert len(found) == 1_213
    assert list(found[0]) == ["topic", "event_time", "received_at", "source", "body"]
    assert [event["received_at"] for event in found] == sorted(event["received_at"] for event in found)
    with Book.open(path, mode="r+", pack="events") as book:
        before = peek(book, event_list.page, Wanted(), None, 2_000)
        counts = repack(book, "events", rest=lambda _: None)
        assert counts["events"].packed > 300
    assert answered(path, "events") == found
    with Book.open(path, mode="ro") as book:
        assert peek(book, event_list.page, Wanted(), None, 2_000) == before


def test_notifications_are_chosen_by_conversation_time_topic_and_number(filled: tuple[Path, Any]) -> None:
    """Each option leaves out what it says, alone and with the others; an id may be typed in capitals."""
    path, truth = filled
    assert len(answered(path, "events", "nobody-lists-it")) == 3
    assert len(answered(path, "events", "nobody-lists-it", "--since", "2026-03-02T10:06Z")) == 2
    assert len(answered(path, "events", "--since", "2026-03-02T13:00Z")) == 1_200
    assert len(answered(path, "events", "--limit", "700")) == 700
    assert len(answered(path, "events", "--topic", "v2.routing.queues.{id}.conversations")) == 1_210
    assert len(answered(path, "events", "--topic", "*script*", "--limit", "2")) == 2
    assert answered(path, "events", "--topic", "v2.routing.queues") == []
    listed = next(event["body"]["id"] for event in answered(path, "events") if event["body"]["id"] in truth)
    assert answered(path, "events", listed.upper()) == answered(path, "events", listed) != []


def test_notifications_are_read_by_people(filled: tuple[Path, Any]) -> None:
    """Each says when, how and on what topic it came, and has its body below; nothing found is said too."""
    path, _ = filled
    lines = run(path, "events", "nobody-lists-it", "--limit", "1").stdout.splitlines()
    assert lines[0].startswith("2026-03-02T10:05:00.000Z  by websocket")
    assert lines[1] == f"  {EVIL}"
    assert json.loads("".join(lines[2:]))["id"] == "nobody-lists-it"
    assert run(path, "events", "nobody").stdout == "no notification is like that\n"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_a_line_is_an_object_whatever_the_body(value: Any) -> None:
    """A body that was spelled over several lines is on one, and says the same."""
    from rollbook.store.commands.events import json_line

    event = event_list.ListedEvent(
        1, "v2.é", None, None, to_text(START), "sqs", json.dumps(value, indent=2, ensure_ascii=False)
    )
    line = json_line(event)
    assert "\n" not in line.replace("\u2028", "")
    assert json.loads(line)["body"] == value


@given(st.text())
def test_a_pattern_stands_for_itself_but_for_its_stars(text: str) -> None:
    """What a topic holds is no pattern of SQLite's: a topic is found by its own text, and by nothing else."""
    bare = text.replace("*", "").replace("\0", "").encode("utf-8", "replace").decode()
    with closing(sqlite3.connect(":memory:")) as connection:
        ask = "SELECT ?1 GLOB ?2, ?1 || 'x' GLOB ?2, ?1 || 'x' GLOB ?2 || '*'"
        found = connection.execute(
            ask, (bare.replace("{id}", ""), event_list.pattern(bare.replace("{id}", "")))
        ).fetchone()
    assert found == (1, 0, 1)


def test_events_of_a_conversation_are_found_by_an_index(filled: tuple[Path, Any]) -> None:
    """The events of an id, those since a time, and the next page are looked up, never all of them searched or sorted."""
    path, _ = filled
    plans = []
    with closing(sqlite3.connect(path)) as connection:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        event_list.page(connection, Wanted("other-7"), None, 10)
        event_list.page(connection, Wanted(since="2026-03-02T13:00:00.000Z"), None, 10)
        event_list.page(connection, Wanted(), ("2026-03-02T13:00:00.000Z", 1), 10)
        connection.set_trace_callback(None)
        for query in [text for text in asked if text.startswith("SELECT event_id")]:
            rows = connection.execute(f"EXPLAIN QUERY PLAN {query}").fetchall()
            plans.append(" | ".join(row[3] for row in rows))
    assert "event_rows_number (number=?)" in plans[0]
    for plan in plans[1:]:
        assert "event_rows_received (received_at>" in plan
        assert "TEMP B-TREE" not in plan
    assert not any(re.search(r"SCAN (e|event_rows)\b", plan) for plan in plans), plans


def test_a_conversations_life_is_one_object(filled: tuple[Path, Any]) -> None:
    """Its details as the platform has them, each leg with its segments, what was heard, its gap and its window."""
    path, truth = filled
    for conversation_id in list(truth)[:12]:
        [found] = answered(path, "show", conversation_id)
        assert found["details"] == truth[conversation_id]
        assert found["conversation"]["conversation_start"] == truth[conversation_id]["conversationStart"]
        api = truth[conversation_id]["participants"]
        assert [len(participant["sessions"]) for participant in found["participants"]] == [
            len(participant["sessions"]) for participant in api
        ]
        shown = [
            segment.get("segment_type")
            for participant in found["participants"]
            for session in participant["sessions"]
            for segment in session.get("segments", ())
        ]
        assert shown == [
            segment.get("segmentType")
            for participant in api
            for session in participant["sessions"]
            for segment in session.get("segments", ())
        ]
        start = found["conversation"]["conversation_start"]
        assert (to_text(HOUR.start), to_text(HOUR.end)) in {(own["start"], own["end"]) for own in found["windows"]}
        assert all(own["start"] <= start < own["end"] for own in found["windows"])
    kinds = [gap["kind"] for each in truth for gap in answered(path, "show", each)[0]["gaps"]]
    assert "missing" in kinds


def test_a_conversations_life_fits_a_terminal(filled: tuple[Path, Any]) -> None:
    """Words of at most 80 columns, which name every leg, every segment, its gap and the verdict of its window."""
    path, truth = filled
    for conversation_id, details in list(truth.items())[:12]:
        text = run(path, "show", conversation_id).stdout
        lines = text.splitlines()
        assert lines[0] == conversation_id
        wide = [line for line in lines if len(line) > 80 and len(line.split()) > 1]
        assert not wide, wide
        segments = [
            segment
            for participant in details["participants"]
            for session in participant["sessions"]
            for segment in session.get("segments", ())
        ]
        assert sum(bool(re.match(r" {6}\d\d:\d\d:\d\d  ", line)) for line in lines) == len(segments)
        assert all(segment.get("queueId", "") in text for segment in segments)
        assert "2026-03-02 10:00 to 2026-03-02 11:00 UTC" in " ".join(text.split())


def test_what_only_its_notifications_name_is_shown(filled: tuple[Path, Any]) -> None:
    """A conversation that nobody has read says so, and shows what was heard; one that nothing names is status 2."""
    path, _ = filled
    text = run(path, "show", "nobody-lists-it").stdout
    assert "heard" in text
    assert text.count("websocket") == 3
    ran = command(cli, ["show", "nothing", "--db", str(path)], env={"ROLLBOOK_CONFIG": ""})
    assert ran.exit_code == 2
    assert "names the conversation nothing" in ran.stderr


class _Reader(HTMLParser):
    """Every element and attribute of a page, and its text."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_runs_nothing(filled: tuple[Path, Any], tmp_path: Path) -> None:
    """One file, light and dark, without an address to load from; what a stranger wrote into a field stays text."""
    path, truth = filled
    for conversation_id in ("nobody-lists-it", next(iter(truth))):
        file = tmp_path / f"{conversation_id}.html"
        assert run(path, "show", conversation_id, "--html", str(file)).stdout == f"{file} is written\n"
        written = file.read_text(encoding="utf-8")
        reader = _Reader()
        reader.feed(written)
        assert "prefers-color-scheme: dark" in written
        assert not {"script", "img", "link", "iframe", "object"} & set(reader.elements)
        assert not {name for name, _ in reader.attributes} & {"src", "srcset", "onclick", "onload", "style"}
        assert all((value or "").startswith("#") for name, value in reader.attributes if name == "href")
        assert not re.search(r"url\(|@import", written)
        assert conversation_id in reader.text
    assert EVIL in _read(path, tmp_path, "nobody-lists-it")
    ran = command(cli, ["show", "nobody-lists-it", "--db", str(path), "--html", str(tmp_path)], env={})
    assert ran.exit_code == 1
    assert "cannot be written" in ran.stderr


def _read(path: Path, folder: Path, conversation_id: str) -> str:
    reader = _Reader()
    reader.feed((folder / f"{conversation_id}.html").read_text(encoding="utf-8"))
    return reader.text


def test_the_places_at_which_two_versions_differ_are_named() -> None:
    """A changed value, a new member, a member that is gone and a longer list, each by its place."""
    before = {"a": 1, "b": {"c": [1, 2]}, "d": None, "e": [1], "same": [{"x": 1}]}
    after = {"a": 2, "b": {"c": [1, 3]}, "e": [1, 2], "same": [{"x": 1}], "new": True}
    assert life.changes(before, after) == ["a", "b.c[1]", "d", "e", "new"]
    assert life.changes(before, before) == []
    assert life.changes(None, {}) == ["everything"]


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (timedelta(milliseconds=300), "0.3 s"),
        (timedelta(seconds=12), "12 s"),
        (timedelta(minutes=5, seconds=21), "5 min 21 s"),
        (timedelta(hours=1, minutes=2), "1 h 02 min"),
        (timedelta(hours=1_234), "1,234 h 00 min"),
    ],
)
def test_a_length_of_time_is_said_as_people_say_it(length: timedelta, words: str) -> None:
    """Tenths of seconds, seconds, minutes and hours, as long as it is."""
    assert life_words.duration(length) == words
