"""Supervisor of the lines: finds the topics, places them on lines, and lets time pass for each line.

It looks for queues (and users) at the start and every few minutes, spreads their topics over lines, lets the lines
listen, and has what they hear stored. It does not know how a channel lives or how the book is written.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from realtime.clocks import Awake
from realtime.figures import DaemonFigures
from realtime.storing.inbox import Inbox
from realtime.storing.store_frames import FrameStore
from realtime.websocket import topic_placement
from realtime.websocket.channel_session import Opener
from realtime.websocket.channel_states import Moment, Phase, Timings
from realtime.websocket.client_channels import ClientChannels
from realtime.websocket.followed_conversations import TOPICS_A_CONVERSATION, ConversationSeen, Following
from realtime.websocket.list_changes import APART, Looks
from realtime.websocket.listener import Listener
from realtime.websocket.refused_topics import RefusedTopics
from realtime.websocket.socket import Socket
from realtime.websocket.tasks import attempt
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.errors import ConnectionLost, Unavailable
from rollbook.genesys.messages.live_facts import believed
from rollbook.genesys.messages.notification import Notification
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import to_text
from rollbook.genesys.topics import DETAIL_TEMPLATES, USER_CONVERSATIONS, combined, plain, topics_for
from rollbook.store.book import Book
from rollbook.store.vocabulary import EndReason

log = logging.getLogger(__name__)

# Seconds until the queues are asked for again at the start, where there was no list.
_NO_LIST_AGAIN: Final = 5.0
# Seconds for a count of channels, and between two steps at most.
COUNT_WITHIN: Final = 300.0
_LONGEST_STEP: Final = 2.0
# Looks at the queues from one request for the refused topics to the next: about an hour.
_ASK_AGAIN: Final = 12
# Seconds that stopping may take: to close the sockets, then to store what was heard.
CLOSING: Final = 3.0
STORING: Final = 4.0
# The line that has no base topics, for the detail events of live conversations.
_DETAILS: Final = 1_000

# Where no address of an API is set, which no run is started with, sockets go to this machine alone.
_THIS_MACHINE: Final = "http://127.0.0.1"


class Supervisor:
    """Live capture over WebSocket. `run` once.

    now: the organisation's clock (the simulator's may run faster).
    """

    def __init__(
        self,
        api: Api,
        book: Book,
        settings: Settings,
        *,
        now: Callable[[], datetime],
        timings: Timings | None = None,
        inbox: Inbox | None = None,
        opener: Opener | None = None,
        draw: random.Random | None = None,
    ) -> None:
        self.api, self.now = api, now
        self._settings = settings
        self.timings = timings or Timings()
        self._awake = Awake(2 * self.timings.awake)
        self.client_channels = ClientChannels(api, book, now=now, life=self.timings.life)
        self.inbox = inbox or Inbox()
        self.frame_store = FrameStore(
            book, self.inbox, now=now, on_notifications=self._follow_heard if settings.follow_details else None
        )
        self._listeners: dict[int, Listener] = {}
        self._leaving: list[Listener] = []
        self.serials: Iterator[int] = itertools.count(1)
        self._wake = asyncio.Event()
        self._following = Following()
        self._looks = 0
        self.opener = opener or partial(Socket.open, api_url=settings.api_url or _THIS_MACHINE)
        self._random = draw or random.Random()  # noqa: S311 (back-off, no secret)
        self._ticks = asyncio.get_running_loop().time
        self.listening = asyncio.Event()  # set while every line hears
        self._listening_at = self._ticks()  # when a line was seen to hear last
        self.unplaced: tuple[str, ...] = ()
        self.refused_topics = RefusedTopics(book, now=now)
        self.discovery_failing: str | None = None
        self.counting_failing: str | None = None
        self._looked_at = self._ticks()  # when the last good look at the queues was
        self._lists = Looks(min(self.timings.rediscover, APART))
        self._look_now = asyncio.Event()
        self._topics: Sequence[str] = ()

    def use(self, settings: Settings) -> None:
        """Follow other settings: topics, users or not. Settings of details hold from the next start."""
        self._settings = replace(settings, follow_details=self._settings.follow_details)
        self._look_now.set()

    # Calls of the listeners

    def moment(self) -> Moment:
        """Now, on both clocks."""
        return Moment(self._ticks(), self.now().timestamp(), self._random.random(), self.free)

    def look_awake(self) -> None:
        """Check that this process did not stand still: frames that are read after a standstill may have lain there."""
        since = self._awake.look(self._ticks(), time.time(), self.now())
        if since is not None:
            log.debug("nothing was read since %s", to_text(since))
            doubted = [listener.doubt_since(since) for listener in self._all()]
            if any(doubted):
                self.wake()

    def wake(self) -> None:
        """Wake the loop: something is due earlier than before."""
        self._wake.set()

    @property
    def free(self) -> int:
        """Count of channels that could be created without taking another program's."""
        return self.client_channels.places.free(sum(listener.places for listener in self._all()))

    @property
    def has_looked(self) -> bool:
        """The topics are known: with thousands of queues the first look takes minutes."""
        return self._looks > 0

    def figures(self) -> DaemonFigures:
        """Figures of live capture."""
        stored, waiting = self.frame_store.stored, self.inbox
        ticks, late = self._ticks(), (self.now() - self.frame_store.stored_until()).total_seconds()
        return DaemonFigures(
            lines=tuple(listener.figures() for listener in self._listeners.values()),
            silent_for=0.0
            if any(listener.line.is_listening for listener in self._listeners.values())
            else ticks - self._listening_at,
            waiting_frames=waiting.frames,
            waiting_bytes=waiting.size,
            waiting_for=max(late, 0.0),
            received=waiting.received,
            dropped=waiting.dropped,
            new=stored.events_new,
            repeated=stored.events_repeated,
            dead_letters=stored.dead_letters,
            by_template=dict(stored.by_template),
            store_failing=stored.failing,
            discovery_failing=self.discovery_failing,
            counting_failing=self.counting_failing,
            looked_ago=ticks - self._looked_at,
            refused_topics=len(self.refused_topics),
            missing_permissions=self.refused_topics.missing(),
            unplaced_topics=len(self.unplaced),
            channels_free=self.free,
            channels_of_others=self.client_channels.places.others,
            last_event_at=stored.last_at,
        )

    def _all(self) -> list[Listener]:
        return [*self._listeners.values(), *self._leaving]

    # Life

    async def run(self, stop: asyncio.Event) -> None:
        """Listen until `stop` is set; then close, store what was heard, and return.

        Raises RollbookError if the topics may not be listed at the start, or the book is lost for good. An error
        that passes by itself is waited for.
        """
        await self.client_channels.load()
        await self.refused_topics.load()
        stopping = asyncio.create_task(stop.wait())
        first = asyncio.create_task(self._first_look())
        await asyncio.wait({first, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not first.done():
            first.cancel()
            return
        await first
        self.discovery_failing = None
        frame_store = asyncio.create_task(self.frame_store.run())
        keeping = [
            asyncio.create_task(work)
            for work in (self._keep_discovering(), self._keep_counting(), self._keep_looking_awake())
        ]
        try:
            while not stopping.done() and not frame_store.done():
                await self._step(stopping, frame_store)
        finally:
            for task in (*keeping, stopping):
                task.cancel()
            await self._close(frame_store)
            await asyncio.gather(*keeping, return_exceptions=True)

    async def _step(self, *until: asyncio.Task[Any]) -> None:
        """Let time pass for the lines, then wait until something is due."""
        self.look_awake()
        for listener in list(self._listeners.values()):
            listener.tick()
        self._leaving = [listener for listener in self._leaving if listener.channels()]
        hearing = [listener.line.is_listening for listener in self._listeners.values()]
        if any(hearing):
            self._listening_at = self._ticks()
        (self.listening.set if hearing and all(hearing) else self.listening.clear)()
        self._follow([])
        now = self._ticks()
        if now >= self._alive_due:
            sure = min((listener.line.sure_until for listener in self._all()), default=math.inf)
            self.frame_store.alive(None if sure == math.inf else datetime.fromtimestamp(sure, UTC))
            self._alive_due = now + self.timings.alive
        due = min((listener.line.due() for listener in self._listeners.values()), default=now + 1)
        woken = asyncio.ensure_future(self._wake.wait())
        delay = min(max(min(due, self._alive_due) - now, 0.0), _LONGEST_STEP)
        await asyncio.wait({woken, *until}, timeout=delay, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()
        self._wake.clear()

    _alive_due = 0.0

    async def _close(self, frame_store: asyncio.Task[None]) -> None:
        self.look_awake()
        for listener in self._listeners.values():
            listener.stop()
        closing = [asyncio.ensure_future(listener.drained()) for listener in self._all()]
        if closing:
            await asyncio.wait(closing, timeout=CLOSING)
        self.inbox.close()
        try:
            async with asyncio.timeout(STORING):
                await frame_store
        except TimeoutError:
            if lost := self.inbox.frames + self.frame_store.in_flight:
                log.error(
                    "%s could not be stored in time and will not come again: coverage does not claim them, and the next"
                    " reconciliation finds their conversations",
                    count(lost, "notification"),
                )
            else:
                log.warning("the end of coverage could not be stored in time: it ends at the last sign of life")

    # Topics

    async def _keep_discovering(self) -> None:
        while True:
            # A second look at a doubted list comes soon: only then are topics let go.
            until_next_look = self._lists.apart if self._lists.doubted else self.timings.rediscover
            # Not `wait_for`: if a cancellation comes together with the event, it loses the cancellation (Python 3.11).
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(until_next_look):
                    await self._look_now.wait()
            self._look_now.clear()
            self.discovery_failing = await attempt(
                "look for queues", self._discover, within=self.timings.look_within, before=self.discovery_failing
            )

    async def _first_look(self) -> None:
        """Look until there is a list. Raises RollbookError for what does not pass by itself."""
        while self._looks == 0:
            within = self.timings.look_within
            try:
                async with asyncio.timeout(within):
                    await self._discover()
            except TimeoutError:
                self._note_no_list(f"no answer within {within:.0f} s")
            except (Unavailable, ConnectionLost) as error:
                # The platform has answered before, or the organisation would not be known: the error passes by itself.
                self._note_no_list(str(error))
                await asyncio.sleep(_NO_LIST_AGAIN)

    def _note_no_list(self, why: str) -> None:
        before, self.discovery_failing = self.discovery_failing, why
        if before is None:
            log.warning("cannot look for queues now, will again: %s", why)

    async def _keep_counting(self) -> None:
        """Count channels at once where programs take places from each other: it would go on until the next look."""
        while True:
            await self.client_channels.crowded.wait()
            self.client_channels.crowded.clear()
            self.counting_failing = await attempt(
                "count the client's channels", self._make_way, within=COUNT_WITHIN, before=self.counting_failing
            )

    async def _keep_looking_awake(self) -> None:
        while True:
            await asyncio.sleep(self.timings.awake)
            self.look_awake()

    async def _make_way(self) -> None:
        await self.client_channels.count(self._creating)
        if len(self._listeners) > self._lines_allowed():
            self._spread(self._topics)

    async def _discover(self) -> None:
        await self.client_channels.count(self._creating)
        templates = self._settings.topics
        if self._settings.users:
            templates = (*templates, USER_CONVERSATIONS)
        by_queue = any(".queues." in template and "{id}" in template for template in templates)
        by_user = any(".users." in template and "{id}" in template for template in templates)
        queues = await self._listed("queues", self.api.queues, wanted=by_queue)
        users = await self._listed("users", self.api.users, wanted=by_user)
        self._looked_at = self._ticks()
        topics = combined(topics_for(templates, queues=queues, users=users))
        self._say_unheard(templates)
        if not topics:
            log.warning("no queue is visible to this OAuth client, so there is nothing to hear")
        if set(topics) != set(self._topics):
            log.info("%s to hear, before %d", count(plain(topics), "topic"), plain(self._topics))
        self._topics = topics
        self.refused_topics.keep_only([*topics, *DETAIL_TEMPLATES] if self._settings.follow_details else topics)
        self._spread(topics)

    async def _listed(self, kind: str, look: Callable[[], Awaitable[list[Entity]]], *, wanted: bool) -> Sequence[str]:
        """The ids of a kind, as far as the list is believed."""
        if not wanted:
            self._lists.forget(kind)
            return ()
        found, doubt = self._lists.believe(kind, [entity.id for entity in await look()], self._ticks())
        if doubt is not None:
            log.warning("%s", doubt)
        return found

    def _say_unheard(self, templates: Sequence[str]) -> None:
        for template in templates:
            if "{id}" in template and ".queues." not in template and ".users." not in template and self._looks == 0:
                log.error("%s needs a concrete id over WebSocket; only queues and users are filled in", template)

    def _creating(self) -> int:
        channels = [channel for listener in self._all() for channel in (listener.line.current, listener.line.successor)]
        return sum(channel is not None and channel.phase is Phase.CREATING for channel in channels)

    def _lines_allowed(self) -> int:
        return self.client_channels.places.lines(len(self._listeners))

    def _spread(self, topics: Sequence[str]) -> None:
        channels = self._lines_allowed()
        placed = {number: listener.topics for number, listener in self._listeners.items() if number != _DETAILS}
        plan = topic_placement.spread(topics, placed, channels=channels)
        if plan.unplaced and len(plan.unplaced) != len(self.unplaced):
            log.error("%d topics find no room on %d channels", len(plan.unplaced), channels)
        self.unplaced = plan.unplaced
        lines = dict(plan.lines)
        if self._settings.follow_details and topics and len(lines) < channels:
            lines[_DETAILS] = ()
        self._looks += 1
        if ask_again := self._looks % _ASK_AGAIN == 0:
            self.refused_topics.ask_again()
        for number in self._listeners.keys() - lines.keys():
            listener = self._listeners.pop(number)
            self._following.forget(number)
            listener.stop(reason=EndReason.TOPICS_LET_GO)
            self._leaving.append(listener)
        for number, listed in lines.items():
            if (present := self._listeners.get(number)) is not None:
                self._make_room(present, len(listed))
                present.set_topics(listed, ask_again=ask_again)
            else:
                self._listeners[number] = Listener(number, listed, self)
                self._listeners[number].start()
        self.wake()

    # Details of live conversations

    def _make_room(self, listener: Listener, topics: int) -> None:
        keep = (topic_placement.TOPICS_A_CHANNEL - topics) // TOPICS_A_CONVERSATION
        gone = self._following.forget(listener.number, keep)
        if gone:
            listener.follow((), gone)

    def _follow_heard(self, notifications: Sequence[Notification]) -> None:
        self._follow(
            [
                ConversationSeen(notification.conversation_id, facts.ended_at is not None, facts.last_at)
                for notification in notifications
                if notification.conversation_id
                and notification.facts
                and notification.topic.startswith(("v2.routing.queues.", "v2.users."))
                and (facts := believed(notification.facts, notification.received_at))
            ]
        )

    def _follow(self, seen: list[ConversationSeen]) -> None:
        if not self._settings.follow_details:
            return
        room = {
            number: topic_placement.TOPICS_A_CHANNEL - len(listener.topics)
            for number, listener in self._listeners.items()
            if listener.line.is_listening
        }
        chosen = self._following.choose(seen, room, self._ticks())
        touched = {line for _, line in (*chosen.subscribe, *chosen.unsubscribe)}
        for line in touched & self._listeners.keys():
            self._listeners[line].follow(
                [conversation_id for conversation_id, where in chosen.subscribe if where == line],
                [conversation_id for conversation_id, where in chosen.unsubscribe if where == line],
            )
