# Reads the secrets of ${scope}, by whatever name, and fetches credentials of the AWS role of that name.
path "${scope}/data/*" {
  capabilities = ["read"]
}

path "sys/latchkey/resolve/${scope}" {
  capabilities = ["read"]
}

path "aws/creds/${scope}" {
  capabilities = ["read"]
}
