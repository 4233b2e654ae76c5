"""AWS on loopback: moto's server, which speaks the real protocols, and an environment in which boto3 finds only that."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

ACCOUNT = "123456789012"
REGION = "us-east-1"


class Aws:
    """env: the variables with which any process reaches it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.env = {
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @cached_property
    def sqs(self) -> Any:
        """The client of the queues. Whoever waits for a message asks often, and a client takes long to be made."""
        return boto3.client("sqs")

    def queue(self, name: str, *, redrive_after: int | None = None, visibility: int = 30) -> str:
        """A queue, with a dead-letter queue if it redrives; answers its address."""
        sqs = self.sqs
        attributes = {"VisibilityTimeout": str(visibility)}
        if redrive_after is not None:
            dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
            arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
            attributes["RedrivePolicy"] = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "{redrive_after}"}}'
        url: str = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        return url

    def left(self, url: str) -> int:
        """Messages in a queue, in hand or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        attributes = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(value) for value in attributes.values())

    def bus(self, name: str, queue_url: str) -> None:
        """An event bus whose rule sends what the partner's source says to the queue.

        name: without slashes. A partner's bus has some; moto takes it, and then finds no rule on it.
        """
        sqs, events = self.sqs, boto3.client("events")
        arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        events.create_event_bus(Name=name)
        events.put_rule(
            Name="detail",
            EventBusName=name,
            State="ENABLED",
            EventPattern='{"source": [{"prefix": "aws.partner/genesys.com"}]}',
        )
        events.put_targets(Rule="detail", EventBusName=name, Targets=[{"Id": "queue", "Arn": arn}])


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """AWS with nothing in it."""
    import urllib.request

    urllib.request.urlopen(urllib.request.Request(f"{aws_server}/moto-api/reset", method="POST")).close()
    service = Aws(aws_server)
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in service.env.items():
        monkeypatch.setenv(name, value)
    return service
