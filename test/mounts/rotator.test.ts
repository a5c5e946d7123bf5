import t from 'tap'
import type { RotationSettings } from '../../src/core/model.ts'
import { StoreUnknown, type Store } from '../../src/core/store.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createTestBroker, settings, type TestBroker } from './rig.ts'

const startMs = Date.parse('2027-01-01T00:00:30Z')
const minute = 60_000

async function startTwo (wrap?: (store: Store) => Store) {
  const store = createMemoryStore()
  const one = await createTestBroker(store, startMs, wrap)
  const two = await createTestBroker(store, startMs)
  return { store, one, two, all: [one, two] as const }
}

const pass = (ms: number, ...brokers: readonly TestBroker[]) => { for (const { clock } of brokers) clock.nowMs += ms }

t.test('SEC-216 FLT-061 whatever fires, and however often, an instant moves the slot by one', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable()
  await two.revision.poll()
  pass(minute, ...all)
  await Promise.all([one.rotator.tick(), one.rotator.tick(), two.rotator.tick(), two.rotator.tick()])
  await two.revision.poll()
  t.equal(one.slot(), 2)
  t.equal(two.slot(), 2)
  t.equal(one.name(), two.name())
  const outcomes = [...one.journal, ...two.journal].map(({ rotated }) => rotated)
  t.equal(outcomes.filter(Boolean).length, 1, 'one entry tells of a rotation, the others that there was nothing to do')
  t.equal([...one.events, ...two.events].filter((event) => event.type === 'rotation' && event.cause === 'schedule').length, 1)
  pass(500, ...all)
  await Promise.all([one.rotator.tick(), two.rotator.tick()])
  t.equal(one.slot(), 2)
  t.strictSame([...one.errors, ...two.errors], [])
})

t.test('SEC-216 brokers whose clocks are two seconds apart agree on every name', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable()
  await two.revision.poll()
  two.clock.nowMs += 2000
  for (let n = 0; n < 60; n++) {
    pass(20_000, ...all)
    for (const broker of n % 2 === 0 ? all : [...all].reverse()) await broker.rotator.tick()
    const [a, b] = [one.name(), two.name()]
    await Promise.all(all.map((broker) => broker.revision.poll()))
    t.equal(one.name(), two.name())
    t.ok([a, b].every((name) => all.every((broker) => ['present', 'grace'].includes(broker.reach(name) ?? ''))))
  }
  t.equal(one.slot(), 21, 'twenty minutes, twenty slots')
})

t.test('a name that another broker serves already is good here before this one has heard of it', async (t) => {
  const { one, two } = await startTwo()
  await one.enable()
  await two.revision.poll()
  for (let n = 0; n < 4; n++) {
    await one.rotator.rotate(one.mount(), { expectedSlot: null, graceSeconds: null })
    t.equal(two.reach(one.name()), 'present')
  }
})

t.test('SEC-217 a rotation that expects another slot does not happen', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable()
  await two.revision.poll()
  const tries = await Promise.allSettled(all.map((broker) => broker.rotator.rotate(broker.mount(), { expectedSlot: 1, graceSeconds: null })))
  t.strictSame(tries.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
  await two.revision.poll()
  t.equal(two.slot(), 2)
})

t.test('SEC-217 a broker that has not heard of the slot that is expected asks before it refuses', async (t) => {
  const { one, two } = await startTwo()
  await one.enable()
  await two.revision.poll()
  await one.rotator.rotate(one.mount(), { expectedSlot: 1, graceSeconds: null })
  t.equal(two.slot(), 1)
  t.match(await two.rotator.rotate(two.mount(), { expectedSlot: 2, graceSeconds: null }), { rotated: true, slot: 3 })
  await t.rejects(one.rotator.rotate(one.mount(), { expectedSlot: 2, graceSeconds: null }), { message: 'the slot is 3 and not the expected one' })
})

t.test('SEC-218 a grace ends by the store\'s time, within what two clocks may differ', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable('team/kv', { cron: null })
  const old = one.name()
  await one.rotator.rotate(one.mount(), { expectedSlot: null, graceSeconds: 60 })
  await two.revision.poll()
  two.clock.nowMs += 2000
  pass(57_000, ...all)
  t.equal(one.reach(old), 'grace')
  t.equal(two.reach(old), 'grace')
  pass(4000, ...all)
  t.equal(one.reach(old), null)
  t.equal(two.reach(old), null)
})

