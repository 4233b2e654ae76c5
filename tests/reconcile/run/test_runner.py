"""A run over a window against a real store: what it writes, what it says it found, and what it makes of the window."""

import asyncio
import json
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from reconcile.patience import RunClock
from reconcile.reading.jobs import PastWatermark
from reconcile.reading.query import Stopped
from reconcile.report import Report
from reconcile.run import by_id, follow_up
from rollbook.genesys.errors import RequestRefused, UsageError
from rollbook.genesys.messages.details import DetailRow, ids_of
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.book import Book
from rollbook.store.file.errors import LockHeld
from rollbook.store.tables import conversations, events, windows
from tests.helpers.organisation import (
    NOW,
    START,
    WINDOW,
    Clock,
    Organisation,
    Record,
    at,
    dump,
    ended,
    heard_of,
    only,
    page,
    read_window,
    record,
    settings,
)
from tests.helpers.peek import peek
from tests.helpers.reports import FIGURES

BEFORE = to_text(START - timedelta(hours=1))


@dataclass
class Scene:
    """A store, a clock and an organisation."""

    path: Path
    book: Book
    clock: Clock
    org: Organisation

    async def run(self, window: Interval = WINDOW, *, dry_run: bool = False, **more: Any) -> Report:
        """One run, as the command makes it."""
        narrowed = {name: more.pop(name) for name in ("filter", "ended_only") if name in more}
        wanted = more.pop("settings", None) or settings(**narrowed)
        return await read_window(self.book, self.org, window, self.clock, wanted, dry_run=dry_run, **more)

    async def follow(self, **changed: Any) -> dict[str, int]:
        """Follow up what is open, as `--due` does after its windows."""
        return (await follow_up.follow(self.book, self.org, settings(**changed), RunClock(self.clock.now))).as_dict()

    def hear(self, conversation_id: str, **more: Any) -> None:
        """Live capture hears of a conversation (`heard_of`)."""
        self.book.write(events.record, [heard_of(conversation_id, **more)], self.book.lag).result(10)

    def stored(self) -> dict[str, Record]:
        """Every conversation that has details."""
        found: list[tuple[str, str]] = self.rows(
            "SELECT conversation_id, details FROM conversations WHERE details IS NOT NULL"
        )
        return {conversation_id: json.loads(text) for conversation_id, text in found}

    def rows(self, query: str, *values: Any) -> list[Any]:
        """What the store says."""
        return peek(self.book, lambda db: db.execute(query, values).fetchall())

    def verdict(self, window: Interval = WINDOW, filter: str = "") -> str | None:
        """What the ledger says of a window."""
        row = peek(self.book, windows.find, to_text(window.start), to_text(window.end), filter)
        return row.verdict if row else None


def scene_at(path: Path, *records: Record, **how: Any) -> Scene:
    """A new store and an organisation with these conversations."""
    clock = Clock()
    return Scene(path, Book.open(path), clock, Organisation(*records, **how))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    """An empty one of each."""
    made = scene_at(tmp_path / "rollbook.db")
    yield made
    made.book.close()


def figures(report: Report, *names: str) -> dict[str, Any]:
    """Figures of a report by name."""
    shown = report.as_dict()
    return {name: shown[name] for name in names or (*FIGURES, "verdict") if name != "requests"}


