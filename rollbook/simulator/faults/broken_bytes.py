"""Records that are not as they should be: bytes that are no JSON, and values that no model has.

`bad_bytes` and `strange` are quirks (see `answer_faults`): the organisation's truth is well, its answers are not.
`odd_record` changes the truth itself, so that every answer, filter and total knows the record as it has become.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
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
from rollbook.simulator.faults.script import Kind, register

Record = dict[str, Any]
_CLOSING: Final = b"}"


# Bytes


def _more(field: bytes) -> Callable[[bytes], bytes]:
    return lambda row: row[:-1] + b"," + field + _CLOSING


BYTES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "nan": _more(b'"simulatedValue":NaN'),
    "infinity": _more(b'"simulatedValue":-Infinity'),
    "utf8": _more(b'"simulatedText":"\xff\xfe\xc3("'),
    "surrogate": _more(rb'"simulatedText":"\ud83d"'),
    "control": _more(b'"simulatedText":"a\x01\n\x00b"'),
    "truncated": lambda row: row[: len(row) // 2],
    "duplicate_keys": lambda row: row[:-1] + b',"conversationStart":"1999-01-01T00:00:00.000Z"' + _CLOSING,
    "deep": _more(b'"simulatedValue":' + b"[" * 100_000 + b"]" * 100_000),
    "big_number": _more(b'"simulatedValue":1' + b"0" * 5_000),
    "capitals": lambda row: _with(row, lambda record: {"conversationId": record["conversationId"].upper()}),
    "no_id": lambda row: _with(row, lambda _: {"conversationId": None}),
    "number_id": lambda row: _with(row, lambda _: {"conversationId": 17}),
    "no_start": lambda row: _with(row, lambda _: {"conversationStart": None}),
    "null": lambda _: b"null",
    "text": lambda _: b'"a conversation"',
    "list": lambda _: b"[]",
    "nothing": lambda _: b"{}",
}


def _with(row: bytes, change: Callable[[Record], Record]) -> bytes:
    record = json.loads(row)
    return encoded({**record, **change(record)})


def _bad_bytes(_: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    found = rows(reply)
    if found is None or not found.rows:
        return None
    spoiled = chosen(given)
    if "row" in given:
        which = {int(given["row"])} if given["row"] < len(found.rows) else set()
    else:
        which = {at for at, row in enumerate(found.rows) if spoiled(str(row.get("conversationId")))}
    if not which:
        return None
    change = BYTES[given["what"]]
    lines = [encoded(row) for row in found.rows]
    return found.reply(reply, [change(line) if at in which else line for at, line in enumerate(lines)])


def _check_bytes(given: Parameters) -> None:
    choice("what", BYTES, needed=True)(given)
    if "row" not in given:
        meant(given)


quirk(
    "bad_bytes",
    "these records of an answer, or the row of that number, are no proper JSON or lack what each has",
    {"what": "text", "row": "number", "ids": "texts", "share": "number", "seed": "number"},
    alter=_bad_bytes,
    check=_check_bytes,
)


# What no model has


def _strange(_: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    if reply.status != 200 or not reply.body.startswith(b"{"):
        return None
    what = given.get("what", "both")
    content = json.loads(reply.body)
    if what in ("field", "both"):
        content |= {"simulatedExtra": {"deep": [None, 1.5, "€"]}}
    for name in ("conversations", "entities"):
        for row in content.get(name, ()):
            _make_strange(row, what)
    return reply._replace(body=encoded(content))


_STRANGE_VALUES: Final = {
    "mediaType": "hologram",
    "purpose": "oracle",
    "segmentType": "levitating",
    "disconnectType": "evaporated",
    "state": "dormant",
}


def _make_strange(value: Any, what: str) -> None:
    if isinstance(value, list):
        for each in value:
            _make_strange(each, what)
    elif isinstance(value, dict):
        for name, each in list(value.items()):
            if what in ("value", "both") and name in _STRANGE_VALUES:
                value[name] = _STRANGE_VALUES[name]
            _make_strange(each, what)
        if what in ("field", "both"):
            value["simulatedExtra"] = [{"unknown": True}, 2**70]


quirk(
    "strange",
    "answers have fields and values that no model has",
    {"what": "text"},
    alter=_strange,
    check=choice("what", ("field", "value", "both")),
)


# The truth


def _changed(**fields: Any) -> Callable[[Record], Record]:
    return lambda record: {**record, **fields}


def _capitals(record: Record) -> Record:
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lambda found: found[0].upper(), json.dumps(record))
    return {**json.loads(text), "conversationId": record["conversationId"]}


def _strange_record(record: Record) -> Record:
    made = copy.deepcopy(record)
    _make_strange(made, "both")
    return made


ODD: Final[Mapping[str, Callable[[Record], Record]]] = {
    "far_end": _changed(conversationEnd="9999-12-31T23:59:59.999Z"),
    "backwards": lambda record: {**record, "conversationEnd": _before(record["conversationStart"])},
    "direction": _changed(originatingDirection="sideways"),
    "no_direction": lambda record: {name: value for name, value in record.items() if name != "originatingDirection"},
    "inner_capitals": _capitals,
    "strange": _strange_record,
    "nan": _changed(mediaStatsMinConversationMos=float("nan")),
    "infinity": _changed(mediaStatsMinConversationMos=float("-inf")),
    "surrogate": _changed(externalTag="\ud83d"),
    "nul": _changed(externalTag="a\0b"),
    "odd_time": _changed(conferenceStart="yesterday"),
    "long_text": _changed(externalTag="x" * 50_000),
}


def _before(start: str) -> str:
    """A second of the same minute that is not after it."""
    return start[:17] + "00.000Z" if start[17:] != "00.000Z" else "1999-12-31T23:59:59.000Z"


def _check_odd(given: Parameters) -> None:
    choice("what", ODD, needed=True)(given)
    meant(given)


register(
    Kind(
        "odd_record",
        "these conversations, or a share of those that there are, are odd from now on",
        {"what": "text", "ids": "texts", "share": "number", "seed": "number"},
        check=_check_odd,
    )
)
