"""What a verdict claims, held against the organisation's truth: written from the contract, not from the product.

A window of the ledger without a filter, of verdict `open`, `complete` or `settled`, claims

- that every conversation which started in it, and which the platform had in its index when the window was read (and
  not before its end plus the lag: what is read earlier is provisional, and no proof), is in the store with details;
- that these details are no older than that read; of a settled window no older than its end plus `settle_after`, and
  than the platform's nightly reprocessing of the conversation;
- if it is `complete` or `settled`, that the details of each have an end, but for those that are open for too long.

Of a conversation that was heard of, details are no older than the event plus the lag, once somebody has followed up
without any trouble after that. What a client cannot see is claimed by nobody who sees no more; what was read by a
client that sees more stays claimed.

A contradiction that the platform gave no way to see is no wrong proof. There are few such excuses (`EXCUSES`), each is
decided from the answers that were given, and each use of one is counted.
"""

from __future__ import annotations

import json
import sqlite3
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.organisation.late_changes import night
from rollbook.simulator.organisation.world import World
from rollbook.simulator.rest.analytics import details_query
from rollbook.simulator.server import Simulator
from rollbook.simulator.times import moment
from tests.helpers.wire import Shown

PROVEN: Final = ("open", "complete", "settled")
# A `Date` has whole seconds, and a clock is compared by it.
SECONDS: Final = timedelta(seconds=3)
WITNESSES_APART: Final = timedelta(minutes=55)
# A reading with more pages of rows is not asked for again (docs/verdicts.md).
PAGES_CHECKED: Final = 6
_REPROCESSED: Final = timedelta(hours=96)  # after its end a conversation is reprocessed by then

EXCUSES: Final = {
    "denied": "no answer that outlived a kill ever had it, no total of the reading counted it (asked for twice where"
    " nothing came at all, and an hour later where the window is settled), and nobody heard of it",
    "unlisted": "heard of, and denied in the same way; by id as well, whenever the reading asked",
    "slid": "rows left and entered while more than six pages were read: it slid between two of them under equal totals",
    "a lie": "its details are what an answer gave at that time or later, and that answer was not true then",
    "odd bytes": "its record came with bytes that are no JSON, and cannot be compared",
    "denied by id": "it is `gone`: at least two answers by id, a minute apart, did not have it",
}


class Wrong(NamedTuple):
    """A claim that does not hold. kind: `missing`, `stale`, `going on` or `gone`; early: before its time."""

    step: int
    start: str
    end: str
    verdict: str
    kind: str
    conversation: str
    text: str

    def __str__(self) -> str:
        return (
            f"step {self.step}: {self.start[5:16]}/{self.end[5:16]} {self.verdict}: {self.kind} {self.conversation[:8]}"
            f" ({self.text})"
        )


# (details, followed, start) of a conversation as the store has it
_Stored = tuple[str | None, str | None, str | None]


class _Row(NamedTuple):
    start: str
    end: str
    verdict: str
    read_at: str | None
    run_at: str | None
    proven_by: str | None


@dataclass
class _Proof:
    """A read that a window's verdict rests on. at: by the organisation's clock. eyes: divisions; None: all."""

    at: datetime
    via: str
    step: int
    eyes: frozenset[str] | None


class _Then(NamedTuple):
    """The conversations that there were before some of them were deleted."""

    now: World
    deleted: list[Conversation]

    def between(self, start: datetime, end: datetime) -> list[Conversation]:
        """What starts in [start, end), ascending by start."""
        lives = [*self.now.between(start, end), *(life for life in self.deleted if start <= life.start < end)]
        return sorted(lives, key=lambda life: life.start)


