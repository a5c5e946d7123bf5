# A run: logs in, reads its secret by the present name, and works in AWS with credentials that die by themselves.
# All of that is ephemeral: neither plan nor state holds it.

terraform {
  required_version = ">= 1.11"
  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 5.8"
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
  type      = string
  ephemeral = true
}

variable "secret_id" {
  type        = string
  sensitive   = true
  ephemeral   = true
  description = "Unwrapped by whoever starts the run"
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

provider "vault" {
  address          = var.broker
  skip_child_token = true
  auth_login {
    path = "auth/approle/login"
    parameters = {
      role_id   = var.role_id
      secret_id = var.secret_id
    }
  }
}

ephemeral "vault_generic_secret" "resolve" {
  count = nonsensitive(var.secret_name == null) ? 1 : 0
  path  = "sys/latchkey/resolve/${var.scope}"
}

ephemeral "vault_kv_secret_v2" "deploy" {
  mount = coalesce(var.secret_name, one(ephemeral.vault_generic_secret.resolve[*].data["name"]))
  name  = "deploy"
}

# A run that cannot read its secret gets no credentials.
ephemeral "vault_aws_access_credentials" "run" {
  mount      = "aws"
  role       = var.scope
  depends_on = [ephemeral.vault_kv_secret_v2.deploy]
}

provider "aws" {
  region     = var.region
  access_key = ephemeral.vault_aws_access_credentials.run.access_key
  secret_key = ephemeral.vault_aws_access_credentials.run.secret_key
  token      = ephemeral.vault_aws_access_credentials.run.security_token
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
