# AWS' own key would not do for a topic: CloudWatch may not use that, and its alarms would be lost. What goes through it
# has names of metrics, and no data of people.
resource "aws_sns_topic" "alarms" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.key_arn == "" ? null : var.key_arn
}

data "aws_iam_policy_document" "alarms" {
  statement {
    sid       = "TheAlarmsOfThisAccount"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [var.aws_account_id]
    }
  }

  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

resource "aws_sns_topic_subscription" "mail" {
  count     = var.alarm_email == "" ? 0 : 1
  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = var.alarm_email
}

locals {
  queue    = { QueueName = aws_sqs_queue.events.name }
  dead     = { QueueName = aws_sqs_queue.dead.name }
  function = { FunctionName = aws_lambda_function.this.function_name }

  alarms = {
    not-stored-in-time = {
      text      = "The oldest event has waited for an hour; see the function's log"
      namespace = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = local.queue
      statistic = "Maximum", period = 300, times = 2, threshold = 3600, above = true, missing = "notBreaching"
    }
    in-the-dead-letter-queue = {
      text      = "Events could not be stored for a day; mend the store, then redrive the queue"
      namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = local.dead
      statistic = "Maximum", period = 300, times = 1, threshold = 0, above = true, missing = "notBreaching"
    }
    no-events = {
      text      = "No event has come for hours; see the integration in Genesys Cloud and the event source's state"
      namespace = "AWS/SQS", metric = "NumberOfMessagesSent", dimensions = local.queue
      statistic = "Sum", period = 3600, times = var.quiet_hours, threshold = 1, above = false, missing = "breaching"
    }
    windows-not-proven = {
      text      = "Windows could not be read consistently for an hour; `rollbook status` says why"
      namespace = "rollbook", metric = "FailedWindows", dimensions = local.function
      statistic = "Minimum", period = 1200, times = 3, threshold = 0, above = true, missing = "notBreaching"
    }
    not-reconciled = {
      text      = "The schedule's calls have not ended well for an hour (sign-in, permission, network, store)"
      namespace = "rollbook", metric = "Windows", dimensions = local.function
      statistic = "SampleCount", period = 3600, times = 1, threshold = 1, above = false, missing = "breaching"
    }
    not-understood = {
      text      = "Events could not be understood; they are kept in the table dead_letters"
      namespace = "rollbook", metric = "DeadLetters", dimensions = local.function
      statistic = "Sum", period = 300, times = 1, threshold = 0, above = true, missing = "notBreaching"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.text
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.times
  threshold           = each.value.threshold
  comparison_operator = each.value.above ? "GreaterThanThreshold" : "LessThanThreshold"
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}
