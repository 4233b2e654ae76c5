"""The way from readings to a proof: which interval to ask for next, what to read again, when to say "consistent".

Pure: a `Reader` is told each answer and says what to do next. It does not fetch, wait or write.

A window is read as one interval first. If anything moved, what moved is read again in narrower intervals after a
pause, and only that; a proof may be put together from readings of several passes. Before it is believed, the totals of
all parts but the last are asked for once more, because a row that enters a part that is proven already is seen nowhere
else. What enters after the last page with rows is as late as what comes after the proof.

"Nothing" is one witness: an answer without rows is asked for again, after a pause. What cannot be had as it is asked is
asked for in narrower intervals and smaller pages; the smallest piece that cannot be had is named, and the rest is read.

An answer with rows that do not overlap what was asked for is one of whole days. Narrower intervals are answered with
the same rows then, so the days are read again as they are (CONTRACT, "Read consistently").
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Literal

import msgspec

from reconcile.reading import scan as scans
from reconcile.reading.scan import PAGE_SIZE, Part, RowTimes, Scan
from rollbook.genesys.canonical_json import digest
from rollbook.genesys.times import Interval

MAX_PASSES: Final = 8
# Seconds between passes. What moves is mostly the platform's indexing, which takes seconds.
PAUSES: Final = (0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 10.0)
# Pages × size may not exceed 100,000 (reference, "Limits"), the empty page that ends a reading included.
MOST_ROWS: Final = 100_000 - 2 * PAGE_SIZE
# Parts are made this large, so that one that grows does not have to be split again.
ROOMY: Final = 50_000
_NARROWEST: Final = timedelta(seconds=2)
_MOST_PIECES: Final = 8
# No more at once where a total says that there is too much: it may be no true total, and each has a total of its own.
_MOST_BY_TOTAL: Final = 32
# Rows a page, where the platform cannot answer with whole pages.
_SMALLER: Final = {PAGE_SIZE: 25, 25: 5, 5: 1}
# Smaller pages may not make more of them than this. A window of seconds is answered with all that goes on meanwhile:
# a single record that no answer may hold would make a request of each row, and thousands in a round.
MOST_SMALL_PAGES: Final = 200
# Seconds until what was empty is asked for again, and the smallest piece that could not be had.
SECOND_LOOK: Final = 2.0
# So many questions in a row without an answer: it is not how much is asked for. (A week in halves down to two seconds
# is nineteen of them, smaller pages and a second question six more.)
MOST_REFUSALS: Final = 26


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for a page. probe: only its totalHits matter."""

    part: Part
    page: int
    probe: bool = False


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds before the next pass."""

    seconds: float
    reason: str


@dataclass(frozen=True, slots=True)
class Finished:
    """consistent: proven. reason: why not, or None."""

    consistent: bool
    reason: str | None


Step = Fetch | Pause | Finished


# Member → its name in the ledger.
_IN_LEDGER: Final = {
    "number": "pass",
    "parts": "intervals",
    "first_total": "first_total_hits",
    "last_total": "last_total_hits",
}


class Pass(msgspec.Struct, rename=_IN_LEDGER):
    """The figures of a pass, for the ledger."""

    number: int
    parts: list[str] = []
    pages: int = 0
    rows: int = 0
    duplicates: int = 0
    first_total: int | None = None
    last_total: int | None = None
    moved: list[str] = []


class Reader:
    """Reads `window` until it is proven or `max_passes` have been made.

    longest: the longest interval that the platform takes. pieces: into how many each is cut from the beginning, for a
    window that could not be had before. Call `step`, do what it says, and after a Fetch tell `take` the answer (or
    `refused`, if the platform would not give it).
    """

    def __init__(self, window: Interval, *, longest: timedelta, max_passes: int = MAX_PASSES, pieces: int = 1) -> None:
        self.window = window
        self.reading: Literal["interval", "day"] = "interval"
        self.passes: list[Pass] = [Pass(1)]
        self.last_total: int | None = None
        self._max_passes = max_passes
        self._roots: list[Part] = [
            piece
            for span in scans.spans(window, longest)
            for piece in scans.evenly(span, max(1, min(pieces, int(span.interval.length / _NARROWEST))))
        ]
        self._queue: deque[Part] = deque(self._roots)
        self._scan: Scan | None = None
        self.proven: list[Scan] = []  # the readings that the proof is put together from
        self._unproven: list[Scan] = []
        self._earlier: dict[Part, Scan] = {}  # the last reading of a part, under answers of whole days
        self._closing: Literal["", "roots", "leaves"] = ""
        self._probes: deque[Part] = deque()
        self._suspects: list[Scan] = []
        self._empty: set[Part] = set()  # answered without rows once
        self._second_looks: list[Part] = []
        self._directed: list[Part] = []  # what was split by direction: its total says whether there is another one
        self._checked: Scan | None = None  # whose pages are asked for again
        self._to_check: deque[int] = deque()
        self._refusals = 0  # in a row
        self._last_tries: set[Part] = set()
        self._not_had: list[str] = []
        self._endless = 0
        self._doubted = False
        self._mismatch: str | None = None
        self._pause: Pause | None = None
        self._end: Finished | None = None

    # What to do

    def step(self, at: str) -> Step:
        """The next thing to do; a reading that begins now is as old as `at` (API text)."""
        while self._end is None:
            if self._pause is not None:
                pause, self._pause = self._pause, None
                return pause
            if self._checked is not None:
                return Fetch(self._checked.part, self._to_check[0])
            if self._scan is not None:
                return Fetch(self._scan.part, self._scan.pages + 1)
            if self._queue:
                part = self._queue.popleft()
                self._scan = Scan(part, self.window, at)
                self._now.parts.append(part.text)
            elif self._second_looks:
                self._queue.extend(self._second_looks)
                self._second_looks.clear()
                return Pause(SECOND_LOOK, "what has no rows is asked for again")
            elif self._not_had:
                self._end = Finished(False, f"cannot be had: {'; '.join(self._not_had[:3])}")
            elif self._probes:
                return Fetch(self._probes[0], 1, probe=True)
            elif self._unproven:
                self._again("; ".join(self._now.moved[-3:]))
            else:
                self._close()
        return self._end

    @property
    def _now(self) -> Pass:
        return self.passes[-1]

    # What came of it

    def take(self, rows: Sequence[RowTimes], total_hits: int | None) -> None:
        """The page that was asked for."""
        self._now.pages += 1
        self._refusals = 0
        if total_hits is not None:
            self.last_total = total_hits
        if self._checked is not None:
            self._check(self._checked, rows, total_hits)
            return
        if self._scan is None:
            self._probed(total_hits if total_hits is not None else 0)
            return
        scan = self._scan
        scan.take(rows, total_hits)
        self._now.rows += len(rows)
        if scan.outside and self.reading == "interval":
            self.reading = "day"
            self._to_days(scan)
        if scan.pages == 1 and (total_hits or 0) > MOST_ROWS:
            if not self.split(total_hits or 0):
                self._end = Finished(False, f"{scan.part.text} has {total_hits} conversations, and cannot be split")
        elif scan.done:
            self._scan = None
            self._keep_size(scan)
            self._judge(scan)

    def refused(self, reason: str, *, too_large: bool = False) -> bool:
        """The platform did not answer what was asked for: ask for less. False if less will not help.

        reason: in its words. too_large: what was refused is the size of the answer, so smaller pages are tried first.
        """
        scan = self._scan
        self._refusals += 1
        if self._checked is not None:
            # What was read a moment ago cannot be had now: it is no proof, and read again.
            self._checked.doubted = True
            self._end_check(f"a page cannot be asked for again: {reason}")
            return self._refusals <= MOST_REFUSALS
        if scan is None or self._refusals > MOST_REFUSALS:
            return False
        if (too_large and self._smaller_pages(scan)) or self.split() or self._smaller_pages(scan):
            return True
        if scan.part not in self._last_tries:
            self._scan = None
            self._last_tries.add(scan.part)
            self._queue.appendleft(scan.part)
            self._pause = Pause(SECOND_LOOK, reason)
        else:
            self._now.moved.append(f"{scan.part.text}: {reason}")
            self._not_had.append(f"{scan.part.text} ({reason})")
            scan.pages += 1  # it is this page that cannot be had, mostly for one record: on with the next one
        return True

    @property
    def may_ask_for_less(self) -> bool:
        """True where the next question can be made smaller, or matters no more because a piece could not be had."""
        scan = self._scan
        return scan is not None and self._checked is None and (scan.part not in self._last_tries or self.not_had)

    def _smaller_pages(self, scan: Scan) -> bool:
        """Read the part under way from its beginning with fewer rows a page.

        False if there are no smaller pages, or too many of them.
        """
        size = _SMALLER.get(scan.part.size)
        rows = scan.first_total or self.last_total or 0
        if size is None or rows > size * MOST_SMALL_PAGES:
            return False
        self._scan = None
        self._put_in_place(scan.part, [replace(scan.part, size=size)])
        return True

    def _keep_size(self, scan: Scan) -> None:
        """Ask for what comes next in pages of the size that was answered: where larger ones of the same were refused.

        Not of one row: that is a record's fault, and not the size's.
        """
        size = scan.part.size
        if not 1 < size < PAGE_SIZE or not scan.rows:
            return
        smaller = {part: replace(part, size=min(part.size, size)) for part in self._queue}
        self._queue = deque(smaller.values())
        self._roots = [smaller.get(root, root) for root in self._roots]

    def _put_in_place(self, part: Part, pieces: Sequence[Part]) -> None:
        """Ask for the pieces next. What cannot be asked for as a whole is a whole no more."""
        self._queue.extendleft(reversed(pieces))
        self._roots = [piece for root in self._roots for piece in (pieces if root == part else [root])]

    def split(self, rows: int = 0) -> bool:
        """The part under way cannot be read as it is (too many rows, too slow): read it in pieces.

        rows: how many it has, if that is known. False if it cannot be split any more.
        """
        scan = self._scan
        if scan is None:
            return False
        part = scan.part
        pieces = self._pieces(part, max(2, min(math.ceil(rows / ROOMY), _MOST_BY_TOTAL)), too_many=rows > 0)
        if len(pieces) < 2:
            return False
        self._scan = None
        self._now.moved.append(f"{part.text} was split in {len(pieces)}")
        self._put_in_place(part, pieces)
        if not part.direction and pieces[0].direction:
            self._directed.append(part)
        return True

    def _pieces(self, part: Part, count: int, *, too_many: bool) -> list[Part]:
        if len(days := scans.by_days(part)) > 1:
            return days
        if self.reading == "interval" and part.interval.length >= _NARROWEST:
            return scans.evenly(part, min(count, int(part.interval.length / _NARROWEST) + 1))
        if not part.direction and (too_many or self.reading == "day"):
            return [replace(part, direction=direction) for direction in ("inbound", "outbound", "none")]
        return [part]

    def _judge(self, scan: Scan) -> None:
        movement = scan.movement()
        now = self._now
        self._endless += scan.endless
        if self._endless > 1:
            self._end = Finished(False, f"{scan.part.text}: {movement}")
        now.duplicates += scan.duplicates
        now.first_total = (now.first_total or 0) + (scan.first_total or 0)
        now.last_total = (now.last_total or 0) + (scan.last_total or 0)
        if movement is None and not scan.rows and scan.part not in self._empty:
            self._empty.add(scan.part)
            self._second_looks.append(scan.part)
            return
        # Where a page could not be had, nothing is proven by the others, and they are not what stands at their numbers.
        if movement is None and 2 <= scan.pages - 1 <= scans.MOST_CHECKED and not self._not_had:
            self._checked, self._to_check = scan, deque(range(1, scan.pages - 1))
            return
        self._file(scan, movement)

    def _check(self, scan: Scan, rows: Sequence[RowTimes], total_hits: int | None) -> None:
        """A page of rows but the last, once more: it is what it was, or rows have moved past its end.

        One row that leaves a page that was read, and one that enters a page to come, leave all totals as they are, and
        a third row on neither page. Of more pages this would take more requests than a proof may cost
        (docs/verdicts.md). A day that goes on beyond the window may have grown at its end meanwhile: where the window's
        rows reach to there, the end is asked for again as well, as what has come may be the window's.
        """
        page = self._to_check.popleft()
        scan.look_again(rows)
        if scan.asked_again:
            if not self._to_check:
                self._end_check(scan.movement() or "a page is another when it is asked for again")
            return
        more = self._grows(scan.part) and (total_hits or 0) > (scan.last_total or 0)
        is_at_the_end = page > scan.pages - 2  # there it may have grown, by rows of what comes behind the window
        is_another = tuple(row.id for row in rows) != scan.first_pages[page - 1] if not is_at_the_end else scan.doubted
        if is_another or (total_hits != scan.last_total and not more):
            self._end_check(f"page {page} is another when it is asked for again")
            return
        if more and not is_at_the_end and not self._to_check and scan.reaches_the_end:
            self._to_check.extend((scan.pages - 1, scan.pages))
        if not self._to_check:
            self._end_check(None)

    def _end_check(self, movement: str | None) -> None:
        scan, self._checked = self._checked, None
        self._to_check.clear()
        assert scan is not None
        self._file(scan, movement)

    def _file(self, scan: Scan, movement: str | None) -> None:
        now, earlier = self._now, self._earlier.get(scan.part)
        if movement is None:
            scan.judged = "strictly"
        elif self.reading == "day" and earlier is not None and scan.agrees_with(earlier):
            if not scan.asked_again and len(scan.window_pages) <= scans.MOST_CHECKED:
                scan.asked_again = True
                self._checked, self._to_check = scan, deque(scan.window_pages)
                return
            scan.judged = "twice alike"
        else:
            now.moved.append(f"{scan.part.text}: {movement}")
            self._unproven.append(scan)
        if self.reading == "day":
            self._earlier[scan.part] = scan
        if scan.judged is not None:
            self.proven.append(scan)

    def _to_days(self, scan: Scan) -> None:
        """The platform answers with whole days: from here on, days are what is asked for."""
        if scan.part in self._roots:
            return
        # This answer is already that of its days, whatever narrower interval was asked for.
        days = scans.touched_days(scan.part.interval)
        parts = [day for root in self._roots for day in scans.by_days(root) if day.direction == scan.part.direction]
        own = [part for part in parts if days.start <= part.interval.start and part.interval.end <= days.end]
        whole = Interval(own[0].interval.start, own[-1].interval.end)
        scan.part = replace(scan.part, interval=whole)
        self._queue = deque(part for part in parts if part not in own)
        self.proven.clear()
        self._unproven.clear()

    # Another pass

    def _again(self, reason: str) -> None:
        number = self._now.number
        if number >= self._max_passes:
            why = f"{reason}, in {number} passes" if self._doubted else f"still moving after {number} passes ({reason})"
            self._end = Finished(False, why)
            return
        self._queue.extend(self._narrower(number))
        self._unproven.clear()
        self._closing, self._mismatch = "", None
        self._pause = Pause(PAUSES[min(number, len(PAUSES)) - 1], reason)
        self.passes.append(Pass(number + 1))

    def _narrower(self, number: int) -> list[Part]:
        """The parts to read next: every unproven part, cut up as far as the requests of the whole proof allow."""
        if self.reading == "day":
            return [day for scan in self._unproven for day in scans.by_days(scan.part)]
        readings = (*self.proven, *self._unproven)
        slack = max(self._bound(readings) - 1 - sum(scan.pages for scan in readings), 0)  # one is for the closing total
        if number == 1:
            slack = math.ceil(slack / 2)  # the rest is for what moves again
        parts: list[Part] = []
        for left, scan in zip(range(len(self._unproven), 0, -1), self._unproven, strict=True):
            pieces, extra = _best_cut(scan, slack // left, must=number == 1 or (number > 3 and scan.pages > 2))
            slack = max(slack - extra, 0)
            parts += pieces
        return parts

    # Is the whole still what its parts were?

    def _close(self) -> None:
        """Everything is proven. If there is more than one part, ask for their totals again before it is believed."""
        if self._is_one_answer() or (self._closing == "leaves" and self._mismatch is None):
            self._end = Finished(True, None)
        elif self._closing == "":
            self._ask_again()
        elif self._suspects:
            self._closing = "leaves"
            self._probes.extend(scan.part for scan in self._suspects)
            self._suspects.clear()
        elif self._mismatch is not None:
            self._again(self._mismatch)  # the parts are what they were, and the whole is not: look once more
        else:
            self._end = Finished(True, None)

    def _is_one_answer(self) -> bool:
        """True where a single reading of a single part is the proof: nothing can have entered it since it was read."""
        return len(self.proven) == 1 and self._now.number == 1 and not self._directed

    def _ask_again(self) -> None:
        """Plan to ask for the totals of what was proven before the last reading: of each part, or of wider ones.

        The total of what was split by direction says whether there are conversations of yet another direction.
        """
        self._probes.extend(self._directed)
        old = [scan for scan in self.proven[:-1] if scan.judged == "strictly"]
        if self.reading == "day":
            # A day that goes on beyond the window grows, and says nothing by that.
            old = [scan for scan in old if not self._grows(scan.part)]
        elif len(old) > self._bound(self.proven) - self.proof_requests:
            self._closing = "roots"
            last = self.proven[-1:]
            self._probes.extend(root for root in self._roots if self._leaves(root) != last)
            return
        self._closing = "leaves"
        self._probes.extend(scan.part for scan in old)

    def _grows(self, part: Part) -> bool:
        """True where answers are of whole days, and this day goes on beyond the window."""
        return self.reading == "day" and scans.touched_days(part.interval).end > self.window.end

    @staticmethod
    def _bound(readings: Sequence[Scan]) -> int:
        """The most requests that a proof may cost: a tenth more than its pages, and six."""
        ids = set[str]().union(*(scan.rows for scan in readings))
        return math.floor(math.ceil(len(ids) / PAGE_SIZE) * 1.1 + 6)

    def _leaves(self, root: Part) -> list[Scan]:
        return [
            scan
            for scan in self.proven
            if root.interval.start <= scan.part.interval.start
            and scan.part.interval.end <= root.interval.end
            and root.direction in ("", scan.part.direction)
        ]

    def _probed(self, total: int) -> None:
        part = self._probes.popleft()
        leaves = self._leaves(part)
        known = set[str]().union(*(scan.rows for scan in leaves))
        if len(known) == total:
            return
        self._mismatch = f"{part.text}: {len(known)} conversations came, totalHits says {total} afterwards"
        self._now.moved.append(self._mismatch)
        if self._closing == "leaves":
            self._take_back(leaves)
        else:
            self._suspects.extend(leaves)

    def _take_back(self, leaves: Iterable[Scan]) -> None:
        for scan in list(leaves):
            self.proven.remove(scan)
            self._unproven.append(scan)

    def doubt(self, starts: Iterable[str], reason: str) -> None:
        """After Finished: conversations that exist and start at these times were not in the answer. Read on."""
        times = [scans.moment(scans.milliseconds(start)) for start in starts]
        self._now.moved.append(reason)
        self._end, self._closing, self._doubted = None, "", True
        # Where a start lies in no part, the platform has given it another one since: everything is read again.
        lacking = [scan for scan in self.proven if any(scan.part.interval.contains(when) for when in times)]
        self._take_back(lacking or self.proven)

    # What was found

    @property
    def finished(self) -> Finished:
        """The end of the reading, once a step has been the last."""
        assert self._end is not None
        return self._end

    @property
    def rows_read(self) -> int:
        """Rows that this pass has brought so far."""
        return self._now.rows

    @property
    def untouched(self) -> bool:
        """True while no answer has come."""
        return len(self.passes) == 1 and self._now.pages == 0

    def found(self) -> Mapping[str, int]:
        """id → packed times of every row of the readings that count (of the last ones, if nothing was proven)."""
        if len(self.proven) == 1 and not self._unproven:
            return self.proven[0].rows
        rows: dict[str, int] = {}
        for scan in (*self.proven, *self._unproven):
            rows.update(scan.rows)
        return rows

    def as_of(self, otherwise: str) -> str:
        """The time of the proof: when the oldest reading in it began."""
        return min((scan.at for scan in (*self.proven, *self._unproven)), default=otherwise)

    @property
    def proof_requests(self) -> int:
        """Pages of the readings that count."""
        return sum(scan.pages for scan in self.proven)

    @property
    def not_had(self) -> bool:
        """True where a piece could not be had, however it was asked for."""
        return bool(self._not_had)

    @property
    def duplicates(self) -> int:
        """Rows that came again within a reading, over all passes."""
        return sum(each_pass.duplicates for each_pass in self.passes)

    @property
    def first_total(self) -> int:
        """`totalHits` as the first pass began; an answer of nothing at all (`{}`) is 0."""
        return self.passes[0].first_total or 0

    @property
    def final_total(self) -> int:
        """The last `totalHits` seen: of the whole, or summed over the parts that the platform takes."""
        if len(self._roots) > 1:
            return sum(scan.last_total or 0 for scan in (*self.proven, *self._unproven))
        return self.last_total or 0


def _best_cut(scan: Scan, slack: int, *, must: bool) -> tuple[list[Part], int]:
    """The scan's part in as many pieces as `slack` more requests allow. must: at least two, if it is worth it."""
    best, cost = [scan.part], 0
    for count in range(2, _MOST_PIECES + 1):
        pieces = scans.cut(scan, count)
        extra = sum(scans.requests_for(scans.expected_rows(scan, piece.interval)) for piece in pieces) - scan.pages
        if extra <= slack or (must and count == 2):
            best, cost = pieces, max(extra, 0)
        else:
            break
    return best, cost


def id_digest(ids: Iterable[str]) -> bytes:
    """16 bytes for a set of ids, whatever their order."""
    return digest("\n".join(sorted(ids)).encode())
