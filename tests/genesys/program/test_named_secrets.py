"""Secrets that are only named: looked up when needed, kept, looked up again when sign-in fails, and shown nowhere."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import boto3
import pytest
from aiohttp import BasicAuth, web

from rollbook.genesys.api.client import Api
from rollbook.genesys.errors import ConnectionLost, RollbookError, SettingsError, SignInRefused
from rollbook.genesys.program import named_secrets
from rollbook.genesys.program.settings import Secret, Settings, load
from tests.helpers.aws import Aws, aws, aws_server
from tests.helpers.paths import ROOT

__all__ = ["aws", "aws_server"]


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    """Each test looks up for itself."""
    named_secrets._cache.clear()
    yield
    named_secrets._cache.clear()


class Login:
    """A platform that knows one secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.asked: list[str] = []

    async def token(self, request: web.Request) -> web.Response:
        given = BasicAuth.decode(request.headers["Authorization"])
        self.asked.append(given.password)
        if given.password != self.secret:
            return web.json_response({"error": "invalid_client", "description": "authentication failed"}, status=400)
        return web.json_response({"access_token": "t", "token_type": "bearer", "expires_in": 3600})

    async def organization(self, _: web.Request) -> web.Response:
        return web.json_response({"id": "o", "name": "Org"})


@asynccontextmanager
async def platform(login: Login, reference: str) -> AsyncIterator[Settings]:
    """The settings to reach it with a secret that is only named."""
    app = web.Application()
    app.add_routes([web.post("/oauth/token", login.token), web.get("/api/v2/organizations/me", login.organization)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield Settings(api_url=address, login_url=address, client_id="id", client_secret=Secret(reference))
    finally:
        await runner.cleanup()


async def name_of(settings: Settings) -> str:
    """Sign in and ask for the organisation."""
    async with Api(settings) as api:
        return (await api.organization()).name or ""


def test_a_plain_secret_is_not_a_reference() -> None:
    """Only the three words before a colon name something."""
    assert not named_secrets.is_reference("s3cr3t-Aa_9")
    assert not named_secrets.is_reference("http:thing")
    assert not named_secrets.is_reference("file")
    assert all(named_secrets.is_reference(f"{kind}:x") for kind in ("secretsmanager", "ssm", "file"))


async def test_a_file_is_read_kept_and_read_again_after_a_rotation(tmp_path: Path) -> None:
    """The line break at its end does not count; a refused sign-in reads it once more and tries what it finds."""
    file = tmp_path / "secret"
    file.write_text("first\n")
    login = Login("first")
    async with platform(login, f"file:{file}") as settings:
        assert await name_of(settings) == "Org"
        assert await name_of(settings) == "Org"
        file.write_text("second\n")
        assert await name_of(settings) == "Org", "what is kept still works"
        login.secret = "second"
        assert await name_of(settings) == "Org"
        assert login.asked == ["first", "first", "first", "first", "second"]


async def test_a_secret_that_has_not_changed_is_refused_once(tmp_path: Path) -> None:
    """No second try with the same value; the error has neither the secret nor a traceback's worth of words."""
    file = tmp_path / "secret"
    file.write_text("wrong-secret")
    login = Login("right")
    async with platform(login, f"file:{file}") as settings:
        with pytest.raises(SignInRefused) as caught:
            await name_of(settings)
    assert login.asked == ["wrong-secret"]
    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["secretsmanager", "secretsmanager json", "ssm"])
async def test_a_secret_on_aws_is_looked_up_kept_and_looked_up_again(aws: Aws, kind: str) -> None:
    """By Secrets Manager (plain, or a member of a JSON object) and by Parameter Store."""

    def put(value: str) -> str:
        if kind == "ssm":
            client = boto3.client("ssm")
            client.put_parameter(Name="/rollbook/secret", Value=value, Type="SecureString", Overwrite=True)
            return "ssm:/rollbook/secret"
        client = boto3.client("secretsmanager")
        text = value if kind == "secretsmanager" else f'{{"clientSecret": "{value}"}}'
        try:
            client.create_secret(Name="rollbook/client", SecretString=text)
        except client.exceptions.ResourceExistsException:
            client.put_secret_value(SecretId="rollbook/client", SecretString=text)
        return "secretsmanager:rollbook/client" + ("#clientSecret" if "json" in kind else "")

    reference = put("first")
    login = Login("first")
    async with platform(login, reference) as settings:
        assert await name_of(settings) == "Org"
        put("second")
        login.secret = "second"
        assert await name_of(settings) == "Org"
        assert login.asked == ["first", "first", "second"]


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("secretsmanager:not/there", "there is no such secret"),
        ("ssm:/not/there", "there is no such secret"),
        ("secretsmanager:", "names nothing"),
        ("file:/not/there", "No such file"),
    ],
)
def test_what_cannot_be_looked_up_is_one_clear_line(aws: Aws, reference: str, words: str) -> None:
    """It names the reference and says what to do."""
    with pytest.raises(SettingsError, match=words) as caught:
        named_secrets.resolve(reference)
    assert str(caught.value).startswith(reference)
    assert "\n" not in str(caught.value)


def test_a_missing_key_and_an_empty_secret_are_clear(aws: Aws, tmp_path: Path) -> None:
    """So is a file that holds nothing, and a key that the secret has not; neither shows what is there."""
    file = tmp_path / "secret"
    for text, key, words in (("", "", "holds no secret"), ('{"a": "b"}', "#c", "no JSON object with the key 'c'")):
        file.write_text(text)
        with pytest.raises(SettingsError, match=words):
            named_secrets.resolve(f"file:{file}{key}")


def test_aws_that_cannot_be_reached_is_a_lost_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a mistake in the settings."""
    for name, value in (
        ("AWS_ACCESS_KEY_ID", "a"),
        ("AWS_SECRET_ACCESS_KEY", "b"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
    ):
        monkeypatch.setenv(name, value)
    with pytest.raises(ConnectionLost, match="check the network"):
        named_secrets.resolve("ssm:/x")


def test_settings_take_a_reference_and_show_nothing(tmp_path: Path) -> None:
    """A reference is read as it stands, and boto3 is not touched by it."""
    settings = load(env={"GENESYSCLOUD_OAUTHCLIENT_SECRET": " file:/päth/to it "}, cwd=tmp_path)
    assert settings.client_secret == Secret("file:/päth/to it")
    assert "päth" not in repr(settings)


def test_boto3_is_imported_for_aws_only(tmp_path: Path) -> None:
    """A secret in a file starts as lightly as one in the environment."""
    import subprocess

    file = tmp_path / "s"
    file.write_text("x")
    program = f"import sys; from rollbook.genesys.program import named_secrets; named_secrets.resolve('file:{file}'); print('boto3' in sys.modules)"
    env: dict[str, Any] = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env)
    assert ran.stdout.strip() == "False", ran.stderr


def test_every_error_is_ours(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A region that does not exist, a profile that does not exist: one line each."""
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_PROFILE", "nobody")
    with pytest.raises(RollbookError, match="AWS_PROFILE"):
        named_secrets.resolve("ssm:/x")
