"""Rounds in which one window, record, id or event is trouble: it fails alone, with a reason, and the others go on.

Each case is a public report of somebody who reads the platform, or another member of its kind. The platform is on
loopback, and its truth decides what is right.
"""

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import RollbookError
from rollbook.genesys.messages.notification import Notification, parse_envelope
from rollbook.genesys.times import Interval, to_text
from rollbook.store.tables import events
from tests.helpers.organisation import START, WINDOW, at, record
from tests.helpers.unfriendly import (
    HALF,
    Answer,
    Asked,
    Scene,
    Spoil,
    Unfriendly,
    conversation,
    environment,
    first,
    gateway,
    half_hour,
    refusal,
    scene,
    snapshot,
    when,
)
from tests.helpers.whole import rollbook, rows

# Twenty-four hours before the first window that is due: what goes on there began another day.
YESTERDAY = Interval(START - timedelta(days=1), START - timedelta(days=1) + HALF)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Scene]:
    """A platform that answers what started in an interval, and an empty store."""
    async with scene(tmp_path) as made:
        made.platform.reading = "start"  # so that no window shows what another one owns
        yield made


async def follow_five(world: Scene) -> list[str]:
    """Five conversations of yesterday, proven as going on, that have ended since; their ids."""
    began = [conversation(900 + number) for number in range(5)]
    day = -24 * 60
    world.platform.put(*(record(conversation_id, day + 5 + place, None) for place, conversation_id in enumerate(began)))
    assert (await world.by_hand(YESTERDAY)).verdict == "open"
    world.platform.put(*(record(conversation_id, day + 5 + place, -30) for place, conversation_id in enumerate(began)))
    return began


def half_hours(number: int) -> list[Interval]:
    """The first windows from ten on."""
    return [half_hour(30 * place) for place in range(number)]


def populate(world: Scene, number: int) -> list[Interval]:
    """A conversation in each of so many half hours from ten on, and a time at which they are all due."""
    world.platform.put(*(record(conversation(place), 30 * place + 5, 30 * place + 9) for place in range(number)))
    world.clock.at = START + number * HALF + timedelta(minutes=10)
    return half_hours(number)


def found(world: Scene, ids: list[str]) -> list[str]:
    """Those of which the end was found."""
    ends = world.ends()
    return [conversation_id for conversation_id in ids if ends.get(conversation_id) is not None]


# One window

NO_ANSWERS = {
    "500": refusal(500),
    "502": gateway(502),
    "503": refusal(503, "service.unavailable"),
    "504": gateway(504),
    "400": refusal(400, "bad.request", "The request could not be understood."),
    "403": refusal(403, "not.authorized", "You may not see this interval."),
    "404": refusal(404, "not.found", "There is no such shard."),
    "body": Answer(body=b"{"),
    "cut": Answer(cut=True),
}


@pytest.mark.parametrize("at_once", [1, 6])
@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
@pytest.mark.parametrize("poison", [6, 3, 0], ids=["newest", "middle", "oldest"])
async def test_one_window_that_cannot_be_read_stops_no_other(
    world: Scene, poison: int, answer: Answer, at_once: int
) -> None:
    """Seven half hours are due and one is never answered: six are proven, five ends found, the ledger says why."""
    followed = await follow_five(world)
    windows = populate(world, 7)
    world.platform.poison(windows[poison], answer)
    report = await world.due(at_once=at_once)
    assert report.exit_status in (1, 3)
    others = [window for window in windows if window != windows[poison]]
    assert world.verdicts(others) == ["complete"] * 6
    assert found(world, followed) == followed
    world.assert_failed(windows[poison])


async def test_a_window_that_cannot_be_read_is_tried_less_and_less_often(world: Scene) -> None:
    """Three rounds a minute apart: the poison is not asked for in each, every round ends well for the others."""
    windows = populate(world, 7)
    world.platform.poison(windows[-1], refusal(500))
    for _ in range(3):
        report = await world.due()
        assert report.exit_status in (0, 1, 3)
        world.later(minutes=1)
    attempts = world.row(windows[-1]).attempts
    assert 1 <= attempts < 3
    world.assert_failed(windows[-1])
    world.platform.behave()
    world.later(days=1)
    await world.due()
    assert set(world.verdicts(windows)) == {"complete"}
    assert world.row(windows[-1]).attempts == attempts + 1


