"""The rules for Prometheus and the runbook: they name what there is, and every alert and reason has its entry.

Whether the rules raise and clear what they should is tested in deploy/prometheus/rollbook.test.yml, by promtool
(`deploy/prometheus/check`, which CI runs).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml

from realtime.daemon.health import reasons
from realtime.daemon.metrics import metrics
from realtime.figures import DaemonFigures, LineFigures, QueueFigures
from rollbook.store.reasons import ReasonKind
from rollbook.store.views.call_mos import BOUNDS, CallMos, DayShares
from tests.helpers.docs_pages import script
from tests.helpers.paths import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
PAGE = "https://github.com/rollbook/rollbook/blob/main/docs/runbook.md#"


def load(name: str) -> dict[str, Any]:
    """A YAML file of the folder."""
    found: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text())
    return found


RULES = [rule for group in load("rollbook.rules.yml")["groups"] for rule in group["rules"]]
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDS = {rule["record"] for rule in RULES if "record" in rule}
# Each heading of the runbook, and what stands below it.
ENTRIES = {
    part.partition("\n")[0]: part.partition("\n")[2].partition("\n## ")[0].strip()
    for part in re.split(r"^### ", RUNBOOK, flags=re.MULTILINE)[1:]
}


def anchors_of(text: str) -> list[str]:
    """The anchors that an annotation leads to: one for each reason, if it is made from the reason's label."""
    assert text.startswith(PAGE)
    anchor = text.removeprefix(PAGE)
    return [str(kind) for kind in ReasonKind] if anchor == "{{ $labels.reason }}" else [anchor]


def test_every_alert_and_every_reason_has_an_entry_and_nothing_else_has() -> None:
    """Both ways: what the daemon or Prometheus may say is in the runbook, and the runbook has nothing that nobody says."""
    assert sorted(ENTRIES) == sorted([*ALERTS, *map(str, ReasonKind)])
    assert all(len(text) > 40 for text in ENTRIES.values())


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_it_is_and_where_to_read_on(name: str) -> None:
    """A severity, a summary, a description, and an address that is a heading of the runbook."""
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in ("warning", "critical")
    notes = rule["annotations"]
    assert set(notes) == {"summary", "description", "runbook_url"}
    assert "$labels.instance" in notes["summary"]
    headings = {entry.lower() for entry in ENTRIES}
    assert set(anchors_of(notes["runbook_url"])) <= headings


@pytest.mark.parametrize("name", ALERTS)
def test_promtool_sees_it_raised_and_cleared(name: str) -> None:
    """The unit tests have a time at which it is raised, and a later one at which it is not."""
    raised = cleared = False
    for test in load("rollbook.test.yml")["tests"]:
        for case in test["alert_rule_test"]:
            if case["alertname"] == name:
                cleared |= raised and not case["exp_alerts"]
                raised |= bool(case["exp_alerts"])
    assert raised
    assert cleared


def exposed() -> dict[str, dict[str, set[str]]]:
    """What /metrics shows: name of a series → label → its values."""
    figures = script(ROOT / "docs" / "generate.py")._filled(DaemonFigures)
    counts = dict.fromkeys([*map(str, BOUNDS), "+Inf"], 1)
    calls = tuple(CallMos(is_late=late, counts=counts) for late in (False, True))
    figures = replace(figures, calls=calls, shares=DayShares(heard_live=1.0), windows_by_verdict={"failed": 1})
    found: dict[str, dict[str, set[str]]] = {"up": {"job": {"rollbook"}}}
    for family in metrics(figures):
        for sample in family.samples:
            labels = found.setdefault(sample.name, {})
            for label, value in sample.labels.items():
                labels.setdefault(label, set()).add(value)
    return found


