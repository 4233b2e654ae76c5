"""`rollbook browse`: the store in a browser, by Datasette."""

from __future__ import annotations

import click

from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.store.book import Book
from rollbook.store.browse import server
from rollbook.store.tables import schema


def browse(port: int, settings: Settings) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        path = settings.store_path
        # What is wrong with the file is said here, in a line; then SQLite has it closed before Datasette opens it.
        with Book.open(path, mode="ro") as book:
            organization, tables = book.read_now(schema.organization), book.read_now(schema.names)
        made = server.application(path, organization[1] if organization else None, tables)

        def begin(address: str) -> None:
            click.echo(f"{path} is at {address} for this machine alone. Ctrl-C ends it.")

        server.serve(made, port, begin)

    console.run(work)
