"""Opening the file: who may, how it is made, how every connection is set. Knows no table but by asking the schema."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final, Literal
from urllib.parse import quote

from rollbook.store.bodies import packing
from rollbook.store.bodies.packing import PackingConnection
from rollbook.store.file import own_files, upgrade
from rollbook.store.file.errors import SQLITE_FAILS, StoreDamaged, StoreForeign, StoreUnwritable, owner_of, translate
from rollbook.store.file.locks import MIGRATION, lock_file, locked
from rollbook.store.file.transactions import transaction
from rollbook.store.file.waiting import Patience
from rollbook.store.file.ways import Ways
from rollbook.store.tables import notes, schema

# How long a transaction waits for another process' transaction. Ours last milliseconds.
BUSY_SECONDS: Final = 60.0
# A checkpoint rewrites pages that the next one rewrites again; but a rare one takes long, and who reads meanwhile has
# nothing left to do before it ends (docs/performance.md). 1,000 pages are 8 MB of log; what it grows beyond them is
# given back at the next checkpoint.
CHECKPOINT_PAGES: Final = 1_000
# With pages of 4 KB a session's row spills over into a page of its own: the file is twice as large and a write takes
# 1.3 times as long (docs/performance.md).
PAGE_BYTES: Final = 8192
# What a transaction of four pages of details touches (docs/performance.md). In SQLite's 2 MB it spills into the log
# before it is committed. A cache that is larger gains nothing: rows are appended, and few pages are written twice. It
# fills as it is used, and is kept until the file is closed.
CACHE_KILOBYTES: Final = 12_000
SQLITE_VERSION: Final = sqlite3.sqlite_version
# The smallest page that SQLite has.
_SMALLEST: Final = 512


def sqlite_race(version: str) -> str:
    """The warning for an SQLite version that has a race between a checkpoint and another connection's write, else "".

    Mended in 3.51.3, and in 3.50.7 and 3.44.6 of their lines.
    Ours has one connection that checkpoints, which avoids it.
    """
    numbers = tuple(int(part) for part in version.split(".")[:3])
    mended = numbers >= (3, 51, 3) or (3, 50, 7) <= numbers < (3, 51) or (3, 44, 6) <= numbers < (3, 45)
    if mended:
        return ""
    return "write to this file with rollbook only while it runs (SQLite before 3.51.3 has a race in its WAL)"


# File systems on other machines: a write-ahead log needs memory that all who use the file share.
_ELSEWHERE: Final = frozenset(
    {
        "nfs",
        "nfs4",
        "efs",
        "cifs",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "lustre",
        "glusterfs",
        "fuse.glusterfs",
        "fuse.sshfs",
        "fuse.s3fs",
        "fuse.mount-s3",
    }
)
_MOUNTS: Final = Path("/proc/self/mounts")


def network_file_system(path: Path, mounts: str) -> str | None:
    """The kind of network file system that `path` is on; None if it is on a local one.

    mounts: as /proc/self/mounts has them.
    """
    found, longest = "", -1
    for line in mounts.splitlines():
        point, kind = [*line.split(" "), "", ""][1:3]
        point = point.replace("\\040", " ")
        if len(point) >= longest and path.is_relative_to(point or "/"):
            found, longest = kind, len(point)
    return found if found in _ELSEWHERE else None


def _file_system_elsewhere(path: Path) -> str | None:
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace")
    except OSError:
        mounts = ""  # no Linux
    return network_file_system(path.resolve(), mounts)


def choose_journal(path: Path, asked: Literal["wal", "delete"] | None) -> Literal["wal", "delete"]:
    """The journal to use. Raises StoreUnwritable if a write-ahead log is asked for where it cannot work."""
    kind = _file_system_elsewhere(path)
    if kind is None:
        return asked or "wal"
    if asked == "wal":
        raise StoreUnwritable(
            f"{path} is on a network file system ({kind}), where a write-ahead log does not work; leave journal (or"
            " ROLLBOOK_JOURNAL) unset, or put the store on a local disk"
        )
    return "delete"


def prepare(
    path: Path,
    *,
    organization: tuple[str, str] | None,
    journal: str,
    patience: Patience,
    pack: packing.Mode = "none",
) -> None:
    """Make sure that `path` is a store of this version, ours, and of this organisation. Creates it if need be.

    pack: which bodies are packed where an older store is moved to a new file.
    Raises StoreUnwritable, StoreForeign, StoreBusy, StoreFull.
    """
    _create(path)
    ways = Ways(
        connect=lambda file: connect(file, journal=journal, timeout=patience.step),
        reader=lambda file: connect_reader(file, older=True),
        journal=journal,
        pack=pack,
        stop=patience.hurry,
    )

    def check() -> None:
        connection = ways.connect(path)
        try:
            must_have_its_log(connection, path)
            recognise(connection, path)
            if upgrade.is_needed(connection, path):
                # It may be another file afterwards, and whoever waits for the lock must not have it open.
                notes.settle(connection)
                connection.close()
                with locked(
                    lock_file(path), MIGRATION, what=str(path), command="creating its tables", wait=BUSY_SECONDS
                ):
                    upgrade.bring_up_to_date(path, ways)
                connection = ways.connect(path)
            _set_journal(connection, path, journal)
            if organization is not None:
                _remember(connection, path, organization)
            notes.settle(connection)
        finally:
            connection.close()

    try:
        patience.spend_on(check)
    except SQLITE_FAILS as error:
        raise translate(error, path) from None


def _create(path: Path) -> None:
    _must_be_a_file(path)
    if upgrade.is_there(path):
        _must_be_usable(path)
        return
    if path.parent.is_dir():
        own_files.must_be_safe_folder(path.parent)
    try:
        # Before SQLite sees it: the file is its owner's alone, and so are the -wal and -shm files, which take its mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        _must_be_usable(path)
    except FileNotFoundError:
        raise StoreUnwritable(f"{path}: the folder {path.parent} does not exist; make it, or give --db") from None
    except OSError as error:
        raise StoreUnwritable(f"{path}: cannot be created ({error.strerror}); choose another path with --db") from None


def _must_be_usable(path: Path) -> None:
    if not os.access(path, os.R_OK | os.W_OK):
        raise StoreUnwritable(
            f"{path} cannot be read and written by this user; run this as {owner_of(path)}, or check its permissions"
        )
    must_be_own(path)
    _look_at_size(path)


def must_be_own(path: Path) -> None:
    """Raise StoreUnwritable unless the store, and what is beside it, are this user's alone."""
    own_files.must_be_own(path, is_elsewhere=lambda: _file_system_elsewhere(path) is not None)


