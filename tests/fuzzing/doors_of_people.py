"""What people and browsers bring: settings files, words of a command line, requests to the HTTP port."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import click.testing
from click.testing import CliRunner

from realtime.daemon.http_port import HttpPort
from realtime.figures import DaemonFigures
from reconcile import gate
from rollbook.commands import cli
from rollbook.genesys.errors import RollbookError, SettingsError
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program.inert import inert
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.genesys.times import parse_interval
from rollbook.page.site import PageSettings, Site
from rollbook.store.book import Book
from rollbook.store.tables import readiness
from tests.fuzzing.doors import Door
from tests.fuzzing.judge import SECRET, Output
from tests.fuzzing.mutations import altered, altered_text
from tests.helpers.hostile import hostile_texts
from tests.helpers.shown_page import Source
from tests.helpers.staged_store import NOW, WIDTH, staged

_SETTINGS: Final = (
    b'[genesys]\nregion = "us-east-1"\nlargest_answer = 1000000\n[store]\npath = "a.db"\njournal = "wal"\npack = "events"\n',
    b'[realtime]\ntopics = ["v2.routing.queues.{id}.conversations"]\nusers = true\nhealth = "127.0.0.1:8125"\n',
    b'[realtime.sqs]\nqueue_url = "https://sqs.us-east-1.amazonaws.com/123456789012/events"\nreceivers = 4\n',
    b'[reconcile]\nwidth = "PT30M"\nlag = "PT10M"\nsettle_after = "P5D"\nsince = "2026-01-01"\nstuck_after = "P30D"\n',
    b'[reconcile]\nfilter = { conversationFilters = [{ type = "and", predicates = [{ dimension = "originatingDirection",'
    b' value = "inbound" }] }] }\n',
    b'[privacy]\nfields = "strict"\n',
    b'[privacy.fields]\nphone_numbers = "hash"\nnames = "shorten"\n"participants.sessions.dnis" = "keep"\n',
    b'[hook]\nurl = "https://hooks.example/a?token=the-secret-of-this-run"\non = ["gap.found"]\ndeaf_after = "PT5M"\n',
    b'[hook]\ncommand = ["/usr/bin/true", "--token", "the-secret-of-this-run"]\n',
    b'[page]\nenabled = true\npersonal = false\nhosts = ["a.example"]\ntoken = "the-secret-of-this-run"\n',
    b'[retention]\ndetails = "P90D"\nevents = "kept"\nversions = "P30D"\ngone = "P1D"\n',
    b'[views]\ntime_zone = "Europe/Berlin"\nanswered_within = "PT20S"\ninclude_flow_outs = true\n',
    b'[backup]\nto = "backups"\nkeep = 7\nat = "02:00"\n',
)
_VARIABLES: Final = {
    "GENESYSCLOUD_REGION": "us-east-1",
    "GENESYSCLOUD_API_URL": "https://api.mypurecloud.com",
    "GENESYSCLOUD_LOGIN_URL": f"https://user:{SECRET}@login.mypurecloud.com",
    "ROLLBOOK_PRIVACY_FIELDS": "phone_numbers=hash,names=drop",
    "ROLLBOOK_PRIVACY_KEY": f"{SECRET}-and-more",
    "ROLLBOOK_PAGE_TOKEN": f"{SECRET}-and-more",
    "ROLLBOOK_HOOK_URL": f"https://hooks.example/{SECRET}",
    "ROLLBOOK_WINDOW": "PT30M",
}


@contextlib.contextmanager
def settings_door(folder: Path) -> Iterator[Door]:
    """A settings file and variables."""
    place = folder / "settings"
    place.mkdir(mode=0o700)
    examples = [*_SETTINGS, b"".join(_SETTINGS[0:1] + _SETTINGS[3:4] + _SETTINGS[5:6] + _SETTINGS[9:])]
    file = place / "rollbook.toml"

    def put(draw: random.Random) -> Output:
        payload = altered(draw.choice(examples), draw, examples)
        env = {"GENESYSCLOUD_CLIENT_ID": "a", "GENESYSCLOUD_CLIENT_SECRET": SECRET}
        for name, value in _VARIABLES.items():
            if draw.random() < 0.1:
                env[name] = altered_text(value, draw).replace("\0", "")
        file.write_bytes(payload)
        file.chmod(0o600)
        try:
            found = load(env=env, cwd=place, now=datetime(2026, 8, 3, tzinfo=UTC))
        except SettingsError as error:
            said = inert(str(error))
            # What stands in the place of another setting by mistake may be shown: nobody knows that it is a secret.
            return Output([said if _OF_SECRETS.search(said) else said.replace(SECRET, "…")])
        with contextlib.suppress(RollbookError):
            redactor_of(found) if not _names_a_place(found.privacy_key) else None
        return Output([inert(repr(replace(found, **_of_any_words())))])

    yield Door("settings", put)


def _of_any_words() -> dict[str, Any]:
    """Settings in which any words may stand, as they are by default: another's value too, as above."""
    names = ("store_path", "backup", "topics", "sqs_topics", "filter", "privacy", "page_hosts")
    return {name: getattr(Settings(), name) for name in names}