@pytest.fixture
def strange(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Ids of conversations whose rows the store cannot make, for whatever reason."""
    ids: set[str] = set()
    real = conversations.write

    def write(db: sqlite3.Connection, details: Iterable[DetailRow], *how: Any, **more: Any) -> Any:
        found = list(details)
        if ids.intersection(ids_of(found)):
            raise OverflowError("too large")
        return real(db, found, *how, **more)

    monkeypatch.setattr(conversations, "write", write)
    return ids


STRANGE = [("a record of details that the store cannot take: OverflowError", 1)]


async def test_a_record_that_the_store_cannot_take_is_kept_apart(scene: Scene, strange: set[str]) -> None:
    """Its window is not proven and says why, its bytes are a dead letter, and its neighbours are stored."""
    strange.add("x")
    scene.org.put(record("before"), record("x"), record("after", 6))
    for _ in range(2):
        report = await scene.run()
        assert (report.verdict, report.reason) == ("failed", "1 record could not be stored, but as dead letters")
        assert set(scene.stored()) == {"before", "after"}
        assert scene.rows("SELECT error, count(*) FROM dead_letters") == STRANGE
    strange.clear()
    assert (await scene.run()).verdict == "complete"


async def test_what_is_followed_and_cannot_be_taken_holds_its_window_open(scene: Scene, strange: set[str]) -> None:
    """An end that could not be stored is none, nor is what has it gone; those beside it are followed."""
    scene.org.put(*(record(name, 5, None) for name in "abc"))
    assert (await scene.run()).verdict == "open"
    strange.add("b")
    scene.org.put(*(record(name, 5, 25) for name in "abc"))
    for _ in range(3):
        scene.clock.at += timedelta(hours=2)
        counts = await scene.follow()
        assert scene.rows("SELECT conversation_id FROM conversations WHERE details_open = 1") == [("b",)]
        assert (scene.verdict(), counts["gone"]) == ("open", 0)
        assert scene.rows("SELECT error, count(*) FROM dead_letters") == STRANGE
    strange.clear()
    scene.clock.at += timedelta(hours=2)
    assert (await scene.follow())["ended"] == 1
    assert scene.verdict() == "complete"


COMPARED = ("owned", "missing", "changed", "unchanged", "ongoing", "live_only", "written")


# The figures


async def test_a_first_run_into_an_empty_store(scene: Scene) -> None:
    """Everything is missing; rows of other windows are written too and count in unique and written only."""
    scene.org.put(
        record("a", 1),
        record("b", 2),
        record("c", 3, None),
        record("before", -5, 10),
        record("border", 0, 4),
        record("after", 30, 31),
    )
    report = await scene.run()
    assert figures(report) == {
        "initial_total_hits": 5,
        "final_total_hits": 5,
        "unique": 5,
        "duplicates": 0,
        "owned": 4,
        "missing": 4,
        "changed": 0,
        "unchanged": 0,
        "ongoing": 1,
        "live_only": 0,
        "written": 5,
        "passes": 1,
        "verdict": "open",
    }
    assert scene.stored() == {
        conversation_id: row for conversation_id, row in scene.org.truth.items() if conversation_id != "after"
    }
    gaps = scene.rows("SELECT conversation_id, kind, window_start, filled_at IS NOT NULL FROM gaps ORDER BY 1")
    half_hour_before = to_text(START - timedelta(minutes=30))
    assert gaps == [
        ("a", "missing", at(0), 1),
        ("b", "missing", at(0), 1),
        ("before", "missing", half_hour_before, 1),
        ("border", "missing", at(0), 1),
        ("c", "missing", at(0), 1),
    ]


async def test_the_same_again_writes_nothing(scene: Scene) -> None:
    """On unchanged truth: written 0, and no row changes but the ledger's, which records that it ran."""
    scene.org.put(
        record("a", 1), record("b", 2), record("c", 3, None), record("before", -5, 10), record("old", -50000, None)
    )
    scene.hear("a", started=1)
    scene.hear("b", started=2, ended=20)
    scene.hear("nobody", started=8)
    first = await scene.run()
    before = dump(scene.path, ledger=False)
    again = await scene.run()
    assert figures(again, *COMPARED) == {
        "owned": 3,
        "missing": 0,
        "changed": 0,
        "unchanged": 3,
        "ongoing": 1,
        "live_only": 1,
        "written": 0,
    }
    assert dump(scene.path, ledger=False) == before
    row = await scene.book.read(windows.find, at(0), at(30))
    assert row is not None
    assert (row.attempts, row.written, first.written) == (2, 0, 5)
    assert len(await scene.book.read(windows.runs, at(0), at(30))) == 2


async def test_missing_changed_and_unchanged(scene: Scene) -> None:
    """Owned = missing + changed + unchanged, against the store as the run found it."""
    scene.org.put(record("same", 1), record("ends", 2, None), record("rewritten", 3))
    await scene.run()
    scene.org.put(ended(scene.org.truth["ends"]), record("rewritten", 3, conferenceStart=at(4)), record("new", 4))
    report = await scene.run()
    assert figures(report, *COMPARED) == {
        "owned": 4,
        "missing": 1,
        "changed": 2,
        "unchanged": 1,
        "ongoing": 0,
        "live_only": 0,
        "written": 3,
    }
    assert scene.stored() == scene.org.truth


@pytest.mark.parametrize(
    ("has_ended", "heard_end", "kind"),
    [(True, False, "changed"), (True, True, "unchanged"), (False, False, "unchanged"), (False, True, "unchanged")],
)
@pytest.mark.parametrize("dry_run", [False, True])
async def test_known_from_live_capture_alone(
    scene: Scene, has_ended: bool, heard_end: bool, kind: str, dry_run: bool
) -> None:
    """Changed if it has ended and capture never heard its end, else unchanged: details that are filled in are no change."""
    scene.org.put(record("a", 5, 20 if has_ended else None))
    scene.hear("a", ended=20 if heard_end else None)
    report = await scene.run(dry_run=dry_run)
    expected = {
        "owned": 1,
        "missing": 0,
        "changed": 0,
        "unchanged": 0,
        "ongoing": int(not has_ended),
        "live_only": 0,
        "written": 1,
    }
    assert figures(report, *COMPARED) == {**expected, kind: 1}
    if not dry_run:
        gaps = scene.rows("SELECT kind FROM gaps")
        assert gaps == ([("changed",)] if kind == "changed" else [])
        assert scene.rows("SELECT provenance FROM conversations") == [("both",)]


async def test_heard_while_the_run_is_under_way_is_missing(scene: Scene) -> None:
    """The store as it stood when the run began did not have it."""
    scene.org.put(*(record(f"c{number}", number) for number in range(7)))
    late = (NOW - START) / timedelta(minutes=1) + 1
    scene.org.moves[2] = lambda _: scene.hear("c6", started=6, minute=late)
    report = await scene.run()
    assert figures(report, "owned", "missing", "written") == {"owned": 7, "missing": 7, "written": 7}


async def test_heard_live_and_found_by_id(scene: Scene) -> None:
    """What the answer lacks is asked for by id; what is found is written, and nothing is proven until it is listed."""
    scene.org.put(record("a", 1), record("late", 2))
    scene.org.unlisted.add("late")
    scene.hear("late", started=2)
    report = await scene.run()
    assert figures(report, "unique", "owned", "live_only", "written", "verdict") == {
        "unique": 1,
        "owned": 1,
        "live_only": 0,
        "written": 2,
        "verdict": "failed",
    }
    assert "1 conversations that are known to exist" in str(report.reason)
    assert scene.stored() == scene.org.truth
    assert set(scene.org.asked) == {"late", "a"}, "one that is listed is asked for beside it"
    scene.org.unlisted.clear()
    assert (await scene.run()).verdict == "complete"
    assert scene.rows("SELECT kind FROM gaps WHERE kind = 'live_only'") == []


async def test_heard_live_and_never_listed(scene: Scene) -> None:
    """Not in the answer and not found by id: counted, kept as a gap, and nothing of it is deleted."""
    scene.org.put(record("a", 1))
    for conversation_id in ("ghost", "outside"):
        scene.hear(conversation_id, started=6 if conversation_id == "ghost" else 40)
    report = await scene.run()
    assert figures(report, "unique", "live_only", "written", "verdict") == {
        "unique": 1,
        "live_only": 1,
        "written": 1,
        "verdict": "complete",
    }
    gaps = scene.rows("SELECT conversation_id, window_start, kind, filled_at FROM gaps WHERE kind = 'live_only'")
    assert gaps == [("ghost", at(0), "live_only", None)]
    assert {conversation_id for (conversation_id,) in scene.rows("SELECT conversation_id FROM conversations")} == {
        "a",
        "ghost",
        "outside",
    }
    scene.org.put(record("ghost", 6))
    later = await scene.run()
    assert figures(later, "live_only", "changed", "written") == {"live_only": 0, "changed": 1, "written": 1}
    assert scene.rows("SELECT filled_at IS NOT NULL FROM gaps WHERE kind = 'live_only'") == [(1,)]


async def test_more_heard_than_one_request_takes(scene: Scene) -> None:
    """Two hundred and fifty that only capture knows: each is asked for twice, apart in time, and counted once."""
    scene.org.put(record("a", 1))
    for number in range(250):
        scene.hear(f"g{number}", started=number / 10)
    report = await scene.run()
    assert (report.live_only, report.verdict) == (250, "complete")
    asked = Counter(scene.org.asked)
    assert {asked[f"g{number}"] for number in range(250)} == {2}
    assert by_id.SECOND_QUESTION in scene.clock.slept


async def test_heard_and_an_answer_that_knows_nothing(scene: Scene) -> None:
    """Where neither the list nor an answer by id has anything at all, what was heard is no anomaly that proves the rest."""
    scene.hear("c1", started=2)
    report = await scene.run()
    assert figures(report, "unique", "live_only", "verdict") == {"unique": 0, "live_only": 1, "verdict": "failed"}


async def test_where_all_go_on_what_is_listed_bears_witness(scene: Scene) -> None:
    """No conversation of the whole store has ended: one that goes on, and comes by id, says that the other is absent.

    One that does not come by id either says nothing.
    """
    scene.org.put(record("c1", 5, None))
    scene.hear("ghost")
    scene.org.unknown.add("c1")
    assert figures(await scene.run(), "live_only", "verdict") == {"live_only": 1, "verdict": "failed"}
    scene.org.unknown.clear()
    assert figures(await scene.run(), "live_only", "verdict") == {"live_only": 1, "verdict": "open"}


# A filter


async def test_a_filter_is_proven_for_itself_only(scene: Scene) -> None:
    """Its own row in the ledger, live_only 0 although capture heard more, and the plain window stays unread."""
    scene.org.put(record("in", 1), record("out", 2, originatingDirection="outbound"))
    scene.hear("ghost")
    report = await scene.run(filter=only("originatingDirection", "outbound"))
    assert figures(report, *COMPARED) == {
        "owned": 1,
        "missing": 1,
        "changed": 0,
        "unchanged": 0,
        "ongoing": 0,
        "live_only": 0,
        "written": 1,
    }
    assert scene.org.asked == []
    assert set(scene.stored()) == {"out"}
    assert scene.verdict() is None
    [row] = await scene.book.read(windows.listed, filter=None)
    assert (row.verdict, "outbound" in row.filter) == ("complete", True)
    plain = await scene.run()
    assert (plain.owned, plain.missing, plain.live_only) == (2, 1, 1)
    assert {row.filter == "" for row in await scene.book.read(windows.listed, filter=None)} == {True, False}


async def test_ended_only_asks_for_what_has_ended(scene: Scene) -> None:
    """The platform's own filter: nothing that goes on is read, and the proof is for that only."""
    scene.org.put(record("a", 1), record("b", 2, None))
    report = await scene.run(ended_only=True)
    assert figures(report, "owned", "ongoing", "written", "verdict") == {
        "owned": 1,
        "ongoing": 0,
        "written": 1,
        "verdict": "complete",
    }
    [filters] = {json.dumps(body["conversationFilters"]) for body in scene.org.bodies}
    assert json.loads(filters) == [
        {"type": "and", "predicates": [{"type": "dimension", "dimension": "conversationEnd", "operator": "exists"}]}
    ]
    assert scene.verdict() is None


async def test_a_filtered_window_is_open_only_for_what_matches(scene: Scene) -> None:
    """Another conversation that goes on holds no filtered window open, nor the grid windows in it."""
    scene.org.put(record("in", 1, None), record("out", 2, originatingDirection="outbound"))
    hour = Interval(START, START + timedelta(hours=1))
    scene.clock.at += timedelta(hours=1)
    await scene.run(hour)
    report = await scene.run(hour, filter=only("originatingDirection", "outbound"))
    assert report.verdict == "complete"
    filtered = {row.verdict for row in await scene.book.read(windows.listed, filter=report.filter)}
    assert filtered == {"complete"}


async def test_a_filtered_window_counts_only_what_matches(scene: Scene) -> None:
    """Grid windows that inherit a filtered proof do not claim what the filter leaves out."""
    scene.org.put(record("in", 1), record("out", 2, originatingDirection="outbound"))
    hour = Interval(START, START + timedelta(hours=1))
    scene.clock.at += timedelta(hours=1)
    await scene.run(hour)
    report = await scene.run(hour, filter=only("originatingDirection", "outbound"))
    row = await scene.book.read(windows.find, at(0), at(30), report.filter)
    assert row is not None
    assert row.owned in (1, None)


async def test_a_filtered_window_is_followed_until_its_conversations_end(scene: Scene) -> None:
    """Open while a conversation that matches goes on; complete once that has ended."""
    scene.org.put(record("out", 2, None, originatingDirection="outbound"))
    report = await scene.run(filter=only("originatingDirection", "outbound"))
    assert (report.verdict, scene.verdict(filter=report.filter)) == ("open", "open")
    await scene.follow()
    assert scene.verdict(filter=report.filter) == "open"
    scene.org.put(ended(scene.org.truth["out"]))
    await scene.follow()
    assert scene.verdict(filter=report.filter) == "complete"


async def test_a_refused_filter_is_a_usage_error_and_writes_nothing(scene: Scene) -> None:
    """Exit status 2; the ledger does not know of it."""

    def refuse(_body: Mapping[str, Any], _number: int) -> None:
        raise RequestRefused("no such dimension", status=400)

    scene.org.refuse = refuse
    before = dump(scene.path)
    with pytest.raises(UsageError, match="no such dimension"):
        await scene.run(filter=only("color", "red"))
    assert dump(scene.path) == before


# A dry run


def lively(scene: Scene) -> None:
    """A store and a truth that differ in every way."""
    scene.org.put(
        record("same", 1),
        record("ends", 2, None),
        record("rewritten", 3),
        record("other", -5, 10),
        record("long", 4, None),
    )


def lively_later(scene: Scene) -> None:
    """What has become of it."""
    scene.org.put(
        ended(scene.org.truth["ends"]),
        record("rewritten", 3, conferenceStart=at(4)),
        record("new", 4),
        record("live", 5),
        record("live-open", 6, None),
        record("live-heard", 7),
        record("by-id", 8),
        record("other", -5, 11),
    )
    scene.org.unlisted.add("by-id")
    for conversation_id in ("live", "live-open", "by-id", "ghost"):
        scene.hear(conversation_id)
    scene.hear("live-heard", started=7, ended=20)


@pytest.mark.parametrize("reading", ["overlap", "day"])
async def test_a_dry_run_tells_what_a_real_one_would_and_writes_nothing(scene: Scene, reading: str) -> None:
    """Figures, verdict and exit status as if; not one row of any table changes."""
    scene.org.reading = reading
    lively(scene)
    await scene.run()
    lively_later(scene)
    before = dump(scene.path)
    dry = await scene.run(dry_run=True)
    assert dump(scene.path) == before
    real = await scene.run()
    assert figures(dry) == figures(real)
    assert dry.exit_status == real.exit_status
    assert figures(real, *COMPARED) == {
        "owned": 8,
        "missing": 1,
        "changed": 3,
        "unchanged": 4,
        "ongoing": 2,
        "live_only": 1,
        "written": 8,
    }
    assert dry.causes == real.causes
    assert (dry.dry_run, real.dry_run) == (True, False)


async def test_a_dry_run_without_a_store_finds_everything_missing(tmp_path: Path) -> None:
    """And makes no file."""
    clock, org = Clock(), Organisation(record("a", 1), record("b", -5, 10), record("c", 2, None))
    report = await read_window(None, org, WINDOW, clock, dry_run=True)
    assert figures(report, *COMPARED, "verdict") == {
        "owned": 2,
        "missing": 2,
        "changed": 0,
        "unchanged": 0,
        "ongoing": 1,
        "live_only": 0,
        "written": 3,
        "verdict": "open",
    }
    assert list(tmp_path.iterdir()) == []


def content_moves(org: Organisation) -> None:
    """While it is read: one that stood and was equal changes, one that was missing ends, and one appears."""
    org.put(record("c1", 1, 21), ended(org.truth["c5"]), record("new", 0))


@pytest.mark.parametrize("dry_run", [False, True])
async def test_what_changes_while_it_is_read_is_counted_once(scene: Scene, dry_run: bool) -> None:
    """A conversation is missing, changed or unchanged against the store as it was, and written once, however often it moved."""
    scene.org.put(*(record(f"c{number}", number) for number in range(4)))
    await scene.run()
    scene.org.put(record("c4", 4), record("c5", 5, None), record("c6", 6))
    first = len(scene.org.bodies)
    scene.org.moves[first + 3] = content_moves
    report = await scene.run(dry_run=dry_run)
    assert report.passes > 1
    assert figures(report, *COMPARED) == {
        "owned": 8,
        "missing": 4,
        "changed": 1,
        "unchanged": 3,
        "ongoing": 0,
        "live_only": 0,
        "written": 5,
    }


@pytest.mark.parametrize("dry_run", [False, True])
@pytest.mark.parametrize(("heard_end", "kind"), [(None, "changed"), (20, "unchanged")])
async def test_a_live_conversation_that_ends_while_it_is_read(
    scene: Scene, dry_run: bool, heard_end: float | None, kind: str
) -> None:
    """The platform lists its end a pass later: changed only if capture never heard it; written once."""
    scene.org.put(*(record(f"c{number}", number, 20 if number else None) for number in range(7)))
    scene.hear("c0", started=0, ended=heard_end)

    def move(org: Organisation) -> None:
        org.put(ended(org.truth["c0"], 20), record("new", 1))

    scene.org.moves[3] = move
    report = await scene.run(dry_run=dry_run)
    assert report.passes > 1
    expected = {"owned": 8, "missing": 7, "changed": 0, "unchanged": 0, "ongoing": 0, "live_only": 0, "written": 8}
    assert figures(report, *COMPARED) == {**expected, kind: 1}


@pytest.mark.parametrize("dry_run", [False, True])
async def test_other_bytes_that_say_the_same_are_no_change(scene: Scene, dry_run: bool) -> None:
    """The next pass brings one conversation with its keys in another order, and another one that ended: only that is written."""
    scene.org.put(*(record(f"c{number}", number) for number in range(4)))
    await scene.run()
    scene.org.put(record("c4", 4, None), record("c5", 5))
    scene.org.size, first = 10, len(scene.org.bodies)

    def move(org: Organisation) -> None:
        org.put(dict(reversed(org.truth["c0"].items())), ended(org.truth["c4"]), record("new", 0))

    scene.org.moves[first + 2] = move
    report = await scene.run(dry_run=dry_run)
    assert report.passes > 1
    assert figures(report, "missing", "changed", "unchanged", "written") == {
        "missing": 3,
        "changed": 0,
        "unchanged": 4,
        "written": 3,
    }


# What a run makes of the window


async def test_too_old_to_be_waited_for_is_stuck(scene: Scene) -> None:
    """Open for more than a month: it is ongoing, and holds nothing open."""
    old = Interval(START - timedelta(days=40), START - timedelta(days=40) + timedelta(minutes=30))
    scene.org.put(record("stuck", -40 * 1440 + 5, None))
    report = await scene.run(old)
    assert figures(report, "ongoing", "verdict") == {"ongoing": 1, "verdict": "complete"}
    await scene.follow()
    before = dump(scene.path, ledger=False)
    asked = len(scene.org.asked)
    await scene.follow()
    assert len(scene.org.asked) == asked, "it is asked for now and then, not at every look"
    scene.clock.at += timedelta(hours=2)
    again = await scene.run(old)
    assert (again.verdict, again.written) == ("settled", 0)
    assert dump(scene.path, ledger=False) == before
    scene.clock.at += timedelta(days=1)
    scene.org.put(ended(scene.org.truth["stuck"], 59))
    await scene.follow()
    assert scene.stored() == scene.org.truth


@pytest.mark.parametrize(
    ("age", "later", "verdict"),
    [
        (timedelta(days=4, hours=23), timedelta(minutes=59), "complete"),
        (timedelta(days=5, hours=1), timedelta(minutes=59), "complete"),
        (timedelta(days=5, hours=1), timedelta(minutes=61), "settled"),
    ],
)
async def test_a_first_read_after_the_reprocessing_is_settled_by_a_second_one(
    scene: Scene, age: timedelta, later: timedelta, verdict: str
) -> None:
    """Five days after the window's end, by the contract's default, and by two readings an hour apart at least."""
    scene.org.put(record("a"))
    scene.clock.at = WINDOW.end + age
    assert (await scene.run()).verdict == "complete"
    scene.clock.at = WINDOW.end + age + later
    assert (await scene.run()).verdict == verdict
    assert scene.verdict() == verdict


async def test_open_is_followed_until_it_ends(scene: Scene) -> None:
    """An open window becomes complete once its conversations have ended, without being read again."""
    scene.org.put(record("a", 1), record("b", 2, None))
    assert (await scene.run()).verdict == "open"
    queries = len(scene.org.bodies)
    followed = await scene.follow()
    assert (followed["asked"], followed["going_on"], scene.verdict()) == (1, 1, "open")
    scene.org.put(ended(scene.org.truth["b"]))
    followed = await scene.follow()
    assert (followed["written"], followed["ended"], scene.verdict()) == (1, 1, "complete")
    assert len(scene.org.bodies) == queries
    assert scene.stored() == scene.org.truth


async def test_a_late_change_keeps_the_old_version(scene: Scene) -> None:
    """A window that was settled is open again if one of its conversations goes on again; what stood is kept."""
    scene.org.put(record("a", 1), record("b", 2))
    scene.clock.at = WINDOW.end + timedelta(days=4)
    assert (await scene.run()).verdict == "complete"
    scene.clock.at = WINDOW.end + timedelta(days=5)
    assert (await scene.run()).verdict == "settled"
    first = scene.org.truth["b"]
    scene.org.put(record("b", 2, None, conferenceStart=at(4)))
    report = await scene.run()
    assert figures(report, "changed", "written", "verdict") == {"changed": 1, "written": 1, "verdict": "open"}
    assert scene.stored()["b"] == scene.org.truth["b"]
    versions = scene.rows("SELECT conversation_id, details FROM conversation_versions")
    assert [(conversation_id, json.loads(text)) for conversation_id, text in versions] == [("b", first)]
    scene.org.put(record("b", 2, 30, conferenceStart=at(4)))
    await scene.follow()
    assert scene.verdict() == "complete", "its last end has not been through the platform's reprocessing"
    history = [run["verdict"] for run in await scene.book.read(windows.runs, at(0), at(30))]
    assert history == ["complete", "settled", "open", "complete"]


async def test_an_older_read_never_overwrites(scene: Scene) -> None:
    """A job is as old as its watermark: what a query has read since stays, and is not written."""
    scene.org.put(record("a", 1, mediaStatsMinConversationMos=4.1), record("b", 2))
    await scene.run()
    newer = scene.stored()
    scene.org.put(record("a", 1, mediaStatsMinConversationMos=3.0), record("c", 3))
    scene.org.watermark = at(40)
    report = await scene.run(via="job")
    assert report.written == 1
    assert scene.stored() == {**newer, "c": scene.org.truth["c"]}
    assert (report.initial_total_hits, report.final_total_hits) == (None, None)
    assert report.verdict == "complete"


async def test_a_job_past_the_watermark_raises_and_writes_nothing(scene: Scene) -> None:
    """Exit status 1; the ledger does not call the window failed."""
    scene.org.put(record("a"))
    scene.org.watermark = at(29)
    before = dump(scene.path)
    with pytest.raises(PastWatermark):
        await scene.run(via="job")
    assert dump(scene.path) == before


async def test_grid_windows_inherit_a_wider_proof(scene: Scene) -> None:
    """Two hours read by hand prove the half hours that lie wholly inside, each with its own verdict; no others."""
    scene.clock.at = START + timedelta(hours=4)
    wide = Interval(START - timedelta(minutes=10), START + timedelta(minutes=100))
    scene.org.put(record("a", 1), record("b", 35, None), record("c", 70, 75), record("early", -5, 10))
    report = await scene.run(wide)
    assert report.verdict == "open"
    rows = {row.start: row for row in await scene.book.read(windows.listed)}
    assert {start: row.verdict for start, row in rows.items()} == {
        to_text(wide.start): "open",
        at(0): "complete",
        at(30): "open",
        at(60): "complete",
    }
    assert [rows[at(minute)].owned for minute in (0, 30, 60)] == [1, 1, 1]
    assert {rows[at(minute)].proven_by for minute in (0, 30, 60)} == {f"{to_text(wide.start)}/{to_text(wide.end)}"}
    scene.org.put(ended(scene.org.truth["b"], 80))
    await scene.follow()
    assert {row.verdict for row in await scene.book.read(windows.listed)} == {"complete"}


async def test_what_cannot_be_proven_fails_and_is_tried_again_later_and_later(scene: Scene) -> None:
    """Verdict failed with a reason, exit status 3; what was read is written all the same; the pauses grow to a day at most."""
    scene.org.put(record("a", 1), record("b", 2))
    scene.org.totals = lambda total, query: total + query
    pauses = []
    for _ in range(10):
        report = await scene.run()
        assert (report.verdict, report.exit_status, report.passes) == ("failed", 3, 8)
        row = await scene.book.read(windows.find, at(0), at(30))
        assert row is not None
        assert row.verdict == "failed"
        assert row.reason
        assert row.next_try_at
        pauses.append(from_text(row.next_try_at) - scene.clock.at)
        scene.clock.at = from_text(row.next_try_at)
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1] < pauses[4]
    assert max(pauses) <= timedelta(days=1)
    assert scene.stored() == scene.org.truth
    scene.org.totals = lambda total, _: total
    assert (await scene.run()).exit_status == 0
    row = await scene.book.read(windows.find, at(0), at(30))
    assert row is not None
    assert (row.next_try_at, row.reason) == (None, None)


