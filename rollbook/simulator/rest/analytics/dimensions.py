"""Dimensions and metrics that a details query may ask about: their names, and where a record has their values.

Names are those of the API's own models. Knows no filter and no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final

Values = frozenset[str]


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


CONVERSATION: Final = _names(
    "accessAttribute conversationEnd conversationId conversationInitiator conversationStart customerParticipation"
    " divisionId externalTag mediaStatsMinConversationMos originatingDirection originatingSocialMediaPublic"
)
SEGMENT: Final = _names(
    "addressFrom addressTo agentAssistantId agentOwned ani authenticated bargedParticipantId callbackNumber"
    " callbackScheduledTime canonicalExternalContactId cleared coachedParticipantId conference deliveryPushed"
    " deliveryStatus destinationAddress destinationConversationId detectedSpeechEnd detectedSpeechStart direction"
    " disconnectType dnis edgeId engagementSource errorCode exitReason extendedDeliveryStatus externalContactId"
    " externalOrganizationId flaggedReason flowId flowName flowOutType flowOutcome flowOutcomeId flowOutcomeValue"
    " flowVersion groupId journeyActionId journeyActionMapId journeyCustomerId journeyCustomerIdType"
    " journeyCustomerSessionId mediaCount mediaType messageType monitoredParticipantId outboundCampaignId"
    " outboundContactId outboundContactListId participantName protocolCallId provider purpose queueId recording remote"
    " remoteNameDisplayable requestedLanguageId requestedRouting requestedRoutingSkillId scoredAgentId"
    " screenMonitoredUserId screenRecording scriptId segmentEnd segmentType sessionDnis sipResponseCode"
    " skillExpressionId snippetRecording subject teamId transferTargetAddress transferTargetName transferType"
    " usedRouting userId wrapUpCode wrapUpNote"
)
EVALUATION: Final = _names(
    "assigneeApplicable assigneeId calibrationId contextId deleted evaluationId evaluationStatus evaluatorId eventTime"
    " formId formName queueId released rescored systemSubmitted userId"
)
SURVEY: Final = _names(
    "eventTime queueId surveyCompletedDate surveyFormContextId surveyFormId surveyId surveyPartialResponse"
    " surveyPromoterScore surveyStatus surveyType userId"
)
METRICS: Final = _names(
    "nAgentDeclined nAlertExpired nBlindTransferred nBotInteractions nCallbackAttempts nCallbackOverSla"
    " nCallbackScheduled nCfcOffered nCobrowseSessions nConnected nConsult nConsultTransferred nConversations nError"
    " nFlow nFlowMilestone nFlowOutcome nFlowOutcomeFailed nOffered nOutbound nOutboundAbandoned nOutboundAttempted"
    " nOutboundConnected nOverSla nStateTransitionError nTakeover nTransferred oAudioMessageCount"
    " oExternalAudioMessageCount oExternalMediaCount oFlowMilestone oMediaCount oMessageCount oMessageSegmentCount"
    " oMessageTurn oSkillExpressionApplications tAbandon tAcd tActiveCallback tActiveCallbackComplete tAcw"
    " tAgentResponseTime tAgentVideoConnected tAlert tAnswered tAverageAgentResponseTime tAverageCustomerResponseTime"
    " tBarging tCallbackAbandon tCallbackConnect tCallbackNotReached tCallbackVirtualWait tCfcAbandon tCfcAcd"
    " tCfcAnswered tCfcFlowOut tCoaching tCoachingComplete tConnected tContacting tConversationDuration tDialing"
    " tFirstConnect tFirstDial tFirstEngagement tFirstResponse tFlow tFlowDisconnect tFlowExit tFlowOut tFlowOutcome"
    " tHandle tHeld tHeldComplete tIvr tMonitoring tMonitoringComplete tNotResponding tPark tParkComplete"
    " tScreenMonitoring tShortAbandon tSnippetRecord tTalk tTalkComplete tTransmitting tUserResponseTime tVoicemail"
)
SEGMENT_METRICS: Final = frozenset({"tSegmentDuration"})

# Where a record's field has another name than the dimension, and is a list of values.
_LISTS: Final = {
    "callbackNumber": "callbackNumbers",
    "destinationAddress": "destinationAddresses",
    "requestedRouting": "requestedRoutings",
    "requestedRoutingSkillId": "requestedRoutingSkillIds",
    "sipResponseCode": "sipResponseCodes",
}


class Facts:
    """A record as a filter sees it; what no filter asks for is not worked out. An absent value has no entry."""

    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record
        self.evaluations: list[Mapping[str, Any]] = record.get("evaluations", [])
        self.surveys: list[Mapping[str, Any]] = record.get("surveys", [])
        self.resolutions: list[Mapping[str, Any]] = record.get("resolutions", [])

    @cached_property
    def conversation(self) -> Mapping[str, Values]:
        """Values by dimension."""
        return _conversation(self._record)

    @cached_property
    def metrics(self) -> Mapping[str, float]:
        """Summed over the conversation."""
        return _metrics(self._record)

    @cached_property
    def segments(self) -> list[Mapping[str, Any]]:
        """Each segment, laid over its session and its participant."""
        return list(_segments(self._record))


def spelled(value: object) -> str:
    """A value as a predicate's text names it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def values(row: Mapping[str, Any], dimension: str) -> Values:
    """Values that a row has for a dimension."""
    if dimension == "scoredAgentId":
        return frozenset(agent["scoredAgentId"] for agent in row.get("scoredAgents", ()))
    found = row.get(_LISTS.get(dimension, dimension))
    if found is None:
        return frozenset()
    return frozenset(map(spelled, found)) if isinstance(found, list) else frozenset((spelled(found),))


def _conversation(record: dict[str, Any]) -> dict[str, Values]:
    found = {name: frozenset((spelled(record[name]),)) for name in CONVERSATION if name in record}
    for name, field in (("divisionId", "divisionIds"), ("accessAttribute", "accessAttributes")):
        if record.get(field):
            found[name] = frozenset(record[field])
    return found


def _metrics(record: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for participant in record["participants"]:
        for session in participant["sessions"]:
            for metric in session.get("metrics", ()):
                found[metric["name"]] = found.get(metric["name"], 0) + metric["value"]
    return found


def _segments(record: dict[str, Any]) -> Iterable[dict[str, Any]]:
    for participant in record["participants"]:
        for session in participant["sessions"]:
            above = {**participant, **session.get("flow", {}), **session}
            for segment in session.get("segments", ()):
                yield above | segment
