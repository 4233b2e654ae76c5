terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60"
    }
    archive = {
      source  = "hashicorp/archive"
      version = ">= 2.4"
    }
    genesyscloud = {
      source  = "mypurecloud/genesyscloud"
      version = ">= 1.40"
    }
  }
}

provider "aws" {
  region = var.aws_region
}

# Signs in by GENESYSCLOUD_REGION, GENESYSCLOUD_OAUTHCLIENT_ID and GENESYSCLOUD_OAUTHCLIENT_SECRET of the environment: a
# client that may administer integrations, and so another one than the function's, which only reads.
provider "genesyscloud" {}
