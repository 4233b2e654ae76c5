"""The board for Grafana: it is what Grafana's own schema has, and asks for metrics and labels that /metrics answers."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from typing import Any

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from rollbook.store.vocabulary import PROVEN, Verdict
from tests.helpers.docs_pages import generator
from tests.helpers.paths import ROOT

FOLDER = ROOT / "deploy" / "grafana"
BOARD: dict[str, Any] = json.loads((FOLDER / "dashboards" / "rollbook.json").read_text())
PANELS: list[dict[str, Any]] = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
EXPRESSIONS = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
# What Grafana puts in the place of its variables.
FILLED = {"$__rate_interval": "1m", "$instance": ".*"}


def lost(given: Any, understood: Any, at: str = "") -> Iterator[str]:
    """The places of a value that are not, or not so, in another."""
    if isinstance(given, dict):
        for key, value in given.items():
            if not isinstance(understood, dict) or key not in understood:
                yield f"{at}/{key}"
            else:
                yield from lost(value, understood[key], f"{at}/{key}")
    elif isinstance(given, list):
        if not isinstance(understood, list) or len(given) != len(understood):
            yield at
        else:
            for place, (part, other) in enumerate(zip(given, understood, strict=True)):
                yield from lost(part, other, f"{at}/{place}")
    elif given != understood:
        yield at


def understood(board: dict[str, Any]) -> Any:
    """The board as Grafana's types have it, written again."""
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(board)))


def test_grafanas_types_know_all_of_the_board() -> None:
    """Read into Grafana's own types and written again, nothing of it is gone or another value."""
    assert list(lost(BOARD, understood(BOARD))) == []


def test_what_grafana_does_not_know_would_be_found() -> None:
    """A misspelt key and a key in the wrong place are lost on that way."""
    spoilt = json.loads(json.dumps(BOARD))
    spoilt["refresch"] = "1m"
    stat = next(panel for panel in spoilt["panels"] if panel["type"] == "stat")
    stat["options"]["colourMode"] = "value"
    assert {place.rpartition("/")[2] for place in lost(spoilt, understood(spoilt))} == {"refresch", "colourMode"}


@cache
def metrics() -> dict[str, set[str]]:
    """The names of series that /metrics answers, and the labels that each may have."""
    found: dict[str, set[str]] = {}
    for name, kind, labels, _ in generator().metric_families():
        of_scrape = {*labels, "instance", "job"}
        if kind == "histogram":
            found |= {f"{name}_bucket": of_scrape | {"le"}, f"{name}_sum": of_scrape, f"{name}_count": of_scrape}
        else:
            found[name] = of_scrape
    return found


def parsed(expression: str) -> Any:
    """An expression as Prometheus reads it."""
    for variable, value in FILLED.items():
        expression = expression.replace(variable, value)
    return promql_parser.parse(expression)


def parts(node: Any) -> Iterator[Any]:
    """A node of a parsed expression, and all below it."""
    yield node
    for name in ("expr", "lhs", "rhs", "param", "vector_selector"):
        if (inner := getattr(node, name, None)) is not None and not isinstance(inner, str | float):
            yield from parts(inner)
    for inner in getattr(node, "args", None) or ():
        yield from parts(inner)


def complaints(expression: str) -> list[str]:
    """What an expression asks for that /metrics does not answer."""
    found, names, asked = [], set(), set()
    for node in parts(parsed(expression)):
        if isinstance(node, promql_parser.VectorSelector) and node.name is not None:
            names.add(node.name)
            asked |= {matcher.name for matcher in node.matchers.matchers}
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            asked |= set(node.modifier.labels)
    found += [f"no metric {name}" for name in names if name not in metrics()]
    known = set().union(*(metrics().get(name, set()) for name in names))
    return found + [f"no label {label}" for label in sorted(asked - known)]


@pytest.mark.parametrize(("title", "expression"), EXPRESSIONS)
def test_a_panel_asks_for_what_there_is(title: str, expression: str) -> None:
    """It is PromQL, of metrics and labels that /metrics answers, and of the daemons that the board is set to."""
    assert complaints(expression) == []
    assert expression.count("rollbook_") == expression.count('instance=~"$instance"')


def test_what_there_is_not_would_be_found() -> None:
    """A metric and a label that nobody has, in the middle of an expression, and what is no PromQL."""
    spoilt = 'sum by (verdikt) (rate(rollbook_events_total{topik="a"}[5m])) / max(rollbook_nothing)'
    assert complaints(spoilt) == ["no metric rollbook_nothing", "no label topik", "no label verdikt"]
    with pytest.raises(ValueError, match=r"\S"):
        parsed("sum by (rollbook_up")


def test_every_legend_names_a_label_that_stays() -> None:
    """`{{label}}` in a legend is a label by which the expression groups."""
    for panel in PANELS:
        for target in panel["targets"]:
            for label in (piece.partition("}}")[0] for piece in target["legendFormat"].split("{{")[1:]):
                assert f"by ({label})" in target["expr"], panel["title"]


def test_a_window_that_is_not_proven_is_drawn_hollow() -> None:
    """Complete and settled windows are filled areas; every other verdict is a dashed line with points, and no area."""
    (panel,) = [panel for panel in PANELS if panel["title"] == "Windows by verdict"]
    drawn = {
        override["matcher"]["options"]: {each["id"]: each["value"] for each in override["properties"]}
        for override in panel["fieldConfig"]["overrides"]
    }
    assert set(drawn) == {verdict.value for verdict in Verdict}
    ended = {verdict.value for verdict in PROVEN} - {Verdict.OPEN.value}
    for verdict, look in drawn.items():
        hollow = (
            look["custom.fillOpacity"],
            look.get("custom.lineStyle", {}).get("fill"),
            look.get("custom.showPoints"),
        )
        assert (hollow == (0, "dash", "always")) is (verdict not in ended), verdict
        assert (look["custom.fillOpacity"] > 0) is (verdict in ended)


def test_the_state_is_told_by_a_word() -> None:
    """The values that `rollbook_up` may have are shown as words with a shape, not by colour alone."""
    (panel,) = [panel for panel in PANELS if panel["title"] == "State"]
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    assert {value: text["text"].split()[-1] for value, text in mapping["options"].items()} == {
        "0": "dead",
        "0.5": "degraded",
        "1": "well",
    }
    assert len({text["text"][0] for text in mapping["options"].values()}) == 3


def test_panels_have_places_of_their_own() -> None:
    """In 24 columns, none over another; each has an id of its own, a title, a sentence about it and a unit."""
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids) > 25
    boxes = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(box["x"] >= 0 and box["x"] + box["w"] <= 24 for box in boxes)
    for a, b in combinations(boxes, 2):
        apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert apart, (a, b)
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_grafana_is_given_the_board_and_a_data_source() -> None:
    """The files of provisioning name a folder of boards, and a Prometheus with no password in it."""
    (provider,) = yaml.safe_load((FOLDER / "provisioning/dashboards/rollbook.yaml").read_text())["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/var/lib/grafana/dashboards")
    (source,) = yaml.safe_load((FOLDER / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert (source["type"], source["url"]) == ("prometheus", "http://127.0.0.1:9090")
    assert not {"basicAuth", "password", "secureJsonData"} & set(source)
