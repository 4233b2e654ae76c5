"""Gateways between a client and the organisation that refuse: too large a request, a slice of time, a record, an id.

Each is a quirk (see `answer_faults`), and each refuses in whatever spelling the script asks for: the platform's body, a
gateway's HTML, plain text, nothing at all.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

from rollbook.simulator.faults.answer_faults import (
    OutgoingAnswer,
    Parameters,
    SeenRequest,
    choice,
    chosen,
    encoded,
    meant,
    quirk,
    rows,
)
from rollbook.simulator.faults.script import Kind, ScriptError, register
from rollbook.simulator.rest.errors import ERRORS, Refusal

_HTML: Final = (
    "<html>\r\n<head><title>{0} {1}</title></head>\r\n"
    "<body>\r\n<center><h1>{0} {1}</h1></center>\r\n</body>\r\n</html>\r\n"
)
SPELLINGS: Final = ("platform", "html", "json", "text", "empty")
_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HOW: Final = {"status": "number", "body": "text", "code": "text"}
_TOO_LARGE: Final = (
    "response.entity.too.large",
    "The response is over the size limit. Reduce the page size.",
)  # assumed
_MEASURES: Final = ("rows", "beyond", "page_rows", "bytes", "width", "ids")


def refused(
    given: Parameters, status: int, code: str | None = None, message: str | None = None
) -> OutgoingAnswer | Refusal:
    """A refusal in the spelling that the parameters ask for (`status`, `body`, `code`)."""
    status, spelling = int(given.get("status", status)), given.get("body", "platform")
    if spelling == "platform":
        return Refusal(status, given.get("code", code), message)
    title = ERRORS.get(status, ("", "Error"))[1].partition(" - ")[0].rstrip(".")
    if spelling == "json":
        return OutgoingAnswer(status, encoded({"message": title}))
    if spelling == "html":
        return OutgoingAnswer(status, _HTML.format(status, title).encode(), "text/html")
    return OutgoingAnswer(status, title.encode() if spelling == "text" else b"", "text/plain")


_spelled = choice("body", SPELLINGS)


# What is too much


def _check_measures(given: Parameters) -> None:
    if not any(name in given for name in _MEASURES):
        raise ScriptError(f"it needs a measure: {', '.join(_MEASURES)}")
    _spelled(given)


def _too_much(given: Parameters) -> OutgoingAnswer | Refusal:
    status = int(given.get("status", 502))
    code, message = _TOO_LARGE if status == 400 else (None, None)
    answer = refused(given, status, code, message)
    seconds = float(given.get("seconds", 0))
    if not seconds:
        return answer
    if isinstance(answer, Refusal):
        context = str(uuid.uuid4())
        answer = OutgoingAnswer(answer.status, encoded(answer.body(context)), headers={"ININ-Correlation-Id": context})
    return answer._replace(delay=seconds)


def _asks_too_much(asked: SeenRequest, given: Parameters) -> OutgoingAnswer | Refusal | None:
    between = asked.interval
    if "width" in given and between is not None and (between[1] - between[0]).total_seconds() > given["width"]:
        return _too_much(given)
    if "ids" in given and len(asked.ids) > given["ids"]:
        return _too_much(given)
    query = asked.details_query if "rows" in given or "beyond" in given else None
    if query is None:
        return None
    total, last = len(asked.found()), query.size * query.number
    if total > given.get("rows", total) or min(total, last) > given.get("beyond", total):
        return _too_much(given)
    return None


def _is_too_much(_: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | Refusal | None:
    if len(reply.body) > given.get("bytes", len(reply.body)):
        return _too_much(given)
    found = rows(reply) if "page_rows" in given else None
    return _too_much(given) if found is not None and len(found.rows) > given["page_rows"] else None


quirk(
    "too_much",
    "a gateway refuses what is too much",
    {**dict.fromkeys(_MEASURES, "number"), **_HOW, "seconds": "number"},
    refuse=_asks_too_much,
    alter=_is_too_much,
    check=_check_measures,
)


# A slice of time, a record, a job


def _slice(asked: SeenRequest, given: Parameters) -> OutgoingAnswer | Refusal | None:
    between, moment = asked.interval, asked.organisation.faults.moment
    if between is None or not (between[0] < moment(given["end"]) and moment(given["start"]) < between[1]):
        return None
    return refused(given, 500)


quirk(
    "slice",
    "every question about this slice of time is refused",
    {"start": "time!", "end": "time!", **_HOW},
    refuse=_slice,
    check=_spelled,
)


def _poison(_: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | Refusal | None:
    found, poisonous = rows(reply), chosen(given)
    if found is None or not any(poisonous(str(row.get("conversationId"))) for row in found.rows):
        return None
    return refused(given, 500)


def _check_poison(given: Parameters) -> None:
    meant(given)
    _spelled(given)


quirk(
    "poison",
    "every answer that has one of these conversations is refused",
    {"ids": "texts", "share": "number", "seed": "number", **_HOW},
    alter=_poison,
    check=_check_poison,
)

register(
    Kind(
        "failing_jobs",
        "every job whose interval touches this slice of time ends FAILED",
        {"start": "time!", "end": "time!", "message": "text"},
    )
)


# Ids


def _unknown_id(asked: SeenRequest, given: Parameters) -> OutgoingAnswer | Refusal | None:
    world = asked.organisation.world.by_id
    if all(identity in world and world[identity].visible(asked.now) for identity in asked.ids):
        return None
    return refused(given, 404)


def _bad_id(asked: SeenRequest, given: Parameters) -> OutgoingAnswer | Refusal | None:
    bad = next((identity for identity in asked.ids if not _ID.fullmatch(identity)), None)
    if bad is None:
        return None
    return refused(given, 400, "bad.request", f"Invalid conversation id: {bad[:100]}")


def _long_address(asked: SeenRequest, given: Parameters) -> OutgoingAnswer | Refusal | None:
    return refused(given, 414) if asked.address > given["most"] else None


_BY_ID: Final[Mapping[str, Any]] = {
    "unknown_id": ("a question by id is refused if one of the ids is unknown", {}, _unknown_id),
    "bad_id": ("a question by id is refused if one of the ids is no id", {}, _bad_id),
    "long_address": ("an address of more bytes is refused", {"most": "number!"}, _long_address),
}
for _name, (_meaning, _takes, _refuse) in _BY_ID.items():
    quirk(_name, _meaning, {**_takes, **_HOW}, refuse=_refuse, check=_spelled)
