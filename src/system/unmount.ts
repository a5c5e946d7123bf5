import { drawShard } from '../core/ids.ts'
import type { Mount } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, type Entry, type Store } from '../core/store.ts'
import { wipeMount } from '../mounts/mount-store.ts'
import type { MountTable } from '../mounts/mount-table.ts'

export interface UnmountOptions {
  readonly store: Store
  readonly mounts: MountTable
  /** Ends the leases that a mount's engine made, or the tokens that its logins made. Repeatable. */
  readonly endMount: (mount: Mount) => Promise<unknown>
}

/** What a mount still owes after it was taken out of the table. */
interface Unmounting {
  readonly mount: Mount
  readonly untilMs: number
}

/** Longer than a broker's table may be old and a request may take: what was made meanwhile is found then. */
const secondLookMs = 120_000

/**
 * Takes a mount away. First it is marked, so that requests are refused; then what it made is ended
 * and its data removed; then it leaves the table, and its path is free. A durable note, written
 * first, makes any broker finish what a crash left, and look once more after other brokers have
 * certainly noticed (contract 5.1).
 */
export function createUnmount ({ store, mounts, endMount }: UnmountOptions) {
  async function clear (mount: Mount): Promise<void> {
    await endMount(mount)
    await wipeMount(store, mount.accessor)
  }

  return {
    async unmount (mount: Mount, nowMs: number): Promise<void> {
      const shard = drawShard()
      await store.commit([{
        op: 'put',
        key: key(shard, `unmount/${mount.accessor}`),
        value: encodeRecord({ mount, untilMs: nowMs + secondLookMs } satisfies Unmounting),
        dueAtMs: nowMs + secondLookMs
      }], { strong: true })
      await mounts.update(mount.accessor, (present) => ({ ...present, state: 'disabling' }))
      await clear(mount)
      await mounts.remove(mount.accessor)
    },

    /** The sweeper's handler for mounts that are due for the second look. */
    async finish (entries: readonly Entry[]): Promise<void> {
      for (const entry of entries) {
        const { mount } = decodeRecord<Unmounting>(entry.value)
        const present = mounts.byAccessor(mount.accessor)
        // A note whose mount was never marked: the broker died in between, and nothing was answered.
        if (present === null || present.state === 'disabling') {
          await clear(mount)
          await mounts.remove(mount.accessor)
        }
        await store.commit([{ op: 'delete', key: entry.key }])
      }
    }
  }
}
