"""The band: what each moment counts as, buckets that add up, and a picture that stays small."""

import functools
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import from_text, to_text
from rollbook.page import render
from rollbook.page.views import address, band, band_picture, overview
from rollbook.page.views.address import ShownTime
from rollbook.page.views.band import Rows, Unit, Zoom
from rollbook.store.commands.live import bands, frame
from rollbook.store.tables import readiness, schema
from rollbook.store.views import page_rows, time_pieces
from rollbook.store.views.reports import worst
from rollbook.store.vocabulary import Verdict
from tests.helpers.staged_store import bare_windows

START = datetime(2026, 3, 2, tzinfo=UTC)
HALF_HOUR = timedelta(minutes=30)
VERDICTS = st.sampled_from(list(Verdict))


def moment(half_hours: int) -> str:
    """So many half hours after the start."""
    return to_text(START + HALF_HOUR * half_hours)


@functools.cache
def migrated() -> bytes:
    """A store of today's schema without rows, so that each example need not make one."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        schema.migrate(db)
        return db.serialize()


def rows_of(db: sqlite3.Connection, length: int = page_rows.DAY) -> Rows:
    """What the page makes of a ledger before it knows which time is shown."""
    pieces = time_pieces.pieces(page_rows.stretches(db))
    return Rows(pieces, band.seconds_by_day(pieces), page_rows.counts(db, length))


class Ledger:
    """A ledger in memory: windows as (start, length, verdict), in half hours, each read an hour after its end."""

    def __init__(self, windows: Sequence[tuple[int, int, Verdict]]) -> None:
        self.db = sqlite3.connect(":memory:", isolation_level=None)
        self.db.deserialize(migrated())
        for order, (start, length, verdict) in enumerate(windows):
            read = to_text(START + HALF_HOUR * (start + length) + timedelta(hours=1, milliseconds=order))
            self.db.execute(
                'INSERT OR IGNORE INTO windows (start, "end", verdict, last_read_at, last_run_at) VALUES (?, ?, ?, ?, ?)',
                (moment(start), moment(start + length), verdict, read, read),
            )

    def rows(self, length: int = page_rows.DAY) -> Rows:
        """What the page reads of it."""
        return rows_of(self.db, length)

    def number(self) -> int:
        """How many windows there are."""
        return int(self.db.execute("SELECT count(*) FROM windows").fetchone()[0])


LEDGERS = st.lists(st.tuples(st.integers(0, 200), st.sampled_from([1, 1, 1, 2, 48]), VERDICTS), min_size=1, max_size=40)


@settings(max_examples=40)
@given(windows=LEDGERS, days=st.integers(1, 40))
def test_the_counts_by_verdict_sum_to_the_number_of_windows(windows: list[tuple[int, int, Verdict]], days: int) -> None:
    """Over all buckets, whatever their length, each window is counted once; and no time is in two buckets."""
    ledger = Ledger(windows)
    extent = page_rows.extent(ledger.db)
    assert extent is not None
    zoom = band.zoom(from_text(extent[0]), from_text(extent[1]) + timedelta(days=days), HALF_HOUR)
    made = band.buckets(zoom, ledger.rows(zoom.unit.key))
    assert sum(sum(bucket.windows.values()) for bucket in made) == ledger.number()
    spanned = (from_text(extent[1]) - from_text(extent[0])).total_seconds()
    assert sum(sum(bucket.seconds.values()) for bucket in made) == pytest.approx(spanned)
    totals = band.totals(page_rows.counts(ledger.db, page_rows.DAY))
    assert sum(totals.values()) == ledger.number()
    for bucket in made:
        if not bucket.is_empty:
            assert sum(bucket.share(verdict) for verdict in bucket.seconds) == pytest.approx(1)
            assert bucket.worst == worst(bucket.seconds)


@settings(max_examples=60)
@given(windows=LEDGERS, going_on=st.none() | st.integers(0, 200))
def test_the_band_says_complete_of_no_more_than_the_gate(
    windows: list[tuple[int, int, Verdict]], going_on: int | None
) -> None:
    """From the first window on, the band is complete up to where `readiness` says so, and not beyond.

    Where a conversation goes on, its window is open from the window's own start on.
    """
    ledger = Ledger(windows)
    if going_on is not None:
        ledger.db.execute(
            "INSERT INTO conversation_rows (number, conversation_start, provenance, first_seen_at, details_open)"
            " VALUES (1, ?, 'both', '2026', 1)",
            (moment(going_on),),
        )
    since, complete_until, _ = readiness.until(ledger.db)
    assert since is not None
    reached = since
    for piece in time_pieces.pieces(page_rows.stretches(ledger.db)):
        if piece.verdict not in (Verdict.COMPLETE, Verdict.SETTLED):
            break
        reached = piece.end
    if going_on is None:
        assert (reached if reached > since else None) == complete_until
    else:
        assert reached <= (complete_until or since)


def test_a_short_failure_in_a_long_bucket_is_seen() -> None:
    """A week with half an hour that failed is failed, has a mark, and says which share is complete."""
    windows = [(number, 1, Verdict.SETTLED) for number in range(48 * 7 * 30)]
    windows[100] = (100, 1, Verdict.FAILED)
    ledger = Ledger(windows)
    zoom = band.zoom(START, START + timedelta(days=210), HALF_HOUR)
    assert zoom.unit.name == "week"
    made = band.buckets(zoom, ledger.rows())
    assert [bucket.worst for bucket in made[:2]] == [Verdict.FAILED, Verdict.SETTLED]
    assert made[0].proven == pytest.approx(1 - 1 / 336)
    drawn = band_picture.picture(zoom, made, ShownTime())
    assert [name for name, _ in drawn.marks] == ["failed"]
    assert drawn.links[0].is_incident
    assert "failed, 99.70 % complete" in drawn.links[0].title
    assert drawn.links[0].href == "/?from=2026-03-02&until=2026-03-09"
    assert drawn.links[1].title == "2026-03-09 to 2026-03-15 UTC: settled"


@pytest.mark.parametrize(
    ("days", "unit"),
    [(0.5, "window"), (2.5, "window"), (5, "hour"), (30, "six hours"), (100, "day"), (800, "week"), (4000, "month")],
)
def test_the_buckets_are_as_short_as_fits(days: float, unit: str) -> None:
    """Half hours of days, hours, days, weeks and months: never more than 160, and all of the time is in them."""
    zoom = band.zoom(START, START + timedelta(days=days), HALF_HOUR)
    assert zoom.unit.name == unit
    assert len(zoom.bounds) <= band.MOST + 1
    assert zoom.start <= to_text(START)
    assert zoom.end >= to_text(START + timedelta(days=days))
    assert all(before < after for before, after in pairwise(zoom.bounds))


def test_a_proof_counts_unless_a_later_failure_is_no_wider() -> None:
    """A wide failure says nothing of the windows inside it; a narrow one takes away its part of a wide proof."""
    inside = Ledger([(0, 48, Verdict.FAILED), *((number, 1, Verdict.COMPLETE) for number in range(48))])
    assert [piece.verdict for piece in time_pieces.pieces(page_rows.stretches(inside.db))] == [Verdict.COMPLETE]
    taken = Ledger([(0, 48, Verdict.COMPLETE), (47, 1, Verdict.FAILED)])
    assert [piece.verdict for piece in time_pieces.pieces(page_rows.stretches(taken.db))] == [
        Verdict.COMPLETE,
        Verdict.FAILED,
    ]


def test_a_stretch_of_time_counts_once_in_the_terminal_too() -> None:
    """Failed over proven and the other way round: `status --watch` shows as proven what the page does, and no more."""
    wide_failed = Ledger([(0, 8, Verdict.FAILED), *((number, 1, Verdict.COMPLETE) for number in range(8))])
    assert in_the_terminal(wide_failed) == "=" * 8
    narrow_failed = Ledger([(0, 8, Verdict.SETTLED), (7, 1, Verdict.FAILED)])
    assert in_the_terminal(narrow_failed) == "#######X"


@settings(max_examples=30)
@given(windows=LEDGERS)
def test_the_terminal_says_what_the_page_says(windows: list[tuple[int, int, Verdict]]) -> None:
    """Each character of `status --watch` is the worst verdict of the page's column of the same time."""
    ledger = Ledger(windows)
    extent = page_rows.extent(ledger.db)
    assert extent is not None
    said = look_at(ledger).all_time
    assert said is not None
    edges, states = said
    zoom = Zoom(Unit("window", HALF_HOUR, page_rows.MINUTE), tuple(edges))
    compared = 0
    for state, bucket in zip(states, band.buckets(zoom, ledger.rows(page_rows.MINUTE)), strict=True):
        if extent[0] <= bucket.start and bucket.end <= extent[1]:
            assert state == (bucket.worst or bands.NO_WINDOW)
            compared += 1
    assert compared >= len(edges) - 3


