import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { startBroker as startTestBroker, textOf } from '../helpers/broker.ts'
import type { Teardown } from '../helpers/redis.ts'
import { accessorOf, ask, makeFolder, rootToken, startBroker, type BenchBroker } from './broker.ts'
import { median } from './rates.ts'
import type { Setting } from './setting.ts'

/** Clients that use two mounts by name while the names change. */
export interface RotationFigures {
  readonly clients: number
  readonly rotations: number
  readonly seconds: number
  readonly requests: number
  /** Requests that a mount did not answer. */
  readonly refused: number
  /** Answers that came from the other mount. */
  readonly wrong: number
}

/** What a rotation takes at a mount without leases and at one with many, medians of single rotations over HTTP. */
export interface RotationCost {
  readonly leases: number
  readonly emptyMs: number
  readonly fullMs: number
}

async function withTeardown<T> (run: (t: Teardown) => Promise<T>): Promise<T> {
  const ends: (() => Promise<void> | void)[] = []
  try {
    return await run({ teardown (end) { ends.unshift(end) } })
  } finally {
    for (const end of ends) await end()
  }
}

/** The figure of SEC-225: 500 clients, 100 rotations in 60 s. */
export function measureRotation (
  { clients = 500, rotations = 100, seconds = 60 }: { clients?: number, rotations?: number, seconds?: number } = {}
): Promise<RotationFigures> {
  return withTeardown(async (t) => {
    const broker = await startTestBroker(t)
    const mounts = ['left', 'right'] as const
    const nameOf = async (mount: string) => textOf(await broker.must('GET', `sys/latchkey/resolve/${mount}`), 'name')
    for (const mount of mounts) {
      await broker.must('POST', `sys/mounts/${mount}`, { body: { type: 'kv' } })
      await broker.must('POST', `${mount}/who`, { body: { value: mount } })
      await broker.must('POST', `sys/latchkey/rotation/${mount}`, { body: { stable_path: 'never', grace_period: '60s' } })
    }
    const count = { requests: 0, refused: 0, wrong: 0 }
    let over = false
    const client = async (n: number) => {
      const mount = mounts[n % 2] ?? 'left'
      while (!over) {
        const name = await nameOf(mount)
        for (let use = 0; use < 5 && !over; use++) {
          const { status, body } = await broker.ask('GET', `${name}/who`)
          count.requests++
          if (status !== 200) count.refused++
          else if (body.data?.['value'] !== mount) count.wrong++
        }
      }
    }
    const running = Array.from({ length: clients }, (_, n) => client(n))
    const from = performance.now()
    for (let n = 1; n <= rotations; n++) {
      for (const mount of mounts) await broker.must('POST', `sys/latchkey/rotation/${mount}/rotate`)
      await delay(Math.max(0, from + n * seconds * 1000 / rotations - performance.now()))
    }
    over = true
    await Promise.all(running)
    return { clients, rotations, seconds: (performance.now() - from) / 1000, ...count }
  })
}

/** What a rotation costs at a mount with no lease and with many, on SQLite, two brokers in turns: it must be the same. */
export async function measureRotationCost (
  { setting, leases, rotations }: { readonly setting: Setting, readonly leases: number, readonly rotations: number }
): Promise<RotationCost> {
  const empty = await startRotating(setting, 0)
  const full = await startRotating(setting, leases)
  try {
    const times = { empty: [] as number[], full: [] as number[] }
    for (let n = -10; n < rotations; n++) {
      const [emptyMs, fullMs] = [await rotate(empty), await rotate(full)]
      if (n < 0) continue
      times.empty.push(emptyMs)
      times.full.push(fullMs)
    }
    return { leases, emptyMs: median(times.empty), fullMs: median(times.full) }
  } finally {
    await empty.running.end()
    await full.running.end()
  }
}

/** A broker whose mount `aws` rotates and has so many live leases. */
async function startRotating ({ emulatorUrl }: Setting, leases: number): Promise<BenchBroker> {
  const options = { store: 'sqlite', emulator: emulatorUrl, folder: makeFolder() }
  if (leases > 0) {
    const accessor = await accessorOf(options, 'aws/')
    execFileSync(process.execPath, [path.join(import.meta.dirname, 'fill.ts'), options.folder, String(leases), accessor])
  }
  const broker = await startBroker(options)
  await ask(broker.url, 'POST', '/v1/sys/latchkey/rotation/aws', rootToken, { grace_period: '0s' })
  return broker
}

async function rotate ({ url }: BenchBroker): Promise<number> {
  const from = performance.now()
  await ask(url, 'POST', '/v1/sys/latchkey/rotation/aws/rotate', rootToken)
  return performance.now() - from
}
