"""`rollbook names`: what it shows of a store, and what a listing by hand says."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from reconcile.commands import options
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.rows.name_changes import ListedName, NameListing
from rollbook.store.tables import names
from tests.helpers.organisation import at
from tests.helpers.peek import command
from tests.helpers.whole import finish, start


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store in which a queue was renamed, a user has no name, and teams may not be listed."""
    path = tmp_path / "rollbook.db"
    with Book.open(path) as book:
        for minute, name in ((60, "Sales"), (120, "Orders")):
            listing = NameListing(at(minute), {"q1": ListedName("q1", name), "q2": ListedName("q2", "Ärzte")}, True)
            book.write(names.take, "queue", listing).result(10)
        book.write(names.meet, [("user", "u1"), ("queue", "q1"), ("wrapupcode", "ININ-WRAP-UP-TIMEOUT")]).result(10)
        book.write(names.note_trouble, "team", at(120), "missing", "groups:team:view").result(10)
    return path


def run(path: Path, *words: str) -> Result:
    """The command on a store."""
    return command(options.names, ["--db", str(path), *words])


def listed(path: Path, *words: str) -> list[dict[str, Any]]:
    """The names of its JSON."""
    found: list[dict[str, Any]] = json.loads(run(path, "--json", *words).output)["names"]
    return found


def test_the_names_of_now(path: Path) -> None:
    """A line each, then a line for each kind: how many, how many ids have none, when it was listed, what it lacks."""
    lines = run(path, "--kind", "queue", "--kind", "user", "--kind", "team").output.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "queue q1 Orders since 2026-03-02 12:00 UTC",
        "queue q2 Ärzte",
        "queue: 2 names; listed 2026-03-02 12:00 UTC",
        "user: 0 names; 1 id without a name; never listed",
        "team: 0 names; never listed; the OAuth client lacks the permission groups:team:view",
    ]


def test_the_names_of_another_time(path: Path) -> None:
    """--at, whatever its offset; --history has all of them; ids choose."""
    assert [name["name"] for name in listed(path, "q1", "--at", "2026-03-02T12:30+01:00")] == ["Sales"]
    assert [name["name"] for name in listed(path, "q1", "--at", "2026-03-02T12:00Z")] == ["Orders"]
    assert [name["name"] for name in listed(path, "q1", "--history")] == ["Orders", "Sales"]
    assert [name["id"] for name in listed(path)] == ["q1", "q2", "ININ-WRAP-UP-TIMEOUT"]


def test_ids_without_a_name(path: Path) -> None:
    """They are listed, as JSON and CSV too."""
    assert run(path, "--unnamed").output.splitlines()[0].split() == ["user", "u1"]
    assert json.loads(run(path, "--json").output)["unnamed"] == [{"kind": "user", "id": "u1"}]
    assert run(path, "--unnamed", "--csv").output == "kind,id\nuser,u1\n"


def test_csv(path: Path) -> None:
    """A header and a row for each name."""
    rows = list(csv.DictReader(run(path, "--csv", "--kind", "queue").output.splitlines()))
    assert [(row["id"], row["name"], row["valid_to"]) for row in rows] == [("q1", "Orders", ""), ("q2", "Ärzte", "")]


def test_what_cannot_be_asked(path: Path) -> None:
    """A time that is none, two formats at once: one line, status 2."""
    for words, said in ((["--at", "yesterday"], "--at"), (["--csv", "--json"], "cannot be given together")):
        ran = run(path, *words)
        assert ran.exit_code == 2
        assert said in ran.output


async def test_a_listing_by_hand(tmp_path: Path) -> None:
    """It says what is new; a kind whose permission is missing is said, and only other trouble is a failure."""
    async with Simulator(seed=2, per_hour=0) as simulator:
        lacks = simulator.client._replace(lacks=frozenset({"groups:team:view"}))
        simulator.sign_in.change(lacks)
        env = {**simulator.env, "ROLLBOOK_DB": str(tmp_path / "rollbook.db")}
        ran = await finish(await start("names", "--refresh", "--json", env=env, cwd=tmp_path))
        assert ran.status == 0, ran.err
        read = {each["kind"]: each for each in ran.json["refreshed"]}
        assert (read["queue"]["new"], read["queue"]["trouble"]) == (6, None)
        assert "groups:team:view" in read["team"]["trouble"]
        assert {kind["kind"]: kind["permission"] for kind in ran.json["kinds"]}["team"] == "groups:team:view"
        assert len([name for name in ran.json["names"] if name["kind"] == "user"]) == 12
