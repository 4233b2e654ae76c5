"""The WebSockets of the channels: handshake, heartbeats, what clients say, and how a socket ends.

Each socket has its own queue and its own writer, so that a client that does not read holds up nobody but itself. Which
channels and topics there are is `rollbook/simulator/notifications/channels.py`'s, and what is sent is somebody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from aiohttp import WSMsgType, web

from rollbook.simulator.clock import Clock
from rollbook.simulator.notifications import frames
from rollbook.simulator.notifications.channels import Channel, Channels, Refused, gone
from rollbook.simulator.rest import answer_headers

HEARTBEAT: Final = 30.0  # seconds of the organisation's clock
_SHORTEST_BEAT: Final = 0.2  # real seconds, however fast the clock
BOUND: Final = 20_000  # frames that may wait for one socket
_PATIENCE: Final = 1.0  # real seconds that a sender waits for a full socket to move at all


class OpenSocket:
    """Socket that is open, and the frames that wait for it.

    beats, answers, carries: whether it sends heartbeats, answers what its client says, and carries events; a fault
    turns them off.
    """

    def __init__(self, channel: Channel, request: web.Request, socket: web.WebSocketResponse, bound: int) -> None:
        self.channel = channel
        self.beats = self.answers = self.carries = True
        self.sent = 0
        self._request, self._socket, self._bound = request, socket, bound
        self._waiting: deque[str | bytes] = deque()
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._ending: tuple[int, str] | None = None
        self._stalled = False

    @property
    def waiting(self) -> int:
        """Frames that have not been sent yet."""
        return len(self._waiting)

    def offer(self, frame: str | bytes) -> None:
        """Send a frame as soon as the client takes it. One that lets too many wait is cut off."""
        if self._ending is not None:
            return
        if len(self._waiting) >= self._bound:
            self.abort()
            return
        self._waiting.append(frame)
        self._idle.clear()
        self._changed.set()

    def close(self, code: int, reason: str = "") -> None:
        """Close with a close frame, behind what waits already."""
        self._ending = self._ending or (code, reason)
        self._changed.set()

    def abort(self) -> None:
        """Gone without a word: no close frame."""
        self._ending = self._ending or (1006, "")
        self._waiting.clear()
        self._changed.set()
        if self._request.transport is not None:
            self._request.transport.abort()

    async def write(self) -> None:
        """Send what waits, until there is an end."""
        try:
            with contextlib.suppress(ConnectionError, RuntimeError):
                await self._write_all()
        finally:
            self._ending = self._ending or (1006, "")
            self._idle.set()

    async def _write_all(self) -> None:
        while self._waiting or self._ending is None:
            if not self._waiting:
                self._idle.set()
                self._changed.clear()
                await self._changed.wait()
                continue
            frame = self._waiting.popleft()
            await (self._socket.send_bytes(frame) if isinstance(frame, bytes) else self._socket.send_str(frame))
            self.sent += 1
            self._stalled = False
        code, reason = self._ending
        if code != 1006:
            await self._socket.close(code=code, message=reason.encode())

    async def drained(self) -> None:
        """Wait until nothing waits any more."""
        await self._idle.wait()

    async def room(self) -> None:
        """Wait, if much waits, for half of it to be gone; a client that reads nothing is waited for once only."""
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while len(self._waiting) > self._bound // 2 and not self._stalled and self._ending is None:
            before = self.sent
            await asyncio.sleep(0.01)
            if self.sent > before:
                deadline = asyncio.get_running_loop().time() + _PATIENCE
            self._stalled = asyncio.get_running_loop().time() > deadline


class Sockets:
    """Every open socket. refuse: asked before each handshake; answers an HTTP status to refuse it with, or None."""

    def __init__(self, channels: Channels, clock: Clock, *, heartbeat: float = HEARTBEAT, bound: int = BOUND) -> None:
        self._channels, self._clock, self.heartbeat, self.bound = channels, clock, heartbeat, bound
        self.lines: dict[str, OpenSocket] = {}
        self.handshakes = 0
        self.refuse: Callable[[], int | None] = lambda: None
        self.flapping: Callable[[], bool] = lambda: False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The route of `connectUri`."""
        self.handshakes += 1
        try:
            channel = self._admit(request.match_info["id"])
        except Refused as refused:
            return web.json_response(refused.body(answer_headers.context()), status=refused.status)
        socket = web.WebSocketResponse(compress=False, timeout=2.0)
        try:
            await socket.prepare(request)
        except ConnectionResetError:
            # It went away before the handshake was answered: aiohttp takes no socket that has not begun.
            return web.Response()
        line = OpenSocket(channel, request, socket, self.bound)
        self._replace(channel, line)
        if self.flapping():
            line.close(1001)
        try:
            await self._serve(line, socket)
        finally:
            if self.lines.get(channel.id) is line:
                del self.lines[channel.id]
                channel.connected = False
        return socket

    def _admit(self, name: str) -> Channel:
        channel = self._channels.get(name, self._clock.now())
        status = self.refuse()
        if status == 404:
            raise gone()
        if status is not None:
            raise Refused(status, "service.unavailable", "The service is currently unavailable.")
        return channel

    def _replace(self, channel: Channel, line: OpenSocket) -> None:
        """A channel has one socket; the one that it had goes."""
        former = self.lines.pop(channel.id, None)
        if former is not None:
            former.close(1000)
        self.lines[channel.id] = line
        channel.connected, channel.used = True, self._clock.now()

    async def _serve(self, line: OpenSocket, socket: web.WebSocketResponse) -> None:
        helpers = [asyncio.create_task(line.write()), asyncio.create_task(self._beat(line))]
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and line.answers:
                    self._answer_message(line, message.data)
        finally:
            line.close(1000)
            for helper in helpers:
                helper.cancel()
            await asyncio.gather(*helpers, return_exceptions=True)

    async def _beat(self, line: OpenSocket) -> None:
        while True:
            await asyncio.sleep(max(self.heartbeat / max(self._clock.rate, 1.0), _SHORTEST_BEAT))
            if line.beats:
                line.offer(frames.HEARTBEAT)

    def abort(self) -> None:
        """Every socket dies without a word."""
        for line in list(self.lines.values()):
            line.abort()

    # What clients say

    def _answer_message(self, line: OpenSocket, text: str) -> None:
        """Answer a client's message; what is no message of the protocol is tolerated in silence."""
        message = _object(text)
        correlation_id = message.get("correlationId")
        try:
            if message.get("message") == "ping":
                self._channels.get(line.channel.id, self._clock.now())
                line.offer(frames.PONG)
            elif message.get("message") in ("subscribe", "unsubscribe"):
                status = self._change(line.channel.id, str(message["message"]), message.get("topics"))
                line.offer(frames.reply(200, status=status, correlation_id=correlation_id))
        except Refused as refused:
            line.offer(
                frames.reply(refused.status, status="failure", correlation_id=correlation_id, message=refused.text)
            )

    def _change(self, name: str, what: str, topics: object) -> str:
        now = self._clock.now()
        channel = self._channels.get(name, now)
        if not isinstance(topics, list) or not all(isinstance(topic, str) for topic in topics):
            raise Refused(400, "bad.request", "topics must be a list of strings")
        if what == "subscribe":
            self._channels.add(channel, topics, now, ignore=False)
            return "subscribed"
        self._channels.drop(channel, topics)
        return "unsubscribed"


def _object(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
