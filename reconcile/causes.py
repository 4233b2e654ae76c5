"""Why capture missed a conversation: from what was listened to while it lived, in the ledger's words. Pure.

It knows topics only as far as to see whether one could have carried a conversation: the ids of its queues and users
stand in the names of the topics that hear them.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from rollbook.genesys.lenient_json import objects, text_or_none
from rollbook.genesys.messages.details import DetailRow
from rollbook.genesys.times import to_text
from rollbook.store.tables.coverage import FUNCTION, Span, is_silent
from rollbook.store.vocabulary import EndReason, GapKind

Cause = Literal[
    "not running", "disconnected", "channel lost", "topic rejected", "not heard by this transport", "unknown"
]

# Why a span of coverage ended → why what came after it was not heard.
_OF_END: Final[Mapping[str, Cause]] = {
    EndReason.STOPPED: "not running",
    EndReason.KILLED: "not running",
    EndReason.DISCONNECTED: "disconnected",
    EndReason.CHANNEL_LOST: "channel lost",
    EndReason.TOPICS_LOST: "channel lost",
    EndReason.TOPICS_LET_GO: "not heard by this transport",
    EndReason.NO_EVENTS: "not heard by this transport",
    EndReason.TOPIC_REJECTED: "topic rejected",
    EndReason.ROLLED_OVER: "disconnected",
    EndReason.QUEUE_FULL: "disconnected",
}
_NOBODY: Final[Cause] = "not running"
_FAR: Final = "9"


@dataclass(frozen=True, slots=True)
class Lifetime:
    """The time in which capture should have received a conversation, and the entities whose topics could carry it."""

    start: str
    end: str
    entities: frozenset[str]


def life_of(row: DetailRow, kind: str, *, now: str) -> Lifetime:
    """The life of a conversation as its details tell it. kind "changed": only its end was not heard."""
    end = row.end or now
    start = end if kind == GapKind.CHANGED else (row.start or end)
    return Lifetime(min(start, end), end, frozenset(_entities(row)))


# Their segments name a queue too, but it is the queue's own participants that bring a conversation onto its topic.
_OUTSIDE: Final = frozenset({"customer", "external", "ivr", "workflow"})


def _entities(row: DetailRow) -> Iterable[str]:
    """The conversation's own id, and those of its queues and users."""
    if row.conversation_id is not None:
        yield row.conversation_id
    yield from _of_tree(row.record) if row.typed is None else _of_fields(row.typed)


def _of_fields(record: Any) -> Iterable[str]:
    for participant in record.participants or ():
        if participant.userId.__class__ is str:
            yield participant.userId
        if participant.purpose in _OUTSIDE:
            continue
        for session in participant.sessions or ():
            for segment in session.segments or ():
                if segment.queueId.__class__ is str:
                    yield segment.queueId


def _of_tree(record: Mapping[str, Any]) -> Iterable[str]:
    for participant in objects(record.get("participants")):
        if (user := text_or_none(participant.get("userId"))) is not None:
            yield user
        if participant.get("purpose") in _OUTSIDE:
            continue
        for session in objects(participant.get("sessions")):
            for segment in objects(session.get("segments")):
                if (queue := text_or_none(segment.get("queueId"))) is not None:
                    yield queue


# The words of a topic's name that an id follows.
_BEFORE_ID: Final = frozenset({"queues", "users", "conversation", "conversations"})


def _named(topic: str) -> Iterable[str]:
    """The ids that a topic's name holds; "*" for one that hears every id."""
    words = topic.partition("?")[0].split(".")
    for before, word in itertools.pairwise(words):
        if before in _BEFORE_ID:
            yield "*" if word in ("{id}", "*") else word


def as_known(spans: Iterable[Span], now: datetime) -> list[Span]:
    """Spans whose process has died without a word, ended at their last sign of life."""
    return [
        span._replace(
            ended_at=span.alive_at, end_reason=EndReason.NO_EVENTS if span.scope == FUNCTION else EndReason.KILLED
        )
        if is_silent(span, now)
        else span
        for span in spans
    ]


@dataclass(slots=True)
class Listening:
    """Coverage over a stretch of time, ready to be asked about many conversations.

    spans: those that touch the stretch, in order of their start. rejected: topics that the platform refuses.
    """

    spans: Sequence[Span]
    rejected: Iterable[str] = ()
    _of_entity: Mapping[str, list[list[int]]] | None = field(init=False, default=None)
    _refused: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        self._refused = frozenset(name for topic in self.rejected for name in _named(topic)) - {"*"}

    @property
    def is_empty(self) -> bool:
        """Tell whether nobody listened to anything, or tried to."""
        return not self.spans and not self._refused

    def cause(self, life: Lifetime) -> Cause:
        """Why a conversation with this life was not heard, or not to its end."""
        # Made for the first that is asked about: mostly nothing was missed, and thousands of topics take a while.
        index = self._of_entity = self._of_entity or self._indexed()
        able = [
            self.spans[position]
            for position in sorted(
                {number for name in ("*", *life.entities) for numbers in index.get(name, ()) for number in numbers}
            )
        ]
        if hole := _hole(able, life):
            return hole
        if able and _touches(able, life):
            return "unknown"  # it was listened for all its life
        if self._refused & life.entities:
            return "topic rejected"
        # Nobody listened for it; did anybody listen at all?
        return _hole(self.spans, life) or ("not heard by this transport" if _touches(self.spans, life) else _NOBODY)

    def _indexed(self) -> Mapping[str, list[list[int]]]:
        """Entity → for each set of topics that names it, which of the spans heard that set."""
        index: dict[str, list[list[int]]] = defaultdict(list)
        sets: dict[tuple[str, ...], list[int]] = {}
        for position, span in enumerate(self.spans):
            if span.topics not in sets:
                sets[span.topics] = []
                for entity in {name for topic in span.topics for name in _named(topic)}:
                    index[entity].append(sets[span.topics])
            sets[span.topics].append(position)
        return index


def _touches(spans: Sequence[Span], life: Lifetime) -> bool:
    return any(span.started_at <= life.end and (span.ended_at or _FAR) >= life.start for span in spans)


def _hole(spans: Sequence[Span], life: Lifetime) -> Cause | None:
    """Why the first hole in a life was there, in the word of the span before it; None if there was none to explain.

    spans: in order of their start.
    """
    before = [span for span in spans if span.started_at <= life.start]
    if not before:
        return "not running" if _touches(spans, life) else None  # listening began in the middle of it, or later
    last = max(before, key=lambda span: span.ended_at or _FAR)
    if (last.ended_at or _FAR) < life.start:
        return _word(last.end_reason)
    heard_until, why = last.ended_at or _FAR, last.end_reason
    for span in spans[len(before) :]:
        if heard_until >= life.end or span.started_at > heard_until:
            break
        if (span.ended_at or _FAR) > heard_until:
            heard_until, why = span.ended_at or _FAR, span.end_reason
    return _word(why) if heard_until < life.end else None


def _word(end_reason: str | None) -> Cause:
    return _OF_END.get(end_reason or "", "unknown")


def explainer(listening: Listening, now: datetime) -> Callable[[DetailRow, str], str]:
    """The cause of a gap, from the details that show it."""
    at = to_text(now)
    if listening.is_empty:
        return lambda _row, _kind: _NOBODY  # whoever a conversation was with: its record need not be looked at
    return lambda row, kind: listening.cause(life_of(row, kind, now=at))
