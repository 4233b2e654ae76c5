"""Files that say where a secret goes, or what it is: used only if nobody else can have written them.

A settings file that lies in the working directory was named by nobody, so it and every folder above it must be this
user's or root's. One that was named may belong to anybody (whoever mounts it into a container), but what others than
its owner may write is not used either. Everything is asked of the descriptor that is then read.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

_ACCESS_LIST = "system.posix_acl_access"


class Untrusted(Exception):
    """Others can write a file; the message says who and how to mend it."""


def read_named(path: Path) -> bytes:
    """The content of a file that a person has named. Raises OSError, Untrusted."""
    with path.open("rb") as file:
        _no_writers_but_owner(path, os.fstat(file.fileno()))
        return file.read()


def read_found(path: Path) -> bytes:
    """The content of a file that was found where the program was started. Raises OSError, Untrusted."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        _must_be_ours(path, found, "name it with --config if it is to be used")
        _no_writers_but_owner(path, found)
        # Who may write in a folder puts another file there under this name; who may in one above, another folder.
        real = path.resolve()
        for folder in dict.fromkeys((path.parent, *real.parents)):
            about = folder.stat()
            _must_be_ours(folder, about, f"name {path.name} with --config if it is to be used")
            if not about.st_mode & stat.S_ISVTX:  # in such a folder nobody renames what is another's
                _no_writers_but_owner(folder, about)
        return file.read()


def is_private(path: Path) -> bool:
    """Tell whether none but its owner can read a file."""
    found = path.stat()
    return not found.st_mode & (stat.S_IROTH | stat.S_IRGRP) or _is_group_of_one(path, found, stat.S_IROTH)


def _must_be_ours(path: Path, found: os.stat_result, mend: str) -> None:
    if found.st_uid not in (os.geteuid(), 0):
        raise Untrusted(f"{path} belongs to {owner(found)}, who can write in it; {mend}")


def _no_writers_but_owner(path: Path, found: os.stat_result) -> None:
    others = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    if others and not _is_group_of_one(path, found, stat.S_IWOTH):
        raise Untrusted(f"{path} can be written by others; `chmod go-w {path}`")


def _is_group_of_one(path: Path, found: os.stat_result, others: int) -> bool:
    """Tell whether what the group may, only its owner may: many systems give each user a group of its own."""
    if found.st_mode & others:
        return False
    try:
        user, group = pwd.getpwuid(found.st_uid), grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    if user.pw_gid != found.st_gid or user.pw_name != group.gr_name or set(group.gr_mem) - {user.pw_name}:
        return False
    try:
        # Where there is a list of access rights, the group's bits stand for everybody in it.
        return _ACCESS_LIST not in os.listxattr(path)
    except (OSError, AttributeError):
        return True


def owner(found: os.stat_result) -> str:
    """The name of the user whose file it is; the number where there is none."""
    try:
        return pwd.getpwuid(found.st_uid).pw_name
    except KeyError:
        return f"user {found.st_uid}"
