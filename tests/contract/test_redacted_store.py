"""A store under `[privacy]`: nothing of any person in any byte of it, and the proofs hold all the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.messages.payloads import parse_all
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program.settings import Settings, load
from rollbook.genesys.times import Interval
from rollbook.simulator import Simulator
from rollbook.simulator.rest.analytics.jobs import JobRules
from rollbook.store.book import Book
from rollbook.store.tables import events

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOUR = Interval(START, START + timedelta(hours=1))
# Fields of the platform's details with people's data, written down here from its models, not from the product.
PERSONAL = {
    "ani",
    "dnis",
    "sessionDnis",
    "addressFrom",
    "addressTo",
    "addressSelf",
    "addressOther",
    "participantName",
    "callbackNumbers",
    "callbackUserName",
    "remote",
    "remoteNameDisplayable",
    "wrapUpNote",
    "subject",
    "externalContactId",
    "externalOrganizationId",
    "outboundContactId",
    "journeyCustomerId",
    "cc",
    "bcc",
    "journeyCustomerSessionId",
    "transferTargetAddress",
    "transferTargetName",
    "destinationAddresses",
}  # fmt: skip  (a line for each would be a page)


# A queue or a flow, which a field for people may name as well, is nobody.
NOBODY = {"queueId", "flowName"}


def personal(node: Any, name: str = "", of: set[str] = PERSONAL) -> Iterator[str]:
    """The texts of a record's personal fields, or of others."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "attributes" and isinstance(value, dict) and of is PERSONAL:
                yield from (text for text in value.values() if isinstance(text, str))
            yield from personal(value, key, of)
    elif isinstance(node, list):
        for each in node:
            yield from personal(each, name, of)
    elif name in of and isinstance(node, str) and len(node) > 5:
        yield node


def settings_of(simulator: Simulator, path: Path, policy: str, **env: str) -> Settings:
    """The settings of a store under that policy, with plain bodies, which can be searched."""
    more = {"ROLLBOOK_PACK": "none", "ROLLBOOK_PRIVACY_FIELDS": policy, **env}
    return load(env={**simulator.env, **more}, cwd=path)


async def fill(simulator: Simulator, path: Path, settings: Settings, payloads: list[bytes]) -> list[Any]:
    """Events, then the hour twice by query; answers the reports."""
    store = path / "rollbook.db"
    with Book.open(store, organization=("o", "O"), pack="none", redactor=redactor_of(settings)) as book:
        notifications = [
            item for raw in payloads for item in parse_all(raw, source="file", received_at="2026-03-02T10:00:00.000Z")
        ]
        book.write(events.record, notifications, book.lag).result()
    return await read(simulator, store, settings, "query", "query")


async def read(simulator: Simulator, store: Path, settings: Settings, *ways: Literal["query", "job"]) -> list[Any]:
    """Read the hour, in each of these ways; answers the reports."""
    reports = []
    with Book.open(store, organization=("o", "O"), pack="none", redactor=redactor_of(settings)) as book:
        async with Api(settings, now=simulator.now) as api:
            for via in ways:
                options = RunOptions(sleep=lambda _: asyncio.sleep(0), via=via)
                reports.append(
                    await reconcile_window(book, api, HOUR, settings=settings, now=simulator.now, options=options)
                )
    return reports


def written(path: Path) -> bytes:
    """Every byte below a folder."""
    return b"".join(file.read_bytes() for file in sorted(path.iterdir()))


@pytest.fixture
async def simulator() -> Any:
    """An hour of all media that is long over."""
    made = Simulator(seed=11, start=START, rate=0, per_hour=60, rate_limit=100_000, job_rules=JobRules(seconds=0))
    async with made:
        made.clock.advance(timedelta(days=8))
        made.world.grow(START + timedelta(hours=1))
        yield made


