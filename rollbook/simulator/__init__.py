"""A local Genesys Cloud organisation with its own truth, clock and faults. Imports nothing of the product."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rollbook.simulator.server import Simulator

__all__ = ["Simulator"]


def __getattr__(name: str) -> object:
    """The simulator, imported when somebody asks for it: the help of `rollbook simulate` needs no server."""
    if name != "Simulator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from rollbook.simulator.server import Simulator

    return Simulator
