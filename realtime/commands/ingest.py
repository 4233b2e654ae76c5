"""`rollbook ingest`: events from files and from S3, through the same write path as those that are heard.

Lines, arrays, objects one after another, gzip or not: recognised by the bytes and never by a name. An event that comes
twice is stored once, so a replay may be repeated, and begun again after an interruption. A broken event becomes a dead
letter; a broken file does not stop the others.
"""

from __future__ import annotations

import contextlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from realtime.storing.store_batch import Incoming, StoredCounts, store_batch
from rollbook.genesys.errors import RollbookError, StoreError, UsageError
from rollbook.genesys.messages.notification import Unreadable
from rollbook.genesys.messages.payloads import LONGEST, parse_stream
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import to_text
from rollbook.store.book import Book
from rollbook.store.tables import events

if TYPE_CHECKING:
    from realtime.aws.s3 import Readable

# Events of one commit, and bytes of them: a batch is all that is in memory of a file.
BATCH: Final = 500
BATCH_BYTES: Final = 4_000_000
_CHUNK: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_SOURCE: Final = "eventbridge"


class BrokenFile(RollbookError):
    """A file ends too early, or cannot be unpacked further."""


class Origin(NamedTuple):
    """A file or object with events. size: bytes, 0 where nobody knows."""

    name: str
    size: int
    open: Callable[[], contextlib.AbstractContextManager[Readable]]


