"""What the figures mean: well only if all is, and a reason for each thing that is not."""

from dataclasses import replace
from typing import Any

import pytest

from realtime.daemon.health import judge
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures, LineFigures

WELL = DaemonFigures(
    lines=(LineFigures(number=0, phase="listening", topics=3, details=0, connects=1, losses=0, heard_topics=3),),
    looked_ago=200.0,
    rounds_ago=60.0,
    oldest_due=1_800.0,
    due_windows=1,
    clock_skew=0.4,
    up_for=86_400.0,
    quiet_for=60.0,
    letters_of_hour=1,
)


def test_well_is_said_if_all_is() -> None:
    """Looks and rounds of some minutes ago, a window that has just become due, one dead letter, a clock that is right."""
    assert judge(WELL) == ("well", [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"looked_ago": 1_300.0}, "the last good look for queues was 22 minutes ago"),
        ({"rounds_ago": 3 * 3_600.0}, "no window has been read and no round has ended well for 3 hours"),
        (
            {"oldest_due": 9 * 86_400.0, "due_windows": 500},
            "500 windows are due and not read; the oldest ended 9 days ago",
        ),
        ({"clock_skew": 2_700.0}, "this machine's clock is 45 minutes ahead of the platform's: set it right (NTP)"),
        ({"clock_skew": -31.0}, "this machine's clock is 31 s behind the platform's: set it right (NTP)"),
        ({"clock_jump": -432_000.0}, "this machine's clock jumped back by 5 days within the last hour, or slept"),
        ({"dropped_of_hour": 1}, "1 notification was dropped within the last hour: the store takes them too slowly"),
        (
            {"letters_of_hour": 30_000},
            "30,000 notifications of the last hour could not be understood: `rollbook dead-letters list` shows them",
        ),
        ({"quiet_for": 3 * 365 * 86_400.0}, "no event has come for 1095 days"),
        ({"quiet_for": None, "up_for": 8 * 86_400.0}, "no event has come for 8 days"),
        ({"discovery_failing": "no answer within 600 s"}, "queues cannot be listed: no answer within 600 s"),
        ({"counting_failing": "no answer"}, "the client's channels cannot be counted: no answer"),
        ({"reconcile_failing": "given up"}, "cannot reconcile, will try again: given up"),
    ],
)
def test_each_thing_that_is_wrong_has_its_reason(change: dict[str, Any], reason: str) -> None:
    """Degraded, with one line that says what."""
    assert judge(replace(WELL, **change)) == ("degraded", [reason])


@pytest.mark.parametrize(
    "change",
    [
        {"looked_ago": 1_190.0},
        {"looked_ago": None},
        {"rounds_ago": 3_500.0},
        {"rounds_ago": None},
        {"oldest_due": 5 * 3_600.0},
        {"oldest_due": None, "due_windows": 0},
        {"clock_skew": 29.0},
        {"clock_skew": None},
        {"letters_of_hour": 9},
        {"quiet_for": 6 * 86_400.0},
        {"quiet_for": None},
        {"quiet_for": 1e9, "up_for": 60.0},
    ],
)
def test_what_is_normal_is_no_reason(change: dict[str, Any]) -> None:
    """A weekend without calls, a day's reading every four hours, a look that failed twice: nobody is woken."""
    assert judge(replace(WELL, **change)) == ("well", [])


def test_metrics_have_every_age() -> None:
    """Each is a gauge of its own."""
    figures = replace(WELL, clock_jump=-60.0, dropped_of_hour=4)
    found = {metric.name: metric.samples[0].value for metric in metrics(figures) if len(metric.samples) == 1}
    wanted = {
        "last_look_age_seconds": 200.0,
        "last_round_age_seconds": 60.0,
        "oldest_due_window_age_seconds": 1_800.0,
        "due_windows": 1,
        "clock_skew_seconds": 0.4,
        "clock_jump_seconds": -60.0,
        "dead_letters_last_hour": 1,
        "dropped_last_hour": 4,
        "last_event_age_seconds": 60.0,
        "up": 0.5,
    }
    assert wanted.items() <= {name.removeprefix("rollbook_"): value for name, value in found.items()}.items()
