"""The REST resources: which there are, what they need, and what each answers.

Every handler takes a request that was let in and answers with a status and bytes, or raises a Refusal. Knows no HTTP
library; the organisation's state is the simulator's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from simulator import aggregates, details, entities
from simulator.errors import Refusal, bad_request
from simulator.life import Life
from simulator.sign_in import Client
from simulator.times import text

if TYPE_CHECKING:
    from simulator.server import Simulator

MOST_IDS: Final = 100
_AGGREGATED_DAYS: Final = 31  # how long before the interval a conversation may have started
_AGGREGATE: Final = ("analytics:conversationAggregate:view",)
_DETAILS: Final = "/api/v2/analytics/conversations/details"
_VIEW: Final = ("analytics:conversationDetail:view", "analytics:agentConversationDetail:view")


class Request(NamedTuple):
    """A request of a client that has signed in. query: a name that comes several times has its values joined by `,`."""

    client: Client
    token: str
    path: str
    ids: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    now: datetime
    clock: float


class Answer(NamedTuple):
    """What is sent back; `body` is JSON, or empty."""

    status: int
    body: bytes


Handler = Callable[["Simulator", Request], Answer]


class Route(NamedTuple):
    """A resource. needs: permissions, any of which is enough."""

    method: str
    path: str
    needs: tuple[str, ...]
    handler: Handler


def told(value: object, status: int = 200) -> Answer:
    """A JSON answer."""
    return Answer(status, json.dumps(value, separators=(",", ":")).encode())


def decoded(body: bytes) -> Any:
    """A request's JSON. Raises Refusal (400)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400) from None


# The organisation


def _organization(simulator: Simulator, _: Request) -> Answer:
    return told(simulator.world.organization)


def _divisions(simulator: Simulator, request: Request) -> Answer:
    seen = request.client.divisions
    found = [one for one in simulator.world.divisions if seen is None or one["id"] in seen]
    return told(entities.page(found, request.query, request.path))


def _queues(simulator: Simulator, request: Request) -> Answer:
    found = entities.in_divisions(simulator.world.queues, request.client.divisions)
    if "name" in request.query:
        found = [one for one in found if request.query["name"].lower() in one["name"].lower()]
    return told(entities.page(found, request.query, request.path))


def _queue(simulator: Simulator, request: Request) -> Answer:
    return _one_of(simulator.world.queues, request)


def _users(simulator: Simulator, request: Request) -> Answer:
    state = request.query.get("state", "active")
    found = entities.in_divisions(simulator.world.users, request.client.divisions)
    found = [one for one in found if state == "any" or one["state"] == state]
    return told(entities.page(found, request.query, request.path))


def _user(simulator: Simulator, request: Request) -> Answer:
    return _one_of(simulator.world.users, request)


def _one_of(every: list[dict[str, Any]], request: Request) -> Answer:
    for one in entities.in_divisions(every, request.client.divisions):
        if one["id"] == request.ids["id"]:
            return told(one)
    raise Refusal(404)


def _sign_out(simulator: Simulator, request: Request) -> Answer:
    simulator.sign_in.revoke(request.token)
    return Answer(200, b"")


# Conversation details


def sees(client: Client, life: Life) -> bool:
    """Whether a client's divisions include one of the conversation's, and no part of the index is away that has it."""
    if client.misses is not None and client.misses(life.id):
        return False
    return client.divisions is None or not client.divisions.isdisjoint(life.record["divisionIds"])


def _query(simulator: Simulator, request: Request) -> Answer:
    query = details.parse(decoded(request.body))
    if simulator.drift is not None:
        simulator.drift(simulator, simulator.request_counts[f"POST {_DETAILS}/query"])

    def seen(life: Life) -> bool:
        return life.id not in simulator.hidden and sees(request.client, life)

    found = details.select(simulator.world, query, request.now, reading=simulator.reading, seen=seen)
    return Answer(200, details.answer(found, query, request.now, jitter=simulator.jitter, draw=simulator.draw))