def look_at(ledger: Ledger) -> frame.Picture:
    """What the terminal shows once all of the ledger's time is over and past the lag."""
    extent = page_rows.extent(ledger.db)
    assert extent is not None
    shown = Settings(store_path=Path("rollbook.db"))
    return frame.look(ledger.db, shown, from_text(extent[1]) + shown.lag + shown.width)


def in_the_terminal(ledger: Ledger) -> str:
    """Its band of all time, in ASCII, without what is to come."""
    said = look_at(ledger).all_time
    assert said is not None
    return bands.drawn(said[1], plain=True)[:8]


def test_time_without_a_window_is_worse_than_any_verdict() -> None:
    """A hole between windows is a stretch of its own, and the worst of its bucket."""
    ledger = Ledger([(0, 1, Verdict.SETTLED), (4, 1, Verdict.FAILED)])
    assert [piece.verdict for piece in time_pieces.pieces(page_rows.stretches(ledger.db))] == [
        Verdict.SETTLED,
        None,
        Verdict.FAILED,
    ]
    zoom = band.zoom(START, START + timedelta(days=100), HALF_HOUR)
    made = band.buckets(zoom, ledger.rows())
    assert made[0].worst is None
    assert made[0].share(None) == pytest.approx(3 / 5)
    assert made[1].is_empty


