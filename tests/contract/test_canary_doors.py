"""Canaries in every personal field of every door, looked for through every way out of a store.

Under the strict policy none of them leaves by any; a person who was forgotten leaves by none, and stays away when the
platform is read again. The same store without a policy shows that each of the ways is really looked through.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from prometheus_client.core import CollectorRegistry
from prometheus_client.exposition import generate_latest

from realtime.daemon.http_port import _Collector
from realtime.figures import DaemonFigures
from realtime.hook import cloud_events
from reconcile import verify
from reconcile.names.refresh import refresh
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.commands import cli
from rollbook.genesys.api.http import Answer
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.messages.notification import Notification, Unreadable, parse_frame
from rollbook.genesys.messages.payloads import parse_all
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program import console
from rollbook.genesys.times import Interval, to_text
from rollbook.store import event_list
from rollbook.store.book import Book
from rollbook.store.browse import about_tables
from rollbook.store.browse import server as browse
from rollbook.store.commands.live import tail
from rollbook.store.erasure import remains, request
from rollbook.store.erasure.person import Person
from rollbook.store.event_list import Wanted
from rollbook.store.file import connections
from rollbook.store.file.copying import Manner
from rollbook.store.tables import alerts, coverage, events
from rollbook.store.upkeep.backups import back_up
from rollbook.store.vocabulary import AlertKind
from tests.helpers.altered_platform import START, AlteredPlatform
from tests.helpers.canaries import CANARY, HER_CANARY, HERS, LETTERS, VALUES, details, messages
from tests.helpers.peek import command
from tests.helpers.shown_page import shown

HOUR = Interval(START, START + timedelta(hours=1))
DAY = "2026-03-02"
MEDIA = ("voice", "chat", "email", "message", "callback", "cobrowse", "screenshare", "video")
REFUSAL = {"message": "canary-7001 of tel:+4930901701 is not known", "code": "bad.request", "status": 400}


@dataclass
class Filled:
    """A store with canaries. ids: conversations that have them. said: what was logged while it was filled, and errors."""

    path: Path
    platform: AlteredPlatform
    ids: list[str]
    said: str = ""
    proofs: list[str] = field(default_factory=list)
    beside: bytes = b""  # the log beside the file, while the store was open


def put_in(own: Any, template: Any) -> None:
    """Put the template's canaries into a part of a record, and into all that it has below."""
    if isinstance(own, list):
        for each in own:
            put_in(each, template[0])
    elif isinstance(own, dict):
        for name, value in template.items():
            if isinstance(value, str):
                if CANARY.search(value.encode()):
                    own[name] = value
            elif name in own:
                put_in(own[name], value)
            elif name in ("evaluations", "surveys", "flow", "attributes"):
                own[name] = value


def enriched(platform: AlteredPlatform, values: Sequence[str]) -> list[str]:
    """Put canaries into every personal field of some conversations, a medium each, and of users; answers their ids."""
    template = json.loads(details(1, values)[0])
    lives = [life for life in platform.simulator.world.conversations if HOUR.start <= life.start < HOUR.end]
    for life, medium in zip(lives, MEDIA, strict=False):
        identity = life.record["conversationId"]
        put_in(life.record, template)
        life.record["conversationId"] = identity
        life.record["participants"][0]["sessions"][0]["mediaType"] = medium
    for number, user in enumerate(platform.simulator.world.users):
        user["name"] = f"canary-{8_000 + number}" if values is VALUES else f"Agent {number}"
    return [life.record["conversationId"] for life in lives[: len(MEDIA)]]