t.test('SEC-219 a name that has ended stays ended when the clock goes back', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable('team/kv', { cron: null })
  const old = one.name()
  await one.rotator.rotate(one.mount(), { expectedSlot: null, graceSeconds: 60 })
  await two.revision.poll()
  pass(61_000, ...all)
  t.equal(one.reach(old), null)
  pass(-3_600_000, ...all)
  t.equal(one.reach(old), null, 'in the process that saw it end')
  pass(3_600_000, ...all)
  await one.rotator.tick()
  pass(-3_600_000, ...all)
  await two.revision.poll()
  t.equal(two.reach(old), null, 'in another that was told')
  t.equal(two.mount().rotation?.past[0]?.endsAtMs, null)
})

t.test('SEC-220 an unknown, a retired and an ended name cost the same look-ups and ask no clock', async (t) => {
  const { one } = await startTwo()
  await one.enable('team/kv', { cron: null })
  const retired = one.name()
  await one.rotator.rotate(one.mount(), { expectedSlot: null, graceSeconds: 0 })
  const cost = (name: string) => {
    const before = one.clock.calls
    t.equal(one.reach(name), null)
    return one.clock.calls - before
  }
  t.equal(cost(retired), 0)
  t.equal(cost(retired.replace(/.{26}$/, '0123456789abcdefghijklmnop')), 0)
})

t.test('SEC-228 firings that nobody was there for become one', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable()
  pass(3 * minute + 5000, ...all)
  await two.revision.poll()
  await two.rotator.tick()
  await two.rotator.tick()
  t.equal(two.slot(), 2)
  t.equal(two.mount().rotation?.scheduledAtMs, Date.parse('2027-01-01T00:03:00Z'))
  t.equal(two.mount().rotation?.past[0]?.endsAtMs, two.clock.nowMs + 60_000)
})

t.test('SEC-229 another key renames a mount once, with grace', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable('team/kv', { cron: null })
  const old = one.name()
  for (const broker of all) broker.clock.term = 2
  await two.revision.poll()
  await Promise.all(all.map((broker) => broker.rotator.tick()))
  await Promise.all(all.map((broker) => broker.rotator.tick()))
  await two.revision.poll()
  t.equal(two.slot(), 2)
  t.equal(two.reach(old), 'grace')
  t.equal(two.mount().rotation?.term, 2)
})

t.test('FLT-011 FLT-065 a broker that dies in a rotation has done it or has not; another one ends up the same', async (t) => {
  for (const moment of ['before', 'after'] as const) {
    let armed = false
    const { one, two, all } = await startTwo((store) => ({
      ...store,
      async commit (changes, options) {
        if (armed && moment === 'before') throw new Error('killed')
        const entries = await store.commit(changes, options)
        if (armed) throw new StoreUnknown(new Error('killed'))
        return entries
      }
    }))
    await one.enable()
    await two.revision.poll()
    pass(minute, ...all)
    armed = true
    await one.rotator.tick()
    t.equal(one.errors.length, 1)
    await two.revision.poll()
    await two.rotator.tick()
    t.equal(two.slot(), 2, moment)
    armed = false
    await one.revision.poll()
    await one.rotator.tick()
    t.equal(one.name(), two.name())
    t.equal(one.slot(), 2)
  }
})

t.test('a hundred rotations by hand are in grace together; more are refused, unless all end at once', async (t) => {
  const { one } = await startTwo()
  await one.enable('team/kv', { cron: null, graceSeconds: 3600 })
  const first = one.name()
  for (let n = 0; n < 128; n++) await one.rotator.rotate(one.mount(), { expectedSlot: null, graceSeconds: null })
  t.equal(one.reach(first), 'grace')
  await t.rejects(one.rotator.rotate(one.mount(), { expectedSlot: null, graceSeconds: null }), { code: 'invalid_request' })
  await one.rotator.rotate(one.mount(), { expectedSlot: null, graceSeconds: 0 })
  t.equal(one.reach(first), null)
  t.ok((one.mount().rotation?.past.length ?? 0) <= 64)
})

t.test('nor does a prefix that goes to and fro fill the record', async (t) => {
  const { one } = await startTwo()
  const chosen = { ...settings, cron: null, graceSeconds: 3600 }
  const mount = await one.enable('team/kv', chosen)
  const turn = (n: number) => one.rotator.configure(mount, () => ({ ...chosen, prefix: n % 2 === 0 ? 'a-' : 'b-' }))
  for (let n = 0; n < 128; n++) await turn(n)
  await t.rejects(turn(128), { code: 'invalid_request' })
  await one.rotator.configure(mount, () => ({ ...chosen, prefix: 'b-', jitterSeconds: 1 }))
  t.equal(one.mount().rotation?.jitterSeconds, 1, 'what adds no name is not refused')
  await one.rotator.configure(mount, () => ({ ...chosen, prefix: 'a-', graceSeconds: 0 }))
  t.ok((one.mount().rotation?.past.length ?? 0) <= 64)
})

