"""Options and help of the commands that read, or make again, what is stored.

What does the work is imported when a command is called, so that help and a mistake in a command load nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from rollbook.genesys.program import console
from rollbook.store.commands import period
from rollbook.store.vocabulary import GapKind, Verdict


@click.command()
@click.option("--watch", "is_watched", is_flag=True, help="Show it until stopped; in a pipe, a line for each change.")
@console.settings_options
@console.json_option
def status(is_watched: bool, **options: Any) -> None:
    """Say how capture, coverage and the windows stand, from the store alone."""
    if is_watched:
        from rollbook.store.commands.live.watch import status_watched as work
    else:
        from rollbook.store.commands.status import status as work

    work(**options)


@click.command()
@click.option(
    "--verdict",
    multiple=True,
    type=click.Choice([verdict.value for verdict in Verdict]),
    help="Only those (may be given several times).",
)
@period.since_option
@period.until_option
@console.settings_options
@console.json_option
def windows(**options: Any) -> None:
    """List the windows of the ledger with their verdicts and figures."""
    from rollbook.store.commands.windows import windows as work

    work(**options)


@click.command()
@click.argument("start")
@console.settings_options
@console.json_option
def window(**options: Any) -> None:
    """Show a window's proof: every run over it. START is when it begins, or an interval.

    A time inside a window shows the windows around it.
    """
    from rollbook.store.commands.windows import window as work

    work(**options)


@click.command()
@click.option("--kind", type=click.Choice([kind.value for kind in GapKind]), help="Only of this kind.")
@click.option("--cause", metavar="WORDS", help='Only with this cause, such as "disconnected".')
@click.option("--unfilled", is_flag=True, help="Only those that were not filled.")
@period.since_option
@period.until_option
@click.option("--limit", type=click.IntRange(min=1), help="The first so many.")
@console.settings_options
@console.json_option
def gaps(**options: Any) -> None:
    """List what capture missed or had wrong, and why."""
    from rollbook.store.commands.gaps import gaps as work

    work(**options)


@click.command()
@console.settings_options
@console.json_option
def rebuild(**options: Any) -> None:
    """Make all rows again from what is kept whole: from details, and live facts from events.

    On a store that is right nothing changes. Others may go on working on it meanwhile.
    """
    from rollbook.store.commands.rebuild import rebuild as work

    work(**options)


@click.command()
@click.option("--learn", is_flag=True, help="Learn a new dictionary first, and pack everything with it.")
@console.settings_options
@console.json_option
def pack(**options: Any) -> None:
    """Pack or unpack the bodies that are stored, as [store] pack says.

    Others may go on working on the store meanwhile. When it is cut short, run it again: it goes on where it was.
    """
    from rollbook.store.commands.pack import pack as work

    work(**options)


@click.command()
@click.argument("conversation_id", metavar="[ID]", required=False)
@click.option("--since", metavar="TIME", help="Received from this time on (UTC where it has no offset).")
@click.option("--topic", metavar="PATTERN", help="Only of topics like this; * stands for anything, {id} for an id.")
@click.option("--limit", type=click.IntRange(min=1), help="The first so many.")
@console.settings_options
@click.option("--json", "as_json", is_flag=True, help="Answer one JSON object a line on standard output.")
def events(**options: Any) -> None:
    """List notifications as they came, oldest first: all, or those of the conversation ID."""
    from rollbook.store.commands.events import events as work

    work(**options)


@click.command()
@click.argument("conversation_id", metavar="[ID]", required=False)
@click.option("--topic", metavar="PATTERN", help="Only of topics like this; * stands for anything, {id} for an id.")
@click.option("--last", type=click.IntRange(min=0), default=10, show_default=True, help="Begin with the last so many.")
@console.settings_options
@click.option("--json", "as_json", is_flag=True, help="Answer one JSON object a line on standard output.")
def tail(**options: Any) -> None:
    """Show notifications as they come, with names: all, or those of the conversation ID. Until stopped.

    They are read from the store, beside whatever captures them. Times are UTC.
    """
    from rollbook.store.commands.live.tail import tail as work

    work(**options)


@click.command()
@click.argument("to", type=console.PathParam())
@console.settings_options
@console.json_option
def backup(**options: Any) -> None:
    """Copy the store to the file TO, or into the folder TO under a dated name.

    The copy is the store of one moment, whatever is written meanwhile; it is checked before it gets its name. An
    earlier backup of that name is replaced.
    """
    from rollbook.store.commands.backup import backup as work

    work(**options)


@click.command()
@click.argument("origin", metavar="FROM", type=console.PathParam())
@click.option(
    "--as-it-is", is_flag=True, help="Take a plain copy of a store that was in use, though it lacks what came last."
)
@console.settings_options
@console.json_option
def restore(**options: Any) -> None:
    """Put a copy of the backup FROM, or of the newest one in the folder FROM, in the place of the store.

    The backup is checked first, every index of it too. The store that is there is kept beside it. Refused while
    anything works on the store: stop the daemon first.
    """
    from rollbook.store.commands.backup import restore as work

    work(**options)


@click.command()
@console.settings_options
@console.json_option
def compact(**options: Any) -> None:
    """Give pages that nothing uses back to the disk, a few at a time; a daemon goes on meanwhile.

    A store that was made before version 0.2 is written anew once, which needs room for it, and nobody else at work.
    """
    from rollbook.store.commands.compact import compact as work

    work(**options)


@click.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8001, show_default=True, help="0: any free one.")
@console.settings_options
def browse(**options: Any) -> None:
    """Show the store in a browser, by Datasette, on this machine alone. Until stopped.

    Tables with facets, queries for what people ask, names for ids, packed bodies as text. It only reads. Datasette
    comes with `pip install 'rollbook[browse]'`.
    """
    from rollbook.store.commands.browse import browse as work

    work(**options)


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@console.settings_options
@console.json_option
def retain(**options: Any) -> None:
    """Delete what is older than [retention] says, a few rows at a time; a daemon goes on meanwhile.

    The ledger stays: windows keep their verdicts, and what was deleted is not written again.
    """
    from rollbook.store.commands.forget import retain as work

    work(**options)


@click.group()
def report() -> None:
    """Show the views of queues, agents, wrap-ups and call quality as tables.

    INTERVAL is START/END, START/DURATION or DURATION/END, in UTC, or a date: that day in the time zone of [views].
    """


def _report(what: str, *dimensions: str) -> Callable[[Callable[..., None]], click.Command]:
    """A command of `report`, with the options that all have. dimensions: what its rows may be grouped by."""

    def made(documented: Callable[..., None]) -> click.Command:
        @click.argument("interval")
        @click.option(
            "--by",
            multiple=True,
            type=click.Choice(dimensions),
            help="What a row stands for (may be given several times).",
        )
        @console.settings_options
        @console.json_option
        @click.option("--csv", "as_csv", is_flag=True, help="Answer CSV on standard output.")
        @wraps(documented)
        def work(**options: Any) -> None:
            from rollbook.store.commands.report import report as show_report

            show_report(what, **options)

        return report.command(what)(work)

    return made


@_report("queues", "queue", "media", "interval", "hour", "day")
def report_queues() -> None:
    """Offered, answered, abandoned, service level, ASA and AHT; by queue and media, if nothing else is said."""


@_report("agents", "agent", "queue", "media", "day")
def report_agents() -> None:
    """Answered, talk, hold, after-call work, AHT, missed and transferred; by agent, if nothing else is said."""


@_report("wrapups", "code", "queue", "agent", "media", "hour", "day")
def report_wrapups() -> None:
    """How often each wrap-up code was given, and how long that took; by code, if nothing else is said."""


@_report("mos", "purpose", "queue", "agent", "edge", "site", "codec", "provider", "hour", "day")
def report_mos() -> None:
    """MOS of the calls that began then: how many are bad, which legs made them so, and what those have in common.

    Each call counts once, with its lowest leg; rows are by purpose, if nothing else is said.
    """
