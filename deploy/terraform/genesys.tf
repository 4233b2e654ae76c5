# The Genesys side: the integration that sends every conversation's detail events to the account.

locals {
  detail_members = [
    "acd.end", "acd.start", "acw", "attributes", "contact", "customer.end", "customer.start", "flow.end",
    "flow.outcome", "flow.start", "outbound", "user.end", "user.start", "voicemail.end", "voicemail.start", "wrapup",
  ]
  event_source = "aws.partner/genesys.com/cloud/${var.organization_id}/${var.event_source_suffix}"
}

resource "genesyscloud_integration" "eventbridge" {
  intended_state   = "ENABLED"
  integration_type = "amazon-eventbridge-source"

  config {
    name = var.name
    properties = jsonencode({
      eventSourceSuffix = var.event_source_suffix
      awsAccountId      = var.aws_account_id
      awsAccountRegion  = var.aws_region
      # Templates: the braces stay as they are, and stand for every conversation.
      eventFilter = [for member in local.detail_members : "v2.detail.events.conversation.{id}.${member}"]
    })
    advanced = jsonencode({})
    notes    = "Sends conversations to rollbook"
  }
}
