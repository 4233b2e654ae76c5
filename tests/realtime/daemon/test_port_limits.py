"""The HTTP port under those who mean it no good: who may ask, half-open connections, slow heads, no descriptors."""

import asyncio
import contextlib
import errno
import json
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from realtime.daemon.http_port import HttpPort
from realtime.figures import DaemonFigures
from reconcile.gate import Readiness
from rollbook.genesys.port import doorway
from rollbook.genesys.port.doorway import Doorway, PortLimits
from rollbook.genesys.port.visitors import is_open, who_may
from rollbook.genesys.program.settings import Secret

TOKEN = Secret("a-token-of-some-length")
BEARER = "Bearer a-token-of-some-length"


@pytest.mark.parametrize(
    ("host", "authorization", "peer", "token", "status"),
    [
        ("127.0.0.1:8125", None, "127.0.0.1", None, None),
        ("localhost:8125", None, "127.0.0.1", TOKEN, None),
        ("[::1]:8125", None, "::1", None, None),
        ("box.example:8125", None, "127.0.0.1", None, None),  # the name that the port was bound to
        (None, None, "127.0.0.1", None, None),  # no browser leaves it out
        ("evil.example:8125", None, "127.0.0.1", None, 421),
        ("evil.example", None, "::ffff:127.0.0.1", None, 421),
        ("127.0.0.1.evil.example", None, "127.0.0.1", TOKEN, 421),
        ("10.0.0.5:8125", None, "10.0.0.9", None, 403),
        ("127.0.0.1:8125", None, "10.0.0.9", None, 403),
        ("127.0.0.1:8125", None, "10.0.0.9", TOKEN, 401),
        ("10.0.0.5:8125", "Bearer wrong", "10.0.0.9", TOKEN, 401),
        ("10.0.0.5:8125", "Bearer ", "10.0.0.9", TOKEN, 401),
        ("10.0.0.5:8125", "Bearer", "10.0.0.9", Secret(""), 401),
        ("10.0.0.5:8125", "Basic a-token-of-some-length", "10.0.0.9", TOKEN, 401),
        ("10.0.0.5:8125", "bearer  a-token-of-some-length ", "10.0.0.9", TOKEN, None),
        ("rollbook:8125", BEARER, "10.0.0.9", TOKEN, None),
        ("rollbook:8125", BEARER, "127.0.0.1", TOKEN, None),
        ("10.0.0.5:8125", BEARER, "10.0.0.9", None, 403),
        ("x", None, "", None, 403),
    ],
)
def test_who_may_ask(
    host: str | None, authorization: str | None, peer: str, token: Secret | None, status: int | None
) -> None:
    """This machine by its own names, whoever brings the token by any; each refusal says what to do."""
    refusal = who_may(host, authorization, peer, token=token, bound="box.example")
    assert (None if refusal is None else refusal.status) == status
    assert refusal is None or "a-token" not in refusal.sentence


def test_which_port_is_open() -> None:
    """Loopback is not, every other address is."""
    assert not any(map(is_open, ("127.0.0.1", "::1", "localhost", "")))
    assert all(map(is_open, ("0.0.0.0", "::", "10.0.0.5", "box.example")))


class Source:
    """A daemon without figures. waits: what an answer waits for."""

    def __init__(self) -> None:
        self.waits: asyncio.Event | None = None

    async def figures(self) -> DaemonFigures:
        if self.waits is not None:
            await self.waits.wait()
        return DaemonFigures()

    async def readiness(self, interval: str, *, settled: bool) -> Readiness:
        raise NotImplementedError


@contextlib.asynccontextmanager
async def port_of(
    limits: PortLimits | None = None, *, token: Secret | None = None
) -> AsyncIterator[tuple[HttpPort, Source]]:
    source = Source()
    port = HttpPort(source, "127.0.0.1:0", token=token, limits=limits)
    await port.start()
    try:
        yield port, source
    finally:
        await port.stop()


