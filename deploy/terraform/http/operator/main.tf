# A run: logs in, reads its secret by the present name, and works in AWS with credentials that die by themselves.

terraform {
  required_version = ">= 1.5"
  required_providers {
    http = {
      source  = "hashicorp/http"
      version = ">= 3.4"
    }
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "broker" {
  type        = string
  description = "Where the broker serves: https://latchkey.example:8200"
}

variable "role_id" {
  type = string
}

variable "secret_id" {
  type        = string
  sensitive   = true
  description = "Unwrapped by whoever starts the run. It stands in the state in clear"
}

variable "scope" {
  type        = string
  default     = "ec2-only"
  description = "The own path of the operators' mount, and the name of the AWS role"
}

variable "secret_name" {
  type        = string
  default     = null
  sensitive   = true
  description = "The present name of that mount, from the manager's hand; without it the broker is asked"
}

variable "region" {
  type    = string
  default = "us-east-1"
}

locals {
  headers = { X-Vault-Token = sensitive(jsondecode(data.http.login.response_body).auth.client_token) }
  asks    = nonsensitive(var.secret_name == null)
  name    = local.asks ? sensitive(jsondecode(data.http.resolve[0].response_body).data.name) : var.secret_name
  aws     = sensitive(jsondecode(data.http.aws.response_body).data)
}

data "http" "login" {
  url          = "${var.broker}/v1/auth/approle/login"
  method       = "POST"
  request_body = jsonencode({ role_id = var.role_id, secret_id = var.secret_id })
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = "login refused: ${self.response_body}"
    }
  }
}

data "http" "resolve" {
  count           = local.asks ? 1 : 0
  url             = "${var.broker}/v1/sys/latchkey/resolve/${var.scope}"
  request_headers = local.headers
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = "the broker does not say where ${var.scope} is: ${self.response_body}"
    }
  }
}

data "http" "secret" {
  url             = "${var.broker}/v1/${local.name}/data/deploy"
  request_headers = local.headers
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = "no secret by this name; is it an old one? ${self.response_body}"
    }
  }
}

# A run that cannot read its secret gets no credentials.
data "http" "aws" {
  url             = "${var.broker}/v1/aws/creds/${var.scope}"
  request_headers = local.headers
  depends_on      = [data.http.secret]
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = "no credentials: ${self.response_body}"
    }
  }
}

provider "aws" {
  region     = var.region
  access_key = local.aws.access_key
  secret_key = local.aws.secret_key
  token      = local.aws.security_token
}

data "aws_caller_identity" "self" {}

resource "aws_instance" "one" {
  ami           = "ami-0123456789abcdef0"
  instance_type = "t3.micro"
  tags          = { Name = var.scope }
}

output "account" {
  value = data.aws_caller_identity.self.account_id
}

output "secret_version" {
  value = jsondecode(data.http.secret.response_body).data.metadata.version
}
