"""A first settings file, and what a run with it will hear: the words of `rollbook init`. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from realtime.commands.doctor import Check

_HEAD: Final = """\
# Settings of rollbook. docs/settings.md describes every key; what is not set here has its default.
# There is no secret in this file: the client's id and secret come from the environment variables
# GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET.
"""
_REST: Final = """
[store]
# path = "rollbook.db"
# backup = "/var/backups/rollbook"  # a copy a day, seven are kept

[realtime]
topics = ["v2.routing.queues.{{id}}.conversations"]
users = {users}  # also what passes no queue: a topic for each user
# follow_details = true  # also the detail events of each conversation
# health = "127.0.0.1:8125"  # /healthz, /metrics and /ready

[views]
# time_zone = "Europe/Berlin"  # of business days
"""


class Hearing(NamedTuple):
    """The lines about what will be heard, and about what will not, or not be known."""

    heard_lines: list[str]
    not_heard: list[str]


def text(genesys: Mapping[str, str], *, users: bool) -> str:
    """The file. genesys: the keys of its section of that name."""
    # A JSON text is a TOML text, as long as no character of it needs two halves.
    keys = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in genesys.items())
    return f"{_HEAD}\n[genesys]\n{keys}{_REST.format(users=str(users).lower())}"


def hearing(checks: Sequence[Check], *, users: bool) -> Hearing:
    """The lines for a person, made of what `rollbook doctor` has found."""
    return Hearing(list(_will_be(checks, users=users)), list(_will_not_be(checks, users=users)))


def _will_be(checks: Sequence[Check], *, users: bool) -> Iterator[str]:
    found = {check.name: check.found for check in checks if check.state == "ok"}
    if "queues" in found and "topics" in found:
        yield f"live: conversations of every queue ({found['queues']})"
    if users and "users" in found and "topics" in found:
        yield f"live: conversations of every user ({found['users']})"
    if "details" in found:
        yield f"afterwards: the details of all conversations ({found['details']})"
    if "names" in found:
        yield f"names of queues, users and more ({found['names']})"


def _will_not_be(checks: Sequence[Check], *, users: bool) -> Iterator[str]:
    for check in checks:
        if check.state != "ok":
            yield f"{check.name}: {check.found}" + (f"; {check.mend}" if check.mend else "")
    topics = next((check for check in checks if check.name == "topics" and check.state == "ok"), None)
    if topics is not None and topics.mend:
        yield f"live: what the platform refuses when it is asked for; it {topics.mend}"
    if not users:
        yield "live: what passes no queue; it is read afterwards all the same (users = true hears it live)"
    divisions = next((check for check in checks if check.name == "divisions" and check.state == "ok"), None)
    if divisions is not None:
        yield f"what lies in other divisions than these, neither live nor afterwards: {divisions.found}"
