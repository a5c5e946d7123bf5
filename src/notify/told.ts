import { ownPath } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { retryConflicts } from '../core/retry.ts'
import type { Change, Entry, Store } from '../core/store.ts'
import {
  deliveryKey, freshDelivery, idOfNames, levelOf, merged, namesLeaf, putDelivery, toldKey, type Delivery, type Levels
} from './delivery.ts'
import { concerns, type Notifier } from './notifier.ts'
import type { MountNames } from './ports.ts'

export interface TellerOptions {
  readonly store: Store
  readonly mounts: MountNames
  readonly now: () => number
}

/** How far a notifier was told of each mount; written in the commit that makes the delivery. */
interface Told {
  readonly generation: number
  readonly levels: Levels
}

/** How long the names of a workspace wait for others that change at the same instant. */
const gatherMs = 2000
const batchMax = 60

/**
 * Compares how far each mount's name has come with how far a notifier was told, and writes deliveries
 * of the difference. What was told and its delivery are one commit: any broker may do it, at any
 * time, and however many do, one delivery is written (SEC-216). A broker that died after a rotation
 * is made up for by the next one that looks.
 */
export function createTeller ({ store, mounts, now }: TellerOptions) {
  /** What is to be told; `known` are the levels that were. */
  function dueLevels (notifier: Notifier, known: Levels): Levels {
    const due = new Map<string, number>()
    for (const mount of mounts.all()) {
      const level = levelOf(mount)
      if (level === null || mount.state !== 'live' || !concerns(notifier, ownPath(mount))) continue
      // A mount that goes by its own path is told of only to those who knew a name of it.
      const least = known[mount.accessor] ?? (mount.rotation?.enabled === true ? -1 : level)
      if (level > least) due.set(mount.accessor, level)
      if (due.size === batchMax) break
    }
    return Object.fromEntries(due)
  }

  function changesFor (notifier: Notifier, former: Told, due: Levels, waiting: Entry | null): Change[] {
    const { id, generation } = notifier
    if (notifier.type === 'hcp-terraform') return [gathered(notifier, due, waiting)]
    return Object.entries(due).flatMap(([accessor, level]): Change[] => {
      const levels = { [accessor]: level }
      const told = former.levels[accessor]
      const replaced = told === undefined || told < 0 ? null : idOfNames(id, former.generation, { [accessor]: told })
      const fresh = freshDelivery(notifier, idOfNames(id, generation, levels), { kind: 'names', levels }, now())
      return [
        putDelivery(deliveryKey(id, fresh.id), fresh),
        // What was not told yet is not news any more.
        ...replaced === null || replaced === fresh.id ? [] : [{ op: 'delete', key: deliveryKey(id, replaced) } as const]
      ]
    })
  }

  /** The workspace's delivery with further names. One that is under way goes on, and comes again for them. */
  function gathered (notifier: Notifier, due: Levels, waiting: Entry | null): Change {
    const at = deliveryKey(notifier.id, namesLeaf)
    const present = waiting === null ? null : decodeRecord<Delivery>(waiting.value)
    const held = present?.subject.kind === 'names' ? present.subject.levels : {}
    const levels = merged(held, due)
    const nowMs = now()
    const fresh = freshDelivery(notifier, idOfNames(notifier.id, notifier.generation, levels), { kind: 'names', levels }, nowMs)
    if (present === null || waiting === null) return putDelivery(at, { ...fresh, dueAtMs: nowMs + gatherMs }, 'absent')
    const { leasedUntilMs, notBeforeMs, lastFailure } = present
    const isUnderWay = leasedUntilMs > nowMs
    return putDelivery(at, {
      ...fresh,
      attempts: isUnderWay ? present.attempts : 0,
      leasedUntilMs,
      notBeforeMs,
      lastFailure,
      dueAtMs: isUnderWay ? present.dueAtMs : Math.max(Math.min(present.dueAtMs, nowMs + gatherMs), notBeforeMs)
    }, waiting.stamp)
  }

  async function tellSome (notifier: Notifier): Promise<number> {
    const at = toldKey(notifier.id)
    const [entry, waiting] = await store.get([at, deliveryKey(notifier.id, namesLeaf)])
    const told: Told = entry ? decodeRecord<Told>(entry.value) : { generation: notifier.generation, levels: {} }
    // Another broker knows the notifier as it is now.
    if (told.generation > notifier.generation) return 0
    const isAnew = told.generation < notifier.generation
    const known = isAnew ? Object.fromEntries(Object.keys(told.levels).map((accessor) => [accessor, -1])) : told.levels
    const due = dueLevels(notifier, known)
    const count = Object.keys(due).length
    if (count === 0) return 0
    const kept = Object.entries(known).filter(([accessor]) => mounts.byAccessor(accessor) !== null)
    const next: Told = { generation: notifier.generation, levels: { ...Object.fromEntries(kept), ...due } }
    await store.commit([
      { op: 'put', key: at, value: encodeRecord(next), expect: entry?.stamp ?? 'absent' },
      ...changesFor(notifier, told, due, waiting ?? null)
    ])
    return count
  }

  return {
    /** Answers of how many mounts there was something to tell. */
    async tell (notifier: Notifier): Promise<number> {
      if (!notifier.enabled || !notifier.events.includes('rotation')) return 0
      let written = 0
      for (;;) {
        const count = await retryConflicts(() => tellSome(notifier))
        written += count
        if (count < batchMax) return written
      }
    }
  }
}
