# Writes the operators' secret, and tells them the name by which they reach it now.

terraform {
  required_version = ">= 1.11"
  required_providers {
    vault = {
      source  = "hashicorp/vault"
      version = ">= 5.7"
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
  description = "The own path of the operators' mount"
}

variable "secret" {
  type        = map(string)
  sensitive   = true
  ephemeral   = true
  description = "What the operators shall read"
}

variable "secret_version" {
  type        = number
  default     = 1
  description = "Count up to have another secret written: Terraform cannot compare what it does not keep"
}

# Without a child token, the role needs no right to make tokens.
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

# The own path: with the present name here a rotation would be another `mount`, and Terraform would delete the
# secret in order to write it again.
resource "vault_kv_secret_v2" "deploy" {
  mount                = var.scope
  name                 = "deploy"
  data_json_wo         = jsonencode(var.secret)
  data_json_wo_version = var.secret_version
}

data "vault_generic_secret" "path" {
  path = "secret-paths/${var.scope}"
}

output "secret_name" {
  sensitive = true
  value     = data.vault_generic_secret.path.data["name"]
}
