import { conditionsHold } from './conditions.ts'
import type { RequestContext } from './context.ts'
import type { PolicyDocument } from './document.ts'
import type { ResourceGrant } from './evaluate.ts'
import { findObject } from './grammar.ts'
import { invalidPrincipal, isUniqueId, type PrincipalEntry } from './principal.ts'

/** Who calls, as a trust policy sees it. */
export interface PrincipalView {
  readonly kind: 'user' | 'role-session' | 'root' | 'federated-user' | 'web-identity' | 'service'
  /** Empty for web identities and services, which live in no account. */
  readonly accountId: string
  /** The user's, session's or root's ARN; a service's name (`ec2.amazonaws.com`). */
  readonly arn: string
  /** role-session: the role, with its path. */
  readonly roleArn?: string
  /** user: AIDA…; role-session: the role's AROA…, without the session's name. */
  readonly uniqueId?: string
  /** web-identity: the provider's ARN, or the host of one that is built in. */
  readonly providerArn?: string
}

/** One question to a trust policy. */
export interface TrustRequest {
  readonly action: string
  readonly document: PolicyDocument
  readonly principal: PrincipalView
  readonly context: RequestContext
}

type Naming = NonNullable<ResourceGrant['names']>

const closestFirst: readonly Naming[] = [
  'session', 'user', 'provider', 'everyone', 'role', 'account'
]

/** The trust policy's verdict and how it names the caller: what `decide` takes as resourcePolicy. */
export function judgeTrust ({ action, document, principal, context }: TrustRequest): ResourceGrant {
  const namings = new Set<Naming>()
  for (const statement of document.statements) {
    const named = statement.principals.flatMap((entry) => naming(entry, principal) ?? [])
    const applies = named.length > 0 && statement.coversAction(action) &&
      conditionsHold(statement.conditions, context)
    if (!applies) continue
    if (statement.effect === 'Deny') return { effect: 'deny', names: null }
    for (const name of named) namings.add(name)
  }
  const names = closestFirst.find((name) => namings.has(name)) ?? null
  return { effect: names === null ? 'none' : 'allow', names }
}

/** What a trust policy says, without what the caller's own policies must say. Deny wins. */
export function decideTrust (request: TrustRequest): 'allow' | 'deny' | 'none' {
  return judgeTrust(request).effect
}

/** Whether an Allow names the user, role, session or provider, not just its account or everyone. */
export function namesPrincipalDirectly (
  document: PolicyDocument, principal: PrincipalView
): boolean {
  return document.statements.some(({ effect, principals }) => effect === 'Allow' &&
    principals.some((entry) => {
      const name = naming(entry, principal)
      return name !== null && name !== 'account' && name !== 'everyone'
    }))
}

/** How an entry names the caller. `*` is everyone with AWS credentials (AWS: all principals). */
function naming ({ type, value }: PrincipalEntry, principal: PrincipalView): Naming | null {
  if (type === 'Service') {
    return principal.kind === 'service' && principal.arn === value ? 'provider' : null
  }
  if (type === 'Federated') {
    return principal.kind === 'web-identity' && principal.providerArn === value ? 'provider' : null
  }
  if (principal.kind === 'service' || principal.kind === 'web-identity') return null
  if (value === '*') return 'everyone'
  if (value === principal.accountId || isRootOf(value, principal.accountId)) return 'account'
  if (principal.kind === 'user') {
    return value === principal.uniqueId || value === principal.arn ? 'user' : null
  }
  if (value === principal.arn) return 'session'
  return principal.kind === 'role-session' &&
    (value === principal.uniqueId || value === principal.roleArn)
    ? 'role'
    : null
}

function isRootOf (value: string, accountId: string): boolean {
  return value.endsWith(`:iam::${accountId}:root`)
}

/**
 * The document as it is to be stored: users and roles by unique id, so that one that is deleted
 * and made again does not inherit the trust, and bare account ids as root ARNs (AWS: Principal).
 * `lookup` is asked for each user and role; null throws PolicyError `Invalid principal in policy`.
 */
export function resolvePrincipals (
  document: PolicyDocument, lookup: (arn: string) => string | null
): PolicyDocument {
  return mapAwsPrincipals(document, (value) => {
    if (/^\d{12}$/.test(value)) return `arn:aws:iam::${value}:root`
    if (value === '*' || /:sts::|:root$/.test(value)) return value
    const found = lookup(value)
    if (found === null) throw invalidPrincipal('AWS', value)
    return found
  })
}

/**
 * The document as JSON text, as AWS shows it. `lookup` turns a unique id into the ARN of the user
 * or role that has it; null leaves the bare id, which is how AWS shows one that is gone.
 */
export function renderDocument (
  document: PolicyDocument, lookup: (uniqueId: string) => string | null
): string {
  const shown = mapAwsPrincipals(document, (value) =>
    isUniqueId(value) ? lookup(value) ?? value : value)
  return JSON.stringify(shown.source)
}

function mapAwsPrincipals (
  document: PolicyDocument, map: (value: string) => string
): PolicyDocument {
  const statements = document.statements.map((statement) => ({
    ...statement,
    principals: statement.principals.map((entry) =>
      entry.type === 'AWS' ? { type: entry.type, value: map(entry.value) } : entry)
  }))
  const mapList = (written: unknown): unknown => Array.isArray(written)
    ? written.map(mapList)
    : typeof written === 'string' ? map(written) : written
  const mapStatement = (written: unknown): unknown => {
    const statement = findObject(written) ?? {}
    const principal = findObject(statement['Principal'])
    if (principal === null || principal['AWS'] === undefined) return written
    return { ...statement, Principal: { ...principal, AWS: mapList(principal['AWS']) } }
  }
  const { Statement: written } = document.source
  const mapped = Array.isArray(written) ? written.map(mapStatement) : mapStatement(written)
  return { ...document, statements, source: { ...document.source, Statement: mapped } }
}
