"""Belief in the platform's lists of queues and users, before topics are let go because of them. Pure.

A list may be empty or short for a moment: a shard is away, permissions are being changed, a gateway gives an empty
answer. New entries are believed at once. That many entries have vanished is believed when a second look, some time
after the first, does not see them either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

# Seconds between a look that saw much less and the second one: longer than an answer is kept anywhere.
APART = 60.0


@dataclass(frozen=True, slots=True)
class Doubt:
    """A look that saw much less than there was. ids: what it saw. at: when, monotonic seconds."""

    ids: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True)
class Believed:
    """Ids that are believed to be there. doubt: a look that needs a second look, None where there is none."""

    ids: tuple[str, ...]
    doubt: Doubt | None = None


def weigh(known: Sequence[str], seen: Sequence[str], now: float, *, doubt: Doubt | None, apart: float) -> Believed:
    """Weigh a look that saw `seen` where `known` was there.

    now: monotonic seconds. doubt: of an earlier look, as it was answered then. apart: seconds between two looks before
    the second one counts as another witness.
    """
    there = set(seen)
    still = sum(known_id in there for known_id in known)
    if seen and still * 2 >= len(known):
        return Believed(tuple(dict.fromkeys(seen)))
    if doubt is None:
        # An empty list where nothing was known is doubted, too: a supervisor without topics should look again soon.
        return Believed(_both(known, seen), Doubt(tuple(seen), now))
    if now - doubt.at < apart:
        return Believed(_both(known, seen), Doubt(_both(doubt.ids, seen), doubt.at))
    return Believed(_both(doubt.ids, seen))


def _both(some: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*some, *others)))


@dataclass(slots=True)
class Looks:
    """Believed lists, by kind. apart: seconds, as `weigh` takes them."""

    apart: float = APART
    _known: dict[str, Believed] = field(default_factory=dict)

    @property
    def doubted(self) -> bool:
        """A second look is wanted."""
        return any(believed.doubt is not None for believed in self._known.values())

    def forget(self, kind: str) -> None:
        """Forget a kind that is not looked for any more."""
        self._known.pop(kind, None)

    def believe(self, kind: str, seen: Sequence[str], now: float) -> tuple[tuple[str, ...], str | None]:
        """Ids of a kind by this look and those before it, and the words for a look that is doubted first."""
        before = self._known.get(kind, Believed(()))
        found = self._known[kind] = weigh(before.ids, seen, now, doubt=before.doubt, apart=self.apart)
        if found.doubt is None or before.doubt is not None or not before.ids:
            return found.ids, None
        return found.ids, (
            f"the list of {kind} has {len(seen)} of the {len(before.ids)} that were there; the others are heard on"
            " until a second look agrees"
        )
