"""Options and help of `reconcile`, `rollbook ready`, `rollbook verify` and `rollbook names`.

What does the work is imported when a command is called, so that help and a mistake in a command load nothing else.
"""

from __future__ import annotations

from typing import Any

import click

from rollbook.genesys.named import NameKind
from rollbook.genesys.program import console


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--window", "interval", metavar="INTERVAL", help="START/END, START/DURATION or DURATION/END, in UTC.")
@click.option("--due", is_flag=True, help="Whatever the ledger says is due, then what is still open.")
@click.option("--dry-run", is_flag=True, help="Fetch, compare and report; write nothing.")
@click.option(
    "--via",
    type=click.Choice(["query", "job", "auto"]),
    default="query",
    show_default=True,
    help="Read by the details query, by an asynchronous job, or by what is cheaper.",
)
@click.option("--ended-only", is_flag=True, help="Only conversations that have ended.")
@click.option(
    "--filter",
    "filter_file",
    type=console.PathParam(),
    metavar="FILE",
    help="JSON: conversationFilters and segmentFilters, as the API takes them.",
)
@click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for another run over the same time.",
)
@console.settings_options
@console.json_option
@console.verbose_option
def reconcile(**options: Any) -> None:
    """Read what happened until it has been read consistently, and fill the gaps.

    \b
    reconcile --window 2026-03-02T10:00Z/PT30M
    reconcile --due

    Exit status: 0 read consistently, 1 could not run, 2 a mistake in the command, 3 could not be read consistently.
    """
    from reconcile.commands.reconcile import reconcile as work

    work(**options)


@click.command()
@click.argument("interval")
@console.settings_options
@console.json_option
@console.verbose_option
def verify(**options: Any) -> None:
    """Hold the platform's own counts of an INTERVAL against the same counts of what is stored.

    By media type, and figure by figure for each queue, medium and half hour; the conversations behind a difference
    are named. Takes the permission analytics:conversationAggregate:view. Exit status: 0 the same, 3 not.
    """
    from reconcile.commands.verify import verify as work

    work(**options)


@click.command()
@click.argument("ids", metavar="[ID]…", nargs=-1)
@click.option(
    "--kind",
    multiple=True,
    type=click.Choice([kind.value for kind in NameKind]),
    help="Only of this kind (may be given several times).",
)
@click.option("--at", metavar="TIME", help="The names of that time (UTC where it has no offset).")
@click.option("--history", is_flag=True, help="Earlier names too.")
@click.option("--unnamed", is_flag=True, help="The ids that conversations name and no list does.")
@click.option("--refresh", is_flag=True, help="List them at the platform first.")
@click.option("--csv", "as_csv", is_flag=True, help="Answer CSV on standard output.")
@console.settings_options
@console.json_option
@console.verbose_option
def names(**options: Any) -> None:
    """List what ids are called: queues, users, wrap-up codes, divisions, flows, skills, languages, teams, edges, sites.

    All of now, or those of the IDs. Exit status: 1 if --refresh could not list a kind for another reason than a
    permission that is missing.
    """
    from reconcile.commands.names import names as work

    work(**options)


@click.command()
@click.argument("interval")
@click.option("--settled", is_flag=True, help="It must be settled: read again after the platform's reprocessing.")
@click.option("--wait", metavar="DURATION", help="Wait for it, but no longer than this, such as PT1H.")
@console.settings_options
@console.json_option
def ready(**options: Any) -> None:
    """Say whether all of an INTERVAL is proven complete, from the store alone.

    \b
    rollbook ready 2026-03-02/P1D && dbt run

    Each moment of it must lie in a window that is complete or settled, and none of its conversations may go on. Exit
    status: 0 ready, 3 not, and the reasons.
    """
    from reconcile.commands.ready import ready as work

    work(**options)
