import type { MountStore, TtlBounds } from '../core/backend.ts'
import type { Clock } from '../core/clock.ts'
import { invalidRequest } from '../core/errors.ts'
import { drawUuid } from '../core/ids.ts'
import { ownPath, type Mount, type MountConfig } from '../core/model.ts'
import { mayBeNamed } from '../core/name-form.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { retryConflicts } from '../core/retry.ts'
import type { Revision } from '../core/revision.ts'
import { drawStamp, key, StoreConflict, SYS, type Change, type Stamp, type Store } from '../core/store.ts'
import { createMountStore } from './mount-store.ts'
import { createNameTable, type Place, type Reached } from './name-table.ts'
import type { NameMac } from './rotation.ts'

const epochKey = key(SYS, 'mount-epoch')
const mountKey = (accessor: string) => key(SYS, `mount/${accessor}`)
const goneKey = (accessor: string) => key(SYS, `mount-gone/${accessor}`)

/** What a new mount is made of; the table adds its ids. */
export type NewMount = Omit<Mount, 'accessor' | 'uuid' | 'state' | 'rotation'>

/** A mount's settings as they are when nothing was chosen. */
export const plainConfig: MountConfig = {
  ttlSecondsDefault: 0,
  ttlSecondsMax: 0,
  forceNoCache: false,
  listingVisibility: '',
  auditNonHmacRequestKeys: null,
  auditNonHmacResponseKeys: null,
  passthroughRequestHeaders: null,
  allowedResponseHeaders: null,
  tokenType: null,
  userLockout: null
}

/** The mount that a path leads to. */
export interface Resolved {
  readonly mount: Mount
  /** What follows the mount's own path or name. */
  readonly rest: string
  readonly reached: Reached
}

/**
 * All mounts, in memory, in step with the other brokers. A path is found by the longest mount
 * path that it begins with, segment by segment.
 */
export interface MountTable {
  load (): Promise<void>
  /** By a mount's own path, its present name, or one in grace; what else there was is not found. */
  resolve (path: string): Resolved | null
  /** The request prefix that callers use now, without its last slash; null where its key is gone. */
  presentName (mount: Mount): string | null
  byAccessor (accessor: string): Mount | null
  find (table: Mount['table'], path: string): Mount | null
  /** Sorted by path. */
  all (table?: Mount['table']): Mount[]
  ttlBounds (mount: Mount): TtlBounds
  storeOf (mount: Pick<Mount, 'accessor'>): MountStore
  /**
   * Makes a mount, with further changes of the shard `sys` in the same step.
   * @throws BrokerError `invalid_request` when the path is taken, inside or above another mount.
   */
  enable (mount: NewMount, beside?: readonly Change[]): Promise<Mount>
  /**
   * Stores a changed mount, with further changes of the shard `sys` in the same step; nothing where
   * the change answers the mount as it is.
   * @throws BrokerError when it is gone, or when another has the path that it shall have.
   */
  update (accessor: string, change: (mount: Mount) => Mount, beside?: readonly Change[]): Promise<Mount>
  /** The path of a mount that stands in the way of one at this path; null: it is free. */
  findTaken (mount: Pick<Mount, 'table' | 'path'>): string | null
  /** Takes a mount out of the table; its accessor is never used again. */
  remove (accessor: string): Promise<void>
}

export interface MountTableOptions {
  readonly store: Store
  readonly revision: Revision
  /** The system's TTLs, for mounts that have none of their own. */
  readonly systemTtls: TtlBounds
  /** Ends graces. */
  readonly clock: Clock
  /** Names the mounts whose names rotate. */
  readonly mac: NameMac
}

