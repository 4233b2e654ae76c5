"""`rollbook status --watch`: what a frame says, what a pipe gets, and the terminal afterwards."""

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import sqlite3
import subprocess
import sys
import termios
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollbook.genesys.errors import StoreError
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.commands.live import frame, watch
from tests.helpers.whole import environment, until

NOW = datetime(2026, 3, 3, 12, 20, tzinfo=UTC)
SETTINGS = Settings(store_path=Path("rollbook.db"))


def add_windows(db: sqlite3.Connection, verdicts: dict[int, str]) -> None:
    """Half hours before NOW: how many half hours before → the verdict."""
    half = timedelta(minutes=30)
    for before, verdict in verdicts.items():
        start = NOW - timedelta(minutes=20) - before * half
        values = (to_text(start), to_text(start + half), to_text(start + 2 * half), verdict)
        db.execute('INSERT INTO windows (start, "end", last_read_at, verdict) VALUES (?, ?, ?, ?)', values)


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    """A store with 200 windows, one of them failed and one missing."""
    with Book.open(tmp_path / "rollbook.db", organization=("o", "Acme")) as opened:
        verdicts = dict.fromkeys(range(1, 202), "settled") | {3: "failed", 2: "open"}
        del verdicts[9]
        opened.write(add_windows, verdicts).result()
        yield opened


def texts(lines: list[frame.Line]) -> list[str]:
    """The lines without their styles."""
    return ["".join(text for text, _ in line) for line in lines]


@pytest.mark.parametrize("plain", [True, False])
def test_a_frame_begins_with_the_sentence_and_shows_the_worst(book: Book, plain: bool) -> None:
    """The sentence of `status --json`, then bands in which a failed and a missing window show, in 80 columns."""
    settings = Settings(store_path=book.path)
    picture = book.read_now(frame.look, settings, NOW)
    shown = texts(frame.frame(picture, None, height=200, plain=plain))
    assert " ".join(shown).startswith(picture.found["sentence"])
    assert max(map(len, shown)) <= 80
    day = next(line for line in shown if line.startswith("24 hours"))[16:]
    assert (len(day), day.count("X"), day.count("?")) == (48, 1, 1)
    whole = next(line for line in shown if line.startswith("all time"))[16:]
    assert ("X" in whole, len(whole) <= 64) == (True, True)
    legend = next(line for line in shown if "settled" in line and "failed" in line)
    assert {"X failed", "? no window"} <= {word.strip() for word in legend.split("  ")}
    if plain:
        assert "".join(shown[: shown.index(legend) + 1]).isascii()


def test_a_frame_is_no_higher_than_the_terminal(book: Book) -> None:
    """What does not fit is counted on the last line; the rate of events is that between two looks."""
    settings = Settings(store_path=book.path)
    before = book.read_now(frame.look, settings, NOW - timedelta(seconds=2))
    after = book.read_now(frame.look, settings, NOW)
    after.found["capture"]["since"] = to_text(NOW)
    after.found["capture"]["events"] = before.found["capture"]["events"] + 5
    whole = texts(frame.frame(after, before, height=200, plain=True))
    assert [line.strip() for line in whole if "a second now" in line] == ["2.5 a second now"]
    cut = texts(frame.frame(after, before, height=14, plain=True))
    assert (len(cut), cut[:13]) == (14, whole[:13])
    assert cut[-1].startswith(f"{len(whole) - 13} more lines")


def test_a_store_without_windows_has_no_bands(tmp_path: Path) -> None:
    """It says so."""
    with Book.open(tmp_path / "rollbook.db") as book:
        picture = book.read_now(frame.look, Settings(store_path=book.path), NOW)
    assert "no window yet" in " ".join(texts(frame.frame(picture, None, height=50, plain=True)))


def test_frames_are_at_most_four_a_second() -> None:
    """A frame follows a rest, which is a quarter of a second at least."""
    assert watch.EVERY >= 0.25


