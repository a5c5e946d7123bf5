import { randomInt } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { BrokerError } from '../core/errors.ts'
import type { Lease } from '../core/model.ts'
import { drawStamp, type Change, type Entry, type Key, type Put, type Store } from '../core/store.ts'
import { commitByShard, leaseKey, openRecord, putLease, wireIdOf, type Held, type LeaseRecord } from './lease-record.ts'
import type { LeaseEngines } from './ports.ts'

/**
 * Why leases end. `revoke`: somebody said so. `force`: the same, and an engine that fails is not
 * asked again. `sweep`: their time is up, or an earlier attempt failed.
 */
export type Manner = 'revoke' | 'force' | 'sweep'

/** What came of ending leases. */
export interface Ended {
  /** When the last of the credentials dies that outlive their leases, epoch ms; null: none does. */
  readonly diesAtMs: number | null
  /** Public sentences, one for each lease whose engine failed; the sweep tries it again. */
  readonly failures: readonly string[]
}

export interface RevocationOptions {
  readonly store: Store
  readonly clock: Clock
  readonly engines: LeaseEngines
  /** Told of each lease once it has ended, by somebody's word or by itself. Takes no time, never throws. */
  readonly onEnded?: (lease: Lease) => void
  /** Longer than an engine's time-out: how long nobody else takes up what is under way. */
  readonly holdMs: number
}

/** What the end of one lease comes to, written by its stamp. */
interface Step extends Ended {
  readonly change: Change
  /** null: it goes on, as the lease of a credential that may live, or until its engine works. */
  readonly ended: Lease | null
}

/** Attempts until a lease is irrevocable, and the pause after the first one, doubled each time (contract 5.8). */
const attemptsMax = 6
const backOffMs = 10_000
const rounds = 5
const enginesAtOnce = 10

/** The ending of no lease. */
export const nothingEnded: Ended = { diesAtMs: null, failures: [] }

/** What two endings came to together. */
export function joinEnded (one: Ended, other: Ended): Ended {
  const died = [one.diesAtMs, other.diesAtMs].filter((ms) => ms !== null)
  return { diesAtMs: died.length === 0 ? null : Math.max(...died), failures: [...one.failures, ...other.failures] }
}

/**
 * Ends leases: asks the engine, then removes the record, or keeps it as that of a session where
 * the credential lives on. Whatever dies between the two leaves a lease that is ended again.
 */
