import type { Json } from './json.ts'

/** A backend made reachable. Storage, leases and audit hold to `accessor`, people and policies to `path`. */
export interface Mount {
  /** Never changes and is never used twice. Keys storage, leases and audit. */
  readonly accessor: string
  readonly uuid: string
  /** As an operator chose it, without slashes at its ends: `aws`, `team/aws`; an auth method's without `auth/`. */
  readonly path: string
  readonly table: 'secret' | 'auth'
  readonly type: string
  readonly description: string
  readonly options: Readonly<Record<string, string>> | null
  readonly config: MountConfig
  readonly local: boolean
  readonly sealWrap: boolean
  /** `disabling` and `moving`: refuses requests while its leases, and its data if it goes, are removed. */
  readonly state: 'live' | 'disabling' | 'moving'
  /** The path that a moving mount will have, which nobody else can take. */
  readonly target?: string
  /** null: callers use `path` itself. Else they use the name derived for the present slot. */
  readonly rotation: Rotation | null
  /** The id of the scope that it was made for and goes with; absent: it stands for itself. */
  readonly scope?: string
}

/** Settings that `tune` changes. TTLs in seconds; 0 inherits the system's. */
export interface MountConfig {
  readonly ttlSecondsDefault: number
  readonly ttlSecondsMax: number
  readonly forceNoCache: boolean
  readonly listingVisibility: '' | 'hidden' | 'unauth'
  readonly auditNonHmacRequestKeys: readonly string[] | null
  readonly auditNonHmacResponseKeys: readonly string[] | null
  readonly passthroughRequestHeaders: readonly string[] | null
  readonly allowedResponseHeaders: readonly string[] | null
  /** Auth mounts only. */
  readonly tokenType: string | null
  readonly userLockout: Json
}

/**
 * How a mount's name changes. The name in a slot is derived from the mount's accessor and the slot,
 * so the record holds the counter and no name. Times are epoch ms of the store.
 */
export interface Rotation extends RotationSettings {
  /** false: was turned off. The record stays, so that no slot comes twice. */
  readonly enabled: boolean
  /** A counter that never goes back. */
  readonly slot: number
  /** The keyring's term whose key names the present slot. */
  readonly term: number
  /** Since when the present name is served. */
  readonly startedAtMs: number
  /** The last instant of the schedule that was acted upon, or passed over by a new schedule. */
  readonly scheduledAtMs: number
  /** Former names, newest first: all that are in grace, and the last of those that are not. */
  readonly past: readonly PastName[]
}

/** A former name of a mount. */
export interface PastName {
  readonly slot: number
  readonly term: number
  readonly prefix: string
  readonly replacedAtMs: number
  /** When its grace ends; null: it has ended for good, whatever a clock says later. */
  readonly endsAtMs: number | null
}

/** What an operator chooses of a rotation. */
export interface RotationSettings {
  /** What names begin with. */
  readonly prefix: string
  /** When, in the syntax of node-cron, in UTC; null: by hand only. */
  readonly cron: string | null
  readonly graceSeconds: number
  /** A firing comes later by less than this, by an amount that only the broker knows. */
  readonly jitterSeconds: number
  /** Whether the mount's own path answers; `capability`: to tokens that may read `sys/latchkey/stable/<path>`. */
  readonly stablePath: 'always' | 'capability' | 'never'
  /** What becomes of who uses a retired name; each includes those before it. An event is published in any case. */
  readonly reaction: 'log' | 'webhook' | 'revoke-token' | 'revoke-secret-id'
}

/** The path prefix under which requests reach a mount, with its slash: `aws/`, `auth/approle/`. */
export function requestPrefix (mount: Pick<Mount, 'table' | 'path'>): string {
  return `${ownPath(mount)}/`
}

/** The own path under which requests reach a mount, whatever names it has: `aws`, `auth/approle`. */
export function ownPath ({ table, path }: Pick<Mount, 'table' | 'path'>): string {
  return table === 'auth' ? `auth/${path}` : path
}

/**
 * A token's state of record. The token itself is stored nowhere; its name (`jti`) leads to the
 * accessor by an HMAC, and the accessor to the record. Times are epoch ms; null means never.
 */
export interface Token {
  /** Names the token in audit and revocation without being able to use it. Two characters of shard, 22 more. */
  readonly accessor: string
  /** Accessors of its ancestors, root first. A token lives only while all of them do. */
  readonly lineage: readonly string[]
  /** `kept`: was revoked with its children kept; counts as present for them and gives no right. */
  readonly kind: 'service' | 'wrapping' | 'kept'
  /** The path of the request that made it: `auth/approle/login`. */
  readonly path: string
  readonly mountAccessor: string
  readonly displayName: string
  readonly policies: readonly string[]
  readonly metadata: Readonly<Record<string, string>> | null
  readonly issuedAtMs: number
  readonly expiresAtMs: number | null
  /** Hard end, which no renewal passes; null for periodic tokens and those that never expire. */
  readonly endsAtMs: number | null
  readonly creationTtlSeconds: number
  /** 0: none. */
  readonly explicitMaxTtlSeconds: number
  /** 0: not periodic. */
  readonly periodSeconds: number
  readonly renewable: boolean
  readonly lastRenewalMs: number | null
  /** 0: unlimited. */
  readonly usesMax: number
  readonly boundCidrs: readonly string[]
  readonly orphan: boolean
  /** The token role it was made by. */
  readonly role: string | null
  /** What its auth method needs to judge a renewal. */
  readonly renewal: Json
}

/** The part of a token that backends may see. */
export interface Caller {
  readonly accessor: string
  readonly displayName: string
  readonly metadata: Readonly<Record<string, string>> | null
}

/** Where a lease stands. `pending` is written before the credential exists, `orphan` when its fate is not known. */
export type LeaseState = 'pending' | 'active' | 'orphan' | 'revoking' | 'irrevocable'

/** A credential's life of record. Times are epoch ms. */
export interface Lease {
  /** 24 characters: two of the shard, 22 random. Its wire id is `<path>/<id>`. */
  readonly id: string
  /** The request path that made it, with the mount's stable path: `aws/sts/deploy`. */
  readonly path: string
  readonly mountAccessor: string
  readonly tokenAccessor: string
  readonly tokenLineage: readonly string[]
  readonly state: LeaseState
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** Hard end; renewal approaches it and never moves it. */
  readonly endsAtMs: number
  readonly renewable: boolean
  readonly lastRenewalMs: number | null
  /** Failed revocations so far; sets the back-off, and after the sixth the lease is `irrevocable`. */
  readonly attempts: number
  readonly reason: string | null
  /** What the engine's `revoke` needs, and what an operator is shown of the session. Never a secret. */
  readonly revocation: Json
}
