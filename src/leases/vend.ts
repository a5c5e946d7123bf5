import type { Issued, LeaseRequest } from '../core/backend.ts'
import type { Clock } from '../core/clock.ts'
import { BrokerError, invalidRequest, permissionDenied } from '../core/errors.ts'
import { handleIn } from '../core/ids.ts'
import type { Json } from '../core/json.ts'
import { lineageChecks } from '../core/lineage.ts'
import { requestPrefix, type Lease, type Mount, type Token } from '../core/model.ts'
import { drawStamp, StoreConflict, StoreUnavailable, StoreUnknown, type Stamp, type Store } from '../core/store.ts'
import { grantTtl } from '../core/ttl.ts'
import { leaseKey, openRecord, putLease, wireIdOf, type LeaseRecord } from './lease-record.ts'
import type { LeaseMounts } from './ports.ts'

/** What a lease is opened for. */
export interface LeaseIntent {
  readonly token: Token
  readonly mount: Mount
  /** The request's path with the mount's stable path: `aws/sts/deploy`. */
  readonly path: string
  readonly request: LeaseRequest
  /** What the engine's `revoke` will need; it is told the record's id. */
  readonly revocation: (leaseId: string) => Json
  readonly nowMs: number
}

/** A lease whose credential is not handed out yet. A failed `confirm` may be followed by `orphan`. */
export interface OpenLease {
  readonly lease: Lease
  /** The id that clients use: `<path>/<24 characters>`. */
  readonly wireId: string
  /** TTL granted, seconds, until `issued` says how long the credential lives. */
  readonly ttlSeconds: number
  /**
   * Makes it active; only then may the credential leave. Where it fails the record stays until the
   * credential is dead.
   *
   * @throws BrokerError `permission_denied` when the token died meanwhile, `invalid_request` when
   * the lease was revoked or took too long, `unavailable` when the store did not say.
   */
  confirm (issued: Issued): Promise<void>
  /** The credential was certainly not made. */
  abandon (): Promise<void>
  /** Nobody knows whether there is a credential, or nobody may have it: kept until the latest possible end. */
  orphan (reason: string, issued?: Issued): Promise<void>
}

export interface VendOptions {
  readonly store: Store
  readonly clock: Clock
  readonly mounts: LeaseMounts
  /** An intent older than this is an orphan: no request takes that long. */
  readonly pendingMs: number
  /** How far our time and the upstream's may differ. */
  readonly skewMs: number
}

const tries = 5

/**
 * Opens leases: the intent is in the store before the credential exists, in the very write that
 * finds the token alive, so that no crash leaves a credential nobody knows (FLT-001 to FLT-004).
 */
