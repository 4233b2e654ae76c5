"""`rollbook simulate`: the organisation on its own, for integration tests of any connector.

Owns how addresses and credentials are printed; what is simulated is elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from rollbook.simulator.certificates import LOOPBACK, PARTS, Certificate, CertificateError, make
from rollbook.simulator.eventbridge.delivery import DeliveryTrouble, EventBridge
from rollbook.simulator.eventbridge.options import OPTIONS
from rollbook.simulator.faults.script import Fault, ScriptError, load
from rollbook.simulator.rest.analytics.details_query import Jitter, Paging
from rollbook.simulator.rest.analytics.jobs import JobRules
from rollbook.simulator.server import Simulator


def simulate(
    *,
    days: float,
    jitter: int,
    job_lag: float,
    ahead: float,
    faults: Path | None,
    page_rows: int,
    count_nothing: bool,
    tls: bool,
    domains: tuple[str, ...],
    certificate: Path | None,
    key: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Run the organisation as its options say, until stopped."""
    eventbridge = {name: settings.pop(name) for name in OPTIONS}
    with contextlib.ExitStack() as stack:
        try:
            script = _read(faults) if faults is not None else []
            secured = _certificate(stack, domains, certificate, key, tls=tls)
        except ScriptError as error:
            _fail(f"{faults}: {error}", status=2, as_json=as_json)
        except CertificateError as error:
            _fail(str(error), status=2, as_json=as_json)
        now = datetime.now(UTC) + timedelta(seconds=ahead)
        try:
            organisation = Simulator(
                start=now - timedelta(days=days),
                jitter=Jitter(jitter),
                job_rules=JobRules(lag=timedelta(hours=job_lag)),
                faults=script,
                paging=Paging(page_rows, count_nothing),
                tls=secured,
                **settings,
            )
            organisation.clock.advance(now - organisation.now())
            asyncio.run(_serve(organisation, eventbridge, as_json=as_json))
        except ScriptError as error:
            _fail(f"{faults}: {error}", status=2, as_json=as_json)
        except CertificateError as error:
            _fail(str(error), status=2, as_json=as_json)
        except OSError as error:
            _fail(str(error), status=1, as_json=as_json)


def _certificate(
    stack: contextlib.ExitStack, domains: Sequence[str], certificate: Path | None, key: Path | None, *, tls: bool
) -> Certificate | None:
    """The one of the options; None: no TLS. Raises CertificateError."""
    if (certificate is None) != (key is None):
        raise CertificateError("--certificate and --key belong together")
    if certificate is not None and key is not None:
        return Certificate(certificate, key)
    if not tls and not domains:
        return None
    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="simulator-"))
    return make(Path(folder), [*LOOPBACK, *(f"{part}.{domain}" for domain in domains for part in PARTS)])


async def _serve(organisation: Simulator, eventbridge: Mapping[str, Any], *, as_json: bool) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with organisation, _delivering(organisation, eventbridge):
        if as_json:
            click.echo(json.dumps(organisation.env))
        else:
            click.echo("A simulated organisation is up. In another terminal:\n")
            for name, value in organisation.env.items():
                click.echo(f"export {name}={value}")
            click.echo("\nthen `rollbook doctor`, `rollbook run`. Ctrl-C ends it.")
        await stop.wait()


@contextlib.asynccontextmanager
async def _delivering(organisation: Simulator, options: Mapping[str, Any]) -> AsyncIterator[EventBridge | None]:
    """Deliver the running organisation's detail events by EventBridge, if a queue or a bus is named."""
    if not options.get("sqs") and not options.get("bus"):
        yield None
        return
    # Imported where it is needed: boto3 is slow to import, and few want it.
    from rollbook.simulator.eventbridge.aws import deliver, to_bus, to_queue

    send = to_queue(options["sqs"]) if options.get("sqs") else to_bus(options["bus"])
    names = ("loss", "deaf", "repeats", "reorder", "poison")
    trouble = DeliveryTrouble(**{name: options[name] for name in names if name in options})
    bridge = EventBridge(str(organisation.world.organization["id"]), trouble=trouble)
    organisation.notifications.listen(bridge.take)
    delivery = asyncio.create_task(deliver(bridge, send))
    try:
        yield bridge
    finally:
        delivery.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await delivery


def _read(path: Path) -> list[Fault]:
    try:
        return load(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ScriptError(f"cannot be read: {error}") from None


def _fail(message: str, *, status: int, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"error": message}))
    else:
        click.echo(f"rollbook simulate: {message}", err=True)
    raise SystemExit(status)
