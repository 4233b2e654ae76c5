# Where the store lies.

resource "aws_efs_file_system" "this" {
  encrypted        = true
  kms_key_id       = var.key_arn == "" ? null : var.key_arn
  performance_mode = "generalPurpose"
  throughput_mode  = "elastic"

  tags = {
    Name = var.name
  }

  # It outlives everything else: deploy/README.md says how to take it down too.
  lifecycle {
    prevent_destroy = true
  }
}

# A policy that allows nothing: who mounts it needs a right of its own, as the function's role has. Before it, any machine
# that reaches the mount target may.
data "aws_iam_policy_document" "files" {
  statement {
    sid       = "OnlyByTls"
    effect    = "Deny"
    actions   = ["elasticfilesystem:Client*"]
    resources = [aws_efs_file_system.this.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  statement {
    sid       = "OnlyByAnAccessPoint"
    effect    = "Deny"
    actions   = ["elasticfilesystem:Client*"]
    resources = [aws_efs_file_system.this.arn]

    principals {
      type        = "AWS"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "elasticfilesystem:AccessPointArn"
      values   = ["true"]
    }
  }
}

resource "aws_efs_file_system_policy" "this" {
  file_system_id = aws_efs_file_system.this.id
  policy         = data.aws_iam_policy_document.files.json
}

resource "aws_efs_backup_policy" "this" {
  file_system_id = aws_efs_file_system.this.id

  backup_policy {
    status = "ENABLED"
  }
}

resource "aws_efs_mount_target" "this" {
  for_each        = toset(var.subnet_ids)
  file_system_id  = aws_efs_file_system.this.id
  subnet_id       = each.value
  security_groups = [aws_security_group.files.id]
}

resource "aws_efs_access_point" "folder" {
  file_system_id = aws_efs_file_system.this.id

  posix_user {
    uid = 10001
    gid = 10001
  }

  root_directory {
    path = "/rollbook"

    creation_info {
      owner_uid   = 10001
      owner_gid   = 10001
      permissions = "0700"
    }
  }
}

resource "aws_security_group" "function" {
  name        = "${var.name}-function"
  description = "The function of rollbook"
  vpc_id      = var.vpc_id
}

resource "aws_security_group" "files" {
  name        = "${var.name}-files"
  description = "The store of rollbook"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "internet" {
  security_group_id = aws_security_group.function.id
  description       = "The platform and AWS"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
}

resource "aws_vpc_security_group_egress_rule" "files" {
  security_group_id            = aws_security_group.function.id
  description                  = "The store"
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
  referenced_security_group_id = aws_security_group.files.id
}

resource "aws_vpc_security_group_ingress_rule" "files" {
  security_group_id            = aws_security_group.files.id
  description                  = "NFS from the function"
  ip_protocol                  = "tcp"
  from_port                    = 2049
  to_port                      = 2049
  referenced_security_group_id = aws_security_group.function.id
}
