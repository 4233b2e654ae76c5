"""The pages, and parts of pages, that the code writes: `python docs/generate.py` writes them, `--check` compares only.

It stands beside what it writes: it is neither a part of the product (it imports all of it) nor a test (people run it
after a change). Whole pages: settings.md and commands.md. In pages that people write, the lines between
`<!-- generated: NAME -->` and `<!-- end -->`: every table and column (store.md), every metric (daemon.md), every module
(architecture.md). `tests/house/test_docs_*.py` fail where a page differs from what is written here.
"""

from __future__ import annotations

import ast
import copy
import re
import sqlite3
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

ROOT: Final = Path(__file__).resolve().parent.parent
DOCS: Final = ROOT / "docs"
PACKAGES: Final = ("rollbook", "realtime", "reconcile")
_WIDTH: Final = 100

# What a command says by its exit status; the tests hold it to the errors and to what commands answer.
EXIT_STATUSES: Final = {
    0: "It did what it was asked to do. `reconcile`: every window was read consistently.",
    1: "It could not do it: the platform, the network or the store did not let it; for `doctor`, something must be"
    " mended first; for `ingest`, a file could not be read to its end.",
    2: "The command or a setting is wrong. Trying again does not help until somebody has changed it.",
    3: "It ran, and what it found does not agree: a window could not be read consistently (`reconcile`), the counts"
    " differ (`verify`), a conversation is missing from the store (`demo`), an interval is not all proven (`ready`).",
    130: "It was interrupted (SIGINT or SIGTERM). `reconcile` goes on where it was when it is run again. (`run`,"
    " `tail`, `browse` and `status --watch` are ended in this way and answer 0.)",
}


def whole_pages() -> dict[Path, str]:
    """The pages that are written here from their first line to their last."""
    return {DOCS / "settings.md": settings_page(), DOCS / "commands.md": commands_page()}


def parts() -> dict[tuple[Path, str], str]:
    """(page, name of a part) → the lines that belong between its two marks."""
    return {
        (DOCS / "store.md", "columns"): columns(),
        (DOCS / "daemon.md", "metrics"): metrics(),
        (DOCS / "architecture.md", "modules"): modules(),
        (DOCS / "privacy.md", "personal fields"): personal_fields(),
    }


def pages() -> dict[Path, str]:
    """Every page that has something from here, as it should be."""
    written = whole_pages()
    for (path, name), text in parts().items():
        page = written.get(path) or path.read_text(encoding="utf-8")
        between = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if len(between.findall(page)) != 1:
            raise SystemExit(f"{path.name} has no pair of lines <!-- generated: {name} --> and <!-- end -->")
        written[path] = between.sub(lambda marks, text=text: f"{marks[1]}\n{text}\n{marks[2]}", page)  # type: ignore[misc]
    return written


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


# --- privacy.md ------------------------------------------------------------------------------------------------------


def personal_fields() -> str:
    """Each class of fields with people's data: its fields, and the columns that hold them."""
    from rollbook.genesys.privacy.personal_fields import PATHS
    from rollbook.store.rows.detail_columns import CHILD_TABLES, column_of

    entries = []
    for field_class, paths in PATHS.items():
        last = {path.rpartition(".")[2]: path for path in paths}
        columns = [
            f"`{table}.{column_of(table, name)}`"
            for table, child in CHILD_TABLES.items()
            for name in child.fields
            if last.get(name) == name
        ]
        named = ", ".join(f"`{path}`" for path in paths)
        if field_class == "attributes":
            columns.append("`participant_attributes.value`")
        if field_class == "agent_names":
            columns.append("`names.name` (of users)")
        held = f" In rows: {', '.join(columns)}." if columns else " In no column of its own."
        entries.append(_wrapped(f"**`{field_class}`** (default: `keep`): {named}.{held}"))
    return "\n\n".join(entries)


