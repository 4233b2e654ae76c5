"""Replay: the same events out of any file are the same rows, a broken file costs only what is broken."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st

from realtime.commands.ingest import _unpacked
from realtime.commands.options import dead_letters, ingest
from rollbook.genesys.messages.notification import Notification, Unreadable
from rollbook.genesys.messages.payloads import _pieces, parse_all, parse_stream
from rollbook.store.book import Book
from rollbook.store.tables import events
from tests.helpers.aws import Aws, aws, aws_server
from tests.helpers.paths import EXAMPLES
from tests.helpers.whole import environment, rollbook

__all__ = ["aws", "aws_server"]

LINES = (EXAMPLES / "eventbridge_detail_events.jsonl").read_text().splitlines()
EVENTS = [json.loads(line) for line in LINES]

SHAPES: dict[str, Callable[[], bytes]] = {
    "lines": lambda: "\n".join(LINES).encode(),
    "lines of Windows": lambda: "\r\n".join(LINES).encode() + b"\r\n",
    "one after another": lambda: "".join(LINES).encode(),
    "an array": lambda: json.dumps(EVENTS).encode(),
    "a pretty array": lambda: json.dumps(EVENTS, indent=2).encode(),
    "details alone": lambda: "\n".join(json.dumps(event["detail"]) for event in EVENTS).encode(),
    "gzip": lambda: gzip.compress("\n".join(LINES).encode()),
    "gzip after gzip": lambda: b"".join(gzip.compress(line.encode()) for line in LINES),
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ROLLBOOK_DB", str(tmp_path / "a.db"))


def run(command: Any, *words: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    """A command in this process: its status and its JSON."""
    with pytest.raises(SystemExit) as ended:
        command.main([*words, "--json"], standalone_mode=False)
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def rows(query: str) -> list[tuple[Any, ...]]:
    db = sqlite3.connect("a.db")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_kind_of_file_is_read(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Told by its bytes; the second time writes nothing."""
    Path("events").write_bytes(SHAPES[shape]())
    status, answer = run(ingest, "events", capsys=capsys)
    assert (status, answer["events_new"], answer["events_repeated"], answer["dead_letters"]) == (0, 18, 0, 0)
    assert answer["bytes"] == Path("events").stat().st_size
    before = rows("SELECT * FROM events ORDER BY event_id")
    stored = {topic: json.loads(body) for _, topic, *_, body, _ in [(row[0], row[1], row[6], row[7]) for row in before]}
    assert stored == {event["detail"]["topicName"]: event["detail"]["eventBody"] for event in EVENTS}
    status, answer = run(ingest, "events", capsys=capsys)
    assert (status, answer["events_new"], answer["events_repeated"]) == (0, 0, 18)
    assert rows("SELECT * FROM events ORDER BY event_id") == before


def test_a_folder_and_several_paths(capsys: pytest.CaptureFixture[str]) -> None:
    """Every file below it, in order, and hidden ones not."""
    for number, line in enumerate(LINES):
        file = Path("archive") / str(number % 3) / f"{number}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(line)
    Path("archive/.partial").write_text("{")
    Path("more").write_text(LINES[0])
    status, answer = run(ingest, "archive", "more", capsys=capsys)
    assert (status, answer["files"], answer["events_new"], answer["events_repeated"]) == (0, 19, 18, 1)


