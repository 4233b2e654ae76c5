"""The SQLite file: connections, the one writer, locks, and waiting for others."""
