"""The daemon as the page's source: its store, its clock, and its figures as the page shows them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from realtime.daemon.health import judge
from realtime.figures import DaemonFigures
from rollbook.genesys.program import named_secrets
from rollbook.genesys.program.settings import Settings
from rollbook.page.site import PageSettings, Site
from rollbook.page.vitals import DaemonVitals, Line


class LookedAt(Protocol):
    """The daemon, as far as the page looks at it."""

    async def figures(self) -> DaemonFigures: ...

    async def look(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any: ...

    def now(self) -> datetime: ...


class DaemonSource:
    """The source of the daemon's page."""

    def __init__(self, daemon: LookedAt) -> None:
        self._daemon = daemon

    async def read(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Answer `fn(connection, …)`. Raises StoreError, also while the daemon starts."""
        return await self._daemon.look(fn, *args, **kwargs)

    async def vitals(self) -> DaemonVitals:
        """The daemon's figures."""
        return vitals_of(await self._daemon.figures())

    def now(self) -> datetime:
        """The time by the clock that stamps events."""
        return self._daemon.now()


async def site_of(daemon: LookedAt, settings: Settings) -> Site | None:
    """The page of a daemon; None where the settings want none. Raises RollbookError for a token that cannot be read."""
    if not settings.page_enabled:
        return None
    return Site(DaemonSource(daemon), await page_settings(settings))


async def page_settings(settings: Settings) -> PageSettings:
    """The settings of the page. Raises RollbookError for a token that cannot be read."""
    token = settings.page_token
    return PageSettings.of(settings, None if token is None else await named_secrets.value_apart(token.reveal()))


def vitals_of(figures: DaemonFigures) -> DaemonVitals:
    """The figures as the page shows them; what the queue counts is counted with what the sockets brought."""
    state, why = judge(figures)
    sqs = figures.sqs
    return DaemonVitals(
        state=state,
        why=why,
        lines=[
            Line(line.number + 1, line.phase, line.topics, line.heard_topics, line.down_for, line.loss_reason)
            for line in figures.lines
        ],
        queue=None if sqs is None else f"{sqs.name} {'is listened to' if sqs.is_listening else 'does not answer'}",
        channels_free=figures.channels_free,
        channels_of_others=figures.channels_of_others,
        refused=figures.refused_topics,
        unplaced=figures.unplaced_topics,
        new=figures.new + (sqs.new if sqs else 0),
        repeated=figures.repeated + (sqs.repeated if sqs else 0),
        dropped=figures.dropped,
        dead_letters=figures.dead_letters + (sqs.dead_letters if sqs else 0),
        waiting=figures.waiting_frames + (sqs.in_hand if sqs else 0),
        waiting_for=max(figures.waiting_for, sqs.oldest if sqs else 0.0),
        requests=figures.requests,
        budget_left=figures.budget_left,
        latency=None if figures.latency is None else figures.latency[0],
    )
