import type { MountStore } from '../core/backend.ts'
import { invalidRequest } from '../core/errors.ts'
import { isoTime } from '../core/iso-time.ts'
import type { JsonObject } from '../core/json.ts'
import { ownPath, type Mount } from '../core/model.ts'
import { retryConflicts } from '../core/retry.ts'
import type { Revision } from '../core/revision.ts'
import { StoreConflict, StoreUnavailable, type Store } from '../core/store.ts'
import { createIndexRecords, type FoundRecord } from './index-record.ts'
import type { MountTable } from './mount-table.ts'

/** Keys of a mount that the broker itself writes. */
export interface KeptKeys {
  /** Writes what `decide` says of what a key holds; null: leaves it. Repeatable. */
  keep (at: KeptIn, path: string, decide: (held: JsonObject | null) => JsonObject | null): Promise<void>
  /** Removes a key that is kept, or of somebody else's key the newest version if it is ours. Repeatable. */
  remove (at: KeptIn, path: string, isOurs: (held: JsonObject | null) => boolean): Promise<void>
}

interface KeptIn { readonly store: MountStore, readonly nowMs: number }

export interface NameIndexOptions {
  readonly store: Store
  readonly revision: Revision
  readonly mounts: MountTable
  readonly keys: KeptKeys
  readonly now: () => number
}

/** What stands under a key, and the mount that it was made of. */
interface Written { readonly mount: Mount, readonly text: string }

/** Tries to write a key whose text somebody keeps changing. */
const triesMax = 3

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
  /**
   * Makes every key right; call it when mounts changed, and every second: what a call leaves undone the next
   * one does. Calls that come during a pass share the next one. It takes time with what is to be written: let
   * nobody wait for it but who asked for a change.
   */
  write (): Promise<void>
  /** The same, also where a key was right when this broker last looked: somebody may have written it. */
  verify (): Promise<void>
}