def test_what_is_broken_costs_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    """Rubbish among lines is a dead letter each, kept once; a file that breaks gives what stands before."""
    Path("bad").write_text("\n".join([LINES[0], "rubbish", LINES[1][:200], LINES[2], '{"a": 1}', "", LINES[3]]))
    packed = gzip.compress("\n".join(LINES).encode())
    Path("cut.gz").write_bytes(packed[:-20])
    Path("turned.gz").write_bytes(packed[:40] + bytes([packed[40] ^ 255]) + packed[41:])
    Path("good").write_text(LINES[17])
    for _ in range(2):
        status, answer = run(ingest, "bad", "cut.gz", "turned.gz", "good", capsys=capsys)
        assert status == 1
        assert [Path(error["file"]).name for error in answer["errors"]] == ["cut.gz", "turned.gz"]
        assert "gzip data" in answer["errors"][0]["error"]
    assert rows("SELECT topic FROM events WHERE topic LIKE '%acd.start'")
    topics = {topic for (topic,) in rows("SELECT topic FROM events")}
    assert {EVENTS[at]["detail"]["topicName"] for at in (0, 2, 3, 17)} <= topics
    payloads = {payload for (payload,) in rows("SELECT payload FROM dead_letters")}
    assert {"rubbish", LINES[1][:200], '{"a": 1}'} <= payloads
    assert len(payloads) == rows("SELECT count(*) FROM dead_letters")[0][0]


def test_what_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A file, a folder without files, an address without a bucket: named, before anything is written."""
    (tmp_path / "empty").mkdir()
    for word, says in (("nothing", "no file"), ("empty", "no files"), ("s3://", "no bucket")):
        status, answer = run(ingest, word, capsys=capsys)
        assert status == 2
        assert says in answer["error"]


def test_a_prefix_of_s3_is_read(aws: Aws, capsys: pytest.CaptureFixture[str]) -> None:
    """Every object below it, whatever it is called, over S3's own protocol."""
    s3 = boto3.client("s3")
    s3.create_bucket(Bucket="archive")
    for number, shape in enumerate(("one after another", "gzip", "an array")):
        s3.put_object(Bucket="archive", Key=f"firehose/2026/08/03/{number} part", Body=SHAPES[shape]())
    s3.put_object(Bucket="archive", Key="firehose/2026/08/", Body=b"")
    s3.put_object(Bucket="archive", Key="other/x", Body=b"rubbish")
    status, answer = run(ingest, "s3://archive/firehose/2026/", capsys=capsys)
    assert (status, answer["files"], answer["events_new"], answer["events_repeated"]) == (0, 3, 18, 36)
    status, answer = run(ingest, "s3://archive/none", capsys=capsys)
    assert (status, "no object" in answer["error"]) == (2, True)
    status, answer = run(ingest, "s3://not-there/x", capsys=capsys)
    assert (status, "check the bucket's name" in answer["error"]) == (1, True)


@pytest.mark.process
async def test_ingest_as_a_command(tmp_path: Path) -> None:
    """From standard input, in words; the umbrella command knows it."""
    process = subprocess.run(
        [sys.executable, "-m", "rollbook", "ingest", "-", "--db", "b.db"],
        input="".join(LINES),
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment({}),
    )
    assert process.returncode == 0, process.stderr
    assert "18 events were new" in process.stdout
    assert process.stderr == ""
    listed = await rollbook("dead-letters", "list", "--db", "b.db", env={}, cwd=tmp_path)
    assert (listed.status, listed.out) == (0, "none\n")


# Dead letters


