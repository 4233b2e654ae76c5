"""Receivers over real sockets and as real commands: what counts as taken, and what is said of what does not."""

import json
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest

from realtime.hook.cloud_events import signature
from realtime.hook.receivers import LIMITS, CommandReceiver, HttpReceiver, Outcome
from rollbook.genesys.api.http import Http
from rollbook.genesys.program import named_secrets
from rollbook.genesys.program.settings import Secret
from rollbook.store.tables.alerts import Alert
from rollbook.store.vocabulary import AlertKind
from tests.helpers.receiver import AlertReceiver

ALERT = Alert("id-1", AlertKind.GAP_FOUND, "s", "s", "2026-03-02T10:41:07.000Z", '{"found":3}')
SOURCE = "/rollbook/organizations/o1"
NOW = 1_700_000_000.0


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
async def server() -> AsyncIterator[AlertReceiver]:
    """A receiver that takes everything."""
    async with AlertReceiver() as receiver:
        yield receiver


async def send(url: str, secret: str | None = None) -> Outcome:
    """Send the alert once."""
    async with Http(replace(LIMITS, deadline=5.0)) as http:
        named = None if secret is None else Secret(secret)
        return await HttpReceiver(http, Secret(url), named, source=SOURCE, now=lambda: NOW).send(ALERT)


async def test_it_is_posted_and_signed(server: AlertReceiver) -> None:
    """One POST to the address as it is, in structured mode; who knows the secret can check the bytes that came."""
    assert await send(server.url, "a secret") == Outcome()
    (delivery,) = server.deliveries
    assert delivery.headers["Content-Type"].startswith("application/cloudevents+json")
    assert delivery.headers["Webhook-Id"] == delivery.event["id"] == "id-1"
    assert delivery.headers["Webhook-Signature"] == signature("a secret", "id-1", int(NOW), delivery.body)
    assert (delivery.event["type"], delivery.event["data"]) == ("gap.found", {"found": 3})
    assert "a secret" not in repr(delivery)


@pytest.mark.parametrize(
    ("status", "why"),
    [
        (200, None),
        (299, None),
        (302, "the receiver answered 302; [hook] url must be where that leads"),
        (400, "the receiver answered 400"),
        (410, "the receiver answered 410"),
        (500, "the receiver answered 500"),
    ],
)
async def test_only_success_is_taken(server: AlertReceiver, status: int, why: str | None) -> None:
    """200 to 299, and nothing else; no redirection is followed."""
    server.answer = lambda _: status
    server.more = {"Location": server.url}
    assert (await send(server.url)).why == why
    assert len(server.deliveries) == 1


@pytest.mark.parametrize(
    ("text", "seconds"), [("120", 120.0), (formatdate(NOW + 60), 60.0), ("soon", None), ("", None)]
)
async def test_a_pause_that_it_asks_for_is_understood(server: AlertReceiver, text: str, seconds: float | None) -> None:
    """Retry-After in seconds, or as a date; what is neither is nothing."""
    server.answer = lambda _: 503
    server.more = {"Retry-After": text}
    assert (await send(server.url)).asked == seconds


async def test_no_answer_is_said_without_the_address(server: AlertReceiver) -> None:
    """A cut connection, and nobody there: what is said has no token of the address in it."""

    def cut(_: object) -> int:
        raise ConnectionResetError

    server.answer = cut
    outcomes = [await send(server.url), await send("http://127.0.0.1:9/?token=t0ken")]
    for outcome in outcomes:
        assert outcome.why
        assert "t0ken" not in outcome.why