export function createRevocation ({ store, clock, engines, holdMs, onEnded = () => {} }: RevocationOptions) {
  /** Marks the leases that could be renewed meanwhile, so that the renewal loses and a crash is made good. */
  async function mark (leases: readonly Held[]): Promise<{ held: readonly Held[], conflicted: readonly Key[] }> {
    const changes: Put[] = []
    const held = leases.map((one) => {
      if (!one.record.renewable || one.record.state !== 'active') return one
      const record: LeaseRecord = { ...one.record, state: 'revoking' }
      const stamp = drawStamp()
      changes.push(putLease(record, { expect: one.stamp, stamp, dueAtMs: clock.now() + holdMs }))
      return { record, stamp }
    })
    const conflicted = await commitByShard(store, changes)
    const lost = new Set(conflicted)
    return { held: held.filter(({ record }) => !lost.has(leaseKey(record.id))), conflicted }
  }

  async function endOne ({ record, stamp }: Held, manner: Manner): Promise<Step> {
    let fate: 'revoked' | 'expires'
    try {
      fate = await engines.revoke(record, clock.now())
    } catch (error) {
      if (manner !== 'force') return postpone({ record, stamp }, error)
      fate = 'expires'
    }
    const nowMs = clock.now()
    if (fate === 'revoked' || nowMs >= record.endsAtMs) {
      return { ...nothingEnded, change: { op: 'delete', key: leaseKey(record.id), expect: stamp }, ended: record }
    }
    const held = manner === 'sweep' && record.state === 'orphan'
    const kept: LeaseRecord = held ? record : { ...record, revokedAtMs: nowMs }
    const change = putLease(kept, { expect: stamp, dueAtMs: record.endsAtMs })
    return { change, diesAtMs: record.endsAtMs, failures: [], ended: held ? null : record }
  }

  /** What a failed attempt leaves: another one later, or after the last an irrevocable lease. */
  function postpone ({ record, stamp }: Held, error: unknown): Step {
    const attempts = record.attempts + 1
    const reason = error instanceof BrokerError ? error.message : 'the engine failed'
    const last = attempts >= attemptsMax
    const pauseMs = backOffMs * 2 ** (attempts - 1)
    const dueAtMs = last ? null : clock.now() + pauseMs + randomInt(pauseMs / 4)
    const next: LeaseRecord = { ...record, attempts, reason, state: last ? 'irrevocable' : 'revoking' }
    return {
      change: putLease(next, { expect: stamp, dueAtMs }),
      diesAtMs: null,
      ended: null,
      failures: [`failed to revoke ${wireIdOf(record)}: ${reason}`]
    }
  }

  /** Ends leases as they were read; answers also the keys that somebody else changed meanwhile. */
  async function endHeld (
    leases: readonly Held[], manner: Manner
  ): Promise<{ ended: Ended, conflicted: readonly Key[] }> {
    const { held, conflicted } = await mark(leases)
    const steps: Step[] = []
    for (let at = 0; at < held.length; at += enginesAtOnce) {
      steps.push(...await Promise.all(held.slice(at, at + enginesAtOnce).map((one) => endOne(one, manner))))
    }
    const lost = new Set(await commitByShard(store, steps.map((step) => step.change)))
    const done = steps.filter(({ change }) => !lost.has(change.key))
    for (const { ended } of done) if (ended !== null) onEnded(ended)
    return { ended: done.reduce<Ended>(joinEnded, nothingEnded), conflicted: [...conflicted, ...lost] }
  }

  /**
   * Ends the leases of up to 500 records; those that are absent or over already count as ended.
   *
   * @throws BrokerError `unavailable` when somebody changes one of them all the time.
   */
  async function endKeys (keys: readonly Key[], manner: Manner): Promise<Ended> {
    let left = keys
    let all = nothingEnded
    for (let round = 0; left.length > 0; round++) {
      if (round === rounds) throw new BrokerError('unavailable', 'the lease is being changed by someone else')
      const held = (await store.get(left)).filter((entry) => entry !== null).map(openRecord)
      for (const { record } of held.filter(({ record }) => record.revokedAtMs !== null)) {
        all = joinEnded(all, { diesAtMs: record.endsAtMs, failures: [] })
      }
      const { ended, conflicted } = await endHeld(held.filter(({ record }) => record.revokedAtMs === null), manner)
      all = joinEnded(all, ended)
      left = conflicted
    }
    return all
  }

  /** Puts one lease into the sweep's hands, durably. */
  async function queue (leaseKey: Key): Promise<void> {
    for (let round = 0; round < rounds; round++) {
      const [entry] = await store.get([leaseKey])
      if (!entry) return
      const { record, stamp } = openRecord(entry)
      if (record.revokedAtMs !== null) return
      const put = putLease({ ...record, state: 'revoking' }, { expect: stamp, dueAtMs: clock.now() })
      if ((await commitByShard(store, [put])).length === 0) return
    }
    throw new BrokerError('unavailable', 'the lease is being changed by someone else')
  }

  /** What a claimed lease that is not to be ended yet becomes; null: it is to be ended. */
  function waiting ({ record, stamp }: Held, pendingMs: number): Change | null {
    const nowMs = clock.now()
    if (record.revokedAtMs !== null) {
      if (nowMs >= record.endsAtMs) return { op: 'delete', key: leaseKey(record.id), expect: stamp }
      return putLease(record, { expect: stamp, dueAtMs: record.endsAtMs })
    }
    if (record.state === 'pending') {
      const deadlineMs = record.issuedAtMs + pendingMs
      if (nowMs < deadlineMs) return putLease(record, { expect: stamp, dueAtMs: deadlineMs })
      const orphan: LeaseRecord = { ...record, state: 'orphan', renewable: false, reason: 'the request that made it did not end' }
      return putLease(orphan, { expect: stamp, dueAtMs: nowMs })
    }
    const early = record.state === 'active' && nowMs < record.expiresAtMs
    return early ? putLease(record, { expect: stamp, dueAtMs: record.expiresAtMs }) : null
  }

  /** Deals with leases that came due. One that somebody else changed comes due again. */
  async function sweep (entries: readonly Entry[], pendingMs: number): Promise<void> {
    const held = entries.map(openRecord)
    const changes = held.map((one) => waiting(one, pendingMs))
    await commitByShard(store, changes.filter((change) => change !== null))
    await endHeld(held.filter((_, at) => changes[at] === null), 'sweep')
  }

  return { endKeys, queue, sweep }
}

export type Revocation = ReturnType<typeof createRevocation>
