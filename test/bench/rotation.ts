import { mkdtempSync, rmSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { key, SHARDS, type Change, type Store } from '../../src/core/store.ts'
import { openSqliteStore } from '../../src/store/sqlite.ts'
import { startBroker, textOf } from '../helpers/broker.ts'
import type { Teardown } from '../helpers/redis.ts'
import { createTestBroker } from '../mounts/rig.ts'

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

/** A rotation's time at a mount with so many leases, milliseconds. */
export interface RotationCost { readonly leases: number, readonly rotationMs: number }

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
    const broker = await startBroker(t)
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

/** What a rotation costs at a mount with no lease and with many, on SQLite: it must be the same. */
export function measureCost (
  { leases = 100_000, rounds = 40 }: { leases?: number, rounds?: number } = {}
): Promise<RotationCost[]> {
  return withTeardown(async (t) => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'rotation-bench-'))
    t.teardown(() => rmSync(folder, { recursive: true, force: true }))
    const store = openSqliteStore({ location: path.join(folder, 'store', 'bench.db') })
    t.teardown(() => store.close())
    const broker = await createTestBroker(store, Date.now())
    const { accessor } = await broker.enable('kv', { cron: null })
    const time = async () => {
      const from = performance.now()
      for (let n = 0; n < rounds; n++) await broker.rotator.rotate(broker.mount('kv'), { expectedSlot: null, graceSeconds: 0 })
      return (performance.now() - from) / rounds
    }
    await time()
    const few = await time()
    await fill(store, accessor, leases)
    return [{ leases: 0, rotationMs: few }, { leases, rotationMs: await time() }]
  })
}

async function fill (store: Store, accessor: string, leases: number): Promise<void> {
  const value = Buffer.alloc(400)
  for (let at = 0; at < leases; at += 200) {
    const shard = SHARDS[at / 200 % SHARDS.length] ?? '00'
    const changes = Array.from({ length: 200 }, (_, i): Change => ({
      op: 'put', key: key(shard, `lease/${shard}${at + i}`), value, names: [`lease/${accessor}/creds/r/${shard}${at + i}`]
    }))
    await store.commit(changes)
  }
}

if (import.meta.main) {
  for (const { leases, rotationMs } of await measureCost()) console.log(`a rotation with ${leases} leases under the mount: ${rotationMs.toFixed(2)} ms`)
  const figures = await measureRotation()
  console.log(`${figures.clients} clients, ${figures.rotations} rotations of two mounts in ${figures.seconds.toFixed(1)} s: ` +
    `${figures.requests} requests, ${figures.refused} refused, ${figures.wrong} from a wrong mount`)
}