async def test_a_failed_dry_run_ends_as_a_real_one_and_writes_nothing(scene: Scene) -> None:
    """Exit status 3, no row in the ledger."""
    scene.org.put(record("a", 1))
    scene.org.totals = lambda total, query: total + query
    before = dump(scene.path)
    assert (await scene.run(dry_run=True)).exit_status == 3
    assert dump(scene.path) == before


async def test_a_failure_proves_no_window_inside(scene: Scene) -> None:
    """The grid windows inside an interval that failed are as unread as they were."""
    scene.org.put(record("a", 1))
    scene.org.totals = lambda total, query: total + query
    await scene.run(Interval(START, START + timedelta(hours=1)))
    assert scene.verdict() is None


# Movement


async def test_rows_that_come_twice_are_counted(scene: Scene) -> None:
    """duplicates: rows that came again within a pass; the proof has none, and each is kept once."""
    scene.org.put(*(record(f"c{number}", number) for number in range(8)))
    scene.org.moves[2] = lambda org: org.put(record("new", 0))
    report = await scene.run()
    assert figures(report, "initial_total_hits", "final_total_hits", "unique", "duplicates", "owned") == {
        "initial_total_hits": 8,
        "final_total_hits": 9,
        "unique": 9,
        "duplicates": 1,
        "owned": 9,
    }
    assert scene.stored() == scene.org.truth


