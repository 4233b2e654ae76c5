"""Everything of the organisation that has a name: entities by kind, as they are now and as they were at each time.

A rename, a deletion and a new entity change the entities' own lists, so that whoever reads those sees today; the
history answers for the past. Knows no request.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from rollbook.simulator.organisation.participants import identity
from rollbook.simulator.times import text

Entity = dict[str, Any]
KINDS: Final = ("queue", "user", "wrapupcode", "division", "flow", "skill", "language", "team", "edge", "site")
ALWAYS: Final = datetime.min.replace(tzinfo=UTC)
# The collection that an entity's own address is in.
_HOMES: Final = {
    "queue": "routing/queues",
    "user": "users",
    "wrapupcode": "routing/wrapupcodes",
    "division": "authorization/divisions",
    "flow": "flows",
    "skill": "routing/skills",
    "language": "routing/languages",
    "team": "teams",
    "edge": "telephony/providers/edges",
    "site": "telephony/providers/edges/sites",
}
# Those that say in which state they are.
_STATED: Final = frozenset({"user", "skill", "language", "edge", "site"})
_DATED: Final = frozenset({"queue", "wrapupcode", "skill", "language", "team", "edge", "site"})


class Named(NamedTuple):
    """A name of an entity and its state, from a time on."""

    since: datetime
    name: str
    state: str


class Directory:
    """The entities by kind. lists: those that exist, shared with whoever shows them."""

    def __init__(self, lists: Mapping[str, list[Entity]], draw: random.Random) -> None:
        self.lists = dict(lists)
        self.gone: dict[str, list[Entity]] = {kind: [] for kind in KINDS}
        self.history: dict[tuple[str, str], list[Named]] = {}
        self.changes: list[datetime] = []  # when there were any, ascending
        self._draw = draw
        self._order: dict[str, list[Entity]] = {kind: list(lists[kind]) for kind in KINDS}
        for kind in KINDS:
            for entity in lists[kind]:
                self.history[kind, str(entity["id"])] = [Named(ALWAYS, str(entity["name"]), "active")]

    # What happens to them

    def rename(self, kind: str, identity: str, name: str, at: datetime) -> None:
        """Give an entity another name. Raises KeyError for what is not there."""
        entity = self.find(kind, identity)
        entity["name"] = name
        self._note(kind, entity, at, "active")

    def delete(self, kind: str, identity: str, at: datetime) -> None:
        """Delete an entity. Raises KeyError for what is not there."""
        entity = self.find(kind, identity)
        self.lists[kind].remove(entity)
        self.gone[kind].append(entity)
        if kind in _STATED:
            entity["state"] = "deleted"
        if kind == "flow":
            entity["deleted"] = True
        self._note(kind, entity, at, "deleted")

    def make(self, kind: str, name: str, at: datetime) -> Entity:
        """Make an entity like the first of its kind; another may have had its name."""
        self._ever(kind)
        model = (self.lists[kind] or self.gone[kind])[0]
        made = {**model, "id": identity(self._draw), "name": name}
        made["selfUri"] = f"/api/v2/{_HOMES[kind]}/{made['id']}"
        made.pop("deleted", None)
        if kind in _STATED:
            made["state"] = "active"
        if kind == "division":
            made["homeDivision"] = False
        if kind == "user":
            made["email"] = made["username"] = f"agent-{made['id'][:8]}@simulated.example"
        if "dateCreated" in made:
            made["dateCreated"] = text(at)
        self.lists[kind].append(made)
        self._order[kind].append(made)
        self._note(kind, made, at, "active")
        return made

    def _note(self, kind: str, entity: Entity, at: datetime, state: str) -> None:
        if self.changes and at < self.changes[-1]:
            raise ValueError("time goes forwards only")
        if kind in _DATED:
            entity["dateModified"] = text(at)
        if "version" in entity:
            entity["version"] += 1
        self.history.setdefault((kind, str(entity["id"])), []).append(Named(at, str(entity["name"]), state))
        self.changes.append(at)

    # What there is

    def find(self, kind: str, identity: str) -> Entity:
        """The entity of that id. Raises KeyError for what is not there."""
        self._ever(kind)
        for entity in self.lists[kind]:
            if entity["id"] == identity:
                return entity
        raise KeyError(f"there is no {kind} {identity}")

    def named(self, kind: str, identity: str, at: datetime) -> Named | None:
        """The name and state of an id at a time; None: it did not exist yet, or never."""
        known = [each for each in self.history.get((kind, identity), ()) if each.since <= at]
        return known[-1] if known else None

    def _ever(self, kind: str) -> list[Entity]:
        """Every entity that there ever was, in the order in which they were made; those that a test adds are new."""
        order = self._order[kind]
        added = [entity for entity in self.lists[kind] if (kind, str(entity["id"])) not in self.history]
        for entity in added:
            self.history[kind, str(entity["id"])] = [Named(ALWAYS, str(entity["name"]), "active")]
        order += added
        return order

    def as_of(self, kind: str, at: datetime) -> list[Entity]:
        """The entities of a kind that existed at a time, with the names of that time; at least one."""
        found = []
        for entity in self._ever(kind):
            then = self.named(kind, str(entity["id"]), at)
            if then is not None and then.state == "active":
                found.append(entity if then.name == entity["name"] else {**entity, "name": then.name})
        return found or self._order[kind][:1]

    def every(self, kind: str) -> list[Entity]:
        """Those that exist, then those that were deleted."""
        return [*self.lists[kind], *self.gone[kind]]


def more_entities(draw: random.Random, divisions: Sequence[Entity], start: datetime) -> dict[str, list[Entity]]:
    """Skills, languages, teams, edges and sites: what records name beside queues, users, codes and flows."""
    made = text(start)
    home = {key: divisions[0][key] for key in ("id", "name", "selfUri")}

    def entity(kind: str, name: str, **more: Any) -> Entity:
        identifier = identity(draw)
        return {"id": identifier, "name": name, **more, "selfUri": f"/api/v2/{_HOMES[kind]}/{identifier}"}

    def stated(kind: str, name: str, **more: Any) -> Entity:
        return entity(kind, name, state="active", version=1, dateModified=made, **more)

    sites = [stated("site", name, division=home, dateCreated=made, managed=False) for name in ("London", "Dublin")]
    edges = [
        stated(
            "edge",
            f"Edge {number + 1}",
            division=home,
            dateCreated=made,
            managed=False,
            site={key: sites[number % 2][key] for key in ("id", "name", "selfUri")},
        )
        for number in range(4)
    ]
    return {
        "skill": [stated("skill", name) for name in ("Orders", "Refunds", "Spanish accounts", "Second line", "Sales")],
        "language": [stated("language", name) for name in ("English - Written", "Spanish", "German")],
        "team": [
            entity("team", name, division=home, dateCreated=made, dateModified=made, memberCount=4)
            for name in ("Red team", "Blue team", "Night team")
        ],
        "edge": edges,
        "site": sites,
    }
