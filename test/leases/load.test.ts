import { monitorEventLoopDelay } from 'node:perf_hooks'
import t from 'tap'
import { leaseKey, putLease, type LeaseRecord } from '../../src/leases/lease-record.ts'
import { createRig, stores } from './rig.ts'

const openSqlite = stores['sqlite']

// One broker, one file: the store's own work is on the loop that serves requests.
t.test('20,000 leases that end in the same second do not hold up requests (FLT-062)', async (t) => {
  if (openSqlite === undefined) return
  const rig = createRig({ store: openSqlite(t), leases: { ratePerSecond: 5000 } })
  const tokens = await Promise.all(Array.from({ length: 500 }, () => rig.token()))
  const sample = await rig.open(tokens[0] ?? await rig.token())
  await sample.abandon()
  const endsAtMs = rig.clock.now() + 3_600_000
  for (const [n, token] of tokens.entries()) {
    const shard = token.accessor.slice(0, 2)
    await rig.store.commit(Array.from({ length: 40 }, (_, i) => {
      const id = shard + String(n * 40 + i).padStart(22, '0')
      const record: LeaseRecord = {
        ...(sample.lease as LeaseRecord), id, tokenAccessor: token.accessor, state: 'active', expiresAtMs: endsAtMs, endsAtMs
      }
      return putLease(record, { expect: 'absent', dueAtMs: endsAtMs })
    }))
  }

  const owner = await rig.token({ ttlSeconds: 1_000_000 })
  const request = async () => {
    const startMs = performance.now()
    const lease = await rig.open(owner)
    await lease.confirm(rig.issued(lease.lease))
    return performance.now() - startMs
  }
  const times = { quiet: [] as number[], busy: [] as number[] }
  for (let i = 0; i < 200; i++) times.quiet.push(await request())

  rig.clock.advance(3600)
  const delay = monitorEventLoopDelay({ resolution: 1 })
  delay.enable()
  const startMs = performance.now()
  let done = false
  const sweeping = rig.sweep().finally(() => { done = true })
  while (!done) times.busy.push(await request())
  await sweeping
  delay.disable()
  const seconds = (performance.now() - startMs) / 1000

  const p99 = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0
  t.comment(`swept in ${seconds.toFixed(1)} s; vend p99 ${p99(times.quiet).toFixed(1)} ms quiet, ${p99(times.busy).toFixed(1)} ms busy (${times.busy.length}); loop delay p99 ${(delay.percentile(99) / 1e6).toFixed(1)} ms, max ${(delay.max / 1e6).toFixed(1)} ms`)
  t.equal(new Set(rig.engine.revoked).size, 20_000 + times.quiet.length)
  t.strictSame(await rig.store.get([leaseKey(`${tokens[0]?.accessor.slice(0, 2)}${'0'.repeat(22)}`)]), [null])
  t.ok(times.busy.length > 50, 'requests went on')
  t.ok(delay.percentile(99) / 1e6 < 1000, 'the loop was not held: a sweep in one piece takes seconds')
  t.strictSame(rig.errors, [])
})
