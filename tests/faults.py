"""Random fault scripts: the daemon as a real process against the simulated organisation, and what is left at the end.

    python tests/faults.py 200 --seed 1      runs 200 scripts, of the seeds 1 to 200, and says what came of each
    python tests/faults.py 1 --seed 17 -v    that one again, with what the daemon said

A script is made from its seed alone: what goes wrong, when, and how, and how unfriendly the platform is meanwhile
(tests/helpers/unfriendly.py: it refuses, lacks, repeats, trickles, errs, and its clock may be another). While it runs, conversations go on; the daemon
captures and reconciles, is killed, stopped and started. Then it is stopped, the rest is reconciled, and the store is
held against the truth: every conversation and child row once, none missing, none double. Beyond that, no event that was
sent while coverage claims to have listened may be missing, no window that the daemon called better than failed may
differ from the truth, and no answer may cost more memory than 250 MB.

Before the rest is reconciled the platform is well again, but for what it may always refuse (pages of too many bytes or
rows, unknown ids): that must lead to everything all the same. Only a record that is odd for good may make that `failed`.
"""

from __future__ import annotations

import argparse
import asyncio
import bisect
import contextlib
import json
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))

from rollbook.simulator.faults.live_faults import FAULTS
from rollbook.simulator.faults.organisation_faults import ACTS
from rollbook.simulator.organisation.world import World
from rollbook.simulator.server import Simulator
from rollbook.store.plugin import prepare_connection
from tests.helpers import unfriendly_faults as unfriendly
from tests.helpers.unfriendly_faults import Behaviour
from tests.helpers.whole import Ran, assert_store_is, finish, rollbook, start, until

SECONDS = 5.0  # that a script lasts
PER_HOUR = 14_000  # conversations
# The daemon's own words travel in milliseconds; a busy machine makes it many.
EDGE = timedelta(seconds=0.25)


@dataclass(frozen=True)
class Step:
    """What happens, seconds after the one before it."""

    after: float
    name: str
    how: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.after:.2f} s: {self.name} {json.dumps(self.how) if self.how else ''}".rstrip()


def _draws(draw: random.Random) -> dict[str, Callable[[], dict[str, Any]]]:
    """Each thing that can happen, and how it is drawn."""

    def minutes(most: float) -> float:
        return round(draw.uniform(0.005, most / 60), 4)  # of the organisation's clock

    def share() -> float:
        return round(draw.uniform(0.1, 0.9), 2)

    return {
        "cut": lambda: {"minutes": minutes(2)},
        "drop": dict,
        "drop_all": dict,
        "silence": lambda: {"pongs": draw.random() < 0.5},
        "speak": dict,
        "close": lambda: {"code": draw.choice((1000, 1001, 1011))},
        "socket_closing": lambda: {"seconds": round(draw.uniform(0.2, 3), 2)},
        "refuse": lambda: {"status": draw.choice((401, 403, 404, 500, 503)), "minutes": minutes(2)},
        "flap": lambda: {"minutes": minutes(2)},
        "gone": lambda: {"keep_socket": draw.random() < 0.5},
        "evict": lambda: {"count": draw.randrange(1, 3)},
        "expire": dict,
        "no_longer_subscribed": dict,
        "revoke_token": dict,
        "forbid": lambda: {"permission": "conversation:communication:view"},
        "permit": dict,
        "lose": lambda: {"share": share(), "minutes": minutes(3)},
        "delay": lambda: {"seconds": round(draw.uniform(0.1, 2), 2), "share": share(), "minutes": minutes(3)},
        "duplicate": lambda: {"share": share(), "same_id": draw.random() < 0.5, "minutes": minutes(3)},
        "reorder": lambda: {"share": share(), "minutes": minutes(3)},
        "contradict": lambda: {"share": share(), "minutes": minutes(3)},
        "strange": lambda: {"what": draw.choice(("field", "enum", "topic")), "share": share(), "minutes": minutes(3)},
        "regular": dict,
        "junk": lambda: {
            "kind": draw.choice(
                (
                    "text",
                    "half",
                    "empty",
                    "list",
                    "no_topic",
                    "number_topic",
                    "null_body",
                    "deep",
                    "binary",
                    "oversized",
                )
            )
        },
        # Of the API, of this machine, and of the daemon itself
        "api_fails": lambda: {"statuses": [draw.choice((429, 500, 502, 503)) for _ in range(draw.randrange(1, 6))]},
        "kill": dict,
        "restart": dict,
        "reload": dict,
        "freeze": lambda: {"seconds": round(draw.uniform(0.2, 1.5), 2)},
        "lock_store": lambda: {"seconds": round(draw.uniform(0.2, 1.5), 2)},
    }


