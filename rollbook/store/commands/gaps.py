"""`rollbook gaps`: what capture missed or had wrong, and why, from the store alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.store.book import Book
from rollbook.store.commands import period
from rollbook.store.tables import gaps as table
from rollbook.store.tables.gaps import Gap


def gaps(
    kind: str | None,
    cause: str | None,
    unfilled: bool,
    since: str | None,
    until: str | None,
    limit: int | None,
    settings: Settings,
    as_json: bool,
) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> None:
        start, end = period.moment("--since", since), period.moment("--until", until)
        with Book.open(settings.store_path, mode="ro") as book:
            found = book.read_now(table.listed, since=start or "", until=end or "9", kind=kind)
        found = [gap for gap in found if cause in (None, gap.cause) and not (unfilled and gap.filled_at)]
        shown = found[:limit]
        left_out = len(found) - len(shown)
        console.show(
            as_json,
            lambda: {"gaps": [gap._asdict() for gap in shown], "left_out": left_out},
            lambda: gap_lines(shown, left_out=left_out),
        )

    console.run(work, as_json=as_json)


def gap_lines(found: list[Gap], *, left_out: int = 0) -> Iterator[str]:
    """A line a gap below its window, with a ! where it was not filled; then how many there are of each sort."""
    start = ""
    for gap in found:
        if gap.window_start != start:
            start = gap.window_start
            yield f"{start[:10]} {start[11:16]} UTC"
        yield f"{' ' if gap.filled_at else '!'} {gap.conversation_id:<36} {gap.kind.replace('_', ' '):<9} {gap.cause}"
    if not found:
        yield "no gaps"
        return
    counts = Counter((gap.kind, gap.cause) for gap in found)
    for (kind, cause), number in counts.most_common():
        yield f"{number:>8,} {kind.replace('_', ' ')}: {cause}"
    if left_out:
        yield f"{left_out:>8,} more are left out by --limit"
