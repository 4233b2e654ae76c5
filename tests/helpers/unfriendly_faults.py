"""What an unfriendly platform does in a random script of faults, and what the ledger may claim all the same.

Drawing comes from a stream of its own, so that the scripts that were there before stay what they were. The judgement is
written from the contract: no verdict better than `failed` on a window whose truth differs from the store. What nobody
could know is the only excuse: a conversation that no answer had and no event told of before the window was read, or one
outside of the divisions that the proof itself says were visible.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rollbook.simulator.faults.script import Fault, Script, load
from rollbook.simulator.organisation.known_when import Conversation
from rollbook.simulator.server import Simulator

QUERY = "POST */conversations/details/query"
BY_ID = "GET */conversations/details"
QUEUES = "GET */routing/queues"
LISTS = (QUEUES, "GET */users", "GET */authorization/divisions", "GET */organizations/me")
CHANNELS = ("POST */notifications/channels", "GET */channels/*/subscriptions", "P* */channels/*/subscriptions")
ANY = (QUERY, QUERY, QUERY, BY_ID, BY_ID, *LISTS, *CHANNELS)
STATUSES = (400, 408, 413, 500, 502, 503, 504)
BODIES = ("platform", "html", "json", "text", "empty")
SPELLINGS = ("platform", "errors", "error", "sign_in", "gateway", "fault", "problem", "html")
# What an odd record may have, but for what is too long.
ODD_RECORDS = (
    "far_end",
    "backwards",
    "direction",
    "no_direction",
    "inner_capitals",
    "strange",
    "nan",
    "infinity",
    "surrogate",
    "nul",
    "odd_time",
)
# After them an answer's rows are other than the truth, or older, though nothing is wrong with the window.
OTHER_ROWS = frozenset({"strange", "bad_bytes", "stale"})
# A platform that is so for good: a client that asks for less at once has everything.
FOR_GOOD = frozenset({"too_much", "unknown_id", "bad_id", "long_address"})
# Not for good: whatever the width of an interval, hundreds of conversations go on in it.
FOR_A_TIME = frozenset({"rows", "beyond", "width"})
PATIENCE = 150  # seconds that reading what is due may take; nothing that is drawn for it lasts longer than a few
MEMORY = 250  # MB that the daemon may have, whatever it is sent


def kinds(draw: random.Random) -> dict[str, Callable[[], dict[str, Any]]]:
    """Each behaviour, and how it is drawn: a line of a script without its time."""

    def share(most: float = 0.5) -> float:
        return round(draw.uniform(0.05, most), 2)

    def few() -> int | None:
        return draw.choice((1, 1, 2, 5, None))  # None: for as long as it lasts

    def how() -> dict[str, Any]:
        return {"status": draw.choice(STATUSES), "body": draw.choice(BODIES), "count": None}

    def any_path() -> dict[str, Any]:
        return {"path": draw.choice(ANY), "count": few()}

    def rows_path() -> dict[str, Any]:
        return {"path": draw.choice((QUERY, BY_ID)), "count": few()}

    measures: dict[str, Callable[[], float]] = {
        "rows": lambda: draw.randrange(5, 30),
        "beyond": lambda: draw.randrange(5, 30),
        "page_rows": lambda: 10,
        "bytes": lambda: draw.randrange(100_000, 300_000),
        "width": lambda: draw.choice((1, 2, 4)),
        "ids": lambda: draw.randrange(1, 20),
    }

    def too_much() -> dict[str, Any]:
        measure = draw.choice(sorted(measures))
        return {"path": BY_ID if measure == "ids" else QUERY, measure: measures[measure](), **how()}

    def slice_() -> dict[str, Any]:
        start = round(draw.uniform(0, 8), 1)  # seconds after the script's beginning; see `lines`
        return {"start": start, "end": round(start + draw.uniform(0.2, 2), 1), **how()}

    def bad_bytes() -> dict[str, Any]:
        what = draw.choice(
            (
                "nan",
                "infinity",
                "utf8",
                "surrogate",
                "control",
                "truncated",
                "duplicate_keys",
                "capitals",
                "no_id",
                "number_id",
                "null",
                "text",
                "nothing",
            )
        )
        return {**rows_path(), "what": what, **draw.choice(({"row": draw.randrange(5)}, {"share": 0.05}))}

    return {
        "too_much": too_much,
        "slice": slice_,
        "poison": lambda: {"share": share(0.1), "seed": draw.randrange(99), **how()},
        "unknown_id": lambda: {"path": BY_ID, "count": None},
        "bad_id": lambda: {"path": BY_ID, "count": None},
        "long_address": lambda: {"path": BY_ID, "count": None, "most": draw.randrange(800, 3000)},
        "empty": any_path,
        "error_body": lambda: {**any_path(), "spelling": draw.choice(SPELLINGS)},
        "empty_page": lambda: {"path": draw.choice((QUERY, QUEUES)), "count": few()},
        "fewer": lambda: {**rows_path(), "share": share(0.9)},
        "shard": lambda: {**rows_path(), "count": None, "share": share(), "seed": draw.randrange(99)},
        "stale": lambda: {**rows_path(), "seconds": draw.randrange(1, 20)},
        "fewer_divisions": lambda: {"count": None, "most": draw.randrange(1, 3)},
        "fields": lambda: {
            "path": draw.choice(LISTS),
            "count": few(),
            "drop": draw.sample(("pageCount", "nextUri", "pageNumber", "total", "entities", "id"), 2),
        },
        "totals": lambda: {
            "path": QUERY,
            "count": few(),
            "most": draw.randrange(1, 9),
            "says": draw.choice(("errs", "less", "more", "saturated", "huge", "absent", "text", "null")),
        },
        "same_page": lambda: {"path": draw.choice((QUERY, QUEUES)), "count": None},
        "endless_pages": lambda: {"path": draw.choice((QUERY, QUEUES)), "count": None},
        "trickle": lambda: {
            **any_path(),
            "seconds": round(draw.uniform(0.01, 0.5), 2),
            "what": draw.choice(("body", "spaces")),
        },
        "endless": lambda: {**any_path(), "count": 1, "what": draw.choice(("spaces", "rows")), "mb": 400},
        "bomb": lambda: {**any_path(), "count": 1, "mb": 400},
        "hang": lambda: {**any_path(), "count": 1, "head": draw.random() < 0.5},
        "bad_bytes": bad_bytes,
        "strange": lambda: {**any_path(), "what": draw.choice(("field", "value", "both"))},
        "odd_record": lambda: {
            "share": 0.03,
            "seed": draw.randrange(99),
            "what": draw.choice((*ODD_RECORDS, "long_text")),
        },
        "date_off": lambda: {
            "path": "*",
            "count": few(),
            "seconds": draw.choice((-86_400, -7_200, -90, -5, 5, 90, 7_200, 86_400)),
        },
        "no_date": lambda: {"path": "*", "count": few()},
        "clock_jump": lambda: {"seconds": draw.choice((1, 3, 10, 30))},
        "index_lag": lambda: {"seconds": draw.randrange(1, 15), "share": share(0.9), "seed": draw.randrange(99)},
        "live": lambda: draw.choice(
            (
                {
                    "fault": "ahead",
                    "with": {"seconds": draw.choice((1.0, 20.0, 600.0)), "share": share(), "minutes": 0.05},
                },
                {"fault": "odd_id", "with": {"share": share(), "minutes": 0.05}},
            )
        ),
    }


@dataclass(frozen=True)
class Behaviour:
    """One of a script. at: seconds after its beginning; lasts: seconds; None: to the end, and beyond it."""

    at: float
    lasts: float | None
    line: Mapping[str, Any] = field(hash=False)

    def __str__(self) -> str:
        lasts = "for good" if self.lasts is None else f"for {self.lasts:.2f} s"
        return f"at {self.at:.2f} s, {lasts}: {json.dumps(self.line)}"

    def fault(self, now: datetime, begun: datetime) -> Fault:
        """As a script has it, from now on. begun: the organisation's time at the script's beginning."""
        line = dict(self.line)
        for name in ("start", "end"):
            if name in line:
                line[name] = (begun + timedelta(seconds=line[name])).isoformat()
        line["at"] = now.isoformat()
        if self.lasts is not None:
            line["until"] = (now + timedelta(seconds=self.lasts)).isoformat()
        return load(json.dumps([line]))[0]


def behaviours(seed: int, *, seconds: float, every: float = 1.0, scene: str = "") -> list[Behaviour]:
    """What the platform of a seed does. every: seconds from one to the next, on the whole.

    scene: another list for the same seed, in which nothing hangs for longer than a few seconds.
    """
    draw = random.Random(f"unfriendly {seed} {scene}")
    drawn = kinds(draw)
    found: list[Behaviour] = []
    at = draw.expovariate(1 / every)
    while at < seconds or not found:
        kind = draw.choice(sorted(drawn))
        line = {"kind": kind, **drawn[kind]()}
        if scene and kind in ("hang", "trickle", "endless"):
            line["cut_after"] = round(draw.uniform(0.5, 3), 1)
        for_good = not scene and kind in FOR_GOOD and not FOR_A_TIME & line.keys() and draw.random() < 0.5
        lasts = None if for_good else round(draw.uniform(0.3, 4), 2)
        found.append(Behaviour(round(min(at, seconds), 2), lasts, line))
        at += draw.expovariate(1 / every)
    return found


def clock_ahead(seed: int) -> timedelta:
    """By how much the clock of a seed's platform is ahead of this machine's: mostly not at all."""
    draw = random.Random(f"clock {seed}")
    return timedelta(seconds=draw.choice((0, 0, 0, 0, 0, 0, 2, 20, 300, -2, -20, -300)))


def well_again(organisation: Simulator, given: list[Behaviour]) -> None:
    """What was for a time is over; what is for good stays."""
    lasting = [
        behaviour.fault(organisation.now(), organisation.now()) for behaviour in given if behaviour.lasts is None
    ]
    organisation.faults = Script(lasting, organisation.now())
    organisation.hidden.clear()
    organisation.jobs.doomed.clear()


# The ledger's word


class Claim:
    """A window that the ledger calls better than failed."""

    def __init__(self, start: str, end: str, verdict: str, ran: str | None, divisions: str | None) -> None:
        self.start, self.end, self.verdict = _moment(start), _moment(end), verdict
        self.ran = ran or "9"
        self.saw = len(json.loads(divisions)) if divisions else 0

    def __str__(self) -> str:
        return f"{self.start:%H:%M:%S}-{self.end:%H:%M:%S} {self.verdict}"


def claims(db: sqlite3.Connection) -> list[Claim]:
    """Every window that is said to be proven, with its newest run that says so."""
    query = """
        SELECT w.start, w."end", w.verdict, r.finished_at, r.divisions_json FROM windows w
        LEFT JOIN window_runs r ON r.run_id = (
            SELECT max(run_id) FROM window_runs n
            WHERE n.start = w.start AND n."end" = w."end" AND n.filter = w.filter AND n.verdict = w.verdict)
        WHERE w.verdict IN ('open', 'complete', 'settled') AND w.filter = ''"""
    return [Claim(*row) for row in db.execute(query)]


def false_claims(db: sqlite3.Connection, organisation: Simulator, *, given: list[Behaviour]) -> list[str]:
    """What the ledger says of windows, and is not so."""
    stored = {
        row[0]: json.loads(row[1])
        for row in db.execute("SELECT conversation_id, details FROM conversations WHERE details IS NOT NULL")
    }
    first_event = dict(
        db.execute("SELECT conversation_id, min(received_at) FROM events WHERE conversation_id > '' GROUP BY 1")
    )
    used = {str(behaviour.line["kind"]) for behaviour in given}
    wrong: list[str] = []
    for claim in claims(db):
        for life in organisation.world.between(claim.start, claim.end):
            record = stored.get(life.id)
            if record is not None and life.odd is not None:
                continue  # it was read before it became odd, or after
            if record is None:
                if not _excused(life, claim, first_event, used, every=len(organisation.world.divisions)):
                    wrong.append(f"{claim}: {life.id} is missing")
            elif not used & OTHER_ROWS and not _was(life, record, claim.end, organisation.now()):
                wrong.append(f"{claim}: {life.id} never was so after the window's end")
            elif claim.verdict != "open" and "conversationEnd" not in record and _ended(life, claim):
                wrong.append(f"{claim}: {life.id} has no end")
    return wrong


def _excused(life: Conversation, claim: Claim, first_event: Mapping[str, str], used: set[str], *, every: int) -> bool:
    """Whether nobody could know of it when the window was read."""
    if life.extra:
        return True  # the index was behind by more than the lag that the settings allow for
    if "fewer_divisions" in used and 0 < claim.saw < every:
        return True
    unheard = first_event.get(life.id, "9") > claim.ran
    return unheard and bool(used & {"shard", "stale", "fewer_divisions"})


def _was(life: Conversation, record: Mapping[str, Any], since: datetime, now: datetime) -> bool:
    """Whether the record is what was known at some moment since the window's end."""
    wanted = _text(record)
    return _text(life.view(now)) == wanted or any(_text(life.view(at)) == wanted for at in _stages(life, since, now))


def _stages(life: Conversation, start: datetime, end: datetime) -> Iterator[datetime]:
    """A moment of each stage of what is known of a conversation, to the millisecond."""
    if life.stage(start) == life.stage(end):
        yield start
    elif end - start <= timedelta(milliseconds=1):
        yield from (start, end)
    else:
        middle = start + (end - start) / 2
        yield from _stages(life, start, middle)
        yield from _stages(life, middle, end)


def _ended(life: Conversation, claim: Claim) -> bool:
    """Whether its end was known when the window ended, so that no reading of it can have been without."""
    return "conversationEnd" in life.view(claim.end)


def _text(record: Mapping[str, Any]) -> str:
    return json.dumps(record, sort_keys=True)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)
