"""The platform's API as far as rollbook uses it: paths, bodies, permissions, and what the answers look like.

How a request is made (pacing, retries, sign-in, errors) is `genesys/rest.py`'s. Answers are read leniently: what is
absent is empty, and what is unknown is left alone. Every method raises ApiError and its kinds, and ConnectionLost.
"""

from __future__ import annotations

import asyncio
import random as randomness
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from genesys.detail import DetailRow, DetailsPage, parse_page, parse_results, refuse_others
from genesys.errors import Unavailable
from genesys.http import Limits
from genesys.rest import Count, Latency, Rest, counting
from genesys.settings import Secret, Settings
from genesys.times import normalize

__all__ = [
    "Api",
    "AvailableTopic",
    "Channel",
    "Count",
    "Entities",
    "Entity",
    "Job",
    "Latency",
    "Organization",
    "TopicState",
    "counting",
]

DETAIL_VIEW: Final = "analytics:conversationDetail:view"
_CONVERSATIONS: Final = "/api/v2/analytics/conversations"
_CHANNELS: Final = "/api/v2/notifications/channels"
_SUBSCRIPTIONS: Final = f"{_CHANNELS}/{{channelId}}/subscriptions"
_PAGE_SIZE: Final = 100
# A list that does not end is an error of the server's: nobody has 200,000 queues.
_MOST_PAGES: Final = 2_000


@dataclass(frozen=True, slots=True)
class Organization:
    """The organisation that the token belongs to."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Entity:
    """A queue, a user or a division."""

    id: str
    name: str


class Entities(list[Entity]):
    """A list of the platform's, read to its end. complete: False where it counts more than it showed, twice."""

    complete: bool = True


@dataclass(frozen=True, slots=True)
class Channel:
    """A notification channel. Its id and address are as good as a password. expires: API text, or "" if not told.

    token_lasts: seconds from its creation until the token that made it ends; None where that is not known.
    """

    id: Secret
    connect_uri: Secret
    expires: str
    token_lasts: float | None = None


@dataclass(frozen=True, slots=True)
class TopicState:
    """What became of one subscription."""

    id: str
    permitted: bool
    reason: str | None
    missing_permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AvailableTopic:
    """A topic template. transports: All, Websocket, EventBridge, ProcessAutomation; empty where not told."""

    id: str
    transports: tuple[str, ...]
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """An asynchronous query. state: QUEUED PENDING FAILED CANCELLED FULFILLED EXPIRED, or a newer word."""

    id: str
    state: str
    error_message: str | None


