import type { Clock } from '../core/clock.ts'
import { BrokerError, invalidRequest } from '../core/errors.ts'
import type { JsonObject } from '../core/json.ts'
import { lineageChecks } from '../core/lineage.ts'
import { drawStamp, StoreConflict, type Store } from '../core/store.ts'
import { grantTtl } from '../core/ttl.ts'
import { isRenewable, type LeaseFinder } from './lease-finder.ts'
import { putLease, type Held, type LeaseRecord } from './lease-record.ts'
import type { LeaseEngines, LeaseMounts } from './ports.ts'

/** What a renewal came to. */
export interface Renewed {
  readonly leaseId: string
  readonly renewable: boolean
  readonly ttlSeconds: number
  readonly data: JsonObject | null
  readonly warnings: readonly string[]
}

export interface RenewalOptions {
  readonly store: Store
  readonly clock: Clock
  readonly engines: LeaseEngines
  readonly mounts: LeaseMounts
  readonly finder: LeaseFinder
}

/** Renews leases (contract 3.6 with period 0, 5.8). The hard end never moves (SEC-155). */
export function createRenewal ({ store, clock, engines, mounts, finder }: RenewalOptions) {
  /** How far a renewal reaches, or why there is none. */
  function termsOf (record: LeaseRecord, incrementSeconds: number) {
    const nowMs = clock.now()
    if (nowMs >= record.expiresAtMs) throw invalidRequest('lease expired')
    if (!isRenewable(record)) throw invalidRequest('lease is not renewable')
    const mount = mounts.byAccessor(record.mountAccessor)
    if (mount === null) throw invalidRequest('lease not found')
    const bounds = mounts.ttlBounds(mount)
    const { ttlSeconds, warnings } = grantTtl({
      incrementSeconds,
      ttlSeconds: Math.round((record.expiresAtMs - (record.lastRenewalMs ?? record.issuedAtMs)) / 1000),
      ttlSecondsMax: Math.floor((record.endsAtMs - record.issuedAtMs) / 1000),
      mountTtlSecondsDefault: bounds.ttlSecondsDefault,
      mountTtlSecondsMax: bounds.ttlSecondsMax,
      issuedAtMs: record.issuedAtMs,
      nowMs
    })
    return { nowMs, ttlSeconds, warnings, expiresAtMs: Math.min(nowMs + ttlSeconds * 1000, record.endsAtMs) }
  }

  /** Writes the new end, in the same step that finds the token alive. */
  async function write ({ record, stamp }: Held, next: LeaseRecord): Promise<Held> {
    const written = drawStamp()
    const checks = lineageChecks({ accessor: record.tokenAccessor, lineage: record.tokenLineage })
    const put = putLease(next, { expect: stamp, stamp: written, dueAtMs: next.expiresAtMs })
    try {
      await store.commit([...checks, put])
    } catch (error) {
      if (!(error instanceof StoreConflict)) throw error
      if (error.index < checks.length) throw invalidRequest('lease not found', error)
      throw invalidRequest('the lease was changed at the same time', error)
    }
    return { record: next, stamp: written }
  }

  return {
    /**
     * Moves a lease's end to `incrementSeconds` from now (0: as long as it was granted for), capped.
     * The record moves before the credential does, so that no credential outlives its lease; where
     * the engine refuses it moves back.
     *
     * @throws BrokerError `invalid_request` with the sentences of contract 5.8.
     */
    async renew (wireId: string, incrementSeconds: number): Promise<Renewed> {
      const found = await finder.find(wireId, clock.now())
      if (found === null) throw invalidRequest('lease not found')
      if (found.kind === 'token') throw invalidRequest('tokens cannot be renewed through this endpoint')
      const { held } = found
      const { nowMs, ttlSeconds, warnings, expiresAtMs } = termsOf(held.record, incrementSeconds)
      const moved = await write(held, { ...held.record, expiresAtMs, lastRenewalMs: nowMs })
      let data: JsonObject | null
      try {
        data = await engines.renew(moved.record, ttlSeconds, nowMs)
      } catch (error) {
        await write(moved, held.record)
        throw error instanceof BrokerError ? error : new BrokerError('upstream_failed', 'the engine did not renew the credential', { cause: error })
      }
      return { leaseId: wireId, renewable: true, ttlSeconds, data, warnings }
    }
  }
}