def when_asked(org: Organisation, move: Callable[[Organisation], None]) -> None:
    """Something happens just before the organisation is asked for conversations by id."""
    answer = org.details_by_id

    async def by_id(ids: Any) -> Any:
        move(org)
        return await answer(ids)

    org.details_by_id = by_id  # type: ignore[method-assign, assignment]


async def test_a_row_that_vanishes_and_still_exists_is_looked_for(scene: Scene) -> None:
    """It was seen, then the answer lacked it, and by id it exists: the answer is not believed, and read again."""
    scene.org.put(*(record(f"c{number}", number) for number in range(8)))
    scene.org.moves[2] = lambda org: org.unlisted.add("c1")
    when_asked(scene.org, lambda org: org.unlisted.clear())
    report = await scene.run()
    assert set(scene.org.asked) == {"c1", "c0"}, "one that is listed is asked for beside it"
    assert figures(report, "owned", "missing", "verdict") == {"owned": 8, "missing": 8, "verdict": "complete"}
    assert scene.stored() == scene.org.truth


async def test_a_row_that_is_never_listed_again_is_kept(scene: Scene) -> None:
    """It exists by id and in no answer: what was read of it stays, and nothing is proven, however often it is read."""
    scene.org.put(*(record(f"c{number}", number) for number in range(8)))
    scene.org.moves[2] = lambda org: org.unlisted.add("c1")
    report = await scene.run()
    assert figures(report, "unique", "owned", "verdict") == {"unique": 7, "owned": 7, "verdict": "failed"}
    assert "1 conversations that are known to exist were not in the answer, in 8 passes" in str(report.reason)
    assert scene.stored() == scene.org.truth


