"""A script of faults: what goes wrong, when, and for how long.

Pure. A fault has a kind; the kinds stand in a table to which others can be added (`register`). Some kinds spoil the
answer to a request, others happen to the organisation; the latter are in `organisation_faults`. Which requests there
are and what time it is come in as arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from rollbook.simulator.rest.errors import Refusal, missing_permissions
from rollbook.simulator.rest.rate_limit import too_many
from rollbook.simulator.times import moment

_TYPES: Final = {
    "number": (int, float),
    "text": (str,),
    "texts": (list,),
    "object": (dict,),
    "flag": (bool,),
    "time": (str, int, float),
}
_SPELLED: Final = {
    "number": "a number",
    "text": "a text",
    "texts": "a list of texts",
    "object": "an object",
    "flag": "true or false",
    "time": "a time or a number of seconds",
}


class ScriptError(ValueError):
    """A script that cannot be played; the message says where and why."""


class Kind(NamedTuple):
    """A sort of fault. takes: parameter and type (a key of `_TYPES`; a trailing `!`: it must be given).

    chooses: it looks at the request or its answer, and strikes only what it is about (see `answer_faults`); what it
    leaves alone is not counted as struck. check: raises ScriptError for parameters that do not go together.
    """

    name: str
    meaning: str
    takes: Mapping[str, str] = {}
    spoils: bool = False  # the answer to a request; else it happens to the organisation
    chooses: bool = False
    check: Callable[[Mapping[str, Any]], None] | None = None


@dataclass(frozen=True)
class Fault:
    """Entry of a script.

    path: pattern of `METHOD /path` (`*` matches anything); None: it waits for no request. after: how many matching
    requests pass first. count: how many are struck; None: all. at, until: moments of the organisation's clock, or
    seconds since its start.
    """

    kind: str
    path: str | None = None
    after: int = 0
    count: int | None = 1
    at: datetime | float | None = None
    until: datetime | float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)


KINDS: Final[dict[str, Kind]] = {}


def register(kind: Kind) -> None:
    """Add a kind that scripts may use."""
    KINDS[kind.name] = kind


for _kind in (
    Kind(
        "status",
        "an error status",
        {"status": "number!", "retry_after": "number", "code": "text", "message": "text"},
        spoils=True,
    ),
    Kind("cut", "the connection is cut after this part of the body (0.5)", {"part": "number"}, spoils=True),
    Kind("broken", "a body that ends in the middle of its JSON, of proper length", spoils=True),
    Kind("slow", "the answer takes so many real seconds longer", {"seconds": "number!"}, spoils=True),
    Kind("forbid", "403: this permission is missing", {"permission": "text!"}, spoils=True),
    Kind("revoke", "every token ends"),
    Kind(
        "hide",
        "details queries answer without these conversations, or without a share of all",
        {"share": "number", "ids": "texts", "seed": "number"},
    ),
    Kind("unhide", "they answer with all of them again"),
    Kind("forget", "conversations are deleted for good", {"ids": "texts!"}),
    Kind(
        "rename",
        "an entity has another name: a queue, user, wrapupcode, division, flow, skill, language, team, edge or site,"
        " by its id or its number in its list",
        {"what": "text!", "id": "text", "number": "number", "name": "text!"},
    ),
    Kind("remove", "an entity is deleted", {"what": "text!", "id": "text", "number": "number"}),
    Kind("make", "there is a new entity, like the first of its kind", {"what": "text!", "name": "text!"}),
    Kind("rewrite", "the nightly reprocessing, now", {"share": "number", "seed": "number"}),
    Kind(
        "jitter",
        "totalHits errs by up to `most` while the interval includes the last `recent` seconds",
        {"most": "number!", "recent": "number"},
    ),
    Kind("job_failure", "the next job that ends is FAILED with this message", {"message": "text!"}),
    Kind("rate_limit", "from now on so many requests a minute", {"allowed": "number!"}),
    Kind(
        "date_off", "the Date header is so many seconds ahead (negative: behind)", {"seconds": "number!"}, spoils=True
    ),
    Kind("no_date", "there is no Date header", spoils=True),
    Kind("retention", "from now on conversations are kept for so many days (absent: no limit)", {"days": "number"}),
    Kind("clock_jump", "the organisation's clock jumps ahead", {"seconds": "number!"}),
    Kind(
        "index_lag",
        "from now on conversations, or a share of them, are in the index so much later than usual",
        {"seconds": "number!", "share": "number", "seed": "number"},
    ),
    Kind(
        "poor_audio",
        "legs of an edge, a site, a user, a queue, a codec or a provider sound worse",
        {
            "what": "text!",
            "id": "text",
            "number": "number",
            "name": "text",
            "by": "number",
            "share": "number",
            "spread": "number",
            "since": "time",
            "to": "time",
            "seed": "number",
        },
    ),
    Kind(
        "long_calls",
        "in a share of the calls agents talk for 15 to 50 minutes",
        {"share": "number!", "since": "time", "seed": "number"},
    ),
    Kind(
        "late_audio",
        "audio statistics of all conversations, or of a share, are known so much later than usual",
        {"seconds": "number!", "share": "number", "since": "time", "seed": "number"},
    ),
    Kind(
        "live",
        "a fault of channels, sockets or events, by its name in `live_faults`",
        {"fault": "text!", "with": "object"},
    ),
):
    register(_kind)


# Reading a script

_OWN: Final = {field.name for field in fields(Fault)} - {"parameters"}


def load(text: str) -> list[Fault]:
    """Read a script: a JSON list of faults, parameters beside the other keys. Raises ScriptError."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ScriptError(f"the script is no JSON: {error}") from None
    if not isinstance(content, list):
        raise ScriptError("the script must be a list of faults")
    return [_fault(entry, number + 1) for number, entry in enumerate(content)]


