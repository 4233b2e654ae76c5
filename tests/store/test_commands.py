"""The ledger's commands: windows, a window's proof, gaps, everything made again, and a second opinion."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from reconcile import verify
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.commands import cli
from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import RequestRefused, UsageError
from rollbook.genesys.messages.notification import Notification, parse_frame
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval, to_text
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.commands.windows import window_lines
from rollbook.store.tables import events, windows
from rollbook.store.vocabulary import Verdict
from tests.helpers.organisation import dump
from tests.helpers.peek import command

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = Interval(START, START + timedelta(hours=1))
HALF = timedelta(minutes=30)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[tuple[Path, Simulator]]:
    """An hour read as one interval, some of it heard before, and one half hour read again by itself."""
    path = tmp_path / "rollbook.db"
    simulator = Simulator(seed=5, start=START, rate=0, per_hour=60, rate_limit=100_000)
    async with simulator:
        simulator.clock.advance(timedelta(hours=1, minutes=20))
        settings = load(env=simulator.env, cwd=tmp_path)
        simulator.world.grow(simulator.now())
        simulator.world._per_hour = 0
        with Book.open(path, organization=("o", "Organisation")) as book:
            book.write(
                events.record,
                [_notification(life.id, life.start) for life in simulator.world.conversations[:10]],
                book.lag,
            ).result()
            book.write(
                events.record, [_notification("nobody-lists-it", START + timedelta(minutes=5))], book.lag
            ).result()
            async with Api(settings, now=simulator.now) as api:
                # What nobody lists is asked for by id again after a pause, which no test waits for.
                options = RunOptions(sleep=lambda _: asyncio.sleep(0))
                for window in (HOUR, Interval(START, START + HALF)):
                    await reconcile_window(book, api, window, settings=settings, now=simulator.now, options=options)
        yield path, simulator


def _notification(conversation_id: str, at: datetime) -> Notification:
    body = {"id": conversation_id, "participants": [{"id": "p", "purpose": "customer", "connectedTime": to_text(at)}]}
    frame = json.dumps({"topicName": "v2.routing.queues.q.conversations", "eventBody": body})
    found = parse_frame(frame, source="websocket", received_at=to_text(at))
    assert isinstance(found, Notification)
    return found


def run(path: Path, *words: str) -> Result:
    """A command on the store."""
    return command(cli, [*words, "--db", str(path)], env={"ROLLBOOK_CONFIG": "", "COLUMNS": "80"})


def answer_of(path: Path, *words: str) -> Any:
    """Its one JSON object."""
    ran = run(path, *words, "--json")
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.output)


def fits(text: str) -> list[str]:
    """The lines, none wider than a terminal."""
    lines = text.splitlines()
    assert all(len(line) <= 80 for line in lines), text
    return lines


async def test_windows_are_listed_and_filtered(store: tuple[Path, Simulator]) -> None:
    """By verdict and by date; the wider interval stands beside the grid's windows that took over its proof."""
    path, _ = store
    rows = answer_of(path, "windows")["windows"]
    assert [(row["start"][11:16], row["end"][11:16]) for row in rows] == [
        ("10:00", "10:30"),
        ("10:00", "11:00"),
        ("10:30", "11:00"),
    ]
    verdict = rows[1]["verdict"]
    assert {row["verdict"] for row in answer_of(path, "windows", "--verdict", verdict)["windows"]} == {verdict}
    assert answer_of(path, "windows", "--verdict", "failed")["windows"] == []
    assert len(answer_of(path, "windows", "--since", "2026-03-02T10:30Z")["windows"]) == 2
    assert len(answer_of(path, "windows", "--until", "2026-03-02T10:30")["windows"]) == 2
    lines = fits(run(path, "windows").output)
    assert len(lines) == 5
    assert lines[-1].startswith("3 windows: ")
    assert run(path, "windows", "--verdict", "failed").output == "no window is like that\n"


