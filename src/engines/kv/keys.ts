import type { Call } from '../../core/backend.ts'
import { retryConflicts } from '../../core/retry.ts'
import { drawStamp, StoreConflict, StoreIntegrity, StoreUnknown, type Change, type Entry, type Stamp } from '../../core/store.ts'
import { configPath, decodeConfig, type KvConfig } from './config.ts'
import {
  dataPath, decodeKey, findVersion, isReadable, keyPath, putKey, type KvKey, type StoredKey, type Version
} from './key-record.ts'

/** A key and the mount's settings, read in one trip. */
export interface Loaded {
  /** null where the path holds no key. */
  readonly stored: StoredKey | null
  readonly stamp: Stamp | 'absent'
  readonly config: KvConfig
}

/** What a change comes to. */
export interface Step<T> {
  /** The key as it shall be; null: it goes. Absent: nothing is written. */
  readonly put?: StoredKey | null
  /** What is written in the same commit. */
  readonly beside?: readonly Change[]
  readonly result: T
  /** The change was too large for one commit: what was written is sound, and the rest is decided on it. */
  readonly unfinished?: true
}

type Store = Pick<Call, 'store'>

/** Reads and changes keys. Every change is one commit that fails if anybody changed the key meanwhile. */
export interface Keys {
  /** Whether a path holds a key, for the judgement between create and update; the read serves the write that follows. */
  exists (call: Store, path: string, input: object): Promise<boolean>
  /** Decides and writes, again and again while others are faster. Writers of one key in this process take turns. */
  change<T> (
    call: Store, path: string, input: object, decide: (loaded: Loaded) => Step<T> | Promise<Step<T>>
  ): Promise<T>
}

export function createKeys (): Keys {
  const queues = new Map<string, Promise<unknown>>()
  /** By the input of the request that an existence check belongs to. */
  const read = new WeakMap<object, Loaded>()

  async function inTurn<T> (id: string, work: () => Promise<T>): Promise<T> {
    const before = queues.get(id)
    const mine = before === undefined ? work() : before.then(work, work)
    queues.set(id, mine)
    try {
      return await mine
    } finally {
      if (queues.get(id) === mine) queues.delete(id)
    }
  }

  return {
    async exists (call, path, input) {
      const loaded = await load(call, path)
      read.set(input, loaded)
      return loaded.stored !== null
    },
    change (call, path, input, decide) {
      let known = read.get(input)
      return inTurn(call.store.key(keyPath(path)), () => retryConflicts(async () => {
        for (;;) {
          const loaded = known ?? await load(call, path)
          known = undefined
          const step = await decide(loaded)
          if (step.put === undefined) return step.result
          await write(call, path, loaded, step)
          if (step.unfinished !== true) return step.result
        }
      }))
    }
  }
}

/** Reads a key and the mount's settings. */
async function load ({ store }: Store, path: string): Promise<Loaded> {
  const [entry, config] = await store.get([keyPath(path), configPath])
  return { ...loadedOf(entry), config: decodeConfig(config) }
}

function loadedOf (entry: Entry | null | undefined): Pick<Loaded, 'stored' | 'stamp'> {
  return entry ? { stored: decodeKey(entry), stamp: entry.stamp } : { stored: null, stamp: 'absent' }
}

/** A write whose reply was lost is told by its stamp (FLT-017). @throws StoreConflict when somebody else was faster. */
async function write (
  { store }: Store, path: string, { stamp: expect }: Loaded, step: Step<unknown>
): Promise<void> {
  const { put, beside = [] } = step
  const stamp = drawStamp()
  const first: Change = put
    ? putKey(store, path, put, expect, stamp)
    : { op: 'delete', key: store.key(keyPath(path)), expect }
  try {
    await store.commit([first, ...beside])
  } catch (error) {
    if (!(error instanceof StoreUnknown)) throw error
    const [entry] = await store.get([keyPath(path)])
    if (put ? entry?.stamp !== stamp : entry !== null) throw error
  }
}

/** A key with the stamp of its record. */
export type Found = StoredKey & { readonly stamp: Stamp }

/** Reads a key alone; null where there is none. */
export async function readKey ({ store }: Store, path: string): Promise<Found | null> {
  const [entry] = await store.get([keyPath(path)])
  return entry ? { ...decodeKey(entry), stamp: entry.stamp } : null
}

/**
 * The text of a readable version of a key.
 *
 * @throws StoreConflict when the key was changed meanwhile, so that its older versions may be gone;
 * StoreIntegrity where the data are not there though the key says so.
 */
export async function readText (
  { store }: Store, path: string,
  { key, text, stamp }: StoredKey & { readonly stamp: Stamp | 'absent' }, { number }: Version
): Promise<string> {
  if (number === key.current && text !== null) return text
  const place = dataPath(key.life, number)
  const [entry] = await store.get([place])
  if (entry) return Buffer.from(entry.value.buffer, entry.value.byteOffset, entry.value.byteLength).toString('utf8')
  const [now] = await store.get([keyPath(path)])
  if (now?.stamp === stamp) throw new StoreIntegrity(store.key(place))
  throw new StoreConflict(0, store.key(keyPath(path)), 'changed')
}

/** A version as a reader finds it: `text` is null where it was deleted or destroyed. */
export interface FoundVersion {
  readonly key: KvKey
  readonly version: Version
  readonly text: string | null
}

/** Reads a version, 0 for the newest; null where there is none. One trip for the newest of up to 64 KiB, else two. */
export function readVersion (
  call: Pick<Call, 'store' | 'nowMs'>, path: string, number: number
): Promise<FoundVersion | null> {
  return retryConflicts(async () => {
    const found = await readKey(call, path)
    const version = found === null ? null : findVersion(found.key, number)
    if (found === null || version === null) return null
    const text = isReadable(version, call.nowMs) ? await readText(call, path, found, version) : null
    return { key: found.key, version, text }
  })
}
