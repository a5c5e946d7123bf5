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
  /** Looks once. Call it at start and every 500 ms. */
  poll (): Promise<void>
}

export function createRevision ({ store }: { store: Store }): Revision {
  const followers: (() => Promise<void>)[] = []
  let seen: Stamp | null = null
  let reloading: Promise<void> = Promise.resolve()

  async function reload (stamp: Stamp | null) {
    for (const follower of followers) await follower()
    seen = stamp
  }

  /** One at a time: a reload that began before a change must not be the last word after it. */
  function reloadNext (stamp: Stamp | null): Promise<void> {
    reloading = reloading.catch(() => {}).then(() => reload(stamp))
    return reloading
  }

  return {
    async commit (changes) {
      const stamp = drawStamp()
      await store.commit([...changes, { op: 'put', key: revisionKey, value: encodeRecord({}), stamp }], { strong: true })
      await reloadNext(stamp)
    },
    follow (follower) { followers.push(follower) },
    async poll () {
      const [entry] = await store.get([revisionKey])
      const stamp = entry?.stamp ?? null
      if (stamp === null || stamp !== seen) await reloadNext(stamp)
    }
  }
}
