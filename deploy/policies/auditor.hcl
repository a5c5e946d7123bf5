# Sees which credentials live, for which run and until when, and who logged in last; changes nothing.
path "sys/latchkey/sessions" {
  capabilities = ["read", "list"]
}

path "sys/latchkey/secret-ids/*" {
  capabilities = ["read", "list"]
}

path "sys/leases/lookup" {
  capabilities = ["update"]
}

path "sys/leases/lookup/*" {
  capabilities = ["list", "sudo"]
}

path "sys/audit" {
  capabilities = ["read", "sudo"]
}

# Finds a known value in the audit log, by the hash that stands there.
path "sys/audit-hash/*" {
  capabilities = ["update"]
}
