"""The server of `rollbook browse`: Datasette with what it says of a store, on an address of this machine alone.

The one door to datasette and uvicorn, which come with the extra `rollbook[browse]`. It writes nothing: the file is
opened for reading, and as one that cannot change where nobody may write beside it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.errors import RollbookError
from rollbook.store.browse import about_tables

HOST: Final = "127.0.0.1"
# Milliseconds that a query may take, and a facet: a store may be large, and a page waits for all of them. Facets that
# nobody asked for are not tried, column by column.
_SETTINGS: Final = {
    "sql_time_limit_ms": 5_000,
    "facet_time_limit_ms": 300,
    "suggest_facets": False,
    "default_page_size": 50,
    "truncate_cells_html": 400,
}

Asgi = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


def application(path: Path, organization: str | None, tables: Iterable[str] = ()) -> Any:
    """Datasette for the store at `path`. tables: all that it has. Raises RollbookError where it is not installed."""
    try:
        from datasette.app import Datasette
    except ImportError:
        raise RollbookError(
            "Datasette is not installed: `pip install 'rollbook[browse]'` brings it, into the environment of rollbook"
        ) from None

    # Datasette asks SQLite to print a traceback for each function that fails; ours say a line of their own.
    sqlite3.enable_callback_tracebacks(False)
    title = f"rollbook: {organization}" if organization else "rollbook"
    name = str(path)
    fixed = not os.access(path.resolve().parent, os.W_OK)
    return Datasette(
        [] if fixed else [name],
        immutables=[name] if fixed else [],
        metadata=about_tables.metadata(path.stem, title, tables),
        settings=_SETTINGS,
    )


def serve(datasette: Any, port: int, begin: Callable[[str], None]) -> None:
    """Answer on `port` until SIGINT or SIGTERM. begin: called with the address once it answers (0: any free port)."""
    import uvicorn

    class Announced(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if self.started and self.servers:
                begin(f"http://{HOST}:{self.servers[0].sockets[0].getsockname()[1]}/")

    # The server raises again the signal that has ended it, for whoever was there before.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        config = uvicorn.Config(only_this_machine(datasette.app()), host=HOST, port=port, log_level="critical")
        try:
            Announced(config).run()
        except SystemExit:
            raise RollbookError(f"port {port} cannot be had on {HOST}; another --port may be free (0: any)") from None


def only_this_machine(app: Asgi) -> Asgi:
    """The application for requests that name this machine: a name of somebody's that leads here is refused.

    A page of a stranger could otherwise have the browser ask for what only this machine may see (DNS rebinding).
    """

    async def checked(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not _is_ours(dict(scope["headers"]).get(b"host", b"")):
            await send({"type": "http.response.start", "status": 421, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"This is for http://127.0.0.1 alone.\n"})
            return
        await app(scope, receive, send)

    return checked


def _is_ours(host: bytes) -> bool:
    name, _, port = host.decode("latin-1").partition(":")
    return name in (HOST, "localhost") and (not port or port.isdecimal())
