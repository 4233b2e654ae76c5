"""`rollbook forget` and `rollbook retain`: a person erased from the store, and what is older than it may be deleted."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rollbook.genesys.errors import UsageError
from rollbook.genesys.privacy.redaction import Redactor, redactor_of
from rollbook.genesys.program import console
from rollbook.genesys.program.progress import shown
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.erasure import erasures, remains, request, retention, stricter
from rollbook.store.erasure.finding import Found
from rollbook.store.erasure.person import Person, number_of
from rollbook.store.erasure.retention import KeepingTimes
from rollbook.store.file.connections import choose_journal
from rollbook.store.file.copying import Manner
from rollbook.store.upkeep.compacting import compact

_WORDS = {
    "conversations": ("conversation", "conversations"),
    "details": ("record of details", "records of details"),
    "versions": ("earlier version", "earlier versions"),
    "attributes": ("attribute", "attributes"),
    "events": ("event", "events"),
    "dead_letters": ("dead letter", "dead letters"),
    "users": ("user", "users"),
}


def forget(
    settings: Settings,
    as_json: bool,
    dry_run: bool,
    resume: bool,
    export: Path | None,
    html: Path | None,
    ticket: str | None,
    *,
    page: Page,
    **keys: tuple[str, ...],
) -> None:
    """Run the command as its options say, and end with its exit status. page: makes the file that --html names."""

    def work() -> int:
        person = _person(keys, redactor_of(settings))
        files = _Files(export, html, page)
        if resume and (person.criteria or dry_run or export or html):
            raise UsageError("--resume takes no other option: it goes on with what was asked for before")
        if not person.criteria and not resume:
            raise UsageError(
                "whom? give --phone, --email, --name, --external-contact, --user, --conversation or --attribute"
            )
        at = to_text(datetime.now(UTC))
        # Before anybody is erased: their export would be lost.
        for target in filter(None, (export, html)):
            request.must_be_no_folder(target)
        if dry_run:
            return _look(settings, as_json, person, at, files)
        return _forget(settings, as_json, person if not resume else None, at, ticket, files)

    console.run(work, as_json=as_json)


# A page of one person as one file: of the store, of the keys, of what was found, and of the time.
Page = Callable[[Book, Person, Found, str], str]


@dataclass(frozen=True)
class _Files:
    """The files of an export: JSON, and a page for people."""

    export: Path | None
    html: Path | None
    page: Page

    def write_page(self, book: Book, person: Person, found: Found, at: str) -> None:
        """Write the page, if it was asked for."""
        if self.html is not None:
            request.write_private(self.html, [self.page(book, person, found, at)])


def _person(keys: Mapping[str, tuple[str, ...]], redactor: Redactor | None) -> Person:
    """The person that the options name. redactor: of the policy, which may have hashed what names them."""
    pairs = [text.partition("=") for text in keys["attribute"]]
    if any(not sign for _, sign, _ in pairs):
        raise UsageError("--attribute takes NAME=VALUE")
    return Person(
        phones=keys["phone"],
        emails=keys["email"],
        names=keys["name"],
        external_contacts=keys["external_contact"],
        users=keys["user"],
        conversations=keys["conversation"],
        attributes=[(name, value) for name, _, value in pairs],
        hashes=[hashed for each in _as_stored(keys) if redactor and (hashed := redactor.hashed(each)) is not None],
    )


def _as_stored(keys: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The keys of a person as fields have them; a number with and without the sign of its country's code."""
    for text in keys["phone"]:
        yield text
        if (number := number_of(text)) is not None:
            yield number.digits
    yield from (*keys["email"], *keys["name"], *keys["external_contact"])
    yield from (text.partition("=")[2] for text in keys["attribute"])


def _look(settings: Settings, as_json: bool, person: Person, at: str, files: _Files) -> int:
    with Book.open(settings.store_path, mode="ro", command="rollbook forget") as book, shown() as show:

        def on_step(what: str, share: float) -> None:
            show(f"{what} {share:.0%}")

        found = request.look(book, person, at, export=files.export, on_step=on_step)
        files.write_page(book, person, found, at)
    numbers = found.numbers()
    console.show(
        as_json,
        lambda: {"found": numbers, "conversations": sorted(found.conversations), "dry_run": True},
        lambda: [f"Found: {words(numbers)}. Nothing was changed.", *sorted(found.conversations)],
    )
    return 0


