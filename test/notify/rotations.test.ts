import t, { type Test } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { pathOf, type Change, type Store } from '../../src/core/store.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { until } from '../helpers/redis.ts'
import { idOf, startReceiver, verified, type Received, type Receiver } from './receiver.ts'
import { createRig, type Rig, type RigOptions } from './rig.ts'

const minuteMs = 60_000

async function start (t: Test, settings: JsonObject = {}, options: RigOptions = {}) {
  const receiver = await startReceiver(t)
  const rig = await createRig(options)
  await rig.enable('team/kv', { cron: null })
  const secret = await rig.write('ops', { type: 'webhook', url: receiver.url, events: 'rotation', ...settings })
  return { receiver, rig, secret }
}

async function deliver (rig: Rig): Promise<void> {
  await rig.tick()
  await rig.sweep()
}

async function delivered (rig: Rig, receiver: Receiver, count: number): Promise<void> {
  await deliver(rig)
  await until('they came', () => receiver.got.length >= count)
  await until('they are done', async () => (await rig.pending('ops')).length === 0)
}

const rotate = (rig: Rig, path = 'team/kv', graceSeconds: number | null = null) =>
  rig.rotator.rotate(rig.mount(path), { expectedSlot: null, graceSeconds })
const dataOf = (got: Received | undefined) => got === undefined ? {} : (JSON.parse(got.text) as { data: JsonObject }).data

/** A store of a broker that dies at a commit, before or after it: nothing works any more, and nobody is told. */
function dyingStore (store: Store, isAt: (changes: readonly Change[]) => boolean, when: 'before' | 'after'): Store {
  let dead = false
  const died = () => new Promise<never>(() => {})
  return {
    ...store,
    get: async (keys) => dead ? died() : store.get(keys),
    list: async (...list) => dead ? died() : store.list(...list),
    claim: async (query) => dead ? died() : store.claim(query),
    async commit (changes, options) {
      if (dead) return died()
      dead = isAt(changes)
      if (dead && when === 'before') return died()
      const entries = await store.commit(changes, options)
      return dead ? died() : entries
    }
  }
}

const isPut = (word: string) => (changes: readonly Change[]) => changes.some((change) => change.op === 'put' && pathOf(change.key).startsWith(`${word}/`))

t.test('SEC-222 a webhook is told which mount has another name, and the name only where it shall be', async (t) => {
  const { receiver, rig, secret } = await start(t)
  await delivered(rig, receiver, 1)
  const mount = rig.mount()
  t.strictSame(verified(receiver.got[0] as Received, secret), {
    type: 'rotation',
    timestamp: new Date(rig.clock.nowMs).toISOString(),
    data: { mount: 'team/kv', mount_accessor: mount.accessor, slot: 1, former_name_ends_time: null }
  }, 'a new notifier is told the present slot')
  const first = rig.name()
  rig.clock.nowMs += minuteMs
  await rotate(rig)
  await delivered(rig, receiver, 2)
  t.match(dataOf(receiver.got[1]), { slot: 2, former_name_ends_time: new Date(rig.clock.nowMs + minuteMs).toISOString() })
  await deliver(rig)
  t.equal(receiver.got.length, 2, 'and once')
  for (const got of receiver.got) for (const name of [first, rig.name()]) t.notOk(`${got.text}${JSON.stringify(got.headers)}`.includes(name.slice(-26)))
  await rig.write('ops', { include_name: true })
  await delivered(rig, receiver, 3)
  t.match(dataOf(receiver.got[2]), { slot: 2, name: rig.name() })
  await rig.rotator.turnOff(rig.mount())
  await delivered(rig, receiver, 4)
  t.match(dataOf(receiver.got[3]), { slot: null, name: 'team/kv' }, 'a mount that goes by its own path again')
  t.strictSame(rig.errors, [])
})

t.test('mounts that were not chosen, or never rotated, are not told of', async (t) => {
  const { receiver, rig } = await start(t, { mounts: 'other/kv' })
  await rig.mounts.enable({ ...rig.mount(), path: 'plain' })
  await rotate(rig)
  await deliver(rig)
  t.strictSame(await rig.pending('ops'), [])
  await rig.enable('other/kv', { cron: null })
  await delivered(rig, receiver, 1)
  t.match(dataOf(receiver.got[0]), { mount: 'other/kv' })
})

