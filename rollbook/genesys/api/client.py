"""The platform's API as far as rollbook uses it: paths, bodies, permissions, and what the answers look like.

How a request is made (pacing, retries, sign-in, errors) is `rollbook/genesys/api/request.py`'s. Answers are read
leniently: what is absent is empty, and what is unknown is left alone. Every method raises ApiError and its kinds, and
ConnectionLost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, NamedTuple, Self, TypeVar

from rollbook.genesys.api.answers import known, object_of
from rollbook.genesys.api.listing import MOST_PAGES, Entities, Entity, Listing, endless, list_page, whole_list
from rollbook.genesys.api.request import Rest
from rollbook.genesys.errors import PermissionRefused
from rollbook.genesys.lenient_json import number, objects, text, texts
from rollbook.genesys.messages.details import DetailRow, DetailsPage, parse_page, parse_results
from rollbook.genesys.named import NameKind, NameList, NameState
from rollbook.genesys.privacy.redaction import Redactor
from rollbook.genesys.program.settings import Secret
from rollbook.genesys.times import normalize

T = TypeVar("T")
DETAIL_VIEW: Final = "analytics:conversationDetail:view"
_CONVERSATIONS: Final = "/api/v2/analytics/conversations"
_CHANNELS: Final = "/api/v2/notifications/channels"
_SUBSCRIPTIONS: Final = f"{_CHANNELS}/{{channelId}}/subscriptions"
_PAGE_SIZE: Final = 100


class Organization(NamedTuple):
    """The organisation that the token belongs to."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class NotificationChannel:
    """A notification channel. Its id and address are as good as a password. expires: API text, or "" if not given.

    token_lasts: seconds from its creation until the token that made it ends; None where that is not known.
    """

    id: Secret
    connect_uri: Secret
    expires: str
    token_lasts: float | None = None


@dataclass(frozen=True, slots=True)
class TopicState:
    """The platform's answer to a subscription."""

    id: str
    permitted: bool
    reason: str | None
    missing_permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AvailableTopic:
    """A topic template. transports: All, Websocket, EventBridge, ProcessAutomation; empty where not given."""

    id: str
    transports: tuple[str, ...]
    permissions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DetailsJob:
    """An asynchronous query. state: QUEUED PENDING FAILED CANCELLED FULFILLED EXPIRED, or a newer word."""

    id: str
    state: str
    error_message: str | None