def test_dead_letters_are_listed_shown_tried_again_and_dropped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a mended reader understands becomes an event, at the time at which it came; the rest stays until dropped."""
    from rollbook.genesys.messages import payloads
    from rollbook.genesys.messages.notification import Unreadable, parse_envelope

    real = parse_envelope

    def worse(payload: bytes, *, source: str, received_at: str) -> Any:
        if b"acd.start" in payload:
            return Unreadable(source, payload, "a member that nobody knew", received_at)
        return real(payload, source=source, received_at=received_at)

    monkeypatch.setattr(payloads, "parse_envelope", worse)
    Path("events").write_text("\n".join([*LINES, "rubbish"]))
    _, answer = run(ingest, "events", capsys=capsys)
    lost = answer["dead_letters"] - 1
    assert lost >= 1
    assert answer["events_new"] == 18 - lost
    _, found = run(dead_letters, "list", capsys=capsys)
    letters = {letter["payload"]: letter for letter in found["dead_letters"]}
    assert letters["rubbish"]["error"].startswith("it is not JSON")
    _, nothing = run(dead_letters, "list", "--source", "websocket", capsys=capsys)
    assert nothing["dead_letters"] == []
    number = str(letters["rubbish"]["dead_letter_id"])
    assert run(dead_letters, "show", number, capsys=capsys)[1]["payload"] == "rubbish"
    monkeypatch.setattr(payloads, "parse_envelope", real)
    status, answer = run(dead_letters, "retry", "--all", capsys=capsys)
    assert (status, answer) == (0, {"tried": lost + 1, "events_new": lost, "events_repeated": 0, "left": 1})
    assert rows("SELECT count(*) FROM events") == [(18,)]
    assert rows("SELECT payload FROM dead_letters") == [("rubbish",)]
    assert run(dead_letters, "retry", number, capsys=capsys)[1]["left"] == 1
    assert run(dead_letters, "drop", number, capsys=capsys)[1] == {"dropped": 1}
    assert rows("SELECT count(*) FROM dead_letters") == [(0,)]
    for words in (["show", number], ["drop", number], ["drop"], ["retry", number, "--all"]):
        assert run(dead_letters, *words, capsys=capsys)[0] == 2


def test_letters_of_every_source_can_be_tried_again(capsys: pytest.CaptureFixture[str]) -> None:
    """Frames of the socket, and events that could not be stored once: with their topic."""
    from realtime.storing.store_batch import unstorable
    from rollbook.genesys.messages.notification import Unreadable, parse_frame

    frame = json.dumps(EVENTS[0]["detail"])
    notification = parse_frame(
        json.dumps(EVENTS[1]["detail"]), source="websocket", received_at="2026-08-03T14:00:00.000Z"
    )
    assert isinstance(notification, Notification)
    with Book.open("a.db") as book:
        at = "2026-08-03T14:00:00.000Z"
        letter = Unreadable("websocket", frame.encode(), "why not", at)
        pong = Unreadable("websocket", b'{"topicName":"channel.metadata","eventBody":{"message":"pong"}}', "no", at)
        book.write(events.record, [letter, unstorable(notification, ValueError("no")), pong], book.lag).result()
    assert run(dead_letters, "retry", "--all", capsys=capsys)[1]["events_new"] == 2
    assert rows("SELECT count(*) FROM dead_letters") == [(0,)]
    stored = {topic: json.loads(body) for topic, body in rows("SELECT topic, body FROM events")}
    assert stored == {event["detail"]["topicName"]: event["detail"]["eventBody"] for event in EVENTS[:2]}


# Pieces


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], bytes, list[bytes]]:
    """Objects, the stream that holds them, and the chunks in which it comes."""
    inner = st.recursive(
        st.none() | st.booleans() | st.integers(-5, 5) | st.text('{}[]",\\ aé\n', max_size=6),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text('{}"\\a', max_size=3), inner, max_size=3),
        max_leaves=6,
    )
    objects = draw(st.lists(st.dictionaries(st.text('"}{\\', max_size=3), inner, max_size=3), max_size=6))
    indent = draw(st.sampled_from([None, 1]))
    spelled = [json.dumps(event, indent=indent, ensure_ascii=draw(st.booleans())).encode() for event in objects]
    between = draw(st.sampled_from([b"", b"\n", b" ", b"\r\n", b"\n\n"]))
    stream = between.join(spelled)
    if draw(st.booleans()):
        stream = b"[" + b",\n".join(spelled) + b"]"
    sizes = draw(st.integers(1, 40))
    return spelled, stream, [stream[at : at + sizes] for at in range(0, len(stream), sizes)]


def pieces(chunks: Iterable[bytes]) -> list[bytes]:
    return [piece.payload for piece in _pieces(chunks)]


@given(streams())
def test_objects_are_cut_out_as_they_were_spelled(found: tuple[list[bytes], bytes, list[bytes]]) -> None:
    """Whatever stands between them, and wherever the stream is cut."""
    spelled, stream, chunks = found
    assert pieces([stream]) == spelled
    assert pieces(chunks) == spelled


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_end_somewhere(data: bytes, size: int) -> None:
    """Nothing but what separates is lost, whatever comes, and each piece is an event or a dead letter."""
    found = pieces(data[at : at + size] for at in range(0, len(data), size))
    blank = bytes.maketrans(b"", b"")
    kept = b"".join(found).translate(blank, b" \t\r\n,[]")
    assert kept == data.translate(blank, b" \t\r\n,[]")
    assert parse_all(data, source="sqs", received_at="2026-08-03T14:00:00.000Z")


@pytest.mark.parametrize("cut", range(1, 900, 97))
def test_an_event_that_lost_its_end_takes_no_other_with_it(cut: int) -> None:
    """Wherever it was cut, the events behind it are read: in lines, and one after another as AWS writes them."""
    tight = [json.dumps(event, separators=(",", ":")) for event in EVENTS[:3]]
    for payload in ("\n".join([tight[0][:cut], *tight[1:]]), "".join([tight[0][:cut], *tight[1:]])):
        parsed = parse_all(payload.encode(), source="sqs", received_at="2026-08-03T14:00:00.000Z")
        topics = [item.topic for item in parsed if isinstance(item, Notification)]
        assert topics == [event["detail"]["topicName"] for event in EVENTS[1:3]]
        assert len(parsed) >= 3


def test_a_file_is_read_in_pieces_of_memory(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file larger than what is read at a time is never whole in memory: no read asks for more than a chunk."""
    asked: list[int] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(-1 if size is None else size)
            return super().read(size)

    def files(_: Path) -> Iterator[Any]:
        from realtime.commands.ingest import Origin

        yield Origin("big", 0, lambda: Watched("".join(LINES * 200).encode()))

    monkeypatch.setattr("realtime.commands.ingest._files", files)
    _, answer = run(ingest, "big", capsys=capsys)
    assert (answer["events_new"], answer["events_repeated"]) == (18, 18 * 199)
    assert set(asked) == {1 << 20}


