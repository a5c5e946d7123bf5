import t from 'tap'
import type { BrokerEvent } from '../../src/core/events.ts'
import { createNameWatch } from '../../src/broker/name-watch.ts'
import type { Culprit } from '../../src/broker/reaction.ts'
import type { Seen } from '../../src/broker/broker.ts'
import { BrokerError } from '../../src/core/errors.ts'
import type { RotationSettings, Token } from '../../src/core/model.ts'
import { plainConfig } from '../../src/mounts/mount-table.ts'
import { createRehearsal } from '../../src/mounts/rehearsal.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { tokenOf } from '../audit/fixtures.ts'
import { createTestBroker } from '../mounts/rig.ts'

const token = tokenOf({ accessor: '4fAbCdEfGhIjKlMnOpQrStUv', renewal: { role: 'job', incarnation: 'i', secretIdAccessor: 's' } })

/** A request that nothing was mounted for. */
function probeOf (path: string, remoteAddress = '10.0.0.1', caller = token): Seen {
  return {
    request: {
      id: 'r', receivedAtMs: 0, verb: 'read', head: false, path, clientToken: 't', data: {}, bodyText: null,
      remoteAddress, remotePort: 1, socketAddress: remoteAddress, wrapTtlSeconds: null, accept: '', ifNoneMatch: '', refusal: null
    },
    verdict: {
      denial: new BrokerError('not_found', ''), mount: null, reached: null, live: { token: caller, usesLeft: null, stamp: '' },
      operation: 'read', path, allowed: true, grantedBy: [], work: null
    },
    settled: null
  }
}

async function createRig (chosen: RotationSettings['reaction'] = 'revoke-secret-id') {
  const store = createMemoryStore()
  const broker = await createTestBroker(store, 0)
  const mount = await broker.enable('team/kv', { cron: null, reaction: chosen })
  const retired = broker.name()
  await broker.rotator.rotate(mount, { expectedSlot: null, graceSeconds: 0 })
  const events: BrokerEvent[] = []
  const culprits: Culprit[] = []
  const errors: unknown[] = []
  const behaviour = {
    findToken: async (): Promise<Token | null> => null,
    react: async (culprit: Culprit) => { culprits.push(culprit) }
  }
  const rehearsal = createRehearsal({ mounts: broker.mounts, store })
  let finds = 0
  const watch = createNameWatch({
    tripwire: {
      find (path) {
        finds++
        return broker.tripwire.find(path)
      }
    },
    rehearsal,
    publish: (event) => { events.push(event) },
    now: () => broker.clock.nowMs,
    findToken: () => behaviour.findToken(),
    react: (culprit) => behaviour.react(culprit),
    onError: (error) => { errors.push(error) }
  })
  return { broker, watch, rehearsal, retired, events, culprits, errors, behaviour, finds: () => finds }
}

t.test('SEC-220 nothing is looked at before the answer has left, whatever the path is', async (t) => {
  const { watch, retired, events, culprits, finds } = await createRig()
  watch.see(probeOf(`${retired}/x`))
  watch.see(probeOf('elsewhere/x'))
  await Promise.resolve()
  t.equal(finds(), 0)
  await watch.idle()
  t.equal(finds(), 2)
  t.match(events, [{ type: 'tripwire', grace: 'outside', slotsAgo: 1, role: 'job', secretIdAccessor: 's', reaction: 'revoke-secret-id' }])
  t.strictSame(culprits, [{ mount: 'team/kv', tokenAccessor: token.accessor, lineage: { secretIdAccessor: 's', mountAccessor: token.mountAccessor } }])
})

t.test('each reaction includes those before it, and without a token there is nobody to revoke', async (t) => {
  for (const [chosen, withToken, without, revokes] of [
    ['log', 'log', 'log', 0], ['webhook', 'webhook', 'webhook', 0], ['revoke-token', 'revoke-token', 'webhook', 1], ['revoke-secret-id', 'revoke-secret-id', 'webhook', 1]
  ] as const) {
    const { watch, retired, events, culprits } = await createRig(chosen)
    const seen = probeOf(`${retired}/x`)
    watch.see(seen)
    watch.see({ ...seen, verdict: { ...seen.verdict, live: null } })
    await watch.idle()
    t.match(events, [{ reaction: withToken, tokenAccessor: token.accessor }, { reaction: without, tokenAccessor: null }], chosen)
    t.equal(culprits.length, revokes)
  }
})

t.test('a flood of probes costs looks, and tells of one client once', async (t) => {
  const { watch, retired, events } = await createRig()
  for (let n = 0; n < 10_000; n++) watch.see(probeOf(`${retired}/${n}`))
  await watch.idle()
  t.equal(watch.missed(), 8000)
  t.equal(events.length, 1)
  watch.see(probeOf(`${retired}/x`, '10.0.0.2'))
  await watch.idle()
  t.equal(events.length, 2, 'another address is another client')
})