def _fault(entry: object, number: int) -> Fault:
    if not isinstance(entry, dict):
        raise ScriptError(f"fault {number} must be an object")
    kind = KINDS.get(str(entry.get("kind")))
    if kind is None:
        raise ScriptError(f"fault {number}: unknown kind {entry.get('kind')!r}; there are {', '.join(sorted(KINDS))}")
    given = {name: value for name, value in entry.items() if name not in _OWN}
    try:
        _check_parameters(kind, given)
        return _check(
            Fault(
                kind.name,
                path=entry.get("path"),
                after=entry.get("after", 0),
                count=entry.get("count", 1),
                at=_time(entry.get("at")),
                until=_time(entry.get("until")),
                parameters=given,
            ),
            kind,
        )
    except ScriptError as error:
        raise ScriptError(f"fault {number} ({kind.name}): {error}") from None


def _check_parameters(kind: Kind, given: Mapping[str, Any]) -> None:
    for name, sort in kind.takes.items():
        if name not in given and sort.endswith("!"):
            raise ScriptError(f"{name} is missing")
    for name, value in given.items():
        sort = kind.takes.get(name, "").removesuffix("!")
        if not sort:
            raise ScriptError(f"unknown key {name!r}")
        if not isinstance(value, _TYPES[sort]) or (isinstance(value, bool) and sort != "flag"):
            raise ScriptError(f"{name} must be {_SPELLED[sort]}")
        if sort == "texts" and isinstance(value, list) and not all(isinstance(text, str) for text in value):
            raise ScriptError(f"{name} must be {_SPELLED[sort]}")
        if sort == "time":
            _time(value)
    if kind.check is not None:
        kind.check(given)


def _check(fault: Fault, kind: Kind) -> Fault:
    if fault.path is not None and not isinstance(fault.path, str):
        raise ScriptError("path must be a text")
    for name, value in (("after", fault.after), ("count", fault.count)):
        if (value is None and name == "after") or (value is not None and (type(value) is not int or value < 0)):
            raise ScriptError(f"{name} must be a whole number")
    if fault.path is None and fault.at is None and not kind.spoils:
        raise ScriptError("it must have a path or a time (at)")
    return fault


def _time(value: object) -> datetime | float | None:
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    try:
        return moment(str(value))
    except ValueError:
        raise ScriptError(f"{value!r} is neither a time nor a number of seconds") from None


# Playing it


@dataclass
class PlayedFault:
    """A fault of a script, and how far it has got."""

    fault: Fault
    begins: datetime | None
    ends: datetime | None
    passed: int = 0
    struck: int = 0

    @property
    def spent(self) -> bool:
        """Say whether it has struck as often as it may."""
        return self.fault.count is not None and self.struck >= self.fault.count