@pytest.mark.process
async def test_one_window_that_cannot_be_read_is_seen_in_the_exit_status(tmp_path: Path) -> None:
    """`reconcile --due --json` as a process: the poison is the newest window, the others are in the report and proven."""
    now = datetime.now(UTC)
    begin = now.replace(minute=now.minute // 30 * 30, second=0, microsecond=0) - timedelta(hours=3)
    windows = [Interval(begin + place * HALF, begin + (place + 1) * HALF) for place in range(5)]
    async with Unfriendly(now=lambda: datetime.now(UTC)).served() as platform:
        for place, window in enumerate(windows):
            start, end = to_text(window.start + timedelta(minutes=5)), to_text(window.start + timedelta(minutes=9))
            platform.put(record(conversation(place)) | {"conversationStart": start, "conversationEnd": end})
        newest = Interval(windows[-1].start, begin + timedelta(days=1))
        platform.poison(newest, refusal(400, "bad.request"))
        (tmp_path / "rollbook.toml").write_text(f'[reconcile]\nsince = "{to_text(begin)}"\n')
        ran = await rollbook("reconcile", "--due", "--json", env=environment(platform.url), cwd=tmp_path)
    assert ran.status in (1, 3)
    verdicts = {window["window"]["start"]: window["verdict"] for window in ran.json["windows"]}
    assert [verdicts.get(to_text(window.start)) for window in windows[:-1]] == ["complete"] * 4
    query = f"SELECT verdict, reason IS NOT NULL FROM windows WHERE start = '{to_text(windows[-1].start)}'"
    assert rows(tmp_path / "rollbook.db", query) == [("failed", 1)]


async def test_a_window_whose_jobs_fail_stops_no_other(world: Scene) -> None:
    """The same by jobs: one of another day whose job cannot be made."""
    followed = await follow_five(world)
    world.platform.put(record(conversation(1), 5, 9), record(conversation(2), 24 * 60 + 5, 24 * 60 + 9))
    world.clock.at = START + timedelta(days=1, hours=1)
    first_day = Interval(START, START + timedelta(hours=13))  # to an hour before midnight
    world.platform.poison(first_day, refusal(500))
    report = await world.due(via="job")
    assert report.exit_status in (1, 3)
    assert world.row(half_hour(24 * 60)).verdict == "complete"
    assert found(world, followed) == followed
    world.assert_failed(half_hour(0))


async def test_divisions_that_cannot_be_listed_stop_no_round(world: Scene) -> None:
    """What the client sees cannot be told: the windows are read all the same, or fail with the reason."""
    followed = await follow_five(world)
    windows = populate(world, 3)
    world.platform.spoil("divisions", first(refusal(500), times=20))
    await world.due()
    for window in windows:
        world.assert_not_wrongly_proven(window)
    assert found(world, followed) == followed


# One id among those that are followed


def refuses(poison: str, answer: Answer) -> Spoil:
    """No batch that has this id in it is answered."""
    return when(lambda asked: poison in asked.ids or poison in asked.target, answer)


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS.keys())
async def test_one_id_that_cannot_be_answered_hides_no_other(world: Scene, answer: Answer) -> None:
    """One of five that are followed spoils every batch: the batch is halved down to it, the other four ends are found."""
    followed = await follow_five(world)
    poison = followed[2]
    del world.platform.truth[poison]
    for kind in ("by_id", "one"):
        world.platform.spoil(kind, refuses(poison, answer))
    world.clock.at = START + timedelta(minutes=75)
    report = await world.due()
    assert report.exit_status in (0, 1, 3)
    assert found(world, followed) == [conversation_id for conversation_id in followed if conversation_id != poison]


