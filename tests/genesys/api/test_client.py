"""The API as it is asked: against a small server in this process, with a clock that only waiting moves."""

import asyncio
import base64
import gc
import json
import logging
import random
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from aiohttp import web

from rollbook.genesys.api.client import Api, AvailableTopic, DetailsJob, NotificationChannel, Organization, TopicState
from rollbook.genesys.api.http import Limits
from rollbook.genesys.api.listing import Entity
from rollbook.genesys.api.request import counting
from rollbook.genesys.errors import (
    ApiError,
    ConnectionLost,
    NotAuthenticated,
    NotFound,
    PermissionRefused,
    RequestRefused,
    SettingsError,
    SignInRefused,
    Unavailable,
)
from rollbook.genesys.named import LISTS, NameKind
from rollbook.genesys.privacy.policy import STRICT
from rollbook.genesys.privacy.policy import parse as parse_policy
from rollbook.genesys.program.settings import Secret, Settings
from tests.helpers.paths import DATA

TLS = DATA / "tls"
SECRET = "hunter2-very-secret"
ME = "/api/v2/organizations/me"
Handler = Callable[[web.Request], web.StreamResponse]


def answer(status: int = 200, body: object = None, **headers: str) -> web.Response:
    """An answer of the platform's."""
    payload = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
    return web.Response(
        status=status, body=payload, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


class Platform:
    """A server that answers what it is told to, in order, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        self.tokens: list[str] = []
        self.signed_in: list[tuple[str, dict[str, str]]] = []
        self.sign_in: deque[Handler] = deque()
        self.answers: deque[Handler | web.Response] = deque()
        self.lifetime = 86400
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.path == "/oauth/token":
            self.signed_in.append((request.headers.get("Authorization", ""), dict(parse_qsl(body.decode()))))
            if self.sign_in:
                return self.sign_in.popleft()(request)
            return answer(
                body={
                    "access_token": f"token-{len(self.signed_in)}",
                    "token_type": "bearer",
                    "expires_in": self.lifetime,
                }
            )
        self.tokens.append(request.headers.get("Authorization", ""))
        self.asked.append((request.method, request.path, dict(request.query), json.loads(body) if body else None))
        if not self.answers:
            return answer(body={"id": "o1", "name": "Org"})
        given = self.answers.popleft()
        return given if isinstance(given, web.Response) else given(request)


@asynccontextmanager
async def served(handler: Any, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server on loopback; its address."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class Clock:
    """Seconds that pass only by waiting."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


class NoDraw(random.Random):
    """Chance that takes nothing off and adds nothing."""

    def random(self) -> float:
        return 0.0


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
async def platform() -> AsyncIterator[Platform]:
    """A platform that answers."""
    server = Platform()
    async with served(server.handle) as url:
        server.url = url
        yield server


@pytest.fixture
def clock() -> Clock:
    """Its clock."""
    return Clock()


def settings_for(url: str, **more: Any) -> Settings:
    """Settings with credentials."""
    known: dict[str, Any] = {"api_url": url, "login_url": url, "client_id": "client", "client_secret": Secret(SECRET)}
    return Settings(**(known | more))


@pytest.fixture
async def api(platform: Platform, clock: Clock) -> AsyncIterator[Api]:
    """An API client of the platform."""
    async with client(platform.url, clock) as made:
        yield made


def client(url: str, clock: Clock, **more: Any) -> Api:
    """An API client that waits by the clock."""
    options = {name: more.pop(name) for name in ("share", "now", "limits") if name in more}
    return Api(settings_for(url, **more), clock=clock, sleep=clock.sleep, random=NoDraw(), **options)


@pytest.fixture(autouse=True)
def _no_secret_is_told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """No test's logs hold the client's secret, a token, or a channel."""
    caplog.set_level(logging.DEBUG, logger="rollbook.genesys")
    yield
    for record in caplog.records:
        if record.name.startswith("rollbook.genesys"):
            assert not any(word in record.getMessage() for word in (SECRET, "token-", "streaming-0"))


# Sign-in


async def test_signing_in_by_client_credentials(api: Api, platform: Platform) -> None:
    """Once, with Basic credentials and the grant's form; the token is used from then on."""
    assert await api.organization() == Organization("o1", "Org")
    await api.organization()
    basic, form = platform.signed_in[0]
    assert base64.b64decode(basic.removeprefix("Basic ")).decode() == f"client:{SECRET}"
    assert form == {"grant_type": "client_credentials"}
    assert platform.tokens == ["Bearer token-1", "Bearer token-1"]
    assert len(platform.signed_in) == 1


async def test_many_requests_at_once_sign_in_once(api: Api, platform: Platform) -> None:
    """Whoever comes first signs in for all."""
    await asyncio.gather(*(api.organization() for _ in range(10)))
    assert len(platform.signed_in) == 1


async def test_a_token_is_renewed_before_it_ends(api: Api, platform: Platform, clock: Clock) -> None:
    """Five minutes early, or a tenth of a short life."""
    platform.lifetime = 1000
    await api.organization()
    clock.now += 899
    await api.organization()
    assert len(platform.signed_in) == 1
    clock.now += 2
    await api.organization()
    assert platform.tokens[-1] == "Bearer token-2"
    platform.lifetime = 86400
    clock.now += 1000
    await api.organization()
    clock.now += 86400 - 301
    await api.organization()
    assert len(platform.signed_in) == 3
    clock.now += 2
    await api.organization()
    assert len(platform.signed_in) == 4


async def test_a_refused_token_is_replaced_once(api: Api, platform: Platform) -> None:
    """401: another token, the same request; refused again, it is an error that is not retried."""
    expired = {"message": "The supplied credentials are expired.", "code": "credentials.expired", "status": 401}
    platform.answers.append(answer(401, expired))
    assert (await api.organization()).id == "o1"
    assert platform.tokens == ["Bearer token-1", "Bearer token-2"]
    platform.answers.extend([answer(401, expired), answer(401, expired)])
    with pytest.raises(NotAuthenticated, match="expired") as caught:
        await api.organization()
    assert caught.value.code == "credentials.expired"
    assert len(platform.signed_in) == 3


async def test_a_ready_token_is_used_and_never_replaced(platform: Platform, clock: Clock) -> None:
    """There is nothing to renew it with: a refusal says which variable holds it."""
    async with client(platform.url, clock, access_token=Secret("given"), client_id=None, client_secret=None) as api:
        await api.organization()
        assert platform.tokens == ["Bearer given"]
        platform.answers.append(answer(401, {"message": "Invalid login credentials."}))
        with pytest.raises(NotAuthenticated, match="GENESYSCLOUD_ACCESS_TOKEN"):
            await api.organization()
    assert platform.signed_in == []


async def test_an_error_repeats_nobodys_data_under_a_policy(
    platform: Platform, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The platform's words are left out where free text is, its code stays; what they mean for the next try does too."""
    body = {
        "message": "The page size is too large for Ada Canary, ada.canary@example.com or +49 30 901820",
        "messageParams": {"name": "Ada Canary"},
        "code": "bad.request",
    }
    async with client(platform.url, clock, privacy=STRICT) as api:
        platform.answers += [answer(503, body), answer(400, body)]
        with pytest.raises(RequestRefused) as caught:
            await api.query_details({})
        assert caught.value.narrower
        platform.answers.append(answer(200, {"state": "FAILED", "errorMessage": body["message"]}))
        job = await api.job("j1")
    said = str(caught.value) + str(job.error_message) + caplog.text
    assert "bad.request" in str(caught.value)
    assert "anary" not in said
    assert "901820" not in said
    async with client(platform.url, clock, privacy=parse_policy("phone_numbers=drop,email_addresses=shorten")) as api:
        platform.answers.append(answer(400, body))
        with pytest.raises(RequestRefused, match=r"for Ada Canary, …@example\.com or …"):
            await api.query_details({})


@pytest.mark.parametrize("status", [400, 401])
async def test_wrong_credentials_say_what_to_check(status: int, api: Api, platform: Platform) -> None:
    """At once, with the platform's word for it, and without the secret."""
    body = {
        "error": "invalid_client",
        "description": "authentication failed",
        "error_description": "authentication failed",
    }
    platform.sign_in.append(lambda _: answer(status, body))
    with pytest.raises(SignInRefused) as caught:
        await api.organization()
    said = str(caught.value)
    assert "authentication failed" in said
    assert "GENESYSCLOUD_OAUTHCLIENT_ID" in said
    assert "region" in said
    assert SECRET not in said + repr(caught.value)
    assert caught.value.code == "invalid_client"
    assert len(platform.signed_in) == 1


async def test_sign_in_is_tried_again_when_the_moment_is_wrong(api: Api, platform: Platform, clock: Clock) -> None:
    """Rate limits, servers and answers without a token pass."""
    platform.sign_in.extend(
        [
            lambda _: answer(503),
            lambda _: answer(429, Retry_After="9"),
            lambda _: answer(200, {}),
            lambda _: answer(200, {"access_token": "líne\n"}),
        ]
    )
    assert (await api.organization()).id == "o1"
    assert clock.waits == [0.5, 9.0, 2.0, 4.0]


async def test_sign_in_gives_up(api: Api, platform: Platform) -> None:
    """After six tries it says that the platform does not answer."""
    platform.sign_in.extend([lambda _: answer(500)] * 6)
    with pytest.raises(Unavailable, match="sign-in"):
        await api.organization()
    assert len(platform.signed_in) == 6


# Retries and errors


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_wrong_moment_is_waited_for(status: int, api: Api, platform: Platform, clock: Clock) -> None:
    """Each status that passes is asked again, after a wait that doubles."""
    platform.answers.extend([answer(status), answer(status)])
    assert (await api.organization()).id == "o1"
    assert clock.waits == [0.5, 1.0]
    assert len(platform.asked) == 3


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"[]", b'{"id": "o1'])
async def test_a_broken_body_is_asked_again(body: bytes, api: Api, platform: Platform) -> None:
    """A cut answer is no answer."""
    platform.answers.append(answer(200, body))
    assert (await api.organization()).id == "o1"
    assert len(platform.asked) == 2


