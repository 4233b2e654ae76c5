"""What `rollbook demo` makes room for, and what it leaves alone."""

import asyncio
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from realtime.commands import demo, demo_call_quality
from rollbook.commands import cli
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.program import console
from rollbook.page.commands import page
from rollbook.page.site import PageSettings
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import gaps
from rollbook.store.tables.gaps import Gap
from rollbook.store.vocabulary import Verdict
from tests.helpers.organisation import dump
from tests.helpers.peek import command
from tests.helpers.reports import report


@pytest.mark.parametrize("organization", [None, ("o1", "Acme")])
def test_a_store_that_no_demo_has_made_is_left_alone(tmp_path: Path, organization: tuple[str, str] | None) -> None:
    """The store of another organisation, or of one that is not known yet (events were ingested), is refused by name."""
    path = tmp_path / "ours.db"
    with Book.open(path, organization=organization):
        pass
    before = dump(path)
    with pytest.raises(RollbookError, match=r"ours\.db is .+ --db"):
        demo._make_room(path, 1)
    assert dump(path) == before


def test_an_earlier_demos_store_is_replaced(tmp_path: Path) -> None:
    """It goes with everything beside it, whatever the earlier demo's seed was."""
    organization = Simulator(seed=2, per_hour=0).world.organization
    with Book.open(tmp_path / "demo.db", organization=(organization["id"], organization["name"])):
        pass
    demo._make_room(tmp_path / "demo.db", 1)
    assert not list(tmp_path.iterdir())


GAPS = st.lists(
    st.tuples(
        st.sampled_from(["missing", "changed"]), st.sampled_from([*demo._WHY]), st.integers(1, 90), st.integers(0, 90)
    ).map(lambda drawn: demo.Gaps(drawn[0], drawn[1], drawn[2], min(drawn[2], drawn[3]))),
    max_size=8,
    unique_by=lambda gap: (gap.kind, gap.cause),
)


def _found(gaps: list[demo.Gaps], heard_well: int = 20) -> demo.DemoResult:
    missing, changed = (sum(gap.number for gap in gaps if gap.kind == kind) for kind in ("missing", "changed"))
    happened = missing + changed + heard_well
    return demo.DemoResult(
        happened=happened,
        heard_live=changed + heard_well,
        report=report(Verdict.OPEN),
        gaps=sorted(gaps),
        equal=happened,
        different=0,
        child_rows=9,
        truth=frozenset(),
        stored=frozenset(),
    )


@given(GAPS)
def test_the_numbers_of_the_demo_add_up(gaps: list[demo.Gaps]) -> None:
    """What is indented adds up to the line above it; what was missed is what is filled in and what is not."""
    found = _found(gaps)
    group, parts, sums = 0, 0, []
    for number, words in demo._figures(found):
        value = int(number.replace(",", "")) if number else None
        if value is not None and words.startswith("  "):
            parts += value
        elif words.startswith("  "):
            filled, left = (re.search(rf"([\d,]+) {what}", words) for what in ("of them", "are not"))
            done = group if filled is None else int(filled[1])
            assert done + (0 if left is None else int(left[1])) == group
        elif words.endswith(":") and value is not None:
            sums.append((group, parts))
            group, parts = value, 0
    sums.append((group, parts))
    assert all(whole == added for whole, added in sums)
    assert len(sums) == 2 + len({gap.kind for gap in gaps})


def test_the_demo_fits_a_terminal_and_says_each_number_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """80 columns, no line broken; 148 gaps of which two were not filled are told as such."""
    out = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=out, width=80))
    found_gaps = [
        demo.Gaps("changed", "disconnected", 60, 58),
        demo.Gaps("missing", "disconnected", 63, 63),
        demo.Gaps("missing", "not heard by this transport", 23, 23),
        demo.Gaps("changed", "unknown", 2, 2),
    ]
    demo._show([], _found(found_gaps), Path("x.db"), 1.0)
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    words = [" ".join(line.split()) for line in lines]
    assert "86 were never heard:" in words
    assert "all of them are filled in by now" in words
    assert "62 were heard, but not how they ended:" in words
    assert "60 of them are filled in by now, 2 are not" in words
    assert "168 conversations happened, 82 were heard live (whole or in part)," in words
    assert "86 were missed. Not all are filled in, and the store equals the truth." in words


async def test_the_page_of_the_demo_names_a_missed_conversation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`demo --open` shows the store that was made, on loopback, and leads to the life of one that was missed."""
    shown: dict[str, Any] = {}

    async def serve(book: Book, settings: PageSettings, listen: str, **more: Any) -> None:
        shown.update(more, path=book.path, listen=listen, store=settings.store_path)

    monkeypatch.setattr(page, "serve", serve)
    path = tmp_path / "demo.db"
    with Book.open(path, organization=("o", "Organisation")) as book:
        missed = Gap("c7", "2026-03-02T10:00:00.000Z", "missing", "disconnected", "2026-03-02T11:00:00.000Z", None)
        await asyncio.wrap_future(book.write(gaps.add, [missed._replace(conversation_id="c1", kind="changed"), missed]))
    await demo._show_page(path)
    assert shown == {
        "beside": "conversations/c7",
        "in_browser": False,
        "listen": "127.0.0.1:0",
        "path": path,
        "store": path,
    }


async def test_a_day_of_long_calls_and_late_statistics_is_counted_exactly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each measured call once, with the value that it has in the end; the other two ways err, and by how much is shown.

    What the day's first reading lacks are calls whose statistics are not there yet: it has none twice, and none wrong.
    """
    path = tmp_path / "calls.db"
    day = await demo_call_quality.quality_day(path, 1, per_hour=8)
    article, exporter, first, settled = day.counted
    assert (settled.name, settled.values, settled.calls) == ("rollbook: settled", day.measured, day.measured)
    assert (settled.twice, settled.missed, settled.early) == (0, 0, 0)
    assert settled.poor_share == day.poor_share
    assert day.measured > 100
    assert (first.twice, first.early) == (0, 0)
    assert 0 < first.missed < exporter.missed
    assert article.twice > day.measured / 4
    assert article.early > day.measured / 10
    assert min(article.missed, exporter.missed, exporter.twice) > 0
    for counted in (article, exporter, first, settled):
        assert counted.values == counted.calls + counted.twice
        assert counted.calls + counted.missed == day.measured
    ran = await asyncio.to_thread(command, cli, ["report", "mos", day.day[:10], "--json", "--db", str(path)])
    found = json.loads(ran.output)
    assert (found["calls"], found["measured"], found["verdict"]) == (day.calls, day.measured, "settled")

    out = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=out, width=80))
    demo._show([], _found([]), Path("x.db"), 1.0, day)
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert max(map(len, out.getvalue().splitlines())) <= 80
    for counted in day.counted:
        shown = f"{counted.name} {counted.calls} {counted.twice} {counted.missed} {counted.early}"
        assert any(line.startswith(shown) for line in lines), shown
    ends = ["Done", "rollbook", "sqlite-utils", "rollbook", "pip", "Status"]
    assert [line.split()[0] for line in lines if line][-6:] == ends
    assert json.dumps(day.as_dict())
