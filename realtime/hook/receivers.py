"""Receivers of alerts: an address that takes POST requests, or a command that gets the event on its standard input.

Each try ends within its deadline, and what went wrong is a value, never an exception. Neither the address nor the
secret is in any of its words: an address may hold a token.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple, Protocol

from realtime.hook.cloud_events import body_of, headers_of, key_of
from rollbook.genesys.api.http import Answer, Http, Limits, TransportError
from rollbook.genesys.errors import RollbookError
from rollbook.genesys.program import named_secrets
from rollbook.genesys.program.settings import ENVIRONMENT, Secret, Settings
from rollbook.store.tables.alerts import Alert

# What takes longer than this should take the event first and work afterwards. Seconds.
LIMITS: Final = Limits(connect=5.0, head=10.0, deadline=15.0, largest=1024 * 1024)
COMMAND_WITHIN: Final = 30.0
# Secrets of ours, and what systemd tells the daemon alone: nothing of that is a command's business.
_NOT_FOR_COMMANDS: Final = frozenset({"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"})
_SECRETS: Final = ("SECRET", "TOKEN", "HOOK_URL")


class Outcome(NamedTuple):
    """The end of a try. why: it was not taken, and the reason; asked: seconds that the receiver wants left alone."""

    why: str | None = None
    asked: float | None = None


class Receiver(Protocol):
    """Whatever takes alerts."""

    async def send(self, alert: Alert) -> Outcome: ...


class HttpReceiver:
    """An address. Any answer of 200 to 299 means that the event was taken."""

    def __init__(
        self, http: Http, url: Secret, secret: Secret | None, *, source: str, now: Callable[[], float]
    ) -> None:
        self._http = http
        self._url = url
        self._secret = secret
        self._source = source
        self._now = now

    async def send(self, alert: Alert) -> Outcome:
        """Send an alert once."""
        body = body_of(alert, self._source)
        try:
            secret = await self._key()
            headers = headers_of(alert.event_id, body, secret=secret, seconds=int(self._now()))
        except (RollbookError, ValueError) as error:
            return Outcome(f"ROLLBOOK_HOOK_SECRET: {error}")
        try:
            answer = await self._http.request("POST", self._url.reveal(), headers=headers, content=body)
        except TransportError as error:
            return Outcome(self._url.hide(str(error)))
        if 200 <= answer.status < 300:
            return Outcome()
        if answer.status in (401, 403) and self._secret is not None:
            named_secrets.forget(self._secret.reveal())  # it may have been changed there and here
        where = "; [hook] url must be where that leads" if 300 <= answer.status < 400 else ""
        return Outcome(f"the receiver answered {answer.status}{where}", _asked(answer, self._now()))

    async def reach(self) -> Outcome:
        """Tell whether something answers there, without an alert: OPTIONS, which a webhook may refuse."""
        try:
            await self._key()
            answer = await self._http.request("OPTIONS", self._url.reveal())
        except TransportError as error:
            return Outcome(self._url.hide(str(error)))
        except (RollbookError, ValueError) as error:
            return Outcome(f"ROLLBOOK_HOOK_SECRET: {error}")
        well = answer.status < 300 or 400 <= answer.status < 500
        return Outcome(None if well else f"the receiver answered {answer.status}")

    async def _key(self) -> str | None:
        if self._secret is None:
            return None
        secret = await named_secrets.value_apart(self._secret.reveal())
        key_of(secret)
        return secret


def _asked(answer: Answer, now: float) -> float | None:
    """The `Retry-After` of an answer, in seconds; it may be a date."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    with contextlib.suppress(ValueError):
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0) if text else None
    return None


class CommandReceiver:
    """A command. The exit status 0 means that the event was taken."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        source: str,
        environment: Mapping[str, str],
        within: float = COMMAND_WITHIN,
    ) -> None:
        self._command = command
        self._source = source
        self._environment = {
            name: value
            for name, value in environment.items()
            if name not in _NOT_FOR_COMMANDS and not (name in ENVIRONMENT and any(word in name for word in _SECRETS))
        }
        self._within = within

    async def send(self, alert: Alert) -> Outcome:
        """Run the command once, and wait for its end."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env=self._environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or "it is no command"
            return Outcome(f"{self._command[0]} cannot be run: {reason}")
        try:
            async with asyncio.timeout(self._within):
                await process.communicate(body_of(alert, self._source))
        except TimeoutError:
            return Outcome(f"{self._command[0]} had not ended after {self._within:.0f} s")
        finally:
            await _end(process)
        status = process.returncode
        return Outcome() if status == 0 else Outcome(f"{self._command[0]} ended with {status}")

    async def reach(self) -> Outcome:
        """Tell whether there is such a command, without running it."""
        found = shutil.which(self._command[0], path=self._environment.get("PATH"))
        return Outcome(None if found else f"{self._command[0]} is no command for this user")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of a command, with whatever it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    if process.returncode is None:
        await process.wait()


def receiver_of(
    settings: Settings, http: Http, *, source: str, now: Callable[[], float]
) -> HttpReceiver | CommandReceiver:
    """The receiver that the settings name: they do name one."""
    if settings.hook_command is not None:
        return CommandReceiver(settings.hook_command, source=source, environment=os.environ)
    assert settings.hook_url is not None
    return HttpReceiver(http, settings.hook_url, settings.hook_secret, source=source, now=now)
