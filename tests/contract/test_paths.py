"""Paths that people give to commands: an empty one, or a folder in the place of a file, is a mistake that is said."""

import logging
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from rollbook.commands import cli
from rollbook.genesys.program.console import PathParam, PlaceParam
from rollbook.store.book import Book


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command sets up the logs of its process, which is that of other tests here."""
    yield
    for name in ("rollbook", "reconcile", "realtime"):
        logging.getLogger(name).setLevel(logging.NOTSET)


# The simulator imports nothing of ours, and reads what it is given at once.
_ITS_OWN = ("simulate",)


def _commands(command: click.Command, name: str = "") -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        with click.Context(command) as context:
            for word in command.list_commands(context):
                found = command.get_command(context, word)
                assert found is not None
                yield from _commands(found, f"{name} {word}".strip())
    else:
        yield name, command


COMMANDS = dict(_commands(cli))
PATHS = [
    (name, param)
    for name, command in COMMANDS.items()
    for param in command.params
    if isinstance(param.type, PathParam | PlaceParam)
]


def test_every_path_of_a_command_is_looked_at() -> None:
    """No command takes click's own paths, which may be empty."""
    plain = [
        (name, param.name)
        for name, command in COMMANDS.items()
        for param in command.params
        if isinstance(param.type, click.Path) and not isinstance(param.type, PathParam)
    ]
    assert [each for each in plain if each[0] not in _ITS_OWN] == []
    assert {param.name for _, param in PATHS} >= {"store_path", "config", "to", "origin", "paths", "export", "html"}


@pytest.mark.parametrize(
    ("words", "param"),
    [
        pytest.param(name.split(), param, id=f"{name}-{param.name}")
        for name, param in PATHS
        # The same two of every command.
        if param.name not in ("store_path", "config") or name in ("status", "init")
    ],
)
def test_an_empty_path_is_refused(
    words: list[str], param: click.Parameter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes of a variable that a shell does not have; it never means the folder in which somebody happens to be."""
    monkeypatch.chdir(tmp_path)
    given = [""] if isinstance(param, click.Argument) else [param.opts[0], ""]
    ran = CliRunner().invoke(cli, [*words, *given])
    said = str(ran.exception) + ran.output
    assert isinstance(ran.exception, click.BadParameter | SystemExit)
    assert "it is empty; give a path" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["forget", "--name", "Ada", "--export"],
        ["forget", "--name", "Ada", "--html"],
        ["init", "--overwrite", "--region", "us-east-1", "--config"],
        ["status", "--db"],
        ["demo", "--db"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("folder", [".", "..", "/", "folder"])
def test_a_folder_is_no_file(words: list[str], folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line says so, and nothing is written into it."""
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    Book.open("a.db").close()
    monkeypatch.setenv("ROLLBOOK_DB", "a.db")
    before = {*tmp_path.rglob("*")}
    ran = CliRunner().invoke(cli, [*words, folder])
    assert "is a folder" in ran.output
    assert ran.exit_code != 0
    assert "should not happen" not in ran.output
    assert {*tmp_path.rglob("*")} == before
