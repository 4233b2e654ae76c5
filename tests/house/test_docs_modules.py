"""The pages about the house against the tree: each module is named, each file that a page names is there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.docs_pages import DOCS, all_pages, by_hand, generator, spans
from tests.helpers.paths import ROOT

ARCHITECTURE = DOCS / "architecture.md"
TASKS = DOCS / "where_to_change.md"
FILES_IN_A_ROOM = 15
SUFFIXES = ("py", "md", "toml", "yml", "yaml", "tf", "service", "timer", "jsonl")


def rooms() -> dict[str, set[str]]:
    """folder → the names of its modules, as the tree has them, without `__init__.py`."""
    found: dict[str, set[str]] = {}
    for package in ("realtime", "reconcile", "rollbook"):
        for path in (ROOT / package).rglob("*.py"):
            names = found.setdefault(path.parent.relative_to(ROOT).as_posix(), set())
            if path.name != "__init__.py":
                names.add(path.name)
    return found


def test_the_architecture_page_names_every_module() -> None:
    """Each folder has its part of the page, each module its line, and there is no line for what is not there."""
    page = ARCHITECTURE.read_text(encoding="utf-8")
    named = {
        folder: set(re.findall(r"^\| `(\w+\.py)` \| \S", part, re.MULTILINE))
        for folder, part in re.findall(r"^### `(.+?)/`$(.*?)(?=^### |^<!-- end -->)", page, re.DOTALL | re.MULTILINE)
    }
    assert named == rooms()


def test_the_lines_are_the_modules_own() -> None:
    """The page says of a module the first sentences of its docstring."""
    assert generator().modules() in ARCHITECTURE.read_text(encoding="utf-8"), "run `python docs/generate.py`"


def test_no_folder_is_a_heap() -> None:
    """A folder has at most about a dozen files: what somebody can read at a glance."""
    crowded = {folder: len(names) for folder, names in rooms().items() if len(names) > FILES_IN_A_ROOM}
    assert not crowded


def tasks() -> list[tuple[str, str]]:
    """(task, file) of each line of the page."""
    rows = re.findall(r"^\| (.+?) \| `(\S+)` \|$", TASKS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) >= 20
    return rows


@pytest.mark.parametrize(("task", "file"), tasks())
def test_each_task_has_a_file(task: str, file: str) -> None:
    """The file that a task names is in the tree."""
    assert (ROOT / file).is_file(), task


def test_a_task_stands_once() -> None:
    """No two lines are about the same task, and none has two files."""
    names = [task for task, _ in tasks()]
    assert len(set(names)) == len(names)


def paths_in(page: Path, text: str) -> Iterator[str]:
    """Each path of a file or folder that a page names within its sentences, without what is made by running things."""
    for span in spans(by_hand(text)):
        if re.fullmatch(rf"[\w./-]+\.({'|'.join(SUFFIXES)})|[\w.-]+(/[\w.-]+)*/", span):
            yield span


def is_there(page: Path, path: str) -> bool:
    """Look for a path from the top, the page and deploy/; for a bare name anywhere; in the simulator's pages from there."""
    inner = [ROOT / "rollbook" / "simulator"] if page.name.startswith("simulator") else []
    if any((home / path).exists() for home in (ROOT, page.parent, ROOT / "deploy", *inner)):
        return True
    return "/" not in path and any(
        found
        for folder in ("realtime", "reconcile", "rollbook", "tests", "deploy")
        for found in (ROOT / folder).rglob(path)
    )


def test_each_path_that_a_page_names_is_there() -> None:
    """A page names no file and no folder that has been moved away."""
    found = 0
    for page, text in all_pages().items():
        for path in paths_in(page, text):
            found += 1
            assert is_there(page, path), f"{page.relative_to(ROOT)}: {path}"
    assert found > 50


