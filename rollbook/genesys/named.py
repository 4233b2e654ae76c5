"""What has a name on the platform: the kinds, where each is listed, and the permission that it takes. Data only.

Source: the platform's SDK (paths, parameters, models and the permissions in its documentation).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class NameKind(StrEnum):
    """A kind of what has an id and a name."""

    QUEUE = "queue"
    USER = "user"
    WRAPUPCODE = "wrapupcode"
    DIVISION = "division"
    FLOW = "flow"
    SKILL = "skill"
    LANGUAGE = "language"
    TEAM = "team"
    EDGE = "edge"
    SITE = "site"


class NameState(StrEnum):
    """The state of what has a name."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class NameList:
    """A list of the platform's that tells names.

    params: what it is asked with, so that it shows deleted ones too where it can. by_id: whether it can be asked for
    some ids alone. deleted: the path of the list of the deleted ones, and the permission for it; such a kind has a
    deleted one only where that list says so. cursor: whether it is read by a cursor, without numbers of pages.
    """

    kind: NameKind
    path: str
    permission: str = ""
    params: Mapping[str, str] = field(default_factory=dict)
    by_id: bool = True
    deleted: tuple[str, str] | None = None
    cursor: bool = False


_EDGES: Final = "/api/v2/telephony/providers/edges"
_DIVISIONS: Final = "/api/v2/authorization/divisions"
# Divisions come first: which of them can be seen says what a list that lacks something may mean.
LISTS: Final[Mapping[NameKind, NameList]] = {
    each.kind: each
    for each in (
        NameList(
            NameKind.DIVISION,
            _DIVISIONS,
            "authorization:division:view",
            deleted=(f"{_DIVISIONS}/deleted", "authorization:divisionDeleted:view"),
        ),
        NameList(NameKind.QUEUE, "/api/v2/routing/queues", "routing:queue:view"),
        NameList(NameKind.USER, "/api/v2/users", "directory:user:view", {"state": "any"}),
        NameList(NameKind.WRAPUPCODE, "/api/v2/routing/wrapupcodes", "routing:wrapupCode:view"),
        NameList(NameKind.FLOW, "/api/v2/flows", "architect:flow:view", {"deleted": "true"}),
        NameList(NameKind.SKILL, "/api/v2/routing/skills"),
        NameList(NameKind.LANGUAGE, "/api/v2/routing/languages"),
        NameList(NameKind.TEAM, "/api/v2/teams", "groups:team:view", by_id=False, cursor=True),
        NameList(NameKind.EDGE, _EDGES, "telephony:plugin:all", by_id=False),
        NameList(NameKind.SITE, f"{_EDGES}/sites", "telephony:plugin:all", by_id=False),
    )
}
