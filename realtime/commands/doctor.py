"""`rollbook doctor`: checks each thing that a run needs, in the order in which they depend on each other.

A failed check stops the next check only if that depends on it. Each check that fails says how to mend it.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from realtime.commands.secret_hosts import who_sees
from realtime.hook.receivers import LIMITS, receiver_of
from realtime.websocket.refused_topics import remedy
from realtime.websocket.topic_placement import CHANNELS_A_CLIENT, TOPICS_A_CHANNEL
from rollbook.genesys import topics
from rollbook.genesys.api.client import Api
from rollbook.genesys.api.http import Http
from rollbook.genesys.errors import ApiError, PermissionRefused, RollbookError
from rollbook.genesys.named import LISTS, NameKind
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import WIDTH, count, wrapped
from rollbook.genesys.times import to_text
from rollbook.page.server import check_address
from rollbook.store.book import Book
from rollbook.store.file.connections import SQLITE_VERSION, is_there, must_be_own, sqlite_race
from rollbook.store.tables import alerts, coverage, names, schema
from rollbook.store.upkeep import growth

State = Literal["ok", "warn", "fail"]
_MARKS: Final[dict[State, str]] = {"ok": "ok  ", "warn": "look", "fail": "FAIL"}
# Beyond this difference, the lag of ten minutes and the stamps of live events do not fit the platform's times.
_SKEW: Final = timedelta(seconds=30)
# Seconds that a check may take; and a check of a long list, each page of which may take a second, and the rate limit a
# minute.
_WITHIN: Final = 20.0
_LISTED: Final = 180.0
# Bytes that are written to see that there is room for a store: more than an empty store takes.
_ROOM: Final = 1_000_000
_INDENT: Final = 19  # columns before what was found


@dataclass(frozen=True, slots=True)
class Check:
    """A check: its result, and advice (empty: nothing to do)."""

    name: str
    state: State
    found: str
    mend: str = ""


def doctor(settings: Settings, as_json: bool) -> None:
    async def work() -> int:
        checks: list[Check] = []

        def tell(check: Check) -> None:
            checks.append(check)
            if not as_json:
                show_check(check)

        await examine(settings, tell)
        failed = sum(check.state == "fail" for check in checks)
        if as_json:
            console.answer({"ok": not failed, "checks": [asdict(check) for check in checks]})
        else:
            console.write("")
            look = sum(check.state == "warn" for check in checks)
            well = f"{look} to look at; `rollbook run` can start." if look else "All is well: `rollbook run` can start."
            console.write(f"{failed} to mend" if failed else well)
        return 1 if failed else 0

    console.run(work(), as_json=as_json)


def show_check(check: Check) -> None:
    """Print a check for a person."""
    for number, line in enumerate(wrapped(check.found, WIDTH - _INDENT) or [""]):
        console.write(f"{_MARKS[check.state]}  {check.name:<12} {line}" if number == 0 else f"{'':<{_INDENT}}{line}")
    if check.mend:
        for line in wrapped(check.mend, 58):
            console.write(f"{'':<{_INDENT}}{line}")


async def examine(settings: Settings, tell: Callable[[Check], None]) -> None:
    """Run all checks, and report each as it is done."""
    checked = _settings(settings)
    tell(checked)
    tell(_store_file(settings.store_path))
    if (size := await asyncio.to_thread(_store_size, settings.store_path)) is not None:
        tell(size)
    if (hook := await _hook(settings)) is not None:
        tell(hook)
    if checked.state == "fail":
        return
    # Before the first secret goes anywhere.
    tell(_hosts(settings))
    tell(_privacy(settings))
    async with Api(settings) as api:
        try:
            async with asyncio.timeout(_WITHIN):
                organization = await api.organization()
        except TimeoutError:
            tell(_unanswered("sign-in", _WITHIN, f"{settings.login_url} and {settings.api_url}"))
            return
        except RollbookError as error:
            tell(Check("sign-in", "fail", "did not work", str(error)))
            return
        tell(Check("sign-in", "ok", f"organisation {organization.name}"))
        tell(_clock(api.clock_skew))
        tell(await asyncio.to_thread(_store_owner, settings.store_path, organization))
        if (refused := await asyncio.to_thread(_refused, settings.store_path)) is not None:
            tell(refused)
        tell(await _try("details", "analytics:conversationDetail:view", lambda: _details(api)))
        kept = "analytics:dataRetention:view"
        tell(await _try("retention", kept, lambda: _retention(api, settings), state="warn"))
        queues: list[str] = []
        tell(await _try("queues", "routing:queue:view", lambda: _queues(api, queues), within=_LISTED))
        users: list[str] = []
        if settings.users:
            tell(await _try("users", "directory:user:view", lambda: _users(api, users), within=_LISTED))
        tell(await _try("divisions", "authorization:division:view", lambda: _divisions(api), state="warn"))
        unnamed = await asyncio.to_thread(_unnamed, settings.store_path)
        tell(await _try("names", "", lambda: _names(api, unnamed), state="warn", within=_LISTED))
        templates = [*settings.topics, *([topics.USER_CONVERSATIONS] if settings.users else [])]
        wanted = topics.topics_for(templates, queues=queues, users=users)
        tell(await _try("topics", "", lambda: _topics_of(api, templates, len(wanted))))
        if settings.sqs_queue_url is not None:
            tell(await asyncio.to_thread(_queue, settings.sqs_queue_url))
        tell(await _try("channels", "", lambda: _channels(api, len(wanted)), state="warn"))


def _privacy(settings: Settings) -> Check:
    if settings.privacy:
        return Check("privacy", "ok", f"{settings.privacy}")
    return Check("privacy", "ok", "people's data is kept as it comes", "[privacy] says what to drop: docs/privacy.md")


def _settings(settings: Settings) -> Check:
    where = f"file {settings.config_path}" if settings.config_path else "no settings file"
    host = settings.api_url or "no region"
    try:
        settings.require_platform()
        settings.require_source()
        redactor_of(settings)
        settings.require_one_hook()
        if settings.health is not None:
            check_address(settings.health)
    except RollbookError as error:
        return Check("settings", "fail", f"{host}, {where}", str(error))
    return Check("settings", "ok", f"{host}, {where}")


def _hosts(settings: Settings) -> Check:
    found = who_sees(settings, os.environ)
    return Check("hosts", "warn" if found.look else "ok", found.first, ". ".join([*found.look, *found.more]))


def _unanswered(name: str, within: float, what: str) -> Check:
    mend = f"waited for {what}: check the network, a proxy or firewall on the way, and that the address is right"
    return Check(name, "fail", f"no answer within {within:.0f} s", mend)


async def _try(
    name: str, permission: str, check: Callable[[], Awaitable[Check]], *, state: State = "fail", within: float = _WITHIN
) -> Check:
    """A check that the platform may refuse, or not answer within so many seconds."""
    try:
        async with asyncio.timeout(within):
            return await check()
    except TimeoutError:
        return _unanswered(name, within, "the platform's API")
    except PermissionRefused as error:
        role = f"give the OAuth client's role the permission {permission} in all divisions"
        return Check(name, state, "the permission is missing", role if permission else str(error))
    except ApiError as error:
        return Check(name, state, "did not work", str(error))


async def _details(api: Api) -> Check:
    end = datetime.now(UTC) - timedelta(minutes=15)
    interval = f"{to_text(end - timedelta(hours=1))}/{to_text(end)}"
    page = await api.query_details({"interval": interval, "paging": {"pageSize": 1, "pageNumber": 1}})
    found = count(page.total_hits or 0, "conversation")
    return Check("details", "ok", f"can be read; about {found} in the hour that ended 15 minutes ago")


async def _retention(api: Api, settings: Settings) -> Check:
    """Check how long the organisation keeps its data, beside how long they are kept here."""
    days, ours = await api.retention_days(), settings.retain_details
    if days is None:
        return Check("retention", "warn", "the answer does not say how long the organisation keeps its data")
    kept = (
        f"the organisation keeps {count(days, 'day')}, this store {'all' if ours is None else count(ours.days, 'day')}"
    )
    since = settings.since
    if since is not None and since < datetime.now(UTC) - timedelta(days=days):
        mend = "[reconcile] since is earlier: what the platform has deleted is filed as failed, for nobody can prove it"
        return Check("retention", "warn", kept, mend)
    if ours is None or ours > timedelta(days=days):
        return Check("retention", "ok", kept, "[retention] details would make them the same (docs/retention.md)")
    return Check("retention", "ok", kept)


async def _queues(api: Api, found: list[str]) -> Check:
    found += [queue.id for queue in await api.queues()]
    if found:
        return Check("queues", "ok", f"{len(found):,} are visible")
    mend = "give the OAuth client's role access to the divisions of the queues"
    return Check("queues", "warn", "none are visible", mend)


async def _users(api: Api, found: list[str]) -> Check:
    found += [user.id for user in await api.users()]
    return Check("users", "ok" if found else "warn", f"{len(found):,} are visible")


async def _divisions(api: Api) -> Check:
    visible = await api.divisions()
    names = ", ".join(division.name for division in visible[:4])
    more = f" and {len(visible) - 4} more" if len(visible) > 4 else ""
    look = "What lies in another division is neither heard nor read: answers are smaller, and agree with themselves."
    return Check("divisions", "ok", f"{len(visible):,} visible ({names}{more})", look)


async def _names(api: Api, unnamed: Mapping[str, int]) -> Check:
    """Check of the lists that tell names. unnamed: how many ids of the store have none, by kind."""
    lacks: dict[str, list[str]] = {}
    for kind, of in LISTS.items():
        try:
            await api.probe(of)
        except PermissionRefused:
            lacks.setdefault(of.permission or "of its list", []).append(_plural(kind))
    kinds = len(LISTS) - sum(map(len, lacks.values()))
    found, mend = f"{kinds} of {len(LISTS)} kinds can be listed", []
    if lacks:
        needed = "; ".join(f"{permission} for the names of {' and '.join(of)}" for permission, of in lacks.items())
        mend.append(f"give the OAuth client's role the permission {needed}")
    if unnamed:
        found += f", {count(sum(unnamed.values()), 'id has', 'ids have')} no name"
        ids = ", ".join(f"{number:,} of {_plural(kind)}" for kind, number in unnamed.items())
        mend.append(f"without a name: {ids} (`rollbook names --unnamed` lists them)")
    return Check("names", "warn" if lacks else "ok", found, ". ".join(mend))


def _plural(kind: str) -> str:
    return {NameKind.WRAPUPCODE: "wrap-up codes"}.get(NameKind(kind), f"{kind}s")


def _unnamed(path: Path) -> dict[str, int]:
    """How many ids of the store have no name, by kind; none where there is no store that can be read."""
    try:
        with Book.open(path, mode="ro") as book:
            return book.read_now(names.unnamed)
    except RollbookError:
        return {}  # what is wrong with the store has been said


async def _topics_of(api: Api, templates: list[str], wanted: int) -> Check:
    known = {topic.id: topic for topic in await api.available_topics()}
    absent = [template for template in templates if template not in known]
    if absent and known:
        return Check("topics", "fail", f"{absent[0]} does not exist", "correct [realtime] topics in the settings file")
    offered = [known[template] for template in templates if template in known]
    deaf = [topic.id for topic in offered if topic.transports and not {"All", "Websocket"} & set(topic.transports)]
    if deaf:
        return Check("topics", "fail", f"{deaf[0]} is not offered to WebSockets", "take it out of [realtime] topics")
    needed = sorted({name for topic in offered for name in topic.permissions})
    mend = f"needs {', '.join(needed)}; what is refused all the same shows in `rollbook status`" if needed else ""
    return Check("topics", "ok", f"{wanted:,} to subscribe", mend)


async def _channels(api: Api, topics_wanted: int) -> Check:
    used = len(await api.channels())
    needed = max(1, -(-topics_wanted // TOPICS_A_CHANNEL))
    found = f"{needed} needed, {used} of {CHANNELS_A_CLIENT} of this OAuth client exist"
    if needed + used > CHANNELS_A_CLIENT:
        mend = "a 21st channel ends the one that was used longest ago: give rollbook an OAuth client of its own"
        return Check("channels", "warn", found, mend)
    return Check("channels", "ok", found)


def _queue(url: str) -> Check:
    # Imported where it is needed: boto3 is slow to import.
    from realtime.aws.sqs import SqsQueue

    try:
        queue = SqsQueue(url)
        about = queue.about()
    except RollbookError as error:
        return Check("queue", "fail", "cannot be used", str(error))
    found = f"{queue.name} answers; messages are hidden for {about.visibility:.0f} s"
    if not about.redrives:
        mend = "it has no redrive policy: what cannot be understood is deleted once its dead letter is stored"
        return Check("queue", "warn", found, mend)
    return Check("queue", "ok", found)


def _clock(skew: float | None) -> Check:
    if skew is None:
        return Check("clock", "warn", "the platform's time is not known")
    if abs(skew) > _SKEW.total_seconds():
        way = "ahead" if skew > 0 else "behind"
        return Check("clock", "fail", f"{abs(skew):.0f} s {way} of the platform's", "set this machine's clock by NTP")
    return Check("clock", "ok", f"agrees with the platform's within {max(1, round(abs(skew)))} s")


def _store_file(path: Path) -> Check:
    version = SQLITE_VERSION
    try:
        there = is_there(path)
    except RollbookError as error:
        return Check("store", "fail", "cannot be used", str(error))
    if not there:
        folder = path.resolve().parent
        if not folder.is_dir():
            return Check("store", "fail", f"{folder} does not exist", "make the folder, or give --db another path")
        made = Check("store", "ok", f"{path} will be made (SQLite {version})", sqlite_race(version))
        return _unwritable(path) or made
    try:
        with Book.open(path, mode="ro"):
            pass
    except RollbookError as error:
        return Check("store", "fail", "cannot be used", str(error))
    if (refused := _unwritable(path)) is not None:
        return refused
    try:
        must_be_own(path)
    except RollbookError as error:
        return Check("store", "fail", "is not this user's alone", str(error))
    return Check("store", "ok", f"{path} (SQLite {version})", sqlite_race(version))


def _store_size(path: Path) -> Check | None:
    """Check of the size of a store that can be read, of its parts, and of how long its disk lasts."""
    try:
        if not is_there(path):
            return None
        with Book.open(path, mode="ro") as book:
            found = book.read_now(growth.counted, path, datetime.now(UTC))
    except (RollbookError, OSError):
        return None  # what is wrong with the store has been said
    mend = growth.largest(found.now.parts) if found.now.parts else ""
    if found.is_short:
        return Check("size", "warn", found.words, "give the disk room, or keep less (docs/backup.md)")
    return Check("size", "ok", found.words, mend)


async def _hook(settings: Settings) -> Check | None:
    """Check that alerts find their receiver; none is sent. None: the settings name no receiver."""
    if settings.hook_url is None and settings.hook_command is None:
        return None
    waits = await asyncio.to_thread(_alerts_waiting, settings.store_path)
    what = "the command" if settings.hook_url is None else "the address"
    async with Http(LIMITS) as http:
        outcome = await receiver_of(settings, http, source="", now=time.time).reach()
    if outcome.why is not None:
        mend = "correct [hook] or its receiver; until then alerts wait in the store, 10,000 at most"
        return Check("hook", "warn", f"{outcome.why}{waits}", mend)
    where = "is there" if settings.hook_url is None else "answers"
    mend = "no alert was sent: whether they are taken shows in /healthz of the daemon (docs/alerts.md)"
    return Check("hook", "ok", f"{what} {where}{waits}", mend)


def _alerts_waiting(path: Path) -> str:
    """The number of alerts that wait, as a part of a line; empty where there are none."""
    try:
        with Book.open(path, mode="ro") as book:
            number = book.read_now(alerts.waiting).number
    except RollbookError:
        return ""  # what is wrong with the store has been said
    return f", {count(number, 'alert waits', 'alerts wait')}" if number else ""


def _unwritable(path: Path) -> Check | None:
    """Check that fails if the store, or a file beside it, cannot be written. Tried with a nameless file."""
    folder = path.resolve().parent
    if path.exists() and not os.access(path, os.W_OK):
        return Check("store", "fail", f"{path} cannot be written by this user", "check its owner and permissions")
    try:
        with tempfile.TemporaryFile(dir=folder) as tried:
            tried.write(bytes(_ROOM))
            tried.flush()
            os.fsync(tried.fileno())
    except OSError as error:
        found = f"nothing can be written to {folder} ({error.strerror})"
        mend = "check the folder's owner and the room on its disk, or give --db another path"
        return Check("store", "fail", found, mend)
    return None


def _store_owner(path: Path, organization: tuple[str, str]) -> Check:
    try:
        if not is_there(path):
            return Check("owner", "ok", f"the store will belong to {organization[1]}")
        with Book.open(path, mode="ro") as book:
            known = book.read_now(schema.organization)
    except RollbookError as error:
        return Check("owner", "fail", "the store cannot be read", str(error))
    if known is not None and known[0] != organization[0]:
        mend = "give each organisation a file of its own with --db"
        return Check("owner", "fail", f"the store belongs to {known[1]}", mend)
    return Check("owner", "ok", f"the store belongs to {organization[1]}")


def _refused(path: Path) -> Check | None:
    """Check of the topics that the platform refused when a daemon asked for them last, by the store."""
    try:
        with Book.open(path, mode="ro") as book:
            topics = book.read_now(coverage.rejected)
    except RollbookError:
        return None  # what is wrong with the store has been said
    if not topics:
        return None
    asked = max(topic["rejected_at"] for topic in topics)[:16].replace("T", " ")
    missing = sorted({name for topic in topics for name in topic["missing_permissions"]})
    found = f"{len(topics):,} topics, when they were last asked for ({asked} UTC)"
    return Check("refused", "warn", found, remedy(missing) or "see the table rejected_topics")
