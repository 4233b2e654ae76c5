"""The street to the front door: what a stranger finds in the repository is what the project does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from rollbook.commands import cli
from tests.helpers.paths import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
PAGES = [
    ROOT / "SECURITY.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / ".github" / "pull_request_template.md",
    *(ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"),
]
CHECKS = (ROOT / ".ci" / "run").read_text()


def load(path: Path) -> dict[Any, Any]:
    """A YAML file's content."""
    content: dict[Any, Any] = yaml.safe_load(path.read_text())
    return content


def jobs() -> dict[str, dict[str, Any]]:
    """The jobs of the workflow CI."""
    found: dict[str, dict[str, Any]] = load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]
    return found


def commands(job: dict[str, Any]) -> list[str]:
    """What a job runs, apart from actions of others."""
    return [step["run"].strip() for step in job["steps"] if "run" in step]


def python_of(job: dict[str, Any]) -> str:
    """The version that a job gives to the action which installs Python."""
    versions = [
        step["with"]["python-version"]
        for step in job["steps"]
        if step.get("uses", "").startswith("actions/setup-python@")
    ]
    assert len(versions) == 1
    return str(versions[0])


def distribution(requirement: str) -> str:
    """The name of what a requirement asks for."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None
    return name[0].lower()


def lowest_python() -> str:
    """The oldest Python that the project allows."""
    requirement: str = PROJECT["project"]["requires-python"]
    return requirement.removeprefix(">=")


# The workflow


def test_the_workflow_runs_every_script_of_ci_and_nothing_else() -> None:
    """A check that is added to `.ci` is made on GitHub as well, and none is made on GitHub alone."""
    scripts = {f".ci/{path.name}" for path in (ROOT / ".ci").iterdir()}
    assert {command for job in jobs().values() for command in commands(job)} == scripts
    assert all(os.access(ROOT / script, os.X_OK) for script in scripts)


def test_every_python_that_is_claimed_is_tried_on_both_systems() -> None:
    """The classifiers, `requires-python` and the matrix name the same versions, and `.ci/run` runs on each."""
    prefix = "Programming Language :: Python :: "
    claimed = [
        name.removeprefix(prefix) for name in PROJECT["project"]["classifiers"] if name.startswith(f"{prefix}3.")
    ]
    job = jobs()["checks"]
    matrix = job["strategy"]["matrix"]
    assert matrix["python"] == claimed
    assert claimed[0] == lowest_python()
    assert {system.partition("-")[0] for system in matrix["system"]} == {"ubuntu", "macos"}
    assert (python_of(job), job["runs-on"]) == ("${{ matrix.python }}", "${{ matrix.system }}")
    assert commands(job) == [".ci/run"]


def test_the_lowest_versions_are_tried_with_the_oldest_python() -> None:
    """One job runs `.ci/lowest`, with the Python for which those versions were made."""
    job = jobs()["lowest"]
    assert commands(job) == [".ci/lowest"]
    assert python_of(job) == lowest_python()


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read(path: Path) -> None:
    """The token of a run can change nothing: pull requests of strangers run there."""
    workflow = load(path)
    assert workflow["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in workflow["jobs"].values())
    # YAML 1.1 reads the key `on` as true.
    assert "pull_request_target" not in workflow[True]


def test_the_lowest_versions_are_the_bounds_of_the_project() -> None:
    """`.ci/lowest` asks for each dependency of the product in exactly its lower bound."""
    script = (ROOT / ".ci" / "lowest").read_text()
    program = script.partition("<<'EOF'\n")[2].partition("\nEOF\n")[0]
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    bounds = [
        re.split("[,;]", requirement)[0].replace(">=", "==") for requirement in PROJECT["project"]["dependencies"]
    ]
    assert all("==" in bound for bound in bounds)
    assert run.stdout.splitlines() == bounds


# The checks before a commit


def hooks() -> list[dict[str, Any]]:
    """The hooks of pre-commit."""
    (repository,) = load(ROOT / ".pre-commit-config.yaml")["repos"]
    assert repository["repo"] == "local"
    found: list[dict[str, Any]] = repository["hooks"]
    return found


def test_the_hooks_are_tools_of_the_dev_extra() -> None:
    """A hook calls what `.venv` has, in the version that every other check uses; pre-commit itself is there, too."""
    installed = {distribution(requirement) for requirement in PROJECT["project"]["optional-dependencies"]["dev"]}
    assert "pre-commit" in installed
    for hook in hooks():
        folder, _, tool = hook["entry"].split()[0].rpartition("/")
        assert (hook["language"], folder) == ("system", ".venv/bin")
        assert tool in installed


def test_the_hooks_are_the_checks_of_ci() -> None:
    """What passes before a commit is what CI asks for: the same commands of ruff and mypy, all of them."""
    asked = {line.removesuffix(" .") for line in CHECKS.splitlines() if re.match(r"\.venv/bin/(ruff|mypy)\b", line)}
    assert {hook["entry"].replace(" --force-exclude", "") for hook in hooks()} == asked


def test_make_lint_is_the_checks_of_ci() -> None:
    """`make lint` runs the same lines as `.ci/run`."""
    recipe = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]
    lines = [line.strip().replace("$(RUN)", ".venv/bin") for line in recipe.splitlines()[1:]]
    assert lines == [line for line in CHECKS.splitlines() if re.match(r"\.venv/bin/(ruff|mypy)\b", line)]


def test_the_editors_line_is_as_long_as_ruffs() -> None:
    """`.editorconfig` and ruff break lines at the same column."""
    (length,) = re.findall(r"^max_line_length = (\d+)$", (ROOT / ".editorconfig").read_text(), re.MULTILINE)
    assert int(length) == PROJECT["tool"]["ruff"]["line-length"]


# What the pages name


def in_quotes(page: Path) -> Iterator[str]:
    """Every text between backticks, and every line of a fenced block."""
    text = page.read_text()
    for block in re.findall(r"```\w*\n(.*?)```", text, re.DOTALL):
        yield from (line.strip() for line in block.splitlines())
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_names_exists(page: Path) -> None:
    """A link to a file, or a file's name between backticks, leads to a file."""
    linked = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    for link in linked:
        assert (page.parent / link).exists(), link
    quoted = re.findall(
        r"`((?:[\w.-]+/)*[\w.-]+\.(?:md|py|toml|yml|yaml)|[\w.-]+(?:/[\w.-]+)*/|\.ci/\w+)`", page.read_text()
    )
    for name in quoted:
        assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", [*PAGES, ROOT / ".pre-commit-config.yaml"], ids=lambda page: page.name)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    """`make NAME` is a target of the Makefile, `rollbook NAME` a command with those options."""
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for quoted in in_quotes(page):
        words = quoted.split()
        if words[:1] == ["make"] and len(words) > 1:
            assert words[1] in targets, quoted
        if words[:1] == ["rollbook"] and len(words) > 1:
            command = cli if words[1].startswith("-") else cli.get_command(click.Context(cli), words[1])
            assert command is not None, quoted
            options = {name for parameter in command.params for name in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options, quoted


def test_the_commands_of_make_are_listed_and_need_no_file() -> None:
    """`make` alone says something of each command; a file of a command's name does not hide the command."""
    text = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    described = re.findall(r"^(\w+):.*## \S", text, re.MULTILINE)
    assert described == phony.split() == re.findall(r"^([a-z]+):", text, re.MULTILINE)


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_an_issue_form_is_one_that_github_accepts(path: Path) -> None:
    """It has a name, a description and fields; each field has an id of its own and a label."""
    form = load(path)
    assert form["name"]
    assert form["description"]
    fields = [element for element in form["body"] if element["type"] != "markdown"]
    assert fields
    assert all(element["type"] in {"textarea", "input", "dropdown", "checkboxes"} for element in fields)
    assert all(element["attributes"]["label"] for element in fields)
    assert len({element["id"] for element in fields}) == len(fields)