async def test_a_body_that_stays_broken_is_an_error(api: Api, platform: Platform) -> None:
    """After six tries, with the correlation id."""
    platform.answers.extend([answer(200, b"{", ININ_Correlation_Id="c-9") for _ in range(6)])
    with pytest.raises(Unavailable, match="broken") as caught:
        await api.organization()
    assert caught.value.correlation_id == "c-9"
    assert len(platform.asked) == 6


def news(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged that is more than a detail, since the last look."""
    found = [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    caplog.clear()
    return found


async def test_an_outage_is_two_lines(api: Api, platform: Platform, caplog: pytest.LogCaptureFixture) -> None:
    """The first try that fails, of however many requests, and the first answer; a single failure is one."""
    platform.answers.extend(answer(503) for _ in range(12))
    await asyncio.gather(api.organization(), api.organization(), return_exceptions=True)
    assert len(platform.asked) == 12
    (began,) = news(caplog)
    assert "tried again" in began
    assert "503" in began
    await api.organization()
    (ended,) = news(caplog)
    assert ended == f"{platform.url.removeprefix('http://')} answers again"
    platform.answers.append(answer(503))
    await api.organization()
    assert len(news(caplog)) == 1


async def test_an_outage_of_the_sign_in_is_two_lines(
    api: Api, platform: Platform, caplog: pytest.LogCaptureFixture
) -> None:
    """As one of the API is."""
    platform.sign_in.extend([lambda _: answer(503)] * 5)
    await api.organization()
    assert [line.partition(" in ")[0] for line in news(caplog)] == [
        "sign-in will be tried again",
        "sign-in works again",
    ]


async def test_a_connection_that_breaks_is_asked_again(api: Api, platform: Platform) -> None:
    """In the middle of an answer, or before it."""

    def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return answer()

    platform.answers.extend([drop, drop])
    assert (await api.organization()).id == "o1"
    assert len(platform.asked) == 3


async def test_retry_after_is_obeyed(api: Api, platform: Platform, clock: Clock) -> None:
    """No request goes out earlier than the platform said, of any task."""
    platform.answers.append(answer(429, Retry_After="17"))
    await api.organization()
    assert clock.waits == [17.0]
    platform.answers.append(answer(429, inin_ratelimit_reset="31"))
    await api.organization()
    assert clock.waits == [17.0, 31.0]


async def test_a_retry_after_beyond_reason_is_given_up(api: Api, platform: Platform, clock: Clock) -> None:
    """An hour is a daily limit: the error says so, at once."""
    body = {
        "message": "Rate limit exceeded the maximum. Retry the request in [3600] seconds",
        "code": "too.many.requests",
    }
    platform.answers.append(answer(429, body, Retry_After="3600"))
    with pytest.raises(Unavailable, match="3600 s") as caught:
        await api.organization()
    assert caught.value.code == "too.many.requests"
    assert clock.waits == []
    assert (await api.organization()).id == "o1"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, RequestRefused),
        (404, NotFound),
        (409, RequestRefused),
        (413, RequestRefused),
        (415, RequestRefused),
        (302, RequestRefused),
    ],
)
async def test_a_refusal_is_an_error_at_once(status: int, kind: type[ApiError], api: Api, platform: Platform) -> None:
    """With the platform's message and code, what was asked, and the correlation id, on one line."""
    body = {
        "message": "Pagination may not exceed\n100000 results.",
        "code": "bad.request",
        "status": status,
        "contextId": "c-1",
    }
    platform.answers.append(answer(status, body))
    with pytest.raises(kind) as caught:
        await api.query_details({"interval": "x"})
    error = caught.value
    assert (error.status, error.code, error.correlation_id) == (status, "bad.request", "c-1")
    assert str(error) == (
        f"Pagination may not exceed 100000 results ({status} bad.request,"
        " POST /api/v2/analytics/conversations/details/query, correlation id c-1)"
    )
    assert len(platform.asked) == 1


async def test_a_missing_permission_is_named(api: Api, platform: Platform) -> None:
    """The platform's word for it; where it has none, the one that the request takes."""
    message = (
        "Unable to perform the requested action. You are missing the following permission(s): analytics:x:view, y:z:add"
    )
    platform.answers.append(answer(403, {"message": message, "code": "missing.permissions"}, ININ_Correlation_Id="c-2"))
    with pytest.raises(PermissionRefused) as caught:
        await api.queues()
    assert "give the OAuth client's role the permission analytics:x:view, y:z:add" in str(caught.value)
    assert "403 missing.permissions" in str(caught.value)
    assert "c-2" in str(caught.value)
    platform.answers.append(answer(403, {"message": "You are not authorized to perform the requested action."}))
    with pytest.raises(PermissionRefused, match="analytics:conversationDetail:view"):
        await api.details_by_id(["c1"])


async def test_an_error_without_a_body_still_says_something(api: Api, platform: Platform) -> None:
    """A proxy's page is no ErrorBody."""
    platform.answers.append(answer(400, b"<html>"))
    with pytest.raises(RequestRefused, match="status 400"):
        await api.organization()


async def test_a_host_that_cannot_be_reached_is_named(clock: Clock) -> None:
    """After three tries: the host, and what to check."""
    async with client("http://127.0.0.1:9", clock) as api:
        with pytest.raises(ConnectionLost) as caught:
            await api.organization()
    assert "127.0.0.1:9" in str(caught.value)
    assert "network" in str(caught.value)
    assert len(clock.waits) == 2


async def test_a_host_that_was_reached_before_is_waited_for_longer(clock: Clock) -> None:
    """A platform that vanishes during a run gets all six tries."""
    platform = Platform()
    async with served(platform.handle) as url:
        api = client(url, clock)
        await api.organization()
    async with api:
        with pytest.raises(ConnectionLost):
            await api.organization()
    assert len(clock.waits) == 5


# Pacing and counting


async def test_requests_wait_for_the_next_minute(api: Api, platform: Platform, clock: Clock) -> None:
    """When the headers say that the minute is used, the next request waits until it begins again."""
    platform.answers.append(
        answer(body={"id": "o"}, inin_ratelimit_count="180", inin_ratelimit_allowed="180", inin_ratelimit_reset="23")
    )
    await api.organization()
    await api.organization()
    assert clock.waits == [23.5]


async def test_a_share_of_the_limit_is_kept(platform: Platform, clock: Clock) -> None:
    """Half of it used, a daemon with half a share waits."""
    platform.answers.append(
        answer(body={"id": "o"}, inin_ratelimit_count="90", inin_ratelimit_allowed="180", inin_ratelimit_reset="40")
    )
    async with client(platform.url, clock, share=0.5) as api:
        await api.organization()
        await api.organization()
    assert clock.waits == [40.5]


async def test_requests_are_counted_with_their_retries(api: Api, platform: Platform) -> None:
    """Retries and tasks count, sign-in does not; blocks nest."""
    platform.answers.extend([answer(500), answer(401)])
    with counting() as outer:
        await api.organization()
        with counting() as inner:
            await asyncio.gather(api.organization(), api.organization())
    await api.organization()
    assert (outer.requests, inner.requests) == (5, 2)


async def test_the_clocks_are_compared(platform: Platform, clock: Clock) -> None:
    """By how many seconds ours is ahead of the platform's; unknown before the first answer."""
    theirs = datetime(2026, 3, 2, 10, tzinfo=UTC)
    async with client(platform.url, clock, now=lambda: theirs + timedelta(seconds=90)) as api:
        assert api.clock_skew is None
        platform.answers.append(answer(body={"id": "o"}, Date=format_datetime(theirs, usegmt=True)))
        await api.organization()
        assert api.clock_skew == pytest.approx(90, abs=1)
        platform.answers.append(answer(body={"id": "o"}, Date="some day"))
        await api.organization()
        assert api.clock_skew == pytest.approx(90, abs=1)


# Lists


def listed(*ids: str, **more: Any) -> web.Response:
    """A page of a list."""
    return answer(
        body={"entities": [{"id": conversation_id, "name": conversation_id.upper()} for conversation_id in ids]} | more
    )


async def test_lists_are_read_to_the_last_page(api: Api, platform: Platform) -> None:
    """A hundred a page, until the page count; what comes twice counts once."""
    platform.answers.extend([listed("a", "b", pageCount=2), listed("b", "c", pageCount=2)])
    assert await api.queues() == [Entity("a", "A"), Entity("b", "B"), Entity("c", "C")]
    assert [asked[1:3] for asked in platform.asked] == [
        ("/api/v2/routing/queues", {"pageSize": "100", "pageNumber": "1"}),
        ("/api/v2/routing/queues", {"pageSize": "100", "pageNumber": "2"}),
    ]


async def test_a_list_without_a_page_count_ends_when_it_is_empty(api: Api, platform: Platform) -> None:
    """An empty page, seen twice, is the last; entities without an id, or of another shape, are none."""
    second = answer(body={"entities": [{"name": "x"}, 5, {"id": "b"}]})
    platform.answers.extend([listed("a"), second, answer(body={}), answer(body={})])
    assert await api.users() == [Entity("a", "A"), Entity("b", "")]
    assert [asked[2]["pageNumber"] for asked in platform.asked] == ["1", "2", "3", "3"]
    platform.answers.append(listed("d", pageCount=1))
    assert await api.divisions() == [Entity("d", "D")]


@pytest.mark.parametrize("empty", [{"entities": []}, {}])
async def test_an_empty_page_without_a_word_is_asked_again(empty: Any, api: Api, platform: Platform) -> None:
    """One emptiness in the middle of a list is not its end."""
    platform.answers.extend([listed("a"), answer(body=empty), listed("b"), answer(body=empty), answer(body=empty)])
    assert [queue.id for queue in await api.queues()] == ["a", "b"]


async def test_an_empty_page_does_not_end_a_list_that_counts_its_pages(api: Api, platform: Platform) -> None:
    """Permissions can empty a page; the list ends where the platform says so, by the most that it said."""
    platform.answers.extend(
        [listed("a", pageCount=4), listed(pageCount=4), listed(pageCount=1), listed("b", "c", pageCount=4)]
    )
    assert [queue.id for queue in await api.queues()] == ["a", "b", "c"]
    assert len(platform.asked) == 4


async def test_a_list_may_name_its_next_page_instead(api: Api, platform: Platform) -> None:
    """The last page is the one without a next; short and empty pages before it are no end."""
    platform.answers.extend([listed("a", nextUri="/x?2"), listed(nextUri="/x?3", total=2), listed("b")])
    assert [queue.id for queue in await api.queues()] == ["a", "b"]
    assert len(platform.asked) == 3


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"message": "down", "status": 503},
        {"pageCount": 3},
        {"entities": {}},
        {"entities": None},
        {"entities": "a"},
        {"entities": [], "message": "down"},
        {"errors": [{}]},
    ],
)
async def test_what_is_no_list_is_asked_again(body: Any, api: Api, platform: Platform) -> None:
    """An error's body, or nothing at all, is not an empty list; if it stays so there is no answer."""
    platform.answers.extend([answer(body=body), listed("a", pageCount=1)])
    assert await api.queues() == [Entity("a", "A")]
    platform.answers.extend([answer(body=body) for _ in range(6)])
    with pytest.raises(Unavailable, match="broken"):
        await api.queues()


