"""`rollbook init`: what it asks, tries, says and writes; and what it never writes."""

import asyncio
import json
import os
import re
import tomllib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from click.testing import Result

from realtime.commands import first_settings, init, options
from realtime.commands.doctor import Check
from rollbook.genesys.program.settings import load
from rollbook.simulator import Simulator
from tests.helpers.peek import command

SECRET = "GENESYSCLOUD_OAUTHCLIENT_SECRET"


@pytest.fixture
async def organisation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Simulator]:
    """A simulated organisation, whose addresses the environment names; the working directory is empty."""
    monkeypatch.chdir(tmp_path)
    for name in [variable for variable in os.environ if variable.startswith(("GENESYS", "ROLLBOOK"))]:
        monkeypatch.delenv(name)
    async with Simulator(seed=2, per_hour=0, start=datetime.now(UTC) - timedelta(hours=1)) as simulator:
        simulator.clock.advance(datetime.now(UTC) - simulator.now())
        for name in ("GENESYSCLOUD_API_URL", "GENESYSCLOUD_LOGIN_URL"):
            monkeypatch.setenv(name, simulator.env[name])
        yield simulator


async def run(*words: str, typed: str = "") -> Result:
    """The command with these options, while somebody types these lines."""
    return await asyncio.to_thread(partial(command, options.init, list(words), input=typed))


async def test_what_somebody_types_is_tried_and_written_without_the_secret(
    organisation: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a wrong secret it asks again; then the file is there, for its owner alone, and the secret is nowhere."""
    monkeypatch.setattr(init, "_is_person", lambda: True)
    client, secret = organisation.env["GENESYSCLOUD_OAUTHCLIENT_ID"], organisation.env[SECRET]
    ran = await run(typed="\n".join([client, "very-wrong-secret", "n", "y", client, secret, ""]))
    assert ran.exit_code == 0, ran.output
    path = tmp_path / "rollbook.toml"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    text = path.read_text()
    assert secret not in text + ran.output
    assert "very-wrong-secret" not in ran.output
    assert client not in text
    shown = " ".join(ran.output.split())
    assert "refuses these credentials" in shown
    assert "live: conversations of every queue" in shown
    assert "what lies in other divisions than these" in shown
    assert max(map(len, ran.output.splitlines())) <= 80 or str(tmp_path) in ran.output
    settings = load(env={}, cwd=tmp_path)
    assert (settings.api_url, settings.users) == (organisation.env["GENESYSCLOUD_API_URL"], False)


@pytest.mark.parametrize("words", [(), ("--overwrite",)])
@pytest.mark.parametrize("folder", ["/", "."])
def test_a_folder_is_no_settings_file(words: tuple[str, ...], folder: str) -> None:
    """It is refused in one line, before anybody is asked, whether it may be replaced or not."""
    ran = command(options.init, [*words, "--region", "us-east-1", "--config", folder])
    assert (ran.exit_code, ran.output.count("\n")) == (2, 1)
    assert "is a folder; --config takes the path of a file" in ran.output


async def test_a_file_that_is_there_stays_unless_somebody_says_otherwise(
    organisation: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal it is a usage error, at one it is asked for; --overwrite is a yes."""
    path = tmp_path / "rollbook.toml"
    path.write_text("[genesys]\nmine = 1\n")
    for name in ("GENESYSCLOUD_OAUTHCLIENT_ID", SECRET):
        monkeypatch.setenv(name, organisation.env[name])
    refused = await run()
    assert (refused.exit_code, refused.output.count("\n"), "stays as it is" in refused.output) == (2, 1, True)
    monkeypatch.setattr(init, "_is_person", lambda: True)
    assert (await run(typed="n\n")).exit_code == 2
    assert (await run(typed="")).exit_code == 130  # the end of what is typed is Ctrl-D
    assert path.read_text() == "[genesys]\nmine = 1\n"
    assert (await run(typed="y\ny\n")).exit_code == 0
    assert load(env={}, cwd=tmp_path).users
    monkeypatch.setattr(init, "_is_person", lambda: False)
    assert (await run("--overwrite")).exit_code == 0
    assert not load(env={}, cwd=tmp_path).users


async def test_without_a_terminal_nothing_is_asked(
    organisation: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is missing is one line; what the environment has is tried; wrong, it is not written; in JSON too."""
    missing = await run()
    assert (missing.exit_code, "set GENESYSCLOUD_OAUTHCLIENT_ID" in missing.output) == (2, True)
    monkeypatch.setenv("GENESYSCLOUD_OAUTHCLIENT_ID", organisation.env["GENESYSCLOUD_OAUTHCLIENT_ID"])
    monkeypatch.setenv(SECRET, "very-wrong-secret")
    wrong = await run("--json")
    assert (wrong.exit_code, json.loads(wrong.output)["written"], list(tmp_path.iterdir())) == (1, False, [])
    monkeypatch.setenv(SECRET, organisation.env[SECRET])
    right = json.loads((await run("--json", "--users", "--config", "other.toml")).output)
    assert (right["written"], right["config"]) == (True, str(tmp_path / "other.toml"))
    assert any(line.startswith("live: conversations of every user") for line in right["heard"])
    nowhere = await run("--config", "no/such/folder.toml")
    assert (nowhere.exit_code, "nothing can be written to" in nowhere.output) == (1, True)
    unknown = await run("--region", "mars-north-1")
    assert (unknown.exit_code, "mars-north-1" in unknown.output) == (2, True)


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    """Nobody has said that it may be."""
    path = tmp_path / "rollbook.toml"
    with init._beside(path, "[genesys]\n") as tried:
        path.write_text("theirs")
        with pytest.raises(Exception, match="is there by now"):
            init._put(tried, path, may_replace=False)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("rollbook.toml", "theirs")]


@pytest.mark.parametrize("users", [True, False])
def test_every_line_of_the_file_is_one_that_can_be_set(users: bool, tmp_path: Path) -> None:
    """As it is, and with what stands in comments brought in, it is read without a complaint; a region is quoted."""
    text = first_settings.text({"region": 'eu-central-1"\\'}, users=users)
    assert tomllib.loads(text)["genesys"]["region"] == 'eu-central-1"\\'
    text = first_settings.text({"region": "eu-central-1"}, users=users)
    brought_in = re.sub(r"^# (\w+ = )", r"\1", text, flags=re.MULTILINE)
    assert brought_in.count("\n# ") < text.count("\n# ")
    for content in (text, brought_in):
        (tmp_path / "rollbook.toml").write_text(content)
        assert load(env={}, cwd=tmp_path).users is users


def test_what_fails_is_among_what_will_not_be_known() -> None:
    """A missing permission stands there with how to mend it, and nothing of it among what will be."""
    checks = [Check("queues", "fail", "the permission is missing", "give it"), Check("topics", "ok", "6 to subscribe")]
    found = first_settings.hearing(checks, users=True)
    assert found == first_settings.Hearing([], ["queues: the permission is missing; give it"])
