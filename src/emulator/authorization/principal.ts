import { findObject, findStrings } from './grammar.ts'
import { PolicyError } from './policy-error.ts'

/** One entry of Principal. AWS: an account's root ARN, a user's or role's unique id or ARN, a session. */
export interface PrincipalEntry {
  readonly type: 'AWS' | 'Federated' | 'Service'
  readonly value: string
}

const arn = /^arn:[a-z0-9-]+:(?:iam::\d{12}:(?:root|(?:user|role)\/[^*?]+)|sts::\d{12}:(?:assumed-role\/[^*?/]+\/[^*?/]+|federated-user\/[^*?/]+))$/
const uniqueId = /^A(?:IDA|ROA)[A-Z0-9]{16,124}$/
const provider = /^arn:[a-z0-9-]+:iam::\d{12}:(?:oidc|saml)-provider\/[^*?]+$/
const builtInProviders = new Set([
  'cognito-identity.amazonaws.com', 'www.amazon.com', 'graph.facebook.com', 'accounts.google.com'
])
const service = /^[a-z0-9][a-z0-9.-]*\.amazonaws\.com(?:\.cn)?$/

const accepts: Readonly<Record<PrincipalEntry['type'], (value: string) => boolean>> = {
  AWS: (value) => value === '*' || /^\d{12}$/.test(value) || arn.test(value) || uniqueId.test(value),
  Federated: (value) => provider.test(value) || builtInProviders.has(value),
  Service: (value) => service.test(value)
}

/** Whether a stored principal is the id of a user or role, which outlives its name. */
export function isUniqueId (value: string): boolean {
  return uniqueId.test(value)
}

/** AWS's refusal of a principal that is malformed or does not exist. */
export function invalidPrincipal (type: PrincipalEntry['type'], value: string): PolicyError {
  return new PolicyError(`Invalid principal in policy: "${type.toUpperCase()}":"${value}"`)
}

/** Reads the Principal element of a trust policy. */
export function parsePrincipal (written: unknown): readonly PrincipalEntry[] {
  if (written === undefined) throw new PolicyError('Missing required field Principal')
  if (written === '*') return [{ type: 'AWS', value: '*' }]
  const byType = findObject(written)
  if (byType === null) throw new PolicyError('Principal must be a JSON object.')
  const entries = Object.entries(byType).flatMap(([type, value]) => parseEntries(type, value))
  if (entries.length === 0) {
    throw new PolicyError('Missing required field Principal cannot be empty!')
  }
  return entries
}

function parseEntries (type: string, written: unknown): readonly PrincipalEntry[] {
  if (type !== 'AWS' && type !== 'Federated' && type !== 'Service') {
    throw new PolicyError(`Invalid principal in policy: "${type}"`)
  }
  const values = findStrings(written)
  if (values === null) throw new PolicyError('Syntax errors in policy.')
  return values.map((value) => {
    if (!accepts[type](value)) throw invalidPrincipal(type, value)
    return { type, value }
  })
}
