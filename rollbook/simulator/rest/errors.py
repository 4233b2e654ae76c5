"""Refusals of the platform: a status, a code and a sentence, as its ErrorBody has them.

Texts and codes are those of the platform's published error tables; where no source names one, it is marked as assumed.
Decides nothing about when to refuse.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

LARGEST_BODY: Final = 3_145_728  # bytes of a request (assumed)
# status: (code, message), for refusals that have no reason of their own.
ERRORS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("bad.request", "The request could not be understood by the server due to malformed syntax."),
    401: ("bad.credentials", "Invalid login credentials."),
    403: ("not.authorized", "You are not authorized to perform the requested action."),
    404: ("not.found", "The requested resource was not found."),
    405: ("method.not.allowed", "The requested method is not allowed for this resource."),  # assumed
    408: (
        "client.timeout",
        "The client did not produce a request within the server timeout limit. "
        "This can be caused by a slow network connection and/or large payloads.",
    ),
    409: ("request.conflict", "The request conflicts with the current state of the target resource."),  # assumed
    413: ("request.entity.too.large", f"The request is over the size limit. Maximum bytes: {LARGEST_BODY}"),
    414: ("uri.too.long", "The address is over the size limit."),  # assumed
    415: ("unsupported.media.type", "Unsupported Media Type - Unsupported or incorrect media type."),
    429: ("too.many.requests.retry.after", "Rate limit exceeded the maximum. Retry the request in [60] seconds"),
    500: (
        "internal.server.error",
        "The server encountered an unexpected condition which prevented it from fulfilling the request.",
    ),
    502: ("bad.gateway", "Bad Gateway"),  # assumed
    503: (
        "service.unavailable",
        "Service Unavailable - The server is currently unavailable (because it is overloaded or down for maintenance).",
    ),
    504: ("request.timeout", "The request timed out."),
}


class Refusal(Exception):
    """An answer that is an error. `headers`: what goes with it (`Retry-After`); `limit`: which limit was met."""

    def __init__(
        self,
        status: int,
        code: str | None = None,
        message: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        limit: Mapping[str, Any] | None = None,
    ) -> None:
        usual = ERRORS.get(status, ("error", "The request failed."))
        self.status, self.code, self.message = status, code or usual[0], message or usual[1]
        self.headers = dict(headers or {})
        self.params = dict(params or {})
        self.limit = limit
        super().__init__(self.message)

    def body(self, context: str) -> dict[str, Any]:
        """The ErrorBody. context: the correlation id of the answer."""
        content: dict[str, Any] = {
            "message": self.message,
            "code": self.code,
            "status": self.status,
            "messageParams": self.params,
            "contextId": context,
            "details": [],
            "errors": [],
        }
        if self.status == 429:
            del content["messageParams"]  # as recorded
        return content | ({"limit": self.limit} if self.limit else {})


class SignInRefusal(Exception):
    """The sign-in's own error body (RFC 6749), which is no ErrorBody."""

    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(description)
        self.status, self.error, self.description = status, error, description

    def body(self) -> dict[str, str]:
        """As it is sent: the platform writes the description twice."""
        return {"error": self.error, "description": self.description, "error_description": self.description}


def bad_request(message: str) -> Refusal:
    """400, with a sentence."""
    return Refusal(400, "bad.request", message)


def not_simulated(what: str) -> Refusal:
    """501: the platform has it, the simulator has not. 404 would say that it does not exist."""
    return Refusal(501, "not.simulated", f"The simulator does not simulate {what}.")


def missing_permissions(permissions: Sequence[str]) -> Refusal:
    """403: none of these permissions is granted."""
    names = ", ".join(permissions)
    code = "missing.any.permissions" if len(permissions) > 1 else "missing.permissions"
    kind = "one of the following permissions" if len(permissions) > 1 else "the following permission(s)"
    return Refusal(
        403,
        code,
        f"Unable to perform the requested action. You are missing {kind}: {names}",
        params={"permissions": names},
    )