async def test_an_erased_id_is_at_last_no_trouble_any_more(world: Scene) -> None:
    """The erased one of them is not asked for for ever: later rounds end well."""
    followed = await follow_five(world)
    poison = followed[2]
    del world.platform.truth[poison]
    for kind in ("by_id", "one"):
        world.platform.spoil(kind, refuses(poison, refusal(404, "not.found")))
    statuses = []
    for _ in range(4):
        world.later(days=1)
        statuses.append((await world.due()).exit_status)
    assert statuses[-1] == 0
    assert found(world, followed) == [conversation_id for conversation_id in followed if conversation_id != poison]
    assert world.row(YESTERDAY).verdict == "complete"


@pytest.mark.parametrize("status", [404, 400, 403, 500])
async def test_one_unknown_id_that_was_heard_costs_no_window(world: Scene, status: int) -> None:
    """The same for what capture alone knows: one of five was erased, four were indexed late; no wrong proof, no end."""
    ids = [conversation(number) for number in range(5)]
    world.platform.put(*(record(conversation_id, 5 + place, 9 + place) for place, conversation_id in enumerate(ids)))
    world.platform.put(record(conversation(50), 20, 21))
    world.hear(*(snapshot(conversation_id, connected=at(5 + place)) for place, conversation_id in enumerate(ids)))
    del world.platform.truth[ids[2]]
    world.platform.unlisted |= set(ids)
    for kind in ("by_id", "one"):
        world.platform.spoil(kind, refuses(ids[2], refusal(status, "not.found")))
    report = await world.due()
    assert report.exit_status in (0, 1, 3)
    assert {ids[0], ids[1], ids[3], ids[4], conversation(50)} <= world.stored().keys()
    world.assert_failed(WINDOW)  # what exists is not listed
    world.platform.unlisted.clear()
    world.later(hours=2)
    await world.due()
    assert world.row(WINDOW).verdict == "complete"


@pytest.mark.parametrize("status", [414, 431, 400])
async def test_addresses_that_are_too_long_are_cut(world: Scene, status: int) -> None:
    """A gateway takes addresses of two kilobytes only: thirty conversations are followed in smaller batches."""
    ids = [conversation(number) for number in range(90)]
    world.platform.put(*(record(conversation_id, place / 10, None) for place, conversation_id in enumerate(ids)))
    assert (await world.by_hand(WINDOW)).verdict == "open"
    world.platform.put(*(record(conversation_id, place / 10, 40) for place, conversation_id in enumerate(ids)))
    world.platform.spoil("by_id", when(lambda asked: len(asked.target) > 2_000, gateway(status)))
    await world.due()
    assert found(world, ids) == ids


# One event whose id is no id


def poisonous(length: int) -> str:
    """An id of so many characters."""
    return "f" * length


ODD_IDS = {
    "9,000 characters": [poisonous(9_000)],
    "70,000 characters": [poisonous(70_000)],
    "100 of 804": [f"{number:04d}{poisonous(800)}" for number in range(100)],
    "65 characters": [poisonous(65)],
    "a list": ["7c1f0d6e-52f1-4c1b-9a6c-000000000001,7c1f0d6e-52f1-4c1b-9a6c-000000000002"],
    "a way up": ["../../../../oauth/token"],
    "a line break": ["a\r\nHost: evil.example"],
    "a NUL": ["a\x00b"],
    "spaces": ["   "],
    "another alphabet": ["разговор-№7"],
    "half a character": ["\ud800"],
    "an address": ["id?x=1&y=2#z"],
}


def frames(ids: list[str], minute: float) -> list[str]:
    """A notification of each."""
    return [snapshot(conversation_id, connected=at(minute)) for conversation_id in ids]


@pytest.fixture
def odd_platform(world: Scene) -> Scene:
    """A platform that refuses a batch in which an id is not of its form, as the real one does."""

    def malformed(asked: Asked) -> bool:
        return any(
            len(conversation_id) != 36 or not all(sign in "0123456789abcdef-" for sign in conversation_id)
            for conversation_id in asked.ids
        )

    for kind in ("by_id", "one"):
        world.platform.spoil(kind, when(malformed, refusal(400, "bad.request", "An id is not valid.")))
    return world


