"""Requests that end: answers that trickle, never end, explode, or are cut, from a server on loopback."""

import asyncio
import gc
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.api.http import Answer, Http, Limits, TransportError, Trouble, _Gzip, _Room

MIB = 1024 * 1024
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
QUICK = Limits(connect=2, head=5, deadline=5, pace_seconds=5, largest=MIB)


class Server:
    """What a script writes after the head of a request has come; how often it was asked, and whether it was left."""

    def __init__(self, script: Script) -> None:
        self.script, self.asked, self.url = script, 0, ""
        self.left = asyncio.Event()
        self.heads: list[bytes] = []

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            self.heads.append(await reader.readuntil(b"\r\n\r\n"))
            self.asked += 1
            await self.script(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.left.set()
            writer.close()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Server]:
    """A server on loopback."""
    server = Server(script)
    listening = await asyncio.start_server(server.talk, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()[:2]
    server.url = f"http://{host}:{port}"
    try:
        yield server
    finally:
        listening.close()


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


def whole(body: bytes, *headers: str, status: str = "200 OK") -> Script:
    """An answer with its length."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await writer.drain()

    return script


def endless(piece: bytes, *headers: str, status: str = "200 OK") -> Script:
    """An answer that goes on until nobody reads it."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", "Transfer-Encoding: chunked", *headers]
        writer.write("\r\n".join([*lines, "", ""]).encode())
        while True:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()

    return script


def silent(beginning: bytes) -> Script:
    """An answer that stops in its middle, without the end of its connection."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await writer.drain()
        await reader.read()  # until the other side leaves

    return script


def trickling(status: str = "200 OK") -> Script:
    """A byte whenever the loop comes by, for ever."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 100000000\r\n\r\n".encode())
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.001)

    return script


async def ask(server: Server, limits: Limits = QUICK) -> Answer:
    """One answer."""
    async with Http(limits) as http:
        return await http.request("GET", server.url)


async def trouble(server: Server, limits: Limits = QUICK) -> Trouble:
    """Why there is none; the server has been left by then."""
    with pytest.raises(TransportError) as caught:
        await ask(server, limits)
    await asyncio.wait_for(server.left.wait(), 5)
    return caught.value.trouble


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * MIB])
@pytest.mark.parametrize("packed", [False, True])
async def test_an_answer_is_its_body(body: bytes, packed: bool) -> None:
    """Packed or not, to the last byte that is allowed; only gzip is asked for."""
    script = whole(gzip.compress(body), "Content-Encoding: gzip") if packed else whole(body)
    async with serving(script) as server:
        answer = await ask(server)
    assert (answer.status, answer.body) == (200, body)
    assert b"\r\naccept-encoding: gzip\r\n" in server.heads[0].lower()


async def test_an_answer_of_several_packed_parts_is_all_of_them() -> None:
    """A gzip may consist of several; and one whose packing is named though it is empty is empty."""
    body = gzip.compress(b'{"a":') + gzip.compress(b"1}")
    async with serving(whole(body, "Content-Encoding: x-gzip")) as server:
        assert (await ask(server)).body == b'{"a":1}'
    async with serving(whole(b"", "Content-Encoding: gzip")) as server:
        assert (await ask(server)).body == b""


