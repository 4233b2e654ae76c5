"""Call quality: each call once, the leg that made it bad, and what bad legs have in common."""

import math
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.simulator.organisation.call_troubles import PoorAudio
from rollbook.simulator.organisation.world import World
from rollbook.store.book import Book
from rollbook.store.views import call_quality, reports, view_rows
from tests.store.test_report import answer_of, fits, run
from tests.store.test_views import FIRST, conversation, filled, leg, segment, window

Record = dict[str, Any]
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
TODAY = "2026-03-28"


# What bad legs have in common


def a_world(users: int = 12) -> World:
    """An organisation in which nothing has begun yet."""
    return World(5, FIRST, 10, queues=6, users=users)


def legs_of(record: Record) -> list[tuple[float, str, int, int, int, Record]]:
    """(MOS, when, participant, session, which, the leg with all that it may be bad for) of each leg, the lowest first."""
    found = []
    for at, participant in enumerate(record["participants"]):
        for number, session in enumerate(participant["sessions"]):
            for position, stats in enumerate(session.get("mediaEndpointStats", ())):
                what = {"edge_id": session.get("edgeId"), "user_id": participant.get("userId")}
                what |= {"codec": stats["codecs"][0], "purpose": participant["purpose"]}
                found.append((stats["minMos"], stats["eventTime"], at, number, position, what))
    return sorted(found, key=lambda each: each[:5])


def store_of(path: Path, world: World) -> list[Record]:
    """A store with a day of the world, settled, and its names; answers the day's records, all of which have ended."""
    world.grow(FIRST + DAY)
    records = [life.record for life in world.conversations if "conversationEnd" in life.record]
    with Book.open(path) as book:

        def fill(db: Any) -> None:
            filled(db, records)
            window(db, 0, 24, "settled")
            for kind, entities in world.directory.lists.items():
                db.executemany(
                    "INSERT OR REPLACE INTO names (kind, id, name, valid_from, state, seen_at, site_id)"
                    " VALUES (?, ?, ?, '1970-01-01T00:00:00.000Z', 'active', '2026-03-01T00:00:00.000Z', ?)",
                    [(kind, of["id"], of["name"], of.get("site", {}).get("id")) for of in entities],
                )

        book.write(fill).result()
    return records


@pytest.mark.parametrize(
    ("cause", "by", "key"),
    [("edge", "edge", "edge_id"), ("user", "agent", "user_id"), ("codec", "codec", "codec")],
)
def test_what_is_bad_comes_first_with_the_right_leg(tmp_path: Path, cause: str, by: str, key: str) -> None:
    """A bad edge, a bad agent, a bad codec: first of all dimensions, first of its own, and the leg of each call is its.

    Each call that was measured counts once, has its own MOS and the leg that the organisation's truth names.
    """
    world, path = a_world(), tmp_path / "rollbook.db"
    bad = "audio/G729" if cause == "codec" else world.directory.lists[cause][2]["id"]
    world.spoil(FIRST, PoorAudio(cause, bad, FIRST, spread=0.2))
    records = store_of(path, world)
    measured = {
        record["conversationId"]: (record["mediaStatsMinConversationMos"], legs_of(record))
        for record in records
        if "mediaStatsMinConversationMos" in record
    }
    found = answer_of(path, "mos", TODAY, "--by", by)
    assert found["verdict"] == "settled"
    assert found["rows"][0][key] == bad
    assert [(row["what"], row["id"]) for row in found["outliers"]] == [(by, bad)], "and nothing that is mixed with it"
    worst = [call[key] for call in found["worst_legs"]]
    assert worst[0] == bad
    assert worst.count(bad) >= 3  # the other calls are now and then bad too
    assert found["measured"] == len(measured) > 100
    assert (found["of_no_leg"], found["unlike_legs"]) == (0, 0)
    poor = [mos for mos, _ in measured.values() if mos < 3.5]
    assert sum(row["guilty"] for row in found["rows"]) == len(poor) == found["poor_calls"]
    assert sum(part["calls"] for part in found["distribution"]) == len(measured)
    with Book.open(path, mode="ro") as book:
        calls = list(book.read_now(view_rows.mos_calls, "2026", "2027"))
    assert len([call for call in calls if call["mos"] is not None]) == len(measured)
    for call in (call for call in calls if call["mos"] is not None):
        mos, legs = measured[call["conversation_id"]]
        lowest, when, participant, session, position, what = legs[0]
        assert call["mos"] == call["min_mos"] == mos == lowest
        assert call["legs"] == len(legs)
        where = (call["event_time"], call["participant_position"], call["session_position"], call["position"])
        assert where == (when, participant, session, position)
        assert {name: call[name] for name in what} == what
    lines = fits(run(path, "mos", TODAY).output)
    name = next(of["name"] for of in world.directory.lists[cause] if of["id"] == bad) if cause != "codec" else bad
    at = lines.index("surely below 3.5 more often than all other legs:")
    assert lines[at + 1].split()[: 1 + len(name.split())] == [by, *name.split()]


