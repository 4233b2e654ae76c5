"""Calls for `variety` whose figures are easily counted wrongly: flow-outs, a session of two queues, conferences.

What each metric belongs to is known here when it is written: `Leg.queue_id` is the queue at that moment.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from rollbook.simulator.organisation.conversation_writer import Story
from rollbook.simulator.organisation.participants import Leg

KINDS: Final = {"flow_out": 5, "moved": 3, "conference": 4}  # besides the others' hundred
LONGEST: Final = dict.fromkeys(KINDS, timedelta(hours=3))


def _flow_out(story: Story) -> None:
    """Nobody answers in time, and the flow of the queue takes the caller to voicemail."""
    begun = story.at
    story.pick_queue()
    customer = story.customer()
    leg = _queued(story, customer)
    waiting = story.spend(30, 180)
    leg.segment("interact", waiting, story.at, disconnectType="transfer")
    leg.count("nOffered", waiting)
    leg.spent(waiting, story.at, "tFlowOut", "tAcd")
    leg.session["flowOutType"] = "voicemail"
    leg.measure(waiting, story.at)
    voicemail = story.enter("voicemail", peer=customer)
    voicemail.queue_id = leg.queue_id
    recorded = story.spend(5, 60)
    voicemail.segment("voicemail", recorded, story.at, disconnectType="peer")
    voicemail.spent(recorded, story.at, "tVoicemail")
    story.leave(customer, begun, "endpoint")


def _moved(story: Story) -> None:
    """The flow of a queue moves the caller to a second one, in the same session; an agent of that one answers."""
    begun = story.at
    story.pick_queue()
    customer = story.customer()
    leg = _queued(story, customer)
    first = story.spend(2, 60)
    leg.segment("interact", first, story.at)
    leg.count("nOffered", first)
    leg.spent(first, story.at, "tFlowOut", "tAcd")
    story.pick_queue()
    leg.queue_id = story.queue["id"]
    second = story.spend(2, 60)
    leg.segment("interact", second, story.at, disconnectType="transfer")
    leg.count("nOffered", second)
    leg.spent(second, story.at, "tAcd")
    leg.measure(first, story.at)
    story.agent(customer, second, transfer=None)
    story.leave(customer, begun, "endpoint")


def _conference(story: Story) -> None:
    """Two agents talk to the customer together for a while; the first one leaves them."""
    begun = story.at
    story.pick_queue()
    customer = story.customer()
    offered = story.wait(customer)
    first = story.agent_leg(customer)
    alerted = story.spend(1, 10)
    first.segment("alert", alerted, story.at)
    first.spent(alerted, story.at, "tAlert")
    first.spent(offered, story.at, "tAnswered")
    talking = story.spend(20, 300)
    first.segment("interact", talking, story.at)
    second = story.agent_leg(first)
    ringing = story.spend(1, 10)
    second.segment("alert", ringing, story.at)
    second.spent(ringing, story.at, "tAlert")
    first.segment("hold", ringing, story.at)
    first.spent(ringing, story.at, "tHeld")
    on_hold = story.at - ringing
    together = story.spend(20, 300)
    joined: dict[str, Any] = {"conference": True}
    first.segment("interact", together, story.at, disconnectType="conferenceTransfer", **joined)
    left = story.at
    first.count("nConsult", left)
    first.count("nTransferred", left)
    first.count("nConsultTransferred", left)
    first.spent(talking + on_hold, left, "tTalk", "tTalkComplete")
    first.measure(talking, left)
    story.after_work(first, talking, on_hold)
    story.spend(20, 300)
    second.segment("interact", together, left, **joined)
    second.segment("interact", left, story.at, disconnectType="peer")
    second.spent(together, story.at, "tTalk", "tTalkComplete")
    second.measure(together, story.at)
    story.after_work(second, together, timedelta(0))
    story.leave(customer, begun, "endpoint")


def _queued(story: Story, customer: Leg) -> Leg:
    """Arrive in the queue."""
    leg = story.enter("acd", peer=customer)
    leg.queue_id = story.queue["id"]
    story.name(leg, story.queue["name"])
    leg.session["flowInType"] = "ivr"
    return leg


PLOTS: Final[dict[str, Callable[[Story], None]]] = {"flow_out": _flow_out, "moved": _moved, "conference": _conference}