class Script:
    """Faults, and how far they have got. start: what seconds are counted from."""

    def __init__(self, faults: Sequence[Fault], start: datetime) -> None:
        self._start = start
        self._lines: list[PlayedFault] = []
        for fault in faults:
            self.add(fault)

    def add(self, fault: Fault) -> None:
        """Add a fault while the script is played."""
        self._lines.append(PlayedFault(fault, self._moment(fault.at), self._moment(fault.until)))

    def _moment(self, value: datetime | float | None) -> datetime | None:
        return self._start + timedelta(seconds=value) if isinstance(value, int | float) else value

    def moment(self, given: datetime | float | str) -> datetime:
        """A parameter that is a time: itself, or seconds since the start."""
        found = self._moment(_time(given) if isinstance(given, str) else given)
        assert found is not None
        return found

    def next_moment(self) -> datetime | None:
        """When the next fault is due that waits for no request."""
        return min((line.begins for line in self._timed() if line.begins), default=None)

    def due(self, now: datetime) -> list[Fault]:
        """Those that wait for no request, and whose time has come."""
        found = [line for line in self._timed() if line.begins is not None and line.begins <= now]
        found.sort(key=lambda line: line.begins or now)
        for line in found:
            line.struck += 1
        return [line.fault for line in found]

    def _timed(self) -> list[PlayedFault]:
        lines = (line for line in self._lines if line.fault.path is None and not KINDS[line.fault.kind].spoils)
        return [line for line in lines if not line.struck]

    def strike(self, request: str, now: datetime) -> list[Fault]:
        """Those that this request (`METHOD /path`) meets."""
        struck = [
            line for line in self._lines if not KINDS[line.fault.kind].chooses and self._meets(line, request, now)
        ]
        for line in struck:
            line.struck += 1
        return [line.fault for line in struck]

    def waiting(self, request: str, now: datetime) -> list[PlayedFault]:
        """Those that this request may meet, and that choose for themselves: whoever lets one strike counts it."""
        return [line for line in self._lines if KINDS[line.fault.kind].chooses and self._meets(line, request, now)]

    def _meets(self, line: PlayedFault, request: str, now: datetime) -> bool:
        fault = line.fault
        if fault.path is None and not KINDS[fault.kind].spoils:
            return False
        early, late = line.begins is not None and now < line.begins, line.ends is not None and now >= line.ends
        if early or late or not fnmatchcase(request, fault.path or "*"):
            return False
        line.passed += 1
        return line.passed > fault.after and not line.spent


class Effect(NamedTuple):
    """Changes to an answer. delay: real seconds. cut: the part of the body that arrives.

    date_off: seconds that its Date header is ahead; None: it has none.
    """

    delay: float = 0.0
    refusal: Refusal | None = None
    cut: float | None = None
    broken: bool = False
    date_off: float | None = 0.0


def effect(faults: Sequence[Fault]) -> Effect:
    """Join the changes that the faults of a request make to its answer."""
    found = Effect()
    for kind, given in ((fault.kind, fault.parameters) for fault in faults):
        if kind == "slow":
            found = found._replace(delay=found.delay + given["seconds"])
        elif kind == "cut":
            found = found._replace(cut=min(1.0, max(0.0, given.get("part", 0.5))))
        elif kind == "broken":
            found = found._replace(broken=True)
        elif kind == "no_date":
            found = found._replace(date_off=None)
        elif kind == "date_off" and found.date_off is not None:
            found = found._replace(date_off=found.date_off + given["seconds"])
        elif kind in ("status", "forbid"):
            found = found._replace(refusal=_refusal(kind, given))
    return found


def _refusal(kind: str, given: Mapping[str, Any]) -> Refusal:
    if kind == "forbid":
        return missing_permissions([given["permission"]])
    status, after = int(given["status"]), given.get("retry_after")
    if status == 429 and after is not None and "code" not in given and "message" not in given:
        return too_many(int(after))
    headers = {} if after is None else {"Retry-After": str(int(after))}
    message = given.get("message")
    if status == 429 and after is not None and message is None:
        message = too_many(int(after)).message  # the number in it is that of the header
    return Refusal(status, given.get("code"), message, headers=headers)
