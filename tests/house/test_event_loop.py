"""Code that runs on an event loop does not wait for the store; and every thread, task and process is on the architecture page."""

import ast
import re
from collections.abc import Iterator

import pytest

from tests.helpers.paths import ROOT

PRODUCT = ["realtime", "reconcile", "rollbook"]
BEGIN = {"create_task", "ensure_future", "Thread", "ThreadPoolExecutor", "to_thread", "apart", "spawn", "_spawn"}
PROCESSES = {"Popen", "create_subprocess_exec"}
# A program of its own, in which no event loop runs.
SECOND = "rollbook/store/export/second_process.py"
PLACE = re.compile(r"`([\w/]+\.py)` `([\w.]+)`")


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the product, the simulator aside, by its path."""
    for room in PRODUCT:
        for path in sorted((ROOT / room).rglob("*.py")):
            if "simulator" not in path.parts:
                yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def calls(tree: ast.AST) -> Iterator[tuple[str, bool, ast.Call]]:
    """Every call, with the qualified name of the function that it stands in and whether that one is a coroutine."""

    def walk(node: ast.AST, name: str, is_async: bool) -> Iterator[tuple[str, bool, ast.Call]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                yield from walk(child, f"{name}.{child.name}".lstrip("."), isinstance(child, ast.AsyncFunctionDef))
            elif isinstance(child, ast.ClassDef):
                yield from walk(child, f"{name}.{child.name}".lstrip("."), False)
            elif isinstance(child, ast.Lambda):
                yield from walk(child, name, False)
            else:
                if isinstance(child, ast.Call):
                    yield name, is_async, child
                yield from walk(child, name, is_async)

    return walk(tree, "", False)


def attribute(node: ast.expr) -> str:
    """The last name of what is called."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def waits(tree: ast.Module) -> list[int]:
    """The lines on which a coroutine waits for the store itself: a read, an opening, a closing, a write's result."""
    found = []
    for _, is_async, call in calls(tree):
        name, of = attribute(call.func), call.func.value if isinstance(call.func, ast.Attribute) else None
        written = name == "result" and isinstance(of, ast.Call) and attribute(of.func) == "write"
        opened = name in ("open", "close") and of is not None and attribute(of).lower().strip("_") == "book"
        if is_async and (name == "read_now" or written or opened):
            found.append(call.lineno)
    return found


@pytest.mark.parametrize(
    "line",
    [
        "book.read_now(find)",
        "Book.open(path)",
        "self._book.close()",
        "book.write(find).result()",
        "x = [book.read_now(f)]",
    ],
)
def test_a_coroutine_that_waits_is_found(line: str) -> None:
    """Each way of waiting for the store is seen in a coroutine, and not in a function beside it."""
    assert waits(ast.parse(f"async def work():\n    {line}")) == [2]
    assert waits(ast.parse(f"def work():\n    {line}")) == []


def test_no_coroutine_waits_for_the_store() -> None:
    """Reads, opening and closing are awaited there, and so is the answer of a write."""
    assert {path: lines for path, tree in trees() if (lines := waits(tree))} == {}


def test_the_store_is_read_at_once_by_commands_alone() -> None:
    """`read_now` stands where no event loop runs: in the commands, and in what they alone call or begin."""
    found = {path for path, tree in trees() for _, _, call in calls(tree) if attribute(call.func) == "read_now"}
    assert found
    assert {path for path in found if "/commands/" not in path and "store/erasure/" not in path} == {SECOND}


def begun() -> set[tuple[str, str]]:
    """The places at which the product begins a thread, a task or a process: (path, function)."""
    begin = BEGIN | PROCESSES
    return {(path, where) for path, tree in trees() for where, _, call in calls(tree) if attribute(call.func) in begin}


def test_every_thread_task_and_process_is_on_the_architecture_page() -> None:
    """Its table names each place that begins some, and none that does not."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    table = page.partition("### Threads, tasks and processes")[2].partition("\n#")[0]
    assert set(PLACE.findall(table)) == begun()
