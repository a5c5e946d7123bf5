import t from 'tap'
import { encodeRecord } from '../../src/core/records.ts'
import { key } from '../../src/core/store.ts'
import { createKvEngine } from '../../src/engines/kv/engine.ts'
import { createKeys, readVersion } from '../../src/engines/kv/keys.ts'
import { nextVersion } from '../../src/engines/kv/write.ts'
import { plainConfig } from '../../src/mounts/mount-table.ts'
import { createNameIndex, type KeptKeys } from '../../src/mounts/name-index.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createTestBroker, settings } from './rig.ts'

const startMs = Date.parse('2027-01-01T00:00:30Z')

/** A broker of the rig with an index, whose keys may be made to fail. */
async function createIndexed (store = createMemoryStore()) {
  const broker = await createTestBroker(store, startMs)
  const { kept } = createKvEngine()
  const fault = { error: null as Error | null, path: null as string | null, writes: 0 }
  const keys: KeptKeys = {
    async keep (at, path, decide) {
      if (fault.error !== null && (fault.path ?? path) === path) throw fault.error
      fault.writes++
      await kept.keep(at, path, decide)
    },
    remove: (at, path, isOurs) => kept.remove(at, path, isOurs)
  }
  const { revision, mounts } = broker
  const index = createNameIndex({ store, revision, mounts, keys, now: () => broker.clock.nowMs })
  revision.follow(() => index.write().catch(() => {}))

  async function holder (path = 'secret-paths') {
    return mounts.enable({
      path, table: 'secret', type: 'kv', description: '', options: { version: '2' }, config: plainConfig, local: false, sealWrap: false
    })
  }

  async function held (path: string, holderPath = 'secret-paths') {
    const at = { store: mounts.storeOf(broker.mount(holderPath)), nowMs: broker.clock.nowMs }
    const found = await readVersion(at, path, 0)
    return found === null || found.text === null ? null : JSON.parse(found.text) as Record<string, unknown>
  }

  const rotate = () => broker.rotator.rotate(broker.mount(), { expectedSlot: null, graceSeconds: null })
  /** Where the keys of the index lie. */
  const at = () => ({ store: mounts.storeOf(broker.mount('secret-paths')), nowMs: broker.clock.nowMs })

  return { broker, index, store, fault, holder, held, rotate, kept, at }
}

t.test('the index holds the present name of every mount that rotates from the moment that the name is served', async (t) => {
  const { broker, index, holder, held, rotate } = await createIndexed()
  await broker.enable()
  await index.choose(await holder())
  t.match(await held('team/kv'), { path: 'team/kv', name: broker.name(), slot: 1, rotating: true, mount_accessor: broker.mount().accessor })
  await rotate()
  t.match(await held('team/kv'), { name: broker.name(), slot: 2 })
  await broker.enable('later')
  t.match(await held('later'), { name: broker.name('later'), slot: 1 })
  await broker.rotator.turnOff(broker.mount())
  t.match(await held('team/kv'), { name: 'team/kv', rotating: false }, 'a mount that has its own path back is told as that')
  t.equal(await held('secret-paths'), null, 'a mount that never rotated is not in it')
})

t.test('a broker that died between an advance and the index leaves it to whoever looks next', async (t) => {
  const one = await createIndexed()
  await one.broker.enable()
  await one.index.choose(await one.holder())
  one.fault.error = new Error('died')
  await one.rotate()
  t.match(await one.held('team/kv'), { slot: 1 })
  const two = await createIndexed(one.store)
  await two.index.write()
  t.match(await two.held('team/kv'), { slot: 2, name: two.broker.name() })
})

t.test('a broker that has not heard of an advance does not put the former name back', async (t) => {
  const one = await createIndexed()
  await one.broker.enable()
  await one.index.choose(await one.holder())
  const two = await createIndexed(one.store)
  await one.rotate()
  t.equal(two.broker.slot(), 1, 'the other does not know yet')
  await two.index.verify()
  t.match(await two.held('team/kv'), { slot: 2 })
})

t.test('what somebody else wrote in place of a name, or removed, is made right; other keys of the mount are left alone', async (t) => {
  const { broker, index, holder, held, kept } = await createIndexed()
  await broker.enable()
  const at = { store: broker.mounts.storeOf(await holder()), nowMs: startMs }
  await kept.keep(at, 'notes/mine', () => ({ text: 'kept' }))
  await index.choose(broker.mount('secret-paths'))
  await kept.keep(at, 'team/kv', () => ({ name: 'elsewhere' }))
  await index.verify()
  t.match(await held('team/kv'), { name: broker.name() })
  await kept.remove(at, 'team/kv', () => true)
  await index.verify()
  t.match(await held('team/kv'), { name: broker.name() })
  await index.end()
  t.equal(await held('team/kv'), null)
  t.strictSame(await held('notes/mine'), { text: 'kept' })
})

