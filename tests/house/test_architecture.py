"""The house as the architecture page draws it: floors, doors, and what may not stand anywhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from realtime.commands.options import demo
from tests import newcomer
from tests.helpers.paths import ROOT

# From the ground up. `rollbook` alone is the umbrella command: the files directly below rollbook/.
FLOORS = ["rollbook/genesys", "rollbook/store", "rollbook/page", "reconcile", "realtime", "rollbook"]
ROOMS = [*FLOORS[:-1], "rollbook/simulator"]
# Names that say nothing of what they stand for: a time, a flag, a count, a list, an element.
BANNED_NAMES = {"told", "held", "heard", "standing", "one"}
QUESTION_WORDS = {"what", "whether", "how", "one"}
# Third-party packages that have one door each, and the modules that are it.
DOORS = {
    "httpx": {"rollbook/genesys/api/http.py"},
    "websockets": {"realtime/websocket/socket.py"},
    "apscheduler": {"reconcile/due/schedule.py"},
    "aiohttp": {"rollbook/page/server.py"},
    "jinja2": {"rollbook/page/render.py"},
    "markupsafe": {"rollbook/page/render.py", "rollbook/store/browse/cells.py"},
    "rich": {
        "rollbook/genesys/program/",
        "rollbook/store/commands/",
        "reconcile/",
        "realtime/",
        "rollbook/commands.py",
    },
    "sqlite3": {"rollbook/store/"},
    "sqlite_utils": {"rollbook/store/"},
    "datasette": {"rollbook/store/browse/server.py"},
    "uvicorn": {"rollbook/store/browse/server.py"},
    "pluggy": {"rollbook/store/plugin.py"},
    "boto3": {"realtime/aws/sqs.py", "rollbook/genesys/program/named_secrets.py", "realtime/aws/s3.py"},
    "pyarrow": {"rollbook/store/export/parquet.py"},
    "pandas": set(),
    "duckdb": set(),
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
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.relative_to(ROOT)}:{node.lineno}: a relative import hides from these tests"
            assert node.module
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def belongs(module: str, room: str) -> bool:
    """Whether a dotted name stands in a room."""
    name = room.replace("/", ".")
    if room == "rollbook":
        return module.startswith(("rollbook.commands", "rollbook.__main__"))
    return f"{module}.".startswith(f"{name}.")


def import_graph() -> dict[str, set[str]]:
    """Every module of the tree, and the modules of the tree that it imports, for type checkers too."""
    paths = {dotted(path): path for path in modules(*ROOMS, "rollbook")}
    graph = {}
    for name, path in paths.items():
        found = {part if part in paths else part.rpartition(".")[0] for part in imports(path)}
        graph[name] = (found & paths.keys()) - {name}
    return graph


def dotted(path: Path) -> str:
    """The name under which a file is imported."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """Modules of which each imports the next, and the last the first; an empty list where there is no circle."""
    left = {name: set(found) for name, found in graph.items()}
    while ends := {name for name, found in left.items() if not found}:
        left = {name: found - ends for name, found in left.items() if name not in ends}
    path: list[str] = []
    at = min(left, default="")
    while at and at not in path:
        path.append(at)
        at = min(left[at])
    return path[path.index(at) :] if at else []


def test_a_circle_of_imports_is_found() -> None:
    """A circle is found behind modules that are in none; a graph without a circle has none."""
    graph = {"top": {"left", "ground"}, "left": {"right"}, "right": {"left", "ground"}, "ground": set[str]()}
    assert find_circle(graph) == ["left", "right"]
    assert find_circle({**graph, "right": {"ground"}}) == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """The imports of the whole tree have an order, the simulator and imports for type checkers included."""
    graph = import_graph()
    assert len(graph) > 150
    assert sum(len(found) for found in graph.values()) > 500
    assert not find_circle(graph), " -> ".join(find_circle(graph))


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


# The rooms of live capture, from the ground up; those of a floor do not know each other.
REALTIME_FLOORS = [["figures", "clocks"], ["storing"], ["aws", "hook", "websocket"], ["daemon"], ["commands"]]


def test_rooms_of_realtime_import_downwards_only() -> None:
    """A room of live capture imports itself and the floors below it: what a socket hears does not depend on the daemon."""
    floor_of = {room: number for number, rooms in enumerate(REALTIME_FLOORS) for room in rooms}
    for path in modules("realtime"):
        room = path.relative_to(ROOT / "realtime").parts[0].removesuffix(".py")
        for module in imports(path):
            package, _, rest = module.partition(".")
            other = rest.partition(".")[0]
            if package == "realtime" and room in floor_of and other != room:
                assert floor_of.get(other, 0) < floor_of[room], f"{path.relative_to(ROOT)} imports {module}"


def test_the_simulator_shares_nothing_with_the_product() -> None:
    """It imports nothing of ours, so that it cannot share our mistakes; and only what shows or tests imports it."""
    for path in modules("rollbook/simulator"):
        wrong = {module for module in imports(path) if any(belongs(module, room) for room in FLOORS)}
        assert not wrong, f"{path.relative_to(ROOT)} imports {wrong}"
    for path in modules(*FLOORS):
        if any(belongs(module, "rollbook/simulator") for module in imports(path)):
            assert str(path.relative_to(ROOT)) in (
                "realtime/commands/demo.py",
                "realtime/commands/demo_call_quality.py",
            )


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
    for path in modules("rollbook/genesys", "rollbook/page", "reconcile", "realtime", "rollbook"):
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


def test_the_readmes_first_commands_are_those_that_are_timed() -> None:
    """Two lines: the first installs and plays the demo, the second shows the page of the store that it has made."""
    first, second = newcomer.commands((ROOT / "README.md").read_text())
    assert newcomer.steps(first)[-1] == [".venv/bin/rollbook", "demo"]
    [[program, command, *options]] = newcomer.steps(second)
    assert (program, command, options[0]) == (".venv/bin/rollbook", "page", "--db")
    made = next(option.default for option in demo.params if option.name == "path")
    assert Path(options[1]) == made


def names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that code gives or uses for a variable, parameter, attribute or function, with its line."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name, node.lineno
            case ast.alias(name=name, asname=given):
                yield given or name, node.lineno
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno
            case ast.MatchMapping(rest=str(name)):
                yield name, node.lineno


def banned_names(room: str) -> list[str]:
    """Places in a room where a banned name stands, alone or behind underscores."""
    return [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in modules(room)
        for name, line in names(ast.parse(path.read_text()))
        if name.strip("_") in BANNED_NAMES
    ]


def docstrings(tree: ast.AST) -> Iterator[str]:
    """Every docstring of a module, its classes and its functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield text


