"""The fields that the facts of a snapshot are read from, and a body decoded into no more than these. Pure.

To decode all of it takes more than half as long again. A value is of any kind, but for the lists of what is nested: who
reads facts of a body that may have any shape decodes all of it (`live_facts.py`).
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final, TypedDict

import msgspec

from rollbook.genesys.topics import MEDIA_TYPES


class _Times(TypedDict, total=False):
    # What participants, their communications and messages bear. (`callbackScheduledTime` lies ahead of the event.)
    connectedTime: Any
    startTime: Any
    endTime: Any
    disconnectedTime: Any
    startAcwTime: Any
    endAcwTime: Any
    startHoldTime: Any
    startAlertingTime: Any
    parkTime: Any
    resumeTime: Any
    bargedTime: Any
    providerEventTime: Any
    messageTime: Any


class _Item(_Times, total=False):
    state: Any
    direction: Any
    afterCallWork: Any
    wrapup: Any


class _Communication(_Item, total=False):
    messages: list[_Item] | None


class _Lists(TypedDict, total=False):
    # A participant's lists of communications, as the platform spells them.
    calls: list[_Communication] | None
    callbacks: list[_Communication] | None
    chats: list[_Communication] | None
    cobrowsesessions: list[_Communication] | None
    emails: list[_Communication] | None
    messages: list[_Communication] | None
    internalMessages: list[_Communication] | None
    screenMonitorings: list[_Communication] | None
    screenshares: list[_Communication] | None
    socialExpressions: list[_Communication] | None
    videos: list[_Communication] | None


class _Participant(_Item, _Lists, total=False):
    purpose: Any


class _Snapshot(TypedDict, total=False):
    id: Any
    participants: list[_Participant] | None
    divisions: Any


TIMES: Final = tuple(_Times.__annotations__)
# Each list with what its medium is called in the details.
LISTS: Final = tuple((name, MEDIA_TYPES.get(name.lower())) for name in _Lists.__annotations__)


def fields_of_snapshot(body: bytes) -> dict[str, Any]:
    """The fields of a snapshot. Raises ValueError (no JSON, or a list that holds no objects) or RecursionError."""
    fields: dict[str, Any] = _decoder().decode(body)
    return fields


@cache
def _decoder() -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(_Snapshot)
