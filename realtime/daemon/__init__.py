"""The daemon `rollbook run`: its tasks, its health, its HTTP port and its logs."""
