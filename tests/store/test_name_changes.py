"""Names with their dates, as listings make them: decided from what is known and what is shown, in any order."""

from collections.abc import Iterable
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.named import NameState
from rollbook.store.rows.name_changes import ALWAYS, ListedName, NameListing, NameRow, changed_rows

DAYS = [f"2026-03-{day:02}T03:00:00.000Z" for day in range(1, 30)]


class Kept:
    """The rows of one kind, written as the table writes them."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], NameRow] = {}

    def take(self, listing: NameListing) -> list[NameRow]:
        """Write what a listing changes."""
        rows = changed_rows(self.now(), listing)
        self.rows |= {(row.id, row.valid_from): row for row in rows}
        return rows

    def now(self) -> list[NameRow]:
        return [row for row in self.rows.values() if row.valid_to is None]

    def of(self, identity: str) -> list[NameRow]:
        return sorted((row for row in self.rows.values() if row.id == identity), key=lambda row: row.valid_from)

    def then(self, identity: str, at: str) -> NameRow:
        [row] = [
            row for row in self.of(identity) if row.valid_from <= at and (row.valid_to is None or at < row.valid_to)
        ]
        return row


def listing(day: int, *entities: ListedName, whole: bool = True, divisions: Iterable[str] | None = None) -> NameListing:
    """A listing of a day."""
    seen = None if divisions is None else frozenset(divisions)
    return NameListing(DAYS[day], {entity.id: entity for entity in entities}, whole, seen)


A, B = ListedName("a", "Sales"), ListedName("b", "Service")


def test_a_first_name_counts_for_all_time_before() -> None:
    """Nobody can say what it was called before it was listed first."""
    kept = Kept()
    kept.take(listing(3, A))
    assert kept.then("a", "2019-01-01T00:00:00.000Z").name == "Sales"
    assert kept.of("a") == [NameRow("a", "Sales", ALWAYS, None, "active", DAYS[3])]


def test_a_rename_closes_a_row_and_opens_another() -> None:
    """The old name counts until the listing that shows the new one; between is what its seen_at says."""
    kept = Kept()
    kept.take(listing(0, A, B))
    kept.take(listing(1, A, B))
    kept.take(listing(2, replace(A, name="Orders"), B))
    old, new = kept.of("a")
    assert (old.name, old.seen_at, old.valid_to) == ("Sales", DAYS[1], DAYS[2])
    assert (new.name, new.valid_from, new.valid_to) == ("Orders", DAYS[2], None)
    assert [row.seen_at for row in kept.of("b")] == [DAYS[2]]


def test_a_rename_is_dated_by_the_platform_where_it_can_be() -> None:
    """Its own time of the last change counts if it lies between the two listings."""
    for modified, expected in (
        ("2026-03-02T10:00:00.000Z", "2026-03-02T10:00:00.000Z"),
        (DAYS[0], DAYS[2]),
        ("2026-03-20T10:00:00.000Z", DAYS[2]),
        (None, DAYS[2]),
    ):
        kept = Kept()
        kept.take(listing(0, A))
        kept.take(listing(2, replace(A, name="Orders", modified_at=modified)))
        assert [row.valid_from for row in kept.of("a")] == [ALWAYS, expected]


def test_two_whole_listings_delete() -> None:
    """The first that lacks it is only noted; the second believes it, from the first one's time on. The name stays."""
    kept = Kept()
    kept.take(listing(0, A, B))
    kept.take(listing(1, B))
    assert [row.state for row in kept.of("a")] == ["active"]
    kept.take(listing(2, B))
    active, deleted = kept.of("a")
    assert (active.state, active.valid_to) == ("active", DAYS[1])
    assert (deleted.name, deleted.state, deleted.valid_from, deleted.valid_to) == ("Sales", "deleted", DAYS[1], None)
    assert kept.take(listing(3, B)) == [replace(kept.of("b")[0], seen_at=DAYS[3])]


def test_parts_and_nothing_delete_nothing() -> None:
    """Neither does a listing that is not whole, nor one that is empty, however often."""
    kept = Kept()
    kept.take(listing(0, A, B))
    for day in range(1, 6):
        kept.take(listing(day, B, whole=False))
        kept.take(listing(day))
    assert [row.state for row in kept.now()] == ["active", "active"]
    kept.take(listing(6, B))
    kept.take(listing(7, B, whole=False))
    kept.take(listing(7))
    assert {row.state for row in kept.now()} == {"active"}
    kept.take(listing(8, A, B, whole=False))
    kept.take(listing(9, B))
    assert {row.state for row in kept.now()} == {"active"}, "it was shown between the two that lacked it"


def test_what_the_client_cannot_see_is_not_deleted() -> None:
    """What is in another division than those that the client sees would not be shown if it were there."""
    hidden = ListedName("a", "Sales", division_id="d2")
    there = ListedName("b", "Service", division_id="d1")
    for divisions, state in ((["d1"], "active"), (["d1", "d2"], "deleted"), (None, "active")):
        kept = Kept()
        kept.take(listing(0, hidden, there, divisions=["d1", "d2"]))
        kept.take(listing(1, there, divisions=divisions))
        kept.take(listing(2, there, divisions=divisions))
        assert kept.of("a")[-1].state == state


