"""What one event says for certain about its conversation: facts that cannot be undone. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LiveFacts:
    """What an event tells of its conversation; times as API text, None where it does not say.

    started_at: not later than this. ended_at: only if this event says that the conversation has ended. last_at: the
    latest time that the event itself bears. media_types, originating_direction: lowercase, as the details have them.
    """

    started_at: str | None
    ended_at: str | None
    last_at: str | None
    media_types: tuple[str, ...]
    originating_direction: str | None
    division_ids: tuple[str, ...]
