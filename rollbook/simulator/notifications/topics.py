"""Topics of the platform: their templates, transports and permissions, and how a subscription names them. Pure.

Only what concerns conversations stands here. The platform publishes templates and bodies; which transports and
permissions a topic has is known from a live `availabletopics` alone, so most permissions here are the nearest that the
platform's own documents name. Knows no channel and no event.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

COMMUNICATION_VIEW: Final = "conversation:communication:view"
DETAIL_VIEW: Final = "analytics:conversationDetail:view"

# A session's mediaType (details API) -> the suffix of the media topics, which is the key of Annex A's lists too but for
# letters in capitals.
MEDIA_SUFFIX: Final = {
    "voice": "calls",
    "callback": "callbacks",
    "chat": "chats",
    "cobrowse": "cobrowseSessions",
    "email": "emails",
    "message": "messages",
    "screenshare": "screenshares",
    "video": "videos",
}
DETAIL_MEMBERS: Final = (
    "acd.start",
    "acd.end",
    "acw",
    "attributes",
    "contact",
    "customer.start",
    "customer.end",
    "flow.start",
    "flow.end",
    "flow.outcome",
    "outbound",
    "user.start",
    "user.end",
    "voicemail.start",
    "voicemail.end",
    "wrapup",
)
LONGEST: Final = 200  # characters of a subscription, combined or not
EXPANDS: Final = frozenset(
    {
        "description",
        "enforced",
        "schema",
        "visibility",
        "transports",
        "publicApiTemplateUriPaths",
        "requiresPermissions",
        "permissionDetails",
        "topicParameters",
    }
)


@dataclass(frozen=True, slots=True)
class Topic:
    """A template. permissions: all of them are needed. transports: as the API spells them.

    figure: it tells what goes on (see `figures`). silent: the simulator has no events for it, and refuses it.
    """

    id: str
    description: str
    permissions: tuple[str, ...] = ()
    transports: tuple[str, ...] = ("All",)
    parameters: tuple[str, ...] = ()
    preview: bool = False
    figure: bool = False
    silent: bool = False

    @property
    def on_websocket(self) -> bool:
        return bool({"All", "Websocket"} & set(self.transports))

    def describe(self, expand: Iterable[str]) -> dict[str, Any]:
        """As `availabletopics` answers it: id and description, and what `expand` asks for."""
        wanted = set(expand)
        every: dict[str, Any] = {
            "enforced": True,
            "visibility": "Preview" if self.preview else "Public",
            "transports": list(self.transports),
            "requiresPermissions": list(self.permissions),
            "permissionDetails": self._permission_details(),
            "topicParameters": list(self.parameters),
            "publicApiTemplateUriPaths": [],
            "schema": {"type": "object"},
        }
        return {"id": self.id, "description": self.description} | {
            name: value for name, value in every.items() if name in wanted
        }

    def _permission_details(self) -> list[dict[str, Any]]:
        if not self.permissions:
            return []
        return [
            {
                "type": "requiresPermissions",
                "permissions": list(self.permissions),
                "allowsCurrentUser": self.id.startswith("v2.users."),
                "enforced": True,
            }
        ]


def _table() -> dict[str, Topic]:
    found = []
    for side, owner in (("v2.routing.queues", "queueId"), ("v2.users", "userId")):
        view = (COMMUNICATION_VIEW,)
        description = f"Conversations of a {'queue' if owner == 'queueId' else 'user'}"
        found.append(Topic(f"{side}.{{id}}.conversations", description, view, ("Websocket",), (owner,)))
        for suffix in (*MEDIA_SUFFIX.values(), "socialexpressions"):
            name = f"{side}.{{id}}.conversations.{suffix}"
            found.append(Topic(name, f"{description}: {suffix}", view, ("Websocket",), (owner,)))
    for member in DETAIL_MEMBERS:
        name = f"v2.detail.events.conversation.{{id}}.{member}"
        found.append(Topic(name, f"Detail event {member}", (DETAIL_VIEW,), ("All",), ("conversationId",)))
    found += [
        Topic(
            "v2.analytics.queues.{id}.observations",
            "Queue observations",
            ("analytics:queueObservation:view", "analytics:conversationAggregate:view"),
            ("All",),
            ("queueId",),
            figure=True,
        ),
        Topic(
            "v2.analytics.queues.{id}.activity",
            "Queue activity",
            ("analytics:queueObservation:view",),
            ("All",),
            ("queueId",),
            figure=True,
        ),
        Topic(
            "v2.analytics.flow.{id}.aggregates",
            "Flow aggregates",
            ("analytics:flowAggregate:view",),
            ("All",),
            ("flowId",),
            silent=True,
        ),
        Topic(
            "v2.routing.queues.{id}.users",
            "Members of a queue",
            ("routing:queueMember:manage",),
            ("All",),
            ("queueId",),
            silent=True,
        ),
        Topic(
            "v2.analytics.users.{id}.aggregates",
            "User aggregates",
            ("analytics:userAggregate:view", "analytics:conversationAggregate:view"),
            ("All",),
            ("userId",),
            silent=True,
        ),
        Topic(
            "v2.analytics.conversation.{id}.metrics",
            "Conversation metrics",
            (DETAIL_VIEW,),
            ("All",),
            ("conversationId",),
            silent=True,
        ),
        Topic("v2.conversations.{id}.transcription", "Transcription", (), ("All",), ("conversationId",), silent=True),
        Topic(
            "v2.users.{id}.conversationsummary",
            "Summary of a user's conversations",
            (),
            ("All",),
            ("userId",),
            figure=True,
        ),
        Topic("v2.users.{id}.activity", "A user's activity", (), ("All",), ("userId",), figure=True),
        Topic("v2.users.{id}.presence", "A user's presence", (), ("All",), ("userId",), figure=True),
        Topic("v2.users.{id}.routingStatus", "A user's routing status", (), ("All",), ("userId",), figure=True),
        Topic(
            "v2.analytics.conversations.details.jobs.availability",
            "Watermark of the details jobs",
            (DETAIL_VIEW,),
            figure=True,
        ),
        Topic(
            "v2.audits.entitytype.{id}.entityid.{id}",
            "Audits",
            ("audits:audit:view",),
            ("EventBridge",),
            ("entityType", "entityId"),
        ),
        Topic("v2.operations.events.{id}", "Operational events", (), ("EventBridge",), ("eventId",), preview=True),
        Topic("v2.system.socket_closing", "The socket will be closed", (), ("Websocket",)),
        Topic("v2.system.no_longer_subscribed.{id}", "The channel hears no more", (), ("Websocket",), ("channelId",)),
        Topic("v2.system.token_revoked.{id}", "The channel's token is revoked", (), ("Websocket",), ("channelId",)),
    ]
    return {topic.id: topic for topic in found}


TOPICS: Final = _table()
_DETAIL: Final = "v2.detail.events.conversation."


def _shape(name: str) -> tuple[str, ...]:
    return tuple(name.split("."))


_BY_LENGTH: Final[dict[int, list[tuple[tuple[str, ...], Topic]]]] = {}
for _topic in TOPICS.values():
    _BY_LENGTH.setdefault(len(_shape(_topic.id)), []).append((_shape(_topic.id), _topic))


def find(name: str) -> Topic | None:
    """The template of one concrete topic; None for a topic that there is not, or a name without concrete ids."""
    parts = _shape(name)
    if "" in parts or "{id}" in parts or "*" in parts:
        return None
    for shape, topic in _BY_LENGTH.get(len(parts), ()):
        if all(wanted in ("{id}", given) for wanted, given in zip(shape, parts, strict=True)):
            return topic
    return None


def expand(subscription: str) -> list[str]:
    """The topics that a subscription stands for: itself, or each of `prefix?suffix&suffix`."""
    prefix, mark, suffixes = subscription.partition("?")
    return [f"{prefix}.{suffix}" for suffix in suffixes.split("&")] if mark else [subscription]


def detail_conversation(name: str) -> str | None:
    """The conversation that a topic of detail events is about."""
    return name.removeprefix(_DETAIL).partition(".")[0] if name.startswith(_DETAIL) else None


def available(*, expand: Iterable[str], preview: bool) -> dict[str, Any]:
    """The answer of `availabletopics`."""
    wanted = list(expand)
    return {"entities": [topic.describe(wanted) for topic in TOPICS.values() if preview or not topic.preview]}


EVERYTHING: Final = frozenset(permission for topic in TOPICS.values() for permission in topic.permissions)
