"""Effects of a script's faults on the organisation: a function for each kind that spoils no answer by itself.

A further kind is a `script.Kind` that is registered, and a function in this table.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from rollbook.simulator.faults.answer_faults import FaultyOrganisation, falls
from rollbook.simulator.faults.broken_bytes import ODD
from rollbook.simulator.faults.live_faults import FAULTS
from rollbook.simulator.faults.script import Fault, ScriptError
from rollbook.simulator.organisation.call_troubles import CAUSES, PoorAudio, StruckShare
from rollbook.simulator.organisation.directory import KINDS
from rollbook.simulator.rest.analytics.details_query import Jitter
from rollbook.simulator.times import FAR

Act = Callable[[FaultyOrganisation, Mapping[str, Any]], None]


def _revoke(organisation: FaultyOrganisation, _: Mapping[str, Any]) -> None:
    organisation.sign_in.revoke()


def _hide(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    draw = random.Random(given.get("seed", 0))
    organisation.hidden.update(given.get("ids", ()))
    organisation.hidden.update(
        conversation.id for conversation in organisation.world.conversations if draw.random() < given.get("share", 0)
    )


def _unhide(organisation: FaultyOrganisation, _: Mapping[str, Any]) -> None:
    organisation.hidden.clear()


def _forget(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    for identity in given["ids"]:
        organisation.world.forget(identity)


def _rename(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    directory = organisation.world.directory
    directory.rename(given["what"], _entity(organisation, given), given["name"], organisation.now())


def _remove(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.world.directory.delete(given["what"], _entity(organisation, given), organisation.now())


def _make(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.world.directory.make(given["what"], given["name"], organisation.now())


def _entity(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> str:
    listed = organisation.world.directory.lists[given["what"]]
    return str(given.get("id") or listed[int(given.get("number", 0)) % len(listed)]["id"])


def _rewrite(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.world.rewrite_night(organisation.now(), given.get("share", 1.0), seed=given.get("seed", 0))


def _jitter(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.jitter = Jitter(int(given["most"]), timedelta(seconds=given.get("recent", 60)))


def _job_failure(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.jobs.failing.append(given["message"])


def _rate_limit(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.rate_limit = int(given["allowed"])


def _retention(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.retention_days = int(given["days"]) if "days" in given else None


def _failing_jobs(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    start, end = organisation.faults.moment(given["start"]), organisation.faults.moment(given["end"])
    message = given.get("message", "The job could not be done.")
    organisation.jobs.doomed.append((start, end, message))


def _clock_jump(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.clock.advance(timedelta(seconds=given["seconds"]))


def _index_lag(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    more, share = timedelta(seconds=given["seconds"]), float(given.get("share", 1.0))
    organisation.world.lag(organisation.now(), more, lambda identity: falls(identity, share, given.get("seed", 0)))


def _poor_audio(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    cause = given["what"]
    named = cause in ("codec", "provider")
    value = str(given["name"]) if named else _entity(organisation, given)
    edges = organisation.world.directory.every("edge")
    trouble = PoorAudio(
        cause,
        value,
        since=_since(organisation, given),
        until=organisation.faults.moment(given["to"]) if "to" in given else FAR,
        by=given.get("by", 2.0),
        share=given.get("share", 0.8),
        spread=given.get("spread", 0.0),
        seed=given.get("seed", 0),
        edges=frozenset(edge["id"] for edge in edges if edge["site"]["id"] == value),
    )
    organisation.world.spoil(organisation.now(), trouble)


def _long_calls(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    share = StruckShare(_since(organisation, given), given["share"], given.get("seed", 0))
    organisation.world.call_troubles.long_calls.append(share)


def _late_audio(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    later = timedelta(seconds=given["seconds"])
    share = StruckShare(_since(organisation, given), given.get("share", 1.0), given.get("seed", 0), later)
    organisation.world.call_troubles.late_audio.append(share)


def _since(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> datetime:
    return organisation.faults.moment(given["since"]) if "since" in given else organisation.now()


def _odd_record(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    for conversation in organisation.world.conversations:
        if conversation.id in given.get("ids", ()) or falls(
            conversation.id, given.get("share", 0), given.get("seed", 0)
        ):
            conversation.be_odd(ODD[given["what"]])


def _live(organisation: FaultyOrganisation, given: Mapping[str, Any]) -> None:
    organisation.notifications.fault(given["fault"], **given.get("with", {}))


def check(script: Iterable[Fault]) -> None:
    """Raise ScriptError for a fault of the live side that there is not, or that does not take what it is given."""
    for fault in script:
        if fault.kind in ("rename", "remove", "make") and fault.parameters["what"] not in KINDS:
            raise ScriptError(f"{fault.kind}: what must be one of {', '.join(KINDS)}")
        if fault.kind == "poor_audio":
            _check_poor_audio(fault.parameters)
        if fault.kind != "live":
            continue
        name = fault.parameters["fault"]
        made = FAULTS.get(name)
        if made is None:
            raise ScriptError(f"there is no fault {name!r} of the live side; there are {', '.join(FAULTS)}")
        try:
            inspect.signature(made).bind(None, **fault.parameters.get("with", {}))
        except TypeError as error:
            raise ScriptError(f"the live fault {name}: {error}") from None


def _check_poor_audio(given: Mapping[str, Any]) -> None:
    if given["what"] not in CAUSES:
        raise ScriptError(f"poor_audio: what must be one of {', '.join(CAUSES)}")
    if given["what"] in ("codec", "provider") and "name" not in given:
        raise ScriptError(f"poor_audio: the name of the {given['what']} is missing")


ACTS: Final[dict[str, Act]] = {
    "revoke": _revoke,
    "hide": _hide,
    "unhide": _unhide,
    "forget": _forget,
    "rename": _rename,
    "remove": _remove,
    "make": _make,
    "rewrite": _rewrite,
    "jitter": _jitter,
    "job_failure": _job_failure,
    "rate_limit": _rate_limit,
    "retention": _retention,
    "clock_jump": _clock_jump,
    "index_lag": _index_lag,
    "odd_record": _odd_record,
    "poor_audio": _poor_audio,
    "long_calls": _long_calls,
    "late_audio": _late_audio,
    "failing_jobs": _failing_jobs,
    "live": _live,
}
