/** Wall-clock time. `Date` satisfies it; the broker's own follows the store's time. */
export interface Clock {
  /** Milliseconds since the Unix epoch, UTC. */
  now (): number
}
