"""`rollbook rebuild`: everything that is derived, made again from what is kept whole."""

from __future__ import annotations

from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.store.book import Book
from rollbook.store.rebuild import rebuild as rebuild_all
from rollbook.store.tables.conversations import count_child_rows


def rebuild(settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        with Book.open(
            settings.store_path, mode="r+", command="rollbook rebuild", journal=settings.journal, pack=settings.pack
        ) as book:
            done, corrected = rebuild_all(book, lambda count: _progress(count) if console.err.is_terminal else None)
            children = book.read_now(count_child_rows)
        console.show(
            as_json,
            lambda: {"conversations": done, "corrected": corrected, "child_rows": children},
            lambda: [f"rebuilt {done:,} conversations with {children:,} rows; {corrected:,} were different before"],
        )

    console.run(work, as_json=as_json)


def _progress(count: int) -> None:
    console.err.print(f"{count:,} conversations", end="\r")
