import t from 'tap'
import { StoreUnavailable, StoreUnknown, type Change, type Store } from '../../src/core/store.ts'
import { leaseKey, openRecord } from '../../src/leases/lease-record.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createRig, stores } from './rig.ts'

const denied = { code: 'permission_denied', message: 'permission denied' }

/** A store whose commits a test can refuse, hold up or lose. */
function unruly (inner: Store) {
  let next: ((commit: () => Promise<unknown>) => Promise<unknown>) | null = null
  const store: Store = {
    ...inner,
    async commit (changes: readonly Change[], options) {
      const rule = next
      next = null
      let entries: Awaited<ReturnType<Store['commit']>> = []
      if (rule === null) return inner.commit(changes, options)
      await rule(async () => { entries = await inner.commit(changes, options) })
      return entries
    }
  }
  return { store, once (rule: typeof next) { next = rule } }
}

for (const [kind, openStore] of Object.entries(stores)) {
  t.test(kind, async (t) => {
    t.test('the intent is stored before the credential exists, and lasts as long as it can (SEC-145)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const token = await rig.token()
      const lease = await rig.open(token, { ttlSeconds: 900 })
      const [entry] = await rig.store.get([leaseKey(lease.lease.id)])
      t.ok(entry)
      if (!entry) return
      t.match(openRecord(entry).record, {
        state: 'pending',
        tokenAccessor: token.accessor,
        path: 'aws/sts/deploy',
        endsAtMs: rig.clock.now() + 900_000 + 60_000,
        revocation: { sessionName: `run.${lease.lease.id.slice(-8)}` }
      })
      t.equal(lease.lease.id.slice(0, 2), token.accessor.slice(0, 2), 'it lives in its token\'s shard')
    })

    t.test('a confirmed lease ends when its credential does, and the answer can name it', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const token = await rig.token({ runId: 'run-1' })
      const id = await rig.vend(token, { ttlSeconds: 900 })
      rig.clock.advance(100)
      t.match(await rig.leases.lookUp(id), { id, path: 'aws/sts/deploy', renewable: false, ttlSeconds: 800, lastRenewalMs: null })
      const [session] = await rig.sessionsOf({ run: 'run-1' })
      t.match(session, { leaseId: id, state: 'active', role: 'deploy', diesAtMs: rig.clock.now() + 800_000 })
      t.match(session?.accessKeyId, /^ASIA/)
    })

    t.test('nothing is opened under a token that was revoked, nor under one whose ancestor was', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const parent = await rig.token()
      const child = await rig.token({ parent })
      await rig.ending.revoke(parent.accessor, rig.clock.now())
      await t.rejects(rig.open(parent), denied)
      await t.rejects(rig.open(child), denied)
      t.equal((await rig.sessionsOf()).length, 0)
    })

    t.test('a credential whose token died while it was made is not handed out and goes with the token', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const token = await rig.token()
      const lease = await rig.open(token)
      await rig.ending.revoke(token.accessor, rig.clock.now())
      await t.rejects(lease.confirm(rig.issued(lease.lease)), denied)
      t.equal(await rig.leases.lookUp(lease.wireId), null)
      t.match(await rig.sessionsOf(), [{ state: 'orphan', accessKeyId: /^ASIA/ }])
      await rig.sweep()
      t.match(await rig.sessionsOf(), [{ state: 'revoked' }])
      rig.clock.advance(3600 + 61)
      await rig.sweep()
      t.strictSame(await rig.sessionsOf(), [])
      t.strictSame(rig.errors, [])
    })

    t.test('a certain refusal leaves nothing', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const lease = await rig.open(await rig.token())
      await lease.abandon()
      t.strictSame(await rig.store.get([leaseKey(lease.lease.id)]), [null])
      t.strictSame(await rig.sessionsOf(), [])
    })

    t.test('an uncertain outcome is kept until the credential must be dead, then closed (FLT-003)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const lease = await rig.open(await rig.token())
      await lease.orphan('STS did not answer')
      await rig.sweep()
      t.match(await rig.sessionsOf(), [{ state: 'orphan', record: { reason: 'STS did not answer' } }])
      t.ok(await rig.leases.lookUp(lease.wireId), 'an operator can look it up')
      rig.clock.advance(3600 + 59)
      await rig.sweep()
      t.equal((await rig.sessionsOf()).length, 1)
      rig.clock.advance(1)
      await rig.sweep()
      t.strictSame(await rig.store.get([leaseKey(lease.lease.id)]), [null])
    })

    t.test('an intent whose broker died becomes an orphan by the sweep, then closes at its end (FLT-002, FLT-004)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const lease = await rig.open(await rig.token())
      rig.clock.advance(59)
      await rig.sweep()
      t.match(await rig.sessionsOf(), [{ state: 'pending' }])
      rig.clock.advance(1)
      await rig.sweep()
      t.match(await rig.sessionsOf(), [{ state: 'orphan' }])
      await t.rejects(lease.confirm(rig.issued(lease.lease)), { code: 'invalid_request', message: /came too late.*held/ })
      rig.clock.advance(3700)
      await rig.sweep()
      t.strictSame(await rig.sessionsOf(), [])
    })

    t.test('an orphan whose credential can be withdrawn is withdrawn at once (FLT-006: audit comes before the confirmation)', async (t) => {
      const rig = createRig({ store: openStore(t) })
      rig.engine.engines.revoke = async () => 'revoked'
      const lease = await rig.open(await rig.token())
      await lease.orphan('the answer was not given', rig.issued(lease.lease))
      await rig.sweep()
      t.strictSame(await rig.store.get([leaseKey(lease.lease.id)]), [null])
    })

    t.test('an orphan\'s record outlives a credential that lives longer than was asked for', async (t) => {
      const rig = createRig({ store: openStore(t) })
      const lease = await rig.open(await rig.token(), { ttlSeconds: 900 })
      await lease.orphan('the answer was not given', rig.issued(lease.lease, 7200))
      t.match(await rig.sessionsOf(), [{ diesAtMs: rig.clock.now() + 7_200_000 }])
    })
  })
}

