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

/** For how long no room is looked for where there was none. */
const quietMs = 1000

/** An event for one notifier; its delivery is made when there is room for it, once. */
interface Taken extends Published {
  readonly takenAtMs: number
  put?: Put
}

/** What waits for one notifier. */
interface Waiting {
  readonly notifier: Pick<Notifier, 'id' | 'name' | 'type'>
  readonly rare: Taken[]
  readonly plenty: Taken[]
}

/**
 * Turns events of this broker into deliveries. Taking one in costs a comparison and waits for
 * nothing; what is beyond the bounds is dropped and counted.
 */
export function createIntake ({ store, table, tally, now }: IntakeOptions) {
  let waiting = new Map<string, Waiting>()
  /** Where there was no room, and until when that is taken to be so, for what is rare too. */
  const full = new Map<string, { readonly untilMs: number, readonly rareToo: boolean }>()

  function putOf (notifier: Waiting['notifier'], taken: Taken): Put {
    if (taken.put !== undefined) return taken.put
    const { event, atMs, takenAtMs } = taken
    const id = `msg_${drawUuid().replaceAll('-', '')}`
    const subject = { kind: 'event', type: event.type, atMs, data: eventData(event) } as const
    taken.put = putDelivery(deliveryKey(notifier.id, id), freshDelivery(notifier, id, subject, takenAtMs))
    return taken.put
  }

  /** A flood that nobody takes off costs no look at the store. */
  function isKnownFull ({ notifier, rare }: Waiting): boolean {
    const known = full.get(notifier.id)
    return known !== undefined && performance.now() < known.untilMs && (known.rareToo || rare.length === 0)
  }

  async function write (each: Waiting): Promise<void> {
    const { notifier, rare, plenty } = each
    const all = rare.length + plenty.length
    if (isKnownFull(each)) {
      tally.count('dropped', notifier.type, all)
      return
    }
    const pending = (await store.list(pendingPrefix(notifier.id), { limit: pendingMax })).length
    const first = rare.slice(0, Math.max(0, pendingMax - pending))
    const second = plenty.slice(0, Math.max(0, plentifulMax - pending - first.length))
    const puts = [...first, ...second].map((taken) => putOf(notifier, taken))
    for (let from = 0; from < puts.length; from += commitMax) await store.commit(puts.slice(from, from + commitMax))
    if (all === puts.length) {
      full.delete(notifier.id)
    } else {
      full.set(notifier.id, { untilMs: performance.now() + quietMs, rareToo: pending >= pendingMax })
      tally.count('dropped', notifier.type, all - puts.length)
    }
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
      if (dropped > 0) tally.count('dropped', former.notifier.type, dropped)
      fresh[kind].splice(0, Infinity, ...all)
    }
  }

  return {
    take (published: Published): void {
      const { event } = published
      for (const notifier of table.all()) {
        if (!wants(notifier, event)) continue
        const known = waiting.get(notifier.id) ?? { notifier, rare: [], plenty: [] }
        waiting.set(notifier.id, known)
        const kind = plentiful.includes(event.type) ? known.plenty : known.rare
        if (kind.length >= bufferMax) {
          tally.count('dropped', notifier.type)
          continue
        }
        kind.push({ ...published, takenAtMs: now() })
      }
    },
    /** Writes what waits. Answers whether anything was. @throws what the store throws; what was not written waits on. */
    async flush (): Promise<boolean> {
      const taken = waiting
      waiting = new Map()
      const failures: unknown[] = []
      for (const [notifierId, each] of taken) {
        try {
          await write(each)
        } catch (error) {
          keep(notifierId, each)
          failures.push(error)
        }
        // Requests have their turn between one notifier and the next.
        await new Promise((resolve) => setImmediate(resolve))
      }
      for (const [notifierId, { untilMs }] of full) if (untilMs < performance.now()) full.delete(notifierId)
      if (failures.length > 0) throw failures[0]
      return taken.size > 0
    }
  }
}
