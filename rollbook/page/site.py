"""The pages and what they answer: each request is guarded, its looks at the store are shared, and nothing is written.

`feed.py` looks, `views/` decide what is shown, `render.py` makes it HTML, `server.py` sends it. The daemon and
`rollbook page` each bring a source: the store, and what is known of a running daemon.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.genesys.ids import conversation_id as spelled_id
from rollbook.genesys.program.inert import inert, inert_json
from rollbook.genesys.program.settings import Settings
from rollbook.genesys.program.terminal import count
from rollbook.genesys.times import from_text, to_text
from rollbook.page import looks, render
from rollbook.page.feed import Feed, Look, Seen
from rollbook.page.guard import COOKIE, Asked, Guard
from rollbook.page.server import HttpAnswer, HttpRequest, HttpRoute
from rollbook.page.streams import Streams
from rollbook.page.views import address, overview, words
from rollbook.page.views.address import ShownTime
from rollbook.page.views.band import Rows, Zoom
from rollbook.page.vitals import DaemonVitals
from rollbook.store import status
from rollbook.store.upkeep import sizes
from rollbook.store.views import page_rows

# Nothing but this page's own files, and nobody may put it into a frame.
POLICY: Final = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_HTML: Final = "text/html; charset=utf-8"
_LIVE: Final = (
    "headline",
    "band",
    "incidents",
    "received",
    "gaps",
    "events",
    "topics",
    "api",
    "disk",
    "quality",
    "queues",
)
# Incidents on the first page, and under the filter for all that is not complete.
_FEW: Final = 8
_MANY: Final = 100
# Addresses whose parts are kept.
_KEPT: Final = 16
_SIZES: Final = timedelta(days=120)
_WORST: Final = 8
# Seconds after a wrong token before the next is looked at.
_PAUSE: Final = 1.0


class PageSource(Protocol):
    """Whatever has the store: a daemon, or a command that has opened it."""

    async def read(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        """Answer `fn(connection, …)`. Raises StoreError, also where there is no store yet."""

    async def vitals(self) -> DaemonVitals | None:
        """The figures of the daemon; None where there is none."""

    def now(self) -> datetime:
        """The time now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSettings:
    """Settings of the page. width, since: of windows, as the reconciler has them. personal: show personal fields."""

    store_path: Path
    width: timedelta
    since: datetime | None = None
    personal: bool = False
    token: str | None = None
    hosts: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings, token: str | None) -> PageSettings:
        """Those of the program's settings. token: the one that they give or name."""
        return cls(
            store_path=settings.store_path,
            width=settings.width,
            since=settings.since,
            personal=settings.page_personal,
            token=token,
            hosts=frozenset(settings.page_hosts),
        )


