"""How large a store is, of what, how it grows, and when its disk is full: said before it hurts."""

import logging
import shutil
import sqlite3
import threading
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from realtime.daemon.health import judge
from realtime.daemon.metrics import metrics
from realtime.daemon.size_keeper import SizeKeeper
from realtime.figures import DaemonFigures, LineFigures
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.upkeep import growth, sizes
from rollbook.store.upkeep.sizes import Sizes
from tests.helpers.whole import rollbook

AT = datetime(2026, 3, 9, 12, 0, tzinfo=UTC)
GB = 1_000_000_000
LISTENS = LineFigures(number=0, phase="listening", topics=1, details=0, connects=1, losses=0, heard_topics=1)


def at(days: float, file: int, *, unused: int = 0, free: int = 100 * GB) -> Sizes:
    """A measurement so many days before."""
    return Sizes(to_text(AT - timedelta(days=days)), file, unused, 0, free)


def test_growth_is_measured_over_a_week() -> None:
    """From the first measurement of the last seven days; the disk is full when what is free, and unused, is used up."""
    found = growth.growth(at(0, 24 * GB, unused=4 * GB, free=16 * GB), [at(30, 0), at(5, 10 * GB), at(1, 1 * GB)])
    assert found.a_day == 2 * GB
    assert found.full_in == timedelta(days=10)
    assert found.is_short
    assert found.words == (
        "24.0 GB, 4.0 GB of it unused (`rollbook compact`), 2.0 GB more a day, 16.0 GB are free, for 10 days at this rate"
    )


def test_what_lasts_for_years_is_said_in_years() -> None:
    """Nobody reads 16,000 days."""
    found = growth.growth(at(0, 1 * GB, free=36_500 * GB), [at(1, 0)])
    assert found.words.endswith(", for 100 years at this rate")


@pytest.mark.parametrize("earlier", [[], [at(0.1, 1)], [at(8, 1)]], ids=["a new store", "a few hours", "only long ago"])
def test_too_little_is_no_forecast(earlier: list[Sizes]) -> None:
    """Without a measurement of half a day to a week ago nothing is said of a rate."""
    found = growth.growth(at(0, 5 * GB), earlier)
    assert (found.a_day, found.full_in, found.is_short) == (None, None, False)
    assert found.words == "5.0 GB, 100.0 GB are free"


def test_a_store_that_does_not_grow_never_fills_the_disk() -> None:
    """Free pages that are filled again are no growth; a file that shrinks is none either."""
    found = growth.growth(at(0, 5 * GB, unused=0), [at(3, 5 * GB, unused=0)])
    assert (found.a_day, found.full_in) == (0, None)
    found = growth.growth(at(0, 5 * GB, unused=3 * GB, free=1), [at(3, 5 * GB, unused=1 * GB, free=1)])
    assert found.full_in is None
    assert not found.is_short


def test_measurements_thin_out(tmp_path: Path) -> None:
    """Each hour of the last days stays, and of days before the first; a year is some hundred rows."""
    path = tmp_path / "rollbook.db"
    Book.open(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        for hour in range(24 * 40):
            sizes.note(db, Sizes(to_text(AT + timedelta(hours=hour)), hour, 0, 0, 0))
        kept = sizes.since(db, "")
    days = Counter(row.at[:10] for row in kept)
    last = (AT + timedelta(hours=24 * 40 - 1)).date()
    for day, number in days.items():
        age = (last - datetime.fromisoformat(day).date()).days
        assert number == (1 if age > 8 else number), day
        assert number >= 12 or age > 7 or age == 0, day
    assert len(days) == 41


def test_parts_are_counted_once_a_day(tmp_path: Path) -> None:
    """Their sum is the file; between two counts the last one is shown, with its time."""
    path, stop = tmp_path / "rollbook.db", threading.Event()
    Book.open(path).close()
    first = growth.note_now(path, AT, stop=stop)
    assert first.now.parts is not None
    assert "conversation_rows" in first.now.parts
    assert abs(sum(first.now.parts.values()) - first.now.used) <= 8192
    second = growth.note_now(path, AT + timedelta(hours=1), stop=stop)
    assert (second.parts_at, second.now.parts) == (to_text(AT), first.now.parts)
    third = growth.note_now(path, AT + timedelta(days=1), stop=stop)
    assert third.parts_at == to_text(AT + timedelta(days=1))
    with Book.open(path, mode="ro"), closing(sqlite3.connect(path)) as db:
        assert [row.at for row in sizes.since(db, "")] == [to_text(AT + timedelta(hours=hours)) for hours in (0, 1, 24)]


def test_parts_of_a_store_that_was_small_are_counted_anew(tmp_path: Path) -> None:
    """A daemon counts an empty store at its first start: a day later that says nothing of what is in it now."""
    path, stop = tmp_path / "rollbook.db", threading.Event()
    Book.open(path).close()
    growth.note_now(path, AT, stop=stop)
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('', zeroblob(2000000), '', '')"
        )
    with Book.open(path, mode="ro"), closing(sqlite3.connect(path)) as db:
        assert growth.counted(db, path, AT, up_to=0).now.parts is None
        shown = growth.look(db, path, AT)
    assert shown.now.parts is not None
    assert next(iter(shown.now.parts)) == "dead_letters"
    again = growth.note_now(path, AT + timedelta(hours=1), stop=stop)
    assert again.parts_at == to_text(AT + timedelta(hours=1))


