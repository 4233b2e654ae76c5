"""The aggregates of conversations that are easily counted wrongly, and the share that only aggregates have."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.rest.analytics.aggregates_query import answer, parse

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
LATER = START + timedelta(days=1)


def at(seconds: float) -> str:
    """A time so many seconds after ten."""
    return f"{START + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.000Z"


def conversation(
    identity: str, metrics: list[tuple[str, float, int]], segments: list[tuple[str, float, float]]
) -> Conversation:
    """A conversation of one session. metrics: name, second, value; segments: queue, first and last second."""
    session = {
        "sessionId": "s",
        "mediaType": "voice",
        "metrics": [{"name": name, "emitDate": at(second), "value": value} for name, second, value in metrics],
        "segments": [
            {"segmentType": "interact", "queueId": queue, "segmentStart": at(first), "segmentEnd": at(last)}
            for queue, first, last in segments
        ],
    }
    return Conversation(
        {
            "conversationId": identity,
            "conversationStart": at(0),
            "conversationEnd": at(3_600),
            "originatingDirection": "inbound",
            "divisionIds": [],
            "participants": [{"participantId": "p", "purpose": "acd", "sessions": [session]}],
        }
    )


def stats(conversations: list[Conversation], *metrics: str, **more: Any) -> dict[str, dict[str, Any]]:
    """queue → metric → stats, of the hour."""
    body = {"interval": f"{at(0)}/{at(3_600)}", "groupBy": ["queueId"], "metrics": list(metrics), **more}
    found = answer(conversations, parse(body), LATER)["results"]
    return {
        result["group"]["queueId"]: {
            metric["metric"]: metric["stats"] for data in result["data"] for metric in data["metrics"]
        }
        for result in found
    }


def test_a_metric_counts_in_the_queue_that_its_session_was_in() -> None:
    """A session that goes from a queue to another: what ends where they meet is the first one's."""
    moved = conversation(
        "c1",
        [("nOffered", 0, 1), ("tFlowOut", 40, 40_000), ("nOffered", 40, 1), ("tAbandon", 60, 20_000)],
        [("q1", 0, 40), ("q2", 40, 60)],
    )
    found = stats([moved], "nOffered", "tFlowOut", "tAbandon")
    assert {queue: {name: each["count"] for name, each in of.items()} for queue, of in found.items()} == {
        "q1": {"nOffered": 1, "tFlowOut": 1},
        "q2": {"nOffered": 1, "tAbandon": 1},
    }


def test_a_service_level_is_what_was_answered_in_time() -> None:
    """Of what was answered or abandoned; only what is asked for is in the answer, and nothing is no share."""
    answered = [conversation(f"a{number}", [("tAnswered", 5, 5_000)], [("q1", 0, 60)]) for number in range(3)]
    late = conversation("l", [("tAnswered", 30, 30_000), ("nOverSla", 30, 1)], [("q1", 0, 60)])
    gone = conversation("g", [("tAbandon", 30, 30_000)], [("q1", 0, 60)])
    other = conversation("o", [("tFlowOut", 30, 30_000)], [("q2", 0, 60)])
    found = stats([*answered, late, gone, other], "oServiceLevel")
    assert found == {
        "q1": {"oServiceLevel": {"ratio": pytest.approx(3 / 5), "numerator": 3, "denominator": 5, "target": 0.8}}
    }
