"""What `rollbook doctor` finds, check by check."""

from __future__ import annotations

from pathlib import Path

from realtime import doctor
from store.book import Book


def test_what_was_refused_is_looked_at(tmp_path: Path) -> None:
    """Topics that the daemon was refused are told with what they lack; without any there is nothing to tell."""
    path = tmp_path / "rollbook.db"
    assert doctor._refused(path) is None
    with Book.open(path) as book:
        assert doctor._refused(path) is None
        lacks = ["conversation:communication:view"]
        rows = [{"topic": f"v2.{one}", "missing_permissions": lacks} for one in "ab"]
        book.reject_topics(rows, "2026-08-03T14:00:00.000Z").result(10)
    check = doctor._refused(path)
    assert check is not None
    assert (check.state, check.mend) == ("warn", "give the OAuth client's role conversation:communication:view")
    assert check.found == "2 topics, when they were last asked for (2026-08-03 14:00 UTC)"
