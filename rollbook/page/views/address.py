"""The address of the first page: which time its band shows, and whether only what is not complete is listed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlencode

from rollbook.genesys.errors import UsageError
from rollbook.genesys.times import from_text, to_text

_LONGEST = timedelta(days=366 * 100)


@dataclass(frozen=True, slots=True)
class ShownTime:
    """The time that is shown: from and until, API text, or "" for all there is. incomplete: list all that is not."""

    since: str = ""
    until: str = ""
    incomplete: bool = False

    @property
    def is_all(self) -> bool:
        """Tell whether all time is shown."""
        return not self.since and not self.until

    def link(self) -> str:
        """The address."""
        words = {
            "from": _short(self.since),
            "until": _short(self.until),
            "show": "incomplete" if self.incomplete else "",
        }
        asked = urlencode({name: value for name, value in words.items() if value}, safe=":")
        return f"/?{asked}" if asked else "/"


def read(query: Mapping[str, str]) -> ShownTime:
    """The span that a query asks for. Raises UsageError."""
    since, until = _time(query, "from"), _time(query, "until")
    if since and until and since >= until:
        raise UsageError("write an until that lies after from")
    if (show := query.get("show", "")) not in ("", "incomplete"):
        raise UsageError("write show=incomplete, or leave it out")
    return ShownTime(since, until, show == "incomplete")


def _time(query: Mapping[str, str], name: str) -> str:
    text = query.get(name, "")
    if not text:
        return ""
    try:
        moment = from_text(text)
        if not 1990 <= moment.year <= 2100:
            raise ValueError("out of range")
    except ValueError:
        raise UsageError(f"write {name} as a day or a time such as 2026-03-02 or 2026-03-02T10:00Z") from None
    return to_text(moment)


def _short(text: str) -> str:
    """A time as short as it can be."""
    return text.removesuffix("T00:00:00.000Z") if text.endswith("T00:00:00.000Z") else text.replace(":00.000Z", "Z")


def ends(span: ShownTime, extent: tuple[str, str]) -> tuple[datetime, datetime]:
    """Start and end of what is shown. extent: of all windows."""
    start, end = from_text(span.since or extent[0]), from_text(span.until or extent[1])
    if end <= start:
        end = start + timedelta(hours=1)
    return start, min(end, start + _LONGEST)
