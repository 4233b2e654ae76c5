"""Signing in: a token from client credentials, renewed before it ends, and once more when it is refused."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import urlsplit

from rollbook.genesys.api import retry
from rollbook.genesys.api.http import Answer, Http, TransportError, Trouble
from rollbook.genesys.errors import (
    ApiError,
    ConnectionLost,
    NotAuthenticated,
    RequestRefused,
    SignInRefused,
    TooSlow,
    Unavailable,
)
from rollbook.genesys.lenient_json import read_object, text_or_none
from rollbook.genesys.program import named_secrets
from rollbook.genesys.program.settings import Secret, Settings

log = logging.getLogger(__name__)

# A host that was never reached is more likely wrong than busy: fewer tries.
UNREACHED: Final = 3
# A token is renewed when a tenth of its life is left, but no more than five minutes early.
_EARLY_PART: Final = 0.1
# Seconds that a token is believed to last at most.
_LONGEST: Final = 366 * 86_400
_EARLY_SECONDS: Final = 300.0


class SignIn:
    """Hands out a token that is good now. One for all requests of a process. answered: is given every answer."""

    def __init__(
        self,
        settings: Settings,
        http: Http,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        draw: random.Random,
        answered: Callable[[Answer], None],
    ) -> None:
        assert settings.login_url is not None
        self._url = f"{settings.login_url}/oauth/token"
        self._given = settings.access_token
        # Where no token is given, there are both: `Rest` has looked.
        self._name, self._client_secret = settings.client_id or "", settings.client_secret or Secret("")
        self._http = http
        self._clock = clock
        self._sleep = sleep
        self._draw = draw
        self._answered = answered
        self._token: Secret | None = None
        self._renew_at = self._half_at = 0.0
        self.ends_at: float | None = None  # when the token ends, by `clock`; None where that is not known
        self._one_at_a_time = asyncio.Lock()
        self._outage = retry.Outage()

    async def token(self) -> Secret:
        """A token. Raises SignInRefused, ConnectionLost, Unavailable."""
        if self._given is not None:
            return self._given
        async with self._one_at_a_time:
            if self._token is None or self._clock() >= self._renew_at:
                await self._renew()
            assert self._token is not None
            return self._token

    async def freshen(self) -> None:
        """See to it that half of the token's life lies ahead, if a new one can be had."""
        async with self._one_at_a_time:
            if self._given is None and self._token is not None and self._clock() >= self._half_at:
                try:
                    await self._renew()
                except (ApiError, ConnectionLost) as error:
                    log.info("the token stays the old one for now: %s", error)

    async def refused(self, token: Secret) -> None:
        """`token` was refused: get another, unless somebody has done so. Raises NotAuthenticated if it was given."""
        if self._given is not None:
            raise NotAuthenticated(
                "GENESYSCLOUD_ACCESS_TOKEN is refused; it has ended, or belongs to another region", status=401
            )
        async with self._one_at_a_time:
            if self._token == token:
                self._token = None

    async def _renew(self) -> None:
        attempt, waited, reread = 1, 0.0, False
        while True:
            failure: ApiError | ConnectionLost
            after: float | None = None
            try:
                answer = await self._ask()
            except TransportError as error:
                failure = no_answer(self._url, error, narrower=False)
                if error.trouble not in (Trouble.UNREACHABLE, Trouble.CUT):
                    raise failure from None
            else:
                self._answered(answer)
                if answer.status == 200 and self._accept(answer):
                    if self._outage.over():
                        log.info("sign-in works again")
                    return
                if not retry.passes(answer.status) and answer.status != 200:
                    if reread or not await self._rotated():
                        raise self._refusal(answer)
                    reread = True
                    continue
                after = retry.retry_after(answer.status, answer.headers)
                failure = Unavailable(
                    "sign-in does not answer properly; try again later", status=answer.status, narrower=False
                )
            tries = UNREACHED if isinstance(failure, ConnectionLost) else retry.TRIES
            wait = retry.wait(attempt, retry_after=after, draw=self._draw.random, waited=waited, tries=tries)
            if wait is None:
                raise failure
            log.log(self._outage.failed(), "sign-in will be tried again in %.1f s: %s", wait, failure)
            await self._sleep(wait)
            attempt, waited = attempt + 1, waited + wait

    async def _ask(self) -> Answer:
        form, auth = {"grant_type": "client_credentials"}, (self._name, await self._secret())
        return await self._http.request("POST", self._url, form=form, auth=auth)

    async def _secret(self) -> str:
        """The client's secret; looked up where the setting only names it. Raises SettingsError, ConnectionLost."""
        return await named_secrets.value_apart(self._client_secret.reveal())

    async def _rotated(self) -> bool:
        """Tell whether a secret that is only named has another value by now."""
        text = self._client_secret.reveal()
        if not named_secrets.is_reference(text):
            return False
        former = await self._secret()
        named_secrets.forget(text)
        return await self._secret() != former

    def _accept(self, answer: Answer) -> bool:
        members = read_object(answer.body)
        token = members.get("access_token")
        if not isinstance(token, str) or not token.isprintable() or not token.isascii() or not token:
            return False
        lifetime = members.get("expires_in")
        seconds = float(min(lifetime, _LONGEST)) if isinstance(lifetime, int | float) and lifetime > 0 else 3600.0
        self._token = Secret(token)
        self._half_at, self.ends_at = self._clock() + seconds / 2, self._clock() + seconds
        self._renew_at = self._clock() + seconds - min(seconds * _EARLY_PART, _EARLY_SECONDS)
        return True

    def _refusal(self, answer: Answer) -> SignInRefused:
        members = read_object(answer.body)
        names = ("error_description", "description", "message")
        said = next(filter(None, map(members.get, names)), "no reason given")
        host = urlsplit(self._url).hostname
        return SignInRefused(
            f"{host} refuses these credentials ({said}); check GENESYSCLOUD_OAUTHCLIENT_ID and"
            " GENESYSCLOUD_OAUTHCLIENT_SECRET, that the client's grant type is Client Credentials, and the region",
            status=answer.status,
            code=text_or_none(members.get("error")),
        )


def no_answer(
    url: str, error: TransportError, *, method: str = "", path: str = "", narrower: bool = True
) -> ConnectionLost | ApiError:
    """The error for a request that got no answer, with the host and what to look at.

    narrower: whether what was asked for can be less.
    """
    host = urlsplit(url).netloc
    if error.trouble is Trouble.UNREACHABLE:
        return ConnectionLost(
            f"cannot reach {host} ({error}); check the network, GENESYSCLOUD_REGION, and the proxy settings"
        )
    if error.trouble is Trouble.ADDRESS:
        said = f"this request to {host} cannot be made ({error}); that is rollbook's fault, not the network's"
        return RequestRefused(said, method=method, path=path, narrower=narrower)
    said = f"{host} gave no proper answer ({error}); try again later"
    kind = TooSlow if error.trouble is Trouble.SLOW else Unavailable
    return kind(said, method=method, path=path, narrower=narrower)
