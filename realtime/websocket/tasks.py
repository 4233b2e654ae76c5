"""Tasks in the background: kept until they end, waited for at the end, and logged if they fail.

Also work that is repeated: each time within a limit of time, and each error logged once.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from rollbook.genesys.errors import ApiError, RollbookError

log = logging.getLogger(__name__)
T = TypeVar("T")


async def attempt(what: str, work: Callable[[], Awaitable[None]], *, within: float, before: str | None) -> str | None:
    """Do the work, or answer why it failed: the caller repeats it later, whatever went wrong.

    within: seconds after which it is given up. before: why it failed the last time; the same reason is logged once.
    """
    unforeseen = None
    try:
        async with asyncio.timeout(within):
            await work()
    except TimeoutError:
        why = f"no answer within {within:.0f} s"
    except RollbookError as error:
        why = error.message if isinstance(error, ApiError) else str(error)
    except Exception as error:
        why, unforeseen = f"an error that nobody foresaw ({type(error).__name__})", error
    else:
        return None
    if why != before:
        log.warning("cannot %s now, will again: %s", what, why, exc_info=unforeseen)
    return why


async def apart(work: Callable[[], T]) -> T:
    """Run `work` in a thread that ends with the process. (The loop waits for its own threads at the end.)"""
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()  # nobody can call it back

    def run() -> None:
        try:
            answer.set_result(work())
        except BaseException as error:
            answer.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return await asyncio.wrap_future(answer)


class Background:
    """Tasks of an owner, whose name is in the log."""

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Begin a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def drained(self) -> None:
        """Wait until all tasks have ended, and those that they began."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s: a step failed in a way that nobody foresaw", self._owner, exc_info=error)
