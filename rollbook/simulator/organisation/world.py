"""The organisation's truth: divisions, queues, users, and a seeded stream of conversations kept in the order of starts.

Makes conversations as time goes on and answers which there are. Knows no query language, no client and no server.
"""

from __future__ import annotations

import bisect
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from rollbook.simulator.organisation.call_troubles import CallTroubles, PoorAudio
from rollbook.simulator.organisation.conversation_kinds import KINDS, LONGEST, STUCK, write
from rollbook.simulator.organisation.conversation_writer import Cast, Plot
from rollbook.simulator.organisation.directory import Directory, more_entities
from rollbook.simulator.organisation.known_when import Conversation, History, view
from rollbook.simulator.organisation.late_changes import REWRITTEN, aftermath, rewritten
from rollbook.simulator.organisation.participants import identity
from rollbook.simulator.organisation.queue_stories import KINDS as QUEUE_KINDS
from rollbook.simulator.organisation.rare_conversations import KINDS as MORE_KINDS
from rollbook.simulator.organisation.rare_conversations import enriched
from rollbook.simulator.times import FAR, moment, text, whole

__all__ = ["FAR", "Conversation", "World", "moment", "text", "view"]

T = TypeVar("T")
# Seconds until a conversation is in the index, and for how many of a thousand.
_INDEXED: Final = {0.5: 300, 2.0: 300, 5.0: 245, 20.0: 150, 150.0: 5}
# The same for audio statistics and after-call work, on top of that.
_AUDIO: Final = {0.2: 500, 10.0: 350, 90.0: 150}
_WRAP_UP: Final = {0.0: 900, 30.0: 70, 150.0: 27, 100_000.0: 3}
_OLD: Final = timedelta(hours=48)


