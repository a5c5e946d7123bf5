import { SHARDS, type Key } from '../core/store.ts'
import { indexOf, type Indexed } from './listing.ts'
import type { RedisClient } from './redis-client.ts'
import { prefixOf } from './redis-tags.ts'

/** One shard's index and how far it was read. */
interface Cursor {
  readonly index: string
  /** The next bound, inclusive or exclusive; null once the index has no more. */
  next: Buffer | null
  members: Buffer[]
}

/** A part of the sorted names: those from `from` on that begin with `prefix`. */
export interface Range { readonly prefix: string, readonly from: string, readonly limit: number }

/** Members that an index is asked for beyond its fair share, so that most pages need one trip. */
const SPARE = 8

/** The index of names of a shard. */
export function indexKey (shard: string): string {
  const index = indexOf(shard)
  return `${prefixOf(shard)}i${index === '' ? '' : `:${index}`}`
}

/**
 * Reads the first `limit` names from `from` on that begin with `prefix`, of one shard or of all
 * numbered ones: every index is looked at in one trip, and again only where it may hold the next.
 */
export async function readIndexes (
  client: RedisClient, shards: readonly string[], range: Range
): Promise<Indexed[]> {
  const end = range.prefix === '' ? Buffer.from('+') : Buffer.from(`(${range.prefix.slice(0, -1)}0`)
  const start = Buffer.from(`[${range.from}`)
  const share = Math.ceil(range.limit / shards.length) + (shards.length > 1 ? SPARE : 0)
  const cursors = shards.map((shard): Cursor => {
    return { index: indexKey(shard), next: start, members: [] }
  })
  const found: Buffer[] = []
  while (found.length < range.limit) {
    await refill(client, cursors, end, share)
    const before = found.length
    takeSafe(cursors, found)
    if (found.length === before) break
  }
  return found.slice(0, range.limit).map(parseMember)
}

async function refill (
  client: RedisClient, cursors: readonly Cursor[], end: Buffer, share: number
) {
  await Promise.all(cursors.map(async (cursor) => {
    const { index, next } = cursor
    if (next === null || cursor.members.length > 0) return
    cursor.members = await client.zrangebylexBuffer(index, next, end, 'LIMIT', 0, share)
    const last = cursor.members[share - 1]
    cursor.next = last === undefined ? null : Buffer.concat([EXCLUSIVE, last])
  }))
}

const EXCLUSIVE = Buffer.from('(')

/** Moves what no index can come before any more, in order: all up to the first that ran out. */
function takeSafe (cursors: readonly Cursor[], found: Buffer[]) {
  const limits = cursors.flatMap(({ next, members }) => next === null ? [] : members.slice(-1))
  const safe = limits.sort(Buffer.compare)[0]
  const taken: Buffer[] = []
  const isUnsafe = (member: Buffer) => safe !== undefined && Buffer.compare(member, safe) > 0
  for (const { members } of cursors) {
    const end = members.findIndex(isUnsafe)
    taken.push(...members.splice(0, end < 0 ? members.length : end))
  }
  for (const member of taken.sort(Buffer.compare)) found.push(member)
}

function parseMember (member: Buffer): Indexed {
  const cut = member.indexOf(0)
  const key: Key = member.toString('utf8', cut + 1)
  return { name: member.toString('utf8', 0, cut), key }
}

/** The shards that a list is about. */
export function listedShards (shard: string | undefined): readonly string[] {
  return shard === undefined ? SHARDS : [shard]
}
