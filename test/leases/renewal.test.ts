import t from 'tap'
import { BrokerError } from '../../src/core/errors.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createRig } from './rig.ts'

const renewable = { renewable: true, ttlSeconds: 3600, ttlSecondsMax: 7200 }
const refused = (message: string) => ({ code: 'invalid_request', message })

t.test('a renewal counts from now and may shorten a lease (3.6)', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const id = await rig.vend(await rig.token(), renewable)
  rig.clock.advance(60)
  t.match(await rig.leases.renew(id, 600), { leaseId: id, renewable: true, ttlSeconds: 600, data: null, warnings: [] })
  t.match(await rig.leases.lookUp(id), { ttlSeconds: 600, lastRenewalMs: rig.clock.now() })
})

t.test('the hard end caps every renewal, with a warning, and never moves (SEC-155)', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const id = await rig.vend(await rig.token(), renewable)
  const issuedAtMs = rig.clock.now()
  rig.clock.advance(3599)
  t.match(await rig.leases.renew(id, 86_400), {
    ttlSeconds: 3601,
    warnings: ['TTL of "24h" exceeded the effective max_ttl of "2h"; TTL value is capped accordingly']
  })
  t.match(await rig.leases.lookUp(id), { expiresAtMs: issuedAtMs + 7_200_000 })
  rig.clock.advance(3600)
  t.match(await rig.leases.renew(id, 86_400), { ttlSeconds: 1 })
})

t.test('a renewal without an increment takes the TTL that was granted', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const id = await rig.vend(await rig.token(), renewable)
  rig.clock.advance(1000)
  t.match(await rig.leases.renew(id, 0), { ttlSeconds: 3600 })
})

t.test('what is over, not renewable, uncertain or not there is not renewed (SEC-155)', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const token = await rig.token()
  const sts = await rig.vend(token)
  await t.rejects(rig.leases.renew(sts, 0), refused('lease is not renewable'))
  const open = await rig.open(token, renewable)
  await t.rejects(rig.leases.renew(open.wireId, 0), refused('lease is not renewable'), 'its credential was not handed out')
  await open.orphan('unknown')
  await t.rejects(rig.leases.renew(open.wireId, 0), refused('lease is not renewable'))
  await t.rejects(rig.leases.renew('aws/sts/deploy/unknown', 0), refused('lease not found'))
  await t.rejects(rig.leases.renew(`auth/approle/login/${token.accessor}`, 0), refused('tokens cannot be renewed through this endpoint'))
  const id = await rig.vend(token, renewable)
  rig.clock.advance(3600)
  await t.rejects(rig.leases.renew(id, 0), refused('lease expired'), 'dead at its expiry, not one tick after')
})

t.test('a lease that is being revoked is not renewed', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const id = await rig.vend(await rig.token(), renewable)
  await rig.leases.queue(id)
  await t.rejects(rig.leases.renew(id, 0), refused('lease is not renewable'))
})

t.test('a renewal that races a revocation loses, and the credential ends', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const id = await rig.vend(await rig.token(), renewable)
  const { revoke } = rig.engine.engines
  rig.engine.engines.revoke = async (...given) => {
    await t.rejects(rig.leases.renew(id, 0), refused('lease is not renewable'))
    return revoke(...given)
  }
  await rig.leases.revoke(id)
  t.equal(await rig.leases.lookUp(id), null)
  t.strictSame(rig.engine.renewed, [])
})

t.test('no renewal under a token that died a moment ago', async (t) => {
  const store = createMemoryStore()
  const rig = createRig({ store })
  const token = await rig.token()
  const id = await rig.vend(token, renewable)
  const { commit } = store
  store.commit = async (...given) => {
    store.commit = commit
    await rig.ending.revoke(token.accessor, rig.clock.now())
    return commit(...given)
  }
  await t.rejects(rig.leases.renew(id, 0), refused('lease not found'))
  t.strictSame(rig.engine.renewed, [])
})

t.test('where the engine refuses, the lease ends as before', async (t) => {
  const rig = createRig({ store: createMemoryStore() })
  const id = await rig.vend(await rig.token(), renewable)
  rig.clock.advance(60)
  rig.engine.fail(new BrokerError('upstream_failed', 'no'))
  await t.rejects(rig.leases.renew(id, 0), { code: 'upstream_failed', message: 'no' })
  t.match(await rig.leases.lookUp(id), { ttlSeconds: 3540, lastRenewalMs: null })
})