@dataclass
class Oracle:
    """Judges a store, step by step. read_at: a time of the ledger (API text) as a moment of the organisation's clock."""

    simulator: Simulator
    shown: list[Shown]
    lag: timedelta
    settle_after: timedelta
    stuck_after: timedelta
    read_at: Callable[[str], datetime]
    wrong: list[Wrong] = field(default_factory=list)
    excused: Counter[str] = field(default_factory=Counter)
    judged: dict[tuple[str, str, str, str], str] = field(default_factory=dict)  # proof or failure -> verdict
    wrongly: dict[tuple[str, str, str, str], str] = field(default_factory=dict)  # proof -> how
    verdict_counts: Counter[str] = field(default_factory=Counter)
    moved: list[tuple[datetime, str]] = field(default_factory=list)  # what the faults did to the organisation
    odd: frozenset[str] = frozenset()  # conversations whose record is odd by itself
    odd_bytes: bool = False  # some answer's bytes were spoiled
    killed: set[int] = field(default_factory=set)  # steps whose program was killed: what it was shown may be lost
    clock_errors: set[timedelta] = field(default_factory=set)  # by which this machine's clock has been ahead

    def __post_init__(self) -> None:
        self._proofs: dict[tuple[str, str], list[_Proof]] = defaultdict(list)
        self._last: dict[tuple[str, str], tuple[str | None, str | None]] = {}
        self._born: dict[str, datetime] = {}
        self._removed: list[tuple[datetime, Conversation]] = []
        self._events: dict[str, datetime] = {}
        self._parsed: dict[str, tuple[str, Any]] = {}
        self._rows_of: list[tuple[Shown, dict[str, Any]]] = []
        self._excused: set[tuple[str, ...]] = set()
        self._watch()

    def _watch(self) -> None:
        """Note when conversations come into the world, and go."""
        world, now = self.simulator.world, self.simulator.now
        add, forget = world.add, world.forget

        def added(life: Conversation) -> None:
            self._born[life.id] = now()
            add(life)

        def forgotten(conversation_id: str) -> None:
            if (life := world.by_id.get(conversation_id)) is not None:
                self._removed.append((now(), life))
            forget(conversation_id)

        world.add = added  # type: ignore[method-assign, assignment]
        world.forget = forgotten  # type: ignore[method-assign]

    def followed(self, at: datetime, events: Iterable[tuple[str, datetime]]) -> None:
        """A round without any trouble began at `at`, after these events had been heard."""
        for conversation_id, when in events:
            if when + self.lag <= at:
                self._events[conversation_id] = max(self._events.get(conversation_id, when), when + self.lag)

    # Judging

    def judge(self, path: Path, step: int, eyes: frozenset[str] | None) -> None:
        """Hold every window of the store to its claim. eyes: what the client of this step saw."""
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            query = (
                "SELECT start, \"end\", verdict, last_read_at, last_run_at, proven_by FROM windows WHERE filter = ''"
            )
            rows = [_Row(*row) for row in db.execute(query)]
            stored = {
                conversation_id.lower(): (text, followed, start)
                for conversation_id, text, followed, start in db.execute(
                    "SELECT conversation_id, details, followed, conversation_start FROM conversations"
                )
            }
            self.verdict_counts = Counter(row.verdict for row in rows)
            for row in rows:
                self._note(db, row, step, eyes)
        for row in rows:
            if row.verdict in PROVEN:
                self._judge(row, stored, step)

    def _note(self, db: sqlite3.Connection, row: _Row, step: int, eyes: frozenset[str] | None) -> None:
        key = row.start, row.end
        if row.verdict == "failed":
            self.judged[*key, row.verdict, row.run_at or ""] = "failed"
        if row.verdict not in PROVEN or row.read_at is None:
            return
        self.judged[*key, row.verdict, row.read_at] = row.verdict
        if self._last.get(key) == (row.read_at, row.run_at):
            return
        if (self._last.get(key) or ("", ""))[0] != row.read_at:
            start, _, end = (row.proven_by or f"{row.start}/{row.end}").partition("/")
            query = (
                "SELECT via, divisions_json FROM window_runs"
                " WHERE start = ? AND \"end\" = ? AND filter = '' AND as_of = ?"
                " ORDER BY run_id DESC"
            )
            found = db.execute(query, (start, end, row.read_at)).fetchone()
            via, named = found or ("query", None)
            if named is not None:
                # Its own words for what it saw: who sees fewer divisions than there are claims no more than these.
                eyes = frozenset(json.loads(named)) & (eyes or frozenset(json.loads(named)))
            at = moment(row.read_at) if via == "job" else self.read_at(row.read_at)
            self._proofs[key].append(_Proof(min(at, self.simulator.now()), via, step, eyes))
        self._last[key] = row.read_at, row.run_at

    def _judge(self, row: _Row, stored: Mapping[str, _Stored], step: int) -> None:
        now, proofs = self.simulator.now(), self._proofs[row.start, row.end]
        start, end = moment(row.start), moment(row.end)
        for life in self.simulator.world.between(start, end):
            proof = next((proof for proof in reversed(proofs) if _sees(proof.eyes, life)), None)
            if proof is None:
                continue
            if row.verdict == "settled":
                # A total, an hour later, settles what was first read at that age: its content is that of the first.
                aged = [
                    proof
                    for proof in proofs
                    if proof.at >= end + self.settle_after - SECONDS and _sees(proof.eyes, life)
                ]
                proof = aged[0] if aged else proof
            since = max(proof.at, end + self.lag - SECONDS)
            if row.verdict == "settled":
                since = max(since, end + self.settle_after - SECONDS, self._reprocessed(life, now))
            since = min(since, now)
            if self._known(life) > since:
                continue
            self._judge_one(row, life, proof, since, stored.get(life.id.lower()), step)

    def _known(self, life: Conversation) -> datetime:
        return max(life.known_from, self._born.get(life.id, life.known_from))

    def _reprocessed(self, life: Conversation, now: datetime) -> datetime:
        """When the night came that rewrote it, if it has."""
        at = night(life.final) if life.final < now else now + SECONDS
        if self.settle_after < timedelta(days=4) or at > now or at > life.end + _REPROCESSED:
            return life.start
        return at if any(when == at for when, _ in life.history.revisions) else life.start

    def _judge_one(
        self,
        row: _Row,
        life: Conversation,
        proof: _Proof,
        since: datetime,
        known: _Stored | None,
        step: int,
    ) -> None:
        text, followed, heard_start = known or (None, None, None)
        early = "read early, " if proof.at < moment(row.end) + self.lag - SECONDS else ""
        if not early and row.verdict == "settled" and proof.at < moment(row.end) + self.settle_after - SECONDS:
            early = "settled early, "
        if text is None:
            excuse = self._excuse_missing(
                row, life, proof, was_heard=known is not None and not self._is_misdated(life, heard_start)
            )
            self._file(
                row,
                life,
                step,
                f"{early}missing",
                excuse,
                f"in the index since {_clock(self._known(life))}, read {_clock(proof.at)} by {proof.via}",
            )
            return
        if proof.via == "job" and row.verdict != "settled":
            since = min(since, proof.at)  # its content is as old as its watermark; who belongs to it, the total tells
        since, now = max(since, self._events.get(life.id, since)), self.simulator.now()
        record = self._record(life, text)
        if not self._is_true(life, text, record, since, now):
            shown = [at for at in self._stages(life, life.known_from, since) if _same(record, life.view(at))]
            excuse = self._excuse_content(life, record, proof)
            self._file(
                row,
                life,
                step,
                f"{early}stale",
                excuse,
                f"as it was until {_clock(shown[-1])}" if shown else "as it never was",
                f", read {_clock(proof.at)} by {proof.via}, due {_clock(since)}",
            )
        elif row.verdict != "open" and isinstance(record, dict) and not record.get("conversationEnd"):
            if followed == "gone":
                excuse = self._excuse_gone(life)
                self._file(row, life, step, "gone", excuse, "marked as gone, and there")
            elif life.start > now - self.stuck_after:
                self._file(row, life, step, "going on", None, f"its details have no end, followed {followed}")

    def _file(self, row: _Row, life: Conversation, step: int, kind: str, excuse: str | None, *text: str) -> None:
        key = row.start, row.end, row.verdict, row.read_at or ""
        if excuse is not None:
            if (*key, life.id, excuse) not in self._excused:
                self._excused.add((*key, life.id, excuse))
                self.excused[excuse] += 1
            return
        if key not in self.wrongly or all(mistake.conversation != life.id for mistake in self.wrong):
            self.wrong.append(Wrong(step, row.start, row.end, row.verdict, kind, life.id, "".join(text)))
        self.wrongly.setdefault(key, f"{row.verdict}: {kind}")

    # Content

    def _record(self, life: Conversation, text: str) -> Any:
        known = self._parsed.get(life.id)
        if known is None or known[0] != text:
            known = self._parsed[life.id] = text, _plain(text)
        return known[1]

    def _is_true(self, life: Conversation, text: str, record: Any, since: datetime, now: datetime) -> bool:
        """Whether the organisation knew it so at some moment of [since, now]."""
        if text.encode() in (life.encoded(since), life.encoded(now)):
            return True
        return any(_same(record, life.view(at)) for at in self._stages(life, since, now))

    @staticmethod
    def _stages(life: Conversation, since: datetime, now: datetime) -> list[datetime]:
        """A moment of each state that it had in [since, now]."""
        times = sorted({at for at, _ in life._events()} | {at for at, _ in life.history.revisions})
        return [since, *times[bisect_left(times, since) : bisect_left(times, now)], now]

    # Excuses

    def _excuse_missing(self, row: _Row, life: Conversation, proof: _Proof, *, was_heard: bool) -> str | None:
        if self._ever_shown(life.id):
            return None
        every = [shown for shown in self.shown if shown.way == "query" and self._covers(shown, life)]
        first = timedelta(seconds=1)
        of_proof = [
            shown
            for shown in every
            if shown.step == proof.step
            or (proof.via != "job" and proof.at - first <= shown.at and shown.step <= proof.step)
        ]
        if any(self._admits(shown, life) for shown in of_proof):
            return "slid" if self._slid(of_proof) and self._is_too_long_to_check(of_proof) else None
        asked = [shown for shown in of_proof if shown.asked["paging"]["pageNumber"] == 1]
        if not asked:
            return None
        if not any(b'"conversations":[{' in shown.body for shown in of_proof) and len(asked) < 2:
            return None
        if row.verdict == "settled":
            denials = [
                shown.at
                for shown in every
                if shown.asked["paging"]["pageNumber"] == 1 and not self._admits(shown, life)
            ]
            # One look again is enough for a window that had been proven before (CONTRACT, "Verdicts of a window").
            looks = [
                other_proof.at for other_proof in self._proofs[row.start, row.end] if other_proof.at < proof.at
            ] + denials
            if max(denials) - min(looks) < WITNESSES_APART:
                return None
        if not was_heard:
            return "denied"
        # (What had been shown by id would have been found above.)
        by_id = [
            shown
            for shown in self.shown
            if shown.way == "ids" and proof.step == shown.step and life.id in shown.asked["id"]
        ]
        return "unlisted" if by_id else None

    def _is_misdated(self, life: Conversation, heard_start: str | None) -> bool:
        """Whether it was heard of by a clock that was wrong: it is filed where that clock was when it was heard of."""
        if heard_start is None:
            return False
        events = [life.start, life.end, *(at for pair in life.breaks for at in pair)]
        errors = [moment(heard_start) - at for at in events]
        return any(abs(error - wrong) <= SECONDS for error in errors for wrong in self.clock_errors if wrong)

    def _covers(self, shown: Shown, life: Conversation) -> bool:
        start, end = details_query.interval(shown.asked["interval"])
        return start <= life.start < end and self._known(life) <= shown.at

    def _admits(self, shown: Shown, life: Conversation) -> bool:
        """Whether the total of an answer counts the conversation: it is all of what there was."""
        then = _Then(self.simulator.world, [other for at, other in self._removed if at > shown.at])
        honest = details_query.select(
            then,
            details_query.parse(dict(shown.asked)),
            shown.at,
            reading=self.simulator.reading,
            seen=lambda other: _sees(shown.divisions, other) and self._born.get(other.id, shown.at) <= shown.at,
        )
        total = _object(shown.body).get("totalHits", 0)
        return life in honest and isinstance(total, int) and total >= len(honest)

    @staticmethod
    def _is_too_long_to_check(of_proof: list[Shown]) -> bool:
        """Whether some reading had more pages with rows than are asked for again."""
        pages = [shown.asked["paging"]["pageNumber"] for shown in of_proof if b'"conversations":[{' in shown.body]
        return max(pages, default=0) > PAGES_CHECKED

    def _slid(self, of_proof: list[Shown]) -> bool:
        first, last = min(shown.at for shown in of_proof), max(shown.at for shown in of_proof)
        acts = [kind for at, kind in self.moved if first <= at <= last]
        entered = any(first < self._known(life) <= last for life in self.simulator.world.conversations)
        left = any(kind in ("hide", "forget", "shift") for kind in acts)
        return "shift" in acts or (left and (entered or "unhide" in acts))

    def _ever_shown(self, conversation_id: str) -> bool:
        return any(conversation_id in found for shown, found in self._rows() if shown.step not in self.killed)

    def _rows(self) -> list[tuple[Shown, dict[str, Any]]]:
        """What every answer had: id -> record."""
        for shown in self.shown[len(self._rows_of) :]:
            found = _object(shown.body).get("conversations")
            listed = [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []
            self._rows_of.append((shown, {str(row.get("conversationId")).lower(): row for row in listed}))
        return self._rows_of

    def _excuse_content(self, life: Conversation, record: Any, proof: _Proof) -> str | None:
        if life.id in self.odd:
            return "odd bytes"
        for shown, found in self._rows():
            if shown.at < proof.at:
                continue
            row = found.get(life.id)
            if row is None:
                if not found and life.id.encode() in shown.body:
                    return "odd bytes"
                continue
            # A job's rows are of its watermark: they are true of some moment before.
            times = self._stages(life, life.known_from, shown.at) if shown.way == "job" else [shown.at]
            lies = not any(_same(_bare(row), life.view(at)) for at in times)
            if lies and _same(_bare(row), record):
                return "a lie"
            if lies and self.odd_bytes:
                return "odd bytes"
        return None

    def _excuse_gone(self, life: Conversation) -> str | None:
        denials = [
            shown.at
            for shown, found in self._rows()
            if shown.way == "ids" and life.id in shown.asked["id"] and life.id not in found and life.visible(shown.at)
        ]
        apart = len(denials) > 1 and max(denials) - min(denials) >= timedelta(minutes=1)
        return "denied by id" if apart else None


def _sees(eyes: frozenset[str] | None, life: Conversation) -> bool:
    return eyes is None or not eyes.isdisjoint(life.record["divisionIds"])


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(text: str) -> Any:
    try:
        return _bare(json.loads(text))
    except ValueError:
        return None


def _bare(record: Any) -> Any:
    """Without what only jobs tell."""
    participants = record.get("participants") if isinstance(record, dict) else None
    if not isinstance(participants, list) or not any(
        isinstance(participant, dict) and "attributes" in participant for participant in participants
    ):
        return record
    bare = [
        {name: value for name, value in participant.items() if name != "attributes"}
        if isinstance(participant, dict)
        else participant
        for participant in participants
    ]
    return {**record, "participants": bare}


def _same(value: Any, other: Any) -> bool:
    return value == other or repr(value) == repr(other)  # what is not a number is not equal to itself


def _clock(at: datetime) -> str:
    return at.strftime("%d %H:%M:%S")
