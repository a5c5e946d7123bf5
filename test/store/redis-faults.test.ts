import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import {
  drawStamp, StoreUnavailable, StoreUnknown, type Change, type Store
} from '../../src/core/store.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import { command, startRedis, until, type RedisSettings } from '../helpers/redis.ts'
import { startProxy } from './proxy.ts'

const put = (key: string, more: object = {}): Change => ({ op: 'put', key, value: Buffer.from('x'), ...more })

async function open (t: Test, url: string, more: object = {}): Promise<Store> {
  const store = await openRedisStore({ url, ...more })
  t.teardown(() => store.close())
  return store
}

async function answers (store: Store): Promise<boolean> {
  try {
    await store.get(['00:a'])
    return true
  } catch {
    return false
  }
}

t.test('a use whose answer was lost counts once and is never sent again (FLT-017, SEC-136, SEC-354)', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis.port)
  const store = await open(t, `redis://127.0.0.1:${proxy.port}`)
  await store.commit([put('00:secret', { usesMax: 10 }), put('00:wrap')])
  for (const [n, change] of ([
    { op: 'use', key: '00:secret' }, { op: 'use', key: '00:secret' }, { op: 'take', key: '00:wrap' }
  ] as const).entries()) {
    proxy.cutNextAnswer()
    await t.rejects(store.commit([change, put(`00:made/${n}`)]), StoreUnknown)
    await until('the link is back', () => answers(store))
  }
  const [secret, wrap, ...made] = await store.get(['00:secret', '00:wrap', '00:made/0', '00:made/1', '00:made/2'])
  t.equal(secret?.used, 2, 'each lost use was done exactly once')
  t.equal(wrap, null)
  t.ok(made.every((entry) => entry !== null))
  t.equal(proxy.count('00:made/0') - 1, 1, 'sent once, read once')
})

t.test('a put whose answer was lost is answered by its stamp (FLT-017)', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis.port)
  const store = await open(t, `redis://127.0.0.1:${proxy.port}`)
  const stamp = drawStamp()
  await store.commit([put('00:a', { stamp })])
  proxy.cutNextAnswer()
  t.strictSame(await store.commit([put('00:b'), put('00:a', { expect: stamp })]), [])
  const [a] = await store.get(['00:a'])
  t.not(a?.stamp, stamp)
  proxy.cutNextAnswer()
  await t.rejects(store.commit([put('00:a', { expect: stamp })]), StoreUnknown, 'a conflict looks like nothing')
  await until('the link is back', () => answers(store))
  t.strictSame(await store.get(['00:a']), [a])
  proxy.cutNextAnswer()
  await t.rejects(store.commit([{ op: 'delete', key: '00:b' }]), StoreUnknown, 'a deletion leaves no stamp')
})

t.test('an answer later than the time-out is matched to no other command (FLT-018)', async (t) => {
  const redis = await startRedis(t)
  const proxy = await startProxy(t, redis.port)
  const store = await open(t, `redis://127.0.0.1:${proxy.port}`, { commandTimeoutMs: 150 })
  await store.commit([put('00:a', { value: Buffer.from('a') })])
  await store.commit([put('00:b', { value: Buffer.from('b') })])
  for (let round = 0; round < 3; round++) {
    proxy.hold(true)
    await t.rejects(store.get(['00:a']), StoreUnavailable)
    proxy.hold(false)
    await until('the link is back', () => answers(store))
    const found = await store.get(['00:b', '00:a'])
    t.strictSame(found.map((entry) => Buffer.from(entry?.value ?? []).toString()), ['b', 'a'])
  }
})

t.test('a Redis that stands still: every call fails within a second, then all is well (FLT-025)', async (t) => {
  const redis = await startRedis(t)
  const store = await open(t, redis.url)
  await store.commit([put('00:a')])
  redis.process.kill('SIGSTOP')
  t.teardown(() => { redis.process.kill('SIGCONT') })
  const beganMs = performance.now()
  const calls = await Promise.allSettled([
    ...Array.from({ length: 20 }, () => store.get(['00:a'])),
    ...Array.from({ length: 20 }, (_, n) => store.commit([put(`00:b/${n}`)])),
    store.list('', { limit: 1 }), store.claim({ nowMs: 1, limit: 1, holdMs: 1 })
  ])
  t.ok(performance.now() - beganMs < 2000, 'with room for a slow machine')
  for (const call of calls) t.ok(call.status === 'rejected' && call.reason instanceof StoreUnavailable)
  redis.process.kill('SIGCONT')
  await until('it answers', () => answers(store))
})

