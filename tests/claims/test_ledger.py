"""Trouble of one window is that window's; the ledger's rows and the summary say no more than what was read."""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from rollbook.genesys.errors import RollbookError
from rollbook.genesys.times import Interval, to_text
from rollbook.store.book import Book
from rollbook.store.commands import options
from rollbook.store.tables import schema, windows
from rollbook.store.vocabulary import Verdict
from tests.helpers.liar import scene_at
from tests.helpers.organisation import START, at, only, record
from tests.helpers.peek import command

DAY = timedelta(days=1)


def half(number: int) -> Interval:
    """The n-th half hour after ten."""
    return Interval(START + timedelta(minutes=30 * number), START + timedelta(minutes=30 * number + 30))


def seven() -> list[dict[str, Any]]:
    """One in each of seven half hours."""
    return [record(f"c{number}", 30 * number + 5, 30 * number + 9) for number in range(7)]


FAR: dict[str, dict[str, Any]] = {
    "an end in the year 9999": record("odd", 95, None, conversationEnd="9999-12-31T23:59:59.999Z"),
    "a number beyond any": record("odd", 95, 99, mediaStatsMinConversationMos=10**30),
}


@pytest.mark.parametrize("at_once", [1, 4])
@pytest.mark.parametrize("odd", FAR.values(), ids=FAR.keys())
async def test_a_strange_record_is_its_windows_trouble(tmp_path: Path, odd: dict[str, Any], at_once: int) -> None:
    """19: seven windows are due, one of them has a record that nobody foresaw: the others are proven, and so is it, or
    it is failed; what is open is followed."""
    with scene_at(tmp_path, *seven(), odd, record("open", 65, None), size=20, since=START) as scene:
        scene.org.listed.add("odd")
        await scene.rounds(221, at_once=at_once)
        others = [scene.verdict(half(number)) for number in (0, 1, 4, 5, 6)]
        assert others == ["complete"] * 5
        assert scene.verdict(half(2)) == "open"
        assert scene.verdict(half(3)) in ("complete", "open", "failed")
        scene.org.put(record("open", 65, 225))
        await scene.rounds(240, 260, 300, at_once=at_once)
        assert scene.verdict(half(2)) == "complete"
        assert scene.stored()["open"] == scene.org.truth["open"]
        assert {f"c{number}" for number in range(7)} <= scene.stored().keys()


@pytest.mark.parametrize(
    "trouble", [OverflowError("date value out of range"), KeyError("media"), RecursionError("deep")]
)
async def test_trouble_that_nobody_foresaw_is_that_windows_failure(tmp_path: Path, trouble: Exception) -> None:
    """19, K7: one window's answers raise what no code expects: it is failed with the reason, and is tried again; the
    others are proven in the same round, and what is open is followed."""
    with scene_at(tmp_path, *seven(), record("open", 5, None), size=20, since=START) as scene:

        def refuse(body: Mapping[str, Any], _query: int) -> None:
            if body["interval"].startswith(at(90)):
                raise trouble

        scene.org.refuse = refuse
        await scene.rounds(221)
        assert [scene.verdict(half(number)) for number in (0, 1, 2, 4, 5, 6)] == ["open", *["complete"] * 5]
        assert scene.verdict(half(3)) == "failed"
        row = await scene.book.read(windows.find, at(90), at(120))
        assert row is not None
        assert row.reason
        assert row.next_try_at
        scene.org.put(record("open", 5, 225))
        await scene.rounds(240)
        assert scene.verdict(half(0)) == "complete"
        scene.org.refuse = lambda _body, _query: None
        await scene.rounds(24 * 60, 48 * 60)
        assert scene.verdict(half(3)) == "complete"
        assert scene.stored() == scene.org.truth


async def test_trouble_by_id_of_one_window_is_that_windows_failure(tmp_path: Path) -> None:
    """K7: what one window asks for by id raises what no code expects: the others are proven."""
    with scene_at(tmp_path, *seven(), size=20, since=START) as scene:
        scene.hear("ghost", started=95)

        def lookup(ids: Any, _honest: Any) -> Any:
            if "ghost" in ids:
                raise ZeroDivisionError("nobody knows why")

        scene.org.each_lookup = lookup
        await scene.rounds(221)
        assert [scene.verdict(half(number)) for number in (0, 1, 2, 4, 5, 6)] == ["complete"] * 6
        scene.org.each_lookup = lambda _ids, _honest: None
        await scene.rounds(24 * 60, 72 * 60, 80 * 60)
        assert scene.verdict(half(3)) == "complete"


# 23


@pytest.mark.parametrize("wide", [timedelta(days=7), timedelta(days=1), timedelta(hours=2)])
async def test_only_what_was_read_covers_time(tmp_path: Path, wide: timedelta) -> None:
    """23: windows were a week wide, and are half hours now: the week that is under way hides none of them."""
    with scene_at(tmp_path, *seven(), size=20, since=START) as scene:
        await scene.rounds(61, width=wide)
        await scene.rounds(101)
        assert scene.verdict(half(0)) == "complete"
        await scene.rounds(221, 255)
        assert [scene.verdict(half(number)) for number in range(7)] == ["complete"] * 7
        assert scene.stored() == scene.org.truth


