"""The divisions that the client can see, asked for before and after every reading.

A client that is limited to some divisions gets smaller answers that are consistent with themselves. So what it sees
belongs to the proof, and a proof of somebody who sees less proves nothing to somebody who sees more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from msgspec import json

from rollbook.genesys.api.listing import Entity
from rollbook.genesys.errors import ApiError, NotFound, PermissionRefused, TooSlow

_encode: Final = json.Encoder(order="sorted").encode


class Divisions(Protocol):
    """The part of the API that is used here."""

    async def divisions(self) -> Sequence[Entity]:
        """Every division that the client can see."""


@dataclass(frozen=True, slots=True)
class Sight:
    """divisions: the ids as JSON, in order; None where the client may not ask. failed: why the question failed.

    too_slow: it was because the answer did not come in time. changes: how often the answer was another one until then.
    """

    divisions: str | None
    failed: str | None = None
    too_slow: bool = False
    changes: int = 0

    def sees(self, division_ids: str | None) -> bool:
        """True where a conversation of these divisions (JSON; None: not known) can be in an answer to this client."""
        if self.failed is not None:
            return False
        if self.divisions is None or division_ids is None:
            return True
        return set(json.decode(division_ids)) <= set(json.decode(self.divisions))


class Eyes:
    """Asks what the client sees. last: the latest answer of this round; None before the first."""

    def __init__(self, api: Divisions) -> None:
        self._api = api
        self._answered: Sight | None = None
        self._changes = 0
        self.last: Sight | None = None

    async def look(self) -> Sight:
        """Ask anew: an answer of yesterday says nothing of today. Raises ConnectionLost."""
        try:
            divisions = await self._api.divisions()
            seen = Sight(_encode(sorted({division.id for division in divisions})).decode())
            if not divisions:
                # Each organisation has one at least: who sees none sees no conversation, or the answer is none.
                seen = Sight(None, failed="the list of divisions is empty")
            elif not getattr(divisions, "complete", True):
                seen = Sight(None, failed="the list of divisions counts more than it shows")
        except (PermissionRefused, NotFound):
            seen = Sight(None)
        except ApiError as error:
            seen = Sight(None, failed=error.message, too_slow=isinstance(error, TooSlow))
        if seen.failed is None:
            self._changes += self._answered is not None and self._answered.divisions != seen.divisions
            self._answered = seen
        self.last = replace(seen, changes=self._changes)
        return self.last

    async def before(self) -> Sight:
        """The last look of this round, or a new look."""
        return self.last or await self.look()


def trouble(before: Sight, after: Sight) -> str | None:
    """Why a reading between two looks proves nothing; None if the same was seen all along."""
    failed = before.failed or after.failed
    if failed is not None:
        return f"which divisions this client sees could not be asked: {failed}"
    # What was taken away and given back meanwhile, another window of the round has seen.
    if before.divisions != after.divisions or before.changes != after.changes:
        return "the divisions that this client sees changed while it was read"
    return None