def a_leg(mos: float, **more: Any) -> Record:
    """A row of `mos_legs`, with the times that a report adds."""
    columns = {column: None for names in reports.KEYS.values() for column in names}
    numbers = {"min_mos": mos, "conversation_mos": mos, "min_r_factor": None, "late_share": None, "guilty": 1}
    return {**columns, "conversation_id": "c", **numbers, **more}


def test_two_that_are_bad_are_both_found(tmp_path: Path) -> None:
    """A codec and an agent: the agent among the legs without the codec too. A bad site is found before its edges."""
    world, path = a_world(users=4), tmp_path / "rollbook.db"
    agent = world.users[1]["id"]
    world.spoil(FIRST, PoorAudio("codec", "audio/G729", FIRST, spread=0.2))
    world.spoil(FIRST, PoorAudio("user", agent, FIRST, share=1.0))
    store_of(path, world)
    found = answer_of(path, "mos", TODAY)
    assert {(row["what"], row["id"]) for row in found["outliers"]} == {("codec", "audio/G729"), ("agent", agent)}
    legs = call_quality.LegCounts(["edge"])
    for edge, mos in [(0, 2.0), (1, 2.0), (2, 4.0), (3, 4.0)] * 50:
        legs.add(a_leg(mos, edge_id=f"e{edge}", site_id=f"s{edge // 2}"))
    assert [row["id"] for row in legs.outliers()] == ["s0"]


def test_where_nothing_is_bad_nothing_is_said_to_be(tmp_path: Path) -> None:
    """Twelve agents, six queues, four edges and a day of hours differ by chance, and none of them is named."""
    store_of(tmp_path / "rollbook.db", a_world())
    found = answer_of(tmp_path / "rollbook.db", "mos", TODAY)
    assert found["outliers"] == []
    assert found["measured"] > 100
    assert "nothing is surely below 3.5 more often than the rest" in run(tmp_path / "rollbook.db", "mos", TODAY).output


@pytest.mark.parametrize("by", ["queue", "agent", "edge", "site", "codec", "provider", "hour", "day", "purpose"])
def test_every_leg_is_in_one_row(quiet: Path, by: str) -> None:
    """Whatever a report is made by, its rows have all legs, each once, and name each call below 3.5 once."""
    found = answer_of(quiet, "mos", TODAY, "--by", by)
    assert sum(row["legs"] for row in found["rows"]) == 300
    assert sum(row["guilty"] for row in found["rows"]) == found["poor_calls"] == 12
    if by in ("hour", "day"):
        assert sum(row["calls"] for row in found["rows"]) == found["measured"] == 100
    fits(run(quiet, "mos", TODAY, "--by", by).output)


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day of a hundred calls of three legs; twelve have one leg below 3.5."""
    path = tmp_path_factory.mktemp("quiet") / "rollbook.db"
    records = [
        measured(f"c{number}", hours=number % 24, mos=(4.0, 3.0 if number % 8 == 0 and number < 96 else 4.4, 4.1))
        for number in range(100)
    ]
    with Book.open(path) as book:
        book.write(filled, records).result()
    return path


# Each call once


def measured(
    identity: str, *, hours: float, mos: Iterable[Any] = (4.0,), later: float = 1, end: bool = True, **more: Any
) -> Record:
    """A call with a leg for each MOS, measured so many hours after it began. more: of the leg's statistics."""
    start = FIRST + hours * HOUR
    legs = []
    for number, value in enumerate(mos):
        at = start + later * HOUR + timedelta(minutes=number)
        stats = {"eventTime": f"{at:%Y-%m-%dT%H:%M:%S}.000Z", "minMos": value, "minRFactor": 80, **more}
        stats = {name: of for name, of in stats.items() if of is not None}
        segments = [segment("interact", start, 60)]
        legs.append(leg("agent", segments, [], f"u{number}", edgeId=f"e{number}", mediaEndpointStats=[stats]))
    values = [value for value in mos if isinstance(value, float)]
    lowest = {"mediaStatsMinConversationMos": min(values)} if values else {}
    return conversation(identity, start, *legs, end=end) | lowest


