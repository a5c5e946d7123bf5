import { randomInt } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { BrokerError } from './errors.ts'
import { StoreConflict } from './store.ts'

const attemptsMax = 30
const pauseMsMax = 50

/**
 * Does a change by compare-and-set again when it lost to another writer. `attempt` starts from its
 * reading each time, after a pause at random that grows, so that of many at once each has its turn.
 *
 * @throws BrokerError `unavailable` when others were faster every time; else what `attempt` throws.
 */
export async function retryConflicts<T> (attempt: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts++) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof StoreConflict)) throw error
      if (attempts === attemptsMax) throw new BrokerError('unavailable', 'others keep changing the same thing', { cause: error })
      await pause(randomInt(0, 1 + Math.min(pauseMsMax, 2 ** attempts)))
    }
  }
}
