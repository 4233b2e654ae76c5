"""Files that only this user can have made and can change: the store, its logs, its lock. Nothing else is written to.

A store that somebody else has put there would be filled for them; a link beside it leads what is written elsewhere. So
each is looked at before it is opened: a plain file and no link, this user's own, with no rights for others, in a folder
in which nobody else can replace it. root may also look after a service's store: one in a folder of that service's own
user, whom nobody else can be. A file system on another machine has owners and rights of its own (an access point
on AWS gives all files to a user of its own, a Windows share shows rights for everybody), which are not asked about.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from rollbook.store.file.errors import StoreUnwritable, owner_of

# What is opened beside a store by its name: by SQLite, and the key of those who were erased.
BESIDE: Final = ("-wal", "-shm", "-journal", "-key")


def must_be_no_link(path: Path) -> None:
    """Raise StoreUnwritable if the store, or a file that is opened beside it, is no plain file."""
    for file in (path, *(Path(f"{path}{name}") for name in BESIDE)):
        found = _found(file)
        if found is None or stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode):
            continue
        if stat.S_ISLNK(found.st_mode):
            mend = f"name the file itself: --db {file.resolve()}" if file == path else "take the link away"
            raise StoreUnwritable(f"{file} is a link, and a store is not used through links; {mend}")
        raise StoreUnwritable(f"{file} is no plain file; choose another path with --db")


def must_be_own(path: Path, *, is_elsewhere: Callable[[], bool]) -> None:
    """Raise StoreUnwritable unless the store, and what is beside it, are this user's alone. Links were refused before.

    is_elsewhere: tells whether the file system is another machine's.
    """
    files = {file: _found(file) for file in (path, *(Path(f"{path}{name}") for name in BESIDE))}
    if not is_elsewhere():
        for file, found in files.items():
            if found is not None:
                _check(file, found)
    must_be_safe_folder(path.resolve().parent)


def must_be_safe_folder(folder: Path) -> None:
    """Raise StoreUnwritable for a folder in which every user can replace the files of others."""
    mode = folder.stat().st_mode
    if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
        raise StoreUnwritable(
            f"everybody can replace the files in {folder}; `chmod o-w {folder}`, or give --db another path"
        )


def _check(path: Path, found: os.stat_result) -> None:
    looks_after = os.geteuid() == 0 and found.st_uid == path.resolve().parent.stat().st_uid
    if found.st_uid != os.geteuid() and not looks_after:
        whose = owner_of(path)
        raise StoreUnwritable(
            f"{path} belongs to {whose}, who can change it; run this as {whose}, or give --db another path"
        )
    if found.st_mode & 0o077:
        raise StoreUnwritable(f"{path} is open to other users; `chmod 600 {path}`, if what is in it is yours")


def _found(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except OSError:
        return None  # it is not there, or opening it will say why not
