"""The kinds of names that are due: daily, sooner after trouble, and whatever a clock that ran ahead has noted."""

from datetime import UTC, datetime, timedelta

import pytest

from reconcile.names.due_listings import due_kinds
from rollbook.genesys.named import LISTS, NameKind
from rollbook.genesys.times import to_text
from rollbook.store.tables.names import ListingState

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("hours", "trouble", "permission", "due"),
    [
        (23.9, None, None, False),
        (24, None, None, True),
        (0.9, "down", None, False),
        (1, "down", None, True),
        (23.9, "missing", "groups:team:view", False),
        (24, "missing", "groups:team:view", True),
        (-0.5, None, None, False),
        (-100, None, None, True),
    ],
)
def test_a_kind_is_due(hours: float, trouble: str | None, permission: str | None, due: bool) -> None:
    """A day after it was tried, an hour after it failed, but for a permission, which is missing for longer."""
    tried = ListingState(to_text(NOW - timedelta(hours=hours)), trouble=trouble, permission=permission)
    states: dict[str, ListingState] = dict.fromkeys(LISTS, ListingState(to_text(NOW)))
    states[NameKind.TEAM] = tried
    assert due_kinds(states, NOW) == [NameKind.TEAM] * due


def test_what_was_never_listed_is_due() -> None:
    """All kinds of a new store, divisions first: what the client sees tells what a shorter list means."""
    assert due_kinds({}, NOW) == list(LISTS)
    assert next(iter(LISTS)) == NameKind.DIVISION
    assert set(LISTS) == set(NameKind)
