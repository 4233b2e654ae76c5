"""The one SQLite file: every line of SQL of the project. Knows nothing of HTTP, sockets or AWS."""
