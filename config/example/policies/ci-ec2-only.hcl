# A CI run may fetch credentials of the role ec2-only, and end what it fetched.
path "aws/creds/ec2-only" {
  capabilities = ["read", "update"]
}

path "aws/sts/ec2-only" {
  capabilities = ["read", "update"]
}

# The name that the mount has now, where it rotates.
path "sys/latchkey/resolve/aws" {
  capabilities = ["read"]
}

path "sys/leases/revoke" {
  capabilities = ["update"]
}

# The same as the command line client asks for it.
path "sys/leases/revoke/*" {
  capabilities = ["update"]
}

# terraform-provider-vault makes a short-lived child of the token it is given.
path "auth/token/create" {
  capabilities = ["update"]
}
