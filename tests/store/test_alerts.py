"""The outbox of alerts: written with what it tells or not at all, once for each change, and bounded."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.program import settings
from rollbook.store.book import Book
from rollbook.store.tables import alerts, coverage, gaps, windows
from rollbook.store.tables.gaps import Gap
from rollbook.store.tables.schema import migrate
from rollbook.store.tables.windows import RunRecord
from rollbook.store.vocabulary import AlertKind, Verdict

FIRST = ("2026-03-02T10:00:00.000Z", "2026-03-02T10:30:00.000Z")
DAY = ("2026-03-02T00:00:00.000Z", "2026-03-03T00:00:00.000Z")
AT = "2026-03-02T10:41:00.000Z"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A new store in memory, whose hook wants everything."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection)
        alerts.want(connection, list(AlertKind))
        yield connection


def run(verdict: str, window: tuple[str, str] = FIRST, **more: Any) -> RunRecord:
    """A run over a window that ends with this verdict."""
    given: dict[str, Any] = {"as_of": AT, "filter": "", "settled": verdict == "settled"} | more
    return RunRecord(
        start=window[0],
        end=window[1],
        command="due",
        via="query",
        started_at=AT,
        finished_at=AT,
        verdict=Verdict(verdict),
        query_json="{}",
        seconds=1.0,
        **given,
    )


def waiting(db: sqlite3.Connection) -> list[tuple[str, str, dict[str, Any]]]:
    """(kind, subject, data) of the alerts that wait, in their order."""
    rows = db.execute("SELECT kind, subject, data FROM alerts ORDER BY alert_id")
    return [(kind, subject, json.loads(data)) for kind, subject, data in rows]


def kinds(db: sqlite3.Connection) -> list[str]:
    """The kinds of the alerts that wait."""
    return [kind for kind, _, _ in waiting(db)]


def test_a_window_that_fails_is_told_once(db: sqlite3.Connection) -> None:
    """Each try that fails again changes nothing; a failure after a proof is another one."""
    windows.finish(db, run("failed", reason="it moved", next_try_at="2026-03-02T10:51:00.000Z"))
    windows.finish(db, run("failed", reason="it moved again"))
    windows.finish(db, run("complete"))
    windows.finish(db, run("failed", reason="it moved", keeps_proof=True))
    assert waiting(db) == [
        (
            "window.failed",
            "/".join(FIRST),
            {
                "window": {"start": FIRST[0], "end": FIRST[1]},
                "verdict": "failed",
                "reason": "it moved",
                "next_try_at": "2026-03-02T10:51:00.000Z",
            },
        )
    ], "and a run that takes no proof is no failure of the window"
    windows.finish(db, run("failed", filter='{"endedOnly":true}'))
    windows.contradict(db, [FIRST[0]], AT)
    assert kinds(db) == ["window.failed"] * 3
    assert waiting(db)[1][2]["filter"] == '{"endedOnly":true}'
    assert waiting(db)[2][2]["was"] == "complete"
    assert "were not in the answer that proved it" in waiting(db)[2][2]["reason"]


def test_a_window_that_settles_is_told_once(db: sqlite3.Connection) -> None:
    """By a reading of its own or with a wider one; what is settled already is not settled again."""
    windows.finish(db, run("complete"))
    windows.finish(db, run("settled", DAY))
    windows.inherit(db, (*DAY, ""), [FIRST], at=AT)
    windows.inherit(db, (*DAY, ""), [FIRST], at=AT)
    windows.finish(db, run("settled"))
    assert [(kind, subject) for kind, subject, _ in waiting(db)] == [
        ("window.settled", "/".join(DAY)),
        ("window.settled", "/".join(FIRST)),
    ]


def gap(number: int, window: str = FIRST[0]) -> Gap:
    return Gap(f"c{number}", window, "missing", "disconnected", AT, AT)


def test_gaps_are_told_window_by_window(db: sqlite3.Connection) -> None:
    """One alert for the new ones of a window, with their causes; those that were found before are not told again."""
    assert gaps.add(db, [gap(1), gap(2), gap(3, DAY[0])]) == 3
    assert gaps.add(db, [gap(1), gap(2)]) == 0
    assert gaps.add(db, [gap(2), gap(4)]) == 1
    found = [(subject, data["found"], data["conversation_ids"]) for _, subject, data in waiting(db)]
    assert found == [(FIRST[0], 2, ["c1", "c2"]), (DAY[0], 1, ["c3"]), (FIRST[0], 1, ["c4"])]
    assert waiting(db)[0][2]["causes"] == [{"kind": "missing", "cause": "disconnected", "count": 2}]
    gaps.add(db, [gap(number) for number in range(1_000, 1_500)])
    assert waiting(db)[-1][2]["found"] == 500
    assert len(waiting(db)[-1][2]["conversation_ids"]) == gaps.MOST_IDS


def test_nothing_waits_that_is_not_wanted(db: sqlite3.Connection) -> None:
    """Without a hook, or of another kind; what waited of a kind that is not wanted any more is let go."""
    windows.finish(db, run("failed"))
    gaps.add(db, [gap(1)])
    assert alerts.want(db, [AlertKind.GAP_FOUND]) == 1
    windows.finish(db, run("settled"))
    assert kinds(db) == ["gap.found"]
    assert alerts.want(db, []) == 1
    assert gaps.add(db, [gap(1), gap(2)]) == 1
    assert kinds(db) == []


def test_an_alert_is_written_with_what_it_tells_or_not_at_all(tmp_path: Any) -> None:
    """A transaction that fails afterwards leaves neither the verdict nor the alert."""
    with Book.open(tmp_path / "rollbook.db") as book:
        book.write(alerts.want, list(AlertKind)).result(10)

        def breaks(connection: sqlite3.Connection) -> None:
            windows.finish(connection, run("failed"))
            raise RuntimeError("after all")

        with pytest.raises(RuntimeError):
            book.write(breaks).result(10)
        assert book.read_now(kinds) == []
        assert book.read_now(windows.find, *FIRST) is None


def test_deafness_is_told_once_for_each_time(db: sqlite3.Connection) -> None:
    """Not twice; again when it has listened in between; not where there has been a sign of listening meanwhile."""

    def look(last: str | None) -> bool:
        return alerts.add_deafness(db, last, "2026-03-02T12:00:00.000Z", began="2026-03-02T09:00:00.000Z")

    assert coverage.last_hearing(db) is None
    assert [look(None), look(None)] == [True, False], "a daemon that never came to listen"
    span = coverage.begin(db, "websocket", "1", ["v2.x"], "2026-03-02T09:10:00.000Z")
    first = coverage.last_hearing(db)
    coverage.alive(db, [span], "2026-03-02T10:00:00.000Z")
    assert [look(None), look(first)] == [False, False]
    coverage.end(db, span, "2026-03-02T10:01:00.000Z", "disconnected")
    last = coverage.last_hearing(db)
    assert last == "2026-03-02T10:01:00.000Z"
    assert [look(last), look(last)] == [True, False]
    assert [data for _, _, data in waiting(db)] == [
        {"since": "2026-03-02T09:00:00.000Z"},
        {"since": "2026-03-02T10:01:00.000Z"},
    ]


def test_the_outbox_has_a_bound(db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds no room is counted; the count is handed over with the last that was taken, and begins anew."""
    monkeypatch.setattr(alerts, "MOST", 3)
    for number in range(5):
        gaps.add(db, [gap(number)])
    assert alerts.waiting(db) == (3, 2)
    lost = []
    while heads := alerts.heads(db):
        alert = alerts.load(db, heads[0][0])
        assert alert is not None
        lost.append(alerts.taken(db, alert.event_id))
        assert alerts.load(db, heads[0][0]) is None
    assert lost == [0, 0, 2]
    assert alerts.waiting(db) == (0, 0)
    gaps.add(db, [gap(9)])
    assert alerts.waiting(db) == (1, 0)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=30))
def test_the_head_of_a_stream_is_its_oldest(steps: list[tuple[str, bool]]) -> None:
    """Whatever is written and taken in between: what may be sent is the oldest of each stream, oldest first."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db)
        alerts.want(db, list(AlertKind))
        model: list[tuple[str, int]] = []
        for number, (stream, is_new) in enumerate(steps):
            if is_new:
                alerts.add(db, AlertKind.GAP_FOUND, stream=stream, subject=stream, at=AT, data={"number": number})
                model.append((stream, number))
            elif heads := alerts.heads(db):
                alert = alerts.load(db, heads[-1][0])
                assert alert is not None
                alerts.taken(db, alert.event_id)
                model.remove((alert.stream, json.loads(alert.data)["number"]))
            expected = sorted(dict(reversed(model)).items(), key=lambda item: item[1])
            found = [alerts.load(db, alert_id) for alert_id, _ in alerts.heads(db)]
            assert [(alert.stream, json.loads(alert.data)["number"]) for alert in found if alert] == expected


def test_the_settings_know_the_same_kinds() -> None:
    """The settings' room is below the store's, and spells the kinds out."""
    assert list(settings.ALERTS) == [kind.value for kind in AlertKind]
