"""What open pages are sent while somebody looks: as server-sent events, each time what has changed since the last.

It knows neither what a page shows nor how it is read: whoever opens a stream brings the look, which answers parts by
their names.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from rollbook.genesys.errors import RollbookError
from rollbook.page.feed import FRESH

# Pages that are kept up to date at a time.
MOST: Final = 100
# Seconds until the first message: by then what a page was made without has come.
_FIRST: Final = 1.0
_NOTHING: Final[Mapping[str, str]] = {}


class Streams:
    """The streams of all open pages. `open`: how many there are."""

    def __init__(self) -> None:
        self.open = 0
        # The last message, and from which parts to which it leads: pages that show the same are sent the same.
        self._from: Mapping[str, str] = _NOTHING
        self._to: Mapping[str, str] = _NOTHING
        self._message = b": as before\n\n"

    def begin(self, look: Callable[[], Awaitable[Mapping[str, str]]]) -> AsyncIterator[bytes]:
        """The messages of a page. Raises RollbookError where there are too many."""
        if self.open >= MOST:
            raise RollbookError(f"{MOST} pages are kept up to date already; reload this one instead")
        return self._messages(look)

    async def _messages(self, look: Callable[[], Awaitable[Mapping[str, str]]]) -> AsyncIterator[bytes]:
        sent: Mapping[str, str] = _NOTHING
        self.open += 1
        try:
            yield b"retry: 5000\n\n"
            while True:
                await asyncio.sleep(FRESH if sent else _FIRST)
                try:
                    parts = await look()
                except RollbookError:
                    yield b": no answer\n\n"
                    continue
                message = self._message_of(sent, parts)
                sent = parts
                yield message
        finally:
            self.open -= 1

    def _message_of(self, sent: Mapping[str, str], parts: Mapping[str, str]) -> bytes:
        """What leads a page from these parts to those; it is made once for all pages that have the very same."""
        if not (self._from is sent and self._to is parts):
            changed = {name: text for name, text in parts.items() if sent.get(name) != text}
            self._from, self._to = sent, parts
            # A line all the same: a proxy, and the browser, see that the server is there.
            self._message = f"data: {json.dumps(changed)}\n\n".encode() if changed else b": as before\n\n"
        return self._message
