import { decodeRecord } from '../core/records.ts'
import { retryConflicts } from '../core/retry.ts'
import type { Change, Store } from '../core/store.ts'
import {
  deadKey, deadPrefix, deliveryKey, freshDelivery, idOfNames, merged, namesLeaf, pendingPrefix, putDead, putDelivery,
  toldKey, type DeadLetter, type Delivery
} from './delivery.ts'
import type { Notifier } from './notifier.ts'

/** Dead letters of a notifier, beyond which the oldest go. */
const deadMax = 1000
const pageMax = 1000
const getMax = 500
const deleteMax = 200

/** What was given up, and can be tried again. */
export interface DeadLetters {
  /** The changes that keep one, in the commit that ends its delivery; and how many of the oldest they drop. */
  changesFor (letter: DeadLetter): Promise<{ changes: Change[], dropped: number }>
  /** Oldest first. */
  list (notifierId: string): Promise<DeadLetter[]>
  find (notifierId: string, id: string): Promise<DeadLetter | null>
  /** Makes it due again, as if it were new but by the same id. null: there is none. */
  retry (notifier: Notifier, id: string, nowMs: number): Promise<DeadLetter | null>
  remove (notifierId: string, id: string): Promise<void>
  /** How many deliveries wait and how many are dead, each counted up to 1000. */
  counts (notifierId: string): Promise<{ pending: number, dead: number }>
  /** Removes all that is kept about a notifier. Repeatable. */
  clear (notifierId: string): Promise<void>
}

export function createDeadLetters ({ store }: { readonly store: Store }): DeadLetters {
  const listed = (prefix: string) => store.list(prefix, { limit: pageMax })

  async function find (notifierId: string, id: string) {
    const [entry] = await store.get([deadKey(notifierId, id)])
    return entry ? { letter: decodeRecord<DeadLetter>(entry.value), stamp: entry.stamp } : null
  }

  /** A letter as a delivery. Names of one workspace are told together, so they join what waits already. */
  async function revived (notifier: Notifier, { id, subject }: DeadLetter, nowMs: number): Promise<Change> {
    const isNames = subject.kind === 'names' && notifier.type === 'hcp-terraform'
    const at = deliveryKey(notifier.id, isNames ? namesLeaf : id)
    const fresh = freshDelivery(notifier, id, subject, nowMs)
    const [waiting] = isNames ? await store.get([at]) : []
    if (!waiting) return putDelivery(at, fresh, isNames ? 'absent' : undefined)
    const present = decodeRecord<Delivery>(waiting.value)
    if (present.subject.kind !== 'names' || subject.kind !== 'names') throw new Error('names are told together with names')
    const levels = merged(present.subject.levels, subject.levels)
    // By another id, so that what joins an attempt under way has a run of its own.
    const joinedId = idOfNames(notifier.id, notifier.generation, levels)
    return putDelivery(at, { ...present, id: joinedId, subject: { kind: 'names', levels } }, waiting.stamp)
  }

  return {
    async changesFor (letter) {
      const present = await listed(deadPrefix(letter.notifierId))
      // Another broker may be burying too: two go where one comes, until there is room again.
      const oldest = present.slice(0, Math.max(0, present.length - (deadMax - 2))).flatMap((named) => named.key ?? [])
      const dropped = oldest.filter((key) => key !== deadKey(letter.notifierId, letter.id))
      return { changes: [putDead(letter), ...dropped.map((key): Change => ({ op: 'delete', key }))], dropped: dropped.length }
    },
    async list (notifierId) {
      const keys = (await listed(deadPrefix(notifierId))).flatMap((named) => named.key ?? [])
      const letters: DeadLetter[] = []
      for (let from = 0; from < keys.length; from += getMax) {
        const entries = await store.get(keys.slice(from, from + getMax))
        letters.push(...entries.flatMap((entry) => entry === null ? [] : [decodeRecord<DeadLetter>(entry.value)]))
      }
      return letters
    },
    find: async (notifierId, id) => (await find(notifierId, id))?.letter ?? null,
    retry: (notifier, id, nowMs) => retryConflicts(async () => {
      const found = await find(notifier.id, id)
      if (found === null) return null
      const change = await revived(notifier, found.letter, nowMs)
      await store.commit([{ op: 'delete', key: deadKey(notifier.id, id), expect: found.stamp }, change])
      return found.letter
    }),
    async remove (notifierId, id) {
      await store.commit([{ op: 'delete', key: deadKey(notifierId, id) }])
    },
    async counts (notifierId) {
      const [pending, dead] = await Promise.all([listed(pendingPrefix(notifierId)), listed(deadPrefix(notifierId))])
      return { pending: pending.length, dead: dead.length }
    },
    async clear (notifierId) {
      for (const prefix of [pendingPrefix(notifierId), deadPrefix(notifierId)]) {
        for (;;) {
          const page = await store.list(prefix, { limit: deleteMax })
          if (page.length === 0) break
          await store.commit(page.flatMap((named): Change[] => named.key === null ? [] : [{ op: 'delete', key: named.key }]))
        }
      }
      await store.commit([{ op: 'delete', key: toldKey(notifierId) }])
    }
  }
}
