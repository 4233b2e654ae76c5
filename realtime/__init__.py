"""Hears what happens now: channels, sockets, the daemon. Does not know how a window is proven."""
