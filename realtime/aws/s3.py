"""Client of Amazon S3: lists, reads and writes the objects of a prefix. It does not know what they hold.

Region, profile, credentials, role and endpoint are those that AWS' own tools would use.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from rollbook.genesys.errors import RollbookError, UsageError
from rollbook.genesys.program.aws_errors import code_of, explained

# The name of the metadata that has the SHA-256 of an object's content, hexadecimal.
_DIGEST: Final = "sha256"
_PERMISSIONS: Final = "give the role s3:ListBucket on the bucket and s3:GetObject (to export s3:PutObject too) there"
_MEND: Final = {
    "NoSuchBucket": "check the bucket's name",
    "AccessDenied": _PERMISSIONS,
    "403": _PERMISSIONS,  # what is asked for without its content is refused without words
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
            self.client = boto3.session.Session().client("s3", config=config)

    def listed(self, address: str) -> Iterator[S3Object]:
        """Every object whose key begins with that of `s3://bucket/prefix`, in order of their keys.

        Raises UsageError for an address without a bucket, ObjectsError.
        """
        bucket, prefix = _split(address)
        with _asked_about(address):
            for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
                for entry in page.get("Contents", ()):
                    if entry["Size"]:
                        yield S3Object(bucket, entry["Key"], entry["Size"])

    def open(self, found: S3Object) -> Readable:
        """Open an object to read its bytes."""
        name = f"s3://{found.bucket}/{found.key}"
        with _asked_about(name):
            return _Body(name, self.client.get_object(Bucket=found.bucket, Key=found.key)["Body"])


class S3Prefix:
    """A prefix in S3 that an export goes to. aside: a folder here, in which its files are made.

    An object bears the SHA-256 of its content as metadata, by which it is known again. Raises UsageError for an address
    without a bucket, ObjectsError.
    """

    def __init__(self, address: str, *, aside: Path) -> None:
        self.name = address.rstrip("/")
        self.aside = aside
        self._bucket, prefix = _split(address)
        self._prefix = f"{prefix.rstrip('/')}/" if prefix.strip("/") else ""
        self._client = S3Store().client

    def read(self, path: str) -> bytes | None:
        """The content of an object; None where there is none."""
        with _asked_about(f"{self.name}/{path}"):
            found = _unless_absent(self._client.get_object, self._object(path))
            return None if found is None else bytes(found["Body"].read())

    def has(self, path: str, size: int, digest: str) -> bool:
        """Tell whether the object is there, with this content."""
        with _asked_about(f"{self.name}/{path}"):
            found = _unless_absent(self._client.head_object, self._object(path))
        return found is not None and found["ContentLength"] == size and found["Metadata"].get(_DIGEST) == digest

    def put(self, made: Path, path: str, digest: str) -> None:
        """Send a file; its object appears whole, in the place of an earlier one."""
        with _asked_about(f"{self.name}/{path}"), made.open("rb") as body:
            self._client.put_object(**self._object(path), Body=body, Metadata={_DIGEST: digest})
        made.unlink()

    def _object(self, path: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": f"{self._prefix}{path}"}


def _unless_absent(ask: Callable[..., Any], about: Mapping[str, str]) -> Any:
    """The answer of S3 about an object; None where there is none."""
    try:
        return ask(**about)
    except ClientError as error:
        if code_of(error) not in ("404", "NoSuchKey"):
            raise
        return None


def _split(address: str) -> tuple[str, str]:
    """(bucket, the beginning of keys) of `s3://bucket/prefix`."""
    parts = urlsplit(address)
    if not parts.netloc:
        raise UsageError(f"{address} names no bucket; write s3://bucket/prefix")
    # A prefix may hold characters that an address gives a meaning.
    return parts.netloc, address.removeprefix(f"s3://{parts.netloc}").removeprefix("/")


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