def _by_ids(simulator: Simulator, request: Request) -> Answer:
    asked = dict.fromkeys(one for one in request.query.get("id", "").split(",") if one)
    if not asked:
        raise bad_request("At least one conversation id is needed.")
    if len(asked) > MOST_IDS:
        raise bad_request(f"At most {MOST_IDS} conversation ids can be asked for.")
    found = [life for one in asked if (life := _known(simulator, request, one)) is not None]
    if not found:
        return Answer(200, b"{}")
    return Answer(200, b'{"conversations":[%b]}' % b",".join(life.encoded(request.now) for life in found))


def _by_id(simulator: Simulator, request: Request) -> Answer:
    life = _known(simulator, request, request.ids["id"])
    if life is None:
        raise Refusal(404)
    return Answer(200, life.encoded(request.now))


def _known(simulator: Simulator, request: Request, conversation_id: str) -> Life | None:
    life = simulator.world.by_id.get(conversation_id)
    return life if life is not None and life.visible(request.now) and sees(request.client, life) else None


# Asynchronous jobs


def _submit(simulator: Simulator, request: Request) -> Answer:
    body = decoded(request.body)
    return told(simulator.jobs.submit(body, request.client.client_id, request.now, request.clock), 202)


def _status(simulator: Simulator, request: Request) -> Answer:
    _advance(simulator, request)
    return told(simulator.jobs.status(request.ids["id"], request.client.client_id))


def _results(simulator: Simulator, request: Request) -> Answer:
    _advance(simulator, request)
    return Answer(200, simulator.jobs.results(request.ids["id"], request.client.client_id, request.query))


def _cancel(simulator: Simulator, request: Request) -> Answer:
    _advance(simulator, request)
    simulator.jobs.cancel(request.ids["id"], request.client.client_id)
    return Answer(204, b"")


def _availability(simulator: Simulator, request: Request) -> Answer:
    return told({"dataAvailabilityDate": text(simulator.jobs.watermark(request.now))})


def _advance(simulator: Simulator, request: Request) -> None:
    def seen(life: Life, owner: str) -> bool:
        mine = owner == request.client.client_id
        return sees(request.client if mine else simulator.sign_in.client(owner), life)

    simulator.jobs.advance(simulator.world, request.now, request.clock, seen)


# Aggregates


def _aggregates(simulator: Simulator, request: Request) -> Answer:
    query = aggregates.parse(decoded(request.body))
    first = query.start - timedelta(days=_AGGREGATED_DAYS)
    lives = [
        life
        for life in simulator.world.between(first, query.end)
        if life.visible(request.now) and life.goes_on(query.start, request.now) and sees(request.client, life)
    ]
    return told(aggregates.answer(lives, query, request.now))


ROUTES: Final = (
    Route("GET", "/api/v2/organizations/me", (), _organization),
    Route("GET", "/api/v2/authorization/divisions", ("authorization:division:view",), _divisions),
    Route("GET", "/api/v2/routing/queues", ("routing:queue:view",), _queues),
    Route("GET", "/api/v2/routing/queues/{id}", ("routing:queue:view",), _queue),
    Route("GET", "/api/v2/users", ("directory:user:view",), _users),
    Route("GET", "/api/v2/users/{id}", ("directory:user:view",), _user),
    Route("DELETE", "/api/v2/tokens/me", (), _sign_out),
    Route("POST", f"{_DETAILS}/query", _VIEW, _query),
    Route("POST", "/api/v2/analytics/conversations/aggregates/query", _AGGREGATE, _aggregates),
    Route("GET", _DETAILS, _VIEW, _by_ids),
    Route("POST", f"{_DETAILS}/jobs", _VIEW, _submit),
    Route("GET", f"{_DETAILS}/jobs/availability", _VIEW[:1], _availability),
    Route("GET", f"{_DETAILS}/jobs/{{id}}", _VIEW, _status),
    Route("DELETE", f"{_DETAILS}/jobs/{{id}}", _VIEW, _cancel),
    Route("GET", f"{_DETAILS}/jobs/{{id}}/results", _VIEW, _results),
    Route("GET", "/api/v2/analytics/conversations/{id}/details", _VIEW, _by_id),
)