t.test('a pass writes nothing where everything is right', async (t) => {
  const { broker, index, holder, fault } = await createIndexed()
  for (const path of ['a', 'b', 'c']) await broker.enable(path)
  await index.choose(await holder())
  fault.writes = 0
  await index.write()
  t.equal(fault.writes, 0)
})

t.test('the key of a mount goes with the mount, and moves with it', async (t) => {
  const { broker, index, holder, held } = await createIndexed()
  const mount = await broker.enable()
  await index.choose(await holder())
  await broker.mounts.update(mount.accessor, (present) => ({ ...present, path: 'moved' }))
  t.equal(await held('team/kv'), null)
  t.match(await held('moved'), { path: 'moved', name: broker.name('moved') })
  await broker.mounts.remove(mount.accessor)
  t.equal(await held('moved'), null)
})

t.test('a broker that does not know a mount yet does not take its key away', async (t) => {
  const one = await createIndexed()
  await one.broker.enable()
  await one.index.choose(await one.holder())
  const two = await createIndexed(one.store)
  await one.broker.enable('new')
  t.equal(two.broker.mounts.find('secret', 'new'), null)
  await two.index.write()
  t.match(await one.held('new'), { name: one.broker.name('new') })
})

t.test('the setting ends with what was written, also when the broker that was told died meanwhile', async (t) => {
  const one = await createIndexed()
  await one.broker.enable()
  await one.index.choose(await one.holder())
  await t.rejects(one.index.choose(await one.holder('other')), /another mount holds the names/)
  const { remove } = one.kept
  one.kept.remove = async () => { throw new Error('died') }
  await one.index.end()
  t.match(await one.held('team/kv'), { slot: 1 })
  t.equal(await one.index.mount(), null)
  one.kept.remove = remove
  const two = await createIndexed(one.store)
  await two.index.write()
  t.equal(await two.held('team/kv'), null)
  t.strictSame(await one.store.get([key('sys', 'name-index')]), [null])
  await two.index.choose(two.broker.mount('other'))
  t.match(await two.held('team/kv', 'other'), { slot: 1 })
})

t.test('a mount that held the names and is gone can be replaced', async (t) => {
  const { broker, index, holder, held } = await createIndexed()
  await broker.enable()
  await index.choose(await holder())
  await broker.mounts.remove(broker.mount('secret-paths').accessor)
  t.equal(await index.mount(), null)
  await index.choose(await holder())
  t.match(await held('team/kv'), { slot: 1 })
})

t.test('a broker that does not know the chosen mount yet leaves the setting alone', async (t) => {
  const one = await createIndexed()
  await one.broker.enable()
  const two = await createIndexed(one.store)
  await one.index.choose(await one.holder())
  t.equal(two.broker.mounts.find('secret', 'secret-paths'), null, 'the other does not know yet')
  await two.index.write()
  t.match(await two.index.mount(), { path: 'secret-paths' })
  await one.rotate()
  t.match(await one.held('team/kv'), { slot: 2 })
})

t.test('what pretends to be of a later slot is made right', async (t) => {
  const { broker, index, holder, held, kept, at } = await createIndexed()
  const { accessor } = await broker.enable()
  await index.choose(await holder())
  for (const slot of [2, 999, 1e300]) {
    await kept.keep(at(), 'team/kv', () => ({ path: 'team/kv', name: 'elsewhere', mount_accessor: accessor, slot }))
    await index.verify()
    t.match(await held('team/kv'), { name: broker.name(), slot: 1 }, `${slot}`)
  }
})

t.test('a key that cannot be written keeps no other from it, and is told', async (t) => {
  const { broker, index, holder, held, fault } = await createIndexed()
  for (const path of ['a', 'b', 'c']) await broker.enable(path)
  fault.error = new Error('integrity error')
  fault.path = 'a'
  await index.choose(await holder())
  t.strictSame([await held('a'), (await held('b'))?.['slot'], (await held('c'))?.['slot']], [null, 1, 1])
  await t.rejects(index.write(), /integrity error/)
  await broker.mounts.remove(broker.mount('c').accessor)
  t.equal(await held('c'), null, 'nor does it keep what is gone')
  fault.error = null
  await index.write()
  t.match(await held('a'), { slot: 1 })
})

