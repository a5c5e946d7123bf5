import { drawShard } from '../core/ids.ts'
import type { Mount } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { key, type Entry, type Key, type Put, type Store } from '../core/store.ts'
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

/** Longer than a broker's table may be old: what others made by an older one is found then. */
const secondLookMs = 3000
/** Longer than a request may take: what those under way made is found then. */
const lastLookMs = 120_000

/**
 * Takes a mount away. First it is marked, so that requests are refused; then what it made is ended
 * and its data removed; then it leaves the table, and its path is free. A durable note, written
 * first, makes any broker finish what a crash left, look again after other brokers have certainly
 * noticed, and a last time when no request can be under way any more (contract 5.1).
 */
export function createUnmount ({ store, mounts, endMount }: UnmountOptions) {
  async function clear (mount: Mount): Promise<void> {
    await endMount(mount)
    await wipeMount(store, mount.accessor)
  }

  function putNote (noteKey: Key, note: Unmounting, dueAtMs: number): Put {
    return { op: 'put', key: noteKey, value: encodeRecord(note), dueAtMs }
  }

  return {
    async unmount (mount: Mount, nowMs: number): Promise<void> {
      const noteKey = key(drawShard(), `unmount/${mount.accessor}`)
      const note = putNote(noteKey, { mount, untilMs: nowMs + lastLookMs }, nowMs + secondLookMs)
      await store.commit([note], { strong: true })
      await mounts.update(mount.accessor, (present) => ({ ...present, state: 'disabling' }))
      await clear(mount)
      await mounts.remove(mount.accessor)
    },

    /** The sweeper's handler for mounts that are due to be looked at again. */
    async finish (entries: readonly Entry[], nowMs: number): Promise<void> {
      for (const entry of entries) {
        const note = decodeRecord<Unmounting>(entry.value)
        const { mount, untilMs } = note
        const present = mounts.byAccessor(mount.accessor)
        // A note whose mount is not marked by its end: the broker died in between, and nothing was answered.
        if (present === null || present.state === 'disabling') await clear(mount)
        if (present?.state === 'disabling') await mounts.remove(mount.accessor)
        await store.commit([nowMs < untilMs ? putNote(entry.key, note, untilMs) : { op: 'delete', key: entry.key }])
      }
    }
  }
}