def test_an_sqlite_without_dbstat_has_no_parts() -> None:
    """Its parts are not known, and that is no error."""

    class Bare(sqlite3.Connection):
        def execute(self, sql: str, *args: object) -> sqlite3.Cursor:
            return super().execute(sql.replace("FROM dbstat", "FROM no_dbstat"), *args)  # type: ignore[arg-type]

    with closing(sqlite3.connect(":memory:", factory=Bare)) as db:
        assert sizes.parts(db) is None


async def test_the_daemon_notes_and_warns(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full in less than two weeks is a line in the log once a day; the daemon stays well."""
    path = tmp_path / "rollbook.db"
    Book.open(path).close()
    with closing(sqlite3.connect(path)) as db, db:
        sizes.note(db, Sizes(to_text(AT - timedelta(days=2)), 0, 0, 0, 0))
    usage = type(shutil.disk_usage(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - 100_000, 100_000))
    now = [AT]
    keeper = SizeKeeper(path, now=lambda: now[0])
    for _ in range(26):
        await keeper.look()
        now[0] += timedelta(hours=1)
    assert keeper.growth is not None
    assert sum("will be full soon" in record.getMessage() for record in caplog.records) == 2
    figures = DaemonFigures(lines=(LISTENS,), growth=keeper.growth)
    assert judge(figures) == ("well", [])
    values = {family.name: family.samples for family in metrics(figures)}
    assert values["rollbook_store_bytes"][0].value == path.stat().st_size
    assert values["rollbook_disk_full_seconds"][0].value < 14 * 86_400
    assert {sample.labels["part"] for sample in values["rollbook_store_part_bytes"]} >= {
        "conversation_rows",
        "event_rows",
    }


async def test_a_store_that_cannot_be_measured_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One line in the log, and the next hour is another try."""
    keeper = SizeKeeper(tmp_path / "gone.db", now=lambda: AT)
    with caplog.at_level(logging.WARNING):
        await keeper.look()
    assert "the size of the store was not noted: there is no store at" in caplog.text
    assert keeper.growth is None


@pytest.mark.process
async def test_status_and_doctor_say_it(tmp_path: Path) -> None:
    """`status` in words and as JSON, and `doctor`, each from the store alone."""
    path = tmp_path / "rollbook.db"
    Book.open(path).close()
    growth.note_now(path, datetime.now(UTC) - timedelta(days=3), stop=threading.Event())
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("UPDATE store_sizes SET bytes = 1000")
    ran = await rollbook("status", "--json", env={}, cwd=tmp_path)
    store = ran.json["store"]
    assert store["bytes"] == path.stat().st_size
    assert 0 < store["growth_a_day"] < store["bytes"]
    assert store["disk_full_at"] > "2026"
    assert "conversation_rows" in store["parts"]
    ran = await rollbook("status", env={}, cwd=tmp_path)
    assert "more a day" in ran.out
    assert "conversation_rows" in ran.out or "windows" in ran.out
    ran = await rollbook("doctor", "--json", env={}, cwd=tmp_path)
    (check,) = [check for check in ran.json["checks"] if check["name"] == "size"]
    assert check["state"] == "ok"
    assert "more a day" in check["found"]
