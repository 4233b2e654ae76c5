"""`rollbook events`: notifications as they came, oldest first, in words for a terminal or an object a line."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Final

import click

from rollbook.genesys.ids import conversation_id as spelled_id
from rollbook.genesys.program import console
from rollbook.genesys.program.inert import inert_json
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import fitted
from rollbook.store import event_list
from rollbook.store.book import Book
from rollbook.store.commands import period
from rollbook.store.event_list import ListedEvent, Wanted

_BEYOND_ASCII: Final = re.compile(r"[^\x00-\x7f]")


def events(
    conversation_id: str | None,
    since: str | None,
    topic: str | None,
    limit: int | None,
    settings: Settings,
    as_json: bool,
) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        wanted = Wanted(
            spelled_id(conversation_id),
            period.moment("--since", since) or "",
            None if topic is None else event_list.pattern(topic),
        )
        with Book.open(settings.store_path, mode="ro") as book:
            found = False
            for event in _read(book, wanted, limit):
                found = True
                if as_json:
                    click.echo(json_line(event))
                else:
                    for line in fitted(event_lines(event), indent=2):
                        console.write(line)
        if not found and not as_json:
            console.write("no notification is like that")

    console.run(work, as_json=as_json)


def _read(book: Book, wanted: Wanted, limit: int | None) -> Iterator[ListedEvent]:
    """Every notification that is asked for, a page at a time: the store is not read further than somebody looks."""
    left = sys.maxsize if limit is None else limit
    after: tuple[str, int] | None = None
    while left > 0:
        asked = min(left, event_list.PAGE)
        found = book.read_now(event_list.page, wanted, after, asked)
        yield from found
        if len(found) < asked:
            return
        left -= len(found)
        after = (found[-1].received_at, found[-1].event_id)


def json_line(event: ListedEvent) -> str:
    """An object on one line; the body stands in it as it came."""
    fields = {name: getattr(event, name) for name in ("topic", "event_time", "received_at", "source")}
    head = json.dumps(fields, ensure_ascii=False)
    # Between the values of JSON a line break is a blank, and within a text it cannot stand.
    body = event.body.replace("\r", " ").replace("\n", " ")
    line = inert_json(f'{head[:-1]}, "body": {body}}}')
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return line if utf8 else _BEYOND_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], line)


def event_lines(event: ListedEvent) -> Iterator[str]:
    """When and how a notification came, its topic, and below them its body."""
    said = f", says {event.event_time}" if event.event_time else ""
    yield f"{event.received_at}  by {event.source}{said}"
    yield f"  {event.topic}"
    yield f"  {event.body}"
