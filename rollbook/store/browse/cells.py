"""Cells of Datasette's pages: a packed body as its text, an id by its name, a conversation's id as a link.

What the pages alone show; JSON and CSV have what is stored. A name is somebody else's text, and is escaped.
"""

from __future__ import annotations

import time
from typing import Any, Final
from urllib.parse import quote
from weakref import WeakKeyDictionary

from rollbook.genesys.named import NameKind
from rollbook.store.bodies import frames
from rollbook.store.browse.about_tables import QUERIES

_KINDS: Final = {
    "queue_id": NameKind.QUEUE,
    "user_id": NameKind.USER,
    "wrap_up_code": NameKind.WRAPUPCODE,
    "division_id": NameKind.DIVISION,
    "flow_id": NameKind.FLOW,
    "requested_language_id": NameKind.LANGUAGE,
    "team_id": NameKind.TEAM,
    "edge_id": NameKind.EDGE,
    "site_id": NameKind.SITE,
}
# Seconds for which names are kept: they are listed daily.
_KEPT: Final = 60.0

Names = dict[tuple[str, str], str]
# Datasette's database → (when they were read, the names of its store; none where it is another program's file).
_names: WeakKeyDictionary[Any, tuple[float, Names]] = WeakKeyDictionary()


def render(value: object, column: str, database: str, datasette: Any) -> Any:
    """The cell: an awaitable, or None for what Datasette shows by itself."""
    if isinstance(value, bytes) and frames.is_frame(value):
        return _body(value, datasette.get_database(database), datasette.setting("truncate_cells_html"))
    if isinstance(value, str) and value and column in _KINDS:
        return _named(value, _KINDS[column], datasette.get_database(database))
    if isinstance(value, str) and value and column == "conversation_id":
        return _linked(value, database, datasette)
    return None


async def _body(frame: bytes, database: Any, length: int) -> str | None:
    """The text of a frame, cut as other cells are; None for a frame of another program, which is shown as ever."""
    try:
        rows = (await database.execute("SELECT rollbook_text(?)", [frame])).rows
    except Exception:
        return None
    text: str = rows[0][0]
    return text if not length or len(text) <= length else f"{text[:length]}…"


async def _named(identity: str, kind: NameKind, database: Any) -> Any:
    """The name of an id, and the id where the pointer rests; None where there is none."""
    from markupsafe import Markup

    name = (await _names_of(database)).get((kind, identity))
    if name is None or name == identity:
        return None
    return Markup('<span title="{}">{}</span>').format(identity, name)


async def _names_of(database: Any) -> Names:
    read_at, names = _names.get(database, (0.0, {}))
    now = time.monotonic()
    if not read_at or now - read_at > _KEPT:
        try:
            rows = (await database.execute("SELECT kind, id, name FROM names_now", page_size=1_000_000)).rows
        except Exception:
            rows = []
        names = {(kind, identity): name for kind, identity, name in rows}
        _names[database] = now, names
    return names


def _linked(identity: str, database: str, datasette: Any) -> Any:
    """A link to the conversation's own page, where `rollbook browse` has made one."""
    from markupsafe import Markup

    known = (datasette.metadata("queries", database=database) if hasattr(datasette, "metadata") else None) or {}
    if "conversation" not in known or known["conversation"].get("sql") != QUERIES["conversation"].sql:
        return None
    address = f"{datasette.urls.database(database)}/conversation?conversation_id={quote(identity, safe='')}"
    return Markup('<a href="{}">{}</a>').format(address, identity)
