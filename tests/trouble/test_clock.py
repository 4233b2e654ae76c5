"""A device whose clock is wrong: windows close by the platform's time, which every answer tells.

The platform's clock is set apart from this machine's, which nobody can set back in a test.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconcile.lambda_handler import handler
from rollbook.genesys.times import Interval, from_text, to_text
from rollbook.store.vocabulary import PROVEN
from tests.helpers.organisation import Record
from tests.helpers.unfriendly import HALF, Unfriendly, conversation, environment
from tests.helpers.whole import rollbook, rows

LAG = timedelta(minutes=10)
# By how much this machine's clock is ahead of the platform's.
AHEAD = {"45 minutes": timedelta(minutes=45), "3 hours": timedelta(hours=3), "2 days": timedelta(days=2)}
BEHIND = {"behind by 45 minutes": timedelta(minutes=-45), "behind by 3 hours": timedelta(hours=-3)}


def grid(moment: datetime) -> datetime:
    """The start of the half hour that a moment lies in."""
    return moment.replace(minute=moment.minute // 30 * 30, second=0, microsecond=0)


class Elsewhere:
    """A platform with another time. Conversations begin every five minutes, up to its now; what is later is not there yet."""

    def __init__(self, ahead: timedelta) -> None:
        self.ahead = ahead
        self.since = grid(min(self.now(), datetime.now(UTC))) - timedelta(hours=2)
        self.platform = Unfriendly(*self.until(self.now()), now=self.now)
        self.platform.reading = "start"

    def now(self) -> datetime:
        """Its now."""
        return datetime.now(UTC) - self.ahead

    def until(self, end: datetime) -> list[Record]:
        """Every conversation that began before a moment."""
        found: list[Record] = []
        begin = self.since + timedelta(minutes=1)
        while begin < end:
            start, over = to_text(begin), to_text(begin + timedelta(seconds=20))
            segment = {"segmentStart": start, "segmentEnd": over, "segmentType": "interact"}
            session = {"sessionId": f"s{len(found)}", "mediaType": "voice", "segments": [segment]}
            found.append(
                {
                    "conversationId": conversation(len(found)),
                    "conversationStart": start,
                    "conversationEnd": over,
                    "originatingDirection": "inbound",
                    "participants": [{"participantId": f"p{len(found)}", "purpose": "customer", "sessions": [session]}],
                }
            )
            begin += timedelta(minutes=5)
        return found

    def settings(self, path: Path) -> Mapping[str, str]:
        """What a client is set to: everything since two hours before both clocks is due."""
        file = path / "settings.toml"
        file.write_text(f'[reconcile]\nsince = "{to_text(self.since)}"\n')
        return environment(self.platform.url) | {
            "ROLLBOOK_CONFIG": str(file),
            "ROLLBOOK_DB": str(path / "rollbook.db"),
        }


@pytest.fixture
async def elsewhere(request: pytest.FixtureRequest) -> AsyncIterator[Elsewhere]:
    """A platform whose time is earlier by the parameter."""
    made = Elsewhere(request.param)
    async with made.platform.served():
        yield made


def assert_closed_by(world: Elsewhere, store: Path, before: datetime, after: datetime) -> None:
    """Proven is what had ended, and a lag ago, by the platform's time; before, after: that, around the run."""
    ledger = {from_text(start): verdict for start, verdict in rows(store, "SELECT start, verdict FROM windows")}
    for start, verdict in ledger.items():
        if verdict in PROVEN:
            assert start + HALF + LAG <= after, f"{start} was not over"
    start = world.since
    while start + HALF + LAG <= before:
        assert ledger.get(start) in PROVEN, f"{start} was over: {ledger.get(start)}"
        start += HALF


@pytest.mark.process
@pytest.mark.parametrize("elsewhere", [*AHEAD.values(), *BEHIND.values()], ids=[*AHEAD, *BEHIND], indirect=True)
async def test_what_is_due_is_read_by_the_platforms_time(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """`reconcile --due` on a machine whose clock is wrong: no window is proven before the platform's time has passed it."""
    before = elsewhere.now()
    ran = await rollbook("reconcile", "--due", "--json", env=elsewhere.settings(tmp_path), cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert_closed_by(elsewhere, tmp_path / "rollbook.db", before, elsewhere.now())
    assert [window["verdict"] for window in ran.json["windows"]].count("complete") == len(ran.json["windows"])


@pytest.mark.process
@pytest.mark.parametrize("elsewhere", [AHEAD["3 hours"]], ids=["3 hours"], indirect=True)
async def test_a_window_that_is_not_over_there_is_not_proven(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """`reconcile --window` over the half hour that goes on by the platform's time: refused, or provisional."""
    begin = grid(elsewhere.now())
    window = Interval(begin, begin + HALF)
    words = ("reconcile", "--window", window.text, "--json")
    ran = await rollbook(*words, env=elsewhere.settings(tmp_path), cwd=tmp_path)
    assert ran.status in (0, 1, 2, 3)
    if (tmp_path / "rollbook.db").exists():
        proven = rows(tmp_path / "rollbook.db", "SELECT start, verdict FROM windows WHERE first_read_at IS NOT NULL")
        assert [verdict for _, verdict in proven if verdict in PROVEN] == []


@pytest.mark.process
@pytest.mark.parametrize("elsewhere", [BEHIND["behind by 3 hours"]], ids=["behind by 3 hours"], indirect=True)
async def test_a_window_that_is_over_there_can_be_read(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """`reconcile --window` over a half hour that lies in the future by this machine's clock, and is long over there."""
    begin = grid(elsewhere.now()) - timedelta(hours=2)
    window = Interval(begin, begin + HALF)
    words = ("reconcile", "--window", window.text, "--json")
    ran = await rollbook(*words, env=elsewhere.settings(tmp_path), cwd=tmp_path)
    assert ran.status == 0, ran.err
    assert (ran.json["verdict"], ran.json["owned"]) == ("complete", 6)


@pytest.mark.parametrize(
    "elsewhere", [AHEAD["45 minutes"], BEHIND["behind by 3 hours"]], ids=["ahead", "behind"], indirect=True
)
async def test_the_function_on_aws_goes_by_the_platforms_time(
    elsewhere: Elsewhere, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same by the scheduled call of the function."""
    for name, text in elsewhere.settings(tmp_path).items():
        monkeypatch.setenv(name, text)
    before = elsewhere.now()
    report = await asyncio.to_thread(handler, {}, None)
    assert_closed_by(elsewhere, tmp_path / "rollbook.db", before, elsewhere.now())
    assert report["windows"]


@pytest.mark.process
@pytest.mark.parametrize("elsewhere", [AHEAD["45 minutes"]], ids=["45 minutes"], indirect=True)
async def test_a_clock_that_is_wrong_is_told(elsewhere: Elsewhere, tmp_path: Path) -> None:
    """A run on a machine whose clock is 45 minutes ahead says so, in words, where people see it."""
    ran = await rollbook("reconcile", "--due", env=elsewhere.settings(tmp_path), cwd=tmp_path)
    assert "clock" in ran.out + ran.err