t.test('a flood of unknown paths hides no use of a former name, not even while the store is slow', async (t) => {
  const { watch, retired, events, behaviour } = await createRig()
  let release = (): void => {}
  const slow = new Promise<null>((resolve) => { release = () => resolve(null) })
  behaviour.findToken = () => slow
  const child = { ...token, accessor: '4fChildOfAnotherTokenStUv', lineage: [token.accessor] }
  watch.see(probeOf(`${retired}/x`, '10.0.0.1', child))
  await new Promise((resolve) => { setImmediate(resolve) })
  watch.see(probeOf(`${retired}/x`, '10.0.0.2', child))
  for (let burst = 0; burst < 10; burst++) {
    for (let n = 0; n < 1000; n++) watch.see(probeOf(`elsewhere/${n}`))
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  release()
  await watch.idle()
  t.equal(watch.missed(), 0)
  t.strictSame(events.map((event) => event.type === 'tripwire' && event.address), ['10.0.0.1', '10.0.0.2'])
})

t.test('what could not be written down is tried again at the next use, and is not told as done', async (t) => {
  const { watch, retired, events, culprits, errors, behaviour } = await createRig()
  const { react } = behaviour
  behaviour.react = async () => { throw new Error('the store is away') }
  watch.see(probeOf(`${retired}/x`))
  await watch.idle()
  t.equal(errors.length, 1)
  t.match(events, [{ reaction: 'webhook' }])
  behaviour.react = react
  watch.see(probeOf(`${retired}/x`))
  await watch.idle()
  t.match(events, [{ reaction: 'webhook' }, { reaction: 'revoke-secret-id' }])
  t.equal(culprits.length, 1)
})

t.test('a store that does not tell who is behind a token delays no alarm', async (t) => {
  const { watch, retired, events, culprits, errors, behaviour } = await createRig()
  behaviour.findToken = async () => { throw new Error('the store is away') }
  watch.see(probeOf(`${retired}/x`, '10.0.0.1', { ...token, renewal: null, lineage: ['4fSomebodyElse'] }))
  await watch.idle()
  t.equal(errors.length, 1)
  t.match(events, [{ type: 'tripwire', tokenAccessor: token.accessor, role: null }])
  t.match(culprits, [{ tokenAccessor: token.accessor, lineage: null }], 'the token at least')
})

t.test('of mounts that keep their names nobody remembers who asked for them', async (t) => {
  const { broker, watch, rehearsal } = await createRig()
  const plain = await broker.mounts.enable({
    path: 'plain', table: 'secret', type: 'kv', description: '', options: null, config: plainConfig, local: false, sealWrap: false
  })
  watch.resolved(plain, token, '10.0.0.1')
  watch.resolved(broker.mount(), token, '10.0.0.1')
  await watch.idle()
  t.strictSame([(await rehearsal.clients(plain)).length, (await rehearsal.clients(broker.mount())).length], [0, 1])
})

t.test('nobody has a token of somebody else ended from where it is not good', async (t) => {
  const { watch, retired, events, culprits } = await createRig()
  watch.see(probeOf(`${retired}/x`, '10.9.9.9', { ...token, boundCidrs: ['10.0.0.0/24'] }))
  await watch.idle()
  t.match(events, [{ tokenAccessor: token.accessor, address: '10.9.9.9', reaction: 'webhook' }])
  t.strictSame(culprits, [])
})

t.test('a name whose grace has just ended is told at once, and punished when all brokers know its end', async (t) => {
  const { broker, watch, events, culprits } = await createRig()
  const old = broker.name()
  await broker.rotator.rotate(broker.mount(), { expectedSlot: null, graceSeconds: 60 })
  broker.clock.nowMs += 60_001
  t.equal(broker.reach(old), null)
  watch.see(probeOf(`${old}/x`))
  await watch.idle()
  t.match(events, [{ grace: 'outside', slotsAgo: 1, reaction: 'webhook' }])
  await broker.rotator.tick()
  watch.see(probeOf(`${old}/x`))
  await watch.idle()
  t.match(events[1], { grace: 'outside', reaction: 'revoke-secret-id' })
  t.equal(culprits.length, 1)
})

t.test('a login without a secret_id is known by its role, also behind a child of its token', async (t) => {
  const { watch, retired, events, culprits, behaviour } = await createRig()
  const head = { ...token, accessor: '4fHeadOfTheLineageOpQrSt', renewal: { role: 'open', incarnation: 'i', secretIdAccessor: null } }
  behaviour.findToken = async () => head
  watch.see(probeOf(`${retired}/x`, '10.0.0.1', { ...token, renewal: null, lineage: [head.accessor] }))
  await watch.idle()
  t.match(events, [{ role: 'open', secretIdAccessor: null, tokenAccessor: token.accessor, reaction: 'revoke-secret-id' }])
  t.strictSame(culprits, [{ mount: 'team/kv', tokenAccessor: head.accessor, lineage: null }], 'and ends with all that came of it')
})
