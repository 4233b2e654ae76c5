"""`rollbook page`: the page of a store that no daemon shows."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from rollbook.genesys.program import console, named_secrets
from rollbook.genesys.program.settings import Settings
from rollbook.page.server import HttpServer, check_address
from rollbook.page.site import PageSettings, Site
from rollbook.page.vitals import DaemonVitals
from rollbook.store.book import Book


class StoreSource:
    """The source of the page of a store alone."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def read(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Answer `fn(connection, …)`. Raises StoreError."""
        return await self._book.read(fn, *args, **kwargs)

    async def vitals(self) -> DaemonVitals | None:
        """Nothing: there is no daemon here."""
        return None

    def now(self) -> datetime:
        """The time of this machine."""
        return datetime.now(UTC)


def page(*, listen: str, in_browser: bool, settings: Settings) -> None:
    """Run the command as its options say, and end with its exit status."""

    def begin() -> None:
        check_address(listen, "--listen")
        token = settings.page_token
        shown = PageSettings.of(settings, None if token is None else named_secrets.value_of(token.reveal()))
        with Book.open(settings.store_path, mode="ro") as book:
            asyncio.run(serve(book, shown, listen, in_browser=in_browser))

    console.run(begin)


async def serve(book: Book, settings: PageSettings, listen: str, *, in_browser: bool, beside: str = "") -> None:
    """Show the page of a store until SIGINT or SIGTERM. beside: the path of a page that is named as well.

    Raises RollbookError if the address is not free.
    """
    stop = asyncio.Event()
    site = Site(StoreSource(book), settings)
    server = HttpServer(listen, site.routes(), setting="--listen")
    with console.on_signals({signal.SIGINT: stop.set, signal.SIGTERM: stop.set}):
        await server.start()
        try:
            where = listen if not server.port else f"http://{_host(listen)}:{server.port}/"
            console.say(f"{settings.store_path} is shown at {where} (Ctrl-C ends it)")
            if beside and server.port:
                console.say(f"a conversation that was missed, from its beginning to its end: {where}{beside}")
            if in_browser and server.port:
                import webbrowser

                webbrowser.open(where)
            await stop.wait()
        finally:
            await server.stop()
            await site.close()


def _host(listen: str) -> str:
    """The name by which a browser on this machine gets there."""
    host = listen.rpartition(":")[0]
    return "127.0.0.1" if host in ("", "0.0.0.0", "[::]") else host  # noqa: S104
