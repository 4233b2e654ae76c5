"""The truth: a seeded stream of conversations, each a record with its whole life in it.

What is known of a conversation at a moment is a function of that record and the moment (`view`): segments that have not
begun are not there, those that go on have no end, metrics and audio statistics appear when they were emitted.
"""

from __future__ import annotations

import bisect
import json
import random
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

FAR = datetime(9999, 1, 1, tzinfo=UTC)


def text(moment: datetime) -> str:
    """A time as the API writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def moment(told: str) -> datetime:
    """The API's text as a time."""
    return datetime.fromisoformat(told.replace("Z", "+00:00"))


class Life:
    """One conversation: its whole record, and when it changes."""

    __slots__ = ("_bytes", "changes", "end", "extra", "final", "id", "record", "start", "version")

    def __init__(self, record: dict[str, Any], indexed_after: float) -> None:
        self.record = record
        self.id: str = record["conversationId"]
        self.start = moment(record["conversationStart"])
        told = record.get("conversationEnd")
        self.end = moment(told) if told else FAR
        self.extra = indexed_after
        self.version = 0
        self._bytes: bytes | None = None
        times = {self.start}
        for participant in record["participants"]:
            for session in participant["sessions"]:
                for segment in session.get("segments", ()):
                    times.add(moment(segment["segmentStart"]))
                    if "segmentEnd" in segment:
                        times.add(moment(segment["segmentEnd"]))
        self.changes = sorted(times)
        late = [moment(told) for told in _late(record)]
        self.final = max([self.end, *late]) + timedelta(seconds=indexed_after) if told else FAR

    def view(self, now: datetime) -> dict[str, Any]:
        """What the analytics store knows at `now`: everything that happened `extra` seconds before."""
        if now >= self.final:
            return self.record
        known = text(now - timedelta(seconds=self.extra))
        return view(self.record, known)

    def encoded(self, now: datetime) -> bytes:
        """The same as JSON; kept once it cannot change any more."""
        if now >= self.final:
            if self._bytes is None:
                self._bytes = json.dumps(self.record).encode()
            return self._bytes
        return json.dumps(self.view(now)).encode()

    def visible(self, now: datetime) -> bool:
        return now >= self.start + timedelta(seconds=self.extra)

    def change(self, record: dict[str, Any]) -> None:
        """Rewritten: the nightly reprocessing."""
        self.record, self._bytes, self.version = record, None, self.version + 1


def _late(record: dict[str, Any]) -> list[str]:
    found = []
    for participant in record["participants"]:
        for session in participant["sessions"]:
            found += [item["emitDate"] for item in session.get("metrics", ())]
            found += [item["eventTime"] for item in session.get("mediaEndpointStats", ())]
    return found


def view(record: dict[str, Any], known: str) -> dict[str, Any]:
    """A record as it stood at `known` (API text)."""
    seen = dict(record)
    if seen.get("conversationEnd", "9") > known:
        seen.pop("conversationEnd", None)
    participants = []
    scores: list[float] = []
    factors: list[float] = []
    for participant in record["participants"]:
        sessions = []
        for session in participant["sessions"]:
            segments = [_open(segment, known) for segment in session["segments"] if segment["segmentStart"] <= known]
            if not segments:
                continue
            now = {**session, "segments": segments}
            now["metrics"] = [item for item in session.get("metrics", ()) if item["emitDate"] <= known]
            stats = [item for item in session.get("mediaEndpointStats", ()) if item["eventTime"] <= known]
            now.pop("mediaEndpointStats", None)
            if stats:
                now["mediaEndpointStats"] = stats
                scores += [item["minMos"] for item in stats]
                factors += [item["minRFactor"] for item in stats]
            sessions.append(now)
        if sessions:
            participants.append({**participant, "sessions": sessions})
    seen["participants"] = participants
    for name, values in (("mediaStatsMinConversationMos", scores), ("mediaStatsMinConversationRFactor", factors)):
        seen.pop(name, None)
        if values:
            seen[name] = min(values)
    return seen


def _open(segment: dict[str, Any], known: str) -> dict[str, Any]:
    if segment.get("segmentEnd", "") > known:
        return {name: value for name, value in segment.items() if name not in ("segmentEnd", "disconnectType", "wrapUpCode")}
    return segment


