"""The form of a conversation's id, and the ids that may be asked for. Pure."""

from __future__ import annotations

import re
from typing import Final

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
# The platform's ids are UUIDs (36 characters). Others that are plain words of an address are let through, because an id
# of another form than today's would otherwise be lost. A comma parts the ids of a request by id; blanks, quotes,
# slashes, percent signs and what is no ASCII grow when they are put into an address; longer ones make the address too
# long for its gateway. A hundred of these stay below 6,500 characters.
LONGEST: Final = 64
_PLAIN: Final = re.compile(rf"[A-Za-z0-9._:-]{{1,{LONGEST}}}", re.ASCII)


def conversation_id(value: object) -> str | None:
    """The one spelling of an id: a UUID in small letters, another text as it is; None for what is no text, or empty."""
    if value.__class__ is not str or not value:
        return None
    text = str(value)
    return text.lower() if len(text) == 36 and _UUID.fullmatch(text) else text


def is_word(value: str) -> bool:
    """Tell whether a code is a word (`ININ-WRAP-UP-TIMEOUT`), which is its own name, and no id of something else."""
    return _UUID.fullmatch(value) is None


def may_be_asked_for(conversation_id: str) -> bool:
    """Tell whether the platform can be asked for an id. A malformed id makes it refuse every id of the same request."""
    return _PLAIN.fullmatch(conversation_id) is not None