# --- settings.md -----------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """Every key of the settings file and every environment variable."""
    from rollbook.genesys.program import settings

    sections: dict[str, list[str]] = {}
    variables = {field: name for name, (field, _) in settings.ENVIRONMENT.items()}
    for (section, key), (field, _) in settings.KEYS.items():
        sections.setdefault(section, []).append(_setting(f"`{key}`", field, variables.get(field)))
    in_file = {field for field, _ in settings.KEYS.values()}
    alone = [_setting(f"`{name}`", field) for field, name in variables.items() if field not in in_file]
    others = [_wrapped(f"- `{name}`: {meaning}", "  ") for name, meaning in settings.OTHER_VARIABLES.items()]
    return "\n".join(
        [
            "# Settings",
            "",
            "<!-- written by docs/generate.py from rollbook/genesys/program/settings.py -->",
            "",
            _wrapped(
                "A command's options win over environment variables, and these win over the settings file, which is"
                " `rollbook.toml` in the working directory, or the file that `--config` or `ROLLBOOK_CONFIG` names."
                " Everything has a default but the region and the credentials. An unknown key is an error that names"
                " it. A secret has no key: it does not belong in a file that people copy."
            ),
            "",
            _wrapped(
                'A duration is a text such as `"PT30M"` (30 minutes) or `"P5D"` (5 days). A time without an offset is'
                " UTC."
            ),
            "",
            *(f"## `[{section}]`\n\n" + "\n".join(entries) for section, entries in sections.items()),
            "## By the environment alone\n",
            *alone,
            "## Other variables\n",
            "\n".join(others),
            "",
        ]
    )


def _setting(title: str, field: str, variable: str | None = None) -> str:
    from rollbook.genesys.program.settings import ABOUT, Settings

    about = ABOUT[field]
    default = about.unset or f"default: `{_toml(getattr(Settings(), field))}`"
    facts = [about.kind, default, *([f"variable `{variable}`"] if variable else [])]
    return f"### {title}\n\n{_wrapped(about.meaning)}\n\n{_wrapped('*' + '; '.join(facts) + '*')}\n"


