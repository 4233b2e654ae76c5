"""Places that an export goes to: a folder here, and what any other place must be able to do.

Files are made aside, in a folder that nobody else looks into, and get their names whole.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.store.file import locks
from rollbook.store.file.copying import need_folder, sync_file, sync_folder

_ASIDE: Final = ".export"


class ExportFailed(RollbookError):
    """The export cannot be written where it should go."""


class ExportPlace(Protocol):
    """A place that an export goes to. name: as a person wrote it. aside: where files are made, emptied by each run."""

    name: str
    aside: Path

    def read(self, path: str) -> bytes | None:
        """The content of a small file; None where there is none."""

    def has(self, path: str, size: int, digest: str) -> bool:
        """Tell whether the file is there, with this content. digest: SHA-256, hexadecimal."""

    def put(self, made: Path, path: str, digest: str) -> None:
        """Give a file that was made aside its name, whole or not at all; one of that name is replaced."""


class Folder:
    """A folder on a disk of this machine. It is made where only itself is missing."""

    def __init__(self, path: Path) -> None:
        self.name = str(path)
        self._path = path
        self.aside = path / _ASIDE
        if not path.exists():
            need_folder(path.parent)
            path.mkdir()
        if not path.is_dir():
            raise UsageError(f"{path} is no folder; --to takes a folder, or s3://bucket/prefix")
        need_folder(path)

    def read(self, path: str) -> bytes | None:
        """The content of a file."""
        try:
            return (self._path / path).read_bytes()
        except FileNotFoundError:
            return None

    def has(self, path: str, size: int, digest: str) -> bool:
        """Tell whether the file is there: its bytes are read, whatever the manifest says of them."""
        there = self._path / path
        try:
            return there.stat().st_size == size and digest_of(there) == digest
        except FileNotFoundError:
            return False

    def put(self, made: Path, path: str, digest: str) -> None:
        """Rename it, after its bytes are durable."""
        del digest
        target = self._path / path
        new = not target.parent.exists()
        target.parent.mkdir(parents=True, exist_ok=True)
        sync_file(made)
        made.replace(target)
        sync_folder(target.parent)
        if new:
            sync_folder(target.parent.parent)


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def made_aside(place: ExportPlace) -> Iterator[None]:
    """Have the place alone, with an empty folder for what is made aside; what a run left that was killed is removed.

    Raises LockHeld while another export goes to the same place, ExportFailed where it cannot be written.
    """
    aside = place.aside
    with locks.locked(
        locks.lock_file(aside),
        locks.EVERYTHING,
        what=place.name,
        command="rollbook export",
        wait=0.0,
        state="is being exported to by",
    ):
        try:
            shutil.rmtree(aside, ignore_errors=True)
            # The second process of a run that was killed just now may make a file in its own folder there once more.
            aside.mkdir(mode=0o700, exist_ok=True)
            yield
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            raise ExportFailed(
                f"{place.name}: cannot be written: {error.strerror or error}{where}; mend that, and run this again"
            ) from None
        finally:
            with suppress(OSError):
                shutil.rmtree(aside)
