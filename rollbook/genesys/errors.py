"""The errors of the API and the settings, split by what the caller does next.

    RollbookError               one clear line; `exit_status` is how a command that meets it ends
    ├── UsageError              mend the command (2)
    │   └── SettingsError       mend a setting (2)
    ├── Interrupted             a person or a service manager ended it (130)
    ├── ConnectionLost          the host cannot be reached: look at the network, then try again (1)
    ├── ApiError                the platform answered with an error (1)
    │   ├── SignInRefused       mend the credentials
    │   ├── NotAuthenticated    the token is refused, and a new one too
    │   ├── PermissionRefused   give the OAuth client a permission
    │   ├── NotFound            give up on this item
    │   ├── RequestRefused      this request will never be taken
    │   └── Unavailable         wait: tried as often as is sensible
    │       └── TooSlow         the same, and each try takes a minute or two
    └── StoreError              see rollbook/store/file/errors.py (1)

No message holds a secret: they are built from hosts, paths and what the platform said.
"""

from __future__ import annotations

import re
from typing import ClassVar, Final


class RollbookError(Exception):
    """Anything that a person can cause or meet. `str(error)` is one line that says what to do.

    then: how a command that has ended with it goes on with that line; a daemon, which tries again by itself, does not.
    """

    exit_status: ClassVar[int] = 1
    then: ClassVar[str] = ""


class UsageError(RollbookError):
    """The command as it was given cannot be run."""

    exit_status = 2


class SettingsError(UsageError):
    """A setting is missing, unknown or has no sense."""


class Interrupted(RollbookError):
    """The command was ended from outside, by SIGINT or SIGTERM."""

    exit_status = 130


class ConnectionLost(RollbookError):
    """A host cannot be reached at all."""


class StoreError(RollbookError):
    """The store cannot be used; `rollbook/store/file/errors.py` has the kinds."""


# How gateways and the platform say that an answer, or a request, is too large (`response.entity.too.large`, "reduce the
# page size", "Pagination may not exceed 100000 results"). Too many requests are another matter: a limit of time.
_TOO_LARGE: Final = re.compile(
    r"too[\s._-]*(?:large|big|long|many(?![\s._-]*(?:requests?|calls)\b))|pagination|page[\s._-]*size|reduce"
    r"|(?:payload|entity|response|result|content|body|interval)\w*[\s._-]*(?:size|length|limit)|smaller|narrow"
    r"|exceed\w*\b.*\b(?:size|length|rows|records|results|bytes|[kmg]i?b|limit|maximum|allowed|days)\b",
    re.IGNORECASE | re.DOTALL,
)
_RATE: Final = re.compile(r"rate[\s._-]*limit|too[\s._-]*many[\s._-]*(?:requests?|calls)\b", re.IGNORECASE)
# What is asked for (413, 414, 431) or would be answered is too large, by the status alone.
_TOO_LARGE_STATUSES: Final = frozenset({413, 414, 431})


class ApiError(RollbookError):
    """The platform answered with an error.

    status: of the answer. code, correlation_id: as the platform gave them, or None. narrower: whether a question for
    less (a shorter interval, a smaller page, fewer ids) may be answered; where it is not given, the status, the code
    and the message decide.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 0,
        code: str | None = None,
        correlation_id: str | None = None,
        method: str = "",
        path: str = "",
        narrower: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.code = code
        self.correlation_id = correlation_id
        self.method = method
        self.path = path
        self._narrower = narrower

    @property
    def narrower(self) -> bool:
        """Tell whether a question for less may be answered where this question was not."""
        return self._may_be_narrower() if self._narrower is None else self._narrower

    def keep_narrower(self) -> None:
        """Let `narrower` stay what it is now, whatever becomes of the message."""
        self._narrower = self.narrower

    def _may_be_narrower(self) -> bool:
        return False

    def __str__(self) -> str:
        about = " ".join(part for part in (str(self.status or ""), self.code) if part)
        where = f"{self.method} {self.path}".strip()
        trace = f"correlation id {self.correlation_id}" if self.correlation_id else ""
        tail = ", ".join(part for part in (about, where, trace) if part)
        return f"{self.message} ({tail})" if tail else self.message


class SignInRefused(ApiError):
    """The login host refuses the client id, its secret or both."""


class NotAuthenticated(ApiError):
    """A token is refused, and one new one did not mend it."""


class PermissionRefused(ApiError):
    """The OAuth client lacks a permission."""


class NotFound(ApiError):
    """The thing that was asked for does not exist."""


class RequestRefused(ApiError):
    """The platform will never take this request, however often it is made."""

    def _may_be_narrower(self) -> bool:
        said = f"{self.code or ''} {self.message}"
        if self.status in _TOO_LARGE_STATUSES:
            return True
        # The platform gives every refusal of its own a code. One without is a gateway's, which may mean the size.
        return (self.code is None or bool(_TOO_LARGE.search(said))) and not _RATE.search(said)


class Unavailable(ApiError):
    """The platform did not answer properly, however often it was asked within reason."""

    def _may_be_narrower(self) -> bool:
        # A gateway that gives up on a wide question says 408, 500, 502, 503, 504 or a number of its own.
        return self.status == 408 or self.status >= 500


class TooSlow(Unavailable):
    """The answer did not come in time, and was given up: asking for it again takes as long again."""