t.test('a kill -9 of Redis loses no acknowledged commit with appendfsync always (FLT-020)', async (t) => {
  const redis = await startRedis(t)
  const store = await open(t, redis.url)
  const acknowledged: number[] = []
  let next = 0
  const work = async () => {
    for (;;) {
      const n = next++
      try {
        await store.commit([put(`00:left/${n}`, { names: [`l/${n}`] }), put(`00:right/${n}`, { names: [`r/${n}`] })])
      } catch (error) {
        t.ok(error instanceof StoreUnavailable)
        return
      }
      acknowledged.push(n)
    }
  }
  const writers = Array.from({ length: 16 }, work)
  await until('there is load', () => acknowledged.length > 500)
  await redis.kill()
  await Promise.all(writers)
  await t.rejects(store.get(['00:left/0']), StoreUnavailable)
  await redis.restart()
  await until('it answers', () => answers(store))
  for (let n = 0; n < acknowledged.length; n += 200) {
    const some = acknowledged.slice(n, n + 200)
    const found = await store.get(some.flatMap((one) => [`00:left/${one}`, `00:right/${one}`]))
    t.ok(found.every((entry) => entry !== null))
  }
  const names = async (prefix: string) => (await store.list(prefix, { limit: 1000 })).map(({ name }) => name)
  t.strictSame(await names('l/'), await names('r/'), 'each pair whole or absent')
})

t.test('scripts that are gone come back by themselves, without doing anything twice (FLT-028)', async (t) => {
  const redis = await startRedis(t)
  const store = await open(t, redis.url)
  await store.commit([put('00:secret', { usesMax: 100 })])
  for (let round = 1; round <= 3; round++) {
    await command(redis.port, 'SCRIPT FLUSH')
    const met = await Promise.all(Array.from({ length: 5 }, () => store.commit([{ op: 'use', key: '00:secret' }])))
    t.strictSame(met.flat().map(({ used }) => used).toSorted((a, b) => a - b),
      Array.from({ length: 5 }, (_, n) => 5 * (round - 1) + n + 1))
  }
})

t.test('a reply of another type is an integrity error, not a value (SEC-356)', async (t) => {
  const redis = await startRedis(t)
  const store = await open(t, redis.url)
  await store.commit([put('00:a'), put('00:b')])
  const direct = new Redis(redis.port, '127.0.0.1')
  t.teardown(() => direct.disconnect())
  const [name = ''] = await direct.keys('*00:a')
  for (const value of ['', 'short', Buffer.alloc(18, 0xff)]) {
    await direct.set(name, value)
    await t.rejects(store.get(['00:a']), { name: 'StoreIntegrity', key: '00:a' })
  }
  await direct.del(name)
  await direct.lpush(name, 'x')
  await t.rejects(store.get(['00:a']), StoreUnavailable)
  await t.rejects(store.commit([put('00:b'), { op: 'check', key: '00:a' }]), StoreUnavailable)
})

t.test('every key is under our prefix and one of the fixed tags; nothing expires (SEC-209, SEC-357)', async (t) => {
  const redis = await startRedis(t)
  const store = await open(t, redis.url)
  for (const shard of ['00', 'ff', 'sys', 'm-kv_{x}'.replace(/[{}]/g, '_')]) {
    await store.commit([put(`${shard}:{braces}`, { names: ['n/{x}'], dueAtMs: 1, usesMax: 1 })])
  }
  const direct = new Redis(redis.port, '127.0.0.1')
  t.teardown(() => direct.disconnect())
  const keys = await direct.keys('*')
  t.equal(keys.filter((name) => !/^lk:\{[0-9a-z]{2,4}\}/.test(name)).length, 0)
  for (const name of keys) t.equal(await direct.ttl(name), -1)
})

