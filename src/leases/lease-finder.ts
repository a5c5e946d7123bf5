import type { Lease, Token } from '../core/model.ts'
import type { Store } from '../core/store.ts'
import { isHandle, leaseKey, openRecord, wireIdOf, type Held } from './lease-record.ts'
import type { LeaseTokens } from './ports.ts'

/** What a lease id leads to. */
export type Found =
  | { readonly kind: 'lease', readonly held: Held }
  | { readonly kind: 'token', readonly token: Token }

/** What a client is told about a lease (contract 5.8). */
export interface LeaseView {
  readonly id: string
  readonly path: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  readonly lastRenewalMs: number | null
  readonly renewable: boolean
  readonly ttlSeconds: number
}

/** Finds leases by the ids that clients use. */
export function createLeaseFinder ({ store, tokens }: { store: Store, tokens: LeaseTokens }) {
  /**
   * The record that an id leads to: its last segment names it, all before has to be the lease's
   * path to the letter. Null for whatever else it is (SEC-152).
   */
  async function findRecord (wireId: string): Promise<Held | null> {
    const id = wireId.slice(wireId.lastIndexOf('/') + 1)
    if (!isHandle(id)) return null
    const [entry] = await store.get([leaseKey(id)])
    if (!entry) return null
    const held = openRecord(entry)
    return wireIdOf(held.record) === wireId ? held : null
  }

  /** The live token whose lease an id names; those that never expire have none. */
  async function findToken (wireId: string, nowMs: number): Promise<Token | null> {
    const accessor = wireId.slice(wireId.lastIndexOf('/') + 1)
    if (!isHandle(accessor)) return null
    const live = await tokens.findByAccessor(accessor, nowMs)
    if (live === null || live.token.expiresAtMs === null) return null
    return `${live.token.path}/${accessor}` === wireId ? live.token : null
  }

  /**
   * Whether clients still see a lease: an answered revocation, of it or of its token, is true at
   * the next look. An irrevocable one stays visible, since somebody has to deal with it.
   */
  async function isSeen ({ record }: Held, nowMs: number): Promise<boolean> {
    if (record.revokedAtMs !== null) return false
    if (record.state === 'irrevocable') return true
    return await tokens.findByAccessor(record.tokenAccessor, nowMs) !== null
  }

  return {
    findRecord,
    findToken,
    /** A lease, or the token whose lease it is; null for what clients may not see any more. Expired leases are found. */
    async find (wireId: string, nowMs: number): Promise<Found | null> {
      const held = await findRecord(wireId)
      if (held !== null) return await isSeen(held, nowMs) ? { kind: 'lease', held } : null
      const token = await findToken(wireId, nowMs)
      return token === null ? null : { kind: 'token', token }
    }
  }
}

export type LeaseFinder = ReturnType<typeof createLeaseFinder>

/** A lease as clients see it. */
export function viewOf (found: Found, nowMs: number): LeaseView {
  const { issuedAtMs, expiresAtMs, lastRenewalMs, renewable, path, id } = found.kind === 'lease'
    ? { ...found.held.record, renewable: isRenewable(found.held.record) }
    : { ...found.token, id: found.token.accessor, expiresAtMs: found.token.expiresAtMs ?? 0 }
  const ttlSeconds = Math.max(0, Math.round((expiresAtMs - nowMs) / 1000))
  return { id: `${path}/${id}`, path, issuedAtMs, expiresAtMs, lastRenewalMs, renewable, ttlSeconds }
}

/** Whether a lease may be renewed: only one whose credential was handed out, and that nobody is ending. */
export function isRenewable (lease: Pick<Lease, 'renewable' | 'state'>): boolean {
  return lease.renewable && lease.state === 'active'
}