async def test_names_are_listed_once(api: Api, platform: Platform) -> None:
    """A hundred a page and each page once, with deleted ones where they can be listed: state, division, site, last change."""
    entity = {
        "id": "e",
        "name": "Edge",
        "state": "INACTIVE",
        "division": {"id": "d"},
        "site": {"id": "s"},
        "dateModified": "2026-03-02T10:00:00Z",
    }
    platform.answers.extend(
        [listed("a", pageCount=2, total=3), answer(body={"entities": [entity, {"id": "x", "deleted": True}]})]
    )
    found = await api.names(LISTS[NameKind.USER])
    assert found == [Entity("a", "A"), Entity("e", "Edge"), Entity("x", "")]
    assert (found[1].state, found[1].division_id, found[1].site_id) == ("inactive", "d", "s")
    assert found[1].modified_at == "2026-03-02T10:00:00.000Z"
    assert [entity.state for entity in found] == ["active", "inactive", "deleted"]
    assert found.complete
    assert [asked[1:3] for asked in platform.asked] == [
        ("/api/v2/users", {"state": "any", "pageSize": "100", "pageNumber": "1"}),
        ("/api/v2/users", {"state": "any", "pageSize": "100", "pageNumber": "2"}),
    ]
    platform.answers.append(listed("a", pageCount=1, total=2))
    short = await api.names(LISTS[NameKind.USER])
    assert (len(short), short.complete, len(platform.asked)) == (1, False, 3)


