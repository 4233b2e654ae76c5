"""Topic names: templates and the ids in them, which conversation a topic is about, and how topics combine. Pure.

A template spells its ids `{id}`. Over the socket every topic needs concrete ids; EventBridge takes templates.
It does not know what a notification on a topic looks like.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

# The longest name that a topic may have: "A combined topic can contain up to 200 characters".
LONGEST: Final = 200

QUEUE_CONVERSATIONS: Final = "v2.routing.queues.{id}.conversations"
USER_CONVERSATIONS: Final = "v2.users.{id}.conversations"
DETAIL_EVENTS: Final = "v2.detail.events.conversation.{id}"
# The members of a conversation's detail events (reference, "all members, all fields").
DETAIL_MEMBERS: Final = (
    "acd.end",
    "acd.start",
    "acw",
    "attributes",
    "contact",
    "customer.end",
    "customer.start",
    "flow.end",
    "flow.outcome",
    "flow.start",
    "outbound",
    "user.end",
    "user.start",
    "voicemail.end",
    "voicemail.start",
    "wrapup",
)
# The templates of all of them: what an EventBridge rule for conversations lets through.
DETAIL_TEMPLATES: Final = tuple(f"{DETAIL_EVENTS}.{member}" for member in DETAIL_MEMBERS)
# What the media of a flattened snapshot, and a participant's lists of communications, are called in the details.
MEDIA_TYPES: Final[Mapping[str, str]] = {
    "calls": "voice",
    "callbacks": "callback",
    "chats": "chat",
    "cobrowsesessions": "cobrowse",
    "emails": "email",
    "messages": "message",
    "internalmessages": "internalmessage",
    "screenmonitorings": "screenmonitoring",
    "screenshares": "screenshare",
    "videos": "video",
}

_FLAGS: Final = re.ASCII | re.IGNORECASE
_ID: Final = r"[^.?&{}]+"
_UUID: Final = re.compile(r"(?<=\.)[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?=[.?]|$)", _FLAGS)
_LEADING_ID: Final = re.compile(
    r"(v2\.(?:routing\.queues|users|conversations|detail\.events\.(?:conversation|agent)|system\.[a-z]+_[a-z_]+"
    rf"|(?:analytics|bot|speechandtextanalytics)\.(?:conversations?|queues|users|flow)))\.{_ID}(?=\.|$)",
    _FLAGS,
)
_CONVERSATION: Final = re.compile(
    r"v2\.(?:detail\.events\.conversation|conversations|analytics\.conversation|bot\.conversation"
    rf"|speechandtextanalytics\.conversations?)\.({_ID})\..+",
    _FLAGS,
)
_SNAPSHOT: Final = re.compile(
    rf"v2\.(?:routing\.queues|users)\.{_ID}\.conversations"
    r"(?:\.(calls|callbacks|chats|cobrowsesessions|emails|messages|screenshares|socialexpressions|videos))?",
    _FLAGS,
)
_DETAIL: Final = re.compile(rf"v2\.detail\.events\.conversation\.{_ID}\.(.+)", _FLAGS)


def template_of(topic: str) -> str:
    """The topic with its ids spelled `{id}`."""
    return _UUID.sub("{id}", _LEADING_ID.sub(r"\1.{id}", topic, count=1))


def entity_id(topic: str) -> str | None:
    """The first id in a topic: of a queue, a user or a conversation."""
    found = _UUID.search(topic)
    return found[0] if found else None


def conversation_id_of(topic: str) -> str | None:
    """The conversation that a topic names; None where it names a queue, a user or nothing."""
    found = _CONVERSATION.fullmatch(topic)
    return found[1] if found and found[1] != "{id}" else None


def snapshot_media(topic: str) -> str | None:
    """Of a topic of conversation snapshots: the media type, or "" for all media. None for any other topic."""
    found = _SNAPSHOT.fullmatch(topic)
    if not found:
        return None
    return MEDIA_TYPES.get((found[1] or "").lower(), "")


def detail_member(topic: str) -> str | None:
    """Of a topic of detail events, which one: `customer.end`. None for any other topic."""
    found = _DETAIL.fullmatch(topic)
    return found[1].lower() if found else None


def detail_topics(conversation_id: str, *, without: Collection[str] = ()) -> list[str]:
    """Everything that the platform tells of one conversation, but for some members, in as few topics as fit (two)."""
    prefix = DETAIL_EVENTS.replace("{id}", conversation_id)
    return combine(prefix, (member for member in DETAIL_MEMBERS if member not in without))


def expand(topic: str) -> list[str]:
    """The topics that a combined topic stands for: `a.b?c&d` is `a.b.c` and `a.b.d`; notifications bear these names."""
    prefix, question, suffixes = topic.partition("?")
    return [f"{prefix}.{suffix}" for suffix in suffixes.split("&") if suffix] if question else [topic]


def combine(prefix: str, suffixes: Iterable[str]) -> list[str]:
    """`prefix` with each of the suffixes, in order, in as few topics as their longest name allows."""
    names: list[str] = []
    for suffix in suffixes:
        if names and len(names[-1]) + 1 + len(suffix) <= LONGEST:
            names[-1] += f"&{suffix}"
        else:
            names.append(f"{prefix}?{suffix}")
    # One alone needs no combination.
    return [name if "&" in name else name.replace("?", ".") for name in names]


def combined(topics: Sequence[str]) -> list[str]:
    """Topics that differ in their last word only, as combined topics: fewer of a channel's thousand."""
    suffixes: dict[str, list[str]] = {}
    for topic in topics:
        prefix, _, suffix = topic.rpartition(".")
        suffixes.setdefault(prefix, []).append(suffix)
    return [
        name
        for prefix, listed in suffixes.items()
        for name in (combine(prefix, listed) if len(listed) > 1 else [f"{prefix}.{listed[0]}"])
    ]


def plain(topics: Sequence[str]) -> int:
    """The number of plain topics that these stand for."""
    return sum(len(expand(topic)) for topic in topics)


def subscribable(template: str) -> bool:
    """Tell whether a template can be made concrete with the ids of queues or users, or needs none."""
    return template.startswith("v2.") and (template.count("{id}") == 0 or _owner(template) is not None)


def _owner(template: str) -> str | None:
    if template.count("{id}") != 1:
        return None
    before = template.partition(".{id}")[0].rpartition(".")[2].lower()
    return before if before in ("queues", "users") else None


def topics_for(templates: Iterable[str], *, queues: Iterable[str] = (), users: Iterable[str] = ()) -> list[str]:
    """The concrete topics of templates, in order and each once: one for each queue or user whose id they want.

    A template that wants another kind of id gives none (`subscribable` tells).
    """
    ids = {"queues": list(queues), "users": list(users)}
    found: list[str] = []
    for template in templates:
        if "{id}" not in template:
            found.append(template)
        elif (owner := _owner(template)) is not None:
            found += (template.replace("{id}", entity_id) for entity_id in ids[owner])
    return list(dict.fromkeys(found))
