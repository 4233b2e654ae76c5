"""Secrets that are named instead of given: `secretsmanager:NAME`, `ssm:NAME`, `file:PATH`, `credential:NAME`.

A credential is a file in the folder that systemd makes for the service alone (LoadCredential=).

They are looked up when they are first needed and kept in memory until somebody says that the value does not work any
more (it has been rotated). boto3 takes region, profile and role as AWS' own tools do, and is imported only for a
reference that needs it. A value is in no message; its name is.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from rollbook.genesys.errors import ConnectionLost, SettingsError
from rollbook.genesys.program.aws_errors import code_of, words_of
from rollbook.genesys.program.trusted_files import Untrusted, read_named

_cache: Final[dict[str, str]] = {}
_one_at_a_time: Final = threading.Lock()


def is_reference(text: str) -> bool:
    """Tell whether a setting names a secret instead of being a secret. (The platform's own have no colon.)"""
    return text.partition(":")[0] in _READERS and ":" in text


def value_of(setting: str) -> str:
    """The secret that a setting gives: itself, or the one that it names. Blocks and raises as `resolve` does."""
    return resolve(setting) if is_reference(setting) else setting


async def value_apart(setting: str) -> str:
    """The same, looked up in a thread, so that no loop stands still for it."""
    from asyncio import to_thread  # a function on AWS has no loop, and starts more lightly

    return await to_thread(resolve, setting) if is_reference(setting) else setting


def resolve(reference: str) -> str:
    """The secret that is named. Blocks while it is looked up; answers at once when it is known.

    `NAME#KEY` takes one member of a secret that is a JSON object. Raises SettingsError (there is none, or it may not be
    read) or ConnectionLost (AWS cannot be reached).
    """
    with _one_at_a_time:
        if reference not in _cache:
            _cache[reference] = _read(reference)
        return _cache[reference]


def file_of(text: str) -> Path | None:
    """The file that a secret is read from; None where it is given, or comes from elsewhere."""
    kind, _, rest = text.partition(":")
    return Path(rest.partition("#")[0]).expanduser() if kind == "file" else None


def origin_of(reference: str) -> str:
    """Where the secret that is named comes from, in words."""
    kind, _, rest = reference.partition(":")
    services = {"secretsmanager": "AWS Secrets Manager", "ssm": "AWS Systems Manager", "credential": "systemd"}
    return services.get(kind, f"the file {rest.partition('#')[0]}")


def forget(reference: str) -> None:
    """Look the secret up again when it is needed next."""
    with _one_at_a_time:
        _cache.pop(reference, None)


def _read(reference: str) -> str:
    kind, _, rest = reference.partition(":")
    name, hash_sign, key = rest.partition("#")
    if not name:
        raise SettingsError(f"{reference}: it names nothing; write {kind}:NAME")
    text = _READERS[kind](name, reference)
    value = (_member(text, key, reference) if hash_sign else text).strip()
    if not value or not value.isascii() or not value.isprintable():
        raise SettingsError(f"{reference} holds no secret: it is empty, or has characters that no secret has")
    return value


def _member(text: str, key: str, reference: str) -> str:
    try:
        value = json.loads(text)[key]
    except (ValueError, KeyError, TypeError):
        raise SettingsError(f"{reference}: the secret is no JSON object with the key {key!r}") from None
    return str(value)


def _from_credentials(name: str, reference: str) -> str:
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if not folder:
        raise SettingsError(
            f"{reference}: systemd has given this process no credentials; write LoadCredential={name}:PATH in the unit"
        )
    if "/" in name or name in (".", ".."):
        raise SettingsError(f"{reference}: a credential has a name and no path; use file:PATH for another file")
    return _from_file(f"{folder}/{name}", reference)


def _from_file(name: str, reference: str) -> str:
    try:
        return read_named(Path(name).expanduser()).decode()
    except Untrusted as error:
        raise SettingsError(f"{reference} is not used: {error}") from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(f"{reference} cannot be read: {reason}") from None


def _from_secrets_manager(name: str, reference: str) -> str:
    answer = _ask("secretsmanager", reference, lambda client: client.get_secret_value(SecretId=name))
    text = answer.get("SecretString")
    return str(text) if text is not None else bytes(answer.get("SecretBinary", b"")).decode("ascii", "replace")


def _from_parameter_store(name: str, reference: str) -> str:
    answer = _ask("ssm", reference, lambda client: client.get_parameter(Name=name, WithDecryption=True))
    return str(answer["Parameter"]["Value"])


_READERS: Final[dict[str, Callable[[str, str], str]]] = {
    "secretsmanager": _from_secrets_manager,
    "ssm": _from_parameter_store,
    "file": _from_file,
    "credential": _from_credentials,
}
_PERMISSION: Final = {"secretsmanager": "secretsmanager:GetSecretValue", "ssm": "ssm:GetParameter"}


def _ask(service: str, reference: str, call: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
    from botocore.exceptions import ConnectionError as Unreachable

    config = Config(connect_timeout=5, read_timeout=10, retries={"mode": "standard", "max_attempts": 3})
    try:
        return call(boto3.session.Session().client(service, config=config))
    except ClientError as error:
        match code_of(error):
            case "AccessDenied":
                line = f"{reference} may not be read; give the role {_PERMISSION[service]} on it"
            case "ResourceNotFound" | "ParameterNotFound":
                line = f"{reference}: there is no such secret in this account and region"
            case _:
                line = f"{reference} cannot be read: {words_of(error)}"
        raise SettingsError(line) from None
    except (HTTPClientError, Unreachable) as error:
        raise ConnectionLost(f"{reference}: AWS cannot be reached ({words_of(error)}); check the network") from None
    except (BotoCoreError, ValueError) as error:
        raise SettingsError(f"{reference}: {words_of(error)}; set up AWS (AWS_REGION, AWS_PROFILE, a role)") from None
