"""`rollbook forget`: what it does is the store's; `--html` is the page's, in one file."""

from __future__ import annotations

from typing import Any, Final

from rollbook.genesys.program.terminal import count
from rollbook.store.book import Book
from rollbook.store.commands import forget as in_words
from rollbook.store.erasure import request
from rollbook.store.erasure.finding import Found
from rollbook.store.erasure.person import Person

_KEYS: Final = {
    "phone": ("telephone number", "telephone numbers"),
    "email": ("e-mail address", "e-mail addresses"),
    "name": ("name", "names"),
    "external_contact": ("external contact", "external contacts"),
    "attribute": ("attribute", "attributes"),
    "user": ("user", "users"),
    "conversation": ("conversation", "conversations"),
}


def forget(**options: Any) -> None:
    """Run the command as its options say, and end with its exit status."""
    in_words.forget(**options, page=_page)


def _page(book: Book, person: Person, found: Found, at: str) -> str:
    """The page of what was found of a person, as one file."""
    from rollbook.page import render
    from rollbook.page.views import words
    from rollbook.page.views.person_page import person_page

    letters, users = request.letters_of(book, found), book.read_now(request.users_of, found)
    page = person_page(person, request.conversations_of(book, found), letters, users, _keys(person))
    return render.one_file("person.html", {"page": page, "as_of": words.second(at)})


def _keys(person: Person) -> list[str]:
    """How many keys of each kind the person was asked for by; the values themselves are marked where they stand."""
    return [count(number, *_KEYS[kind]) for kind, number in person.criteria.items()]
