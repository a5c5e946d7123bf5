import { decodeRecord } from '../core/records.ts'
import { retryConflicts } from '../core/retry.ts'
import { pathOf, StoreConflict, StoreIntegrity, type Change, type Entry, type Key, type Store } from '../core/store.ts'
import type { DeadLetters } from './dead-letters.ts'
import { afterTold, idOfNames, nextAttemptMs, putDelivery, type DeadLetter, type Delivery, type Subject } from './delivery.ts'
import { hcpAttemptMs, tellHcpTerraform } from './hcp-terraform.ts'
import type { Notifier } from './notifier.ts'
import type { NotifierTable } from './notifier-table.ts'
import { failed, type Failure, type Outcome } from './outcome.ts'
import { createPool } from './pool.ts'
import type { Tally } from './tally.ts'
import { tellWebhook, type Sending } from './webhook.ts'

export interface SenderOptions {
  readonly store: Store
  readonly table: NotifierTable
  readonly deadLetters: DeadLetters
  readonly sending: Sending
  readonly tally: Tally
  /** Brings the mounts up to date. */
  readonly refresh: () => Promise<void>
  readonly onDead: (notifier: Notifier, letter: DeadLetter) => void
  readonly onError: (error: unknown) => void
}

/** Longer than an attempt can take, so that no two are under way. */
const leaseMs = { webhook: 60_000, 'hcp-terraform': hcpAttemptMs + 20_000 }
const soonMs = 1000
const pauseMs = 2000

/** What deliveries are called where there is no event. */
export function typeOf (subject: Subject): string {
  return subject.kind === 'event' ? subject.type : 'rotation'
}

/**
 * Attempts what is due. The attempt is written down before it is made, for as long as it may take:
 * meanwhile nobody else makes one, and a broker that dies leaves a delivery that comes due again, by
 * the same id.
 */
