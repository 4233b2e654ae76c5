"""Reading a moving answer: a model of the platform whose rows move between requests, and what the reader makes of it."""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import settings as profile
from hypothesis import strategies as st

from reconcile.reading import scan as scans
from reconcile.reading.reader import MOST_ROWS, SECOND_LOOK, Fetch, Finished, Pause, Reader, id_digest
from reconcile.reading.scan import Part, RowTimes
from rollbook.genesys.times import Interval, to_text

DAY = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Interval(DAY + timedelta(hours=10), DAY + timedelta(hours=10, minutes=30))
WEEK = timedelta(days=7)


@dataclass
class Platform:
    """Answers as the platform does. Times are minutes after midnight; None: it goes on."""

    whole_days: bool = False
    bare_end: bool = True
    rows: dict[str, tuple[float, float | None]] = field(default_factory=dict)
    requests: int = 0
    move: Callable[["Platform"], None] = lambda platform: None
    keep: bool = False
    history: list[dict[str, tuple[float, float | None]]] = field(default_factory=list)

    def matching(self, rows: dict[str, tuple[float, float | None]], interval: Interval) -> list[str]:
        """The ids that an interval is answered with, in order."""
        day = timedelta(days=1)
        midnight = interval.start.replace(hour=0, minute=0)
        until = (interval.end - timedelta(milliseconds=1)).replace(hour=0, minute=0, second=0, microsecond=0) + day
        first, last = self._minutes(interval.start), self._minutes(interval.end)
        touched = self._minutes(midnight), self._minutes(until)

        def matches(start: float, end: float | None) -> bool:
            alive = self.whole_days or (start <= last and (end is None or end >= first))
            return alive and touched[0] <= start < touched[1]

        return [
            conversation_id
            for conversation_id, life in sorted(rows.items(), key=lambda item: (item[1][0], item[0]))
            if matches(*life)
        ]

    @staticmethod
    def _minutes(when: datetime) -> float:
        return (when - DAY).total_seconds() / 60

    def page(self, interval: Interval, number: int, direction: str = "") -> tuple[list[RowTimes], int | None]:
        """One page; everything may have moved before it."""
        self.move(self)
        self.requests += 1
        if self.keep:
            self.history.append(dict(self.rows))
        ids = self.matching(self.rows, interval)
        if direction:
            ids = [
                conversation_id
                for conversation_id in ids
                if hash(conversation_id) % 3 == ("inbound", "outbound", "none").index(direction)
            ]
        found = [self._row(conversation_id) for conversation_id in ids[(number - 1) * 100 : number * 100]]
        return found, None if not found and self.bare_end else len(ids)

    def _row(self, conversation_id: str) -> RowTimes:
        start, end = self.rows[conversation_id]
        text = [None if minute is None else to_text(DAY + timedelta(minutes=minute)) for minute in (start, end)]
        return RowTimes(conversation_id, text[0], text[1])


@dataclass
class Run:
    """What a reading of a platform came to."""

    reader: Reader
    finished: Finished
    pauses: list[float]
    pass_requests: dict[int, int]
    began: dict[int, int]  # pass → the request that it began with


def read(platform: Platform, window: Interval = WINDOW, longest: timedelta = WEEK, **more: int) -> Run:
    """Do what the reader says until it has finished."""
    reader = Reader(window, longest=longest, **more)
    run = Run(reader, Finished(False, None), [], {}, {})
    for _ in range(100_000):
        step = reader.step(f"{platform.requests:024}")
        number = len(reader.passes)
        run.began.setdefault(number, platform.requests)
        if isinstance(step, Finished):
            run.finished = step
            return run
        if isinstance(step, Pause):
            run.pauses.append(step.seconds)
            continue
        run.pass_requests[number] = run.pass_requests.get(number, 0) + 1
        rows, total = platform.page(step.part.interval, step.page, step.part.direction)
        reader.take(rows, total)
    raise AssertionError("the reader does not end")


def lives(
    count: int, seed: int = 1, *, minutes: float = 30, long: float = 0.05
) -> dict[str, tuple[float, float | None]]:
    """So many conversations that start in the window; some go on for days, or for ever."""
    draw = random.Random(seed)
    made: dict[str, tuple[float, float | None]] = {}
    for index in range(count):
        start = 600 + draw.random() * minutes
        made[f"c{index}"] = (start, None if draw.random() < long else start + draw.expovariate(1 / 6))
    return made


