# Sets up scopes as deploy/terraform does: mounts, their rotation, policies, AppRole roles. Whoever writes policies can
# grant himself anything: hold this for the few, and for minutes.
path "sys/mounts/*" {
  capabilities = ["create", "read", "update"]
}

path "sys/policies/acl/*" {
  capabilities = ["create", "read", "update"]
}

path "auth/approle/role/*" {
  capabilities = ["create", "read", "update"]
}

# Hands secret_ids out sealed, and sees none.
path "auth/approle/role/+/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "2m"
}

path "auth/approle/role/+/custom-secret-id" {
  capabilities = ["deny"]
}

path "sys/latchkey/rotation/*" {
  capabilities = ["create", "read", "update"]
}

path "sys/latchkey/secret-paths" {
  capabilities = ["create", "read", "update", "sudo"]
}

path "admin-secrets/data/*" {
  capabilities = ["create", "read", "update"]
}

# terraform-provider-vault looks here after each write.
path "admin-secrets/metadata/*" {
  capabilities = ["read"]
}
