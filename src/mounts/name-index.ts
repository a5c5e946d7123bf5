import type { MountStore } from '../core/backend.ts'
import { invalidRequest } from '../core/errors.ts'
import { isoTime } from '../core/iso-time.ts'
import type { JsonObject } from '../core/json.ts'
import { requestPrefix, type Mount } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { retryConflicts } from '../core/retry.ts'
import type { Revision } from '../core/revision.ts'
import { key, SYS, type Change, type Stamp, type Store } from '../core/store.ts'
import type { MountTable } from './mount-table.ts'

/** Keys of a mount that the broker itself writes. */
export interface KeptKeys {
  /** Writes what `decide` says of what a key holds; null: leaves it. Repeatable. */
  keep (at: KeptIn, path: string, decide: (held: JsonObject | null) => JsonObject | null): Promise<void>
  /** Removes a key with all its versions. Repeatable. */
  remove (at: KeptIn, path: string): Promise<void>
}

interface KeptIn { readonly store: MountStore, readonly nowMs: number }

export interface NameIndexOptions {
  readonly store: Store
  readonly revision: Revision
  readonly mounts: MountTable
  readonly keys: KeptKeys
  readonly now: () => number
}

/** Which mount holds the index. */
interface IndexRecord {
  readonly accessor: string
  /** Every key that may have been written: noted before it is, forgotten after it was removed. */
  readonly paths: readonly string[]
  /** All that was written is to be removed, and this record after it. */
  readonly isEnding: boolean
}

interface Found { readonly record: IndexRecord, readonly stamp: Stamp }

const recordKey = key(SYS, 'name-index')

/**
 * A mount of keys and values that the broker keeps written with the present names of all mounts that
 * rotate, each under the mount's own path. Whoever may read a key there learns that name.
 *
 * It follows what the table of mounts says and not what happened, so that whichever broker looks next
 * writes what a broker that died left out.
 */
export interface NameIndex {
  /** The mount that holds it; null: none was chosen, or it is gone. */
  mount (): Promise<Mount | null>
  /** Chooses the mount, and writes. @throws BrokerError `invalid_request` where another one holds the index. */
  choose (mount: Mount): Promise<void>
  /** Removes what was written, and writes no more. */
  end (): Promise<void>
  /** Makes every key right; call it when mounts changed, and every second: what a call leaves undone the next one does. */
  write (): Promise<void>
  /** The same, also where a key was right when this broker last looked: somebody may have written it. */
  verify (): Promise<void>
}

