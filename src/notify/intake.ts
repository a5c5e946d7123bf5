import { drawUuid } from '../core/ids.ts'
import { eventData, type EventType, type Published } from '../core/events.ts'
import type { Put, Store } from '../core/store.ts'
import { deliveryKey, freshDelivery, pendingPrefix, putDelivery } from './delivery.ts'
import { wants, type Notifier } from './notifier.ts'
import type { NotifierTable } from './notifier-table.ts'
import type { Tally } from './tally.ts'

export interface IntakeOptions {
  readonly store: Store
  readonly table: Pick<NotifierTable, 'all'>
  readonly tally: Tally
  readonly now: () => number
}

/** Events that wait to be written, of each of the two kinds, and those written at a time. */
const bufferMax = 200
const commitMax = 100
/** Deliveries that wait in the store for one notifier. */
const pendingMax = 1000
const plentifulMax = pendingMax / 2

/** What callers can cause at will, with or without a token: it takes at most half of the room. */
export const plentiful: readonly EventType[] = ['lease', 'login-failure']
export const rare: readonly EventType[] = ['tripwire', 'audit-degraded']

/** What waits for one notifier. */
interface Waiting {
  readonly type: Notifier['type']
  readonly rare: Put[]
  readonly plenty: Put[]
}

/**
 * Turns events of this broker into deliveries. Taking one in costs a comparison and waits for
 * nothing; what is beyond the bounds is dropped and counted.
 */
export function createIntake ({ store, table, tally, now }: IntakeOptions) {
  let waiting = new Map<string, Waiting>()

  async function write (notifierId: string, { type, rare, plenty }: Waiting): Promise<void> {
    const pending = (await store.list(pendingPrefix(notifierId), { limit: pendingMax })).length
    const first = rare.slice(0, Math.max(0, pendingMax - pending))
    const second = plenty.slice(0, Math.max(0, plentifulMax - pending - first.length))
    const puts = [...first, ...second]
    for (let from = 0; from < puts.length; from += commitMax) await store.commit(puts.slice(from, from + commitMax))
    const dropped = rare.length + plenty.length - puts.length
    if (dropped > 0) tally.count('dropped', type, dropped)
  }

  /** What could not be written waits for the next time, as far as there is room. */
  function keep (notifierId: string, former: Waiting): void {
    const fresh = waiting.get(notifierId)
    if (fresh === undefined) {
      waiting.set(notifierId, former)
      return
    }
    for (const kind of ['rare', 'plenty'] as const) {
      const all = [...former[kind], ...fresh[kind]]
      const dropped = all.splice(bufferMax).length
      if (dropped > 0) tally.count('dropped', former.type, dropped)
      fresh[kind].splice(0, Infinity, ...all)
    }
  }

  return {
    take ({ event, atMs }: Published): void {
      for (const notifier of table.all()) {
        if (!wants(notifier, event)) continue
        const known = waiting.get(notifier.id) ?? { type: notifier.type, rare: [], plenty: [] }
        waiting.set(notifier.id, known)
        const kind = plentiful.includes(event.type) ? known.plenty : known.rare
        if (kind.length >= bufferMax) {
          tally.count('dropped', notifier.type)
          continue
        }
        const id = `msg_${drawUuid().replaceAll('-', '')}`
        const subject = { kind: 'event', type: event.type, atMs, data: eventData(event) } as const
        kind.push(putDelivery(deliveryKey(notifier.id, id), freshDelivery(notifier, id, subject, now())))
      }
    },
    /** Writes what waits. Answers whether anything was. @throws what the store throws; what was not written waits on. */
    async flush (): Promise<boolean> {
      const taken = waiting
      waiting = new Map()
      const failures: unknown[] = []
      for (const [notifierId, each] of taken) {
        try {
          await write(notifierId, each)
        } catch (error) {
          keep(notifierId, each)
          failures.push(error)
        }
      }
      if (failures.length > 0) throw failures[0]
      return taken.size > 0
    }
  }
}
