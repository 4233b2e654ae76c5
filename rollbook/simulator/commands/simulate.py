"""`rollbook simulate`: the organisation on its own, for integration tests of any connector.

Owns the options and how addresses and credentials are printed; what is simulated is elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import click

from rollbook.simulator.certificates import LOOPBACK, PARTS, Certificate, CertificateError, make
from rollbook.simulator.eventbridge.options import OPTIONS, delivering, eventbridge_options
from rollbook.simulator.faults.script import Fault, ScriptError, load
from rollbook.simulator.rest.analytics.details_query import LARGEST_PAGE, READINGS, Jitter, Paging
from rollbook.simulator.rest.analytics.jobs import JobRules
from rollbook.simulator.server import Simulator

_POSITIVE = click.IntRange(min=1)
_NOT_NEGATIVE = click.FloatRange(min=0)


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed makes the same queues, users and stories.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="0: any free one.")
@click.option("--rate", type=_NOT_NEGATIVE, default=1.0, show_default=True, help="Simulated seconds in a real one.")
@click.option("--queues", type=_POSITIVE, default=6, show_default=True)
@click.option("--users", type=_POSITIVE, default=12, show_default=True)
@click.option("--per-hour", type=_NOT_NEGATIVE, default=120.0, show_default=True, help="Conversations an hour.")
@click.option("--days", type=click.FloatRange(0, 400), default=1.0, show_default=True, help="Days of past.")
@click.option(
    "--reading",
    type=click.Choice(READINGS),
    default="overlap",
    show_default=True,
    help="How a details query reads a part of a day.",
)
@click.option(
    "--jitter",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="By how much totalHits errs on the last minute.",
)
@click.option("--rate-limit", type=_POSITIVE, default=300, show_default=True, help="Requests a minute.")
@click.option("--latency", type=_NOT_NEGATIVE, default=0.0, show_default=True, help="Real seconds of every answer.")
@click.option("--token-lifetime", type=click.FloatRange(min=1), default=86_400, show_default=True, help="Real seconds.")
@click.option("--job-lag", type=_NOT_NEGATIVE, default=6.0, show_default=True, help="Hours that jobs' data are behind.")
@click.option(
    "--ahead", type=float, default=0.0, show_default=True, help="Seconds that its clock is ahead of this one."
)
@click.option(
    "--page-rows",
    type=click.IntRange(1, LARGEST_PAGE),
    default=LARGEST_PAGE,
    show_default=True,
    help="Rows of a details query's page at most, however many (up to 200) are asked for.",
)
@click.option("--count-nothing", is_flag=True, help="A page without rows has totalHits; otherwise it is {}.")
@click.option("--variety", is_flag=True, help="Chats, video calls and campaigns' calls too.")
@click.option("--tls", is_flag=True, help="https and wss, with a certificate made for the occasion (needs openssl).")
@click.option(
    "--domain",
    "domains",
    multiple=True,
    metavar="NAME",
    help="The certificate is also for api., login. and streaming. of this domain.",
)
@click.option(
    "--certificate", type=click.Path(dir_okay=False, path_type=Path), help="https and wss with this one (PEM)."
)
@click.option("--key", type=click.Path(dir_okay=False, path_type=Path), help="The certificate's key (PEM).")
@click.option("--faults", type=click.Path(dir_okay=False, path_type=Path), help="A script of what goes wrong (JSON).")
@eventbridge_options
@click.option("--json", "as_json", is_flag=True, help="Print addresses and credentials as one JSON object.")
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
    """Run a local Genesys Cloud organisation until stopped."""
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
    async with organisation, delivering(organisation, eventbridge):
        if as_json:
            click.echo(json.dumps(organisation.env))
        else:
            click.echo("A simulated organisation is up. In another terminal:\n")
            for name, value in organisation.env.items():
                click.echo(f"export {name}={value}")
            click.echo("\nthen `rollbook doctor`, `rollbook run`. Ctrl-C ends it.")
        await stop.wait()


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
