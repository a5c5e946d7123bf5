import { performance } from 'node:perf_hooks'
import type { Clock } from '../core/clock.ts'
import { key, StoreConflict, StoreUnknown, SYS, type Stamp, type Store } from '../core/store.ts'

const MARK = key(SYS, 'clock')
const MARK_EVERY_MS = 5000
/** Part of the time that passes by which a clock that is ahead goes slower. */
const SLEW = 0.01

/** The store's time, as brokers share it. */
export interface StoreClock extends Clock {
  /**
   * Follows the store's time again and stores how far it has come, at most every 5 s. To be called
   * at start, after a reconnect and every few seconds.
   */
  follow (): Promise<void>
}

/**
 * A clock that runs by the monotonic clock of this process from the store's time, and never goes
 * back, even when the store's clock does and the process starts again: the highest time that was
 * seen is kept in the store (FLT-060). The step that a restart can repeat is at most 5 s. While it
 * is ahead of the store it goes on, by a hundredth slower, so that what is to end still ends.
 *
 * @throws StoreUnavailable when the store cannot be read.
 */
export async function openStoreClock ({ store }: { readonly store: Store }): Promise<StoreClock> {
  let offsetMs = Number.NEGATIVE_INFINITY
  let highestMs = 0
  let followedMs = performance.now()
  let markedMs = Number.NEGATIVE_INFINITY

  function now (): number {
    const nowMs = Math.floor(performance.now() + offsetMs)
    if (nowMs > highestMs) highestMs = nowMs
    return highestMs
  }

  async function follow () {
    const { clockOffsetMs } = await store.inspect()
    const nowMs = performance.now()
    offsetMs = Math.max(clockOffsetMs, offsetMs - SLEW * (nowMs - followedMs))
    followedMs = nowMs
    if (nowMs - markedMs < MARK_EVERY_MS) return
    await mark()
    markedMs = nowMs
  }

  /** Raises the mark, or this clock to the mark; another broker's newer mark is as good as ours. */
  async function mark () {
    const { atMs, stamp } = await readMark()
    offsetMs = Math.max(offsetMs, atMs - performance.now())
    const nowMs = now()
    if (nowMs <= atMs) return
    const value = Buffer.from(String(nowMs))
    try {
      await store.commit([{ op: 'put', key: MARK, value, expect: stamp ?? 'absent' }])
    } catch (error) {
      if (!(error instanceof StoreConflict || error instanceof StoreUnknown)) throw error
    }
  }

  async function readMark (): Promise<{ atMs: number, stamp: Stamp | null }> {
    const [entry] = await store.get([MARK])
    if (entry === null || entry === undefined) return { atMs: 0, stamp: null }
    const atMs = Number(Buffer.from(entry.value).toString('utf8'))
    if (!Number.isSafeInteger(atMs)) throw new Error('the time mark of the store is damaged')
    return { atMs, stamp: entry.stamp }
  }

  await follow()
  return { now, follow }
}
