import { isNumberedShard, key, StoreConflict, shardOf, type Change, type Entry, type Key, type Put, type Stamp, type Store } from '../core/store.ts'
import type { Lease } from '../core/model.ts'
import { decodeRecord, encodeRecord } from '../core/records.ts'

/** The stored form of a lease. */
export interface LeaseRecord extends Lease {
  /** The part of `path` below its mount, under which the lease is listed: `sts/deploy`. */
  readonly below: string
  /** The run that the token was made for, as its metadata says. */
  readonly runId: string | null
  /**
   * The lease is over, its credential is not: kept until `endsAtMs` as the record of a session that
   * still lives. To clients of the lease endpoints it is gone.
   */
  readonly revokedAtMs: number | null
}

/** A record with the write that made it, which the next write names. */
export interface Held {
  readonly record: LeaseRecord
  readonly stamp: Stamp
}

/** Text of a run in a name: what may be long or hold a slash becomes one short segment. */
export const runSegment = (runId: string) => encodeURIComponent(runId.slice(0, 200).toWellFormed())

/** Whether a text has the shape of a lease's id or a token's accessor, so that it may be made into a key. */
export function isHandle (text: string): boolean {
  return /^[0-9A-Za-z]{24}$/.test(text) && isNumberedShard(text.slice(0, 2))
}

/** Where a lease's record is; its id begins with the shard. */
export function leaseKey (id: string): Key {
  return key(id.slice(0, 2), `lease/${id}`)
}

/** The id that clients use: the path that made the lease, then its record's id (contract 5.8). */
export function wireIdOf (lease: Pick<Lease, 'path' | 'id'>): string {
  return `${lease.path}/${lease.id}`
}

/** The record of an entry. */
export function openRecord (entry: Entry): Held {
  return { record: decodeRecord<LeaseRecord>(entry.value), stamp: entry.stamp }
}

/**
 * What a lease is found by: its path and its token while it is one, the session and its run until
 * the credential is dead. An irrevocable lease left its token, since nothing more happens with it.
 */
function namesOf ({ id, mountAccessor, below, tokenAccessor, runId, state, revokedAtMs }: LeaseRecord): string[] {
  const session = [`session/${id}`, ...(runId === null ? [] : [`session-run/${runSegment(runId)}/${id}`])]
  if (revokedAtMs !== null) return session
  const listed = `lease/${mountAccessor}/${below}/${id}`
  return [listed, state === 'irrevocable' ? `irrevocable/${id}` : `lease-of/${tokenAccessor}/${id}`, ...session]
}

/** A write of a lease's record. Without `dueAtMs` the sweep leaves it alone for good. */
export function putLease (record: LeaseRecord, write: {
  readonly expect: Stamp | 'absent'
  readonly dueAtMs: number | null
  readonly stamp?: Stamp
}): Put {
  return {
    op: 'put',
    key: leaseKey(record.id),
    value: encodeRecord(record),
    names: namesOf(record),
    expect: write.expect,
    ...(write.dueAtMs !== null && { dueAtMs: write.dueAtMs }),
    ...(write.stamp !== undefined && { stamp: write.stamp })
  }
}

const batch = 50

/**
 * Applies changes of any shards, 50 of a shard in one step. One whose condition fails is left out
 * and its key answered; the others of its step are done.
 */
export async function commitByShard (store: Store, changes: readonly Change[]): Promise<Key[]> {
  const shards = Map.groupBy(changes, (change) => shardOf(change.key))
  const conflicted: Key[] = []
  await Promise.all([...shards.values()].map(async (own) => {
    for (let at = 0; at < own.length; at += batch) {
      conflicted.push(...await commitAround(store, own.slice(at, at + batch)))
    }
  }))
  return conflicted
}

async function commitAround (store: Store, changes: readonly Change[]): Promise<Key[]> {
  const conflicted: Key[] = []
  let left = changes
  while (left.length > 0) {
    try {
      await store.commit(left, { strong: true })
      break
    } catch (error) {
      if (!(error instanceof StoreConflict)) throw error
      const { index } = error
      conflicted.push(error.key)
      left = left.filter((_, at) => at !== index)
    }
  }
  return conflicted
}
