"""`rollbook init`: asks for region and client, tries them, says what will be heard, and writes the settings file.

What is tried is the very file that is written: it lies beside its place until then, readable by its owner alone. It
holds no secret. A file that is there is replaced only where somebody says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import click

from realtime.commands import doctor, first_settings
from realtime.commands.doctor import Check
from rollbook.genesys.errors import Interrupted, RollbookError, SettingsError, UsageError
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Secret, Settings, load
from rollbook.genesys.program.terminal import fitted
from rollbook.genesys.regions import domain_of

_ADDRESSES: Final = {"api_url": "GENESYSCLOUD_API_URL", "login_url": "GENESYSCLOUD_LOGIN_URL"}
_ID: Final = "GENESYSCLOUD_OAUTHCLIENT_ID"
_SECRET: Final = "GENESYSCLOUD_OAUTHCLIENT_SECRET"  # noqa: S105 - the variable's name
_TOKEN: Final = "GENESYSCLOUD_ACCESS_TOKEN"  # noqa: S105
# Checks whose failure says that the region or the client is wrong; what else fails is no matter of the file.
_REFUSED: Final = ("settings", "sign-in")


def init(config: Path | None, region: str | None, users: bool | None, overwrite: bool, as_json: bool) -> None:
    """Run the command as its options say, and end with its exit status."""

    def work() -> int:
        path = Path.cwd() / (config or Path(os.environ.get("ROLLBOOK_CONFIG") or "rollbook.toml")).expanduser()
        try:
            return _init(path, region, users, may_replace=overwrite, as_json=as_json)
        except click.Abort:
            raise Interrupted("interrupted; nothing is written") from None

    console.run(work, as_json=as_json)


def _init(path: Path, region: str | None, users: bool | None, *, may_replace: bool, as_json: bool) -> int:
    asks = not as_json and _is_person()
    if path.is_dir():
        raise UsageError(f"{path} is a folder; --config takes the path of a file")
    if not may_replace and os.path.lexists(path):
        may_replace = asks and click.confirm(f"{path} is there already. Replace it?", err=True)
        if not may_replace:
            raise UsageError(f"{path} is there already, and stays as it is; --overwrite replaces it")
    genesys = _addresses(region, asks=asks)
    client = _client(asks=asks)
    if users is None:
        users = asks and click.confirm("Listen to every user too, for what passes no queue?", err=True)
    with _beside(path, first_settings.text(genesys, users=users)) as tried:
        while True:
            settings = load(flags={"config": tried, **client}, env=os.environ, cwd=Path.cwd())
            settings.require_platform()
            checks = _try(replace(settings, config_path=path), as_json=as_json)
            works = not any(check.state == "fail" and check.name in _REFUSED for check in checks)
            if works or not client or not click.confirm("\nEnter the client again?", default=True, err=True):
                break
            client = _client(asks=asks)
        hearing = first_settings.hearing(checks, users=users)
        if not as_json:
            _say(hearing)
        if works:
            _put(tried, path, may_replace=may_replace)
    if as_json:
        console.answer(
            {
                "config": str(path),
                "written": works,
                "heard": hearing.heard_lines,
                "not_heard": hearing.not_heard,
                "checks": [asdict(check) for check in checks],
            }
        )
    elif works:
        click.echo("\n".join(line for each in _next(path, client) for line in [*fitted([each], indent=2)] or [""]))
    else:
        click.echo("\nNothing is written: mend what failed, then `rollbook init` again.")
    return 1 if any(check.state == "fail" for check in checks) else 0


def _is_person() -> bool:
    return sys.stdin.isatty()


def _addresses(region: str | None, *, asks: bool) -> dict[str, str]:
    """The keys of [genesys]: a region; or the addresses that the environment names, of a proxy or a simulator."""
    if region is not None:
        domain_of(region)
        return {"region": region}
    named = {key: os.environ[name] for key, name in _ADDRESSES.items() if os.environ.get(name)}
    if "api_url" in named:
        return named
    set_already = os.environ.get("GENESYSCLOUD_REGION")
    if asks:
        question = "Region (such as eu-central-1, or its domain, such as mypurecloud.de)"
        return {"region": click.prompt(question, default=set_already, value_proc=_region, err=True)}
    if set_already is None:
        raise SettingsError("give --region (e.g. us-east-1, or a domain such as mypurecloud.com)")
    return {"region": _region(set_already)}


def _region(text: str) -> str:
    try:
        domain_of(text)
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    return text.strip()


def _client(*, asks: bool) -> dict[str, Any]:
    """The client that the environment does not name, as fields of the settings: what somebody typed."""
    if not asks or os.environ.get(_TOKEN):
        return {}
    typed: dict[str, Any] = {}
    if not os.environ.get(_ID):
        typed["client_id"] = click.prompt("OAuth client (grant type Client Credentials): its id", err=True).strip()
    if not os.environ.get(_SECRET):
        typed["client_secret"] = Secret(click.prompt("Its secret (is not shown)", hide_input=True, err=True).strip())
    return typed


def _try(settings: Settings, *, as_json: bool) -> list[Check]:
    checks: list[Check] = []

    def tell(check: Check) -> None:
        checks.append(check)
        if not as_json:
            doctor.show_check(check)

    if not as_json:
        click.echo("")
    asyncio.run(doctor.examine(settings, tell))
    return checks


def _say(hearing: first_settings.Hearing) -> None:
    for title, lines in (("Will be known", hearing.heard_lines), ("Will not be known", hearing.not_heard)):
        if lines:
            click.echo(f"\n{title}")
            click.echo("\n".join(fitted((f"  {line}" for line in lines), indent=4)))


def _next(path: Path, client: Mapping[str, Any]) -> Iterator[str]:
    yield ""
    yield f"{path} is written; there is no secret in it."
    yield ""
    if client:
        yield "Give rollbook its client by the environment:"
        yield ""
        if "client_id" in client:
            yield f"  export {_ID}={client['client_id']}"
        if "client_secret" in client:
            yield f"  export {_SECRET}=…"
            yield ""
            yield "In place of the secret: file:PATH, secretsmanager:NAME or ssm:NAME."
        yield ""
    yield "Then `rollbook run` captures, and `rollbook status --watch` shows it."


@contextlib.contextmanager
def _beside(path: Path, text: str) -> Iterator[Path]:
    """The text in a file beside `path`, for its owner alone; gone afterwards, unless it has got its place."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        advice = "name another file with --config"
        raise RollbookError(f"nothing can be written to {path.parent} ({error.strerror}); {advice}") from None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(descriptor, 0o600)
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _put(tried: Path, path: Path, *, may_replace: bool) -> None:
    """Give the file its name. Where no file may be replaced, one that has come meanwhile is not."""
    try:
        if not may_replace:
            # Taken, and empty for the moment until the whole file replaces it: this fails where there is one.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        tried.replace(path)
    except FileExistsError:
        raise UsageError(f"{path} is there by now, and stays as it is; --overwrite replaces it") from None
    except OSError as error:
        raise RollbookError(f"{path} cannot be written: {error.strerror}") from None
