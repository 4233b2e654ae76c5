"""What the faults of a script do to the organisation: one function for each kind that spoils no answer by itself.

A further kind is a `faults.Kind` that is registered, and a function in this table.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from rollbook.simulator.faults.answer_faults import falls
from rollbook.simulator.faults.broken_bytes import ODD
from rollbook.simulator.faults.live_faults import FAULTS
from rollbook.simulator.faults.script import Fault, ScriptError
from rollbook.simulator.rest.analytics.details_query import Jitter

if TYPE_CHECKING:
    from rollbook.simulator.server import Simulator

Act = Callable[["Simulator", Mapping[str, Any]], None]


def _revoke(simulator: Simulator, _: Mapping[str, Any]) -> None:
    simulator.sign_in.revoke()


def _hide(simulator: Simulator, told: Mapping[str, Any]) -> None:
    draw = random.Random(told.get("seed", 0))
    simulator.hidden.update(told.get("ids", ()))
    simulator.hidden.update(life.id for life in simulator.world.lives if draw.random() < told.get("share", 0))


def _unhide(simulator: Simulator, _: Mapping[str, Any]) -> None:
    simulator.hidden.clear()


def _forget(simulator: Simulator, told: Mapping[str, Any]) -> None:
    for one in told["ids"]:
        simulator.world.forget(one)


def _rewrite(simulator: Simulator, told: Mapping[str, Any]) -> None:
    simulator.world.rewrite_night(simulator.now(), told.get("share", 1.0), seed=told.get("seed", 0))


def _jitter(simulator: Simulator, told: Mapping[str, Any]) -> None:
    simulator.jitter = Jitter(int(told["most"]), timedelta(seconds=told.get("recent", 60)))


def _job_failure(simulator: Simulator, told: Mapping[str, Any]) -> None:
    simulator.jobs.failing.append(told["message"])


def _rate_limit(simulator: Simulator, told: Mapping[str, Any]) -> None:
    simulator.rate_limit = int(told["allowed"])


def _failing_jobs(simulator: Simulator, given: Mapping[str, Any]) -> None:
    start, end = simulator.faults.moment(given["start"]), simulator.faults.moment(given["end"])
    message = given.get("message", "The job could not be done.")
    simulator.jobs.doomed.append((start, end, message))


def _clock_jump(simulator: Simulator, given: Mapping[str, Any]) -> None:
    simulator.clock.advance(timedelta(seconds=given["seconds"]))


def _index_lag(simulator: Simulator, given: Mapping[str, Any]) -> None:
    more, share = timedelta(seconds=given["seconds"]), float(given.get("share", 1.0))
    simulator.world.lag(simulator.now(), more, lambda one: falls(one, share, given.get("seed", 0)))


def _odd_record(simulator: Simulator, given: Mapping[str, Any]) -> None:
    for life in simulator.world.lives:
        if life.id in given.get("ids", ()) or falls(life.id, given.get("share", 0), given.get("seed", 0)):
            life.be_odd(ODD[given["what"]])


def _live(simulator: Simulator, told: Mapping[str, Any]) -> None:
    simulator.notifications.fault(told["fault"], **told.get("with", {}))


def check(script: Iterable[Fault]) -> None:
    """Raise ScriptError for a fault of the live side that there is not, or that does not take what it is given."""
    for fault in script:
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


ACTS: Final[dict[str, Act]] = {
    "revoke": _revoke,
    "hide": _hide,
    "unhide": _unhide,
    "forget": _forget,
    "rewrite": _rewrite,
    "jitter": _jitter,
    "job_failure": _job_failure,
    "rate_limit": _rate_limit,
    "clock_jump": _clock_jump,
    "index_lag": _index_lag,
    "odd_record": _odd_record,
    "failing_jobs": _failing_jobs,
    "live": _live,
}
