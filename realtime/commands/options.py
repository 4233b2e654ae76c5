"""Options and help of the commands of the live side.

What does the work is imported when a command is called, so that help and a mistake in a command load nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rollbook.genesys.program import console

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


@click.command()
@click.option(
    "--db",
    "path",
    type=console.PathParam(),
    default=Path("rollbook-demo.db"),
    show_default=True,
    help="The demo's own store; the store of an earlier demo is replaced.",
)
@click.option("--seed", default=1, show_default=True, help="Another seed is another organisation.")
@click.option("--open", "is_shown", is_flag=True, help="Then show the page of what was made, until Ctrl-C.")
@console.json_option
def demo(**options: Any) -> None:
    """Capture a simulated organisation, lose some of it on purpose, reconcile, and show what was found."""
    from realtime.commands.demo import demo as work

    work(**options)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@console.settings_options
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-v", "--verbose", count=True, help="Log more.")
@click.pass_context
def run(context: click.Context, /, **options: Any) -> None:
    """Capture live and reconcile on a schedule, until stopped.

    SIGTERM and SIGINT store what was heard and end with status 0; SIGHUP reads the settings again.
    """
    from realtime.commands.run import run as work

    work(context, **options)


@click.command()
@click.option("--config", type=console.PathParam(), help="The file to write (default: rollbook.toml).")
@click.option("--region", help="The platform's region, e.g. us-east-1, or its domain.")
@click.option("--users/--no-users", default=None, help="Listen to every user too, for what passes no queue.")
@click.option("--overwrite", is_flag=True, help="Replace a settings file that is there, without a question.")
@console.json_option
def init(**options: Any) -> None:
    """Ask for region and client, try them, say what will be heard, and write the settings file.

    What the environment has (GENESYSCLOUD_REGION and the like) is not asked for, and without a terminal nothing is.
    The file is readable by you alone, and the client's id and secret are not in it. Exit status 1: a check failed.
    """
    from realtime.commands.init import init as work

    work(**options)


@click.command()
@console.settings_options
@console.json_option
def doctor(**options: Any) -> None:
    """Check settings, sign-in, permissions, divisions, topics, clock and store; say how to mend each.

    Exit status 0 if a run can start, 1 if something must be mended first, 2 if a setting cannot be read.
    """
    from realtime.commands.doctor import doctor as work

    work(**options)


def _files(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem[str]]:
    """The shell's own completion of files: a path may be an address or - as well, so it has no type that says so."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(begun, type="file")]


@click.command()
@click.argument("paths", metavar="PATH…", nargs=-1, required=True, type=console.PlaceParam(), shell_complete=_files)
@console.settings_options
@console.json_option
@console.verbose_option
def ingest(**options: Any) -> None:
    """Read events from files, folders, standard input (-) or s3://bucket/prefix.

    \b
    rollbook ingest archive/ more.ndjson.gz
    rollbook ingest s3://my-bucket/firehose/2026/08/

    EventBridge events, or their `detail` alone, as lines, arrays or one after another, gzip or not. Repeats write
    nothing. Exit status: 0 everything was read, 1 a file could not be read to its end.
    """
    from realtime.commands.ingest import ingest as work

    work(**options)


@click.group()
def dead_letters() -> None:
    """Look at what could not be understood, and try it again."""


@dead_letters.command("list", short_help="The newest first, with what was wrong with each.")
@click.option("--source", help="Only those of this source: websocket, eventbridge, sqs.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True, help="The newest so many.")
@console.settings_options
@console.json_option
def listing(**options: Any) -> None:
    """The newest first: id, when it came, by what, why it was not understood, how it begins."""
    from realtime.commands.dead_letters import listing as work

    work(**options)


@dead_letters.command()
@click.argument("number", metavar="ID", type=int)
@console.settings_options
@console.json_option
def show(**options: Any) -> None:
    """The whole payload of one."""
    from realtime.commands.dead_letters import show as work

    work(**options)


def _choice(command: Callable[..., Any]) -> Callable[..., Any]:
    command = click.option("--all", "every", is_flag=True, help="All of them.")(command)
    return click.argument("numbers", metavar="ID…", type=int, nargs=-1)(command)


@dead_letters.command(short_help="Read them again; what is understood becomes an event.")
@_choice
@console.settings_options
@console.json_option
def retry(**options: Any) -> None:
    """Read them again: what can be understood by now becomes an event, the rest stays."""
    from realtime.commands.dead_letters import retry as work

    work(**options)


@dead_letters.command()
@_choice
@console.settings_options
@console.json_option
def drop(**options: Any) -> None:
    """Delete them."""
    from realtime.commands.dead_letters import drop as work

    work(**options)


@click.command()
@click.argument("interval")
@click.option(
    "--to", "to", metavar="PLACE", required=True, type=console.PlaceParam(), help="A folder, or s3://bucket/prefix."
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["parquet", "csv", "ndjson"]),
    default="parquet",
    show_default=True,
    help="Parquet needs the extra rollbook[parquet].",
)
@click.option(
    "--table",
    "tables",
    metavar="NAME",
    multiple=True,
    help="Only this table or view, or all tables, views or bodies (may be given several times).",
)
@click.option("--settled", is_flag=True, help="Only days of which everything is settled.")
@console.settings_options
@console.json_option
def export(**options: Any) -> None:
    """Write the days of INTERVAL as files, a file for each table and day, and a manifest.

    \b
    rollbook export 2026-03-02 --to lake/
    rollbook export P7D/2026-03-09 --to s3://my-bucket/calls --settled

    INTERVAL is START/END, START/DURATION or DURATION/END, or a date; each UTC day that it touches is written whole. A
    file that is there with the same content is left alone.
    """
    from realtime.commands.export import export as work

    work(**options)
