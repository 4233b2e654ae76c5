"""The command `rollbook run`, which is also `python -m realtime`."""

from __future__ import annotations

import click

from realtime.daemon import json_logs
from realtime.daemon.daemon import Daemon
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@console.settings_options
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("-v", "--verbose", count=True, help="Log more.")
@click.pass_context
def run(context: click.Context, *, settings: Settings, log_format: str, verbose: int) -> None:
    """Capture live and reconcile on a schedule, until stopped.

    SIGTERM and SIGINT store what was heard and end with status 0; SIGHUP reads the settings again.
    """
    console.start_logging(verbose + 1)
    if log_format == "json":
        json_logs.use_json()
    flags = {name: context.params.get(name) for name in ("store_path", "config", "region")}

    async def work() -> int:
        return await Daemon(settings, reread=lambda: console.read_settings(**flags)).run()

    console.run(work())
