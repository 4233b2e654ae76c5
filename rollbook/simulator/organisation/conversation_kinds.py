"""Scenes of each kind of conversation: from a plot (an id, a start, a kind, a seed) to a whole record.

The same plot and cast are the same record. `late_changes` adds to a record long afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from rollbook.simulator.organisation import queue_stories, rare_conversations
from rollbook.simulator.organisation.conversation_writer import Cast, Plot, Story, Written
from rollbook.simulator.organisation.participants import Leg
from rollbook.simulator.times import moment

STUCK: Final = 0.004  # of all conversations: they never end
# kind: how many of a hundred conversations, and after which time none of that kind goes on (stuck ones aside).
KINDS: Final = {"voice": 64, "outbound": 6, "message": 16, "email": 8, "callback": 6}
LONGEST: Final = {
    "voice": timedelta(hours=3),
    "outbound": timedelta(hours=1),
    "message": timedelta(days=5),
    "email": timedelta(days=6),
    "callback": timedelta(days=3),
    **rare_conversations.LONGEST,
    **queue_stories.LONGEST,
}


def write(plot: Plot, cast: Cast) -> Written:
    """Write it."""
    story = Story(plot, cast)
    _PLOTS[plot.kind](story)
    return story.written()


def _voice(story: Story) -> None:
    begun = story.at
    story.pick_queue()
    customer = story.customer()
    for _ in range(story.chance(0.2)):
        story.flow(customer, hung_up=False)
    gone = story.chance(0.04)
    story.flow(customer, hung_up=gone)
    if not gone:
        story.serve(customer)
    story.leave(customer, begun + timedelta(milliseconds=230), "endpoint" if story.chance(0.7) else "peer")


def _outbound(story: Story) -> None:
    begun = story.at
    story.pick_queue()
    agent = story.agent_leg(None)
    story.spend(0.2, 2)
    agent.segment("contacting", begun, story.at)
    dialed = story.spend(3, 30)
    agent.segment("dialing", dialed, story.at)
    customer = story.enter("customer")
    agent.session["peerId"] = customer.session["sessionId"]
    for leg in (agent, customer):
        leg.session["direction"] = "outbound"
    story.name(customer, story.number["name"])
    # Both are there from the beginning, as the platform has them: no snapshot is without the customer.
    customer.segment("dialing", begun, story.at)
    agent.count("nOutbound", begun)
    agent.count("nOutboundAttempted", begun)
    agent.spent(begun, dialed, "tContacting")
    agent.spent(dialed, story.at, "tDialing")
    if story.chance(0.25):  # nobody answers
        return
    talking = story.spend(20, 400)
    agent.count("nOutboundConnected", talking)
    agent.segment("interact", talking, story.at, disconnectType="peer")
    agent.spent(talking, story.at, "tTalk", "tTalkComplete")
    agent.measure(talking, story.at)
    customer.count("nConnected", talking)
    story.leave(customer, talking, "endpoint")
    story.after_work(agent, talking, timedelta(0))


def _message(story: Story) -> None:
    story.pick_queue()
    customer = story.customer()
    _exchange(story, customer)
    # A message within the threading timeline (72 hours) goes on with the same conversation.
    if story.ended and story.chance(0.06):
        ended = moment(story.last_end())
        story.at = ended + timedelta(seconds=story.draw.uniform(600, 71 * 3600))
        story.breaks.append((ended, story.at))
        customer.open("message")
        story.describe(customer)
        customer.count("nConnected", story.at)
        _exchange(story, customer)


def _exchange(story: Story, customer: Leg) -> None:
    begun = story.at
    served = story.serve(customer)
    story.leave(customer, begun, "timeout" if not served or story.chance(0.3) else "peer")


def _email(story: Story) -> None:
    begun = story.at
    story.pick_queue()
    customer = story.customer()
    if story.chance(0.1):
        story.spend(3600, 90_000)  # nobody works at the weekend
    story.serve(customer)
    story.leave(customer, begun, "peer")


def _callback(story: Story) -> None:
    begun = story.at
    story.pick_queue()
    customer = story.customer()
    customer.queue_id = story.queue["id"]
    scheduled = story.spend(300, 20_000)
    customer.segment("scheduled", scheduled, story.at)
    served = story.serve(customer)
    story.leave(customer, begun, "client")
    if served:
        _call_back(story, customer)


def _call_back(story: Story, customer: Leg) -> None:
    """The call itself: voice sessions of the same two participants."""
    agent = next(leg for leg in reversed(story.legs) if leg.participant["purpose"] == "agent")
    begun = story.spend(20, 300)
    for leg in (agent, customer):
        leg.open("voice", customer if leg is agent else None)
        story.describe(leg)
        leg.session["direction"] = "outbound"
        leg.segment("interact", begun, story.at, disconnectType="endpoint" if leg is customer else "peer")
        leg.measure(begun, story.at)
    agent.count("nOutbound", begun)
    agent.spent(begun, story.at, "tTalk", "tTalkComplete")
    customer.count("nConnected", begun)


_PLOTS: Final[dict[str, Callable[[Story], None]]] = {
    "voice": _voice,
    "outbound": _outbound,
    "message": _message,
    "email": _email,
    "callback": _callback,
    **rare_conversations.PLOTS,
    **queue_stories.PLOTS,
}
