"""Sockets, by `websockets`: a connection to a notification channel hands every frame on and does nothing else.

Frames go to a callback directly from the protocol, without a task or a queue in between: nothing that happens behind
the callback can stall the socket or its answers to the server. Knows no topic, no JSON and no back-off. The
address is a secret (whoever has it can listen), so no error and no log of this module names it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Generator
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, State
from websockets.streams import StreamReader

from rollbook.genesys.addresses import why_no_socket
from rollbook.genesys.program.settings import Secret

# A snapshot of a call is a few KB; long message conversations reach hundreds. What is larger ends the connection.
MAX_FRAME: Final = 8 * 1024 * 1024
PING: Final = '{"message":"ping"}'
# The platform answers these when the channel has expired, was evicted, or is not ours any more.
_GONE: Final = frozenset({401, 403, 404, 410})

# Its debug messages hold the address, so they go nowhere.
_SILENT: Final = logging.getLogger("rollbook.websockets")
_SILENT.addHandler(logging.NullHandler())
_SILENT.propagate = False
_SILENT.setLevel(logging.CRITICAL)

# Payload of a text frame and None; or the payload of another frame, and what is wrong with it
OnFrame = Callable[[bytes, str | None], None]
# True if a close frame came, and the reason, in words; then the frame's code and its words, where it is the platform's
OnClosed = Callable[[bool, str, int | None, str], None]


class SocketRefused(Exception):
    """Error: no connection. channel_is_gone: the platform does not know the channel. retry_after: seconds."""

    def __init__(self, why: str, *, channel_is_gone: bool = False, retry_after: float | None = None) -> None:
        super().__init__(why)
        self.channel_is_gone = channel_is_gone
        self.retry_after = retry_after


class Socket:
    """An open connection."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    @classmethod
    async def open(cls, address: Secret, *, api_url: str, on_frame: OnFrame, on_closed: OnClosed) -> Socket:
        """Connect. Proxies and certificates come from the usual environment variables.

        api_url: the API that has answered with this address, which must lead to a host of its region. A redirect is not
        followed. on_closed is called once, unless this raises. Raises SocketRefused.
        """
        if (why := why_no_socket(address.reveal(), api_url)) is not None:
            # The channel itself may be good; another one would have the same host, and take a place of the client's.
            raise SocketRefused(f"the channel's address is not followed: {why}")

        def made(*args: Any, **options: Any) -> _Connection:
            connection = _Connection(*args, **options)
            connection.on_frame, connection.on_closed = on_frame, on_closed
            TextFrameReader.take_place(connection.protocol)
            return connection

        try:
            # No compression: a small frame could unpack to a large one, and the answer to each would cost time.
            connection = await _Connect(
                address.reveal(),
                create_connection=made,  # type: ignore[arg-type]
                compression=None,
                max_size=MAX_FRAME,
                ping_interval=None,  # the platform's own ping asks more: whether the channel is there
                open_timeout=15,
                close_timeout=3,
                logger=_SILENT,
            )
        except InvalidStatus as error:
            status = error.response.status_code
            wait = _seconds(error.response.headers.get("Retry-After"))
            raise SocketRefused(
                f"the handshake was answered with {status}", channel_is_gone=status in _GONE, retry_after=wait
            ) from None
        except InvalidURI:
            raise SocketRefused("the channel's address is no WebSocket address", channel_is_gone=True) from None
        except (InvalidHandshake, ConnectionClosed, OSError, EOFError) as error:
            raise SocketRefused(f"no connection ({_words(error)})") from None
        assert isinstance(connection, _Connection)
        connection.opened()
        return cls(connection)

    async def send(self, text: str) -> bool:
        """Send a text frame; False if the socket is closed."""
        try:
            await self._connection.send(text)
        except (ConnectionClosed, OSError):
            return False
        return True

    def pause(self) -> None:
        """Read no more for now: what comes waits in the network's buffers."""
        if not self._connection.connection_lost_waiter.done():
            self._connection.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._connection.connection_lost_waiter.done():
            self._connection.transport.resume_reading()

    async def close(self) -> None:
        """Close with a close frame; frames that were on their way are still handed on. Never raises."""
        try:
            await self._connection.close()
        except (ConnectionClosed, OSError):
            return