t.test('what the index writes is not deleted by time, whatever the mount or the key says', async (t) => {
  const { broker, index, holder, held, at } = await createIndexed()
  await broker.enable()
  await holder()
  const { store, nowMs } = at()
  const config = { maxVersions: 1, casRequired: true, metadataCasRequired: true, deleteAfterSeconds: 10 }
  await store.commit([{ op: 'put', key: store.key('config'), value: encodeRecord(config) }])
  await index.choose(broker.mount('secret-paths'))
  broker.clock.nowMs = nowMs + 3_600_000
  t.match(await held('team/kv'), { slot: 1 })
})

t.test('what somebody else kept under a key of the index is there again when the index ends', async (t) => {
  const { broker, index, holder, held, kept, at } = await createIndexed()
  await broker.enable()
  await holder()
  await createKeys().change(at(), 'team/kv', {}, (loaded) => ({ ...nextVersion(at(), loaded, '{"mine":1}'), result: null }))
  await index.choose(broker.mount('secret-paths'))
  t.match(await held('team/kv'), { slot: 1 })
  await index.end()
  t.equal(await held('team/kv'), null, 'no name is left')
  const found = await readVersion(at(), 'team/kv', 1)
  t.equal(found?.text, '{"mine":1}')
  await kept.remove(at(), 'team/kv', () => true)
})

t.test('a broker that has not heard that a mount was replaced does not put its name back', async (t) => {
  const one = await createIndexed()
  const { accessor } = await one.broker.enable()
  await one.index.choose(await one.holder())
  for (let n = 0; n < 3; n++) await one.rotate()
  const two = await createIndexed(one.store)
  await one.broker.mounts.remove(accessor)
  await one.broker.enable()
  t.equal(two.broker.mount().accessor, accessor, 'the other does not know yet')
  await two.index.verify()
  t.match(await one.held('team/kv'), { name: one.broker.name(), mount_accessor: one.broker.mount().accessor })
})

t.test('the mount that holds the names may rotate, move and be tuned itself', async (t) => {
  const { broker, index, holder, held, rotate } = await createIndexed()
  await broker.enable()
  const { accessor } = await holder()
  await index.choose(broker.mount('secret-paths'))
  await broker.rotator.configure(broker.mount('secret-paths'), () => settings)
  t.match(await held('secret-paths'), { name: broker.name('secret-paths'), slot: 1 })
  await broker.mounts.update(accessor, (present) => ({ ...present, state: 'moving', target: 'moved' }))
  await rotate()
  t.match(await held('team/kv'), { slot: 1 }, 'nothing is written to a mount that moves')
  await broker.mounts.update(accessor, ({ target: _target, ...present }) => ({ ...present, state: 'live', path: 'moved' }))
  t.match(await held('team/kv', 'moved'), { slot: 2 })
  t.match(await held('moved', 'moved'), { name: broker.name('moved') })
  t.equal(await held('secret-paths', 'moved'), null)
})

t.test('thousands of mounts with long paths are held, and a pass over them takes no time', async (t) => {
  const store = createMemoryStore()
  const count = 4000
  for (let n = 0; n < count; n++) {
    const accessor = `kv_${String(n).padStart(8, '0')}`
    const rotation = { ...settings, enabled: true, slot: 1, term: 1, startedAtMs: startMs, scheduledAtMs: startMs, past: [] }
    const mount = {
      accessor, uuid: accessor, path: `t-${n}/${'k'.repeat(240)}`, table: 'secret', type: 'kv', description: '', options: null,
      config: plainConfig, local: false, sealWrap: false, state: 'live', rotation
    }
    await store.commit([{ op: 'put', key: key('sys', `mount/${accessor}`), names: [`mount/${accessor}`], value: encodeRecord(mount) }])
  }
  const { index, holder, held, fault } = await createIndexed(store)
  await index.choose(await holder())
  t.equal(fault.writes, count)
  t.match(await held(`t-${count - 1}/${'k'.repeat(240)}`), { slot: 1 })
  const beganMs = performance.now()
  for (let n = 0; n < 20; n++) await index.write()
  t.ok(performance.now() - beganMs < 4000, 'twenty passes take seconds')
  await index.end()
  t.equal(await held(`t-0/${'k'.repeat(240)}`), null)
  t.strictSame(await store.list('name-index-key/', { shard: 'sys', limit: 1 }), [])
})
