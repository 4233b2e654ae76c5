"""Scenes of a conversation: flows, queues, alerts, talks, transfers, work after it.

`participants` spells a leg; `conversation_kinds` puts the scenes in order; `known_when` says when analytics knows them.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from rollbook.simulator.organisation import participants
from rollbook.simulator.organisation.participants import Leg, identity
from rollbook.simulator.times import text

# Kinds of conversation that are calls and have another name.
_CALLS: Final = ("outbound", "dialer", "flow_out", "moved", "conference")
_TALKS: Final = {
    "voice": (30, 420),
    "message": (120, 2400),
    "email": (600, 50_000),
    "callback": (200, 900),
    "chat": (120, 1500),
    "video": (60, 900),
}
# The organisation's service level, and how short an abandon is that it does not count. Both are true of every queue.
ANSWERED_WITHIN: Final = timedelta(seconds=20)
SHORT_ABANDON: Final = timedelta(seconds=10)
_ENDS: Final = {
    "voice": "peer",
    "message": "client",
    "email": "client",
    "callback": "client",
    "chat": "peer",
    "video": "peer",
}


# How a medium describes its sessions that has more of them to tell than stands here.
DESCRIBED: Final[dict[str, Callable[[Leg, random.Random], None]]] = {}


class Cast(NamedTuple):
    """Who there is: entities as the API answers them, and ids. kinds: all entities, by kind."""

    queues: list[dict[str, Any]]
    users: list[dict[str, Any]]
    flows: list[dict[str, Any]]
    wrap_up_codes: list[str]
    kinds: Mapping[str, list[dict[str, Any]]]

    def existing(self, kind: str, drawn: str) -> str:
        """The id of the entity that a drawn id stands for: an entity that there is takes no other draw."""
        every = self.kinds[kind]
        return str(every[int(drawn[:8], 16) % len(every)]["id"])


class Plot(NamedTuple):
    """Plan from which a conversation is written."""

    conversation_id: str
    start: datetime
    kind: str
    seed: int
    stuck: bool = False  # it never ends
    talk: tuple[float, float] | None = None  # seconds that an agent talks in a call; None: as usual


class Written(NamedTuple):
    """A conversation's record to its end, what only jobs tell, and when it was resumed."""

    record: dict[str, Any]
    attributes: dict[str, dict[str, str]]  # by participantId
    breaks: list[tuple[datetime, datetime]]  # it had ended, and was resumed