async def test_a_secret_in_a_file_is_read_again_when_it_is_refused(server: AlertReceiver, tmp_path: Path) -> None:
    """It is changed in the file and at the receiver: the first refusal has it looked up again."""
    path = tmp_path / "secret"
    path.write_text("old\n")
    named = f"file:{path}"
    assert await send(server.url, named) == Outcome()
    path.write_text("new\n")
    server.answer = lambda _: 401
    assert (await send(server.url, named)).why == "the receiver answered 401"
    server.answer = lambda _: 204
    assert await send(server.url, named) == Outcome()
    signed = [delivery.headers["Webhook-Signature"] for delivery in server.deliveries]
    bodies = [delivery.body for delivery in server.deliveries]
    assert signed == [
        signature(secret, "id-1", int(NOW), body) for secret, body in zip(("old", "old", "new"), bodies, strict=True)
    ]
    named_secrets.forget(named)


async def test_a_secret_that_cannot_be_had_sends_nothing(server: AlertReceiver, tmp_path: Path) -> None:
    """What is not signed though it should be would be refused, or worse, believed."""
    outcome = await send(server.url, f"file:{tmp_path}/none")
    assert outcome.why is not None
    assert "ROLLBOOK_HOOK_SECRET: file:" in outcome.why
    assert (await send(server.url, "whsec_***")).why == (
        "ROLLBOOK_HOOK_SECRET: begins with whsec_, and is no base64 behind it; copy it again"
    )
    assert not server.deliveries


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


async def run(command: list[str], environment: Mapping[str, str] | None = None, *, within: float = 30.0) -> Outcome:
    """Have a command take the alert."""
    receiver = CommandReceiver(command, source=SOURCE, environment={**os.environ, **(environment or {})}, within=within)
    return await receiver.send(ALERT)


async def test_a_command_gets_the_event_and_none_of_our_secrets(tmp_path: Path) -> None:
    """The event is on its standard input; its environment is ours without what is secret, and without systemd's."""
    out = tmp_path / "out"
    code = f"import os,sys,json; json.dump([sys.stdin.read(), dict(os.environ)], open({str(out)!r}, 'w'))"
    secrets = {
        "ROLLBOOK_HOOK_SECRET": "s1",
        "ROLLBOOK_HOOK_URL": "https://s2",
        "GENESYSCLOUD_OAUTHCLIENT_SECRET": "s3",
        "GENESYSCLOUD_ACCESS_TOKEN": "s4",
        "NOTIFY_SOCKET": "/run/systemd/notify",
    }
    assert await run(python(code), secrets | {"PAGER_TOKEN": "its own", "ROLLBOOK_DB": "x.db"}) == Outcome()
    text, environment = json.loads(out.read_text())
    assert json.loads(text)["id"] == "id-1"
    assert not secrets.keys() & environment.keys()
    assert (environment["PAGER_TOKEN"], environment["ROLLBOOK_DB"]) == ("its own", "x.db")


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (python("raise SystemExit(3)"), f"{sys.executable} ended with 3"),
        (["/no/such/command", "--token", "t0ken"], "/no/such/command cannot be run: No such file or directory"),
        (["/"], "/ cannot be run: Permission denied"),
    ],
)
async def test_a_command_that_fails_is_said(command: list[str], why: str) -> None:
    """By its name and its end, without its other words."""
    assert (await run(command)).why == why


async def test_a_command_that_reads_nothing_can_take_an_alert() -> None:
    """Whoever only wants to be called need not read."""
    assert await run(python("pass")) == Outcome()


async def test_a_command_that_does_not_end_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    """After its time nothing of it is left."""
    child = tmp_path / "child"
    code = (
        "import subprocess,sys,time;"
        f"p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); open({str(child)!r}, 'w').write(str(p.pid));"
        "time.sleep(60)"
    )
    outcome = await run(python(code), within=3.0)
    assert outcome.why == f"{sys.executable} had not ended after 3 s"
    ends = time.monotonic() + 20
    while is_running(int(child.read_text())):
        assert time.monotonic() < ends


def is_running(pid: int) -> bool:
    """Whether a process is there and, where that can be seen, no zombie."""
    try:
        os.kill(pid, 0)
        return (
            not Path("/proc/self").exists()
            or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except (ProcessLookupError, FileNotFoundError):
        return False
