import { readFileSync } from 'node:fs'
import path from 'node:path'

/** What both policy-admin configurations ask for, as their requests say it. */
export const scope = 'ec2-only'
/** What the names of the operators' mount begin with. */
export const prefix = 'secret1'
export const roles = ['manager', 'operator'] as const

/** Descriptions of the mounts, by path. */
export const mounts: Readonly<Record<string, string>> = {
  [scope]: `Secrets of the operators of ${scope}`,
  'admin-secrets': 'Secrets of administrators',
  'secret-paths': 'Present names of mounts, kept by the broker'
}

export const rotationPath = `sys/latchkey/rotation/${scope}`
export const rotation = {
  prefix, schedule: '0 3 * * *', grace_period: 600, stable_path: 'capability', on_tripwire: 'log'
}
export const secretPathsPath = 'sys/latchkey/secret-paths'
export const secretPaths = { mount: 'secret-paths' }
export const adminSecretPath = `admin-secrets/data/${scope}`
export const secretIdTtlSeconds = 3600

export const policyPath = (role: string) => `sys/policies/acl/${scope}-${role}`
export const rolePath = (role: string) => `auth/approle/role/${scope}-${role}`

/** A role's policy, which names its own paths and no other. */
export function policyOf (role: string): string {
  const text = readFileSync(path.join(import.meta.dirname, `../policies/${role}.hcl`), 'utf8')
  return text.replaceAll('${scope}', scope)
}

export const roleSettings = (role: string) => ({
  token_policies: [`${scope}-${role}`], token_ttl: 600, token_max_ttl: 1800, secret_id_ttl: secretIdTtlSeconds
})