_OF_SECRETS: Final = re.compile(
    r"(\[(hook|page)\] (url|command|token|secret)|SECRET|TOKEN|KEY|HOOK_URL|HOOK_COMMAND)\b"
)


def _names_a_place(key: Secret | None) -> bool:
    """A key that is to be looked up elsewhere: nothing is looked up here."""
    return key is not None and ":" in key.reveal()


# Commands that end, with words that they take; STORE, ID and LETTER stand for what is there.
_COMMANDS: Final = (
    *(
        ["status"],
        ["windows", "--since", "2026-03-04"],
        ["windows", "--verdict", "failed"],
        ["window", "2026-03-04T10:00Z"],
    ),
    *(["gaps", "--cause", "disconnected", "--limit", "3"], ["gaps", "--since", "2026-03-04T10:00Z", "--unfilled"]),
    *(["events", "ID", "--topic", "v2.routing.*"], ["events", "--since", "2026-03-04", "--limit", "4"], ["show", "ID"]),
    *(["show", "ID", "--html", "page.html"], ["report", "queues", "2026-03-04", "--by", "hour"]),
    *(
        ["report", "agents", "P1D/2026-03-05"],
        ["report", "wrapups", "2026-03-04/P1D", "--csv"],
        ["report", "mos", "2026-03-04"],
    ),
    *(["ready", "2026-03-04T10:00Z/PT30M", "--settled"], ["names", "ID", "--at", "2026-03-04"], ["names", "--unnamed"]),
    *(["names", "--kind", "queue", "--history", "--csv"], ["export", "2026-03-04", "--to", "lake", "--format", "csv"]),
    *(["forget", "--phone", "+49 30 901820", "--dry-run"], ["forget", "--email", "ada@a.example", "--ticket", "T-1"]),
    *(["forget", "--name", "Ada", "--attribute", "a=b", "--export", "ada.json", "--dry-run"], ["retain", "--dry-run"]),
    *(["dead-letters", "list", "--source", "sqs"], ["dead-letters", "show", "1"], ["dead-letters", "drop", "1"]),
    *(
        ["dead-letters", "retry", "--all"],
        ["ingest", "events.ndjson"],
        ["backup", "copy.db"],
        ["restore", "copy.db"],
    ),
    *(["pack", "--help"], ["rebuild", "--help"], ["compact", "--help"], ["completion", "bash"], ["doctor", "--json"]),
    *(["reconcile", "--window", "2026-03-04T10:00Z/PT30M"], ["reconcile", "--due"], ["verify", "2026-03-04"]),
    *(["simulate", "--help"], ["run", "--help"], ["-vv", "status"], ["--version"], ["init", "--help"]),
)
# What does not end, or asks people or hosts: only its help and its mistakes are tried.
_ENDLESS: Final = frozenset({"run", "page", "browse", "tail", "demo", "simulate", "init"})


