"""Knowledge of analytics about a conversation at a moment.

A record holds a conversation to its end. Seen at a moment, segments that have not begun are not there, those that go
on have no end, metrics and audio appear after they were emitted, and everything a delay later: that of the
conversation's indexing, and on top of it those of audio statistics and of after-call work. Long afterwards the record
may be revised.
Knows no queue, no query and no server.
"""

from __future__ import annotations

import bisect
import contextlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from rollbook.simulator.times import FAR, moment, text

T = TypeVar("T")
_NONE = timedelta(0)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_LATE = timedelta(hours=1)  # more than it takes to learn of an end
_KEPT = 16  # derived values of a conversation
_OF_THE_END = ("segmentEnd", "disconnectType", "wrapUpCode", "wrapUpNote", "wrapUpTags")
_OF_WRAP_UP = ("tAcw", "tHandle")


class History(NamedTuple):
    """Everything that will ever be known of a conversation, and when."""

    record: dict[str, Any]
    attributes: Mapping[str, Mapping[str, str]] = {}  # by participantId; only jobs tell them
    breaks: Sequence[tuple[datetime, datetime]] = ()  # it had ended, and was resumed
    audio_after: timedelta = _NONE  # after indexing: mediaEndpointStats, MOS and R-factor
    wrap_up_after: timedelta = _NONE  # after indexing: wrap-up segments, tAcw, tHandle
    revisions: Sequence[tuple[datetime, dict[str, Any]]] = ()  # from then on the record is this


