"""The options by which `rollbook simulate` also delivers by EventBridge."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

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