class World:
    """Queues, users, divisions and the conversations. per_hour: how many start in an hour. variety: of more kinds, and
    with fields that are seldom filled."""

    def __init__(
        self, seed: int, start: datetime, per_hour: float, queues: int, users: int, *, variety: bool = False
    ) -> None:
        self._variety = variety
        self._kinds = KINDS | MORE_KINDS | QUEUE_KINDS if variety else KINDS
        self._draw = draw = random.Random(seed)
        self._per_hour, self._next = per_hour, start
        self.organization = _organization(draw)
        self.divisions = [_division(draw, name) for name in ("Home", "Sales", "Service")]
        self.divisions[0]["homeDivision"] = True
        self.users = [_user(draw, number + 1, self.divisions) for number in range(users)]
        self.queues = [_queue(draw, number + 1, self.divisions, users, start) for number in range(queues)]
        names = ("Main IVR", "After hours", "Verification")
        self.flows = [_flow(identity(draw), name, self.divisions[0]) for name in names]
        codes = [identity(draw) for _ in range(8)]
        self.wrap_up_codes = [_code(code, number, self.divisions[0], start) for number, code in enumerate(codes)]
        # A stream of its own: a seed's conversations are those that they were before there were any of these.
        apart = random.Random(f"directory {seed}")
        lists = {
            "queue": self.queues,
            "user": self.users,
            "wrapupcode": self.wrap_up_codes,
            "division": self.divisions,
            "flow": self.flows,
            **more_entities(apart, self.divisions, start - timedelta(days=400)),
        }
        self.directory = Directory(lists, apart)
        self._casts: dict[int, Cast] = {}
        self.conversations: list[Conversation] = []
        self.starts: list[datetime] = []
        self.by_id: dict[str, Conversation] = {}
        self._moving: list[Conversation] = []
        self._moved_to: datetime | None = None
        self._late: tuple[timedelta, Callable[[str], bool]] | None = None
        self.call_troubles = CallTroubles()

    # Which there are

    def grow(self, until: datetime) -> list[Conversation]:
        """Make what starts before `until`; answers the new ones."""
        made = []
        while self._per_hour > 0 and self._next < until:
            conversation = self._conceive(whole(self._next))
            self.add(conversation)
            self._moving.append(conversation)
            made.append(conversation)
            self._next += timedelta(seconds=self._draw.expovariate(self._per_hour / 3600))
        return made

    def add(self, conversation: Conversation) -> None:
        """Take in a conversation, wherever it starts."""
        at = bisect.bisect_right(self.starts, conversation.start)
        self.starts.insert(at, conversation.start)
        self.conversations.insert(at, conversation)
        self.by_id[conversation.id] = conversation

    def forget(self, conversation_id: str) -> None:
        """Delete one for good, as a privacy request or the end of retention does. Unknown: nothing happens."""
        conversation = self.by_id.pop(conversation_id, None)
        if conversation is None:
            return
        at = self.conversations.index(conversation, bisect.bisect_left(self.starts, conversation.start))
        del self.conversations[at], self.starts[at]

    def delete_before(self, start: datetime) -> None:
        """Delete what started earlier for good, as the end of the organisation's retention does."""
        at = bisect.bisect_left(self.starts, start)
        for conversation in self.conversations[:at]:
            self.by_id.pop(conversation.id, None)
        del self.conversations[:at], self.starts[:at]

    def lag(self, now: datetime, more: timedelta, of: Callable[[str], bool]) -> None:
        """From now on it takes so much longer until conversations are in the index. of: which, by their ids."""
        self._late = more, of
        for conversation in self.conversations:
            if not conversation.visible(now) and of(conversation.id):
                conversation.delay(more)

    def spoil(self, now: datetime, trouble: PoorAudio) -> None:
        """From its time on legs sound as poor as a trouble makes them; what is over by now stays as it was shown."""
        self.call_troubles.poor_audio.append(trouble)
        for conversation in self.conversations:
            conversation.write_again(now)

    def between(self, start: datetime, end: datetime) -> list[Conversation]:
        """Conversations that start in [start, end), ascending by start."""
        return self.conversations[bisect.bisect_left(self.starts, start) : bisect.bisect_left(self.starts, end)]

    def changes(self, after: datetime, until: datetime) -> list[tuple[datetime, Conversation]]:
        """Changes in (after, until], in the order of time: for reporting them live.

        Made for a caller whose `after` is its last `until`: conversations that are over by then are looked at no more.
        """
        if self._moved_to is not None and after < self._moved_to:
            raise ValueError("time goes forwards only")
        self._moved_to = after
        self._moving = [
            conversation
            for conversation in self._moving
            if conversation.start + LONGEST["email"] > after and conversation.over_by > after
        ]
        found = [
            (at, conversation) for conversation in self._moving for at in conversation.changes if after < at <= until
        ]
        return sorted(found, key=lambda pair: (pair[0], pair[1].id))

    def rewrite_night(self, now: datetime, share: float = REWRITTEN, *, seed: int = 0) -> list[Conversation]:
        """The nightly reprocessing, at once: rewrites a share of what is at least 48 hours old; answers it.

        (A few conversations are rewritten in the first night at which they are old enough, without being asked.)
        """
        draw = random.Random(seed)
        early = self.between(datetime.min.replace(tzinfo=UTC), now - _OLD)
        old = [conversation for conversation in early if conversation.final <= now - _OLD and draw.random() < share]
        for conversation in old:
            conversation.revise(now, rewritten(conversation.view(now), draw))
        return old

    # How a conversation comes to be

    def _cast(self, at: datetime) -> Cast:
        """Who there was at a time: a conversation is written late, and by then they may have other names or be gone."""
        directory = self.directory
        if not directory.changes:
            codes = [str(code["id"]) for code in self.wrap_up_codes]
            return Cast(self.queues, self.users, self.flows, codes, directory.lists)
        epoch = bisect.bisect_right(directory.changes, at)
        if epoch not in self._casts:
            of = {kind: directory.as_of(kind, at) for kind in directory.lists}
            codes = [str(code["id"]) for code in of["wrapupcode"]]
            self._casts[epoch] = Cast(of["queue"], of["user"], of["flow"], codes, of)
        return self._casts[epoch]

    def _conceive(self, start: datetime) -> Conversation:
        """A conversation that is not written yet."""
        kind = _weighted(self._draw, self._kinds)
        plot = Plot(identity(self._draw), start, kind, self._draw.getrandbits(64), self._draw.random() < STUCK)
        indexed = _weighted(self._draw, _INDEXED)
        if self._late is not None and self._late[1](plot.conversation_id):
            indexed += self._late[0].total_seconds()
        over_by = FAR if plot.stuck else start + LONGEST[kind]
        return Conversation.unwritten(plot.conversation_id, start, indexed, self._writer(plot, indexed), over_by)

    def _writer(self, plot: Plot, indexed: float) -> Callable[[], History]:
        def write_history() -> History:
            draw = random.Random(~plot.seed)
            cast = self._cast(plot.start)
            written = write(plot._replace(talk=self.call_troubles.talk(plot.conversation_id, plot.start)), cast)
            if self._variety:
                more = random.Random(f"more {plot.seed}")
                written = written._replace(record=enriched(written.record, more, cast))
            written = written._replace(record=self.call_troubles.with_audio(written.record))
            audio = timedelta(seconds=_weighted(draw, _AUDIO))
            audio += self.call_troubles.audio_later(plot.conversation_id, plot.start)
            wrap_up = timedelta(seconds=_weighted(draw, _WRAP_UP))
            end = written.record.get("conversationEnd")
            revisions = []
            if end is not None:
                known = moment(end) + timedelta(seconds=indexed + 1) + audio + wrap_up
                revisions = aftermath(written.record, known, cast, draw)
            return History(*written, audio, wrap_up, revisions)

        return write_history


