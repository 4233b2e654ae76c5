"""A local Genesys Cloud organisation with its own truth, clock and faults. Imports nothing else of this project."""
