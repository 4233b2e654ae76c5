"""docs/settings.md against the settings: every key, every variable, both ways."""

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from rollbook.genesys.program.settings import ABOUT, ENVIRONMENT, KEYS, OTHER_VARIABLES, Settings, load
from tests.helpers.docs_pages import DOCS, Fence, all_pages, fences, generator, spans
from tests.helpers.paths import ROOT

PAGE = DOCS / "settings.md"
VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
# Names with these beginnings are variables wherever a page has them.
OURS = re.compile(r"\b(?:ROLLBOOK|GENESYSCLOUD|AWS|SSL|HTTPS?|NO|ALL|NOTIFY|WATCHDOG)_[A-Z_]+\b")


def test_the_page_is_what_the_settings_say() -> None:
    """docs/settings.md is what `python docs/generate.py` writes now."""
    assert PAGE.read_text(encoding="utf-8") == generator().settings_page(), "run `python docs/generate.py`"


def test_each_setting_is_said_in_words_once() -> None:
    """Each field that a key or a variable sets has its sentence, and there is no sentence about anything else."""
    settable = {field for field, _ in [*KEYS.values(), *ENVIRONMENT.values()]}
    assert set(ABOUT) == settable
    assert settable == {field.name for field in fields(Settings)} - {"config_path", "explicit"}
    for field, about in ABOUT.items():
        assert about.meaning.endswith("."), field
        assert about.meaning[0].isupper(), field


def test_each_key_stands_in_its_section() -> None:
    """A key of the file is a heading below its section, in the page and nowhere but there."""
    page = PAGE.read_text(encoding="utf-8")
    found = set()
    for title, text in re.findall(r"^## `\[(.+?)\]`$(.*?)(?=^## |\Z)", page, re.DOTALL | re.MULTILINE):
        found |= {(title, key) for key in re.findall(r"^### `(\w+)`$", text, re.MULTILINE)}
    assert found == set(KEYS)


def read_variables() -> Iterator[tuple[Path, str]]:
    """Each environment variable that the product looks at: a name in `env.get("NAME")` or `environ["NAME"]`."""
    for package in ("realtime", "reconcile", "rollbook"):
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                name: ast.expr | None = None
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                    name = node.args[0] if node.func.attr in ("get", "getenv", "pop") else None
                elif isinstance(node, ast.Subscript) and "environ" in ast.unparse(node.value):
                    name = node.slice
                if isinstance(name, ast.Constant) and isinstance(name.value, str) and VARIABLE.fullmatch(name.value):
                    yield path, name.value


def test_each_variable_that_the_code_reads_is_in_the_page() -> None:
    """Each variable that the product looks at has its line in docs/settings.md."""
    page = PAGE.read_text(encoding="utf-8")
    named = {*ENVIRONMENT, *OTHER_VARIABLES}
    read = {name: path for path, name in read_variables()}
    assert {"ROLLBOOK_CONFIG", "NOTIFY_SOCKET"} <= set(read), "the search finds nothing"
    assert not {name: path for name, path in read.items() if name not in named}
    for name in named:
        assert f"`{name}`" in page, name


def test_each_variable_that_a_page_names_exists() -> None:
    """A page names no variable of ours that nothing reads (tests and the simulator's own output included)."""
    known = {*ENVIRONMENT, *OTHER_VARIABLES}
    for path in (ROOT / "tests").rglob("*.py"):
        if not path.name.startswith("test_docs_"):
            known |= set(re.findall(r"ROLLBOOK_[A-Z_]+", path.read_text()))
    for page, text in all_pages().items():
        unknown = {name for name in OURS.findall(text) if name not in known}
        assert not unknown, f"{page.relative_to(ROOT)}: {unknown}"


def test_each_key_that_a_page_names_exists() -> None:
    """`[section] key` in a page is a key of the settings file."""
    found = 0
    for page, text in all_pages().items():
        for span in spans(text):
            if match := re.match(r"\[([a-z.]+)\] (\w+)", span):
                found += 1
                assert match.groups() in KEYS, f"{page.relative_to(ROOT)}: {span}"
    assert found > 5


@pytest.mark.parametrize("fence", [pytest.param(fence, id=fence.page.name) for fence in fences("toml")])
def test_each_settings_file_that_a_page_shows_can_be_read(fence: Fence, tmp_path: Path) -> None:
    """A block of TOML is a settings file without a mistake, and sets something."""
    (tmp_path / "rollbook.toml").write_text(fence.text, encoding="utf-8")
    assert load(env={}, cwd=tmp_path).explicit