t.test('of two operators who change different settings at once neither takes the other\'s back', async (t) => {
  const { one, two } = await startTwo()
  const mount = await one.enable('team/kv', { cron: null, stablePath: 'always' })
  await two.revision.poll()
  const change = (broker: TestBroker, chosen: Partial<RotationSettings>) => broker.rotator.configure(mount, ({ rotation }) => ({
    ...settings, cron: null, stablePath: rotation?.stablePath ?? 'always', graceSeconds: rotation?.graceSeconds ?? 0, ...chosen
  }))
  await change(one, { stablePath: 'never' })
  await change(two, { graceSeconds: 7 })
  await one.revision.poll()
  t.match(one.mount().rotation, { stablePath: 'never', graceSeconds: 7 })
})

t.test('what fails each second is told once, keeps nothing else from its turn, and is done when it works again', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable('first')
  await one.enable('second', { prefix: 's-' })
  await two.revision.poll()
  pass(minute, ...all)
  one.journalling.begins = Promise.reject(new Error('no device takes entries'))
  for (let n = 0; n < 5; n++) await one.rotator.tick()
  t.equal(one.errors.length, 2, 'for each of two mounts')
  t.strictSame([one.slot('first'), one.slot('second')], [1, 1], 'no entry, no rotation')
  one.journalling.begins = Promise.resolve()
  await one.rotator.tick()
  t.strictSame([one.slot('first'), one.slot('second')], [2, 2])
  t.equal(one.errors.length, 2)
})

t.test('a tick that lasts does nothing about mounts that another broker rotated meanwhile', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable('first')
  await one.enable('second', { prefix: 's-' })
  await two.revision.poll()
  pass(minute, ...all)
  let release = (): void => {}
  one.journalling.begins = new Promise((resolve) => { release = resolve })
  const ticking = one.rotator.tick()
  await two.rotator.tick()
  await one.revision.poll()
  release()
  await ticking
  t.strictSame([one.slot('first'), one.slot('second')], [2, 2])
  t.strictSame(one.journal.map(({ rotated }) => rotated), [false], 'only of the one that it had begun with')
})

t.test('the tripwire knows the last retired names, of every mount, and no others', async (t) => {
  const { one } = await startTwo()
  await one.enable('team/kv', { cron: null, prefix: 'a/b-' })
  const names: string[] = []
  for (let n = 0; n < 70; n++) {
    names.push(one.name())
    await one.rotator.rotate(one.mount(), { expectedSlot: null, graceSeconds: 0 })
  }
  t.equal(one.tripwire.find(`${names[69]}/creds/x`)?.slot, 70)
  t.equal(one.tripwire.find(names[6] ?? '')?.slot, 7)
  t.equal(one.tripwire.find(names[5] ?? ''), null, 'the sixty-fifth')
  t.equal(one.tripwire.find(one.name()), null)
  t.equal(one.tripwire.find(`${names[69]?.slice(0, -1)}x/y`), null)
  t.equal(one.tripwire.find('x/'.repeat(1000)), null)
})

t.test('with jitter a firing comes late, on all brokers at the same moment', async (t) => {
  const { one, two, all } = await startTwo()
  await one.enable('team/kv', { jitterSeconds: 30 })
  await two.revision.poll()
  const nextMs = one.rotator.nextAtMs(one.mount(), startMs) ?? 0
  t.equal(two.rotator.nextAtMs(two.mount(), startMs), nextMs)
  t.ok(nextMs >= Date.parse('2027-01-01T00:01:00Z') && nextMs < Date.parse('2027-01-01T00:01:30Z'))
  pass(nextMs - startMs - 1, ...all)
  await one.rotator.tick()
  t.equal(one.slot(), 1)
  pass(1, ...all)
  await two.rotator.tick()
  t.equal(two.slot(), 2)
  t.match(settings.jitterSeconds, 0)
})

t.test('while very many names rotate at once a mount can be made and unmade', async (t) => {
  const slowly = (store: Store): Store => ({
    ...store,
    async commit (changes, options) {
      await new Promise((resolve) => setImmediate(resolve))
      return store.commit(changes, options)
    }
  })
  const broker = await createTestBroker(createMemoryStore(), startMs, slowly)
  for (let n = 0; n < 100; n++) await broker.enable(`m-${n}`)
  let isOver = false
  const storm = (async () => {
    for (let n = 0; !isOver; n++) await broker.rotator.rotate(broker.mount(`m-${n % 100}`), { expectedSlot: null, graceSeconds: 0 })
  })()
  try {
    for (let n = 0; n < 5; n++) await broker.enable(`late-${n}`)
    await broker.mounts.remove(broker.mount('late-0').accessor)
  } finally {
    isOver = true
    await storm
  }
  t.equal(broker.slot('late-4'), 1)
})
