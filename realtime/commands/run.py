"""The command `rollbook run`, which is also `python -m realtime`."""

from __future__ import annotations

import click

from realtime.daemon import json_logs
from realtime.daemon.daemon import Daemon
from rollbook.genesys.program import console
from rollbook.genesys.program.private_process import allow_files
from rollbook.genesys.program.settings import Settings


def run(context: click.Context, *, settings: Settings, log_format: str, verbose: int) -> None:
    """Run the daemon as its options say, and end with its exit status."""
    console.start_logging(verbose + 1)
    if log_format == "json":
        json_logs.use_json()
    flags = {name: context.params.get(name) for name in ("store_path", "config", "region")}

    async def work() -> int:
        allow_files()
        return await Daemon(settings, reread=lambda: console.read_settings(**flags)).run()

    console.run(work())
