"""`rollbook backup` and `rollbook restore`: a whole, checked copy of the store, and the way back."""

from __future__ import annotations

import signal
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rollbook.genesys.program import console
from rollbook.genesys.program.progress import bytes_shown
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count, fitted, shown_size
from rollbook.genesys.times import to_text
from rollbook.store.file.copying import Copied, Manner
from rollbook.store.upkeep.backups import back_up
from rollbook.store.upkeep.restoring import restore as put_back


def backup(settings: Settings, as_json: bool, to: Path) -> None:
    """Run the command as its options say, and end with its exit status."""
    _end_by_signal()

    def work() -> None:
        at, began = datetime.now(UTC), time.monotonic()
        with bytes_shown("copied") as progress:
            copied = back_up(settings.store_path, to, at=at, how=Manner(progress=progress))
        seconds = time.monotonic() - began
        console.show(
            as_json,
            lambda: {**_report(copied), "at": to_text(at), "seconds": round(seconds, 3)},
            lambda: fitted([f"{copied.path}: {_words(copied)}, checked, {seconds:.1f} s"], indent=2),
        )

    console.run(work, as_json=as_json)


def restore(settings: Settings, as_json: bool, as_it_is: bool, origin: Path) -> None:
    """Run the command as its options say, and end with its exit status."""
    _end_by_signal()

    def work() -> None:
        at, began = datetime.now(UTC), time.monotonic()
        with bytes_shown("restored") as progress:
            how = Manner(progress=progress, full=True)
            restored = put_back(origin, settings.store_path, at=at, how=how, as_it_is=as_it_is)
        seconds = time.monotonic() - began
        kept = f"; the store that was there is {restored.kept}" if restored.kept else ""
        if restored.erased:
            kept += f"; {count(restored.erased, 'conversation')} erased again"
        line = f"{settings.store_path} is {restored.origin} now: {_words(restored.copied)}, checked{kept}"
        console.show(
            as_json,
            lambda: {
                **_report(restored.copied),
                "from": str(restored.origin),
                "kept": str(restored.kept) if restored.kept else None,
                "erased": restored.erased,
                "seconds": round(seconds, 3),
            },
            lambda: fitted([line], indent=2),
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
