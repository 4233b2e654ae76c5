"""Files of a store that somebody else could have made, could lead elsewhere or could change are not written to."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from rollbook.store.book import Book
from rollbook.store.file import connections
from rollbook.store.file.errors import StoreUnwritable
from rollbook.store.file.locks import lock_file

SOMEBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store of this user, closed."""
    folder = tmp_path / "place"
    folder.mkdir()
    made = folder / "rollbook.db"
    Book.open(made, organization=("o", "Organisation")).close()
    return made


@pytest.fixture
def given_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a file another user's: by its owner where this user may, else by who this user seems to be."""

    def give(file: Path) -> None:
        if os.geteuid() == 0:
            os.chown(file, SOMEBODY, -1, follow_symlinks=False)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)

    return give


def why_not(path: Path) -> str:
    """The error about a store that is opened to write."""
    with pytest.raises(StoreUnwritable) as caught:
        Book.open(path).close()
    return str(caught.value)


@pytest.mark.parametrize("mode", [0o666, 0o606, 0o660, 0o644, 0o604])
def test_a_store_that_is_open_to_others_is_not_filled(mode: int, path: Path) -> None:
    """The line says how to close it; once it is closed, it is used."""
    path.chmod(mode)
    assert f"is open to other users; `chmod 600 {path}`" in why_not(path)
    path.chmod(0o600)
    Book.open(path).close()


def test_an_empty_file_that_lies_open_is_not_filled(tmp_path: Path) -> None:
    """Whoever makes the file first, and open, would have what is written to it."""
    path = tmp_path / "rollbook.db"
    path.touch()
    path.chmod(0o666)
    assert "is open to other users" in why_not(path)
    assert path.stat().st_size == 0


def test_a_store_of_another_user_is_not_filled(path: Path, given_away: Callable[[Path], None]) -> None:
    """It is theirs, closed or not, whoever asks."""
    given_away(path)
    assert "belongs to" in why_not(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look after another user's store")
def test_root_looks_after_the_store_of_a_service(path: Path) -> None:
    """In a folder of the service's own user; nothing that is made there is root's afterwards, and locks nobody out."""
    for file in (path.parent, *path.parent.iterdir()):
        os.chown(file, SOMEBODY, -1)
    Path(f"{path}-lock").unlink()
    with Book.open(path) as book, book.lock_daemon():
        owners = {file.name: file.stat().st_uid for file in path.parent.iterdir()}
    assert set(owners.values()) == {SOMEBODY}
    assert {"rollbook.db-wal", "rollbook.db-lock"} <= set(owners)


@pytest.mark.parametrize("name", ["-wal", "-shm", "-journal"])
@pytest.mark.parametrize("kind", ["open", "foreign", "link", "dangling", "pipe"])
def test_a_journal_that_somebody_has_put_there_is_not_used(
    name: str, kind: str, path: Path, tmp_path: Path, given_away: Callable[[Path], None]
) -> None:
    """What SQLite would open beside the store by its name is looked at, and what a link leads to stays as it was."""
    beside, victim = Path(f"{path}{name}"), tmp_path / "victim"
    victim.write_text("precious")
    if kind == "pipe":
        os.mkfifo(beside)
    elif kind == "link":
        beside.symlink_to(victim)
    elif kind == "dangling":
        beside.symlink_to(tmp_path / "made-by-a-link")
    else:
        beside.touch()
        if kind == "open":
            beside.chmod(0o666)
        else:
            given_away(beside)
    said = why_not(path)
    assert str(beside) in said or (kind == "foreign" and os.geteuid() != 0 and str(path) in said)
    assert victim.read_text() == "precious"
    assert not (tmp_path / "made-by-a-link").exists()
    if kind in ("link", "dangling", "pipe"):
        with pytest.raises(StoreUnwritable):
            Book.open(path, mode="ro")


@pytest.mark.parametrize("target", ["store", "nothing", "other"])
def test_a_store_is_not_used_through_a_link(target: str, path: Path, tmp_path: Path) -> None:
    """Neither to write nor to read; the line names the file itself, and what the link leads to is left alone."""
    other = tmp_path / "other.txt"
    other.write_text("precious")
    leads = {"store": path, "nothing": tmp_path / "new.db", "other": other}[target]
    link = tmp_path / "link.db"
    link.symlink_to(leads)
    assert f"is a link, and a store is not used through links; name the file itself: --db {leads}" in why_not(link)
    with pytest.raises(StoreUnwritable, match="is a link"):
        Book.open(link, mode="ro")
    assert other.read_text() == "precious"
    assert not (tmp_path / "new.db").exists()


def test_a_folder_in_which_everybody_may_replace_files_is_not_used(path: Path) -> None:
    """But one in which nobody replaces what is another's, such as /tmp, will do."""
    path.parent.chmod(0o777)
    assert "everybody can replace the files" in why_not(path)
    assert "everybody can replace the files" in why_not(path.with_name("new.db"))
    assert not path.with_name("new.db").exists()
    path.parent.chmod(0o1777)
    Book.open(path).close()
    path.parent.chmod(0o700)


@pytest.mark.parametrize("target", ["victim", "nothing"])
def test_a_lock_is_not_made_through_a_link(target: str, path: Path, tmp_path: Path) -> None:
    """What the link leads to is neither made nor opened."""
    lock = Path(f"{path}-lock")
    lock.unlink(missing_ok=True)
    lock.symlink_to(tmp_path / target)
    (tmp_path / "victim").write_text("precious")
    with pytest.raises(StoreUnwritable, match="is a link"):
        lock_file(path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["place", "victim"]


def test_a_lock_that_lies_open_is_closed_or_refused(path: Path, given_away: Callable[[Path], None]) -> None:
    """Our own gets its mode back; another user's would let them stop every run."""
    lock = Path(f"{path}-lock")
    lock.unlink(missing_ok=True)
    lock.touch()
    lock.chmod(0o666)
    with Book.open(path) as book, book.lock_daemon():
        assert lock.stat().st_mode & 0o777 == 0o600
    lock.unlink()
    lock.touch()
    lock.chmod(0o666)
    given_away(lock)
    with pytest.raises(StoreUnwritable, match="open to other users"):
        lock_file(path)


def test_rights_of_another_machines_file_system_are_its_own(
    path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """On a network's file system everything may seem to be somebody's, and open: links are refused there too."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"server:/x {path.parent} nfs4 rw 0 0\n")
    monkeypatch.setattr(connections, "_MOUNTS", mounts)
    path.chmod(0o666)
    Book.open(path).close()
    link = path.with_name("link.db")
    link.symlink_to(path)
    assert "is a link" in why_not(link)


def test_everything_that_a_store_makes_is_closed(path: Path) -> None:
    """Whatever the process' umask is, the file, its logs and its lock are their owner's alone."""
    before = os.umask(0)
    try:
        fresh = path.with_name("fresh.db")
        with Book.open(fresh, organization=("o", "O")) as book, book.lock_daemon():
            modes = {file.name: file.stat().st_mode & 0o777 for file in fresh.parent.glob("fresh.db*")}
    finally:
        os.umask(before)
    assert set(modes.values()) == {0o600}
    assert {"fresh.db", "fresh.db-wal", "fresh.db-lock"} <= set(modes)
    with closing(sqlite3.connect(fresh)) as db:
        assert db.execute("SELECT count(*) FROM events").fetchone() == (0,)
