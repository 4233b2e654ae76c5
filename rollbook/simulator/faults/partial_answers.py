"""Answers that lack something and do not say so: empty, an error with status 200, a part of the index, an old state.

Each is a quirk (see `answer_faults`). What is away or old is so for one request and its answer, so that a script's
`path`, `at` and `until` say where and for how long, and an answer agrees with itself: totals, order and pages are those
of what it has.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from rollbook.simulator.faults.answer_faults import (
    OutgoingAnswer,
    Parameters,
    SeenRequest,
    choice,
    chosen,
    encoded,
    fields,
    meant,
    quirk,
    rows,
)
from rollbook.simulator.faults.gateways import refused
from rollbook.simulator.faults.script import ScriptError
from rollbook.simulator.organisation.known_when import Conversation

_UNAVAILABLE: Final = "The service is currently unavailable."
ERRORS_WITH_200: Final = {
    "platform": {
        "message": _UNAVAILABLE,
        "code": "service.unavailable",
        "status": 503,
        "contextId": "",
        "details": [],
        "errors": [],
    },
    "errors": {"errors": [{"message": _UNAVAILABLE, "code": "service.unavailable"}]},
    "error": {"error": _UNAVAILABLE},
    "sign_in": {"error": "server_error", "error_description": _UNAVAILABLE},
    "gateway": {"message": "Endpoint request timed out"},
    "fault": {"fault": {"faultstring": _UNAVAILABLE, "detail": {"errorcode": "messaging.runtime"}}},
    "problem": {"type": "about:blank", "title": "Service Unavailable", "status": 503},
    "html": None,
}
_MOST: Final = 2**31 - 1


# Nothing


def _on_page(asked: SeenRequest, given: Parameters) -> bool:
    return "page" not in given or (asked.first or asked).page == given["page"]


def _empty(asked: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    if reply.status not in (200, 202) or not _on_page(asked, given):
        return None
    return reply._replace(body=given.get("body", "{}").encode())


def _error_body(asked: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    if reply.status not in (200, 202) or not _on_page(asked, given):
        return None
    spelling = given.get("spelling", "platform")
    if spelling == "html":
        page = refused({"body": "html"}, 503)
        assert isinstance(page, OutgoingAnswer)
        return page._replace(status=200)
    return reply._replace(body=encoded(ERRORS_WITH_200[spelling]))


def _empty_page(asked: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    number = (asked.first or asked).page
    for name in ("entities", "conversations"):
        found = rows(reply, of=name)
        if found is not None and found.key == name and number == given.get("page", number):
            return found.reply(reply, [])
    return None


quirk("empty", "the answer is `{}`", {"body": "text", "page": "number"}, alter=_empty)
quirk(
    "error_body",
    "status 200 with the body of an error",
    {"spelling": "text", "page": "number"},
    alter=_error_body,
    check=choice("spelling", ERRORS_WITH_200),
)
quirk("empty_page", "a page has no rows, and all else that it has", {"page": "number"}, alter=_empty_page)


# A part


def _shard(asked: SeenRequest, given: Parameters) -> SeenRequest:
    away, before = chosen(given), asked.client.misses
    return replace(
        asked,
        client=asked.client._replace(
            misses=lambda identity: away(identity) or (before is not None and before(identity))
        ),
    )


def _fewer(asked: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    for name in ("entities", "conversations"):
        found = rows(reply, of=name)
        if found is None or found.key is None or not _on_page(asked, given):
            continue
        keep = int(len(found.rows) * (1 - given.get("share", 0.5)))
        return found.reply(reply, [encoded(row) for row in found.rows[:keep]]) if keep < len(found.rows) else None
    return None


def _fewer_divisions(asked: SeenRequest, given: Parameters) -> SeenRequest:
    every = [division["id"] for division in asked.organisation.world.divisions]
    seen = frozenset(given["ids"] if "ids" in given else every[: int(given.get("most", 1))])
    before = asked.client.divisions
    return replace(asked, client=asked.client._replace(divisions=seen if before is None else before & seen))


def _fields(asked: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    content = fields(reply)
    if content is None or reply.status not in (200, 202) or not _on_page(asked, given):
        return None
    changed = {name: value for name, value in content.items() if name not in given.get("drop", ())}
    changed |= {name: value for name, value in given.get("set", {}).items() if name in content or given.get("add")}
    return None if changed == content else reply._replace(body=encoded(changed))


def _check_fields(given: Parameters) -> None:
    if "set" not in given and "drop" not in given:
        raise ScriptError("set or drop is missing")


quirk(
    "shard",
    "answers lack these conversations, or a share of all, and agree with themselves",
    {"ids": "texts", "share": "number", "seed": "number"},
    see=_shard,
    check=meant,
)
quirk("fewer", "a share of an answer's rows is not in it", {"share": "number", "page": "number"}, alter=_fewer)
quirk(
    "fewer_divisions",
    "the client sees these divisions only, or so many of them",
    {"ids": "texts", "most": "number"},
    see=_fewer_divisions,
)
quirk(
    "fields",
    "fields of an answer have other values, or are absent",
    {"set": "object", "drop": "texts", "add": "flag", "page": "number"},
    alter=_fields,
    check=_check_fields,
)


# An old state


def _stale(asked: SeenRequest, given: Parameters) -> SeenRequest:
    return replace(asked, now=asked.now - timedelta(seconds=given["seconds"]))


quirk("stale", "the answer is that of so many seconds ago", {"seconds": "number!"}, see=_stale)


# Totals


def _totals(asked: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    content = fields(reply)
    name = next((field for field in ("totalHits", "total") if content and field in content), None)
    if content is None or name is None or not isinstance(content[name], int) or not _on_page(asked, given):
        return None
    says = given.get("says", "errs")
    if says == "absent":
        return reply._replace(body=encoded({key: value for key, value in content.items() if key != name}))
    most = int(given.get("most", 3))
    total = content[name]
    changed = {
        "errs": max(0, total + asked.organisation.draw.randint(-most, most)),
        "less": max(0, total - most),
        "more": total + most,
        "saturated": min(total, most if "most" in given else 10_000),
        "huge": _MOST,
        "text": str(total),
        "null": None,
    }[says]
    return None if changed == content[name] else reply._replace(body=encoded({**content, name: changed}))


TOTALS: Final = ("errs", "less", "more", "saturated", "huge", "absent", "text", "null")
quirk(
    "totals",
    "the total errs, is too small or large, stops at a bound, is absent",
    {"says": "text", "most": "number", "page": "number"},
    alter=_totals,
    check=choice("says", TOTALS),
)


# AnswerRows that move between pages


def _shift(asked: SeenRequest, given: Parameters) -> SeenRequest | None:
    """A row of the pages before goes and one behind this page comes: the first of this page slides between them."""
    query = asked.details_query
    if query is None or query.number < 2 or not _on_page(asked, given):
        return None
    found = asked.found()
    if len(found) <= (query.number - 1) * query.size:
        return None
    world, gone, last = asked.organisation.world, found[0], found[-1]
    if given.get("how", "deleted") == "deleted":
        world.forget(gone.id)
        asked.organisation.forgotten.add(gone.id)
    else:
        asked.organisation.hidden.add(gone.id)
    world.add(Conversation(_twin(last.record, f"{asked.organisation.draw.getrandbits(48):012x}")))
    return asked


def _twin(record: dict[str, Any], mark: str) -> dict[str, Any]:
    """Another conversation like it, with ids of its own."""
    changed = json.dumps(record)
    own = {record["conversationId"]}
    for participant in record["participants"]:
        own.add(participant["participantId"])
        own |= {session["sessionId"] for session in participant["sessions"]}
    for identity in own:
        changed = changed.replace(identity, identity[:-12] + f"{int(identity[-12:], 16) ^ int(mark, 16):012x}")
    twin: dict[str, Any] = json.loads(changed)
    return twin


quirk(
    "shift",
    "while pages are read, a row leaves one that was read and another enters one to come",
    {"how": "text", "page": "number"},
    see=_shift,
    check=choice("how", ("deleted", "hidden")),
)


# Lists and pages without an end


def _same_page(asked: SeenRequest, given: Parameters) -> SeenRequest | None:
    wanted = int(given.get("page", 1))
    return asked.with_page(wanted) if asked.page != wanted else None


def _endless_pages(asked: SeenRequest, _: Parameters) -> SeenRequest | None:
    """Past the end is the last page again; of a list, whose end is not known here, the first."""
    query = asked.details_query
    if query is None:
        return asked.with_page(1) if "pageNumber" in asked.query and asked.page > 1 else None
    last = -(-len(asked.found()) // query.size)
    return asked.with_page(last) if query.number > last > 0 else None


def _and_another(asked: SeenRequest, _given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    found = rows(reply, of="entities")
    if found is None or found.key is None:
        return None
    number = (asked.first or asked).page
    address, _, query = str(found.rest.get("selfUri", asked.path)).partition("?")
    more = f"{address}?{urlencode({**dict(parse_qsl(query)), 'pageNumber': number + 1})}"
    return found.reply(reply, pageNumber=number, pageCount=number + 1, nextUri=more)


quirk("same_page", "whichever page is asked for, it is this one", {"page": "number"}, see=_same_page)
quirk("endless_pages", "there is always another page", see=_endless_pages, alter=_and_another)
