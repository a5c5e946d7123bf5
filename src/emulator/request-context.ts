import type { RequestContext } from './authorization/evaluate.ts'
import type { Call } from './call.ts'
import type { Caller } from './signature/caller.ts'
import type { Tags } from './state/records.ts'

/** Condition keys beyond the global ones; an empty list means absent. */
export type ExtraKeys = Readonly<Record<string, readonly string[]>>

const principalTypes = {
  root: 'Account', user: 'User', 'role-session': 'AssumedRole', 'federated-user': 'FederatedUser'
} as const

/**
 * The condition keys of a request ("AWS global condition context keys", IAM User Guide), names
 * in lower case. Requests here have no TLS, yet aws:SecureTransport is true: the emulator
 * stands where TLS would be.
 */
export function requestContext (call: Call, resource: string, extra: ExtraKeys = {}): RequestContext {
  const { caller, nowMs } = call
  const context = environmentKeys(call, nowMs)
  const { account, session } = caller
  context.set('aws:userid', [caller.userId])
  context.set('aws:principalarn', [caller.role?.arn ?? caller.arn])
  context.set('aws:principalaccount', [account.id])
  context.set('aws:principaltype', [principalTypes[caller.kind]])
  if (caller.kind === 'user' && caller.user !== null) context.set('aws:username', [caller.user.name])
  if (account.organizationId !== null) context.set('aws:principalorgid', [account.organizationId])
  for (const [key, value] of principalTags(caller)) context.set(`aws:principaltag/${key}`, [value])
  if (session !== null) {
    context.set('aws:tokenissuetime', [new Date(session.issuedAtMs).toISOString()])
    context.set('aws:multifactorauthpresent', [String(session.mfaAtMs !== null)])
    if (session.mfaAtMs !== null) {
      context.set('aws:multifactorauthage', [String(Math.floor((nowMs - session.mfaAtMs) / 1000))])
    }
    if (session.sourceIdentity !== null) context.set('aws:sourceidentity', [session.sourceIdentity])
    if (session.federatedProvider !== null) context.set('aws:federatedprovider', [session.federatedProvider])
  }
  const resourceAccount = resource.split(':')[4] ?? ''
  if (resourceAccount !== '') context.set('aws:resourceaccount', [resourceAccount])
  addKeys(context, extra)
  return context
}

/** The keys of a request that nobody signed: AssumeRoleWithWebIdentity. */
export function unsignedContext (call: Omit<Call, 'caller'>, extra: ExtraKeys): RequestContext {
  const context = environmentKeys(call, call.nowMs)
  addKeys(context, extra)
  return context
}

/** Tags of a principal, keys in lower case: a session's win over its role's. */
export function principalTags ({ role, user, session }: Caller): ReadonlyMap<string, string> {
  const tags = new Map<string, string>()
  for (const [key, value] of role?.tags ?? user?.tags ?? []) tags.set(key.toLowerCase(), value)
  for (const [key, value] of session?.tags ?? []) tags.set(key.toLowerCase(), value)
  return tags
}

/** `aws:ResourceTag/…` and the service's own form of it. */
export function resourceTagKeys (service: string, tags: Tags): ExtraKeys {
  const keys: Record<string, readonly string[]> = {}
  for (const [key, value] of tags) {
    keys[`aws:resourcetag/${key.toLowerCase()}`] = [value]
    keys[`${service}:resourcetag/${key.toLowerCase()}`] = [value]
  }
  return keys
}

/** `aws:RequestTag/…` and `aws:TagKeys` of the tags that a request brings. */
export function requestTagKeys (tags: readonly (readonly [string, string])[]): ExtraKeys {
  const keys: Record<string, readonly string[]> = {}
  for (const [key, value] of tags) keys[`aws:requesttag/${key.toLowerCase()}`] = [value]
  if (tags.length > 0) keys['aws:tagkeys'] = tags.map(([key]) => key)
  return keys
}

function environmentKeys (
  { region, sourceIp, userAgent }: Omit<Call, 'caller'>, nowMs: number
): Map<string, readonly string[]> {
  return new Map<string, readonly string[]>([
    ['aws:currenttime', [new Date(nowMs).toISOString()]],
    ['aws:epochtime', [String(Math.floor(nowMs / 1000))]],
    ['aws:requestedregion', [region]],
    ['aws:sourceip', [sourceIp]],
    ['aws:useragent', [userAgent]],
    ['aws:securetransport', ['true']],
    ['aws:viaawsservice', ['false']],
    ['aws:principalisawsservice', ['false']]
  ])
}

function addKeys (context: Map<string, readonly string[]>, extra: ExtraKeys): void {
  for (const name in extra) {
    const values = extra[name]
    if (values !== undefined && values.length > 0) context.set(name.toLowerCase(), values)
  }
}