async def asked(port: HttpPort, path: str = "/healthz", host: str = "127.0.0.1") -> tuple[int, str, bytes]:
    """Status, head and body of an answer, read until the server closes the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), head.decode(), body


async def test_each_connection_is_one_answer() -> None:
    """After its answer the connection is closed, and nothing of it is kept by anybody on the way."""
    async with port_of() as (port, _):
        for path, expected in (
            ("/healthz", 200),
            ("/metrics", 200),
            ("/ready?interval=x&settled=maybe", 400),
            ("/x", 404),
        ):
            status, head, _ = await asked(port, path)
            assert status == expected
            assert "connection: close" in head.lower()
            assert "Cache-Control: no-store" in head


async def test_a_foreign_name_is_refused() -> None:
    """A page whose name was made to lead here gets no figures."""
    async with port_of() as (port, _):
        for path in ("/healthz", "/metrics", "/ready?interval=2026-03-02", "/nothing"):
            status, _, body = await asked(port, path, "evil.example")
            assert status == 421
            assert list(json.loads(body)) == ["error"]


async def test_half_open_connections_cost_nobody_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """Hundreds that say nothing, or half of a head, have no place for long: who asks is answered, and one line is logged."""
    limits = PortLimits(most=8, head=60.0)
    async with port_of(limits) as (port, _):
        with caplog.at_level(logging.WARNING), contextlib.ExitStack() as opened:
            for number in range(300):
                silent = socket.socket()
                opened.callback(silent.close)
                silent.setblocking(False)
                await asyncio.get_running_loop().sock_connect(silent, ("127.0.0.1", port.port))
                if number % 2:
                    await asyncio.get_running_loop().sock_sendall(
                        silent, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    )
                if number % 100 == 99:
                    assert (await asked(port))[0] == 200
            assert port.doorway.open <= limits.most
        said = [record.getMessage() for record in caplog.records]
        assert len(said) == 1
        assert "closed unanswered" in said[0]


async def test_a_head_that_does_not_come_ends_the_connection() -> None:
    """Silence, or a byte now and then, is ended after the time for a head."""
    async with port_of(PortLimits(head=0.05)) as (port, _):
        for begun in (b"", b"GET / HT"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
            writer.write(begun)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()


async def test_an_answer_that_does_not_end_is_ended() -> None:
    """Whoever waits for an answer that hangs does not wait for ever, and takes no place then."""
    async with port_of(PortLimits(most=1, answer=0.05)) as (port, source):
        source.waits = asyncio.Event()
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        source.waits = None
        assert (await asked(port))[0] == 200


async def test_no_place_is_taken_from_who_is_being_answered() -> None:
    """Where all places are of those who have asked, another is closed at once, and they get their answers."""
    async with port_of(PortLimits(most=2)) as (port, source):
        source.waits = asyncio.Event()
        asking = [asyncio.create_task(asked(port)) for _ in range(2)]
        while port.doorway.asking < 2:
            await asyncio.sleep(0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port.port)
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
        source.waits.set()
        assert [status for status, _, _ in await asyncio.gather(*asking)] == [200, 200]


async def test_without_descriptors_the_port_rests(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so once, and whoever waits is answered as soon as there are some again."""
    monkeypatch.setattr(doorway, "_RESTS", 0.01)
    failures = 5

    class Short(socket.socket):
        """A listening socket of a process that has no descriptors left, at first."""

        def accept(self) -> tuple[socket.socket, object]:
            nonlocal failures
            if failures:
                failures -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    monkeypatch.setattr(socket, "socket", Short)
    with caplog.at_level(logging.WARNING):
        async with port_of() as (port, _):
            assert (await asked(port))[0] == 200
    assert [record.getMessage() for record in caplog.records] == [
        "the HTTP port cannot take connections now (Too many open files)"
    ]


async def test_streams_have_places_of_their_own() -> None:
    """An answer that goes on takes no place of others, is not ended by the clock, and there are only so many."""
    transports: list[asyncio.BaseTransport] = []

    class Behind(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            transports.append(transport)

    door = Doorway(Behind, PortLimits(most=1, streams=1, answer=0.01))
    port = await door.start("127.0.0.1", 0)
    first, second = [await asyncio.open_connection("127.0.0.1", port) for _ in range(1)], []
    while not transports:
        await asyncio.sleep(0)
    assert door.goes_on(transports[0])
    second.append(await asyncio.open_connection("127.0.0.1", port))
    while len(transports) < 2:
        await asyncio.sleep(0)
    assert not door.goes_on(transports[1])
    second[0][1].write(b"GET / HTTP/1.1\r\n\r\n")
    with contextlib.suppress(ConnectionResetError):
        assert await second[0][0].read() == b""
    transports[0].write(b"on")  # type: ignore[attr-defined]
    assert await first[0][0].read(2) == b"on"
    door.stop()
    for _, writer in (*first, *second):
        writer.close()


async def test_a_port_for_others_says_so(caplog: pytest.LogCaptureFixture) -> None:
    """The log says that other machines reach it, and that they are not answered until there is a token."""
    with caplog.at_level(logging.WARNING):
        port = HttpPort(Source(), "0.0.0.0:0")
        await port.start()
        await port.stop()
    assert "is reached from other machines" in caplog.text
    assert "until it is set nobody there is answered" in caplog.text
