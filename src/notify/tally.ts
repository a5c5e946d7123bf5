import type { Notifier } from './notifier.ts'

const whats = ['delivered', 'failed', 'dead', 'dropped'] as const

export type Counted = typeof whats[number]

/** What became of deliveries since this process began, by the notifier's type; and how many wait. */
export interface Tally {
  count (what: Counted, type: Notifier['type'], number?: number): void
  of (what: Counted): ReadonlyMap<string, number>
  /** How many wait in the store, as it was last looked at. */
  readonly pending: Map<Notifier['type'], number>
}

export function createTally (): Tally {
  const counts = new Map(whats.map((what) => [what, new Map<string, number>()]))
  const of = (what: Counted) => counts.get(what) ?? new Map<string, number>()
  return {
    count (what, type, number = 1) {
      of(what).set(type, (of(what).get(type) ?? 0) + number)
    },
    of,
    pending: new Map()
  }
}