class Api:
    """One organisation's API; an async context manager. Arguments as `Rest` takes them."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: randomness.Random | None = None,
        share: float = 1.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: Limits | None = None,
    ) -> None:
        self._rest = Rest(settings, clock=clock, sleep=sleep, random=random, share=share, now=now, limits=limits)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._rest.close()

    @property
    def clock_skew(self) -> float | None:
        """By how many seconds our clock is ahead of the platform's (to about one); None before the first answer."""
        return self._rest.clock_skew

    def now(self) -> datetime:
        """The platform's time: it is this or later. Our own clock's (`now`) until an answer's `Date` is known."""
        return self._rest.now()

    def requests_left(self) -> int:
        """Requests that the rate limit has left for us in this minute, as far as is known."""
        return self._rest.budget_left

    @property
    def latency(self) -> Latency:
        """How long answers took."""
        return self._rest.latency

    # The organisation

    async def organization(self) -> Organization:
        """Whose token this is."""
        return await self._rest.call("GET", "/api/v2/organizations/me", parse=_organization)

    async def queues(self) -> Entities:
        """Every queue that the client can see."""
        return await self._entities("/api/v2/routing/queues", needs="routing:queue:view")

    async def users(self) -> Entities:
        """Every active user that the client can see."""
        return await self._entities("/api/v2/users", needs="directory:user:view")

    async def divisions(self) -> Entities:
        """Every division that the client can see."""
        return await self._entities("/api/v2/authorization/divisions", needs="authorization:division:view")

    async def _entities(self, path: str, *, needs: str) -> Entities:
        listing = _Listing(path)
        await self._read_list(listing, needs=needs)
        if listing.fewer:  # pages may have moved while they were read: what either reading shows is there
            await self._read_list(listing, needs=needs)
        entities = Entities(listing.found.values())
        entities.complete = not listing.fewer
        return entities

    async def _read_list(self, listing: _Listing, *, needs: str) -> None:
        listing.begin()
        while (number := listing.next) is not None:
            params = {"pageSize": _PAGE_SIZE, "pageNumber": number}
            parse = _first_page if number == 1 else _later_page
            page = await self._rest.call("GET", listing.path, parse=parse, params=params, needs=needs)
            if listing.doubts(page):
                page = await self._rest.call("GET", listing.path, parse=parse, params=params, needs=needs)
            listing.take(page)

    # Conversation details

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        """One page of the details query. body: as the API takes it, `paging` included. tries: as `Rest.call` has it."""
        return await self._rest.call(
            "POST", f"{_CONVERSATIONS}/details/query", parse=parse_page, body=body, needs=DETAIL_VIEW, tries=tries
        )

    async def details_by_id(self, ids: Sequence[str], *, tries: int | None = None) -> list[DetailRow]:
        """The details of up to 100 conversations; what does not exist, or cannot be seen, is not among them.

        An id that may not be asked for (`genesys/ids.py`) spoils the others of its request.
        """
        if not ids:
            return []
        page = await self._rest.call(
            "GET", f"{_CONVERSATIONS}/details", parse=parse_page, params={"id": ",".join(ids)}, needs=DETAIL_VIEW,
            tries=tries,
        )  # fmt: skip
        return list(page.rows)

    async def aggregates(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """An aggregates query, decoded. Takes a permission of its own, analytics:conversationAggregate:view."""
        return await self._rest.call(
            "POST", f"{_CONVERSATIONS}/aggregates/query", parse=_aggregates, body=body,
            needs="analytics:conversationAggregate:view",
        )  # fmt: skip

    # Asynchronous jobs

    async def create_job(self, body: Mapping[str, Any]) -> str:
        """Start an asynchronous details query; answers its id. body: `interval`, filters, no `paging`."""
        return await self._rest.call(
            "POST", f"{_CONVERSATIONS}/details/jobs", parse=_job_id, body=body, needs=DETAIL_VIEW
        )

    async def job(self, job_id: str) -> Job:
        """How far a job is."""
        told = await self._rest.call(
            "GET", f"{_CONVERSATIONS}/details/jobs/{{jobId}}", parse=_job, ids={"jobId": job_id}, needs=DETAIL_VIEW
        )
        return Job(job_id, _text(told.get("state")), _text(told.get("errorMessage")) or None)

    async def job_results(
        self,
        job_id: str,
        cursor: str | None = None,
        *,
        size: int | None = None,
        tries: int | None = None,
        page_size: int = 1000,
    ) -> DetailsPage:
        """One page of a job's results, its rows decoded when they are looked at; the last has no cursor.

        size (or page_size): rows a page.
        """
        params: dict[str, Any] = {"pageSize": size or page_size} | ({"cursor": cursor} if cursor else {})
        return await self._rest.call(
            "GET", f"{_CONVERSATIONS}/details/jobs/{{jobId}}/results", parse=parse_results, ids={"jobId": job_id},
            params=params, needs=DETAIL_VIEW, tries=tries,
        )  # fmt: skip

    async def cancel_job(self, job_id: str) -> None:
        """Take a job back."""
        await self._rest.call(
            "DELETE", f"{_CONVERSATIONS}/details/jobs/{{jobId}}", parse=_nothing, ids={"jobId": job_id},
            needs=DETAIL_VIEW,
        )  # fmt: skip

    async def data_availability(self) -> str | None:
        """The jobs' watermark, as API text: what is older is in their data. None where it is not told."""
        told = await self._rest.call(
            "GET", f"{_CONVERSATIONS}/details/jobs/availability", parse=_availability, needs=DETAIL_VIEW
        )
        return normalize(told.get("dataAvailabilityDate"))

    # Notifications

    async def available_topics(self) -> list[AvailableTopic]:
        """Every topic template, with its transports and permissions."""
        params = {"expand": ["transports", "permissionDetails", "requiresPermissions"]}
        told = await self._listed("/api/v2/notifications/availabletopics", params=params)
        return [_available_topic(one) for one in told if _text(one.get("id"))]

    async def create_channel(self) -> Channel:
        """A new channel. The 21st of an OAuth client takes the place of another.

        Whether it outlives its token is not documented, so it is made with one that lasts.
        """
        await self._rest.freshen()
        channel = await self._rest.call("POST", _CHANNELS, parse=_new_channel, once=True)
        return replace(channel, token_lasts=self._rest.token_lasts)

    async def channels(self) -> list[Channel]:
        """Every channel of this OAuth client; those of other tokens without an id."""
        params = {"includechannels": "oauthclient"}
        return [_channel(one) for one in await self._listed(_CHANNELS, params=params)]

    async def subscriptions(self, channel: Channel) -> list[str]:
        """The topics that a channel hears: what is listed as rejected is not among them."""
        listed = await self._listed(_SUBSCRIPTIONS, ids={"channelId": channel.id})
        topics = [_text(one.get("id")) for one in listed if one.get("state") != "Rejected"]
        return [topic for topic in topics if topic]

    async def _listed(self, path: str, **asked: Any) -> list[dict[str, Any]]:
        """The objects of a list that has no pages. `{}` is asked again: two of them are an empty list."""
        listed = await self._rest.call("GET", path, parse=_list, **asked)
        if listed is None:
            listed = await self._rest.call("GET", path, parse=_list, **asked)
        return listed or []

    async def replace_subscriptions(
        self, channel: Channel, topics: Sequence[str], *, ignore_errors: bool = True
    ) -> list[TopicState]:
        """Make these the channel's topics (1,000 at most), which prolongs its life too. Raises NotFound: it is gone."""
        return await self._subscribe("PUT", channel, topics, ignore_errors)

    async def add_subscriptions(
        self, channel: Channel, topics: Sequence[str], *, ignore_errors: bool = True
    ) -> list[TopicState]:
        """Add topics to the channel's. Raises NotFound: it is gone."""
        return await self._subscribe("POST", channel, topics, ignore_errors)

    async def _subscribe(
        self, method: str, channel: Channel, topics: Sequence[str], ignore_errors: bool
    ) -> list[TopicState]:
        told = await self._rest.call(
            method, _SUBSCRIPTIONS, parse=_list, ids={"channelId": channel.id},
            params={"ignoreErrors": str(ignore_errors).lower()}, body=[{"id": topic} for topic in topics],
        )  # fmt: skip
        return [_topic_state(one, channel.id) for one in told or () if _text(one.get("id"))]

    async def remove_subscriptions(self, channel: Channel) -> None:
        """Take every topic off a channel: the nearest to deleting one that the API has."""
        await self._rest.call("DELETE", _SUBSCRIPTIONS, parse=_nothing, ids={"channelId": channel.id})


# Reading answers. Each raises ValueError for a body that is broken, which makes the request worth repeating.


def _object(body: bytes) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(body)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(told, dict):
        raise ValueError("it is no JSON object")
    return told


def _known(body: bytes, *members: str) -> dict[str, Any]:
    """An object that has one of these members, or is `{}`: the body of an error, with status 200, is no answer."""
    told = _object(body)
    if not any(told.get(name) for name in members):
        refuse_others(body, frozenset(members))
    return told


def _organization(body: bytes) -> Organization:
    told = _object(body)
    # Without it the store would belong to nobody, and so to everybody.
    if not _text(told.get("id")).strip():
        raise ValueError("the organization has no id")
    return Organization(_text(told.get("id")), _text(told.get("name")))


def _aggregates(body: bytes) -> dict[str, Any]:
    told = _known(body, "results")
    if not isinstance(told.get("results", []), list | None):
        raise ValueError("its results are no list")
    return told


def _job(body: bytes) -> dict[str, Any]:
    told = _object(body)
    if not _text(told.get("state")):
        raise ValueError("the job has no state")
    return told


def _availability(body: bytes) -> dict[str, Any]:
    return _known(body, "dataAvailabilityDate")


_OF_A_LIST: Final = (
    "entities", "pageSize", "pageNumber", "pageCount", "total", "firstUri", "lastUri", "previousUri", "nextUri",
    "selfUri",
)  # fmt: skip


def _list(body: bytes) -> list[dict[str, Any]] | None:
    """The objects of a list; None for `{}`."""
    told = _known(body, *_OF_A_LIST)
    if not told:
        return None
    if not isinstance(told.get("entities"), list):
        raise ValueError("it has no list of entities")
    if not told["entities"]:
        refuse_others(body, frozenset(_OF_A_LIST))
    return _objects(told["entities"])


@dataclass(frozen=True, slots=True)
class _ListPage:
    """One page of a list. count, total: of pages and entities, None where they are not given."""

    entities: list[Entity]
    nameless: int  # entities without an id
    count: int | None
    total: int | None
    more: bool  # there is an address of a next page


def _first_page(body: bytes) -> _ListPage:
    return _list_page(body, first=True)


def _later_page(body: bytes) -> _ListPage:
    return _list_page(body, first=False)


def _list_page(body: bytes, *, first: bool) -> _ListPage:
    told = _known(body, *_OF_A_LIST)
    items, count, total = told.get("entities"), _count(told.get("pageCount")), _count(told.get("total"))
    if items is None and not (total == 0 or (not told and not first)):
        raise ValueError("it has no entities")
    if not isinstance(items, list | None):
        raise ValueError("its entities are no list")
    if not items:
        refuse_others(body, frozenset(_OF_A_LIST))
    objects = _objects(items)
    entities = [Entity(identity, _text(one.get("name"))) for one in objects if (identity := _text(one.get("id")))]
    return _ListPage(entities, len(items or ()) - len(entities), count, total, bool(_text(told.get("nextUri"))))


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


class _Listing:
    """A list that is read page by page: what was found, and which page is next. It ends where the platform says so.

    That is the page that `pageCount` names, whatever lies before it: permissions can empty a page. Where nothing counts
    the pages, the last is one without the next one's address if others have had it; else an empty one, seen twice.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.found: dict[str, Entity] = {}
        self.begin()

    def begin(self) -> None:
        """Read it from its start; what was found stays."""
        self.next: int | None = 1
        self._count: int | None = None
        self._linked = False
        self._total: int | None = None
        self._nameless = 0
        self._former: list[str] = []

    @property
    def fewer(self) -> bool:
        """Whether fewer were found than the platform counts."""
        return self._total is not None and len(self.found) + self._nameless < self._total

    def doubts(self, page: _ListPage) -> bool:
        """Whether a page is worth asking for a second time: it is the former one again, or nothing without a word."""
        silent = not page.entities and not page.nameless and page.total is None and page.count is None
        return silent or self._repeats(page)

    def _repeats(self, page: _ListPage) -> bool:
        return bool(page.entities) and [one.id for one in page.entities] == self._former

    def take(self, page: _ListPage) -> None:
        """A page was answered. Raises Unavailable for a list that does not end."""
        assert self.next is not None
        if self._repeats(page):
            self._refuse("shows the same page again and again")
        self.found |= {one.id: one for one in page.entities}
        self._former = [one.id for one in page.entities]
        self._nameless += page.nameless
        self._total = self._total if page.total is None else page.total
        # The most that was said: one answer that says less would cut the list.
        self._count = max((one for one in (self._count, page.count) if one is not None), default=None)
        self._linked = self._linked or page.more
        if self._ends(page, self.next):
            self.next = None
        elif self.next >= _MOST_PAGES:
            self._refuse(f"does not end within {_MOST_PAGES:,} pages")
        else:
            self.next += 1

    def _ends(self, page: _ListPage, number: int) -> bool:
        if self._count is not None:
            return number >= self._count
        if self._linked:
            return not page.more
        return not page.entities and not page.nameless

    def _refuse(self, why: str) -> None:
        raise Unavailable(
            f"the platform's list {why}; try again later", status=200, method="GET", path=self.path, narrower=False
        )


def _nothing(body: bytes) -> None:
    """Some answers have a body and some have none; neither matters."""


def _objects(items: object) -> list[dict[str, Any]]:
    return [one for one in items if isinstance(one, dict)] if isinstance(items, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(values: object) -> tuple[str, ...]:
    return tuple(one for one in values if isinstance(one, str)) if isinstance(values, list) else ()


def _job_id(body: bytes) -> str:
    identity = _text(_object(body).get("jobId"))
    if not identity:
        raise ValueError("it has no jobId")
    return identity


def _channel(told: Mapping[str, Any]) -> Channel:
    return Channel(
        Secret(_text(told.get("id"))), Secret(_text(told.get("connectUri"))), normalize(told.get("expires")) or ""
    )  # fmt: skip


def _new_channel(body: bytes) -> Channel:
    channel = _channel(_object(body))
    if not channel.id or not channel.connect_uri:
        raise ValueError("it has no id or no connectUri")
    return channel


def _topic_state(told: Mapping[str, Any], secret: Secret) -> TopicState:
    # Without `ignoreErrors` the state may be absent, and is then Permitted (the platform's own streaming client).
    return TopicState(
        _text(told.get("id")),
        told.get("state", "Permitted") != "Rejected",
        secret.hide(_text(told.get("rejectionReason"))) or None,
        _texts(told.get("missingPermissions")),
    )


def _available_topic(told: Mapping[str, Any]) -> AvailableTopic:
    detailed = (name for one in _objects(told.get("permissionDetails")) for name in _texts(one.get("permissions")))
    permissions = dict.fromkeys((*detailed, *_texts(told.get("requiresPermissions"))))
    return AvailableTopic(_text(told.get("id")), _texts(told.get("transports")), tuple(permissions))
