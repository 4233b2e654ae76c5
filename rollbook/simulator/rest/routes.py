"""The REST resources: which there are, what they need, and what each answers.

Every handler takes a request that was let in and answers with a status and bytes, or raises a Refusal. Knows no HTTP
library; the organisation's state is the simulator's.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.rest import tokens
from rollbook.simulator.rest.analytics import aggregates_query, details_query, observations_query
from rollbook.simulator.rest.entities import authorization, conversations, named_lists, routing, users
from rollbook.simulator.rest.errors import Refusal, bad_request
from rollbook.simulator.rest.resources import JsonAnswer, Organisation, Request, Route, decoded, json_answer, sees
from rollbook.simulator.times import text

__all__ = ["ROUTES", "JsonAnswer", "Request", "Route", "sees"]

MOST_IDS: Final = 100
_AGGREGATED_DAYS: Final = 31  # how long before the interval a conversation may have started
_AGGREGATE: Final = ("analytics:conversationAggregate:view",)
_DETAILS: Final = "/api/v2/analytics/conversations/details"
_VIEW: Final = ("analytics:conversationDetail:view", "analytics:agentConversationDetail:view")


# Conversation details


def _query(organisation: Organisation, request: Request) -> JsonAnswer:
    query = details_query.parse(decoded(request.body))
    organisation.before_details_query()

    def seen(conversation: Conversation) -> bool:
        return conversation.id not in organisation.hidden and sees(request.client, conversation)

    found = details_query.select(organisation.world, query, request.now, reading=organisation.reading, seen=seen)
    return JsonAnswer(
        200,
        details_query.answer(
            found, query, request.now, jitter=organisation.jitter, draw=organisation.draw, paging=organisation.paging
        ),
    )


def _by_ids(organisation: Organisation, request: Request) -> JsonAnswer:
    asked = dict.fromkeys(identity for identity in request.query.get("id", "").split(",") if identity)
    if not asked:
        raise bad_request("At least one conversation id is needed.")
    if len(asked) > MOST_IDS:
        raise bad_request(f"At most {MOST_IDS} conversation ids can be asked for.")
    found = [
        conversation for identity in asked if (conversation := _known(organisation, request, identity)) is not None
    ]
    if not found:
        return JsonAnswer(200, b"{}")
    return JsonAnswer(
        200, b'{"conversations":[%b]}' % b",".join(conversation.encoded(request.now) for conversation in found)
    )


def _by_id(organisation: Organisation, request: Request) -> JsonAnswer:
    conversation = _known(organisation, request, request.ids["id"])
    if conversation is None:
        raise Refusal(404)
    return JsonAnswer(200, conversation.encoded(request.now))


def _known(organisation: Organisation, request: Request, conversation_id: str) -> Conversation | None:
    conversation = organisation.world.by_id.get(conversation_id)
    return (
        conversation
        if conversation is not None and conversation.visible(request.now) and sees(request.client, conversation)
        else None
    )


# Asynchronous jobs


def _submit(organisation: Organisation, request: Request) -> JsonAnswer:
    body = decoded(request.body)
    return json_answer(organisation.jobs.submit(body, request.client.client_id, request.now, request.clock), 202)


def _status(organisation: Organisation, request: Request) -> JsonAnswer:
    _advance(organisation, request)
    return json_answer(organisation.jobs.status(request.ids["id"], request.client.client_id))


def _results(organisation: Organisation, request: Request) -> JsonAnswer:
    _advance(organisation, request)
    return JsonAnswer(200, organisation.jobs.results(request.ids["id"], request.client.client_id, request.query))


def _cancel(organisation: Organisation, request: Request) -> JsonAnswer:
    _advance(organisation, request)
    organisation.jobs.cancel(request.ids["id"], request.client.client_id)
    return JsonAnswer(204, b"")


def _availability(organisation: Organisation, request: Request) -> JsonAnswer:
    return json_answer({"dataAvailabilityDate": text(organisation.jobs.watermark(request.now))})


def _advance(organisation: Organisation, request: Request) -> None:
    def seen(conversation: Conversation, owner: str) -> bool:
        mine = owner == request.client.client_id
        return sees(request.client if mine else organisation.sign_in.client(owner), conversation)

    organisation.jobs.advance(organisation.world, request.now, request.clock, seen)


# Aggregates


def _aggregates(organisation: Organisation, request: Request) -> JsonAnswer:
    query = aggregates_query.parse(decoded(request.body))
    first = query.start - timedelta(days=_AGGREGATED_DAYS)
    found = [
        conversation
        for conversation in organisation.world.between(first, query.end)
        if conversation.visible(request.now)
        and conversation.goes_on(query.start, request.now)
        and sees(request.client, conversation)
    ]
    return json_answer(aggregates_query.answer(found, query, request.now))


ROUTES: Final = (
    *authorization.ROUTES,
    *routing.ROUTES,
    *users.ROUTES,
    *named_lists.ROUTES,
    *tokens.ROUTES,
    *conversations.ROUTES,
    *observations_query.ROUTES,
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