async def test_a_strict_store_has_nothing_of_anybody(simulator: Simulator, tmp_path: Path) -> None:
    """No text of a personal field is in the file or beside it; the window is proven, and again writes nothing."""
    truth = simulator.truth(HOUR.start, HOUR.end)
    nobody = {text for record in truth.values() for text in personal(record, of=NOBODY)}
    canaries = {text for record in truth.values() for text in personal(record)} - nobody
    assert len(canaries) > 20
    event = {"conversationId": next(iter(truth)), "ani": "tel:+4930901829", "attributes": {"account": "canary-123456"}}
    topic = f"v2.detail.events.conversation.{next(iter(truth))}.attributes"
    payloads = [
        json.dumps({"topicName": topic, "eventBody": event}).encode(),
        b'{"no topic": 1, "ani": "tel:+4930901829"}',
        b"no json, from canary-123456",
    ]
    settings = settings_of(simulator, tmp_path, "strict")
    first, again = await fill(simulator, tmp_path, settings, payloads)
    assert (first.verdict, first.owned) == ("complete", len(truth))
    assert (again.written, again.changed, again.unchanged) == (0, 0, len(truth))
    found = written(tmp_path)
    assert [text for text in canaries | {"+4930901829", "canary-123456"} if text.encode() in found] == []
    plain = tmp_path / "plain"
    plain.mkdir()
    await fill(simulator, plain, settings_of(simulator, plain, "keep"), payloads)
    found = written(plain)
    assert [text for text in canaries | {"+4930901829", "canary-123456"} if text.encode() not in found] == []


async def test_a_hashed_caller_can_be_joined(simulator: Simulator, tmp_path: Path) -> None:
    """The caller of an event and the caller of the details are one text in the store, which is no number."""
    truth = simulator.truth(HOUR.start, HOUR.end)
    calls = {
        session["ani"]: id_
        for id_, record in truth.items()
        for participant in record["participants"]
        for session in participant["sessions"]
        if session.get("ani", "").startswith("tel:") and session.get("mediaType") == "voice"
    }
    number, conversation_id = next(iter(calls.items()))
    topic = f"v2.detail.events.conversation.{conversation_id}.customer.start"
    event = {"topicName": topic, "eventBody": {"conversationId": conversation_id, "ani": number}}
    settings = settings_of(simulator, tmp_path, "phone_numbers=hash", ROLLBOOK_PRIVACY_KEY="a key that is long enough")
    await fill(simulator, tmp_path, settings, [json.dumps(event).encode()])
    with Book.open(tmp_path / "rollbook.db", mode="ro") as book:
        (caller,) = await book.read(lambda db: db.execute("SELECT json_extract(body, '$.ani') FROM events").fetchone())
        joined = await book.read(
            lambda db: db.execute("SELECT DISTINCT conversation_id FROM sessions WHERE ani = ?", (caller,)).fetchall()
        )
    assert caller.startswith("hmac:")
    assert (conversation_id,) in joined
    assert number.encode() not in written(tmp_path)


async def test_a_policy_that_changes_makes_no_window_lie(simulator: Simulator, tmp_path: Path) -> None:
    """Rows are written once as the new policy has them, without a gap; the same truth again writes nothing.

    Query and job agree under each.
    """
    count = len(simulator.truth(HOUR.start, HOUR.end))
    mixed = "phone_numbers=hash,email_addresses=shorten,names=shorten,free_text=drop,attributes=hash"
    key = {"ROLLBOOK_PRIVACY_KEY": "a key that is long enough"}
    store = tmp_path / "rollbook.db"
    for number, policy in enumerate(("keep", mixed, "strict")):
        settings = settings_of(simulator, tmp_path, policy, **key)
        reports = await read(simulator, store, settings, "query", "query", "job", "job")
        assert {report.verdict for report in reports} == {"complete"}
        first, *again = [(report.written, report.changed, report.drift) for report in reports]
        assert first[1:] == (0, 0)
        assert first[0] == count if number == 0 else 0 < first[0] <= count
        assert {found[1] for found in again} == {0}, policy
        assert (again[0][0], again[2][0]) == (0, 0), policy
    with Book.open(store, mode="ro") as book:
        kinds = await book.read(lambda db: db.execute("SELECT DISTINCT kind FROM gaps").fetchall())
        assert await book.read(lambda db: db.execute("SELECT DISTINCT verdict FROM windows").fetchall()) == [
            ("complete",)
        ]
        assert await book.read(lambda db: db.execute("SELECT count(*) FROM version_rows").fetchone()) == (0,)
    assert [kind for (kind,) in kinds if kind != "missing"] == []