def script(seed: int, *, seconds: float = SECONDS, every: float = 0.7, without: Collection[str] = ()) -> list[Step]:
    """The script of a seed. every: seconds from one step to the next, on the whole."""
    draw = random.Random(f"faults {seed}")
    draws = _draws(draw)
    steps: list[Step] = []
    left = seconds
    while left > 0:
        after = min(draw.expovariate(1 / every), left)
        name = draw.choice(sorted(draws.keys() - set(without)))
        steps.append(Step(after, name, draws[name]()))
        left -= after
    return steps


class _Log(list[tuple[datetime, str, str]]):
    """Every event that was sent to whoever heard: (when, topic, body)."""

    def append(self, event: Any) -> None:
        super().append((datetime.now(UTC), event.topic, event.body))


class Run:
    """One script. width: of a window, as the settings take it. behaviours: the platform's, beside the steps.

    later: those beside what is read when the daemon has ended.
    """

    def __init__(
        self,
        seed: int,
        folder: Path,
        *,
        steps: list[Step],
        per_hour: float = PER_HOUR,
        width: str = "PT5S",
        behaviours: Sequence[Behaviour] = (),
        later: Sequence[Behaviour] = (),
    ) -> None:
        self.behaviours, self.later = list(behaviours), list(later)
        self.memory = 0.0  # MB that the daemon had at most
        self.seed, self.folder, self.steps, self.per_hour, self.width = seed, folder, steps, per_hour, width
        self.path = folder / "rollbook.db"
        self.said: list[str] = []
        self.sent = _Log()
        self._process: asyncio.subprocess.Process | None = None
        self._before = 0  # lines that earlier processes said
        self._asked = 0  # requests that they made

    async def run(self) -> dict[str, Any]:
        """Run it and hold the store against the truth; answers figures. AssertionError if the store is not the truth."""
        follow = "true" if self.seed % 2 else "false"
        settings = (
            f'[realtime]\nusers = true\nfollow_details = {follow}\n[reconcile]\nwidth = "{self.width}"\nlag = "PT1S"\n'
        )
        (self.folder / "rollbook.toml").write_text(settings)
        # The platform's time: its clock may be ahead of ours, or behind.
        ahead = unfriendly.clock_ahead(self.seed) if self.behaviours else timedelta(0)
        begun = datetime.now(UTC) + ahead
        first = begun - timedelta(minutes=3) - max(ahead, timedelta(0))
        # Conversations until a minute from now and no more: the clock will jump, and those of the jump are nobody's.
        world = World(self.seed, first, self.per_hour, 6, 12)
        world.grow(begun + timedelta(minutes=1, seconds=sum(step.after for step in self.steps)))
        self.organisation = Simulator(
            seed=self.seed,
            start=first,
            per_hour=0,
            rate_limit=100_000,
            records=[life.record for life in world.by_id.values()],
        )
        async with self.organisation:
            self.organisation.notifications.log = self.sent  # type: ignore[assignment]
            self.organisation.clock.advance(datetime.now(UTC) + ahead - self.organisation.now())
            await self._start()
            await _come("the first span of coverage", lambda: self._spans() or self._ended(), within=30)
            misbehaving = asyncio.create_task(self._misbehave(self.behaviours))
            for step in self.steps:
                await asyncio.sleep(step.after)
                await self._do(step)
            await misbehaving
            await self._stop()
            return await self._judge(begun)

    # The daemon

    async def _start(self) -> None:
        self._before, self._asked = len(self.said), self.organisation.request_counts.total()
        self._process = await start(
            "run", "-v", env={**self.organisation.env, "PYTHONFAULTHANDLER": "1"}, cwd=self.folder
        )
        self._listens = asyncio.create_task(self._listen(self._process))

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            self.said.append(line.decode().rstrip())

    @property
    def pid(self) -> int | None:
        """The daemon's process."""
        return None if self._process is None or self._process.returncode is not None else self._process.pid

    def _ended(self) -> bool:
        return self._process is None or self._process.returncode is not None

    async def _stop(self) -> None:
        """SIGTERM ends it with 0, within ten seconds."""
        assert self._process is not None
        await self._awake()
        assert not self._ended(), f"it ended by itself, with {self._process.returncode}: {self.said[-3:]}"
        self._weigh(self.pid)
        self._process.terminate()
        began = time.monotonic()
        try:
            async with asyncio.timeout(15):
                await self._process.wait()
        except TimeoutError:
            # What its threads are at, it says itself (PYTHONFAULTHANDLER): that belongs to what it said.
            self._process.send_signal(signal.SIGABRT)
            await self._process.wait()
            await self._listens
            raise AssertionError("SIGTERM did not end it") from None
        await self._listens
        assert self._process.returncode == 0, (self._process.returncode, self.said[-5:])
        assert time.monotonic() - began < 12, "SIGTERM took too long"
        assert not any("Traceback" in line for line in self.said), self.said[-20:]

    # What happens

    async def _do(self, step: Step) -> None:
        own: dict[str, Callable[..., Awaitable[None]]] = {
            "kill": self._kill,
            "restart": self._restart,
            "reload": self._reload,
            "freeze": self._freeze,
            "lock_store": self._lock,
            "api_fails": self._api_fails,
        }
        if step.name in own:
            await own[step.name](**step.how)
        else:
            FAULTS[step.name](self.organisation.notifications, **step.how)

    async def _misbehave(self, behaviours: Sequence[Behaviour], *, after: int = 0) -> None:
        """Let the platform be as it is drawn, beside whatever else happens. after: once there were more requests."""
        await _come("the first request", lambda: self.organisation.request_counts.total() > after, within=60)
        begun, began = self.organisation.now(), time.monotonic()
        for behaviour in behaviours:
            await asyncio.sleep(behaviour.at - (time.monotonic() - began))
            fault = behaviour.fault(self.organisation.now(), begun)
            if fault.kind in ACTS:
                ACTS[fault.kind](self.organisation, fault.parameters)
            else:
                self.organisation.faults.add(fault)

    def _weigh(self, pid: int | None) -> None:
        """Note how much memory a process has had at most, where the system tells."""
        with contextlib.suppress(OSError, ValueError):
            status = Path(f"/proc/{pid}/status").read_text()
            self.memory = max(self.memory, int(status.partition("VmHWM:")[2].split()[0]) / 1024)

    async def _kill(self) -> None:
        assert self._process is not None
        self._weigh(self.pid)
        assert not self._ended(), f"the daemon has ended by itself: {self.said[-3:]}"
        self._process.kill()
        await self._process.wait()
        await self._listens
        await self._start()

    async def _restart(self) -> None:
        await self._stop()
        await self._start()

    async def _awake(self) -> None:
        """A process that is still loading has not wired its signals: whichever comes ends it.

        Its first request comes after that; it may say nothing for as long as the answer to it hangs.
        """

        def loaded() -> bool:
            asked = self.organisation.request_counts.total() > self._asked
            return asked or len(self.said) > self._before or self._ended()

        await _come("the daemon's first word or request", loaded, within=30)

    async def _reload(self) -> None:
        assert self._process is not None
        await self._awake()
        assert not self._ended(), f"the daemon has ended by itself: {self.said[-3:]}"
        self._process.send_signal(signal.SIGHUP)

    async def _freeze(self, *, seconds: float) -> None:
        assert not self._ended(), f"the daemon has ended by itself: {self.said[-3:]}"
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(seconds)
        self._process.send_signal(signal.SIGCONT)

    async def _lock(self, *, seconds: float) -> None:
        with contextlib.suppress(sqlite3.OperationalError), contextlib.closing(self._connect()) as db:
            db.execute("BEGIN IMMEDIATE")
            await asyncio.sleep(seconds)
            db.execute("ROLLBACK")

    async def _api_fails(self, *, statuses: list[int]) -> None:
        self.organisation.fail += statuses

    # What is left

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, timeout=10)
        prepare_connection(db)
        return db

    def _spans(self) -> list[tuple[str, str, str | None, str, str | None]]:
        """(start, last sign of life, end, topics, why it ended) of each span."""
        if not self.path.exists():
            return []
        query = "SELECT started_at, alive_at, ended_at, topics, end_reason FROM coverage JOIN topic_sets USING (topic_set_id)"
        with contextlib.closing(self._connect()) as db:
            try:
                return db.execute(query).fetchall()
            except sqlite3.OperationalError:
                return []  # its tables are not there yet

    async def _judge(self, begun: datetime) -> dict[str, Any]:
        organisation = self.organisation
        end = organisation.now()
        claimed = await self._claims_under_trouble()
        assert self.memory < unfriendly.MEMORY, f"the daemon had {self.memory:.0f} MB"
        unfriendly.well_again(organisation, [*self.behaviours, *self.later])
        odd = {life.id for life in organisation.world.conversations if life.odd is not None}
        without = odd | organisation.forgotten
        self.organisation.notifications.log = deque(maxlen=1)
        FAULTS["evict"](organisation.notifications, count=20)
        organisation.fail.clear()
        organisation.clock.set_rate(0)
        organisation.clock.advance(timedelta(minutes=40))
        window = f"{begun:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
        ran = await self._read(window)
        if ran.status == 2 and "in the future" in ran.out and end > datetime.now(UTC):
            # The platform's clock is ahead of this machine's: what is still to come here cannot be named by hand.
            end = datetime.now(UTC)
            if end - begun < timedelta(seconds=1):
                return {"claimed": claimed, "ahead": 1, **self._hold_coverage_to_its_word()}
            window = f"{begun:%Y-%m-%dT%H:%M:%SZ}/{end:%Y-%m-%dT%H:%M:%SZ}"
            ran = await self._read(window)
        assert ran.status == 0 or (odd and ran.status == 3), (ran.status, ran.out, ran.err)
        first, last = (datetime.fromisoformat(part.replace("Z", "+00:00")) for part in window.split("/"))
        truth = organisation.truth(first, last)
        assert_store_is(
            self.path,
            truth,
            start=f"{first:%Y-%m-%dT%H:%M:%S}.000Z",
            end=f"{last:%Y-%m-%dT%H:%M:%S}.000Z",
            without=without,
        )
        again = await self._read(window)
        assert (again.status, again.json["written"]) == (ran.status, 0), again
        figures = self._hold_coverage_to_its_word()
        return {
            "conversations": len(truth),
            "claimed": claimed,
            "failed": int(ran.status == 3),
            **{name: ran.json[name] for name in ("missing", "changed")},
            **figures,
        }

    async def _claims_under_trouble(self) -> int:
        """What is due is read while the platform is unfriendly; answers how many windows are said to be proven."""
        claimed = self._hold_the_ledger_to_its_word()
        if not self.later:
            return claimed
        # What began to hang while the daemon ran may last for ever; what is read now is to end within PATIENCE.
        unfriendly.well_again(self.organisation, self.behaviours)
        asked = self.organisation.request_counts.total()
        misbehaving = asyncio.create_task(self._misbehave(self.later, after=asked))
        try:
            for _ in range(1 + self.seed % 2):
                due = await start("reconcile", "--due", "--json", env=self.organisation.env, cwd=self.folder)
                weighing = asyncio.create_task(self._weigh_often(due.pid))
                try:
                    ran = await self._finish_due(due)
                finally:
                    weighing.cancel()
                assert ran.status in (0, 1, 3, 130), ran
                claimed = self._hold_the_ledger_to_its_word()
        finally:
            misbehaving.cancel()
        return claimed

    async def _read(self, window: str) -> Ran:
        try:
            return await rollbook("reconcile", "--window", window, "--json", env=self.organisation.env, cwd=self.folder)
        except TimeoutError:
            raise AssertionError(f"reconcile --window {window} did not end within two minutes") from None

    async def _finish_due(self, due: asyncio.subprocess.Process) -> Ran:
        """Its end, which comes within PATIENCE, or else as soon as it is stopped.

        A platform whose clock was two hours wrong while the daemon listened leaves thousands of windows of two seconds,
        and what is empty is asked for again two seconds later, six windows at a time. A gateway that
        takes ten rows a page makes a hundred questions of each. That takes its time; but run after run is filed.
        """
        ending = asyncio.create_task(finish(due, within=unfriendly.PATIENCE + 30))
        await asyncio.wait({ending}, timeout=unfriendly.PATIENCE / 2)
        half = self._runs()
        await asyncio.wait({ending}, timeout=unfriendly.PATIENCE / 2)
        if not ending.done():
            if self._runs() == half:
                ending.cancel()
                await asyncio.wait({ending})
                raise AssertionError(
                    f"reconcile --due did not end within {unfriendly.PATIENCE} s, and filed no run in half of it"
                )
            due.terminate()
        try:
            return await ending
        except TimeoutError:
            raise AssertionError("SIGTERM did not end reconcile --due") from None

    def _runs(self) -> int:
        with contextlib.closing(self._connect()) as db:
            return int(db.execute("SELECT count(*) FROM window_runs").fetchone()[0])

    async def _weigh_often(self, pid: int) -> None:
        while True:
            self._weigh(pid)
            await asyncio.sleep(0.1)

    def _hold_the_ledger_to_its_word(self) -> int:
        with contextlib.closing(self._connect()) as db:
            claimed = len(unfriendly.claims(db))
            given = [*self.behaviours, *self.later]
            false = unfriendly.false_claims(db, self.organisation, given=given)
        assert not false, f"{len(false)} false claims of {claimed} windows: {false[:3]}"
        return claimed

    def _hold_coverage_to_its_word(self) -> dict[str, int]:
        with contextlib.closing(self._connect()) as db:
            query = "SELECT topic, rollbook_text(body) FROM events"
            stored = Counter((topic, _same(body)) for topic, body in db.execute(query))
            double = [key for key, count in stored.items() if count > 1]
            assert not double, f"{len(double)} events are stored twice"
            reasons = Counter(row[0] for row in db.execute("SELECT end_reason FROM coverage"))
            letters = db.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
        # One that was ended before it had opened the store leaves what a kill left: the next to start ends it.
        opened = any("realtime.websocket.listener" in line for line in self.said[self._before :])
        assert None not in reasons or not opened, "a span has no end, and nobody listens"
        # A process that is killed has not asked: the socket of a channel that is gone is not found out before the next
        # ping, every fifteen seconds.
        outlasts = any(step.how.get("keep_socket") for step in self.steps)
        claims = _Claims(span for span in self._spans() if not outlasts or span[4] != "killed")
        missed = [
            (at, topic)
            for at, topic, body in self.sent
            if claims.claim(topic, at) and (topic, _same(body)) not in stored
        ]
        assert not missed, f"{len(missed)} events were sent while coverage claims to have heard: {missed[:3]}"
        return {"sent": len(self.sent), "stored": sum(stored.values()), "spans": reasons.total(), "letters": letters}


