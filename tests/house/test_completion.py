"""Completion in a shell: what bash, zsh and fish offer is what the commands take."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import click
import pytest

from rollbook import completion
from tests.helpers.docs_pages import generator
from tests.helpers.paths import ROOT
from tests.helpers.peek import command
from tests.helpers.whole import environment

pytestmark = pytest.mark.process

# Completes the words it is called with by the function of the first word's command, as a press of the key does.
BASH = """
source "$1"; shift
compopt() { echo "by the shell: $1 $2"; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
"_$1_completion" "$1"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for PATH with the commands rollbook and reconcile, and the scripts of the shells."""
    folder = tmp_path_factory.mktemp("programs")
    for name, module in (("rollbook", "rollbook"), ("reconcile", "reconcile")):
        path = folder / name
        path.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m {module} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    for shell in ("bash", "zsh", "fish"):
        (folder / f"script.{shell}").write_text(completion.script(shell))
    return folder


def ran(programs: Path, *words: str) -> list[str]:
    """The lines that a shell answers; it finds the commands in PATH."""
    if shutil.which(words[0]) is None:
        pytest.skip(f"there is no {words[0]} here")
    env = environment({"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"})
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=env, cwd=programs)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def by_bash(programs: Path, *words: str) -> list[str]:
    """What bash offers after these words, the last of which is not finished."""
    return ran(programs, "bash", "--norc", "-c", BASH, "bash", str(programs / "script.bash"), *words)


def test_bash_offers_the_commands_and_values(programs: Path) -> None:
    """Commands of the umbrella, commands of a command, values of an option; nothing that is not there."""
    assert by_bash(programs, "rollbook", "dead-letters", "") == ["drop", "list", "retry", "show"]
    assert by_bash(programs, "rollbook", "windows", "--verdict", "se") == ["settled"]
    assert by_bash(programs, "reconcile", "--via", "") == ["query", "job", "auto"]


def test_bash_leaves_files_to_the_shell(programs: Path) -> None:
    """Where a path belongs, the shell completes it itself."""
    assert by_bash(programs, "rollbook", "ingest", "arch") == ["by the shell: -o default", ""]


def test_fish_offers_them_with_whole_lines(programs: Path) -> None:
    """With what each command does beside it, commas included."""
    offered = ran(programs, "fish", "--no-config", "-c", f"source {programs}/script.fish; complete -C 'rollbook rec'")
    assert offered == ["reconcile\tRead a window of time, or all that are due, and fill the gaps."]


def test_zsh_reads_its_script(programs: Path) -> None:
    """It has no mistake, and defines a function for each command."""
    names = "print -l ${(k)functions}"
    defined = ran(programs, "zsh", "-f", "-c", f"compdef() {{ }}; source {programs}/script.zsh; {names}")
    assert {"_rollbook_completion", "_reconcile_completion"} <= set(defined)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_command_prints_the_script(shell: str) -> None:
    """`rollbook completion SHELL` prints what is to be evaluated, and nothing else."""
    from rollbook.commands import cli

    shown = command(cli, ["completion", shell])
    assert (shown.exit_code, shown.output) == (0, completion.script(shell))
    assert command(cli, ["completion", "powershell"]).exit_code == 2


def test_every_path_is_completed_as_one() -> None:
    """Each option and argument that a file's name belongs to says so to the shell."""
    found = set()
    for words, each in generator().commands():
        context = click.Context(each, info_name=words[-1])
        for parameter in each.params:
            kinds = {item.type for item in parameter.shell_complete(context, "")}
            shown = parameter.make_metavar(context).strip("[]…")
            if shown in ("FILE", "PATH", "FROM", "TO"):
                assert kinds == {"file"}, (words, parameter.name)
                found.add(shown)
    assert found == {"FILE", "PATH", "FROM", "TO"}
