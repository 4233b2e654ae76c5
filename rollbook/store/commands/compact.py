"""`rollbook compact`: pages that nothing uses, given back to the disk."""

from __future__ import annotations

from rollbook.genesys.program import console
from rollbook.genesys.program.progress import bytes_shown
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import shown_size
from rollbook.store.file.copying import Manner
from rollbook.store.upkeep.compacting import compact as give_back


def compact(settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        with bytes_shown("given back") as progress:
            done = give_back(settings.store_path, Manner(progress=progress))
        freed = max(done.before - done.after, 0)
        line = f"{shown_size(freed)} given back: {shown_size(done.before)} before, {shown_size(done.after)} now"
        console.show(
            as_json,
            lambda: {"before": done.before, "after": done.after, "freed": freed, "anew": done.anew},
            lambda: [line if freed else f"nothing to give back: all {shown_size(done.after)} are used"],
        )

    console.run(work, as_json=as_json)
