"""For tests of the documentation: the pages, their code, and the script that writes parts of them."""

import importlib.util
import re
import shlex
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tests.helpers.paths import ROOT

DOCS = ROOT / "docs"


class Fence(NamedTuple):
    """A block between lines of three backticks."""

    page: Path
    language: str
    text: str


@cache
def script(path: Path) -> ModuleType:
    """A script that is no part of any package, as a module."""
    spec = importlib.util.spec_from_file_location(f"{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def generator() -> ModuleType:
    """docs/generate.py."""
    return script(DOCS / "generate.py")


@cache
def all_pages() -> dict[Path, str]:
    """Every page that people read: docs/, and those at the top and beside the deployments. Not the changelog."""
    paths = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "deploy" / "README.md"]
    return {path: path.read_text(encoding="utf-8") for path in paths}


def by_hand(page: str) -> str:
    """A page's text without the parts that the script writes."""
    return re.sub(r"<!-- generated: \w+ -->.*?<!-- end -->", "", page, flags=re.DOTALL)


def fences(language: str | None = None) -> Iterator[Fence]:
    """Every fenced block, of one language if it is given."""
    for path, text in all_pages().items():
        for indent, kind, block in re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE):
            if language in (None, kind):
                lines = [line.removeprefix(indent) for line in block.splitlines()]
                yield Fence(path, kind, "\n".join(lines))


def spans(text: str) -> list[str]:
    """The pieces of code within the sentences of a page."""
    prose = re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]


def command_lines() -> Iterator[tuple[Path, list[str]]]:
    """Every command line of `rollbook` and `reconcile` that a page shows, as words that begin with `rollbook`."""
    for page, text in all_pages().items():
        shown = [*spans(text)]
        for fence in fences():
            if fence.page == page and fence.language in ("sh", ""):
                shown += fence.text.replace("\\\n", " ").splitlines()
        for line in shown:
            for part in re.split(r"&&|\|\||(?<=\s)\|(?=\s)|;|\$\(", re.sub(r"\s#.*", "", line)):
                if words := _own(part):
                    yield page, words


def _own(part: str) -> list[str]:
    """The words of a command of ours, or none."""
    try:
        words = shlex.split(part)
    except ValueError:
        words = part.split()
    while words and re.fullmatch(r"[A-Z_]+=\S*", words[0]):
        del words[0]
    if len(words) > 2 and Path(words[0]).name in ("python", "python3") and words[1] == "-m":
        words = words[2:]
        words = {"realtime": ["rollbook", "run"]}.get(words[0], words[:1]) + words[1:]
    if not words:
        return []
    name = Path(words[0]).name
    if name == "reconcile" and len(words) > 1 and words[1].startswith("-"):
        return ["rollbook", "reconcile", *words[1:]]
    return ["rollbook", *words[1:]] if name == "rollbook" and len(words) > 1 else []