@pytest.fixture(scope="module")
def three_years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of three years of half hours, of which each is of another verdict than the one before."""
    path = tmp_path_factory.mktemp("band") / "rollbook.db"
    verdicts = [list(Verdict)[number % len(Verdict)] for number in range(52_560)]
    bare_windows(path, verdicts, start=datetime(2023, 3, 6, tzinfo=UTC))
    return path


def test_three_years_of_windows_are_a_small_picture(three_years: Path) -> None:
    """52,560 windows of mixed verdicts: the band is at most 60 KB, and every one of them is counted."""
    with closing(sqlite3.connect(three_years)) as db:
        extent = page_rows.extent(db)
        rows = rows_of(db)
        incidents = page_rows.incidents(db, limit=9)
    zoom = overview.zoomed(ShownTime(), extent, HALF_HOUR)
    part = overview.band_part(ShownTime(), zoom, rows, rows.counts, incidents, filtered=0, most=8)
    html = render.parts("overview.html", ("band",), {"band": part, "span": ShownTime()})["band"]
    assert len(html.encode()) <= 60_000
    assert part.number == 52_560 == sum(number for _, number, _ in part.counts)
    assert part.more_incidents
    assert [incident.start for incident in incidents] == sorted((each.start for each in incidents), reverse=True)
    assert not {incident.verdict for incident in incidents} & {Verdict.SETTLED, Verdict.COMPLETE, Verdict.PENDING}


def test_an_address_says_which_time_is_shown() -> None:
    """A day, a time and a filter are read and written back; what is none is refused with an example."""
    span = address.read({"from": "2026-03-02", "until": "2026-03-02T10:30Z", "show": "incomplete"})
    assert span == ShownTime("2026-03-02T00:00:00.000Z", "2026-03-02T10:30:00.000Z", True)
    assert span.link() == "/?from=2026-03-02&until=2026-03-02T10:30Z&show=incomplete"
    assert address.read({}).link() == "/"
    for query in ({"from": "<script>"}, {"from": "0001-01-01"}, {"from": "2026-03-02", "until": "2026-03-01"}):
        with pytest.raises(Exception, match=r"such as 2026|until that lies"):
            address.read(query)