def _letters(payload: bytes) -> list[bytes]:
    found = parse_all(payload, source="sqs", received_at="2026-08-03T14:00:00.000Z", once="m1")
    return [item.payload for item in found if isinstance(item, Unreadable)]


BETWEEN = b" \t\r\n,[]"
BROKEN = [
    b"this is not json {",
    b'{"oops',
    b"} this {",
    b"[1, 2, {",
    b'{"a": 1} and more {',
    b"{]",
    b"{{{{",
    b"\xff\xfe{",
    b'rubbish\n{"a": 1}\nrubbish {\n  more',
    b'{"a": 1}{"b": 2}',
    b'[{"a": 1}, {"b": 2}]',
    b"two\nlines",
    b"",
    b'{"topicName": 5}',
    b'{"topicName": "v2.x", "eventBody": {"a": tru}} {',
]


@pytest.mark.parametrize("message", BROKEN)
def test_a_message_that_cannot_be_read_at_all_is_one_dead_letter(message: bytes) -> None:
    """It is kept whole, however many pieces it seems to have."""
    assert _letters(message) == [message]


@pytest.mark.parametrize("message", [broken for broken in BROKEN if broken])
def test_what_can_be_read_of_a_message_is_kept_beside_one_dead_letter(message: bytes) -> None:
    """The event before it and the event behind it are events, and all that cannot be read is one letter."""
    good = [json.dumps(event, separators=(",", ":")).encode() for event in EVENTS[:2]]
    payload = b"\n".join([good[0], message, good[1]])
    found = parse_all(payload, source="sqs", received_at="2026-08-03T14:00:00.000Z", once="m1")
    topics = [item.topic for item in found if isinstance(item, Notification)]
    assert topics == [event["detail"]["topicName"] for event in EVENTS[:2]]
    (letter,) = [item for item in found if isinstance(item, Unreadable)]
    assert letter.payload == payload or letter.payload.translate(None, BETWEEN) == message.translate(None, BETWEEN)
    assert letter.once == "m1"
    again = parse_all(letter.payload, source="sqs", received_at="2026-08-03T14:00:00.000Z")
    assert {item.topic for item in again if isinstance(item, Notification)} <= set(topics)