async def test_a_row_that_is_gone_is_kept(scene: Scene) -> None:
    """Nothing is deleted because an answer lacks it; what the platform no longer knows holds nothing open."""
    scene.org.put(*(record(f"c{number}", number, None if number == 1 else 20) for number in range(8)))

    def vanish(org: Organisation) -> None:
        del org.truth["c1"]

    scene.org.moves[2] = vanish
    report = await scene.run()
    assert figures(report, "unique", "ongoing", "verdict") == {"unique": 7, "ongoing": 0, "verdict": "failed"}
    assert "count as gone when a later answer lacks them too" in str(report.reason)
    scene.clock.at += by_id.APART
    report = await scene.run()
    assert figures(report, "unique", "ongoing", "verdict") == {"unique": 7, "ongoing": 0, "verdict": "complete"}
    assert scene.rows("SELECT conversation_id FROM conversations WHERE followed = 'gone'") == [("c1",)]
    assert set(scene.stored()) == {f"c{number}" for number in range(8)}


async def test_one_that_is_gone_later_is_kept_and_not_asked_for_for_ever(scene: Scene) -> None:
    """Followed, and no longer known to two answers: its window closes, its row stays, it is asked for once a day."""
    scene.org.put(record("a", 1, None), record("b", 2))
    assert (await scene.run()).verdict == "open"
    del scene.org.truth["a"]
    followed = await scene.follow()
    assert (followed["asked"], followed["gone"], scene.verdict()) == (1, 0, "open"), "one answer is one witness"
    scene.clock.at += by_id.APART
    followed = await scene.follow()
    assert (followed["asked"], followed["gone"], scene.verdict()) == (1, 1, "complete")
    assert (await scene.follow())["asked"] == 0
    assert set(scene.stored()) == {"a", "b"}
    scene.clock.at += follow_up.NOW_AND_THEN
    assert (await scene.follow())["asked"] == 1


