"""Begin and end of a command: the options that all share, logs, and the one line that an error is.

It knows exit statuses and nothing of what a command does. Programs call `run` once, at their outermost end. Every
`--help` imports it, so it imports when it runs a command what help can do without.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import click

from rollbook.genesys.errors import Interrupted, RollbookError, UsageError
from rollbook.genesys.program.inert import inert, inert_json
from rollbook.genesys.times import to_text

if TYPE_CHECKING:
    from rich.console import Console

    from rollbook.genesys.program.settings import Settings

    out: Console
    err: Console

log = logging.getLogger(__name__)
F = TypeVar("F", bound=Callable[..., Any])


def _console(name: str) -> Console:
    """`out` and `err`, made when they are first used: most commands write plain lines, and rich is slow to import."""
    if name not in ("out", "err"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rich.console import Console

    made = globals()[name] = Console(stderr=name == "err", highlight=False)
    return made


if not TYPE_CHECKING:  # to a type checker a module with this function has every name that is asked for
    __getattr__ = _console


def say(text: str) -> None:
    """Write a line on standard error: an error, and nothing else, is written so."""
    sys.stderr.write(f"{inert(text)}\n")
    sys.stderr.flush()


def answer(report: object) -> None:
    """Write a JSON object on standard output, in which nothing stands that a terminal would obey."""
    utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    sys.stdout.write(inert_json(json.dumps(report, ensure_ascii=not utf8)) + "\n")
    sys.stdout.flush()


def write(line: str) -> None:
    """Write a line for a person on standard output."""
    click.echo(inert(line))


def write_as_it_is(text: str) -> None:
    """Write what was asked for as it came, for a pipe or a file; on a terminal, as one inert line."""
    _write(inert(text) if sys.stdout.isatty() else text)


def write_csv(rows: Iterable[Iterable[object]]) -> None:
    """Write rows as CSV: as they are, for a pipe or a file; on a terminal, each cell made inert."""
    import csv
    import io

    at_terminal, out = sys.stdout.isatty(), io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    for row in rows:
        writer.writerow([inert(cell) if at_terminal and isinstance(cell, str) else cell for cell in row])
    if text := out.getvalue():
        _write(text.removesuffix("\n"))


def _write(text: str) -> None:
    # Not by click, which takes escape sequences out where no terminal is: a file gets what was stored.
    sys.stdout.write(
        text.encode(sys.stdout.encoding or "utf-8", "backslashreplace").decode(sys.stdout.encoding or "utf-8")
    )
    sys.stdout.write("\n")
    sys.stdout.flush()


def show(as_json: bool, report: Callable[[], object], lines: Callable[[], Iterable[str]]) -> None:
    """Write what a command found on standard output: one JSON object, or lines for a person, each made inert."""
    if as_json:
        answer(report())
    else:
        click.echo("\n".join(map(inert, lines())))


def end_with(error: RollbookError, *, as_json: bool) -> NoReturn:
    """End the command as an error says: one line (or one JSON object), and its exit status."""
    line = " ".join(f"{error}{error.then}".split())
    if as_json:
        answer({"error": line})
    else:
        say(f"rollbook: {line}")
    raise SystemExit(error.exit_status)


def run(work: Callable[[], int | None] | Coroutine[Any, Any, int | None], *, as_json: bool = False) -> NoReturn:
    """Do a command's work and end with its status (None is 0)."""
    import asyncio

    from rollbook.genesys.program.private_process import close_to_others
    from rollbook.genesys.program.process_memory import tune_collector

    close_to_others()
    tune_collector()
    try:
        status = asyncio.run(work) if isinstance(work, Coroutine) else work()
    except (KeyboardInterrupt, asyncio.CancelledError):
        end_with(Interrupted("interrupted"), as_json=as_json)
    except BrokenPipeError:
        # Whoever read our output has gone: nothing to say, and nobody to say it to.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        end_with(_as_rollbook_error(error), as_json=as_json)
    raise SystemExit(status or 0)


def _as_rollbook_error(error: Exception) -> RollbookError:
    """The error to tell of: ours, the first of ours in a group, or that something happened that never should."""
    while isinstance(error, ExceptionGroup):
        ours = error.subgroup(RollbookError) or error
        error = ours.exceptions[0]
    if isinstance(error, RollbookError):
        return error
    log.info("the error that was not foreseen", exc_info=error)
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return RollbookError(f"{os.fsdecode(error.filename)}: {error.strerror}")
    return RollbookError(
        f"this should not happen ({type(error).__name__}: {error}); run it again with -v and report what it says"
    )


@contextlib.contextmanager
def on_signals(acts: Mapping[int, Callable[[], None]]) -> Iterator[None]:
    """Let the running loop do these inside, each when its signal comes. Outside the main thread no signal comes."""
    import asyncio

    loop = asyncio.get_running_loop()
    wired = []
    try:
        with contextlib.suppress(RuntimeError, ValueError):
            for number, act in acts.items():
                loop.add_signal_handler(number, act)
                wired.append(number)
        yield
    finally:
        for number in wired:
            loop.remove_signal_handler(number)


