"""Messages of the platform about conversations: notifications, details, and the facts in both."""