def _must_be_a_file(path: Path) -> None:
    try:
        is_folder = path.is_dir()
    except PermissionError:
        folder = path.parent
        raise StoreUnwritable(
            f"{path}: this user may not look into {folder}; run this as {owner_of(folder)}, or check its permissions"
        ) from None
    if is_folder:
        raise StoreUnwritable(f"{path} is a folder; --db takes the path of a file")
    own_files.must_be_no_link(path)


def _look_at_size(path: Path) -> None:
    """Refuse a file that is too small to be a database: SQLite takes it for an empty one and writes over it.

    Its size is asked for, it is not opened: when a process closes any descriptor of a file, the kernel drops all the
    locks that the process has on it, SQLite's too. Another process would then believe itself alone, and take the
    write-ahead log away with what is in it (https://sqlite.org/howtocorrupt.html, 2.2).
    """
    if 0 < path.stat().st_size < _SMALLEST:
        raise StoreForeign(f"{path} is not an SQLite file; choose another path with --db")


def _set_journal(connection: sqlite3.Connection, path: Path, journal: str) -> None:
    mode = connection.execute(f"PRAGMA journal_mode = {journal}").fetchone()[0]
    if mode != journal:
        raise StoreUnwritable(f"{path}: this file system cannot keep a {journal} journal (it is in {mode} mode)")


