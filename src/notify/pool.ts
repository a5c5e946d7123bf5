import type { Key } from '../core/store.ts'

export interface PoolOptions {
  /** Attempts at once, in all and of one notifier. */
  readonly all: number
  readonly each: number
  /** Keys that wait for one notifier; what is beyond them comes due again by itself. */
  readonly waitingMax: number
  /** How long nothing is begun after something could not be dealt with. */
  readonly pauseMs: number
  /** Whether it was dealt with; else it is taken up again after a pause, with the others. Never throws. */
  readonly run: (key: Key) => Promise<boolean>
}

interface Lane {
  readonly waiting: Key[]
  running: number
}

/**
 * Attempts deliveries beside the sweep that found them due, a few at once, in turns between
 * notifiers: an endpoint that is slow keeps those behind it waiting, and nobody else.
 */
export function createPool ({ all, each, waitingMax, pauseMs, run }: PoolOptions) {
  const lanes = new Map<string, Lane>()
  /** `again`: it came due anew while an attempt was ending, and nobody else will look before its claim runs out. */
  const inHand = new Map<Key, 'waiting' | 'running' | 'again'>()
  let running = 0
  let stopped = false
  let paused = false
  let idle = () => {}

  function start (notifierId: string, lane: Lane, key: Key): void {
    running++
    lane.running++
    inHand.set(key, 'running')
    void run(key).then((isDealtWith) => {
      running--
      lane.running--
      const isAgain = inHand.get(key) === 'again'
      inHand.delete(key)
      if (!isDealtWith) pause()
      if (isAgain || !isDealtWith) enqueue(notifierId, lane, key)
      if (lane.running === 0 && lane.waiting.length === 0) lanes.delete(notifierId)
      fill()
      if (running === 0) idle()
    })
  }

  function pause (): void {
    if (paused) return
    paused = true
    setTimeout(() => {
      paused = false
      fill()
    }, pauseMs).unref()
  }

  function enqueue (notifierId: string, lane: Lane, key: Key): void {
    if (stopped || lane.waiting.length >= waitingMax) return
    lanes.set(notifierId, lane)
    lane.waiting.push(key)
    inHand.set(key, 'waiting')
  }

  /** Gives each notifier that has room one attempt, again and again, until there is none left to give. */
  function fill (): void {
    for (let given = true; given && !stopped && !paused;) {
      given = false
      for (const [notifierId, lane] of [...lanes]) {
        if (running >= all) return
        const key = lane.running < each ? lane.waiting.shift() : undefined
        if (key === undefined) continue
        start(notifierId, lane, key)
        given = true
        // The next round begins behind those that got one.
        lanes.delete(notifierId)
        lanes.set(notifierId, lane)
      }
    }
  }

  return {
    /** Takes a delivery in hand, unless it waits; one that is under way is looked at once more after it. */
    take (notifierId: string, key: Key): void {
      const known = inHand.get(key)
      if (known === 'running') inHand.set(key, 'again')
      if (known !== undefined) return
      enqueue(notifierId, lanes.get(notifierId) ?? { waiting: [], running: 0 }, key)
      fill()
    },
    /** Begins nothing more, and resolves when nothing is under way. */
    async stop (): Promise<void> {
      stopped = true
      if (running > 0) await new Promise<void>((resolve) => { idle = resolve })
    }
  }
}