export function createVend ({ store, clock, mounts, pendingMs, skewMs }: VendOptions) {
  /** The longest that a lease may last, from its issue. */
  function lastingSeconds (mount: Mount, request: LeaseRequest): number {
    const { ttlSecondsMax } = mounts.ttlBounds(mount)
    return Math.min(ttlSecondsMax, request.ttlSecondsMax || ttlSecondsMax)
  }

  /** The intent as it is written. Its end is the latest that the credential can have. */
  function intentOf ({ token, mount, path, request, revocation, nowMs }: LeaseIntent): LeaseRecord {
    const id = handleIn(token.accessor.slice(0, 2))
    const longest = lastingSeconds(mount, request)
    const asked = request.renewable ? Math.max(request.ttlSeconds, longest) : request.ttlSeconds || longest
    const endsAtMs = nowMs + asked * 1000 + skewMs
    const runId = token.metadata?.['run_id']
    return {
      id,
      path,
      below: path.slice(requestPrefix(mount).length),
      mountAccessor: mount.accessor,
      tokenAccessor: token.accessor,
      tokenLineage: token.lineage,
      runId: runId === undefined || runId === '' ? null : runId,
      state: 'pending',
      issuedAtMs: nowMs,
      expiresAtMs: endsAtMs,
      endsAtMs,
      renewable: request.renewable,
      lastRenewalMs: null,
      attempts: 0,
      reason: null,
      revokedAtMs: null,
      revocation: revocation(id)
    }
  }

  /** Terms of a credential that was issued: its lease never outlives it, its record never ends before it. */
  function activeOf (record: LeaseRecord, issued: Issued, endsAtMs: number): LeaseRecord {
    return {
      ...record,
      state: 'active',
      expiresAtMs: Math.min(issued.expiresAtMs, endsAtMs),
      endsAtMs: record.renewable ? Math.max(endsAtMs, issued.expiresAtMs) : issued.expiresAtMs,
      revocation: issued.revocation
    }
  }

  async function readHeld (id: string) {
    const [entry] = await store.get([leaseKey(id)])
    return entry ? openRecord(entry) : null
  }

  /**
   * Keeps a record whose credential may live. One that was revoked meanwhile stays revoked, with
   * its end moved out if the credential's is later.
   */
  async function keep (id: string, reason: string, issued: Issued | undefined): Promise<void> {
    for (let i = 0; i < tries; i++) {
      const held = await readHeld(id)
      if (held === null) return
      const { record, stamp } = held
      const endsAtMs = Math.max(record.endsAtMs, issued?.expiresAtMs ?? 0)
      if (endsAtMs === record.endsAtMs && (record.state === 'orphan' || record.revokedAtMs !== null)) return
      const revocation = issued?.revocation ?? record.revocation
      const kept: LeaseRecord = record.revokedAtMs === null
        ? { ...record, state: 'orphan', reason, expiresAtMs: endsAtMs, endsAtMs, renewable: false, revocation }
        : { ...record, endsAtMs, revocation }
      const dueAtMs = record.revokedAtMs === null ? clock.now() : endsAtMs
      try {
        await store.commit([putLease(kept, { expect: stamp, dueAtMs })], { strong: true })
        return
      } catch (error) {
        if (!(error instanceof StoreConflict)) throw error
      }
    }
  }

  /** Ends a lease on a store that may not answer: then the intent is there, and becomes an orphan by the sweep. */
  async function orByTheSweep (work: Promise<unknown>): Promise<void> {
    try {
      await work
    } catch (error) {
      if (!(error instanceof StoreUnavailable)) throw error
    }
  }

  /** Whether a write whose reply was lost is there all the same. */
  async function wasWritten (id: string, stamp: Stamp): Promise<boolean> {
    return (await readHeld(id))?.stamp === stamp
  }

  async function open (intent: LeaseIntent): Promise<OpenLease> {
    const { token, mount, request, nowMs } = intent
    const bounds = mounts.ttlBounds(mount)
    const { ttlSeconds } = grantTtl({
      ttlSeconds: request.ttlSeconds,
      ttlSecondsMax: request.ttlSecondsMax,
      mountTtlSecondsDefault: bounds.ttlSecondsDefault,
      mountTtlSecondsMax: bounds.ttlSecondsMax,
      issuedAtMs: nowMs,
      nowMs
    })
    const record = intentOf(intent)
    const { id } = record
    const checks = lineageChecks(token)
    const stamp = drawStamp()
    try {
      const put = putLease(record, { expect: 'absent', stamp, dueAtMs: nowMs + pendingMs })
      await store.commit([...checks, put], { strong: true })
    } catch (error) {
      if (error instanceof StoreConflict) throw permissionDenied(error)
      throw error
    }
    const wireId = wireIdOf(record)
    const hardEndMs = nowMs + lastingSeconds(mount, request) * 1000

    async function activate (issued: Issued): Promise<void> {
      const active = activeOf(record, issued, hardEndMs)
      const next = drawStamp()
      try {
        await store.commit([...checks, putLease(active, { expect: stamp, stamp: next, dueAtMs: active.expiresAtMs })])
      } catch (error) {
        if (error instanceof StoreUnknown && await wasWritten(id, next)) return
        throw error
      }
    }

    return {
      lease: record,
      wireId,
      ttlSeconds,
      async confirm (issued) {
        try {
          await activate(issued)
        } catch (error) {
          await orByTheSweep(keep(id, 'the credential was not handed out', issued))
          if (error instanceof StoreUnavailable) throw new BrokerError('unavailable', error.message, { cause: error })
          if (!(error instanceof StoreConflict)) throw error
          if (error.index < checks.length) throw permissionDenied(error)
          throw invalidRequest(`the credential came too late and is not handed out; lease ${wireId} is held until it expires`, error)
        }
      },
      abandon: () => orByTheSweep(store.commit([{ op: 'delete', key: leaseKey(id) }])),
      orphan: (reason, issued) => orByTheSweep(keep(id, reason, issued))
    }
  }

  return { open }
}
