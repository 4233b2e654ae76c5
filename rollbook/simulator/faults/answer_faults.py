"""Faults that look before they strike: at a request, at what the organisation knows, or at the answer to it.

A quirk has up to three parts. `see` changes what the organisation takes a request for (who asks, at which moment,
which page). `refuse` answers in its place. `alter` makes another answer of the one that there is. Each answers None
where it has nothing to do with the request, and then the fault is not counted as struck. Pure but for what they ask of
the organisation; the server sends the answer.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, Protocol

from rollbook.simulator.clock import Clock
from rollbook.simulator.faults.script import Kind, PlayedFault, Script, ScriptError, register
from rollbook.simulator.notifications.service import Notifications
from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.rest import resources
from rollbook.simulator.rest.analytics import details_query
from rollbook.simulator.rest.errors import Refusal
from rollbook.simulator.rest.resources import sees
from rollbook.simulator.rest.sign_in import Client

_LIST: Final = "/api/v2/analytics/conversations/details"
Pieces = Callable[[], AsyncIterator[bytes]]
Parameters = Mapping[str, Any]


class FaultyOrganisation(resources.Organisation, Protocol):
    """The part of the simulator that faults use and change.

    forgotten: ids of the conversations that a `shift` deleted. rate_limit: requests a minute.
    """

    clock: Clock
    faults: Script
    notifications: Notifications
    forgotten: set[str]
    rate_limit: int

    def now(self) -> datetime:
        """The organisation's time."""


class OutgoingAnswer(NamedTuple):
    """An answer on its way out. delay: real seconds before its head; pieces: its body, where it comes in pieces.

    cut_after: real seconds after which the connection is cut; None: never.
    """

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: Mapping[str, str] = {}
    delay: float = 0.0
    pieces: Pieces | None = None
    cut_after: float | None = None


@dataclass(frozen=True)
class SeenRequest:
    """A request as the organisation takes it. first: the same before any quirk saw it.

    query: as `resources.Request` has it. address: bytes of path and query.
    """

    organisation: FaultyOrganisation
    client: Client
    now: datetime
    name: str  # METHOD /path
    query: Mapping[str, str]
    body: bytes
    address: int = 0
    first: SeenRequest | None = None

    @property
    def path(self) -> str:
        """Without the method."""
        return self.name.partition(" ")[2]

    @property
    def json(self) -> dict[str, Any]:
        """The body, if it is a JSON object; else an empty one."""
        try:
            found = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def interval(self) -> tuple[datetime, datetime] | None:
        """Interval of a details query, an aggregates query or a new job."""
        try:
            return details_query.interval(self.json.get("interval"))
        except Refusal:
            return None

    @property
    def details_query(self) -> details_query.DetailsQuery | None:
        """The details query that it is, if it is one."""
        if self.name != f"POST {_LIST}/query":
            return None
        try:
            return details_query.parse(self.json)
        except Refusal:
            return None

    def found(self) -> list[Conversation]:
        """Every conversation that its details query means, whatever the page."""
        query = self.details_query
        if query is None:
            return []
        organisation = self.organisation
        return details_query.select(
            organisation.world,
            query,
            self.now,
            reading=organisation.reading,
            seen=lambda conversation: conversation.id not in organisation.hidden and sees(self.client, conversation),
        )

    @property
    def ids(self) -> list[str]:
        """The conversations that it asks for by id, as it spells them."""
        parts = self.path.split("/")
        if self.name == f"GET {_LIST}":
            return [identity for identity in self.query.get("id", "").split(",") if identity]
        return (
            [parts[-2]] if self.path.startswith("/api/v2/analytics/conversations/") and parts[-1] == "details" else []
        )

    @property
    def page(self) -> int:
        """The number of the page that it asks for; 1 where it names none."""
        paging = self.json.get("paging")
        number = paging.get("pageNumber") if isinstance(paging, dict) else self.query.get("pageNumber", "1")
        return int(str(number)) if str(number).isdigit() else 1

    def with_page(self, number: int) -> SeenRequest:
        """The same for another page."""
        if "paging" in self.json:
            paging = {**self.json["paging"], "pageNumber": number}
            return replace(self, body=json.dumps({**self.json, "paging": paging}).encode())
        return replace(self, query={**self.query, "pageNumber": str(number)})


See = Callable[[SeenRequest, Parameters], "SeenRequest | None"]
Refuse = Callable[[SeenRequest, Parameters], "OutgoingAnswer | Refusal | None"]
Alter = Callable[[SeenRequest, Parameters, OutgoingAnswer], "OutgoingAnswer | Refusal | None"]


class Quirk(NamedTuple):
    """Behaviour of a kind of fault, in up to three parts."""

    see: See | None = None
    refuse: Refuse | None = None
    alter: Alter | None = None


QUIRKS: Final[dict[str, Quirk]] = {}


