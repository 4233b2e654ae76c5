"""`rollbook status --watch`: looks at the store again and again, and shows a frame on a terminal, a line in a pipe.

The thin shell, and the only module of the store that draws with rich. It ends by SIGINT and SIGTERM with status 0, and
the terminal is then as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from rollbook.genesys.errors import StoreError
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.store.book import Book
from rollbook.store.commands.live import frame
from rollbook.store.commands.live.frame import Line, Picture

if TYPE_CHECKING:
    from rich.text import Text

# Seconds between two frames: one a second, where a terminal far away may be sent four.
EVERY: Final = 1.0
# A look is followed by so many times as long a rest: watching takes a twentieth of a core at most.
_REST: Final = 19
# What makes a line in a pipe: not the sentence itself, which may have the time in it.
_NEWS: Final = ("complete_until", "settled_until", "gaps", "unfilled", "state", "why")


def status_watched(settings: Settings, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""
    console.run(until_stopped(watch(settings, as_json=as_json)), as_json=as_json)


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Do this until it ends, or until SIGINT or SIGTERM cancels it, which is how people end it."""
    task = asyncio.current_task()
    assert task is not None

    def stop() -> None:
        # Once: what a second signal would cut short is putting the terminal back.
        if not task.cancelling():
            task.cancel()

    with console.on_signals({signal.SIGINT: stop, signal.SIGTERM: stop}):
        try:
            await work
        except asyncio.CancelledError:
            return


async def watch(settings: Settings, *, as_json: bool) -> None:
    """Show the store without end."""
    before, said = None, None
    async with await asyncio.to_thread(Book.open, settings.store_path, mode="ro") as book:
        opened = file_number(settings.store_path)
        with screen() if is_screen(as_json=as_json) else contextlib.nullcontext() as show:
            while True:
                began = time.monotonic()
                must_be_there_yet(settings.store_path, opened)
                picture = await book.read(frame.look, settings, datetime.now(UTC))
                if show is not None:
                    show(picture, before)
                elif (news := [picture.found[name] for name in _NEWS]) != said:
                    said = news
                    console.answer(picture.found) if as_json else click.echo(frame.line(picture))
                before = picture
                await asyncio.sleep(max(EVERY, _REST * (time.monotonic() - began)))


def must_be_there_yet(path: Path, opened: int | None) -> None:
    """Raise StoreError if the file that was opened is no longer the one of that name: what it says is of the past."""
    if file_number(path) != opened:
        raise StoreError(f"{path} is gone, or another file by now; start this again to look at what is there")


def file_number(path: Path) -> int | None:
    """The number of the file of that name; None where there is none."""
    try:
        return path.stat().st_ino
    except OSError:
        return None


def is_screen(*, as_json: bool) -> bool:
    """Tell whether standard output is a terminal on which a frame can take the place of the one before."""
    return not as_json and sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "unknown")


@contextlib.contextmanager
def screen() -> Iterator[Callable[[Picture, Picture | None], None]]:
    """A function that shows a frame, on a screen of its own; afterwards the terminal shows what it did before.

    Stopped by Ctrl-Z, it gives the terminal back until it goes on.
    """
    from rich.live import Live

    live = Live(console=console.out, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    plain = (console.out.encoding or "").replace("-", "").lower() != "utf8"

    def show(picture: Picture, before: Picture | None) -> None:
        lines = frame.frame(picture, before, height=console.out.size.height, plain=plain)
        live.update(drawn(lines), refresh=True)

    def stop() -> None:
        live.stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        live.start()

    with console.on_signals({signal.SIGTSTP: stop}), live:
        yield show


def drawn(lines: Iterable[Line]) -> Text:
    """A frame as rich draws it."""
    from rich.text import Text

    # The joint says that a line is cut, not gone on with, where a terminal is narrower.
    joint = Text("\n", no_wrap=True, overflow="crop")
    return joint.join(Text.assemble(*line) for line in lines)
