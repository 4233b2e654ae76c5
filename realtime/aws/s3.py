"""Client of Amazon S3: lists the objects of a prefix and reads their bytes. It does not know what they hold.

Region, profile, credentials, role and endpoint are those that AWS' own tools would use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.genesys.program.aws_errors import explained

_MEND: Final = {
    "NoSuchBucket": "check the bucket's name",
    "AccessDenied": "give the role s3:ListBucket on the bucket and s3:GetObject on its objects",
    "AllAccessDisabled": "check the bucket's name",
}


class ObjectsError(RollbookError):
    """S3 does not answer, or refuses."""


class Readable(Protocol):
    """Bytes that can be read in pieces."""

    def read(self, size: int = -1, /) -> bytes:
        """Up to so many bytes; none at the end."""


class S3Object(NamedTuple):
    """An object in S3. size: bytes, as they lie there."""

    bucket: str
    key: str
    size: int


class S3Store:
    """Client of S3. Raises ObjectsError if AWS is not configured."""

    def __init__(self) -> None:
        config = Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "max_attempts": 5})
        with _asked_about("s3"):
            self._client = boto3.session.Session().client("s3", config=config)

    def listed(self, address: str) -> Iterator[S3Object]:
        """Every object whose key begins with that of `s3://bucket/prefix`, in order of their keys.

        Raises UsageError for an address without a bucket, ObjectsError.
        """
        parts = urlsplit(address)
        if not parts.netloc:
            raise UsageError(f"{address} names no bucket; write s3://bucket/prefix")
        # A prefix may hold characters that an address gives a meaning.
        prefix = address.removeprefix(f"s3://{parts.netloc}").removeprefix("/")
        with _asked_about(address):
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=parts.netloc, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    if entry["Size"]:
                        yield S3Object(parts.netloc, entry["Key"], entry["Size"])

    def open(self, found: S3Object) -> Readable:
        """Open an object to read its bytes."""
        name = f"s3://{found.bucket}/{found.key}"
        with _asked_about(name):
            return _Body(name, self._client.get_object(Bucket=found.bucket, Key=found.key)["Body"])


class _Body:
    """An answer's body, whose errors are ours."""

    def __init__(self, name: str, body: Any) -> None:
        self._name, self._body = name, body

    def read(self, size: int = -1, /) -> bytes:
        with _asked_about(self._name):
            return bytes(self._body.read(None if size < 0 else size))


@contextlib.contextmanager
def _asked_about(what: str) -> Iterator[None]:
    """Errors of AWS, and of a connection or a profile that fails, as ObjectsError."""
    try:
        yield
    except (ClientError, BotoCoreError, OSError, ValueError) as error:
        raise ObjectsError(explained(what, error, _MEND)) from None
