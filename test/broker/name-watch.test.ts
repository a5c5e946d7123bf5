import t from 'tap'
import type { BrokerEvent } from '../../src/core/events.ts'
import { createNameWatch } from '../../src/broker/name-watch.ts'
import { createReaction, type Culprit } from '../../src/broker/reaction.ts'
import type { Seen } from '../../src/broker/broker.ts'
import { BrokerError } from '../../src/core/errors.ts'
import { encodeRecord } from '../../src/core/records.ts'
import { createRehearsal } from '../../src/mounts/rehearsal.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { tokenOf } from '../audit/fixtures.ts'
import { createTestBroker } from '../mounts/rig.ts'

const token = tokenOf({ accessor: '4fAbCdEfGhIjKlMnOpQrStUv', renewal: { role: 'job', incarnation: 'i', secretIdAccessor: 's' } })

/** A request that nothing was mounted for. */
function probeOf (path: string, remoteAddress = '10.0.0.1'): Seen {
  return {
    request: {
      id: 'r', receivedAtMs: 0, verb: 'read', head: false, path, trailingSlash: false, clientToken: 't', data: {}, bodyText: null,
      remoteAddress, remotePort: 1, socketAddress: remoteAddress, wrapTtlSeconds: null, accept: '', refusal: null
    },
    verdict: {
      denial: new BrokerError('not_found', ''), mount: null, reached: null, live: { token, usesLeft: null, stamp: '' },
      operation: 'read', path, allowed: true, grantedBy: [], work: null
    },
    settled: null
  }
}

async function createRig () {
  const store = createMemoryStore()
  const broker = await createTestBroker(store, 0)
  const mount = await broker.enable('team/kv', { cron: null, reaction: 'revoke-secret-id' })
  const retired = broker.name()
  await broker.rotator.rotate(mount, { expectedSlot: null, graceSeconds: 0 })
  const events: BrokerEvent[] = []
  const culprits: Culprit[] = []
  let finds = 0
  const watch = createNameWatch({
    tripwire: {
      find (path) {
        finds++
        return broker.tripwire.find(path)
      }
    },
    rehearsal: createRehearsal({ mounts: broker.mounts, store }),
    publish: (event) => { events.push(event) },
    now: () => broker.clock.nowMs,
    findToken: async () => null,
    react: async (culprit) => { culprits.push(culprit) },
    onError: (error) => { throw error }
  })
  return { watch, retired, events, culprits, finds: () => finds }
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
  t.strictSame(culprits, [{ tokenAccessor: token.accessor, lineage: { secretIdAccessor: 's', mountAccessor: token.mountAccessor } }])
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

t.test('FLT-011 a reaction that was cut off is done again, and ends the secret_id before the tokens that came of it', async (t) => {
  const store = createMemoryStore()
  const done: string[] = []
  let fails = true
  const reaction = createReaction({
    store,
    nudge: () => {},
    revokeToken: async (accessor) => { done.push(accessor); return true },
    async endSecretId (accessor) {
      if (fails) throw new Error('killed')
      done.push(accessor)
    }
  })
  for (const [accessor, secretIdAccessor] of [['4fsibling', 's'], ['4fstranger', 'other']]) {
    await store.commit([{
      op: 'put', key: `4f:token/${accessor}`, value: encodeRecord({ ...token, accessor, renewal: { secretIdAccessor } }), names: [`token/${token.mountAccessor}/login/${accessor}`]
    }])
  }
  await reaction.queue({ tokenAccessor: token.accessor, lineage: { secretIdAccessor: 's', mountAccessor: token.mountAccessor } }, 0)
  const due = async (nowMs: number) => store.claim({ nowMs, limit: 9, holdMs: 1000 })
  await t.rejects(reaction.finish(await due(0), 0))
  fails = false
  await reaction.finish(await due(2000), 2000)
  t.strictSame(done, [token.accessor, token.accessor, 's', '4fsibling'])
  t.strictSame(await due(9000), [])
})
