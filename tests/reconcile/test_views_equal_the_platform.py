"""A simulated week in the views, beside the platform's own figures, which are made from its truth and not from ours."""

import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconcile import verify
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.times import Interval
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.rows import half_hours, numbers
from rollbook.store.views import view_rows, view_settings

START = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = Interval(START, START + timedelta(days=7))
# What began in the week counts in the days after it too.
COUNTED = Interval(START, START + timedelta(days=13))


@pytest.fixture
async def week(tmp_path: Path) -> AsyncIterator[tuple[Path, Simulator, Settings]]:
    """A week of calls, messages, callbacks, transfers and conferences, read twice, an hour apart."""
    path = tmp_path / "rollbook.db"
    simulator = Simulator(seed=11, start=START, rate=0, per_hour=8, rate_limit=1_000_000, variety=True, queues=4)
    async with simulator:
        simulator.world.grow(WEEK.end)
        simulator.world._per_hour = 0
        simulator.clock.advance(timedelta(days=40))
        settings = load(env=simulator.env, cwd=path.parent)
        with Book.open(path, organization=("o", "Organisation")) as book:
            async with Api(settings, now=simulator.now) as api:
                for _ in range(2):
                    await reconcile_window(book, api, WEEK, settings=settings, now=simulator.now)
                    simulator.clock.advance(timedelta(hours=2))
        yield path, simulator, settings


async def compared(path: Path, simulator: Simulator, settings: Settings) -> verify.Verified:
    """The store beside the platform."""
    async with Api(settings, now=simulator.now) as api:
        with Book.open(path, mode="ro") as book:
            return await verify.verify(api, book, COUNTED)


async def test_a_week_of_all_media_has_no_difference_but_what_is_spoilt(week: tuple[Path, Simulator, Settings]) -> None:
    """Not in one figure of one queue, medium and half hour; then one is lost, one is changed, and both are named.

    What is easily counted twice is among them. What is lost or changed is named with its conversation, and no other.
    """
    path, simulator, settings = week
    found = await compared(path, simulator, settings)
    assert not found.queues.differences
    assert found.equal
    assert found.queues.figures > 5_000
    print(f"{found.queues.figures:,} figures, {len(found.queues.differences)} differences")
    # The service level is that of the platform, which says one only where something was answered or abandoned.
    assert found.queues.service_levels > 500
    assert found.queues.other_levels == 0
    with Book.open(path, mode="ro") as book:
        rows = book._reader.read(lambda db: view_rows.queue_intervals(db, *COUNTED.texts))
    assert {"voice", "callback", "chat", "email", "message", "video"} <= {row["media_type"] for row in rows}
    sums = Counter[str]()
    for row in rows:
        sums.update({figure: row[figure] or 0 for figure in half_hours.FIGURES})
    assert all(sums[figure] > 0 for figure in half_hours.FIGURES), sums
    two = [life for life in simulator.world.conversations if _queues_of_a_session(life.record) > 1]
    conferences = [life for life in simulator.world.conversations if '"conference": true' in json.dumps(life.record)]
    assert len(two) > 3
    assert len(conferences) > 3
    # Every half hour of the week rests on windows that are settled.
    inside = [row for row in rows if row["interval_end"] <= WEEK.texts[1]]
    assert {row["verdict"] for row in inside} == {"settled"}
    assert {row["verdict"] for row in rows if row not in inside} == {None}

    with Book.open(path) as book:
        book.write(view_settings.write, {"include_flow_outs": 1}).result()
    with_flow_outs = await compared(path, simulator, settings)
    assert with_flow_outs.equal
    assert 0 < with_flow_outs.queues.other_levels < 500
    assert any("include_flow_outs" in line for line in verify.lines(with_flow_outs))
    spoilt = path.with_name("spoilt.db")
    with sqlite3.connect(path) as source, sqlite3.connect(spoilt) as copy:
        source.backup(copy)
        lost, late = (
            copy.execute(
                "SELECT m.id, l.conversation_id, l.queue_id, l.media_type, l.interval_start FROM metric_rows m"
                " JOIN conversation_ids i ON i.number = m.id >> 20 JOIN leg_metrics l USING (conversation_id)"
                " WHERE m.name = ?1 AND l.name = ?1 AND l.queue_id IS NOT NULL GROUP BY i.number"
                " HAVING count(*) = 1 ORDER BY i.number LIMIT 1 OFFSET ?2",
                (name, offset),
            ).fetchone()
            for name, offset in (("tAnswered", 3), ("tHandle", 40))
        )
        copy.execute("DELETE FROM metric_rows WHERE id = ?", lost[:1])
        copy.execute("UPDATE metric_rows SET value = value + 1 WHERE id = ?", late[:1])
        for number in {identity >> numbers.SHIFT for identity in (lost[0], late[0])}:
            half_hours.delete(copy, number, number)
            half_hours.make(copy, [number])
    copy.close()
    source.close()
    found = await compared(spoilt, simulator, settings)
    assert not found.equal
    differences = {(each.figure, *each.cell): each for each in found.queues.differences}
    assert differences.keys() == {
        ("answered", *lost[2:]),
        ("answer_time", *lost[2:]),
        ("handle", *late[2:]),
    }
    assert [list(each.conversations or ()) for each in differences.values()] == [
        [lost[1] if each.figure != "handle" else late[1]] for each in differences.values()
    ]
    assert differences["handle", *late[2:]].stored - differences["handle", *late[2:]].platform == 1
    assert {each.verdict for each in differences.values()} == {"settled"}
    said = list(verify.lines(found))
    assert all(len(line) <= 80 for line in said)
    assert f"    {lost[1]}" in said
    listed = json.loads(json.dumps(found.as_dict()))["queues"]["differences"]
    assert {entry["figure"] for entry in listed} == {"answered", "answer_time", "handle"}


def _queues_of_a_session(record: dict[str, Any]) -> int:
    sessions = [session for participant in record["participants"] for session in participant["sessions"]]
    return max(len({segment.get("queueId") for segment in session["segments"]} - {None}) for session in sessions)
