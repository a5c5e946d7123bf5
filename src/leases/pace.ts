import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Holds background work to a rate, so that requests are served beside it: each call waits until
 * `count` more of them are due, and always lets the event loop turn.
 */
export function createPace (perSecond: number): (count: number) => Promise<void> {
  let freeAtMs = 0
  return async (count) => {
    const nowMs = performance.now()
    freeAtMs = Math.max(freeAtMs, nowMs) + count * 1000 / perSecond
    await sleep(freeAtMs - nowMs)
  }
}