class Api(Rest):
    """The API of an organisation; an async context manager. Made as `Rest` is."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # The organisation

    async def organization(self) -> Organization:
        """Whose token this is."""
        return await self.call("GET", "/api/v2/organizations/me", parse=_organization)

    async def retention_days(self, *, tries: int | None = None) -> int | None:
        """How long the organisation keeps its conversations, in days; None where it has set no limit."""
        path, needs = "/api/v2/analytics/dataretention/settings", "analytics:dataRetention:view"
        return await self.call("GET", path, parse=_retention_days, needs=needs, tries=tries)

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
        listing = Listing(path)
        await self._read_list(listing, needs=needs)
        if listing.fewer:  # pages may have moved while they were read: what either reading shows is there
            await self._read_list(listing, needs=needs)
        entities = Entities(listing.found.values())
        entities.complete = not listing.fewer
        return entities

    async def names(self, of: NameList) -> Entities:
        """Everything of a kind that the client can see, and what of it was deleted where that is listed.

        Read once: ⌈n/100⌉ requests, and as few for the list of the deleted ones, which is left out where the client
        may not see it.
        """
        if of.cursor:
            return self._redacted(await self._by_cursor(of), of)
        entities = await self._read_once(of.path, needs=of.permission, params=of.params)
        if of.deleted is not None:
            path, needs = of.deleted
            with suppress(PermissionRefused):
                there = {entity.id for entity in entities}
                gone = await self._read_once(path, needs=needs, params={})
                entities += [replace(each, state=NameState.DELETED) for each in gone if each.id not in there]
        return self._redacted(entities, of)

    def _redacted(self, entities: Entities, of: NameList) -> Entities:
        """The same, users by the names that `[privacy]` leaves them; who has none is called by an id."""
        if self._redactor is None or of.kind is not NameKind.USER:
            return entities
        named = self._redactor.agent_name
        found = Entities(replace(each, name=named(each.name) or each.id) for each in entities)
        found.complete = entities.complete
        return found

    async def names_by_id(self, of: NameList, ids: Sequence[str]) -> Entities:
        """Those of up to 100 ids that there are, in one request."""
        params = {**of.params, "pageSize": _PAGE_SIZE, "pageNumber": 1, "id": list(ids)}
        parse = partial(list_page, first=False)
        page = await self.call("GET", of.path, parse=parse, params=params, needs=of.permission)
        # A server that does not know the parameter answers with everything.
        return self._redacted(Entities(entity for entity in page.entities if entity.id in ids), of)

    async def probe(self, of: NameList) -> None:
        """Ask for one thing of a kind. Raises PermissionRefused where the client may not."""
        params = {**of.params, "pageSize": 1} | ({} if of.cursor else {"pageNumber": 1})
        await self.call("GET", of.path, parse=partial(list_page, first=True), params=params, needs=of.permission)

    async def _read_once(self, path: str, *, needs: str, params: Mapping[str, str]) -> Entities:
        listing = Listing(path)
        await self._read_list(listing, needs=needs, more=params)
        entities = Entities(listing.found.values())
        entities.complete = not listing.fewer
        return entities

    async def _by_cursor(self, of: NameList) -> Entities:
        """Read a list whose pages name the cursor of the next; it ends with a page that names none."""
        found: dict[str, Entity] = {}
        cursors: set[str] = set()
        params: dict[str, Any] = {**of.params, "pageSize": _PAGE_SIZE}
        while True:
            parse = partial(list_page, first=not cursors)
            page = await self.call("GET", of.path, parse=parse, params=params, needs=of.permission)
            found |= {entity.id: entity for entity in page.entities}
            if page.after is None:
                entities = Entities(found.values())
                entities.complete = not page.more
                return entities
            if page.after in cursors or len(cursors) >= MOST_PAGES:
                raise endless(of.path, "names a page that it has shown")
            cursors.add(page.after)
            params["after"] = page.after

    async def _read_list(self, listing: Listing, *, needs: str, more: Mapping[str, str] | None = None) -> None:
        listing.begin()
        while (number := listing.next) is not None:
            params = {**(more or {}), "pageSize": _PAGE_SIZE, "pageNumber": number}
            parse = partial(list_page, first=number == 1)
            page = await self.call("GET", listing.path, parse=parse, params=params, needs=needs)
            if listing.doubts(page):
                page = await self.call("GET", listing.path, parse=parse, params=params, needs=needs)
            listing.take(page)

    # Conversation details

    async def query_details(self, body: Mapping[str, Any], *, tries: int | None = None) -> DetailsPage:
        """A page of the details query. body: as the API takes it, `paging` included. tries: as `Rest.call` has it."""
        return await self._details("POST", "/query", partial(parse_page, redact=self._redact), body=body, tries=tries)

    async def details_by_id(self, ids: Sequence[str], *, tries: int | None = None) -> list[DetailRow]:
        """The details of up to 100 conversations; what does not exist, or cannot be seen, is not among them.

        An id that may not be asked for (`rollbook/genesys/ids.py`) spoils the others of its request.
        """
        if not ids:
            return []
        page = await self._details(
            "GET", "", partial(parse_page, redact=self._redact), params={"id": ",".join(ids)}, tries=tries
        )
        return list(page.rows)

    async def _details(self, method: str, path: str, parse: Callable[[bytes], T], **asked: Any) -> T:
        return await self.call(method, f"{_CONVERSATIONS}/details{path}", parse=parse, needs=DETAIL_VIEW, **asked)

    async def aggregates(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """An aggregates query, decoded. Takes a permission of its own, analytics:conversationAggregate:view."""
        path, needs = f"{_CONVERSATIONS}/aggregates/query", "analytics:conversationAggregate:view"
        return await self.call("POST", path, parse=_aggregates, body=body, needs=needs)

    # Asynchronous jobs

    async def create_job(self, body: Mapping[str, Any]) -> str:
        """Start an asynchronous details query; answers its id. body: `interval`, filters, no `paging`."""
        return await self._details("POST", "/jobs", _job_id, body=body)

    async def job(self, job_id: str) -> DetailsJob:
        """The state of a job."""
        answer = await self._details("GET", "/jobs/{jobId}", _job, ids={"jobId": job_id})
        said = text(answer.get("errorMessage"))
        if said and self._redactor is not None:
            said = self._redactor.error(said)
        return DetailsJob(job_id, text(answer.get("state")), said or None)

    async def job_results(
        self, job_id: str, cursor: str | None = None, *, size: int = 1000, tries: int | None = None
    ) -> DetailsPage:
        """Read a page of a job's results, its rows decoded when they are looked at; the last has no cursor.

        size: rows a page.
        """
        params: dict[str, Any] = {"pageSize": size} | ({"cursor": cursor} if cursor else {})
        ids = {"jobId": job_id}
        return await self._details(
            "GET",
            "/jobs/{jobId}/results",
            partial(parse_results, redact=self._redact),
            ids=ids,
            params=params,
            tries=tries,
        )

    async def cancel_job(self, job_id: str) -> None:
        """Take a job back. Some answers have a body and some have none; neither matters."""
        await self._details("DELETE", "/jobs/{jobId}", lambda _: None, ids={"jobId": job_id})

    async def data_availability(self) -> str | None:
        """The jobs' watermark, as API text: what is older is in their data. None where it is not given."""
        answer = await self._details("GET", "/jobs/availability", lambda body: known(body, "dataAvailabilityDate"))
        return normalize(answer.get("dataAvailabilityDate"))

    # Notifications

    async def available_topics(self) -> list[AvailableTopic]:
        """Every topic template, with its transports and permissions."""
        params = {"expand": ["transports", "permissionDetails", "requiresPermissions"]}
        listed = await self._listed("/api/v2/notifications/availabletopics", params=params)
        return [_available_topic(topic) for topic in listed if text(topic.get("id"))]

    async def create_channel(self) -> NotificationChannel:
        """A new channel. The 21st of an OAuth client takes the place of another.

        Whether it outlives its token is not documented, so it is made with one that lasts.
        """
        await self.freshen()
        channel = await self.call("POST", _CHANNELS, parse=_new_channel, once=True)
        return replace(channel, token_lasts=self.token_lasts)

    async def channels(self) -> list[NotificationChannel]:
        """Every channel of this OAuth client; those of other tokens without an id."""
        params = {"includechannels": "oauthclient"}
        return [_channel(channel) for channel in await self._listed(_CHANNELS, params=params)]

    async def subscriptions(self, channel: NotificationChannel) -> list[str]:
        """The topics that a channel hears: what is listed as rejected is not among them."""
        listed = await self._listed(_SUBSCRIPTIONS, ids={"channelId": channel.id})
        topics = [text(subscription.get("id")) for subscription in listed if subscription.get("state") != "Rejected"]
        return [topic for topic in topics if topic]

    async def _listed(self, path: str, **asked: Any) -> list[dict[str, Any]]:
        """The objects of a list that has no pages. `{}` is asked again: two of them are an empty list."""
        listed = await self.call("GET", path, parse=whole_list, **asked)
        if listed is None:
            listed = await self.call("GET", path, parse=whole_list, **asked)
        return listed or []

    async def subscribe(
        self, channel: NotificationChannel, topics: Sequence[str], *, replace: bool
    ) -> list[TopicState]:
        """Make these the channel's topics (1,000 at most), or add them, which prolongs its life too.

        Raises NotFound: the channel is gone.
        """
        answered = await self.call(
            "PUT" if replace else "POST",
            _SUBSCRIPTIONS,
            parse=whole_list,
            ids={"channelId": channel.id},
            params={"ignoreErrors": "true"},
            body=[{"id": topic} for topic in topics],
        )
        found = [_topic_state(state, channel.id) for state in answered or () if text(state.get("id"))]
        return found if self._redactor is None else [_as_kept(each, self._redactor) for each in found]