@pytest.mark.parametrize("as_json", [False, True])
async def test_a_pipe_gets_a_line_for_each_change(
    book: Book, as_json: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Looks that find the same say nothing; another state of the store is another line."""
    monkeypatch.setattr(watch, "EVERY", 0.0)
    monkeypatch.setattr(watch, "_REST", 0)
    looks = 0
    look = frame.look

    def counted(db: sqlite3.Connection, settings: Settings, now: datetime) -> frame.Picture:
        nonlocal looks
        looks += 1
        return look(db, settings, now)

    monkeypatch.setattr(frame, "look", counted)
    lines: list[str] = []

    def are_there(count: int) -> bool:
        lines.extend(capsys.readouterr().out.splitlines())
        return len(lines) >= count

    watching = asyncio.create_task(watch.watch(Settings(store_path=book.path), as_json=as_json))
    await until(lambda: are_there(1))
    after = looks + 3
    await until(lambda: looks >= after)
    await asyncio.wrap_future(book.write(lambda db: db.execute("UPDATE windows SET verdict = 'complete'")))
    await until(lambda: are_there(2))
    watching.cancel()
    sentences = [json.loads(line)["sentence"] if as_json else line for line in lines]
    assert len(set(sentences)) == len(sentences) == 2


async def test_a_file_that_is_gone_is_not_shown_on(tmp_path: Path) -> None:
    """What a deleted file says is of the past: the watch ends with a line about it, and shows nothing as of now."""
    path = tmp_path / "rollbook.db"
    async with await asyncio.to_thread(Book.open, path):
        watch.must_be_there_yet(path, watch.file_number(path))
        opened = watch.file_number(path)
    path.rename(tmp_path / "old.db")
    with pytest.raises(StoreError, match="is gone, or another file"):
        watch.must_be_there_yet(path, opened)
    async with await asyncio.to_thread(Book.open, path):
        pass
    with pytest.raises(StoreError, match="is gone, or another file"):
        watch.must_be_there_yet(path, opened)


async def screen_after(path: Path, number: int, **env: str) -> tuple[int, bytes, list[object], list[object]]:
    """Watch on a terminal until a frame is there, send a signal: status, what was written, the terminal's settings."""
    main, side = pty.openpty()
    before = termios.tcgetattr(side)
    process = subprocess.Popen(
        [sys.executable, "-m", "rollbook", "status", "--watch", "--db", str(path)],
        stdin=side,
        stdout=side,
        stderr=side,
        env=environment({"TERM": "xterm", "COLUMNS": "80", "LINES": "30", **env}),
    )
    try:
        os.set_blocking(main, False)
        written = b""

        def is_shown() -> bool:
            nonlocal written
            with contextlib.suppress(BlockingIOError):
                written += os.read(main, 65536)
            return b"all time" in written

        await until(is_shown)
        process.send_signal(number)
        await until(lambda: process.poll() is not None)
        is_shown()
        return process.returncode, written, before, termios.tcgetattr(side)
    finally:
        process.kill()
        process.wait()
        os.close(main)
        os.close(side)


@pytest.mark.process
@pytest.mark.parametrize(("number", "no_color"), [(signal.SIGINT, ""), (signal.SIGTERM, "1")])
async def test_a_signal_gives_the_terminal_back(book: Book, number: int, no_color: str) -> None:
    """Status 0; the screen of its own is left, the cursor is there, nothing is written after that.

    Colours are there, and with NO_COLOR none.
    """
    status, written, before, after = await screen_after(book.path, number, NO_COLOR=no_color)
    assert bool(re.search(rb"\x1b\[[0-9;]*3[0-7]", written)) is not bool(no_color)
    assert status == 0, written[-300:]
    assert written.count(b"\x1b[?1049h") == written.count(b"\x1b[?1049l") == 1
    assert written.rfind(b"\x1b[?25h") > written.rfind(b"\x1b[?25l") >= 0
    assert written.partition(b"\x1b[?1049l")[2].strip() in (b"", b"\x1b[?25h")
    assert before == after