async def test_what_ends_behind_its_page_is_asked_for_at_the_end(scene: Scene) -> None:
    """After several passes, what went on when its page was read is asked for once more: the store is the truth."""
    scene.org.put(*(record(f"c{number}", number, None if number == 1 else 20) for number in range(8)))
    scene.org.moves[4] = lambda org: org.put(record("new", 29))
    when_asked(scene.org, lambda org: org.put(ended(org.truth["c1"])))
    report = await scene.run()
    assert report.passes > 1
    assert scene.stored() == scene.org.truth
    assert (report.verdict, scene.verdict()) == ("complete", "complete")


async def test_whole_days_are_judged_by_what_the_window_owns(scene: Scene) -> None:
    """The platform answers with the day: all of it is written, the window's rows are counted, and later rows move nothing."""
    scene.org.reading = "day"
    scene.org.put(*(record(f"d{number}", 40 + number, 90) for number in range(4)), record("a", 1), record("b", 2, None))
    scene.org.always = lambda org: org.put(record(f"n{len(org.bodies)}", 100 + len(org.bodies), None))
    report = await scene.run()
    assert figures(report, "owned", "missing", "ongoing", "verdict") == {
        "owned": 2,
        "missing": 2,
        "ongoing": 1,
        "verdict": "open",
    }
    assert report.reading == "day"
    assert report.unique == report.written > 6
    assert scene.verdict() == "open"


