# The orchestrator that starts CI runs: hands out secret_ids of one role, sealed, and never sees one.
# Each answer has to be wrapped, for two minutes at most.
path "auth/approle/role/ci/secret-id" {
  capabilities     = ["update"]
  min_wrapping_ttl = "1s"
  max_wrapping_ttl = "2m"
}

path "auth/approle/role/ci/role-id" {
  capabilities = ["read"]
}