async def test_an_organisations_own_people_have_no_names_under_a_policy(platform: Platform, clock: Clock) -> None:
    """Users are called by their ids, in a list and asked for by id; queues keep their names."""
    async with client(platform.url, clock, privacy=STRICT) as api:
        platform.answers += [listed("a", pageCount=1), listed("a"), listed("q", pageCount=1)]
        assert await api.names(LISTS[NameKind.USER]) == [Entity("a", "a")]
        assert await api.names_by_id(LISTS[NameKind.USER], ["a"]) == [Entity("a", "a")]
        assert await api.names(LISTS[NameKind.QUEUE]) == [Entity("q", "Q")]


async def test_names_are_listed_by_a_cursor(api: Api, platform: Platform) -> None:
    """Teams have no numbers of pages: each page names the next one, and one that names itself is an error."""
    following = "/api/v2/teams?pageSize=100&after=x%3D1"
    platform.answers.extend([listed("a", nextUri=following), listed("b")])
    found = await api.names(LISTS[NameKind.TEAM])
    assert ([entity.id for entity in found], found.complete) == (["a", "b"], True)
    assert [asked[2] for asked in platform.asked] == [{"pageSize": "100"}, {"pageSize": "100", "after": "x=1"}]
    platform.answers.append(listed("a", nextUri="/api/v2/teams?page=2"))
    assert (await api.names(LISTS[NameKind.TEAM])).complete is False, "its next page cannot be asked for"
    platform.answers.extend([listed("a", nextUri=following), listed("b", nextUri=following)])
    with pytest.raises(Unavailable, match="names a page that it has shown"):
        await api.names(LISTS[NameKind.TEAM])


