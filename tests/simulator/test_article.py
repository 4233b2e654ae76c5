"""The experiment of the platform's own article on the details query (developer blog, 21 April 2022), as the article has it.

It collects the MOS of the last ten minutes' conversations: one request for `totalHits`, then page after page of 200 rows
until a page has no conversations, and compares. The article's two results are shown: pages of an interval that reaches
into the present give duplicates and more than was announced; what the article recommends (`conversationEnd`, an
interval that ends a minute ago) gives less of it.
"""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollbook.simulator import Simulator

with warnings.catch_warnings():
    # Its generated modules hold invalid escape sequences, which Python warns of when it compiles them.
    warnings.simplefilter("ignore")
    import PureCloudPlatformClientV2 as sdk

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
REQUEST = timedelta(seconds=3)  # of the organisation's time, that each request takes


@dataclass
class Run:
    """One run. mos: of each conversation, as it was first read."""

    announced: int = 0
    duplicates: int = 0
    pages: list[int] = field(default_factory=list)
    mos: dict[str, float] = field(default_factory=dict)

    @property
    def more(self) -> int:
        """By how much what was collected exceeds what was announced."""
        return len(self.mos) - self.announced


def moves(simulator: Simulator, _: int) -> None:
    """The organisation goes on while it is asked."""
    simulator.clock.advance(REQUEST)


@pytest.fixture
async def busy() -> AsyncIterator[Simulator]:
    """An organisation of 25 minutes with 200 new conversations a minute."""
    simulator = Simulator(seed=11, start=START, rate=0, per_hour=12_000, drift=moves, rate_limit=100_000)
    simulator.clock.advance(timedelta(minutes=25))
    async with simulator:
        yield simulator


async def api(simulator: Simulator) -> Any:
    """The analytics API of the SDK, signed in."""
    client = sdk.api_client.ApiClient(simulator.api_url)
    await asyncio.to_thread(client.get_client_credentials_token, simulator.client_id, simulator.client_secret)
    return sdk.AnalyticsApi(client)


def query(start: datetime, end: datetime, *dimensions: str) -> dict[str, Any]:
    """The article's body; its interval has whole seconds."""
    predicates = [{"dimension": dimension, "operator": "exists"} for dimension in dimensions]
    return {
        "interval": f"{start:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}",
        "conversationFilters": [{"type": "and", "predicates": predicates}],
        "paging": {"pageSize": 200, "pageNumber": 1},
    }


async def collect(analytics: Any, body: dict[str, Any]) -> Run:
    """The article's loop."""
    run = Run()
    ask = analytics.post_analytics_conversations_details_query
    run.announced = (await asyncio.to_thread(ask, body)).total_hits
    while True:
        answer = await asyncio.to_thread(ask, body)
        if answer.conversations is None:
            return run
        run.pages.append(len(answer.conversations))
        for conversation in answer.conversations:
            if conversation.conversation_id in run.mos:
                run.duplicates += 1
            else:
                run.mos[conversation.conversation_id] = conversation.media_stats_min_conversation_mos
        body["paging"]["pageNumber"] += 1


def changed(simulator: Simulator, run: Run) -> int:
    """How many of the values that it read are others an hour later."""
    simulator.world._per_hour = 0
    simulator.clock.advance(timedelta(hours=1))
    truth = simulator.truth(START - timedelta(hours=1), simulator.now())
    return sum(truth[name]["mediaStatsMinConversationMos"] != pytest.approx(mos) for name, mos in run.mos.items())


async def test_the_experiment_shows_what_the_article_shows(busy: Simulator) -> None:
    """MOS exists, up to now: more than announced, duplicates, values that are not final. As recommended: less of each."""
    analytics, now = await api(busy), busy.now()
    naive = await collect(analytics, query(now - timedelta(minutes=10), now, "mediaStatsMinConversationMos"))
    assert naive.pages[:-1] == [200] * (len(naive.pages) - 1), "200 rows, as asked"
    assert len(naive.pages) > 8
    assert naive.more > 20
    assert naive.duplicates > 0
    now = busy.now()
    dimensions = ("mediaStatsMinConversationMos", "conversationEnd")
    recommended = await collect(analytics, query(now - timedelta(minutes=11), now - timedelta(minutes=1), *dimensions))
    assert recommended.announced < naive.announced, "the article: the total hits are smaller"
    assert 0 < recommended.more < naive.more, "and nearer to what comes"
    assert recommended.duplicates > 0, "the article: there were duplicates in both cases"
    stale = [changed(busy, result) for result in (naive, recommended)]
    assert stale[0] > 10 * stale[1] > 0, "calls that went on: their lowest MOS fell afterwards"


async def test_the_same_question_about_what_is_over_is_exact(busy: Simulator) -> None:
    """Asked about ten minutes that are long past: what is announced comes, once, and stays."""
    end = START + timedelta(minutes=20)
    busy.world._per_hour = 0
    busy.clock.advance(timedelta(days=3))
    dimensions = ("mediaStatsMinConversationMos", "conversationEnd")
    run = await collect(await api(busy), query(end - timedelta(minutes=10), end, *dimensions))
    assert (run.more, run.duplicates) == (0, 0)
    assert sum(run.pages) == run.announced > 800
