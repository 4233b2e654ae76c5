"""The API's own field names, table by table, and how they are spelled as columns.

Data only. What is not listed here is not lost: it stays in `conversations.details`, byte for byte.
Source: the generated models of the platform's SDK (AnalyticsConversation and what hangs from it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_WORD_START: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def column(name: str) -> str:
    """The API's camelCase as a column: `segmentStart` → `segment_start`, `minRFactor` → `min_r_factor`."""
    return _WORD_START.sub("_", name).lower()


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PARTICIPANT: Final = _names(
    "participantId participantName purpose userId teamId externalContactId externalOrganizationId flaggedReason"
    " screenRecording"
)
SESSION: Final = _names(
    "sessionId mediaType direction provider peerId"
    " activeSkillIds acwSkipped addressFrom addressOther addressSelf addressTo agentAssistantId agentBullseyeRing"
    " agentGroups agentOwned ani assignerId authenticated bargedParticipantId bcc callbackNumbers"
    " callbackScheduledTime callbackUserName cc cleared coachedParticipantId cobrowseRole cobrowseRoomId"
    " deliveryPushed deliveryStatus deliveryStatusChangeDate destinationAddresses detectedSpeechEnd"
    " detectedSpeechStart dispositionAnalyzer dispositionName dnis edgeId eligibleAgentCounts engagementSource"
    " errorCodeDescription extendedDeliveryStatus flowInType flowOutType journeyActionId journeyActionMapId"
    " journeyActionMapVersion journeyCustomerId journeyCustomerIdType journeyCustomerSessionId"
    " journeyCustomerSessionIdType mediaBridgeId mediaCount messageType monitoredParticipantId outboundCampaignId"
    " outboundContactId outboundContactListId proposedAgents protocolCallId recording remote remoteNameDisplayable"
    " removedSkillIds requestedRoutings roomId routingRing routingRule routingRuleType screenMonitoredUserId"
    " screenShareAddressSelf screenShareRoomId scriptId selectedAgentId selectedAgentRank sessionDnis sharingScreen"
    " skillExpressionId skipEnabled snippetRecording timeoutSeconds usedRouting videoAddressSelf videoRoomId"
    " waitingInteractionCounts"
)
SEGMENT: Final = _names(
    "segmentStart segmentEnd segmentType queueId disconnectType wrapUpCode wrapUpNote wrapUpTags conference audioMuted"
    " videoMuted destinationConversationId destinationSessionId errorCode groupId properties q850ResponseCodes"
    " requestedLanguageId requestedRoutingSkillIds requestedRoutingUserIds scoredAgents sipResponseCodes"
    " sourceConversationId sourceSessionId subject"
)
METRIC: Final = _names("name value emitDate")
MEDIA_ENDPOINT_STAT: Final = _names(
    "eventTime minMos minRFactor maxLatencyMs codecs discardedPackets duplicatePackets invalidPackets overrunPackets"
    " receivedPackets underrunPackets"
)
FLOW: Final = _names(
    "flowId flowName flowType flowVersion entryType entryReason exitReason startingLanguage endingLanguage"
    " issuedCallback recognitionFailureReason transferType transferTargetAddress transferTargetName"
)
FLOW_OUTCOME: Final = _names(
    "flowOutcomeId flowOutcome flowOutcomeValue flowOutcomeStartTimestamp flowOutcomeEndTimestamp"
)
EVALUATION: Final = _names(
    "evaluationId evaluationStatus evaluatorId userId queueId formId formName contextId calibrationId assigneeId"
    " assigneeApplicable eventTime released rescored deleted systemSubmitted oTotalScore oTotalCriticalScore"
)
SURVEY: Final = _names(
    "surveyId surveyStatus surveyType surveyFormId surveyFormName surveyFormContextId surveyCompletedDate"
    " surveyPartialResponse surveyPromoterScore oSurveyTotalScore eventTime queueId userId"
)
RESOLUTION: Final = _names("eventTime queueId userId nNextContactAvoided")

# Fields that hold a time. They are stored as 24 characters of UTC when they can be read as one, verbatim when not.
TIMES: Final = frozenset(
    _names(
        "segmentStart segmentEnd emitDate eventTime callbackScheduledTime deliveryStatusChangeDate detectedSpeechEnd"
        " detectedSpeechStart flowOutcomeStartTimestamp flowOutcomeEndTimestamp surveyCompletedDate"
    )
)

_INTEGERS: Final = frozenset(
    _names(
        "screenRecording acwSkipped agentBullseyeRing agentOwned authenticated cleared deliveryPushed"
        " journeyActionMapVersion mediaCount recording routingRing selectedAgentRank sharingScreen skipEnabled"
        " snippetRecording timeoutSeconds conference audioMuted videoMuted value maxLatencyMs discardedPackets"
        " duplicatePackets invalidPackets overrunPackets receivedPackets underrunPackets issuedCallback"
        " assigneeApplicable released rescored deleted systemSubmitted surveyPartialResponse surveyPromoterScore"
        " nNextContactAvoided"
    )
)
_REALS: Final = frozenset(_names("minMos minRFactor oTotalScore oTotalCriticalScore oSurveyTotalScore"))


def affinity(name: str) -> str:
    """The column's SQLite affinity. A value of another type is still taken: SQLite keeps what it is given."""
    return "INTEGER" if name in _INTEGERS else "REAL" if name in _REALS else "TEXT"


# Each child table: the positions that identify a row within its conversation, and the API's fields.
# The API gives no id to a segment or a metric, and bad data lacks or repeats even those that it gives:
# the position within the answer is the one key that always exists.
_IN_SESSION: Final = ("participant_position", "session_position", "position")
CHILD_TABLES: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "participants": (("position",), PARTICIPANT),
    "sessions": (("participant_position", "position"), SESSION),
    "segments": (_IN_SESSION, SEGMENT),
    "metrics": (_IN_SESSION, METRIC),
    "media_endpoint_stats": (_IN_SESSION, MEDIA_ENDPOINT_STAT),
    "flows": (("participant_position", "session_position"), FLOW),
    "flow_outcomes": (_IN_SESSION, FLOW_OUTCOME),
    "evaluations": (("position",), EVALUATION),
    "surveys": (("position",), SURVEY),
    "resolutions": (("position",), RESOLUTION),
}
# The API's ids of the parents, repeated in the children so that a join needs no positions.
PARENT_IDS: Final[Mapping[str, tuple[str, ...]]] = {
    "sessions": ("participant_id",),
    "segments": ("participant_id", "session_id"),
    "metrics": ("participant_id", "session_id"),
    "media_endpoint_stats": ("participant_id", "session_id"),
    "flows": ("participant_id", "session_id"),
    "flow_outcomes": ("participant_id", "session_id"),
}
