"""Imperfect records, as the platform's own published samples are: they arrive whole, and what can be a row is one."""

import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from rollbook.simulator import Simulator
from tests.helpers.whole import expected_rows, rollbook

pytestmark = pytest.mark.process

# Impossible dates, no end, a key that nobody knows, a participant twice.
SAMPLE: dict[str, Any] = {
    "conversationId": "5c9a2f2e-6c6a-4b3f-9c57-0d7b8a1f0001",
    "conversationStart": "2021-04-02T15:30:51.418Z",
    "originatingDirection": "inbound",
    "divisionIds": ["7d1c4a44-1b43-4c8e-8b7a-0d7b8a1f0002"],
    "somethingNew": {"nested": [1, 2.50, None, "…"]},
    "participants": [
        {
            "participantId": "p-1",
            "participantName": "Wien, Österreich",
            "purpose": "customer",
            "sessions": [
                {
                    "sessionId": "s-1",
                    "mediaType": "voice",
                    "direction": "inbound",
                    "ani": "tel:+13175550123",
                    "segments": [
                        {
                            "segmentStart": "2021-04-2T15:30:51.418Z",
                            "segmentEnd": "2021-02-30T15:31:00.000Z",
                            "segmentType": "interact",
                            "conference": False,
                        },
                        {"segmentStart": "2021-04-02T15:31:00.000Z", "segmentType": "interact", "conference": False},
                    ],
                    "metrics": [
                        {"emitDate": "2021-04-02T15:31:00.000Z", "name": "nConnected", "value": 1},
                        {"emitDate": "2021-04-02T15:31:00.000Z", "name": "nConnected", "value": 1},
                    ],
                    "mediaEndpointStats": [
                        {"codecs": ["audio/opus"], "eventTime": "2021-04-02T15:31:00.000Z", "minMos": 4.88}
                    ],
                }
            ],
        },
        {"participantId": "p-1", "purpose": "an unknown one", "userId": "u-1", "sessions": []},
    ],
}


async def test_an_imperfect_record_arrives_whole(tmp_path: Path) -> None:
    """Nothing of it is dropped, every child is a row, a date that is none is kept as it came, and again writes nothing."""
    start = datetime(2021, 4, 1, tzinfo=UTC)
    async with Simulator(
        start=start, per_hour=0, rate_limit=100_000, records=[SAMPLE], retention_days=None
    ) as organisation:
        organisation.clock.advance(datetime.now(UTC) - organisation.now())
        words = ("reconcile", "--window", "2021-04-02/P1D", "--json")
        ran = await rollbook(*words, env=organisation.env, cwd=tmp_path)
        assert ran.status == 0, ran.err
        assert (ran.json["owned"], ran.json["missing"], ran.json["ongoing"]) == (1, 1, 1)
        again = await rollbook(*words, env=organisation.env, cwd=tmp_path)
        assert (again.status, again.json["written"]) == (0, 0)
    database = sqlite3.connect(tmp_path / "rollbook.db")
    try:
        (details,) = database.execute("SELECT details FROM conversations").fetchone()
        assert json.loads(details) == SAMPLE
        for table, rows in expected_rows({SAMPLE["conversationId"]: SAMPLE}).items():
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (rows.total(),), table
        (begun, ended), _ = database.execute("SELECT segment_start, segment_end FROM segments ORDER BY position")
        assert (begun, ended) == ("2021-04-2T15:30:51.418Z", "2021-02-30T15:31:00.000Z")
    finally:
        database.close()
