"""The umbrella command: puts the rooms' commands together, and imports a room only when its command is called.

A room's `commands/options.py` is imported first, which is enough for help; it imports the work when that is to be done.
"""

from __future__ import annotations

import importlib
from typing import Final, NoReturn

import click

from rollbook.genesys.program import console

# command → (module, its click command, what it does in a line)
_COMMANDS: Final = {
    "demo": ("realtime.commands.options", "demo", "Capture a simulated organisation, lose some of it, find it again."),
    "init": ("realtime.commands.options", "init", "Ask for region and client, try them, write the settings file."),
    "run": ("realtime.commands.options", "run", "Listen, and reconcile what has closed: the daemon."),
    "reconcile": (
        "reconcile.commands.options",
        "reconcile",
        "Read a window of time, or all that are due, and fill the gaps.",
    ),
    "status": ("rollbook.store.commands.options", "status", "Say how capture, coverage and the windows stand."),
    "windows": ("rollbook.store.commands.options", "windows", "List the windows, by verdict or date."),
    "window": ("rollbook.store.commands.options", "window", "Show a window's proof: every run over it."),
    "gaps": ("rollbook.store.commands.options", "gaps", "List what capture missed or had wrong, and why."),
    "events": ("rollbook.store.commands.options", "events", "List notifications as they came, oldest first."),
    "tail": ("rollbook.store.commands.options", "tail", "Show notifications as they come, with names."),
    "show": ("rollbook.page.commands.options", "show", "Show a conversation's whole life."),
    "page": ("rollbook.page.commands.options", "page", "Show the store to a browser, without a daemon."),
    "browse": ("rollbook.store.commands.options", "browse", "Show the store in a browser, by Datasette."),
    "report": (
        "rollbook.store.commands.options",
        "report",
        "Show queues, agents, wrap-ups or call quality as a table.",
    ),
    "ready": (
        "reconcile.commands.options",
        "ready",
        "Say whether an interval is all proven: a gate for what builds on it.",
    ),
    "verify": ("reconcile.commands.options", "verify", "Hold the platform's own counts against what is stored."),
    "names": ("reconcile.commands.options", "names", "Say what ids are called, now and earlier; list them again."),
    "export": ("realtime.commands.options", "export", "Write tables and views as files by day, with a manifest."),
    "rebuild": ("rollbook.store.commands.options", "rebuild", "Make all rows again from details and events."),
    "pack": ("rollbook.store.commands.options", "pack", "Pack or unpack the bodies that are stored."),
    "backup": ("rollbook.store.commands.options", "backup", "Copy the store, whole and checked, beside a daemon."),
    "restore": ("rollbook.store.commands.options", "restore", "Put a backup in the place of the store."),
    "forget": ("rollbook.page.commands.options", "forget", "Erase a person from the store, for good."),
    "retain": ("rollbook.store.commands.options", "retain", "Delete what is older than [retention] says."),
    "compact": ("rollbook.store.commands.options", "compact", "Give back to the disk what the store does not use."),
    "doctor": ("realtime.commands.options", "doctor", "Check everything that a run needs, and say how to mend it."),
    "ingest": ("realtime.commands.options", "ingest", "Read events from files or S3, as if they had been heard."),
    "dead-letters": (
        "realtime.commands.options",
        "dead_letters",
        "Look at what could not be understood; try it again.",
    ),
    "simulate": (
        "rollbook.simulator.commands.options",
        "simulate",
        "Run a local Genesys Cloud organisation to test against.",
    ),
    "completion": ("rollbook.completion", "completion", "Print what lets your shell complete these commands."),
}


class _Rooms(click.Group):
    def list_commands(self, _: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, attribute, line = _COMMANDS[name]
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        command.short_help = line  # so that a shell that completes words shows the same
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        # The lines above, so that showing help imports no room.
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in _COMMANDS.items()])


@click.command(cls=_Rooms, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="rollbook")
@console.verbose_option
def cli() -> None:
    """Every Genesys Cloud conversation, marked present: live capture, checked afterwards, in one SQLite file."""


def main() -> NoReturn:
    """The command `rollbook`."""
    console.main(cli, name="rollbook")


def reconcile_main() -> NoReturn:
    """The command `reconcile`, which is `rollbook reconcile`."""
    from reconcile.commands.options import reconcile

    console.main(reconcile, name="reconcile")
