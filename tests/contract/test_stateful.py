"""Any interleaving of capture, crash, reconciling, late changes and repeated delivery ends in the truth's tables.

Hypothesis writes the stories. ROLLBOOK_STORIES says how many (a few by default; hundreds take minutes).
"""

import asyncio
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from reconcile.due.rounds import Round, run_due
from rollbook.genesys.messages.details import DetailsPage
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import Interval, to_text
from rollbook.store.book import Book
from rollbook.store.rebuild import rebuild
from rollbook.store.tables import conversations, coverage, events, windows
from tests.helpers.organisation import START, Clock, Organisation, Record, dump, read_window
from tests.helpers.peek import peek
from tests.helpers.whole import assert_rows_are

# What changes later than this the settling read cannot see.
CHANGEABLE = timedelta(days=3)


class Crash(BaseException):
    """The process died."""


class Dying(Organisation):
    """It can kill whoever asks."""

    dies_at: int | None = None

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        if self.dies_at is not None and len(self.bodies) >= self.dies_at:
            raise Crash
        return await super().query_details(body)


class Story(RuleBasedStateMachine):
    """An organisation, a daemon that listens when it does, and a store."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.clock = Clock(START)
        self.org = Dying(size=3)
        self.late: dict[str, int] = {}  # not indexed yet
        self.frames: list[str] = []
        self.delivered: set[str] = set()
        self.listens: int | None = None
        self.deleted: dict[str, Record] = {}
        self.number = 0
        self.settings = Settings(since=START, width=timedelta(hours=6), stuck_after=timedelta(days=6))
        self.book = self._open()

    def _open(self) -> Book:
        return Book.open(self.folder / "rollbook.db", organization=("o", "Organisation"))

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self.book.close()
            shutil.rmtree(self.folder)

    @initialize(reading=st.sampled_from(["overlap", "day"]))
    def begin(self, reading: str) -> None:
        self.org.reading = reading
        self.listen()
        self.start(late=False, back=0, count=3)

    # What happens in the organisation

    def _pick(self, index: int, *, ended: bool | None = None, young: bool = False) -> str | None:
        since = to_text(self.clock.at - CHANGEABLE)
        found = [
            conversation_id
            for conversation_id, row in self.org.truth.items()
            if ended in (None, "conversationEnd" in row) and (not young or row["conversationStart"] >= since)
        ]
        return found[index % len(found)] if found else None

    @rule(late=st.booleans(), back=st.integers(0, 40), count=st.integers(1, 4))
    def start(self, late: bool, back: int, count: int) -> None:
        """Conversations begin (or did, a while ago, and are seen only now)."""
        for _ in range(count):
            conversation_id = f"c{self.number}"
            self.number += 1
            begun = to_text(max(self.clock.now() - timedelta(minutes=back), START))
            segment = {"segmentStart": begun, "segmentType": "interact", "queueId": "q1"}
            session = {"sessionId": f"s-{conversation_id}", "mediaType": "voice", "segments": [segment], "metrics": []}
            participant = {"participantId": f"p-{conversation_id}", "purpose": "customer", "sessions": [session]}
            self.org.put(
                {
                    "conversationId": conversation_id,
                    "conversationStart": begun,
                    "originatingDirection": "inbound",
                    "participants": [participant],
                }
            )
            if late:
                self.org.unlisted.add(conversation_id)
                self.org.unknown.add(conversation_id)
            self._tell(conversation_id)

    @rule(index=st.integers(0, 50))
    def end(self, index: int) -> None:
        """One ends."""
        if conversation_id := self._pick(index, ended=False):
            row = json.loads(json.dumps(self.org.truth[conversation_id]))
            row["conversationEnd"] = to_text(self.clock.at)
            row["participants"][0]["sessions"][0]["segments"][-1]["segmentEnd"] = to_text(self.clock.at)
            self.org.put(row)
            self._tell(conversation_id)

    @rule(index=st.integers(0, 50))
    def seem_to_end(self, index: int) -> None:
        """Capture hears of an end that analytics does not know (yet, or ever: the customer has gone, the work has not)."""
        if conversation_id := self._pick(index, ended=False):
            self._tell(conversation_id, left=True)

    @rule(index=st.integers(0, 50))
    def change(self, index: int) -> None:
        """A finished one is corrected: audio measured late, the nightly rewrite."""
        if conversation_id := self._pick(index, ended=True, young=True):
            row = json.loads(json.dumps(self.org.truth[conversation_id]))
            metrics = row["participants"][0]["sessions"][0]["metrics"]
            metrics.append({"name": "tAcw", "value": len(metrics), "emitDate": row["conversationEnd"]})
            row["mediaStatsMinConversationMos"] = 4.5 - len(metrics) / 10
            self.org.put(row)

    @rule(index=st.integers(0, 50))
    def resume(self, index: int) -> None:
        """A message thread goes on: what had ended has not."""
        if conversation_id := self._pick(index, ended=True, young=True):
            row = json.loads(json.dumps(self.org.truth[conversation_id]))
            del row["conversationEnd"]
            segments = row["participants"][0]["sessions"][0]["segments"]
            segments.append({"segmentStart": to_text(self.clock.at), "segmentType": "interact", "queueId": "q1"})
            self.org.put(row)
            self._tell(conversation_id)

    @rule()
    def index(self) -> None:
        """What was not indexed yet is now."""
        self.org.unlisted.clear()
        self.org.unknown.clear()

    @rule(index=st.integers(0, 50))
    def delete(self, index: int) -> None:
        """A privacy request: one is gone for good. Never the last: where nothing is left, no absence is known."""
        if len(self.org.truth) > 1 and (conversation_id := self._pick(index)):
            self.deleted[conversation_id] = self.org.truth.pop(conversation_id)

    # Capture

    def _tell(self, conversation_id: str, *, left: bool = False) -> None:
        row = self.org.truth[conversation_id]
        segments = row["participants"][0]["sessions"][0]["segments"]
        participant = {
            "id": f"p-{conversation_id}",
            "purpose": "customer",
            "connectedTime": segments[-1]["segmentStart"],
        }
        if left or "conversationEnd" in row:
            participant["endTime"] = to_text(self.clock.at) if left else row["conversationEnd"]
        body = {"id": conversation_id, "participants": [participant]}
        self.frames.append(json.dumps({"topicName": "v2.routing.queues.q1.conversations", "eventBody": body}))
        if self.listens is not None:
            self._deliver(self.frames[-1])

    def _deliver(self, frame: str) -> None:
        notification = parse_frame(frame, source="websocket", received_at=to_text(self.clock.now()))
        assert isinstance(notification, Notification)
        self.book.write(events.record, [notification], self.book.lag).result()
        self.delivered.add(frame)

    @precondition(lambda self: self.listens is None)
    @rule()
    def listen(self) -> None:
        """The daemon starts."""
        self.book.write(coverage.close_stale, to_text(self.clock.now())).result(10)
        topics = ["v2.routing.queues.q1.conversations"]
        self.listens = self.book.write(coverage.begin, "websocket", "1", topics, to_text(self.clock.now())).result(10)

    @precondition(lambda self: self.listens is not None)
    @rule()
    def lose(self) -> None:
        """The connection is lost."""
        self.book.write(coverage.end, self.listens or 0, to_text(self.clock.now()), "disconnected").result()
        self.listens = None

    @precondition(lambda self: self.frames)
    @rule(index=st.integers(0, 200))
    def again(self, index: int) -> None:
        """A notification comes again, or late, or out of order."""
        self._deliver(self.frames[index % len(self.frames)])

    # Time, crashes and the reconciler

    @rule(minutes=st.sampled_from([15, 130, 390, 720, 1440]), reconciled=st.booleans())
    def wait(self, minutes: int, reconciled: bool) -> None:
        """Time passes; as a rule somebody looks at the ledger meanwhile."""
        self.clock.at += timedelta(minutes=minutes)
        if reconciled:
            self._round()

    @rule()
    def crash(self) -> None:
        """Everything of ours dies, and comes back later."""
        self.listens = None
        self.book.close()
        self.book = self._open()

    def _round(self, *, at_once: int = 1) -> None:
        how = Round(command="daemon", wait=0, sleep=self.clock.sleep, at_once=at_once)
        asyncio.run(run_due(self.book, self.org, self.settings, now=self.clock.now, how=how))  # type: ignore[arg-type]

    @rule(at_once=st.sampled_from([1, 4]))
    def reconcile(self, at_once: int) -> None:
        """A look at the ledger."""
        self._round(at_once=at_once)

    @rule(queries=st.integers(0, 8), at_once=st.sampled_from([1, 4]))
    def reconcile_and_die(self, queries: int, at_once: int) -> None:
        """The process dies in the middle of it."""
        self.org.dies_at = len(self.org.bodies) + queries
        try:
            self._round(at_once=at_once)
        except Crash:
            self.crash()
        finally:
            self.org.dies_at = None

    @rule(queries=st.integers(1, 8), by_job=st.booleans())
    def by_hand(self, queries: int, by_job: bool) -> None:
        """Somebody reads everything until now as one interval; a job's data is a day old."""
        now = self.clock.now()
        until = now - (timedelta(days=1) if by_job else timedelta(0))
        self.org.watermark = to_text(until)
        if until <= START:
            return
        asyncio.run(
            read_window(
                self.book, self.org, Interval(START, until), self.clock, self.settings, via="job" if by_job else "query"
            )
        )

    # The end of every story

    def _end(self) -> None:
        self.index()
        for days in (0.3, 1.5, 5.5, 5.5, 6, 1):
            self.clock.at += timedelta(days=days)
            self._round()
            self.clock.at += timedelta(hours=1.5)
            self._round()
            self.clock.at += timedelta(hours=1.5)
            self._round()
        verdicts = Counter(row.verdict for row in peek(self.book, windows.listed) if self._is_old(row.end))
        assert set(verdicts) <= {"settled"}, verdicts
        truth = self.org.truth
        stored = {
            conversation_id: json.loads(text)
            for conversation_id, text in peek(self.book, conversations.details_of, "", "9").items()
            if conversation_id not in self.deleted
        }
        assert stored == truth
        assert_rows_are(self.book.path, truth)
        self._live(truth)
        before = dump(self.book.path)
        assert rebuild(self.book)[1] == 0
        assert dump(self.book.path) == before

    def _is_old(self, end: str) -> bool:
        return end <= to_text(self.clock.at - timedelta(days=5, hours=12))

    def _live(self, truth: Mapping[str, Record]) -> None:
        def ask(query: str) -> list[tuple[Any, ...]]:
            return peek(self.book, lambda db: db.execute(query).fetchall())

        assert ask("SELECT count(*) FROM events") == [(len(self.delivered),)]
        delivered = {json.loads(frame)["eventBody"]["id"] for frame in self.delivered}
        for conversation_id, provenance, end, followed in ask(
            "SELECT conversation_id, provenance, conversation_end, followed FROM conversations"
        ):
            if conversation_id in self.deleted:
                assert followed == "gone" or provenance == "live", conversation_id
                continue
            assert provenance == ("both" if conversation_id in delivered else "reconciled"), conversation_id
            assert end == truth[conversation_id].get("conversationEnd"), conversation_id
            assert followed == (None if end else "stuck"), conversation_id
        twice = ask("SELECT conversation_id FROM gaps GROUP BY conversation_id, kind HAVING count(*) > 1")
        assert twice == []


Story.TestCase.settings = profile(
    max_examples=int(os.environ.get("ROLLBOOK_STORIES", "10")),
    stateful_step_count=25,
    deadline=None,
    print_blob=True,
)
TestAnyStoryEndsInTheTruth = Story.TestCase


def test_a_conversation_that_certainly_existed_may_have_been_deleted_too() -> None:
    """Then another says whether an answer by id knows anything: else one that is gone held its window open for ever."""
    story = Story()
    story.begin(reading="overlap")
    story.end(index=2)
    story.wait(minutes=390, reconciled=True)
    story.end(index=27)
    story.delete(index=17)
    story.delete(index=4)
    story.teardown()
