import type { Json, JsonObject } from './json.ts'

/** Something that happened and that others may want to know. Holds no secret and no name that rotates. */
export type BrokerEvent = RotationEvent | TripwireEvent | LeaseEvent | LoginFailureEvent | AuditEvent

export type EventType = BrokerEvent['type']

export const eventTypes: readonly EventType[] = ['rotation', 'tripwire', 'lease', 'login-failure', 'audit-degraded']

/** A mount has another name. */
export interface RotationEvent {
  readonly type: 'rotation'
  /** The mount's own request path: `aws`, `auth/approle`. */
  readonly mount: string
  readonly slot: number
  readonly cause: 'schedule' | 'manual' | 'key' | 'settings'
  /** Seconds for which the former name still answers. */
  readonly graceSeconds: number
}

/** Somebody used a name that a mount had before. */
export interface TripwireEvent {
  readonly type: 'tripwire'
  readonly mount: string
  /** `inside`: the name still answers. `outside`: it is retired, and was answered like any unknown path. */
  readonly grace: 'inside' | 'outside'
  /** How many rotations ago it was the present name. */
  readonly slotsAgo: number
  /** Seconds since it was replaced. */
  readonly ageSeconds: number
  /** Whether this client was seen to use the name while it was good: late, rather than a stranger. */
  readonly knownClient: boolean
  readonly tokenAccessor: string | null
  readonly role: string | null
  readonly secretIdAccessor: string | null
  readonly address: string
  /** What the broker does about it. */
  readonly reaction: 'none' | 'log' | 'webhook' | 'revoke-token' | 'revoke-secret-id'
}

/** A credential was leased, or a lease ended. */
export interface LeaseEvent {
  readonly type: 'lease'
  readonly change: 'issued' | 'revoked'
  readonly mount: string
  readonly leaseId: string
}

/** A login was refused. */
export interface LoginFailureEvent {
  readonly type: 'login-failure'
  readonly mount: string
  readonly address: string
}

/** An audit device fails, or works again. */
export interface AuditEvent {
  readonly type: 'audit-degraded'
  readonly device: string
  readonly failing: boolean
}

/** What others are told of an event: all but its type, by names like those of the API. */
export function eventData (event: BrokerEvent): JsonObject {
  const { type: _type, ...rest } = event
  const members = Object.entries(rest satisfies Readonly<Record<string, Json>>)
  return Object.fromEntries(members.map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]))
}

/** An event as subscribers get it. */
export interface Published {
  /** Counts the events of this process; a gap is events that this subscriber was too slow for. */
  readonly id: number
  readonly atMs: number
  readonly event: BrokerEvent
}

/** What comes to one subscriber, oldest first, until it is closed. */
export interface Subscription extends AsyncIterable<Published> {
  /** Events that were dropped because nobody took them in time. */
  dropped (): number
  close (): void
}

/** Who tells of events. Never throws, never waits. */
export type Publish = (event: BrokerEvent) => void

/** The one stream of events of this process. */
export interface EventStream {
  publish: Publish
  /**
   * Each subscriber has a buffer of its own, for events of the types that it chose, or of all; when it
   * is full the oldest event goes.
   */
  subscribe (types?: readonly string[] | null): Subscription
  /** Ends all subscriptions, and lets no more begin. */
  close (): void
}

/** Events that wait for one subscriber. */
const bufferMax = 1000

/** Makes the stream. Without subscribers `publish` counts and does nothing else. */
export function createEventStream ({ now }: { readonly now: () => number }): EventStream {
  const subscribers = new Set<(published: Published) => void>()
  const closers = new Set<() => void>()
  let id = 0
  let closed = false

  function subscribe (types: readonly string[] | null = null): Subscription {
    const buffer: Published[] = []
    let dropped = 0
    let done = closed
    let wake = () => {}

    const take = (published: Published) => {
      if (types !== null && !types.includes(published.event.type)) return
      if (buffer.length >= bufferMax) {
        buffer.shift()
        dropped++
      }
      buffer.push(published)
      wake()
    }
    const close = () => {
      done = true
      subscribers.delete(take)
      closers.delete(close)
      wake()
    }
    if (!done) {
      subscribers.add(take)
      closers.add(close)
    }
    return {
      dropped: () => dropped,
      close,
      async * [Symbol.asyncIterator] () {
        for (;;) {
          const next = done ? undefined : buffer.shift()
          if (next !== undefined) yield next
          else if (done) return
          else await new Promise<void>((resolve) => { wake = resolve })
        }
      }
    }
  }

  return {
    publish (event) {
      id++
      if (subscribers.size === 0) return
      const published = { id, atMs: now(), event }
      for (const take of subscribers) take(published)
    },
    subscribe,
    close () {
      closed = true
      for (const close of closers) close()
    }
  }
}
