"""The notification half: channels, sockets, topics and events."""
