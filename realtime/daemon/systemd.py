"""Messages to systemd: ready, alive, reloading, stopping. Without systemd nothing is sent.

The protocol is one datagram of `NAME=value` lines to the socket in NOTIFY_SOCKET (sd_notify(3)).
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping

from rollbook.genesys.program.inert import inert


class Notifier:
    """sd_notify for this process. Never raises: a service manager that does not listen is no reason to stop."""

    def __init__(self, env: Mapping[str, str]) -> None:
        address = env.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the null byte of an abstract socket.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog = _watchdog(env)

    def tell(self, **states: str | int) -> None:
        """Send these states, e.g. `tell(READY=1, STATUS="listening")`."""
        if not self._address:
            return
        # A line break in a value would be a state of its own.
        text = "\n".join(f"{name}={inert(str(value))}" for name, value in states.items())
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify_socket,
        ):
            notify_socket.setblocking(False)
            notify_socket.sendto(text.encode(), self._address)

    def reloading(self) -> None:
        """The settings are being read again; follow it with READY=1."""
        self.tell(RELOADING=1, MONOTONIC_USEC=time.monotonic_ns() // 1000)


def _watchdog(env: Mapping[str, str]) -> float | None:
    """Seconds between two signs of life (half of what systemd allows), None if it asks for none of this process."""
    if env.get("WATCHDOG_PID") not in (None, "", str(os.getpid())):
        return None
    try:
        allowed = int(env.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return allowed / 2_000_000 if allowed > 0 else None