@contextlib.contextmanager
def words_door(folder: Path) -> Iterator[Door]:
    """Words of a command line, at a terminal."""
    # Words may name files by any way up; what is reached by them is still ours.
    place = folder.joinpath("words", *"abcdefghij")
    place.mkdir(parents=True, mode=0o700)
    store, letters = folder / "words.db", hostile_texts(1)
    staged(store, days=1, per_hour=2)
    with Book.open(store) as book:
        identity = book.read_now(lambda db: db.execute("SELECT conversation_id FROM conversations").fetchone()[0])
        insert = "INSERT INTO dead_letters (source, payload, error, received_at) VALUES ('sqs', ?, ?, '2026-03-04T10:00:00.000Z')"
        book.write(lambda db: db.execute(insert, (letters[0], letters[0]))).result()
    here, terminal = Path.cwd(), click.testing._NamedTextIOWrapper.isatty
    env = dict(os.environ)
    for name in [name for name in os.environ if name.startswith(("ROLLBOOK_", "GENESYSCLOUD_", "AWS_"))]:
        del os.environ[name]
    number = 0

    def put(draw: random.Random) -> Output:
        nonlocal number
        if number % 200 == 0:
            os.chdir(here)
            shutil.rmtree(place)
            place.mkdir(mode=0o700)
            os.chdir(place)
            shutil.copy(store, place / "rollbook.db")
            Path("events.ndjson").write_text('{"topicName":"v2.a","eventBody":{}}\n')
        number += 1
        words = [identity if word == "ID" else word for word in draw.choice(_COMMANDS)]
        for _ in range(draw.choice((1, 1, 2, 3))):
            at = draw.randrange(len(words) + 1)
            if at == len(words):
                words.append(draw.choice(("--json", "--csv", "-v", "-vv", "--limit", "--since", "--help", "--db", "x")))
            elif draw.random() < 0.8:
                words[at] = altered_text(words[at], draw)[:4_000]
            else:
                del words[at]
        # As an operating system hands them over.
        words = [os.fsdecode(_inside(word).encode(errors="surrogatepass")) for word in words]
        if _ENDLESS & set(words) and "--help" not in words:
            words.append("--help")
        ran = _run(words)
        texts = [ran.stdout, _PROGRESS.sub("", ran.stderr)]
        if isinstance(ran.exception, click.ClickException | click.exceptions.Exit):
            texts.append(inert(str(ran.exception)))
        elif ran.exception is not None and not isinstance(ran.exception, SystemExit | RollbookError):
            raise ran.exception
        if "this should not happen" in ran.output:
            raise AssertionError(f"{words}: {ran.output[-600:]}")
        return Output(texts)

    click.testing._NamedTextIOWrapper.isatty = lambda self: True  # type: ignore[method-assign]
    try:
        yield Door("words", put, share=3)
    finally:
        click.testing._NamedTextIOWrapper.isatty = terminal  # type: ignore[method-assign]
        os.environ.clear()
        os.environ.update(env)
        os.chdir(here)


# Our own progress at a terminal. No hostile text has just this.
_PROGRESS: Final = re.compile("\\x1b\\[(?:2K|1A|\\?25[lh]|0m|1m|[39][0-9]m|[0-9;]*;1m|38;5;[0-9]+m)|\\r")


def _run(words: list[str]) -> Any:
    return CliRunner(catch_exceptions=True).invoke(cli, words, standalone_mode=False)


def _inside(word: str) -> str:
    """The word without what leads out of the folder, or to another machine."""
    word = word.replace("\0", "").replace("s3:", "s4:").replace("~", "-")
    word = re.sub(r"(^|=|:)\s*/+", r"\1", word)
    return word if word.count("..") < 6 else word.replace("..", ".")


_REQUESTS: Final = (
    *(
        b"/",
        b"/healthz",
        b"/metrics",
        b"/ready?interval=2026-03-04T10:00Z/PT30M&settled=true",
        b"/status.json",
        b"/live",
    ),
    *(
        b"/status.txt",
        b"/windows/2026-03-04T10:00:00.000Z",
        b"/windows/2026-03-04T10:00Z?since=2026-03-04",
        b"/page.css",
    ),
    *(
        b"/conversations/ID",
        b"/?since=2026-03-04T00:00Z&until=2026-03-05T00:00Z&zoom=day",
        b"/?show=open&tz=Europe/Berlin",
    ),
    *(
        b"/page.js",
        b"/favicon.ico",
        b"/live?since=2026-03-04",
        b"/nothing",
        b"/conversations/%1b%5b2J%3Cscript%3Ealert(1)",
    ),
)


