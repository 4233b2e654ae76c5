"""`rollbook simulate`: the organisation on its own, for integration tests of any connector."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from typing import Any

import click

from simulator.feed import delivering, eventbridge_options
from simulator.server import Simulator


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed is the same organisation.")
@click.option("--port", default=0, help="0: any free one.")
@click.option("--rate", default=1.0, show_default=True, help="Simulated seconds in a real one.")
@click.option("--queues", default=6, show_default=True)
@click.option("--per-hour", default=120.0, show_default=True, help="Conversations an hour.")
@click.option("--reading", type=click.Choice(["overlap", "day"]), default="overlap", show_default=True)
@eventbridge_options
@click.option("--json", "as_json", is_flag=True, help="Print addresses and credentials as one JSON object.")
def simulate(
    *, seed: int, port: int, rate: float, queues: int, per_hour: float, reading: str, as_json: bool,
    **eventbridge: Any,
) -> None:  # fmt: skip
    """Run a local Genesys Cloud organisation until stopped."""

    async def work() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        organisation = Simulator(
            seed=seed, port=port, rate=rate, queues=queues, per_hour=per_hour, reading=reading
        )  # fmt: skip
        async with organisation, delivering(organisation, eventbridge):
            if as_json:
                click.echo(json.dumps(organisation.env))
            else:
                click.echo("A simulated organisation is up. In another terminal:\n")
                for name, value in organisation.env.items():
                    click.echo(f"export {name}={value}")
                click.echo("\nthen `rollbook doctor`, `rollbook run`. Ctrl-C ends it.")
            await stop.wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(work())
