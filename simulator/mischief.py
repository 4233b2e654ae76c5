"""What the faults of a script do to the organisation: one function for each kind that spoils no answer by itself.

A further kind is a `faults.Kind` that is registered, and a function in this table.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from simulator.details import Jitter

if TYPE_CHECKING:
    from simulator.server import Simulator

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


ACTS: Final[dict[str, Act]] = {
    "revoke": _revoke,
    "hide": _hide,
    "unhide": _unhide,
    "forget": _forget,
    "rewrite": _rewrite,
    "jitter": _jitter,
    "job_failure": _job_failure,
    "rate_limit": _rate_limit,
}