export function createNameIndex (options: NameIndexOptions): NameIndex {
  const { mounts, keys, now } = options
  const records = createIndexRecords(options.store)
  /** What this broker knows to be written and to be noted, by path; of one mount. */
  let known = { accessor: '', entries: new Map<string, Written>(), noted: new Set<string>() }
  let isDoubtful = false
  let working: Promise<void> = Promise.resolve()
  let waiting: Promise<void> | null = null

  const inside = (accessor: string): KeptIn => ({ store: mounts.storeOf({ accessor }), nowMs: now() })

  /** The mounts whose names are told, by their own paths: those that rotate, and those that did. */
  const listed = () => new Map(mounts.all()
    .filter(({ rotation }) => rotation !== null)
    .map((mount) => [ownPath(mount), mount]))

  async function bring (): Promise<void> {
    const found = await records.find()
    if (found === null) return
    const { accessor, isEnding } = found.record
    const isNew = isDoubtful || known.accessor !== accessor
    isDoubtful = false
    // This broker may not know yet of a mount that another one has made, nor that one is gone.
    if (isNew || mounts.byAccessor(accessor) === null) await mounts.load()
    const holder = mounts.byAccessor(accessor)
    if (holder !== null && holder.state !== 'live') return
    if (isNew) known = { accessor, entries: new Map(), noted: new Set(await records.noted()) }
    if (isEnding || holder === null) return finish(found)
    const failures = [...await writeWrong(found), ...await removeGone(accessor)]
    if (failures.length > 0) throw failures[0]
  }

  async function writeWrong (found: FoundRecord): Promise<unknown[]> {
    const { accessor } = found.record
    const wrong = [...listed()].filter(([path, mount]) => mount.state === 'live' && !isRight(path, mount))
    if (wrong.length === 0) return []
    const fresh = wrong.map(([path]) => path).filter((path) => !known.noted.has(path))
    await records.note(found, fresh)
    for (const path of fresh) known.noted.add(path)
    const failures = await each(wrong, ([, mount]) => writeOne(accessor, mount))
    // Whoever ended the index meanwhile may not have met what was written since.
    const isEnded = (await records.find())?.stamp !== found.stamp
    return isEnded ? [...failures, ...await each(wrong, ([path]) => removeOne(accessor, path))] : failures
  }

  /** Mounts are the same objects until the table is read again. */
  function isRight (path: string, mount: Mount): boolean {
    const written = known.entries.get(path)
    if (written?.mount === mount) return true
    if (written?.text !== JSON.stringify(entryOf(mount, mounts.presentName(mount)))) return false
    known.entries.set(path, { ...written, mount })
    return true
  }

  /** Does not put back what another broker, that heard of an advance first, has written of a later slot. */
  async function writeOne (accessor: string, asked: Mount): Promise<void> {
    const path = ownPath(asked)
    let mount = asked
    for (let tries = 0, seen = ''; tries < triesMax; tries++) {
      const entry = entryOf(mount, mounts.presentName(mount))
      if (entry === null) return
      const ahead = await keepUnlessAhead(accessor, mount, entry, seen)
      if (ahead === null) {
        known.entries.set(path, { mount, text: JSON.stringify(entry) })
        return
      }
      // A slot that there is stands in the table before its name stands here; one that is not there is a forgery.
      seen = ahead
      await mounts.load()
      const present = mounts.byAccessor(mount.accessor)
      if (present === null || ownPath(present) !== path) return
      mount = present
    }
  }

  /** Answers what is held of a later slot and was left alone, if it is not what was seen before. */
  async function keepUnlessAhead (
    accessor: string, mount: Mount, entry: JsonObject, seen: string
  ): Promise<string | null> {
    const left = { text: null as string | null }
    await keys.keep(inside(accessor), ownPath(mount), (held) => {
      const text = isAhead(held, mount) ? JSON.stringify(held) : null
      left.text = text === seen ? null : text
      return left.text === null ? entry : null
    })
    return left.text
  }

  /** Removes the keys of mounts that are gone or have another path. */
  async function removeGone (accessor: string): Promise<unknown[]> {
    const present = listed()
    if ([...known.noted].every((path) => present.has(path))) return []
    await mounts.load()
    const still = listed()
    return each([...known.noted].filter((path) => !still.has(path)), (path) => removeOne(accessor, path))
  }

  async function removeOne (accessor: string, path: string): Promise<void> {
    known.entries.delete(path)
    if (mounts.byAccessor(accessor) !== null) {
      await keys.remove(inside(accessor), path, (held) => held?.['path'] === path)
    }
    await records.forget(path)
    known.noted.delete(path)
  }

  async function finish (found: FoundRecord): Promise<void> {
    const failures = await each(await records.noted(), (path) => removeOne(found.record.accessor, path))
    if (failures.length > 0) throw failures[0]
    await records.remove(found)
    known = { accessor: '', entries: new Map(), noted: new Set() }
  }

  /** One pass at a time, and at most one that waits for it. */
  function pass (): Promise<void> {
    waiting ??= working = working.catch(() => {}).then(() => {
      waiting = null
      return retryConflicts(bring)
    })
    return waiting
  }

  /** What fails here the next pass does. */
  const passAnyway = () => pass().catch(() => {})

  return {
    async mount () {
      const found = await records.find()
      return found === null || found.record.isEnding ? null : mounts.byAccessor(found.record.accessor)
    },
    async choose ({ accessor }) {
      // The mount that held the names may be gone.
      await passAnyway()
      await retryConflicts(async () => {
        const found = await records.find()
        if (found?.record.accessor === accessor && !found.record.isEnding) return
        if (found !== null) throw invalidRequest('another mount holds the names: remove that setting first')
        await options.revision.commit([records.put({ accessor, isEnding: false }, 'absent')])
      })
      await passAnyway()
    },
    async end () {
      await retryConflicts(async () => {
        const found = await records.find()
        if (found === null) return
        await options.revision.commit([records.put({ ...found.record, isEnding: true }, found.stamp)])
      })
      await passAnyway()
    },
    write: pass,
    verify () {
      isDoubtful = true
      return pass()
    }
  }
}

/** One that fails keeps no other from its turn, but a store that is away keeps all. Answers what failed. */
async function each<T> (all: readonly T[], work: (one: T) => Promise<void>): Promise<unknown[]> {
  const failures: unknown[] = []
  for (const one of all) {
    try {
      await work(one)
    } catch (error) {
      if (error instanceof StoreUnavailable || error instanceof StoreConflict) throw error
      failures.push(error)
    }
  }
  return failures
}

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
