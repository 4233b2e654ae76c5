"""Asynchronous details jobs: what they are asked, how far they are, their results page by page.

They read a data lake that lags behind. What the lake does not have yet is missing from their answer, without a word
about it: only the watermark (`dataAvailabilityDate`) tells. Pure: moments of the organisation's clock and seconds of a
forward clock come in.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.rest import spelling
from rollbook.simulator.rest.analytics import filters
from rollbook.simulator.rest.analytics.details_query import (
    ConversationSource,
    arrange,
    holds,
    interval,
    known_fields,
    ordering,
)
from rollbook.simulator.rest.analytics.filters import Filters
from rollbook.simulator.rest.errors import Refusal, bad_request
from rollbook.simulator.times import midnight, text

_KNOWN: Final = frozenset((*filters.GRAMMARS, "interval", "order", "orderBy", "limit", "startOfDayIntervalMatching"))
DEFAULT_PAGE, LARGEST_PAGE = 1000, 1000
_OVER: Final = frozenset({"FULFILLED", "FAILED", "CANCELLED", "EXPIRED"})
_LONGEST_LIFE: Final = timedelta(days=400)  # what started earlier is not looked at


class JobRules(NamedTuple):
    """Behaviour of the jobs. lag: of the lake. seconds: least time until a job is done. Others are assumed limits."""

    lag: timedelta = timedelta(hours=6)
    step: timedelta = timedelta(minutes=1)  # the watermark moves by steps
    seconds: float = 3.0
    kept: timedelta = timedelta(days=1)  # then a job is EXPIRED
    most_days: int = 31
    at_once: int = 10


class JobQuery(NamedTuple):
    """A job's query that is in order."""

    start: datetime
    end: datetime
    filters: Filters
    order: str
    order_by: str
    limit: int | None
    from_start_of_day: bool


@dataclass
class Job:
    """Asynchronous job. owner: the client that may see it. began: seconds of the forward clock."""

    job_id: str
    owner: str
    asked: JobQuery
    submitted: datetime
    began: float
    state: str = "QUEUED"
    completed: datetime | None = None
    error: str | None = None
    watermark: datetime | None = None
    found: list[Conversation] = field(default_factory=list)


def parse(body: object, rules: JobRules) -> JobQuery:
    """Read a job's JSON. Raises Refusal (400)."""
    fields = known_fields(body, _KNOWN)
    start, end = interval(fields.get("interval"))
    if end - start > timedelta(days=rules.most_days):
        raise bad_request(
            f"You must specify a search interval as part of your query that does not exceed {rules.most_days} days."
        )
    limit = None if fields.get("limit") is None else spelling.positive(fields["limit"], "limit")
    from_start = spelling.truth(fields.get("startOfDayIntervalMatching") or False, "startOfDayIntervalMatching")
    return JobQuery(start, end, filters.parse(fields), *ordering(fields), limit, from_start)