def test_every_address_is_of_one_repository() -> None:
    """The project's URLs, the templates, SECURITY and the changelog name the same repository on GitHub."""
    urls: dict[str, str] = PROJECT["project"]["urls"]
    home = urls["Homepage"]
    assert {"Homepage", "Documentation", "Changelog", "Issues"} <= set(urls)
    texts = [page.read_text() for page in (*PAGES, ROOT / "CHANGELOG.md")]
    for address in (*urls.values(), *re.findall(r"https://github\.com/[^\s)>]+", "\n".join(texts))):
        assert f"{address}/".startswith(f"{home}/"), address
    for name in re.findall(r"/(?:tree|blob)/main/(\S+)", "\n".join(urls.values())):
        assert (ROOT / name).exists(), name


def test_the_changelog_begins_with_what_is_unreleased_and_then_this_version() -> None:
    """The newest release of the changelog is the version of the project, each heading has its link, and a date."""
    text = (ROOT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## \[(.+?)\](?: - \d{4}-\d\d-\d\d)?$", text, re.MULTILINE)
    assert len(headings) == text.count("\n## ")
    assert headings[:2] == ["Unreleased", PROJECT["project"]["version"]]
    assert re.findall(r"^\[(.+?)\]: https://", text, re.MULTILINE) == headings
    assert f"/compare/v{headings[1]}...HEAD" in text


LOCKS = {"requirements.lock": ["test", "dev", "docs"], "deploy/docker/requirements.lock": []}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_has_everything_with_its_hashes(name: str) -> None:
    """Each dependency is locked within its bounds, every entry has hashes, and no place to fetch it from is named."""
    from packaging.requirements import Requirement

    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    entries = re.split(r"^(?=[a-z])", text.replace("\\\n", " "), flags=re.MULTILINE)[1:]
    assert len(entries) > 30
    locked: dict[str, list[str]] = {}
    for entry in entries:
        assert "--hash=sha256:" in entry, entry
        found = re.match(r"([a-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", entry)
        assert found, entry
        locked.setdefault(found[1].replace("_", "-").replace(".", "-"), []).append(found[2])
    project = PROJECT["project"]
    listed = [
        *project["dependencies"],
        *(line for extra in LOCKS[name] for line in project["optional-dependencies"][extra]),
    ]
    for line in listed:
        wanted = Requirement(line)
        if wanted.name == "rollbook":
            continue
        versions = locked[wanted.name.lower().replace("_", "-").replace(".", "-")]
        assert all(wanted.specifier.contains(version) for version in versions), (line, versions)


def test_ci_and_the_image_install_what_is_locked() -> None:
    """By its hash, before anything else is installed."""
    assert "--require-hashes -r requirements.lock" in CHECKS
    assert CHECKS.index("--require-hashes") < CHECKS.index("pip install -q -e")
    image = (ROOT / "deploy" / "docker" / "Dockerfile").read_text()
    assert "--require-hashes -r deploy/docker/requirements.lock" in image
    assert "--no-deps ." in image


def test_each_dependency_has_an_upper_bound() -> None:
    """The next major version of a library is tried by us before users get it; the bound refuses none that exists."""
    for line in PROJECT["project"]["dependencies"]:
        assert "<" in line.partition(";")[0], line