def begins_with_a_question(text: str) -> bool:
    """Say whether the first word of a docstring is what, whether, how or one."""
    word = re.match(r"\W*(\w+)", text)
    return word is not None and word[1].lower() in QUESTION_WORDS


def questions(*rooms: str) -> tuple[int, int]:
    """Count the docstrings of rooms that begin with a question word, and all of them."""
    found = [
        begins_with_a_question(text) for path in modules(*rooms) for text in docstrings(ast.parse(path.read_text()))
    ]
    return sum(found), len(found)


def test_every_place_of_a_name_is_looked_at() -> None:
    """A banned name is found as a variable, parameter, attribute, function, keyword, import, and in a pattern."""
    code = """
from m import x as told
def held(heard, *standing): return [one for one in heard if one.told]
async def one(): call(held=1)
try: pass
except E as told: pass
match x:
    case [one, *held]: pass
    case {"a": heard, **standing}: pass
"""
    found = sorted(name for name, _ in names(ast.parse(code)) if name in BANNED_NAMES)
    assert found == sorted(
        "told held heard standing one one heard one told one held told one held heard standing".split()
    )


def test_a_docstring_that_begins_with_a_question_is_counted() -> None:
    """The first word counts, whatever its case and the marks around it; other words do not."""
    assert all(begins_with_a_question(text) for text in ("What it is.", "`One` of them.", "how", "Whether.\n\nMore."))
    assert not any(begins_with_a_question(text) for text in ("Oneness.", "The one that", "Say whether.", ""))


@pytest.mark.parametrize("room", [*ROOMS, "rollbook", "tests"])
def test_no_name_is_one_that_says_nothing(room: str) -> None:
    """No variable, parameter, attribute or function is called told, held, heard, standing or one; nor is it in tests."""
    assert not banned_names(room)


def test_docstrings_begin_with_a_noun_or_a_verb() -> None:
    """Fewer than three in a hundred docstrings begin with what, whether, how or one."""
    count, total = questions(*ROOMS, "rollbook")
    assert total > 400
    assert count < 0.03 * total, f"{count} of {total}"


def test_a_class_name_means_one_thing() -> None:
    """No two classes of the project, the simulator included, have the same name."""
    places: dict[str, list[str]] = {}
    for path in modules(*ROOMS, "rollbook"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}