def neighbours(seed: int = 2) -> dict[str, tuple[float, float | None]]:
    """Conversations of the rest of the day."""
    draw = random.Random(seed)
    return {f"n{index}": (start, start + 5) for index in range(300) if not 600 <= (start := draw.random() * 1440) < 630}


@pytest.mark.parametrize("whole_days", [False, True])
@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 1000])
def test_a_quiet_window_takes_one_pass_and_one_request_more_than_its_pages(count: int, whole_days: bool) -> None:
    """Nothing moves: every page once, and the empty one that ends it; what is empty is asked for a second time, and of
    a few pages each that has one behind it."""
    platform = Platform(whole_days, rows=lives(count) | neighbours())
    run = read(platform)
    answered = len(platform.matching(platform.rows, WINDOW))
    assert run.finished == Finished(True, None)
    pages = math.ceil(answered / 100)
    again = 1 if not pages else pages - 1 if pages <= scans.MOST_CHECKED else 0
    assert platform.requests == pages + 1 + again
    assert set(run.reader.found()) == set(platform.matching(platform.rows, WINDOW))
    assert run.reader.first_total == run.reader.final_total == answered
    assert (len(run.reader.passes), run.pauses) == (1, [] if answered else [SECOND_LOOK])


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("whole_days", [False, True])
def test_a_row_that_slides_between_two_of_a_few_pages_is_read(whole_days: bool, at: int) -> None:
    """One leaves the first page and one enters the last while they are read, under equal totals: also in whole days."""

    def move(platform: Platform) -> None:
        if platform.requests == at:
            del platform.rows["r000"]
            platform.rows["last"] = (629.9, 640)

    rows: dict[str, tuple[float, float | None]] = {
        f"r{number:03}": (600 + number / 10, 601 + number / 10) for number in range(290)
    }
    platform = Platform(whole_days, rows=rows | ({"before": (100, 101)} if whole_days else {}), move=move)
    run = read(platform)
    assert run.finished.consistent
    assert set(run.reader.found()) >= set(platform.matching(platform.rows, WINDOW))
    assert len(run.reader.passes) == 2


def test_a_day_that_only_grows_at_its_end_while_its_pages_are_asked_for_again_is_proven() -> None:
    """What enters beyond the window moves no page that is full: one pass is enough."""

    def grow(platform: Platform) -> None:
        if platform.requests >= 4:
            platform.rows[f"new {platform.requests}"] = (900 + platform.requests, None)

    rows: dict[str, tuple[float, float | None]] = {
        f"r{number:03}": (500 + number, 501 + number) for number in range(250)
    }
    platform = Platform(True, rows=rows, move=grow)
    run = read(platform)
    assert (run.finished, len(run.reader.passes), platform.requests) == (Finished(True, None), 1, 6)


def mover(draw: random.Random, chance: float, until: int, kinds: str) -> Callable[[Platform], None]:
    """Moves at most one row between two requests, until so many requests were made."""
    counter = iter(range(10**6))

    def move(platform: Platform) -> None:
        if platform.requests >= until or draw.random() >= chance:
            return
        kind = draw.choice(kinds)
        if kind == "i":
            start = 600 + draw.random() * 30
            platform.rows[f"late{next(counter)}"] = (start, start + 3)
        elif platform.rows:
            conversation_id = draw.choice(list(platform.rows))
            if kind == "r":
                del platform.rows[conversation_id]
            else:  # it ends
                platform.rows[conversation_id] = (
                    platform.rows[conversation_id][0],
                    platform.rows[conversation_id][0] + 60,
                )

    return move


@given(
    count=st.integers(0, 900),
    seed=st.integers(0, 10**6),
    chance=st.floats(0, 1),
    until=st.integers(0, 60),
    kinds=st.sampled_from(["i", "r", "ir", "ire", "ie"]),
    whole_days=st.booleans(),
    bare_end=st.booleans(),
)
@profile(max_examples=120)
def test_whatever_moves_a_consistent_reading_was_the_truth(
    count: int, seed: int, chance: float, until: int, kinds: str, whole_days: bool, bare_end: bool
) -> None:
    """It ends; and each reading of a proof equals what the platform had at a moment while it was read."""
    platform = Platform(whole_days, bare_end, lives(count, seed) | neighbours(seed), keep=True)
    platform.move = mover(random.Random(seed), chance, until, kinds)
    run = read(platform)
    if run.finished.consistent:
        for scan in run.reader.proven:
            if scan.judged == "strictly":
                began = int(scan.at)
                truths = (
                    set(platform.matching(rows, scan.part.interval))
                    for rows in platform.history[began : began + scan.pages]
                )
                assert set(scan.rows) in truths
            else:
                assert whole_days
    else:
        assert len(run.reader.passes) == 8
        assert run.finished.reason


