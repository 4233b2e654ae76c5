"""The house as the architecture page draws it: floors, doors, and what may not stand anywhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# From the ground up. `rollbook` alone is the umbrella command: the files directly below rollbook/.
FLOORS = ["rollbook/genesys", "rollbook/store", "reconcile", "realtime", "rollbook"]
ROOMS = [*FLOORS[:-1], "rollbook/simulator"]
# Third-party packages that have one door each, and the modules that are it.
DOORS = {
    "httpx": {"rollbook/genesys/api/http.py"},
    "websockets": {"realtime/websocket/socket.py"},
    "apscheduler": {"reconcile/due/schedule.py"},
    "aiohttp": {"realtime/daemon/http_port.py"},
    "rich": {
        "rollbook/genesys/program/",
        "rollbook/store/commands/",
        "reconcile/",
        "realtime/",
        "rollbook/commands.py",
    },
    "sqlite3": {"rollbook/store/"},
    "sqlite_utils": {"rollbook/store/"},
    "boto3": {"realtime/aws/sqs.py", "rollbook/genesys/program/named_secrets.py", "realtime/aws/s3.py"},
    "orjson": set(),
    "requests": set(),
    "PureCloudPlatformClientV2": set(),
}


def modules(*rooms: str) -> Iterator[Path]:
    """Every Python file of these rooms."""
    for room in rooms:
        if room == "rollbook":
            yield from sorted((ROOT / room).glob("*.py"))
        else:
            yield from sorted((ROOT / room).rglob("*.py"))


def imports(path: Path) -> set[str]:
    """The modules that a file imports, anywhere in it: dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def belongs(module: str, room: str) -> bool:
    """Whether a dotted name stands in a room."""
    name = room.replace("/", ".")
    if room == "rollbook":
        return module.startswith(("rollbook.commands", "rollbook.__main__"))
    return f"{module}.".startswith(f"{name}.")


@pytest.mark.parametrize("room", FLOORS)
def test_imports_go_downwards_only(room: str) -> None:
    """A room imports itself and the floors below it, never one above."""
    above = FLOORS[FLOORS.index(room) + 1 :]
    for path in modules(room):
        if path.name != "__main__.py":
            wrong = {module for module in imports(path) if any(belongs(module, other) for other in above)}
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_rooms_of_reconcile_import_downwards_only() -> None:
    """Reading knows no runs, a run does not know why it is due, and the values below them know no room at all."""
    floors = ["reconcile/reading", "reconcile/run", "reconcile/due", "reconcile/commands"]
    values = ["window", "patience", "causes", "report"]
    for place, room in enumerate(floors):
        for path in [*modules(room), *((ROOT / f"reconcile/{name}.py") for name in values if room == floors[0])]:
            above = floors if path.parent.name == "reconcile" else floors[place + 1 :]
            wrong = {module for module in imports(path) if any(belongs(module, other) for other in above)}
            assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"


def test_the_simulator_shares_nothing_with_the_product() -> None:
    """It imports nothing of ours, so that it cannot share our mistakes; and only what shows or tests imports it."""
    for path in modules("rollbook/simulator"):
        wrong = {module for module in imports(path) if any(belongs(module, room) for room in FLOORS)}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"
    for path in modules(*FLOORS):
        if any(belongs(module, "rollbook/simulator") for module in imports(path)):
            assert str(path.relative_to(ROOT)) == "realtime/commands/demo.py"


@pytest.mark.parametrize("package", DOORS)
def test_a_foreign_library_has_one_door(package: str) -> None:
    """A package is imported in its door and nowhere else of the product."""
    for path in modules(*FLOORS):
        if any(belongs(module, package) for module in imports(path)):
            name = str(path.relative_to(ROOT))
            assert any(name.startswith(door) for door in DOORS[package]), f"{name} imports {package}"


def test_sql_is_written_in_the_store_only() -> None:
    """No other room speaks SQL."""
    words = re.compile(r"\b(SELECT .+ FROM|INSERT (OR \w+ )?INTO|UPDATE \w+ SET|DELETE FROM)\b")
    for path in modules("rollbook/genesys", "reconcile", "realtime", "rollbook"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 400:
                assert not words.search(node.value) or "demo" in path.name, f"{path.relative_to(ROOT)}: {node.value}"


def test_every_module_says_what_it_owns() -> None:
    """Each file opens with a docstring. (No number of lines: a wall stands where the subject changes.)"""
    for path in modules(*ROOMS, "rollbook"):
        text = path.read_text()
        assert ast.get_docstring(ast.parse(text)), path.relative_to(ROOT)


def test_each_room_is_typed() -> None:
    """Each package tells type checkers that it is typed."""
    for room in ("rollbook", "reconcile", "realtime"):
        assert (ROOT / room / "py.typed").exists()


def test_the_readmes_test_command_is_what_ci_runs() -> None:
    """The one command that the README gives for the tests is the one that CI calls."""
    command = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/python -m pytest -q"
    assert command in (ROOT / "README.md").read_text()
    assert command in (ROOT / ".ci" / "run").read_text()