async def test_a_windows_proof_is_shown(store: tuple[Path, Simulator]) -> None:
    """Every run with its passes, query, digest of ids, divisions and reading; an heir shows whose proof it has."""
    path, simulator = store
    [whole, half] = sorted(answer_of(path, "window", "2026-03-02T10:00:00Z")["windows"], key=lambda row: row["end"])[
        ::-1
    ]
    assert (whole["end"], half["end"]) == ("2026-03-02T11:00:00.000Z", "2026-03-02T10:30:00.000Z")
    [run_shown] = whole["runs"]
    assert run_shown["unique"] == run_shown["owned"] == len(simulator.truth(HOUR.start, HOUR.end))
    assert run_shown["query"] == {"interval": HOUR.text}
    assert len(run_shown["id_digest"]) == 32
    assert len(run_shown["divisions"]) == 3
    assert run_shown["read"][0]["pages"] >= 2
    assert (run_shown["reading"], run_shown["via"], run_shown["command"]) == ("interval", "query", "manual")
    [heir] = answer_of(path, "window", "2026-03-02T10:30Z/PT30M")["windows"]
    assert heir["proven_by"] == HOUR.text
    assert heir["runs"] == whole["runs"]
    shown = run(path, "window", "2026-03-02T10:30Z/PT30M").output
    assert run_shown["id_digest"] in shown
    assert "proven by" in shown
    assert {word.strip(",") for line in fits(shown) for word in line.split()} >= {
        *run_shown["divisions"],
        run_shown["as_of"],
    }
    assert len(answer_of(path, "window", "2026-03-02T10:45Z")["windows"]) == 2, (
        "a time within shows the windows around it"
    )


def test_a_window_that_nobody_has_read_has_no_runs(tmp_path: Path) -> None:
    """It says so, and nothing of what came after them."""
    with Book.open(tmp_path / "rollbook.db") as book:
        book.write(windows.note, [(to_text(HOUR.start), to_text(HOUR.end), Verdict.DUE)], "").result()
    assert fits(run(tmp_path / "rollbook.db", "window", to_text(START)).output)[-1].split() == ["runs", "none", "yet"]


def test_the_list_of_commands_is_not_cut() -> None:
    """Each command's line is a whole one."""
    shown = command(cli, ["dead-letters", "--help"], env={"COLUMNS": "80"}).output
    assert "..." not in shown.partition("\n")[2]  # the first line is the usage


@pytest.mark.parametrize("start", ["2025-01-01T00:00Z", "yesterday", "2026-03-02T10:00Z/PT7M"])
async def test_a_window_that_is_not_there_is_one_line(store: tuple[Path, Simulator], start: str) -> None:
    """Exit status 2 and where to look."""
    ran = run(store[0], "window", start)
    assert ran.exit_code == 2
    assert len(ran.output.strip().splitlines()) == 1


async def test_gaps_are_listed_with_their_causes(store: tuple[Path, Simulator]) -> None:
    """What was not heard, what was heard and is not listed; by kind, cause, and whether it was filled."""
    path, simulator = store
    found = answer_of(path, "gaps")["gaps"]
    truth = simulator.truth(HOUR.start, HOUR.end)
    missing = {gap["conversation_id"] for gap in found if gap["kind"] == "missing"}
    assert missing == truth.keys() - {life.id for life in simulator.world.conversations[:10]}
    assert [gap["conversation_id"] for gap in answer_of(path, "gaps", "--kind", "live_only")["gaps"]] == [
        "nobody-lists-it"
    ]
    assert [gap["conversation_id"] for gap in answer_of(path, "gaps", "--unfilled")["gaps"]] == ["nobody-lists-it"]
    assert len(answer_of(path, "gaps", "--cause", "not running")["gaps"]) == len(missing) + sum(
        gap["kind"] == "changed" for gap in found
    )
    three = answer_of(path, "gaps", "--limit", "3")
    assert (len(three["gaps"]), three["left_out"]) == (3, len(found) - 3)
    assert fits(run(path, "gaps", "--limit", "3").output)[-1].split()[:2] == [str(len(found) - 3), "more"]
    assert "more" not in run(path, "gaps").output
    assert answer_of(path, "gaps", "--until", "2026-03-02T10:00Z")["gaps"] == []
    assert fits(run(path, "gaps").output)[-1].strip()[0].isdigit()
    sums = answer_of(path, "status")["sums"]
    assert (sums["detected"], sums["failed"]) == (len(found), 1)
    assert 0 < sums["share_heard_live"] < 1
    assert "detected" in run(path, "status").output


async def test_everything_can_be_made_again(store: tuple[Path, Simulator]) -> None:
    """On a store that is right nothing changes; what was spoilt or lost comes back as it was."""
    path, _ = store
    before = dump(path)
    assert answer_of(path, "rebuild")["corrected"] == 0
    assert dump(path) == before
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM segment_rows WHERE id >> 20 = (SELECT id >> 20 FROM segment_rows LIMIT 1)")
        connection.execute("UPDATE session_rows SET media_type = 'fax'")
        connection.execute(
            "DELETE FROM conversation_rows WHERE number ="
            " (SELECT number FROM conversation_ids WHERE conversation_id = 'nobody-lists-it')"
        )
        connection.execute(
            "UPDATE conversation_rows SET mos = 1, media_types = NULL, heard_end = NULL, conversation_end = NULL"
        )
        connection.execute(
            "UPDATE conversation_rows SET provenance = 'reconciled', last_heard = NULL WHERE provenance = 'both'"
        )
    connection.close()
    assert answer_of(path, "rebuild")["corrected"] == len(before["conversations"])
    assert dump(path) == before
    assert "were different before" in run(path, "rebuild").output