class Conversation:
    """Conversation with its whole record, and when its parts become known. `extra`: seconds until it is indexed."""

    def __init__(self, record: dict[str, Any], indexed_after: float = 0.0) -> None:
        start = moment(record["conversationStart"])
        self._plan(record["conversationId"], start, indexed_after, lambda: History(record), FAR)

    @classmethod
    def unwritten(
        cls,
        conversation_id: str,
        start: datetime,
        indexed_after: float,
        write: Callable[[], History],
        over_by: datetime,
    ) -> Conversation:
        """Conversation whose record is written at the first look: a large past costs nothing until it is read."""
        conversation = cls.__new__(cls)
        conversation._plan(conversation_id, start, indexed_after, write, over_by)
        return conversation

    def _plan(
        self,
        conversation_id: str,
        start: datetime,
        indexed_after: float,
        write: Callable[[], History],
        over_by: datetime,
    ) -> None:
        self.over_by = over_by  # known without writing it: it has ended by then
        self.id, self.start, self.extra = conversation_id, start, indexed_after
        self.version = 0
        self.odd: Callable[[dict[str, Any]], dict[str, Any]] | None = None
        self.known_from = start + timedelta(seconds=indexed_after)
        self._write: Callable[[], History] = write
        self._history: History | None = None
        self._forget()

    def _forget(self) -> None:
        self._final: datetime | None = None
        self._changes: list[datetime] | None = None
        self._stages: list[datetime] | None = None
        self._seen: tuple[int, dict[str, Any]] | None = None
        self._odd_seen: tuple[int, dict[str, Any]] | None = None
        self._encoded: tuple[int, bytes] | None = None
        self._derived: tuple[int, dict[Any, Any]] = 0, {}
        # From when, until when (exclusive), and the end that is known meanwhile
        self._end_known: tuple[datetime, datetime, str | None] | None = None

    # The whole of it

    @property
    def history(self) -> History:
        """Everything, written now if it was not before."""
        if self._history is None:
            self._history = self._write()
        return self._history

    @property
    def record(self) -> dict[str, Any]:
        """The record to its end, without late revisions."""
        return self.history.record

    @property
    def end(self) -> datetime:
        """When it ends; far in the future if never."""
        end = self.record.get("conversationEnd")
        return moment(end) if end else FAR

    @property
    def breaks(self) -> Sequence[tuple[datetime, datetime]]:
        """When it had ended, and was resumed."""
        return self.history.breaks

    @property
    def changes(self) -> list[datetime]:
        """When something happens in it: a segment begins or ends."""
        if self._changes is None:
            times = {
                segment[name]
                for segment in _segments(self.record)
                for name in ("segmentStart", "segmentEnd")
                if name in segment
            }
            self._changes = sorted({self.start, *_readable(times)})
        return self._changes

    @property
    def final(self) -> datetime:
        """From when on nothing changes, revisions aside."""
        if self._final is None:
            self._final = max((at for at, _ in self._events()), default=self.known_from)
        return self._final

    def _events(self) -> Iterable[tuple[datetime, str]]:
        """When something becomes known, and what: the last of each sort is enough for `final`."""
        indexed = timedelta(seconds=self.extra)
        history = self.history
        yield self.known_from, "start"
        for at, kind in _emitted(history.record):
            more = history.audio_after if kind == "audio" else history.wrap_up_after if kind == "wrapup" else _NONE
            yield from ((when + indexed + more, kind) for when in _readable([at]))
        for pair in history.breaks:
            yield from ((at + indexed, "break") for at in pair)

    # At a moment

    def visible(self, now: datetime) -> bool:
        """Say whether analytics knows of it."""
        return now >= self.known_from

    def stage(self, now: datetime) -> int:
        """A number that changes whenever what is known does. Finished ones count down from -1, with each revision."""
        if now >= self.final:
            return -1 - sum(at <= now for at, _ in self.history.revisions)
        if self._stages is None:
            self._stages = sorted({at for at, _ in self._events()})
        return bisect.bisect_right(self._stages, now)

    def view(self, now: datetime) -> dict[str, Any]:
        """The record as it is known at `now`. Not to be changed by whoever gets it."""
        if self.odd is None:
            return self._known(now)
        stage = self.stage(now)
        if self._odd_seen is None or self._odd_seen[0] != stage:
            self._odd_seen = stage, self.odd(self._known(now))
        return self._odd_seen[1]

    def _known(self, now: datetime) -> dict[str, Any]:
        stage = self.stage(now)
        if stage == -1:
            return self.record
        if stage < 0:
            return self.history.revisions[-2 - stage][1]
        if self._seen is None or self._seen[0] != stage:
            self._seen = stage, self._view(now - timedelta(seconds=self.extra))
        return self._seen[1]

    def _view(self, known: datetime) -> dict[str, Any]:
        history = self.history
        seen = view(
            history.record,
            text(known),
            audio=text(known - history.audio_after),
            wrap_up=text(known - history.wrap_up_after),
        )
        for ended, resumed in history.breaks:
            if ended <= known < resumed:
                seen["conversationEnd"] = text(ended)
        return seen

    def encoded(self, now: datetime) -> bytes:
        """The same as JSON; made once for each stage."""
        stage = self.stage(now)
        if self._encoded is None or self._encoded[0] != stage:
            self._encoded = stage, json.dumps(self.view(now), separators=(",", ":")).encode()
        return self._encoded[1]

    def with_attributes(self, now: datetime) -> dict[str, Any]:
        """The record as jobs tell it: with the participants' attributes."""
        seen = self.view(now)
        attributes = self.history.attributes
        return seen | {
            "participants": [
                {**participant, "attributes": dict(attributes.get(participant["participantId"], {}))}
                for participant in seen["participants"]
            ]
        }

    def known_end(self, now: datetime) -> str | None:
        """The `conversationEnd` that is known now (API text)."""
        # A query asks this of each conversation of its day: nothing is looked up while nothing becomes known.
        if self._end_known is not None and self._end_known[0] <= now < self._end_known[1]:
            return self._end_known[2]
        end: str | None = self.view(now).get("conversationEnd")
        self._end_known = *self._unchanged(now), end
        return end

    def _unchanged(self, now: datetime) -> tuple[datetime, datetime]:
        """From when until when nothing becomes known around `now`; revisions, which move no end, aside."""
        stage = self.stage(now)
        if stage < 0 or self._stages is None:
            return self.final, FAR
        return (
            self._stages[stage - 1] if stage else _LONG_AGO,
            self._stages[stage] if stage < len(self._stages) else self.final,
        )

    def goes_on(self, start: datetime, now: datetime) -> bool:
        """Say whether, as far as is known, it has not ended before `start`. Reads no record without need."""
        if self.over_by < min(start, now) - _LATE:
            return False
        end = self.known_end(now)
        return end is None or end >= text(start)

    def derived(self, now: datetime, key: object, make: Callable[[], T]) -> T:
        """Result of `make` for the present state of knowledge, kept under a key until more is known."""
        stage = self.stage(now)
        if self._derived[0] != stage or len(self._derived[1]) > _KEPT:
            self._derived = stage, {}
        kept = self._derived[1]
        if key not in kept:
            kept[key] = make()
        value: T = kept[key]
        return value

    # What changes it

    def change(self, record: dict[str, Any]) -> None:
        """It has always been this: a correction that takes effect at once."""
        self._history = self.history._replace(record=record, revisions=())
        self.version += 1
        self._forget()

    def be_odd(self, odd: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Whatever is known of it, it is shown as `odd` makes it: in every answer, filter and total."""
        self.odd = odd
        self.version += 1
        self._forget()

    def delay(self, more: timedelta) -> None:
        """It is in the index so much later."""
        self.extra += more.total_seconds()
        self.known_from += more
        self.version += 1
        self._forget()

    def write_again(self, now: datetime) -> None:
        """Write it anew at the next look, if it was written and is not over: what it is made of has changed."""
        if self._history is not None and self.final > now:
            self._history = None
            self.version += 1
            self._forget()

    def revise(self, at: datetime, record: dict[str, Any]) -> None:
        """From `at` on it is this."""
        kept = [revision for revision in self.history.revisions if revision[0] < at]
        self._history = self.history._replace(revisions=[*kept, (max(at, self.final), record)])
        self.version += 1
        self._derived = 0, {}


def _readable(times: Iterable[str]) -> Iterable[datetime]:
    """Those that are times: a record that was given by hand may have others, which nothing happens at."""
    for time in times:
        with contextlib.suppress(ValueError):
            yield moment(time)


def _segments(record: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for participant in record["participants"]:
        for session in participant["sessions"]:
            yield from session.get("segments", ())


def _emitted(record: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Every time in a record at which something becomes known, with its sort."""
    if "conversationEnd" in record:
        yield record["conversationEnd"], "end"
    for participant in record["participants"]:
        for session in participant["sessions"]:
            for segment in session.get("segments", ()):
                kind = "wrapup" if segment["segmentType"] == "wrapup" else "segment"
                yield from ((segment[name], kind) for name in ("segmentStart", "segmentEnd") if name in segment)
            for metric in session.get("metrics", ()):
                yield metric["emitDate"], "wrapup" if metric["name"] in _OF_WRAP_UP else "metric"
            for stats in session.get("mediaEndpointStats", ()):
                yield stats["eventTime"], "audio"


def view(record: dict[str, Any], known: str, *, audio: str | None = None, wrap_up: str | None = None) -> dict[str, Any]:
    """A record as it stood at `known` (API text); audio and after-call work as they stood at their own times."""
    audio, wrap_up = audio or known, wrap_up or known
    seen = dict(record)
    if seen.get("conversationEnd", "9") > known:
        seen.pop("conversationEnd", None)
    lowest: dict[str, float] = {}
    participants = []
    for participant in record["participants"]:
        sessions = [_session(session, known, audio, wrap_up) for session in participant["sessions"]]
        if begun := [session for session in sessions if session["segments"]]:
            participants.append({**participant, "sessions": begun})
            _measure(begun, lowest)
    seen["participants"] = participants
    for name, field in (("mediaStatsMinConversationMos", "minMos"), ("mediaStatsMinConversationRFactor", "minRFactor")):
        seen.pop(name, None)
        if field in lowest:
            seen[name] = lowest[field]
    return seen


def _measure(sessions: Iterable[dict[str, Any]], lowest: dict[str, float]) -> None:
    for session in sessions:
        for stats in session.get("mediaEndpointStats", ()):
            for field in ("minMos", "minRFactor"):
                if field in stats:
                    lowest[field] = min(lowest.get(field, stats[field]), stats[field])


def _session(session: dict[str, Any], known: str, audio: str, wrap_up: str) -> dict[str, Any]:
    seen = dict(session)
    segments = []
    for segment in session.get("segments", ()):
        until = wrap_up if segment["segmentType"] == "wrapup" else known
        if segment["segmentStart"] <= until:
            segments.append(_open(segment) if segment.get("segmentEnd", "") > until else segment)
    seen["segments"] = segments
    seen["metrics"] = [
        metric
        for metric in session.get("metrics", ())
        if metric["emitDate"] <= (wrap_up if metric["name"] in _OF_WRAP_UP else known)
    ]
    seen.pop("mediaEndpointStats", None)
    if stats := [entry for entry in session.get("mediaEndpointStats", ()) if entry["eventTime"] <= audio]:
        seen["mediaEndpointStats"] = stats
    return seen


def _open(segment: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in segment.items() if name not in _OF_THE_END}
