"""`rollbook report`: the views as tables, JSON and CSV, added up by what is asked for."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from rollbook.commands import cli
from rollbook.store.book import Book
from rollbook.store.views import reports, view_settings
from tests.helpers.peek import command
from tests.store.test_views import FIRST, call, conversation, filled, leg, metric, rows, segment, window

HOUR = timedelta(hours=1)
DAY = "2026-03-28T00:00Z/P1D"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A day with two queues, two agents, an abandon, a flow-out and a call that was measured; half of it is proven."""
    path = tmp_path / "rollbook.db"
    measured = call("m1", FIRST + 3 * HOUR)
    sessions = [participant["sessions"][0] for participant in measured["participants"]]
    for session, mos, edge in zip(sessions, (4.4, 2.8), ("e1", "e2"), strict=True):
        stats = {
            "eventTime": "2026-03-28T03:02:00.000Z",
            "minMos": mos,
            "minRFactor": 20 * mos,
            "codecs": ["audio/opus"],
        }
        session |= {"edgeId": edge, "mediaEndpointStats": [stats | {"receivedPackets": 100, "discardedPackets": 5}]}
    records = [
        measured | {"mediaStatsMinConversationMos": 2.8},
        *(call(f"c{at}", FIRST + at * HOUR, user=f"u{at % 2}", queue=f"q{at % 2}") for at in range(2, 14)),
        call("a1", FIRST + HOUR, end="abandoned"),
        call("f1", FIRST + HOUR, end="flow_out"),
    ]
    with Book.open(path) as book:

        def fill(db: Any) -> None:
            filled(db, records)
            window(db, 0, 12, "settled")
            for kind, identity, name in (("queue", "q1", "Sales"), ("user", "u1", "Ann"), ("edge", "e2", "Attic")):
                db.execute(
                    "INSERT INTO names (kind, id, name, valid_from, state, seen_at)"
                    " VALUES (?, ?, ?, '1970-01-01T00:00:00.000Z', 'active', '2026-03-01T00:00:00.000Z')",
                    (kind, identity, name),
                )

        book.write(fill).result()
    return path


def run(path: Path, *words: str, config: str = "") -> Result:
    """A report on the store."""
    return command(cli, ["report", *words, "--db", str(path)], env={"ROLLBOOK_CONFIG": config, "COLUMNS": "80"})


def answer_of(path: Path, *words: str) -> Any:
    """Its one JSON object."""
    ran = run(path, *words, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.output)


def fits(text: str) -> list[str]:
    """The lines, none wider than a terminal."""
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines), text
    return lines


def test_queues_are_added_up_by_what_is_asked_for(store: Path) -> None:
    """A share is made anew from the sums; a row has the worst verdict of its half hours; names stand for ids."""
    found = answer_of(store, "queues", DAY, "--by", "queue")
    assert found["by"] == ["queue"]
    assert found["verdict"] is None
    rows = {row["queue_id"]: row for row in found["rows"]}
    assert rows.keys() == {"q0", "q1"}
    sales = rows["q1"]
    assert sales["queue_name"] == "Sales"
    assert (sales["offered"], sales["answered"], sales["abandoned"], sales["flow_outs"]) == (9, 7, 1, 1)
    assert sales["service_level"] == pytest.approx(7 / 8)
    assert (sales["asa"], sales["aht"], sales["verdict"]) == (10_000, 90_000, None)
    by_hour = answer_of(store, "queues", DAY, "--by", "hour", "--by", "media")["rows"]
    assert [row["hour"] for row in by_hour] == [f"2026-03-28T{hour:02}:00:00.000Z" for hour in range(1, 14)]
    assert [row["verdict"] for row in by_hour] == ["settled"] * 11 + [None] * 2
    assert sum(row["answered"] for row in by_hour) == 13
    [day] = answer_of(store, "queues", "2026-03-28T00:00Z/PT12H", "--by", "day")["rows"]
    assert (day["day"], day["verdict"]) == ("2026-03-28", "settled")
    lines = fits(run(store, "queues", DAY).output)
    assert lines[0] == "2026-03-28T00:00Z to 2026-03-29T00:00Z: not all of it has a window"
    assert lines[1].split() == ["queue", "media", "offered", "answ", "aband", "SL", "ASA", "AHT", "verdict"]
    assert [line.split()[:6] for line in lines[2:]] == [
        ["Sales", "voice", "9", "7", "1", "87.5%"],
        ["q0", "voice", "6", "6", "0", "100.0%"],
    ]


