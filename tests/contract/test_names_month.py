"""A month of renames, deletions, re-used names and a day without permissions: every id has its right name, or is counted."""

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from realtime.daemon.name_keeper import NameKeeper
from reconcile.run.options import RunOptions
from reconcile.run.runner import reconcile_window
from rollbook.genesys.api.client import Api
from rollbook.genesys.named import LISTS, NameKind
from rollbook.genesys.program.settings import load
from rollbook.genesys.times import Interval, from_text
from rollbook.simulator import Simulator
from rollbook.store.book import Book
from rollbook.store.tables import names
from tests.helpers.peek import peek

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
DAYS = 30
FORBIDDEN = 12  # the day without permissions
WORD = "ININ-WRAP-UP-TIMEOUT"
# The ids of a store with the time at which each was called what it was: of a segment, or of its conversation.
USES = {
    "queue": "SELECT DISTINCT queue_id AS id, segment_start AS at FROM segments WHERE queue_id IS NOT NULL",
    "user": "SELECT DISTINCT user_id AS id, conversation_start AS at FROM participants JOIN conversations USING (conversation_id)"
    " WHERE user_id IS NOT NULL",
    "wrapupcode": "SELECT DISTINCT wrap_up_code AS id, segment_start AS at FROM segments WHERE wrap_up_code IS NOT NULL",
    "division": "SELECT DISTINCT value AS id, conversation_start AS at FROM conversations, json_each(division_ids)",
    "flow": "SELECT DISTINCT flow_id AS id, conversation_start AS at FROM flows JOIN conversations USING (conversation_id)",
    "skill": "SELECT DISTINCT value AS id, conversation_start AS at FROM conversations JOIN sessions USING (conversation_id),"
    " json_each(active_skill_ids)",
    "language": "SELECT DISTINCT requested_language_id AS id, segment_start AS at FROM segments WHERE requested_language_id IS NOT NULL",
    "team": "SELECT DISTINCT team_id AS id, conversation_start AS at FROM participants JOIN conversations USING (conversation_id)"
    " WHERE team_id IS NOT NULL",
    "edge": "SELECT DISTINCT edge_id AS id, conversation_start AS at FROM sessions JOIN conversations USING (conversation_id)"
    " WHERE edge_id IS NOT NULL",
}
# What was it called then, and what now: a join away. unsure: it may have had the next name already (docs/names.md).
JOINED = """
    SELECT u.id, u.at, t.name, n.name, u.at > t.seen_at AND t.valid_to IS NOT NULL
    FROM ({uses}) u
    LEFT JOIN names t ON t.kind = '{kind}' AND t.id = u.id
        AND t.valid_from <= u.at AND (t.valid_to IS NULL OR t.valid_to > u.at)
    LEFT JOIN names_now n ON n.kind = '{kind}' AND n.id = u.id
"""


async def at_once(_: float) -> None:
    """Pauses take no time: the organisation's clock stands still meanwhile."""


class People:
    """Those who run the organisation: each day they rename, delete and make a few things, at any hour."""

    def __init__(self, simulator: Simulator) -> None:
        self.simulator, self.draw = simulator, random.Random("people")
        self.done: Counter[str] = Counter()
        self.used: dict[str, list[str]] = {kind: [] for kind in NameKind}

    def plan(self, day: datetime) -> Iterator[tuple[datetime, str, str]]:
        """What they do on a day, in the order of time."""
        acts = [
            (day + DAY * self.draw.random(), self.draw.choice(["rename", "rename", "delete", "make"]), kind)
            for kind in NameKind
            if self.draw.random() < 0.5
        ]
        return iter(sorted(acts))

    def act(self, what: str, kind: str) -> None:
        """Do something to an entity of a kind. A name that another had is taken again."""
        directory, now = self.simulator.world.directory, self.simulator.now()
        there, former = directory.lists[kind], self.used[kind]
        entity = self.draw.choice(there)
        if what == "delete" and len(there) < 3:
            what = "make"
        self.done[what] += 1
        if what == "make":
            name = former.pop() if former else f"{kind} {self.done['make']}"
            directory.make(kind, name, now)
        elif what == "delete":
            former.append(entity["name"])
            directory.delete(kind, entity["id"], now)
        else:
            former.append(entity["name"])
            directory.rename(kind, entity["id"], f"{entity['name']} {self.done['rename']}", now)


