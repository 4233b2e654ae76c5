"""The pages and what they answer: each request is guarded, its looks at the store are shared, and nothing is written.

`feed.py` looks, `views/` decide what is shown, `render.py` makes it HTML, `server.py` sends it. The daemon and
`rollbook page` each bring a source: the store, and what is known of a running daemon.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
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
from rollbook.page.feed import FRESH, Feed, Look, Seen
from rollbook.page.guard import COOKIE, Asked, Guard
from rollbook.page.server import HttpAnswer, HttpRequest, HttpRoute
from rollbook.page.views import address, overview, window_page, words
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
# Pages that are kept up to date at a time, and addresses whose parts are kept.
_STREAMS: Final = 100
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
        self._streams = 0
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
        values, _ = await self._values(address.read(request.query))
        return _html(render.page("overview.html", values))

    async def _live(self, request: HttpRequest) -> HttpAnswer:
        """The parts of the first page as they change, each as HTML: what has not changed is not sent again."""
        span = address.read(request.query)
        if self._streams >= _STREAMS:
            raise RollbookError(f"{_STREAMS} pages are kept up to date already; reload this one instead")
        headers = {**HEADERS, "X-Accel-Buffering": "no"}
        return HttpAnswer(self._changes(span), content_type="text/event-stream", headers=headers)

    async def _changes(self, span: ShownTime) -> AsyncIterator[bytes]:
        sent: dict[str, str] = {}
        self._streams += 1
        try:
            yield b"retry: 5000\n\n"
            while True:
                await asyncio.sleep(FRESH if sent else 1.0)
                try:
                    parts = await self._parts(span)
                except RollbookError:
                    yield b": no answer\n\n"
                    continue
                changed = {name: html for name, html in parts.items() if sent.get(name) != html}
                sent = parts
                # A line all the same: a proxy, and the browser, see that the server is there.
                yield f"data: {json.dumps(changed)}\n\n".encode() if changed else b": as before\n\n"
        finally:
            self._streams -= 1

    async def _parts(self, span: ShownTime) -> dict[str, str]:
        """The parts of the first page. Everybody who has the same address open gets the same, made once."""
        values, version = await self._values(span)
        kept = self._kept.get(span.link())
        if kept is None or kept[0] != version:
            kept = self._kept[span.link()] = version, render.parts("overview.html", _LIVE, values)
        self._kept.move_to_end(span.link())
        while len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return kept[1]

    async def _values(self, span: ShownTime) -> tuple[dict[str, Any], tuple[int, ...]]:
        """What the first page shows, and the numbers of the looks that it is made of."""
        first = await self.feed.take(self._first_looks())
        vitals: DaemonVitals | None = _value(first["vitals"])
        found, ledger = _value(first["status"]), _value(first["ledger"])
        zoom = overview.zoomed(span, ledger["extent"], self._settings.width)
        seen = first | await self.feed.take(self._looks(span, zoom))
        now = self._source.now()
        nothing: tuple[Any, Any, Any] = [], [], []
        days, off = _value(seen["days"]) or nothing, _value(seen["off"]) or []
        fine = days if zoom is None or zoom.unit.key == page_rows.DAY else _value(seen["fine"]) or nothing
        status_seen = first["status"]
        assert status_seen is not None
        calls = _value(seen["quality"])
        events = _value(seen["arrivals"])
        day = _value(seen["queues"])
        measured = _value(seen["sizes"])
        values = {
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
        return values, tuple(0 if each is None else each.number for each in seen.values())

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
        text = request.names["start"]
        try:
            at = to_text(from_text(text))
        except ValueError:
            raise UsageError("the address of a window ends with its start, such as 2026-03-02T10:00Z") from None
        found = await self._source.read(looks.window_proof, at)
        if found is None:
            return _message("No such window", f"No window of the ledger begins at {words.minute(at)} UTC.", status=404)
        proofs, inside, names, beside, organization = found
        values = {
            "page": window_page.window_page(proofs, inside, names, beside),
            "day_link": _day_link(proofs[0][0].start),
            "as_of": words.second(to_text(self._source.now())),
            "organization": organization,
        }
        return _html(render.page("window.html", values))

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
