"""The platform's API as it is: hosts, sign-in, REST, topics, notifications, details. Knows nothing of SQLite."""
