"""The API's own names of what is in the details of a conversation, and what kind of value each has.

Data only. What is not listed here is not lost: it stays in the record, byte for byte.
Source: the generated models of the platform's SDK (AnalyticsConversation and what hangs from it).
"""

from __future__ import annotations

from typing import Final


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

QUEUE: Final = "queueId"

# Fields that hold a time. They are stored as 24 characters of UTC when they can be read as one, verbatim when not.
TIMES: Final = frozenset(
    _names(
        "segmentStart segmentEnd emitDate eventTime callbackScheduledTime deliveryStatusChangeDate detectedSpeechEnd"
        " detectedSpeechStart flowOutcomeStartTimestamp flowOutcomeEndTimestamp surveyCompletedDate"
    )
)

# Fields that hold a whole number, or true and false.
INTEGERS: Final = frozenset(
    _names(
        "screenRecording acwSkipped agentBullseyeRing agentOwned authenticated cleared deliveryPushed"
        " journeyActionMapVersion mediaCount recording routingRing selectedAgentRank sharingScreen skipEnabled"
        " snippetRecording timeoutSeconds conference audioMuted videoMuted value maxLatencyMs discardedPackets"
        " duplicatePackets invalidPackets overrunPackets receivedPackets underrunPackets issuedCallback"
        " assigneeApplicable released rescored deleted systemSubmitted surveyPartialResponse surveyPromoterScore"
        " nNextContactAvoided"
    )
)
# Fields that hold a number with a point.
REALS: Final = frozenset(_names("minMos minRFactor oTotalScore oTotalCriticalScore oSurveyTotalScore"))
# Fields that hold an array or an object, which a column keeps as JSON text.
NESTED: Final = frozenset(
    _names(
        "activeSkillIds agentGroups bcc callbackNumbers cc destinationAddresses eligibleAgentCounts proposedAgents"
        " removedSkillIds requestedRoutings waitingInteractionCounts wrapUpTags properties q850ResponseCodes"
        " requestedRoutingSkillIds requestedRoutingUserIds scoredAgents sipResponseCodes codecs"
    )
)
