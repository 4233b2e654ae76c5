"""Errors of AWS: whichever service answered, the line says what it was about, AWS' words, and what to do."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from rollbook.genesys.program.aws_errors import code_of, explained

ADVICE = {"NonExistentQueue": "check the address", "AccessDenied": "give the role a permission"}


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "No.\n  Really."}}, "DoIt")


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("AWS.SimpleQueueService.NonExistentQueue", "check the address"),
        ("AccessDenied", "give the role a permission"),
        ("AccessDeniedException", "give the role a permission"),
        ("ExpiredToken", "renew the AWS credentials"),
        ("Throttling", "check the network and AWS' settings (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL)"),
    ],
)
def test_a_refusal_is_known_by_its_code(code: str, advice: str) -> None:
    """One spelling of a code stands for the service's others, and a code that nobody knows gets the general advice."""
    line = explained("the queue q", refused(code), ADVICE)
    assert line.startswith(f"the queue q: An error occurred ({code})")
    assert line.endswith(f"No. Really; {advice}")


def test_an_error_without_an_answer_has_no_code() -> None:
    """The library's own errors name the network and the settings."""
    error = EndpointConnectionError(endpoint_url="https://sqs.example")
    assert code_of(error) == ""
    assert "check the network" in explained("the queue q", error, ADVICE)
