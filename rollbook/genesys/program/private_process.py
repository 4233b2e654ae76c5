"""The process, closed to others: no core file, no debugger of the same user, new files its owner's alone.

A core has the client's secret, the token and people's data. The limit of cores is not enough: where the system hands
cores to a program (systemd-coredump, apport) the kernel does not look at it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4
# Files that a daemon may have open at once: the store, sockets, the pool, its port. More would only be a leak's.
_FILES: Final = 16_384


def close_to_others() -> None:
    """Leave no core, let nobody of the same user look in, and make new files without rights of others.

    On Linux /proc/PID/mem and environ are root's afterwards. Programs that this one starts are not bound by the second.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    os.umask(os.umask(0o077) | 0o077)


def allow_files() -> None:
    """Raise the soft limit of open files, as far as the system permits: many start a program with 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
