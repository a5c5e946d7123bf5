import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { drawShard, key, type Change, type Store } from '../../src/core/store.ts'
import { createBarrier } from '../../src/store/barrier.ts'
import { createKeyring, firstTerm } from '../../src/store/keyring.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { startRedis, type Teardown } from '../helpers/redis.ts'

/** One measured line. */
export interface StoreResult {
  readonly store: string
  readonly operation: string
  readonly inFlight: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  /** Processor time of this process for one operation. */
  readonly cpuMicros: number
}

/** How much of it: a tenth gives figures that are good for a glance. */
export interface StoreBenchOptions { readonly scale?: number }

const RECORD = randomBytes(500)
const SECRETS = 256
const ROLE = key('m-approle_1', 'role/deploy')

/**
 * Measures the stores: logins (two reads, then use and put in one commit), token look-ups, and
 * commits with more and more in flight, each bare and behind the barrier. The bare store in memory
 * is the ceiling: what the program around a store can do at most.
 */
export async function benchStores ({ scale = 1 }: StoreBenchOptions = {}): Promise<StoreResult[]> {
  const ends: (() => Promise<void> | void)[] = []
  const teardown: Teardown = { teardown (end) { ends.unshift(end) } }
  const folder = mkdtempSync(path.join(os.tmpdir(), 'store-bench-'))
  teardown.teardown(() => rmSync(folder, { recursive: true, force: true }))
  try {
    const results: StoreResult[] = []
    for (const [name, store] of await openStores(teardown, folder)) {
      results.push(...await benchStore(name, store, scale))
    }
    return results
  } finally {
    for (const end of ends) await end()
  }
}

async function openStores (t: Teardown, folder: string): Promise<[string, Store][]> {
  const sqlite = openSqliteStore({ location: path.join(folder, 'store', 'bench.db') })
  t.teardown(() => sqlite.close())
  const redis = await startRedis(t, { appendfsync: 'everysec' })
  const remote = await openRedisStore({ url: redis.url, commandTimeoutMs: 5000 })
  t.teardown(() => remote.close())
  const keyring = createKeyring('bench', [firstTerm(0)])
  const seal = (store: Store) => createBarrier({ store, keyring })
  return [
    ['memory, bare (ceiling)', createMemoryStore()],
    ['memory, sealed', seal(createMemoryStore())],
    ['sqlite, sealed', seal(sqlite)],
    ['redis everysec, sealed', seal(remote)]
  ]
}

async function benchStore (name: string, store: Store, scale: number): Promise<StoreResult[]> {
  await store.commit([{ op: 'put', key: ROLE, value: RECORD }])
  const secrets: string[] = []
  for (let n = 0; n < SECRETS; n++) {
    const secret = key(drawShard(), `secret/${randomBytes(12).toString('hex')}`)
    secrets.push(secret)
    await store.commit([{ op: 'put', key: secret, value: RECORD, usesMax: 2 ** 31 - 1 }])
  }
  const pick = (n: number) => secrets[n % SECRETS] ?? ''
  const login = async (n: number) => {
    const secret = pick(n)
    await store.get([ROLE, secret])
    await store.commit([{ op: 'use', key: secret }, tokenPut(secret.slice(0, 2), n)])
  }
  const lookUp = async (n: number) => { await store.get([pick(n)]) }
  const write = async (n: number) => { await store.commit([tokenPut(drawShard(), n)]) }
  const rounds: [operation: string, run: (n: number) => Promise<void>, inFlight: number, count: number][] = [
    ['look up a token', lookUp, 1, 20_000], ['look up a token', lookUp, 32, 60_000],
    ['log in', login, 32, 20_000],
    ['commit', write, 1, 2000], ['commit', write, 8, 8000], ['commit', write, 32, 20_000],
    ['commit', write, 128, 20_000]
  ]
  const results: StoreResult[] = []
  for (const [operation, run, inFlight, count] of rounds) {
    await measure(run, inFlight, Math.ceil(count * scale / 10))
    const measured = await measure(run, inFlight, Math.ceil(count * scale))
    results.push({ store: name, operation, inFlight, ...measured })
  }
  return results
}

function tokenPut (shard: string, n: number): Change {
  const accessor = `${shard}${randomBytes(12).toString('hex')}`
  return {
    op: 'put',
    key: key(shard, `token/${accessor}`),
    value: RECORD,
    dueAtMs: 1_800_000_000_000 + n,
    names: [`token/approle_1/login/${accessor}`]
  }
}

/** Runs an operation `count` times, `inFlight` of them at once. */
async function measure (run: (n: number) => Promise<void>, inFlight: number, count: number) {
  const times = new Float64Array(count)
  let next = 0
  const worker = async () => {
    while (next < count) {
      const n = next++
      const beganMs = performance.now()
      await run(n)
      times[n] = performance.now() - beganMs
    }
  }
  const cpu = process.cpuUsage()
  const beganMs = performance.now()
  await Promise.all(Array.from({ length: inFlight }, worker))
  const tookMs = performance.now() - beganMs
  const { user, system } = process.cpuUsage(cpu)
  times.sort()
  return {
    perSecond: Math.round(count / tookMs * 1000),
    p50Ms: times[Math.floor(count * 0.5)] ?? 0,
    p99Ms: times[Math.floor(count * 0.99)] ?? 0,
    cpuMicros: (user + system) / count
  }
}

/** The results as a Markdown table. */
export function tableOf (results: readonly StoreResult[]): string {
  const lines = results.map((one) => [
    one.store, one.operation, one.inFlight, one.perSecond.toLocaleString('en'), one.p50Ms.toFixed(2),
    one.p99Ms.toFixed(2), one.cpuMicros.toFixed(1)
  ].join(' | '))
  return [
    '| store | operation | in flight | per second | p50 ms | p99 ms | CPU us |',
    '|---|---|---|---|---|---|---|',
    ...lines.map((line) => `| ${line} |`)
  ].join('\n')
}

if (import.meta.main) {
  const scale = Number(process.argv[2] ?? 1)
  process.stdout.write(`${tableOf(await benchStores({ scale }))}\n`)
}
