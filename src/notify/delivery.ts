import { hash, randomInt } from 'node:crypto'
import type { EventType } from '../core/events.ts'
import type { JsonObject } from '../core/json.ts'
import type { Mount } from '../core/model.ts'
import { encodeRecord } from '../core/records.ts'
import { key, type Expect, type Key, type Put } from '../core/store.ts'

/**
 * How far a mount's name has come, by its accessor: grows with each slot, and when the mount is given
 * its own path back.
 */
export type Levels = Readonly<Record<string, number>>

/** What a delivery is about. Names are looked up when it is sent, and stand in no record. */
export type Subject =
  | { readonly kind: 'event', readonly type: EventType, readonly atMs: number, readonly data: JsonObject }
  | { readonly kind: 'names', readonly levels: Levels }

/** Something to tell, until it was told or given up. */
export interface Delivery {
  /** The same at every attempt, so that a receiver can tell a repeat. */
  readonly id: string
  readonly notifierId: string
  readonly notifierName: string
  readonly subject: Subject
  /** From when on attempts count. */
  readonly sinceMs: number
  readonly attempts: number
  /** When it is next to be attempted. */
  readonly dueAtMs: number
  /** Until when an attempt that was begun may be under way; 0: none is. */
  readonly leasedUntilMs: number
  /** Before this the receiver wants no attempt; 0: it did not say. */
  readonly notBeforeMs: number
  /** In plain words; null: there was none. */
  readonly lastFailure: string | null
}

/** A delivery that was given up. */
export interface DeadLetter {
  readonly id: string
  readonly notifierId: string
  readonly notifierName: string
  readonly subject: Subject
  readonly sinceMs: number
  readonly diedAtMs: number
  readonly attempts: number
  readonly failure: string
}

/** How long a delivery is attempted, and how often. */
const attemptsForMs = 86_400_000
const attemptsMax = 100
const backOffMsFirst = 5000
const backOffMsMax = 3_600_000

const shardOfNotifier = (notifierId: string) => notifierId.slice(0, 2)

/** The one delivery of a workspace: names of several mounts that change together are told together. */
export const namesLeaf = 'names'

/** Where deliveries of a notifier are listed. */
export const pendingPrefix = (notifierId: string) => `delivery/${notifierId}/`
export const deadPrefix = (notifierId: string) => `dead-letter/${notifierId}/`

export function deliveryKey (notifierId: string, leaf: string): Key {
  return key(shardOfNotifier(notifierId), pendingPrefix(notifierId) + leaf)
}

export function deadKey (notifierId: string, id: string): Key {
  return key(shardOfNotifier(notifierId), deadPrefix(notifierId) + id)
}

/** Where is kept how far a notifier was told of each mount. */
export function toldKey (notifierId: string): Key {
  return key(shardOfNotifier(notifierId), `told/${notifierId}`)
}

export function putDelivery (at: Key, delivery: Delivery, expect?: Expect): Put {
  const path = at.slice(at.indexOf(':') + 1)
  return {
    op: 'put', key: at, value: encodeRecord(delivery), dueAtMs: delivery.dueAtMs, names: [path], ...(expect !== undefined && { expect })
  }
}

/** A dead letter, listed with the oldest first. */
export function putDead (letter: DeadLetter): Put {
  const { notifierId, id, diedAtMs } = letter
  const name = `${deadPrefix(notifierId)}${String(diedAtMs).padStart(15, '0')}/${id}`
  return { op: 'put', key: deadKey(notifierId, id), value: encodeRecord(letter), names: [name] }
}

/** A delivery that nobody attempted yet. */
export function freshDelivery (
  notifier: { readonly id: string, readonly name: string }, id: string, subject: Subject, nowMs: number
): Delivery {
  return {
    id, notifierId: notifier.id, notifierName: notifier.name, subject, sinceMs: nowMs, attempts: 0, dueAtMs: nowMs,
    leasedUntilMs: 0, notBeforeMs: 0, lastFailure: null
  }
}

/** How far a mount's name has come; null: it never rotated. */
export function levelOf ({ rotation }: Pick<Mount, 'rotation'>): number | null {
  return rotation === null ? null : rotation.slot * 2 + (rotation.enabled ? 0 : 1)
}

/** An id that follows from what is told, so that brokers that both come to tell it say the same. */
export function idOfNames (notifierId: string, generation: number, levels: Levels): string {
  const parts = Object.keys(levels).sort().map((accessor) => `${accessor}=${levels[accessor] ?? 0}`)
  return `msg_${hash('sha256', [notifierId, generation, ...parts].join('\n'), 'base64url').replace(/[-_]/g, '').slice(0, 24)}`
}

/** The greater of each. */
export function merged (a: Levels, b: Levels): Levels {
  const all: Record<string, number> = { ...a }
  for (const [accessor, level] of Object.entries(b)) all[accessor] = Math.max(all[accessor] ?? level, level)
  return all
}

/** What of `levels` is beyond `told`. */
export function beyond (levels: Levels, told: Levels): Levels {
  return Object.fromEntries(Object.entries(levels).filter(([accessor, level]) => level > (told[accessor] ?? -1)))
}

/**
 * When the next attempt comes after `attempts` failed ones: at random below 5 s, doubling to an hour,
 * and not before the receiver said. null: it is given up.
 */
export function nextAttemptMs (
  { attempts, sinceMs }: Pick<Delivery, 'attempts' | 'sinceMs'>, nowMs: number, retryAfterMs: number | null
): number | null {
  const most = Math.min(backOffMsMax, backOffMsFirst * 2 ** Math.min(attempts - 1, 20))
  const atMs = nowMs + Math.max(randomInt(500, most), retryAfterMs ?? 0)
  return attempts >= attemptsMax || atMs > sinceMs + attemptsForMs ? null : atMs
}

/** A delivery of names after some were told: null where none is left. */
export function afterTold (delivery: Delivery, told: Levels, nowMs: number): Delivery | null {
  if (delivery.subject.kind !== 'names') return null
  const levels = beyond(delivery.subject.levels, told)
  if (Object.keys(levels).length === 0) return null
  return { ...delivery, subject: { kind: 'names', levels }, attempts: 0, leasedUntilMs: 0, sinceMs: nowMs, dueAtMs: nowMs }
}
