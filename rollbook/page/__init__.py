"""The page: how complete the store is, shown to a browser. Reads the store; writes nothing, and asks nobody else."""
