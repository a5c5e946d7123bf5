import type { RandomSource } from './state/random.ts'

/** What goes wrong. `effect` says on which side of the action; README has the table. */
export type FaultKind =
  'throttle' | 'error' | 'slow' | 'hang' | 'reset' | 'malformed-xml' | 'truncated' | 'empty' | 'html' |
  'redirect' | 'clock-skew'

/** Which requests a fault hits; every given member must agree. */
export interface FaultMatch {
  readonly service?: string
  readonly action?: string
  readonly region?: string
  readonly accessKeyId?: string
  readonly accountId?: string
  readonly roleArn?: string
  readonly sessionName?: string
}

/** A fault as it is asked for. */
export interface FaultRequest {
  readonly kind: FaultKind
  readonly match?: FaultMatch
  /** How many requests it hits; 1 unless given, null for all. */
  readonly count?: number | null
  /** How many matching requests pass before it begins. */
  readonly skip?: number
  /** Chance of hitting a matching request, 0 to 1, from the emulator's seed. */
  readonly probability?: number
  /** Whether the action takes effect first (`after`) or not at all (`before`). */
  readonly effect?: 'before' | 'after'
  /** slow: how long; other kinds: waited before the fault shows. */
  readonly delayMs?: number
  readonly jitterMs?: number
  /** error, redirect: the HTTP status. */
  readonly status?: number
  /** error, throttle: AWS's code. */
  readonly code?: string
  readonly message?: string
  /** redirect: where to. */
  readonly location?: string
  /** clock-skew: how far the emulator's clock seems ahead. */
  readonly skewMs?: number
}

export interface Fault extends FaultRequest {
  readonly id: string
  readonly match: FaultMatch
  readonly effect: 'before' | 'after'
  /** Requests it has hit. */
  readonly hits: number
  /** Requests it will still hit; null for all. */
  readonly left: number | null
}

/** What is known of a request when faults are chosen. */
export interface FaultSubject {
  readonly service: string
  readonly action: string
  readonly region: string
  readonly accessKeyId: string
  readonly accountId: string
  readonly roleArn: string | undefined
  readonly sessionName: string | undefined
}

export interface Faults {
  add (request: FaultRequest): Fault
  list (): readonly Fault[]
  remove (id: string): boolean
  clear (): void
  /** The first fault that hits this request, used up by one; null for none. */
  take (subject: FaultSubject): Fault | null
  /** How long a slow fault waits. */
  delayOf (fault: Fault): number
}

interface Slot {
  fault: Fault
  skipLeft: number
}

const kindsWithEffect: ReadonlySet<FaultKind> = new Set(['slow', 'malformed-xml', 'truncated', 'empty', 'html', 'clock-skew'])

const slotsMax = 1000

/** Faults in the order in which they were asked for. One that is used up stays listed for a while, with none left. */
export function createFaults (random: RandomSource): Faults {
  const slots: Slot[] = []
  let sequence = 0

  return {
    add (request) {
      const fault: Fault = {
        ...request,
        id: `fault-${++sequence}`,
        match: request.match ?? {},
        effect: request.effect ?? (kindsWithEffect.has(request.kind) ? 'after' : 'before'),
        hits: 0,
        left: request.count === undefined ? 1 : request.count
      }
      if (slots.length >= slotsMax) {
        const used = slots.findIndex((slot) => slot.fault.left === 0)
        if (used !== -1) slots.splice(used, 1)
      }
      slots.push({ fault, skipLeft: request.skip ?? 0 })
      return fault
    },
    list: () => slots.map(({ fault }) => fault),
    remove (id) {
      const index = slots.findIndex(({ fault }) => fault.id === id)
      if (index !== -1) slots.splice(index, 1)
      return index !== -1
    },
    clear () { slots.length = 0 },
    take (subject) {
      for (const slot of slots) {
        const { fault } = slot
        if (fault.left === 0 || !agrees(fault.match, subject)) continue
        if (slot.skipLeft > 0) {
          slot.skipLeft--
          continue
        }
        if (fault.probability !== undefined && random.fraction() >= fault.probability) continue
        slot.fault = { ...fault, hits: fault.hits + 1, left: fault.left === null ? null : fault.left - 1 }
        return slot.fault
      }
      return null
    },
    delayOf: ({ delayMs = 0, jitterMs = 0 }) => delayMs + Math.floor(random.fraction() * jitterMs)
  }
}

function agrees (match: FaultMatch, subject: FaultSubject): boolean {
  return (match.service === undefined || match.service === subject.service) &&
    (match.action === undefined || match.action === subject.action) &&
    (match.region === undefined || match.region === subject.region) &&
    (match.accessKeyId === undefined || match.accessKeyId === subject.accessKeyId) &&
    (match.accountId === undefined || match.accountId === subject.accountId) &&
    (match.roleArn === undefined || match.roleArn === subject.roleArn) &&
    (match.sessionName === undefined || match.sessionName === subject.sessionName)
}