@pytest.mark.parametrize(
    "words",
    [
        "status",
        "windows",
        "window 2026-03-02T10:00Z",
        "gaps",
        "rebuild",
        "dead-letters list",
        "dead-letters show 1",
        "dead-letters retry --all",
        "dead-letters drop --all",
    ],
)
def test_without_a_store_none_is_made(tmp_path: Path, words: str) -> None:
    """Whatever looks at a store ends with 1 and one and the same line where there is none, or only a folder."""
    ran = run(tmp_path / "none.db", *words.split())
    assert (ran.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert ran.output.startswith(f"rollbook: there is no store at {tmp_path / 'none.db'}; ")
    ran = run(tmp_path, *words.split())
    assert (ran.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert ran.output == f"rollbook: {tmp_path} is a folder; --db takes the path of a file\n"


async def test_the_platforms_own_counts_are_the_same(store: tuple[Path, Simulator], tmp_path: Path) -> None:
    """By media type and metric; a row that is lost shows as a difference."""
    path, simulator = store
    simulator.clock.advance(timedelta(days=9))
    settings = load(env=simulator.env, cwd=tmp_path)
    async with Api(settings, now=simulator.now) as api:
        day = Interval(START - timedelta(hours=10), START + timedelta(days=9))
        with Book.open(path) as book:
            await reconcile_window(book, api, day, settings=settings, now=simulator.now)
        with Book.open(path, mode="ro") as book:
            found = await verify.verify(api, book, day)
            assert found.equal, found.lines
            assert {"voice", "message"} <= {line.media_type for line in found.lines}
            assert sum(line.stored for line in found.lines) > 500
        with sqlite3.connect(path) as connection:
            connection.execute(
                "DELETE FROM metric_rows WHERE name = 'tAcd' AND id >> 20 IN"
                " (SELECT id >> 20 FROM metric_rows WHERE name = 'tAcd' LIMIT 1)"
            )
        connection.close()
        with Book.open(path, mode="ro") as book:
            spoilt = await verify.verify(api, book, day)
    assert not spoilt.equal
    assert {line.metric for line in spoilt.lines if line.platform != line.stored} == {"tAcd"}
    assert all(len(line) <= 80 for line in verify.lines(spoilt))
    assert json.loads(json.dumps(spoilt.as_dict()))["equal"] is False


async def test_an_interval_that_the_platform_does_not_count_is_a_usage_error(tmp_path: Path) -> None:
    """Its message is shown."""

    class Refusing:
        async def aggregates(self, _body: Any) -> dict[str, Any]:
            raise RequestRefused("too long", status=400)

    with Book.open(tmp_path / "rollbook.db") as book, pytest.raises(UsageError, match="too long"):
        await verify.verify(Refusing(), book, HOUR)


def test_an_aggregates_answer_is_read_leniently() -> None:
    """Buckets are summed, empty ones are not there, what has a strange shape counts nothing."""
    answer = {
        "results": [
            {
                "group": {"mediaType": "voice"},
                "data": [
                    {
                        "metrics": [
                            {"metric": "nOffered", "stats": {"count": 2}},
                            {"metric": "tAcd", "stats": {"count": 0}},
                        ]
                    },
                    {"metrics": [{"metric": "nOffered", "stats": {"count": 3}}, {"metric": "tAcd"}, 7]},
                ],
            },
            {"data": [{"metrics": [{"metric": "nError", "stats": {"count": 1}}]}]},
            None,
        ]
    }
    assert verify.counted(answer) == {("voice", "nOffered"): 5, ("unknown", "nError"): 1}
    assert verify.counted({}) == {}
    assert list(verify.lines(verify.Verified(HOUR, ()))) == ["neither the platform nor the store counts anything there"]


def test_an_empty_store_has_no_gaps(tmp_path: Path) -> None:
    """And says so."""
    with Book.open(tmp_path / "rollbook.db"):
        pass
    assert run(tmp_path / "rollbook.db", "gaps").output == "no gaps\n"
    assert list(window_lines([])) == ["no window is like that"]
