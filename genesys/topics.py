"""The grammar of notification topics. Pure.

A topic is dotted words, some of which are ids: `v2.routing.queues.<uuid>.conversations`. A combined topic,
`prefix?suffix&suffix`, counts as one of a channel's thousand and has at most 200 characters (the platform's
notification limits).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

COMBINED_LENGTH: Final = 200
_ID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
# The sixteen members of v2.detail.events.conversation.{id}.
DETAIL_MEMBERS: Final = (
    "acd.end", "acd.start", "acw", "attributes", "contact", "customer.end", "customer.start", "flow.end", "flow.outcome",
    "flow.start", "outbound", "user.end", "user.start", "voicemail.end", "voicemail.start", "wrapup",
)  # fmt: skip
# Topics that name the conversation that they are about.
_OF_CONVERSATION: Final = re.compile(
    r"v2\.(?:detail\.events\.conversation|conversations|analytics\.conversation)\.([^.?]+)[.?]", re.IGNORECASE
)
QUEUE_CONVERSATIONS: Final = "v2.routing.queues.{id}.conversations"
USER_CONVERSATIONS: Final = "v2.users.{id}.conversations"


def template_of(topic: str) -> str:
    """A topic with every id as `{id}`."""
    return _ID.sub("{id}", topic)


def entity_id(topic: str) -> str | None:
    """The first id in a topic."""
    found = _ID.search(topic)
    return found.group() if found else None


def conversation_id_of(topic: str) -> str | None:
    """The conversation that a topic names; None for topics of queues, users and other things."""
    found = _OF_CONVERSATION.match(topic)
    return found.group(1) if found and found.group(1) != "{id}" else None


def topics_for(templates: Iterable[str], *, queues: Sequence[str] = (), users: Sequence[str] = ()) -> list[str]:
    """Concrete topics, once each: a template of queues for every queue, of users for every user, others as they are."""
    found: dict[str, None] = {}
    for template in templates:
        ids = queues if ".queues." in template else users if ".users." in template else ()
        if "{id}" not in template:
            found[template] = None
        for one in ids if "{id}" in template else ():
            found[template.replace("{id}", one)] = None
    return list(found)


def combine(prefix: str, suffixes: Sequence[str]) -> list[str]:
    """`prefix` with all its suffixes in as few combined topics as 200 characters a topic allow, in order."""
    combined: list[str] = []
    open_one = ""
    for suffix in suffixes:
        longer = f"{open_one}&{suffix}" if open_one else f"{prefix}?{suffix}"
        if open_one and len(longer) > COMBINED_LENGTH:
            combined.append(open_one)
            longer = f"{prefix}?{suffix}"
        open_one = longer
    return [*combined, open_one] if open_one else combined


def expand(topic: str) -> list[str]:
    """The topics that a combined topic stands for; a plain one stands for itself."""
    prefix, mark, suffixes = topic.partition("?")
    return [f"{prefix}.{suffix}" for suffix in suffixes.split("&") if suffix] if mark else [topic]


def detail_topics(conversation_id: str) -> list[str]:
    """The combined topics (two) that carry all sixteen detail events of a conversation."""
    return combine(f"v2.detail.events.conversation.{conversation_id}", DETAIL_MEMBERS)
