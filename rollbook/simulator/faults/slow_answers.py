"""Answers that make no progress or have no end: cursors that stand still, trickles, bodies without end, gzip bombs.

Each is a quirk (see `answer_faults`). Seconds are real ones.
"""

from __future__ import annotations

import asyncio
import math
import struct
import zlib
from collections.abc import AsyncIterator
from functools import lru_cache
from typing import Final

from rollbook.simulator.faults.answer_faults import (
    OutgoingAnswer,
    Parameters,
    SeenRequest,
    choice,
    encoded,
    fields,
    quirk,
    rows,
)
from rollbook.simulator.faults.script import ScriptError
from rollbook.simulator.rest.analytics import jobs

_CHUNK: Final = b" " * 65_536
_MB: Final = 1_000_000


# Cursors


CURSORS: Final = ("itself", "first", "end", "new")


def _standing_cursor(asked: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    """The last page of a job's results names a cursor all the same: its own, the first, its own end, a new one."""
    found, parts = rows(reply), asked.path.split("/")
    if found is None or parts[-1] != "results" or "cursor" in found.rest:
        return None
    job = parts[-2]
    at = jobs.position(asked.query.get("cursor"), job)
    names = given.get("names", "itself")
    there = {"itself": at, "first": 0, "end": at + len(found.rows), "new": at + max(1, len(found.rows))}[names]
    return found.reply(reply, cursor=jobs.cursor(there, job).decode())


quirk(
    "standing_cursor",
    "the last page of a job's results goes on naming a cursor",
    {"names": "text"},
    alter=_standing_cursor,
    check=choice("names", CURSORS),
)


# Bodies


async def _spaces(seconds: float) -> AsyncIterator[bytes]:
    while True:
        yield b" "
        await asyncio.sleep(seconds)


async def _bytes(body: bytes, seconds: float) -> AsyncIterator[bytes]:
    for at in range(len(body)):
        yield body[at : at + 1]
        await asyncio.sleep(seconds)


def _trickle(_: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer:
    seconds, body = float(given.get("seconds", 1.0)), reply.body
    if given.get("what", "body") == "spaces":
        return reply._replace(pieces=lambda: _spaces(seconds), cut_after=given.get("cut_after"))
    return reply._replace(pieces=lambda: _bytes(body, seconds), cut_after=given.get("cut_after"))


async def _without_end(first: bytes, again: bytes, most: float) -> AsyncIterator[bytes]:
    """For ever, and as fast as it is read until there were so many bytes."""
    yield first
    sent = 0
    while True:
        yield again if sent < most else again[:1]
        sent += len(again)
        await asyncio.sleep(0 if sent < most else 1)


def _endless(_: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    most = given.get("mb", math.inf) * _MB
    if given.get("what", "spaces") == "spaces":
        body = reply.body[:-1]
        return reply._replace(pieces=lambda: _without_end(body, _CHUNK, most), cut_after=given.get("cut_after"))
    found = rows(reply) or rows(reply, of="entities")
    if found is None or found.key is None or not found.rows:
        return None
    row = encoded(found.rows[0])
    start, more = b'{"%b":[%b' % (found.key.encode(), row), (b"," + row) * max(1, 65_536 // len(row))
    return reply._replace(pieces=lambda: _without_end(start, more, most), cut_after=given.get("cut_after"))


async def _nothing() -> AsyncIterator[bytes]:
    while True:
        await asyncio.sleep(0.05)  # so that it is seen when the client has gone
        yield b""


def _hang(_: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer:
    after = given.get("cut_after")
    return reply._replace(cut_after=after, **({"pieces": _nothing} if given.get("head") else {"delay": math.inf}))


quirk(
    "trickle",
    "the body comes byte by byte, or spaces come in its place for ever",
    {"seconds": "number", "what": "text", "cut_after": "number"},
    alter=_trickle,
    check=choice("what", ("body", "spaces")),
)
quirk(
    "endless",
    "the body has no end: spaces, or rows",
    {"what": "text", "mb": "number", "cut_after": "number"},
    alter=_endless,
    check=choice("what", ("spaces", "rows")),
)
quirk(
    "hang",
    "the answer never comes, or (head) its head and no body",
    {"head": "flag", "cut_after": "number"},
    alter=_hang,
)


# What is small on the way


@lru_cache(maxsize=4)
def _packed(mega: int) -> tuple[bytes, int]:
    """So many MB of spaces as deflate blocks that stand on their own, and their checksum is worked out by `_bomb`."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(b" " * _MB) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * mega, mega * _MB


def _bomb(_: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer:
    """The answer with spaces behind it, packed: proper gzip, proper JSON."""
    padding, size = _packed(int(given.get("mb", 500)))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(reply.body) + packer.flush(zlib.Z_FULL_FLUSH)
    last = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    check = zlib.crc32(reply.body)
    spaces = b" " * _MB
    for _number in range(size // _MB):
        check = zlib.crc32(spaces, check)
    head, tail = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff", struct.pack("<II", check, (len(reply.body) + size) % 2**32)
    return reply._replace(
        body=head + first + padding + last + tail, headers={**reply.headers, "Content-Encoding": "gzip"}
    )


def _check_bomb(given: Parameters) -> None:
    if not 1 <= given.get("mb", 1) <= 4000:
        raise ScriptError("mb must be a number from 1 to 4000")


quirk("bomb", "the answer unpacks to so many MB", {"mb": "number"}, alter=_bomb, check=_check_bomb)


# A job that never gets done


def _stuck_job(asked: SeenRequest, given: Parameters, reply: OutgoingAnswer) -> OutgoingAnswer | None:
    content = fields(reply)
    if content is None or "state" not in content or "/jobs/" not in asked.path:
        return None
    state = given.get("state", "PENDING")
    kept = {name: content[name] for name in ("submissionDate",) if name in content}
    return reply._replace(body=encoded({"state": state, **kept})) if content["state"] != state else None


quirk(
    "stuck_job", "a job's state stays the same: PENDING, or whatever it is called", {"state": "text"}, alter=_stuck_job
)
