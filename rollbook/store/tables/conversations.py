"""Details into the book: what a read changes, decided here and written in one transaction with its gaps.

`judge` is pure: it takes what is stored and what was read, and answers what to do. The rest is the SQL that does it.
Precedence is decided by how old a read is, never by the order in which writes arrive.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from rollbook.genesys.ids import may_be_asked_for
from rollbook.genesys.messages.details import DetailRow, content_of
from rollbook.genesys.privacy.policy import Withheld
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.bodies import packing
from rollbook.store.erasure import followed, tombstones
from rollbook.store.file.errors import StoreDamaged
from rollbook.store.rows import child_rows, numbers, page_fit
from rollbook.store.rows.child_rows import ChildRows
from rollbook.store.rows.detail_columns import CHILD_TABLES
from rollbook.store.rows.statements import in_parts
from rollbook.store.rows.texts import TextIds
from rollbook.store.tables import gaps, names, notes
from rollbook.store.views import call_mos
from rollbook.store.views.call_mos import Measured, is_mos
from rollbook.store.vocabulary import Comparison, GapKind, Provenance, SetAside

Action = Literal["insert", "fill", "replace", "confirm", "leave"]
_NEW_CONTENT: Final = ("insert", "fill", "replace")
# Why capture missed a conversation or had it wrong, from what was read and the kind of gap.
Cause = Callable[[DetailRow, GapKind], str]


@dataclass(frozen=True, slots=True)
class PageOutcome:
    """The result of a page of details for the store.

    classes: each conversation that this run had not seen before, judged against the store as the run found it.
    content: the conversations inserted or whose content changed; for each, whether it has ended and capture never
    heard that. drifted: of those, the ones whose details had been read before and had ended: rewritten later.
    gaps: which conversations of the page capture had missed, or had missed the end of.
    causes: how many of these gaps were filed, by cause. first_read: the starts of those whose details nobody
    had read before, and of those that had been gone: no answer that has proven a window has had them.
    """

    classes: dict[str, Comparison] = field(default_factory=dict)
    content: dict[str, bool] = field(default_factory=dict)
    drifted: int = 0
    gaps: dict[str, GapKind] = field(default_factory=dict)
    causes: dict[str, int] = field(default_factory=dict)
    first_read: tuple[str, ...] = ()

    @property
    def written(self) -> int:
        """The number of conversations that were inserted or have other content now."""
        return len(self.content)


def unheard_end(stored: StoredConversation | None, row: DetailRow) -> bool:
    """Tell whether a conversation has ended, and capture never received that."""
    return row.end is not None and (stored is None or stored.heard_end is None)


class StoredConversation(NamedTuple):
    """A conversation as the store has it before a read of it is written."""

    number: int
    provenance: str
    first_seen_at: str
    read_at: str | None
    conversation_end: str | None
    heard_end: str | None
    last_heard: str | None
    look_again: int
    followed: str | None
    details: str | None
    attributes_at: str | None = None
    details_open: int = 0
    mos: Any = None

    @property
    def is_deleted(self) -> bool:
        """Tell whether it was read once, and retention has deleted its details since."""
        return self.details is None and self.read_at is not None

    @property
    def is_counted(self) -> bool:
        """Tell whether what is stored shows a measured call with its end, which has been counted then."""
        return self.details is not None and not self.details_open and is_mos(self.mos)


def same_content(stored: StoredConversation | None, row: DetailRow) -> bool:
    """Tell whether a read says what is stored. Key order, number formats and participant attributes do not matter.

    The bytes are compared first: an unchanged record nearly always comes as the same bytes, and a digest of every
    record that is inserted would cost a tenth of the whole write.
    """
    if stored is None or stored.details is None:
        return False
    if stored.details == row.raw.decode():
        return True
    return content_of(stored.details.encode()) == content_of(row.raw)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
# A read that claims to be this much later than now was made while the clock was wrong.
FUTURE: Final = timedelta(minutes=5)


def judge(
    stored: StoredConversation | None, same: bool, as_of: str, *, latest: str = "9", indexed_until: str | None = None
) -> Action:
    """Decide what a read as old as `as_of` does to what is stored. same: they say the same.

    latest: no read that is believed can be later than this (API text). indexed_until: an event that is later may not be
    in the read yet, for the platform's index is behind (None: it is not).

    insert: not known. fill: known from live capture alone. replace: known, and the content is another.
    What retention has deleted is left alone: the proof of its window stands.
    confirm: the same content, and a note that must be taken down (another look was asked for). leave: nothing to do.
    """
    if stored is None:
        return "insert"
    if stored.details is None:
        return "leave" if stored.is_deleted else "fill"
    if stored.read_at is not None and as_of < max(stored.read_at, stored.attributes_at or "") <= latest:
        return "leave"  # an older read never overwrites a newer one
    if not same:
        return "replace"
    shown = as_of if indexed_until is None else indexed_until
    asked = stored.look_again and (stored.last_heard or "") < shown
    wrong_clock = stored.read_at is not None and stored.read_at > latest
    return "confirm" if asked or wrong_clock or stored.followed == SetAside.GONE else "leave"


def classify(stored: StoredConversation | None, same: bool, row: DetailRow, run_started_at: str) -> Comparison:
    """Compare a read with the store as it was when the run began (CONTRACT, "What a report says")."""
    if stored is None or stored.first_seen_at > run_started_at:
        return Comparison.MISSING
    if stored.is_deleted:
        return Comparison.UNCHANGED
    if stored.details is None:
        return Comparison.CHANGED if unheard_end(stored, row) else Comparison.UNCHANGED
    return Comparison.UNCHANGED if same else Comparison.CHANGED


_STORED: Final = (
    "SELECT conversation_id, number, provenance, first_seen_at, read_at, conversation_end, heard_end, last_heard,"
    " look_again, followed, details, attributes_at, details_open, mos FROM conversation_ids"
    " JOIN conversation_rows USING (number) LEFT JOIN detail_rows USING (number) WHERE conversation_id IN "
)


def stored_conversations(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, StoredConversation]:
    """The stored ones of these conversations, by id."""
    found = {}
    for conversation_id, *values in in_parts(connection, _STORED, ids):
        stored = StoredConversation(*values)
        if stored.details is not None:
            stored = stored._replace(details=packing.text(connection, stored.details))
        found[conversation_id] = stored
    return found


_INSERT: Final = (
    "INSERT INTO conversation_rows (number, conversation_start, conversation_end, originating_direction,"
    " media_types, division_ids, mos, r_factor, provenance, first_seen_at, reconciled_at, read_at,"
    f" details_open) VALUES ({', '.join('?' * 13)})"
)
_REPLACE: Final = (
    "UPDATE conversation_rows SET conversation_start = coalesce(?, conversation_start), conversation_end = ?,"
    " originating_direction = coalesce(?, originating_direction), media_types = ?, division_ids = ?, mos = ?,"
    " r_factor = ?, provenance = ?, reconciled_at = ?, read_at = ?, look_again = ?, followed = NULL,"
    " details_open = ? WHERE number = ?"
)
_DETAILS: Final = "INSERT OR REPLACE INTO detail_rows (number, details) VALUES (?, ?)"
# The content is the same and the read is newer: an end that only an event told, before what the read can show, is no
# end.
_CONFIRM: Final = (
    "UPDATE conversation_rows SET read_at = ?1, look_again = coalesce(last_heard > ?4, 0),"
    " conversation_end = coalesce(?2, CASE WHEN heard_end > ?4 THEN heard_end END),"
    " followed = nullif(followed, 'gone') WHERE number = ?3"
)
_KEEP_VERSION: Final = (
    "INSERT OR IGNORE INTO version_rows (number, read_at, replaced_at, details)"
    " SELECT number, read_at, ?, coalesce(?, details) FROM conversation_rows JOIN detail_rows USING (number)"
    " WHERE number = ?"
)
# The newest answer that has a participant's attributes has all of them.
_OTHER_ATTRIBUTES: Final = (
    "DELETE FROM attribute_rows WHERE number = ? AND participant_id = ?"
    " AND name NOT IN (SELECT value FROM json_each(?))"
)
_OTHER_PARTICIPANTS: Final = (
    "DELETE FROM attribute_rows WHERE number = ? AND participant_id NOT IN (SELECT value FROM json_each(?))"
)
_VERSIONS_OF: Final = "SELECT number, rowid, details FROM version_rows WHERE number IN "
# In the place of a version with people's data that the platform has erased since.
_VERSION_IN_PLACE: Final = "UPDATE version_rows SET details = ? WHERE rowid = ?"
_ATTRIBUTES: Final = (
    "INSERT INTO attribute_rows (number, participant_id, name, value) VALUES (?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET value = excluded.value WHERE value IS NOT excluded.value"
)
_ATTRIBUTES_AT: Final = "UPDATE conversation_rows SET attributes_at = ? WHERE number = ?"
_EXPLAINED: Final = "UPDATE gap_rows SET filled_at = ? WHERE number = ? AND kind = 'live_only'"


_IN_ORDER: Final = (
    _KEEP_VERSION,
    _INSERT,
    _REPLACE,
    _DETAILS,
    _CONFIRM,
    _OTHER_ATTRIBUTES,
    _OTHER_PARTICIPANTS,
    _ATTRIBUTES,
    _ATTRIBUTES_AT,
    _EXPLAINED,
)


@dataclass(slots=True)
class _Planned:
    """The writes of a page. rows: for each statement, in the order in which they are run, what it takes."""

    children: ChildRows
    rows: dict[str, list[tuple[Any, ...]]] = field(default_factory=lambda: {statement: [] for statement in _IN_ORDER})
    other_children: list[int] = field(default_factory=list)  # of these conversations, others take the place of them
    gaps: list[gaps.Gap] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)  # calls that are counted with this page

    def run(self, connection: sqlite3.Connection) -> None:
        for statement, rows in self.rows.items():
            if rows:
                connection.executemany(statement, rows)
        for number in self.other_children:
            child_rows.delete(connection, number, number)
        self.children.insert(connection)
        gaps.add(connection, self.gaps)
        call_mos.count(connection, self.measured)


class Read(NamedTuple):
    """The circumstances of reading a page. Times are API text.

    as_of: how old the read is. at: the time now. classified_before: the ids that this run has classified. lag: how far
    the platform's index may be behind: the read proves nothing about an event that is younger than event + lag.
    """

    as_of: str
    at: str
    run_started_at: str
    classified_before: frozenset[str]
    lag: timedelta

    @property
    def indexed_until(self) -> str:
        """The time before which everything that happened is in the read, as API text."""
        return to_text(from_text(self.as_of) - self.lag)


def write(
    connection: sqlite3.Connection,
    details: Iterable[DetailRow],
    read: Read,
    *,
    window: Interval | None,
    width: timedelta,
    cause: Cause,
) -> PageOutcome:
    """Write a page of details with its child rows and its gaps: a part of `windows.write_details`."""
    outcome, judged = _judge_page(connection, details, read)
    known = [each for each in judged if each.stored is not None]
    new = [each for each in judged if each.stored is None]
    new = [new[place] for place in page_fit.order([len(each.row.raw) for each in new])]
    number_of = {each.conversation_id: each.stored.number for each in known if each.stored is not None}
    number_of |= numbers.given(connection, [each.conversation_id for each in new])
    attributes_from = notes.retained(connection).get("attributes", "")
    planned, indexed_until = _Planned(ChildRows(TextIds(connection))), read.indexed_until
    bounds = window.texts if window else None
    newest: dict[int, bytes] = {}  # of conversations with earlier versions, perhaps: what the platform says of them now
    for each in (*known, *new):
        number = number_of[each.conversation_id]
        if each.action in _NEW_CONTENT:
            planned.rows[_DETAILS].append((number, packing.pack(connection, "details", each.row.raw)))
            measured = _fill(planned, number, each, read, indexed_until)
            earlier = each.action == "replace" and measured is not None and call_mos.was_counted(connection, number)
            if measured is not None and not earlier:
                planned.measured.append(measured)
            if each.action == "replace" and not each.by_policy:
                newest[number] = each.row.raw
        has_others = _has_other_attributes(each, read.as_of)
        if each.action == "confirm" or has_others:
            # Details with other attributes are of this read: an older one must not take their place.
            planned.rows[_CONFIRM].append((read.as_of, each.row.end, number, indexed_until))
        if has_others:
            planned.rows[_DETAILS].append((number, packing.pack(connection, "details", each.row.raw)))
        if _add_attributes(planned, number, each, read.as_of, attributes_from) and each.stored is not None:
            newest[number] = each.row.raw
        if kind := outcome.gaps.get(each.conversation_id):
            start, why = _filed_under(each.row, bounds, width, read.at), cause(each.row, kind)
            planned.gaps.append(gaps.Gap(each.conversation_id, start, kind, why, read.at, read.at))
    planned.run(connection)
    _follow_erasures(connection, newest)
    names.meet(connection, planned.children.named())
    return replace(outcome, causes=Counter(gap.cause for gap in planned.gaps))


def _follow_erasures(connection: sqlite3.Connection, newest: Mapping[int, bytes]) -> None:
    """Keep no earlier version with people's data that the newest answer has blanked or replaced."""
    for number, key, details in list(in_parts(connection, _VERSIONS_OF, newest)):
        try:
            old = packing.text(connection, details).encode()
        except StoreDamaged:
            continue
        if (kept := followed.version_in_place(old, newest[number])) is not None:
            connection.execute(_VERSION_IN_PLACE, (kept.decode(), key))