export function createSender (options: SenderOptions) {
  const { store, table, deadLetters, sending, tally } = options
  const { now } = sending
  const pool = createPool({ all: 32, each: 4, waitingMax: 1000, pauseMs, run: deal })
  let quietUntilMs = 0

  /** A store that is away stops all attempts for a while; a record that cannot be read stops nobody, and comes due again. */
  async function deal (key: Key): Promise<boolean> {
    try {
      await attempt(key)
      return true
    } catch (error) {
      // Attempts that were under way fail together, and are told of once.
      if (performance.now() >= quietUntilMs) options.onError(error)
      quietUntilMs = performance.now() + pauseMs
      return error instanceof StoreIntegrity
    }
  }

  async function attempt (key: Key): Promise<void> {
    const [entry] = await store.get([key])
    const found = entry ? decodeRecord<Delivery>(entry.value) : null
    // Others were quicker, or it was put off since it was found due.
    if (!entry || found === null || found.dueAtMs > now()) return
    const notifier = await table.find(found.notifierName)
    if (notifier === null || notifier.id !== found.notifierId) {
      await store.commit([{ op: 'delete', key }])
      return
    }
    const begun = await begin(entry, found, notifier)
    if (begun === null) return
    const outcome = notifier.enabled ? await tell(notifier, begun) : whileDisabled(begun)
    // A receiver that wants nothing is asked nothing more, whatever becomes of this delivery.
    const isReplaced = outcome.kind === 'failed' && outcome.retry === 'gone' && !await disable(notifier)
    await settle(key, notifier, begun, isReplaced ? { ...outcome, retry: 'again' } : outcome)
  }

  async function begin ({ key, stamp }: Entry, found: Delivery, notifier: Notifier): Promise<Delivery | null> {
    const leasedUntilMs = now() + leaseMs[notifier.type]
    const begun: Delivery = { ...found, attempts: found.attempts + 1, leasedUntilMs, dueAtMs: leasedUntilMs }
    try {
      await store.commit([putDelivery(key, begun, stamp)])
      return begun
    } catch (error) {
      if (error instanceof StoreConflict) return null
      throw error
    }
  }

  async function tell (notifier: Notifier, delivery: Delivery): Promise<Outcome> {
    const attempt = () => notifier.type === 'webhook'
      ? tellWebhook(notifier, delivery, sending)
      : tellHcpTerraform(notifier, delivery, sending)
    const outcome = await attempt()
    if (outcome.kind !== 'later') return outcome
    await options.refresh()
    return attempt()
  }

  /** Names are told anew when it is enabled again, and events are kept. */
  function whileDisabled ({ subject }: Delivery): Outcome {
    return subject.kind === 'names' ? { kind: 'moot' } : failed('the notifier is disabled', { retry: 'never' })
  }

  /** Disables a notifier, unless it leads elsewhere since: whether it was as it is. */
  async function disable ({ name, id, generation }: Notifier): Promise<boolean> {
    let isSame = false
    await table.change(name, (present) => {
      isSame = present?.id === id && present.generation === generation
      return present === null || !isSame || !present.enabled
        ? present
        : { ...present, enabled: false, disabledReason: 'it answered 410, and wants nothing any more' }
    })
    return isSame
  }

  /** Writes down what came of an attempt, unless it is not the last one any more. */
  async function settle (key: Key, notifier: Notifier, begun: Delivery, outcome: Outcome): Promise<void> {
    const settled = await retryConflicts(async () => {
      const [entry] = await store.get([key])
      const present = entry ? decodeRecord<Delivery>(entry.value) : null
      const isOurs = present?.leasedUntilMs === begun.leasedUntilMs && present.attempts === begun.attempts
      if (!entry || present === null || !isOurs) return null
      const { changes, letter, dropped } = await changesFor(entry, present, begun, { notifier, outcome })
      await store.commit(changes)
      return { letter, dropped }
    })
    if (outcome.kind === 'done') tally.count('delivered', notifier.type)
    if (outcome.kind === 'failed') tally.count('failed', notifier.type)
    if (settled === null || settled.letter === null) return
    tally.count('dead', notifier.type)
    if (settled.dropped > 0) tally.count('dropped', notifier.type, settled.dropped)
    options.onDead(notifier, settled.letter)
  }

  async function changesFor (
    entry: Entry, present: Delivery, begun: Delivery,
    { notifier, outcome }: { readonly notifier: Notifier, readonly outcome: Outcome }
  ): Promise<{ changes: Change[], letter: DeadLetter | null, dropped: number }> {
    const nowMs = now()
    const put = (delivery: Delivery) =>
      ({ changes: [putDelivery(entry.key, delivery, entry.stamp)], letter: null, dropped: 0 })
    if (outcome.kind === 'failed') return afterFailure(entry, present, begun, outcome)
    if (isElsewhere(present, begun, notifier)) {
      return put({ ...present, attempts: 0, leasedUntilMs: 0, dueAtMs: Math.max(nowMs, present.notBeforeMs) })
    }
    if (outcome.kind === 'later') {
      return put({ ...present, attempts: present.attempts - 1, leasedUntilMs: 0, dueAtMs: nowMs + soonMs })
    }
    const attempted = begun.subject.kind === 'names' ? begun.subject.levels : {}
    const left = afterTold(present, outcome.kind === 'done' ? outcome.told : attempted, nowMs)
    return left === null
      ? { changes: [{ op: 'delete', key: entry.key, expect: entry.stamp }], letter: null, dropped: 0 }
      : put(left)
  }

  async function afterFailure (entry: Entry, found: Delivery, begun: Delivery, outcome: Failure) {
    const { failure, retry, retryAfterMs } = outcome
    const nowMs = now()
    // What joined it meanwhile was not attempted yet, and the settings may be others.
    const isJoined = found.id !== begun.id
    const present = isJoined ? { ...found, attempts: 1 } : found
    const dueAtMs = retry === 'again' || isJoined ? nextAttemptMs(present, nowMs, retryAfterMs) : null
    if (dueAtMs !== null) {
      const notBeforeMs = retryAfterMs === null ? 0 : nowMs + retryAfterMs
      const delivery = { ...present, leasedUntilMs: 0, notBeforeMs, lastFailure: failure, dueAtMs }
      return { changes: [putDelivery(entry.key, delivery, entry.stamp)], letter: null, dropped: 0 }
    }
    const { id, notifierId, notifierName, subject, sinceMs, attempts } = present
    const letter: DeadLetter = { id, notifierId, notifierName, subject, sinceMs, diedAtMs: nowMs, attempts, failure }
    const kept = await deadLetters.changesFor(letter)
    const gone: Change = { op: 'delete', key: entry.key, expect: entry.stamp }
    return { changes: [gone, ...kept.changes], letter, dropped: kept.dropped }
  }

  /** Whether names have to be told anew since an attempt began, with other settings than it had. */
  function isElsewhere ({ id, subject }: Delivery, begun: Delivery, { id: notifierId, generation }: Notifier): boolean {
    return id !== begun.id && subject.kind === 'names' && id !== idOfNames(notifierId, generation, subject.levels)
  }

  return {
    /** The sweeper's handler: takes deliveries in hand, and holds up nothing. */
    async take (entries: readonly Entry[]): Promise<void> {
      for (const { key } of entries) pool.take(pathOf(key).split('/')[1] ?? '', key)
    },
    stop: pool.stop
  }
}
