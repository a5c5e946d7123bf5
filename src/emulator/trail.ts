import type { AwsError } from './aws-error.ts'
import type { TrailNotes, UnsignedCall } from './call.ts'
import type { Params } from './http/params.ts'
import type { Caller } from './signature/caller.ts'
import type { RandomSource } from './state/random.ts'

/** An event with the fields of CloudTrail's record contents, version 1.08. */
export type TrailEvent = Readonly<Record<string, unknown>> & {
  readonly eventID: string
  readonly eventName: string
  readonly eventSource: string
  readonly eventTime: string
  readonly recipientAccountId: string
  readonly requestParameters: Readonly<Record<string, unknown>> | null
  readonly responseElements: Readonly<Record<string, unknown>> | null
  readonly errorCode?: string
}

/** What to find; every given field must agree. */
export interface TrailFilter {
  readonly eventName?: string
  readonly accountId?: string
  readonly roleArn?: string
  readonly sessionName?: string
  /** Only events from this sequence number on. */
  readonly from?: number
}

/** What happened, as the server saw it. */
export interface TrailEntry {
  readonly call: UnsignedCall
  readonly caller: Caller | null
  readonly eventSource: string
  readonly error: AwsError | null
  readonly notes: TrailNotes
}

export interface Trail {
  record (entry: TrailEntry): void
  /** Events that are still kept, oldest first. */
  events (filter?: TrailFilter): readonly TrailEvent[]
  /** How many were ever recorded; the sequence number of the next. */
  count (): number
  clear (): void
}

interface Kept {
  readonly entry: TrailEntry
  readonly eventId: string
  readonly sharedId: string | null
  readonly recipientAccountId: string
  readonly isShared: boolean
}

/** A trail in memory that keeps the last `max` events. They take their shape when they are read. */
export function createTrail ({ random, max }: { random: RandomSource, max: number }): Trail {
  let kept: Kept[] = []
  let count = 0

  const keep = (event: Kept): void => {
    kept.push(event)
    count++
    if (kept.length >= 2 * max) kept = kept.slice(-max)
  }

  return {
    record (entry) {
      const shared = entry.error === null ? entry.notes.sharedWithAccountId ?? null : null
      const sharedId = shared === null ? null : random.uuid()
      const own = entry.caller?.account.id ?? shared ?? ''
      keep({ entry, eventId: random.uuid(), sharedId, recipientAccountId: own, isShared: false })
      if (shared !== null && entry.caller !== null) {
        keep({ entry, eventId: random.uuid(), sharedId, recipientAccountId: shared, isShared: true })
      }
    },
    events (filter = {}) {
      const last = kept.slice(-max)
      const first = count - last.length
      return last
        .filter((event, index) => first + index >= (filter.from ?? 0) && agrees(event, filter))
        .map(render)
    },
    count: () => count,
    clear () { kept = [] }
  }
}

function agrees ({ entry, recipientAccountId }: Kept, filter: TrailFilter): boolean {
  const { action, params } = entry.call
  return (filter.eventName === undefined || filter.eventName === action) &&
    (filter.accountId === undefined || filter.accountId === recipientAccountId) &&
    (filter.roleArn === undefined || filter.roleArn === params.get('RoleArn')) &&
    (filter.sessionName === undefined || filter.sessionName === params.get('RoleSessionName'))
}

function render ({ entry, eventId, sharedId, recipientAccountId, isShared }: Kept): TrailEvent {
  const { call, caller, error, notes, eventSource } = entry
  return {
    eventVersion: '1.08',
    userIdentity: isShared ? foreignIdentity(caller) : identityOf(caller),
    eventTime: `${new Date(call.nowMs).toISOString().slice(0, 19)}Z`,
    eventSource,
    eventName: call.action,
    awsRegion: call.region,
    sourceIPAddress: call.sourceIp,
    userAgent: call.userAgent,
    ...error === null ? {} : { errorCode: error.code, errorMessage: error.message },
    requestParameters: { ...nested(call.params), ...notes.requestParameters },
    responseElements: error === null ? notes.responseElements ?? null : null,
    requestID: call.requestId,
    eventID: eventId,
    readOnly: /^(?:Get|List|Describe|Assume|Decode)/.test(call.action),
    eventType: 'AwsApiCall',
    managementEvent: true,
    eventCategory: 'Management',
    recipientAccountId,
    ...sharedId === null ? {} : { sharedEventID: sharedId }
  }
}

function identityOf (caller: Caller | null): Readonly<Record<string, unknown>> {
  if (caller === null) return { type: 'WebIdentityUser' }
  const { kind, account, arn, userId, accessKeyId, user, role, session } = caller
  const common = { principalId: userId, arn, accountId: account.id, accessKeyId }
  const attributes = session === null ? {} : {
    creationDate: `${new Date(session.issuedAtMs).toISOString().slice(0, 19)}Z`,
    mfaAuthenticated: String(session.mfaAtMs !== null)
  }
  if (kind === 'root') return { type: 'Root', ...common, ...session === null ? {} : { sessionContext: { attributes } } }
  if (kind === 'user') {
    return { type: 'IAMUser', ...common, userName: user?.name, ...session === null ? {} : { sessionContext: { attributes } } }
  }
  const issuer = kind === 'role-session' ? role : user
  return {
    type: kind === 'role-session' ? 'AssumedRole' : 'FederatedUser',
    ...common,
    sessionContext: {
      sessionIssuer: {
        type: kind === 'role-session' ? 'Role' : 'IAMUser',
        principalId: issuer?.id ?? account.id,
        arn: issuer?.arn ?? `arn:aws:iam::${account.id}:root`,
        accountId: account.id,
        userName: issuer?.name
      },
      attributes,
      ...session === null || session.sourceIdentity === null ? {} : { sourceIdentity: session.sourceIdentity }
    }
  }
}

/** How another account sees who called. */
function foreignIdentity (caller: Caller | null): Readonly<Record<string, unknown>> {
  return { type: 'AWSAccount', principalId: caller?.userId, accountId: caller?.account.id }
}

const secretNames: ReadonlySet<string> = new Set(['WebIdentityToken', 'TokenCode', 'EncodedMessage', 'UserData'])

type Branch = Map<string, Branch | string>

/** `Tags.member.1.Key=a` as `{ tags: [{ key: 'a' }] }`. Secrets are left out. */
function nested (params: Params): Readonly<Record<string, unknown>> {
  const root: Branch = new Map()
  for (const [name, value] of params) {
    if (name === 'Action' || name === 'Version' || secretNames.has(name)) continue
    const parts = name.split('.').filter((part) => part !== 'member')
    let branch = root
    for (const part of parts.slice(0, -1)) {
      const known = branch.get(part)
      const next: Branch = known instanceof Map ? known : new Map()
      branch.set(part, next)
      branch = next
    }
    branch.set(parts.at(-1) ?? '', value)
  }
  return Object.fromEntries(membersOf(root))
}

function membersOf (branch: Branch): [string, unknown][] {
  return [...branch].map(([name, value]) =>
    [name.charAt(0).toLowerCase() + name.slice(1), value instanceof Map ? settled(value) : shown(name, value)])
}

/** A branch whose names are all numbers is a list. */
function settled (branch: Branch): unknown {
  const isList = branch.keys().every((name) => /^\d+$/.test(name))
  return isList ? membersOf(branch).map(([, value]) => value) : Object.fromEntries(membersOf(branch))
}

function shown (name: string, value: string): string | number {
  return name === 'DurationSeconds' && /^\d{1,9}$/.test(value) ? Number(value) : value
}
