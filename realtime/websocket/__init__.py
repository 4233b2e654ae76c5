"""Channels, their sockets, and which topics go on which channel."""
