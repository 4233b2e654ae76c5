"""Locks on ranges of a file beside the store, for who works on what. They end with the process that has them.

A window is locked as the range of milliseconds that it covers, so that any two intervals that overlap exclude each
other whatever their ends are. Roles (the daemon, the one connection that checkpoints, the migration, a backup, a
restore) are single bytes before the year 1970 begins to count. The lock file has no content; the kernel keeps the
locks, and names the holder.

POSIX locks belong to the process and vanish when *any* descriptor of the file is closed: there is one descriptor a
process and file, and a table of what this process itself holds.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rollbook.store.file.errors import LockHeld, StoreUnwritable, owner_of

DAEMON: Final = (0, 1)
CHECKPOINTER: Final = (1, 2)
MIGRATION: Final = (2, 3)
BACKUP: Final = (3, 4)
RESTORE: Final = (4, 5)
_FIRST_WINDOW: Final = 1024  # bytes below belong to roles
# Every role and every window: whoever has this is alone with the store.
EVERYTHING: Final = (0, 1 << 62)
_PAUSE: Final = 0.05  # seconds between two looks at a lock that somebody holds

Range = tuple[int, int]


class LockFile:
    """The locks of one store in this process. Get it through `lock_file`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except OSError as error:
            if path.is_symlink():
                raise StoreUnwritable(f"{path} is a link, and a lock is not made through one; take it away") from None
            wrong = f"cannot be created ({error.strerror}); the store's folder must be writable"
            if path.exists():
                whose = owner_of(path)
                wrong = (
                    f"cannot be opened ({error.strerror}), it belongs to {whose}; run this as {whose},"
                    " or delete it while no rollbook uses the store"
                )
            raise StoreUnwritable(f"{path}: {wrong}") from None
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode) or (found.st_mode & 0o077 and found.st_uid != os.geteuid()):
            # Whoever else can open it can keep every run from its window.
            os.close(self._fd)
            whose = owner_of(path)
            raise StoreUnwritable(f"{path} is open to other users and belongs to {whose}; delete it") from None
        if found.st_mode & 0o077:
            os.fchmod(self._fd, 0o600)
        folder = path.parent.stat()
        if os.geteuid() == 0 == found.st_uid != folder.st_uid and found.st_nlink == 1 and found.st_size == 0:
            # root looks after a service's store, and must not lock the service out. (No name of another file's.)
            os.fchown(self._fd, folder.st_uid, folder.st_gid)
        self._holders: dict[Range, str] = {}
        self._guard = threading.Lock()

    def try_lock(self, span: Range, command: str) -> str | None:
        """Take `span` now. None if taken, else who holds it, in words."""
        with self._guard:
            for (start, end), holder in self._holders.items():
                if start < span[1] and span[0] < end:
                    return f"this process ({holder})"
            try:
                fcntl.lockf(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB, span[1] - span[0], span[0], os.SEEK_SET)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    return self._holder(span)
                raise StoreUnwritable(f"{self.path}: this file system has no locks ({error.strerror})") from None
            self._holders[span] = command
        return None

    def unlock(self, span: Range) -> None:
        """Give `span` back."""
        with self._guard:
            if self._holders.pop(span, None) is not None:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, span[1] - span[0], span[0], os.SEEK_SET)

    def _holder(self, span: Range) -> str:
        if sys.platform != "linux":
            return "another process"
        # struct flock of 64-bit Linux: l_type, l_whence, l_start, l_len, l_pid
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, span[0], span[1] - span[0], 0)
        pid = struct.unpack("hhqqi4x", fcntl.fcntl(self._fd, fcntl.F_GETLK, asked))[4]
        return f"process {pid}{_command_of(pid)}" if pid > 0 else "another process"


def _command_of(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    # What a person typed, without the interpreter and its path. No setting of ours is a secret on a command line.
    shown = [Path(word).name if index < 2 else word for index, word in enumerate(words) if word]
    if shown and shown[0].startswith("python"):
        shown = shown[1:]
    return f" ({' '.join(shown)[:60]})" if shown else ""


_files: dict[Path, LockFile] = {}
_files_guard = threading.Lock()


def lock_file(store: Path) -> LockFile:
    """The lock file of `store` in this process: `<store>-lock`, readable by its owner only."""
    path = Path(f"{store.resolve()}-lock")
    with _files_guard:
        known = _files.get(path)
        if known is None or not _same_file(known, path):
            known = _files[path] = LockFile(path)
        return known


def _same_file(known: LockFile, path: Path) -> bool:
    try:
        there, ours = path.stat(), os.fstat(known._fd)
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)


def window_range(start_ms: int, end_ms: int) -> Range:
    """The range of a window, in milliseconds of the epoch."""
    return _FIRST_WINDOW + max(start_ms, 0), _FIRST_WINDOW + max(end_ms, 1)


@contextmanager
def locked(
    lock: LockFile,
    span: Range,
    *,
    what: str,
    command: str,
    wait: float,
    state: str = "is being worked on by",
    remedy: str = "let it finish, then run this again",
) -> Iterator[None]:
    """Hold `span`; wait up to `wait` seconds for it.

    Raises LockHeld, "what state HOLDER; remedy". Blocks its thread while it waits.
    """
    until = time.monotonic() + wait
    while (holder := lock.try_lock(span, command)) is not None:
        left = until - time.monotonic()
        if left <= 0:
            waited = f" after waiting {wait:.0f} s" if wait >= 1 else ""
            raise LockHeld(f"{what} {state} {holder}{waited}; {remedy}")
        time.sleep(min(_PAUSE, left))
    try:
        yield
    finally:
        lock.unlock(span)


def must_not_be_restored(store: Path, command: str, *, unless: Callable[[], None]) -> None:
    """Raise LockHeld while a restore replaces the store, after calling `unless`. For who has it open already.

    A restore that begins later finds the file open, and leaves it alone.
    """
    try:
        with locked(
            lock_file(store), RESTORE, what=str(store), command=command, wait=1.0, state="is being restored by"
        ):
            pass
    except BaseException:
        unless()
        raise