async def test_deleted_divisions_have_a_list_of_their_own(api: Api, platform: Platform) -> None:
    """What is in both lists exists; whoever may not see the second one has the first."""
    platform.answers.extend([listed("a", "b", pageCount=1), listed("b", "c", pageCount=1)])
    found = await api.names(LISTS[NameKind.DIVISION])
    assert [(entity.id, entity.state) for entity in found] == [("a", "active"), ("b", "active"), ("c", "deleted")]
    platform.answers.extend([listed("a", pageCount=1), answer(403, {"message": "You are missing a permission"})])
    assert await api.names(LISTS[NameKind.DIVISION]) == [Entity("a", "A")]


async def test_names_of_some_ids(api: Api, platform: Platform) -> None:
    """One request; a server that answers with others than those that it was asked for is not believed."""
    platform.answers.append(listed("a", "z", pageCount=9))
    assert await api.names_by_id(LISTS[NameKind.QUEUE], ["a", "b"]) == [Entity("a", "A")]
    platform.answers.append(answer(body={}))
    assert await api.names_by_id(LISTS[NameKind.QUEUE], ["a"]) == []
    assert len(platform.asked) == 2


async def test_an_empty_list_is_empty(api: Api, platform: Platform) -> None:
    """If it says so."""
    for body in (
        {"entities": [], "total": 0, "pageCount": 0},
        {"entities": [], "pageCount": 1},
        {"total": 0, "pageCount": 0},
    ):
        platform.answers.append(answer(body=body))
        found = await api.queues()
        assert (found, found.complete) == ([], True)
    assert len(platform.asked) == 3


async def test_a_list_that_lacks_what_it_counts_is_read_again(api: Api, platform: Platform) -> None:
    """What either reading shows is there; what neither shows makes the list a partial one."""
    short, other = listed("a", "b", pageCount=1, total=3), listed("b", "c", pageCount=1, total=3)
    platform.answers.extend([short, other])
    found = await api.queues()
    assert ([entity.id for entity in found], found.complete, len(platform.asked)) == (["a", "b", "c"], True, 2)
    platform.answers.extend([listed("a", pageCount=1, total=3), listed("a", pageCount=1, total=3)])
    found = await api.queues()
    assert ([entity.id for entity in found], found.complete, len(platform.asked)) == (["a"], False, 4)
    platform.answers.append(answer(body={"entities": [{"id": "a"}, {"name": "x"}, 5], "total": 3, "pageCount": 1}))
    assert (await api.queues()).complete


@pytest.mark.parametrize("more", [{}, {"pageCount": 900}, {"nextUri": "/x"}])
async def test_a_list_that_repeats_itself_is_an_error(more: Any, api: Api, platform: Platform) -> None:
    """A server that does not look at the page's number would be asked for ever."""
    platform.answers.extend([listed("a", "b", **more) for _ in range(3)])
    with pytest.raises(Unavailable, match="same page") as caught:
        await api.queues()
    assert len(platform.asked) == 3
    assert not caught.value.narrower