def _weighted(draw: random.Random, weights: Mapping[T, int]) -> T:
    return draw.choices(list(weights), list(weights.values()))[0]


def _organization(draw: random.Random) -> dict[str, Any]:
    return {
        "id": identity(draw),
        "name": "Simulated Organisation",
        "defaultLanguage": "en-us",
        "defaultCountryCode": "US",
        "domain": "simulated.example",
        "state": "active",
        "version": 1,
        "selfUri": "/api/v2/organizations/me",
    }


def _division(draw: random.Random, name: str) -> dict[str, Any]:
    division_id = identity(draw)
    return {
        "id": division_id,
        "name": name,
        "description": "",
        "homeDivision": False,
        "selfUri": f"/api/v2/authorization/divisions/{division_id}",
    }


def _of(division: dict[str, Any]) -> dict[str, Any]:
    """A division as another entity names it."""
    return {key: division[key] for key in ("id", "name", "selfUri")}


def _queue(
    draw: random.Random, number: int, divisions: list[dict[str, Any]], users: int, start: datetime
) -> dict[str, Any]:
    queue_id, members = identity(draw), min(users, 3 + draw.randrange(30))
    return {
        "id": queue_id,
        "name": f"Queue {number}",
        "division": _of(draw.choice(divisions)),
        "dateCreated": text(start - timedelta(days=400)),
        "memberCount": members,
        "userMemberCount": members,
        "joinedMemberCount": members,
        "acwSettings": {"wrapupPrompt": "MANDATORY_TIMEOUT", "timeoutMs": 60_000},
        "skillEvaluationMethod": "BEST",
        "autoAnswerOnly": True,
        "enableTranscription": False,
        "enableManualAssignment": False,
        "selfUri": f"/api/v2/routing/queues/{queue_id}",
    }


_CODES: Final = (
    "Order placed",
    "Question answered",
    "Complaint",
    "Callback promised",
    "Wrong number",
    "Delivery",
    "Invoice",
    "Passed on",
)


def _code(identity: str, number: int, division: dict[str, Any], start: datetime) -> dict[str, Any]:
    return {
        "id": identity,
        "name": _CODES[number % len(_CODES)],
        "division": _of(division),
        "description": "",
        "dateCreated": text(start - timedelta(days=400)),
        "selfUri": f"/api/v2/routing/wrapupcodes/{identity}",
    }


def _flow(identity: str, name: str, division: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": identity,
        "name": name,
        "division": _of(division),
        "description": "",
        "type": "INBOUNDCALL",
        "active": True,
        "deleted": False,
        "selfUri": f"/api/v2/flows/{identity}",
    }


def _user(draw: random.Random, number: int, divisions: list[dict[str, Any]]) -> dict[str, Any]:
    user_id, address = identity(draw), f"agent{number}@simulated.example"
    return {
        "id": user_id,
        "name": f"Agent {number}",
        "division": _of(draw.choice(divisions)),
        "email": address,
        "username": address,
        "state": "active",
        "title": "Agent",
        "version": 1,
        "acdAutoAnswer": False,
        "selfUri": f"/api/v2/users/{user_id}",
    }
