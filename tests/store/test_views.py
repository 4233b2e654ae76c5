"""The views that people ask for: their sums, their days, what they rest on, and how they are looked up."""

import itertools
import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.genesys.messages.details import parse_page
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import from_text, to_text
from rollbook.store import rebuild
from rollbook.store.rows import half_hours
from rollbook.store.tables import conversations, schema
from rollbook.store.tables.conversations import Read
from rollbook.store.views import view_rows, view_settings
from tests.store.test_plans import STATISTICS

Record = dict[str, Any]
# A clock goes forward in the night to Sunday in most of Europe, back in Chile a week later, at midnight.
FIRST = datetime(2026, 3, 28, tzinfo=UTC)
NOW = "2026-06-01T00:00:00.000Z"
OF_AGENTS = ("answered", "talk", "hold", "acw", "handle", "not_responding", "transferred", "alerted", "handled")
OF_LEGS = ("offered", "answered", "abandoned", "flow_outs", "wait", *OF_AGENTS[1:])


def store() -> sqlite3.Connection:
    """A new store in memory."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    schema.migrate(db)
    return db


def filled(db: sqlite3.Connection, records: Iterable[Record]) -> sqlite3.Connection:
    """The store with these records."""
    body = json.dumps({"conversations": list(records), "totalHits": 1}).encode()
    read = Read(NOW, NOW, NOW, frozenset(), timedelta(0))
    conversations.write(
        db, parse_page(body).rows, read, window=None, width=timedelta(minutes=30), cause=lambda *_: "none"
    )
    return db


def rows(db: sqlite3.Connection, query: str, *values: Any) -> list[dict[str, Any]]:
    """The rows of a query, by column."""
    found = db.execute(query, values)
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found]


def metric(name: str, at: datetime, value: int = 1) -> dict[str, Any]:
    """A metric as details have it."""
    return {"name": name, "value": value, "emitDate": to_text(at)}


def segment(kind: str, start: datetime, seconds: float | None, queue: str | None = "q1", **more: Any) -> dict[str, Any]:
    """A segment as details have it; seconds None: it goes on."""
    made = {"segmentType": kind, "segmentStart": to_text(start), **more}
    if queue is not None:
        made["queueId"] = queue
    if seconds is not None:
        made["segmentEnd"] = to_text(start + timedelta(seconds=seconds))
    return made


def leg(
    purpose: str, segments: list[dict[str, Any]], metrics: list[dict[str, Any]], user: str | None = None, **more: Any
) -> dict[str, Any]:
    """A participant with one session."""
    session = {"sessionId": "s", "mediaType": "voice", "segments": segments, "metrics": metrics, **more}
    made: dict[str, Any] = {"participantId": "p", "purpose": purpose, "sessions": [session]}
    return made if user is None else made | {"userId": user}


def conversation(identity: str, start: datetime, *participants: dict[str, Any], end: bool = True) -> Record:
    """A record of these participants."""
    made = {
        "conversationId": identity,
        "conversationStart": to_text(start),
        "originatingDirection": "inbound",
        "participants": list(participants),
    }
    return made | ({"conversationEnd": to_text(start + timedelta(hours=1))} if end else {})


def call(
    identity: str = "c1",
    at: datetime = FIRST,
    *,
    wait: float = 10,
    end: str = "answered",
    queue: str = "q1",
    user: str = "u1",
) -> Record:
    """A call that waits and is answered, abandoned or flows out."""
    answered = at + timedelta(seconds=wait)
    last = {"abandoned": "tAbandon", "flow_out": "tFlowOut"}.get(end)
    waited = int(wait * 1000)
    metrics = [metric("nOffered", at), metric("tAcd", answered, waited)]
    metrics += [metric(last, answered, waited)] if last else []
    acd = leg("acd", [segment("interact", at, wait, queue)], metrics)
    if last:
        return conversation(identity, at, acd)
    over = answered + timedelta(seconds=60)
    after = over + timedelta(seconds=30)
    agent = leg(
        "agent",
        [
            segment("alert", at + timedelta(seconds=wait - 2), 2, queue),
            segment("interact", answered, 60, queue),
            segment("wrapup", over, 30, queue, wrapUpCode="w1"),
        ],
        [
            metric("tAlert", answered, 2_000),
            metric("tAnswered", answered, waited),
            metric("tTalkComplete", over, 60_000),
            metric("tAcw", after, 30_000),
            metric("tHandle", after, 90_000),
        ],
        user,
    )
    return conversation(identity, at, acd, agent)


# Sums

TIMES = st.integers(0, 10 * 86_400).map(lambda seconds: FIRST + timedelta(seconds=seconds))
QUEUES = st.sampled_from(["q1", "q2", None])
METRICS = st.builds(
    metric, st.sampled_from([*half_hours.COUNTED, "nConnected", "tTalk"]), TIMES, st.integers(0, 100_000)
)
SEGMENTS = st.builds(
    lambda kind, at, seconds, queue, code: segment(
        kind, at, seconds, queue, **({"wrapUpCode": code} if kind == "wrapup" else {})
    ),
    st.sampled_from(["interact", "alert", "hold", "wrapup"]),
    TIMES,
    st.none() | st.integers(0, 90_000),
    QUEUES,
    st.sampled_from(["w1", "w2"]),
)
LEGS = st.builds(
    lambda purpose, segments, metrics, user, media: leg(
        purpose, sorted(segments, key=lambda each: str(each["segmentStart"])), metrics, user, mediaType=media
    ),
    st.sampled_from(["acd", "agent", "customer", "ivr"]),
    st.lists(SEGMENTS, max_size=4),
    st.lists(METRICS, max_size=8),
    st.sampled_from(["u1", "u2", None]),
    st.sampled_from(["voice", "message"]),
)
RECORDS = st.lists(st.tuples(TIMES, st.lists(LEGS, max_size=5), st.booleans()), max_size=6).map(
    lambda drawn: [conversation(f"c{at}", start, *legs, end=end) for at, (start, legs, end) in enumerate(drawn)]
)


def figures(of: Iterable[dict[str, Any]]) -> dict[str, int]:
    """The sum of each figure over metrics, by the definitions of the platform's help and no SQL."""
    found = dict.fromkeys(half_hours.FIGURES, 0)
    for each in of:
        for figure, (name, how) in half_hours.FIGURES.items():
            if each["name"] == name:
                found[figure] += 1 if how == "count" and name.startswith("t") else each["value"]
    return found


