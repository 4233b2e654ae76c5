"""Parts of a resource: a request that was let in, an answer, and the route between them.

Knows no HTTP library and no resource; the resources are in `rest.routes` and in the modules that it joins.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.organisation.world import World
from rollbook.simulator.rest.analytics.details_query import Jitter, Paging
from rollbook.simulator.rest.analytics.jobs import Jobs
from rollbook.simulator.rest.errors import Refusal
from rollbook.simulator.rest.sign_in import Client, SignInService

# Days; the least that an organisation can choose is 90.
LONGEST_RETENTION: Final = 1_826


class Organisation(Protocol):
    """The part of the simulator that handlers use: its truth, its jobs and clients, and how its queries behave.

    hidden: ids of conversations that details queries leave out. retention_days: how long conversations are kept (None:
    no limit is set). draw: the random stream of answers.
    """

    world: World
    jobs: Jobs
    sign_in: SignInService
    draw: random.Random
    reading: str
    jitter: Jitter
    paging: Paging
    hidden: set[str]
    retention_days: int | None

    def before_details_query(self) -> None:
        """Let the truth change before a details query is answered."""


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


class JsonAnswer(NamedTuple):
    """Answer of a handler; `body` is JSON, or empty."""

    status: int
    body: bytes


Handler = Callable[[Organisation, Request], JsonAnswer]


class Route(NamedTuple):
    """A resource. needs: permissions, any of which is enough."""

    method: str
    path: str
    needs: tuple[str, ...]
    handler: Handler


def json_answer(value: object, status: int = 200) -> JsonAnswer:
    """A JSON answer."""
    return JsonAnswer(status, json.dumps(value, separators=(",", ":")).encode())


def decoded(body: bytes) -> Any:
    """A request's JSON. Raises Refusal (400)."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Refusal(400) from None


def sees(client: Client, conversation: Conversation) -> bool:
    """Say whether a client sees a conversation: they share a division, and its part of the index is not away."""
    if client.misses is not None and client.misses(conversation.id):
        return False
    return client.divisions is None or not client.divisions.isdisjoint(conversation.record["divisionIds"])
