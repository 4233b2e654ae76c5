"""Where a socket goes: to the host that it was given, if that is one of the region, and to no other."""

import asyncio
from http import HTTPStatus

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from realtime.websocket.socket import Socket, SocketRefused
from rollbook.genesys.program.settings import Secret


def _nothing(*_: object) -> None:
    """Take a frame, or the end, of a socket that nobody looks at."""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_handshake_is_not_led_elsewhere(status: int) -> None:
    """An answer that names another address, on the same host or not, is a refusal; the other host is never asked."""
    asked: list[str] = []

    async def talk(connection: ServerConnection) -> None:
        await connection.wait_closed()

    def lead(connection: ServerConnection, request: Request) -> Response | None:
        asked.append(request.path)
        if request.path != "/first":
            return None
        port = connection.local_address[1]
        return Response(status, HTTPStatus(status).phrase, Headers({"Location": f"ws://127.0.0.1:{port}/second"}), b"")

    async with serve(talk, "127.0.0.1", 0, process_request=lead) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        address, api = f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}"
        with pytest.raises(SocketRefused, match=f"answered with {status}") as caught:
            await Socket.open(Secret(f"{address}/first"), api_url=api, on_frame=_nothing, on_closed=_nothing)
        assert not caught.value.channel_is_gone
        assert asked == ["/first"]
        opened = await Socket.open(Secret(f"{address}/third"), api_url=api, on_frame=_nothing, on_closed=_nothing)
        await opened.close()
        assert asked == ["/first", "/third"]


async def test_an_address_outside_the_region_is_not_opened() -> None:
    """The host is named, and nothing else of the address; not even a connection is made."""
    connections: list[str] = []

    def connected(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append("made")
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        address = Secret(f"ws://127.0.0.1:{port}/channels/t0ken")
        with pytest.raises(SocketRefused, match=r"leads to 127\.0\.0\.1 without TLS") as caught:
            await Socket.open(address, api_url="https://api.mypurecloud.de", on_frame=_nothing, on_closed=_nothing)
        assert "t0ken" not in str(caught.value)
    assert not connections