t.test('memory that runs out refuses what is new, and revoking goes on (FLT-038)', async (t) => {
  const redis = await startRedis(t, { maxmemory: '30mb' })
  const store = await open(t, redis.url, { commandTimeoutMs: 5000 })
  await store.commit([put('00:token', { names: ['t/1'] })])
  const filler = Buffer.alloc(100_000, 1)
  const fill = async () => {
    for (let n = 0; n < 1000; n++) await store.commit([{ op: 'put', key: `01:fill/${n}`, value: filler }])
  }
  await t.rejects(fill(), { name: 'StoreUnavailable' })
  await t.rejects(store.commit([{ op: 'delete', key: '00:token' }, { op: 'put', key: '00:dying', value: filler }]),
    { name: 'StoreUnavailable' })
  t.ok((await store.get(['00:token']))[0], 'a refused commit wrote nothing, its deletion neither')
  for (let n = 0; n < 15; n++) await store.commit([{ op: 'delete', key: `01:fill/${n}` }])
  await store.inspect()
  await t.rejects(store.commit([put('02:new')]), { message: 'the store is nearly full' })
  await store.commit([{ op: 'delete', key: '00:token' }, put('00:dying', { dueAtMs: 0 })])
  t.strictSame((await store.get(['00:token', '00:dying'])).map((entry) => entry === null), [true, false])
})

t.test('settings that put data at risk are named (SEC-352, FLT-022, FLT-030)', async (t) => {
  const bad: readonly (readonly [RedisSettings, RegExp | null])[] = [
    [{}, null],
    [{ 'maxmemory-policy': 'allkeys-lru' }, /maxmemory-policy/],
    [{ 'maxmemory-policy': 'volatile-ttl' }, /maxmemory-policy/],
    [{ appendonly: 'no' }, /appendonly/],
    [{ appendfsync: 'no' }, /appendfsync/],
    [{ appendfsync: 'everysec' }, /min-replicas-to-write/],
    [{ 'rename-command': ['CONFIG', 'nobody'] }, /CONFIG GET is refused/]
  ]
  for (const [settings, problem] of bad) {
    const redis = await startRedis(t, settings)
    const store = await open(t, redis.url)
    const problems = (await store.inspect()).problems.filter((one) => !one.includes('is below'))
    t.equal(problems.length, problem === null ? 0 : 1, JSON.stringify(settings))
    if (problem !== null) t.match(problems[0], problem)
    await store.close()
    await redis.kill()
  }
})

t.test('a replica is named and written to by nobody (SEC-352)', async (t) => {
  const primary = await startRedis(t)
  const replica = await startRedis(t, { replicaof: ['127.0.0.1', String(primary.port)] })
  const store = await open(t, replica.url)
  t.match((await store.inspect()).problems.join(), /is a replica/)
  await t.rejects(store.commit([put('00:a')]), { name: 'StoreUnavailable' })
})

t.test('a setting that changes while it runs is noticed by the next look (FLT-030)', async (t) => {
  const redis = await startRedis(t)
  const store = await open(t, redis.url)
  await command(redis.port, 'CONFIG SET maxmemory-policy allkeys-lru')
  t.match((await store.inspect()).problems.join(), /maxmemory-policy/)
})

t.test('a password from the URL is used, and is in no error (SEC-360)', async (t) => {
  const redis = await startRedis(t, { requirepass: 'pass word' })
  const store = await open(t, redis.url.replace('redis://', 'redis://:pass%20word@'))
  await store.commit([put('00:a')])
  const wrong = openRedisStore({ url: redis.url.replace('redis://', 'redis://:canary-77@') })
  const error = await wrong.then(() => null, (reason: unknown) => reason)
  t.ok(error instanceof StoreUnavailable)
  t.notMatch(JSON.stringify([String(error), (error as Error).stack, String((error as Error).cause)]), /canary-77/)
})

t.test('the counts of commits grow, and a restart is another run', async (t) => {
  const redis = await startRedis(t)
  const store = await open(t, redis.url)
  await store.commit([put('4f:a')])
  const before = await store.inspect()
  await store.commit([put('4f:a')])
  const after = await store.inspect()
  t.equal((after.sequences.get('4f') ?? 0) - (before.sequences.get('4f') ?? 0), 1)
  await redis.kill()
  await redis.restart()
  await until('it answers', () => answers(store))
  const restarted = await store.inspect()
  t.not(restarted.runId, before.runId)
  t.equal(restarted.sequences.get('4f'), after.sequences.get('4f'))
})

t.test('a Redis that is not there is named without ado', async (t) => {
  const redis = await startRedis(t)
  await redis.kill()
  await t.rejects(openRedisStore({ url: redis.url }), { message: `Redis at 127.0.0.1:${redis.port} cannot be used` })
})
