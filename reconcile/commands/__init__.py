"""The commands `rollbook reconcile` and `rollbook verify`."""
