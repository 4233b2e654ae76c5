"""How a command ends: statuses, the one line of an error, and one JSON object on standard output."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from rollbook.genesys.errors import ApiError, ConnectionLost, PermissionRefused, RollbookError, UsageError
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from tests.helpers.paths import ROOT


@pytest.fixture(autouse=True)
def _quiet_process() -> Iterator[None]:
    """What a program sets for its whole process is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def _no_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [*os.environ]:
        if name.startswith(("GENESYS", "ROLLBOOK")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def ended(work: Any, *, as_json: bool = False) -> int:
    """The exit status that a piece of work ends with."""
    with pytest.raises(SystemExit) as caught:
        console.run(work, as_json=as_json)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def raising(error: BaseException) -> Callable[[], int]:
    """Work that fails."""

    def work() -> int:
        raise error

    return work


def test_work_ends_with_its_status() -> None:
    """None is 0; a coroutine is run to its end."""

    async def three() -> int:
        return 3

    assert ended(lambda: None) == 0
    assert ended(lambda: 1) == 1
    assert ended(three()) == 3


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (UsageError("the interval is odd"), 2, "rollbook: the interval is odd"),
        (ConnectionLost("cannot reach\n  api.example.com"), 1, "rollbook: cannot reach api.example.com"),
        (RollbookError(":smile: [bold]x[/bold] é"), 1, "rollbook: :smile: [bold]x[/bold] é"),
        (ExceptionGroup("g", [ExceptionGroup("h", [ValueError("x"), UsageError("inside")])]), 2, "rollbook: inside"),
        (
            KeyError("boom"),
            1,
            "rollbook: this should not happen (KeyError: 'boom'); run it again with -v and report what it says",
        ),
    ],
)
def test_an_error_is_one_line(error: Exception, status: int, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """On standard error, nothing on standard output, and its exit status; a mistake of ours is one line too."""
    assert ended(raising(error)) == status
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"{line}\n")


