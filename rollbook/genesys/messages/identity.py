"""The identity of a notification: sixteen bytes, equal where topic and content are equal. Pure, and frozen.

Stores keep identities for years, and an event that is delivered again must find its own: what stands here is never
changed, which a corpus of identities holds it to (`tests/genesys/messages/test_identity.py`). So it asks nobody else
about an event, not even which of its times count: those rules may still learn (`live_facts.py`).

The first four bytes are the minute that the content bears, so that new events are written at the end of the index of
identities. With none they would go into any of its pages, which in a store of a million events costs four times the
time and twelve times the log. They need not be right, only always the same, and nearly always new.
"""

from __future__ import annotations

import re
from datetime import date
from functools import lru_cache
from typing import Any, Final

from rollbook.genesys.canonical_json import digest, spelled

# Where events bear their own time: as text, or as milliseconds since 1970.
_OWN_TIMES: Final = ("eventTime", "metricDate", "timestamp")
_MOMENT: Final = "20[0-9][0-9]-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]"
_MINUTE: Final = re.compile(_MOMENT)
# In the one spelling of a content, a quotation mark within a text is escaped: only behind a name that ends in "Time"
# does `Time":"` stand. One of these names is of a time that lies ahead.
_NAMED: Final = re.compile(f'Time":"(?<!"callbackScheduledTime":")({_MOMENT})'.encode())
# The minutes since 1970 of this century; all others are how programs spell "no time".
_CENTURY: Final = range(15_778_080, 68_374_080)
_NONE: Final = bytes(4)


def identity_of(topic: str, body: Any) -> bytes:
    """The identity of an event on `topic`. body: its eventBody, as `canonical_json.decode` answers it."""
    return identity_of_spelling(topic, body, spelled(body))


def identity_of_spelling(topic: str, body: Any, spelling: bytes) -> bytes:
    """The same of a body that has its one spelling already."""
    return minute_of(body, spelling) + digest(topic.encode(), spelling)[4:]


def minute_of(body: Any, spelling: bytes) -> bytes:
    """The minute that a content bears: its own time, else the latest that it names; four zeros where it names none.

    In minutes since 1970, offsets disregarded. spelling: the one spelling of the body.
    """
    if body.__class__ is dict:
        for name in _OWN_TIMES:
            value = body.get(name)
            if value is not None and (own := _own(value)) is not None:
                return own
    named = _NAMED.findall(spelling)
    return _of_text(max(named)) if named else _NONE


def _own(value: Any) -> bytes | None:
    if value.__class__ is int:
        minute = value // 60_000
        return minute.to_bytes(4) if minute in _CENTURY else None
    if value.__class__ is str:
        found = _MINUTE.match(value)
        return _of_text(found[0].encode()) if found else None
    return None


@lru_cache(maxsize=4_096)
def _of_text(text: bytes) -> bytes:
    """The minutes of a text of the form that `_MINUTE` has. A day that its month lacks is one of the next month."""
    year, month, day, hour, minute = (int(text[at : at + 2]) for at in (2, 5, 8, 11, 14))
    days = date(2000 + year, month, 1).toordinal() - date(1970, 1, 1).toordinal() + day - 1
    return (days * 1_440 + hour * 60 + minute).to_bytes(4)