t.test('a store that refuses the second write: unavailable, no credential, and the intent stays (SEC-146)', async (t) => {
  const { store, once } = unruly(createMemoryStore())
  const rig = createRig({ store })
  const lease = await rig.open(await rig.token())
  once(() => Promise.reject(new StoreUnavailable()))
  await t.rejects(lease.confirm(rig.issued(lease.lease)), { code: 'unavailable' })
  t.match(await rig.sessionsOf(), [{ state: 'orphan', diesAtMs: rig.clock.now() + 3_660_000 }])
})

t.test('a store that is gone at the second write leaves the intent, which the sweep makes an orphan (SEC-146)', async (t) => {
  const inner = createMemoryStore()
  let gone = false
  const refuse = () => Promise.reject(new StoreUnavailable())
  const store: Store = { ...inner, commit: (...given) => gone ? refuse() : inner.commit(...given) }
  const rig = createRig({ store })
  const lease = await rig.open(await rig.token())
  gone = true
  await t.rejects(lease.confirm(rig.issued(lease.lease)), { code: 'unavailable' })
  gone = false
  t.match(await rig.sessionsOf(), [{ state: 'pending' }])
  rig.clock.advance(60)
  await rig.sweep()
  t.match(await rig.sessionsOf(), [{ state: 'orphan' }])
})

t.test('a confirmation whose reply was lost is told by its stamp', async (t) => {
  const { store, once } = unruly(createMemoryStore())
  const rig = createRig({ store })
  const lease = await rig.open(await rig.token())
  once(async (commit) => {
    await commit()
    throw new StoreUnknown()
  })
  await lease.confirm(rig.issued(lease.lease))
  t.match(await rig.sessionsOf(), [{ state: 'active' }])
})

t.test('a confirmation that did not arrive and whose reply was lost hands nothing out', async (t) => {
  const { store, once } = unruly(createMemoryStore())
  const rig = createRig({ store })
  const lease = await rig.open(await rig.token())
  once(() => Promise.reject(new StoreUnknown()))
  await t.rejects(lease.confirm(rig.issued(lease.lease)), { code: 'unavailable' })
  t.match(await rig.sessionsOf(), [{ state: 'orphan' }])
})

t.test('a lease is capped by its mount, its record by the credential\'s real end', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const [aws] = rig.mounts
  if (!aws) return
  rig.mounts[0] = { ...aws, config: { ...aws.config, ttlSecondsMax: 600 } }
  const token = await rig.token()
  const open = await rig.open(token, { ttlSeconds: 900 })
  t.equal(open.ttlSeconds, 600)
  await open.confirm(rig.issued(open.lease, 900))
  t.match(await rig.leases.lookUp(open.wireId), { ttlSeconds: 600 })
  rig.clock.advance(600)
  await rig.sweep()
  t.equal(await rig.leases.lookUp(open.wireId), null)
  t.match(await rig.sessionsOf(), [{ state: 'revoked', diesAtMs: rig.clock.now() + 300_000 }], 'the session lives on and is shown')
})
