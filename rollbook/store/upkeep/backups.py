"""Backups of a store: where one goes, which of a folder are its own, when the next is due, and which are let go."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from rollbook.genesys.errors import UsageError
from rollbook.store.file import connections, locks
from rollbook.store.file.copying import Copied, Manner, copy, need_folder, organization_of
from rollbook.store.file.errors import SQLITE_FAILS, StoreError, StoreForeign, translate

_STAMP: Final = "%Y%m%dT%H%M%SZ"
# Files that belong to a store beside it; none of them is the name of a backup.
_BESIDE: Final = ("", "-wal", "-shm", "-journal", "-lock", "-key")


class Kept(NamedTuple):
    """A backup in a folder, and the time that its name says."""

    at: datetime
    path: Path


# Decisions


def file_name(store: Path, at: datetime) -> str:
    """The name of a backup in a folder: `rollbook-20260302T020000Z.db`."""
    return f"{store.stem}-{at.astimezone(UTC):{_STAMP}}{store.suffix}"


def named_in(names: Sequence[Path], store: Path) -> list[Kept]:
    """The files among these that bear the name of a backup of `store`, oldest first."""
    name = re.compile(rf"{re.escape(store.stem)}-(\d{{8}}T\d{{6}}Z){re.escape(store.suffix)}")
    found = []
    for path in names:
        if (match := name.fullmatch(path.name)) is not None:
            try:
                at = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
            except ValueError:
                continue
            found.append(Kept(at, path))
    return sorted(found)


def is_due(last: datetime | None, now: datetime, at: time) -> bool:
    """Say whether the day's backup is still to be made. at: the time of day, UTC, that it belongs to."""
    today = datetime.combine(now.astimezone(UTC).date(), at, UTC)
    latest = today if today <= now else today - timedelta(days=1)
    return last is None or last < latest


def to_let_go(kept: Sequence[Kept], keep: int) -> list[Kept]:
    """The backups, oldest first, beyond the newest `keep`."""
    return list(kept[: max(len(kept) - keep, 0)])


# Files


def back_up(
    store: Path, to: Path, *, at: datetime, how: Manner, command: str = "rollbook backup", into_folder: bool = False
) -> Copied:
    """Copy the store to the file `to`, or into the folder `to` under a dated name. Others may go on writing.

    into_folder: `to` must be a folder. Raises StoreError, UsageError, and LockHeld while another backup is under way.
    """
    if into_folder:
        # A folder that is not there is never made: it may be the point of a disk that is not mounted now.
        need_folder(to)
    target = _target(store, to, at)
    with (
        closing(connections.connect_reader(store, older=True)) as known,
        locks.locked(
            locks.lock_file(store),
            locks.BACKUP,
            what=str(store),
            command=command,
            wait=0.0,
            state="is being backed up by",
        ),
    ):
        _may_be_replaced(target, organization_of(known))
        return copy(lambda: connections.connect_reader(store, older=True), store, target, how)


def _target(store: Path, to: Path, at: datetime) -> Path:
    target = to / file_name(store, at) if to.is_dir() else to
    resolved, own = target.resolve(), store.resolve()
    if any(resolved == Path(f"{own}{suffix}") for suffix in _BESIDE) or _same(target, store):
        raise UsageError(f"{to} is the store itself; give the backup another name, or a folder")
    if target.exists() and not target.is_file():
        raise UsageError(f"{to} is no file; give the backup the name of a file or a folder")
    need_folder(target.parent)
    return target


def _same(path: Path, other: Path) -> bool:
    return path.exists() and other.exists() and path.samefile(other)


def _may_be_replaced(target: Path, organization: tuple[str, str] | None) -> None:
    """Raise StoreForeign unless there is nothing, or an earlier backup of the same organisation that nobody uses."""
    if not target.exists():
        return
    try:
        with closing(connections.connect_reader(target, older=True)) as there:
            theirs = organization_of(there)
    except StoreError:
        raise StoreForeign(f"{target} is there already, and is no backup of a store; choose another name") from None
    if theirs != organization:
        raise StoreForeign(f"{target} is there already, and belongs to another organisation; choose another name")
    if any(Path(f"{target}{suffix}").exists() for suffix in ("-wal", "-lock")):
        raise StoreForeign(f"{target} is there already, and is a store in use; choose another name")


def backups_of(store: Path, folder: Path) -> list[Kept]:
    """The backups of this store in a folder, oldest first: by their names, and by the organisation that is in them."""
    try:
        named = named_in(list(folder.iterdir()), store)
        organization = _organization(store)
    except (OSError, StoreError):
        return []
    return [kept for kept in named if _organization_or_none(kept.path) == organization]


def _organization(path: Path) -> tuple[str, str] | None:
    try:
        with closing(connections.connect_reader(path, older=True)) as connection:
            return organization_of(connection)
    except SQLITE_FAILS as error:
        raise translate(error, path) from None


def _organization_or_none(path: Path) -> tuple[str, str] | None:
    try:
        return _organization(path)
    except StoreError:
        return None


def let_go(store: Path, folder: Path, keep: int) -> list[Path]:
    """Remove the backups of this store in a folder beyond the newest `keep`; answers which."""
    removed = []
    for kept in to_let_go(backups_of(store, folder), keep):
        kept.path.unlink()
        removed.append(kept.path)
    return removed
