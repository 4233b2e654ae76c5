"""Files that decide about a secret are not used where others could have written them."""

import grp
import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest

from rollbook.genesys.errors import SettingsError
from rollbook.genesys.program import named_secrets, trusted_files
from rollbook.genesys.program.settings import load

SOMEBODY = 65_534


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of this user, with a settings file in it."""
    made = tmp_path / "place"
    made.mkdir(mode=0o700)
    file = made / "rollbook.toml"
    file.write_text('[genesys]\nregion = "eu-west-1"\n')
    file.chmod(0o600)
    return made


@pytest.fixture
def given_away(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], None]:
    """Make a path another user's: by its owner where this user may, else by who this user seems to be."""

    def give(path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, SOMEBODY, -1)
        else:
            monkeypatch.setattr(os, "geteuid", lambda: SOMEBODY)

    return give


def why_not(cwd: Path, **given: object) -> str:
    """The error about a settings file."""
    with pytest.raises(SettingsError, match="the settings file is not used") as caught:
        load(flags=given, env={}, cwd=cwd)
    return str(caught.value)


def test_a_file_of_this_user_is_used(folder: Path) -> None:
    """Closed or readable by others: what nobody else can write says where to go."""
    assert load(env={}, cwd=folder).region == "eu-west-1"
    (folder / "rollbook.toml").chmod(0o644)
    folder.chmod(0o755)
    assert load(env={}, cwd=folder).region == "eu-west-1"


@pytest.mark.parametrize("mode", [0o602, 0o666, 0o646])
def test_a_file_that_others_can_write_is_not_used(mode: int, folder: Path) -> None:
    """Whether it was found or named: the line says how to mend it."""
    (folder / "rollbook.toml").chmod(mode)
    for said in (why_not(folder), why_not(folder, config=folder / "rollbook.toml")):
        assert "can be written by others; `chmod go-w " in said


@pytest.mark.parametrize("place", ["folder", "above"])
def test_a_folder_that_others_can_write_makes_no_settings(place: str, folder: Path, tmp_path: Path) -> None:
    """Who may write in the folder, or in one above it, could put another file there; a named file is looked at alone."""
    (folder if place == "folder" else tmp_path).chmod(0o777)
    assert "can be written by others" in why_not(folder)
    assert load(flags={"config": folder / "rollbook.toml"}, env={}, cwd=tmp_path).region == "eu-west-1"
    (folder if place == "folder" else tmp_path).chmod(0o1777)
    assert load(env={}, cwd=folder).region == "eu-west-1"


@pytest.mark.parametrize("place", ["file", "folder"])
def test_what_belongs_to_another_user_makes_no_settings(
    place: str, folder: Path, given_away: Callable[[Path], None]
) -> None:
    """In somebody else's folder their file is not used, until it is named: whoever names it has chosen it."""
    given_away(folder / "rollbook.toml" if place == "file" else folder)
    assert "belongs to" in why_not(folder)
    assert load(env={"ROLLBOOK_CONFIG": "rollbook.toml"}, cwd=folder).region == "eu-west-1"


def test_a_link_is_judged_by_where_it_leads(folder: Path, tmp_path: Path) -> None:
    """A link to a file in a folder that others can write is as good as that folder."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (folder / "rollbook.toml").rename(shared / "real.toml")
    (folder / "rollbook.toml").symlink_to(shared / "real.toml")
    assert load(env={}, cwd=folder).region == "eu-west-1"
    shared.chmod(0o777)
    assert "can be written by others" in why_not(folder)


def test_a_group_of_one_is_no_other(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each user has a group of its own, that group may write; a group with members may not."""
    file = folder / "rollbook.toml"
    file.chmod(0o660)
    owner, group = file.stat().st_uid, file.stat().st_gid
    members: list[str] = []
    user = type("User", (), {"pw_name": "ada", "pw_gid": group})
    alone = type("Group", (), {"gr_name": "ada", "gr_mem": members})
    monkeypatch.setattr(pwd, "getpwuid", {owner: user}.__getitem__)
    monkeypatch.setattr(grp, "getgrgid", {group: alone}.__getitem__)
    assert load(env={}, cwd=folder).region == "eu-west-1"
    members.append("eve")
    assert "can be written by others" in why_not(folder)


def test_a_secret_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    """A file that others can read is the user's own choice (a container's secrets are so); one to be written is not."""
    file = tmp_path / "secret"
    file.write_text("s3cret\n")
    file.chmod(0o644)
    reference = f"file:{file}"
    assert named_secrets.resolve(reference) == "s3cret"
    assert not trusted_files.is_private(file)
    named_secrets.forget(reference)
    file.chmod(0o606)
    with pytest.raises(SettingsError, match="can be written by others") as caught:
        named_secrets.resolve(reference)
    assert "s3cret" not in str(caught.value)


def test_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`credential:NAME` is the file of that name among those that systemd gives the service, and no other."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(SettingsError, match="LoadCredential=secret:PATH"):
        named_secrets.resolve("credential:secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "secret").write_text('{"key": "s3cret"}')
    (tmp_path / "secret").chmod(0o400)
    assert named_secrets.is_reference("credential:secret")
    assert named_secrets.resolve("credential:secret#key") == "s3cret"
    named_secrets.forget("credential:secret#key")
    for name in ("../secret", "..", "a/b"):
        with pytest.raises(SettingsError, match="a name and no path"):
            named_secrets.resolve(f"credential:{name}")
