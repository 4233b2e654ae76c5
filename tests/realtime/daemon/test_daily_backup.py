"""The daily backup of the daemon: the setting, when it is made, what is kept, and what a failure does."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from realtime.daemon.daemon import Daemon, Options
from realtime.daemon.daily_backup import BackupKeeper
from realtime.daemon.health import judge
from realtime.daemon.metrics import metrics
from realtime.daemon.systemd import Notifier
from realtime.figures import DaemonFigures, LineFigures
from rollbook.genesys.errors import SettingsError
from rollbook.genesys.program.settings import DailyBackup, load
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import schema
from rollbook.store.upkeep import backups
from tests.helpers.stand_in import StandIn

DAY = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
LISTENS = LineFigures(number=0, phase="listening", topics=1, details=0, connects=1, losses=0, heard_topics=1)


def read(folder: Path, text: str, **env: str) -> DailyBackup | None:
    """The setting of a file."""
    (folder / "rollbook.toml").write_text(text, encoding="utf-8")
    return load(env=env, cwd=folder).backup


def test_the_setting_is_a_folder_or_a_table(tmp_path: Path) -> None:
    """A folder alone keeps seven and is made at two; a table, inline or a section, says more; a variable wins."""
    assert read(tmp_path, "") is None
    assert read(tmp_path, '[store]\nbackup = "copies"\n') == DailyBackup(Path("copies"), 7, time(2, 0))
    wanted = DailyBackup(Path("copies"), 30, time(3, 30))
    assert read(tmp_path, '[store]\nbackup = { to = "copies", keep = 30, at = "03:30" }\n') == wanted
    assert read(tmp_path, '[store.backup]\nto = "copies"\nkeep = 30\nat = 03:30:00\n') == wanted
    assert read(tmp_path, "", ROLLBOOK_BACKUP="there") == DailyBackup(Path("there"), 7, time(2, 0))


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("7", "must be a folder"),
        ("{ keep = 7 }", "must be a folder"),
        ('{ to = "x", keep = 0 }', "keep must be a number between 1 and 1000"),
        ('{ to = "x", keep = true }', "keep must be a number between 1 and 1000"),
        ('{ to = "x", at = "late" }', "at must be a time of day"),
        ('{ to = "x", at = "02:00+01:00" }', "at must be a time of day"),
        ('{ to = "x", hour = 2 }', "knows to, keep and at, not 'hour'"),
    ],
)
def test_a_wrong_setting_is_named(value: str, line: str, tmp_path: Path) -> None:
    """The line names the key and what is wrong with it."""
    with pytest.raises(SettingsError, match=r"\[store\] backup") as caught:
        read(tmp_path, f"[store]\nbackup = {value}\n")
    assert line in str(caught.value)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = DAY

    def __call__(self) -> datetime:
        return self.now


def keeper(tmp_path: Path, *, keep: int = 3) -> tuple[BackupKeeper, Clock, Path]:
    """A keeper of the backups of a new store, its clock, its folder."""
    store, folder, clock = tmp_path / "rollbook.db", tmp_path / "copies", Clock()
    if not store.exists():
        Book.open(store, organization=("o1", "Example")).close()
        folder.mkdir()
    return BackupKeeper(store, DailyBackup(folder, keep, time(2, 0)), now=clock), clock, folder


async def test_a_backup_a_day_is_made_and_some_are_kept(tmp_path: Path) -> None:
    """At once where there is none, then one each day at two, whatever the number of looks; a restart makes no more."""
    looked, clock, folder = keeper(tmp_path)
    for _ in range(5 * 24 * 2):
        await looked.look()
        clock.now += timedelta(minutes=30)
    assert looked.failing is None
    made = [kept.at for kept in backups.backups_of(tmp_path / "rollbook.db", folder)]
    assert made == [datetime(2026, 3, day, 2, 0, tzinfo=UTC) for day in (5, 6, 7)]
    again, later, _ = keeper(tmp_path)
    later.now = clock.now
    await again.look()
    assert again.last == made[-1]
    assert again.age(clock.now) == (clock.now - made[-1]).total_seconds()
    assert len(list(folder.iterdir())) == 3


async def test_a_backup_that_fails_is_said_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that is not there is never made; the log has it once an hour, and a good one makes an end of it."""
    looked, clock, folder = keeper(tmp_path)
    folder.rmdir()
    for _ in range(12):
        await looked.look()
        clock.now += timedelta(minutes=5)
    failing = looked.failing
    assert failing is not None
    assert "there is no folder" in failing
    assert not folder.exists()
    assert looked.age(clock.now) is None
    assert sum("no backup was made" in record.getMessage() for record in caplog.records) == 1
    folder.mkdir()
    await looked.look()
    assert looked.failing is None
    assert looked.last == clock.now


def test_health_knows_backups() -> None:
    """A failure and an old backup make the daemon degraded, in words; the age is a metric."""
    well = DaemonFigures(lines=(LISTENS,), backup_ago=86_400.0)
    assert judge(well) == ("well", [])
    assert judge(replace(well, backup_ago=3 * 86_400.0)) == ("degraded", ["the last good backup is 3 days old"])
    assert judge(replace(well, backup_failing="the disk is full")) == (
        "degraded",
        ["no backup was made, will try again: the disk is full"],
    )
    values = {family.name: family.samples[0].value for family in metrics(well) if family.samples}
    assert values["rollbook_last_backup_age_seconds"] == 86_400.0


@pytest.mark.parametrize("there", [True, False])
async def test_the_daemon_makes_it_and_goes_on(there: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A daemon with the setting has a backup soon; one whose folder is missing logs that, and runs on."""
    caplog.set_level(logging.INFO)
    folder = tmp_path / "copies"
    if there:
        folder.mkdir()
    async with Simulator(seed=5, per_hour=0) as organisation:
        settings: Any = replace(
            load(env=organisation.env, cwd=tmp_path),
            store_path=tmp_path / "rollbook.db",
            websocket=False,
            sqs_queue_url="http://x/events",
            backup=DailyBackup(folder, 7, time(2, 0)),
        )
        daemon = Daemon(settings, notifier=Notifier({}), options=Options(reconcile=False, queue=lambda _: StandIn()))
        task = asyncio.create_task(daemon.run())
        async with asyncio.timeout(30):
            await daemon.ready.wait()
            while (figures := await daemon.figures()).backup_ago is None and figures.backup_failing is None:
                await asyncio.sleep(0)
            daemon.stop()
            assert await task == 0
    assert (figures.backup_failing is None) is there
    if there:
        (made,) = backups.backups_of(tmp_path / "rollbook.db", folder)
        async with Book.open(made.path, mode="ro") as book:
            assert await book.read(schema.organization) is not None
    else:
        assert "no backup was made" in caplog.text
