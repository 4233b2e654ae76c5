"""`rollbook tail`: notifications in words with names, as they are stored."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from rollbook.genesys.named import NameKind
from rollbook.genesys.program.settings import Settings
from rollbook.store import event_list
from rollbook.store.book import Book
from rollbook.store.commands.live import event_words, tail
from rollbook.store.event_list import ListedEvent, Wanted
from rollbook.store.rows.name_changes import ListedName, NameListing
from rollbook.store.tables import events, names
from tests.helpers.whole import until
from tests.store.test_events import IDS, detail, event

QUEUE, OTHER, USER = "a1b2c3d4-1111-4222-8333-000000000001", "a1b2c3d4-1111-4222-8333-000000000002", "u-1"
NAMES: event_words.Names = {
    (NameKind.QUEUE, QUEUE): "Sales",
    (NameKind.USER, USER): "Ann Lee",
    (NameKind.FLOW, "f1"): "Main menu",
}
SNAPSHOTS = f"v2.routing.queues.{QUEUE}.conversations"


def listed(topic: str, body: object) -> ListedEvent:
    """A stored notification."""
    return ListedEvent(1, topic, IDS[0], None, "2026-03-02T10:00:00.000Z", "websocket", json.dumps(body))


def people(*participants: dict[str, Any]) -> dict[str, Any]:
    """A snapshot with these participants."""
    return {"id": IDS[0], "participants": list(participants)}


def call(state: str) -> dict[str, Any]:
    """A participant's list of calls."""
    return {"calls": [{"state": state}]}


GONE = {"purpose": "ivr", "endTime": "2026-03-02T10:00:00.000Z", **call("connected")}
CUSTOMER = {"purpose": "customer", **call("connected")}


@pytest.mark.parametrize(
    ("topic", "body", "said"),
    [
        (SNAPSHOTS, people(CUSTOMER, GONE), "Sales: customer connected, voice"),
        (SNAPSHOTS, people(CUSTOMER, {"purpose": "acd", "queueId": QUEUE, **call("offering")}), "Sales: waiting, voice"),
        (SNAPSHOTS, people({"purpose": "acd", "queueId": OTHER, **call("x")}), "Sales: waiting in queue a1b2c3d4, voice"),
        (SNAPSHOTS, people(CUSTOMER, {"purpose": "agent", "userId": USER, **call("alerting")}), "Sales: Ann Lee alerting, voice"),
        (SNAPSHOTS, people({"purpose": "agent", "userId": USER, "calls": [{"state": "connected", "held": True}]}), "Sales: Ann Lee held, voice"),
        (SNAPSHOTS, people({"purpose": "customer", **call("disconnected")}, GONE), "Sales: ended"),
        (SNAPSHOTS, people(), "Sales: without participants"),
        (f"v2.users.{USER}.conversations.chats", people({"purpose": "agent", "userId": USER, "state": "alerting"}), "Ann Lee: Ann Lee alerting"),
        (f"v2.detail.events.conversation.{IDS[0]}.flow.start", {"flowId": "f1", "mediaType": "VOICE"}, "flow.start, Main menu, voice"),
        (f"v2.detail.events.conversation.{IDS[0]}.acd.start", {"queueId": OTHER}, "acd.start, queue a1b2c3d4"),
        ("v2.system.whatever", {"a": 1}, "v2.system.whatever"),
        (SNAPSHOTS, [1, None], "Sales: without participants"),
        (SNAPSHOTS, {"participants": [7, {"purpose": 3, "calls": "x"}]}, "Sales: participant there"),
    ],
)  # fmt: skip
def test_a_notification_in_words(topic: str, body: object, said: str) -> None:
    """Who is there and in which state, with names; of an id without one, its kind and beginning; any shape is read."""
    assert event_words.describe(listed(topic, body), NAMES) == said


def test_a_name_cannot_command_the_terminal() -> None:
    """Escape sequences, control characters and marks of direction in a name are shown as a sign for each."""
    hostile = "\x1b[2Jx\x9b1m\u202ey\n\r\x07"
    said = event_words.describe(listed(SNAPSHOTS, people()), {(NameKind.QUEUE, QUEUE): hostile})
    assert said.isprintable()
    assert said == "�[2Jx�1m�y���: without participants"


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """A store with three events, and a name for the queue of one."""
    with Book.open(tmp_path / "rollbook.db") as opened:
        listing = NameListing("2026-03-01T00:00:00.000Z", {QUEUE: ListedName(QUEUE, "Sales")}, whole=True)
        opened.write(names.take, NameKind.QUEUE, listing).result()
        opened.write(events.record, [detail(1), detail(2, queueId=QUEUE), event(SNAPSHOTS, {"id": IDS[3]})], opened.lag).result()  # fmt: skip
        yield opened


def test_pages_of_what_came_have_no_hole(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest, then page for page what was stored after them: each once, in order, whatever the pages' size."""
    shown, at = book.read_now(event_list.newest, Wanted(), 2)
    assert ([each.event_id for each in shown], at) == ([2, 3], 3)
    book.write(events.record, [detail(number) for number in range(10, 21)], book.lag).result()
    monkeypatch.setattr(event_list, "PAGE", 3)
    found = []
    while True:
        page, upto = book.read_now(event_list.stored_after, Wanted(), at)
        found += [each.event_id for each in page]
        if upto == at:
            break
        at = upto
    assert found == list(range(4, 15))
    of_it = [book.read_now(event_list.stored_after, Wanted(conversation_id=IDS[11]), after) for after in (0, 3)]
    assert [([each.event_id for each in page], upto) for page, upto in of_it] == [([], 3), ([5], 6)]
    assert book.read_now(event_list.newest, Wanted(topic="v2.routing.*"), 5)[0][0].topic == SNAPSHOTS


@pytest.mark.parametrize("as_json", [False, True])
async def test_what_is_stored_is_shown(
    book: Book, as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It begins with the last ones, goes on with what comes, in 80 columns with names; nothing is shown twice."""
    monkeypatch.setattr(tail, "EVERY", 0.0)
    lines: list[str] = []

    def are_there(count: int) -> bool:
        lines.extend(line for line in capsys.readouterr().out.splitlines() if not line.startswith(" "))
        return len(lines) >= count

    tailing = asyncio.create_task(tail._tail(Settings(store_path=book.path), Wanted(), 2, as_json=as_json))
    await until(lambda: are_there(2))
    await asyncio.wrap_future(book.write(events.record, [detail(7, queueId=QUEUE)], book.lag))
    await until(lambda: are_there(3))
    tailing.cancel()
    assert len(lines) == 3
    assert all(id_ in line for id_, line in zip((IDS[2], IDS[3], IDS[7]), lines, strict=True))
    if as_json:
        assert [json.loads(line)["names"] for line in lines] == [{QUEUE: "Sales"}] * 3
    else:
        assert all("Sales" in line and len(line) <= 80 for line in lines)


def test_without_a_store_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit status 1, as of every command that reads a store."""
    monkeypatch.chdir(tmp_path)
    from rollbook.store.commands import options

    ran = CliRunner().invoke(options.tail, [])
    assert (ran.exit_code, ran.output.count("\n"), "there is no store at" in ran.output) == (1, 1, True)
