"""Options and help of the commands that show the store to a browser.

What does the work is imported when a command is called, so that help and a mistake in a command load nothing else.
"""

from __future__ import annotations

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
    type=console.PathParam(),
    help="Write a page for a browser to FILE; personal fields are masked unless [page] personal shows them.",
)
@console.settings_options
@console.json_option
def show(**options: Any) -> None:
    """Show a conversation's whole life: its legs, events, reads, versions, gap and cause."""
    from rollbook.page.commands.show import show as work

    work(**options)


@click.command()
@click.option("--phone", multiple=True, metavar="NUMBER", help="A telephone number, however it is written.")
@click.option("--email", multiple=True, metavar="ADDRESS", help="An e-mail address.")
@click.option("--name", multiple=True, metavar="NAME", help="A whole name, of a customer or of one of your own people.")
@click.option("--external-contact", multiple=True, metavar="ID", help="The id of an external contact.")
@click.option("--user", multiple=True, metavar="ID", help="The id of one of your own people.")
@click.option("--conversation", multiple=True, metavar="ID", help="The id of a conversation.")
@click.option("--attribute", multiple=True, metavar="NAME=VALUE", help="A participant attribute.")
@click.option("--ticket", metavar="TEXT", help="What the record of the erasure says of the request.")
@click.option("--export", metavar="FILE", type=console.PathParam(), help="Write the person's data to FILE, as JSON.")
@click.option(
    "--html",
    metavar="FILE",
    type=console.PathParam(),
    help="Write the person's data to FILE, as a page.",
)
@click.option("--dry-run", is_flag=True, help="Only say what there is; with --export or --html, write it too.")
@click.option("--resume", is_flag=True, help="Go on with what was cut short, or could not be overwritten.")
@console.settings_options
@console.json_option
def forget(**options: Any) -> None:
    """Erase a person from the store, for good: whoever has any of the keys given.

    Of each conversation in which they took part every personal field goes, and stays away when it is read again; ids,
    times and figures stay. Others may go on working on the store meanwhile.
    """
    from rollbook.page.commands.forget import forget as work

    work(**options)
