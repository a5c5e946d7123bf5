import type { Clock } from '../core/clock.ts'
import type { Lease, Mount } from '../core/model.ts'
import type { Entry, Store } from '../core/store.ts'
import { createLeaseFinder, viewOf, type LeaseView } from './lease-finder.ts'
import { leaseKey, openRecord, wireIdOf, type LeaseRecord } from './lease-record.ts'
import { createLeaseListing, type LeaseKeys, type ListBounds } from './listing.ts'
import { createPace } from './pace.ts'
import type { LeaseEngines, LeaseMounts, LeaseTokens } from './ports.ts'
import { createPrefixRevocation } from './prefix.ts'
import { createRenewal, type Renewed } from './renewal.ts'
import { createRevocation, nothingEnded, type Ended, type Manner } from './revocation.ts'
import { createSessions, type SessionFilter, type SessionPage } from './sessions.ts'
import { createVend, type LeaseIntent, type OpenLease } from './vend.ts'

/** Whose a lease is: what decides who may touch it. */
export interface Ownership {
  /** The path that made it. */
  readonly path: string
  /** The accessors of its token's ancestors and the token's own. For a token's lease, the token itself. */
  readonly lineage: readonly string[]
}

/** Handles due records of one kind. */
export type DueHandler = (entries: readonly Entry[], nowMs: number) => Promise<void>

/**
 * Leases: opened before a credential exists, ended when it shall not be used any more, and kept
 * as the record of a session for as long as it can be.
 */
export interface Leases {
  /** Writes the intent. @throws BrokerError `permission_denied` when the token has died. */
  open (intent: LeaseIntent): Promise<OpenLease>
  /** What a client may know of a lease, a token's too; null for what is no lease any more. */
  lookUp (leaseId: string): Promise<LeaseView | null>
  /** Whose a lease is, as long as there is a record of it; null: unknown. */
  ownership (leaseId: string): Promise<Ownership | null>
  list (prefix: string, bounds: ListBounds): Promise<LeaseKeys>
  /** @throws BrokerError `invalid_request` with the sentences of contract 5.8. */
  renew (leaseId: string, incrementSeconds: number): Promise<Renewed>
  /** Ends a lease, or the token whose lease it is; unknown ones count as ended. */
  revoke (leaseId: string): Promise<Ended>
  /** Has the sweep end a lease, durably. */
  queue (leaseId: string): Promise<void>
  /** Ends all leases below a prefix, or the one that it names in full. */
  revokePrefix (prefix: string, manner: 'revoke' | 'force'): Promise<Ended>
  /** Has the sweep end all leases below a prefix, durably. */
  queuePrefix (prefix: string): Promise<void>
  /**
   * Ends all leases of a mount, the tokens of its logins and the answers of it that were wrapped. Repeat it
   * until nothing can be under way any more.
   */
  endMount (mount: Pick<Mount, 'accessor'>): Promise<Ended>
  /** Ends the leases of a token that died, 50 at a time. */
  endOf (tokenAccessor: string): Promise<Ended>
  /** Leases that six attempts could not end, at most `limit`. */
  irrevocable (limit: number): Promise<IrrevocableLease[]>
  /** Credentials that live, or may live, whatever became of their leases. */
  sessions (filter: SessionFilter, bounds: { readonly after: string, readonly limit: number }): Promise<SessionPage>
  /** Starts a sweep. */
  tidy (): void
  /** For the sweep, by the first word of a due record's path. */
  readonly handlers: ReadonlyMap<string, DueHandler>
}

/** A lease that waits for an operator. */
export interface IrrevocableLease {
  readonly leaseId: string
  readonly mountAccessor: string
  readonly reason: string
}

export interface LeasesOptions {
  readonly store: Store
  readonly clock: Clock
  readonly engines: LeaseEngines
  readonly mounts: LeaseMounts
  readonly tokens: LeaseTokens
  /** Told of each lease once it has ended, by somebody's word or by itself. Takes no time, never throws. */
  readonly onEnded?: (lease: Lease) => void
  /** Called after something was put into the sweep's hands. */
  readonly nudge: () => void
  /** Background endings a second. SQLite does 8,000 beside load. */
  readonly ratePerSecond?: number
  /** An intent older than this is an orphan: no request takes that long. */
  readonly pendingMs?: number
  /** How far our time and the upstream's may differ. */
  readonly skewMs?: number
  /** Longer than an engine's time-out. */
  readonly holdMs?: number
}

