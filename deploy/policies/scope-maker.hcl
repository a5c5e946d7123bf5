# Makes scopes for teams and takes them away: key-value mounts, an AppRole role and a policy for just those, without any
# right on mounts, roles or policies themselves. The name is the limit: mounts of the scope team-web are team-web or lie
# below it. It includes the secret_ids of all scopes of these names, so make none with more rights under them by other means.
# With a min_wrapping_ttl on the rule every answer is sealed.
path "sys/latchkey/scopes" {
  capabilities = ["list"]
}

path "sys/latchkey/scopes/team-*" {
  capabilities = ["read", "update", "delete"]
}

# What it may hand on to a scope, as `grants`: no more than it may do itself.
path "aws/creds/ec2-only" {
  capabilities = ["read"]
}

path "sys/leases/revoke" {
  capabilities = ["update"]
}

# For terraform-provider-vault, which works with a short-lived child of the token it is given.
path "auth/token/create" {
  capabilities = ["update"]
}
