variable "name" {
  type        = string
  description = "What everything is called"
  default     = "rollbook"
}

variable "aws_region" {
  type        = string
  description = "Where it runs; the event source appears in the same region"
}

variable "aws_account_id" {
  type        = string
  description = "The account that Genesys Cloud sends to"

  validation {
    condition     = can(regex("^[0-9]{12}$", var.aws_account_id))
    error_message = "An AWS account has twelve digits."
  }
}

variable "organization_id" {
  type        = string
  description = "The Genesys Cloud organisation's id; a part of the event source's name"
}

variable "event_source_suffix" {
  type        = string
  description = "The last part of the event source's name"
  default     = "rollbook"

  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,64}$", var.event_source_suffix))
    error_message = "At most 64 letters, digits, dots, dashes and underscores."
  }
}

variable "genesys_region" {
  type        = string
  description = "The organisation's region, e.g. eu-central-1, or its domain"
}

variable "client_id" {
  type        = string
  description = "OAuth client (grant type Client Credentials) that reads the conversations"
}

variable "client_secret_arn" {
  type        = string
  description = "ARN of the Secrets Manager secret that holds the client's secret, as plain text"
}

variable "vpc_id" {
  type = string
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets with a route to a NAT gateway, in different availability zones"
}

variable "alarm_email" {
  type        = string
  description = "Where alarms go; empty for nowhere"
  default     = ""
}

variable "key_arn" {
  type        = string
  description = "ARN of a KMS key of yours for the store, the log and the alarms; empty for AWS' own (deploy/README.md)"
  default     = ""
}

variable "quiet_hours" {
  type        = number
  description = "So many hours without any event are an alarm"
  default     = 12
}

variable "package_folder" {
  type        = string
  description = "What deploy/aws/package.py has built"
  default     = "../../build/lambda"
}