async def _come(what: str, condition: Callable[[], object], *, within: float) -> None:
    """Wait for something. AssertionError, with what it was, if it does not come."""
    try:
        await until(condition, within=within)
    except TimeoutError:
        raise AssertionError(f"{what} did not come within {within:.0f} s") from None


def _same(body: str) -> str:
    return json.dumps(json.loads(body), sort_keys=True)


class _Claims:
    def __init__(self, spans: Iterable[tuple[str, str, str | None, str, str | None]]) -> None:
        self._by_topic: dict[str, list[tuple[datetime, datetime]]] = {}
        for started, alive, ended, topics, _ in spans:
            for topic in json.loads(topics):
                span = (datetime.fromisoformat(started) + EDGE, datetime.fromisoformat(ended or alive) - EDGE)
                bisect.insort(self._by_topic.setdefault(topic, []), span)

    def claim(self, topic: str, at: datetime) -> bool:
        return any(started <= at < ended for started, ended in self._by_topic.get(topic, ()))


async def run_script(
    seed: int, *, seconds: float = SECONDS, also_unfriendly: bool = True
) -> tuple[Run, dict[str, Any] | None, str]:
    """Run a script in a folder of its own: (the run, its figures or None, what is wrong)."""
    with tempfile.TemporaryDirectory(prefix="rollbook-faults-") as folder:
        run = Run(
            seed,
            Path(folder),
            steps=script(seed, seconds=seconds),
            behaviours=unfriendly.behaviours(seed, seconds=seconds) if also_unfriendly else (),
            later=unfriendly.behaviours(seed, seconds=2, every=0.4, scene="due") if also_unfriendly else (),
            width="PT2S" if also_unfriendly else "PT5S",
        )
        try:
            return run, await run.run(), ""
        except (AssertionError, TimeoutError, ProcessLookupError) as error:  # the last: it has ended by itself
            return run, None, f"{type(error).__name__}: {str(error)[:600]}"
        finally:
            if run._process is not None and run._process.returncode is None:
                run._process.kill()
                await run._process.wait()