def sums(found: Iterable[dict[str, Any]], names: Iterable[str]) -> dict[str, int]:
    """The sum of these columns."""
    found = list(found)
    return {name: sum(row[name] or 0 for row in found) for name in names}


def every_session(records: Iterable[Record]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(participant, session) of the records."""
    for record in records:
        for participant in record["participants"]:
            for session in participant["sessions"]:
                yield participant, session


@settings(max_examples=60)
@given(RECORDS, st.sampled_from(["UTC", "Europe/Berlin", "America/Santiago", "Asia/Kathmandu", "Australia/Lord_Howe"]))
def test_the_sum_over_a_view_is_the_sum_over_the_metrics(records: list[Record], zone: str) -> None:
    """Of every view, whatever a session has been through: nothing is counted twice, nothing is lost, in no time zone."""
    with closing(filled(store(), records)) as db:
        view_settings.write(db, {"time_zone": zone})
        every = [each for _, session in every_session(records) for each in session["metrics"]]
        assert db.execute("SELECT count(*), coalesce(sum(value), 0) FROM leg_metrics").fetchone() == (
            len(every),
            sum(each["value"] for each in every),
        )
        intervals = rows(db, "SELECT * FROM queue_intervals")
        assert sums(intervals, half_hours.FIGURES) == figures(every)
        by_half_hour = {row["interval_start"] for row in intervals}
        for start in by_half_hour:
            end = to_text(from_text(start) + timedelta(minutes=30))
            assert sums([row for row in intervals if row["interval_start"] == start], half_hours.FIGURES) == figures(
                each for each in every if start <= each["emitDate"] < end
            )
        of_users = [
            (participant["userId"], each)
            for participant, session in every_session(records)
            if "userId" in participant
            for each in session["metrics"]
        ]
        expected = figures(each for _, each in of_users)
        days = rows(db, "SELECT * FROM agent_days")
        assert sums(days, OF_AGENTS) == {name: expected[name] for name in OF_AGENTS}
        for user, day in {(row["user_id"], row["day"]) for row in days}:
            theirs = figures(
                each
                for who, each in of_users
                if who == user and from_text(each["emitDate"]).astimezone(ZoneInfo(zone)).date().isoformat() == day
            )
            of_day = [row for row in days if (row["user_id"], row["day"]) == (user, day)]
            assert sums(of_day, OF_AGENTS) == {name: theirs[name] for name in OF_AGENTS}
        assert sums(rows(db, "SELECT * FROM agent_legs"), OF_AGENTS) == {name: expected[name] for name in OF_AGENTS}
        queued = figures(
            each
            for _, session in every_session(records)
            if any("queueId" in each for each in session["segments"])
            for each in session["metrics"]
        )
        legs = rows(db, "SELECT * FROM queue_legs")
        assert sums(legs, OF_LEGS) == {name: queued[name] for name in OF_LEGS}
        named = Counter(
            each["wrapUpCode"]
            for _, session in every_session(records)
            for each in session["segments"]
            if each["segmentType"] == "wrapup"
        )
        assert Counter(row["wrap_up_code"] for row in rows(db, "SELECT * FROM wrapups")) == named


def test_a_session_of_two_queues_counts_once_for_each() -> None:
    """What is counted as the second queue begins is that queue's, what ends there is the first one's."""
    moved = FIRST + timedelta(seconds=40)
    over = moved + timedelta(seconds=20)
    session = leg(
        "acd",
        [segment("interact", FIRST, 40, "q1"), segment("interact", moved, 20, "q2")],
        [
            metric("nOffered", FIRST),
            metric("tFlowOut", moved, 40_000),
            metric("tAcd", moved, 40_000),
            metric("nOffered", moved),
            metric("tAbandon", over, 20_000),
            metric("tAcd", over, 20_000),
        ],
    )
    with closing(filled(store(), [conversation("c1", FIRST, session)])) as db:
        found = rows(db, "SELECT queue_id, offered, flow_outs, abandoned, wait FROM queue_intervals ORDER BY 1")
        assert [tuple(row.values()) for row in found] == [("q1", 1, 1, 0, 40_000), ("q2", 1, 0, 1, 20_000)]
        legs = rows(db, "SELECT queue_id, outcome, wait, offered_at FROM queue_legs ORDER BY 1")
        assert [tuple(row.values()) for row in legs] == [
            ("q1", "flow_out", 40_000, to_text(FIRST)),
            ("q2", "abandoned", 20_000, to_text(moved)),
        ]


# Legs


@pytest.mark.parametrize("end", ["answered", "abandoned", "flow_out"])
def test_a_queue_leg_says_how_it_ended(end: str) -> None:
    """Who was rung and who answered, how long it waited, was talked to and worked on, and its wrap-up."""
    with closing(filled(store(), [call(end=end)])) as db:
        db.execute(
            "INSERT OR REPLACE INTO names (kind, id, name, valid_from, state, seen_at) VALUES ('wrapupcode', 'w1', 'Done',"
            " '1970-01-01T00:00:00.000Z', 'active', ?)",
            (NOW,),
        )
        [found] = rows(db, "SELECT * FROM queue_legs")
        assert (found["conversation_id"], found["queue_id"], found["media_type"]) == ("c1", "q1", "voice")
        assert (found["outcome"], found["wait"], found["offered_at"]) == (end, 10_000, to_text(FIRST))
        answered = end == "answered"
        assert found["alerted"] == answered
        assert found["user_id"] == ("u1" if answered else None)
        assert found["talk"] == (60_000 if answered else None)
        assert found["acw"] == (30_000 if answered else None)
        assert (found["wrap_up_code"], found["wrap_up_name"]) == (("w1", "Done") if answered else (None, None))
        assert found["answered_at"] == (to_text(FIRST + timedelta(seconds=10)) if answered else None)


def test_a_queue_that_is_come_to_twice_has_two_legs() -> None:
    """Each with its own agent; the first was passed on, the second goes on."""
    later = FIRST + timedelta(minutes=10)
    first, second = call("c1", user="u1"), call("c1", later, user="u2")
    first["participants"][1]["sessions"][0]["metrics"].append(metric("nTransferred", later))
    talking = second["participants"][1]["sessions"][0]
    talking["segments"][1:] = [segment("interact", later + timedelta(seconds=10), None)]
    talking["metrics"] = talking["metrics"][:2]
    record = conversation("c1", FIRST, *first["participants"], *second["participants"], end=False)
    with closing(filled(store(), [record])) as db:
        found = rows(db, "SELECT leg, user_id, outcome, talk FROM queue_legs ORDER BY leg")
        assert [tuple(row.values()) for row in found] == [(1, "u1", "transferred", 60_000), (2, "u2", "ongoing", None)]


# Half hours and days


def test_a_figure_belongs_to_the_half_hour_of_its_own_emission() -> None:
    """A call that is offered before the half hour and ends after it counts in each by what happened there."""
    with closing(filled(store(), [call(at=FIRST + timedelta(minutes=29, seconds=30), wait=40)])) as db:
        found = rows(
            db, "SELECT interval_start, interval_end, offered, answered, handled, asa, aht FROM queue_intervals"
        )
        assert [tuple(row.values()) for row in found] == [
            (to_text(FIRST), to_text(FIRST + timedelta(minutes=30)), 1, 0, 0, None, None),
            (
                to_text(FIRST + timedelta(minutes=30)),
                to_text(FIRST + timedelta(minutes=60)),
                0,
                1,
                1,
                40_000,
                90_000,
            ),
        ]


@pytest.mark.parametrize(
    ("set_to", "expected"),
    [
        ({}, (10 - 4) / (10 + 3)),
        ({"include_flow_outs": True}, (10 - 4) / (10 + 3 + 2)),
        ({"include_short_abandons": False}, (10 - 4) / (10 + 3 - 1)),
        ({"include_abandons": False}, (10 - 4) / 10),
        ({"include_abandons": False, "include_short_abandons": False}, (10 - 4) / 10),
        ({"include_flow_outs": True, "include_abandons": False}, (10 - 4) / (10 + 2)),
        ({"short_abandon": timedelta(seconds=6), "include_short_abandons": False}, (10 - 4) / (10 + 3 - 2)),
        ({"answered_within": timedelta(seconds=20)}, (10 - 3) / (10 + 3)),
    ],
)
def test_the_service_level_follows_the_organisations_switches(set_to: dict[str, Any], expected: float) -> None:
    """Three switches and two thresholds, also for what was stored before they were set."""
    records = [call(f"a{at}", wait=3 * at + 1) for at in range(10)]
    for at in range(6, 10):  # the platform's own target is missed by four
        records[at]["participants"][1]["sessions"][0]["metrics"].append(metric("nOverSla", FIRST))
    records += [call(f"b{at}", wait=2 + 3 * at, end="abandoned") for at in range(3)]
    records[10]["participants"][0]["sessions"][0]["metrics"].append(metric("tShortAbandon", FIRST, 2_000))
    records += [call(f"f{at}", wait=30, end="flow_out") for at in range(2)]
    with closing(filled(store(), records)) as db:
        wanted = view_settings.asked(Settings(**set_to, explicit=frozenset(set_to)))
        assert view_settings.differ(db, wanted) == bool(set_to)
        view_settings.write(db, wanted)
        assert not view_settings.differ(db, wanted)
        [found] = rows(db, "SELECT * FROM queue_intervals")
        assert (found["answered"], found["abandoned"], found["flow_outs"]) == (10, 3, 2)
        assert found["service_level"] == pytest.approx(expected)


def test_nothing_answered_and_nothing_abandoned_has_no_service_level() -> None:
    """A share of nothing is null, not 0 and not 1."""
    with closing(filled(store(), [call(end="flow_out")])) as db:
        [found] = rows(db, "SELECT * FROM queue_intervals")
        assert (found["service_level"], found["asa"], found["aht"]) == (None, None, None)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", "2026-03-29", 24),
        ("Europe/Berlin", "2026-03-28", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("America/Santiago", "2026-09-06", 23),  # there is no midnight on that day
        ("America/Santiago", "2026-04-04", 25),  # midnight comes twice, and the day ends with the second
        ("Australia/Lord_Howe", "2026-10-04", 23.5),
        ("Asia/Kathmandu", "2026-03-29", 24),
    ],
)
def test_a_day_is_as_long_as_its_time_zone_has_it(zone: str, day: str, hours: float) -> None:
    """From its first moment to that of the next day; a metric at each end belongs to it, those beside it do not."""
    at = datetime.fromisoformat(day).replace(tzinfo=UTC)
    around = [
        conversation(f"x{hour}", at, leg("agent", [], [metric("tHandle", at + timedelta(hours=hour), 1)], "u1"))
        for hour in (-40, 40)
    ]
    with closing(filled(store(), around)) as db:
        view_settings.write(db, {"time_zone": zone})
        starts, ends = db.execute("SELECT starts_at, ends_at FROM local_days WHERE day = ?", (day,)).fetchone()
        assert from_text(ends) - from_text(starts) == timedelta(hours=hours)
        local = [from_text(each).astimezone(ZoneInfo(zone)) for each in (starts, ends)]
        millisecond = timedelta(milliseconds=1)
        assert local[0].date().isoformat() == day
        assert (local[0].astimezone(UTC) - millisecond).astimezone(ZoneInfo(zone)).date().isoformat() < day
        assert local[1].date().isoformat() > day
        edges = [from_text(starts) - millisecond, from_text(starts), from_text(ends) - millisecond, from_text(ends)]
        made = [leg("agent", [], [metric("tHandle", edge, 10**number)], "u2") for number, edge in enumerate(edges)]
        filled(db, [conversation("edges", at, *made)])
        found = rows(db, "SELECT day, handled, handle FROM agent_days WHERE user_id = 'u2' AND day = ?", day)
        assert [tuple(row.values()) for row in found] == [(day, 2, 110)]


def test_an_offset_is_found_to_the_second() -> None:
    """Of each change of a zone: the second before has the earlier offset, that second the later one."""
    for name in ("Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "America/St_Johns"):
        zone, known = ZoneInfo(name), list(view_settings.offsets(name))
        assert len(known) > 100
        for (_, _, before), (starts_at, local, seconds) in itertools.pairwise(known):
            at = from_text(starts_at)
            assert at.astimezone(zone).utcoffset() == timedelta(seconds=seconds)
            assert (at - timedelta(seconds=1)).astimezone(zone).utcoffset() == timedelta(seconds=before)
            assert from_text(local) == at + timedelta(seconds=seconds)


# Names


def test_a_name_is_the_one_at_the_time() -> None:
    """A queue that was renamed, and an agent, are called what they were called when it happened."""
    later = FIRST + timedelta(days=2)
    with closing(filled(store(), [call("c1"), call("c2", later)])) as db:
        for kind, identity in (("queue", "q1"), ("user", "u1")):
            for name, since, until in (
                ("Old", "1970-01-01T00:00:00.000Z", to_text(FIRST + timedelta(days=1))),
                ("New", to_text(FIRST + timedelta(days=1)), None),
            ):
                db.execute(
                    "INSERT INTO names (kind, id, name, valid_from, valid_to, state, seen_at)"
                    " VALUES (?, ?, ?, ?, ?, 'active', ?)",
                    (kind, identity, name, since, until, NOW),
                )
        for query in (
            "SELECT queue_name FROM queue_intervals ORDER BY interval_start",
            "SELECT user_name FROM agent_days ORDER BY day",
            "SELECT queue_name FROM queue_legs ORDER BY offered_at",
            "SELECT user_name FROM queue_legs ORDER BY offered_at",
            "SELECT user_name FROM agent_legs ORDER BY answered_at",
            "SELECT queue_name FROM wrapups ORDER BY at",
        ):
            assert [name for (name,) in db.execute(query)] == ["Old", "New"], query


# What is summed up beforehand


def sums_of(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """What is kept of each conversation for the half hours."""
    return db.execute("SELECT * FROM half_hour_rows ORDER BY id").fetchall()


def made_anew(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """The same, as the step that brought it made it of the metrics of a store that was there."""
    db.execute("DELETE FROM half_hour_rows")
    [fill] = [each for each in schema.statements("11_half_hours.sql") if "INSERT INTO half_hour_rows" in each]
    db.execute(fill)
    return sums_of(db)


@settings(max_examples=25)
@given(RECORDS, RECORDS, st.booleans())
def test_sums_that_are_kept_are_those_of_the_metrics(records: list[Record], later: list[Record], whole: bool) -> None:
    """Whatever takes the place of what: records that were read again, all or some, and everything made again."""
    with closing(filled(store(), records)) as db:
        filled(db, later if whole else later[::2])
        kept = sums_of(db)
        assert made_anew(db) == kept
        assert rebuild.step(db, 0, timedelta(0)).corrected == 0
        db.execute("UPDATE half_hour_rows SET offered = offered + 1 WHERE id >> 20 = 1")
        assert rebuild.step(db, 0, timedelta(0)).corrected == len({1 for row in kept if row[0] >> 20 == 1})
        assert sums_of(db) == kept


def test_what_no_metric_can_be_is_in_no_sum() -> None:
    """A text, a number beyond all sums, a time that is none, in a session that names no queue: the rest counts."""
    odd: list[dict[str, Any]] = [
        {"name": "tAnswered", "value": "much", "emitDate": to_text(FIRST)},
        {"name": "tAnswered", "value": 10**13, "emitDate": to_text(FIRST)},
        {"name": "tAnswered", "value": 1_000, "emitDate": to_text(FIRST)},
        {"name": "tAnswered", "value": 2_500.5, "emitDate": to_text(FIRST)},
        {"name": "tAbandon", "value": 7, "emitDate": "soon"},
        {"name": 5, "value": 7, "emitDate": to_text(FIRST)},
    ]
    with closing(filled(store(), [conversation("c1", FIRST, leg("agent", [], odd))])) as db:
        assert made_anew(db) == sums_of(db) != []
        for within, over in ((None, 0), (500, 2), (2_000, 1), (3_000, 0)):
            view_settings.write(db, {"answered_within": within})
            found = rows(db, "SELECT * FROM queue_intervals ORDER BY interval_start")
            assert [(row["interval_start"], row["queue_id"]) for row in found] == [(None, None), (to_text(FIRST), None)]
            assert [row["abandoned"] for row in found] == [1, 0]
            assert (found[1]["answered"], found[1]["answer_time"], found[1]["over_sla"]) == (4, 3_500.5, over)


# What a number rests on

IN_FUTURE = 24 * 365 * 100.0


def window(
    db: sqlite3.Connection, start: float, end: float, verdict: str, *, read: float | None = 30, ran: float | None = 30
) -> None:
    """A window of the ledger, so many hours after the first moment; read: hours after which it was read last."""
    hours = (start, end, read, ran)
    at = [None if each is None else to_text(FIRST + timedelta(hours=each)) for each in hours]
    db.execute(
        'INSERT INTO windows (start, "end", verdict, last_read_at, last_run_at) VALUES (?, ?, ?, ?, ?)',
        (at[0], at[1], verdict, at[2], at[3]),
    )


def verdict(db: sqlite3.Connection, hours: float = 10) -> str | None:
    """The verdict of the half hour in which a call was that began so many hours after the first moment."""
    [row] = rows(
        db,
        "SELECT * FROM queue_intervals WHERE offered = 1 AND interval_start = ?",
        to_text(FIRST + timedelta(hours=hours)),
    )
    found: str | None = row["verdict"]
    assert found == view_rows.verdict_of(db, row["interval_start"], row["interval_end"])
    [day] = rows(db, "SELECT verdict, starts_at, ends_at FROM agent_days JOIN local_days USING (day)")
    assert day["verdict"] == view_rows.verdict_of(db, day["starts_at"], day["ends_at"])
    return found


@pytest.mark.parametrize(
    ("ledger", "expected"),
    [
        ([(10, 10.5, "settled")], "settled"),
        ([(9, 10, "settled"), (10, 10.5, "complete")], "complete"),
        # What is missing from an earlier window may go on in this half hour.
        ([(9, 9.5, "failed"), (9.5, 10.5, "settled")], "failed"),
        ([(9, 9.5, "open"), (9.5, 10.5, "settled")], "open"),
        ([(9, 9.5, "due"), (9.5, 10.5, "settled")], "due"),
        # More than a day before, it is not looked for.
        ([(-20, -15, "failed"), (-15, 10.5, "settled")], "settled"),
        # No window at all has half of it, or some time before it.
        ([(10, 10.25, "settled")], None),
        ([(8, 9, "settled"), (9.5, 10.5, "settled")], None),
        # What was before the first window of all is proven by none of those that came after it.
        ([(10.5, 12, "settled")], None),
        ([(10.25, 12, "settled")], None),
        # Of windows that are longer than a day, too.
        ([(-40, 10.5, "settled")], "settled"),
        ([(-400, -10, "complete"), (-10, 100, "settled", 200)], "complete"),
        ([(-40, 10.25, "settled"), (10.3, 100, "settled", 200)], None),
        # A wider window that failed, of which every part is proven by itself.
        ([(9, 12, "failed"), (9, 10, "settled"), (10, 11, "settled")], "settled"),
        # A part of a wider proof that failed afterwards: the proof has not that part any more.
        ([(9, 12, "settled", 30, 30), (10, 10.5, "failed", 20, 40)], "failed"),
        # The other way round, the wider window was read again after it.
        ([(9, 12, "settled", 50, 50), (10, 10.5, "failed", 20, 40)], "settled"),
        # A read within its own time proves nothing of it.
        ([(10, 10.5, "complete", 10.2, 10.2)], "pending"),
        ([(10, 10.5, "settled"), (9, 11, "complete")], "complete"),
        # Nor does one of a clock that was years ahead, or at a time that nobody has kept.
        ([(10, 10.5, "settled", IN_FUTURE)], "pending"),
        ([(10, 10.5, "settled", None)], "pending"),
        ([(10, 10.5, "settled", IN_FUTURE), (10, 11, "complete")], "complete"),
        # It does not prove anew, either, what a failure has taken from a proof.
        ([(9, 12, "settled", 30, 30), (10, 10.5, "failed", 20, 40), (9.5, 11, "settled", IN_FUTURE)], "failed"),
        # What is read after a failure is worth what it says itself, and nothing if that is taken from it, too.
        ([(9, 12, "settled", 30, 30), (10, 10.5, "failed", 20, 40), (9.5, 11, "open", 50)], "open"),
        ([(9, 12, "settled", 30, 30), (10, 10.5, "failed", 20, 40), (9.5, 11, "complete", 50)], "complete"),
        (
            [
                (9, 12, "settled", 30, 30),
                (10, 10.25, "failed", 20, 40),
                (9.5, 11, "settled", 50),
                (10.75, 11, "failed", 20, 60),
            ],
            "failed",
        ),
        # A failure of which nobody knows when it was came after all.
        ([(9, 12, "settled", 50, 50), (10, 10.5, "failed", 20, None)], "failed"),
        ([], None),
    ],
)
def test_a_half_hour_has_the_verdict_of_what_it_rests_on(ledger: list[tuple[Any, ...]], expected: str | None) -> None:
    """The worst of the windows that its calls can have begun in; each moment by the best that is known of it."""
    with closing(filled(store(), [call(at=FIRST + timedelta(hours=10))])) as db:
        for start, end, word, *times in ledger:
            window(db, start, end, word, **dict(zip(("read", "ran"), times, strict=False)))
        assert verdict(db) == expected


@settings(max_examples=100)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 11),
            st.integers(1, 6),
            st.sampled_from(["failed", "pending", "due", "open", "complete", "settled"]),
        ),
        max_size=10,
        unique_by=lambda drawn: drawn[:2],
    ),
    st.integers(0, 11),
    st.integers(1, 6),
)
def test_a_verdict_is_the_worst_moment_by_the_best_window(
    ledger: list[tuple[int, int, str]], begins: int, long: int
) -> None:
    """Of any windows, one beside, over or within another: as it is found moment by moment, with no SQL."""
    words = ["failed", "pending", "due", "open", "complete", "settled"]
    with closing(store()) as db:
        view_settings.write(db, {"reach": 0})
        for start, hours, word in ledger:
            # A failure that came before the proofs takes nothing away from them.
            window(db, start, start + hours, word, read=40, ran=30)
        ends = begins + long
        moments = [
            max((words.index(word) for start, hours, word in ledger if start <= at < start + hours), default=-1)
            for at in range(begins, ends)
        ]
        expected = None if -1 in moments else words[min(moments)]
        times = (to_text(FIRST + timedelta(hours=hours)) for hours in (begins, ends))
        assert view_rows.verdict_of(db, *times) == expected


def test_what_goes_on_is_seen_before_the_ledger_says_so() -> None:
    """A conversation of the windows that a figure rests on has not ended: its figure is open, whatever they say."""
    with closing(filled(store(), [call(at=FIRST + timedelta(hours=10))])) as db:
        window(db, 0, 24, "settled")
        assert verdict(db) == "settled"
        for since, expected in ((11, "settled"), (3, "open")):
            db.execute(
                "INSERT INTO conversation_rows (conversation_start, provenance, first_seen_at, details_open)"
                " VALUES (?, 'both', '', 1)",
                (to_text(FIRST + timedelta(hours=since)),),
            )
            assert verdict(db) == expected
        db.execute("UPDATE conversation_rows SET followed = 'stuck' WHERE details_open = 1")
        assert verdict(db) == "settled"


def test_a_window_of_a_filter_proves_no_figure() -> None:
    """What was read for a filter says nothing of the rest, and the view counts all."""
    with closing(filled(store(), [call(at=FIRST + timedelta(hours=10))])) as db:
        window(db, 0, 24, "settled")
        db.execute("UPDATE windows SET filter = 'x'")
        assert verdict(db) is None


def test_the_reach_is_a_setting() -> None:
    """With a reach of a week, a window that failed three days before counts against a half hour."""
    with closing(filled(store(), [call(at=FIRST + timedelta(hours=100))])) as db:
        window(db, 0, 20, "failed")
        window(db, 20, 110, "settled", read=200)
        assert verdict(db, 100) == "settled"
        reach = view_settings.asked(Settings(view_reach=timedelta(days=7), explicit=frozenset({"view_reach"})))
        view_settings.write(db, reach)
        assert verdict(db, 100) == "failed"


# Plans

# What ANALYZE wrote of the sums for half hours, beside what it wrote of the other tables.
HALF_HOURS = ("half_hour_rows", "half_hour_rows_start", (3_400, 70, 2, 2))


def plan(db: sqlite3.Connection, query: str) -> str:
    """SQLite's way of answering a query."""
    return " | ".join(row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}"))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            "SELECT * FROM queue_intervals WHERE interval_start >= '2026' AND interval_start < '2027'",
            "half_hour_rows_start (interval_start>?",
        ),
        ("SELECT * FROM queue_intervals WHERE interval_start = '2026'", "half_hour_rows_start (interval_start=?"),
        (
            "SELECT * FROM agent_days WHERE day = '2026-03-28'",
            "SEARCH h USING COVERING INDEX half_hour_rows_start (interval_start>? AND interval_start<?) | CORRELATED SCALAR SUBQUERY ",
        ),
        ("SELECT * FROM local_days", "SEARCH half_hour_rows USING COVERING INDEX half_hour_rows_start"),
        ("SELECT * FROM queue_legs WHERE conversation_id = 'x'", "conversation_ids_1 (conversation_id=?)"),
        ("SELECT * FROM agent_legs WHERE conversation_id = 'x'", "conversation_ids_1 (conversation_id=?)"),
        ("SELECT * FROM mos_legs WHERE conversation_id = 'x'", "conversation_ids_1 (conversation_id=?)"),
        ("SELECT * FROM wrapups WHERE conversation_id = 'x'", "conversation_ids_1 (conversation_id=?)"),
        ("SELECT * FROM leg_metrics WHERE conversation_id = 'x'", "conversation_ids_1 (conversation_id=?)"),
        (
            "SELECT * FROM queue_legs WHERE conversation_start > '2026'",
            "conversation_rows_start (conversation_start>?)",
        ),
        (
            "SELECT * FROM agent_legs WHERE conversation_start > '2026'",
            "conversation_rows_start (conversation_start>?)",
        ),
        ("SELECT * FROM mos_legs WHERE conversation_start > '2026'", "conversation_rows_start (conversation_start>?)"),
        ("SELECT * FROM mos_calls WHERE conversation_id = 'x'", "conversation_ids_1 (conversation_id=?)"),
        ("SELECT * FROM mos_calls WHERE conversation_start > '2026'", "conversation_rows_start (conversation_start>?)"),
        ("SELECT * FROM wrapups WHERE at > '2026' AND at < '2027'", "segment_rows_start (segment_start>?"),
    ],
)
def test_a_view_is_looked_up_by_an_index(query: str, index: str) -> None:
    """Time, and a conversation's id, are found without a look at every row, whatever SQLite knows of the store."""
    for found in plans(query):
        assert index in found, found
        assert_nothing_is_scanned(found)


