import t from 'tap'
import { BrokerError } from '../../src/core/errors.ts'
import { key, StoreUnavailable, type Store } from '../../src/core/store.ts'
import { leaseKey } from '../../src/leases/lease-record.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createRig, fakeEngine, mountAt, stores } from './rig.ts'

/** A store that does what is asked until `leases` of them were written, and then nothing any more: a broker that died. */
function brokenAfter (store: Store, leases: number): Store {
  let written = 0
  const dead = () => Promise.reject(new StoreUnavailable())
  return {
    ...store,
    commit (changes, options) {
      if (written + changes.length > leases) {
        written = Infinity
        return dead()
      }
      written += changes.length
      return store.commit(changes, options)
    },
    claim: (query) => written === Infinity ? dead() : store.claim(query)
  }
}

const idOf = (wireId: string) => wireId.slice(wireId.lastIndexOf('/') + 1)

for (const [kind, openStore] of Object.entries(stores)) {
  t.test(kind, async (t) => {
    t.test('a revoked STS lease is gone, its session is shown until it is dead (SEC-149)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const id = await rig.vend(await rig.token({ runId: 'r' }))
      const diesAtMs = rig.clock.now() + 3_600_000
      rig.clock.advance(10)
      t.strictSame(await rig.leases.revoke(id), { diesAtMs, failures: [] })
      t.equal(await rig.leases.lookUp(id), null)
      await t.rejects(rig.leases.renew(id, 0), { message: 'lease not found' })
      t.strictSame((await rig.leases.list('aws/sts/deploy', { after: '', limit: 0 })).keys, [])
      t.match(await rig.sessionsOf({ run: 'r' }), [{ state: 'revoked', leaseId: id, diesAtMs }])
      rig.clock.advance(3589)
      await rig.sweep()
      t.equal((await rig.sessionsOf()).length, 1)
      rig.clock.advance(1)
      await rig.sweep()
      t.strictSame(await rig.store.get([leaseKey(idOf(id))]), [null], 'dropped when it was dead, not before')
      t.equal(rig.engine.revoked.length, 1)
    })

    t.test('of each lease it is told once that it ended, when it did: not of one that is held, or that will be tried again', async (t) => {
      const told: string[] = []
      const engine = fakeEngine()
      const rig = createRig({ store: openStore(t), engine, leases: { onEnded: (lease) => { told.push(lease.id) } } })
      const token = await rig.token()
      const [revoked, failing, natural] = [await rig.vend(token), await rig.vend(token), await rig.vend(token, { ttlSeconds: 7200 })].map(idOf)
      const open = await rig.open(token)
      await open.orphan('STS did not answer')
      await rig.sweep()
      t.strictSame(told, [], 'an orphan is held')
      await rig.leases.revoke(`aws/sts/deploy/${revoked}`)
      await rig.leases.revoke(`aws/sts/deploy/${revoked}`)
      engine.fail(new Error('the engine failed'))
      await rig.leases.revoke(`aws/sts/deploy/${failing}`)
      t.strictSame(told, [revoked])
      engine.fail(null)
      rig.clock.advance(3700)
      await rig.sweep()
      t.strictSame(told.toSorted(), [revoked, failing, open.lease.id].toSorted())
      rig.clock.advance(3600)
      await rig.sweep()
      t.strictSame(told.slice(3), [natural])
    })

    t.test('revoking twice is no error and says the same', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const id = await rig.vend(await rig.token())
      const first = await rig.leases.revoke(id)
      t.strictSame(await rig.leases.revoke(id), first)
      t.equal(rig.engine.revoked.length, 1, 'its effect is once')
    })

    t.test('a lease that is confirmed while it is being ended is ended as confirmed, and the others with it', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const token = await rig.token()
      const ids = [await rig.vend(token), await rig.vend(token)]
      const open = await rig.open(token)
      const { revoke } = rig.engine.engines
      rig.engine.engines.revoke = async (lease, nowMs) => {
        if (lease.state === 'pending') await open.confirm(rig.issued(open.lease))
        return revoke(lease, nowMs)
      }
      await rig.leases.endOf(token.accessor)
      const sessions = await rig.sessionsOf()
      t.strictSame(sessions.map(({ state }) => state), ['revoked', 'revoked', 'revoked'])
      t.strictSame(sessions.map(({ leaseId }) => leaseId).sort(), [...ids, open.wireId].sort())
      t.ok(sessions.every(({ accessKeyId }) => accessKeyId !== null), 'what the confirmation wrote is kept')
    })

    t.test('a lease past its end is gone, whether or not the sweep came by', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const id = await rig.vend(await rig.token())
      rig.clock.advance(3599)
      t.ok(await rig.leases.lookUp(id))
      rig.clock.advance(1)
      t.equal(await rig.leases.lookUp(id), null)
      t.strictSame(await rig.sessionsOf(), [])
    })

    t.test('what an engine withdrew leaves no record', async (t) => {
      const rig = createRig({ store: openStore(t), engine: fakeEngine('revoked') })
      const id = await rig.vend(await rig.token(), { renewable: true, ttlSecondsMax: 7200 })
      t.strictSame(await rig.leases.revoke(id), { diesAtMs: null, failures: [] })
      t.strictSame(await rig.store.get([leaseKey(idOf(id))]), [null])
    })

    t.test('a queued revocation is durable and done by the next sweep', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const id = await rig.vend(await rig.token())
      await rig.leases.queue(id)
      const other = createRig({ store: rig.store, clock: rig.clock })
      await other.sweep()
      t.equal(await rig.leases.lookUp(id), null)
      t.match(await rig.sessionsOf(), [{ state: 'revoked' }])
    })

    t.test('revoking a token is true for its leases and those of its descendants at the next look (SEC-096, 3.5)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const parent = await rig.token()
      const child = await rig.token({ parent })
      const orphan = await rig.token()
      const [own, below, apart] = [await rig.vend(parent), await rig.vend(child), await rig.vend(orphan)]
      await rig.ending.revoke(parent.accessor, rig.clock.now())
      t.equal(await rig.leases.lookUp(own), null)
      t.equal(await rig.leases.lookUp(below), null)
      await t.rejects(rig.leases.renew(below, 0), { message: 'lease not found' })
      t.ok(await rig.leases.lookUp(apart))
      await rig.sweep()
      t.strictSame((await rig.sessionsOf()).map(({ state, leaseId }) => [leaseId, state]).sort(),
        [[own, 'revoked'], [below, 'revoked'], [apart, 'active']].sort())
      t.strictSame(rig.errors, [])
    })

    t.test('a token whose children are kept takes only its own leases along', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const parent = await rig.token()
      const child = await rig.token({ parent })
      const [own, below] = [await rig.vend(parent), await rig.vend(child)]
      await rig.ending.revokeOrphan(parent.accessor, rig.clock.now())
      t.equal(await rig.leases.lookUp(own), null)
      t.ok(await rig.leases.lookUp(below))
      await rig.sweep()
      t.strictSame(rig.engine.revoked, [idOf(own)])
    })

    t.test('leases end with the expiry of a token that lives shorter (SEC-100, SEC-101)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const id = await rig.vend(await rig.token({ ttlSeconds: 10 }))
      rig.clock.advance(10)
      t.equal(await rig.leases.lookUp(id), null)
      await rig.sweep()
      t.match(await rig.sessionsOf(), [{ state: 'revoked' }])
    })

    for (const k of [0, 1, 500, 999]) {
      t.test(`a token with 1,000 leases, the broker dies after ${k}: all are ended once, by whoever goes on (SEC-156, FLT-009)`, async (t) => {
        const rig = createRig({ store: openStore(t) })
        const token = await rig.token()
        const ids = await Promise.all(Array.from({ length: 1000 }, () => rig.vend(token)))
        const dying = createRig({ store: brokenAfter(rig.store, k), clock: rig.clock, engine: rig.engine })
        await rig.ending.revoke(token.accessor, rig.clock.now())
        t.equal(await rig.leases.lookUp(ids[999] ?? ''), null, 'all are over at once')
        await dying.sweep().catch(() => {})

        rig.clock.advance(100)
        await rig.sweep()
        t.equal(new Set(rig.engine.revoked).size, 1000)
        t.ok(rig.engine.revoked.length <= 1050, 'at most the batch under way is ended twice')
        const sessions = await rig.sessionsOf({ tokenAccessor: token.accessor })
        t.equal(sessions.filter(({ state }) => state === 'revoked').length, 1000)
        t.strictSame(await rig.store.list(`lease-of/${token.accessor}/`, { limit: 10 }), [])
        const queue = key(token.accessor.slice(0, 2), `dying/${token.accessor}`)
        t.strictSame(await rig.store.get([queue]), [null], 'the queue\'s entry goes last')
      })
    }

    t.test('a prefix ends at a segment (SEC-153)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const token = await rig.token()
      const [r1, r10, other] = [
        await rig.vend(token, { path: 'aws/creds/r1' }),
        await rig.vend(token, { path: 'aws/creds/r10' }),
        await rig.vend(token, { path: 'aws/sts/r1' })
      ]
      await rig.leases.revokePrefix('aws/creds/r', 'revoke')
      t.ok(await rig.leases.lookUp(r1))
      await rig.leases.revokePrefix('aws/creds/r1', 'revoke')
      t.equal(await rig.leases.lookUp(r1), null)
      t.ok(await rig.leases.lookUp(r10))
      await rig.leases.revokePrefix('aws/creds', 'revoke')
      t.equal(await rig.leases.lookUp(r10), null)
      t.ok(await rig.leases.lookUp(other))
    })

    t.test('a prefix may be a whole lease id, or cover several mounts', async (t) => {
      const mounts = [mountAt('team/aws'), mountAt('team/aws2'), mountAt('approle', { table: 'auth', type: 'approle' })]
      const rig = createRig({ store: openStore(t), mounts })
      const token = await rig.token()
      const [one, two, three] = [
        await rig.vend(token, { path: 'team/aws/sts/a' }),
        await rig.vend(token, { path: 'team/aws/sts/a' }),
        await rig.vend(token, { path: 'team/aws2/sts/a' })
      ]
      const { diesAtMs } = await rig.leases.revokePrefix(one, 'revoke')
      t.equal(diesAtMs, rig.clock.now() + 3_600_000)
      t.equal(await rig.leases.lookUp(one), null)
      t.ok(await rig.leases.lookUp(two))
      await rig.leases.revokePrefix('team', 'revoke')
      t.equal(await rig.leases.lookUp(two), null)
      t.equal(await rig.leases.lookUp(three), null)
    })

    t.test('a prefix of an auth mount ends the tokens that were made there, with all below them', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const token = await rig.token()
      const lease = await rig.vend(token)
      await rig.leases.revokePrefix('auth/approle/login', 'revoke')
      t.equal(await rig.tokens.findByAccessor(token.accessor, rig.clock.now()), null)
      t.equal(await rig.leases.lookUp(lease), null)
    })

    t.test('a queued prefix is durable and done in turns', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const token = await rig.token()
      await Promise.all(Array.from({ length: 1200 }, () => rig.vend(token)))
      await rig.leases.queuePrefix('aws/sts')
      const other = createRig({ store: rig.store, clock: rig.clock })
      await other.sweep()
      t.strictSame(await rig.store.list('lease/', { limit: 1 }), [])
      t.equal(other.engine.revoked.length, 1200)
      t.strictSame(await rig.store.claim({ nowMs: rig.clock.now() + 120_000, limit: 10, holdMs: 1 }), [], 'nothing is left in the queue')
    })

    t.test('all leases of a mount end before it may go (SEC-158)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const token = await rig.token()
      await Promise.all(Array.from({ length: 120 }, () => rig.vend(token)))
      const [aws] = rig.mounts
      if (!aws) return
      await rig.leases.endMount(aws)
      t.equal(rig.engine.revoked.length, 120)
      t.strictSame(await rig.leases.endMount(aws), { diesAtMs: null, failures: [] })
    })
  })
}

