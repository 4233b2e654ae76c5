"""Personal fields, masked: of what a customer or an agent has typed, said or is called, only that there is something.

Shown is what is known to be harmless, and nothing else: ids, times, numbers, and the platform's own words under the
names that it has them under. A field that the platform adds tomorrow is masked until somebody has looked at it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from rollbook.genesys.privacy.personal_fields import ADDRESSES, PATHS, FieldClass
from rollbook.genesys.times import normalize
from rollbook.store.rows.detail_columns import column

MASK: Final = "•••"
_UUID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
# Words of the platform: letters, and little else; no text of a person, no number of a telephone.
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z_.-]{0,40}", re.ASCII)
# Names of metrics: tHandle, nOffered, oServiceLevel.
_METRIC: Final = re.compile(r"[tno][A-Z][A-Za-z]{2,40}", re.ASCII)
# Fields in which a number is an address of a person.
_NUMBERED: Final = frozenset(name.lower() for name in ADDRESSES)
# Fields that have words of the platform's own.
_VOCABULARY: Final = frozenset(
    {
        "purpose", "mediatype", "mediatypes", "type", "direction", "originatingdirection", "initialdirection", "state",
        "initialstate", "segmenttype",
        "disconnecttype", "disconnectreason", "provider", "codecs", "flowtype",
        "usedrouting", "requestedroutings", "alertingtimeoutms", "entrytype", "transfertype", "messagetype",
        "errorcode", "recordingstate", "conversationinitiator", "flowintype", "flowouttype", "routingrule",
        "deliverystatus", "startinglanguage", "endinglanguage", "evaluationstatus", "surveystatus", "topicname",
    }
)  # fmt: skip
_MASKED: Final = (FieldClass.PHONE_NUMBERS, FieldClass.EMAIL_ADDRESSES, FieldClass.NAMES, FieldClass.FREE_TEXT)
# Columns whose texts are a person's: those of the classes above, and what else somebody may have typed or be known by.
_PERSONAL: Final = frozenset(column(path) for of in _MASKED for path in PATHS[of] if "." not in path) | {
    "value", "wrap_up_tags", "error_code_description", "disposition_name", "journey_customer_id",
    "room_id", "cobrowse_room_id", "screen_share_room_id", "video_room_id",
}  # fmt: skip


def body(value: Any, field: str = "") -> Any:
    """A JSON value in which whatever is not known to be harmless is masked: texts, and the keys of attributes."""
    if isinstance(value, Mapping):
        if "attributes" in field.lower():
            return {f"{MASK} {number}": MASK for number, _ in enumerate(value, 1)}
        return {str(name): body(inner, str(name)) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [body(inner, field) for inner in value]
    if isinstance(value, str):
        return value if _is_harmless(value, field) else MASK
    if isinstance(value, int | float) and not isinstance(value, bool):
        return MASK if field.lower() in _NUMBERED else value
    return value


def _is_harmless(text: str, field: str) -> bool:
    if not text or _UUID.fullmatch(text) or normalize(text) is not None:
        return True
    # A person's name, a queue's and a metric's stand under the same key.
    if field == "name":
        return _METRIC.fullmatch(text) is not None
    return field.lower() in _VOCABULARY and _WORD.fullmatch(text) is not None


def row(values: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the store (a participant, a session, a segment, an attribute), its personal fields masked."""
    return {name: MASK if name in _PERSONAL and value is not None else value for name, value in values.items()}


def life(found: Mapping[str, Any]) -> dict[str, Any]:
    """What `life.collect` answers, masked."""
    shown = dict(found)
    shown["participants"] = [
        row(participant)
        | {
            "sessions": [
                row(session)
                | {name: [row(inner) for inner in of] for name, of in session.items() if isinstance(of, list)}
                for session in participant["sessions"]
            ]
        }
        for participant in found["participants"]
    ]
    shown["attributes"] = [
        row(attribute) | {"name": f"{MASK} {number}"} for number, attribute in enumerate(found["attributes"], 1)
    ]
    shown["events"] = [event | {"body": body(event["body"])} for event in found["events"]]
    shown["versions"] = [
        version | {"details": body(version["details"]), "changes": [_place(place) for place in version["changes"]]}
        for version in found["versions"]
    ]
    shown["details"] = body(found["details"])
    return shown


def _place(place: str) -> str:
    """A place at which versions differ, without the name of an attribute, which somebody has typed."""
    before, dot, _ = place.partition("ttributes.")
    return f"{before}{dot}{MASK}" if dot else place
