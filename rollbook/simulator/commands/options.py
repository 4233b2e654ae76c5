"""Options and help of `rollbook simulate`.

What does the work is imported when the command is called, so that help and a mistake in the command load nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rollbook.simulator.eventbridge.options import eventbridge_options
from rollbook.simulator.rest.analytics.details_query import LARGEST_PAGE, READINGS
from rollbook.simulator.rest.resources import LONGEST_RETENTION

_POSITIVE = click.IntRange(min=1)
_NOT_NEGATIVE = click.FloatRange(min=0)


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same queues, users and stories.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: any free one.")
@click.option("--rate", type=_NOT_NEGATIVE, default=1.0, show_default=True, help="Simulated seconds in a real one.")
@click.option("--queues", type=_POSITIVE, default=6, show_default=True)
@click.option("--users", type=_POSITIVE, default=12, show_default=True)
@click.option("--per-hour", type=_NOT_NEGATIVE, default=120.0, show_default=True, help="Conversations an hour.")
@click.option("--days", type=click.FloatRange(0, 400), default=1.0, show_default=True, help="Days of past.")
@click.option(
    "--retention-days",
    type=_POSITIVE,
    default=LONGEST_RETENTION,
    show_default=True,
    help="Days after which conversations are deleted.",
)
@click.option(
    "--reading",
    type=click.Choice(READINGS),
    default="overlap",
    show_default=True,
    help="How a details query reads a part of a day.",
)
@click.option(
    "--jitter",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="By how much totalHits errs on the last minute.",
)
@click.option("--rate-limit", type=_POSITIVE, default=300, show_default=True, help="Requests a minute.")
@click.option("--latency", type=_NOT_NEGATIVE, default=0.0, show_default=True, help="Real seconds of every answer.")
@click.option("--token-lifetime", type=click.FloatRange(min=1), default=86_400, show_default=True, help="Real seconds.")
@click.option("--job-lag", type=_NOT_NEGATIVE, default=6.0, show_default=True, help="Hours that jobs' data are behind.")
@click.option(
    "--ahead", type=float, default=0.0, show_default=True, help="Seconds that its clock is ahead of this one."
)
@click.option(
    "--page-rows",
    type=click.IntRange(1, LARGEST_PAGE),
    default=LARGEST_PAGE,
    show_default=True,
    help="Rows of a details query's page at most, however many (up to 200) are asked for.",
)
@click.option("--count-nothing", is_flag=True, help="A page without rows has totalHits; otherwise it is {}.")
@click.option("--variety", is_flag=True, help="Chats, video calls and campaigns' calls too.")
@click.option("--tls", is_flag=True, help="https and wss, with a certificate made for the occasion (needs openssl).")
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="NAME",
    help="The certificate is also for api., login. and streaming. of this domain.",
)
@click.option(
    "--certificate", type=click.Path(dir_okay=False, path_type=Path), help="https and wss with this one (PEM)."
)
@click.option("--key", type=click.Path(dir_okay=False, path_type=Path), help="The certificate's key (PEM).")
@click.option("--faults", type=click.Path(dir_okay=False, path_type=Path), help="A script of what goes wrong (JSON).")
@eventbridge_options
@click.option("--json", "as_json", is_flag=True, help="Print addresses and credentials as one JSON object.")
def simulate(**options: Any) -> None:
    """Run a local Genesys Cloud organisation until stopped."""
    from rollbook.simulator.commands.simulate import simulate as work

    work(**options)
