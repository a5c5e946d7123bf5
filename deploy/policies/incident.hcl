# Ends everything below a prefix when something leaked: leases of a role or mount, tokens of a login path.
path "sys/leases/revoke-prefix/*" {
  capabilities = ["update", "sudo"]
}

path "sys/leases/lookup" {
  capabilities = ["update"]
}

path "sys/leases/lookup/*" {
  capabilities = ["list", "sudo"]
}

path "sys/latchkey/sessions" {
  capabilities = ["read", "list"]
}

path "auth/token/revoke-accessor" {
  capabilities = ["update"]
}

path "auth/approle/role/+/secret-id-accessor/destroy" {
  capabilities = ["update"]
}

path "auth/approle/role/+/secret-id" {
  capabilities = ["list"]
}