async def read(filled: Filled, policy: str) -> None:
    """Read the hour by query and by a job, list names, compare counts."""
    platform, folder = filled.platform, filled.path.parent
    settings = platform.settings(folder, "a-secret", ROLLBOOK_PRIVACY_FIELDS=policy, ROLLBOOK_PACK="none")
    with Book.open(filled.path, organization=platform.owner, pack="none", redactor=redactor_of(settings)) as book:
        async with platform.api(settings) as api:
            for via in ("query", "job", "query"):
                options = RunOptions(sleep=platform.sleep, via="job" if via == "job" else "query")
                now = platform.simulator.now
                report = await reconcile_window(book, api, HOUR, settings=settings, now=now, options=options)
                filled.proofs.append(str(report.verdict))
            await refresh(book, api, now=platform.simulator.now)
            filled.proofs.append(str((await verify.verify(api, book, HOUR)).equal))
        filled.beside = b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def fill(folder: Path, policy: str, values: Sequence[str] = VALUES) -> Filled:
    """A store into which canaries came by every door: events, what nobody can read, details, names, refusals, errors."""
    platform = AlteredPlatform(per_hour=10)
    filled = Filled(folder / "rollbook.db", platform, enriched(platform, values))
    settings = platform.settings(folder, "a-secret", ROLLBOOK_PRIVACY_FIELDS=policy, ROLLBOOK_PACK="none")
    at = to_text(START)
    with Book.open(filled.path, organization=platform.owner, pack="none", redactor=redactor_of(settings)) as book:
        book.write(alerts.want, list(AlertKind)).result()
        items: list[Any] = []
        for payload in [*messages(values), *LETTERS]:
            items.append(parse_frame(payload, source="websocket", received_at=at))
            items += parse_all(payload, source="sqs", received_at=at, once="m1")
        for identity in filled.ids:
            body = {"id": identity, "participants": [{"id": "p", "name": "canary-1", "connectedTime": at, "ani": "tel:+4930901820", "attributes": {"a": "canary-1"}}]}  # fmt: skip
            topic = "v2.routing.queues.a1b2c3d4-1111-4222-8333-000000000001.conversations"
            frame = json.dumps({"topicName": topic, "eventBody": body}).encode()
            items.append(parse_frame(frame, source="websocket", received_at=at))
        items = [item for item in items if isinstance(item, Notification | Unreadable)]
        book.write(events.record, items, book.lag).result()

        def refused(url: str, answer: Answer) -> Answer:
            if "/details" in url or "/wrapupcodes" in url:
                return replace(answer, status=400, body=json.dumps(REFUSAL).encode())
            if "/subscriptions" in url:
                state = {"id": "v2.a", "state": "Rejected", "rejectionReason": "canary-7002 tel:+4930901702 may not"}
                return replace(answer, status=200, body=json.dumps({"entities": [state]}).encode())
            return answer

        platform.alter = refused
        async with platform.api(settings) as api:
            with pytest.raises(RollbookError) as error:
                await reconcile_window(book, api, HOUR, settings=settings, now=platform.simulator.now)
            filled.said += str(error.value)
            await refresh(book, api, now=platform.simulator.now)
            channel = await api.create_channel()
            states = await api.subscribe(channel, ["v2.a"], replace=True)
            rows: list[dict[str, Any]] = [
                {"topic": state.id, "reason": state.reason, "missing_permissions": []} for state in states
            ]
            book.write(coverage.reject, rows, at).result()
        platform.alter = lambda _, answer: answer
    await read(filled, policy)
    # Rewritten since: an earlier version of each.
    for life in platform.simulator.world.conversations:
        if life.record["conversationId"] in filled.ids:
            life.record["participants"][0]["sessions"][0]["segments"][0]["wrapUpNote"] = "canary-1"
            life.record["originatingDirection"] = "outbound"
    await read(filled, policy)
    return filled


def logged(caplog_text: list[str]) -> logging.Handler:
    """A handler that keeps what every logger says, as `-vv` would have it."""

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            caplog_text.append(self.format(record))

    handler = Kept(logging.DEBUG)
    handler.setFormatter(console.Lines("%(asctime)s %(levelname)s %(name)s %(message)s"))
    return handler


@pytest.fixture(scope="module", params=["strict", "keep"])
def filled(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Filled]:
    """A store with canaries under the strict policy, and another without a policy."""
    lines: list[str] = []
    root, handler = logging.getLogger(), logged(lines)
    levels = {name: logging.getLogger(name).level for name in ("", "rollbook", "reconcile", "realtime")}
    root.addHandler(handler)
    for name in levels:
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        made = asyncio.run(fill(tmp_path_factory.mktemp(request.param), request.param))
    finally:
        root.removeHandler(handler)
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    made.said += "\n".join(lines)
    return request.param, made


# Ways out


def ran(*words: str, path: Path) -> bytes:
    """Output of a command, both streams."""
    found: Result = command(cli, [*words, "--db", str(path)])
    assert found.exit_code in (0, 3), (words, found.output, found.exception)
    return found.output.encode() + found.stderr.encode()


def commands(path: Path, ids: list[str]) -> dict[str, bytes]:
    """What each command that shows a store says, as text and as JSON."""
    words = [
        *(
            ["status"],
            ["windows"],
            ["window", f"{DAY}T10:00Z"],
            ["gaps"],
            ["events"],
            ["names"],
            ["names", "--history"],
        ),
        *(["ready", f"{DAY}T10:00Z/PT1H"], ["dead-letters", "list"], ["retain", "--dry-run"]),
        *(["report", kind, DAY] for kind in ("queues", "agents", "wrapups", "mos")),
        *(["show", identity] for identity in ids),
    ]
    found = {" ".join(each): ran(*each, path=path) + ran(*each, "--json", path=path) for each in words}
    found["report --csv"] = ran("report", "agents", DAY, "--csv", path=path) + ran("names", "--csv", path=path)
    with closing(sqlite3.connect(path)) as db:
        letters = [str(row[0]) for row in db.execute("SELECT dead_letter_id FROM dead_letters")]
    found["dead-letters show"] = b"".join(ran("dead-letters", "show", each, path=path) for each in letters[:40])
    page = path.with_name("page.html")
    ran("show", ids[0], "--html", str(page), path=path)
    found["show --html"] = page.read_bytes()
    return found


def exports(path: Path) -> dict[str, bytes]:
    """The files of an export in each form, of a backup, and of a person."""
    found = {}
    for form in ("ndjson",):
        to = path.with_name(form)
        words = ["--table", "tables", "--table", "views", "--table", "bodies"]
        ran("export", f"{DAY}/P8D", "--to", str(to), "--format", form, *words, path=path)
        found[f"export {form}"] = b"".join(each.read_bytes() for each in to.rglob("*") if each.is_file())
    copy = path.with_name("copy.db")
    back_up(path, copy, at=START, how=Manner())
    found["backup"] = copy.read_bytes()
    return found


