"""`rollbook backup` and `rollbook restore`: a whole, checked copy of the store, and the way back."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rollbook.genesys.program import console
from rollbook.genesys.program.progress import bytes_shown
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count, shown_size
from rollbook.genesys.times import to_text
from rollbook.store.file.copying import Copied, Manner
from rollbook.store.upkeep.backups import back_up
from rollbook.store.upkeep.restoring import restore as put_back


@click.command()
@console.settings_options
@console.json_option
@click.argument("to", type=click.Path(path_type=Path, readable=False))
def backup(settings: Settings, as_json: bool, to: Path) -> None:
    """Copy the store to the file TO, or into the folder TO under a dated name.

    The copy is the store of one moment, whatever is written meanwhile; it is checked before it gets its name. An
    earlier backup of that name is replaced.
    """
    _end_by_signal()

    def work() -> None:
        at, began = datetime.now(UTC), time.monotonic()
        with bytes_shown("copied") as progress:
            copied = back_up(settings.store_path, to, at=at, how=Manner(progress=progress))
        seconds = time.monotonic() - began
        console.show(
            as_json,
            lambda: {**_report(copied), "at": to_text(at), "seconds": round(seconds, 3)},
            lambda: [f"{copied.path}: {_words(copied)}, checked, {seconds:.1f} s"],
        )

    console.run(work, as_json=as_json)


@click.command()
@console.settings_options
@console.json_option
@click.option(
    "--as-it-is", is_flag=True, help="Take a plain copy of a store that was in use, though it lacks what came last."
)
@click.argument("origin", metavar="FROM", type=click.Path(path_type=Path, readable=False))
def restore(settings: Settings, as_json: bool, as_it_is: bool, origin: Path) -> None:
    """Put a copy of the backup FROM, or of the newest one in the folder FROM, in the place of the store.

    The backup is checked first, every index of it too. The store that is there is kept beside it. Refused while
    anything works on the store: stop the daemon first.
    """
    _end_by_signal()

    def work() -> None:
        at, began = datetime.now(UTC), time.monotonic()
        with bytes_shown("restored") as progress:
            how = Manner(progress=progress, full=True)
            restored = put_back(origin, settings.store_path, at=at, how=how, as_it_is=as_it_is)
        seconds = time.monotonic() - began
        kept = f"; the store that was there is {restored.kept}" if restored.kept else ""
        console.show(
            as_json,
            lambda: {
                **_report(restored.copied),
                "from": str(restored.origin),
                "kept": str(restored.kept) if restored.kept else None,
                "seconds": round(seconds, 3),
            },
            lambda: [f"{settings.store_path} is {restored.origin} now: {_words(restored.copied)}, checked{kept}"],
        )

    console.run(work, as_json=as_json)


def _report(copied: Copied) -> dict[str, Any]:
    organization = copied.organization
    return {
        "path": str(copied.path),
        "bytes": copied.size,
        "organization": {"id": organization[0], "name": organization[1]} if organization else None,
        "rows": copied.counts,
    }


def _words(copied: Copied) -> str:
    conversations, events = (copied.counts.get(name, 0) for name in ("conversations", "events"))
    return f"{count(conversations, 'conversation')}, {count(events, 'event')}, {shown_size(copied.size)}"


def _end_by_signal() -> None:
    """Let SIGTERM end the command as SIGINT does, so that no half of a copy is left."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
