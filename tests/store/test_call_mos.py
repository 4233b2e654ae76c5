"""Calls counted by their MOS: each measured call once, under bounded labels that name nobody."""

import itertools
import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.core import CollectorRegistry, Metric
from prometheus_client.exposition import generate_latest

from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures
from rollbook.genesys.messages.details import parse_page
from rollbook.genesys.times import to_text
from rollbook.store.tables import conversations, schema
from rollbook.store.tables.conversations import Read
from rollbook.store.views import call_mos
from rollbook.store.views.call_mos import CallLabels, CallMos, CountedCalls

Record = dict[str, Any]
START = datetime(2026, 3, 2, 10, tzinfo=UTC)
END = START + timedelta(minutes=10)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A new store in memory."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        schema.migrate(connection)
        yield connection


def call(name: str, mos: float | None = 4.2, *, ended: bool = True, legs: Sequence[Record] = ()) -> Record:
    """A call with this MOS. legs: of each, its MOS, and where it differs its codec and edge."""
    sessions = [
        {
            "sessionId": f"{name}-{at}",
            "mediaType": "voice",
            "edgeId": leg.get("edge", "edge-1"),
            "segments": [],
            "mediaEndpointStats": [{"codecs": [leg.get("codec", "audio/opus")], "minMos": leg["mos"]}],
        }
        for at, leg in enumerate(legs or ([] if mos is None else [{"mos": mos}]))
    ]
    participant = {"participantId": f"p-{name}", "purpose": "agent", "sessions": sessions or [{"mediaType": "voice"}]}
    made: Record = {"conversationId": name, "conversationStart": to_text(START), "participants": [participant]}
    if mos is not None:
        made["mediaStatsMinConversationMos"] = mos
    return made | ({"conversationEnd": to_text(END)} if ended else {})


def read(db: sqlite3.Connection, *records: Record, minutes: float = 30) -> None:
    """Write what a read so many minutes after ten brought."""
    at = to_text(START + timedelta(minutes=minutes))
    page = parse_page(json.dumps({"conversations": records}).encode())
    how = Read(at, at, at, frozenset(), timedelta(0))
    db.execute("BEGIN IMMEDIATE")
    conversations.write(db, page.rows, how, window=None, width=timedelta(minutes=30), cause=lambda *_: "none")
    db.execute("COMMIT")


def number(counted: Sequence[CallMos]) -> int:
    """How many calls were counted."""
    return sum(each.counts["+Inf"] for each in counted)


# What a read may show of a call: whether it has ended, and its MOS.
SHOWN = st.tuples(st.booleans(), st.sampled_from([None, 1.5, 3.4, 4.4]))


def test_each_measured_call_is_counted_once(db: sqlite3.Connection) -> None:
    """However late its end and its MOS come, and though they change, vanish and come again: once, as first shown."""
    total: list[float] = []
    names = itertools.count()

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.lists(SHOWN, min_size=1, max_size=5), min_size=1, max_size=3))
    def holds(reads: list[list[tuple[bool, float | None]]]) -> None:
        for shown in reads:
            name = f"c{next(names)}"
            for at, (ended, mos) in enumerate(shown):
                read(db, call(name, mos, ended=ended), minutes=30 + at)
            total.extend([mos for ended, mos in shown if ended and mos is not None][:1])
        counted = call_mos.counted(db)
        assert number(counted) == len(total)
        assert sum(each.total for each in counted) == pytest.approx(sum(total))
        for bound in map(str, call_mos.BOUNDS):
            assert sum(each.counts[bound] for each in counted) == sum(mos <= float(bound) for mos in total)

    holds()


def test_what_was_not_committed_is_not_counted(db: sqlite3.Connection) -> None:
    """The count is a part of the transaction that writes the call: a program that dies before leaves neither."""
    rolls_back = pytest.raises(sqlite3.IntegrityError)
    read(db, call("c0"))
    db.execute("CREATE TRIGGER dies AFTER INSERT ON store_notes BEGIN SELECT raise(ROLLBACK, 'killed'); END")
    with rolls_back:
        read(db, call("c1"), call("c2"))
    db.execute("DROP TRIGGER dies")
    assert number(call_mos.counted(db)) == 1
    read(db, call("c1"), call("c2"))
    assert number(call_mos.counted(db)) == 3


def test_a_call_bears_the_labels_of_its_worst_leg(db: sqlite3.Connection) -> None:
    """Its codec and its edge's site by name, never an id; what nobody has named is unknown."""
    since = "1970-01-01T00:00:00.000Z"
    insert = (
        "INSERT INTO names (kind, id, name, valid_from, state, seen_at, site_id) VALUES (?, ?, ?, ?, 'active', ?, ?)"
    )
    for kind, of, name, site in (("edge", "edge-1", "Edge 1", "site-1"), ("site", "site-1", "Bern", None)):
        db.execute(insert, (kind, of, name, since, since, site))
    bad = {"mos": 2.2, "codec": "audio/PCMU"}
    read(db, call("c1", 2.2, legs=[{"mos": 4.4, "edge": "edge-2"}, bad]))
    read(db, call("c2", 4.1, legs=[{"mos": 4.1, "edge": "edge-2"}]))
    read(db, call("c3", 3.3) | {"participants": []})
    labels = {(each.media_type, each.codec, each.site): each.counts["+Inf"] for each in call_mos.counted(db)}
    assert labels == {
        ("voice", "audio/PCMU", "Bern"): 1,
        ("voice", "audio/opus", "unknown"): 1,
        ("unknown", "unknown", "unknown"): 1,
    }