async def live(path: Path, ids: list[str]) -> dict[str, bytes]:
    """The page's addresses, personal fields shown; metrics; alerts; `tail`; each table in Datasette."""
    found = {}
    async with shown(path, personal=True) as page:
        addresses = [*("/", "/status.json", "/status.txt", f"/windows/{DAY}T10:00:00.000Z"), "/nothing?canary=1"]
        for address in [*addresses, *(f"/conversations/{identity}" for identity in ids)]:
            found[f"page {address}"] = (await page.get(address)).text.encode()
    registry = CollectorRegistry(auto_describe=False)
    async with Book.open(path, mode="ro") as book:
        topics = await book.read(lambda db: [row[0] for row in db.execute("SELECT DISTINCT topic FROM events")])
        refused = await book.read(coverage.rejected)
        registry.register(
            _Collector(
                DaemonFigures(
                    by_template=dict.fromkeys(topics, 1),
                    missing_permissions=tuple(str(each) for each in refused),
                    ledger_failing=str(refused),
                )
            )
        )
        found["metrics"] = generate_latest(registry)
        waiting = await book.read(lambda db: [row[0] for row in db.execute("SELECT alert_id FROM alerts")])
        assert waiting
        bodies = [cloud_events.body_of(await book.read(alerts.load, each), "/rollbook") for each in waiting]  # type: ignore[arg-type]
        found["hook"] = b"\n".join(bodies)
        listed, _ = await book.read(event_list.newest, Wanted(), 10_000)
        found["tail"] = "\n".join(
            text for event in listed for text in (tail._line(event, {}), tail._object(event, {}))
        ).encode()
        tables = await book.read(
            lambda db: [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")]
        )
    datasette = browse.application(path, "O", tables)
    await datasette.invoke_startup()
    for table in about_tables.PAGES:
        answer = await datasette.client.get(f"/{path.stem}/{table}?_size=max&_shape=array")
        found[f"browse {table}"] = answer.text.encode()
    datasette.get_database(path.stem).close()
    return found


def ways(path: Path, ids: list[str]) -> dict[str, bytes]:
    """Every way out of a store."""
    files = {path.name: path.read_bytes() for path in path.parent.iterdir() if path.is_file()}
    return {**files, **commands(path, ids[:2]), **exports(path), **asyncio.run(live(path, ids[:2]))}


def test_no_canary_leaves_by_any_way(filled: tuple[str, Filled]) -> None:
    """Strict: no canary in file, WAL, log at -vv, error, command, page, metric, export, backup, alert or Datasette.

    Without a policy they are there, so that each of the ways is known to show them.
    """
    policy, store = filled
    found = {**ways(store.path, store.ids), "-vv and errors": store.said.encode(), "WAL": store.beside}
    assert set(store.proofs) == {"complete", "True"}, store.proofs
    leaks = {way: sorted(set(CANARY.findall(body)))[:5] for way, body in found.items() if CANARY.search(body)}
    if policy == "strict":
        assert leaks == {}
        return
    shown_by = {re.split(r"[ .]", way)[0] for way in leaks}
    assert shown_by >= {"rollbook", "WAL", "-vv", "events", "show", "dead-letters", "names", "export", "backup", "page", "hook", "tail", "browse", "window"}  # fmt: skip


PERSON = Person(phones=["030 901820"], emails=["Ada@Canary.example"], names=["Canary-1"])


def test_a_forgotten_person_leaves_by_no_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everywhere before; after `forget`, on an SQLite that overwrites nothing, nowhere, and nowhere after other reads.

    The proofs hold, and the counts of the platform are ours.
    """
    plain = connections.connect

    def careless(*args: Any, **kwargs: Any) -> Any:
        connection = plain(*args, **kwargs)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    with monkeypatch.context() as patched:
        patched.setattr(connections, "connect", careless)
        store = asyncio.run(fill(tmp_path, "keep", HERS))
        with Book.open(store.path, pack="none") as book:
            book.write(lambda db: db.execute("DELETE FROM store_notes WHERE name = 'overwrites'")).result()
    assert len(HER_CANARY.findall(store.path.read_bytes())) > 1_000
    at = to_text(store.platform.simulator.now())
    with Book.open(store.path, mode="r+", pack="none") as book:
        done = request.forget(book, PERSON, at, by="dpo", ticket="T-1")
    assert not remains.remove(store.path, done.found, at, Manner(), journal="wal")
    assert HER_CANARY.findall(store.path.read_bytes()) == []
    store.proofs.clear()
    asyncio.run(read(store, "keep"))
    assert set(store.proofs) == {"complete", "True"}, store.proofs
    found = {**ways(store.path, store.ids), "WAL": store.beside}
    leaks = {way: sorted(set(HER_CANARY.findall(body)))[:5] for way, body in found.items() if HER_CANARY.search(body)}
    assert leaks == {}