def must_be_ours(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreForeign unless the file is empty, or a store of any version."""
    application, _, empty = schema.version_of(connection)
    if application != schema.APPLICATION_ID and not (empty and application == 0):
        # Between two steps of its own creation a store is neither empty nor marked: the step is one transaction.
        raise StoreForeign(f"{path} is an SQLite file of another program; choose another path with --db")


def recognise(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreForeign unless the file is empty, or a store of this version or an older one."""
    must_be_ours(connection, path)
    version = schema.version_of(connection)[1]
    if version > schema.VERSION:
        needs = f" and needs rollbook {needed} or newer" if (needed := notes.read(connection, notes.NEEDS)) else ""
        ours = f", which is {known}" if (known := schema.our_version()) else ""
        raise StoreForeign(
            f"{path} was written by a newer rollbook{needs}; update this one{ours} (pip install -U rollbook)"
        )


def must_have_its_log(connection: sqlite3.Connection, path: Path) -> None:
    """Raise StoreDamaged for a file that was copied without its log while somebody used it (`checkpointer.py`)."""
    # The log is looked for afterwards: reading makes an empty one, and who has marked the file just now has a full one.
    if notes.read(connection, notes.IN_LOG) == "1" and not _has_log(path):
        raise StoreDamaged(
            f"{path} is a plain copy of a store in use: what was committed last is not in it, and it may be damaged."
            " Make copies with `rollbook backup`; to use what is in this one, put it in place with"
            f" `rollbook restore {path} --as-it-is`"
        )


def _remember(connection: sqlite3.Connection, path: Path, organization: tuple[str, str]) -> None:
    ours, name = organization
    # Every start but the first has nothing to write, and need not wait for whoever writes.
    if not ours:
        raise StoreForeign("the platform named no organisation; a store is bound to none without an id")
    if connection.execute("SELECT id FROM organization").fetchone() == (ours,):
        return
    with transaction(connection):
        known = schema.organization(connection)
        heard_of = notes.read(connection, notes.EVENTS_OF)
        if heard_of is not None and heard_of != ours.lower():
            raise StoreForeign(
                f"{path} has events of the organisation {heard_of}, and these credentials belong to {name} ({ours});"
                " give each organisation a file of its own with --db"
            )
        if known is not None and not known[0]:
            # An answer without an id has bound it once; that is no organisation.
            connection.execute("UPDATE organization SET id = ?, name = ?", (ours, name))
        elif known is None:
            connection.execute("INSERT INTO organization (id, name) VALUES (?, ?)", (ours, name))
        elif known[0] != ours:
            raise StoreForeign(
                f"{path} belongs to the organisation {known[1]} ({known[0]}), and these credentials to {name} ({ours});"
                " give each organisation a file of its own with --db"
            )
        notes.drop(connection, notes.EVENTS_OF)


def connect(path: Path, *, journal: str, timeout: float) -> PackingConnection:
    """A connection that writes. Durable: an answered commit survives a power cut. It never checkpoints by itself."""
    connection = sqlite3.connect(
        path,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=1024,
        factory=PackingConnection,
    )
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")  # of a new file; an existing one keeps its own
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    # While somebody reads, the log cannot begin again and grows; when it can, what is more than this is given back.
    connection.execute(f"PRAGMA journal_size_limit = {CHECKPOINT_PAGES * PAGE_BYTES}")
    connection.execute(f"PRAGMA cache_size = -{CACHE_KILOBYTES}")
    connection.execute("PRAGMA temp_store = MEMORY")
    # What is deleted is overwritten where that costs no write of its own, whatever SQLite's build does: what an erasure
    # takes must not be left between the rows of a page by an earlier update.
    connection.execute("PRAGMA secure_delete = FAST")
    if journal != "wal":
        connection.execute(f"PRAGMA journal_mode = {journal}")
    return connection


def is_there(path: Path) -> bool:
    """Tell whether there is a file. Raises StoreUnwritable where it is a folder, or this user may not look."""
    _must_be_a_file(path)
    return path.exists()


def must_be_there(path: Path) -> None:
    """Raise StoreUnwritable where there is no file."""
    if not is_there(path) and not upgrade.is_there(path):
        raise StoreUnwritable(
            f"there is no store at {path}; `rollbook run` or `reconcile` make one, --db names another"
        )


def connect_reader(
    path: Path, *, timeout: float = BUSY_SECONDS, older: bool = False, as_it_is: bool = False
) -> sqlite3.Connection:
    """A connection that cannot write. older: a store that an earlier version wrote will do, too.

    as_it_is: so will a plain copy of a store that was in use.
    Raises StoreUnwritable where there is no file, StoreForeign if it is not ours.
    """
    must_be_there(path)
    if not os.access(path, os.R_OK):
        raise StoreUnwritable(f"{path} cannot be read by this user; run this as {owner_of(path)}")
    _look_at_size(path)
    try:
        try:
            return _reading(path, "mode=ro", timeout, older, as_it_is)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):
                raise
            # Readers of a write-ahead log note beside the store how far they are, and here they may not. Where the log
            # holds nothing, all is in the file itself.
            if _has_log(path):
                raise StoreUnwritable(
                    f"{path} cannot be read by a user who may not write in {path.resolve().parent} while its log holds"
                    f" something; run this as {owner_of(path)}"
                ) from None
            return _reading(path, "mode=ro&immutable=1", timeout, older, as_it_is)
    except SQLITE_FAILS as error:
        raise translate(error, path) from None


def _has_log(path: Path) -> bool:
    logs = (Path(f"{path.resolve()}-{name}") for name in ("wal", "journal"))
    return any(log.exists() and log.stat().st_size > 0 for log in logs)


def _reading(path: Path, how: str, timeout: float, older: bool, as_it_is: bool) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(str(path.resolve()))}?{how}",
        uri=True,
        timeout=timeout,
        isolation_level=None,
        check_same_thread=False,
        factory=PackingConnection,
    )
    try:
        _must_be_readable(connection, path, older)
        if not as_it_is:
            must_have_its_log(connection, path)
    except BaseException:
        connection.close()
        raise
    connection.execute("PRAGMA query_only = 1")
    return connection


def _must_be_readable(connection: sqlite3.Connection, path: Path, older: bool) -> None:
    recognise(connection, path)
    _, version, empty = schema.version_of(connection)
    if empty:
        raise StoreForeign(f"{path} is empty; `rollbook run` or `reconcile` fill it, --db names another")
    if version < schema.VERSION and not older:
        raise StoreUnwritable(
            f"{path} was written by an earlier version of rollbook, and this one reads more of it than is there;"
            " `rollbook run`, `reconcile` or `rollbook rebuild` bring it up to date"
        )
