"""`rollbook tail`: notifications as they are stored, a line each, with names; or an object a line.

It asks the file whether anybody has written, a few times a second, and reads what has come by its number: a store is
not read further than that, and a daemon is not asked at all.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Final

import click

from rollbook.genesys.ids import conversation_id as spelled_id
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import fitted
from rollbook.store import event_list
from rollbook.store.book import Book
from rollbook.store.commands.events import json_line
from rollbook.store.commands.live import event_words
from rollbook.store.commands.live.event_words import Names
from rollbook.store.commands.live.watch import file_number, must_be_there_yet, until_stopped
from rollbook.store.event_list import ListedEvent, Wanted
from rollbook.store.tables import names as names_table

# Seconds between two looks for what is new.
EVERY: Final = 0.25
_INDENT: Final = 10  # columns of what goes on on the next line


def tail(conversation_id: str | None, topic: str | None, last: int, settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""
    wanted = Wanted(spelled_id(conversation_id), "", None if topic is None else event_list.pattern(topic))
    console.run(until_stopped(_tail(settings, wanted, last, as_json=as_json)), as_json=as_json)


async def _tail(settings: Settings, wanted: Wanted, last: int, *, as_json: bool) -> None:
    async with await asyncio.to_thread(Book.open, settings.store_path, mode="ro") as book:
        opened, changes = file_number(settings.store_path), await book.read(event_list.changes)
        found, at = await book.read(event_list.newest, wanted, last)
        await _show(book, found, as_json=as_json)
        while True:
            must_be_there_yet(settings.store_path, opened)
            if (now := await book.read(event_list.changes)) == changes:
                await asyncio.sleep(EVERY)
                continue
            begin = at
            found, at = await book.read(event_list.stored_after, wanted, at)
            await _show(book, found, as_json=as_json)
            if at - begin < event_list.PAGE:
                changes = now


async def _show(book: Book, found: Iterable[ListedEvent], *, as_json: bool) -> None:
    pairs = {pair for event in found for pair in event_words.ids(event)}
    names = await book.read(names_table.named, pairs) if pairs else {}
    for event in found:
        click.echo(_object(event, names) if as_json else "\n".join(fitted([_line(event, names)], indent=_INDENT)))


def _line(event: ListedEvent, names: Names) -> str:
    about = event.conversation_id or event.source
    return f"{event.received_at[11:19]}Z {about}  {event_words.describe(event, names)}"


def _object(event: ListedEvent, names: Names) -> str:
    """The object of `rollbook events --json`, and the names of the ids in it."""
    named = {identity: names[kind, identity] for kind, identity in event_words.ids(event) if (kind, identity) in names}
    return f'{json_line(event)[:-1]}, "names": {json.dumps(named, ensure_ascii=True, sort_keys=True)}}}'
