"""Frames of zstd: what is packed comes back byte for byte, and what is no whole frame is one clear line."""

import importlib
import random
import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rollbook.store.bodies import frames
from rollbook.store.file.errors import StoreDamaged, StoreError

ZSTD = frames._zstd()


def bodies(seed: int, count: int = 200) -> list[bytes]:
    """Bodies that have much in common, as notifications do."""
    stream = random.Random(seed)
    return [
        b'{"eventTime":%d,"conversationId":"%032x","participantId":"%032x","mediaType":"VOICE","direction":"INBOUND","ani":"tel:+49%d"}'
        % (1785765819600 + number, stream.getrandbits(128), stream.getrandbits(128), stream.randrange(10**9))
        for number in range(count)
    ]


def learnt(seed: int) -> bytes:
    """A dictionary of such bodies."""
    made = frames.learn(bodies(seed))
    assert made is not None
    return made


FIRST, SECOND = learnt(1), learnt(2)


@pytest.fixture
def no_zstd(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python that has no zstd."""
    monkeypatch.setattr(frames._Zstd, "module", None)
    monkeypatch.setattr(frames._Zstd, "sought", False)

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)


@given(st.binary(max_size=5_000), st.sampled_from([frames.QUICK, frames.SMALL]))
def test_any_bytes_come_back(raw: bytes, level: int) -> None:
    """Whatever the body and the level, unpacking gives the same bytes, and the frame names its dictionary."""
    frame = frames.packer(FIRST, level)(raw)
    assert frames.is_frame(frame)
    assert frames.dictionary_of(frame) == frames.dictionary_id(FIRST)
    assert frames.unpacker(FIRST)(frame) == raw


def test_one_packer_and_one_unpacker_serve_every_body() -> None:
    """The state of a body says nothing about the next: a thousand bodies one after the other come back."""
    pack, unpack = frames.packer(FIRST, frames.QUICK), frames.unpacker(FIRST)
    every = [*bodies(3, 1_000), b"", b"{}"]
    assert [unpack(pack(raw)) for raw in every] == every


def test_bodies_of_a_kind_become_much_smaller() -> None:
    """A body that resembles what was learnt takes less than half of its size; without a dictionary it would not."""
    new = bodies(4, 50)
    pack = frames.packer(FIRST, frames.QUICK)
    assert sum(len(pack(raw)) for raw in new) < sum(map(len, new)) / 2


def test_dictionaries_have_numbers_of_their_own() -> None:
    """Two dictionaries have different numbers, neither of which is 0, which says that a frame has none."""
    assert len({0, frames.dictionary_id(FIRST), frames.dictionary_id(SECOND)}) == 3


def test_the_wrong_dictionary_is_one_clear_line() -> None:
    """A frame of one dictionary, read with another or with none, is an error and not another text."""
    frame = frames.packer(FIRST, frames.QUICK)(bodies(5)[0])
    for dictionary in (SECOND, None):
        with pytest.raises(StoreDamaged, match=r"\Aa packed body cannot be read \(.+\); .* restore a copy\Z"):
            frames.unpacker(dictionary)(frame)


@given(st.sampled_from(bodies(6)), st.data())
def test_a_broken_frame_is_one_clear_line(raw: bytes, data: st.DataObject) -> None:
    """A frame that was cut, or has bytes after it, is never unpacked: one line says that the file is damaged."""
    frame = frames.packer(FIRST, frames.QUICK)(raw)
    cut = frame[: data.draw(st.integers(0, len(frame) - 1))]
    more = frame + data.draw(st.binary(min_size=1, max_size=20))
    for broken in (cut, more):
        with pytest.raises(StoreDamaged) as error:
            frames.unpacker(FIRST)(broken)
        assert "\n" not in str(error.value)


@given(st.sampled_from(bodies(7)), st.data())
def test_a_flipped_bit_raises_nothing_else(raw: bytes, data: st.DataObject) -> None:
    """A frame with a wrong byte is an error of ours or bytes of the size that it says: never another exception."""
    frame = bytearray(frames.packer(FIRST, frames.QUICK)(raw))
    at = data.draw(st.integers(0, len(frame) - 1))
    frame[at] ^= data.draw(st.integers(1, 255))
    try:
        found = frames.unpacker(FIRST)(bytes(frame))
    except StoreDamaged:
        return
    assert len(found) == ZSTD.get_frame_info(bytes(frame)).decompressed_size


@given(st.binary(max_size=200))
def test_bytes_that_are_no_frame_are_one_clear_line(raw: bytes) -> None:
    """Any other BLOB is refused."""
    assume(not frames.is_frame(raw))
    with pytest.raises(StoreDamaged):
        frames.unpacker(FIRST)(raw)
    with pytest.raises(StoreDamaged):
        frames.dictionary_of(raw)


def test_a_frame_that_would_fill_the_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that says it holds more than 64 MB is refused before a byte of it is unpacked."""
    pack = ZSTD.ZstdCompressor(level=1)
    bomb = pack.compress(b"\0" * (frames.LARGEST + 1), pack.FLUSH_FRAME)
    assert len(bomb) < 10_000

    def forbidden(**_: object) -> None:
        raise AssertionError("it was unpacked")

    unpack = frames.unpacker(None)
    monkeypatch.setattr(ZSTD, "ZstdDecompressor", forbidden)
    with pytest.raises(StoreDamaged, match="67,108,865 bytes"):
        unpack(bomb)


def test_a_frame_that_does_not_say_its_size_is_refused() -> None:
    """A stream of zstd, whose size nobody knows before its end, is no frame of ours."""
    pack = ZSTD.ZstdCompressor(level=1)
    stream = pack.compress(b"a" * 1_000) + pack.flush()
    with pytest.raises(StoreDamaged, match="does not say how much it holds"):
        frames.unpacker(None)(stream)


def test_two_frames_in_a_row_are_refused() -> None:
    """What follows a frame is not unpacked with it, however much that holds."""
    pack = frames.packer(FIRST, frames.QUICK)
    with pytest.raises(StoreDamaged, match="does not end where it says"):
        frames.unpacker(FIRST)(pack(b"{}") + pack(b"{}"))


@pytest.mark.parametrize("content", [b"", b"no dictionary", FIRST[:40]])
def test_a_broken_dictionary_is_one_clear_line(content: bytes) -> None:
    """A dictionary that is none says so, when it is made ready to read and to write."""
    for use in (frames.unpacker, frames.dictionary_id, lambda body: frames.packer(body, frames.QUICK)):
        with pytest.raises(StoreDamaged, match="dictionary of this store"):
            use(content)


def test_nothing_is_learnt_from_little() -> None:
    """Fewer than a hundred bodies, or empty ones, make no dictionary: they stay plain."""
    assert frames.learn([]) is None
    assert frames.learn(bodies(8, frames.FEWEST - 1)) is None
    assert frames.learn([b""] * 1_000) is None
    assert frames.learn(bodies(8, frames.FEWEST)) is not None


@pytest.mark.parametrize("samples", [[b"x"] * 500, [b"{}"] * 101, [bytes([number % 256]) for number in range(300)]])
def test_what_zstd_cannot_learn_from_makes_no_dictionary(samples: list[bytes]) -> None:
    """Samples that have nothing to learn are no error; a dictionary that comes of them can be used."""
    made = frames.learn(samples)
    if made is not None:
        assert frames.unpacker(made)(frames.packer(made, frames.QUICK)(b"{}")) == b"{}"


@pytest.mark.usefixtures("no_zstd")
def test_without_zstd_nothing_is_packed_and_a_packed_body_is_one_clear_line() -> None:
    """Where Python has no zstd nothing is learnt, and reading says what to install."""
    assert not frames.available()
    assert frames.learn(bodies(9)) is None
    with pytest.raises(StoreError, match=re.escape("pip install backports.zstd")):
        frames.unpacker(None)
    with pytest.raises(StoreError, match=re.escape("pip install backports.zstd")):
        frames.dictionary_of(b"")
