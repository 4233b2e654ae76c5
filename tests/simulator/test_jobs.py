"""The simulator's asynchronous jobs: their states, what of the truth their lake has, and their pages."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.organisation.world import World
from rollbook.simulator.rest.analytics.jobs import JobRules, Jobs, parse
from rollbook.simulator.rest.errors import Refusal
from rollbook.simulator.times import moment, text

START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = START + timedelta(hours=40)
WORLD = World(7, START, 25, queues=4, users=8)
WORLD.grow(NOW)
DAY = {"interval": "2026-03-02T00:00:00Z/2026-03-03T00:00:00Z"}
ME = "client"


def everything(_life: Conversation, _owner: str) -> bool:
    return True


class Office:
    """The jobs, with clocks that a test moves."""

    def __init__(self, **rules: Any) -> None:
        self.jobs = Jobs(JobRules(**rules), lambda: str(uuid.uuid4()))
        self.now, self.clock = NOW, 1000.0

    def submit(self, body: object = DAY, owner: str = ME) -> str:
        return self.jobs.submit(body, owner, self.now, self.clock)["jobId"]

    def state(self, job: str, owner: str = ME) -> str:
        self.jobs.advance(WORLD, self.now, self.clock, everything)
        return self.jobs.status(job, owner)["state"]

    def page(self, job: str, **query: str) -> Any:
        self.jobs.advance(WORLD, self.now, self.clock, everything)
        return json.loads(self.jobs.results(job, ME, query))

    def rows(self, body: object = DAY, size: int = 1000) -> list[dict[str, Any]]:
        """Everything that a job answers."""
        job = self.submit(body)
        self.clock += 10
        found: list[dict[str, Any]] = []
        more: dict[str, Any] = {}
        while True:
            page = self.page(job, pageSize=str(size), **more)
            found += page["conversations"]
            assert len(page["conversations"]) <= size
            if "cursor" not in page:
                return found
            more = {"cursor": page["cursor"]}


def refused(call: Any, *arguments: Any) -> Refusal:
    with pytest.raises(Refusal) as failed:
        call(*arguments)
    return failed.value


def test_a_job_goes_through_its_states() -> None:
    """Queued, pending, not done before three seconds; kept for a day, then expired. Each with its dates."""
    office = Office()
    job, states = office.submit(), []
    for _ in range(4):
        states.append(office.state(job))
        office.clock += 1
    assert states == ["QUEUED", "PENDING", "PENDING", "FULFILLED"]
    assert office.jobs.status(job, ME) == {
        "state": "FULFILLED",
        "submissionDate": text(NOW),
        "completionDate": text(NOW),
        "expirationDate": text(NOW + timedelta(days=1)),
    }
    office.now += timedelta(days=1)
    assert office.state(job) == "EXPIRED"
    assert refused(office.page, job).status == 400


def test_there_are_no_results_before_the_end() -> None:
    """Results of a job that is not FULFILLED are refused with 400."""
    office = Office()
    assert refused(office.page, office.submit()).status == 400


def test_a_cancelled_job_stays_cancelled() -> None:
    """Taken back while it is under way or when it is done, it is CANCELLED and has no results."""
    office = Office()
    gone, done = office.submit(), office.submit()
    office.jobs.cancel(gone, ME)
    office.clock += 10
    assert (office.state(gone), office.state(done)) == ("CANCELLED", "FULFILLED")
    office.jobs.cancel(done, ME)
    assert office.state(done) == "CANCELLED"
    assert refused(office.page, done).status == 400


def test_a_job_can_fail() -> None:
    """FAILED, with a message, which others do not have."""
    office = Office()
    office.jobs.failing.append("The query timed out.")
    failed, well = office.submit(), office.submit()
    office.clock += 10
    assert (office.state(failed), office.state(well)) == ("FAILED", "FULFILLED")
    assert office.jobs.status(failed, ME)["errorMessage"] == "The query timed out."
    assert "errorMessage" not in office.jobs.status(well, ME)


def test_a_job_is_its_clients() -> None:
    """Another client's job is as unknown as one that never was."""
    office = Office()
    job = office.submit()
    for call in (office.jobs.status, office.jobs.cancel):
        assert refused(call, job, "somebody").status == 404
        assert refused(call, "nothing", ME).status == 404