t.test('what could not be told is replaced by what is newer', async (t) => {
  const { receiver, rig } = await start(t)
  receiver.answer = () => ({ status: 500 })
  await deliver(rig)
  await until('it came', () => receiver.got.length === 1)
  for (let n = 0; n < 5; n++) {
    await rotate(rig)
    await rig.tick()
  }
  const waiting = await rig.pending('ops')
  t.equal(waiting.length, 1)
  receiver.answer = () => ({ status: 200 })
  await delivered(rig, receiver, 2)
  t.strictSame(receiver.got.map((got) => dataOf(got)['slot']), [1, 6])
  t.equal(new Set(receiver.got.map(idOf)).size, 2)
})

t.test('a name that changes while it is told is told anew', async (t) => {
  const { receiver, rig } = await start(t)
  let release = () => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  receiver.answer = async () => {
    await held
    return { status: 200 }
  }
  await deliver(rig)
  await until('it came', () => receiver.got.length === 1)
  await rotate(rig)
  await deliver(rig)
  release()
  await until('both came', () => receiver.got.length === 2)
  await until('they are done', async () => (await rig.pending('ops')).length === 0)
  t.strictSame(receiver.got.map((got) => dataOf(got)['slot']), [1, 2])
})

t.test('another destination, or being enabled again, has the present names told anew', async (t) => {
  const { receiver, rig } = await start(t)
  await delivered(rig, receiver, 1)
  const elsewhere = await startReceiver(t)
  await rig.write('ops', { mounts: 'team/kv', events: 'rotation,tripwire' })
  await deliver(rig)
  t.equal(receiver.got.length, 1, 'other settings do not')
  await rig.write('ops', { url: elsewhere.url })
  await delivered(rig, elsewhere, 1)
  await rig.write('ops', { enabled: false })
  await rotate(rig)
  await deliver(rig)
  t.equal(elsewhere.got.length, 1)
  await rig.write('ops', { enabled: true })
  await delivered(rig, elsewhere, 2)
  t.strictSame(elsewhere.got.map((got) => dataOf(got)['slot']), [1, 2])
  t.equal(new Set([...receiver.got, ...elsewhere.got].map(idOf)).size, 3)
})

t.test('hundreds of mounts are told of, each once', async (t) => {
  const receiver = await startReceiver(t)
  const rig = await createRig()
  for (let n = 0; n < 150; n++) await rig.enable(`m${n}`, { cron: null, prefix: `m${n}-` })
  await rig.write('ops', { type: 'webhook', url: receiver.url, events: 'rotation' })
  await delivered(rig, receiver, 150)
  t.equal(new Set(receiver.got.map((got) => dataOf(got)['mount'])).size, 150)
  await rig.write('ops', { include_name: true })
  await delivered(rig, receiver, 300)
  t.equal(receiver.got.length, 300)
})

t.test('SEC-216 FLT-061 of two brokers on one store, at the same time, one delivery is written and sent', async (t) => {
  const store = createMemoryStore()
  const receiver = await startReceiver(t)
  const [one, two] = [await createRig({ store }), await createRig({ store })]
  await one.enable('team/kv', { cron: null })
  await one.write('ops', { type: 'webhook', url: receiver.url, events: 'rotation' })
  for (let round = 1; round <= 20; round++) {
    await two.revision.poll()
    await Promise.all([one, two].map((rig) => rig.tick()))
    t.equal((await one.pending('ops')).length, 1, 'one delivery')
    await Promise.all([one, two].map((rig) => rig.sweep()))
    await until('it came', () => receiver.got.length >= round)
    await until('it is done', async () => (await one.pending('ops')).length === 0)
    await one.revision.poll()
    await rotate(round % 2 === 0 ? one : two)
    await one.revision.poll()
  }
  t.equal(receiver.got.length, 20)
  t.equal(new Set(receiver.got.map(idOf)).size, 20)
  t.strictSame([...one.errors, ...two.errors], [])
})

t.test('what one broker is about to note, and another has told meanwhile, is not told again', async (t) => {
  const store = createMemoryStore()
  const receiver = await startReceiver(t)
  let release = () => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  let waits = false
  const one = await createRig({ store })
  const slow = await createRig({
    store,
    wrap: (each) => ({
      ...each,
      async commit (changes, options) {
        if (isPut('told')(changes)) {
          waits = true
          await held
        }
        return each.commit(changes, options)
      }
    })
  })
  await one.enable('team/kv', { cron: null })
  await one.write('ops', { type: 'webhook', url: receiver.url, events: 'rotation' })
  await slow.revision.poll()
  const noting = slow.tick()
  await until('it is about to note', () => waits)
  await delivered(one, receiver, 1)
  release()
  await noting
  t.strictSame(await one.pending('ops'), [])
  t.strictSame(slow.errors, [])
})