export function createLeases (options: LeasesOptions): Leases {
  const { store, clock, mounts, tokens, nudge } = options
  const { ratePerSecond = 5000, pendingMs = 60_000, skewMs = 60_000, holdMs = 60_000 } = options
  const pace = createPace(ratePerSecond)
  const finder = createLeaseFinder({ store, tokens })
  const vend = createVend({ store, clock, mounts, pendingMs, skewMs })
  const renewal = createRenewal({ ...options, finder })
  const revocation = createRevocation({ ...options, holdMs })
  const prefixes = createPrefixRevocation({ store, clock, mounts, tokens, revocation, pace })
  const listing = createLeaseListing({ store, mounts })
  const sessions = createSessions({ store })

  /** Ends one lease by its id, or the token whose lease it is. */
  async function endOne (leaseId: string, manner: Manner): Promise<Ended> {
    const held = await finder.findRecord(leaseId)
    if (held !== null) return revocation.endKeys([leaseKey(held.record.id)], manner)
    const token = await finder.findToken(leaseId, clock.now())
    if (token !== null) await tokens.revoke(token.accessor, clock.now())
    return nothingEnded
  }

  return {
    open: vend.open,
    list: listing.list,
    renew: renewal.renew,
    tidy: nudge,
    endMount: prefixes.endMount,
    endOf: prefixes.endOf,
    async lookUp (leaseId) {
      const nowMs = clock.now()
      const found = await finder.find(leaseId, nowMs)
      if (found === null) return null
      const view = viewOf(found, nowMs)
      return view.expiresAtMs > nowMs || isUnfinished(found.kind === 'lease' ? found.held.record : null) ? view : null
    },
    async ownership (leaseId) {
      const held = await finder.findRecord(leaseId)
      if (held !== null) {
        const { path, tokenLineage, tokenAccessor } = held.record
        return { path, lineage: [...tokenLineage, tokenAccessor] }
      }
      const token = await finder.findToken(leaseId, clock.now())
      return token === null ? null : { path: token.path, lineage: [...token.lineage, token.accessor] }
    },
    revoke: (leaseId) => endOne(leaseId, 'revoke'),
    async queue (leaseId) {
      const held = await finder.findRecord(leaseId)
      if (held === null) {
        await endOne(leaseId, 'revoke')
        return
      }
      await revocation.queue(leaseKey(held.record.id))
      nudge()
    },
    async revokePrefix (prefix, manner) {
      const exact = await endOne(prefix, manner)
      const below = await prefixes.endPrefix(prefix, manner)
      return below.diesAtMs === null ? { ...below, diesAtMs: exact.diesAtMs } : below
    },
    async queuePrefix (prefix) {
      await endOne(prefix, 'revoke')
      await prefixes.queuePrefix(prefix)
      nudge()
    },
    async irrevocable (limit) {
      const found: IrrevocableLease[] = []
      const keys = await listing.irrevocableKeys(limit)
      for (let at = 0; at < keys.length; at += 500) {
        for (const entry of await store.get(keys.slice(at, at + 500))) {
          if (entry === null) continue
          const { record } = openRecord(entry)
          found.push({ leaseId: wireIdOf(record), mountAccessor: record.mountAccessor, reason: record.reason ?? '' })
        }
      }
      return found
    },
    sessions: (filter, bounds) => sessions.list(filter, { ...bounds, nowMs: clock.now() }),
    handlers: new Map<string, DueHandler>([
      ['lease', async (entries) => {
        await pace(entries.length)
        await revocation.sweep(entries, pendingMs)
      }],
      ['lease-prefix', (entries) => prefixes.advanceQueue(entries)]
    ])
  }
}

/** Past its end a lease is seen only while its ending fails. */
function isUnfinished (record: LeaseRecord | null): boolean {
  return record !== null && (record.state === 'irrevocable' || record.attempts > 0)
}
