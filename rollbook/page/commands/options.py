"""Options and help of the commands that show the store to a browser.

What does the work is imported when a command is called, so that help and a mistake in a command load nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from rollbook.genesys.program import console


@click.command()
@click.option(
    "--listen",
    metavar="ADDRESS",
    default="127.0.0.1:8126",
    show_default=True,
    help="HOST:PORT, or unix:PATH for a proxy; beyond this machine it needs a token.",
)
@click.option("--open", "in_browser", is_flag=True, help="Open it in this machine's browser.")
@console.settings_options
def page(**options: Any) -> None:
    """Show the page of a store, without a daemon, until it is interrupted.

    A running daemon shows the same page on its own port, which [realtime] health names, with its figures. Looking
    writes nothing.
    """
    from rollbook.page.commands.page import page as work

    work(**options)


@click.command()
@click.argument("conversation_id", metavar="ID")
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write a page for a browser to FILE; personal fields are masked unless [page] personal shows them.",
)
@console.settings_options
@console.json_option
def show(**options: Any) -> None:
    """Show a conversation's whole life: its legs, events, reads, versions, gap and cause."""
    from rollbook.page.commands.show import show as work

    work(**options)
