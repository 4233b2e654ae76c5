"""`rollbook rebuild`: everything that is derived, made again from what is kept whole."""

from __future__ import annotations

from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.store.book import Book


def rebuild(settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        with Book.open(
            settings.store_path, mode="r+", command="rollbook rebuild", width=settings.width, journal=settings.journal
        ) as book:
            done, corrected = book.rebuild(lambda count: _progress(count) if console.err.is_terminal else None)
            children = book.child_rows()
        console.show(
            as_json,
            lambda: {"conversations": done, "corrected": corrected, "child_rows": children},
            lambda: [f"rebuilt {done:,} conversations with {children:,} rows; {corrected:,} were different before"],
        )

    console.run(work, as_json=as_json)


def _progress(count: int) -> None:
    console.err.print(f"{count:,} conversations", end="\r")