def test_what_only_a_person_does_is_said_by_the_command_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """A daemon has the same line in its log and goes on by itself."""

    class Full(RollbookError):
        then = " and run it again"

    assert ended(raising(Full("free some space"))) == 1
    assert capsys.readouterr().err == "rollbook: free some space and run it again\n"
    assert ended(raising(Full("free some space")), as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == {"error": "free some space and run it again"}
    assert str(Full("free some space")) == "free some space"


def test_an_error_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json it is on standard output, and nothing else is anywhere."""
    assert ended(raising(UsageError('a "quoted" reason')), as_json=True) == 2
    out, err = capsys.readouterr()
    assert json.loads(out) == {"error": 'a "quoted" reason'}
    assert err == ""
    assert ended(raising(ValueError("x")), as_json=True) == 1
    assert "ValueError" in json.loads(capsys.readouterr().out)["error"]


def test_an_interruption_is_told_like_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C ends with 130, and with one line or one JSON object."""
    assert ended(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "rollbook: interrupted\n")
    assert ended(raising(KeyboardInterrupt()), as_json=True) == 130
    assert capsys.readouterr() == ('{"error": "interrupted"}\n', "")


def test_an_api_error_says_everything_on_its_line() -> None:
    """What to do, the status, the platform's code, what was asked, and the correlation id."""
    error = PermissionRefused(
        "give the role x:y:view",
        status=403,
        code="missing.permissions",
        correlation_id="c-1",
        method="POST",
        path="/api/v2/a",
    )
    assert str(error) == "give the role x:y:view (403 missing.permissions, POST /api/v2/a, correlation id c-1)"
    assert str(ApiError("alone")) == "alone"


@click.command()
@console.settings_options
@console.json_option
@console.verbose_option
@click.option("--count", type=int, default=1)
def example(settings: Settings, as_json: bool, count: int) -> None:
    """An example."""
    console.run(
        lambda: console.answer({"db": str(settings.store_path), "region": settings.region, "n": count}), as_json=as_json
    )


def command(*words: str, monkeypatch: pytest.MonkeyPatch, group: bool = False) -> int:
    """Run the example as a program."""
    program: click.Command = example
    if group:
        program = click.Group("rollbook", commands={"example": example})
        console.verbose_option(program)
    monkeypatch.setattr(sys, "argv", ["rollbook", *words])
    with pytest.raises(SystemExit) as caught:
        console.main(program, name="rollbook")
    assert isinstance(caught.value.code, int)
    return caught.value.code


@pytest.mark.usefixtures("_no_settings")
def test_a_command_gets_its_settings(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From its flags, which win over the environment."""
    monkeypatch.setenv("ROLLBOOK_DB", "env.db")
    assert command("--region", "eu-west-1", "--json", monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out) == {"db": "env.db", "region": "eu-west-1", "n": 1}
    assert command("--db", "flag.db", monkeypatch=monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["db"] == "flag.db"


@pytest.mark.usefixtures("_no_settings")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--region", "mars"], "unknown region 'mars'"),
        (["--nonsense"], "--nonsense"),
        (["--count", "x"], "x"),
        (["extra"], "extra"),
        (["--config", "absent.toml"], "absent.toml"),
    ],
)
def test_a_mistake_in_a_command_is_one_line_and_2(
    words: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Click's own usage errors as well as ours, as text and as JSON."""
    assert command(*words, monkeypatch=monkeypatch) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert len(err.splitlines()) == 1
    assert command(*words, "--json", monkeypatch=monkeypatch) == 2
    out, err = capsys.readouterr()
    assert said in json.loads(out)["error"]
    assert err == ""


@pytest.mark.usefixtures("_no_settings")
def test_help_and_no_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Help ends with 0; a group without a command shows its help and ends with 2."""
    assert command("--help", monkeypatch=monkeypatch) == 0
    assert "--region" in capsys.readouterr().out
    assert command(monkeypatch=monkeypatch, group=True) == 2
    assert "example" in capsys.readouterr().err
    assert command("exmaple", monkeypatch=monkeypatch, group=True) == 2
    assert "exmaple" in capsys.readouterr().err


@pytest.mark.usefixtures("_no_settings")
def test_verbose_of_the_group_holds_for_its_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`rollbook -v example` and `rollbook example -v` log alike; the libraries' addresses are never logged."""
    for words, level in (
        (["-v", "example"], logging.INFO),
        (["example", "-v"], logging.INFO),
        (["example"], logging.WARNING),
    ):
        assert command(*words, monkeypatch=monkeypatch, group=True) == 0
        assert logging.getLogger().level == level
        assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
        assert not logging.getLogger("websockets.client").isEnabledFor(logging.DEBUG)
    capsys.readouterr()


def test_a_log_line_has_its_time_in_utc(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Wherever the machine is: the times in messages are in UTC too."""
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        console.start_logging(0)
        record = logging.makeLogRecord(
            {"name": "x", "levelno": 40, "levelname": "ERROR", "msg": "said", "created": 1.25}
        )
        logging.getLogger().handle(record)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert capsys.readouterr().err == "1970-01-01T00:00:01.250Z ERROR x said\n"


def test_a_reader_that_goes_away_is_no_traceback() -> None:
    """`rollbook status | head -1` ends quietly."""
    program = "from rollbook.genesys.program import console; console.run(lambda: [console.answer('x' * 70000) for _ in range(100)] and 0)"
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(30) == 1
    assert said == ""


def test_json_of_any_text_fits_any_terminal() -> None:
    """Where standard output is no UTF-8, the answer is escaped instead of failing."""
    program = "from rollbook.genesys.program import console; console.answer({'name': 'Zoë 😀'})"
    for encoding in ("ascii", "utf-8"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONIOENCODING": encoding},
        )
        assert json.loads(done.stdout.decode(encoding)) == {"name": "Zoë 😀"}
