# Writes the operators' secret by the name that their mount has now, and tells them that name.

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
  description = "The own path of the operators' mount"
}

variable "secret" {
  type        = map(string)
  sensitive   = true
  description = "What the operators shall read. It stands in the state in clear"
}

locals {
  headers = { X-Vault-Token = sensitive(jsondecode(data.http.login.response_body).auth.client_token) }
  name    = sensitive(jsondecode(data.http.path.response_body).data.data.name)
  held    = try(jsondecode(data.http.secret.response_body).data, null)
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

data "http" "path" {
  url             = "${var.broker}/v1/secret-paths/data/${var.scope}"
  request_headers = local.headers
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = "the broker keeps no name of ${var.scope} in secret-paths: ${self.response_body}"
    }
  }
}

data "http" "secret" {
  url             = "${var.broker}/v1/${local.name}/data/deploy"
  request_headers = local.headers
  lifecycle {
    postcondition {
      condition     = contains([200, 404], self.status_code)
      error_message = self.response_body
    }
  }
}

# A plan of another secret writes nothing yet: the write below waits for apply.
resource "terraform_data" "wanted" {
  input = nonsensitive(sha256(jsonencode(var.secret)))
}

data "http" "write" {
  count           = nonsensitive(try(jsonencode(local.held.data), "") != jsonencode(var.secret)) ? 1 : 0
  url             = "${var.broker}/v1/${local.name}/data/deploy"
  method          = "POST"
  request_headers = local.headers
  request_body    = jsonencode({ data = var.secret, options = { cas = try(local.held.metadata.version, 0) } })
  depends_on      = [terraform_data.wanted]
  lifecycle {
    postcondition {
      condition     = self.status_code == 200
      error_message = self.response_body
    }
  }
}

output "secret_name" {
  sensitive = true
  value     = local.name
}