# The first byte of a text frame that is a whole message, of those that begin a message in parts, and of its last part.
_WHOLE_TEXT: Final = 0x81
_FIRST_PART: Final = (0x01, 0x02)
_LAST_PART: Final = 0x80
# The second byte is the length up to the first of these, and this one where two bytes of length follow.
_SHORT: Final = 125
_TWO_BYTES: Final = 126


class TextFrameReader(StreamReader):
    """Takes whole text frames out of the stream before the library does, which makes five objects of each.

    Whatever else comes is left to it: control frames, messages in parts, frames that are longer or not as they should
    be, and all that follows a close frame. It asks for the end of the stream between two frames, and only there.
    """

    def __init__(self, protocol: Protocol) -> None:
        super().__init__()
        self._protocol = protocol
        self._is_in_parts = False

    @classmethod
    def take_place(cls, protocol: Protocol) -> None:
        """Be the reader of a protocol that has read nothing yet."""
        protocol.reader = cls(protocol)
        # The parser that it has is bound to the reader that it had.
        protocol.parser = protocol.parse()
        next(protocol.parser)

    def at_eof(self) -> Generator[None, None, bool]:
        while True:
            if self.buffer:
                self._take()
            if self.buffer:
                return False
            if self.eof:
                return True
            yield

    def _take(self) -> None:
        if self._protocol.state is not State.OPEN:
            return
        if not self._is_in_parts:
            found, taken = whole_texts(self.buffer)
            self._protocol.events += found  # type: ignore[arg-type]
            del self.buffer[:taken]
        if self.buffer:
            first = self.buffer[0]
            self._is_in_parts = first in _FIRST_PART or (self._is_in_parts and first != _LAST_PART)


def whole_texts(data: bytearray) -> tuple[list[bytes], int]:
    """The payloads of the text frames that stand whole at the beginning of a server's bytes, and where they end."""
    found: list[bytes] = []
    at, end = 0, len(data)
    while at + 4 <= end and data[at] == _WHOLE_TEXT:
        length, start = data[at + 1], at + 2
        if length > _SHORT:
            if length != _TWO_BYTES:
                break
            length, start = data[at + 2] << 8 | data[at + 3], at + 4
        if start + length > end:
            break
        at = start + length
        found.append(bytes(data[start:at]))
    return found, at


class _Connect(connect):
    """Connects to the host that was named, and to no other that its answer names."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


class _Connection(ClientConnection):
    """Takes the frames at the protocol's own hand-over instead of through its queue and a reading task."""

    on_frame: OnFrame
    on_closed: OnClosed
    _parts: list[bytes] | None = None
    _binary = False
    _open = False
    _has_reported = False

    def opened(self) -> None:
        """Note that the caller has the connection: from now on its end is reported."""
        self._open = True
        if self.connection_lost_waiter.done():
            self._report_end()

    def process_event(self, event: Any) -> None:
        if event.__class__ is bytes:
            self.on_frame(event, None)
            return
        if self.response is not None and isinstance(event, Frame):
            if event.opcode is Opcode.TEXT and event.fin:
                self.on_frame(bytes(event.data), None)
                return
            if event.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._part(event)
                return
        super().process_event(event)

    def _part(self, frame: Frame) -> None:
        if frame.opcode is not Opcode.CONT:
            self._parts, self._binary = [], frame.opcode is Opcode.BINARY
        if self._parts is None:
            return
        if frame.data:  # empty ones cost memory, and no limit counts them
            self._parts.append(bytes(frame.data))
        if frame.fin:
            payload, self._parts = b"".join(self._parts), None
            self.on_frame(payload, "binary frame; the platform sends text" if self._binary else None)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._open:
            self._report_end()

    def _report_end(self) -> None:
        if self._has_reported:
            return
        self._has_reported = True
        sent = self.protocol.close_sent
        if sent is not None and sent.code == CloseCode.MESSAGE_TOO_BIG:
            self.on_frame(b"", f"frame of more than {MAX_FRAME} bytes; the connection had to be closed")
        received = self.protocol.close_rcvd
        if received is not None:
            self.on_closed(True, "closed by the platform", received.code, received.reason.strip())
        elif sent is not None:
            self.on_closed(False, f"closed by us ({sent.code})", None, "")
        else:
            self.on_closed(False, "connection broken", None, "")


def _seconds(text: str | None) -> float | None:
    try:
        return min(max(float(text), 0.0), 3_600.0) if text else None
    except ValueError:
        return None


def _words(error: BaseException) -> str:
    """Words for an error without the address, which the text of some errors holds."""
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