class Site:
    """The pages of one store. `routes`, and `close` at the end."""

    def __init__(
        self, source: PageSource, settings: PageSettings, *, tick: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._settings = settings
        self._guard = Guard(settings.token, settings.hosts)
        self.feed = Feed(tick, source.now)
        self._kept: OrderedDict[str, tuple[tuple[int, ...], dict[str, str]]] = OrderedDict()
        self.streams = Streams()
        self._wrong = asyncio.Lock()
        render.prepare()

    def routes(self) -> list[HttpRoute]:
        """Every path of the page."""
        pages = {
            "/": self._overview,
            "/windows/{start}": self._window,
            "/conversations/{id}": self._conversation,
            "/status.json": self._status_json,
            "/status.txt": self._status_text,
            "/live": self._live,
            "/live/windows/{start}": self._live_window,
            "/live/conversations/{id}": self._live_conversation,
            "/page.js": self._script,
        }
        return [
            *(HttpRoute(path, self._guarded(handler)) for path, handler in pages.items()),
            HttpRoute("/page.css", _asset("page.css", "text/css; charset=utf-8")),
            HttpRoute("/page.svg", _asset("page.svg", "image/svg+xml")),
            HttpRoute("/favicon.ico", _asset("page.svg", "image/svg+xml")),
            HttpRoute("/sign-in", self._sign_in, "POST"),
        ]

    async def close(self) -> None:
        """End the looks under way."""
        await self.feed.close()

    # Who may look

    def _guarded(
        self, handler: Callable[[HttpRequest], Awaitable[HttpAnswer]]
    ) -> Callable[[HttpRequest], Awaitable[HttpAnswer]]:
        async def answer(request: HttpRequest) -> HttpAnswer:
            refusal = self._guard.refusal(Asked(request.local, request.headers))
            if refusal is not None:
                more = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
                return _message(
                    "Not shown", refusal.sentence, status=refusal.status, form=refusal.may_sign_in, headers=more
                )
            try:
                return await handler(request)
            except UsageError as error:
                return _message("Not understood", _sentence(error), status=400)
            except RollbookError as error:
                return _message("Not known now", _sentence(error), status=503, headers={"Retry-After": "5"})

        return answer

    async def _sign_in(self, request: HttpRequest) -> HttpAnswer:
        """Take the token of a form, and answer with a cookie; a wrong one costs a second, one after the other."""
        guard = Guard(None, self._settings.hosts | {request.local} if self._guard.token else frozenset())
        refusal = guard.refusal(Asked("127.0.0.1" if request.local else "", request.headers))
        if refusal is not None or self._guard.token is None:
            return _message("Not shown", "Nobody signs in here.", status=404)
        if not self._guard.is_token(request.form.get("token", "")):
            async with self._wrong:
                await asyncio.sleep(_PAUSE)
            return _message("Not shown", "That is not the token.", status=401, form=True)
        # Not `Secure`: behind a proxy it may be plain on the last step, and a token without TLS is said in the docs.
        cookie = f"{COOKIE}={self._guard.cookie()}; Path=/; HttpOnly; SameSite=Strict"
        return HttpAnswer(status=303, headers={**HEADERS, "Location": "/", "Set-Cookie": cookie})

    # The pages

    async def _overview(self, request: HttpRequest) -> HttpAnswer:
        span = address.read(request.query)
        return _html(render.page("overview.html", self._values(span, *await self._seen(span))))

    async def _live(self, request: HttpRequest) -> HttpAnswer:
        """The parts of the first page as they change, each as HTML: what has not changed is not sent again."""
        span = address.read(request.query)
        return self._stream(lambda: self._parts(span))

    async def _live_window(self, request: HttpRequest) -> HttpAnswer:
        """What the page of a window shows, as a digest: the page gets itself anew when that is another."""
        at = _start_of_window(request)
        return self._stream(
            lambda: self._digest(Look("window", lambda: self._source.read(looks.window_digest, at), at, needed=True))
        )

    async def _live_conversation(self, request: HttpRequest) -> HttpAnswer:
        """The same of a conversation's page."""
        identity = spelled_id(request.names["id"]) or ""

        async def read() -> Any:
            return await self._source.read(
                looks.conversation_digest, identity, self._source.now(), personal=self._settings.personal
            )

        return self._stream(lambda: self._digest(Look("conversation", read, identity, needed=True)))

    def _stream(self, look: Callable[[], Awaitable[Mapping[str, str]]]) -> HttpAnswer:
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        return HttpAnswer(self.streams.begin(look), content_type="text/event-stream", headers=headers)

    async def _digest(self, look: Look) -> dict[str, str]:
        """A page's digest, and as of when: everybody who has the same page open shares the look."""
        seen = (await self.feed.take([look]))[look.name]
        assert seen is not None
        return {"digest": seen.value, "as-of": words.second(seen.at)}

    async def _parts(self, span: ShownTime) -> dict[str, str]:
        """The parts of the first page. Everybody who has the same address open gets the same, made once."""
        seen, zoom = await self._seen(span)
        version = tuple(0 if each is None else each.number for each in seen.values())
        kept = self._kept.get(span.link())
        if kept is None or kept[0] != version:
            parts = render.parts("overview.html", _LIVE, self._values(span, seen, zoom))
            kept = self._kept[span.link()] = version, parts
        self._kept.move_to_end(span.link())
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept[1]

    async def _seen(self, span: ShownTime) -> tuple[dict[str, Seen | None], Zoom | None]:
        """The looks that the first page is made of, and the buckets of its band."""
        first = await self.feed.take(self._first_looks())
        zoom = overview.zoomed(span, _value(first["ledger"])["extent"], self._settings.width)
        return first | await self.feed.take(self._looks(span, zoom)), zoom

    def _values(self, span: ShownTime, seen: Mapping[str, Seen | None], zoom: Zoom | None) -> dict[str, Any]:
        """What the first page shows."""
        vitals: DaemonVitals | None = _value(seen["vitals"])
        found, ledger = _value(seen["status"]), _value(seen["ledger"])
        now = self._source.now()
        nothing: tuple[Any, Any, Any] = [], [], []
        days, off = _value(seen["days"]) or nothing, _value(seen["off"]) or []
        fine = days if zoom is None or zoom.unit.key == page_rows.DAY else _value(seen["fine"]) or nothing
        status_seen = seen["status"]
        assert status_seen is not None
        calls = _value(seen["quality"])
        events = _value(seen["arrivals"])
        day = _value(seen["queues"])
        measured = _value(seen["sizes"])
        return {
            "head": overview.sentence_of(found, vitals),
            "organization": (found["organization"] or {}).get("name"),
            "as_of": words.second(status_seen.at),
            "vitals": vitals,
            "seen": seen,
            "span": span,
            "band": overview.band_part(
                span,
                zoom,
                Rows(ledger["pieces"], ledger["by_day"], fine[0], fine[1], fine[2], off),
                ledger["counts"],
                _value(seen["incidents"]) or [],
                filtered=ledger["filtered"],
                most=_MANY if span.incomplete else _FEW,
            ),
            "received": overview.received_by_day(days[1], days[2], off, now) if _value(seen["days"]) else None,
            "gaps": overview.gaps_by_cause(found["gap_causes"]),
            "arrivals": None if events is None else overview.arrivals(events[0], events[2], events[1]),
            "topics": overview.topics(found["rejected_topics"], vitals),
            "capture_words": _capture_words(found["capture"]),
            "api": overview.api(vitals),
            "disk": None if measured is None else overview.disk(measured, found["store"]),
            "quality": None if calls is None else overview.quality(*calls),
            "queues": None if day is None else overview.queues(day),
        }

    def _first_looks(self) -> list[Look]:
        settings, read = self._settings, self._source.read

        async def look_at_status() -> Any:
            return await read(
                status.report,
                settings.store_path,
                self._source.now(),
                width=settings.width,
                since_setting=settings.since,
            )

        return [
            Look("status", look_at_status, needed=True),
            Look("vitals", self._source.vitals, needed=True),
            Look("ledger", lambda: read(looks.ledger), needed=True),
        ]

    def _looks(self, span: ShownTime, zoom: Zoom | None) -> list[Look]:
        """The looks beside the first ones. Those of a short time are made anew for each time that is looked at."""
        read, now = self._source.read, self._source.now()
        day_ago = to_text(now - timedelta(days=1))
        bounds = overview.slot_bounds(now)
        within = span.since, span.until or "9"
        asked = [
            Look("days", lambda: read(looks.days, page_rows.DAY, "", "9")),
            Look("off", lambda: read(page_rows.times_off, to_text(now))),
            Look(
                "incidents",
                lambda: read(page_rows.incidents, *within, (_MANY if span.incomplete else _FEW) + 1),
                key=(*within, span.incomplete),
            ),
            Look("arrivals", lambda: read(looks.arrivals, bounds, day_ago)),
            Look("sizes", lambda: read(sizes.since, to_text(now - _SIZES))),
            Look("quality", lambda: read(looks.quality, day_ago, to_text(now))),
            Look("queues", lambda: read(page_rows.queue_day, now)),
        ]
        if zoom is not None and zoom.unit.key != page_rows.DAY:
            ends = zoom.start, zoom.end
            asked.append(Look("fine", lambda: read(looks.days, zoom.unit.key, *ends), key=(zoom.unit.key, *ends)))
        return asked

    async def _window(self, request: HttpRequest) -> HttpAnswer:
        at = _start_of_window(request)
        found = await self._source.read(looks.window_values, at)
        if found is None:
            return _message("No such window", f"No window of the ledger begins at {words.minute(at)} UTC.", status=404)
        own = {"day_link": _day_link(at), "as_of": words.second(to_text(self._source.now()))}
        return _html(render.page("window.html", found | own))

    async def _conversation(self, request: HttpRequest) -> HttpAnswer:
        identity = spelled_id(request.names["id"]) or ""
        html = await self._source.read(
            looks.conversation_html, identity, self._source.now(), personal=self._settings.personal
        )
        if html is None:
            return _message("No such conversation", f"Nothing in the store names {identity}.", status=404)
        return _html(html)

    async def _status(self) -> dict[str, Any]:
        """What `rollbook status --json` answers; the state and its reasons are the daemon's own, where there is one."""
        seen = await self.feed.take(self._first_looks())
        found: dict[str, Any] = _value(seen["status"])
        vitals: DaemonVitals | None = _value(seen["vitals"])
        return found if vitals is None else found | {"state": vitals.state, "why": list(vitals.why)}

    async def _status_json(self, _: HttpRequest) -> HttpAnswer:
        body = inert_json(json.dumps(await self._status(), ensure_ascii=False))
        return HttpAnswer(body, content_type="application/json; charset=utf-8", headers=HEADERS)

    async def _status_text(self, _: HttpRequest) -> HttpAnswer:
        return HttpAnswer(f"{inert((await self._status())['sentence'])}\n", headers=HEADERS)

    async def _script(self, _: HttpRequest) -> HttpAnswer:
        return HttpAnswer(render.asset("page.js"), content_type="text/javascript; charset=utf-8", headers=HEADERS)


# Answers


def _value(seen: Seen | None) -> Any:
    return None if seen is None else seen.value


def _html(text: str) -> HttpAnswer:
    return HttpAnswer(text, content_type=_HTML, headers=HEADERS)


def _message(
    heading: str, sentence: str, *, status: int, form: bool = False, headers: Mapping[str, str] | None = None
) -> HttpAnswer:
    text = render.page("message.html", {"heading": heading, "sentence": sentence, "form": form, "as_of": ""})
    return HttpAnswer(text, status=status, content_type=_HTML, headers={**HEADERS, **(headers or {})})


def _asset(name: str, content_type: str) -> Callable[[HttpRequest], Awaitable[HttpAnswer]]:
    async def answer(_: HttpRequest) -> HttpAnswer:
        return HttpAnswer(render.asset(name), content_type=content_type, headers=HEADERS)

    return answer


def _start_of_window(request: HttpRequest) -> str:
    """The start that an address ends with, as API text. Raises UsageError."""
    try:
        return to_text(from_text(request.names["start"]))
    except ValueError:
        raise UsageError("the address of a window ends with its start, such as 2026-03-02T10:00Z") from None


def _sentence(error: RollbookError) -> str:
    text = f"{error}{error.then}"
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _capture_words(capture: Mapping[str, Any]) -> str:
    if capture["since"] is None:
        return "Capture has received nothing yet." if capture["has_run"] else "Capture has never run."
    now = f"Listening by {', '.join(capture['sources'])}" if capture["listening"] else "Nothing listens now"
    day = capture["last_day"]
    share = words.percent(day["share"])
    return f"{now}; {share} of the time of {count(day['topics'], 'topic')} was listened to in the last day."


def _day_link(start: str) -> str:
    day = from_text(start).replace(hour=0, minute=0, second=0, microsecond=0)
    return ShownTime(to_text(day), to_text(day + timedelta(days=1))).link()
