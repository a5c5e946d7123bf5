# A CI run: fetches credentials of one AWS role and ends what it fetched. `default`, which every login
# adds, lets it look up, renew and revoke its own token and unwrap what it is given.
path "aws/creds/deploy" {
  capabilities = ["read", "update"]
}

# The name that the mount has now, where it rotates.
path "sys/latchkey/resolve/aws" {
  capabilities = ["read"]
}

# Only leases of its own token, or of a role it may fetch anyway: the broker looks.
path "sys/leases/revoke" {
  capabilities = ["update"]
}

# The same as the command line client asks for it.
path "sys/leases/revoke/*" {
  capabilities = ["update"]
}

# For terraform-provider-vault, which works with a short-lived child of the token it is given.
path "auth/token/create" {
  capabilities = ["update"]
}
