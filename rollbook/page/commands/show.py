"""`rollbook show`: the words and the JSON are the store's own; `--html` is the page's, in one file."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from rollbook.genesys.program.settings import Settings
from rollbook.store.book import Book
from rollbook.store.commands import show as in_words


def show(conversation_id: str, html: Path | None, settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""
    in_words.show(conversation_id, html, settings, as_json, page=_page)


def _page(book: Book, identity: str, settings: Settings) -> str:
    """The page of a conversation that the store has, as one file."""
    from rollbook.page import render
    from rollbook.page.looks import conversation_values

    values = book.read_now(conversation_values, identity, datetime.now(UTC), personal=settings.page_personal)
    assert values is not None
    return render.one_file("conversation.html", values)
