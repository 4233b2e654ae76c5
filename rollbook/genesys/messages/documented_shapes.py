"""Shapes of what the platform documents: the parts of a record of details and of a conversation's snapshot.

Data only. Snapshots of all media are one shape, and those of a single medium, where the communication lies flat in its
participant, are another: a shape has the fields of every topic that it is for.
Source: `detail_fields.py`, and the schemas of the notification topics of users' and queues' conversations; a test holds
each field of those to this page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from rollbook.genesys.messages.detail_fields import (
    EVALUATION,
    FLOW,
    FLOW_OUTCOME,
    MEDIA_ENDPOINT_STAT,
    METRIC,
    PARTICIPANT,
    RESOLUTION,
    SEGMENT,
    SESSION,
    SURVEY,
)

_NO_PARTS: Final[Mapping[str, Shape]] = MappingProxyType({})


class Shape(msgspec.Struct, frozen=True, eq=False):
    """A kind of part. fields: of a single value, or a list of such; many: parts below it that come in lists; single:
    those that do not; open: fields of any shape, among them those that hold a number with a point.
    """

    fields: Sequence[str] = ()
    many: Mapping[str, Shape] = _NO_PARTS
    single: Mapping[str, Shape] = _NO_PARTS
    open: Sequence[str] = ()

    @property
    def names(self) -> Sequence[str]:
        """Every field of the part, each once."""
        return tuple(dict.fromkeys((*self.fields, *self.open, *self.many, *self.single)))


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


RECORD: Final = Shape(
    _names(
        "conversationId conversationStart conversationEnd originatingDirection divisionIds mediaStatsMinConversationMos"
        " mediaStatsMinConversationRFactor conversationInitiator customerParticipation externalTag selfServed"
        " inactivityTimeout knowledgeBaseIds"
    ),
    {
        "participants": Shape(
            PARTICIPANT,
            {
                "sessions": Shape(
                    SESSION,
                    {
                        "segments": Shape(
                            SEGMENT,
                            {"scoredAgents": Shape(("agentScore", "scoredAgentId"))},
                            open=("properties",),
                        ),
                        "metrics": Shape(METRIC),
                        "mediaEndpointStats": Shape(MEDIA_ENDPOINT_STAT),
                        "proposedAgents": Shape(("agentRank", "proposedAgentId")),
                    },
                    {"flow": Shape(FLOW, {"outcomes": Shape(FLOW_OUTCOME)})},
                    ("agentGroups",),
                )
            },
            open=("attributes",),
        ),
        "evaluations": Shape(EVALUATION),
        "surveys": Shape(SURVEY),
        "resolutions": Shape(RESOLUTION),
    },
)

# What snapshots of all media and those of a single one have in common.
_NAMED: Final = Shape(("id", "name"))
_LINKED: Final = Shape(("id", "selfUri"))
_ADDRESS: Final = Shape(_names("name nameRaw addressNormalized addressRaw addressDisplayable"))
_WRAPUP: Final = Shape(_names("code notes tags durationSeconds endTime"))
_WORK: Final = Shape(_names("state startTime endTime"))
_ROUTING: Final = Shape(
    _names("priority skillExpressionId"),
    {"skills": _NAMED, "scoredAgents": Shape(("score",), single={"agent": _NAMED})},
    {"queue": _NAMED, "language": _NAMED},
)
_QUEUE_SETTINGS: Final = Shape(
    _names("alertingTimeoutSeconds enableAutoAnswer"),
    open=_names("autoAnswerAlertToneSeconds manualAnswerAlertToneSeconds"),
)
_ERROR: Final = Shape(_names("status code message messageWithParams contextId uri"), open=("messageParams",))
_JOURNEY: Final = Shape(
    single={
        "customer": Shape(_names("id idType")),
        "customerSession": Shape(_names("id type")),
        "triggeringAction": Shape(("id",), single={"actionMap": Shape(_names("id version"))}),
    }
)
_RECORDERS: Final = Shape(_names("adhocState customerExperienceState agentExperienceState snippetState"))
_FAX: Final = Shape(
    _names(
        "direction expectedPages activePage linesTransmitted bytesTransmitted baudRate dataRate pageErrors lineErrors"
    )
)
_TIMER: Final = Shape(_names("timeoutMs timerStartEvent"), open=_names("timerStartTime timerEndTime"))
_DISPOSITION: Final = Shape(_names("name analyzer"), single={"amdTimeout": _TIMER, "silentCallTimeout": _TIMER})
_PREVIEW: Final = Shape(
    _names("id contactId contactListId campaignId"), {"phoneNumberColumns": Shape(_names("columnName type"))}
)
_VOICEMAIL: Final = Shape(_names("id uploadStatus"))
_ATTACHMENT: Final = Shape(_names("attachmentId name contentUri contentType contentLength"))
_MESSAGE: Final = Shape(
    _names("messageId messageTime messageStatus messageSegmentCount socialVisibility"),
    {
        "media": Shape(_names("url mediaType contentLengthBytes name id")),
        "stickers": Shape(_names("url id")),
    },
    {
        "message": _NAMED,
        "errorInfo": _ERROR,
        "messageMetadata": Shape(
            ("type",),
            {"events": Shape(_names("eventType subType")), "content": Shape(_names("contentType subType"))},
        ),
    },
)
_DIVISIONS: Final = Shape(
    many={"entities": Shape(_names("id selfUri dateDivisionUpdated"))},
    single={"division": _LINKED},
)

# What communications of every medium have in a snapshot of all media.
_COMMUNICATION: Final = _names("id state initialState provider peerId disconnectType connectedTime disconnectedTime")
_SERVED: Final = (*_COMMUNICATION, *_names("scriptId startHoldTime held afterCallWorkRequired"))
_AFTERWARDS: Final = {"wrapup": _WRAPUP, "afterCallWork": _WORK, "queueMediaSettings": _QUEUE_SETTINGS}
_CALL: Final = Shape(
    (
        *_SERVED,
        *_names(
            "recording recordingState muted confined securePause direction documentId uuiData bargedTime"
            " agentAssistantId transferSource publicIpAddress"
        ),
    ),
    {"disconnectReasons": Shape(_names("type code phrase reason"))},
    {
        **_AFTERWARDS,
        "self": _ADDRESS,
        "other": _ADDRESS,
        "errorInfo": _ERROR,
        "recordersState": _RECORDERS,
        "faxStatus": _FAX,
        "disposition": _DISPOSITION,
    },
)
_CALLBACK: Final = Shape(
    (
        *_SERVED,
        *_names(
            "direction callbackNumbers callbackUserName externalCampaign skipEnabled timeoutSeconds"
            " callbackScheduledTime automatedCallbackConfigId callerId callerIdName"
        ),
    ),
    single={**_AFTERWARDS, "dialerPreview": _PREVIEW, "voicemail": _VOICEMAIL},
)
_CHAT: Final = Shape((*_SERVED, *_names("roomId avatarImageUrl")), single={**_AFTERWARDS, "journeyContext": _JOURNEY})
_COBROWSE: Final = Shape(
    (*_SERVED, *_names("roomId cobrowseSessionId cobrowseRole controlling viewerUrl providerEventTime")),
    single={**_AFTERWARDS, "self": _ADDRESS},
)
_EMAIL: Final = Shape(
    (*_SERVED, *_names("autoGenerated subject messagesSent messageId direction spam resumeTime parkTime")),
    {"draftAttachments": _ATTACHMENT},
    {**_AFTERWARDS, "errorInfo": _ERROR},
)
_CONVERSED: Final = Shape(
    (
        *_SERVED,
        *_names(
            "direction messagesTranscriptUri type recipientCountry recipientType agentAssistantId engagementSource"
            " byoSmsIntegrationId resumeTime parkTime"
        ),
    ),
    {"messages": _MESSAGE},
    {
        **_AFTERWARDS,
        "toAddress": _ADDRESS,
        "fromAddress": _ADDRESS,
        "errorInfo": _ERROR,
        "journeyContext": _JOURNEY,
    },
)
_INTERNAL_MESSAGE: Final = Shape(
    (*_COMMUNICATION, *_names("targetUserId sourceUserId")),
    {"messages": Shape(_names("messageId messageTime"))},
    {"toAddress": _ADDRESS, "fromAddress": _ADDRESS},
)
_SCREEN_MONITORING: Final = Shape((*_COMMUNICATION, *_names("targetUserId screenMonitoringId monitoringType count")))
_SCREEN_SHARE: Final = Shape((*_SERVED, *_names("context sharing peerCount")), single={**_AFTERWARDS, "self": _ADDRESS})
_SOCIAL_EXPRESSION: Final = Shape(
    (*_SERVED, *_names("socialMediaId socialMediaHub socialUserName previewText recordingId")), single=_AFTERWARDS
)
_VIDEO: Final = Shape(
    (*_SERVED, *_names("context audioMuted videoMuted sharingScreen peerCount msids")),
    single={**_AFTERWARDS, "self": _ADDRESS},
)

SNAPSHOT: Final = Shape(
    _names(
        "id maxParticipants recordingState address externalTag utilizationLabelId inactivityTimeout accessAttributes"
        " securePause"
    ),
    {
        "participants": Shape(
            _names(
                "id connectedTime endTime userId externalContactId externalContactInitialDivisionId"
                " externalOrganizationId name queueId groupId teamId purpose consultParticipantId address"
                " wrapupRequired wrapupExpected wrapupPrompt wrapupTimeoutMs startAcwTime endAcwTime alertingTimeoutMs"
                " monitoredParticipantId screenMonitoredParticipantId coachedParticipantId bargedParticipantId"
                " mediaRoles screenRecordingState flaggedReason"
            ),
            {
                "calls": _CALL,
                "callbacks": _CALLBACK,
                "chats": _CHAT,
                "cobrowsesessions": _COBROWSE,
                "emails": _EMAIL,
                "messages": _CONVERSED,
                "internalMessages": _INTERNAL_MESSAGE,
                "screenMonitorings": _SCREEN_MONITORING,
                "screenshares": _SCREEN_SHARE,
                "socialExpressions": _SOCIAL_EXPRESSION,
                "videos": _VIDEO,
            },
            {"wrapup": _WRAPUP, "conversationRoutingData": _ROUTING, "workflow": Shape(("workflowId",))},
            ("attributes",),
        ),
        "recentTransfers": Shape(
            _names("id state dateIssued transferType"),
            single={
                "initiator": Shape(("userId",)),
                "modifiedBy": _LINKED,
                "destination": Shape(_names("userId address")),
            },
        ),
        "consultationConversations": _LINKED,
        "divisions": _DIVISIONS,
    },
    {"associatedConversation": _LINKED},
)

MEDIUM_SNAPSHOT: Final = Shape(
    _names(
        "id name otherMediaUris address utilizationLabelId accessAttributes inactivityTimeout recordingState"
        " securePause maxParticipants"
    ),
    {
        "participants": Shape(
            _names(
                "id name address startTime connectedTime endTime startHoldTime purpose state initialState direction"
                " disconnectType held wrapupRequired wrapupPrompt wrapupTimeoutMs wrapupSkipped alertingTimeoutMs"
                " provider externalContactInitialDivisionId peer screenRecordingState flaggedReason startAcwTime"
                " endAcwTime resumeTime parkTime mediaRoles muted confined recording recordingState securePause"
                " transferSource ani dnis documentId monitoredParticipantId coachedParticipantId bargedParticipantId"
                " bargedTime consultParticipantId publicIpAddress callbackNumbers callbackUserName"
                " callbackScheduledTime skipEnabled externalCampaign timeoutSeconds automatedCallbackConfigId roomId"
                " avatarImageUrl subject messagesSent autoGenerated messageId spam type recipientCountry recipientType"
                " byoSmsIntegrationId engagementSource"
            ),
            {"draftAttachments": _ATTACHMENT, "messages": _MESSAGE},
            {
                "user": _NAMED,
                "queue": _NAMED,
                "team": _NAMED,
                "script": _NAMED,
                "group": _NAMED,
                "externalContact": _NAMED,
                "externalOrganization": _NAMED,
                "wrapup": _WRAPUP,
                "conversationRoutingData": _ROUTING,
                "journeyContext": _JOURNEY,
                "queueMediaSettings": _QUEUE_SETTINGS,
                "recordersState": _RECORDERS,
                "disposition": _DISPOSITION,
                "faxStatus": _FAX,
                "outboundPreview": _PREVIEW,
                "voicemail": _VOICEMAIL,
                "errorInfo": Shape(
                    _names("message code status entityId entityName messageWithParams contextId"),
                    {"details": Shape(_names("errorCode fieldName entityId entityName"))},
                    {"limit": Shape(_names("key namespace value documented"))},
                    ("messageParams", "errors"),
                ),
            },
            ("attributes",),
        ),
        "divisions": _DIVISIONS,
    },
)