@pytest.mark.parametrize("read", [view_rows.agents, view_rows.figures_by_conversation])
def test_the_metrics_of_a_stretch_of_time_are_those_of_its_conversations(read: Any) -> None:
    """They have no index of their own: the sums of the half hours are found by their time, and no metric is scanned."""
    asked: list[str] = []
    with closing(store()) as db:
        db.set_trace_callback(asked.append)
        assert read(db, "2026", "2027") == []
    for found in plans(asked[0]):
        assert "COVERING INDEX half_hour_rows_start (interval_start>? AND interval_start<?)" in found, found
        assert "SEARCH m USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)" in found, found
        assert_nothing_is_scanned(found)


def plans(query: str) -> Iterator[str]:
    """SQLite's ways of answering a query: by what it knows of a small store, of a large one, or not at all."""
    with closing(store()) as db:
        db.execute("ANALYZE")
        for times in (0, 1, 300):
            db.execute("DELETE FROM sqlite_stat1")
            for table, name, (many, *others) in (*STATISTICS, HALF_HOURS) if times else ():
                says = " ".join(map(str, (many * times, *others)))
                db.execute("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", (table, name, says))
            db.execute("ANALYZE sqlite_schema")
            yield plan(db, query)


def assert_nothing_is_scanned(found: str) -> None:
    """No table with rows of conversations is looked at from its beginning to its end."""
    scanned = set(re.findall(r"SCAN (\w+)(?= \||$)", found)) - set(re.findall(r"CO-ROUTINE (\w+)", found))
    assert not scanned & {"m", "g", "s", "c", "i", "t", "p", "h", "e", "half_hour_rows"}, found