def test_two_halves_never_make_an_event() -> None:
    """What stood before and behind an event, and would make one together, is not put together."""
    good = json.dumps(EVENTS[0], separators=(",", ":"))
    payload = f'{{"topicName":"v2.made.up","eventBody":\n{good}\n{{"a":1}}}}'.encode()
    for letter in _letters(payload):
        found = parse_all(letter, source="sqs", received_at="2026-08-03T14:00:00.000Z")
        assert "v2.made.up" not in [item.topic for item in found if isinstance(item, Notification)]


LINES_OF_RUBBISH = [
    b"this is not json {",
    b'{"oops',
    b"} this {",
    b"{]",
    b"a {b} c {d} e",
    b"\xff\xfe{",
    b'{"a": oops} {',
    b"x [ y { z",
]


@pytest.mark.parametrize("size", [7, 1 << 20])
def test_a_line_that_cannot_be_read_is_one_dead_letter(size: int) -> None:
    """Between lines that can, and wherever the file is cut."""
    stream = b""
    for at, line in enumerate(LINES_OF_RUBBISH):
        stream += LINES[at].encode() + b"\n" + line + b"\n"
    chunks = (stream[at : at + size] for at in range(0, len(stream), size))
    found = [item for _, item in parse_stream(chunks, source="eventbridge", now=lambda: "2026-08-03T14:00:00.000Z")]
    assert [item.payload for item in found if isinstance(item, Unreadable)] == LINES_OF_RUBBISH
    assert sum(isinstance(item, Notification) for item in found) == len(LINES_OF_RUBBISH)


BOMBS = {"blanks": b" ", "rubbish": b"x", "a text": b"a", "lists": b"["}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_gzip_bomb_is_unpacked_in_pieces_and_said(
    kind: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty megabytes in forty kilobytes: one dead letter, unless it is nothing, and the events around it are read."""
    monkeypatch.setattr("rollbook.genesys.messages.payloads.LONGEST", 2_000_000)
    monkeypatch.setattr("realtime.commands.ingest.LONGEST", 2_000_000)
    begin = LINES[0].encode() + b"\n" + (b'{"x":"' if kind == "a text" else b"")
    Path("bomb.gz").write_bytes(
        gzip.compress(
            begin + BOMBS[kind] * (4_000_000 if kind == "lists" else 40_000_000) + b"\n" + LINES[1].encode() + b"\n"
        )
    )
    status, answer = run(ingest, "bomb.gz", capsys=capsys)
    assert answer["events_new"] == 2
    if kind in ("blanks", "lists"):
        assert (status, answer["dead_letters"]) == (0, 0)
    else:
        assert (status, answer["dead_letters"]) == (1, 1)
        assert "longer than" in answer["errors"][0]["error"]
        assert len(rows("SELECT payload FROM dead_letters")[0][0]) < 2_000_000


def test_no_more_than_a_megabyte_is_unpacked_at_a_time() -> None:
    """Three hundred megabytes that were packed into a thousandth, in one file or in many after one another."""
    packed = gzip.compress(b"x" * 100_000_000) * 3
    broken: list[Any] = []
    sizes = [len(chunk) for chunk in _unpacked(iter([packed[:5], packed[5:]]), broken)]
    assert (sum(sizes), broken) == (300_000_000, [])
    assert max(sizes) <= 1 << 20
