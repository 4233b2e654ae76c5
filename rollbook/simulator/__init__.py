"""A local Genesys Cloud organisation with its own truth, clock and faults. Imports nothing of the product."""

from rollbook.simulator.server import Simulator

__all__ = ["Simulator"]