@given(count=st.integers(0, 1500), seed=st.integers(0, 10**6), until=st.integers(0, 25), whole_days=st.booleans())
@example(count=0, seed=959, until=8, whole_days=True)  # came at the end of the second of two readings that were alike
@example(count=11, seed=524639, until=13, whole_days=True)  # came in the middle of it, to a page that had been read
@example(count=98, seed=215, until=7, whole_days=False)  # came after the last page with rows: later than the proof
@profile(max_examples=60)
def test_it_converges_once_movement_stops(count: int, seed: int, until: int, whole_days: bool) -> None:
    """Late arrivals that come to an end before the last page with rows leave nothing behind: all of the truth is there.

    What comes after that page is as late as what comes after the proof. Days are read twice, and show it all the same.
    """
    platform = Platform(whole_days, rows=lives(count, seed) | neighbours(seed))
    platform.move = mover(random.Random(seed), 0.5, until, "i")
    run = read(platform)
    assert run.finished.consistent
    last = run.reader.proven[-1]
    ends_in_time = platform.requests > until if whole_days else until < int(last.at) + last.pages
    if ends_in_time:
        owned = {conversation_id for conversation_id, (start, _) in platform.rows.items() if 600 <= start < 630}
        assert owned <= set(run.reader.found())


def spread(count: int, seed: int) -> dict[str, tuple[float, float | None]]:
    """Conversations over a whole day, most of them short."""
    return {
        conversation_id: (start - 600, None if end is None else end - 600)
        for conversation_id, (start, end) in lives(count, seed, minutes=1439, long=0.02).items()
    }


