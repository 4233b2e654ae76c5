"""Listener of a line: carries out the commands of its channel's life by the API and a socket, and reports the results.

It owns the line's topics and the channels that serve them; `channel_life.py` decides when to do what. Frames go into
the inbox as they came; only the platform's messages about the channel are read here.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from realtime.figures import LineFigures
from realtime.storing.inbox import CoverageBegin, CoverageEnd, Frame
from realtime.websocket.channel_life import LineChannels
from realtime.websocket.channel_session import (
    ChannelSession,
    Desk,
    Silence,
    ends,
    is_event,
    read_at_once,
    refusal,
    words,
)
from realtime.websocket.channel_states import (
    ChannelCommand,
    ChannelEvent,
    ChannelState,
    CommandKind,
    EventKind,
    Moment,
    Phase,
)
from realtime.websocket.detail_events import DetailSubscriptions
from realtime.websocket.socket import PING, SocketRefused
from realtime.websocket.subscriptions import SubscribedTopics
from realtime.websocket.tasks import Background
from rollbook.genesys.errors import NotFound, RollbookError
from rollbook.genesys.messages.notification import (
    Control,
    Heartbeat,
    Notification,
    Pong,
    Reply,
    SocketClosing,
    SystemMessage,
)
from rollbook.genesys.times import to_text
from rollbook.store.vocabulary import EndReason

log = logging.getLogger(__name__)

# Seconds for which a reading of the clock holds: what the ledger's times can show.
_STAMP: Final = 0.001
# Seconds between two tries to see whether a channel that was returned to still has its topics.
_LOOK_AGAIN: Final = 10.0

Step = Callable[[ChannelSession, ChannelCommand], Coroutine[Any, Any, ChannelEvent]]


class Listener:
    """Serves a line."""

    def __init__(self, number: int, topics: Sequence[str], desk: Desk) -> None:
        self.number = number
        self.topics = tuple(topics)
        self.line = LineChannels(desk.timings, desk.serials)
        self.connects = self.losses = 0
        self._desk, self._inbox, self._timings = desk, desk.inbox, desk.timings
        self._sessions: dict[int, ChannelSession] = {}
        self._background = Background(self.scope)
        self._spawn = self._background.spawn
        self._ticks = asyncio.get_running_loop().time
        self._silence = Silence(self._ticks())
        self.details = DetailSubscriptions(self.scope, desk=desk, spawn=self._spawn)
        self._stamp = (Moment(-1.0, 0.0), desk.now())  # a reading of the clocks for the frames that come together
        self._aligning = False
        self._ask_again = False
        self.is_stopping = False

    @property
    def scope(self) -> str:
        """The line's name in the ledger."""
        return f"line {self.number + 1}"

    def channels(self) -> set[str]:
        """The ids of the channels that it uses now."""
        return {session.channel.id.reveal() for session in self._sessions.values() if session.channel is not None}

    @property
    def places(self) -> int:
        """Count of the client's channels that it uses, or is about to create."""
        serving = (self.line.current, self.line.successor)
        return len(self.channels()) + sum(state is not None and self._creates_channel(state) for state in serving)

    def _creates_channel(self, state: ChannelState) -> bool:
        session = self._sessions.get(state.serial)
        return state.same_channel_as is None and (session is None or session.channel is None)

    def figures(self) -> LineFigures:
        """Figures of the line."""
        tick, session = self._ticks(), self._serving()
        claims = session is not None and session.unproven_since is None and not session.is_dropping
        return LineFigures(
            number=self.number,
            phase=(self.line.current.phase if self.line.current else Phase.DONE).value,
            topics=len(self.topics),
            details=len(self.details),
            connects=self.connects,
            losses=self.losses,
            heard_topics=len(session.subscribed.heard_topics()) if session is not None and claims else 0,
            unheard_for=self._silence.seconds(tick),
            down_for=self._silence.now(tick),
            loss_reason=self._silence.reason,
        )

    def start(self) -> None:
        """Begin to listen."""
        self._act(self.line.start(self._desk.moment()))

    def stop(self, *, reason: str = EndReason.STOPPED) -> None:
        """Hear no more. `drained` waits for the sockets. reason: in the ledger's words."""
        self.is_stopping = True
        self.line.stop_reason = reason
        self._act(self.line.stop(self._desk.moment()))

    async def drained(self) -> None:
        """Wait until the sockets are closed, and with them everything that was on its way is heard."""
        await self._background.drained()

    def tick(self) -> None:
        """Let time pass."""
        tick = self._ticks()
        for session in self._sessions.values():
            if session.reads_again:
                self._reads_on(session)
        self._act(self.line.tick(self._desk.moment()))
        for session in self._sessions.values():
            if session.is_dropping and session.listens and self._inbox.has_room():
                self._begin(session, to_text(self._desk.now()))
            if session.verify_again_at is not None and tick >= session.verify_again_at:
                session.verify_again_at = None
                self._align()

    def _reads_on(self, session: ChannelSession) -> None:
        """Note that a pause is over. When it began, frames that are read from now on were noted as doubtful."""
        session.reads_again = False
        session.state.frames_lay_unread(math.inf, self._desk.moment())

    def doubt_since(self, since: datetime) -> bool:
        """Note that frames read from now on may have lain there since then; answers if pings must ask about it."""
        moment, before = self._desk.moment(), self.line.sure_until
        for session in self._sessions.values():
            session.state.frames_lay_unread(since.timestamp(), moment)
        return before == math.inf != self.line.sure_until

    # Topics

    def set_topics(self, topics: Sequence[str], *, ask_again: bool = False) -> None:
        """Hear these from now on. ask_again: also ask for those that were refused."""
        self.topics = tuple(topics)
        self._ask_again = self._ask_again or ask_again
        if (session := self._serving()) is not None:
            session.is_doubted = True
        self._align()

    def follow(self, begin: Iterable[str], end: Iterable[str]) -> None:
        """Subscribe the detail events of conversations, and let those of others go."""
        self.details.follow(begin, end)
        if (session := self._serving()) is not None:
            self.details.align(session)

    def _serving(self) -> ChannelSession | None:
        current = self.line.current
        session = self._sessions.get(current.serial) if current else None
        return session if session is not None and session.listens else None

    def _align(self) -> None:
        """Send the differences to the platform until its list agrees with ours, never two exchanges at a time."""
        session = self._serving()
        if session is None or self._aligning or self.is_stopping:
            return
        added, removed = session.subscribed.differences(self.topics, ask_again=self._ask_again)
        if session.is_doubted or added or removed:
            self._aligning = True
            self._ask_again = self._ask_again and session.is_doubted
            self._spawn(self._exchange(session, added, removed))

    async def _exchange(self, session: ChannelSession, added: list[str], removed: list[str]) -> None:
        try:
            if session.is_doubted:
                await self._verify(session)
            else:
                await self._change(session, added, removed)
        except NotFound:
            self._apply(ChannelEvent(EventKind.EVICTED, session.serial))
        except RollbookError as error:
            # The next look at the queues asks again; sooner, if nothing can be claimed before.
            log.warning("%s: topics could not be changed: %s", self.scope, words(error))
            session.verify_again_at = self._ticks() + _LOOK_AGAIN if session.unproven_since is not None else None
            return
        finally:
            self._aligning = False
        self._align()

    async def _change(self, session: ChannelSession, added: list[str], removed: list[str]) -> None:
        if removed and session.socket is not None:
            # Coverage ends at the last proof: before the next proof it is not known if the socket still hears.
            until = self._last_proof(session)
            # New topics may need the room. They go by REST, and would arrive first if this did not wait for the reply.
            await session.request("unsubscribe", removed, self._timings.pong_within)
            self._inbox.note(
                CoverageEnd(session.serial, until, EndReason.TOPICS_LET_GO, session.subscribed.forget(removed))
            )
        if added and session.channel is not None:
            await self._add(session, added, {})

    async def _add(
        self, session: ChannelSession, topics: Sequence[str], details: Mapping[str, tuple[str, ...]]
    ) -> None:
        """Subscribe more topics, or the same again, on a channel that listens; coverage follows the answer."""
        before = session.subscribed.heard_topics()
        await self._subscribe(session, topics, details, replace=False)
        if not session.listens:
            return
        heard_topics, at = session.subscribed.heard_topics(), self._desk.now()
        if lost := tuple(set(before).difference(heard_topics)):
            # As with topics that are lost, coverage ends when they were last seen there.
            self._inbox.note(
                CoverageEnd(session.serial, to_text(session.verified_at or at), EndReason.TOPIC_REJECTED, lost)
            )
        if fresh := tuple(set(heard_topics).difference(before)):
            if session.unproven_since is None:
                self._claim(session, to_text(at), fresh)
            else:
                session.unproven_since = to_text(at)  # all topics are claimed together, later

    def _last_proof(self, session: ChannelSession) -> str:
        return to_text(min(datetime.fromtimestamp(session.state.last_proof_at, UTC), self._desk.now()))

    async def _verify(self, session: ChannelSession) -> None:
        """Compare the platform's list with ours: coverage of lost topics ends when they were last seen there."""
        assert session.channel is not None
        at, connection = self._desk.now(), session.connection
        listed = await self._desk.api.subscriptions(session.channel)
        lost = session.subscribed.lost(listed)
        if session.connection != connection or not session.listens:
            return  # the list says nothing of the socket that is there by now
        surplus = session.subscribed.surplus(listed)
        if lost:
            log.warning("%s: the platform has lost %d of its topics; they are subscribed again", self.scope, len(lost))
            until = to_text(min(session.verified_at or at, at))
            self._inbox.note(CoverageEnd(session.serial, until, EndReason.TOPICS_LOST, session.subscribed.forget(lost)))
            session.subscribed.details.clear()
            self.details.align(session)
        session.verified_at, session.is_doubted, session.proven_connection = at, False, session.connection
        if session.unproven_since is not None:
            began, session.unproven_since = session.unproven_since, None
            self._claim(session, began)
        if surplus:
            await session.request("unsubscribe", surplus, self._timings.pong_within)
            self._ask_again = True  # there may have been no room for what was asked meanwhile

    async def _subscribe(
        self, session: ChannelSession, topics: Sequence[str], details: Mapping[str, tuple[str, ...]], *, replace: bool
    ) -> None:
        """Subscribe base topics and those of details; keep the answer. Raises NotFound, RollbookError."""
        listed = [*topics, *(topic for followed in details.values() for topic in followed)]
        goes_on = partial(self._apply, ChannelEvent(EventKind.GOES_ON, session.serial))
        states = await session.subscribe(self._desk, listed, replace=replace, on_answer=goes_on)
        session.subscribed.take_answer(topics, states)
        if replace:
            session.subscribed.details = dict(details)
            session.verified_at = self._desk.now()

    # Commands of the channel's life

    def _apply(self, event: ChannelEvent) -> None:
        self._act(self.line.apply(event, self._desk.moment()))

    def _act(self, commands: list[ChannelCommand]) -> None:
        for command in commands:
            log.debug("%s: channel %d: %s %s", self.scope, command.serial, command.kind.value, command.reason)
            session = self._session(command.serial)
            if session is None:
                continue  # closed before its first step
            if command.kind is CommandKind.BEGIN_COVERAGE:
                self._silence.end(self._ticks())
                self._begin(session, to_text(datetime.fromtimestamp(command.at, UTC)))
            elif command.kind is CommandKind.END_COVERAGE:
                if not self.line.is_listening:
                    self._silence.begin(self._ticks(), command.reason)
                self._end(session, command)
            elif command.kind is CommandKind.PING:
                session.state.ping_sent(self._desk.moment(), self._timings.pong_within)
                self._spawn(session.send(PING))
            elif command.kind is CommandKind.CLOSE:
                self._close(session)
            else:
                self._begin_step(session, command)
        if commands:
            self._desk.wake()

    def _session(self, serial: int) -> ChannelSession | None:
        if serial not in self._sessions and (state := self.line.channel(serial)) is not None:
            self._sessions[serial] = ChannelSession(state)
        return self._sessions.get(serial)

    def _begin(self, session: ChannelSession, at: str) -> None:
        session.is_dropping = False
        self._inbox.take_again(session.serial)
        if session.proven_connection != session.connection:
            # Topics live on the channel. After a time without a socket they may be gone: the platform's list is asked,
            # and coverage is claimed from this moment on if it still has them.
            session.unproven_since, session.is_doubted = at, True
        else:
            self._claim(session, at)

    def _claim(self, session: ChannelSession, at: str, topics: tuple[str, ...] | None = None) -> None:
        """Let coverage begin: of these topics, or of all that the channel hears."""
        claimed = session.subscribed.heard_topics() if topics is None else topics
        if claimed and not session.is_dropping:
            self._inbox.note(CoverageBegin(session.serial, self.scope, claimed, at))

    def _end(self, session: ChannelSession, command: ChannelCommand) -> None:
        session.unproven_since = None
        at = to_text(datetime.fromtimestamp(command.at, UTC))
        self._inbox.note(CoverageEnd(session.serial, at, command.reason))
        if command.reason not in (EndReason.ROLLED_OVER, EndReason.STOPPED, EndReason.TOPICS_LET_GO):
            self.losses += 1
            log.warning("%s: hears no more since %s (%s)", self.scope, at, command.reason)

    def _close(self, session: ChannelSession) -> None:
        if session.step is not None:
            session.step.cancel()
            session.step = None
        if session.socket is not None:
            self._spawn(session.socket.close())
            session.socket = None
        if session.state.phase is Phase.DONE:
            self._sessions.pop(session.serial, None)

    def _begin_step(self, session: ChannelSession, command: ChannelCommand) -> None:
        if command.same_channel_as is not None and session.channel is None:
            other = self._sessions.get(command.same_channel_as)
            if other is not None:
                session.share_channel(other)
        steps: dict[CommandKind, Step] = {
            CommandKind.CREATE: self._create,
            CommandKind.SUBSCRIBE: self._subscribe_all,
            CommandKind.CONNECT: self._connect,
            CommandKind.RENEW: self._renew,
            CommandKind.CONFIRM_BEFORE_CLOSING: self._confirm,
        }
        session.step = self._spawn(self._answer(session, command, steps[command.kind]))

    async def _answer(self, session: ChannelSession, command: ChannelCommand, step: Step) -> None:
        try:
            event = await step(session, command)
        except SocketRefused as error:
            log.info("%s: %s", self.scope, error)
            event = command.answer(
                EventKind.GONE if error.channel_is_gone else EventKind.REFUSED, retry_after=error.retry_after
            )
        except RollbookError as error:
            log.warning("%s: cannot %s a channel: %s", self.scope, command.kind.value, words(error))
            event = refusal(error, command)
        session.step = None
        self._apply(event)
        if event.kind is EventKind.CONNECTED:
            self._connected(session)

    async def _create(self, session: ChannelSession, command: ChannelCommand) -> ChannelEvent:
        session.channel = await self._desk.api.create_channel()
        session.subscribed = SubscribedTopics()
        self._desk.client_channels.made(session.channel)
        return command.answer(EventKind.CREATED, expires_at=ends(session.channel, self._desk.now()))

    async def _subscribe_all(self, session: ChannelSession, command: ChannelCommand) -> ChannelEvent:
        if self.topics or self.details:
            await self._subscribe(session, self.topics, self.details.topics(), replace=True)
        session.proven_connection = session.connection + 1
        return command.answer(EventKind.SUBSCRIBED)

    async def _renew(self, session: ChannelSession, command: ChannelCommand) -> ChannelEvent:
        if session.subscribed.topics or session.subscribed.details:
            await self._add(session, list(session.subscribed.topics), session.subscribed.details)
        return command.answer(EventKind.RENEWED)

    async def _connect(self, session: ChannelSession, command: ChannelCommand) -> ChannelEvent:
        if session.channel is None:
            return command.answer(EventKind.GONE)
        session.connection += 1
        closed = partial(self._closed, session, session.connection)
        arrived = partial(self._arrived, session)
        session.socket = await self._desk.opener(session.channel.connect_uri, on_frame=arrived, on_closed=closed)
        return command.answer(EventKind.CONNECTED)

    async def _confirm(self, session: ChannelSession, command: ChannelCommand) -> ChannelEvent:
        session.state.ping_sent(self._desk.moment(), self._timings.pong_within)
        is_there = await session.answers_ping(self._timings.confirm_within)
        return command.answer(EventKind.ANSWERED if is_there else EventKind.REFUSED)

    def _connected(self, session: ChannelSession) -> None:
        self.connects += 1
        self._desk.refused_topics.log_hearing(self.scope, session.subscribed)
        if session.ended_connection == session.connection:
            # The socket closed in the moment in which it opened.
            self._apply(ChannelEvent(EventKind.LOST, session.serial))
            return
        self._align()
        self.details.align(session)

    # Frames and the end of a socket

    def _arrived(self, session: ChannelSession, payload: bytes, fault: str | None) -> None:
        """Take a frame. The protocol calls this, so the frame is only handed on."""
        if session.reads_again:
            self._reads_on(session)
        tick = self._ticks()
        if tick - self._stamp[0].tick >= _STAMP:
            self._desk.look_awake()
            now = self._desk.now()
            self._stamp = (Moment(tick, now.timestamp()), now)
        moment, now = self._stamp
        if fault is not None or not is_event(payload):
            parsed = read_at_once(payload) if fault is None else None
            if isinstance(parsed, Control):
                session.state.frame_came(moment, is_unprompted=isinstance(parsed, Heartbeat))
                self._control(session, parsed, moment)
                return
            if not isinstance(parsed, Notification):
                payload = session.without_secrets(payload)
        if self._inbox.crowded() and session.socket is not None and self._inbox.pause(session):
            session.state.frames_lay_unread(moment.wall, Moment(tick, moment.wall))
        if not self._inbox.put(Frame(payload, now, session.serial, fault)) and not session.is_dropping:
            session.is_dropping = True
            log.error("%s: the queue is full, what comes is dropped", self.scope)
            # This frame came and is dropped, so coverage ends at the last frame before it.
            self._inbox.note(CoverageEnd(session.serial, self._last_proof(session), EndReason.QUEUE_FULL))
        # A frame that was too large is reported at the end of its socket, and what came between the two was not read.
        if payload or fault is None:
            session.state.frame_came(moment)
            session.state.proof_came(moment.wall)

    def _control(self, session: ChannelSession, control: Control, moment: Moment) -> None:
        if isinstance(control, Reply):
            session.take_reply(control)
        match control:
            case Pong():
                session.state.pong_came(moment)
                session.ping_answered.set()
            case Reply(result="200"):
                session.state.proof_came(moment.wall)
                session.ping_answered.set()
            case SocketClosing():
                log.info("%s: the platform will close the socket", self.scope)
                self._apply(ChannelEvent(EventKind.CLOSING, session.serial))
            case SystemMessage(channel_gone=True, reason=reason):
                log.warning("%s: the platform took the channel away (%s)", self.scope, self._kept(session, reason))
                self._apply(ChannelEvent(EventKind.EVICTED, session.serial, is_clean=True))
            case SystemMessage(topic=topic) if "subscription" in topic and not self._aligning:
                session.is_doubted = True
                self._align()
            case Reply(result="404"):
                self._apply(ChannelEvent(EventKind.EVICTED, session.serial))
            case Reply(result=result, message=message) if result != "200":
                log.warning(
                    "%s: a subscription over the socket was refused: %s", self.scope, self._kept(session, message)
                )
            case _:
                pass

    def _kept(self, session: ChannelSession, said: str | None) -> str:
        """The platform's words for a line of the log."""
        return session.shorten(said and self._desk.api.kept_words(said))

    def _closed(
        self,
        session: ChannelSession,
        connection: int,
        is_clean: bool,
        why: str,
        code: int | None = None,
        reason: str = "",
    ) -> None:
        session.ended_connection = connection
        if session.connection == connection:
            session.forget_requests()
        if session.socket is not None and session.connection == connection:
            session.socket = None
            if code is not None:
                why = f"{why} ({code} {self._kept(session, reason)})" if reason else f"{why} ({code})"
            log.info("%s: %s", self.scope, session.shorten(why))
            self._apply(ChannelEvent(EventKind.LOST, session.serial, is_clean=is_clean))
