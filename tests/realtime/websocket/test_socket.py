"""Text frames that are taken out of the stream: whatever comes, the library would have made the same of it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

from realtime.websocket.socket import TextFrameReader

LARGEST = 80_000


def protocol(*, takes_texts: bool) -> ClientProtocol:
    """The library's protocol after the handshake."""
    made = ClientProtocol(parse_uri("ws://localhost/"), max_size=LARGEST)
    made.state = State.OPEN
    if takes_texts:
        TextFrameReader.take_place(made)
    else:
        made.parser = made.parse()
        next(made.parser)
    return made


def outcome(made: ClientProtocol, chunks: list[bytes], *, ends: bool) -> list[Any]:
    """What it makes of these bytes: the frames in order, what it answers, how it ends."""
    frames: list[tuple[Any, ...]] = []
    for chunk in chunks:
        made.receive_data(chunk)
        for event in made.events_received():
            frames.append(
                (Opcode.TEXT, event, True) if isinstance(event, bytes) else (event.opcode, bytes(event.data), event.fin)  # type: ignore[union-attr]
            )
    if ends:
        made.receive_eof()
    answers = [len(answer) for answer in made.data_to_send()]  # their masks are drawn anew each time
    return [frames, answers, made.state, made.close_rcvd, made.close_sent, str(made.parser_exc)]


def spelled(opcode: Opcode, data: bytes, fin: bool = True, *, mask: bool = False, rsv1: bool = False) -> bytes:
    """A frame as it stands in the stream."""
    return bytes(Frame(opcode, data, fin, rsv1).serialize(mask=mask))


texts = st.integers(0, 300).map(lambda size: spelled(Opcode.TEXT, b"x" * size))
long_texts = st.sampled_from([125, 126, 127, 65_535, 65_536, LARGEST, LARGEST + 1]).map(
    lambda size: spelled(Opcode.TEXT, b"y" * size)
)
others = st.sampled_from(
    [
        spelled(Opcode.PING, b"there?"),
        spelled(Opcode.PONG, b""),
        spelled(Opcode.BINARY, b"\x81\x02"),
        spelled(Opcode.TEXT, b"be", fin=False),
        spelled(Opcode.BINARY, b"\x81", fin=False),
        spelled(Opcode.CONT, b"gin", fin=False),
        spelled(Opcode.CONT, b"ning"),
    ]
)
ends = st.sampled_from(
    [
        spelled(Opcode.CLOSE, b"\x03\xe8"),
        b"\x81\x81abcdx",  # masked, which a server's frames are not
        b"\xc1\x01x",  # a bit of an extension that was not agreed on
        b"\x83\x01x",  # no such kind of frame
        b"\x89\x7e\x00\x80",  # a ping that is too long
    ]
)


@given(st.data())
def test_frames_are_what_the_library_makes_of_them(data: st.DataObject) -> None:
    """Texts of every length among frames of other kinds, cut anywhere, broken or closed anywhere: all is the same."""
    frames = data.draw(st.lists(st.one_of(texts, texts, long_texts, others), max_size=8))
    frames += data.draw(st.lists(ends, max_size=1)) + data.draw(st.lists(texts, max_size=3))
    stream = b"".join(frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    chunks = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    how = data.draw(st.booleans())
    assert outcome(protocol(takes_texts=True), chunks, ends=how) == outcome(
        protocol(takes_texts=False), chunks, ends=how
    )


def test_a_flood_of_texts_is_taken_without_the_librarys_parser() -> None:
    """Else nothing would be gained: whole texts are bytes, and what is cut is the library's."""
    made = protocol(takes_texts=True)
    stream = spelled(Opcode.TEXT, b"a" * 100) * 3 + spelled(Opcode.TEXT, b"b" * 60_000)
    made.receive_data(stream[:-1])
    assert [bytes(event) for event in made.events_received()] == [b"a" * 100] * 3  # type: ignore[call-overload]
    made.receive_data(stream[-1:] + stream[:-1])
    assert [type(event) for event in made.events_received()] == [Frame, bytes, bytes, bytes]
