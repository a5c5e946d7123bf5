import { randomInt } from 'node:crypto'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { StoreUnavailable } from '../core/store.ts'
import { CLAIM, COMMIT, COMMIT_KEYS, TIME } from './redis-scripts.ts'
import { parseRedisUrl, type RedisTarget } from './redis-url.ts'

type Options = Omit<RedisOptions, 'replyMapping'>

/** A connection of either kind. */
export type RedisClient = Redis | Cluster

/** A script with a fixed number of keys: keys first, then arguments; answers buffers. */
export type RedisScript = (...values: readonly (string | Buffer)[]) => Promise<unknown>

const CONNECT_MS = 2000
const RETRY_MS_MAX = 1000

/** How to reach Redis. */
export interface RedisConnection {
  /** See `parseRedisUrl`. */
  readonly url: string
  /** How long a command may take, milliseconds; a link that is silent as long is cut. */
  readonly commandTimeoutMs?: number
  /** Certificates that TLS trusts, PEM; Node's own otherwise. There is no way to trust all. */
  readonly ca?: string
  /** Told of every error of the link; commands fail by themselves. */
  readonly onLinkError?: (error: Error) => void
}

/**
 * Connects. Nothing is ever sent twice and nothing waits for a link: a command fails at once while
 * there is none, and one whose answer was lost fails instead of being repeated (SEC-354, FLT-017).
 *
 * @throws StoreUnavailable when Redis cannot be reached or refuses us; the message has no password.
 */
export async function connectRedis (connection: RedisConnection): Promise<RedisClient> {
  const target = parseRedisUrl(connection.url)
  const client = target.kind === 'cluster'
    ? createCluster(target, connection)
    : new Redis({ ...commandOptions(target, connection), ...hostOptions(target) })
  let reason: Error | undefined
  client.on('error', (error: Error) => {
    reason = error
    connection.onLinkError?.(error)
  })
  try {
    await client.connect()
  } catch (error) {
    client.disconnect()
    const where = target.hosts.map(({ host, port }) => `${host}:${port}`).join(', ')
    throw new StoreUnavailable(`Redis at ${where} cannot be used`, reason ?? error)
  }
  return client
}

/** The scripts of a client, each defined once for each number of keys when it is first used. */
export interface RedisScripts {
  commit (records: number): RedisScript
  claim (records: number): RedisScript
  time (): RedisScript
}

/**
 * A script whose number of keys varies from call to call ends the process under auto-pipelining in
 * Cluster mode: the client takes the first argument, the number, for the key and throws outside any
 * promise. So there is one definition for each number, all of one text.
 */
export function defineScripts (client: RedisClient): RedisScripts {
  const defined = new Map<string, RedisScript>()

  function script (name: string, numberOfKeys: number, lua: string): RedisScript {
    const known = defined.get(name)
    if (known !== undefined) return known
    client.defineCommand(name, { numberOfKeys, lua })
    const method: unknown = Reflect.get(client, `${name}Buffer`)
    if (typeof method !== 'function') throw new Error('the Redis client did not define a script')
    const call: RedisScript = async (...values) => Reflect.apply(method, client, values)
    defined.set(name, call)
    return call
  }

  // A pipeline knows the scripts there were when its tick began: one that is defined later, with a
  // pipeline open, shifts the answers of all the others.
  for (let records = 1; records <= 256; records++) script(`commit${records}`, records + COMMIT_KEYS, COMMIT)
  for (let records = 1; records <= 50; records++) script(`claim${records}`, records + 1, CLAIM)
  script('time1', 1, TIME)

  return {
    commit: (records) => script(`commit${records}`, records + COMMIT_KEYS, COMMIT),
    claim: (records) => script(`claim${records}`, records + 1, CLAIM),
    time: () => script('time1', 1, TIME)
  }
}

function createCluster (target: RedisTarget, connection: RedisConnection): Cluster {
  return new Cluster([...target.hosts], {
    lazyConnect: true,
    enableAutoPipelining: true,
    enableOfflineQueue: false,
    // Its default sends a pipeline again after its link was cut, executed or not.
    retryDelayOnFailover: 0,
    slotsRefreshTimeout: CONNECT_MS,
    clusterRetryStrategy: retryDelayMs,
    redisOptions: commandOptions(target, connection)
  })
}

function hostOptions (target: RedisTarget): Options {
  const reach = { enableOfflineQueue: false, retryStrategy: retryDelayMs, db: target.db }
  if (target.kind === 'single') return { ...reach, ...target.hosts[0] }
  const sentinelRetryStrategy = retryDelayMs
  return {
    ...reach, sentinels: [...target.hosts], name: target.primaryName, sentinelRetryStrategy,
    enableTLSForSentinelMode: target.isTls
  }
}

function commandOptions (target: RedisTarget, connection: RedisConnection): Options {
  const commandTimeoutMs = connection.commandTimeoutMs ?? 500
  const tls = connection.ca === undefined ? {} : { ca: connection.ca }
  return {
    lazyConnect: true,
    enableAutoPipelining: true,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    commandTimeout: commandTimeoutMs,
    // Before the time-out of a command, so that its outcome is looked for over a new link.
    socketTimeout: Math.ceil(commandTimeoutMs * 0.9),
    connectTimeout: CONNECT_MS,
    connectionName: 'latchkey',
    disableClientInfo: true,
    protocol: 2,
    ...(target.username === '' ? {} : { username: target.username }),
    ...(target.password === '' ? {} : { password: target.password }),
    ...(target.isTls ? { tls: { ...tls, minVersion: 'TLSv1.2' as const } } : {})
  }
}

function retryDelayMs (attempt: number): number {
  return Math.min(50 * 2 ** Math.min(attempt, 10), RETRY_MS_MAX) + randomInt(50)
}