export function createNameIndex (options: NameIndexOptions): NameIndex {
  const { store, mounts, keys, now } = options
  /** What this broker knows to be written, by path; of one mount. */
  let known = { accessor: '', entries: new Map<string, string>() }
  let working: Promise<void> = Promise.resolve()

  async function find (): Promise<Found | null> {
    const [entry] = await store.get([recordKey])
    return entry ? { record: decodeRecord<IndexRecord>(entry.value), stamp: entry.stamp } : null
  }

  const put = (record: IndexRecord, expect: Stamp | 'absent'): Change =>
    ({ op: 'put', key: recordKey, value: encodeRecord(record), expect })

  const within = (accessor: string): KeptIn => ({ store: mounts.storeOf({ accessor }), nowMs: now() })

  /** The mounts whose names are told: those that rotate, and those that did. */
  const listed = () => mounts.all().filter(({ rotation }) => rotation !== null)

  async function bring (): Promise<void> {
    const found = await find()
    if (found === null) return
    const { record: { accessor, isEnding } } = found
    const holder = mounts.byAccessor(accessor)
    if (holder !== null && holder.state !== 'live') return
    if (known.accessor !== accessor) known = { accessor, entries: new Map() }
    if (isEnding || holder === null) return remove(found, () => true)
    await note(found)
    const written = []
    for (const mount of listed()) {
      if (mount.state === 'live' && await bringOne(accessor, mount)) written.push(ownPath(mount))
    }
    await forget(written)
  }

  /** Notes the keys that are about to be written. */
  async function note ({ record, stamp }: Found): Promise<void> {
    const fresh = listed().map(ownPath).filter((path) => !record.paths.includes(path))
    if (fresh.length > 0) await store.commit([put({ ...record, paths: [...record.paths, ...fresh] }, stamp)])
  }

  /** @returns whether it may have been written. */
  async function bringOne (accessor: string, mount: Mount): Promise<boolean> {
    const path = ownPath(mount)
    const entry = entryOf(mount, mounts.presentName(mount))
    const text = JSON.stringify(entry)
    if (entry === null || known.entries.get(path) === text) return false
    // Another broker that heard of an advance first has written a later slot.
    await keys.keep(within(accessor), path, (held) => isAhead(held, mount) ? null : entry)
    known.entries.set(path, text)
    return true
  }

  /** Removes the keys of mounts that are gone or have another path, and what was written while the index ended. */
  async function forget (written: readonly string[]): Promise<void> {
    const found = await find()
    if (found === null || found.record.accessor !== known.accessor) {
      for (const path of written) await removeOne(known.accessor, path)
      return
    }
    const isGone = (path: string) => found.record.isEnding || !listed().some((mount) => ownPath(mount) === path)
    if (!found.record.paths.some(isGone)) return
    // This broker may be the one that does not know yet of a mount that another one has made.
    await mounts.load()
    await remove(found, isGone)
  }

  async function remove ({ record, stamp }: Found, isGone: (path: string) => boolean): Promise<void> {
    for (const path of record.paths.filter(isGone)) await removeOne(record.accessor, path)
    const paths = record.paths.filter((path) => !isGone(path))
    const isOver = record.isEnding || mounts.byAccessor(record.accessor) === null
    if (isOver) await store.commit([{ op: 'delete', key: recordKey, expect: stamp }])
    else if (paths.length < record.paths.length) await store.commit([put({ ...record, paths }, stamp)])
  }

  async function removeOne (accessor: string, path: string): Promise<void> {
    known.entries.delete(path)
    if (mounts.byAccessor(accessor) !== null) await keys.remove(within(accessor), path)
  }

  /** One pass at a time. */
  function pass (work: () => Promise<void>): Promise<void> {
    working = working.catch(() => {}).then(() => retryConflicts(work))
    return working
  }

  return {
    async mount () {
      const found = await find()
      return found === null || found.record.isEnding ? null : mounts.byAccessor(found.record.accessor)
    },
    choose: ({ accessor }) => retryConflicts(async () => {
      const found = await find()
      if (found?.record.accessor === accessor && !found.record.isEnding) return
      if (found !== null) throw invalidRequest('another mount holds the names: remove that setting first')
      await options.revision.commit([put({ accessor, paths: [], isEnding: false }, 'absent')])
    }),
    end: () => retryConflicts(async () => {
      const found = await find()
      if (found !== null) await options.revision.commit([put({ ...found.record, isEnding: true }, found.stamp)])
    }),
    write: () => pass(bring),
    verify: () => pass(async () => {
      known.entries.clear()
      await bring()
    })
  }
}

const ownPath = (mount: Mount) => requestPrefix(mount).slice(0, -1)

/** What a key of the index holds; null where the name's key was destroyed. */
function entryOf (mount: Mount, name: string | null): JsonObject | null {
  const { accessor, rotation } = mount
  if (name === null || rotation === null) return null
  return {
    path: ownPath(mount),
    name,
    mount_accessor: accessor,
    slot: rotation.slot,
    rotating: rotation.enabled,
    rotated_time: isoTime(rotation.startedAtMs)
  }
}

function isAhead (held: JsonObject | null, { accessor, rotation }: Mount): boolean {
  const slot = held?.['slot']
  return held?.['mount_accessor'] === accessor && typeof slot === 'number' && slot > (rotation?.slot ?? 0)
}
