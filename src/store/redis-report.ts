import { performance } from 'node:perf_hooks'
import { Cluster, type Redis } from 'ioredis'
import { SHARDS, type StoreReport } from '../core/store.ts'
import type { RedisClient } from './redis-client.ts'
import { prefixOf } from './redis-tags.ts'

const VERSION_FLOOR = [7, 0] as const
/** Part of `maxmemory` from which new records are refused, so that revoking goes on (FLT-038). */
const FULL = 0.9

/** A report, and whether the memory of Redis is nearly used up. */
export interface RedisReport { readonly report: StoreReport, readonly isFull: boolean }

/** Reads time, run ids, counts and the settings of SEC-352; what cannot be read is bad. */
export async function inspectRedis (client: RedisClient): Promise<RedisReport> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client]
  // Alone, so that the time is not read in the middle of a long trip.
  const clockOffsetMs = Math.max(...await Promise.all(nodes.map(readClockOffset)))
  const [sequences, facts] = await Promise.all([
    readSequences(client), Promise.all(nodes.map(readFacts))
  ])
  const runId = facts.map(({ info }) => info.get('run_id') ?? '').join(',')
  const problems = [...new Set(facts.flatMap(problemsOf))]
  return {
    report: { kind: 'redis', runId, clockOffsetMs, sequences, problems },
    isFull: facts.some(isNearlyFull)
  }
}

interface Facts {
  readonly info: ReadonlyMap<string, string>
  /** Null when the settings may not be read. */
  readonly settings: ReadonlyMap<string, string> | null
}

const SETTINGS = [
  'maxmemory-policy', 'appendonly', 'appendfsync', 'min-replicas-to-write',
  'cluster-require-full-coverage'
]

/** Of several nodes the time of the foremost counts: it never goes back when another is asked. */
async function readClockOffset (node: Redis): Promise<number> {
  const sentMs = performance.now()
  const [seconds, micros] = (await node.time()).map(Number)
  const receivedMs = performance.now()
  if (seconds === undefined || micros === undefined || !Number.isFinite(seconds + micros)) {
    throw new Error('Redis does not tell its time')
  }
  return seconds * 1000 + micros / 1000 - (sentMs + receivedMs) / 2
}

async function readSequences (client: RedisClient): Promise<Map<string, number>> {
  const counts = await Promise.all(SHARDS.map((shard) => client.get(`${prefixOf(shard)}q`)))
  return new Map(SHARDS.map((shard, number) => [shard, Number(counts[number] ?? 0)]))
}

async function readFacts (node: Redis): Promise<Facts> {
  const [info, settings] = await Promise.all([node.info(), readSettings(node)])
  const lines = info.split('\r\n').map((line): [string, string] => {
    const cut = line.indexOf(':')
    return [line.slice(0, cut), line.slice(cut + 1)]
  })
  return { info: new Map(lines), settings }
}

async function readSettings (node: Redis): Promise<Map<string, string> | null> {
  try {
    const replies = await Promise.all(SETTINGS.map((name) => node.config('GET', name)))
    return new Map(replies.map((reply) => {
      const [name, value] = Array.isArray(reply) ? reply.map(String) : []
      return [name ?? '', value ?? '']
    }))
  } catch {
    return null
  }
}

function problemsOf ({ info, settings }: Facts): string[] {
  const problems: string[] = []
  const version = info.get('redis_version') ?? ''
  if (!isAtLeast(version, VERSION_FLOOR)) {
    problems.push(`Redis ${version} is below ${VERSION_FLOOR.join('.')}`)
  }
  if (info.get('role') !== 'master') problems.push('Redis is a replica and takes no writes')
  if (settings === null) {
    return [...problems, 'CONFIG GET is refused: the settings of Redis cannot be checked']
  }
  const is = (name: string, value: string) => settings.get(name) === value
  if (!is('maxmemory-policy', 'noeviction')) {
    problems.push('maxmemory-policy is not noeviction: Redis may drop revocations')
  }
  if (!is('appendonly', 'yes')) {
    problems.push('appendonly is not yes: a restart of Redis loses records')
  } else if (is('appendfsync', 'no') || !settings.has('appendfsync')) {
    problems.push('appendfsync is no: a power cut loses acknowledged writes')
  } else if (!is('appendfsync', 'always') && is('min-replicas-to-write', '0')) {
    problems.push('appendfsync is not always and min-replicas-to-write is 0: ' +
      'a power cut loses the writes of a second')
  }
  if (info.get('cluster_enabled') === '1' && !is('cluster-require-full-coverage', 'yes')) {
    problems.push('cluster-require-full-coverage is not yes: a part may be missing unnoticed')
  }
  return problems
}

function isAtLeast (version: string, floor: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > floor[0] || (major === floor[0] && minor >= floor[1])
}

function isNearlyFull ({ info }: Facts): boolean {
  const limit = Number(info.get('maxmemory') ?? 0)
  return limit > 0 && Number(info.get('used_memory') ?? 0) > FULL * limit
}
