import { uuidFromMac } from '../../core/ids.ts'
import { decodeRecord, encodeRecord } from '../../core/records.ts'
import { shardOf, StoreConflict, type Entry, type Key, type Named, type Stamp, type Store } from '../../core/store.ts'
import type { Mac } from './role-store.ts'
import {
  isSecretIdAccessor, lastUseKey, liveSecretId, secretIdKey, secretIdsPrefix,
  type LastUse, type SecretId, type SecretIdRecord
} from './secret-id.ts'

/** Which role's secret_id: its mount and the role's incarnation. */
export interface Owner {
  readonly mountAccessor: string
  readonly incarnation: string
}

/** A secret_id with its last use. */
export interface Inspected {
  readonly secretId: SecretId
  readonly lastUse: LastUse | null
}

/** What of a list to answer: names after `after`, and no more than `limit` where it is above 0. */
export interface ListPage {
  readonly after?: string | undefined
  readonly limit?: number | undefined
}

/** A record to remove. */
export interface Doomed {
  readonly key: Key
  readonly stamp?: Stamp
}

/** Records of secret_ids: made, found, listed, removed. */
export interface SecretIdStore {
  /** The accessor of a secret_id of a role; it is the key, so no index leads to it. */
  accessorOf (owner: Owner, secretId: string): string
  /** False where a live secret_id of this accessor is there already. */
  create (accessor: string, record: SecretIdRecord, nowMs: number): Promise<boolean>
  /** Null for one that is not there, expired, spent, or of another role. */
  find (owner: Owner, accessor: string, nowMs: number): Promise<SecretId | null>
  /** Live secret_ids of whatever role, with their last uses; those that are not there are left out. */
  inspect (accessors: readonly string[], nowMs: number): Promise<Inspected[]>
  /** Accessors of the live secret_ids below a prefix, in the order of their names. */
  list (prefix: string, page: ListPage, nowMs: number): Promise<string[]>
  /** Removes secret_ids with their last uses; one with a stamp only as it was read. */
  remove (entries: readonly Doomed[]): Promise<void>
  /** Removes all below a prefix. Repeatable; ends when a pass finds none. */
  removeAll (prefix: string): Promise<void>
  /** Pages through the records below a prefix, dead ones too. */
  pages (prefix: string, after?: string): AsyncGenerator<readonly Entry[]>
}

/** Names read at a time, and records got at a time. */
const pageLimit = 500
/** Two records are got for each. */
const inspectMax = 250
/** Two changes for each secret_id; a commit takes 256. */
const batchMax = 100

export function createSecretIdStore (store: Store, mac: Mac): SecretIdStore {
  async function put (accessor: string, record: SecretIdRecord): Promise<void> {
    const { mountAccessor, incarnation, expiresAtMs, numUses } = record
    await store.commit([{
      op: 'put',
      key: secretIdKey(accessor),
      value: encodeRecord(record),
      expect: 'absent',
      names: [`${secretIdsPrefix(mountAccessor, incarnation)}${accessor}`],
      ...expiresAtMs !== null && { dueAtMs: expiresAtMs },
      ...numUses > 0 && { usesMax: numUses }
    }])
  }

  async function page (prefix: string, after: string | undefined): Promise<Named[]> {
    return store.list(prefix, { limit: pageLimit, ...after !== undefined && { after } })
  }

  async function getPresent (names: readonly Named[]): Promise<Entry[]> {
    if (names.length === 0) return []
    const entries = await store.get(names.flatMap(({ key }) => key ?? []))
    return entries.filter((entry) => entry !== null)
  }

  async function remove (entries: readonly Doomed[]): Promise<void> {
    await Promise.all(Map.groupBy(entries, ({ key }) => shardOf(key)).values().map(async (group) => {
      for (let at = 0; at < group.length; at += batchMax) await removeBatch(group.slice(at, at + batchMax))
    }))
  }

  /** Of one shard. Somebody else's change to one of them makes it a batch of its own. */
  async function removeBatch (batch: readonly Doomed[]): Promise<void> {
    try {
      await store.commit(batch.flatMap(({ key, stamp }) => [
        { op: 'delete', key, ...stamp !== undefined && { expect: stamp } },
        { op: 'delete', key: lastUseKey(accessorIn(key)) }
      ]), { strong: true })
    } catch (error) {
      if (!(error instanceof StoreConflict)) throw error
      if (batch.length > 1) for (const one of batch) await removeBatch([one])
    }
  }

  async function * pages (prefix: string, from?: string) {
    for (let after = from; ;) {
      const names = await page(prefix, after)
      if (names.length > 0) yield await getPresent(names)
      if (names.length < pageLimit) return
      after = names.at(-1)?.name
    }
  }

  return {
    pages,
    remove,
    accessorOf: ({ mountAccessor, incarnation }, secretId) =>
      uuidFromMac(mac('secret-id', mountAccessor, incarnation, secretId)),
    async create (accessor, record, nowMs) {
      const [present = null] = await store.get([secretIdKey(accessor)])
      if (present !== null && liveSecretId(present, nowMs) === null) await remove([present])
      try {
        await put(accessor, record)
        return true
      } catch (error) {
        if (error instanceof StoreConflict) return false
        throw error
      }
    },
    async find ({ mountAccessor, incarnation }, accessor, nowMs) {
      if (!isSecretIdAccessor(accessor)) return null
      const [entry = null] = await store.get([secretIdKey(accessor)])
      const secretId = liveSecretId(entry, nowMs)
      return secretId?.incarnation === incarnation && secretId.mountAccessor === mountAccessor ? secretId : null
    },
    async inspect (accessors, nowMs) {
      const known = accessors.filter(isSecretIdAccessor)
      const inspected: Inspected[] = []
      for (let at = 0; at < known.length; at += inspectMax) {
        const batch = known.slice(at, at + inspectMax)
        const entries = await store.get([...batch.map(secretIdKey), ...batch.map(lastUseKey)])
        for (const [i] of batch.entries()) {
          const secretId = liveSecretId(entries[i] ?? null, nowMs)
          const use = entries[batch.length + i] ?? null
          const lastUse = use === null ? null : decodeRecord<LastUse>(use.value)
          if (secretId !== null) inspected.push({ secretId, lastUse })
        }
      }
      return inspected
    },
    async list (prefix, { after, limit = 0 }, nowMs) {
      const accessors: string[] = []
      for await (const entries of pages(prefix, after === '' ? undefined : after)) {
        const live = entries.filter((entry) => liveSecretId(entry, nowMs) !== null)
        accessors.push(...live.map(({ key }) => accessorIn(key)))
        if (limit > 0 && accessors.length >= limit) return accessors.slice(0, limit)
      }
      return accessors
    },
    async removeAll (prefix) {
      for (;;) {
        const names = await page(prefix, undefined)
        await remove(names.flatMap(({ key }) => key === null ? [] : [{ key }]))
        if (names.length === 0) return
      }
    }
  }
}

function accessorIn (key: string): string {
  return key.slice(key.lastIndexOf('/') + 1)
}