@pytest.mark.parametrize(
    "script",
    [
        silent(b""),
        silent(b"HTTP/1.1 200 OK\r\nContent-"),
        silent(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{"),
        trickling(),
        trickling("503 Service Unavailable"),
    ],
)
async def test_an_answer_that_does_not_come_to_its_end_is_given_up(script: Script) -> None:
    """No head, half a head, a body that stops, a body of a byte now and then: at the deadline, and not before."""
    async with serving(script) as server:
        assert await trouble(server, Limits(deadline=0.2, head=5, pace_seconds=5)) is Trouble.SLOW


async def test_an_answer_without_a_head_is_given_up_before_the_deadline() -> None:
    """The platform answers a wide query with 504 after a minute; nothing at all is waited for only a little longer."""
    async with serving(silent(b"")) as server:
        assert await trouble(server, Limits(head=0.1, deadline=3600)) is Trouble.SLOW


@pytest.mark.parametrize("script", [trickling(), silent(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")])
async def test_a_trickle_is_given_up_long_before_the_deadline(script: Script) -> None:
    """Too few bytes in a while, or none at all."""
    limits = Limits(deadline=3600, pace_seconds=0.2, pace_bytes=MIB)
    async with serving(script) as server:
        assert await trouble(server, limits) is Trouble.SLOW


async def test_a_slow_answer_that_keeps_the_pace_is_read_to_its_end() -> None:
    """However long it takes in all, as long as each while brings enough."""
    pieces = 12

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {pieces * 1000}\r\n\r\n".encode())
        for _at in range(pieces):
            writer.write(b"x" * 1000)
            await writer.drain()
            await asyncio.sleep(0.05)

    async with serving(script) as server:
        answer = await ask(server, Limits(deadline=3600, pace_seconds=0.4, pace_bytes=1000))
    assert answer.body == b"x" * 12_000
    assert answer.took >= 0.4


@pytest.mark.parametrize(
    "script",
    [
        endless(b" " * 65536),
        whole(b" " * (MIB + 1)),
        whole(gzip.compress(b" " * (MIB + 1)), "Content-Encoding: gzip"),
        whole(gzip.compress(b"\0" * (200 * MIB), 1), "Content-Encoding: gzip"),
        whole(gzip.compress(b" " * MIB) + gzip.compress(b" "), "Content-Encoding: gzip"),
    ],
)
async def test_an_answer_beyond_its_size_is_too_large(script: Script) -> None:
    """Without end, in pieces large or small, or exploding when it is unpacked; its connection is closed."""
    async with serving(script) as server:
        assert await trouble(server, Limits(largest=MIB)) is Trouble.LARGE


async def test_pieces_of_a_byte_each_are_counted_together() -> None:
    """However small the pieces are that it comes in."""
    async with serving(endless(b"x")) as server:
        assert await trouble(server, Limits(largest=3_000)) is Trouble.LARGE


async def test_an_exploding_answer_takes_no_memory() -> None:
    """A quarter of a gigabyte in a quarter of a megabyte costs what is allowed and little more."""
    pack = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    bomb = b"".join([*(pack.compress(bytes(MIB)) for _ in range(256)), pack.flush()])
    assert len(bomb) < 2 * MIB
    async with serving(whole(bomb, "Content-Encoding: gzip")) as server, Http(Limits(largest=8 * MIB)) as http:
        gc.collect()
        tracemalloc.start()
        try:
            with pytest.raises(TransportError, match="larger than 8,388,608 bytes"):
                await http.request("GET", server.url)
            most = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert most < 24 * MIB


@pytest.mark.process
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads its memory as Linux tells it")
async def test_the_default_size_stays_within_a_small_machine() -> None:
    """A bomb and a body without end, one after the other, under the limits that everybody has: below 250 MB."""
    program = (
        "import asyncio, pathlib, re, sys\n"
        "from rollbook.genesys.api.http import Http, TransportError\n"
        "async def main():\n"
        "    async with Http() as http:\n"
        "        for url in sys.argv[1:]:\n"
        "            try:\n"
        "                await http.request('GET', url)\n"
        "            except TransportError as error:\n"
        "                print(error.trouble.name)\n"
        "asyncio.run(main())\n"
        "print(re.search('VmHWM:.*?([0-9]+) kB', pathlib.Path('/proc/self/status').read_text())[1])\n"
    )
    bomb = gzip.compress(bytes(200 * MIB), 1)
    async with (
        serving(whole(bomb, "Content-Encoding: gzip")) as exploding,
        serving(endless(b" " * 65536)) as without_end,
    ):
        running = await asyncio.create_subprocess_exec(
            sys.executable, "-c", program, exploding.url, without_end.url, stdout=asyncio.subprocess.PIPE
        )
        output, _ = await running.communicate()
    *troubles, kilobytes = output.decode().split()
    assert troubles == ["LARGE", "LARGE"]
    assert int(kilobytes) < 250 * 1000


@pytest.mark.parametrize(
    "script",
    [
        whole(b"{}", "Content-Encoding: br"),
        whole(b"{}", "Content-Encoding: gzip, gzip"),
        whole(b"{}", "Content-Encoding: gzip"),
        whole(gzip.compress(b'{"a": 1}')[:-9], "Content-Encoding: gzip"),
        whole(gzip.compress(b'{"a": 1}') + b"more", "Content-Encoding: gzip"),
        whole(gzip.compress(b"") * 5000, "Content-Encoding: gzip"),
    ],
)
async def test_an_answer_that_cannot_be_unpacked_is_broken(script: Script) -> None:
    """Packed in another way, not packed at all, cut, with something behind it, or in thousands of empty parts."""
    async with serving(script) as server:
        assert await trouble(server) is Trouble.CUT


@pytest.mark.parametrize(
    "beginning", [b"", b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{", b"junk\r\n\r\n"]
)
async def test_an_answer_that_is_cut_is_no_missing_connection(beginning: bytes) -> None:
    """There was a connection: the network is not to blame at once."""

    async def script(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(beginning)
        await writer.drain()

    async with serving(script) as server:
        assert await trouble(server) is Trouble.CUT


@pytest.mark.parametrize(
    "script",
    [
        endless(b"why? " * 10_000, status="413 Payload Too Large"),
        whole(b"why?", "Content-Encoding: br", status="413 Payload Too Large"),
        silent(b"HTTP/1.1 413 X\r\nContent-Length: 3\r\nConnection: close\r\n\r\nwhy"),
    ],
)
async def test_an_error_is_its_status_whatever_its_body_does(script: Script) -> None:
    """A body without end, or in a strange packing, does not hide that it was refused."""
    async with serving(script) as server:
        answer = await ask(server, Limits(largest=64 * MIB))
    assert answer.status == 413
    assert len(answer.body) <= MIB


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/" + "a" * 70_000, "http://127.0.0.1:x/", "http://\x00/"])
async def test_an_address_that_cannot_be_made_is_no_trouble_of_the_network(address: str) -> None:
    """It is ours, and says so."""
    async with Http(QUICK) as http:
        with pytest.raises(TransportError, match="cannot be made") as caught:
            await http.request("GET", address)
    assert caught.value.trouble is Trouble.ADDRESS


async def test_a_connection_is_used_again_after_a_whole_answer_only() -> None:
    """What is left of an answer that was given up is never taken for the next one."""
    async with (
        serving(silent(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{")) as server,
        Http(Limits(pace_seconds=0.1)) as http,
    ):
        for _ in range(2):
            with pytest.raises(TransportError):
                await http.request("GET", server.url)
    assert server.asked == 2


def unpacked(pieces: list[bytes], largest: int) -> bytes:
    """A gzip as the body of an answer takes it in, piece by piece."""
    room = _Room(largest)
    gzip = _Gzip(room)
    for piece in pieces:
        gzip.add(piece)
    gzip.end()
    return room.body


@given(st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 400), st.integers(0, 2000))
def test_unpacking_in_pieces_is_unpacking(parts: list[bytes], length: int, largest: int) -> None:
    """However it is cut into pieces: the body, or too large exactly if it is larger."""
    body, packed = b"".join(parts), b"".join(gzip.compress(part) for part in parts)
    pieces = [packed[at : at + length] for at in range(0, len(packed), length)]
    if len(body) <= largest:
        assert unpacked(pieces, largest) == body
    else:
        with pytest.raises(TransportError) as caught:
            unpacked(pieces, largest)
        assert caught.value.trouble is Trouble.LARGE
