import { createHmac, createSecretKey, hash, timingSafeEqual, type KeyObject } from 'node:crypto'
import { AuthenticationError, invalidToken } from '../aws-error.ts'
import type { Incoming } from '../http/incoming.ts'
import { createBoundedCache } from '../state/bounded-cache.ts'
import { homeRegion, isEnabled, isRegion } from '../state/regions.ts'
import type { Session, Sessions } from '../state/sessions.ts'
import type { Vault } from '../state/vault.ts'
import type { Account, World } from '../state/world.ts'
import type { Caller } from './caller.ts'
import { canonicalRequest, stringToSign } from './canonical.ts'
import type { Claim } from './credential.ts'

/** Checks a signature against the request and says who made it. */
export interface Authenticator {
  /** @throws AuthenticationError with AWS's words for what is wrong. */
  authenticate (request: Incoming, claim: Claim, times: Times): Caller
}

/**
 * The emulator's time, and the machine's. They differ once the clock was moved; clients keep
 * signing with their own, so a header signature may be fresh by either. A presigned request
 * lives by the emulator's time alone.
 */
export interface Times {
  readonly nowMs: number
  readonly wallMs: number
}

/** Services without regions: they see the world from where IAM is written. */
const homeServices: ReadonlySet<string> = new Set(['iam', 'route53'])

/**
 * The region that a request acts in. AWS takes IAM and Route 53 signed for us-east-1 only, but
 * clients that are given an endpoint sign for their own region, so any is accepted here.
 */
export function regionOf ({ service, region }: Pick<Claim, 'service' | 'region'>): string {
  return homeServices.has(service) ? homeRegion : region
}

const skewMsMax = 15 * 60_000
const signingKeysMax = 5000

export function createAuthenticator (
  { world, sessions, vault }: { world: World, sessions: Sessions, vault: Vault }
): Authenticator {
  const signingKeys = createBoundedCache<KeyObject>(signingKeysMax)

  const signingKey = (secret: string, { accessKeyId, scopeDay, region, service }: Claim): KeyObject => {
    const name = `${accessKeyId}/${scopeDay}/${region}/${service}/${secret}`
    const known = signingKeys.get(name)
    if (known !== undefined) return known
    const made = createSecretKey([scopeDay, region, service, 'aws4_request'].reduce(
      (key, part) => createHmac('sha256', key).update(part).digest(), Buffer.from(`AWS4${secret}`)))
    signingKeys.put(name, made)
    return made
  }

  const matches = (request: Incoming, claim: Claim, secret: string): boolean => {
    const expected = createHmac('sha256', signingKey(secret, claim))
      .update(stringToSign(canonicalRequest(request, claim), claim)).digest()
    const given = Buffer.from(/^[0-9a-f]{64}$/.test(claim.signature) ? claim.signature : '', 'hex')
    return given.length === expected.length && timingSafeEqual(given, expected)
  }

  return {
    authenticate (request, claim, times) {
      checkScope(claim)
      checkSignedHeaders(request, claim)
      const { caller, secret } = identify(claim, world, sessions, vault)
      checkInstant(claim, times)
      if (!matches(request, claim, secret) || !isDeclaredPayload(request)) {
        throw new AuthenticationError('mismatch', 'The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.')
      }
      if (caller.session !== null && caller.session.expiresAtMs <= times.nowMs) {
        throw new AuthenticationError('expired', 'The security token included in the request is expired')
      }
      return caller
    }
  }
}

function isDeclaredPayload ({ headers, body }: Incoming): boolean {
  const declared = headers.get('x-amz-content-sha256')
  return declared === undefined || declared === 'UNSIGNED-PAYLOAD' || declared === hash('sha256', body)
}

function checkScope ({ terminator, region, scopeDay, timestamp }: Claim): void {
  if (terminator !== 'aws4_request') {
    throw new AuthenticationError('scope', `Credential should be scoped with a valid terminator: 'aws4_request', not '${terminator}'.`)
  }
  if (!isRegion(region)) {
    throw new AuthenticationError('scope', `Credential should be scoped to a valid region, not '${region}'. `)
  }
  const day = timestamp.slice(0, 8)
  if (scopeDay !== day) {
    throw new AuthenticationError('scope', `Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '${scopeDay}' != '${day}', from '${timestamp}'.`)
  }
}

