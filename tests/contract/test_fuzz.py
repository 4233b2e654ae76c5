"""A short run of `tests/fuzz.py`: a few cases through each door, without a finding, and the judge finds what is wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import random
import sqlite3
from pathlib import Path

import pytest

from rollbook.commands import cli
from rollbook.genesys.errors import RollbookError, SettingsError
from rollbook.genesys.messages.notification import Control, parse_frame
from rollbook.genesys.messages.payloads import _pieces
from rollbook.genesys.program.settings import Settings, load
from rollbook.page.server import HttpAnswer, HttpRequest, HttpRoute, HttpServer
from rollbook.store.book import Book
from rollbook.store.export.manifest import Manifest
from rollbook.store.file.errors import StoreDamaged
from tests.fuzz import DOORS, fuzz
from tests.fuzzing.judge import SECRET, Hang, Judge, Output
from tests.fuzzing.mutations import altered
from tests.helpers.hostile import hostile_texts
from tests.helpers.peek import command


def test_no_door_has_a_finding() -> None:
    """Every door takes cases, the first of which are the same each time."""
    done, findings = fuzz(list(DOORS), seed=1, seconds=0, turn=0.05)
    assert [str(finding) for finding in findings] == []
    assert all(done.values()), done


def _raise(error: BaseException) -> Output:
    raise error


def _log() -> Output:
    try:
        raise ValueError("x")
    except ValueError:
        logging.getLogger("rollbook").exception("it failed")
    return Output()


@pytest.mark.parametrize(
    ("put", "why"),
    [
        (lambda: _raise(KeyError("x")), "KeyError"),
        (lambda: _raise(Hang("it took more than 10 s")), "it took more"),
        (lambda: _raise(RollbookError(f"the secret is {SECRET}")), "a secret is shown"),
        (lambda: Output(["a \x1b[2J b"]), "active text"),
        (lambda: Output(pages=["<p><script>alert(1)</script>"]), "markup"),
        (_log, "a traceback in the log"),
    ],
)
def test_the_judge_finds_what_is_wrong(put: object, why: str) -> None:
    """Each kind of a finding is seen; an error that is foreseen is none."""
    judge = Judge()
    with judge.at_work():
        found = judge.watch(put, (RollbookError,))  # type: ignore[arg-type]
        assert judge.watch(lambda: _raise(RollbookError("no")), (RollbookError,)) == []
    assert any(why in each for each in found), found


def test_a_case_is_made_of_its_seed_alone() -> None:
    """The same seed alters an example alike, another one otherwise; what comes out is mostly another text."""
    example = b'{"topicName": "v2.a", "eventBody": {"id": 1}}'
    made = [altered(example, random.Random(number), [example]) for number in range(200)]
    assert made == [altered(example, random.Random(number), [example]) for number in range(200)]
    assert len(set(made)) > 150
    assert len(set(hostile_texts(1_000))) == 1_000


# What the fuzz run has found: each was an exception that nobody foresaw, a secret in an error, or a flood of the log


@pytest.mark.parametrize("topic", ["channel.metadata.x", "channel.metadatax", "v2.system.", "v2.subscription.updated"])
def test_a_topic_that_only_begins_like_a_control_message_is_read(topic: str) -> None:
    """A name with fewer parts than the platform's is a message about the channel all the same."""
    frame = json.dumps({"topicName": topic, "eventBody": {}})
    assert isinstance(parse_frame(frame, source="websocket", received_at="2026-03-02T10:00:00.000Z"), Control)


@pytest.mark.parametrize("text", ["a = " + "[" * 5_000, "a = " + "9" * 5_000, "a = {" * 2_000])
def test_a_settings_file_that_cannot_be_decoded_is_an_error_of_a_line(text: str, tmp_path: Path) -> None:
    """Nested too deep, or a number of thousands of digits."""
    path = tmp_path / "rollbook.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(SettingsError, match="is no TOML"):
        load(env={}, cwd=tmp_path)


