"""Errors of AWS as one line that says what to do.

It imports no library of AWS: an error that a service answered with has its code in `response`, all others have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_OTHERWISE: Final = "check the network and AWS' settings (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL)"
# Advice that holds for every service, by code.
_CREDENTIALS: Final = {
    "InvalidClientTokenId": "check the AWS credentials",
    "ExpiredToken": "renew the AWS credentials",
}


def code_of(error: Exception) -> str:
    """The service's code without what only some services write around it; empty where no service answered."""
    response = getattr(error, "response", None)
    code = response.get("Error", {}).get("Code", "") if isinstance(response, Mapping) else ""
    return str(code).rpartition(".")[2].removesuffix("Exception")


def words_of(error: Exception) -> str:
    """AWS' own words, on one line."""
    return " ".join(str(error).split()).rstrip(".")


def explained(what: str, error: Exception, advice: Mapping[str, str]) -> str:
    """What could not be used, AWS' words, and advice. advice: this service's, by `code_of`."""
    code = code_of(error)
    return f"{what}: {words_of(error)}; {advice.get(code) or _CREDENTIALS.get(code, _OTHERWISE)}"
