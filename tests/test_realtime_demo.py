"""What `rollbook demo` makes room for, and what it leaves alone."""

from pathlib import Path

import pytest

from genesys.errors import RollbookError
from organisation import dump
from realtime import demo
from simulator import Simulator
from store.book import Book


@pytest.mark.parametrize("organization", [None, ("o1", "Acme")])
def test_a_store_that_no_demo_has_made_is_left_alone(tmp_path: Path, organization: tuple[str, str] | None) -> None:
    """The store of another organisation, or of one that is not known yet (events were ingested), is refused by name."""
    path = tmp_path / "ours.db"
    with Book.open(path, organization=organization):
        pass
    before = dump(path)
    with pytest.raises(RollbookError, match=r"ours\.db is .+ --db"):
        demo._make_room(path, 1)
    assert dump(path) == before


def test_an_earlier_demos_store_is_replaced(tmp_path: Path) -> None:
    """It goes with everything beside it, whatever the earlier demo's seed was."""
    organization = Simulator(seed=2, per_hour=0).world.organization
    with Book.open(tmp_path / "demo.db", organization=(organization["id"], organization["name"])):
        pass
    demo._make_room(tmp_path / "demo.db", 1)
    assert not list(tmp_path.iterdir())