async def live_through(simulator: Simulator, book: Book, api: Api, settings: Any) -> Counter[str]:
    """Day by day: things happen, an hour's looks at the names, and each day is read when it is over."""
    people, keeper = People(simulator), NameKeeper(book, api, now=simulator.now)
    client = simulator.client
    for number in range(DAYS):
        day = START + number * DAY
        lacks = frozenset(of.permission for of in LISTS.values()) if number == FORBIDDEN else frozenset()
        simulator.sign_in.change(client._replace(lacks=lacks))
        acts = people.plan(day)
        coming = next(acts, None)
        for hour in range(24):
            at = day + hour * HOUR
            while coming is not None and coming[0] <= at:
                simulator.clock.advance(coming[0] - simulator.now())
                people.act(*coming[1:])
                coming = next(acts, None)
            simulator.clock.advance(at - simulator.now())
            await keeper.look()
            assert keeper.failing is None
            if hour == 1 and number:
                interval = Interval(day - DAY, day)
                how = RunOptions(wait=0, sleep=at_once)
                await reconcile_window(book, api, interval, settings=settings, now=simulator.now, options=how)
    return people.done


async def test_a_month_of_names(tmp_path: Path) -> None:
    """Each id of the store has the name of its time and that of now, or is counted: as without one, or as unsure."""
    simulator = Simulator(
        seed=11, start=START, rate=0, per_hour=1.2, rate_limit=10_000_000, queues=9, users=14, variety=True
    )
    async with simulator:
        settings = load(env=simulator.env, cwd=tmp_path, flags={"lag": timedelta(minutes=10)})
        with Book.open(tmp_path / "rollbook.db", organization=("o", "o")) as book:
            async with Api(settings, sleep=at_once, now=simulator.now) as api:
                done = await live_through(simulator, book, api, settings)
                figures = {kind: judged(simulator, book, kind) for kind in USES}
            unnamed = peek(book, names.unnamed)
    print(dict(done), {kind: dict(found) for kind, found in figures.items()}, unnamed)
    assert min(done.values()) > 20
    for kind, found in figures.items():
        assert found["uses"] > 20, kind
        assert found["wrong"] == 0, kind
        assert found["nameless"] == unnamed.get(kind, 0), kind
        assert found["unsure"] < found["uses"] / 10, kind


def judged(simulator: Simulator, book: Book, kind: str) -> Counter[str]:
    """How the names of a kind stand against what the organisation was called by its own people."""
    found: Counter[str] = Counter()
    directory, now = simulator.world.directory, simulator.now()
    listed = max(from_text(state.listed_at) for state in peek(book, names.listings).values() if state.listed_at)
    nameless = set()
    query = JOINED.format(kind=kind, uses=USES[kind])
    for identity, at, then, today, unsure in peek(book, lambda db: list(db.execute(query))):
        found["uses"] += 1
        if then is None or today is None:
            assert then is today is None, (kind, identity)
            nameless.add(identity)
            continue
        true_then, true_now = directory.named(kind, identity, from_text(at)), directory.named(kind, identity, now)
        if identity == WORD:
            assert then == today == WORD
            continue
        assert true_then is not None
        assert true_now is not None
        changed_since = true_now.since > listed
        if then != true_then.name:
            found["unsure" if unsure or true_then.since > listed else "wrong"] += 1
        if today != true_now.name and not changed_since:
            found["wrong"] += 1
    found["nameless"] = len(nameless)
    return found
