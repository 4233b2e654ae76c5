"""What a start imports: help, a mistake in a command, and a function's call load nothing that they do not use."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest

from rollbook.commands import cli
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from tests.helpers.docs_pages import generator
from tests.helpers.paths import ROOT
from tests.helpers.whole import environment

EVENT = json.loads((ROOT / "tests/data/examples/eventbridge_detail_events.jsonl").read_text().splitlines()[0])
EVENT["source"] = "aws.partner/genesys.com/cloud/ORGANISATION/events"
# Of the standard library, what is slow to import: none of it is needed to print a text.
SLOW = {"asyncio", "sqlite3", "ssl", "http.client", "urllib.request"}
OURS = {"rollbook", "realtime", "reconcile"}

# Answers, for each thing that is done in turn, the modules that it brought.
PROGRAM = """
import sys
bare = set(sys.modules)
import contextlib, io, json

def new():
    global bare
    found = sorted(set(sys.modules) - bare)
    bare |= set(found)
    return found

brought = {}
for name, code in json.loads(sys.argv[1]).items():
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            exec(code, {})
        except SystemExit:
            pass
    brought[name] = new()
print(json.dumps(brought))
"""


def brought(steps: dict[str, str], env: dict[str, str] | None = None) -> dict[str, list[str]]:
    """Step → the modules that it is the first to import, in a new process that does one step after the other."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(steps)],
        capture_output=True,
        text=True,
        check=False,
        env=env or environment({}),
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, list[str]] = json.loads(ran.stdout)
    return found


def foreign(modules: list[str]) -> set[str]:
    """The packages among these that are neither ours nor Python's."""
    packages = {name.partition(".")[0] for name in modules}
    return packages - OURS - set(sys.stdlib_module_names)


def typed(*words: str, entry: str = "main") -> str:
    """A program that does what these words do when they are typed."""
    return f"import sys\nsys.argv = {['rollbook', *words]!r}\nfrom rollbook.commands import {entry}\n{entry}()"


def assert_light(steps: dict[str, str]) -> None:
    """Nothing but click comes with these, and nothing that is slow."""
    found = brought(steps)
    assert {name for modules in found.values() for name in modules} & {"click", "rollbook.commands"}
    assert {name: foreign(modules) - {"click"} for name, modules in found.items()} == {name: set() for name in steps}
    assert {name: SLOW & set(modules) for name, modules in found.items()} == {name: set() for name in steps}


def test_help_loads_nothing_but_the_words_of_the_commands() -> None:
    """No command's help, and not that of all of them, imports a library that only the command's work needs."""
    every = [words[1:] for words, _ in generator().commands()]
    assert [] in every
    assert len(every) > 15
    assert_light({" ".join(words): typed(*words, "--help") for words in every})


@pytest.mark.parametrize("module", ["rollbook", "realtime", "reconcile"])
def test_help_of_a_module_is_as_light(module: str) -> None:
    """`python -m` of each program, asked for help, imports as little."""
    code = f"import runpy, sys\nsys.argv = ['', '--help']\nrunpy.run_module({module!r}, run_name='__main__')"
    assert_light({module: code})


def test_reconcile_by_its_own_name_is_as_light() -> None:
    """The command `reconcile`, asked for help, imports as little."""
    assert_light({"reconcile": typed("--help", entry="reconcile_main")})


def test_a_mistake_in_a_command_is_as_light() -> None:
    """The version, and a command or an option that there is not, import nothing of the work."""
    mistakes = [["--version"], ["nothing"], ["status", "--nothing"], ["reconcile", "--via", "nothing"], ["verify"]]
    assert_light({" ".join(words): typed(*words) for words in mistakes})


def test_a_command_is_called_by_what_help_declared(tmp_path: Path) -> None:
    """The same steps bring what they need once a command works: these tests can fail."""
    found = brought({"status": typed("status", "--db", str(tmp_path / "nothing.db"))})
    assert "sqlite3" in found["status"]


def test_a_command_has_the_line_that_stands_beside_it() -> None:
    """The line of a command in `rollbook --help` is its own short help, which shells show that complete words."""
    context = click.Context(cli, info_name="rollbook", terminal_width=200, max_content_width=200)
    listed = cli.get_help(context).partition("Commands:\n")[2]
    shown = dict(line.split(maxsplit=1) for line in listed.splitlines())
    assert list(shown) == cli.list_commands(context)
    commands = {name: cli.get_command(context, name) for name in shown}
    assert {name: command and command.get_short_help_str(limit=200) for name, command in commands.items()} == shown


# Work, in a function on AWS and by hand

HEAVY = {"aiohttp", "apscheduler", "boto3", "botocore", "click", "httpx", "prometheus_client", "pygments", "rich"}
HEAVY |= {"sqlite_utils", "websockets"}
START = datetime(2026, 3, 2, 10, tzinfo=UTC)
WINDOW = f"{START:%Y-%m-%dT%H:%MZ}/PT30M"
CAPTURE = f"from realtime.lambda_handler import handler\nassert handler({EVENT!r})['events_new'] == 1"
RECONCILE = f"from realtime.lambda_handler import handler\nassert handler({{'window': {WINDOW!r}}})['verdict']"


async def worked(steps: dict[str, str], folder: Path) -> dict[str, list[str]]:
    """What `brought` answers, beside an organisation with a window, and on a store that is there.

    To make or to migrate a store is done once, with the library for that.
    """
    async with Simulator(start=START, per_hour=60, rate=0) as organisation:
        organisation.clock.advance(timedelta(hours=2))
        world = organisation.world.organization
        Book.open(folder / "book.db", organization=(world["id"], world["name"])).close()
        env = environment({**organisation.env, "ROLLBOOK_DB": str(folder / "book.db")})
        # Its events are this organisation's own.
        mine = {name: code.replace("ORGANISATION", str(world["id"])) for name, code in steps.items()}
        return await asyncio.to_thread(brought, mine, env)


async def test_a_function_loads_what_its_calls_use(tmp_path: Path) -> None:
    """A cold start and a captured event load no HTTP and no loop; a call that reconciles adds these, and no more."""
    found = await worked(
        {"import": "import realtime.lambda_handler", "capture": CAPTURE, "reconcile": RECONCILE}, tmp_path
    )
    heavy = {name: HEAVY & foreign(modules) for name, modules in found.items()}
    assert heavy == {"import": set(), "capture": set(), "reconcile": {"httpx"}}
    assert not {"asyncio", "tomllib"} & {*found["import"], *found["capture"]}
    assert "asyncio" in found["reconcile"]


async def test_a_run_for_a_program_loads_no_terminal(tmp_path: Path) -> None:
    """`reconcile --json` has no bar to show, and loads nothing that draws; nor what the daemon needs."""
    found = await worked({"reconcile": typed("reconcile", "--json", "--window", WINDOW)}, tmp_path)
    assert HEAVY & foreign(found["reconcile"]) == {"httpx", "click"}
