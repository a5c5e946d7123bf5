import { encodeRecord } from './records.ts'
import { drawStamp, key, SYS, type Change, type Stamp, type Store } from './store.ts'

const revisionKey = key(SYS, 'revision')

/**
 * Keeps what every broker holds in memory (mounts, policies) in step through one record of the
 * store: whoever changes something writes it too, and a broker whose last seen stamp differs
 * reloads. `commit` returns after this broker's own reload, so that a change is true here at once
 * and elsewhere after the next poll (SEC-032, SEC-375).
 */
export interface Revision {
  /** Applies changes of the `sys` shard and tells everybody. @throws StoreConflict as the store does. */
  commit (changes: readonly Change[]): Promise<void>
  /** Registers what to reload; called at once by `poll` when something changed. */
  follow (reload: () => Promise<void>): void
  /** Looks once; calls that meet share a look. Call it at start and every 500 ms. */
  poll (): Promise<void>
  /** Whether what is held in memory was true within the last second. */
  isFresh (): boolean
  /**
   * To be called before anything is decided by what is held in memory: looks where the last look that
   * succeeded is more than a second old, so that a broker which is cut off from the store, or
   * cannot read what changed, decides nothing (FLT-063, FLT-068).
   * @throws what the store throws
   */
  freshen (): Promise<void> | undefined
}

export interface RevisionOptions {
  readonly store: Store
  /** Monotonic time, milliseconds. */
  readonly monotonicMs?: () => number
}

/** How old what is held in memory may be when something is decided by it (SEC-375). */
const staleMs = 1000

export function createRevision ({ store, monotonicMs = () => performance.now() }: RevisionOptions): Revision {
  const followers: (() => Promise<void>)[] = []
  let seen: Stamp | null = null
  let reloading: Promise<void> = Promise.resolve()
  let polling: Promise<void> | null = null
  /** Before the last look that succeeded. */
  let trueAtMs = Number.NEGATIVE_INFINITY

  async function reload (stamp: Stamp | null) {
    for (const follower of followers) await follower()
    seen = stamp
  }

  /** One at a time: a reload that began before a change must not be the last word after it. */
  function reloadNext (stamp: Stamp | null): Promise<void> {
    reloading = reloading.catch(() => {}).then(() => reload(stamp))
    return reloading
  }

  async function look (): Promise<void> {
    const beganMs = monotonicMs()
    const [entry] = await store.get([revisionKey])
    const stamp = entry?.stamp ?? null
    if (stamp === null || stamp !== seen) await reloadNext(stamp)
    trueAtMs = beganMs
  }

  function poll (): Promise<void> {
    polling ??= look().finally(() => { polling = null })
    return polling
  }

  const isFresh = () => monotonicMs() - trueAtMs <= staleMs

  return {
    async commit (changes) {
      const stamp = drawStamp()
      await store.commit([...changes, { op: 'put', key: revisionKey, value: encodeRecord({}), stamp }], { strong: true })
      await reloadNext(stamp)
    },
    follow (follower) { followers.push(follower) },
    poll,
    isFresh,
    freshen: () => isFresh() ? undefined : poll()
  }
}
