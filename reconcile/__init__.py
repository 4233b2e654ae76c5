"""Reads, after a window has closed, what the platform says did happen, and fills the store. Knows no sockets."""