async def test_more_than_a_week_is_one_run(scene: Scene) -> None:
    """The platform takes a week at most: a longer interval is asked for in parts, and is one report."""
    long = Interval(START - timedelta(days=20), START)
    scene.org.put(*(record(f"c{day}", -day * 1440 - 5, -day * 1440 + 3) for day in range(20)))
    report = await scene.run(long)
    assert (report.owned, report.unique, report.missing, report.passes) == (20, 20, 20, 1)
    for body in scene.org.bodies:
        start, end = body["interval"].split("/")
        assert from_text(end) - from_text(start) <= timedelta(days=7)


async def test_an_empty_window_is_complete(scene: Scene) -> None:
    """Nothing happened, and that is proven."""
    report = await scene.run()
    assert figures(report, *COMPARED, "unique", "initial_total_hits", "final_total_hits", "verdict") == {
        **dict.fromkeys(COMPARED, 0),
        "unique": 0,
        "initial_total_hits": 0,
        "final_total_hits": 0,
        "verdict": "complete",
    }


# Others


async def test_one_run_at_a_time_over_the_same_time(scene: Scene) -> None:
    """Whoever overlaps waits, and then says who holds it; a dry run waits for nobody."""
    with scene.book.lock_window(Interval(START + timedelta(minutes=29), START + timedelta(minutes=40)), wait=0):
        with pytest.raises(LockHeld, match="being worked on") as caught:
            await scene.run()
        assert caught.value.exit_status == 1
        assert (await scene.run(dry_run=True)).exit_status == 0
    assert (await scene.run()).exit_status == 0