def test_no_secret_setting_is_shown_by_an_error_or_a_look() -> None:
    """A key with a letter that keys do not have, an address with a password behind a slash, a hook's words."""
    for name, value in (
        ("ROLLBOOK_PRIVACY_KEY", "the key is hüntér"),
        ("ROLLBOOK_PAGE_TOKEN", "hüntér"),
        ("GENESYSCLOUD_LOGIN_URL", "https://us/er:hüntér@login.mypurecloud.com"),
        ("GENESYSCLOUD_LOGIN_URL", "https://us/er:hunter@login.mypurecloud.com"),
    ):
        with pytest.raises(SettingsError) as error:
            load(env={name: value}, cwd=Path("/"))
        assert "hunter" not in str(error.value)
        assert "hüntér" not in str(error.value)
    assert "t0ken" not in repr(Settings(hook_command=("/bin/true", "t0ken")))


@pytest.mark.parametrize("words", [["show", "\udcff"], ["names", "a", "\udcfe"], ["dead-letters", "show", "9" * 400]])
def test_words_that_no_store_has_are_mistakes(words: list[str], tmp_path: Path) -> None:
    """Bytes that are no UTF-8, and numbers beyond 64 bits: one line, and status 2."""
    ran = command(cli, [*words, "--db", str(tmp_path / "a.db")])
    assert ran.exit_code == 2
    assert "should not happen" not in ran.output + ran.stderr


def test_a_path_that_no_system_has_is_named() -> None:
    """A name that is too long is an error of a line."""
    ran = command(cli, ["ingest", "x" * 5_000])
    assert ran.exit_code == 1
    assert "File name too long" in ran.output + ran.stderr
    assert "should not happen" not in ran.output + ran.stderr


@pytest.mark.parametrize("raw", [b"[" * 5_000, b'{"manifest": "rollbook export", "version": 1, "organization": null, "files": [{"path": 1}], "days": []}'])  # fmt: skip
def test_a_manifest_of_another_shape_is_refused(raw: bytes) -> None:
    """Nested too deep, or with a path that is no text."""
    with pytest.raises(RollbookError, match="is not the manifest of an export"):
        Manifest.read(raw, ("o", "O"), "lake/manifest.json")


def test_a_piece_that_comes_in_parts_is_cut_as_if_it_came_at_once() -> None:
    """Whatever the size of the parts; each part is looked at once."""
    lines = b'{"a":1}{"b":"}\\"{"}\n{"c":[1,{"d":2}]\nrubbish {"e":\n{"version":"0","id":1}' * 20
    whole = [piece.raw for piece in _pieces([lines])]
    for size in (1, 3, 7, 64):
        parts = [lines[at : at + size] for at in range(0, len(lines), size)]
        assert b"".join(piece.raw for piece in _pieces(parts)) == b"".join(whole)
        assert [piece.raw.strip() for piece in _pieces(parts)] == [each.strip() for each in whole]


async def test_requests_that_are_none_leave_no_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """No HTTP, half a form, a wrong header: an answer or none, and nothing is logged that anybody could fill a disk with."""
    server = HttpServer("127.0.0.1:0", [HttpRoute("/sign-in", _nothing, "POST")])
    await server.start()
    try:
        for request in (
            b"GET /\x1b\x00 HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x00",
            b"GET / HTTP/11.\r\n\r\n",
            b"POST /sign-in HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\na",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(request)
            writer.write_eof()
            with contextlib.suppress(ConnectionError):
                await reader.read()
            writer.close()
    finally:
        await server.stop()
    assert caplog.records == []


async def _nothing(_: HttpRequest) -> HttpAnswer:
    return HttpAnswer("")


def test_a_reader_that_stumbles_over_a_damaged_store_says_so(tmp_path: Path) -> None:
    """In a store that is well a mistake is ours and stays one; in a damaged one the file is to blame."""
    path = tmp_path / "a.db"
    Book.open(path).close()

    def stumbles(_: sqlite3.Connection) -> None:
        raise KeyError("participant_position")

    with Book.open(path, mode="ro") as book, pytest.raises(KeyError):
        book.read_now(stumbles)
    with contextlib.closing(sqlite3.connect(path)) as db:
        page, size = db.execute("SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'gap_rows'").fetchone()  # fmt: skip
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 100)
    with Book.open(path, mode="ro") as book, pytest.raises(StoreDamaged, match="restore a copy"):
        book.read_now(stumbles)
