import t from 'tap'
import type { Mount } from '../../src/core/model.ts'
import type { NameMac } from '../../src/mounts/rotation.ts'
import { createTripwire } from '../../src/mounts/tripwire.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createTestBroker, mac } from './rig.ts'

t.test('a change costs the names that it is about, whatever else is watched, and what is gone is forgotten', async (t) => {
  const broker = await createTestBroker(createMemoryStore(), 0)
  const names = new Map<string, string>()
  for (const path of ['one', 'two', 'three']) {
    await broker.enable(path, { cron: null, prefix: `${path}-` })
    for (let n = 0; n < 10; n++) {
      names.set(path, broker.name(path))
      await broker.rotator.rotate(broker.mount(path), { expectedSlot: null, graceSeconds: n % 2 === 0 ? 0 : 60 })
    }
  }
  let derived = 0
  const counting: NameMac = (term, parts) => {
    derived++
    return mac(term, parts)
  }
  const tripwire = createTripwire(counting)
  /** As they are after they were read from the store again. */
  const copies = () => structuredClone(broker.mounts.all())
  const follow = (mounts: readonly Mount[]) => {
    const before = derived
    tripwire.follow(mounts)
    return derived - before
  }
  t.equal(follow(copies()), 30)
  t.equal(follow(copies()), 0)
  const name = broker.name('two')
  t.equal(tripwire.find(`${name}/x`), null)
  await broker.rotator.rotate(broker.mount('two'), { expectedSlot: null, graceSeconds: 60 })
  t.equal(follow(copies()), 1)
  t.match(tripwire.find(`${name}/x`), { mount: { path: 'two' }, slot: 11, isWritten: false })
  await broker.rotator.rotate(broker.mount('two'), { expectedSlot: null, graceSeconds: 0 })
  const present = copies()
  t.equal(follow(present), 1)
  t.match(tripwire.find(`${name}/x`), { slot: 11, isWritten: true })
  t.equal(tripwire.find(`${name}/x`)?.mount, present.find(({ path }) => path === 'two'), 'with its settings as they are')

  const again = copies()
  t.equal(follow(again), 0)
  t.equal(tripwire.find(`${name}/x`)?.mount, again.find(({ path }) => path === 'two'))
  t.equal(follow(copies().filter(({ path }) => path !== 'one')), 0)
  t.equal(tripwire.find(names.get('one') ?? ''), null)
  t.ok(tripwire.find(names.get('three') ?? ''))
  t.equal(follow([]), 0)
  t.equal(tripwire.find(`${name}/x`), null)
})
