# Sets up a scope: three mounts, a policy and a login for each role, and the rotation of the operators' mount.
#
# Mounts are managed by their own paths, which never change; their names rotate without a difference here.

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

variable "token" {
  type        = string
  sensitive   = true
  ephemeral   = true
  description = "A token with the policy policy-admin"
}

variable "scope" {
  type        = string
  default     = "ec2-only"
  description = "The own path of the operators' mount, and the name of their AWS role"
}

variable "prefix" {
  type        = string
  default     = "secret1"
  description = "What the operators' mount is called begins with this"
}

variable "schedule" {
  type        = string
  default     = "0 3 * * *"
  description = "When that name changes: cron, in UTC"
}

variable "admin_secret" {
  type        = map(string)
  sensitive   = true
  ephemeral   = true
  description = "What only administrators read"
}

variable "admin_secret_version" {
  type        = number
  default     = 1
  description = "Count up to have another admin_secret written: Terraform cannot compare what it does not keep"
}

locals {
  roles = toset(["manager", "operator"])
}

# The token is short-lived itself: no child of it is needed.
provider "vault" {
  address          = var.broker
  token            = var.token
  skip_child_token = true
}

# A plan that makes one of these anew means that it was lost or moved, and what it held with it.
resource "vault_mount" "secrets" {
  for_each = {
    (var.scope)   = "Secrets of the operators of ${var.scope}"
    admin-secrets = "Secrets of administrators"
    secret-paths  = "Present names of mounts, kept by the broker"
  }
  path        = each.key
  type        = "kv"
  description = each.value
  options     = { version = "2" }
  lifecycle {
    prevent_destroy = true
  }
}

resource "vault_generic_endpoint" "rotation" {
  path                 = "sys/latchkey/rotation/${vault_mount.secrets[var.scope].path}"
  ignore_absent_fields = true
  data_json = jsonencode({
    prefix       = var.prefix
    schedule     = var.schedule
    grace_period = 600
    stable_path  = "capability"
    on_tripwire  = "log"
  })
}

resource "vault_generic_endpoint" "secret_paths" {
  path                 = "sys/latchkey/secret-paths"
  ignore_absent_fields = true
  data_json            = jsonencode({ mount = vault_mount.secrets["secret-paths"].path })
}

resource "vault_policy" "role" {
  for_each = local.roles
  name     = "${var.scope}-${each.key}"
  policy   = templatefile("${path.module}/../../policies/${each.key}.hcl", { scope = var.scope })
}

resource "vault_approle_auth_backend_role" "role" {
  for_each       = local.roles
  role_name      = "${var.scope}-${each.key}"
  token_policies = [vault_policy.role[each.key].name]
  token_ttl      = 600
  token_max_ttl  = 1800
  secret_id_ttl  = 3600
}

# What stands in the state opens once, within two minutes. When a secret_id has expired, a plan adds another.
resource "vault_approle_auth_backend_role_secret_id" "role" {
  for_each              = local.roles
  role_name             = vault_approle_auth_backend_role.role[each.key].role_name
  ttl                   = 3600
  wrapping_ttl          = "120s"
  with_wrapped_accessor = true
}

resource "vault_kv_secret_v2" "admin" {
  mount                = vault_mount.secrets["admin-secrets"].path
  name                 = var.scope
  data_json_wo         = jsonencode(var.admin_secret)
  data_json_wo_version = var.admin_secret_version
}

output "hand_over" {
  sensitive = true
  value = {
    for role in local.roles : role => {
      role_id        = vault_approle_auth_backend_role.role[role].role_id
      wrapping_token = vault_approle_auth_backend_role_secret_id.role[role].wrapping_token
    }
  }
}