@pytest.mark.parametrize("whole_days", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_five_thousand_moving_conversations_within_the_bound_of_requests(seed: int, whole_days: bool) -> None:
    """Rows move in the middle of the pages; the pass that counted costs a tenth more than its pages, and six, at most."""
    day = Interval(DAY, DAY + timedelta(days=1))
    platform = Platform(whole_days, rows=spread(5000, seed))
    draw = random.Random(seed)

    def move(platform: Platform) -> None:
        if platform.requests < 60 and draw.random() < 0.15:
            start = draw.random() * 1439
            platform.rows[f"late{platform.requests}"] = (start, start + 3)

    platform.move = move
    run = read(platform, day)
    assert run.finished.consistent
    assert len(run.reader.passes) > 1
    assert set(run.reader.found()) == set(platform.rows)
    bound = math.ceil(len(platform.rows) / 100) * 1.1 + 6
    assert run.pass_requests[len(run.reader.passes)] <= bound
    assert run.reader.proof_requests <= bound


def test_what_moves_for_ever_is_never_called_consistent() -> None:
    """A platform that adds a row at every request: it gives up after its passes, and says why."""
    platform = Platform(rows=lives(1500))
    platform.move = mover(random.Random(1), 1.0, 10**9, "i")
    run = read(platform)
    assert not run.finished.consistent
    assert run.finished.reason is not None
    assert run.finished.reason.startswith("still moving after 8 passes")
    assert len(run.pauses) == 7
    assert sorted(run.pauses) == run.pauses


def test_only_what_moved_is_read_again_and_narrower() -> None:
    """The second pass cuts the window up; the third reads only the parts in which something moved."""
    platform = Platform(rows=lives(3000, long=0))
    moved: list[int] = []

    def move(platform: Platform) -> None:
        if platform.requests in (10, 36):  # once in each of the first two passes
            moved.append(platform.requests)
            platform.rows[f"late{platform.requests}"] = (601.0 if platform.requests == 10 else 600.5, 640.0)

    platform.move = move
    run = read(platform)
    assert run.finished.consistent
    first, second, *rest = run.reader.passes
    assert (len(first.parts), len(moved)) == (1, 2)
    assert len(second.parts) >= 2
    assert len(rest) == 1
    assert len(rest[0].parts) <= len(second.parts)
    assert set(run.reader.found()) == set(platform.rows)


def test_a_row_that_enters_what_is_proven_already_is_noticed() -> None:
    """The totals are asked for once more before a proof of several readings is believed."""
    platform = Platform(rows=lives(3000, long=0))

    def move(platform: Platform) -> None:
        if platform.requests == 5:
            platform.rows["first"] = (629.0, 640.0)
        if len(run_reader.passes) == 2 and len(run_reader.proven) == 2 and "second" not in platform.rows:
            platform.rows["second"] = (600.0001, 600.0002)

    run_reader = Reader(WINDOW, longest=WEEK)
    platform.move = move
    while not isinstance(step := run_reader.step(f"{platform.requests:024}"), Finished):
        if isinstance(step, Fetch):
            run_reader.take(*platform.page(step.part.interval, step.page))
    assert step.consistent
    assert {"first", "second"} <= set(run_reader.found())


def test_whole_days_are_recognised_and_not_cut_up() -> None:
    """Rows that do not overlap what was asked for give it away; narrower intervals would bring the same rows."""
    platform = Platform(True, rows=lives(500) | neighbours())

    def move(platform: Platform) -> None:  # the day goes on growing behind the window
        platform.rows[f"new{platform.requests}"] = (1000 + platform.requests / 10, None)

    platform.move = move
    run = read(platform)
    assert run.finished.consistent
    assert run.reader.reading == "day"
    assert [reading_pass.parts for reading_pass in run.reader.passes] == [[WINDOW.text]] * 2
    assert [scan.judged for scan in run.reader.proven] == ["twice alike"]


def test_whole_days_first_recognised_in_a_narrower_interval() -> None:
    """A window of a whole day looks the same under both readings, until a part of it is asked for."""
    platform = Platform(True, rows=spread(1200, 3))
    platform.move = mover(random.Random(3), 1.0, 3, "i")
    run = read(platform, Interval(DAY, DAY + timedelta(days=1)))
    assert run.finished.consistent
    assert run.reader.reading == "day"
    assert set(run.reader.found()) == set(platform.rows)
    assert run.pass_requests[len(run.reader.passes)] <= math.ceil(len(platform.rows) / 100) + 1


@given(days=st.integers(1, 40), offset=st.integers(0, 1439), whole_days=st.booleans())
@profile(max_examples=40)
def test_long_intervals_are_asked_for_in_parts_that_the_platform_takes(
    days: int, offset: int, whole_days: bool
) -> None:
    """No query asks for more than seven days, and together they ask for everything once."""
    start = DAY + timedelta(minutes=offset)
    window = Interval(start, start + timedelta(days=days))
    parts = scans.spans(window, WEEK)
    assert all(part.interval.length <= WEEK for part in parts)
    assert parts[0].interval.start == window.start
    assert parts[-1].interval.end == window.end
    assert all(a.interval.end == b.interval.start for a, b in itertools.pairwise(parts))
    draw = random.Random(offset)
    rows: dict[str, tuple[float, float | None]] = {
        f"c{n}": (at := offset + draw.random() * days * 1440, at + 30) for n in range(300)
    }
    platform = Platform(whole_days, rows=rows)
    run = read(platform, window)
    assert run.finished.consistent
    assert set(run.reader.found()) >= set(rows)


@pytest.mark.parametrize("whole_days", [False, True])
def test_more_rows_than_can_be_paged_are_split(whole_days: bool) -> None:
    """Beyond the cap of 100,000: by time where time narrows the answer, by direction where it does not."""

    class Large(Platform):
        def page(self, interval: Interval, number: int, direction: str = "") -> tuple[list[RowTimes], int | None]:
            assert number <= 1000, "the platform refuses to page further"
            rows, total = super().page(interval, number, direction)
            return rows, None if total is None else total * 100  # each row stands for a hundred

    platform = Large(whole_days, rows=lives(1500, long=0) | neighbours())
    reader = Reader(WINDOW, longest=WEEK)
    asked: set[Part] = set()
    for _ in range(2000):
        step = reader.step("2026-03-02T11:00:00.000Z")
        if not isinstance(step, Fetch):
            break
        rows, total = platform.page(step.part.interval, step.page, step.part.direction)
        if total is not None and total <= MOST_ROWS:
            asked.add(step.part)
        reader.take(rows, total)
        if len(asked) > 1:
            break
    assert len(asked) > 1
    assert {part.direction for part in asked} == ({"inbound", "outbound"} if whole_days else {""})


def test_a_query_that_times_out_is_split() -> None:
    """A 504 halves the interval; what was one part is several from then on."""
    platform = Platform(rows=lives(800))
    reader = Reader(WINDOW, longest=WEEK)
    refused = 0
    while not isinstance(step := reader.step("2026-03-02T11:00:00.000Z"), Finished):
        assert isinstance(step, Fetch)
        if step.part.interval.length > timedelta(minutes=10):
            refused += 1
            assert reader.split()
            continue
        reader.take(*platform.page(step.part.interval, step.page))
    assert (refused, step.consistent) == (3, True)
    assert set(reader.found()) == set(platform.matching(platform.rows, WINDOW))


@pytest.mark.parametrize(
    ("rows", "total", "word"),
    [
        ([RowTimes(None, "2026-03-02T10:01:00.000Z", None)], 1, "no id"),
        ([RowTimes("a", "2026-03-02T10:01:00.000Z", None)], 2, "totalHits says 2"),
        ([RowTimes("a", "2026-03-02T10:01:00.000Z", None)] * 2, 2, "twice"),
        ([RowTimes("a", "2026-03-02T10:01:00.000Z", None)], None, "no totalHits"),
    ],
)
def test_what_can_not_be_counted_is_not_consistent(rows: list[RowTimes], total: int | None, word: str) -> None:
    """A row without an id, a total that does not fit, a row twice: no proof, and the reason in words."""
    reader = Reader(WINDOW, longest=WEEK)
    while not isinstance(step := reader.step("2026-03-02T11:00:00.000Z"), Finished):
        if isinstance(step, Fetch):
            reader.take(rows if step.page == 1 else [], total)
    assert not step.consistent
    assert word in (step.reason or "")


def test_a_doubt_opens_the_proof_again() -> None:
    """A conversation that was seen earlier and still exists must not be missing from what is believed."""
    platform = Platform(rows=lives(400, long=0))
    run = read(platform)
    platform.rows["lost"] = (615.0, 616.0)
    run.reader.doubt(["2026-03-02T10:15:00.000Z"], "one was seen before and exists")
    while not isinstance(step := run.reader.step("2026-03-02T11:00:00.000Z"), Finished):
        if isinstance(step, Fetch):
            run.reader.take(*platform.page(step.part.interval, step.page))
    assert step.consistent
    assert "lost" in run.reader.found()
    assert len(run.reader.passes) == 2


def test_the_digest_of_an_id_set_knows_no_order() -> None:
    """The same ids, however they came, have the same digest; one more has another."""
    assert id_digest(["a", "b"]) == id_digest(["b", "a"]) != id_digest(["a", "b", "c"])


@given(st.datetimes(datetime(1970, 1, 2), datetime(2090, 1, 1)))
def test_times_survive_packing(when: datetime) -> None:
    """What is kept of a row's times is exact to the millisecond."""
    text = to_text(when.replace(tzinfo=UTC))
    value = scans.packed(text, None)
    assert to_text(scans.moment(scans.start_of(value))) == text
    assert scans.end_of(value) == -1
    assert scans.end_of(scans.packed(None, text)) == scans.start_of(value)


@pytest.mark.parametrize(("rows", "lost"), [(150, 1), (900, 5), (4_000, 25)])
def test_a_record_that_no_answer_may_hold_costs_a_bounded_number_of_questions(rows: int, lost: int) -> None:
    """Of few rows it is found out alone; of many, its page is left out: the rest is read, and nothing is proven."""
    window = Interval(WINDOW.start, WINDOW.start + timedelta(seconds=1))
    reader, spoilt, asked = Reader(window, longest=WEEK), rows // 2, 0
    seen: set[int] = set()
    while not isinstance(step := reader.step(to_text(DAY)), Finished):
        if isinstance(step, Pause):
            continue
        asked += 1
        numbers = range((step.page - 1) * step.part.size, min(step.page * step.part.size, rows))
        if spoilt in numbers:
            assert reader.refused("too large", too_large=True)
            continue
        seen.update(numbers)
        at = to_text(window.start)
        reader.take([RowTimes(f"c{number}", at, at) for number in numbers], rows)
    assert not step.consistent
    assert reader.not_had
    assert rows - len(seen) == lost
    assert asked <= 300
