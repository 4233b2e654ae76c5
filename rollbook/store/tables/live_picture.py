"""The live picture of a conversation: what events say, added up in any order and any number of times.

Pure. Snapshots return to earlier states byte for byte and bear no time of their own, so only facts that cannot be
undone are taken from them: seen, started, joined, ended. Each is a minimum, a maximum or a union, which is why neither
order nor repetition matters; and no time that another clock wrote enters one before it was compared with the arrival of
its event, or one wrong clock would decide for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from rollbook.genesys.messages.live_facts import LiveFacts, believed
from rollbook.genesys.messages.notification import Notification
from rollbook.genesys.times import from_text, to_text
from rollbook.store.vocabulary import Provenance

_encode: Final = msgspec.json.Encoder().encode


@dataclass(slots=True)
class LiveFactsOf:
    """The facts that a batch of events tells of a conversation."""

    first_seen_at: str
    started_at: str | None = None
    ended_at: str | None = None
    last_at: str | None = None
    direction: str | None = None
    media_types: frozenset[str] = frozenset()
    division_ids: frozenset[str] = frozenset()

    def add(self, facts: LiveFacts, received_at: str) -> None:
        """Take one event's facts in. received_at: when it arrived for the first time, API text."""
        facts = believed(facts, received_at)
        self.first_seen_at = min(self.first_seen_at, received_at)
        self.started_at = least(self.started_at, facts.started_at)
        self.ended_at = greatest(self.ended_at, facts.ended_at)
        self.last_at = greatest(self.last_at, facts.last_at)
        # Two events that contradict each other: the smaller word wins, so that order does not matter.
        self.direction = least(self.direction, facts.originating_direction)
        if facts.media_types and not self.media_types.issuperset(facts.media_types):
            self.media_types = self.media_types.union(facts.media_types)
        if facts.division_ids and not self.division_ids.issuperset(facts.division_ids):
            self.division_ids = self.division_ids.union(facts.division_ids)


class StoredPicture(NamedTuple):
    """A conversation as the store has it before a batch of events is added.

    First the columns that live capture may set, in the order in which `merge` answers them.
    """

    conversation_start: str | None
    conversation_end: str | None
    originating_direction: str | None
    media_types: str | None
    division_ids: str | None
    provenance: str
    heard_end: str | None
    last_heard: str | None
    look_again: int
    followed: str | None
    read_at: str | None

    @property
    def was_read(self) -> bool:
        """Whether there are details of it."""
        return self.read_at is not None


# The columns that live capture may set.
COLUMNS: Final = StoredPicture._fields[:-1]


def least(a: str | None, b: str | None) -> str | None:
    """The smaller of two texts; nothing is no text."""
    return b if a is None else a if b is None else min(a, b)


def greatest(a: str | None, b: str | None) -> str | None:
    """The greater of two texts; nothing is no text."""
    return b if a is None else a if b is None else max(a, b)


def gather(notifications: list[Notification]) -> dict[str, LiveFactsOf]:
    """The facts of a batch, conversation by conversation."""
    found: dict[str, LiveFactsOf] = {}
    for event in notifications:
        if event.conversation_id is not None and event.facts is not None:
            entry = found.get(event.conversation_id)
            if entry is None:
                entry = found[event.conversation_id] = LiveFactsOf(event.received_at)
            entry.add(event.facts, event.received_at)
    return found


# What is remembered is short, as the media and divisions of a conversation are; what is not, fills no memory.
_SHORT: Final = 4_096
_FEW: Final = 64


def _members(text: str | None) -> frozenset[str]:
    return _read_members(text) if text is None or len(text) <= _SHORT else _read_members.__wrapped__(text)


def _listed(members: frozenset[str]) -> str:
    few = len(members) <= _FEW and sum(map(len, members)) <= _SHORT
    return _write_members(members) if few else _write_members.__wrapped__(members)


@lru_cache(maxsize=1024)
def _read_members(text: str | None) -> frozenset[str]:
    return frozenset(msgspec.json.decode(text)) if text else frozenset()


@lru_cache(maxsize=1024)
def _write_members(members: frozenset[str]) -> str:
    return _encode(sorted(members)).decode()


def first(facts: LiveFactsOf) -> tuple[Any, ...]:
    """The values of `COLUMNS` for a conversation that the store did not know."""
    return (
        facts.started_at,
        facts.ended_at,
        facts.direction,
        _listed(facts.media_types),
        _listed(facts.division_ids),
        Provenance.LIVE,
        facts.ended_at,
        facts.last_at,
        0,
        None,
    )


# A batch of events has few moments of arrival.
@lru_cache(maxsize=1024)
def shown_by(read_at: str | None, lag: timedelta) -> str:
    """Until when (API text) a read as old as `read_at` is sure to show what happened: the index may be behind by `lag`.

    The rule of the article: what is read on the heels of an event may still be the old state.
    """
    return to_text(from_text(read_at) - lag) if read_at and lag else read_at or ""


def merge(known: StoredPicture, facts: LiveFactsOf, lag: timedelta = timedelta(0)) -> tuple[Any, ...] | None:
    """The values of `COLUMNS` after `facts`; None if it says nothing new. lag: as `shown_by` takes it."""
    heard_end = greatest(known.heard_end, facts.ended_at)
    last_heard = greatest(known.last_heard, facts.last_at)
    if known.was_read:
        after = _beside_details(known, heard_end, last_heard, shown_by(known.read_at, lag))
    else:
        after = (
            least(known.conversation_start, facts.started_at),
            greatest(known.conversation_end, facts.ended_at),
            least(known.originating_direction, facts.direction),
            _listed(_members(known.media_types) | facts.media_types),
            _listed(_members(known.division_ids) | facts.division_ids),
            known.provenance,
            heard_end,
            last_heard,
            known.look_again,
            known.followed,
        )
    return None if after == known[:-1] else after


def is_overlooked(known: StoredPicture | None, facts: LiveFactsOf, lag: timedelta) -> bool:
    """Say whether a conversation is first heard of so late that a window it started in may be proven without it.

    No window is proven before its end and the lag are over, so what began a shorter time ago lies in none. known: as
    the store has the conversation; what an answer or an event told of it before is nothing new.
    """
    if facts.started_at is None or (known is not None and known.was_read):
        return False
    before = None if known is None else known.conversation_start
    return (before is None or facts.started_at < before) and facts.started_at < shown_by(facts.first_seen_at, lag)


def _beside_details(known: StoredPicture, heard_end: str | None, last_heard: str | None, shown: str) -> tuple[Any, ...]:
    """Add events to details that are stored: only an end that the read cannot show, and the wish for another look."""
    end = known.conversation_end
    # A stored end that is later than the read came from an event: a later event's end replaces it, so that order does
    # not matter. (What was read cannot have ended after it was read.)
    if heard_end is not None and heard_end > shown and (end is None or end > (known.read_at or "")):
        end = greatest(end, heard_end)
    later = last_heard is not None and last_heard > shown
    # Somebody speaks in the conversation after all: it is neither stuck nor gone.
    followed = None if later and last_heard != known.last_heard else known.followed
    provenance = Provenance.BOTH if known.provenance == Provenance.RECONCILED else known.provenance
    return (known.conversation_start, end, *known[2:5], provenance, heard_end, last_heard, int(later), followed)
