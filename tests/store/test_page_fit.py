"""The order in which details are appended fills the pages of the store's file."""

import random
import sqlite3
from collections.abc import Iterable
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from rollbook.store.file.connections import PAGE_BYTES
from rollbook.store.rows import page_fit


def pages(sizes: Iterable[int]) -> int:
    """The pages of a file to which details of these sizes were appended in this order."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("CREATE TABLE detail_rows (number INTEGER PRIMARY KEY, details NOT NULL)")
        db.executemany("INSERT INTO detail_rows (details) VALUES (?)", (("x" * size,) for size in sizes))
        found: int = db.execute("PRAGMA page_count").fetchone()[0]
        return found


@given(st.lists(st.integers(0, 100_000), max_size=60))
def test_every_body_has_its_place_once(sizes: list[int]) -> None:
    """None is left out and none comes twice, whatever their sizes."""
    assert sorted(page_fit.order(sizes)) == list(range(len(sizes)))


def test_details_in_their_order_take_fewer_pages() -> None:
    """Of pages of a hundred, as the API gives them, a twenty-fifth of the file is saved, and nearly none is wasted."""
    drawn = random.Random(3)
    answers = [[drawn.randrange(9_000, 26_000) for _ in range(100)] for _ in range(6)]
    as_they_came = pages(size for sizes in answers for size in sizes)
    ordered = pages(sizes[place] for sizes in answers for place in page_fit.order(sizes))
    needed = sum(size for sizes in answers for size in sizes) / PAGE_BYTES
    assert ordered < 0.96 * as_they_came
    assert ordered < 1.06 * needed


def test_what_a_body_takes_of_a_shared_page_is_what_sqlite_gives_it() -> None:
    """Two whose shares have room in one page stand in one; with one byte more the second begins another."""
    for size in (3_000, 12_000, 20_300, 40_000):
        room = PAGE_BYTES - 8 - page_fit.share(size)
        alone = pages([size])
        most = max(other for other in range(room) if page_fit.share(other) <= room)
        assert pages([size, most]) == alone, size
        assert pages([size, most + 32]) > alone, size