class _Daemon:
    """The figures of a daemon for the port."""

    def __init__(self, book: Book) -> None:
        self._book = book

    async def figures(self) -> DaemonFigures:
        return DaemonFigures(by_template={f"v2.{hostile_texts(1)[0]}": 2})

    async def readiness(self, interval: str, *, settled: bool) -> gate.Readiness:
        wanted = parse_interval(interval, now=NOW)

        def look(db: Any) -> gate.Readiness:
            return gate.judge(wanted, readiness.evidence(db, *wanted.texts, ""), NOW, settled=settled)

        return await self._book.read(look)


@contextlib.contextmanager
def port_door(folder: Path) -> Iterator[Door]:
    """Requests to the daemon's port, as bytes: `/healthz`, `/metrics`, `/ready` and the page's addresses."""
    store = folder / "port.db"
    staged(store, days=1, per_hour=2)
    loop = asyncio.new_event_loop()
    wrong: list[str] = []
    loop.set_exception_handler(lambda _, context: wrong.append(f"in the loop: {context}"))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def within(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    async def begin() -> tuple[Book, HttpPort]:
        book = Book.open(store, mode="ro")
        shown = PageSettings(store_path=store, width=WIDTH, token=f"{SECRET}-and-more")
        site = Site(Source(book), shown)
        port = HttpPort(_Daemon(book), "127.0.0.1:0", token=Secret(f"{SECRET}-and-more"), site=site)
        await port.start()
        return book, port

    book, port = within(begin())
    identity = book.read_now(lambda db: db.execute("SELECT conversation_id FROM conversations").fetchone()[0])
    examples = [
        b"GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\nCookie: a=b\r\n\r\n"
        % path.replace(b"ID", identity.encode())
        for path in _REQUESTS
    ]
    form = b"token=wrong&next=/"
    examples.append(
        b"POST /sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(form), form)
    )

    def put(draw: random.Random) -> Output:
        wrong.clear()
        example = draw.choice(examples)
        if draw.random() < 0.6:
            path = example.split()[1].decode()
            other = altered_text(path, draw).encode(errors="surrogatepass")
            request = example.replace(path.encode(), _quoted(other, draw), 1)
        else:
            request = altered(example, draw, examples)
        status, head, body = _ask(port.port, request)
        if wrong:
            raise AssertionError(wrong[0])
        if status is not None and status >= 500 and status != 503:
            raise AssertionError(f"status {status}: {request[:300]!r}")
        html = "text/html" in head
        return Output([head.replace("\r", "")] + ([] if html else [body]), [body] if html else [])

    try:
        yield Door("port", put, share=1.5)
    finally:
        within(port.stop())
        within(_ended())
        book.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _ended() -> None:
    """Nothing of the loop goes on: what waits for a pause after a wrong token would wake in a loop that is closed."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def _quoted(path: bytes, draw: random.Random) -> bytes:
    if draw.random() < 0.3:
        return path
    return b"".join(b"%%%02x" % each if each <= 32 or each >= 127 else bytes([each]) for each in path)


def _ask(port: int, request: bytes) -> tuple[int | None, str, str]:
    """(status, head, body) of what is answered until the server closes; no status where it just closes."""
    with socket.create_connection(("127.0.0.1", port), 20) as asking:
        got = b""
        with contextlib.suppress(OSError):  # it may have been refused before its end
            asking.sendall(request)
            asking.shutdown(socket.SHUT_WR)
        asking.settimeout(20)
        with contextlib.suppress(ConnectionError):
            while piece := asking.recv(1 << 16):
                got += piece
                if b"text/event-stream" in got[:2_000]:
                    break
    head, _, body = got.partition(b"\r\n\r\n")
    parts = head.split(b" ", 2)
    status = int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
    return status, head.decode("latin-1"), body.decode(errors="replace").replace("\r\n", "\n")