@pytest.mark.parametrize("ids", ODD_IDS.values(), ids=ODD_IDS.keys())
async def test_an_event_with_an_id_that_is_none_stops_nothing(odd_platform: Scene, ids: list[str]) -> None:
    """It is kept as an event, and nobody is asked for it: its window is proven, and what goes on is followed."""
    world = odd_platform
    followed = await follow_five(world)
    windows = populate(world, 3)
    world.hear(*frames(ids, 35))
    report = await world.due()
    assert (report.exit_status, world.verdicts(windows)) == (0, ["complete"] * 3)
    assert found(world, followed) == followed
    assert await world.book.read(lambda db: db.execute("SELECT count(*) FROM events").fetchone()) == (len(ids),)


@pytest.mark.parametrize("ids", ODD_IDS.values(), ids=ODD_IDS.keys())
async def test_an_envelope_with_an_id_that_is_none_stops_nothing(odd_platform: Scene, ids: list[str]) -> None:
    """The same by EventBridge, as a detail event that names its conversation."""
    world = odd_platform
    followed = await follow_five(world)
    windows = populate(world, 3)
    notifications = []
    for conversation_id in ids:
        body = {
            "conversationId": conversation_id,
            "eventTime": 1772447700000,
            "participantId": "p",
            "mediaType": "VOICE",
        }
        topic = f"v2.detail.events.conversation.{conversation_id}.customer.start"
        envelope = json.dumps({"detail": {"topicName": topic, "eventBody": body}}).encode()
        notifications.append(parse_envelope(envelope, source="eventbridge", received_at=to_text(world.clock.now())))
    world.book.write(events.record, notifications, world.book.lag).result()
    await world.due()
    assert world.verdicts(windows) == ["complete"] * 3
    assert found(world, followed) == followed
    assert all(isinstance(notification, Notification) for notification in notifications)


async def test_six_such_events_in_the_newest_windows_leave_the_others_readable(odd_platform: Scene) -> None:
    """Twenty-five windows are due, each of the newest six has heard of an id that is none: all are proven in one round."""
    world = odd_platform
    followed = await follow_five(world)
    windows = populate(world, 25)
    for place in range(19, 25):
        world.hear(*frames([poisonous(9_000 + place)], 30 * place + 7))
    report = await world.due(at_once=6)
    assert (report.exit_status, report.left) == (0, 0)
    assert world.verdicts(windows) == ["complete"] * 25
    assert found(world, followed) == followed


@pytest.mark.parametrize(
    "odd", [poisonous(9_000), poisonous(70_000), "a,b", "../up"], ids=["9,000", "70,000", "list", "up"]
)
async def test_a_record_with_an_odd_id_hides_no_other(odd_platform: Scene, odd: str) -> None:
    """The platform itself lists one that goes on under such an id: it is stored, the others' ends are found."""
    world = odd_platform
    followed = await follow_five(world)
    world.platform.put(record(odd, 7, None))
    world.clock.at = START + timedelta(minutes=75)
    for _ in range(2):
        report = await world.due()
        assert report.exit_status in (0, 1, 3)
        world.later(minutes=15)
    assert found(world, followed) == followed
    assert odd in world.stored()


async def test_an_address_that_cannot_be_made_is_no_matter_of_the_network(world: Scene) -> None:
    """An id that no address can hold is our fault, and the error does not send people to look at their network."""
    why = ""
    try:
        assert await world.api.details_by_id([poisonous(70_000)]) == []
    except RollbookError as error:
        why = str(error)
    assert "check the network" not in why