/** Host and the instant must be signed, and so must every x-amz- header that came. */
function checkSignedHeaders ({ headers }: Incoming, { signedHeaders, form }: Claim): void {
  const signed = new Set(signedHeaders)
  if (!signed.has('host')) {
    throw new AuthenticationError('scope', '\'Host\' or \':authority\' must be a \'SignedHeader\' in the AWS Authorization.')
  }
  if (form === 'header' && !headers.has('x-amz-date') && !signed.has('date')) {
    throw new AuthenticationError('scope', '\'Date\' must be a \'SignedHeader\' in the AWS Authorization.')
  }
  for (const name of headers.keys()) {
    if (name.startsWith('x-amz-') && !signed.has(name)) {
      throw new AuthenticationError('scope', `There were headers present in the request which were not signed: ${name}`)
    }
  }
  const absent = signedHeaders.find((name) => !headers.has(name))
  if (absent !== undefined) {
    throw new AuthenticationError('mismatch', `Signed header '${absent.slice(0, 64)}' is not in the request.`)
  }
}

function checkInstant ({ timestamp, expiresSeconds }: Claim, { nowMs, wallMs }: Times): void {
  const signedAtMs = Date.parse(timestamp.replace(
    /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, '$1-$2-$3T$4:$5:$6Z'))
  if (expiresSeconds === null && Math.abs(wallMs - signedAtMs) <= skewMsMax) return
  const validMs = expiresSeconds === null ? skewMsMax : expiresSeconds * 1000
  const bound = expiresSeconds === null ? '15 min.' : `${expiresSeconds} s.`
  if (!(nowMs - signedAtMs <= validMs)) {
    throw new AuthenticationError('skew', `Signature expired: ${timestamp} is now earlier than ${compact(nowMs - validMs)} (${compact(nowMs)} - ${bound})`)
  }
  if (signedAtMs - nowMs > skewMsMax) {
    throw new AuthenticationError('skew', `Signature not yet current: ${timestamp} is still later than ${compact(nowMs + skewMsMax)} (${compact(nowMs)} + 15 min.)`)
  }
}

function compact (ms: number): string {
  return new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, '')
}

interface Identified {
  readonly caller: Caller
  readonly secret: string
}

function identify (claim: Claim, world: World, sessions: Sessions, vault: Vault): Identified {
  const { accessKeyId, sessionToken } = claim
  const region = regionOf(claim)
  if (sessionToken !== null) {
    const session = sessions.open(sessionToken)
    const account = session === null ? null : world.account(session.accountId)
    if (session?.accessKeyId !== accessKeyId || account === null) throw invalidToken('token')
    if (!isEnabled(region, account.optedInRegions)) throw invalidToken('token')
    return { caller: callerOfSession(session, account, region), secret: vault.secretAccessKey(accessKeyId) }
  }
  const owner = world.findKeyOwner(accessKeyId)
  if (owner === null || !isEnabled(region, owner.account.optedInRegions)) throw invalidToken('unknown-key')
  const { account, userName } = owner
  const user = userName === null ? null : account.users.findFrom(region, userName)
  const keys = userName === null ? account.rootKeys : user?.accessKeys ?? []
  const key = keys.find(({ id }) => id === accessKeyId)
  if (key?.active !== true) throw invalidToken('unknown-key')
  const caller: Caller = user === null
    ? { ...rootFields(account), accessKeyId, session: null }
    : { kind: 'user', account, arn: user.arn, userId: user.id, accessKeyId, user, role: null, session: null }
  return { caller, secret: key.secret }
}

function rootFields (account: Account) {
  return {
    kind: 'root' as const, account, arn: `arn:aws:iam::${account.id}:root`, userId: account.id, user: null, role: null
  }
}

function callerOfSession (session: Session, account: Account, region: string): Caller {
  const { accessKeyId, holderName, holderId, name } = session
  if (session.kind === 'root') return { ...rootFields(account), accessKeyId, session }
  if (session.kind === 'role') {
    const role = account.roles.findFrom(region, holderName)
    if (role?.id !== holderId) throw invalidToken('token')
    const arn = `arn:aws:sts::${account.id}:assumed-role/${role.name}/${name}`
    return { kind: 'role-session', account, arn, userId: `${role.id}:${name}`, accessKeyId, user: null, role, session }
  }
  if (session.kind === 'federated') {
    const user = holderName === '' ? null : account.users.findFrom(region, holderName)
    if (holderName !== '' && user?.id !== holderId) throw invalidToken('token')
    const arn = `arn:aws:sts::${account.id}:federated-user/${name}`
    return { kind: 'federated-user', account, arn, userId: `${account.id}:${name}`, accessKeyId, user, role: null, session }
  }
  const user = account.users.findFrom(region, holderName)
  if (user?.id !== holderId) throw invalidToken('token')
  return { kind: 'user', account, arn: user.arn, userId: user.id, accessKeyId, user, role: null, session }
}