def quirk(
    name: str,
    meaning: str,
    takes: Mapping[str, str] | None = None,
    *,
    see: See | None = None,
    refuse: Refuse | None = None,
    alter: Alter | None = None,
    check: Callable[[Parameters], None] | None = None,
) -> None:
    """Add a kind that scripts may use, and what it does."""
    register(Kind(name, meaning, takes or {}, spoils=True, chooses=True, check=check))
    QUIRKS[name] = Quirk(see, refuse, alter)


def choice(
    name: str, choices: Sequence[str] | Mapping[str, Any], *, needed: bool = False
) -> Callable[[Parameters], None]:
    """A check that a parameter is one of some."""

    def check(given: Parameters) -> None:
        if name not in given and needed:
            raise ScriptError(f"{name} is missing: one of {', '.join(choices)}")
        if name in given and given[name] not in choices:
            raise ScriptError(f"{name} must be one of {', '.join(choices)}")

    return check


def falls(identity: str, share: float, seed: object = 0) -> bool:
    """Say whether an id falls into a share of all: for the same seed, the same id always does or never does."""
    return zlib.crc32(f"{seed} {identity}".encode(errors="replace")) < share * 2**32


def chosen(given: Parameters) -> Callable[[str], bool]:
    """Test for the conversations that parameters mean: `ids`, or a `share` of all with `seed`."""
    ids, share, seed = frozenset(given.get("ids", ())), float(given.get("share", 0)), given.get("seed", 0)
    return lambda identity: identity in ids or falls(identity, share, seed)


def meant(given: Parameters) -> None:
    """Check that `ids` or `share` is there."""
    if "ids" not in given and "share" not in given:
        raise ScriptError("ids or share is missing")


class AnswerRows(NamedTuple):
    """An answer that has conversations, taken apart. key: where they are; None: the answer is one itself."""

    key: str | None
    rows: list[dict[str, Any]]
    rest: dict[str, Any]

    def reply(self, reply: OutgoingAnswer, rows: Sequence[bytes] | None = None, **rest: Any) -> OutgoingAnswer:
        """Put together again: other rows, as JSON, or other fields beside them."""
        rows = [encoded(row) for row in self.rows] if rows is None else rows
        if self.key is None:
            return reply._replace(body=b"".join(rows))
        others = encoded({**self.rest, **rest})[1:-1]
        return reply._replace(
            body=b'{"%b":[%b]%b%b}' % (self.key.encode(), b",".join(rows), b"," * bool(others), others)
        )


def rows(reply: OutgoingAnswer, *, of: str = "conversations") -> AnswerRows | None:
    """The rows of an answer, if it has any. of: `conversations` (of a page, by id, or one alone) or `entities`."""
    content = fields(reply)
    if content is None or reply.status != 200:
        return None
    if isinstance(content.get(of), list):
        return AnswerRows(of, content.pop(of), content)
    return AnswerRows(None, [content], {}) if of == "conversations" and "conversationId" in content else None


def fields(reply: OutgoingAnswer) -> dict[str, Any] | None:
    """The JSON object that an answer is, if it is one."""
    try:
        content = json.loads(reply.body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def encoded(value: object) -> bytes:
    """As the organisation writes JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


# Letting them strike


class Struck(NamedTuple):
    """A quirk that a request may meet."""

    line: PlayedFault

    @property
    def quirk(self) -> Quirk:
        """Behaviour of the fault."""
        return QUIRKS[self.line.fault.kind]

    @property
    def parameters(self) -> Parameters:
        """Parameters of the fault in the script."""
        return self.line.fault.parameters

    def spend(self) -> None:
        """It has struck."""
        self.line.struck += 1


def look(asked: SeenRequest, waiting: Sequence[Struck]) -> SeenRequest:
    """The request as the organisation takes it."""
    asked = replace(asked, first=asked)
    for candidate in waiting:
        seen = candidate.quirk.see(asked, candidate.parameters) if candidate.quirk.see is not None else None
        if seen is not None:
            candidate.spend()
            asked = seen
    return asked


def refusal(asked: SeenRequest, waiting: Sequence[Struck]) -> OutgoingAnswer | Refusal | None:
    """Answer that a fault gives in the organisation's place, if there is a fault that does."""
    for candidate in waiting:
        found = (
            candidate.quirk.refuse(asked, candidate.parameters)
            if candidate.quirk.refuse and not candidate.line.spent
            else None
        )
        if found is not None:
            candidate.spend()
            return found
    return None


def altered(asked: SeenRequest, waiting: Sequence[Struck], reply: OutgoingAnswer) -> OutgoingAnswer | Refusal:
    """Answer after every fault has altered it."""
    for candidate in waiting:
        found = (
            candidate.quirk.alter(asked, candidate.parameters, reply)
            if candidate.quirk.alter and not candidate.line.spent
            else None
        )
        if found is None:
            continue
        if candidate.quirk.see is None:
            candidate.spend()
        if isinstance(found, Refusal):
            return found
        reply = found
    return reply
