"""`rollbook dead-letters`: lists, shows, retries and drops notifications that could not be understood.

A letter that can be read by now (a newer rollbook, a mended store) becomes an event by the usual write path, in the
same transaction that takes the letter away.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from rollbook.genesys.errors import UsageError
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.messages.payloads import parse_all
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import fitted, inert
from rollbook.store.book import Book
from rollbook.store.tables import dead_letters as table
from rollbook.store.tables.dead_letters import Letter
from rollbook.store.tables.events import record_in_place

_SHOWN: Final = 60


def _book(settings: Settings, *, write: bool = False) -> Book:
    mode: Literal["r+", "ro"] = "r+" if write else "ro"
    return Book.open(
        settings.store_path,
        mode=mode,
        command="dead-letters",
        journal=settings.journal,
        pack=settings.pack,
        redactor=redactor_of(settings),
    )


def listing(*, source: str | None, limit: int, settings: Settings, as_json: bool) -> None:
    def work() -> None:
        with _book(settings) as book:
            found = book.read_now(table.listed, source=source, limit=limit)
        console.show(as_json, lambda: {"dead_letters": [letter._asdict() for letter in found]}, lambda: _lines(found))

    console.run(work, as_json=as_json)


def _lines(found: Sequence[Letter]) -> Iterator[str]:
    for letter in found:
        head = f"{letter.dead_letter_id}  {letter.received_at[:19]}  {letter.source}: {inert(letter.error)}"
        yield from fitted([head], indent=4)
        yield f"    {inert(_line(letter.payload))}"
    if not found:
        yield "none"


def _line(payload: str) -> str:
    line = " ".join(payload[: _SHOWN * 4].split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}… ({len(payload):,} characters)"


def show(*, number: int, settings: Settings, as_json: bool) -> None:
    def work() -> None:
        with _book(settings) as book:
            found = _letter(book, number)
        console.show(as_json, found._asdict, lambda: [found.payload])

    console.run(work, as_json=as_json)


def _letter(book: Book, number: int) -> Letter:
    found = book.read_now(table.find, number)
    if found is None:
        raise UsageError(f"there is no dead letter {number}; `rollbook dead-letters list` shows which there are")
    return found


def _chosen(book: Book, numbers: Sequence[int], *, every: bool) -> list[Letter]:
    if bool(numbers) == every:
        raise UsageError("name dead letters by their ids, or all of them by --all")
    return book.read_now(table.listed) if every else [_letter(book, number) for number in numbers]


def retry(*, numbers: tuple[int, ...], every: bool, settings: Settings, as_json: bool) -> None:
    def work() -> None:
        counts = {"tried": 0, "events_new": 0, "events_repeated": 0, "left": 0}
        with _book(settings, write=True) as book:
            for letter in _chosen(book, numbers, every=every):
                _again(book, letter, counts)
        words = "{tried:,} tried: {events_new:,} new events, {events_repeated:,} known already, {left:,} left"
        console.show(as_json, lambda: counts, lambda: [words.format_map(counts)])

    console.run(work, as_json=as_json)


def _again(book: Book, letter: Letter, counts: dict[str, int]) -> None:
    """Read a letter again, and put the events that it holds in its place."""
    found = read_again(letter)
    counts["tried"] += 1
    if found and all(isinstance(item, Unreadable) for item in found):
        counts["left"] += 1
        return
    answer = book.write(record_in_place, letter.dead_letter_id, found, book.lag).result()
    counts["events_new"] += answer.events_new
    counts["events_repeated"] += answer.events_repeated
    counts["left"] += answer.dead_letters


def read_again(letter: Letter) -> list[Notification | Unreadable]:
    """Read a letter again; nothing if it was a message about a channel that is gone."""
    payload = letter.payload.encode(errors="surrogatepass")
    if letter.source != "websocket":
        return parse_all(payload, source=letter.source, received_at=letter.received_at)
    parsed = parse_frame(payload, source=letter.source, received_at=letter.received_at)
    return [parsed] if isinstance(parsed, Notification | Unreadable) else []


def drop(*, numbers: tuple[int, ...], every: bool, settings: Settings, as_json: bool) -> None:
    def work() -> None:
        with _book(settings, write=True) as book:
            chosen = [letter.dead_letter_id for letter in _chosen(book, numbers, every=every)]
            dropped = book.write(table.drop, chosen).result() if chosen else 0
        console.show(as_json, lambda: {"dropped": dropped}, lambda: [f"{dropped:,} dropped"])

    console.run(work, as_json=as_json)