async def test_a_list_without_end_is_an_error(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it goes on: other entities each time, a count that grows with each page."""
    monkeypatch.setattr("rollbook.genesys.api.listing.MOST_PAGES", 20)
    platform = Platform()
    async with served(platform.handle) as url, client(url, clock) as api:
        for more in (lambda _: {}, lambda n: {"pageCount": n + 1}, lambda n: {"nextUri": "/x"}):
            platform.answers.extend([listed(f"q{n}", **more(n)) for n in range(1, 21)])
            with pytest.raises(Unavailable, match="does not end within 20 pages"):
                await api.queues()


# Details and jobs


async def test_a_page_of_the_details_query(api: Api, platform: Platform) -> None:
    """The body goes out as given, the rows come back as they are."""
    platform.answers.append(answer(body={"conversations": [{"conversationId": "c1"}], "totalHits": 1}))
    body = {"interval": "a/b", "paging": {"pageSize": 100, "pageNumber": 1}}
    page = await api.query_details(body)
    assert [row.conversation_id for row in page.rows] == ["c1"]
    assert platform.asked == [("POST", "/api/v2/analytics/conversations/details/query", {}, body)]
    platform.answers.append(answer(body={}))
    assert (await api.query_details(body)).rows == ()


async def test_details_by_id(api: Api, platform: Platform) -> None:
    """The ids in one parameter; those that do not exist are not among the rows; no ids, no request."""
    platform.answers.append(answer(body={"conversations": [{"conversationId": "b"}]}))
    assert [row.conversation_id for row in await api.details_by_id(["a", "b"])] == ["b"]
    assert platform.asked[0][2] == {"id": "a,b"}
    assert await api.details_by_id([]) == []
    assert len(platform.asked) == 1


async def test_a_job_from_its_creation_to_its_last_page(api: Api, platform: Platform) -> None:
    """Created, asked for, read by its cursor, taken back; and the watermark."""
    platform.answers.extend(
        [
            answer(202, {"jobId": "j/1"}),
            answer(body={"state": "FAILED", "errorMessage": "why"}),
            answer(body={"conversations": [{"conversationId": "a"}], "cursor": "next"}),
            answer(body={"conversations": []}),
            answer(204, b""),
            answer(body={"dataAvailabilityDate": "2026-03-02T07:12:00Z"}),
            answer(body={}),
        ]
    )
    job = await api.create_job({"interval": "a/b"})
    assert job == "j/1"
    assert await api.job(job) == DetailsJob("j/1", "FAILED", "why")
    assert (await api.job_results(job)).cursor == "next"
    assert (await api.job_results(job, "next", size=10)).cursor is None
    await api.cancel_job(job)
    assert await api.data_availability() == "2026-03-02T07:12:00.000Z"
    assert await api.data_availability() is None
    jobs = "/api/v2/analytics/conversations/details/jobs"
    assert [(method, path, query) for method, path, query, _ in platform.asked[:5]] == [
        ("POST", jobs, {}),
        ("GET", f"{jobs}/j/1", {}),
        ("GET", f"{jobs}/j/1/results", {"pageSize": "1000"}),
        ("GET", f"{jobs}/j/1/results", {"pageSize": "10", "cursor": "next"}),
        ("DELETE", f"{jobs}/j/1", {}),
    ]


async def test_an_aggregates_query(api: Api, platform: Platform) -> None:
    """Its answer comes decoded."""
    platform.answers.append(answer(body={"results": [1]}))
    assert await api.aggregates({"interval": "a/b"}) == {"results": [1]}


ERROR = {"message": "down", "code": "service.unavailable", "status": 503}


@pytest.mark.parametrize("body", [ERROR, {"hello": 1}, {"errors": ["x"]}, b"{}", {"id": ""}, {"id": None}, {"id": 5}])
async def test_an_organization_without_an_id_is_none(body: Any, api: Api, platform: Platform) -> None:
    """A store that is bound to no id is bound to nobody."""
    platform.answers.append(answer(body=body))
    assert (await api.organization()).id == "o1"
    platform.answers.extend([answer(body=body) for _ in range(6)])
    with pytest.raises(Unavailable, match="organization has no id"):
        await api.organization()


async def test_an_errors_body_with_200_is_no_answer(api: Api, platform: Platform) -> None:
    """Whatever was asked, it is asked again."""
    for ask, body in (
        (lambda: api.query_details({}), {"conversations": [{"conversationId": "c"}]}),
        (lambda: api.details_by_id(["c"]), {"conversations": [{"conversationId": "c"}]}),
        (lambda: api.job("j"), {"state": "QUEUED"}),
        (lambda: api.job_results("j"), {"conversations": []}),
        (lambda: api.create_job({}), {"jobId": "j"}),
        (api.data_availability, {"dataAvailabilityDate": "2026-03-02T07:12:00Z"}),
        (lambda: api.aggregates({}), {"results": []}),
        (api.divisions, {"entities": [], "total": 0}),
        (api.channels, {"entities": []}),
        (api.available_topics, {"entities": []}),
        (lambda: api.subscriptions(CHANNEL), {"entities": []}),
        (lambda: api.subscribe(CHANNEL, [], replace=True), {"entities": []}),
        (lambda: api.subscribe(CHANNEL, [], replace=False), {"entities": []}),
    ):
        for wrong in (ERROR, {"errors": [ERROR]}, {"error": "down"}, {"hello": 1}):
            platform.answers.extend([answer(body=wrong), answer(body=body)])
            before = len(platform.asked)
            await ask()
            assert len(platform.asked) == before + 2


async def test_lists_without_pages_are_empty_only_if_they_say_so_twice(api: Api, platform: Platform) -> None:
    """One `{}` is no list of topics."""
    platform.answers.extend(
        [answer(body={}), answer(body={"entities": [{"id": "v2.a"}]}), answer(body={}), answer(body={})]
    )
    assert await api.subscriptions(CHANNEL) == ["v2.a"]
    assert await api.subscriptions(CHANNEL) == []
    assert len(platform.asked) == 4


async def test_how_often_is_asked_in_place_may_be_said(api: Api, platform: Platform) -> None:
    """Who can ask for less does not wait for six tries."""
    for ask in (
        lambda: api.query_details({}, tries=2),
        lambda: api.details_by_id(["c"], tries=2),
        lambda: api.job_results("j", tries=2, size=10),
    ):
        platform.answers.extend([answer(502, b"<html>"), answer(502, b"<html>")])
        before = len(platform.asked)
        with pytest.raises(Unavailable) as caught:
            await ask()
        assert caught.value.narrower
        assert len(platform.asked) == before + 2
    assert platform.asked[-1][2] == {"pageSize": "10"}


# Channels

CHANNEL = NotificationChannel(
    Secret("streaming-0-abc"), Secret("wss://streaming.example.com/channels/streaming-0-abc"), ""
)


async def test_a_channel_shows_itself_nowhere(api: Api, platform: Platform) -> None:
    """Its id and its address are as good as a password."""
    body = {"id": "streaming-0-abc", "connectUri": CHANNEL.connect_uri.reveal(), "expires": "2026-03-03T10:00:00.000Z"}
    platform.answers.append(answer(body=body))
    channel = await api.create_channel()
    assert channel.id.reveal() == "streaming-0-abc"
    assert channel.connect_uri.reveal() == body["connectUri"]
    assert channel.expires == "2026-03-03T10:00:00.000Z"
    assert "abc" not in repr(channel) + str(channel)


async def test_a_channel_is_not_made_twice(api: Api, platform: Platform) -> None:
    """An answer that is lost may have made one: only where the platform says that it did not, it is asked again."""
    platform.answers.extend([answer(503), answer(429), answer(body={"id": "streaming-0-a", "connectUri": "wss://x"})])
    await api.create_channel()
    assert len(platform.asked) == 3
    for failure in (answer(504), answer(200, {"id": "x"})):
        platform.answers.append(failure)
        with pytest.raises(Unavailable):
            await api.create_channel()
    assert len(platform.asked) == 5


async def test_subscriptions_are_told_one_by_one(api: Api, platform: Platform) -> None:
    """Each topic is permitted or not, with the reason; without a state it is permitted."""
    entities = [
        {"id": "v2.a", "state": "Permitted"},
        {"id": "v2.b", "state": "Rejected", "rejectionReason": "no, streaming-0-abc", "missingPermissions": ["x:y:z"]},
        {"id": "v2.c"},
        {"state": "Rejected"},
    ]
    platform.answers.extend(
        [answer(body={"entities": entities}), answer(body={}), answer(body={"entities": entities}), answer(200)]
    )
    assert await api.subscribe(CHANNEL, ["v2.a", "v2.b", "v2.c"], replace=True) == [
        TopicState("v2.a", True, None, ()),
        TopicState("v2.b", False, "no, ***", ("x:y:z",)),
        TopicState("v2.c", True, None, ()),
    ]
    assert await api.subscribe(CHANNEL, ["v2.d"], replace=False) == []
    assert await api.subscriptions(CHANNEL) == ["v2.a", "v2.c"]
    path = "/api/v2/notifications/channels/streaming-0-abc/subscriptions"
    assert platform.asked == [
        ("PUT", path, {"ignoreErrors": "true"}, [{"id": "v2.a"}, {"id": "v2.b"}, {"id": "v2.c"}]),
        ("POST", path, {"ignoreErrors": "true"}, [{"id": "v2.d"}]),
        ("GET", path, {}, None),
    ]


async def test_an_error_about_a_channel_does_not_name_it(api: Api, platform: Platform) -> None:
    """Neither the path nor the platform's message shows the id."""
    platform.answers.append(answer(404, {"message": "Channel streaming-0-abc was not found.", "code": "not.found"}))
    with pytest.raises(NotFound) as caught:
        await api.subscribe(CHANNEL, ["v2.a"], replace=True)
    assert "streaming-0" not in str(caught.value) + repr(caught.value) + caught.value.message
    assert "/channels/{channelId}/subscriptions" in str(caught.value)


async def test_channels_of_other_tokens_are_counted_without_a_name(api: Api, platform: Platform) -> None:
    """The platform shows that they exist, not what they are."""
    platform.answers.append(answer(body={"entities": [{"id": "streaming-0-a", "connectUri": "wss://x"}, {}]}))
    assert [channel.id.reveal() for channel in await api.channels()] == ["streaming-0-a", ""]
    assert platform.asked[0][2] == {"includechannels": "oauthclient"}


async def test_available_topics(api: Api, platform: Platform) -> None:
    """Templates with their transports and every permission that they can take."""
    entity = {
        "id": "v2.a.{id}.b",
        "transports": ["All"],
        "requiresPermissions": ["a:b:c"],
        "permissionDetails": [{"type": "requiresPermissions", "permissions": ["d:e:f", "a:b:c"]}, {}],
    }
    platform.answers.append(answer(body={"entities": [entity, {"id": "v2.c"}, {}]}))
    assert await api.available_topics() == [
        AvailableTopic("v2.a.{id}.b", ("All",), ("d:e:f", "a:b:c")),
        AvailableTopic("v2.c", (), ()),
    ]


# The environment: proxies and certificates


async def test_a_proxy_is_used_except_where_it_is_not_to_be(
    platform: Platform, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """HTTP_PROXY carries what NO_PROXY does not name."""
    seen: list[str] = []

    async def proxy(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(str(request.url))
        return answer(body={"access_token": "t", "expires_in": 100, "id": "by-proxy"})

    async with served(proxy) as url:
        monkeypatch.setenv("HTTP_PROXY", url)
        async with client("http://api.example.test", clock) as api:
            assert (await api.organization()).id == "by-proxy"
        assert seen == ["http://api.example.test/oauth/token", f"http://api.example.test{ME}"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        async with client(platform.url, clock) as api:
            assert (await api.organization()).id == "o1"
        assert len(seen) == 2


async def test_proxy_settings_without_sense_are_a_settings_error(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheme that nobody knows, or one that takes a package which is not there, is one line and shows no password."""
    for proxy in ("ftp://me:hunter2@127.0.0.1:1", "socks5://me:hunter2@127.0.0.1:1"):
        monkeypatch.setenv("ALL_PROXY", proxy)
        with pytest.raises(SettingsError, match="proxy") as caught:
            client("http://127.0.0.1:1", clock)
        assert "hunter2" not in str(caught.value)


async def test_a_private_authority_is_trusted_when_it_is_named(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """SSL_CERT_FILE names it; without it, the certificate is refused in words that say so."""
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(TLS / "certificate.pem", TLS / "key.pem")
    platform = Platform()
    async with served(platform.handle, tls=tls) as url:
        async with client(url, clock) as api:
            with pytest.raises(ConnectionLost, match="certificate"):
                await api.organization()
        monkeypatch.setenv("SSL_CERT_FILE", str(TLS / "certificate.pem"))
        async with client(url, clock) as api:
            assert (await api.organization()).id == "o1"


async def test_an_answer_is_freed_as_soon_as_nobody_holds_it(clock: Clock) -> None:
    """Bodies of megabytes do not wait for the cycle collector, which commands let look rarely."""

    def responses() -> int:
        return sum(isinstance(thing, httpx.Response) for thing in gc.get_objects())

    platform = Platform()
    async with served(platform.handle) as url, client(url, clock) as api:
        await api.organization()
        gc.collect()
        gc.disable()
        try:
            before = responses()
            for _ in range(3):
                await api.organization()
            assert responses() == before
        finally:
            gc.enable()


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_certificate_file_without_certificates_is_named(
    content: bytes | None, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing or broken: the variable and the path."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(SettingsError, match=r"SSL_CERT_FILE .*ca\.pem"):
        client("https://127.0.0.1:1", clock)


def test_without_credentials_no_client_is_made(clock: Clock) -> None:
    """What is missing is named before anything is asked."""
    with pytest.raises(SettingsError, match="GENESYSCLOUD_OAUTHCLIENT_ID"):
        client("http://127.0.0.1:1", clock, client_secret=None)


async def test_answers_that_were_read_do_not_wait_for_the_cycle_collector(platform: Platform, api: Api) -> None:
    """What an answer held is free as soon as it has been read: over years, the collector looks too seldom."""
    await api.organization()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            await api.organization()
        assert gc.collect() < 20
    finally:
        gc.enable()


async def test_a_channel_is_made_with_a_token_that_lasts(platform: Platform, api: Api, clock: Clock) -> None:
    """Less than half of its life before a token ends, a channel gets a new one, and says when that ends."""
    made = {"id": "c", "connectUri": "wss://x/c", "expires": "2026-08-04T14:00:00.000Z"}
    platform.answers += [answer(body=made), answer(body=made), answer(body=made)]
    first = await api.create_channel()
    assert first.token_lasts == 86_400
    clock.now += 43_000
    assert (await api.create_channel()).token_lasts == 43_400
    clock.now += 1_000
    assert (await api.create_channel()).token_lasts == 86_400
    assert platform.tokens == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_without_a_new_token_the_old_one_serves(platform: Platform, api: Api, clock: Clock) -> None:
    """A channel is made with the token there is, if a new one is refused while it still has some time."""
    await api.organization()
    clock.now += 50_000
    platform.sign_in.append(lambda _: answer(400, {"error": "invalid_client"}))
    platform.answers.append(answer(body={"id": "c", "connectUri": "wss://x/c"}))
    assert (await api.create_channel()).token_lasts == 36_400
    assert platform.tokens[-1] == "Bearer token-1"


async def test_budget_and_latency_are_told(platform: Platform, api: Api, clock: Clock) -> None:
    """What is left of the minute's requests, all of them again when it is over; how long answers took."""
    headers = {"inin_ratelimit_count": "40", "inin_ratelimit_allowed": "300", "inin_ratelimit_reset": "30"}
    platform.answers.append(answer(200, {"id": "o"}, **headers))
    await api.organization()
    assert api.requests_left() == 260
    clock.now += 31
    assert api.requests_left() == 300
    counts, seconds = api.latency.cumulative()
    assert (counts["+Inf"], seconds) == (1, 0.0)


# Requests that end, and whose time it is


async def hanging(request: web.BaseRequest) -> web.StreamResponse:
    """The head of an answer, and a byte of its body; no more until the other side leaves."""
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"{")
    assert request.transport is not None
    while not request.transport.is_closing():
        await asyncio.sleep(0.01)
    return response


async def large(request: web.BaseRequest) -> web.StreamResponse:
    """More than is allowed."""
    return answer(body=b"x" * 50_000)


@pytest.mark.parametrize("handler", [hanging, large])
async def test_an_answer_that_was_too_much_is_not_asked_for_again(handler: Any, clock: Clock) -> None:
    """It would be so again: the error comes at once, and says that less may be had."""
    asked = 0

    async def counted(request: web.BaseRequest) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        return await handler(request)  # type: ignore[no-any-return]

    limits = Limits(pace_seconds=0.2, largest=40_000)
    async with served(counted) as url:
        options: dict[str, Any] = {"access_token": Secret("given"), "client_id": None, "client_secret": None}
        async with client(url, clock, limits=limits, **options) as api:
            with pytest.raises(Unavailable, match="gave no proper answer") as caught:
                await api.query_details({})
    assert (asked, clock.waits) == (1, [])
    assert caught.value.narrower
    assert "POST /api/v2/analytics/conversations/details/query" in str(caught.value)


@pytest.mark.parametrize("handler", [hanging, large])
async def test_sign_in_ends_too(handler: Any, clock: Clock) -> None:
    """At once, and nothing smaller could be asked."""
    async with served(handler) as url, client(url, clock, limits=Limits(pace_seconds=0.2, largest=40_000)) as api:
        with pytest.raises(Unavailable, match="gave no proper answer") as caught:
            await api.organization()
    assert clock.waits == []
    assert not caught.value.narrower


async def test_a_connection_that_stays_broken_is_not_the_networks_fault(api: Api, platform: Platform) -> None:
    """There was one: less may be answered, and nobody is sent to look at the network."""

    def drop(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.close()
        return answer()

    platform.answers.extend([drop] * 2)
    with pytest.raises(Unavailable, match="middle of an answer") as caught:
        await api.query_details({}, tries=2)
    assert caught.value.narrower
    assert caught.value.status == 0
    assert "network" not in str(caught.value)


async def test_an_address_that_is_too_long_is_our_fault(api: Api, platform: Platform) -> None:
    """It is no trouble of the network, and fewer ids make a shorter one."""
    await api.organization()
    with pytest.raises(RequestRefused, match="cannot be made") as caught:
        await api.details_by_id(["x" * 70_000])
    assert caught.value.narrower
    assert "check the network" not in str(caught.value)
    assert len(platform.asked) == 1


async def test_a_gateways_own_numbers_are_waited_for(api: Api, platform: Platform) -> None:
    """Beyond 504 there are others; what was never built is no matter of the moment."""
    platform.answers.extend([answer(520), answer(524)])
    assert (await api.organization()).id == "o1"
    platform.answers.append(answer(501))
    with pytest.raises(Unavailable, match="501"):
        await api.organization()
    assert len(platform.asked) == 4


async def test_no_answer_is_taken_from_a_cache(platform: Platform, clock: Clock) -> None:
    """Every request says that it wants a new one."""
    seen: list[str | None] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(request.headers.get("Cache-Control"))
        return answer(body={"access_token": "t", "expires_in": 100, "id": "o"})

    async with served(handler) as url, client(url, clock) as api:
        await api.organization()
        with pytest.raises(Unavailable):
            await api.query_details({}, tries=1)
    assert seen[1:] == ["no-cache", "no-cache"]


def dated(at: datetime, status: int = 200, **more: str) -> web.Response:
    """An answer with its time."""
    return answer(status, {"id": "o"}, Date=format_datetime(at, usegmt=True), **more)


async def test_the_time_is_the_platforms(platform: Platform, clock: Clock) -> None:
    """From any answer, of an error and of the sign-in too, on by monotonic seconds; our clock's only before."""
    theirs, ours = datetime(2026, 3, 2, 10, tzinfo=UTC), [datetime(2026, 3, 2, 10, 45, tzinfo=UTC)]
    async with client(platform.url, clock, now=lambda: ours[0]) as api:
        assert api.now() == ours[0]
        platform.sign_in.append(lambda _: answer(body={"access_token": "t"}, Date=format_datetime(theirs, usegmt=True)))
        platform.answers.append(dated(theirs, 400))
        with pytest.raises(RequestRefused):
            await api.organization()
        assert abs((api.now() - theirs).total_seconds()) < 0.1
        assert api.clock_skew == 2700
        clock.now += 100
        ours[0] += timedelta(days=5)
        assert abs((api.now() - theirs).total_seconds() - 100) < 0.1
        platform.answers.append(dated(theirs + timedelta(days=9)))
        await api.organization()
        assert abs((api.now() - theirs).total_seconds() - 100) < 0.1
        platform.answers.append(dated(theirs, Age="101"))
        await api.organization()
        assert abs((api.now() - theirs).total_seconds() - 101) < 0.1