async def test_a_failed_row_of_another_width_covers_no_time(tmp_path: Path) -> None:
    """23, K5: a wide interval that could not be read is no proof of the half hours in it."""
    with scene_at(tmp_path, *seven(), size=20, since=START) as scene:
        scene.org.totals = lambda total, query: total + query
        scene.clock.at = START + timedelta(hours=4)
        await scene.by_hand(Interval(START, START + timedelta(hours=3, minutes=30)))
        scene.org.totals = lambda total, _: total
        await scene.rounds(241)
        assert [scene.verdict(half(number)) for number in range(7)] == ["complete"] * 7


# 30


def summary(path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, dict[str, Any]]:
    """What `rollbook status` says, in words and as an object."""
    monkeypatch.chdir(path)
    words = command(options.status, [])
    assert words.exit_code == 0, words.output
    return words.output, json.loads(command(options.status, ["--json"]).output)


def stretches(said: Any) -> Iterator[tuple[str, str]]:
    """Every stretch that an object names by `from` and `until`, wherever it stands."""
    if isinstance(said, dict):
        if isinstance(said.get("from"), str) and isinstance(said.get("until"), str):
            yield said["from"], said["until"]
        for value in said.values():
            yield from stretches(value)
    elif isinstance(said, list):
        for value in said:
            yield from stretches(value)


def claimed(words: str) -> list[tuple[str, str]]:
    """The stretches that the words call proven: between one day (or minute) and another."""
    return re.findall(
        r"proven (?:between|from) (\d{4}-\d\d-\d\d \d\d:\d\d) UTC\W+(?:and|to|until) (\d{4}-\d\d-\d\d \d\d:\d\d)", words
    )


async def proven(scene: Any, window: Interval, **more: Any) -> None:
    """Read it by hand, an hour after its end or later."""
    scene.clock.at = max(scene.clock.at, window.end + timedelta(hours=1))
    assert (await scene.by_hand(window, **more)).verdict != "failed"


async def test_the_summary_calls_nothing_proven_that_was_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """30: half an hour of one month, a filtered one of the next, one of the third: not "proven between" them."""
    with scene_at(tmp_path) as scene:
        months = [
            half(0),
            Interval(half(0).start + 30 * DAY, half(0).end + 30 * DAY),
            Interval(half(0).start + 60 * DAY, half(0).end + 60 * DAY),
        ]
        scene.clock.at = months[-1].end + timedelta(hours=1)
        await proven(scene, months[0])
        await proven(scene, months[1], filter=only("originatingDirection", "inbound"))
        await proven(scene, months[2])
    words, said = summary(tmp_path, monkeypatch)
    allowed = {(to_text(window.start), to_text(window.end)) for window in (months[0], months[2])}
    assert set(stretches(said["windows"])) <= allowed
    assert {pair for pair in claimed(words) if pair[0][:10] != pair[1][:10]} == set()


@pytest.mark.parametrize("between", ["nothing", "failed", "due"])
async def test_the_summary_leaves_out_what_lies_between(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str
) -> None:
    """30, K11: two proven half hours, and between them one that failed, is due, or is nowhere."""
    with scene_at(tmp_path, *seven(), size=20) as scene:
        await proven(scene, half(0))
        await proven(scene, half(2))
        if between == "failed":
            scene.org.totals = lambda total, query: total + query
            assert (await scene.by_hand(half(1))).verdict == "failed"
        elif between == "due":
            scene.book.write(windows.note, [(at(30), at(60), Verdict.DUE)], "").result(10)
    words, said = summary(tmp_path, monkeypatch)
    allowed = {(to_text(window.start), to_text(window.end)) for window in (half(0), half(2))}
    assert set(stretches(said["windows"])) <= allowed
    assert ("2026-03-02 10:00", "2026-03-02 11:30") not in claimed(words)


# Small


def test_an_organisation_without_an_id_binds_no_store(tmp_path: Path) -> None:
    """Small: an answer that names no organisation says nothing of whose store it is: it is refused or left open, and the
    right organisation can use the file."""
    path = tmp_path / "rollbook.db"
    with contextlib.suppress(RollbookError):
        Book.open(path, organization=("", "")).close()
    with Book.open(path, organization=("6d8f2a1e", "Acme")) as book:
        assert book.read_now(schema.organization) == ("6d8f2a1e", "Acme")
    for nobody in (("", ""), ("", "Acme")):
        with contextlib.suppress(RollbookError):
            Book.open(path, organization=nobody).close()
    with Book.open(path, mode="ro") as book:
        assert book.read_now(schema.organization) == ("6d8f2a1e", "Acme")