def _forget(
    settings: Settings, as_json: bool, person: Person | None, at: str, ticket: str | None, files: _Files
) -> int:
    path, found = settings.store_path, None
    with (
        Book.open(path, mode="r+", command="rollbook forget", journal=settings.journal, pack=settings.pack) as book,
        shown() as show,
    ):

        def on_step(what: str, share: float) -> None:
            show(f"{what} {share:.0%}")

        numbers: dict[str, int] = {}
        if person is None:
            erased = request.resume(book, at, on_step=on_step)
        else:
            whom = person
            done = request.forget(
                book,
                whom,
                at,
                by=request.who(),
                ticket=ticket,
                export=files.export,
                also=lambda found: files.write_page(book, whom, found, at),
                on_step=on_step,
            )
            erased, numbers, found = done.erased, done.found.numbers(), done.found
    left = remains.remove(path, found, at, Manner(), journal=choose_journal(path, settings.journal))
    with Book.open(path, mode="ro", command="rollbook forget") as book:
        cut_short = [each for each in book.read_now(erasures.unfinished) if each.finished_at is None]
    console.show(
        as_json,
        lambda: {
            "found": numbers,
            "erased": erased,
            "left": left.left,
            "unfinished": [each.erasure_id for each in cut_short],
        },
        lambda: _lines(numbers, erased, left.left, cut_short),
    )
    return 1 if left or cut_short else 0


def _lines(
    numbers: Mapping[str, int], erased: int, left: list[str], cut_short: list[erasures.Erasure]
) -> Iterator[str]:
    if numbers:
        yield f"Found: {words(numbers)}."
    if left:
        yield f"Erased ({count(erased, 'conversation')}), but not yet overwritten:"
        yield from (f"  {sentence}" for sentence in left)
        yield "Then run `rollbook forget --resume`."
    else:
        yield f"Erased ({count(erased, 'conversation')}), and overwritten in the file and its log."
    for each in cut_short:
        yield f"Erasure {each.erasure_id} of {each.asked_at} was cut short as it looked: give it again, with its keys."
    yield "Backups have it still: delete those that are older, or restore them with `rollbook restore`."


def words(numbers: Mapping[str, int]) -> str:
    """What was found, in words."""
    return ", ".join(count(number, *_WORDS[name]) for name, number in numbers.items() if number) or "nothing"


# Retention

_NOUNS = {
    "details": ("conversation's details", "conversations' details"),
    "events": ("event", "events"),
    "versions": ("earlier version", "earlier versions"),
    "attributes": ("attribute", "attributes"),
    "dead_letters": ("dead letter", "dead letters"),
    "gone": ("gone conversation's people's data", "gone conversations' people's data"),
}


def retain(settings: Settings, as_json: bool, dry_run: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        limits, now = KeepingTimes.of(settings), datetime.now(UTC)
        cutoffs, path = limits.cutoffs(now), settings.store_path
        redactor = redactor_of(settings)
        if dry_run:
            with Book.open(path, mode="ro", command="rollbook retain") as book:
                is_stricter = book.read_now(stricter.is_needed, settings.privacy)
                found = retention.would_go(book, limits, now)
            console.show(
                as_json,
                lambda: {"dry_run": True, "before": cutoffs, "deleted": found, "privacy_is_stricter": is_stricter},
                lambda: _would_go(cutoffs, found, is_stricter),
            )
            return
        with (
            Book.open(path, mode="r+", command="rollbook retain", journal=settings.journal, pack=settings.pack) as book,
            shown() as show,
        ):

            def on_step(part: str, done: int) -> None:
                show(f"{part} {done:,}")

            swept = stricter.sweep(book, redactor, on_step=on_step) if redactor else 0
            found = retention.retain(book, limits, now, on_step=on_step)
        if swept or any(found.values()):
            compact(path, Manner(stop=threading.Event()), command="rollbook retain")
        console.show(
            as_json,
            lambda: {"dry_run": False, "before": cutoffs, "deleted": found, "redacted": swept},
            lambda: _deleted(cutoffs, found, swept),
        )

    console.run(work, as_json=as_json)


def _would_go(cutoffs: Mapping[str, str], found: Mapping[str, int], is_stricter: bool) -> Iterator[str]:
    if is_stricter:
        yield "[privacy] is stricter than what is stored: all of it would be made to fit"
    yield from _retained_lines(cutoffs, found, "would be deleted")


def _deleted(cutoffs: Mapping[str, str], found: Mapping[str, int], swept: int) -> Iterator[str]:
    if swept:
        yield f"{count(swept, 'conversation')} made to fit [privacy]"
    yield from _retained_lines(cutoffs, found, "deleted")


def _retained_lines(cutoffs: Mapping[str, str], found: Mapping[str, int], verb: str) -> Iterator[str]:
    for part, before in cutoffs.items():
        yield f"{count(found[part], *_NOUNS[part])} {verb}: before {before[:16]}Z"
    kept = [part for part in KeepingTimes._fields if part not in cutoffs]
    if kept:
        yield f"kept for ever: {', '.join(kept)}"
