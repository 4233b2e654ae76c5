"""For tests of what is made of a run's report: its figures by name, and a report whose figures are given."""

from typing import Any, Final

from reconcile.report import Report
from rollbook.store.vocabulary import Verdict
from tests.helpers.organisation import WINDOW

# The figures that the contract fixes, in its order: written here once more, so that a change of the product shows.
FIGURES: Final = (
    "passes",
    "requests",
    "initial_total_hits",
    "final_total_hits",
    "unique",
    "duplicates",
    "owned",
    "missing",
    "changed",
    "unchanged",
    "ongoing",
    "live_only",
    "written",
)


def report(verdict: Verdict, **given: Any) -> Report:
    """A report of a second's run over the window of all tests: every figure is 9, if it is not given."""
    return Report(verdict=verdict, **{"window": WINDOW, "seconds": 1.0, **dict.fromkeys(FIGURES, 9), **given})