class Jobs:
    """The jobs of an organisation. identity: makes an id."""

    def __init__(self, rules: JobRules, identity: Callable[[], str]) -> None:
        self.rules = rules
        self._identity = identity
        self._jobs: dict[str, Job] = {}
        self.failing: list[str] = []  # the error messages of the next jobs that end
        self.doomed: list[tuple[datetime, datetime, str]] = []  # every job whose interval touches it fails, and says so

    def watermark(self, now: datetime) -> datetime:
        """Time before which everything is in the lake."""
        behind = now - self.rules.lag
        return behind - (behind - midnight(behind)) % self.rules.step

    def submit(self, body: object, owner: str, now: datetime, clock: float) -> dict[str, str]:
        """A new job. Raises Refusal (400, or 429 when too many are under way)."""
        asked = parse(body, self.rules)
        under_way = sum(job.state not in _OVER for job in self._jobs.values() if job.owner == owner)
        if under_way >= self.rules.at_once:
            raise Refusal(
                429,
                headers={"Retry-After": "60"},
                limit={"key": "concurrent.jobs", "namespace": "analytics.data.extraction", "value": self.rules.at_once},
            )
        job = Job(self._identity(), owner, asked, now, clock)
        self._jobs[job.job_id] = job
        return {"jobId": job.job_id}

    def advance(
        self, conversations: ConversationSource, now: datetime, clock: float, seen: Callable[[Conversation, str], bool]
    ) -> None:
        """Let every job get as far as it is by now. seen: whether an owner may see a conversation."""
        for job in self._jobs.values():
            spent = clock - job.began
            if job.state in ("QUEUED", "PENDING"):
                if spent < self.rules.seconds:
                    job.state = "QUEUED" if spent < self.rules.seconds / 3 else "PENDING"
                else:
                    self._finish(job, conversations, now, seen)
            elif job.state == "FULFILLED" and now >= self._expires(job):
                job.state, job.found = "EXPIRED", []

    def _finish(
        self, job: Job, conversations: ConversationSource, now: datetime, seen: Callable[[Conversation, str], bool]
    ) -> None:
        job.completed = now
        if self.failing:
            job.state, job.error = "FAILED", self.failing.pop(0)
            return
        for start, end, message in self.doomed:
            if job.asked.start < end and start < job.asked.end:
                job.state, job.error = "FAILED", message
                return
        job.state, job.watermark = "FULFILLED", self.watermark(now)
        job.found = select(conversations, job.asked, job.watermark, lambda found: seen(found, job.owner))

    def _expires(self, job: Job) -> datetime:
        return (job.completed or job.submitted) + self.rules.kept

    def _find(self, job_id: str, owner: str) -> Job:
        job = self._jobs.get(job_id)
        if job is None or job.owner != owner:
            raise Refusal(404)
        return job

    def status(self, job_id: str, owner: str) -> dict[str, str]:
        """Say how far a job is. Raises Refusal (404)."""
        job = self._find(job_id, owner)
        body = {"state": job.state, "submissionDate": text(job.submitted)}
        if job.completed is not None:
            body["completionDate"] = text(job.completed)
        if job.state in ("FULFILLED", "EXPIRED"):
            body["expirationDate"] = text(self._expires(job))
        return body | ({"errorMessage": job.error} if job.error else {})

    def results(self, job_id: str, owner: str, query: Mapping[str, str]) -> bytes:
        """A page of results, as JSON; the last has no cursor. Raises Refusal."""
        job = self._find(job_id, owner)
        if job.state != "FULFILLED" or job.watermark is None:
            raise bad_request(f"The results of a job are available while it is FULFILLED. It is {job.state}.")
        size, first = _size(query.get("pageSize")), position(query.get("cursor"), job.job_id)
        page = [_encoded(conversation, job.watermark) for conversation in job.found[first : first + size]]
        body = b'{"conversations":[%b],"dataAvailabilityDate":"%b"' % (b",".join(page), text(job.watermark).encode())
        if first + size < len(job.found):
            body += b',"cursor":"%b"' % cursor(first + size, job.job_id)
        return body + b"}"

    def cancel(self, job_id: str, owner: str) -> None:
        """Take a job back: from now on it has no results, whether or not it was done. Raises Refusal (404)."""
        job = self._find(job_id, owner)
        if job.state not in ("FAILED", "EXPIRED"):
            job.state, job.found = "CANCELLED", []


def select(
    conversations: ConversationSource, asked: JobQuery, known: datetime, seen: Callable[[Conversation], bool]
) -> list[Conversation]:
    """Every conversation that, as the lake knows it at `known`, overlaps the interval; in order."""
    first = midnight(asked.start) if asked.from_start_of_day else asked.start - _LONGEST_LIFE
    found = (
        conversation
        for conversation in conversations.between(first, asked.end)
        if conversation.visible(known)
        and conversation.goes_on(asked.start, known)
        and seen(conversation)
        and (not asked.filters or holds(conversation, asked.filters, known))
    )
    return arrange(found, asked.order, asked.order_by, known)[: asked.limit]


def _encoded(conversation: Conversation, known: datetime) -> bytes:
    return json.dumps(conversation.with_attributes(known), separators=(",", ":")).encode()


def _size(value: str | None) -> int:
    size = DEFAULT_PAGE if value is None else spelling.positive(value, "pageSize")
    if size > LARGEST_PAGE:
        raise bad_request(f"pageSize must be a number from 1 to {LARGEST_PAGE}.")
    return size


def cursor(position: int, job_id: str) -> bytes:
    """Name for a place in a job's results."""
    return base64.urlsafe_b64encode(f"{job_id}:{position}".encode())


def position(cursor: str | None, job_id: str) -> int:
    """The place that a cursor names; none: the first. Raises Refusal (400)."""
    if not cursor:
        return 0
    try:
        job, _, place = base64.urlsafe_b64decode(cursor).decode().partition(":")
        if job == job_id:
            return max(0, int(place))
    except ValueError:
        pass
    raise bad_request("Invalid cursor.")