def figures(path: Path, day: str) -> list[int]:
    """Of a day: calls, measured, those that go on, those of no leg."""
    found = answer_of(path, "mos", day)
    return [found[name] for name in ("calls", "measured", "going_on", "of_no_leg")]


def test_a_call_counts_on_the_day_on_which_it_began(tmp_path: Path) -> None:
    """However long it was, however late it was measured, with or without a time: once, on that day, with all its legs."""
    path = tmp_path / "rollbook.db"
    records = [
        measured("plain", hours=1),
        measured("over midnight", hours=23.5, mos=(4.2, 3.1, 4.4)),
        measured("two days late", hours=2, later=50),
        measured("without a time", hours=3, eventTime=None),
        measured("without a MOS", hours=4, mos=(None,)),
        measured("of no leg", hours=5, mos=()) | {"mediaStatsMinConversationMos": 2.5},
        measured("of a leg alone", hours=6),
        measured("goes on", hours=7, end=False),
        measured("no number", hours=8, mos=("high",)) | {"mediaStatsMinConversationMos": "high"},
        measured("the day after", hours=30),
    ]
    del records[6]["mediaStatsMinConversationMos"]
    message = measured("a message", hours=9, mos=(None,))
    message["participants"][0]["sessions"][0] |= {"mediaType": "message", "mediaEndpointStats": []}
    no_call = measured("no session", hours=9, mos=())
    with Book.open(path) as book:
        book.write(filled, [*records, message, no_call]).result()
        book.write(window, 0, 24, "complete").result()
    # Of no leg: its record has no session, and no medium.
    assert figures(path, TODAY) == [9, 7, 1, 1]
    assert figures(path, "2026-03-29") == [1, 1, 0, 0]
    assert figures(path, "2026-03-28T00:00Z/P2D") == [10, 8, 1, 1]
    found = answer_of(path, "mos", TODAY, "--by", "edge")
    assert found["unlike_legs"] == 0
    assert found["verdict"] == "open"  # it goes on
    assert {row["edge_id"]: (row["legs"], row["calls"]) for row in found["rows"]} == {
        "e0": (6, 6),
        "e1": (1, 1),
        "e2": (1, 1),
    }
    worst = found["worst_legs"][:2]
    assert [(call["conversation_id"], call["mos"], call["edge_id"]) for call in worst] == [
        ("of no leg", 2.5, None),
        ("over midnight", 3.1, "e1"),
    ]
    lines = fits(run(path, "mos", TODAY).output)
    assert lines[1] == "not settled: what was measured late may still come"
    assert "still going on, so that their lowest may fall: 1" in lines
    assert "  of no leg 2.50 no leg was measured" in lines


def test_a_call_that_is_worse_than_its_legs_is_said(tmp_path: Path) -> None:
    """It counts by the platform's own value, and its lowest leg is guilty: what made it worse is not among them."""
    path = tmp_path / "rollbook.db"
    records = [
        measured("worse", hours=1, mos=(4.0, 3.9)) | {"mediaStatsMinConversationMos": 3.0},
        measured("b", hours=2),
    ]
    with Book.open(path) as book:
        book.write(filled, records).result()
    found = answer_of(path, "mos", TODAY, "--by", "edge")
    assert (found["unlike_legs"], found["poor_calls"]) == (1, 1)
    assert {row["edge_id"]: (row["guilty"], row["poor"]) for row in found["rows"]} == {"e0": (0, 0.0), "e1": (1, 0.0)}
    assert "with a MOS that is not the lowest of its legs: 1" in run(path, "mos", TODAY).output


def test_a_day_rests_on_its_own_windows(tmp_path: Path) -> None:
    """What failed on the day before takes nothing from it: no call of that day counts here."""
    path = tmp_path / "rollbook.db"
    with Book.open(path) as book:
        book.write(filled, [measured("one", hours=1)]).result()
        book.write(window, -24, 0, "failed").result()
        book.write(window, 0, 24, "settled").result()
    assert answer_of(path, "mos", TODAY)["verdict"] == "settled"
    assert answer_of(path, "mos", "2026-03-27/2026-03-29")["verdict"] == "failed"


