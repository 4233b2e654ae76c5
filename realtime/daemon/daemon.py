"""The daemon: opens settings, store, lock, API, live capture and the scheduled reconciler; starts and ends them.

It decides only the order: resources that are opened first are closed last, and frames are stored before the store is
closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from realtime.aws.sqs_consumer import Queue, SqsConsumer
from realtime.clocks import corrected
from realtime.daemon.daily_backup import LOOK_EVERY as BACKUP_LOOKS
from realtime.daemon.daily_backup import BackupKeeper
from realtime.daemon.health import Vitals, hearing
from realtime.daemon.http_port import HttpPort
from realtime.daemon.name_keeper import LOOK_EVERY as NAME_LOOKS
from realtime.daemon.name_keeper import NameKeeper
from realtime.daemon.page_source import site_of
from realtime.daemon.retention_keeper import LOOK_EVERY as RETENTION_LOOKS
from realtime.daemon.retention_keeper import RetentionKeeper
from realtime.daemon.size_keeper import LOOK_EVERY as SIZE_LOOKS
from realtime.daemon.size_keeper import SizeKeeper
from realtime.daemon.systemd import Notifier
from realtime.figures import DaemonFigures, LedgerFigures
from realtime.hook.cloud_events import source_of
from realtime.hook.receivers import LIMITS, receiver_of
from realtime.hook.sender import AlertSender
from realtime.websocket.channel_states import Timings
from realtime.websocket.supervisor import Supervisor
from realtime.websocket.tasks import apart
from reconcile.due.rounds import AT_ONCE, Round, run_due
from reconcile.due.schedule import Schedule
from reconcile.gate import Readiness, judge
from reconcile.report import Report, title
from reconcile.window import filter_key
from rollbook.genesys.api.client import Api, Organization
from rollbook.genesys.api.http import Http
from rollbook.genesys.api.request import Count, counting
from rollbook.genesys.errors import ApiError, ConnectionLost, RollbookError, StoreError, Unavailable
from rollbook.genesys.privacy.redaction import redactor_of
from rollbook.genesys.program import console, named_secrets
from rollbook.genesys.program.process_memory import give_back
from rollbook.genesys.program.settings import Secret, Settings, written
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import parse_interval, to_text
from rollbook.store import status
from rollbook.store.book import Book
from rollbook.store.erasure.retention import KeepingTimes
from rollbook.store.file.errors import StoreBusy
from rollbook.store.organization_book import book_of
from rollbook.store.tables import alerts, coverage, dead_letters, readiness, windows
from rollbook.store.upkeep.growth import log_size
from rollbook.store.views import call_mos
from rollbook.store.vocabulary import AlertKind, Verdict

log = logging.getLogger(__name__)
T = TypeVar("T")

LOOK_EVERY: Final = timedelta(minutes=1)
# How often a conversation that goes on is asked for by id.
FOLLOW_EVERY: Final = timedelta(minutes=5)
# Share of the rate limit that the daemon uses; the rest is for a run by hand.
SHARE: Final = 0.8
# A service manager that stops the daemon waits ten seconds, and then kills it. After so many seconds, writers that wait
# for another program's lock on the store give up.
_STOPS_WITHIN: Final = 7.0
# Seconds that a reconciliation under way may take to end. It waits for an answer, which may come slowly, and its pages
# are kept. The store is closed after it, which takes time on a busy machine.
_ROUND_ENDS_WITHIN: Final = 4.0
_READY_WITHIN: Final = 30.0
# Seconds until the platform is asked again at the start, after all tries without a proper answer.
_START_AGAIN: Final = 5.0
# Time that a round over the ledger may take. A backfill of months takes longer: its pages are kept, and the next round
# goes on from there. Requests have limits of their own, so that this limit only matters if there is a defect.
ROUND_WITHIN: Final = timedelta(hours=6)
# Seconds between two comparisons of the clocks.
_CLOCKS: Final = 5.0
# Seconds that the ledger may take to count its windows. Programs that ask for health give up after some seconds.
_LOOKS_WITHIN: Final = 2.0
# Seconds for which the shares of the last day are as they were: a day of them is counted anew each time.
_SHARES_EVERY: Final = 60.0
_THE_END: Final = datetime.max.replace(tzinfo=UTC)
# Settings that SIGHUP can change while the daemon runs; the rest holds from the next start.
_CHANGEABLE: Final = frozenset(
    {"topics", "users", "width", "lag", "settle_after", "stuck_after", "ended_only", "filter", "since"}
)


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _log_window(report: Report) -> None:
    if report.verdict == Verdict.FAILED:
        again = f"; tried again from {report.next_try_at}" if report.next_try_at else ""
        log.warning("%s: failed, %s%s", title(report.window), report.reason or "no reason kept", again)
        return
    counts = (report.owned, report.missing, report.changed)
    log.info("%s: %s, %d owned, %d missing, %d changed", title(report.window), report.verdict, *counts)


def _sqs(settings: Settings) -> Queue:
    # Imported where it is needed: boto3 takes longer to import than everything else together.
    from realtime.aws.sqs import SqsQueue

    assert settings.sqs_queue_url is not None
    return SqsQueue(settings.sqs_queue_url, receivers=settings.sqs_receivers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options that only tests, the demo and the command line change.

    now: the organisation's clock. look_every: how often the ledger is looked at. reconcile: whether it is at all.
    names_every: how often names are looked at, and after how long for the first time: a start asks for enough.
    queue: how the queue of the settings is reached. round_within: how long a round over the ledger may take. wall: this
    machine's clock, whose jumps are noticed; seconds.
    """

    now: Callable[[], datetime] = _utc_now
    timings: Timings = field(default_factory=Timings)
    look_every: timedelta = LOOK_EVERY
    reconcile: bool = True
    names_every: timedelta = NAME_LOOKS
    queue: Callable[[Settings], Queue] = _sqs
    round_within: timedelta = ROUND_WITHIN
    wall: Callable[[], float] = time.time