t.test('a broker that knows a notifier as it was tells nothing for it', async (t) => {
  const store = createMemoryStore()
  const receiver = await startReceiver(t)
  const one = await createRig({ store })
  await one.enable('team/kv', { cron: null })
  await one.write('ops', { type: 'webhook', url: receiver.url, events: 'rotation' })
  const behind = await createRig({ store })
  await one.write('ops', { include_name: true })
  await delivered(one, receiver, 1)
  await rotate(one)
  await behind.mounts.load()
  await behind.tick()
  t.strictSame(await one.pending('ops'), [])
  await delivered(one, receiver, 2)
  await behind.revision.poll()
  await behind.tick()
  t.strictSame(await one.pending('ops'), [])
  t.equal(receiver.got.length, 2)
})

t.test('a name that is no more when it is to be told is not told', async (t) => {
  const { receiver, rig } = await start(t, { include_name: true })
  await rig.tick()
  await rotate(rig)
  await rig.sweep()
  await until('it is gone', async () => (await rig.pending('ops')).length === 0)
  t.equal(receiver.got.length, 0)
  await delivered(rig, receiver, 1)
  t.match(dataOf(receiver.got[0]), { slot: 2, name: rig.name() })
})

t.test('what the store did not take is told when it does', async (t) => {
  let failing = false
  const { receiver, rig } = await start(t, {}, {
    wrap: (store) => ({ ...store, commit: async (...commit) => failing ? Promise.reject(new Error('the store is away')) : store.commit(...commit) })
  })
  failing = true
  await t.rejects(rig.tick(), /away/)
  failing = false
  await delivered(rig, receiver, 1)
})

t.test('a broker that is behind tells nothing old', async (t) => {
  const store = createMemoryStore()
  const receiver = await startReceiver(t)
  const [one, two] = [await createRig({ store }), await createRig({ store })]
  await one.enable('team/kv', { cron: null })
  await one.write('ops', { type: 'webhook', url: receiver.url, events: 'rotation', include_name: true })
  await two.revision.poll()
  await rotate(one)
  await one.tick()
  // Two still takes slot 1 for the present one; what it sends is what one noted.
  await two.tick()
  t.equal((await one.pending('ops')).length, 1)
  await two.sweep()
  await until('it came', () => receiver.got.length === 1)
  t.match(dataOf(receiver.got[0]), { slot: 2, name: one.name() })
})

for (const [moment, isAt, when, least, most] of [
  ['after the rotation, before anything was noted', isPut('told'), 'before', 1, 1],
  ['after it was noted, before it was sent', isPut('told'), 'after', 1, 1],
  ['before the attempt was noted', (changes: readonly Change[]) => isPut('delivery')(changes) && !isPut('told')(changes), 'before', 1, 1],
  ['after the attempt was noted, before it was made', (changes: readonly Change[]) => isPut('delivery')(changes) && !isPut('told')(changes), 'after', 1, 1],
  ['after it was sent, before that was noted', (changes: readonly Change[]) => changes.length === 1 && changes[0]?.op === 'delete', 'before', 2, 2],
  ['after that was noted', (changes: readonly Change[]) => changes.length === 1 && changes[0]?.op === 'delete', 'after', 1, 1]
] as const) {
  t.test(`FLT-011 a broker that dies ${moment} leaves a delivery that arrives, by one id`, async (t) => {
    const store = createMemoryStore()
    const receiver = await startReceiver(t)
    const doomed = await createRig({ store, wrap: (each) => dyingStore(each, isAt, when) })
    await doomed.enable('team/kv', { cron: null })
    await doomed.write('ops', { type: 'webhook', url: receiver.url, events: 'rotation' })
    void deliver(doomed)
    await until('it died', async () => {
      const entries = await Promise.race([doomed.notifiers.deadLetters.counts('x').then(() => 'alive'), new Promise((resolve) => { setTimeout(resolve, 20, 'dead') })])
      return entries === 'dead'
    })
    const next = await createRig({ store })
    next.clock.nowMs += 2 * minuteMs
    await deliver(next)
    await until('it came', () => receiver.got.length >= least)
    await until('it is done', async () => (await next.pending('ops')).length === 0)
    t.ok(receiver.got.length >= least && receiver.got.length <= most, `${receiver.got.length} times`)
    t.equal(new Set(receiver.got.map(idOf)).size, 1)
    t.match(dataOf(receiver.got[0]), { slot: 1 })
    t.strictSame(next.errors, [])
  })
}