@pytest.mark.process
async def test_an_event_with_an_id_that_is_none_may_come_from_a_file(tmp_path: Path) -> None:
    """`rollbook ingest` of such an event, then `reconcile --window`: exit status 0 for both."""
    (tmp_path / "unused").mkdir()
    async with scene(tmp_path / "unused") as world:
        world.platform.put(record(conversation(1), 5, 9))
        body = {"conversationId": poisonous(9_000), "eventTime": at(6), "participantId": "p", "mediaType": "VOICE"}
        detail = {"topicName": "v2.detail.events.conversation.x.customer.start", "eventBody": body}
        (tmp_path / "events.ndjson").write_text(json.dumps({"detail": detail}) + "\n")
        env = environment(world.platform.url)
        assert (await rollbook("ingest", "events.ndjson", env=env, cwd=tmp_path)).status == 0
        ran = await rollbook("reconcile", "--window", WINDOW.text, "--json", env=env, cwd=tmp_path)
        assert ran.status == 0
        assert (ran.json["owned"], ran.json["live_only"]) == (1, 0)


# What is read on the heels of an event


def taken_up_again(later: str) -> dict[str, str]:
    """What is heard when a conversation that had ended goes on, in two spellings."""
    body = {"conversationId": conversation(1), "eventTime": later, "participantId": "p2", "mediaType": "MESSAGE"}
    topic = f"v2.detail.events.conversation.{conversation(1)}.user.start"
    return {
        "snapshot": snapshot(conversation(1), connected=later, purpose="agent"),
        "detail event": json.dumps({"topicName": topic, "eventBody": body}),
    }


async def by_id(world: Scene) -> None:
    """A look at what is still open."""
    await world.due()


async def by_window(world: Scene) -> None:
    """A look at the whole window."""
    await world.by_hand(WINDOW)


OLD = record(conversation(1), 5, 20)
NEW = record(conversation(1), 5, 100) | {"participants": [{"participantId": f"p{number}"} for number in range(4)]}


@pytest.mark.parametrize("look", [by_id, by_window])
@pytest.mark.parametrize("spelling", ["snapshot", "detail event"])
async def test_a_read_on_the_heels_of_an_event_proves_nothing_about_it(
    world: Scene, spelling: str, look: Callable[[Scene], Any]
) -> None:
    """Five seconds after the event the old record is shown: the note stays, and the new one is found later."""
    world.platform.put(OLD)
    assert (await world.by_hand(WINDOW)).verdict == "complete"
    world.clock.at = START + timedelta(minutes=90)
    world.hear(taken_up_again(at(90))[spelling])
    world.later(seconds=5)
    await look(world)
    world.platform.put(NEW)
    for _ in range(2):
        world.later(minutes=15)
        await world.due()
    assert world.stored() == {conversation(1): NEW}
    assert world.ends() == {conversation(1): at(100)}


async def test_a_settled_window_is_looked_at_again_too(world: Scene) -> None:
    """The same in a window that has been settled: nobody else would ever look there."""
    world.platform.put(OLD)
    await world.by_hand(WINDOW)
    world.clock.at = START + timedelta(days=6)
    await world.by_hand(WINDOW)
    world.later(hours=2)
    assert (await world.by_hand(WINDOW)).verdict == "settled"
    heard_at = to_text(world.clock.at)
    world.hear(taken_up_again(heard_at)["snapshot"])
    world.later(seconds=5)
    await world.due(since=world.clock.at - timedelta(hours=1))
    new = NEW | {"conversationEnd": to_text(world.clock.at + timedelta(minutes=2))}
    world.platform.put(new)
    world.later(minutes=30)
    await world.due(since=world.clock.at - timedelta(hours=1))
    assert world.stored() == {conversation(1): new}


async def test_a_note_does_not_stay_for_ever(world: Scene) -> None:
    """An event that changes nothing: once a read is older than event and lag, nobody is asked for it again."""
    world.platform.put(OLD)
    await world.by_hand(WINDOW)
    world.clock.at = START + timedelta(minutes=90)
    world.hear(taken_up_again(at(90))["snapshot"])
    for _ in range(4):
        world.later(minutes=30)
        await world.due()
    before = world.platform.counts["by_id"]
    world.later(minutes=30)
    await world.due()
    assert world.platform.counts["by_id"] == before
    assert world.row(WINDOW).verdict == "complete"
