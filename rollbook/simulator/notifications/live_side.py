"""The live side of the organisation: its channels, its sockets, its events, and the switches that faults turn.

Joins what the other modules decide: `channels` (rules), `sockets` (open sockets), `emitter` (which event is sent when)
and `event_faults` (what becomes of an event on its way). Knows no REST route.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from rollbook.simulator.clock import Clock
from rollbook.simulator.faults.event_faults import Alterations
from rollbook.simulator.notifications import frames
from rollbook.simulator.notifications.activity_events import ActivityEvents
from rollbook.simulator.notifications.channels import Channel, Channels
from rollbook.simulator.notifications.emitter import Emitter, Event
from rollbook.simulator.notifications.sockets import HEARTBEAT, Sockets
from rollbook.simulator.organisation.world import World

_LOG: Final = 2_000  # events that are remembered
_WARNED: Final = timedelta(seconds=60)  # from "socket_closing" to the close


class LiveSide:
    """Channels, sockets and events of one organisation.

    client_of: the OAuth client of a bearer token. on_revoke: called with a token that a fault revokes. heartbeat:
    seconds of the organisation's clock. emitted: events sent, by topic template; log: the last of them.
    """

    def __init__(
        self,
        world: World,
        clock: Clock,
        *,
        organization: str,
        client_of: Callable[[str], str],
        seed: int = 1,
        on_revoke: Callable[[str], None] = lambda _: None,
        heartbeat: float = HEARTBEAT,
    ) -> None:
        self.clock, self.organization = clock, organization
        self.client_of, self.on_revoke = client_of, on_revoke
        self.draw = random.Random(f"notifications {seed}")
        self.channels = Channels(self.draw)
        self.channels.on_gone = self._gone
        self.sockets = Sockets(self.channels, clock, heartbeat=heartbeat)
        self.sockets.refuse = self._refusal
        self.sockets.flapping = self._flaps
        self.emitter = Emitter(
            world,
            clock,
            subscribed=self.channels.subscribers,
            watched=self.channels.watched.__contains__,
            newly_watched=self._newly_watched,
            deliver=self._alter,
            breathe=self._breathe,
            seed=seed,
        )
        self.emitter.figures = self.figures = ActivityEvents(world, self.channels.figures)
        self.alterations = Alterations(seed, self.emitter.correlation_id)
        self.emitted: Counter[str] = Counter()
        self.log: deque[Event] = deque(maxlen=_LOG)
        self.down_until: datetime | None = None
        self.refuse_status: tuple[int, datetime] | None = None
        self.flapping_until: datetime | None = None
        self.keep_dead_sockets = False
        self._listeners: list[Callable[[Event], None]] = []
        self._running: list[asyncio.Task[None]] = []

    # Its life

    async def start(self) -> None:
        """Begin to emit."""
        self._running = [asyncio.create_task(self.emitter.run())]

    async def stop(self) -> None:
        """End everything; open sockets die."""
        for task in self._running:
            task.cancel()
        for task in self._running:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self.sockets.abort()

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call the listener with every event of the organisation, whoever subscribed, as EventBridge delivers them."""
        self._listeners.append(listener)
        self.emitter.everything = True

    async def settle(self) -> None:
        """Wait until everything due at this moment has been taken by the clients, which must be reading."""
        await self.emitter.settle()
        await asyncio.gather(*(line.drained() for line in self.sockets.lines.values()))

    # Events

    def _newly_watched(self) -> list[str]:
        """Also the moment at which channels expire: asked in every turn."""
        self.channels.expire(self.clock.now())
        fresh, self.channels.newly_watched = self.channels.newly_watched, []
        return fresh

    def _alter(self, event: Event) -> None:
        now = self.clock.now()
        for late, changed in self.alterations.apply(event, now):
            if late:
                self.emitter.later(event.at + self.emitter.delay + late, lambda changed=changed: self.deliver(changed))  # type: ignore[misc]
            else:
                self.deliver(changed)
        if self.alterations.holding(event):
            self.emitter.later(event.at + timedelta(minutes=2), lambda: self._release(event))

    def _release(self, event: Event) -> None:
        for released in self.alterations.release(event):
            self.deliver(released)

    def deliver(self, event: Event) -> None:
        """Send an event to every channel that is subscribed to its topic."""
        frame: str | None = None
        for channel in self._receivers(event):
            line = self.sockets.lines.get(channel.id)
            if line is not None and line.carries:
                frame = frame or event.frame()
                line.offer(frame)
        self.emitted[event.template] += 1
        self.log.append(event)
        for listener in self._listeners:
            listener(event)

    def _receivers(self, event: Event) -> list[Channel]:
        """A topic that nobody can subscribe to (a fault's) goes where the topic that it was made of goes."""
        subscribed = self.channels.subscribers
        return list((subscribed.get(event.topic) or subscribed.get(event.topic.rpartition(".")[0]) or {}).values())

    async def _breathe(self) -> None:
        await asyncio.sleep(0)
        await asyncio.gather(*(line.room() for line in list(self.sockets.lines.values())))

    # Channels that go, sockets that are refused

    def _gone(self, channel: Channel, why: str) -> None:
        line = self.sockets.lines.get(channel.id)
        if line is None or self.keep_dead_sockets:
            return
        line.offer(frames.reply(404, status="error", message=f"Channel {why}"))
        line.close(1001)

    def _refusal(self) -> int | None:
        now = self.clock.now()
        if self.down_until is not None and now < self.down_until:
            return 503
        if self.refuse_status is not None and now < self.refuse_status[1]:
            return self.refuse_status[0]
        return None

    def _flaps(self) -> bool:
        return self.flapping_until is not None and self.clock.now() < self.flapping_until

    def cut(self, minutes: float) -> None:
        """Every socket dies without a word, and none is accepted for so many minutes of the organisation's clock."""
        self.down_until = self.clock.now() + timedelta(minutes=minutes)
        self.sockets.abort()

    def tell(self, channel: Channel, kind: str, reason: str) -> None:
        """Send a system message about a channel. kind: no_longer_subscribed, token_revoked."""
        line = self.sockets.lines.get(channel.id)
        if line is not None:
            line.offer(
                frames.system(
                    kind,
                    channel.id,
                    reason,
                    client=channel.client,
                    organization=self.organization,
                    correlation_id=self.emitter.correlation_id(),
                )
            )

    def announce_closing(self, after: timedelta = _WARNED) -> None:
        """`v2.system.socket_closing` on every socket; those still open after that time are closed."""
        lines = list(self.sockets.lines.values())
        for line in lines:
            line.offer(frames.socket_closing(self.emitter.correlation_id()))

        def close() -> None:
            for line in lines:
                line.close(1001)

        self.emitter.later(self.clock.now() + after, close)
