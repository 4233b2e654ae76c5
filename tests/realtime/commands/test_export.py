"""`rollbook export`: what it says, S3 as a place, and a process that is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import Result

from rollbook.commands import cli
from rollbook.store.book import Book
from tests.helpers.aws import Aws, aws, aws_server
from tests.helpers.peek import command
from tests.helpers.whole import environment
from tests.store.test_export import content, write
from tests.store.test_views import FIRST, call, filled, window

__all__ = ["aws", "aws_server"]

DAYS = "2026-03-28/P3D"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A call on each of two days, of which the first is settled."""
    path = tmp_path / "rollbook.db"
    with Book.open(path) as book:

        def fill(db: Any) -> None:
            filled(db, [call("c1", FIRST), call("c2", FIRST.replace(day=29))])
            window(db, 0, 24, "settled", read=200, ran=200)

        book.write(fill).result()
    return path


def run(store: Path, *words: str) -> Result:
    """The command on a store, in csv if nothing else is said."""
    words = words if "--format" in words else (*words, "--format", "csv")
    return command(cli, ["export", *words, "--db", str(store)], env={"COLUMNS": "80", "ROLLBOOK_CONFIG": ""})


def test_it_says_each_day_in_a_line(store: Path, tmp_path: Path) -> None:
    """What a day rests on, how much was read, how many files were new; none wider than a terminal."""
    to = str(tmp_path / "out")
    ran = run(store, DAYS, "--to", to, "--table", "tables")
    assert ran.exit_code == 0, ran.output
    lines = ran.output.splitlines()
    assert lines[0] == "2026-03-28  settled: 18 rows, 16 written"
    assert lines[1].startswith("2026-03-29  not all of it has a window: ")
    assert " ".join(" ".join(lines[3:]).split()).endswith("out: 49 files written, 0 as they were")
    assert all(len(line) <= 80 for line in lines if to not in line)
    again = json.loads(run(store, DAYS, "--to", to, "--table", "tables", "--json").output)
    assert (again["written"], again["unchanged"], again["manifest"]) == (0, 49, "manifest.json")
    assert again["days"][0] == {
        "date": "2026-03-28",
        "verdict": "settled",
        "over": True,
        "left_out": False,
        "written": 0,
        "unchanged": 16,
        "rows": 18,
        "unplaced": 0,
        "unfit": 0,
    }
    settled = run(store, DAYS, "--to", to, "--settled")
    assert "2026-03-29  not all of it has a window: left out, because not all is settled" in settled.output


def test_a_date_is_that_day(store: Path, tmp_path: Path) -> None:
    """In UTC, as every day of an export but the agents'."""
    assert run(store, "2026-03-29", "--to", str(tmp_path / "out"), "--table", "metrics").exit_code == 0
    assert list(content(tmp_path / "out")) == ["manifest.json", "metrics/date=2026-03-29/part.csv"]
    ran = run(store, "2025-01-01", "--to", str(tmp_path / "none"), "--table", "metrics")
    assert ran.output.splitlines()[0] == "the store has nothing of these days"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["yesterday", "--to", "."], "'yesterday' is not an interval"),
        ([DAYS, "--to", ".", "--table", "calls"], "--table: 'calls' is none of tables, views, bodies, conversations,"),
        ([DAYS, "--to", "s3:///x"], "s3:///x names no bucket; write s3://bucket/prefix"),
        ([DAYS, "--to", "no/such/folder"], "there is no folder no/such; make it, or choose another"),
        (["2999-01-01", "--to", "."], "has not begun yet"),
    ],
)
def test_a_mistake_is_one_line(store: Path, words: list[str], line: str) -> None:
    """It says what to write in its place."""
    ran = run(store, *words)
    assert ran.exit_code in (1, 2)
    assert line in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