def test_agents_by_day_are_those_of_local_days(store: Path) -> None:
    """The day of the time zone that is set; a call whose work ends after midnight counts in both."""
    wanted = {"time_zone": "Asia/Kathmandu"}  # its day begins at 18:15 UTC
    late = datetime(2026, 3, 28, 18, 14, tzinfo=UTC)
    with Book.open(store) as book:
        book.write(view_settings.write, wanted).result()
        book.write(filled, [call("late", late, user="u9")]).result()
    rows = answer_of(store, "agents", "2026-03-27T00:00Z/P3D", "--by", "day", "--by", "agent")["rows"]
    found = {(row["day"], row["user_id"]): (row["answered"], row["handled"]) for row in rows}
    assert found == {
        ("2026-03-28", "u0"): (6, 6),
        ("2026-03-28", "u1"): (7, 7),
        ("2026-03-28", "u9"): (1, 0),
        ("2026-03-29", "u9"): (0, 1),
    }
    [theirs] = [row for row in answer_of(store, "agents", "2026-03-29")["rows"] if row["user_id"] == "u9"]
    assert (theirs["answered"], theirs["handled"], theirs["aht"]) == (0, 1, 90_000)
    assert fits(run(store, "agents", "2026-03-28").output)[2].split()[0] == "Ann"


def test_wrap_ups_are_counted_by_code(store: Path) -> None:
    """How often, in how many conversations, and how long they took."""
    [row] = answer_of(store, "wrapups", DAY)["rows"]
    assert row == {
        "wrap_up_code": "w1",
        "wrap_up_name": "w1",
        "wrapups": 13,
        "conversations": 13,
        "duration": 390_000,
        "average": 30_000.0,
    }
    assert len(answer_of(store, "wrapups", DAY, "--by", "agent", "--by", "queue")["rows"]) == 2
    assert "0:30" in fits(run(store, "wrapups", DAY).output)[2]


def test_the_worst_leg_comes_first(store: Path) -> None:
    """By edge, with its name; the shares below 3.5 and 4.3; how many of the calls have a MOS at all."""
    found = answer_of(store, "mos", DAY, "--by", "edge")
    assert (found["calls"], found["measured"]) == (15, 1)
    assert [(row["edge_id"], row["edge_name"], row["poor"], row["below_good"]) for row in found["rows"]] == [
        ("e2", "Attic", 1.0, 1.0),
        ("e1", None, 0.0, 0.0),
    ]
    assert found["rows"][0]["late_share"] == pytest.approx(0.05)
    assert found["worst_legs"][0]["purpose"] == "agent"
    lines = fits(run(store, "mos", DAY, "--by", "edge").output)
    assert "1 of 15 calls that began then have a MOS (6.7%)" in lines
    assert "MOS: median 2.80, lowest 2.80; R factor: median 56.00, lowest 56.00" in lines
    head = next(number for number, line in enumerate(lines) if line.split()[:1] == ["edge"])
    assert lines[head + 1].split()[:6] == ["Attic", "1", "1", "1", "100.0%", "100.0%"]
    assert lines[-1] == "  m1 2.80 agent Ann, Attic, opus"


def test_csv_has_the_columns_of_json(store: Path) -> None:
    """A line for the columns, and a line a row."""
    ran = run(store, "queues", DAY, "--csv")
    rows = list(csv.DictReader(io.StringIO(ran.output)))
    expected = answer_of(store, "queues", DAY)["rows"]
    assert [{name: str(value if value is not None else "") for name, value in row.items()} for row in expected] == rows


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("queues", "2026-03-28T00:10Z/PT1H"), ":00 and :30"),
        (("queues", "yesterday"), "is not an interval"),
        (("agents", "2026-02-30"), "is no day"),
        (("queues", DAY, "--json", "--csv"), "either --json or --csv"),
    ],
)
def test_a_mistake_is_one_line(store: Path, words: tuple[str, ...], says: str) -> None:
    """With exit status 2."""
    ran = run(store, *words)
    assert ran.exit_code == 2
    assert says in ran.output
    assert len(ran.output.splitlines()) == 1


def test_nothing_is_said_to_be_nothing(store: Path) -> None:
    """No row, in words and as JSON."""
    assert "nothing was counted there" in run(store, "queues", "2026-01-01").output
    assert answer_of(store, "agents", "2026-01-01")["rows"] == []
    assert run(store, "wrapups", "2026-01-01", "--csv").output == ""