def test_only_so_many_at_once() -> None:
    """One more than the limit is 429 with Retry-After; when one is done there is room again."""
    office = Office(at_once=2)
    office.submit(), office.submit()
    failed = refused(office.submit)
    assert (failed.status, failed.headers["Retry-After"]) == (429, "60")
    assert failed.body("")["limit"]["namespace"] == "analytics.data.extraction"
    office.submit(owner="somebody")
    office.clock += 10
    office.jobs.advance(WORLD, office.now, office.clock, everything)
    office.submit()


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"interval": "x"},
        {**DAY, "paging": {"pageSize": 1, "pageNumber": 1}},
        {**DAY, "aggregations": []},
        {**DAY, "limit": 0},
        {**DAY, "limit": True},
        {**DAY, "startOfDayIntervalMatching": "yes"},
        {**DAY, "order": "x"},
        {"interval": "2026-03-01T00:00Z/2026-04-01T00:00:01Z"},
    ],
)
def test_what_a_job_may_not_be_asked(body: object) -> None:
    """Paging and aggregations belong to the query, and the rest must be in order: 400."""
    assert refused(parse, body, JobRules()).status == 400


# What the answers are


@settings(max_examples=40)
@given(st.integers(0, 38), st.integers(1, 10), st.integers(0, 20))
def test_a_job_answers_what_was_active_as_the_lake_knows_it(first: int, hours: int, lag: int) -> None:
    """Everything whose life overlaps the interval, whenever it started, as it was known at the watermark; no more."""
    start = START + timedelta(hours=first)
    end, known = start + timedelta(hours=hours), NOW - timedelta(hours=lag)

    def meant(life: Conversation) -> bool:
        if not life.visible(known) or life.start >= end:
            return False
        end_shown = life.view(known).get("conversationEnd")
        return end_shown is None or moment(end_shown) >= start

    office = Office(lag=timedelta(hours=lag))
    found = office.rows({"interval": f"{text(start)}/{text(end)}"})
    expected = {life.id: life.view(known) for life in WORLD.conversations if meant(life)}
    assert [record["conversationId"] for record in found] == list(expected)
    for record in found:
        bare = [
            {key: value for key, value in participant.items() if key != "attributes"}
            for participant in record["participants"]
        ]
        assert {**record, "participants": bare} == expected[record["conversationId"]]


def test_past_the_watermark_rows_are_missing_without_a_word() -> None:
    """The job is FULFILLED and its answer partial; only `dataAvailabilityDate` tells."""
    office = Office(lag=timedelta(hours=30))
    found = office.rows()
    assert 0 < len(found) < len(WORLD.between(START, START + timedelta(days=1))) / 2
    job = office.submit()
    office.clock += 10
    assert office.page(job)["dataAvailabilityDate"] == text(NOW - timedelta(hours=30))
    assert office.jobs.watermark(NOW + timedelta(seconds=59)) == NOW - timedelta(hours=30), "it moves by minutes"


def test_jobs_alone_tell_attributes() -> None:
    """Every participant has them, the customer's with content."""
    for record in Office(lag=timedelta(0)).rows()[:20]:
        assert all("attributes" in participant for participant in record["participants"])
        assert record["participants"][0]["attributes"]


def test_from_the_start_of_the_day() -> None:
    """`startOfDayIntervalMatching` leaves out what started before the interval's day, not what started before its hour."""
    office = Office(lag=timedelta(0))
    body = {"interval": "2026-03-03T06:00:00Z/2026-03-03T07:00:00Z"}
    everyone = office.rows(body)
    found = office.rows({**body, "startOfDayIntervalMatching": True})
    assert found == [record for record in everyone if record["conversationStart"] >= "2026-03-03"]
    assert len(found) < len(everyone)
    assert found[0]["conversationStart"] < "2026-03-03T06"


def test_pages_by_cursor_are_one_list() -> None:
    """Pages of any size, read to the one without a cursor, are everything once, even while the world goes on."""
    office = Office(lag=timedelta(0))
    whole = office.rows()
    assert office.rows(size=7) == whole
    assert [record["conversationId"] for record in office.rows({**DAY, "limit": 5, "order": "desc"})] == [
        record["conversationId"] for record in whole[-1:-6:-1]
    ]


@pytest.mark.parametrize(
    "query", [{"cursor": "nonsense"}, {"cursor": "bm86Mw=="}, {"pageSize": "1001"}, {"pageSize": "x"}]
)
def test_a_page_that_cannot_be_asked_for(query: dict[str, str]) -> None:
    """A cursor of another job, or a page too large, is refused."""
    office = Office()
    job = office.submit()
    office.clock += 10
    assert refused(lambda: office.page(job, **query)).status == 400


def test_filters_work_as_in_queries() -> None:
    """A job with a filter answers what passes it."""
    office = Office(lag=timedelta(0))
    predicate = {"dimension": "originatingDirection", "value": "outbound"}
    found = office.rows({**DAY, "conversationFilters": [{"type": "and", "predicates": [predicate]}]})
    assert found == [record for record in office.rows() if record["originatingDirection"] == "outbound"]