class Story:
    """A conversation in the making: `at` is how far it has got."""

    def __init__(self, plot: Plot, cast: Cast) -> None:
        self.plot, self.cast = plot, cast
        self.draw = random.Random(plot.seed)
        self.at = plot.start
        self.media = "voice" if plot.kind in _CALLS else plot.kind
        self.number = {
            "ani": f"tel:+1317555{self.draw.randrange(10_000):04}",
            "dnis": "tel:+18005550100",
            "name": "Mobile Number",
        }
        self.legs: list[Leg] = []
        self.queue = self.draw.choice(cast.queues)
        self.divisions: dict[str, None] = {}
        self.breaks: list[tuple[datetime, datetime]] = []
        self.ended = not plot.stuck

    # Small moves

    def chance(self, part: float) -> bool:
        """Draw whether something happens that happens in this part of all cases."""
        return self.draw.random() < part

    def spend(self, least: float, most: float) -> datetime:
        """Let seconds pass; answers when they began."""
        begun = self.at
        self.at += timedelta(milliseconds=int(self.draw.uniform(least, most) * 1000))
        return begun

    def enter(self, purpose: str, *, peer: Leg | None = None, media: str | None = None) -> Leg:
        """Somebody joins."""
        leg = Leg(self.draw, purpose, media or self.media, peer=peer)
        self.describe(leg)
        self.legs.append(leg)
        return leg

    def describe(self, leg: Leg) -> None:
        """Add the fields of the medium to a session."""
        if leg.media == "voice":
            participants.describe_voice(leg, self.draw, self.number)
            leg.session["edgeId"] = self.cast.existing("edge", leg.session["edgeId"])
        elif leg.media == "message":
            participants.describe_message(leg, self.draw, f"guest-{self.plot.seed % 10_000}")
        elif leg.media == "email":
            participants.describe_email(leg, f"customer{self.plot.seed % 10_000}@example.com")
        elif leg.media in DESCRIBED:
            DESCRIBED[leg.media](leg, self.draw)
        else:
            participants.describe_callback(
                leg, self.number, self.plot.start + timedelta(minutes=30), self.cast.flows[0]["id"]
            )

    def describe_routing(self, leg: Leg) -> None:
        """Add the fields that routing leaves; its skills are some of the organisation's."""
        participants.describe_routing(leg, self.draw, self.cast.users)
        skills = [self.cast.existing("skill", drawn) for drawn in leg.session["activeSkillIds"]]
        leg.session["activeSkillIds"] = list(dict.fromkeys(skills))

    def name(self, leg: Leg, name: str) -> None:
        leg.participant["participantName"] = name

    def pick_queue(self) -> None:
        """Where it goes next; a conversation is in the divisions of every queue that it was in."""
        self.queue = self.draw.choice(self.cast.queues)
        self.divisions[self.queue["division"]["id"]] = None

    # Scenes

    def customer(self) -> Leg:
        """The customer arrives."""
        leg = self.enter("customer")
        self.name(leg, self.number["name"] if self.media == "voice" else "Guest")
        leg.participant["externalContactId"] = identity(self.draw)
        if self.media == "voice":
            # Recorded: the first segment begins a few milliseconds before the conversation does.
            begun = self.at - timedelta(milliseconds=13)
            leg.segment("system", begun, self.at + timedelta(milliseconds=230))
        leg.count("nConnected", self.at)
        return leg

    def leave(self, customer: Leg, since: datetime, why: str) -> None:
        """The customer's side is over."""
        customer.queue_id = self.queue["id"]
        more: dict[str, Any] = {"subject": "Question about an order"} if customer.media == "email" else {}
        if customer.media == "voice":
            more["q850ResponseCodes"] = [16]
        customer.segment("interact", since, self.at, disconnectType=why, **more)
        customer.spent(since, self.at, "tConnected")
        customer.measure(since, self.at)

    def flow(self, customer: Leg, *, hung_up: bool) -> None:
        """A flow asks what it is about."""
        flow = self.draw.choice(self.cast.flows)
        leg = self.enter("ivr", peer=customer)
        self.name(leg, flow["name"])
        begun = self.spend(5, 60)
        leg.segment("ivr", begun, self.at, disconnectType="peer" if hung_up else "transfer")
        leg.count("nFlow", begun)
        leg.spent(begun, self.at, "tIvr", "tFlow", "tFlowDisconnect" if hung_up else "tFlowExit")
        leg.measure(begun, self.at)
        leg.session["flow"] = self._flow(flow, hung_up=hung_up)
        if not hung_up:
            leg.session["flowOutType"] = "acd"

    def _flow(self, flow: dict[str, Any], *, hung_up: bool) -> dict[str, Any]:
        flow_data: dict[str, Any] = {
            "endingLanguage": "en-us",
            "entryReason": self.number["dnis"],
            "entryType": "dnis",
            "exitReason": "DISCONNECT" if hung_up else "TRANSFER",
            "flowId": flow["id"],
            "flowName": flow["name"],
            "flowType": "INBOUNDCALL",
            "flowVersion": "5.0",
            "startingLanguage": "en-us",
        }
        if not hung_up:
            flow_data |= {
                "transferTargetAddress": self.queue["id"],
                "transferTargetName": self.queue["name"],
                "transferType": "ACD",
            }
        return flow_data

    def wait(self, customer: Leg, *, abandoned: bool = False) -> datetime:
        """In a queue; answers since when."""
        leg = self.enter("acd", peer=customer)
        leg.queue_id = self.queue["id"]
        self.name(leg, self.queue["name"])
        self.describe_routing(leg)
        if self.media == "voice":
            leg.session["flowInType"] = "ivr"
            delayed = self.spend(0.01, 0.03)
            leg.segment("delay", delayed, self.at)
        begun = self.spend(2, 120)
        leg.segment("interact", begun, self.at, disconnectType="peer" if abandoned else "transfer")
        leg.count("nOffered", begun)
        if abandoned:
            short = ("tShortAbandon",) if self.at - begun < SHORT_ABANDON else ()
            leg.spent(begun, self.at, "tAbandon", *short)
        leg.spent(begun, self.at, "tAcd")
        leg.measure(begun, self.at)
        return begun

    def unanswered(self, customer: Leg) -> None:
        """An agent is alerted and does not answer."""
        leg = self.agent_leg(customer)
        begun = self.spend(5, 20)
        leg.segment("alert", begun, self.at, disconnectType="client")
        leg.spent(begun, self.at, "tAlert", "tNotResponding")
        leg.count("nError", self.at)

    def agent_leg(self, peer: Leg | None) -> Leg:
        """An agent's phone rings."""
        leg = self.enter("agent", peer=peer)
        leg.queue_id = self.queue["id"]
        leg.participant["userId"] = self.draw.choice(self.cast.users)["id"]
        self.describe_routing(leg)
        leg.session["selectedAgentId"] = leg.participant["userId"]
        return leg

    def agent(self, customer: Leg, offered: datetime, *, transfer: str | None) -> None:
        """An agent answers, talks with holds, and works on after it. transfer: None, blind or consult."""
        leg = self.agent_leg(customer)
        alerted = self.spend(1, 10)
        scored = participants.scores(self.draw, self.cast.users)
        leg.segment("alert", alerted, self.at, scoredAgents=scored)
        leg.spent(alerted, self.at, "tAlert")
        leg.spent(offered, self.at, "tAnswered")
        if self.at - offered > ANSWERED_WITHIN:
            leg.count("nOverSla", self.at)
        begun = self.spend(*(self.plot.talk if self.plot.talk and leg.media == "voice" else _TALKS[leg.media]))
        on_hold = self.talk(leg, begun, transfer)
        left = self.at
        customer.session["selectedAgentId"] = leg.participant["userId"]
        if transfer is not None:
            self.hand_over(leg, left, transfer)
        leg.measure(begun, left)
        self.after_work(leg, begun, on_hold)

    def talk(self, leg: Leg, begun: datetime, transfer: str | None) -> timedelta:
        """Talk and hold by turns until `at`; answers for how long the customer was on hold."""
        since, on_hold = begun, timedelta(0)
        stops = sorted(begun + (self.at - begun) * self.draw.random() for _ in range(self.draw.choice((0, 0, 1, 2, 4))))
        quiet, pause = ("parked", "tPark") if leg.media == "email" else ("hold", "tHeld")
        for stop in stops:
            until = stop + (self.at - stop) * self.draw.uniform(0.05, 0.3)
            if stop <= since:
                continue
            leg.segment("interact", since, stop)
            leg.segment(quiet, stop, until)
            leg.spent(stop, until, pause)
            since, on_hold = until, on_hold + (until - stop)
        why = "transfer" if transfer else _ENDS[leg.media]
        leg.segment("interact", since, self.at, disconnectType="consultTransfer" if transfer == "consult" else why)
        names = (
            ["tTalk", "tTalkComplete"] if leg.media != "message" else ["tTalk", "tTalkComplete", "tAgentResponseTime"]
        )
        leg.spent(begun, self.at - on_hold, *names)
        return on_hold

    def hand_over(self, leg: Leg, left: datetime, transfer: str) -> None:
        """Transferred: blind, or after asking a colleague."""
        leg.count("nTransferred", left)
        if transfer == "blind":
            leg.count("nBlindTransferred", left)
            return
        leg.count("nConsult", left)
        leg.count("nConsultTransferred", left)
        colleague = self.agent_leg(leg)
        colleague.session["direction"] = "outbound"
        asked = left - timedelta(seconds=self.draw.uniform(3, 20))
        colleague.segment("interact", asked, left, disconnectType="peer")
        colleague.measure(asked, left)

    def after_work(self, leg: Leg, begun: datetime, on_hold: timedelta) -> None:
        """After-call work: the agent's alone; the conversation may be elsewhere meanwhile."""
        left = self.at
        after = left + timedelta(milliseconds=self.draw.randrange(1000, 60_000))
        timed_out = self.chance(0.3)
        code = "ININ-WRAP-UP-TIMEOUT" if timed_out else self.draw.choice(self.cast.wrap_up_codes)
        more = {"wrapUpNote": "Will call again."} if not timed_out and self.chance(0.1) else {}
        leg.segment("wrapup", left, after, disconnectType=_ENDS[leg.media], wrapUpCode=code, **more)
        if on_hold:
            leg.session["metrics"].append(
                {"emitDate": text(left), "name": "tHeldComplete", "value": on_hold // timedelta(milliseconds=1)}
            )
        leg.spent(left, after, "tAcw")
        leg.spent(begun, after, "tHandle")

    def serve(self, customer: Leg) -> bool:
        """Through queues and agents; False if the customer gave up in a queue."""
        turns = 1 + self.chance(0.25) + self.chance(0.05)
        for turn in range(turns):
            if turn:
                self.pick_queue()
            gives_up = self.chance(0.06)
            offered = self.wait(customer, abandoned=gives_up)
            if gives_up:
                return False
            while self.chance(0.13):
                self.unanswered(customer)
            last = turn == turns - 1
            self.agent(customer, offered, transfer=None if last else self.draw.choice(("blind", "blind", "consult")))
        return True

    # The end

    def last_end(self) -> str:
        """When the last of what has been written so far is over (API text)."""
        sessions = [session for leg in self.legs for session in leg.participant["sessions"]]
        last: str = max(segment["segmentEnd"] for session in sessions for segment in session["segments"])
        return last

    def written(self) -> Written:
        """The record, closed or stuck."""
        participants = [leg.participant for leg in self.legs]
        end = self.last_end()
        if not self.ended and self.chance(0.5):
            last = participants[0]["sessions"][0]["segments"][-1]
            last.pop("segmentEnd", None)
            last.pop("disconnectType", None)
        record: dict[str, Any] = {}
        if self.ended:
            record["conversationEnd"] = end
        record |= {
            "conversationId": self.plot.conversation_id,
            "conversationStart": text(self.plot.start),
            "divisionIds": list(self.divisions),
        }
        record |= lowest(participants)
        record |= {
            "originatingDirection": "outbound" if self.plot.kind in ("outbound", "dialer") else "inbound",
            "participants": participants,
        }
        return Written(record, self._attributes(participants), self.breaks)

    def _attributes(self, participants: Sequence[dict[str, Any]]) -> dict[str, dict[str, str]]:
        attributes = {
            "customerNumber": str(10_000 + self.plot.seed % 90_000),
            "language": "en-us",
            "reason": self.draw.choice(("order", "invoice", "delivery", "complaint")),
        }
        return {participants[0]["participantId"]: attributes}


def lowest(participants: Sequence[dict[str, Any]]) -> dict[str, float]:
    """The conversation's audio: the lowest of every leg, each figure on its own. Empty if none is measured."""
    measured = [
        stats
        for participant in participants
        for session in participant["sessions"]
        for stats in session.get("mediaEndpointStats", ())
    ]
    if not measured:
        return {}
    return {
        "mediaStatsMinConversationMos": min(stats["minMos"] for stats in measured),
        "mediaStatsMinConversationRFactor": min(stats["minRFactor"] for stats in measured),
    }
