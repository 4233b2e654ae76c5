"""The plugin for Datasette and sqlite-utils: the SQL function `rollbook_text(body)`, the text of a body, packed or not.

Both programs find it by the entry points of the project, and call `prepare_connection` for each connection. A store
stays an SQLite file that opens in anything: what is packed is a BLOB there. For a connection of your own, call
`prepare_connection(connection)`.
"""

from __future__ import annotations

import sqlite3
import sys
from typing import Any

from pluggy import HookimplMarker

from rollbook.genesys.errors import StoreError
from rollbook.store.bodies import dictionaries, frames, packing


@HookimplMarker("sqlite_utils")
@HookimplMarker("datasette")
def prepare_connection(conn: sqlite3.Connection) -> None:
    """Bring `rollbook_text` into a connection. The name of the argument is the hook's."""
    conn.create_function("rollbook_text", 1, _TextFunction(conn), deterministic=True)


@HookimplMarker("datasette")
def render_cell(value: object, column: str, database: str, datasette: Any) -> Any:
    """Show a cell of Datasette's pages for people. The names of the arguments are the hook's."""
    from rollbook.store.browse import cells

    return cells.render(value, column, database, datasette)


class _TextFunction:
    """The function on a connection. It is called inside a query, and asks for a dictionary once."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unpackers: dict[int, frames.Unpacker] = {}
        self._said: set[str] = set()

    def __call__(self, value: Any) -> Any:
        if not isinstance(value, bytes):
            return value
        try:
            return self._text(value)
        except StoreError as error:
            # SQLite's own sentence says only that a function failed. Ours is for the terminal, or the server's log.
            line = f"rollbook_text: {error}"
            if line not in self._said:
                self._said.add(line)
                sys.stderr.write(f"{line}\n")
            raise

    def _text(self, frame: bytes) -> str:
        return packing.text_of_frame(self._connection, frame, self._unpackers, self._content)

    def _content(self, connection: sqlite3.Connection, number: int) -> bytes | None:
        """The dictionary of that number, of whichever file that is attached: the numbers are made of the content."""
        names = [name for _, name, _ in connection.execute("PRAGMA database_list").fetchall()]
        found = (dictionaries.body(connection, number, name) for name in names if dictionaries.are_in(connection, name))
        return next((content for content in found if content is not None), None)
