"""Requests to the API: paced, retried, signed in, and answered with an error that says what to do.

It knows how to ask, not what: paths and bodies come from `rollbook/genesys/api/client.py`, decisions from `pacing`
and `retry`.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
import logging
import random as randomness
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlsplit

import msgspec

from rollbook.genesys.api import rate_limit, retry
from rollbook.genesys.api.http import Answer, Http, Limits, TransportError, Trouble
from rollbook.genesys.api.platform_clock import PlatformClock, date_of, finer
from rollbook.genesys.api.sign_in import UNREACHED, SignIn, no_answer
from rollbook.genesys.errors import (
    ApiError,
    ConnectionLost,
    NotAuthenticated,
    NotFound,
    PermissionRefused,
    RequestRefused,
    Unavailable,
)
from rollbook.genesys.lenient_json import read_object, words
from rollbook.genesys.privacy.redaction import Redactor, redactor_of
from rollbook.genesys.program.settings import Secret, Settings

log = logging.getLogger(__name__)
T = TypeVar("T")
_encode: Final = msgspec.json.Encoder().encode
# Longer than this, what the platform says is cut: an error is one line.
_WORDS: Final = 500


@dataclass(slots=True)
class Count:
    """API requests made inside a `counting` block: retries too, sign-in not."""

    requests: int = 0


class Latency:
    """A histogram of how long answers took: `counts[i]` of them within `BOUNDS[i]` seconds, the last beyond all."""

    BOUNDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

    def __init__(self) -> None:
        self.counts = [0] * (len(self.BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count an answer that took so many seconds."""
        self.counts[bisect.bisect_left(self.BOUNDS, seconds)] += 1
        self.seconds += seconds

    def cumulative(self) -> tuple[dict[str, int], float]:
        """(how many came within so many seconds, the last bound `+Inf`; the sum of all seconds)."""
        bounds = (*map(str, self.BOUNDS), "+Inf")
        return dict(zip(bounds, itertools.accumulate(self.counts), strict=True)), self.seconds


# The blocks that a request is made inside.
_counting: ContextVar[tuple[Count, ...]] = ContextVar("counting", default=())


@contextmanager
def counting() -> Iterator[Count]:
    """Count the requests that are made inside, by tasks started inside as well. Blocks nest: the outer counts all."""
    count = Count()
    token = _counting.set((*_counting.get(), count))
    try:
        yield count
    finally:
        _counting.reset(token)


def _count_one() -> None:
    for count in _counting.get():
        count.requests += 1