def _toml(value: Any) -> str:
    """A default as the settings file would have it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return f'"{_duration(value)}"'
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    return str(value) if isinstance(value, int) else f'"{value}"'


def _duration(value: timedelta) -> str:
    for seconds, form in ((86_400, "P{}D"), (3_600, "PT{}H"), (60, "PT{}M"), (1, "PT{}S")):
        if value.total_seconds() % seconds == 0:
            return form.format(int(value.total_seconds()) // seconds)
    return f"PT{value.total_seconds()}S"


# --- commands.md -----------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """Each command with the text of its `--help`, at 80 columns."""
    texts = [f"## {' '.join(words)}\n\n```text\n{text}\n```\n" for words, text in help_texts()]
    statuses = [_wrapped(f"- **{status}**: {meaning}", "  ") for status, meaning in EXIT_STATUSES.items()]
    return "\n".join(
        [
            "# Commands",
            "",
            "<!-- written by docs/generate.py from what each command says of itself -->",
            "",
            _wrapped(
                "`python -m rollbook` is `rollbook`; `reconcile` and `python -m reconcile` are `rollbook reconcile`;"
                " `python -m realtime` is `rollbook run`. What can be set for all of them is in"
                " [settings.md](settings.md)."
            ),
            "",
            "## Exit statuses",
            "",
            *statuses,
            "",
            *texts,
        ]
    )


def help_texts() -> Iterator[tuple[list[str], str]]:
    """(the words of a command, its help) for each command, those below a command included."""
    for words, command in commands():
        yield words, _help(words, command)


def commands() -> Iterator[tuple[list[str], Any]]:
    """(the words of a command, its click command), the umbrella command first."""
    from rollbook.commands import cli

    yield from _below(["rollbook"], cli)


def _below(words: list[str], command: Any) -> Iterator[tuple[list[str], Any]]:
    import click

    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=words[-1])
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _below([*words, name], inner)


def _help(words: list[str], command: Any) -> str:
    import click

    # click keeps the help option that a command had in its first context, which may have been a test's.
    command = copy.copy(command)
    command._help_option = None
    # As the umbrella command gives it to those below: what -h is, and 80 columns whatever the terminal is.
    context = click.Context(
        command,
        info_name=" ".join(words),
        terminal_width=80,
        max_content_width=80,
        help_option_names=["-h", "--help"],
    )
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


# --- store.md, daemon.md, architecture.md -----------------------------------------------------------------------------


def new_store() -> sqlite3.Connection:
    """A new store in memory, with every table."""
    from rollbook.store.tables.schema import migrate

    connection = sqlite3.connect(":memory:", isolation_level=None)
    migrate(connection)
    return connection


def tables() -> dict[str, dict[str, str]]:
    """table or view → column → its type, of a new store: the names that people read.

    Without the tables behind those views, and what SQLite and the migrations keep for themselves. A column of a view
    that is made by an expression has no type.
    """
    connection = new_store()
    names = [
        name
        for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        )
    ]
    return {
        name: {column: kind for _, column, kind, *_ in connection.execute(f'PRAGMA table_info("{name}")')}
        for name in names
        if not name.startswith(("_", "sqlite_")) and not name.endswith("_rows")
    }


def columns() -> str:
    """Every table and view with its columns."""
    return (
        "\n".join(
            _wrapped(
                f"- **`{table}`**: {', '.join(f'`{column}` {kind}'.rstrip() for column, kind in found.items())}", "  "
            )
            + "\n"
            for table, found in tables().items()
        ).rstrip("\n")
        + "\n"
    )


def metric_families() -> list[tuple[str, str, tuple[str, ...], str]]:
    """(name, type, labels, meaning) of every metric, in the order of /metrics."""
    from prometheus_client.core import CounterMetricFamily

    from realtime.daemon import metrics as daemon_metrics

    (figures,) = (kind for name, kind in get_type_hints(daemon_metrics.metrics).items() if name != "return")
    families = []
    for family in daemon_metrics.metrics(_filled(figures)):
        # The exposition adds `_total` to a counter's name.
        name = f"{family.name}_total" if isinstance(family, CounterMetricFamily) else family.name
        labels = dict.fromkeys(label for sample in family.samples for label in sample.labels if label != "le")
        families.append((name, family.type, tuple(labels), family.documentation))
    return families


def _filled(kind: Any) -> Any:
    """A value of a type in which nothing is None or empty, so that no metric is left out."""
    if is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        return kind(**{member.name: _filled(hints[member.name]) for member in fields(kind) if member.init})
    origin, inner = get_origin(kind), [argument for argument in get_args(kind) if argument not in (type(None), ...)]
    if origin in (Union, UnionType):
        return _filled(inner[0])
    if origin is tuple:
        return tuple(_filled(argument) for argument in inner)
    if origin is not None and issubclass(origin, Mapping):
        return {"+Inf": _filled(inner[1])}
    if kind is datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)
    if kind is timedelta:
        return timedelta(days=1)
    # A text that is also the bound of a histogram's bucket.
    return {int: 1, float: 1.0, str: "+Inf", bool: True}[kind]


def metrics() -> str:
    """A table of every metric."""
    rows = [
        f"| `{name}` | {kind} | {', '.join(f'`{label}`' for label in labels)} | {meaning} |"
        for name, kind, labels, meaning in metric_families()
    ]
    return "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *rows, ""])


def rooms() -> dict[str, list[Path]]:
    """folder → its modules, for every folder of the three packages."""
    found: dict[str, list[Path]] = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            found.setdefault(path.parent.relative_to(ROOT).as_posix(), []).append(path)
    return found


def owned(path: Path) -> str:
    """The first sentences of a module's docstring, on one line."""
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return " ".join(text.split("\n\n")[0].split()).replace("|", "\\|")


def modules() -> str:
    """A table of each room: its modules, and what each owns."""
    lines: list[str] = []
    for folder, paths in sorted(rooms().items()):
        inner = [path for path in paths if path.name != "__init__.py"]
        lines += [f"### `{folder}/`", "", *(owned(path) for path in paths if path.name == "__init__.py"), ""]
        if inner:
            lines += ["| module | owns |", "|---|---|", *(f"| `{path.name}` | {owned(path)} |" for path in inner), ""]
    return "\n".join(lines)


def main(words: list[str]) -> int:
    """Write what differs, or say which pages do (`--check`)."""
    different = [path for path, text in pages().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in different:
        sys.stdout.write(f"{path.relative_to(ROOT)} {'differs' if '--check' in words else 'is written'}\n")
    if "--check" in words:
        return 1 if different else 0
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    raise SystemExit(main(sys.argv[1:]))