def test_each_link_leads_somewhere() -> None:
    """A link to a file of the repository finds it, and its heading where it names one. (mkdocs sees docs/ alone.)"""
    for page, text in all_pages().items():
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if target.startswith(("https://", "http://")):
                continue
            file, _, heading = target.partition("#")
            path = (page.parent / file).resolve() if file else page
            assert path.exists(), f"{page.relative_to(ROOT)}: {target}"
            if heading:
                assert heading in headings(path), f"{page.relative_to(ROOT)}: {target}"


def headings(page: Path) -> set[str]:
    """The headings of a page as links write them."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).strip().replace(" ", "-") for line in lines}


def test_each_page_is_in_the_index_and_on_the_site() -> None:
    """docs/index.md links to every page, and the site has each in its list."""
    index, site = (DOCS / "index.md").read_text(encoding="utf-8"), (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {path.name for path in DOCS.glob("*.md")}
    assert set(re.findall(r": (\w[\w-]*\.md)$", site, re.MULTILINE)) == pages
    assert set(re.findall(r"\]\((\w[\w-]*\.md)\)", index)) == pages - {"index.md"}


@pytest.mark.parametrize("page", all_pages(), ids=lambda path: path.name)
def test_a_page_reads_well_as_a_plain_file(page: Path) -> None:
    """No line of prose is wider than 100 columns. (Rows of tables and code may be.)"""
    prose = re.sub(r"^ *```.*?^ *```$", "", by_hand(all_pages()[page]), flags=re.DOTALL | re.MULTILINE)
    wide = [line for line in prose.splitlines() if len(line) > 100 and not line.lstrip().startswith("|")]
    assert not wide


def test_ci_builds_the_site() -> None:
    """CI builds the site, and a link that leads nowhere fails the build."""
    assert "mkdocs build" in (ROOT / ".ci" / "run").read_text()
    assert re.search(r"^strict: true$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)


def test_everything_that_is_written_by_the_script_is_written() -> None:
    """`python docs/generate.py --check` finds nothing to write."""
    different = [path.name for path, text in generator().pages().items() if path.read_text(encoding="utf-8") != text]
    assert not different, "run `python docs/generate.py`"


def test_each_name_that_the_architecture_page_takes_from_a_module_exists() -> None:
    """`module.name` and `Class.name` in the page are defined where they say."""
    sources = {path: path.read_text() for package in rooms_of_python() for path in package}
    found = 0
    for span in spans(by_hand(ARCHITECTURE.read_text(encoding="utf-8"))):
        match = re.fullmatch(r"(?:[\w/]*/)?(\w+)\.([a-zA-Z_]\w*)(?:\(.*\))?", span)
        if match is None or match[2] in SUFFIXES:
            continue
        home, name = match.groups()
        places = [
            text
            for path, text in sources.items()
            if path.stem == home or re.search(rf"^class {home}\b", text, re.MULTILINE)
        ]
        found += 1
        assert any(_defines(text, name) for text in places), span
    assert found > 5


def _defines(text: str, name: str) -> bool:
    """Say whether a module has a function, a class, a field or a constant of that name."""
    return bool(re.search(rf"^ *(?:async )?(?:def|class) {name}\b|^ {{0,4}}{name}\b *[:=]", text, re.MULTILINE))


def rooms_of_python() -> Iterator[Iterator[Path]]:
    """The modules of each package."""
    for package in ("realtime", "reconcile", "rollbook"):
        yield (ROOT / package).rglob("*.py")


def test_every_picture_is_shown_and_is_made_by_the_script() -> None:
    """Each picture of docs/pictures/ is small, stands on some page, and `tests/pictures.py` has its name; none lacks."""
    pictures = {path.name: path for path in (DOCS / "pictures").iterdir()}
    shown = {name for page in all_pages() for name in re.findall(r"pictures/([\w.-]+)\)", page.read_text("utf-8"))}
    assert shown == set(pictures)
    script = (ROOT / "tests" / "pictures.py").read_text("utf-8")
    for name, path in pictures.items():
        assert path.stat().st_size <= 300_000, name
        assert f'"{path.stem}"' in script or name in script, name