class Rest:
    """The API of one organisation, for one OAuth client: one token, one budget, one pool of connections.

    clock: monotonic seconds. now: the wall clock, until the platform's is known. share: the part of the rate limit that
    is ours. limits: how long a request may take, and how large an answer may be.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        random: randomness.Random | None = None,
        share: float = 1.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        limits: Limits | None = None,
    ) -> None:
        settings.require_platform()
        assert settings.api_url is not None
        draw = random or randomness.Random()  # noqa: S311 (jitter, no secret)
        self._host = settings.api_url
        self._clock, self._sleep, self._draw, self._local = clock, sleep, draw.random, now
        self._http = Http(limits or Limits(largest=settings.largest_answer))
        self._platform_clock = PlatformClock()
        self._sign_in = SignIn(settings, self._http, clock=clock, sleep=sleep, draw=draw, answered=self._read_date)
        self.reached = False  # whether the API's host has ever answered: then it is the right one
        self._outage = retry.Outage()
        self.budget = rate_limit.Budget(share=share)
        self._redactor = redactor_of(settings)
        self._redact = self._redactor.record if self._redactor else None
        self.latency = Latency()

    async def close(self) -> None:
        """Close every connection."""
        await self._http.close()

    def kept_words(self, said: str) -> str:
        """Words of the platform's as [privacy] lets them be logged and kept."""
        return said if self._redactor is None else self._redactor.error(said)

    async def freshen(self) -> None:
        """Have a token that lasts for half of its life at least, if a new one can be had."""
        await self._sign_in.freshen()

    @property
    def clock_skew(self) -> float | None:
        """By how many seconds our clock is ahead of the platform's (to about one); None before the first answer."""
        return self._platform_clock.skew

    def now(self) -> datetime:
        """The platform's time, to two seconds: our own clock's while they agree, or no answer's `Date` is known."""
        local = self._local()
        return finer(self._platform_clock.now(at=self._clock(), local=local), local)

    def requests_left(self) -> int:
        """Requests that the rate limit has left for us in this minute, as far as is known."""
        return self.budget.left_at(self._clock())

    @property
    def token_lasts(self) -> float | None:
        """Seconds until the token ends; None where that is not known."""
        return None if self._sign_in.ends_at is None else self._sign_in.ends_at - self._clock()

    async def call(
        self,
        method: str,
        path: str,
        *,
        parse: Callable[[bytes], T],
        ids: Mapping[str, str | Secret] | None = None,
        params: Mapping[str, Any] | None = None,
        body: object = None,
        needs: str = "",
        once: bool = False,
        tries: int | None = None,
    ) -> T:
        """Ask until there is an answer that `parse` takes (it raises ValueError for a broken body).

        path: with `{name}` where `ids` are filled in, so that errors show the name and not a secret. needs: the
        permission that it takes. once: must not be made twice, so not retried unless the platform says that it was not
        taken. tries: how often it is asked at most (None: as often as is sensible). An answer that was too slow or too
        large would be so again: it is not asked for a second time. Raises ApiError and its kinds, ConnectionLost.
        """
        url = self._host + path.format_map({name: quote(_plain(value), safe="") for name, value in (ids or {}).items()})
        secrets = [value for value in (ids or {}).values() if isinstance(value, Secret)]
        request = _Request(method, path, needs, secrets, self._redactor)
        content = None if body is None else _encode(body)
        attempt, waited, renewed = 1, 0.0, False
        while True:
            token = await self._sign_in.token()
            failure: ApiError | ConnectionLost
            after: float | None = None
            may_retry = not once
            try:
                answer = await self._send(method, url, token, params, content)
            except TransportError as error:
                failure = no_answer(self._host, error, method=method, path=path)
                may_retry = may_retry and error.trouble in _PASSING
            else:
                self.reached = True
                if 200 <= answer.status < 300:
                    try:
                        result = parse(answer.body)
                    except ValueError as error:
                        failure = request.broken(answer, error)
                    else:
                        self._answers()
                        return result
                elif answer.status == 401:
                    if renewed:
                        raise request.error(answer)
                    await self._sign_in.refused(token)
                    renewed = True
                    continue
                else:
                    failure = request.error(answer)
                    if not retry.passes(answer.status):
                        self._answers()
                        raise failure
                    may_retry = may_retry or answer.status in retry.NOT_TAKEN
                    after = self._held_back(answer)
            most = UNREACHED if isinstance(failure, ConnectionLost) and not self.reached else retry.TRIES
            most = most if tries is None else min(most, tries)
            wait = retry.wait(attempt, retry_after=after, draw=self._draw, waited=waited, tries=most)
            if wait is None or not may_retry:
                raise _gave_up(failure, after)
            log.log(self._outage.failed(), "%s %s will be tried again in %.1f s: %s", method, path, wait, failure)
            await self._sleep(wait)
            attempt, waited = attempt + 1, waited + wait

    def _answers(self) -> None:
        if self._outage.over():
            log.info("%s answers again", urlsplit(self._host).netloc)

    async def _send(
        self, method: str, url: str, token: Secret, params: Mapping[str, Any] | None, content: bytes | None
    ) -> Answer:
        """Send a request, when the budget has room for it."""
        while (wait := self.budget.take(self._clock())) > 0:
            log.debug("the rate limit allows the next request in %.1f s", wait)
            await self._sleep(wait)
        _count_one()
        figures = rate_limit.Figures()
        try:
            headers = {
                "Authorization": f"Bearer {token.reveal()}",
                "Accept": "application/json",
                "Cache-Control": "no-cache",  # an answer of minutes ago proves nothing
            }
            if content is not None:
                headers["Content-Type"] = "application/json"
            began = self._clock()
            answer = await self._http.request(method, url, headers=headers, params=params, content=content)
            self.latency.add(self._clock() - began)
            figures = rate_limit.figures(answer.headers)
            self._read_date(answer)
            return answer
        finally:
            self.budget.answered(self._clock(), figures)

    def _held_back(self, answer: Answer) -> float | None:
        after = retry.retry_after(answer.status, answer.headers)
        if answer.status == 429 and after is not None and after <= retry.RETRY_AFTER:
            self.budget.refused(self._clock(), after)
        return after

    def _read_date(self, answer: Answer) -> None:
        date = date_of(answer.headers)
        if date is not None:
            self._platform_clock.take(date, at=self._clock() - answer.took, local=self._local())


