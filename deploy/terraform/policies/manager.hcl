# Writes what the operators of ${scope} get, and learns by which name they reach it now.
path "${scope}/data/*" {
  capabilities = ["create", "read", "update"]
}

# terraform-provider-vault looks here after each write.
path "${scope}/metadata/*" {
  capabilities = ["read"]
}

path "secret-paths/data/${scope}" {
  capabilities = ["read"]
}

# The mount's own path, which `stable_path` "capability" opens: what a state holds must not move with the name.
path "sys/latchkey/stable/${scope}" {
  capabilities = ["read"]
}
