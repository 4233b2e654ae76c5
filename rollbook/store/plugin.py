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
from rollbook.genesys.program.inert import inert
from rollbook.store.bodies import dictionaries, frames, packing


@HookimplMarker("sqlite_utils")
@HookimplMarker("datasette")
def prepare_connection(conn: sqlite3.Connection) -> None:
    """Bring `rollbook_text` into a connection. The name of the argument is the hook's."""
    conn.create_function("rollbook_text", 1, _TextFunction(conn), deterministic=True)


@HookimplMarker("datasette")
def render_cell(value: object, database: str, datasette: Any) -> Any:
    """Show a packed body as its text in Datasette's pages. The names of the arguments are the hook's."""
    if not isinstance(value, bytes) or not frames.is_frame(value):
        return None
    return _shown(value, datasette.get_database(database), datasette.setting("truncate_cells_html"))


async def _shown(frame: bytes, database: Any, length: int) -> str | None:
    """The text of a frame, cut as other cells are; None for a frame of another program, which is shown as ever."""
    try:
        rows = (await database.execute("SELECT rollbook_text(?)", [frame])).rows
    except Exception:
        return None
    text: str = rows[0][0]
    return text if not length or len(text) <= length else f"{text[:length]}…"


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
            line = inert(f"rollbook_text: {error}")
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