t.test('six attempts with growing pauses, then irrevocable with a reason, and by hand again (SEC-157)', async (t) => {
  const rig = createRig({ store: createMemoryStore(), engine: fakeEngine('revoked') })
  const token = await rig.token()
  const id = await rig.vend(token, { renewable: true, ttlSecondsMax: 7200 })
  rig.engine.fail(new BrokerError('upstream_failed', 'AWS says no'))
  t.strictSame(await rig.leases.revoke(id), { diesAtMs: null, failures: [`failed to revoke ${id}: AWS says no`] })
  const pauses = [10, 20, 40, 80, 160]
  for (const [i, pause] of pauses.entries()) {
    t.ok(await rig.leases.lookUp(id), 'it stays visible')
    rig.clock.advance(pause - 1)
    await rig.sweep()
    t.equal(rig.engine.revoked.length, i + 1, 'not too early')
    rig.clock.advance(pause / 4 + 1)
    await rig.sweep()
    t.equal(rig.engine.revoked.length, i + 2)
  }
  rig.clock.advance(1_000_000)
  await rig.sweep()
  t.equal(rig.engine.revoked.length, 6)
  t.strictSame(await rig.leases.irrevocable(10), [{ leaseId: id, mountAccessor: 'aws_aws', reason: 'AWS says no' }])
  t.match(await rig.sessionsOf(), [{ state: 'irrevocable' }])
  t.ok(await rig.leases.lookUp(id))

  rig.engine.fail(null)
  t.strictSame(await rig.leases.revoke(id), { diesAtMs: null, failures: [] })
  t.strictSame(await rig.leases.irrevocable(10), [])
  t.strictSame(await rig.sessionsOf(), [])
})