async def many(seeds: range, *, seconds: float, at_once: int, verbose: bool, also_unfriendly: bool = True) -> list[int]:
    """Run the scripts of these seeds, print what came of each; answers the seeds that went wrong."""
    bad: list[int] = []
    faults: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    turns = asyncio.Semaphore(at_once)

    async def turn(seed: int) -> None:
        async with turns:
            run, figures, wrong = await run_script(seed, seconds=seconds, also_unfriendly=also_unfriendly)
        faults.update(step.name for step in run.steps)
        faults.update(f"platform: {behaviour.line['kind']}" for behaviour in (*run.behaviours, *run.later))
        totals.update(figures or {})
        print(f"{seed}: {'well' if figures else 'WRONG'} {json.dumps(figures) if figures else wrong}", flush=True)
        if figures is None:
            bad.append(seed)
        if verbose or figures is None:
            print("\n".join(f"    {step}" for step in run.steps))
            print("\n".join(f"    platform {behaviour}" for behaviour in run.behaviours))
            print("\n".join(f"    afterwards {behaviour}" for behaviour in run.later))
        if verbose:
            print("\n".join(f"    > {line}" for line in run.said))

    began = time.monotonic()
    await asyncio.gather(*map(turn, seeds))
    print(f"faults: {dict(faults.most_common())}")
    print(f"totals: {dict(totals)}")
    print(f"{len(seeds) - len(bad)} of {len(seeds)} well, in {time.monotonic() - began:.0f} s; not: {sorted(bad)}")
    return bad


def main() -> None:
    """As the module's text says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("count", type=int, nargs="?", default=10)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long faults go on in each")
    parser.add_argument("--at-once", type=int, default=1, help="how many run beside each other")
    parser.add_argument("--friendly", action="store_true", help="the platform does only what it did before")
    parser.add_argument("-v", "--verbose", action="store_true")
    given = parser.parse_args()
    seeds = range(given.seed, given.seed + given.count)
    bad = asyncio.run(
        many(
            seeds,
            seconds=given.seconds,
            at_once=given.at_once,
            verbose=given.verbose,
            also_unfriendly=not given.friendly,
        )
    )
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
