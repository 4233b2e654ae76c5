"""`rollbook show`: a conversation's whole life, in words for a terminal of 80 columns, as JSON or as a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.genesys.ids import conversation_id as spelled_id
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import fitted
from rollbook.store import life
from rollbook.store.book import Book
from rollbook.store.commands import words

_NAME: Final = 12  # columns of a field's name
_INDENT: Final = 15  # columns of what goes on on the next line
# Changes of a version that are named; there may be many.
_NAMED: Final = 5


# A conversation's page as one file: of a store that has it, and of its id.
Page = Callable[[Book, str, Settings], str]


def show(conversation_id: str, html: Path | None, settings: Settings, as_json: bool, *, page: Page) -> None:
    """Run the command as its options say, and end with its exit status. page: makes the file that --html names."""

    def work() -> None:
        identity = spelled_id(conversation_id) or ""
        with Book.open(settings.store_path, mode="ro") as book:
            found = book.read_now(life.collect, identity)
            if found is None:
                raise UsageError(f"nothing in {settings.store_path} names the conversation {conversation_id}")
            if html is not None:
                _write(html, page(book, identity, settings))
        console.show(as_json, lambda: found, lambda: [f"{html} is written"] if html else list(lines(found)))

    console.run(work, as_json=as_json)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RollbookError(f"{path} cannot be written: {error.strerror}; name another file with --html") from None


def lines(found: dict[str, Any]) -> Iterator[str]:
    """The report, line by line."""
    for line in _lines(found):
        yield from fitted([line], indent=_INDENT) if line else [""]


def _lines(found: dict[str, Any]) -> Iterator[str]:
    yield found["conversation_id"]
    for name, value in words.facts(found):
        yield f"  {name:<{_NAME}} {value}"
    for name, part in (("legs", _legs), ("heard", _events), ("versions", _versions), ("attributes", _attributes)):
        some = list(part(found))
        if some:
            yield ""
            yield name
            yield from some


def _legs(found: dict[str, Any]) -> Iterator[str]:
    for participant in found["participants"]:
        yield f"  {words.title(participant)}"
        for session in participant["sessions"]:
            yield f"    {words.leg(session)}"
            queue = None
            for segment in session.get("segments", ()):
                if segment.get("queue_id") != queue and "queue_id" in segment:
                    queue = segment["queue_id"]
                    yield f"    queue {queue}"
                began = words.clock(found, segment.get("segment_start"))
                yield f"      {began}  {words.lasted(segment):>11}  {words.did(segment)}"


def _events(found: dict[str, Any]) -> Iterator[str]:
    for event in found["events"]:
        topic = (event["topic"] or "").replace(found["conversation_id"], "{id}")
        yield f"  {words.clock(found, event['received_at'])}  {event['source']}  {topic}"


def _versions(found: dict[str, Any]) -> Iterator[str]:
    for version in found["versions"]:
        yield f"  as of {words.time(version['read_at'])}, rewritten {words.time(version['replaced_at'])}"
        places = version["changes"]
        more = f" and {len(places) - _NAMED:,} more" if len(places) > _NAMED else ""
        yield f"    then changed: {', '.join(places[:_NAMED]) or 'nothing'}{more}"


def _attributes(found: dict[str, Any]) -> Iterator[str]:
    for attribute in found["attributes"]:
        yield f"  {attribute['name']} = {attribute.get('value', '')}"