SERIES = re.compile(r"\b((?:rollbook|up\b)[a-z0-9_:]*)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_series_that_there_are(rule: dict[str, Any]) -> None:
    """Every metric, label and value of an expression is one of /metrics, or recorded by a rule."""
    shown = exposed()
    named = SERIES.findall(rule["expr"])
    assert named
    for name, selector in named:
        if name in RECORDS:
            continue
        assert name in shown, name
        for label, _, value in MATCHER.findall(selector):
            assert value in shown[name][label], (name, label, value)


def test_the_tests_of_promtool_feed_series_that_there_are() -> None:
    """What promtool is given has the names and labels of /metrics, so that it tests what will be there."""
    shown = exposed()
    for test in load("rollbook.test.yml")["tests"]:
        for series in test["input_series"]:
            [(name, selector)] = SERIES.findall(series["series"].replace('instance="', 'x="'))[:1]
            labels = {label: value for label, _, value in MATCHER.findall(selector)} | {"job": "rollbook"}
            assert name in shown
            assert set(labels) - {"job", "x"} <= set(shown[name]), series["series"]
            assert {labels[of] for of in ("reason", "late", "le") if of in labels} <= {
                value for values in shown[name].values() for value in values
            }


LINE = LineFigures(number=0, phase="listening", topics=3, details=0, connects=1, losses=0, heard_topics=3)
DOWN = replace(LINE, phase="waiting")
WELL = DaemonFigures(lines=(LINE,), up_for=86_400.0)
# Of each kind of reason, figures that give it.
GIVEN: dict[ReasonKind, dict[str, Any]] = {
    ReasonKind.NOTHING_LISTENS: {"lines": (DOWN,), "silent_for": 301.0},
    ReasonKind.LINE_DOWN: {"lines": (LINE, DOWN)},
    ReasonKind.STARTING: {"starting_for": 1.0},
    ReasonKind.NOTHING_TO_LISTEN_TO: {"lines": ()},
    ReasonKind.QUEUE_FAILING: {"sqs": QueueFigures(failing="denied")},
    ReasonKind.NOTHING_STORED: {"sqs": QueueFigures(oldest=301.0)},
    ReasonKind.STORED_LATE: {"waiting_for": 31.0},
    ReasonKind.STORE_FAILING: {"store_failing": "full"},
    ReasonKind.QUEUES_UNLISTED: {"discovery_failing": "denied"},
    ReasonKind.RECONCILE_FAILING: {"reconcile_failing": "denied"},
    ReasonKind.BACKUP_FAILING: {"backup_failing": "full"},
    ReasonKind.BACKUP_OLD: {"backup_ago": 3 * 86_400.0},
    ReasonKind.ALERTS_WAIT: {"alerts_failing": "refused", "alerts_waiting": 1},
    ReasonKind.ALERTS_DROPPED: {"alerts_dropped": 1},
    ReasonKind.CHANNELS_UNCOUNTED: {"counting_failing": "no answer"},
    ReasonKind.LOOK_OLD: {"looked_ago": 1_300.0},
    ReasonKind.ROUND_OLD: {"rounds_ago": 4_000.0},
    ReasonKind.WINDOWS_DUE: {"oldest_due": 7 * 3_600.0, "due_windows": 1},
    ReasonKind.CLOCK_WRONG: {"clock_skew": 31.0},
    ReasonKind.CLOCK_JUMPED: {"clock_jump": 31.0},
    ReasonKind.EVENTS_DROPPED: {"dropped_of_hour": 1},
    ReasonKind.NOT_UNDERSTOOD: {"letters_of_hour": 10},
    ReasonKind.NO_EVENTS: {"quiet_for": 8 * 86_400.0},
    ReasonKind.LEDGER_UNREADABLE: {"ledger_failing": "no answer"},
    ReasonKind.WINDOWS_FAILED: {"windows_by_verdict": {"failed": 1}},
    ReasonKind.TOPICS_REFUSED: {"refused_topics": 1},
    ReasonKind.TOPICS_UNPLACED: {"unplaced_topics": 1},
}


@pytest.mark.parametrize("kind", ReasonKind)
def test_each_kind_of_reason_can_be_given(kind: ReasonKind) -> None:
    """/healthz gives it, alone, and the metric `rollbook_reason` is 1 for it alone."""
    figures = replace(WELL, **GIVEN[kind])
    assert [reason.kind for reason in reasons(figures)] == [kind]
    [family] = [family for family in metrics(figures) if family.name == "rollbook_reason"]
    assert {sample.labels["reason"]: sample.value for sample in family.samples} == {
        str(every): float(every == kind) for every in ReasonKind
    }


def test_ci_runs_promtool() -> None:
    """On the very files that people are given."""
    assert "\ndeploy/prometheus/check " in (ROOT / ".ci" / "run").read_text()
    check = (FOLDER / "check").read_text()
    assert "check rules rollbook.rules.yml" in check
    assert "test rules rollbook.test.yml" in check
