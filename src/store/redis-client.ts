import { hash, randomInt } from 'node:crypto'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { StoreUnavailable } from '../core/store.ts'
import { parseRedisUrl, type RedisTarget } from './redis-url.ts'

type Options = Omit<RedisOptions, 'replyMapping'>

/** A connection of either kind. */
export type RedisClient = Redis | Cluster

/** Runs a script on keys of one hash tag; answers buffers. */
export type RedisScript = (
  keys: readonly string[], values: readonly (string | Buffer)[]
) => Promise<unknown>

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

/**
 * Makes the call of a script by its hash, for any number of keys, buffers answered. A Redis that
 * does not know it yet, say after a failover, refuses without doing anything and is sent the text
 * (FLT-028).
 *
 * Not a custom command of the client: each of those makes every pipeline dearer by half a
 * microsecond, and one with a varying number of keys ends the process under auto-pipelining in
 * Cluster mode, where the client takes the number for the key.
 */
export function redisScript (client: RedisClient, text: string): RedisScript {
  const sha = hash('sha1', text)
  if (!runsScripts(client)) throw new Error('the Redis client runs no scripts')
  return async (keys, values) => {
    try {
      return await client.evalshaBuffer(sha, keys.length, ...keys, ...values)
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return await client.evalBuffer(text, keys.length, ...keys, ...values)
    }
  }
}

type RunScript = (
  script: string, keys: number, ...values: readonly (string | Buffer)[]
) => Promise<unknown>

/** These two methods are there and missing from the types of the client. */
interface ScriptRunner { readonly evalshaBuffer: RunScript, readonly evalBuffer: RunScript }

function runsScripts (client: RedisClient): client is RedisClient & ScriptRunner {
  return 'evalshaBuffer' in client && 'evalBuffer' in client
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
    // A primary that became a replica: look for the new one. The command itself is not sent again.
    reconnectOnError: (error) => error.message.startsWith('READONLY'),
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