export function createMountTable ({ store, revision, systemTtls, clock, mac }: MountTableOptions): MountTable {
  let mounts: ReadonlyMap<string, Mount> = new Map()
  const names = createNameTable(mac)
  /** By request prefix without its last slash. */
  let places = new Map<string, Place>()
  let byOwnPath: ReadonlyMap<string, Mount> = new Map()
  let epoch: Stamp | 'absent' = 'absent'
  /** The longest of `places`: no look-up needs more of a path than that. */
  let longest = 0
  let stores: ReadonlyMap<string, MountStore> = new Map()
  let loading: Promise<void> = Promise.resolve()
  let changing: Promise<void> = Promise.resolve()

  /** One at a time: a load that began before a change must not be the last word after it. */
  function load (): Promise<void> {
    loading = loading.catch(() => {}).then(loadOnce)
    return loading
  }

  async function loadOnce (): Promise<void> {
    const [epochEntry] = await store.get([epochKey])
    const loaded = new Map<string, Mount>()
    for (let after: string | undefined; ;) {
      const page = await store.list('mount/', { shard: SYS, limit: 500, ...(after !== undefined && { after }) })
      const entries = await store.get(page.flatMap((named) => named.key ?? []))
      for (const entry of entries) {
        if (entry === null) continue
        const mount = decodeRecord<Mount>(entry.value)
        loaded.set(mount.accessor, mount)
      }
      after = page.at(-1)?.name
      if (page.length < 500) break
    }
    mounts = loaded
    places = names.build(loaded.values())
    byOwnPath = new Map([...loaded.values()].map((mount) => [ownPath(mount), mount]))
    longest = 0
    for (const prefix of places.keys()) longest = Math.max(longest, prefix.length)
    stores = new Map([...loaded.keys()].map((accessor) => [accessor, storeOf(accessor)]))
    epoch = epochEntry?.stamp ?? 'absent'
  }

  const storeOf = (accessor: string) => stores.get(accessor) ?? createMountStore(store, accessor)

  const putMount = (mount: Mount, expect: 'absent' | 'present'): Change =>
    ({ op: 'put', key: mountKey(mount.accessor), value: encodeRecord(mount), names: [`mount/${mount.accessor}`], expect })

  /**
   * Applies changes that were decided on the table as it is in memory, and decides again when
   * another broker changed it meanwhile. Those of this broker take turns: whoever changes one mount would
   * else lose again and again to the rotation of very many.
   */
  function change (decide: () => readonly Change[]): Promise<void> {
    const changed = changing.then(() => changeNow(decide))
    changing = changed.catch(() => {})
    return changed
  }

  async function changeNow (decide: () => readonly Change[]): Promise<void> {
    await retryConflicts(async () => {
      const changes = decide()
      if (changes.length === 0) return
      try {
        const put: Change = { op: 'put', key: epochKey, value: encodeRecord({}), expect: epoch, stamp: drawStamp() }
        await revision.commit([put, ...changes])
      } catch (error) {
        if (error instanceof StoreConflict) await load()
        throw error
      }
    })
  }

  /** A path that is the same, inside or above; of `except` none. */
  function findTaken ({ table, path }: Pick<Mount, 'table' | 'path'>, except?: string): string | null {
    for (const other of mounts.values()) {
      if (other.table !== table) continue
      if (holdsNames(other, path)) return path
      if (other.accessor === except) continue
      for (const taken of [other.path, other.target]) {
        if (taken === path || taken?.startsWith(`${path}/`) || (taken && path.startsWith(`${taken}/`))) return taken
      }
    }
    return null
  }

  function resolve (path: string): Resolved | null {
    const first = path.length <= longest ? path.length : path.lastIndexOf('/', longest)
    for (let end = first; end > 0; end = path.lastIndexOf('/', end - 1)) {
      const prefix = end === path.length ? path : path.slice(0, end)
      const place = places.get(prefix)
      if (place === undefined) continue
      const { mount, reached, endsAtMs } = place
      if (endsAtMs === null || clock.now() < endsAtMs) return { mount, rest: path.slice(end + 1), reached }
      // Over is over in this process, whatever its clock does before the table is read again.
      places.delete(prefix)
    }
    return null
  }

  function refuseTaken (mount: Mount): void {
    const path = mount.target ?? mount.path
    const taken = findTaken({ table: mount.table, path }, mount.accessor)
    if (taken === path) throw invalidRequest(`path is already in use at ${path}/`)
    if (taken !== null) throw invalidRequest(`existing mount at ${taken}/`)
  }

  /** Names that lie inside another mount would take its paths from it. */
  function refuseHidden ({ table, rotation }: Mount): void {
    const above = rotation?.prefix.slice(0, Math.max(0, rotation.prefix.lastIndexOf('/'))) ?? ''
    for (const other of above === '' ? [] : mounts.values()) {
      const isAbove = [other.path, other.target].some((path) => above === path || (path && above.startsWith(`${path}/`)))
      if (other.table === table && isAbove) throw invalidRequest(`existing mount at ${other.path}/`)
    }
  }

  return {
    load,
    resolve,
    presentName: names.presentName,
    byAccessor: (accessor) => mounts.get(accessor) ?? null,
    find: (table, path) => byOwnPath.get(ownPath({ table, path })) ?? null,
    all: (table) => [...mounts.values()]
      .filter((mount) => table === undefined || mount.table === table)
      .sort((a, b) => a.path < b.path ? -1 : 1),
    ttlBounds: ({ config }) => ({
      ttlSecondsDefault: config.ttlSecondsDefault || systemTtls.ttlSecondsDefault,
      ttlSecondsMax: config.ttlSecondsMax || systemTtls.ttlSecondsMax
    }),
    storeOf: ({ accessor }) => storeOf(accessor),
    async enable (request, beside = []) {
      const uuid = drawUuid()
      const accessor = `${request.table === 'auth' ? 'auth_' : ''}${request.type}_${uuid.slice(0, 8)}`
      const mount: Mount = { ...request, accessor, uuid, state: 'live', rotation: null }
      await change(() => {
        refuseTaken(mount)
        return [{ op: 'check', key: goneKey(accessor), expect: 'absent' }, putMount(mount, 'absent'), ...beside]
      })
      return mount
    },
    findTaken: (mount) => findTaken(mount),
    async update (accessor, edit, beside = []) {
      let edited: Mount | undefined
      await change(() => {
        const mount = mounts.get(accessor)
        if (mount === undefined) throw invalidRequest('no such mount')
        edited = edit(mount)
        if (edited === mount) return []
        if (edited.path !== mount.path || edited.target !== mount.target) refuseTaken(edited)
        if (edited.rotation?.prefix !== mount.rotation?.prefix) refuseHidden(edited)
        return [putMount(edited, 'present'), ...beside]
      })
      if (edited === undefined) throw new Error('a change that was made has a result')
      return edited
    },
    async remove (accessor) {
      await change(() => mounts.has(accessor)
        ? [{ op: 'delete', key: mountKey(accessor) }, { op: 'put', key: goneKey(accessor), value: encodeRecord({}) }]
        : [])
    }
  }
}

/**
 * Whether a path is where a mount's names are, were or may be, or above them. It goes by their form,
 * so that whoever may mount does not learn from it which names there are (SEC-220), and no name
 * that was retired becomes another mount's (SEC-229).
 */
function holdsNames ({ rotation }: Mount, path: string): boolean {
  if (rotation === null) return false
  return [rotation, ...rotation.past].some(({ prefix }) => prefix.startsWith(`${path}/`) || mayBeNamed(path, prefix))
}
