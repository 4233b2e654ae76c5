"""`rollbook pack`: the bodies that are stored, packed or unpacked as the setting says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.store.book import Book
from rollbook.store.upkeep.repack import Counts, repack


def pack(learn: bool, settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> int:
        with Book.open(
            settings.store_path, mode="r+", command="rollbook pack", journal=settings.journal, pack=settings.pack
        ) as book:
            done = repack(book, settings.pack, learn=learn, on_step=_progress)
        if console.err.is_terminal:
            console.err.print(" " * 40, end="\r")
        console.show(
            as_json,
            lambda: {"pack": settings.pack, **{name: asdict(counts) for name, counts in done.items()}},
            lambda: lines(done),
        )
        return 1 if any(counts.damaged for counts in done.values()) else 0

    console.run(work, as_json=as_json)


def _progress(name: str, share: float) -> None:
    if console.err.is_terminal:
        console.err.print(f"{name:<10}{share:>5.0%}", end="\r")


def lines(done: dict[str, Counts]) -> Iterator[str]:
    """A line for each part, and how to make the file smaller where there is something to gain."""
    for name, counts in done.items():
        yield f"{name:<10}{_sentence(counts)}"
        if counts.damaged:
            yield f"{'':<10}{counts.damaged:,} cannot be read, and stay as they are: restore a copy of the file"
    if sum(counts.bytes_before - counts.bytes_after for counts in done.values()) > 0:
        yield "The room is used for what comes next; `rollbook compact` makes the file smaller."


def _sentence(counts: Counts) -> str:
    changed = [
        f"{count:,} {word}" for count, word in ((counts.packed, "packed"), (counts.unpacked, "unpacked")) if count
    ]
    if not changed:
        return f"{counts.rows:,} looked at, nothing to do" if counts.rows else "nothing to do"
    return f"{', '.join(changed)}: {_megabytes(counts.bytes_before)} became {_megabytes(counts.bytes_after)}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