def test_what_was_only_heard_is_said(tmp_path: Path) -> None:
    """A call of which no details were read is neither measured nor not."""
    path = tmp_path / "rollbook.db"
    with Book.open(path) as book:
        book.write(filled, [measured("read", hours=1)]).result()
        book.write(
            lambda db: db.execute(
                "INSERT INTO conversation_rows (number, conversation_start, media_types, provenance, first_seen_at)"
                " VALUES (99, '2026-03-28T02:00:00.000Z', '[\"voice\"]', 'live', '2026-03-28T02:00:00.000Z')"
            )
        ).result()
    found = answer_of(path, "mos", TODAY)
    assert (found["calls"], found["measured"], found["unread"]) == (1, 1, 1)
    assert "heard, and not counted before their details are read: 1" in run(path, "mos", TODAY).output


def test_packets_that_came_too_late_are_a_share_of_those_that_came(tmp_path: Path) -> None:
    """A count of nothing is left out by the platform, and is 0; where no packet came there is no share."""
    path = tmp_path / "rollbook.db"
    packets: list[Record] = [
        {"receivedPackets": 900, "discardedPackets": 9},
        {"receivedPackets": 100},
        {"discardedPackets": 5},
        {"receivedPackets": 0, "discardedPackets": 5},
        {"receivedPackets": -3},
        {"receivedPackets": "many", "discardedPackets": 2},
        {"receivedPackets": 10, "discardedPackets": "some"},
    ]
    with Book.open(path) as book:
        book.write(filled, [measured(f"c{at}", hours=1, **stats) for at, stats in enumerate(packets)]).result()
        legs = list(book.read_now(view_rows.mos_legs, "2026", "2027"))
    assert [row["late_share"] for row in legs] == [0.01, 0.0, None, None, None, None, None]
    [row] = answer_of(path, "mos", TODAY, "--by", "codec")["rows"]
    assert row["late_share"] == 9 / 1000


# Sums


@given(st.lists(st.floats(-3, 9), max_size=60))
def test_a_distribution_has_every_value_once(values: list[float]) -> None:
    """Its parts leave no hole and have nothing twice; those below 3.5 and 4.3 are the shares that are shown."""
    parts = call_quality.distribution(values)
    assert sum(part["calls"] for part in parts) == len(values)
    for bound in (3.5, 4.3):
        below = sum(part["calls"] for part in parts if part["below"] is not None and part["below"] <= bound)
        assert below == sum(value < bound for value in values)


@given(st.integers(0, 500), st.integers(0, 500))
def test_a_share_is_between_its_bounds(part: int, more: int) -> None:
    """What was seen is between how low and how high the share may be, and more of the same is nearer to it."""
    whole = part + more
    low, high = call_quality.bounds(part, whole)
    assert 0 <= low <= high <= 1
    if whole:
        assert low - 1e-9 <= part / whole <= high + 1e-9
        nearer = call_quality.bounds(part * 10, whole * 10)
        assert nearer[0] >= low - 1e-9
        assert nearer[1] <= high + 1e-9


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 99))
def test_what_is_likely_by_chance_is_counted_exactly(part: int, more: int, percent: int) -> None:
    """The sum over so many, and more, of the binomial distribution."""
    whole, each = part + more, percent / 100
    exact = sum(math.comb(whole, of) * each**of * (1 - each) ** (whole - of) for of in range(part, whole + 1))
    found = call_quality.chance(part, whole, each)
    assert found == pytest.approx(exact, rel=1e-6) if part > whole * each else found == 1


def test_a_share_of_few_says_little() -> None:
    """A group of three legs that are all bad comes after a large one of which a third is, and is no outlier."""
    legs = call_quality.LegCounts(["edge"])
    for edge, bad, good in (("few", 3, 0), ("many", 50, 100), ("well", 2, 300)):
        for mos in [2.0] * bad + [4.0] * good:
            legs.add(a_leg(mos, edge_id=edge))
    assert [row["edge_id"] for row in legs.rows()] == ["many", "well", "few"]
    assert [row["id"] for row in legs.outliers()] == ["many"]