@pytest.mark.parametrize(("minutes", "late"), [(30, False), (10 + 6 * 60, False), (10 + 6 * 60 + 1, True)])
def test_what_is_read_long_after_its_end_is_late(db: sqlite3.Connection, minutes: float, late: bool) -> None:
    """A backfill's calls are told from those of now, so that no alert is raised for last year."""
    read(db, call("c1"), minutes=minutes)
    assert [each.is_late for each in call_mos.counted(db)] == [late]


def test_a_late_call_has_the_media_type_of_its_worst_leg(db: sqlite3.Connection) -> None:
    """Whether it has one media type, of which no leg is looked at, or several; and no label besides."""
    two = call("c2", 2.2, legs=[{"mos": 2.2}])
    two["participants"].append({"participantId": "p9", "sessions": [{"sessionId": "s9", "mediaType": "callback"}]})
    read(db, call("c1", 4.2, legs=[{"mos": 4.2}]), two, minutes=24 * 60)
    assert [(each.media_type, each.codec, each.is_late, each.counts["+Inf"]) for each in call_mos.counted(db)] == [
        ("voice", "other", True, 2)
    ]


@pytest.mark.parametrize("mos", ["4.2", True, -1, 1e300, [4.2], {}])
def test_what_is_no_mos_is_not_counted(db: sqlite3.Connection, mos: Any) -> None:
    """A record may have anything in its place."""
    read(db, call("c1", None) | {"mediaStatsMinConversationMos": mos})
    assert call_mos.counted(db) == ()


class Collector:
    """What /metrics shows of these figures."""

    def __init__(self, figures: DaemonFigures) -> None:
        self.figures = figures

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        yield from metrics(self.figures)


LABEL = st.sampled_from([f"{kind}{at}" for kind in "abc" for at in range(40)] + ["other"] * 40) | st.text(max_size=80)


@given(st.lists(st.tuples(LABEL, LABEL, LABEL, st.booleans()), max_size=300))
def test_there_are_at_most_312_series(sets: list[tuple[str, str, str, bool]]) -> None:
    """However many media types, codecs and sites there are; what finds no room is `other`, and every call is in one."""
    counts = CountedCalls()
    for labels in sets:
        counts.add(CallLabels(*labels), 4.2)
        counts = CountedCalls(json.loads(json.dumps(counts.rows())))
    calls = tuple(
        CallMos(**labels._asdict(), counts={"+Inf": sum(buckets)}, total=total)
        for labels, buckets, total in counts.rows()
    )
    assert number(calls) == len(sets)
    bounds = len(call_mos.BOUNDS) + 1
    assert len(calls) * (bounds + 2) <= 312
    assert all(len(each.site) <= 64 for each in calls)
    assert all((each.codec, each.site) == ("other", "other") for each in calls if each.is_late)


def test_a_set_that_has_counts_of_its_own_keeps_them() -> None:
    """What came before there was no room is counted there for ever: no call moves from one series to another."""
    counts = CountedCalls()
    for at in range(2 * call_mos.MOST_SETS):
        counts.add(CallLabels("voice", "audio/opus", f"site {at}", False), 4.2)
    for _ in range(5):
        counts.add(CallLabels("voice", "audio/opus", "site 0", False), 4.2)
        counts.add(CallLabels("voice", "audio/opus", "a new site", False), 4.2)
    calls = {labels.site: sum(buckets) for labels, buckets, _ in counts.rows()}
    assert (calls["site 0"], calls["other"], len(calls)) == (6, call_mos.MOST_SETS + 5, call_mos.MOST_SETS + 1)


def test_a_full_histogram_is_shown_with_all_its_bounds(db: sqlite3.Connection) -> None:
    """Each set of labels is a histogram with nine bounds, its sum and its count, as Prometheus reads them."""
    read(db, call("c1", 3.4), call("c2", 4.4))
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Collector(DaemonFigures(calls=call_mos.counted(db))))
    shown = [line for line in generate_latest(registry).decode().splitlines() if line.startswith("rollbook_call_mos")]
    labels = 'codec="audio/opus",late="no",media_type="voice",site="unknown"'
    values = {}
    for line in shown:
        name, _, rest = line.partition("{")
        inside, _, value = rest.partition("} ")
        parts = dict(part.split("=", 1) for part in inside.split(","))
        bound = parts.pop("le", "").strip('"')
        assert ",".join(f"{key}={parts[key]}" for key in sorted(parts)) == labels
        values[name.removeprefix("rollbook_call_mos_"), bound] = float(value)
    assert values == {
        **{("bucket", str(bound)): 0 for bound in (1.0, 2.0, 2.5, 3.0)},
        **{("bucket", str(bound)): 1 for bound in (3.5, 4.0, 4.3)},
        **{("bucket", bound): 2 for bound in ("4.5", "5.0", "+Inf")},
        ("count", ""): 2,
        ("sum", ""): pytest.approx(7.8),
    }


def test_the_shares_of_the_day(db: sqlite3.Connection) -> None:
    """What was heard of what was read, and what was measured of the calls that ended; of nothing there is none."""
    now = START + timedelta(hours=3)
    assert call_mos.shares_of_day(db, now) == call_mos.DayShares()
    read(db, call("c1"), call("c2", None), call("c3", None, ended=False), call("c4"))
    db.execute("UPDATE conversation_rows SET provenance = 'both' WHERE number IN (1, 2, 3)")
    assert call_mos.shares_of_day(db, now) == call_mos.DayShares(heard_live=3 / 4, measured=2 / 3)
    assert call_mos.shares_of_day(db, now + timedelta(days=1)) == call_mos.DayShares()
