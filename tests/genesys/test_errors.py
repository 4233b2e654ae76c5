"""Errors that say whether a question for less may be answered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollbook.genesys.errors import (
    ApiError,
    NotAuthenticated,
    NotFound,
    PermissionRefused,
    RequestRefused,
    Unavailable,
)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 520, 524, 598])
def test_a_gateway_that_gives_up_may_answer_less(status: int) -> None:
    """Whichever number it has for it."""
    assert Unavailable("too slow", status=status).narrower


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("response.entity.too.large", "The response is over the limit; reduce the page size"),
        ("RESPONSE.ENTITY.TOO.LARGE", ""),
        (None, "Pagination may not exceed 100000 results"),
        ("bad.request", "Pagination may not exceed 400000 results."),
        ("bad.request", "Too many results"),
        ("too.many.results", "x"),
        ("invalid", "The result set is too large to be returned"),
        ("invalid", "Request Entity Too Large"),
        (None, "Payload size exceeded"),
        (None, "response exceeds the maximum allowed of 6 MB"),
        (None, "the interval may not exceed 7 days"),
        (None, "URI too long"),
        (None, "Please use a smaller interval"),
        (None, "Narrow your query"),
    ],
)
def test_what_is_too_large_may_be_had_in_parts(code: str | None, message: str) -> None:
    """However the platform or a gateway says it, in its code or in its message."""
    assert RequestRefused(message, status=400, code=code).narrower


@pytest.mark.parametrize("status", [413, 414, 431])
def test_some_statuses_say_too_large_by_themselves(status: int) -> None:
    """Without a body that can be read."""
    assert RequestRefused("<html>", status=status).narrower


@pytest.mark.parametrize("message", ["status 400", "400 Bad Request", "Bad Request", "invalid request"])
@pytest.mark.parametrize("status", [400, 406, 422, 499])
def test_a_refusal_without_a_code_is_a_gateways(status: int, message: str) -> None:
    """The platform would have given a code: what a gateway refuses without one may be had in parts."""
    assert RequestRefused(message, status=status).narrower


@pytest.mark.parametrize(
    "error",
    [
        Unavailable(
            "Rate limit exceeded the maximum. Retry the request in [5] seconds", status=429, code="too.many.requests"
        ),
        RequestRefused("too many requests", status=400, code="too.many.requests"),
        RequestRefused("The rate limit of the maximum was exceeded", status=400),
        RequestRefused("dimension 'color' is not supported", status=400, code="bad.request"),
        RequestRefused("invalid interval", status=400, code="invalid.interval"),
        PermissionRefused("too large", status=403),
        NotFound("page size", status=404),
        NotAuthenticated("too many", status=401),
        ApiError("too large", status=400),
        Unavailable("broken", status=200),
        Unavailable("sign-in does not answer properly", status=503, narrower=False),
    ],
)
def test_what_asking_for_less_does_not_help(error: ApiError) -> None:
    """A limit of time, a refusal for another reason, and what is not about how much was asked."""
    assert not error.narrower


@given(st.text(max_size=80), st.none() | st.text(max_size=30))
def test_a_rate_limit_is_never_a_matter_of_size(message: str, code: str | None) -> None:
    """429 means later, whatever it says."""
    assert not Unavailable(message, status=429, code=code).narrower
    assert Unavailable(message, status=0, code=code, narrower=True).narrower