# Reading answers. Each raises ValueError for a body that is broken, which makes the request worth repeating.


def _organization(body: bytes) -> Organization:
    answer = object_of(body)
    # Without it the store would belong to nobody, and so to everybody.
    if not text(answer.get("id")).strip():
        raise ValueError("the organization has no id")
    return Organization(text(answer.get("id")), text(answer.get("name")))


def _retention_days(body: bytes) -> int | None:
    said = known(body, "retentionDays").get("retentionDays")
    if said is None or said == 0:
        return None  # kept as long as the contract lasts
    days = number(said)
    if days is None or days < 1:
        raise ValueError("its retentionDays are no number of days")
    return int(days)


def _aggregates(body: bytes) -> dict[str, Any]:
    answer = known(body, "results")
    if not isinstance(answer.get("results", []), list | None):
        raise ValueError("its results are no list")
    return answer


def _job(body: bytes) -> dict[str, Any]:
    answer = object_of(body)
    if not text(answer.get("state")):
        raise ValueError("the job has no state")
    return answer


def _job_id(body: bytes) -> str:
    identity = text(object_of(body).get("jobId"))
    if not identity:
        raise ValueError("it has no jobId")
    return identity


def _channel(listed: Mapping[str, Any]) -> NotificationChannel:
    return NotificationChannel(
        Secret(text(listed.get("id"))), Secret(text(listed.get("connectUri"))), normalize(listed.get("expires")) or ""
    )


def _new_channel(body: bytes) -> NotificationChannel:
    channel = _channel(object_of(body))
    if not channel.id or not channel.connect_uri:
        raise ValueError("it has no id or no connectUri")
    return channel


def _topic_state(listed: Mapping[str, Any], secret: Secret) -> TopicState:
    # Without `ignoreErrors` the state may be absent, and is then Permitted (the platform's own streaming client).
    return TopicState(
        text(listed.get("id")),
        listed.get("state", "Permitted") != "Rejected",
        secret.hide(text(listed.get("rejectionReason"))) or None,
        tuple(texts(listed.get("missingPermissions"))),
    )


def _as_kept(state: TopicState, redactor: Redactor) -> TopicState:
    return state if state.reason is None else replace(state, reason=redactor.error(state.reason))


def _available_topic(listed: Mapping[str, Any]) -> AvailableTopic:
    detailed = (
        name for detail in objects(listed.get("permissionDetails")) for name in texts(detail.get("permissions"))
    )
    permissions = dict.fromkeys((*detailed, *texts(listed.get("requiresPermissions"))))
    return AvailableTopic(text(listed.get("id")), tuple(texts(listed.get("transports"))), tuple(permissions))
