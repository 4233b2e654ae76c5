"""The daemon as a service: what it tells systemd, its HTTP port, and its logs."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from realtime.daemon.health import judge
from realtime.daemon.http_port import HttpPort
from realtime.daemon.json_logs import JsonLines
from realtime.daemon.systemd import Notifier
from realtime.figures import DaemonFigures, LineFigures
from reconcile.gate import Readiness
from rollbook.genesys.errors import RollbookError, SettingsError

LISTENS = LineFigures(
    number=0, phase="listening", topics=10, details=2, connects=3, losses=1, heard_topics=9, unheard_for=2.5
)
DOWN = LineFigures(
    number=1, phase="waiting", topics=10, details=0, connects=3, losses=3, down_for=35, loss_reason="channel lost"
)


def test_all_is_well() -> None:
    """A daemon whose lines listen and whose notifications are stored is well, and gives no reason."""
    assert judge(DaemonFigures(lines=(LISTENS,))) == ("well", [])


@pytest.mark.parametrize(
    ("figures", "state", "word"),
    [
        (DaemonFigures(lines=(LISTENS, DOWN)), "degraded", "1 of 2 lines"),
        (DaemonFigures(lines=(DOWN,), silent_for=20), "degraded", "line 2 for 35 s (channel lost)"),
        (DaemonFigures(lines=(DOWN,), silent_for=400), "dead", "no line has listened for 400 s"),
        (DaemonFigures(lines=(LISTENS,), waiting_for=45), "degraded", "45 s late"),
        (DaemonFigures(lines=(LISTENS,), waiting_for=301), "dead", "nothing has been stored"),
        (
            DaemonFigures(lines=(LISTENS,), store_failing="the disk is full"),
            "degraded",
            "will keep trying: the disk is full",
        ),
        (DaemonFigures(lines=(LISTENS,), reconcile_failing="no permission"), "degraded", "no permission"),
        (DaemonFigures(lines=(LISTENS,), ledger_failing="the file is damaged"), "degraded", "the file is damaged"),
        (DaemonFigures(lines=(LISTENS,), discovery_failing="no answer"), "degraded", "no answer"),
        (DaemonFigures(lines=(LISTENS,), refused_topics=3), "degraded", "3 topics are refused"),
        (DaemonFigures(lines=(LISTENS,), refused_topics=1), "degraded", "1 topic is refused"),
        (DaemonFigures(lines=(LISTENS,), unplaced_topics=3), "degraded", "3 topics find no room"),
        (DaemonFigures(lines=(LISTENS,), unplaced_topics=1), "degraded", "1 topic finds no room"),
        (
            DaemonFigures(lines=(LISTENS,), windows_by_verdict={"settled": 9, "failed": 1}),
            "degraded",
            "1 window of the last 31 days",
        ),
        (DaemonFigures(starting_for=20), "degraded", "starting for 20 s"),
        (DaemonFigures(starting_for=400), "dead", "starting for 400 s"),
        (DaemonFigures(), "degraded", "nothing to listen to"),
    ],
)
def test_what_is_wrong_has_a_name(figures: DaemonFigures, state: str, word: str) -> None:
    """Each thing that is wrong makes the daemon degraded or dead, and is said."""
    found, why = judge(figures)
    assert found == state
    assert any(word in reason for reason in why)


class FixedFigures:
    """A source of figures."""

    def __init__(self, figures: DaemonFigures) -> None:
        self.said = figures

    async def figures(self) -> DaemonFigures:
        return self.said

    async def readiness(self, interval: str, *, settled: bool) -> Readiness:
        raise NotImplementedError(interval, settled)


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


async def test_the_port_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """/healthz says the state and why, 503 when dead; /metrics has the figures in Prometheus' format."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    source = FixedFigures(
        DaemonFigures(
            lines=(LISTENS,),
            by_template={"v2.routing.queues.{id}.conversations": 7},
            new=5,
            budget_left=250,
            latency=({"0.1": 3, "+Inf": 4}, 1.5),
        )
    )
    port = HttpPort(source, "127.0.0.1:0")
    await port.start()
    try:
        status, text = await asyncio.to_thread(get, port.port, "/healthz")
        assert (status, json.loads(text)) == (200, {"state": "well", "why": [], "reasons": []})
        status, text = await asyncio.to_thread(get, port.port, "/metrics")
        assert status == 200
        assert 'rollbook_events_total{topic="v2.routing.queues.{id}.conversations"} 7.0' in text
        assert 'rollbook_line_listening{line="1"} 1.0' in text
        assert 'rollbook_stored_total{outcome="new"} 5.0' in text
        assert 'rollbook_line_state{line="1",state="listening"} 1.0' in text
        assert 'rollbook_line_state{line="1",state="waiting"} 0.0' in text
        assert 'rollbook_covered_topics{line="1"} 9.0' in text
        assert 'rollbook_unheard_seconds_total{line="1"} 2.5' in text
        assert "rollbook_rate_budget_left 250.0" in text
        assert 'rollbook_api_latency_seconds_bucket{le="0.1"} 3.0' in text
        assert "rollbook_api_latency_seconds_count 4.0" in text
        assert "rollbook_api_latency_seconds_sum 1.5" in text
        source.said = DaemonFigures(lines=(DOWN,), silent_for=999)
        status, text = await asyncio.to_thread(get, port.port, "/healthz")
        assert (status, json.loads(text)["state"]) == (503, "dead")
    finally:
        await port.stop()


