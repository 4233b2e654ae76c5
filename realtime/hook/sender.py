"""The task that sends alerts: takes them from the store, oldest first, and lets each go once its receiver has it.

It waits for nothing but the receiver and the store, and nothing waits for it. What ends it in the middle of a try has
the alert sent again, with the same id, by whoever runs next.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from realtime.hook.delivery import DeliveryTimes
from realtime.hook.receivers import Receiver
from rollbook.genesys.errors import StoreError
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text, to_text
from rollbook.store.book import Book
from rollbook.store.tables import alerts, coverage

log = logging.getLogger(__name__)

# Seconds between two looks for alerts, between two looks if anything listens, and after trouble with the store.
_LOOK_EVERY: Final = 1.0
_DEAF_EVERY: Final = 10.0
# Seconds in which a daemon that starts has mostly come to listen.
_CONNECTS_WITHIN: Final = 60.0
_AGAIN: Final = 5.0
# So many failures in a row are no single bad answer any more.
_FAILING: Final = 3


@dataclass(slots=True, kw_only=True)
class AlertSender:
    """now: the clock that stamps alerts. deaf_after: how long nothing listens before that is an alert.

    failing: why nothing is taken, if that goes on; waiting: the alerts that wait, as of the last look.
    """

    book: Book
    receiver: Receiver
    now: Callable[[], datetime]
    deaf_after: timedelta
    look_every: float = _LOOK_EVERY
    deaf_every: float = _DEAF_EVERY
    delivery: DeliveryTimes = field(default_factory=DeliveryTimes)
    ticks: Callable[[], float] = time.monotonic
    failing: str | None = None
    waiting: alerts.Waiting = alerts.NONE
    _began: str = field(init=False)
    _deaf_due: float = 0.0
    _sign: str | None = None  # the last sign of listening
    _sign_at: float = field(init=False)  # when it was first seen, or this began
    _is_deaf: bool = False
    _said: str | None = None

    def __post_init__(self) -> None:
        self._began, self._sign_at = to_text(self.now()), self.ticks()

    async def run(self) -> None:
        """Send what waits and what comes, until this is cancelled."""
        while True:
            try:
                await self._look_for_deafness()
                rest = await self._send_what_waits()
            except StoreError as error:
                self._note_trouble(f"the store does not give them: {error}")
                rest = _AGAIN
            except Exception as error:  # a mistake here must not end what tells of mistakes
                log.error("alerts cannot be sent now, will try again", exc_info=error)
                rest = _AGAIN
            await asyncio.sleep(rest)

    async def _look_for_deafness(self) -> None:
        if self.ticks() < self._deaf_due:
            return
        self._deaf_due = self.ticks() + self.deaf_every
        sign, now = await self.book.read(coverage.last_hearing), self.now()
        if sign != self._sign:
            self._sign, self._sign_at, self._is_deaf = sign, self.ticks(), False
        silent, after = self.ticks() - self._sign_at, self.deaf_after.total_seconds()
        # While something listens there is a new sign every few seconds. A clock that was set, or a start after a long
        # night, makes the last one look old: nothing is said of that before there was time to connect.
        long_ago = sign is not None and now - from_text(sign) >= self.deaf_after
        if not self._is_deaf and (silent >= after or (long_ago and silent >= min(after, _CONNECTS_WITHIN))):
            await asyncio.wrap_future(self.book.write(alerts.add_deafness, sign, to_text(now), began=self._began))
            self._is_deaf = True

    async def _send_what_waits(self) -> float:
        """Send the oldest of each stream that may be sent; answers the seconds until the next look."""
        self._see(await self.book.read(alerts.waiting))
        heads = await self.book.read(alerts.heads) if self.waiting.number else []
        progress = False
        for alert_id, stream in heads:
            if self.delivery.may_send(stream, self.ticks()):
                progress |= await self._send(alert_id, stream)
        if progress:
            return 0.0
        return self.delivery.rest([stream for _, stream in heads], self.ticks(), self.look_every)

    async def _send(self, alert_id: int, stream: str) -> bool:
        """Send an alert; tell whether it was taken."""
        alert = await self.book.read(alerts.load, alert_id)
        if alert is None or alert.stream != stream:
            return False  # somebody has let go of it meanwhile
        outcome = await self.receiver.send(alert)
        if outcome.why is not None:
            self.delivery.failed(stream, self.ticks(), outcome.asked)
            if self.delivery.failures >= _FAILING:
                self._note_trouble(outcome.why)
            return False
        self.delivery.taken(stream)
        dropped = await asyncio.wrap_future(self.book.write(alerts.taken, alert.event_id))
        if self.failing is not None:
            log.warning("alerts are taken again")
        self.failing = self._said = None
        if dropped:
            log.error("all alerts were taken but %s that found no room while they waited", count(dropped, "alert"))
        return True

    def _note_trouble(self, why: str) -> None:
        self.failing = why
        if why != self._said:
            self._said = why
            log.error("alerts are not taken, will keep trying: %s", why)

    def _see(self, found: alerts.Waiting) -> None:
        if found.dropped and not self.waiting.dropped:
            log.error(
                "%s wait for the receiver: there is no room for more, and those that come now are dropped and counted",
                count(found.number, "alert"),
            )
        self.waiting = found
