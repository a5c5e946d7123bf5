import t, { type Test } from 'tap'
import { openRedisStore } from '../../src/store/redis.ts'
import { startRedis } from '../helpers/redis.ts'
import { createRig, fakeEngine, manualClock } from './rig.ts'

/** Two brokers on one Redis, each with a connection of its own. */
async function twoBrokers (t: Test, engine = fakeEngine()) {
  const redis = await startRedis(t)
  const clock = manualClock()
  const open = async () => {
    const store = await openRedisStore({ url: redis.url })
    t.teardown(() => store.close())
    return createRig({ store, clock, engine })
  }
  return { redis, one: await open(), two: await open() }
}

t.test('a token revoked on one broker while the other makes leases under it leaves none behind', async (t) => {
  const { one, two } = await twoBrokers(t)
  let handedOut = 0
  let refused = 0
  for (let round = 0; round < 20; round++) {
    const token = await one.token()
    const child = await one.token({ parent: token })
    const work = Array.from({ length: 16 }, async (_, n) => {
      for (let i = 0; i < 4; i++) {
        try {
          await two.vend(n % 2 === 0 ? token : child)
          handedOut += 1
        } catch (error) {
          if (!(error instanceof Error) || error.message !== 'permission denied') throw error
          refused += 1
        }
      }
    })
    await one.token()
    await one.ending.revoke(token.accessor, one.clock.now())
    await Promise.all(work)
  }
  t.ok(handedOut > 0 && refused > 0, `${handedOut} were handed out, ${refused} refused`)
  await Promise.all([one.sweep(), two.sweep()])
  await one.sweep()
  t.strictSame(await one.store.list('lease/', { limit: 1 }), [])
  t.strictSame((await one.sessionsOf()).filter(({ state }) => state !== 'revoked' && state !== 'orphan'), [])
  t.strictSame([...one.errors, ...two.errors], [])
})

t.test('what one broker revoked is over for the other at its next look (FLT I2)', async (t) => {
  const { one, two } = await twoBrokers(t)
  const token = await one.token()
  const [first, second] = [await one.vend(token), await two.vend(token)]
  await one.leases.revoke(second)
  t.equal(await two.leases.lookUp(second), null)
  await two.ending.revoke(token.accessor, one.clock.now())
  t.equal(await one.leases.lookUp(first), null)
})

t.test('two brokers sweep at once, each lease is ended once (FLT-015)', async (t) => {
  const { one, two } = await twoBrokers(t, fakeEngine('revoked'))
  const token = await one.token()
  const terms = { renewable: true, ttlSeconds: 600, ttlSecondsMax: 600 }
  await Promise.all(Array.from({ length: 500 }, () => one.vend(token, terms)))
  one.clock.advance(600)
  await Promise.all([one.sweep(), two.sweep()])
  t.equal(one.engine.revoked.length, 500)
  t.strictSame(await one.store.list('lease/', { limit: 1 }), [])
})

t.test('prefixes across shards are listed and revoked by either broker', async (t) => {
  const { one, two } = await twoBrokers(t)
  const owners = await Promise.all(Array.from({ length: 30 }, () => one.token()))
  const ids = await Promise.all(owners.map((owner) => one.vend(owner, { path: 'aws/sts/r1' })))
  const other = await two.vend(owners[0] ?? await one.token(), { path: 'aws/sts/r10' })
  const names = ids.map((id) => id.slice(id.lastIndexOf('/') + 1)).sort()
  t.strictSame((await two.leases.list('aws/sts/r1', { after: '', limit: 0 })).keys, names)
  t.strictSame((await two.leases.list('aws/sts', { after: '', limit: 0 })).keys, ['r1/', 'r10/'])
  await two.leases.revokePrefix('aws/sts/r1', 'revoke')
  t.strictSame((await one.leases.list('aws/sts', { after: '', limit: 0 })).keys, ['r10/'])
  t.ok(await one.leases.lookUp(other))
})

t.test('leases survive a killed Redis, and a store that is gone hands nothing out (SEC-146)', async (t) => {
  const { redis, one } = await twoBrokers(t)
  const token = await one.token()
  const id = await one.vend(token)
  const open = await one.open(token)
  await redis.kill()
  await t.rejects(open.confirm(one.issued(open.lease)), { code: 'unavailable' })
  await t.rejects(one.open(token))
  await redis.restart()
  for (const deadlineMs = performance.now() + 10_000; performance.now() < deadlineMs;) {
    if (await one.leases.lookUp(id).catch(() => null) !== null) break
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(await one.leases.lookUp(id))
  t.match((await one.sessionsOf({ lease: open.wireId }))[0]?.state, /pending|orphan/)
})