async def test_a_lock_that_is_given_back_is_taken(scene: Scene) -> None:
    """A run that waits blocks nothing, and goes on when the other has ended."""
    lock = scene.book.lock_window(WINDOW, wait=0)
    lock.__enter__()
    waited = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        lock.__exit__(None, None, None)
        waited.set()

    report = await read_window(scene.book, scene.org, WINDOW, scene.clock, sleep=sleep, wait=60)
    assert waited.is_set()
    assert report.verdict == "complete"


async def test_stopped_it_keeps_what_it_read_and_proves_nothing(scene: Scene) -> None:
    """The page under way is stored; the ledger does not say that the window was read; the lock is free."""
    stop = asyncio.Event()
    scene.org.put(*(record(f"c{number}", number) for number in range(12)))
    scene.org.moves[2] = lambda _: stop.set()
    with pytest.raises(Stopped):
        await scene.run(stop=stop)
    assert scene.verdict() is None
    report = await scene.run()
    assert report.verdict == "complete"
    assert scene.stored() == scene.org.truth


# Any movement that stops


@st.composite
def movements(draw: st.DrawFn) -> tuple[int, dict[int, list[tuple[str, int]]]]:
    """How many conversations there are, and what happens to which before which query."""
    count = draw(st.integers(0, 12))
    moves = st.lists(
        st.tuples(st.sampled_from(["appear", "vanish", "return", "end", "grow"]), st.integers(0, 15)),
        min_size=1,
        max_size=3,
    )
    return count, draw(st.dictionaries(st.integers(1, 25), moves, max_size=6))


def made(number: int, end: float | None = None) -> Record:
    """A conversation by number: all over the window, some before it, some that start at the same moment."""
    return record(f"c{number}", (number * 7) % 32 - 2, end)


def apply(org: Organisation, moves: list[tuple[str, int]]) -> None:
    """Let things happen."""
    for what, number in moves:
        conversation_id = f"c{number}"
        if what == "appear":
            org.truth.setdefault(conversation_id, made(number))
        elif what == "vanish":
            org.unlisted.add(conversation_id)
        elif what == "return":
            org.unlisted.discard(conversation_id)
        elif conversation_id in org.truth:
            org.put(
                ended(org.truth[conversation_id], 40)
                if what == "end"
                else {**org.truth[conversation_id], "conferenceStart": at(len(org.bodies))}
            )


async def rehearse(path: Path, reading: str, plot: tuple[int, dict[int, list[tuple[str, int]]]]) -> None:
    """Run until the movement has ended and a window has been proven; then the store must be the truth."""
    count, moves = plot
    scene = scene_at(path, *(made(number, 40 if number % 3 else None) for number in range(count)), reading=reading)

    def always(org: Organisation) -> None:
        apply(org, moves.pop(len(org.bodies), []))
        if not moves:
            org.unlisted.clear()

    scene.org.always = always
    with scene.book:
        report = await scene.run()
        while moves or report.verdict == "failed":
            report = await scene.run()
        scene.org.unlisted.clear()
        # Content may have moved behind a page that had been read; one more look is what the plan's settling is.
        report = await scene.run()
        assert report.exit_status == 0
        owned = scene.org.owned()
        assert (report.owned, report.live_only) == (len(owned), 0)
        assert report.ongoing == sum("conversationEnd" not in row for row in owned.values())
        assert report.missing + report.changed + report.unchanged == report.owned
        assert {
            conversation_id: row for conversation_id, row in scene.stored().items() if conversation_id in owned
        } == owned
        before = dump(path, ledger=False)
        dry = await scene.run(dry_run=True)
        again = await scene.run()
        assert figures(dry) == figures(again)
        assert (again.written, again.missing, again.changed) == (0, 0, 0)
        assert dump(path, ledger=False) == before


@pytest.mark.parametrize("reading", ["overlap", "day"])
@hypothesis_settings(max_examples=40)
@given(plot=movements())
def test_any_movement_that_stops_ends_with_the_store_being_the_truth(
    tmp_path_factory: pytest.TempPathFactory, reading: str, plot: tuple[int, dict[int, list[tuple[str, int]]]]
) -> None:
    """Rows appear, vanish, return, end and change between pages: once it is quiet, every conversation is there as it is."""
    asyncio.run(rehearse(tmp_path_factory.mktemp("store") / "rollbook.db", reading, plot))


@hypothesis_settings(max_examples=40)
@given(plot=movements())
def test_a_proof_is_the_truth_of_membership(
    tmp_path_factory: pytest.TempPathFactory, plot: tuple[int, dict[int, list[tuple[str, int]]]]
) -> None:
    """If the movement is over when a run believes an answer, no owned conversation is missing from the store."""

    async def once() -> None:
        count, moves = plot
        scene = scene_at(
            tmp_path_factory.mktemp("store") / "rollbook.db", *(made(number, 40) for number in range(count))
        )
        scene.org.always = lambda org: apply(org, moves.pop(len(org.bodies), []))
        with scene.book:
            report = await scene.run()
            listed = scene.org.owned().keys() - scene.org.unlisted
            if not moves and report.verdict != "failed":
                assert listed <= scene.stored().keys()
                assert report.owned == len(scene.org.owned().keys() & scene.stored().keys()) or scene.org.unlisted

    asyncio.run(once())


def test_the_pages_of_these_tests_are_what_the_platform_sends() -> None:
    """The organisation's page parses to rows with ids and times, so that the figures above are about something."""
    [row] = page([record("a", 1)]).rows
    assert (row.conversation_id, row.start, row.end) == ("a", at(1), at(20))
    assert BEFORE < at(0) < to_text(NOW)