def test_what_the_settings_say_is_kept_for_the_views(store: Path, tmp_path: Path) -> None:
    """[views] of the file that a report is made with goes into the store; what is not set there stays."""
    config = tmp_path / "other.toml"
    config.write_text('[views]\ntime_zone = "Europe/Berlin"\ninclude_flow_outs = true\n')
    ran = run(store, "queues", "2026-03-29", "--json", config=str(config))
    found = json.loads(ran.output)
    assert found["time_zone"] == "Europe/Berlin"
    assert found["interval"] == {"start": "2026-03-28T23:00:00.000Z", "end": "2026-03-29T22:00:00.000Z"}
    again = answer_of(store, "queues", DAY, "--by", "queue")
    assert again["time_zone"] == "Europe/Berlin"
    assert [row["service_level"] for row in again["rows"]] == [pytest.approx(7 / 9), 1.0]
    config.write_text('[views]\ntime_zone = "Europe/Nowhere"\n')
    refused = run(store, "queues", DAY, config=str(config))
    assert refused.exit_code == 2
    assert "Europe/Nowhere" in refused.output


def test_durations_and_shares_are_read_by_people() -> None:
    """Hours only where there are some; nothing counted is no zero."""
    assert [reports.duration(value) for value in (0, 59_600, 3_661_000, None)] == ["0:00", "1:00", "1:01:01", "–"]
    assert [reports.percent(value) for value in (0.875, None)] == ["87.5%", "–"]
    assert reports.worst([]) is None
    assert reports.worst(["settled", "complete"]) == "complete"
    assert reports.worst(["settled", None]) is None


def test_a_wrap_up_that_goes_on_has_no_duration(tmp_path: Path) -> None:
    """It is counted, and takes no part in the average."""
    at = FIRST + HOUR
    segments = [segment("wrapup", at, 40, wrapUpCode="w1"), segment("wrapup", at, None, wrapUpCode="w1")]
    with Book.open(tmp_path / "rollbook.db") as book:
        book.write(filled, [conversation("c1", at, leg("agent", segments, [metric("tAcw", at)], "u1"))]).result()
    [row] = answer_of(tmp_path / "rollbook.db", "wrapups", DAY)["rows"]
    assert (row["wrapups"], row["conversations"], row["average"]) == (2, 1, 40_000.0)


def test_a_broken_record_stops_no_view_and_no_report(store: Path) -> None:
    """Anything may stand where a time or a number belongs: what can be counted is, and the others' figures stay."""
    names = ("queue_intervals", "agent_days", "queue_legs", "agent_legs", "wrapups", "mos_legs", "leg_metrics")
    reported = [("queues", "hour"), ("agents", "day"), ("wrapups", "hour"), ("mos", "hour")]
    before = {what: answer_of(store, what, DAY, "--by", by)["rows"] for what, by in reported}
    impossible, words = "2026-13-45T99:99:99.000Z", "soon"
    broken = call("broken", FIRST + HOUR)
    for participant in broken["participants"]:
        session = participant["sessions"][0]
        for at, time in enumerate((impossible, words, "2026-03-28T1x:00:00.000Z", None)):
            many = [
                {"name": name, "value": value, "emitDate": time}
                for name in ("tHandle", "nOffered", "tAcw")
                for value in (2**63 - 1, 2**63 - 1, "much", None, [1], 2.5, -1)
            ]
            session["metrics"] = session["metrics"] * (at == 0) + many + session["metrics"] * (at > 0)
        session["segments"] += [
            {"segmentType": "wrapup", "segmentStart": time, "segmentEnd": words, "queueId": 7, "wrapUpCode": ["x"]}
            for time in (impossible, words, "2026-03-28T1x:00:00.000Z", None)
        ]
        session["mediaEndpointStats"] = [
            {"eventTime": "2026-03-28T03:02:00.000Z", "minMos": mos, "minRFactor": "good", "codecs": codecs}
            for mos, codecs in (("high", {"a": 1}), (None, "audio"), ([3], None))
        ]
        session["metrics"].append(metric("tTalkComplete", FIRST + HOUR, 2**63 - 1))
        session["metrics"].append(metric("tTalkComplete", FIRST + HOUR, 2**63 - 1))
    with Book.open(store) as book:
        book.write(filled, [broken]).result()
        for name in names:
            assert book.read_now(rows, f"SELECT * FROM {name}")
    after = {what: answer_of(store, what, DAY, "--by", by)["rows"] for what, by in reported}
    assert after["mos"] == before["mos"]
    assert [row for row in after["queues"] if row["hour"] and row["hour"] > "2026-03-28T02"] == [
        row for row in before["queues"] if row["hour"] > "2026-03-28T02"
    ]
    assert after["agents"][0]["answered"] == before["agents"][0]["answered"] + 1