class Daemon:
    """The daemon. `run` once; `stop` and `reload` from the loop's own thread."""

    def __init__(
        self,
        settings: Settings,
        *,
        reread: Callable[[], Settings] | None = None,
        options: Options | None = None,
        notifier: Notifier | None = None,
    ) -> None:
        self.settings = settings
        self._reread = reread
        self._options = options or Options()
        self._notifier = notifier or Notifier(os.environ)
        self._stop = asyncio.Event()
        self._hurry = threading.Event()
        self._began = time.monotonic()
        self._listens = False
        self.ready = asyncio.Event()
        self.supervisor: Supervisor | None = None
        self.sqs_consumer: SqsConsumer | None = None
        self.reconcile_failing: str | None = None
        self._backups: BackupKeeper | None = None
        self._sizes: SizeKeeper | None = None
        self._names: NameKeeper | None = None
        self._sender: AlertSender | None = None
        self._api: Api | None = None
        self._book: Book | None = None
        self._count = Count()
        self._looking: asyncio.Task[LedgerFigures | str] | None = None  # at the ledger, for the figures
        self._shares, self._shares_at = call_mos.DayShares(), -math.inf
        self._vitals = Vitals(self._began)

    def stop(self) -> None:
        """Drain and end."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._notifier.tell(STOPPING=1)
        if self._listens:
            asyncio.get_running_loop().call_later(_STOPS_WITHIN, self._hurry.set)
        else:
            self._hurry.set()

    def reload(self) -> None:
        """Read the settings again; an error is logged, and the old settings stay."""
        if self._reread is None:
            return
        # A daemon that is starting does not say that it reloads: READY=1 comes when it listens, and not before.
        ready = self.ready.is_set()
        if ready:
            self._notifier.reloading()
        try:
            read = self._reread()
        except RollbookError as error:
            log.error("the settings were not changed: %s", error)
        else:
            self._use(read)
        if ready:
            self._notifier.tell(READY=1)

    def _use(self, read: Settings) -> None:
        names = [setting.name for setting in fields(Settings)]
        differs = {name for name in names if getattr(read, name) != getattr(self.settings, name)}
        later = sorted(written(name) for name in differs - _CHANGEABLE - {"explicit", "config_path"})
        if later:
            log.warning("changed settings that hold from the next start: %s", ", ".join(later))
        now = {name: getattr(read, name) for name in sorted(differs & _CHANGEABLE)}
        # Settings that hold from the next start are not among them.
        self.settings = replace(self.settings, **now)
        if self._book is not None:
            self._book.lag = self.settings.lag
        if self.supervisor is not None:
            self.supervisor.use(self.settings)
        changed = ", ".join(f"{written(name)} is {value}" for name, value in now.items())
        log.info("read the settings again: %s", changed or "nothing changes now")

    async def run(self) -> int:
        """Run until stopped; answers the exit status. Raises RollbookError for what prevents a start for good."""
        self.settings.require_platform()
        self.settings.require_source()
        self.settings.require_one_hook()
        with console.on_signals({signal.SIGTERM: self.stop, signal.SIGINT: self.stop, signal.SIGHUP: self.reload}):
            async with contextlib.AsyncExitStack() as opened:
                if self.settings.health is not None:
                    # It opens first, so that it shows a start, too; a port that is in use prevents the start.
                    site = await site_of(self, self.settings)
                    port = HttpPort(self, self.settings.health, token=await self._page_token(), site=site)
                    await port.start()
                    opened.push_async_callback(port.stop)
                api = await opened.enter_async_context(Api(self.settings, now=self._options.now, share=SHARE))
                organization = await self._unless_stopped(self._organization(api))
                if organization is None:
                    return 0
                try:
                    await self._with_book(api, organization)
                except StoreBusy:
                    if not self._stop.is_set():
                        raise
        log.info("stopped")
        return 0

    async def _page_token(self) -> Secret | None:
        token = self.settings.page_token
        return None if token is None else Secret(await named_secrets.value_apart(token.reveal()))

    async def _organization(self, api: Api) -> Organization:
        """Ask whose token this is until there is an answer. Raises RollbookError for what a person has to mend."""
        said = None
        while True:
            try:
                return await api.organization()
            except (Unavailable, ConnectionLost) as error:
                # If the host never answered, a setting may be wrong: the region, the network, the proxy.
                if isinstance(error, ConnectionLost) and not api.reached:
                    raise
                why = error.message if isinstance(error, ApiError) else str(error)
                if why != said:
                    log.warning("cannot start now, will try again: %s", why)
                said = why
            await asyncio.sleep(_START_AGAIN)

    async def _with_book(self, api: Api, organization: Organization) -> None:
        async with book_of(organization, self.settings, command="rollbook run", hurry=self._hurry) as book:
            with book.lock_daemon(), counting() as self._count:
                self._api, self._book = api, book
                async with self._alerting(book, organization):
                    await self._work(api, book)

    @contextlib.asynccontextmanager
    async def _alerting(self, book: Book, organization: Organization) -> AsyncIterator[None]:
        """Send alerts meanwhile, if the settings name a receiver; where they name none, let go of those that wait."""
        async with contextlib.AsyncExitStack() as opened:
            kinds: set[AlertKind] = set()
            if self.settings.hook_url is not None or self.settings.hook_command is not None:
                http = await opened.enter_async_context(Http(LIMITS))
                self._sender = AlertSender(
                    book=book,
                    receiver=receiver_of(
                        self.settings, http, source=source_of(organization.id), now=lambda: self.now().timestamp()
                    ),
                    now=self.now,
                    deaf_after=self.settings.hook_deaf_after,
                )
                kinds = set(map(AlertKind, self.settings.hook_on))
            if kinds != await book.read(alerts.wanted):
                dropped = await asyncio.wrap_future(book.write(alerts.want, kinds))
                if dropped:
                    log.warning("the hook was changed: %s that waited are not sent", count(dropped, "alert"))
            if self._sender is None:
                yield
                return
            sending = asyncio.create_task(self._sender.run())
            try:
                yield
            finally:
                sending.cancel()
                await asyncio.wait({sending})

    async def _unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Answer of `work`; None if the daemon is stopped before (tries go on for minutes where nobody answers)."""
        working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return working.result() if working.done() else None
        finally:
            for task in (working, stopping):
                task.cancel()

    def now(self) -> datetime:
        """Time that stamps notifications: the platform's, where this machine's clock is clearly wrong.

        Notifications are compared with records, whose times are the platform's: by a clock that is an hour late no
        event would ever seem newer than a record.
        """
        now = self._options.now()
        # A clock that tests or the demo give is right by itself, and may run faster than any other.
        return now if self._options.now is not _utc_now else corrected(now, self._vitals.skew.steady)

    def _platform_now(self, api: Api) -> Callable[[], datetime]:
        """Clock by which windows close: the platform's, or a clock that a test or the demo gives."""
        return api.now if self._options.now is _utc_now else self._options.now

    async def figures(self) -> DaemonFigures:
        """Figures of the daemon. Reads the ledger of the last 31 days, and does not wait long for it."""
        started = self.ready.is_set() and (self.supervisor is None or self.supervisor.has_looked)
        starting = None if started else time.monotonic() - self._began
        if self._book is None or self._api is None:
            return DaemonFigures(starting_for=starting)
        ledger = await self._ledger(self._book)
        known = LedgerFigures() if isinstance(ledger, str) else ledger
        figures = DaemonFigures() if self.supervisor is None else self.supervisor.figures()
        sqs = None if self.sqs_consumer is None else self.sqs_consumer.figures()
        tick = time.monotonic()
        self._take_counts(tick)
        figures = replace(
            figures,
            starting_for=starting,
            sqs=sqs,
            reconcile_failing=self.reconcile_failing,
            growth=None if self._sizes is None else self._sizes.growth,
            backup_failing=None if self._backups is None else self._backups.failing,
            backup_ago=None if self._backups is None else self._backups.age(self.now()),
            alerts_waiting=None if self._sender is None else self._sender.waiting.number,
            alerts_dropped=0 if self._sender is None else self._sender.waiting.dropped,
            alerts_failing=None if self._sender is None else self._sender.failing,
            letters=known.letters,
            log_size=log_size(self._book.path),
            windows_by_verdict=known.verdicts,
            calls=known.calls,
            shares=known.shares,
            unnamed_ids={} if self._names is None else self._names.unnamed,
            due_windows=known.due,
            ledger_failing=ledger if isinstance(ledger, str) else None,
            requests=self._count.requests,
            clock_skew=self._api.clock_skew,
            budget_left=self._api.requests_left(),
            latency=self._api.latency.cumulative(),
        )
        return self._vitals.added_to(figures, known, tick, self.now(), reconciles=self._options.reconcile)

    async def readiness(self, interval: str, *, settled: bool) -> Readiness:
        """Answer whether all of an interval is proven. Does not wait long for the store.

        Raises UsageError for what is no interval, and StoreError where the store gives no answer.
        """
        # What has not ended is not ready: whoever asks again and again may begin before.
        wanted = parse_interval(interval, now=_THE_END)
        if self._book is None or self._api is None:
            raise StoreError("the daemon is starting; ask again")
        now, ended_only = self._platform_now(self._api)(), self.settings.ended_only
        key = filter_key(self.settings.filter, ended_only=ended_only)

        def look(db: Any) -> Readiness:
            # In the book's thread as well: years of windows take a while to go through.
            known = readiness.evidence(db, *wanted.texts, key)
            return judge(wanted, known, now, settled=settled, filter=key, ended_only=ended_only)

        try:
            async with asyncio.timeout(_LOOKS_WITHIN):
                return await self._book.read(look)
        except TimeoutError:
            raise StoreError(f"the store has given no answer for {_LOOKS_WITHIN:.0f} s; ask again") from None

    async def look(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Answer `fn(connection, …)` for the page, read in the book's own thread. Raises StoreError."""
        if self._book is None:
            raise StoreError("the daemon is starting; ask again")
        return await self._book.read(fn, *args, **kwargs)

    def _take_counts(self, tick: float) -> None:
        letters = dropped = 0
        if self.supervisor is not None:
            letters, dropped = self.supervisor.frame_store.stored.dead_letters, self.supervisor.inbox.dropped
        if self.sqs_consumer is not None:
            letters += self.sqs_consumer.figures().dead_letters
        self._vitals.count(letters, dropped, tick)

    async def _ledger(self, book: Book) -> LedgerFigures | str:
        """Counts of windows by verdict, and of windows that wait; or an error's text. Never two reads at a time."""
        since = to_text(self._options.now() - timedelta(days=31))
        width, begin = self.settings.width, self.settings.since

        async def look() -> LedgerFigures | str:
            try:
                verdicts = await book.read(windows.by_verdict, since=since, filter="")
                due, oldest = await book.read(status.oldest_due, width=width, since=begin)
                if time.monotonic() - self._shares_at >= _SHARES_EVERY:
                    self._shares = await book.read(call_mos.shares_of_day, self._options.now())
                    self._shares_at = time.monotonic()
                calls = await book.read(call_mos.counted)
                letters = (await book.read(dead_letters.totals))[:3]
                return LedgerFigures(verdicts, due, oldest, calls, self._shares, letters)
            except StoreError as error:
                return str(error)

        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(look())
        looking = self._looking
        await asyncio.wait({looking}, timeout=_LOOKS_WITHIN)
        return looking.result() if looking.done() else f"no answer for {_LOOKS_WITHIN:.0f} s"

    async def _work(self, api: Api, book: Book) -> None:
        killed = await asyncio.wrap_future(book.write(coverage.close_stale, to_text(self._options.now())))
        if killed:
            spans = count(killed, "span of coverage ends", "spans of coverage end")
            log.warning("an earlier run was killed: %s at its last sign of life", spans)
        self._vitals.last_event = await book.read(status.last_event)
        if self.settings.websocket:
            self.supervisor = Supervisor(api, book, self.settings, now=self.now, timings=self._options.timings)
        if self.settings.sqs_queue_url is not None:
            consumer = await self._unless_stopped(apart(lambda: self._open_queue(book)))
            if consumer is None:
                return
            consumer.start()
            self.sqs_consumer = consumer
        schedule = Schedule(lambda: self._reconcile(api, book), self._options.look_every)
        beside = [asyncio.create_task(self._tell()), asyncio.create_task(self._watch_clocks())]
        # At the same time as the sockets, which need some time to close, too.
        closing = [asyncio.create_task(self._stop_consumer())]
        if self._options.reconcile:
            schedule.start()
            closing.append(asyncio.create_task(self._end_schedule(schedule)))
            self._names = NameKeeper(book, api, now=self._platform_now(api))
            looks = Schedule(self._names.look, self._options.names_every, wait=self._options.names_every)
            looks.start()
            closing.append(asyncio.create_task(self._end_upkeep(self._names, looks)))
        if self.settings.backup is not None:
            self._backups = BackupKeeper(book.path, self.settings.backup, now=self.now)
            daily = Schedule(self._backups.look, BACKUP_LOOKS)
            daily.start()
            closing.append(asyncio.create_task(self._end_upkeep(self._backups, daily)))
        settings = self.settings
        retained = RetentionKeeper(
            book, KeepingTimes.of(settings), now=self.now, redactor=lambda: redactor_of(settings)
        )
        due = Schedule(retained.look, RETENTION_LOOKS)
        due.start()
        closing.append(asyncio.create_task(self._end_upkeep(retained, due)))
        self._sizes = SizeKeeper(book.path, now=self.now)
        hourly = Schedule(self._sizes.look, SIZE_LOOKS)
        hourly.start()
        closing.append(asyncio.create_task(self._end_upkeep(self._sizes, hourly)))
        self._listens = not self._stop.is_set()
        try:
            await (self._stop.wait() if self.supervisor is None else self.supervisor.run(self._stop))
        finally:
            self.stop()
            for task in beside:
                task.cancel()
            await asyncio.gather(*closing)

    def _open_queue(self, book: Book) -> SqsConsumer:
        consumer = SqsConsumer(
            self._options.queue(self.settings),
            book,
            now=self.now,
            topics=self.settings.sqs_topics,
            receivers=self.settings.sqs_receivers,
        )
        consumer.look()
        return consumer

    async def _stop_consumer(self) -> None:
        await self._stop.wait()
        if self.sqs_consumer is not None:
            await asyncio.to_thread(self.sqs_consumer.stop)

    async def _end_schedule(self, schedule: Schedule) -> None:
        await self._stop.wait()
        try:
            await asyncio.wait_for(schedule.stop(), _ROUND_ENDS_WITHIN)
        except TimeoutError:
            log.warning("a reconciliation was interrupted; it will be run again")

    async def _end_upkeep(
        self, keeper: BackupKeeper | NameKeeper | RetentionKeeper | SizeKeeper, schedule: Schedule
    ) -> None:
        await self._stop.wait()
        keeper.stop()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(schedule.stop(), _ROUND_ENDS_WITHIN)

    async def _reconcile(self, api: Api, book: Book) -> None:
        """Run a round over the ledger. An error is logged, and the next round tries again."""
        note, stop = self._note_window, self._stop
        how = Round(command="daemon", wait=0.0, rest=FOLLOW_EVERY, on_report=note, stop=stop, at_once=AT_ONCE)
        unforeseen, within = None, self._options.round_within
        try:
            async with asyncio.timeout(within.total_seconds()):
                report = await run_due(book, api, self.settings, now=self._platform_now(api), how=how)
            failing = report.errors[-1][1] if report.errors else None
        except RollbookError as error:
            failing = str(error)
        except TimeoutError:
            failing = f"a round over the ledger was given up after {within}; the next one goes on where it was"
        except Exception as error:
            failing, unforeseen = f"an error that nobody foresaw ({type(error).__name__}: {error})", error
        if failing is None:
            self._vitals.round_at = time.monotonic()
        elif failing != self.reconcile_failing:
            log.error("cannot reconcile now, will try again: %s", failing, exc_info=unforeseen)
        self.reconcile_failing = failing
        await asyncio.to_thread(give_back)

    def _note_window(self, report: Report) -> None:
        """Note that a window of the round was read, so that the round makes progress."""
        if report.verdict != Verdict.FAILED:
            self._vitals.round_at = time.monotonic()
        _log_window(report)

    async def _watch_clocks(self) -> None:
        """Notice jumps of this machine's clock, and keep the counts of the last hour even if nobody asks for them."""
        while True:
            tick = time.monotonic()
            skew = None if self._api is None else self._api.clock_skew
            if (jump := self._vitals.clocks(self._options.wall(), tick, skew)) is not None:
                log.warning(
                    "this machine's clock jumped %s by %.0f s, or it slept; what was heard is stamped by the platform's"
                    " time where that is known",
                    "forward" if jump > 0 else "back",
                    abs(jump),
                )
            self._take_counts(tick)
            await asyncio.sleep(_CLOCKS)

    async def _tell(self) -> None:
        """Report to the service manager: ready when every line listens (or after a while), then alive."""
        sources = []
        if self.supervisor is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_READY_WITHIN):
                    await self.supervisor.listening.wait()
            sources.append(hearing(self.supervisor.figures()))
        if self.sqs_consumer is not None:
            sources.append(f"the queue {self.sqs_consumer.figures().name}")
        self.ready.set()
        self._notifier.tell(READY=1, STATUS=" and ".join(sources))
        log.info("ready: %s", " and ".join(sources))
        while self._notifier.watchdog is not None:
            self._notifier.tell(WATCHDOG=1)
            await asyncio.sleep(self._notifier.watchdog)
