import { readFileSync } from 'node:fs'
import { isJsonObject } from '../core/json.ts'
import type { Invocation } from './args.ts'
import { Failure } from './failure.ts'
import type { Parts } from './parts.ts'
import { parsePath } from './paths.ts'
import type { Broker } from './session.ts'

/** AWS credentials with the end of their life, by both clocks of this machine. */
export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly sessionToken: string
  readonly leaseId: string
  /** From the moment they were asked for, so a little less than they have. */
  readonly lifeMs: number
  readonly end: End
}

/** An instant by the clock on the wall, and by the one that is never set. */
export interface End {
  readonly wallMs: number
  readonly steadyMs: number
  /** Of the start of the machine that `steadyMs` counts from; empty where it is not known. */
  readonly bootId: string
}

/** What is asked for. */
export interface Wanted {
  /** The mount's own path. */
  readonly mount: string
  readonly role: string
  readonly ttl: string | null
  readonly roleArn: string | null
  readonly sessionName: string | null
}

/** @throws Failure `usage` where role or mount is none. */
export function readWanted (invocation: Invocation, role: string): Wanted {
  const [name = '', ...more] = parsePath(role)
  if (more.length > 0) throw new Failure('usage', 'a role is named without its mount: see --mount')
  return {
    mount: parsePath(invocation.text('mount') ?? 'aws').join('/'),
    role: name,
    ttl: invocation.text('ttl'),
    roleArn: invocation.text('role-arn'),
    sessionName: invocation.text('session-name')
  }
}

/** Identifies this start of the machine (random(4), /proc/sys/kernel/random/boot_id). */
const bootId = readBootId()

function readBootId (): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/** The instant that is so far from now. */
export function endIn (ms: number, { now, steady }: Pick<Parts, 'now' | 'steady'>): End {
  return { wallMs: now() + ms, steadyMs: steady() + ms, bootId }
}

/** The longest life of any session of AWS (GetFederationToken). */
const lifeSecondsMax = 36 * 3600

/** Whether it is one word, as AWS's values are: in a file a line's end would begin another setting (SEC-333). */
function isValue (value: unknown): value is string {
  return typeof value === 'string' && /^[\x21-\x7e]{1,16384}$/.test(value)
}

/** What fetching needs. */
type Fetching = Pick<Parts, 'now' | 'steady' | 'screen'>

/** Asks for credentials, once: each answer is another session, with a lease of its own. */
export async function fetchCredentials (
  { client, names }: Broker, token: string, wanted: Wanted, parts: Fetching
): Promise<Credentials> {
  const { mount, role, ttl, roleArn, sessionName } = wanted
  return names.at(mount, token, async (name) => {
    const asked = endIn(0, parts)
    const { body } = await client.ask({
      method: 'GET',
      what: `${mount}/creds/${role}`,
      path: [...name, 'creds', role],
      query: { ttl, role_arn: roleArn, role_session_name: sessionName },
      token,
      repeat: 'unsent'
    })
    const data = body?.['data']
    const fields = isJsonObject(data) ? data : {}
    const { access_key: accessKeyId, secret_key: secretAccessKey, security_token: sessionToken } = fields
    const { lease_id: leaseId, lease_duration: seconds } = body ?? {}
    if (!isValue(accessKeyId) || !isValue(secretAccessKey) || !isValue(sessionToken) ||
      typeof leaseId !== 'string' || typeof seconds !== 'number' || !(seconds > 0 && seconds <= lifeSecondsMax)) {
      throw new Failure('failed', `${mount}/creds/${role}: the answer holds no credentials of a session`)
    }
    parts.screen.hide(secretAccessKey)
    parts.screen.hide(sessionToken)
    const lifeMs = seconds * 1000
    const end = { ...asked, wallMs: asked.wallMs + lifeMs, steadyMs: asked.steadyMs + lifeMs }
    return { accessKeyId, secretAccessKey, sessionToken, leaseId, lifeMs, end }
  })
}

/**
 * How long something still lives, by the clock that says less: the one on the wall may have been set
 * back, and the other does not know of a sleep that it did not see (SEC-345).
 */
export function remainingMs (end: End, parts: Pick<Parts, 'now' | 'steady'>): number {
  const byWall = end.wallMs - parts.now()
  return end.bootId !== '' && end.bootId === bootId ? Math.min(byWall, end.steadyMs - parts.steady()) : byWall
}

/** The end as AWS's clients read it, by the present clock on the wall: RFC 3339, UTC, whole seconds. */
export function expirationText (end: End, parts: Pick<Parts, 'now' | 'steady'>): string {
  return new Date(parts.now() + remainingMs(end, parts)).toISOString().replace(/\.\d+Z$/, 'Z')
}

/** Ends the lease of credentials that nobody shall use. The session itself dies at its own time. */
export async function revokeLease (
  { client }: Pick<Broker, 'client'>, token: string, leaseId: string, signal?: AbortSignal
): Promise<void> {
  await client.ask({
    method: 'PUT',
    what: 'sys/leases/revoke',
    path: ['sys', 'leases', 'revoke'],
    body: JSON.stringify({ lease_id: leaseId }),
    token,
    repeat: 'safe',
    ...(signal !== undefined && { signal })
  })
}
