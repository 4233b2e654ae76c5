# One function for capture and the schedule, and one call at a time: the file on EFS must have one writer.

data "archive_file" "package" {
  type        = "zip"
  source_dir  = var.package_folder
  output_path = "${path.module}/.terraform/rollbook.zip"
}

resource "aws_lambda_function" "this" {
  function_name                  = var.name
  description                    = "Stores what the queue brings; reconciles when the schedule calls"
  filename                       = data.archive_file.package.output_path
  source_code_hash               = data.archive_file.package.output_base64sha256
  handler                        = "realtime.lambda_handler.handler"
  runtime                        = "python3.12"
  architectures                  = ["x86_64"]
  memory_size                    = 512
  timeout                        = 120
  reserved_concurrent_executions = 1
  role                           = aws_iam_role.function.arn

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.function.id]
  }

  file_system_config {
    arn              = aws_efs_access_point.folder.arn
    local_mount_path = "/mnt/rollbook"
  }

  environment {
    variables = {
      ROLLBOOK_DB                     = "/mnt/rollbook/rollbook.db"
      GENESYSCLOUD_REGION             = var.genesys_region
      GENESYSCLOUD_OAUTHCLIENT_ID     = var.client_id
      GENESYSCLOUD_OAUTHCLIENT_SECRET = "secretsmanager:${var.client_secret_arn}"
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  depends_on = [aws_efs_mount_target.this]
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = 30
  kms_key_id        = var.key_arn == "" ? null : var.key_arn
}

resource "aws_lambda_event_source_mapping" "queue" {
  event_source_arn                   = aws_sqs_queue.events.arn
  function_name                      = aws_lambda_function.this.arn
  batch_size                         = 500
  maximum_batching_window_in_seconds = 10
  function_response_types            = ["ReportBatchItemFailures"]

  # The least there is; more pollers would only find it busy.
  scaling_config {
    maximum_concurrency = 2
  }
}

resource "aws_cloudwatch_event_rule" "schedule" {
  name                = "${var.name}-schedule"
  description         = "Reconcile what is due"
  schedule_expression = "rate(10 minutes)"
}

resource "aws_cloudwatch_event_target" "schedule" {
  rule      = aws_cloudwatch_event_rule.schedule.name
  target_id = "function"
  arn       = aws_lambda_function.this.arn
}

resource "aws_lambda_permission" "schedule" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.schedule.arn
}

# A schedule's call that found no room is repeated by the next one.
resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_event_age_in_seconds = 600
  maximum_retry_attempts       = 1

  # Otherwise a call that failed twice is gone without a word.
  destination_config {
    on_failure {
      destination = aws_sns_topic.alarms.arn
    }
  }
}

resource "aws_iam_role" "function" {
  name               = var.name
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "function" {
  name   = var.name
  role   = aws_iam_role.function.id
  policy = data.aws_iam_policy_document.function.json
}

data "aws_iam_policy_document" "function" {
  statement {
    sid       = "Capture"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
    resources = [aws_sqs_queue.events.arn]
  }

  statement {
    sid       = "Store"
    actions   = ["elasticfilesystem:ClientMount", "elasticfilesystem:ClientWrite"]
    resources = [aws_efs_file_system.this.arn]

    condition {
      test     = "StringEquals"
      variable = "elasticfilesystem:AccessPointArn"
      values   = [aws_efs_access_point.folder.arn]
    }
  }

  statement {
    sid       = "SignIn"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.client_secret_arn]
  }

  statement {
    sid     = "Log"
    actions = ["logs:CreateLogStream", "logs:PutLogEvents"]
    # The group's streams, which have no names yet.
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }

  statement {
    sid       = "TellOfFailures"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]
  }

  dynamic "statement" {
    for_each = var.key_arn == "" ? [] : [var.key_arn]

    content {
      sid       = "UseTheKey"
      actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
      resources = [statement.value]
    }
  }

  # AWS has no narrower form: Lambda makes the interfaces in the VPC, and they have no name before.
  statement {
    sid = "JoinTheVpc"
    actions = [
      "ec2:CreateNetworkInterface", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSubnets",
      "ec2:DeleteNetworkInterface", "ec2:AssignPrivateIpAddresses", "ec2:UnassignPrivateIpAddresses",
    ]
    resources = ["*"]
  }
}
