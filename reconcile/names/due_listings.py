"""The kinds of names that are due to be listed again. Pure: times and what is known of the last listings come in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from rollbook.genesys.named import LISTS, NameKind
from rollbook.genesys.times import from_text
from rollbook.store.tables.names import ListingState

EVERY: Final = timedelta(days=1)
# After a try that brought nothing, unless a permission was missing: that lasts, and each try costs a request.
AGAIN: Final = timedelta(hours=1)


def due_kinds(states: Mapping[str, ListingState], now: datetime) -> list[NameKind]:
    """The kinds to be listed now, in the order in which they are. What a clock that ran ahead has noted is due."""
    return [kind for kind in LISTS if _is_due(states.get(kind, ListingState()), now)]


def _is_due(state: ListingState, now: datetime) -> bool:
    if state.tried_at is None:
        return True
    rest = AGAIN if state.trouble is not None and state.permission is None else EVERY
    since = now - from_text(state.tried_at)
    return since >= rest or since < -AGAIN