def _filed_under(row: DetailRow, window: tuple[str, str] | None, width: timedelta, at: str) -> str:
    """The start of the window that a conversation's gap is filed under: the run's own window, else of the grid."""
    if row.start is None:
        return window[0] if window else at
    if window is not None and window[0] <= row.start < window[1]:
        return window[0]
    try:
        return to_text(_EPOCH + (from_text(row.start) - _EPOCH) // width * width)
    except (ValueError, OverflowError):
        return row.start


class _Judged(NamedTuple):
    """A row that was read, and what it does to what is stored.

    former: what is stored, without what `[privacy]` takes by now; None where that is the same. by_policy: it says what
    was read then, so that only a policy has changed: what was kept goes, and is no version.
    """

    conversation_id: str
    row: DetailRow
    stored: StoredConversation | None
    action: Action
    former: str | None = None
    by_policy: bool = False


def _judge_page(
    connection: sqlite3.Connection, details: Iterable[DetailRow], read: Read
) -> tuple[PageOutcome, list[_Judged]]:
    """Judge a page of details, for a caller that writes it or only compares it."""
    came = {row.conversation_id: row for row in details if row.conversation_id is not None}
    named = tombstones.rows_without(connection, came)
    known = stored_conversations(connection, list(named))
    latest, indexed_until = to_text(from_text(read.at) + FUTURE), read.indexed_until
    redactor = packing.redactor_of(connection)
    outcome, judged, drifted = PageOutcome(), [], 0
    first_read: list[str] = []
    for conversation_id, row in named.items():
        stored = known.get(conversation_id)
        same, former, by_policy = same_content(stored, row), None, False
        if not same and stored is not None and stored.details is not None:
            former = _without_what_goes(redactor, stored.details)
            by_policy = former is not None and same_content(stored._replace(details=former), row)
        if conversation_id not in read.classified_before:
            outcome.classes[conversation_id] = classify(stored, same or by_policy, row, read.run_started_at)
        action = judge(stored, same, read.as_of, latest=latest, indexed_until=indexed_until)
        came_back = stored is not None and stored.followed == SetAside.GONE and action in ("replace", "confirm")
        if (action in ("insert", "fill") or came_back) and row.start is not None:
            first_read.append(row.start)
        judged.append(_Judged(conversation_id, row, stored, action, former, by_policy))
        if action in _NEW_CONTENT:
            outcome.content[conversation_id] = unheard_end(stored, row)
        replaced = action == "replace" and not by_policy
        drifted += replaced and stored is not None and stored.conversation_end is not None
        if kind := _gap_kind(stored, row, action):
            outcome.gaps[conversation_id] = kind
    return replace(outcome, drifted=drifted, first_read=tuple(first_read)), judged


def _without_what_goes(redactor: Redactor | None, details: str) -> str | None:
    """What is stored, as the policy would have it now; None where it would be the same."""
    if redactor is None:
        return None
    try:
        found = redactor.record(details.encode()).decode()
    except Withheld:  # of a store of before, or broken
        return None
    return None if found == details else found


def _has_other_attributes(judged: _Judged, as_of: str) -> bool:
    """Tell whether a read that changes nothing else has other attributes than the details that are stored.

    Content does not count them, because most answers have none; but what one takes away must not stay.
    """
    stored, row = judged.stored, judged.row
    if stored is None or stored.details is None or judged.action in _NEW_CONTENT:
        return False
    if as_of < max(stored.read_at or "", stored.attributes_at or ""):
        return False
    if stored.details == row.raw.decode() or b'"attributes"' not in row.raw:
        return False
    return followed.attributes_of(stored.details.encode()) != followed.attributes_of(row.raw)


def _add_attributes(planned: _Planned, number: int, judged: _Judged, as_of: str, kept_from: str) -> bool:
    """Plan participant attributes, if the read is no older than the one that those in the store come from.

    kept_from: of conversations that had ended before and are as they were, retention has deleted them. Tells whether
    the read has any, be they none.
    """
    stored = judged.stored
    is_as_it_was = stored is not None and judged.action not in _NEW_CONTENT
    if stored is not None and is_as_it_was and (stored.is_deleted or (judged.row.end or kept_from) < kept_from):
        return False
    whose = list(child_rows.attribute_names(number, judged.row))
    if not whose or (stored is not None and as_of < (stored.attributes_at or "")):
        return False
    if stored is not None:
        planned.rows[_OTHER_ATTRIBUTES] += whose
        there = child_rows.participant_ids(judged.row)
        planned.rows[_OTHER_PARTICIPANTS].append((number, json.dumps(there)))
    planned.rows[_ATTRIBUTES] += child_rows.attributes(number, judged.row)
    if stored is None or stored.attributes_at != as_of:
        planned.rows[_ATTRIBUTES_AT].append((as_of, number))
    return True


def _gap_kind(stored: StoredConversation | None, row: DetailRow, action: Action) -> GapKind | None:
    """The kind of what capture missed: conversation or end. Judged once, when the read that shows it is written."""
    if action == "insert":
        return GapKind.MISSING
    if action not in ("fill", "replace") or stored is None or row.end is None:
        return None
    first_end = action == "fill" or stored.conversation_end is None
    by_capture = stored.provenance != Provenance.RECONCILED
    return GapKind.CHANGED if first_end and by_capture and stored.heard_end is None else None


def _fill(planned: _Planned, number: int, judged: _Judged, read: Read, indexed_until: str) -> Measured | None:
    """A conversation whose content is new: its row, its child rows, and the end of what they take the place of.

    Answers the measured call that it is, if this is the first read that shows its end and a MOS.
    """
    row, stored = judged.row, judged.stored
    as_of, at, is_open = read.as_of, read.at, int(row.end is None)
    shared = planned.children.add(number, row)
    measured = None
    if row.end is not None and is_mos(shared[3]) and (stored is None or not stored.is_counted):
        measured = Measured(number, shared[3], row.end, at, shared[1])
    if stored is None:
        times = (at, at, as_of)
        planned.rows[_INSERT].append((number, row.start, row.end, *shared, Provenance.RECONCILED, *times, is_open))
        return measured
    heard_later = stored.last_heard is not None and stored.last_heard > indexed_until
    # An event's end after what the read can show is newer than the read; an earlier one is overruled by the read.
    heard_end = stored.heard_end
    heard_end = heard_end if heard_end is not None and heard_end > indexed_until else None
    by_readings_alone = stored.provenance == Provenance.RECONCILED
    origin = (Provenance.RECONCILED if by_readings_alone else Provenance.BOTH, at, as_of, int(heard_later))
    planned.rows[_REPLACE].append((row.start, row.end or heard_end, *shared, *origin, is_open, number))
    if stored.details is not None:
        planned.other_children.append(number)
        if stored.conversation_end is not None and not judged.by_policy:
            planned.rows[_KEEP_VERSION].append((at, judged.former, number))
    if stored.provenance == Provenance.LIVE:
        planned.rows[_EXPLAINED].append((at, number))
    return measured


def compare(connection: sqlite3.Connection, details: Iterable[DetailRow], read: Read) -> PageOutcome:
    """Compare a page with the store: the answer of `write` without the causes. Writes nothing, files nothing."""
    return _judge_page(connection, details, read)[0]


class OpenConversation(NamedTuple):
    """A conversation to be asked for by id. asked_at: when it last was."""

    conversation_id: str
    conversation_start: str | None
    read_at: str | None
    look_again: bool
    asked_at: str | None = None
    last_heard: str | None = None
    division_ids: str | None = None


_ASKED: Final = (
    "SELECT conversation_id, conversation_start, read_at, look_again, asked_at, last_heard, division_ids,"
    " first_seen_at FROM conversation_rows JOIN conversation_ids USING (number)"
    " LEFT JOIN asked_by_id USING (conversation_id)"
)


def open_conversations(connection: sqlite3.Connection, limit: int = 10_000) -> list[OpenConversation]:
    """Conversations that go on (neither stuck nor gone) or had events since they were read; asked longest ago first.

    By when they were asked for, not by when they were read: an answer that says nothing new changes nothing of the
    latter, and the first `limit` would be asked for for ever.
    """
    query = (
        f"SELECT * FROM ({_ASKED} WHERE details_open = 1 AND followed IS NULL"
        f" UNION {_ASKED} WHERE look_again = 1) ORDER BY max(coalesce(asked_at, ''), coalesce(read_at, '')), 1 LIMIT ?"
    )
    return [_open(row) for row in connection.execute(query, (limit,))]


def set_aside(connection: sqlite3.Connection, asked_before: str, now: str, limit: int = 200) -> list[OpenConversation]:
    """The stuck and the gone ones that were not asked for since `asked_before`; asked longest ago first.

    now: what was asked for later than that, a clock that ran ahead has noted.
    """
    query = (
        f"{_ASKED} WHERE followed IS NOT NULL AND (coalesce(asked_at, '') < ?1 OR asked_at > ?3) AND refused IS NULL"
        " ORDER BY coalesce(asked_at, ''), 1 LIMIT ?2"
    )
    return [_open(row) for row in connection.execute(query, (asked_before, limit, now))]


# An answer that lacked what only capture knows is asked for again at every look for so long, then more seldom, and in
# the end no more: what the platform has not listed by then was nothing that it keeps.
_ABSENT_OFTEN: Final = timedelta(days=2)
_ABSENT_AT_ALL: Final = timedelta(days=30)


def nobody_will_read(
    connection: sqlite3.Connection, first_seen: str, asked_before: tuple[str, str], now: str, limit: int = 1_000
) -> list[OpenConversation]:
    """Conversations that only capture knows, seen first before `first_seen`, and that no waiting window will bring.

    They began before the configured beginning, or had their first event after their window had been proven.
    asked_before: since when they were not asked for, and the same for those that were absent for days. now: what was
    asked for later, a clock that ran ahead has noted.
    """
    often, seldom = asked_before
    at = from_text(now)
    query = (
        f"{_ASKED} WHERE provenance = 'live' AND first_seen_at < ? AND refused IS NULL AND (asked_at IS NULL OR"
        " asked_at > ? OR CASE WHEN absent_since < ? THEN 0 WHEN absent_since < ? THEN asked_at < ? ELSE asked_at < ?"
        " END) ORDER BY coalesce(asked_at, ''), 1"
    )
    values = (first_seen, now, to_text(at - _ABSENT_AT_ALL), to_text(at - _ABSENT_OFTEN), seldom, often)
    waiting = connection.execute(
        "SELECT start, \"end\" FROM windows WHERE filter = '' AND verdict IN ('pending', 'due', 'failed')"
        " ORDER BY start"
    ).fetchall()
    latest_end = list(itertools.accumulate((end for _, end in waiting), max))
    starts = [start for start, _ in waiting]

    def is_waited_for(start: str) -> bool:
        place = bisect_right(starts, start)
        return place > 0 and latest_end[place - 1] > start

    found: list[OpenConversation] = []
    for row in connection.execute(query, values):
        if len(found) == limit:
            break
        if not is_waited_for(row[1] or row[7]):
            found.append(_open(row))
    return found


def _open(row: tuple[Any, ...]) -> OpenConversation:
    return OpenConversation(row[0], row[1], row[2], bool(row[3]), *row[4:7])


# What an interval owns, by its start and its end.
_OWNED: Final = "FROM conversation_rows WHERE conversation_start >= ? AND conversation_start < ?"
_WITH_ID: Final = "FROM conversation_rows JOIN conversation_ids USING (number)"
_OWNED_IDS: Final = f"SELECT conversation_id {_WITH_ID} WHERE conversation_start >= ? AND conversation_start < ?"
_GOES_ON: Final = "details_open = 1 AND followed IS NULL"


def ongoing_count(connection: sqlite3.Connection, start: str, end: str) -> int:
    """Reconciled conversations that started in [start, end) and go on; stuck and gone ones do not count."""
    count: int = connection.execute(f"SELECT count(*) {_OWNED} AND {_GOES_ON}", (start, end)).fetchone()[0]
    return count


def ongoing_starts(connection: sqlite3.Connection) -> list[str]:
    """The starts of the reconciled conversations that go on, in order; stuck and gone ones do not count."""
    query = (
        f"SELECT conversation_start FROM conversation_rows WHERE {_GOES_ON} AND conversation_start IS NOT NULL"
        " ORDER BY conversation_start"
    )
    return [row[0] for row in connection.execute(query)]


def owned_counts(connection: sqlite3.Connection, start: str, end: str) -> tuple[int, int]:
    """(reconciled conversations that started in [start, end), those of them that go on)."""
    query = f"SELECT count(*) {_OWNED} AND read_at IS NOT NULL"
    owned: int = connection.execute(query, (start, end)).fetchone()[0]
    return owned, ongoing_count(connection, start, end)


def last_ended(connection: sqlite3.Connection, start: str, end: str) -> str | None:
    """The last end of a reconciled conversation that started in [start, end)."""
    query = f"SELECT max(conversation_end) {_OWNED} AND read_at IS NOT NULL"
    last: str | None = connection.execute(query, (start, end)).fetchone()[0]
    return last


# SQLite would take the index by provenance, and look at all that nobody has read yet for every window.
_LIVE_ONLY: Final = (
    "SELECT conversation_id FROM conversation_rows INDEXED BY {} JOIN conversation_ids USING (number)"
    " WHERE provenance = 'live' AND "
)


def live_only_ids(connection: sqlite3.Connection, start: str, end: str) -> list[str]:
    """Conversations of the window that are known from live capture alone. Without a start: by when first seen."""
    query = (
        f"{_LIVE_ONLY.format('conversation_rows_live')} conversation_start >= ?1 AND conversation_start < ?2"
        f" UNION ALL {_LIVE_ONLY.format('conversation_rows_unplaced')} conversation_start IS NULL"
        " AND first_seen_at >= ?1 AND first_seen_at < ?2 ORDER BY 1"
    )
    return [row[0] for row in connection.execute(query, (start, end))]


def reconciled_ids(connection: sqlite3.Connection, start: str, end: str) -> list[str]:
    """Conversations that started in [start, end) and have been read, but for those that the platform forgot."""
    query = f"{_OWNED_IDS} AND read_at IS NOT NULL AND followed IS NOT 'gone'"
    return [row[0] for row in connection.execute(query, (start, end))]


def ended_ids(connection: sqlite3.Connection, start: str, end: str, latest: str) -> list[tuple[str, bool]]:
    """(id, whether it was read) of what started in [start, end), and had ended by `latest` as far as is known."""
    query = (
        f"SELECT conversation_id, read_at IS NOT NULL {_WITH_ID} WHERE conversation_start >= ?"
        " AND conversation_start < ? AND conversation_end <= ? AND (details_open = 0 OR read_at IS NULL)"
        " AND followed IS NOT 'gone'"
    )
    return [(row[0], bool(row[1])) for row in connection.execute(query, (start, end, latest))]


def known_ids(connection: sqlite3.Connection, start: str, end: str) -> list[str]:
    """What started in [start, end) as far as anybody knows: read or heard, but for what the platform forgot."""
    return [*reconciled_ids(connection, start, end), *live_only_ids(connection, start, end)]


def divisions_of(connection: sqlite3.Connection, ids: Iterable[str]) -> dict[str, str | None]:
    """The divisions of these conversations, as JSON; None where they are not known."""
    query = f"SELECT division_ids {_WITH_ID} WHERE conversation_id = ?"
    found = {id_: connection.execute(query, (id_,)).fetchone() for id_ in ids}
    return {id_: row[0] if row else None for id_, row in found.items()}


# The platform may list a few conversations under ids that cannot be asked for.
_ODD_IDS: Final = 100


def a_listed_id(connection: sqlite3.Connection, but: Sequence[str] = ()) -> str | None:
    """A conversation that was read lately: an answer by id that lacks it, too, knows nothing of the others.

    One that has ended at best; where there is none, one that goes on, were it stuck.
    """
    newest = " ORDER BY conversation_start DESC LIMIT ?"
    for those in (
        "read_at IS NOT NULL AND details_open = 0 AND look_again = 0 AND followed IS NULL",
        "details_open = 1 AND followed IS NOT 'gone'",
    ):
        query = f"SELECT conversation_id {_WITH_ID} WHERE {those}{newest}"
        known = (row[0] for row in connection.execute(query, (len(but) + _ODD_IDS,)))
        for conversation_id in known:
            if conversation_id not in but and may_be_asked_for(conversation_id):
                return str(conversation_id)
    return None


def mark(connection: sqlite3.Connection, ids: Sequence[str], followed: SetAside) -> int:
    """Note that these are open for too long, or that the platform no longer knows them. They stay."""
    before = connection.total_changes
    connection.executemany(
        "UPDATE conversation_rows SET followed = ?1, look_again = 0 WHERE number = ?2"
        " AND (followed IS NOT ?1 OR look_again = 1) AND (?1 <> 'stuck' OR details_open = 1)",
        [(followed, number) for number in numbers.known(connection, ids).values()],
    )
    return connection.total_changes - before


def outlive(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """Note that nobody can say any more how these went on: no other look is due, and none holds a window open."""
    before = connection.total_changes
    connection.executemany(
        "UPDATE conversation_rows SET followed = CASE WHEN details_open = 1 THEN 'stuck' END, look_again = 0"
        " WHERE number = ? AND followed IS NULL AND (details_open = 1 OR look_again = 1)",
        [(number,) for number in numbers.known(connection, ids).values()],
    )
    return connection.total_changes - before


def details_of(connection: sqlite3.Connection, start: str, end: str) -> dict[str, str]:
    """The details of the conversations that started in [start, end), by id."""
    query = (
        f"SELECT conversation_id, details {_WITH_ID} JOIN detail_rows USING (number)"
        " WHERE conversation_start >= ? AND conversation_start < ?"
    )
    found = connection.execute(query, (start, end))
    return {conversation_id: packing.text(connection, details) for conversation_id, details in found}


def count_child_rows(connection: sqlite3.Connection) -> int:
    """The number of rows of the child tables together."""
    tables = (table.rows for table in CHILD_TABLES.values())
    return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables)
