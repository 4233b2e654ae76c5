"""The options by which `rollbook simulate` also delivers by EventBridge, and the delivery while it runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final, TypeVar

import click

from rollbook.simulator.eventbridge.delivery import DeliveryTrouble, EventBridge
from rollbook.simulator.server import Simulator

F = TypeVar("F", bound=Callable[..., Any])
_SHARE: Final = click.FloatRange(0, 1)
_OPTIONS: Final = (
    click.option("--sqs", "sqs", metavar="URL", help="Send detail events into this queue, as EventBridge does."),
    click.option("--bus", "bus", metavar="NAME", help="Put detail events on this event bus."),
    click.option("--loss", "loss", type=_SHARE, default=0.0, help="The share of them that is lost."),
    click.option("--deaf", "deaf", type=_SHARE, default=0.0, help="The share of conversations that is lost whole."),
    click.option("--repeats", "repeats", type=_SHARE, default=0.0, help="The share of them that comes twice."),
    click.option("--reorder", "reorder", type=click.IntRange(min=1), default=1, help="How many overtake each other."),
    click.option("--poison", "poison", type=_SHARE, default=0.0, help="Messages that nobody can read, an event."),
)
OPTIONS: Final = ("sqs", "bus", "loss", "deaf", "repeats", "reorder", "poison")


def eventbridge_options(command: F) -> F:
    """The command gets them by their names."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@contextlib.asynccontextmanager
async def delivering(organisation: Simulator, options: Mapping[str, Any]) -> AsyncIterator[EventBridge | None]:
    """Deliver the running organisation's detail events by EventBridge, if a queue or a bus is named."""
    if not options.get("sqs") and not options.get("bus"):
        yield None
        return
    # Imported where it is needed: boto3 is slow to import, and few want it.
    from rollbook.simulator.eventbridge.aws import deliver, to_bus, to_queue

    send = to_queue(options["sqs"]) if options.get("sqs") else to_bus(options["bus"])
    names = ("loss", "deaf", "repeats", "reorder", "poison")
    trouble = DeliveryTrouble(**{name: options[name] for name in names if name in options})
    bridge = EventBridge(str(organisation.world.organization["id"]), trouble=trouble)
    organisation.notifications.listen(bridge.take)
    delivery = asyncio.create_task(deliver(bridge, send))
    try:
        yield bridge
    finally:
        delivery.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await delivery
