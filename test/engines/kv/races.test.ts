import path from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import t, { type Test } from 'tap'
import type { Store } from '../../../src/core/store.ts'
import { createBarrier } from '../../../src/store/barrier.ts'
import { createKeyring, firstTerm } from '../../../src/store/keyring.ts'
import { openRedisStore } from '../../../src/store/redis.ts'
import { openSqliteStore } from '../../../src/store/sqlite.ts'
import { createFolder } from '../../helpers/broker.ts'
import { startRedis } from '../../helpers/redis.ts'
import { createKvRig, type KvRig } from './rig.ts'

const times = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Two brokers' engines on one store. */
async function race (t: Test, [one, two]: readonly [KvRig, KvRig]) {
  const rigs = [one, two]
  const either = (n: number) => rigs[n % 2] ?? one

  await t.test('of 100 writes that expect one version exactly one is done (SEC-190)', async (t) => {
    for (let version = 1; version <= 3; version++) await one.put('cas', { version })
    const results = await Promise.allSettled(times(100).map((n) => either(n).put('cas', { n }, 3)))
    t.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
    t.match(await one.answered('read', 'metadata/cas'), { current_version: 4 })
  })

  await t.test('of 60 writes that expect nothing none is lost', async (t) => {
    await one.run('write', 'metadata/free', { max_versions: 100 })
    const answers = await Promise.all(times(60).map((n) => either(n).put('free', { n })))
    t.strictSame(answers.map(({ version }) => version).sort((a, b) => a - b), times(60).map((n) => n + 1))
    for (const [n, { version }] of answers.entries()) t.same((await one.answered('read', 'data/free', { version })).data, { n })
  })

  await t.test('patches at once all count', async (t) => {
    await one.put('patched', {})
    await Promise.all(times(20).map((n) => either(n).run('patch', 'data/patched', { data: { [`k${n}`]: n } })))
    t.equal(Object.keys((await two.answered('read', 'data/patched')).data).length, 20)
  })

  await t.test('a reader meets no version without its data while others write, trim and destroy', async (t) => {
    await one.run('write', 'metadata/busy', { max_versions: 2 })
    await one.put('busy', { n: 0, same: 0 })
    let done = false
    const writes = Promise.all(times(40).map(async (n) => {
      await either(n).put('busy', { n, same: n })
      if (n % 7 === 0) await either(n).run('write', 'destroy/busy', { versions: [n, n + 1] })
    })).finally(() => { done = true })
    let reads = 0
    while (!done) {
      for (const rig of rigs) {
        const outcome = await rig.run('read', 'data/busy', { version: reads % 40 }).catch((error: Error) => error)
        if (outcome instanceof Error) {
          if (outcome.message !== '') t.fail(outcome.message)
        } else if (outcome.kind === 'data' && outcome.as !== 'absent') {
          const { n, same } = (outcome.data as { data: { n: number, same: number } }).data
          if (n !== same) t.fail('a torn version')
        }
        reads++
      }
      await turn()
    }
    await writes
    t.ok(reads > 0)
  })

  await t.test('a key that is removed while it is written is there whole or not at all', async (t) => {
    for (let round = 0; round < 10; round++) {
      await one.put(`gone/${round}`, { v: 1 })
      await Promise.all([
        one.run('delete', `metadata/gone/${round}`), two.put(`gone/${round}`, { v: 2 }), one.put(`gone/${round}`, { v: 3 })
      ])
      const found = await one.run('read', `metadata/gone/${round}`).catch(() => null)
      if (found?.kind !== 'data') continue
      const numbers = Object.keys(found.data?.['versions'] ?? {})
      for (const version of numbers) t.ok((await two.answered('read', `data/gone/${round}`, { version })).data)
    }
  })
}

const keyring = createKeyring('test-cluster', [firstTerm(0)])
const rigOn = (raw: Store) => createKvRig({ store: createBarrier({ store: raw, keyring }), raw })

t.test('on SQLite', async (t) => {
  const store = openSqliteStore({ location: path.join(createFolder(t), 'store.db') })
  t.teardown(() => store.close())
  await race(t, [rigOn(store), rigOn(store)])
})

t.test('on Redis, over two connections', async (t) => {
  const redis = await startRedis(t)
  const [one, two] = [await openRedisStore({ url: redis.url }), await openRedisStore({ url: redis.url })]
  t.teardown(async () => {
    await one.close()
    await two.close()
  })
  await race(t, [rigOn(one), rigOn(two)])
})
