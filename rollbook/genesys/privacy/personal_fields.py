"""The fields that hold people's data, by class. Data only.

A path names a field by the end of its way from the record's root: `ani` is that field wherever it stands,
`participants.name` only the one of a participant. Lists do not count. A star stands for every member of an object.
Behind a dot is a member of the record itself: `.name`.

Source: the platform's models of details (`detail_fields.py`) and the schemas of its notification topics, read field by
field; a test holds every text field of both to this page or to the list of those that say nothing about a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class FieldClass(StrEnum):
    """A class of fields, as `[privacy] fields` names it."""

    PHONE_NUMBERS = "phone_numbers"
    EMAIL_ADDRESSES = "email_addresses"
    NAMES = "names"
    AGENT_NAMES = "agent_names"
    FREE_TEXT = "free_text"
    ATTRIBUTES = "attributes"
    EXTERNAL_IDS = "external_ids"


def _paths(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# These hold a number or an e-mail address: the value says which, and each class has its own treatment.
ADDRESSES: Final = _paths(
    "ani dnis sessionDnis address addressNormalized addressRaw addressDisplayable addressFrom addressTo addressSelf"
    " addressOther fromAddress toAddress destinationAddresses bcc cc callbackNumbers callbackNumber callerId phone"
    " phoneNumber email emailAddress videoAddressSelf screenShareAddressSelf transferTargetAddress publicIpAddress"
    " entryReason userInput e164 workPhone cellPhone homePhone otherPhone workEmail personalEmail otherEmail username"
)
PATHS: Final[Mapping[FieldClass, tuple[str, ...]]] = {
    FieldClass.PHONE_NUMBERS: ADDRESSES,
    FieldClass.EMAIL_ADDRESSES: ADDRESSES,
    FieldClass.NAMES: _paths(
        "participantName participants.name self.name other.name nameRaw callbackUserName callerIdName remote"
        " remoteNameDisplayable socialUserName transferTargetName externalContact.name customer.name"
        " externalOrganization.name messageMetadata.from.name avatarImageUrl firstName middleName lastName displayName"
        " .name eventBody.name"
    ),
    FieldClass.AGENT_NAMES: _paths("user.name agent.name evaluator.name assignee.name modifiedBy.name"),
    FieldClass.FREE_TEXT: _paths(
        "subject wrapUpNote wrapupNotes notes transcript decoratedTranscript word previewText phrase"
        " messages.content textBody body.text .body eventBody.body comments agentComments privateComments"
        " freeTextAnswer media.name media.url stickers.url attachments.name draftAttachments.name contentUri"
        " properties.value errorInfo.message messageWithParams messageParams.* entityName"
    ),
    FieldClass.ATTRIBUTES: _paths("attributes.* customAttributes.* customFields.*"),
    FieldClass.EXTERNAL_IDS: _paths(
        "externalContactId externalOrganizationId conversationExternalContactIds conversationExternalOrganizationIds"
        " outboundContactId contactId externalContact.id externalOrganization.id externalTag journeyCustomerId"
        " journeyCustomerSessionId customer.id customerSession.id uuiData socialMediaId externalContact.selfUri"
        " errorInfo.entityId details.entityId"
    ),
}
