"""docs/commands.md against the commands, and every page against what commands, options, statuses and metrics there are."""

import ast
import re
from collections.abc import Iterator

import click

from rollbook.genesys import errors
from rollbook.store.file import errors as store_errors
from tests.helpers.docs_pages import DOCS, all_pages, command_lines, generator, spans
from tests.helpers.paths import ROOT

PAGE = DOCS / "commands.md"
# Where commands answer with a number that is no error's.
ANSWERS = [*ROOT.glob("*/commands/*.py"), *ROOT.glob("*/*/commands/*.py"), ROOT / "reconcile" / "report.py"]


def commands() -> dict[str, click.Command]:
    """Every command by its words."""
    return {" ".join(words): command for words, command in generator().commands()}


def options(command: click.Command) -> set[str]:
    """The options of a command, as people type them."""
    found = {"-h", "--help"}
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            found |= {*parameter.opts, *parameter.secondary_opts}
    return found


def test_the_page_is_what_the_commands_say() -> None:
    """docs/commands.md is what `python docs/generate.py` writes now."""
    assert PAGE.read_text(encoding="utf-8") == generator().commands_page(), "run `python docs/generate.py`"


def test_each_command_and_option_is_in_the_page() -> None:
    """A command has a part of the page, and each of its options stands in it, no option hidden."""
    page = PAGE.read_text(encoding="utf-8")
    parts = dict(re.findall(r"^## (rollbook.*?)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE))
    assert set(parts) == set(commands())
    assert len(parts) > 15
    for name, command in commands().items():
        assert options(command) <= set(re.findall(r"--?[a-z][a-z-]*", parts[name])), name


def test_no_line_of_help_is_wider_than_a_terminal() -> None:
    """The help of each command fits into 80 columns."""
    for _, text in generator().help_texts():
        assert max(map(len, text.splitlines())) <= 80


def test_each_command_line_of_a_page_can_be_typed() -> None:
    """Each line of `rollbook` or `reconcile` in a page names a command that exists, and options that it has."""
    known, found = commands(), 0
    for page, words in command_lines():
        name = "rollbook"
        for word in words[1:]:
            if f"{name} {word}" not in known:
                break
            name = f"{name} {word}"
        command, at = known[name], f"{page.relative_to(ROOT)}: {' '.join(words)}"
        rest = words[len(name.split()) :]
        if isinstance(command, click.Group):
            assert not rest or rest[0].startswith("-") or rest[0] == "…", at
        used = {word.strip("[]").partition("=")[0] for word in rest if re.match(r"\[?--?[a-z]", word)}
        assert used <= options(command), at
        found += 1
    assert found > 30


def test_each_option_that_a_sentence_names_exists() -> None:
    """`--option` in a sentence is an option of some command (or of one of our scripts, which is named beside it)."""
    every = {option for command in commands().values() for option in options(command)}
    scripts = set()
    for path in [*(ROOT / "tests").rglob("*.py"), ROOT / "deploy" / "aws" / "package.py", DOCS / "generate.py"]:
        scripts |= set(re.findall(r'"(--[a-z][a-z-]*)"', path.read_text()))
    for page, text in all_pages().items():
        for span in spans(text):
            if re.match(r"--[a-z]", span):
                assert span.split()[0].partition("=")[0] in every | scripts, f"{page.relative_to(ROOT)}: {span}"


def kinds(error: type[Exception]) -> Iterator[type[Exception]]:
    """An error and every kind of it."""
    yield error
    for kind in error.__subclasses__():
        yield from kinds(kind)


def answered() -> set[int]:
    """The statuses that commands answer with: of every error, and every number that a command returns."""
    assert store_errors.StoreError is errors.StoreError  # imported, so that its kinds are there
    found: set[int] = {0, *(kind.exit_status for kind in kinds(errors.RollbookError))}  # type: ignore[attr-defined]
    for path in ANSWERS:
        tree = ast.parse(path.read_text())
        names = dict(_constants(tree))
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef) and _answers(function):
                for node in ast.walk(function):
                    if isinstance(node, ast.Return) and node.value is not None:
                        found |= set(_numbers(node.value, names))
    return found


def _constants(tree: ast.Module) -> Iterator[tuple[str, object]]:
    """(name, value) of each constant that a module defines."""
    for statement in tree.body:
        if isinstance(statement, ast.Assign):
            target, value = statement.targets[0], statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value is not None:
            target, value = statement.target, statement.value
        else:
            continue
        if isinstance(target, ast.Name) and isinstance(value, ast.Constant):
            yield target.id, value.value


def _answers(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Say whether a function returns an exit status, by its type and its name."""
    returns = ast.unparse(function.returns) if function.returns else ""
    return returns == "int" and (function.name in ("work", "_work", "exit_status") or "demo" in function.name)


def _numbers(node: ast.expr, names: dict[str, object]) -> Iterator[int]:
    if isinstance(node, ast.IfExp):
        yield from _numbers(node.body, names)
        yield from _numbers(node.orelse, names)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int):
        yield node.value
    elif isinstance(node, ast.Name) and isinstance(number := names.get(node.id), int):
        yield number


def test_each_exit_status_is_in_the_page() -> None:
    """The statuses of the page are those that errors and commands have, no more and no fewer."""
    page = PAGE.read_text(encoding="utf-8")
    named = {int(number) for number in re.findall(r"^- \*\*(\d+)\*\*", page, re.MULTILINE)}
    assert named == answered()


def test_each_exit_status_that_a_page_names_exists() -> None:
    """A sentence about an exit status names a status that there is."""
    found = 0
    for page, text in all_pages().items():
        for number in re.findall(
            r"(?:exit status|exits|answers with status)(?: is)? (\d+)", " ".join(text.split()), re.I
        ):
            found += 1
            assert int(number) in answered(), f"{page.relative_to(ROOT)}: {number}"
    assert found > 3


def test_each_metric_is_in_the_daemons_page() -> None:
    """docs/daemon.md has the metrics, types and labels that /metrics answers now."""
    page = (DOCS / "daemon.md").read_text(encoding="utf-8")
    assert generator().metrics() in page, "run `python docs/generate.py`"
    assert len(generator().metric_families()) > 30


def test_each_metric_that_a_page_names_exists() -> None:
    """A name that begins with rollbook_ is a metric, or the beginning of several (`rollbook_sqs_…`)."""
    names = {name for name, *_ in generator().metric_families()} | {"rollbook_text"}  # the SQL function
    for page, text in all_pages().items():
        for name, more in re.findall(r"`(rollbook_[a-z_0-9]+)(…?)[^`]*`", text):
            known = any(metric.startswith(name) for metric in names) if more else name in names
            assert known, f"{page.relative_to(ROOT)}: {name}{more}"


def test_each_family_of_metrics_is_asked_for() -> None:
    """The figures that the page is made from leave no metric out: each name in the module comes."""
    names = {name.removesuffix("_total") for name, *_ in generator().metric_families()}
    source = "".join(path.read_text() for path in sorted((ROOT / "realtime" / "daemon").glob("*.py")))
    written = set(re.findall(r'MetricFamily\(\s*"(rollbook_\w+)"', source))
    written |= {f"rollbook_{name}" for name in re.findall(r'yield "(\w+)", ', source)}
    assert written == names
