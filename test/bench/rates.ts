import { logIn, makeFolder, startBroker, type BenchBroker } from './broker.ts'
import { load, type LoadResult, type Shot } from './load.ts'
import { residentBytesOf } from './processes.ts'
import { prepareSecrets, secretData } from './secrets.ts'
import type { Setting } from './setting.ts'

/** Operations that are measured beside a ceiling. */
export const operations = ['lookup-self', 'kv-read', 'kv-write', 'login', 'vend'] as const
export type Operation = typeof operations[number]

/** What the ratio to the ceiling shall be at least; null: nothing was set. */
export const aims: Readonly<Record<Operation, number | null>> = {
  'lookup-self': 0.5, 'kv-read': 0.5, 'kv-write': null, login: 0.4, vend: 0.8
}

/** A broker and its ceiling, medians of the rounds. */
export interface Rate {
  readonly store: 'sqlite' | 'redis'
  readonly operation: Operation
  readonly broker: LoadResult
  readonly ceiling: LoadResult
  /** Median of the rounds' own ratios. */
  readonly ratio: number
  readonly residentBytes: number
}

export interface RateOptions {
  readonly setting: Setting
  readonly store: 'sqlite' | 'redis'
  readonly only: readonly Operation[]
  readonly seconds: number
  readonly rounds: number
  readonly report: (line: string) => void
}

/** Measures a fresh broker against the ceilings, in turns: ceiling, broker, ceiling, broker. */
export async function measureRates ({ setting, store, only, seconds, rounds, report }: RateOptions): Promise<Rate[]> {
  const { emptyRedis, emulatorUrl, ceilings } = setting
  const broker = await startBroker({
    store: store === 'redis' ? emptyRedis() : 'sqlite', emulator: emulatorUrl, folder: makeFolder()
  })
  try {
    const token = await logIn(broker)
    const secretsToken = await prepareSecrets(broker)
    const rates: Rate[] = []
    for (const operation of only) {
      const ours = shotOf(operation, broker, operation.startsWith('kv') ? secretsToken : token)
      const bare = ceilingShot(operation, store, ceilings, ours.body)
      await load(bare, 1, ceilings.running.pid)
      await load(ours, 2, broker.running.pid)
      const pairs: { ceiling: LoadResult, broker: LoadResult }[] = []
      for (let round = 0; round < rounds; round++) {
        const ceiling = await load(bare, seconds, ceilings.running.pid)
        const measured = await load(ours, seconds, broker.running.pid)
        report(`${store} ${operation}: ${Math.round(measured.perSecond)}/s of ${Math.round(ceiling.perSecond)}/s`)
        pairs.push({ ceiling, broker: measured })
      }
      rates.push({
        store,
        operation,
        broker: medians(pairs.map((pair) => pair.broker)),
        ceiling: medians(pairs.map((pair) => pair.ceiling)),
        ratio: median(pairs.map((pair) => pair.broker.perSecond / pair.ceiling.perSecond)),
        residentBytes: residentBytesOf(broker.running.pid)
      })
    }
    return rates
  } finally {
    await broker.running.end()
  }
}

/** The request of an operation to a broker. */
export function shotOf (operation: Operation, { url, roleId, secretId }: BenchBroker, token: string): Shot {
  const get = { method: 'GET', headers: { 'x-vault-token': token }, body: '' } as const
  switch (operation) {
    case 'lookup-self': return { ...get, url: `${url}/v1/auth/token/lookup-self` }
    case 'kv-read': return { ...get, url: `${url}/v1/bench/data/ci/deploy` }
    case 'kv-write': return {
      url: `${url}/v1/bench/data/ci/{client}`,
      method: 'POST',
      headers: { 'x-vault-token': token, 'content-type': 'application/json' },
      body: `{"options":{"cas":{count}},"data":${JSON.stringify(secretData)}}`,
      varies: true
    }
    case 'vend': return { ...get, url: `${url}/v1/aws/creds/ec2-only` }
    case 'login': return {
      url: `${url}/v1/auth/approle/login`,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ role_id: roleId, secret_id: secretId })
    }
  }
}

function ceilingShot (
  operation: Operation, store: string, { url, token }: Setting['ceilings'], body: string
): Shot {
  const get = { method: 'GET', headers: { 'x-vault-token': token }, body: '' } as const
  switch (operation) {
    case 'lookup-self': case 'kv-read': return { ...get, url: `${url}/lookup` }
    case 'kv-write': return {
      url: `${url}/write-${store}`,
      method: 'POST',
      headers: { 'x-vault-token': token, 'content-type': 'application/json' },
      body,
      varies: true
    }
    case 'vend': return { ...get, url: `${url}/vend` }
    case 'login': return { url: `${url}/login-${store}`, method: 'POST', headers: { 'content-type': 'application/json' }, body }
  }
}

/** The middle one of some numbers. */
export function median (values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

function medians (results: readonly LoadResult[]): LoadResult {
  const of = (pick: (result: LoadResult) => number) => median(results.map(pick))
  return {
    requests: results.reduce((sum, { requests }) => sum + requests, 0),
    errors: results.reduce((sum, { errors }) => sum + errors, 0),
    perSecond: of((result) => result.perSecond),
    p50Ms: of((result) => result.p50Ms),
    p99Ms: of((result) => result.p99Ms),
    cpuMicros: of((result) => result.cpuMicros)
  }
}