class World:
    """Queues, users, divisions and the conversations, made as time goes on."""

    def __init__(self, seed: int, start: datetime, per_hour: float, queues: int, users: int) -> None:
        self._draw = random.Random(seed)
        self.organization = {"id": self._id(), "name": "Simulated Organisation"}
        self.divisions = [{"id": self._id(), "name": name} for name in ("Home", "Sales", "Service")]
        self.queues = [
            {"id": self._id(), "name": f"Queue {number + 1}", "division": self._draw.choice(self.divisions)}
            for number in range(queues)
        ]
        self.users = [{"id": self._id(), "name": f"Agent {number + 1}"} for number in range(users)]
        self._per_hour = per_hour
        self._next = start
        self.lives: list[Life] = []
        self.starts: list[datetime] = []
        self.by_id: dict[str, Life] = {}

    def _id(self) -> str:
        return str(uuid.UUID(int=self._draw.getrandbits(128), version=4))

    def grow(self, until: datetime) -> list[Life]:
        """Make what starts before `until`; answers the new ones."""
        made = []
        while self._per_hour > 0:
            if self._next >= until:
                break
            life = Life(self._conversation(self._next), self._draw.choice((0.5, 2, 5, 20)))
            self.add(life)
            made.append(life)
            self._next += timedelta(seconds=self._draw.expovariate(self._per_hour / 3600))
        return made

    def add(self, life: Life) -> None:
        """One more conversation, wherever it starts."""
        at = bisect.bisect_right(self.starts, life.start)
        self.starts.insert(at, life.start)
        self.lives.insert(at, life)
        self.by_id[life.id] = life

    def between(self, start: datetime, end: datetime) -> list[Life]:
        """What starts in [start, end)."""
        return self.lives[bisect.bisect_left(self.starts, start) : bisect.bisect_left(self.starts, end)]

    # How a conversation goes

    def _conversation(self, start: datetime) -> dict[str, Any]:
        start = start.replace(microsecond=start.microsecond // 1000 * 1000)
        kind = self._draw.choices(("voice", "message", "email", "callback"), (70, 16, 8, 6))[0]
        return Story(self, self._draw, start, kind).record()


class Story:
    """Writes one conversation from its start to its end."""

    def __init__(self, world: World, draw: random.Random, start: datetime, kind: str) -> None:
        self.world, self.draw, self.start, self.kind = world, draw, start, kind
        self.at = start
        self.participants: list[dict[str, Any]] = []
        self.queue = draw.choice(world.queues)
        self.customer = self._session("customer", None)
        self.never_ends = False

    def _id(self) -> str:
        return str(uuid.UUID(int=self.draw.getrandbits(128), version=4))

    def record(self) -> dict[str, Any]:
        begun = self.start
        if self.kind == "voice":
            self._ivr()
        for turn in range(1 + (self.draw.random() < 0.25) + (self.draw.random() < 0.05)):
            if turn:
                self.queue = self.draw.choice(self.world.queues)
            self._acd()
            if self.draw.random() < 0.15:
                self._alert_unanswered()
            self._agent(last=turn == 0)
        self.never_ends = self.draw.random() < 0.004
        end = max(moment(s.get("segmentEnd", text(begun))) for p in self.participants for x in p["sessions"] for s in x["segments"])
        left = self.at
        customer = self.customer
        customer["segments"].append(
            {"conference": False, "queueId": self.queue["id"], "segmentStart": text(begun), "segmentType": "interact"}
        )
        customer["metrics"].append({"emitDate": text(begun), "name": "nConnected", "value": 1})
        if not self.never_ends:
            customer["segments"][-1] |= {"segmentEnd": text(left), "disconnectType": "endpoint"}
            customer["metrics"].append({"emitDate": text(left), "name": "tConnected", "value": self._ms(begun, left)})
            self._measure(customer, left)
        direction = "inbound" if self.draw.random() < 0.85 else "outbound"
        record: dict[str, Any] = {
            "conversationId": self._id(),
            "conversationStart": text(begun),
            "divisionIds": [self.queue["division"]["id"]],
            "originatingDirection": direction,
            "participants": self.participants,
        }
        if not self.never_ends:
            record["conversationEnd"] = text(max(end, left))
        stats = [item for p in self.participants for s in p["sessions"] for item in s.get("mediaEndpointStats", ())]
        if stats:
            record["mediaStatsMinConversationMos"] = min(item["minMos"] for item in stats)
            record["mediaStatsMinConversationRFactor"] = min(item["minRFactor"] for item in stats)
        return dict(sorted(record.items()))

    def _ms(self, start: datetime, end: datetime) -> int:
        return (end - start) // timedelta(milliseconds=1)

    def _pass(self, least: float, most: float) -> datetime:
        begun = self.at
        self.at += timedelta(milliseconds=int(self.draw.uniform(least, most) * 1000))
        return begun

    def _session(self, purpose: str, user: str | None, peer: str | None = None) -> dict[str, Any]:
        session: dict[str, Any] = {
            "direction": "inbound", "mediaType": self.kind, "sessionId": self._id(), "metrics": [], "segments": [],
            "provider": {"voice": "Edge", "message": "PureCloud Messaging", "email": "PureCloud Email"}.get(
                self.kind, "PureCloud Callback"),
            "requestedRoutings": ["Standard"],
        }  # fmt: skip
        if peer:
            session["peerId"] = peer
        if self.kind == "voice":
            session |= {
                "ani": "tel:+13175550123", "dnis": "tel:+18005550100", "edgeId": self._id(), "recording": True,
                "protocolCallId": self._id(), "sessionDnis": "tel:+18005550100",
                "activeSkillIds": [self._id() for _ in range(self.draw.randrange(8))],
                "proposedAgents": [{"agentRank": rank, "proposedAgentId": self._id()} for rank in range(self.draw.randrange(8))],
            }  # fmt: skip
        elif self.kind == "message":
            session |= {"messageType": "webmessaging", "addressFrom": "guest", "addressTo": "deployment", "mediaCount": 0}
        elif self.kind == "email":
            session |= {"addressFrom": "a@example.com", "addressTo": "help@example.com", "cc": [], "bcc": []}
        else:
            session |= {
                "callbackNumbers": ["+13175550100"], "callbackScheduledTime": text(self.start + timedelta(hours=1)),
                "callbackUserName": "Somebody", "timeoutSeconds": 0,
            }  # fmt: skip
        participant: dict[str, Any] = {"participantId": self._id(), "purpose": purpose, "sessions": [session]}
        if user:
            participant["userId"] = user
        else:
            participant["participantName"] = purpose
        self.participants.append(participant)
        return session

    def _segment(self, session: dict[str, Any], kind: str, start: datetime, end: datetime, **more: Any) -> None:
        session["segments"].append(
            {"conference": False, "queueId": self.queue["id"], "segmentEnd": text(end), "segmentStart": text(start),
             "segmentType": kind, **more}
        )  # fmt: skip

    def _metric(self, session: dict[str, Any], name: str, at: datetime, value: int) -> None:
        session["metrics"].append({"emitDate": text(at), "name": name, "value": value})

    def _measure(self, session: dict[str, Any], at: datetime) -> None:
        if self.kind == "voice":
            session["mediaEndpointStats"] = [
                {"codecs": ["audio/opus"], "eventTime": text(at + timedelta(milliseconds=60)),
                 "maxLatencyMs": self.draw.randrange(20, 200), "minMos": round(self.draw.uniform(2.5, 4.9), 6),
                 "minRFactor": round(self.draw.uniform(50, 93), 6), "receivedPackets": self.draw.randrange(500, 20000)}
            ]  # fmt: skip

    def _ivr(self) -> None:
        session = self._session("ivr", None, self.customer["sessionId"])
        begun = self._pass(5, 60)
        session["flow"] = {"flowId": self._id(), "flowName": "Main", "flowType": "INBOUNDCALL", "flowVersion": "5.0"}
        self._segment(session, "ivr", begun, self.at, disconnectType="transfer")
        self._metric(session, "nFlow", begun, 1)
        self._metric(session, "tIvr", self.at, self._ms(begun, self.at))
        self._metric(session, "tFlow", self.at, self._ms(begun, self.at))
        self._measure(session, self.at)

    def _acd(self) -> None:
        session = self._session("acd", None, self.customer["sessionId"])
        begun = self._pass(2, 120)
        self._segment(session, "interact", begun, self.at, disconnectType="transfer")
        self._metric(session, "nOffered", begun, 1)
        self._metric(session, "tAcd", self.at, self._ms(begun, self.at))

    def _alert_unanswered(self) -> None:
        session = self._session("agent", self.draw.choice(self.world.users)["id"], self.customer["sessionId"])
        begun = self._pass(5, 20)
        self._segment(session, "alert", begun, self.at, disconnectType="client")
        self._metric(session, "tAlert", self.at, self._ms(begun, self.at))
        self._metric(session, "tNotResponding", self.at, self._ms(begun, self.at))

    def _agent(self, *, last: bool) -> None:
        del last
        session = self._session("agent", self.draw.choice(self.world.users)["id"], self.customer["sessionId"])
        begun = self._pass(1, 10)
        self._segment(session, "alert", begun, self.at)
        self._metric(session, "tAlert", self.at, self._ms(begun, self.at))
        self._metric(session, "tAnswered", self.at, self._ms(begun, self.at))
        spans = {"voice": (30, 400), "message": (120, 2400), "email": (600, 90000), "callback": (300, 20000)}
        talked = self._pass(*spans[self.kind])
        begun_talking = talked
        for _ in range(self.draw.choice((0, 0, 1, 2))):
            middle = talked + (self.at - talked) * self.draw.uniform(0.3, 0.6)
            held = middle + timedelta(seconds=self.draw.uniform(1, 10))
            if held >= self.at:
                break
            self._segment(session, "interact", talked, middle)
            self._segment(session, "hold", middle, held)
            self._metric(session, "tHeld", held, self._ms(middle, held))
            talked = held
        self._segment(session, "interact", talked, self.at, disconnectType="peer")
        left = self.at
        self._metric(session, "tTalk", left, self._ms(begun_talking, left))
        self._metric(session, "tTalkComplete", left, self._ms(begun_talking, left))
        after = left + timedelta(milliseconds=self.draw.randrange(1000, 60000))
        self._segment(session, "wrapup", left, after, wrapUpCode="ININ-WRAP-UP-TIMEOUT")
        self._metric(session, "tAcw", after, self._ms(left, after))
        self._metric(session, "tHandle", after, self._ms(begun, after))
        self._measure(session, left)
