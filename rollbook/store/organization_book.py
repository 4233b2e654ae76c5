"""The book of an organisation, opened around its use by whoever has asked the platform whose credentials it has."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator
from typing import Literal

from rollbook.genesys.errors import RollbookError
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program.settings import Settings
from rollbook.store.book import Book
from rollbook.store.erasure import stricter
from rollbook.store.tables import schema
from rollbook.store.views import view_settings

log = logging.getLogger(__name__)


def about_people(settings: Settings) -> str:
    """A sentence of what the store keeps of people, for whoever begins one and for `doctor`."""
    if settings.privacy:
        return f"of people's data [privacy] says: {settings.privacy}"
    return "it keeps people's data as it comes, numbers and notes too ([privacy] says what to drop: docs/privacy.md)"


@contextlib.asynccontextmanager
async def book_of(
    organization: tuple[str, str],
    settings: Settings,
    *,
    command: str,
    mode: Literal["rw", "ro"] = "rw",
    hurry: threading.Event | None = None,
) -> AsyncIterator[Book]:
    """The book that the settings name, which must belong to this organisation (id, name) or to none yet.

    It is opened and closed in a thread: both may wait for another program. mode, hurry: as `Book.open` has them; who
    is cancelled hurries. Raises StoreError and its kinds, RollbookError (a book to be read is another organisation's).
    """
    hurry = hurry or threading.Event()
    is_new = mode == "rw" and not settings.store_path.exists()
    try:
        book = await asyncio.to_thread(
            Book.open,
            settings.store_path,
            mode=mode,
            organization=organization,
            command=command,
            lag=settings.lag,
            journal=settings.journal,
            pack=settings.pack,
            redactor=redactor_of(settings),
            hurry=hurry,
        )
    except asyncio.CancelledError:
        hurry.set()
        raise
    if is_new:
        log.info("%s is a new store; %s", settings.store_path, about_people(settings))
    async with book:
        known = await book.read(schema.organization) if mode == "ro" else None
        if known is not None and known[0] != organization[0]:
            raise RollbookError(f"{book.path} belongs to the organisation {known[1]}; name another file with --db")
        wanted = view_settings.asked(settings)
        if mode == "rw" and await book.read(view_settings.differ, wanted):
            await asyncio.wrap_future(book.write(view_settings.write, wanted))
        if mode == "rw" and await book.read(stricter.is_looser, settings.privacy):
            await asyncio.wrap_future(book.write(stricter.note, settings.privacy))
        yield book