@dataclass(slots=True)
class Ingested(StoredCounts):
    """Result of reading files. errors: (file, one line)."""

    files: int = 0
    bytes: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The result as a JSON object."""
        names = ("files", "bytes", "events_new", "events_repeated", "dead_letters")
        counts = {name: getattr(self, name) for name in names}
        return {**counts, "errors": [{"file": name, "error": line} for name, line in self.errors]}


def ingest(*, paths: tuple[str, ...], settings: Settings, as_json: bool) -> None:
    def work() -> int:
        origins = list(_origins(paths))
        with Book.open(
            settings.store_path,
            command="ingest",
            journal=settings.journal,
            pack=settings.pack,
            redactor=redactor_of(settings),
        ) as book:
            shown = not as_json and console.err.is_terminal
            with _progress(sum(origin.size for origin in origins), shown=shown) as advance:
                result = read_all(origins, book, advance=advance)
        console.show(as_json, result.as_dict, lambda: _lines(result))
        return 1 if result.errors else 0

    console.run(work, as_json=as_json)


def _lines(result: Ingested) -> Iterator[str]:
    yield f"{result.files:,} files, {result.bytes:,} bytes"
    yield f"{result.events_new:,} events were new, {result.events_repeated:,} known already"
    if result.dead_letters:
        yield f"{result.dead_letters:,} pieces could not be understood; `rollbook dead-letters list` shows them"
    for name, line in result.errors:
        yield f"not read to its end: {name}: {line}"


def read_all(origins: Iterable[Origin], book: Book, *, advance: Callable[[str, int], None]) -> Ingested:
    """Store everything that these hold. advance: called with a file's name and how many more bytes of it were read.

    Raises StoreError if the book cannot take more; what was read until then is stored.
    """
    result = Ingested()
    for origin in origins:
        result.files += 1
        try:
            with origin.open() as stream:
                _read(_counted(stream, origin, result, advance), book, result)
        except StoreError:
            raise
        except (RollbookError, OSError) as error:
            line = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            result.errors.append((origin.name, line))
    return result


def _read(raw: Iterator[bytes], book: Book, result: Ingested) -> None:
    batch: list[Incoming] = []
    size = 0
    broken: list[BrokenFile] = []
    for length, item in parse_stream(_unpacked(raw, broken), source=_SOURCE, now=lambda: to_text(datetime.now(UTC))):
        batch.append(item)
        size += length
        if length > LONGEST and isinstance(item, Unreadable):
            broken.append(BrokenFile(f"something in it is longer than {LONGEST:,} bytes, which no event is: skipped"))
        if len(batch) >= BATCH or size >= BATCH_BYTES:
            _store(book, batch, result)
            batch, size = [], 0
    _store(book, batch, result)
    if broken:
        raise broken[0]


def _store(book: Book, batch: Sequence[Incoming], result: Ingested) -> None:
    outcome = store_batch(lambda part: book.write(events.record, part, book.lag), batch)
    result.add(outcome)
    if outcome.error is not None:
        raise StoreError(str(outcome.error))


def _counted(
    stream: Readable, origin: Origin, result: Ingested, advance: Callable[[str, int], None]
) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK):
        result.bytes += len(chunk)
        advance(origin.name, len(chunk))
        yield chunk


def _unpacked(raw: Iterator[bytes], broken: list[BrokenFile]) -> Iterator[bytes]:
    """The bytes, unpacked if they are gzip, a chunk at a time however small they were packed.

    A file that breaks in the middle gives what it has, and says so.
    """
    first = next(raw, b"")
    while len(first) < len(_GZIP) and (more := next(raw, b"")):
        first += more
    if not first.startswith(_GZIP):
        yield first
        yield from raw
        return
    packed, member = first, zlib.decompressobj(wbits=31)
    try:
        while True:
            unpacked = member.decompress(packed, _CHUNK)
            yield unpacked
            packed = b"" if member.eof else member.unconsumed_tail
            if packed or (len(unpacked) == _CHUNK and not member.eof):
                continue  # a megabyte may hold a gigabyte
            # A gzip file may be several, one after another: Firehose and `cat` make such.
            packed = member.unused_data.lstrip(b"\0") or next(raw, b"")
            if not packed:
                break
            if member.eof:
                member = zlib.decompressobj(wbits=31)
    except zlib.error as error:
        broken.append(BrokenFile(f"the gzip data is damaged ({error}); what stands before it is stored"))
        return
    if not member.eof:
        broken.append(BrokenFile("the gzip data ends too early; what is there is stored"))


# Where it comes from


def _origins(paths: Sequence[str]) -> Iterator[Origin]:
    for path in paths:
        if path.startswith("s3://"):
            yield from _objects(path)
        elif path == "-":
            yield Origin("standard input", 0, lambda: contextlib.nullcontext(sys.stdin.buffer))
        else:
            yield from _files(Path(path))


def _files(path: Path) -> Iterator[Origin]:
    if path.is_dir():
        found = sorted(entry for entry in path.rglob("*") if entry.is_file() and not entry.name.startswith("."))
        if not found:
            raise UsageError(f"{path} has no files")
    elif path.exists():
        found = [path]
    else:
        raise UsageError(f"there is no file {path}")
    for file in found:
        yield Origin(str(file), file.stat().st_size if file.is_file() else 0, _opener(file))


def _opener(path: Path) -> Callable[[], contextlib.AbstractContextManager[Readable]]:
    return lambda: path.open("rb")


def _objects(address: str) -> Iterator[Origin]:
    # Imported where it is needed: boto3 is slow to import.
    from realtime.aws.s3 import S3Store

    store, found = S3Store(), None
    for found in store.listed(address):
        name = f"s3://{found.bucket}/{found.key}"
        yield Origin(name, found.size, lambda found=found: contextlib.nullcontext(store.open(found)))  # type: ignore[misc]
    if found is None:
        raise UsageError(f"{address}: no object has a key that begins like this")


@contextlib.contextmanager
def _progress(total: int, *, shown: bool) -> Iterator[Callable[[str, int], None]]:
    """A bar on a terminal; nothing anywhere else."""
    if not shown:
        yield lambda _name, _bytes: None
        return
    # Imported where it is needed: a run that nobody watches is lighter without it.
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console.err, transient=True) as bar:
        row = bar.add_task("reading", total=total or None)
        yield lambda name, size: bar.update(row, description=name.rpartition("/")[2][-30:], advance=size)
