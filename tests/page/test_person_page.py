"""The page of one person: what is stored of them and where, inert, in one file for its owner alone."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import RollbookError
from rollbook.page.commands.forget import _page
from rollbook.store.book import Book
from rollbook.store.erasure import request
from rollbook.store.erasure.person import Person
from rollbook.store.tables import events
from tests.helpers.organisation import at
from tests.store.erasure.test_forget import ADA, CANARY, HERS, IDS, LAG, NUMBER, event, fill, personal, read

LETTER = "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('sqs', ?, ?, ?)"
EVIL = "<img src=x onerror=alert(1)>\"'></td><script>alert(2)</script>{{ 7 * 7 }}\u202e\x1b[31m\u2028"


class Seen(HTMLParser):
    """What a browser would make of a page: tags, links, anchors, and the rows of its tables."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.anchors: set[str] = set()
        self.handlers: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        named: dict[str, Any] = dict(attrs)
        self.handlers += [name for name in named if name.startswith("on")]
        self.links += [named["href"]] if tag == "a" and "href" in named else []
        self.anchors |= {named["id"]} if "id" in named else set()
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Her page, from a store in which somebody has written what a browser would obey."""
    with Book.open(tmp_path_factory.mktemp("person") / "rollbook.db", pack="none") as book:
        fill(book)
        hostile = personal(3, NUMBER, EVIL)
        hostile["participants"][0]["attributes"][EVIL] = EVIL
        hostile["originatingDirection"] = EVIL
        read(book, [hostile], 48)
        evil = event(4, NUMBER, EVIL)
        book.write(events.record, [evil], LAG).result()
        person = Person(phones=HERS.phones, users=[ADA])
        return _page(book, person, request.look(book, person, at(55)), at(55))


def test_it_says_what_is_stored_and_where(text: str) -> None:
    """Every value of hers, with its field and its places; the ones that she was found by come first and are marked."""
    seen = Seen(text)
    rows = [[cell.strip() for cell in row] for row in seen.rows if row]
    assert ["participants.sessions.ani", f"tel:{NUMBER}", "details, earlier version"] in rows
    assert ["participants.attributes.phone", NUMBER, "details, earlier version, attribute"] in rows
    assert ["participants.sessions.notYetKnown.where", NUMBER, "details, earlier version"] in rows
    assert any(row[1] == CANARY and row[2] == "notification" for row in rows)
    assert f"<mark>tel:{NUMBER}</mark>" in text
    assert rows[0][1] in (NUMBER, f"tel:{NUMBER}")
    assert all(identity in text for identity in (IDS[2], IDS[3], IDS[4], IDS[5], ADA))
    assert "4 conversations, 1 dead letter, 1 user, found by 1 telephone number, 1 user" in text


def test_every_entry_of_the_contents_leads_somewhere(text: str) -> None:
    """To a conversation, the dead letters or the user."""
    seen = Seen(text)
    assert len(seen.links) == 6
    assert {link.removeprefix("#") for link in seen.links} <= seen.anchors


def test_nothing_that_others_have_written_is_active(text: str) -> None:
    """No element, no handler, nothing from elsewhere; marks that turn the writing are shown; nothing may be loaded."""
    seen = Seen(text)
    assert not seen.tags & {"script", "img", "iframe", "object", "link", "form", "base"}
    assert seen.handlers == []
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:|//|javascript:)", text)
    assert "{{ 7 * 7 }}" in text
    assert not {"\u202e", "\x1b", "\u2028"} & set(text)
    assert "default-src 'none'; style-src 'sha256-" in text


def test_a_long_dead_letter_is_shown_in_part(tmp_path: Path) -> None:
    """A browser shows no page of megabytes: how much is left out is said, and where it is."""
    letter = f"{NUMBER} " + "x" * 30_000
    with Book.open(tmp_path / "rollbook.db") as book:
        book.write(lambda db: db.execute(LETTER, (letter, "broken", at(1))) and None).result()
        person = Person(phones=HERS.phones)
        shown = _page(book, person, request.look(book, person, at(55)), at(55))
    assert f"<pre>{letter[:20_000]}</pre>" in shown
    assert letter[:20_001] not in shown
    assert f"{len(letter) - 20_000:,} more characters: the JSON of this export has all of it." in shown


def test_a_page_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    """And one that is written is its owner's alone, also where another file was there."""
    target = tmp_path / "her.html"
    target.write_text("old")
    target.chmod(0o644)
    request.write_private(target, ["a ", "page"])
    assert (target.read_text(), target.stat().st_mode & 0o777) == ("a page", 0o600)
    with pytest.raises(RollbookError, match="cannot be written") as refused:
        request.write_private(tmp_path / "no" / "her.html", ["x"])
    assert "\n" not in str(refused.value)
    for folder in (tmp_path, Path(), Path("/")):
        with pytest.raises(RollbookError, match="is a folder; give the path of a file"):
            request.write_private(folder, ["x"])
    assert list(tmp_path.iterdir()) == [target]