def test_what_views_sets_is_in_the_views(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The days of agents are those of the time zone in the settings file, also where nothing has started since."""
    (tmp_path / "rollbook.toml").write_text('[views]\ntime_zone = "Asia/Kathmandu"\n')
    monkeypatch.chdir(tmp_path)
    with Book.open(store) as book:
        book.write(write, [call("c3", FIRST.replace(hour=22))]).result()
    words = ["export", DAYS, "--to", "out", "--format", "csv", "--table", "agent_days", "--db", str(store)]
    assert command(cli, words).exit_code == 0
    found = content(tmp_path / "out")
    assert b",2026-03-29,voice,2," in found["agent_days/date=2026-03-29/part.csv"]


# S3


def objects(bucket: str) -> dict[str, tuple[bytes, str]]:
    """Every object of a bucket: its content, and its version."""
    s3 = boto3.client("s3")
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]
    found = {key: s3.get_object(Bucket=bucket, Key=key) for key in keys}
    return {key: (each["Body"].read(), each["VersionId"]) for key, each in found.items()}


def test_s3_has_what_a_folder_has(store: Path, tmp_path: Path, aws: Aws) -> None:
    """The same files; again no object is written; a late change writes that day's alone; nothing is left here."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="lake")
    s3.put_bucket_versioning(Bucket="lake", VersioningConfiguration={"Status": "Enabled"})
    words = [DAYS, "--table", "metrics", "--table", "conversations", "--table", "names"]
    run(store, *words, "--to", str(tmp_path / "out"))
    ran = run(store, *words, "--to", "s3://lake/calls/")
    assert ran.exit_code == 0, ran.output
    found = objects("lake")
    assert {key.removeprefix("calls/"): raw for key, (raw, _) in found.items()} == content(tmp_path / "out")
    assert run(store, *words, "--to", "s3://lake/calls").exit_code == 0
    assert objects("lake") == found
    with Book.open(store) as book:
        book.write(write, [call("c2", FIRST.replace(day=29), wait=20)], "2026-06-02T00:00:00.000Z").result()
    assert run(store, *words, "--to", "s3://lake/calls").exit_code == 0
    after = objects("lake")
    assert {key.removeprefix("calls/") for key in after if after[key] != found[key]} == {
        "manifest.json",
        "metrics/date=2026-03-29/part.csv",
        "conversations/date=2026-03-29/part.csv",
    }
    assert not (tmp_path / "rollbook.db-export").exists()


def test_a_bucket_that_is_not_there_is_one_line(store: Path, aws: Aws) -> None:
    """It names the bucket, and what to look at."""
    ran = run(store, DAYS, "--to", "s3://nowhere/x", "--table", "names")
    assert ran.exit_code == 1
    assert "s3://nowhere/x" in ran.stderr
    assert "check the bucket's name" in ran.stderr
    assert len(ran.stderr.splitlines()) == 1


# A process

KILLED = """
import os, signal, sys
from rollbook.store.export.folder import Folder
put, left = Folder.put, [int(sys.argv.pop(1))]
def dying(self, *about):
    left[0] -= 1
    if left[0] < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    put(self, *about)
Folder.put = dying
from rollbook.commands import main
main()
"""


@pytest.mark.process
def test_a_killed_export_ends_equal(store: Path, tmp_path: Path) -> None:
    """kill -9 in the middle of a day leaves whole files; the next run makes of it what one run would have made."""
    words = ["export", DAYS, "--format", "csv", "--db", str(store)]
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, "30", *words, "--to", str(tmp_path / "cut")],
        env=environment({}),
        cwd=tmp_path,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    left = content(tmp_path / "cut")
    assert any(path.startswith(".export/") for path in left)
    assert run(store, DAYS, "--to", str(tmp_path / "whole")).exit_code == 0
    expected = content(tmp_path / "whole")
    there = {path: raw for path, raw in left.items() if not path.startswith(".export/")}
    assert len(there) == 30
    assert there.items() <= expected.items()
    assert run(store, DAYS, "--to", str(tmp_path / "cut")).exit_code == 0
    assert content(tmp_path / "cut") == expected
