import { tokenKey } from '../core/lineage.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'
import { retryConflicts } from '../core/retry.ts'
import { key, StoreConflict, type Entry, type Key, type Put, type Store } from '../core/store.ts'
import { groupName, isAccessor } from './token-names.ts'
import { isUnexpired, putTokenRecord, readTokenRecord, type TokenRecord } from './token-record.ts'

/**
 * The end of tokens. The record that is the token's life goes first, in one step with an entry in
 * a durable queue; what is below the token gives no right from then on, and is removed by whoever
 * works on the queue, as often as it takes (contract 3.5, SEC-156).
 */
export interface Revocation {
  /** Ends a token and all below it. False when it was not there. */
  revoke (accessor: string, nowMs: number): Promise<boolean>
  /** Ends a token and its leases; its children live on. False when it was not there. */
  revokeOrphan (accessor: string, nowMs: number): Promise<boolean>
  /**
   * Ends tokens of a group and all below them, at most about `limit`; it takes time in proportion to their
   * number, whatever else there is. Whether none is left: one that is made meanwhile may be missed.
   */
  revokeGroup (group: string, nowMs: number, limit: number): Promise<boolean>
  /** The sweeper's handler for tokens that are due. */
  expire (entries: readonly Entry[], nowMs: number): Promise<void>
  /** The sweeper's handler for the queue of what died. */
  bury (entries: readonly Entry[], nowMs: number): Promise<void>
}

/** An entry of the queue; it goes only when nothing is left below the token. */
interface Dying {
  readonly accessor: string
  readonly chosenKey: Key | null
  readonly parent: string | null
  /** Not null where the children are kept: until then, what is made under the token is looked for again. */
  readonly keptUntilMs: number | null
}

/** The longest that a request under way may still make something under a token that is kept. */
const keptSearchMs = 120_000
const batch = 50

export interface RevocationOptions {
  readonly store: Store
  /** Ends the leases and removes whatever else a token held. Must bear being repeated. */
  readonly endBelongings: (accessor: string, nowMs: number) => Promise<void>
  /** Called after something was put into the queue. */
  readonly nudge: () => void
}

export function createRevocation ({ store, endBelongings, nudge }: RevocationOptions): Revocation {
  /** Removes the record and queues what hangs on it; a lost race means that it was gone. */
  async function end (entry: Entry, nowMs: number): Promise<boolean> {
    const record = readTokenRecord(entry)
    // It was revoked before; what is there holds up its children and goes with the last of them.
    if (record.kind === 'kept') return false
    try {
      await store.commit([
        { op: 'delete', key: entry.key, expect: 'present' },
        queue({ ...heirs(record), keptUntilMs: null }, nowMs)
      ], { strong: true })
    } catch (error) {
      if (error instanceof StoreConflict) return false
      throw error
    }
    nudge()
    return true
  }

  /** Takes a token its rights and leaves its record for its children; a renewal at the same time is a conflict. */
  async function keep (accessor: string, nowMs: number): Promise<boolean> {
    const entry = await findEntry(accessor)
    if (entry === null) return false
    const record = readTokenRecord(entry)
    if (record.kind === 'kept') return false
    const kept: TokenRecord = { ...record, kind: 'kept', names: [] }
    await store.commit([
      putTokenRecord(kept, entry.stamp),
      queue({ ...heirs(record), keptUntilMs: nowMs + keptSearchMs }, nowMs)
    ], { strong: true })
    return true
  }

  async function findEntry (accessor: string): Promise<Entry | null> {
    if (!isAccessor(accessor)) return null
    const [entry] = await store.get([tokenKey(accessor)])
    return entry ?? null
  }

  /** Ends the direct children; theirs follow, since each child goes into the queue itself. */
  async function endChildren (accessor: string, nowMs: number): Promise<void> {
    for (;;) {
      const page = await store.list(`child-of/${accessor}/`, { shard: accessor.slice(0, 2), limit: batch })
      if (page.length === 0) return
      const entries = await store.get(page.flatMap((named) => named.key ?? []))
      for (const entry of entries) if (entry !== null) await end(entry, nowMs)
    }
  }

  /** Removes a kept token once its last child is gone. */
  async function dropIfChildless (accessor: string): Promise<void> {
    const entry = await findEntry(accessor)
    if (entry === null || readTokenRecord(entry).kind !== 'kept') return
    const children = await store.list(`child-of/${accessor}/`, { shard: accessor.slice(0, 2), limit: 1 })
    if (children.length === 0) await store.commit([{ op: 'delete', key: entry.key }])
  }

  async function buryOne (entry: Entry, nowMs: number): Promise<void> {
    const record = decodeRecord<Dying>(entry.value)
    if (record.keptUntilMs === null) await endChildren(record.accessor, nowMs)
    await endBelongings(record.accessor, nowMs)
    if (record.keptUntilMs !== null && nowMs < record.keptUntilMs) {
      await store.commit([queue(record, record.keptUntilMs)])
      return
    }
    if (record.chosenKey !== null) await forgetChosenId(record.chosenKey, record.accessor)
    if (record.keptUntilMs !== null) await dropIfChildless(record.accessor)
    if (record.parent !== null) await dropIfChildless(record.parent)
    await store.commit([{ op: 'delete', key: entry.key }])
  }

  /** A chosen id that leads to a later life of itself by now is left alone. */
  async function forgetChosenId (indexKey: Key, accessor: string): Promise<void> {
    const [index] = await store.get([indexKey])
    if (!index || decodeRecord<{ lineage: string[] }>(index.value).lineage.at(-1) !== accessor) return
    await store.commit([{ op: 'delete', key: indexKey, expect: index.stamp }]).catch((error: unknown) => {
      if (!(error instanceof StoreConflict)) throw error
    })
  }

  return {
    async revoke (accessor, nowMs) {
      const entry = await findEntry(accessor)
      return entry !== null && end(entry, nowMs)
    },
    async revokeOrphan (accessor, nowMs) {
      const isDone = await retryConflicts(() => keep(accessor, nowMs))
      if (isDone) nudge()
      return isDone
    },
    async revokeGroup (group, nowMs, limit) {
      for (let ended = 0; ended < limit; ended += batch) {
        const page = await store.list(groupName(group), { limit: batch })
        if (page.length === 0) return true
        const entries = await store.get(page.flatMap((named) => named.key ?? []))
        await Promise.all(entries.map((entry) => entry === null ? null : end(entry, nowMs)))
      }
      return false
    },
    async expire (entries, nowMs) {
      for (const entry of entries) if (!isUnexpired(readTokenRecord(entry), nowMs)) await end(entry, nowMs)
    },
    async bury (entries, nowMs) {
      for (const entry of entries) await buryOne(entry, nowMs)
    }
  }
}

function heirs (record: TokenRecord): Omit<Dying, 'keptUntilMs'> {
  return { accessor: record.accessor, chosenKey: record.chosenKey, parent: record.lineage.at(-1) ?? null }
}

function queue (record: Dying, dueAtMs: number): Put {
  const { accessor } = record
  return { op: 'put', key: key(accessor.slice(0, 2), `dying/${accessor}`), value: encodeRecord(record), dueAtMs }
}
