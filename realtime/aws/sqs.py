"""Client of Amazon SQS: the four calls that `sqs_consumer.py` needs, by boto3.

Region, profile, credentials, role and endpoint are those that AWS' own tools would use (`AWS_PROFILE`, `AWS_REGION`,
`AWS_ENDPOINT_URL`, …); the region in the queue's address wins. It does not know what a message says.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from realtime.aws.sqs_consumer import About, Message, QueueError
from rollbook.genesys.program.aws_errors import explained

WAIT: Final = 20  # seconds of a long poll: the longest, and so the fewest calls
_HOST: Final = re.compile(r"(?:sqs(?:-fips)?\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?")
# Advice, by AWS' error codes.
_MEND: Final = {
    "NonExistentQueue": "check [realtime.sqs] queue_url and the region",
    "QueueDoesNotExist": "check [realtime.sqs] queue_url and the region",
    "AccessDenied": "give the role sqs:ReceiveMessage, sqs:DeleteMessage, sqs:ChangeMessageVisibility and"
    " sqs:GetQueueAttributes on the queue",
    "KmsAccessDenied": "give the role kms:Decrypt on the queue's key",
}


def region_of(url: str) -> str | None:
    """The region that a queue's address names."""
    found = _HOST.fullmatch(urlsplit(url).hostname or "")
    return (found[1] or found[2]) if found else None


class SqsQueue:
    """An SQS queue, as `sqs_consumer.Queue` describes it. Raises QueueError if AWS is not configured.

    receivers: count of calls that wait at a time.
    """

    def __init__(self, url: str, *, receivers: int = 4, wait: int = WAIT) -> None:
        self._url, self._wait = url, wait
        self.name = urlsplit(url).path.rpartition("/")[2] or url
        config = Config(
            max_pool_connections=receivers + 4,
            connect_timeout=10,
            read_timeout=wait + 10,
            retries={"mode": "standard", "max_attempts": 3},
            user_agent_extra="rollbook",
        )
        try:
            session = boto3.session.Session()
            region = region_of(url) or session.region_name or os.environ.get("AWS_REGION")
            self._client = session.client("sqs", region_name=region, config=config)
        except (BotoCoreError, ValueError) as error:
            raise self._failure(error) from None

    def about(self) -> About:
        answer = self._call("get_queue_attributes", AttributeNames=["VisibilityTimeout", "RedrivePolicy"])
        attributes = answer.get("Attributes", {})
        visibility = float(attributes.get("VisibilityTimeout", 30))
        return About(max(visibility, 1.0), redrives=bool(attributes.get("RedrivePolicy")))

    def receive(self) -> Sequence[Message]:
        answer = self._call("receive_message", MaxNumberOfMessages=10, WaitTimeSeconds=self._wait)
        return [
            Message(message["MessageId"], message["ReceiptHandle"], message["Body"])
            for message in answer.get("Messages", ())
        ]

    def delete(self, handles: Sequence[str]) -> Sequence[str]:
        entries = [{"Id": str(at), "ReceiptHandle": handle} for at, handle in enumerate(handles)]
        answer = self._call("delete_message_batch", Entries=entries)
        # A deletion that is refused because of the message (deleted already, or delivered again) never succeeds.
        return [handles[int(entry["Id"])] for entry in answer.get("Failed", ()) if not entry.get("SenderFault")]

    def hide(self, handles: Sequence[str], seconds: int) -> None:
        entries = [
            {"Id": str(at), "ReceiptHandle": handle, "VisibilityTimeout": seconds} for at, handle in enumerate(handles)
        ]
        self._call("change_message_visibility_batch", Entries=entries)

    def _call(self, name: str, **given: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, name)(QueueUrl=self._url, **given)
        except (ClientError, BotoCoreError) as error:
            raise self._failure(error) from None
        return answer

    def _failure(self, error: Exception) -> QueueError:
        return QueueError(explained(f"the queue {self.name}", error, _MEND))
