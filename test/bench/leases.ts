import { ask, logIn, makeFolder, rootToken, startBroker } from './broker.ts'
import { load } from './load.ts'
import { residentBytesOf } from './processes.ts'
import { shotOf } from './rates.ts'
import type { Setting } from './setting.ts'

/** What many live leases cost a broker, and what ending them costs its clients. */
export interface LeaseFigures {
  readonly store: 'sqlite' | 'redis'
  readonly leases: number
  /** Just after the start, before any request. */
  readonly startBytes: number
  /** After the first fifth of the leases, when the code is warm, and after all of them. */
  readonly warmBytes: number
  readonly warmMade: number
  readonly fullBytes: number
  readonly vendsPerSecond: number
  readonly revokeSeconds: number
  /** Of a client that looks itself up again and again while the leases are ended, and before. */
  readonly reader: { readonly quietP99Ms: number, readonly p99Ms: number, readonly maxMs: number }
}

export interface LeaseOptions {
  readonly setting: Setting
  readonly store: 'sqlite' | 'redis'
  readonly leases: number
  readonly report: (line: string) => void
}

/** Then the leases made so far have to do. */
const fillSecondsMax = 75

/** Makes leases by real vends over HTTP, watches the memory, then revokes them all by their prefix. */
export async function measureLeases ({ setting, store, leases, report }: LeaseOptions): Promise<LeaseFigures> {
  const broker = await startBroker({
    store: store === 'redis' ? setting.emptyRedis() : 'sqlite', emulator: setting.emulatorUrl, folder: makeFolder()
  })
  const { url, running: { pid } } = broker
  try {
    const startBytes = residentBytesOf(pid)
    const token = await logIn(broker)
    const vend = shotOf('vend', broker, token)
    let warmBytes = 0
    let warmMade = 0
    let made = 0
    let seconds = 0
    while (made < leases && seconds < fillSecondsMax) {
      const { requests, perSecond, errors } = await load(vend, 5, pid)
      made += requests - errors
      seconds += requests / perSecond
      if (warmMade === 0 && (made >= leases / 5 || seconds >= fillSecondsMax / 5)) {
        warmMade = made
        warmBytes = residentBytesOf(pid)
      }
      report(`${store} leases: ${made} live, ${megabytes(residentBytesOf(pid))} MB`)
    }
    const fullBytes = residentBytesOf(pid)
    const quiet = createReader(url, token)
    await new Promise((resolve) => { setTimeout(resolve, 2000) })
    const { p99Ms: quietP99Ms } = await quiet.stop()
    const reader = createReader(url, token)
    const beganMs = performance.now()
    await ask(url, 'PUT', '/v1/sys/leases/revoke-prefix/aws/creds/ec2-only', rootToken, { sync: true })
    const revokeSeconds = (performance.now() - beganMs) / 1000
    const { p99Ms, maxMs } = await reader.stop()
    report(`${store} leases: ${made} revoked in ${revokeSeconds.toFixed(1)} s`)
    return {
      store,
      leases: made,
      startBytes,
      warmBytes,
      warmMade,
      fullBytes,
      vendsPerSecond: made / seconds,
      revokeSeconds,
      reader: { quietP99Ms, p99Ms, maxMs }
    }
  } finally {
    await broker.running.end()
  }
}

/** A client that asks about every 2 ms, one request at a time, until it is stopped. */
function createReader (url: string, token: string) {
  const timesMs: number[] = []
  let isStopping = false

  async function read (): Promise<void> {
    while (!isStopping) {
      const beganMs = performance.now()
      await ask(url, 'GET', '/v1/auth/token/lookup-self', token)
      timesMs.push(performance.now() - beganMs)
      await new Promise((resolve) => { setTimeout(resolve, 2) })
    }
  }

  const done = read()
  return {
    async stop () {
      isStopping = true
      await done
      timesMs.sort((a, b) => a - b)
      return { p99Ms: timesMs[Math.floor(timesMs.length * 0.99)] ?? NaN, maxMs: timesMs.at(-1) ?? NaN }
    }
  }
}

/** Bytes as whole megabytes. */
export function megabytes (bytes: number): string {
  return (bytes / 1e6).toFixed(0)
}