_EMPTY: Final = "it is empty; give a path"


class PathParam(click.Path):
    """A path that a person gives, as a Path. An empty one is refused: it comes of a variable that a shell has not."""

    def __init__(self) -> None:
        # Whether a file may be read is for those to say who read it, and whose it is.
        super().__init__(path_type=Path, readable=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path. Fails where it is empty."""
        if value in ("", b""):
            self.fail(_EMPTY, param, ctx)
        return super().convert(value, param, ctx)


class PlaceParam(click.types.StringParamType):
    """A path or an address that a person gives, as text. An empty one is refused, as by `PathParam`."""

    name = "place"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text. Fails where it is empty."""
        return super().convert(value, param, ctx) if value else self.fail(_EMPTY, param, ctx)


def settings_options(command: F) -> F:
    """`--db`, `--config`, `--region`: the command gets `settings` instead."""

    @click.option("--db", "store_path", type=PathParam(), help="The store (default: rollbook.db).")
    @click.option("--config", type=PathParam(), help="The settings file (default: rollbook.toml).")
    @click.option("--region", help="The platform's region, e.g. us-east-1, or its domain.")
    @wraps(command)
    def with_settings(
        *args: Any, store_path: Path | None, config: Path | None, region: str | None, **options: Any
    ) -> Any:
        try:
            _check_words(options)
            settings = read_settings(store_path=store_path, config=config, region=region)
        except RollbookError as error:
            end_with(error, as_json=bool(options.get("as_json")))
        return command(*args, settings=settings, **options)

    return with_settings  # type: ignore[return-value]


def _check_words(options: Mapping[str, Any]) -> None:
    """Raise UsageError for what no store can be asked for: bytes that are no UTF-8, numbers beyond 64 bits.

    Paths may have such bytes, which come as halves of pairs: a `Path`, and what `ingest` reads.
    """
    for name, value in options.items():
        for word in value if isinstance(value, tuple) and name != "paths" else (value,):
            if isinstance(word, str) and not word.isascii() and any("\ud800" <= each <= "\udfff" for each in word):
                raise UsageError(f"{word!r} ({name.upper()}) has bytes that are no text in UTF-8")
            if isinstance(word, int) and abs(word) >= 2**63:
                raise UsageError(f"{name.upper()} is too large a number")


def read_settings(**flags: Any) -> Settings:
    """The settings of this process: its flags, environment and working directory."""
    from rollbook.genesys.program.settings import load

    return load(flags=flags, env=os.environ, cwd=Path.cwd(), now=datetime.now(UTC))


def json_option(command: F) -> F:
    """`--json`: the command gets `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Answer one JSON object on standard output.")(command)


def verbose_option(command: F) -> F:
    """`-v`: logs on standard error, more with `-vv`."""

    def begin(context: click.Context, _: click.Parameter, value: int) -> None:
        # A group and its command may both have the option: what one was given, the other does not take back.
        seen = context.meta["verbosity"] = max(value, context.meta.get("verbosity", 0))
        start_logging(seen)

    option = click.option("-v", "--verbose", count=True, expose_value=False, callback=begin, help="Log more.")
    return option(command)


class Lines(logging.Formatter):
    """A line each, whose time is in UTC, as all times in messages are.

    Nothing in a message can begin a line of its own; those of a traceback are indented, so that none looks like one.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:
        """Format a record as an inert line."""
        return inert(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:
        """Format a traceback as inert, indented lines."""
        return "\n".join(f"  {inert(line)}" for line in super().formatException(ei).split("\n"))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """API text."""
        del datefmt
        return to_text(datetime.fromtimestamp(record.created, UTC))


def start_logging(verbosity: int) -> None:
    """Logs go to standard error: warnings, with 1 what happens, with 2 everything of ours."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO if verbosity else logging.WARNING, handlers=[handler], force=True)
    for name in ("rollbook", "reconcile", "realtime"):
        logging.getLogger(name).setLevel(logging.DEBUG if verbosity > 1 else logging.NOTSET)
    # The libraries' own logs at this level show addresses of channels, which are secrets.
    for name in ("httpx", "httpcore", "websockets", "aiohttp", "apscheduler", "hpack"):
        logging.getLogger(name).setLevel(logging.WARNING)


def main(group: click.Command, *, name: str) -> NoReturn:
    """Run a click command as a program: its usage errors are one line too, or one JSON object."""
    as_json = "--json" in sys.argv
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        # A name that a terminal has no letters for is no reason to end; JSON is spelled in ASCII there.
        sys.stdout.reconfigure(errors="replace")
    try:
        status = group.main(prog_name=name, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        sys.stderr.write(f"{error.ctx.get_help() if error.ctx else error.format_message()}\n")
        raise SystemExit(UsageError.exit_status) from None
    except click.ClickException as error:
        end_with(UsageError(error.format_message()), as_json=as_json)
    except click.Abort:
        end_with(Interrupted("interrupted"), as_json=as_json)
    except RollbookError as error:
        end_with(error, as_json=as_json)
    raise SystemExit(status if isinstance(status, int) else 0)
