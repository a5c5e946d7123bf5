# Sets up a scope: three mounts, a policy and a login for each role, and the rotation of the operators' mount.
#
# The http data source can GET and POST, and is read whenever Terraform plans. So everything here looks
# first and writes only what differs: a plan of what is in force already sends GETs alone. Where this
# configuration changed, the writes wait for apply (terraform_data.wanted); where somebody else changed
# the broker, the next plan puts it right.

terraform {
  required_version = ">= 1.5"
  required_providers {
    http = {
      source  = "hashicorp/http"
      version = ">= 3.4"
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
  description = "A token with the policy policy-admin. It stands in the state in clear: let it live for minutes"
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
  description = "What only administrators read"
}

variable "new_mounts" {
  type        = bool
  default     = false
  description = "Whether a mount that is not there may be made: the first time, and not when one was lost"
}

variable "hand_out" {
  type        = set(string)
  default     = []
  description = "Whom to give a secret_id in this run: manager, operator. Each run with it makes another one"
}

locals {
  headers = { X-Vault-Token = var.token }
  mounts = {
    (var.scope)   = "Secrets of the operators of ${var.scope}"
    admin-secrets = "Secrets of administrators"
    secret-paths  = "Present names of mounts, kept by the broker"
  }
  roles = toset(["manager", "operator"])
  settings = merge(
    {
      for role in local.roles : "sys/policies/acl/${var.scope}-${role}" => {
        policy = templatefile("${path.module}/../../policies/${role}.hcl", { scope = var.scope })
      }
    },
    {
      for role in local.roles : "auth/approle/role/${var.scope}-${role}" => {
        token_policies = ["${var.scope}-${role}"]
        token_ttl      = 600
        token_max_ttl  = 1800
        secret_id_ttl  = 3600
      }
    },
    {
      "sys/latchkey/rotation/${var.scope}" = {
        prefix       = var.prefix
        schedule     = var.schedule
        grace_period = 600
        stable_path  = "capability"
        on_tripwire  = "log"
      }
      "sys/latchkey/secret-paths" = { mount = "secret-paths" }
    }
  )
  admin_place = "admin-secrets/data/${var.scope}"
}

resource "terraform_data" "wanted" {
  input = sha256(jsonencode([local.mounts, local.settings, nonsensitive(sha256(jsonencode(var.admin_secret)))]))
}

data "http" "mount" {
  for_each        = local.mounts
  url             = "${var.broker}/v1/sys/mounts/${each.key}"
  request_headers = local.headers
  lifecycle {
    postcondition {
      condition     = self.status_code == 200 || strcontains(self.response_body, "No secret engine mount at")
      error_message = "${each.key}: ${self.response_body}"
    }
    postcondition {
      condition     = self.status_code == 200 || var.new_mounts
      error_message = "The mount ${each.key} is not there. With new_mounts it is made anew, and empty: first find out what became of it."
    }
  }
}

data "http" "enable" {
  for_each        = { for place, about in local.mounts : place => about if data.http.mount[place].status_code != 200 }
  url             = "${var.broker}/v1/sys/mounts/${each.key}"
  method          = "POST"
  request_headers = local.headers
  request_body    = jsonencode({ type = "kv", description = each.value, options = { version = "2" } })
  depends_on      = [terraform_data.wanted]
  lifecycle {
    postcondition {
      condition     = self.status_code == 204
      error_message = "${each.key}: ${self.response_body}"
    }
  }
}

data "http" "setting" {
  for_each        = local.settings
  url             = "${var.broker}/v1/${each.key}"
  request_headers = local.headers
  lifecycle {
    postcondition {
      condition     = contains([200, 404], self.status_code)
      error_message = "${each.key}: ${self.response_body}"
    }
  }
}

locals {
  present = {
    for place, answer in data.http.setting : place => answer.status_code == 200 ? jsondecode(answer.response_body).data : null
  }
  differing = toset([
    for place, body in local.settings : place
    if anytrue([for name, value in body : try(jsonencode(local.present[place][name]), "") != jsonencode(value)])
  ])
}

data "http" "set" {
  for_each        = local.differing
  url             = "${var.broker}/v1/${each.key}"
  method          = "POST"
  request_headers = local.headers
  request_body    = jsonencode(local.settings[each.key])
  depends_on      = [terraform_data.wanted, data.http.enable]
  lifecycle {
    postcondition {
      condition     = contains([200, 204], self.status_code)
      error_message = "${each.key}: ${self.response_body}"
    }
  }
}

data "http" "admin_secret" {
  url             = "${var.broker}/v1/${local.admin_place}"
  request_headers = local.headers
  lifecycle {
    postcondition {
      condition     = contains([200, 404], self.status_code)
      error_message = self.response_body
    }
  }
}

data "http" "write_admin_secret" {
  count = nonsensitive(
    try(jsonencode(jsondecode(data.http.admin_secret.response_body).data.data), "") != jsonencode(var.admin_secret)
  ) ? 1 : 0
  url             = "${var.broker}/v1/${local.admin_place}"
  method          = "POST"
  request_headers = local.headers
  request_body    = jsonencode({ data = var.admin_secret })
  depends_on      = [terraform_data.wanted, data.http.enable]
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = self.response_body
    }
  }
}

data "http" "role_id" {
  for_each        = var.hand_out
  url             = "${var.broker}/v1/auth/approle/role/${var.scope}-${each.key}/role-id"
  request_headers = local.headers
  depends_on      = [data.http.set]
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = self.response_body
    }
  }
}

# Wrapped: what stands in state and output opens once, within two minutes, and then nothing.
data "http" "secret_id" {
  for_each        = var.hand_out
  url             = "${var.broker}/v1/auth/approle/role/${var.scope}-${each.key}/secret-id"
  method          = "POST"
  request_headers = merge(local.headers, { X-Vault-Wrap-TTL = "120s" })
  depends_on      = [data.http.set]
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = self.response_body
    }
  }
}

output "hand_over" {
  sensitive = true
  value = {
    for role in var.hand_out : role => {
      role_id        = jsondecode(data.http.role_id[role].response_body).data.role_id
      wrapping_token = jsondecode(data.http.secret_id[role].response_body).wrap_info.token
    }
  }
}
