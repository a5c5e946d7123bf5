/** Limits of calls to one upstream. */
export interface InFlightLimits {
  readonly inFlightMax: number
  /** Of them for one key: what one slow account can hold back. */
  readonly perKeyMax: number
  readonly waitingMax: number
  readonly waitMs: number
}

interface Waiter {
  readonly key: string
  readonly start: () => void
}

/** No place came free in time, or too many wait: nothing was begun. */
export class Overloaded extends Error {
  override readonly name = 'Overloaded'
}

/**
 * Runs at most so many works at a time, at most so many of one key, first come first served among
 * those that may start. So hung calls stop neither other keys nor the process (FLT-050, FLT-052).
 */
export function createInFlight ({ inFlightMax, perKeyMax, waitingMax, waitMs }: InFlightLimits) {
  const running = new Map<string, number>()
  const waiting: Waiter[] = []
  let total = 0

  function mayStart (key: string): boolean {
    return total < inFlightMax && (running.get(key) ?? 0) < perKeyMax
  }

  function begin (key: string): void {
    total++
    running.set(key, (running.get(key) ?? 0) + 1)
  }

  function end (key: string): void {
    total--
    const left = (running.get(key) ?? 1) - 1
    if (left > 0) running.set(key, left)
    else running.delete(key)
    const next = waiting.findIndex((waiter) => mayStart(waiter.key))
    const [waiter] = next === -1 ? [] : waiting.splice(next, 1)
    waiter?.start()
  }

  function place (key: string): Promise<void> {
    if (mayStart(key)) {
      begin(key)
      return Promise.resolve()
    }
    if (waiting.length >= waitingMax) return Promise.reject(new Overloaded('too many calls to AWS are waiting'))
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        waiting.splice(waiting.indexOf(waiter), 1)
        reject(new Overloaded('no call to AWS could be started in time'))
      }, waitMs)
      const waiter: Waiter = {
        key,
        start () {
          clearTimeout(timer)
          begin(key)
          resolve()
        }
      }
      waiting.push(waiter)
    })
  }

  return {
    /** @throws Overloaded where the work was not begun, and whatever the work throws. */
    async run<T> (key: string, work: () => Promise<T>): Promise<T> {
      await place(key)
      try {
        return await work()
      } finally {
        end(key)
      }
    }
  }
}