@pytest.mark.parametrize("address", ["8125", "127.0.0.1:", "127.0.0.1:99999", "localhost:http"])
def test_a_bad_address_is_one_clear_error(address: str) -> None:
    """An address that is none is refused with an example."""
    if address == "8125":
        assert HttpPort(FixedFigures(DaemonFigures()), address)  # a port alone is on loopback
        return
    with pytest.raises(SettingsError, match=r"127\.0\.0\.1:8125"):
        HttpPort(FixedFigures(DaemonFigures()), address)


async def test_a_taken_port_is_one_clear_error() -> None:
    """A port that somebody else has is said, with the setting and its value; it is no mistake of the command's."""
    first = HttpPort(FixedFigures(DaemonFigures()), "127.0.0.1:0")
    await first.start()
    try:
        with pytest.raises(RollbookError, match=rf"health = '127\.0\.0\.1:{first.port}'") as caught:
            await HttpPort(FixedFigures(DaemonFigures()), f"127.0.0.1:{first.port}").start()
        assert caught.value.exit_status == 1
    finally:
        await first.stop()


def test_systemd_is_told(tmp_path: Path) -> None:
    """Each state is one datagram of NAME=value lines, and the watchdog is fed twice as often as asked."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(path))
        notifier = Notifier({"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "60000000"})
        notifier.tell(READY=1, STATUS="listening")
        assert listening.recv(100) == b"READY=1\nSTATUS=listening"
        notifier.reloading()
        assert listening.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert notifier.watchdog == 30


@pytest.mark.parametrize(
    "env",
    [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"WATCHDOG_USEC": "5", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "x"}],
)
def test_without_systemd_nothing_happens(env: dict[str, str]) -> None:
    """Without a service manager, or with one that does not listen, telling is silent and no watchdog is fed."""
    notifier = Notifier(env)
    notifier.tell(READY=1)
    assert notifier.watchdog is None


def test_logs_can_be_json() -> None:
    """Each record is one JSON object on one line, traceback included."""
    try:
        raise ValueError("first line\nsecond line")
    except ValueError as error:
        record = logging.LogRecord("realtime.x", logging.ERROR, "", 0, "it %s", ("broke",), (ValueError, error, None))
    line = JsonLines().format(record)
    said = json.loads(line)
    assert "\n" not in line
    assert (said["level"], said["message"]) == ("error", "it broke")
    assert "second line" in said["traceback"]
    assert said["time"].endswith("Z")