# What a transport's trouble may not be the next time.
_PASSING: Final = frozenset({Trouble.UNREACHABLE, Trouble.CUT})


def _plain(value: str | Secret) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def _gave_up(failure: ApiError | ConnectionLost, after: float | None) -> ApiError | ConnectionLost:
    if isinstance(failure, ApiError) and after is not None and after > retry.RETRY_AFTER:
        failure.message += f"; it asks to wait for {after:.0f} s, which is too long: try again then"
    return failure


# What an answer's status means for the caller. Others below 500 will never be taken; the rest is the moment's fault.
_KINDS: Final[Mapping[int, type[ApiError]]] = {
    401: NotAuthenticated,
    403: PermissionRefused,
    404: NotFound,
    408: Unavailable,
    429: Unavailable,
}
_PERMISSION: Final = re.compile(r"\b[a-zA-Z]+:[a-zA-Z]+:[a-zA-Z]+\b")


@dataclass(frozen=True, slots=True)
class _Request:
    """A request, as the error names it that may come of it. path: with names in the place of ids."""

    method: str
    path: str
    needs: str
    secrets: list[Secret]
    redactor: Redactor | None

    def broken(self, answer: Answer, error: ValueError) -> Unavailable:
        said = f"the platform's answer is broken ({_one_line(str(error))}); try again later"
        return Unavailable(
            self._clean(said),
            status=answer.status,
            correlation_id=answer.headers.get("inin-correlation-id"),
            method=self.method,
            path=self.path,
            narrower=True,
        )

    def error(self, answer: Answer) -> ApiError:
        """The platform's error with its code, message and correlation id, and what to do."""
        members = read_object(answer.body)
        kind = _KINDS.get(answer.status, RequestRefused if answer.status < 500 else Unavailable)
        said = words(members.get("message")) or words(members.get("messageWithParams")) or f"status {answer.status}"
        to_do = self._what_to_do(kind, said)
        error = kind(
            self._clean(f"{_one_line(said).rstrip('.')}{to_do}"),
            status=answer.status,
            code=words(members.get("code")),
            correlation_id=answer.headers.get("inin-correlation-id") or words(members.get("contextId")),
            method=self.method,
            path=self.path,
        )
        if self.redactor is not None and said in members.values():
            error.keep_narrower()  # which the words decide, that go now
            error.message = self._clean(f"{self.redactor.error(_one_line(said).rstrip('.'))}{to_do}")
        return error

    def _what_to_do(self, kind: type[ApiError], said: str) -> str:
        if kind is PermissionRefused:
            named = ", ".join(dict.fromkeys(_PERMISSION.findall(said))) or self.needs
            return f"; give the OAuth client's role the permission {named}" if named else ""
        if kind is NotAuthenticated:
            return "; a new token was refused too: check that the OAuth client is active and belongs to this region"
        return "; try again later" if kind is Unavailable else ""

    def _clean(self, text: str) -> str:
        for secret in self.secrets:
            text = secret.hide(text)
        return text


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _WORDS else f"{line[:_WORDS]}…"