t.test('a forced revocation does not ask a failing engine again, and still shows what lives (5.8)', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const id = await rig.vend(await rig.token())
  rig.engine.fail(new Error('down'))
  t.strictSame(await rig.leases.revokePrefix('aws', 'force'), { diesAtMs: rig.clock.now() + 3_600_000, failures: [] })
  t.equal(await rig.leases.lookUp(id), null)
  t.match(await rig.sessionsOf(), [{ state: 'revoked' }])
})

t.test('an engine that fails tells nothing private', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const id = await rig.vend(await rig.token())
  rig.engine.fail(new Error('secret detail'))
  t.strictSame((await rig.leases.revoke(id)).failures, [`failed to revoke ${id}: the engine failed`])
})

t.test('forged ids lead nowhere (SEC-152)', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const token = await rig.token()
  const id = await rig.vend(token)
  const record = idOf(id)
  const forged = [
    '', '/', record, `/${id}`, `${id}/`, id.toUpperCase(), `aws/sts/Deploy/${record}`, `aws/sts/${record}`, `aws//sts/deploy/${record}`,
    id.slice(0, -1), `${id}x`, `aws/sts/deploy/${'0'.repeat(24)}`, `aws/sts/deploy/zz${record.slice(2)}`, `aws/sts/deploy/${'x'.repeat(10_240)}`,
    '__proto__', 'aws/sts/deploy/constructor', `aws/sts/deploy/${record}\0`, `aws/sts/deploy/${token.accessor}`, `auth/approle/login/${record}`
  ]
  for (const wrong of forged) {
    t.equal(await rig.leases.lookUp(wrong), null)
    t.equal(await rig.leases.ownership(wrong), null)
    await t.rejects(rig.leases.renew(wrong, 0), { message: 'lease not found' })
    t.strictSame(await rig.leases.revoke(wrong), { diesAtMs: null, failures: [] })
    await rig.leases.queue(wrong)
  }
  t.ok(await rig.leases.lookUp(id))
})
