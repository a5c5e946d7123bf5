import {
  SHARDS, StoreIntegrity, StoreUnavailable, StoreUnknown, type Change, type Claim, type Entry,
  type Key, type Stamp, type Store
} from '../core/store.ts'
import { checkChanges, checkClaim, checkKeys, checkPage } from './checks.ts'
import { fillPage } from './listing.ts'
import {
  connectRedis, redisScript, type RedisClient, type RedisConnection
} from './redis-client.ts'
import { answersRecord, decodeCommit, encodeCommit, onlyCreates } from './redis-commit.ts'
import { listedShards, readIndexes } from './redis-list.ts'
import { decodeRecord } from './redis-record.ts'
import { inspectRedis } from './redis-report.ts'
import { CLAIM, COMMIT } from './redis-scripts.ts'
import { prefixOf } from './redis-tags.ts'

/** Records that one claim script takes: it holds Redis for less than a millisecond. */
const CLAIM_BATCH = 50
/** How long to wait for a link, after an answer was lost, to look for the stamp of a put. */
const SETTLE_MS = 400

/**
 * Opens the store in a Redis, for any number of brokers. The layout of keys is that of Redis
 * Cluster, whatever kind of Redis it is.
 *
 * @throws StoreUnavailable when Redis cannot be reached; Error for a URL of another form.
 */
export async function openRedisStore (connection: RedisConnection): Promise<Store> {
  const client = await connectRedis(connection)
  const commit = redisScript(client, COMMIT)
  const claimDue = createClaimer(client)
  const isThere = createSettler(client)
  let isFull = false

  /** Every commit goes through here, also those whose loss would fail open. */
  async function send (shard: string, changes: readonly Change[]): Promise<Entry[]> {
    const { keys, values, written } = encodeCommit(shard, changes)
    let reply: unknown
    try {
      reply = await commit(keys, values)
    } catch (error) {
      if (wasRefused(error)) throw new StoreUnavailable(undefined, error)
      if (written === null || changes.some(answersRecord)) throw new StoreUnknown(error)
      if (await isThere(written.key, written.stamp)) return []
      throw new StoreUnknown(error)
    }
    return decodeCommit(changes, reply)
  }

  return {
    async get (keys) {
      checkKeys(keys)
      const records = await answered(Promise.all(keys.map((key) => client.getBuffer(nameOf(key)))))
      return records.map((record, at) => {
        return record === null ? null : decodeRecord(keys[at] ?? '', record)
      })
    },

    async commit (changes) {
      const shard = checkChanges(changes)
      if (isFull && onlyCreates(changes)) throw new StoreUnavailable('the store is nearly full')
      return send(shard, changes)
    },

    async list (prefix, page) {
      checkPage(prefix, page)
      const shards = listedShards(page.shard)
      return answered(fillPage(prefix, page, (from, limit) => {
        return readIndexes(client, shards, { prefix, from, limit })
      }))
    },

    async claim (query) {
      checkClaim(query)
      return answered(claimDue(query))
    },

    async inspect () {
      const { report, isFull: isFullNow } = await answered(inspectRedis(client))
      isFull = isFullNow
      return report
    },

    async close () {
      if (client.status === 'end') return
      await client.quit().catch(() => client.disconnect())
    }
  }
}

/** The key of a record in Redis. */
function nameOf (key: Key): string {
  return prefixOf(key.slice(0, key.indexOf(':'))) + key
}

async function answered<T> (replies: Promise<T>): Promise<T> {
  try {
    return await replies
  } catch (error) {
    if (error instanceof StoreIntegrity) throw error
    throw new StoreUnavailable(undefined, error)
  }
}

/** Redis answered with an error, or the client had no link to send on: nothing was done. */
function wasRefused (error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return error.name === 'ReplyError' || error.name === 'ClusterAllFailedError' ||
    error.message.includes('enableOfflineQueue')
}

/**
 * Tells, after the answer to a commit was lost, that it was done: a put of it is there with its
 * stamp. False says nothing, since the commit may still be under way or its record replaced.
 */
function createSettler (client: RedisClient) {
  let link: Promise<void> | null = null

  /** One wait for all that lost their answers together. */
  function untilReady (): Promise<void> {
    if (client.status === 'ready') return Promise.resolve()
    link ??= waitReady(client).finally(() => { link = null })
    return link
  }

  return async (key: Key, stamp: Stamp): Promise<boolean> => {
    try {
      await untilReady()
      const record = await client.getBuffer(nameOf(key))
      return record !== null && decodeRecord(key, record).stamp === stamp
    } catch {
      return false
    }
  }
}

function waitReady (client: RedisClient): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      client.off('ready', ready)
      reject(new Error('no link to Redis'))
    }, SETTLE_MS)
    function ready () {
      clearTimeout(timer)
      resolve()
    }
    client.once('ready', ready)
  })
}

/**
 * Looks at the due times of all shards in one trip, then takes what is due by a script that looks
 * again. Each look begins with another shard, so that a full one does not keep the others waiting.
 */
function createClaimer (client: RedisClient) {
  const claim = redisScript(client, CLAIM)
  let first = 0

  async function claimBatch (shard: string, names: readonly string[], query: Claim) {
    const prefix = prefixOf(shard)
    const { nowMs, holdMs } = query
    const records = await claim([`${prefix}d`, ...names], [String(nowMs), String(nowMs + holdMs)])
    if (!Array.isArray(records)) throw new Error('Redis answered no list')
    return records.flatMap((record: unknown, at) => {
      const key = names[at]?.slice(prefix.length)
      return record === null || key === undefined ? [] : decodeRecord(key, record)
    })
  }

  return async (query: Claim): Promise<Entry[]> => {
    first = (first + 1) % SHARDS.length
    const shards = [...SHARDS.slice(first), ...SHARDS.slice(0, first)]
    const most = Math.min(query.limit, CLAIM_BATCH)
    const due = await Promise.all(shards.map((shard) => {
      return client.zrangebyscore(`${prefixOf(shard)}d`, '-inf', query.nowMs, 'LIMIT', 0, most)
    }))
    let missing = query.limit
    const batches = due.flatMap((names, at) => {
      const batch = names.slice(0, missing)
      missing -= batch.length
      return batch.length === 0 ? [] : [claimBatch(shards[at] ?? '', batch, query)]
    })
    return (await Promise.all(batches)).flat()
  }
}
