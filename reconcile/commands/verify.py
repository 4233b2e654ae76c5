"""`rollbook verify`: asks for the platform's counts and shows both sides."""

from __future__ import annotations

from datetime import UTC, datetime

from reconcile.reading.platform_retention import PlatformRetention
from reconcile.verify import lines
from reconcile.verify import verify as compare
from rollbook.genesys.api.client import Api
from rollbook.genesys.program import console
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.times import parse_interval
from rollbook.store.organization_book import book_of

# As a window that could not be read consistently: it ran, and the two do not agree.
DIFFERENT = 3


def verify(interval: str, settings: Settings, as_json: bool) -> None:
    async def work() -> int:
        wanted = parse_interval(interval, now=datetime.now(UTC))
        settings.require_platform()
        async with (
            Api(settings) as api,
            book_of(await api.organization(), settings, command="verify", mode="ro") as book,
        ):
            kept = await PlatformRetention(api, book, writes=False).of(wanted.start, api.now())
            found = await compare(api, book, wanted, kept=kept)
        console.show(as_json, found.as_dict, lambda: lines(found))
        return 0 if found.equal else DIFFERENT

    console.run(work(), as_json=as_json)