def test_the_platform_says_itself_what_is_deleted() -> None:
    """Then one listing is enough, and where it always says so, what it lacks was not deleted."""
    kept = Kept()
    kept.take(listing(0, A, B))
    kept.take(listing(1, replace(A, state=NameState.DELETED), B, whole=False))
    assert [row.state for row in kept.of("a")] == ["active", "deleted"]
    for day in (2, 3, 4):
        kept.take(replace(listing(day, A), deletes=False))
    assert [row.state for row in kept.of("b")] == ["active"]
    assert [row.state for row in kept.of("a")] == ["active", "deleted", "active"]


def test_a_name_that_is_used_again_is_another_ids() -> None:
    """A rename, a deletion and a new entity of the same name: each id has the right name at each time."""
    kept = Kept()
    kept.take(listing(0, A, B))
    kept.take(listing(1, replace(A, name="Orders"), B))
    kept.take(listing(2, ListedName("c", "Sales"), B))
    kept.take(listing(3, ListedName("c", "Sales"), B))
    assert [kept.then("a", DAYS[day]).name for day in range(4)] == [
        "Sales",
        "Orders",
        "Orders",
        "Orders",
    ]
    assert kept.then("c", DAYS[3]).name == "Sales"
    assert [row.id for row in kept.now() if row.name == "Sales"] == ["c"]


def test_a_word_stands_in_until_there_is_a_name() -> None:
    """A code that is its own name is deleted by no listing, and a name that one shows was always its name."""
    kept = Kept()
    word = NameRow("ININ-WRAP-UP-TIMEOUT", "ININ-WRAP-UP-TIMEOUT", ALWAYS, None, "active", DAYS[0])
    kept.rows[word.id, ALWAYS] = word
    for day in (1, 2, 3):
        kept.take(listing(day, A))
    assert kept.of(word.id) == [word]
    kept.take(listing(4, A, ListedName(word.id, "Timed out")))
    assert [(row.name, row.valid_from) for row in kept.of(word.id)] == [("Timed out", ALWAYS)]


ENTITIES = st.lists(
    st.builds(
        ListedName,
        st.sampled_from("abc"),
        st.sampled_from(["", "Sales", "Service", "b"]),
        st.sampled_from(list(NameState)),
        st.none() | st.sampled_from(["d1", "d2"]),
        st.none() | st.sampled_from(["s1", "s2"]),
        st.none() | st.sampled_from(DAYS),
    ),
    max_size=3,
)
LISTINGS = st.lists(
    st.builds(
        lambda day, entities, whole, divisions, deletes: replace(
            listing(day, *entities, whole=whole, divisions=divisions), deletes=deletes
        ),
        st.integers(0, len(DAYS) - 1),
        ENTITIES,
        st.booleans(),
        st.none() | st.sets(st.sampled_from(["d1", "d2"])),
        st.booleans(),
    ),
    max_size=12,
)


@given(LISTINGS)
def test_the_rows_of_an_id_follow_each_other(listings: list[NameListing]) -> None:
    """Whatever is listed in whatever order, an id has one name at every time, and what is closed stays what it was."""
    kept = Kept()
    for each in listings:
        closed = {key: row for key, row in kept.rows.items() if row.valid_to is not None}
        kept.take(each)
        assert {key: kept.rows[key] for key in closed} == closed
        assert each.entities.keys() <= {row.id for row in kept.now()}
        for identity in {row.id for row in kept.rows.values()}:
            rows = kept.of(identity)
            assert rows[0].valid_from == ALWAYS
            assert [row.valid_to for row in rows] == [row.valid_from for row in rows[1:]] + [None]
            assert all(row.name for row in rows)


@given(LISTINGS)
def test_a_listing_taken_twice_writes_nothing_new(listings: list[NameListing]) -> None:
    """The second time its time is no later than what it has shown."""
    kept = Kept()
    for each in listings:
        kept.take(each)
        before = dict(kept.rows)
        kept.take(each)
        assert kept.rows == before


@given(LISTINGS)
def test_only_whole_listings_delete_what_they_lack(listings: list[NameListing]) -> None:
    """Without two whole ones that lack it, nothing becomes deleted that no listing calls so."""
    kept = Kept()
    for each in listings:
        kept.take(replace(each, whole=False))
    called = {entity.id for each in listings for entity in each.entities.values() if entity.state == "deleted"}
    assert {row.id for row in kept.rows.values() if row.state == "deleted"} <= called


@given(st.lists(st.sampled_from(["Sales", "Service", "Orders"]), min_size=1, max_size=20))
def test_each_day_has_the_name_that_was_listed_then(names: list[str]) -> None:
    """Daily listings are enough for the right name of every day, for all who ask at the time of a listing."""
    kept = Kept()
    for day, name in enumerate(names):
        kept.take(listing(day, replace(A, name=name)))
    assert [kept.then("a", DAYS[day]).name for day in range(len(names))] == names
