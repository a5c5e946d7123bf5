import t from 'tap'
import { createRehearsal, type Client } from '../../src/mounts/rehearsal.ts'
import { createWaiting } from '../../src/mounts/waiting.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { createTestBroker } from './rig.ts'

const client = (address: string): Client => ({ role: 'r', secretIdAccessor: 's', tokenAccessor: null, address })

t.test('clients that two brokers saw are one list, each client once with what either knows', async (t) => {
  const store = createMemoryStore()
  const broker = await createTestBroker(store, 0)
  const mount = await broker.enable()
  const [one, two] = [createRehearsal({ mounts: broker.mounts, store }), createRehearsal({ mounts: broker.mounts, store })]
  one.used(mount, client('a'), 1, 1000)
  one.resolved(broker.mount(), client('b'), 1000)
  two.used(mount, client('a'), 2, 2000)
  two.used(mount, client('b'), 2, 3000)
  t.equal((await one.clients(mount)).length, 2)
  await Promise.all([one.share(4000), two.share(4000)])
  for (const rehearsal of [one, two]) {
    t.match(await rehearsal.clients(mount), [
      { address: 'b', slot: 2, lastSeenAtMs: 3000, resolvedSlot: 1 },
      { address: 'a', slot: 2, lastSeenAtMs: 2000, resolvedSlot: 0 }
    ])
  }
  t.ok(two.knows(mount, client('a'), 1))
  t.notOk(two.knows(mount, client('a'), 3))
  t.notOk(one.knows(mount, client('c'), 1))
})

t.test('what is remembered is bounded, written only when it changed, and forgotten after a week', async (t) => {
  const store = createMemoryStore()
  let commits = 0
  const broker = await createTestBroker(store, 0, (inner) => ({
    ...inner,
    commit (changes, options) {
      commits++
      return inner.commit(changes, options)
    }
  }))
  const mount = await broker.enable()
  const rehearsal = createRehearsal({ mounts: broker.mounts, store })
  for (let n = 0; n < 2000; n++) rehearsal.used(mount, client(`a${n}`), 1, n)
  const seen = await rehearsal.clients(mount)
  t.equal(seen.length, 500)
  t.equal(seen.at(-1)?.address, 'a1500', 'the oldest went')
  const before = commits
  await rehearsal.share(1)
  await rehearsal.share(2)
  t.equal(commits - before, 1)
  t.strictSame(await store.claim({ nowMs: 6 * 86_400_000, limit: 9, holdMs: 1 }), [])
  const due = await store.claim({ nowMs: 8 * 86_400_000, limit: 9, holdMs: 1 })
  t.match(due, [{ key: /:names-seen\// }])
  await rehearsal.forget(due, 8 * 86_400_000)
  await rehearsal.forget(due, 8 * 86_400_000)
  const other = createRehearsal({ mounts: broker.mounts, store })
  t.strictSame(await other.clients(mount), [])
})

t.test('a part that cannot be written keeps no other from its turn, and is written when it can be', async (t) => {
  const store = createMemoryStore()
  let refused = ''
  const broker = await createTestBroker(store, 0, (inner) => ({
    ...inner,
    async commit (changes, options) {
      if (changes.some(({ key }) => refused !== '' && key.includes(refused))) throw new Error('the store is full')
      return inner.commit(changes, options)
    }
  }))
  const [one, two] = [await broker.enable('one'), await broker.enable('two', { prefix: 't-' })]
  const rehearsal = createRehearsal({ mounts: broker.mounts, store })
  rehearsal.used(one, client('a'), 1, 1)
  rehearsal.used(two, client('a'), 1, 1)
  refused = one.accessor
  await t.rejects(rehearsal.share(2), { message: 'the store is full' })
  const other = createRehearsal({ mounts: broker.mounts, store })
  t.strictSame([(await other.clients(one)).length, (await other.clients(two)).length], [0, 1])
  refused = ''
  await rehearsal.share(3)
  t.equal((await other.clients(one)).length, 1)
})

t.test('the parts of brokers that started anew again and again are read a few at a time', async (t) => {
  const store = createMemoryStore()
  let most = 0
  const broker = await createTestBroker(store, 0, (inner) => ({
    ...inner,
    async get (keys) {
      if (keys.some((key) => key.includes('names-seen'))) most = Math.max(most, keys.length)
      return inner.get(keys)
    }
  }))
  const mount = await broker.enable()
  for (let n = 0; n < 120; n++) {
    const rehearsal = createRehearsal({ mounts: broker.mounts, store })
    rehearsal.used(mount, client(`a${n}`), 1, n)
    await rehearsal.share(n)
  }
  t.equal((await createRehearsal({ mounts: broker.mounts, store }).clients(mount)).length, 120)
  t.ok(most <= 20, String(most))
})

t.test('requests that wait are bounded, in all and for each caller, and all go when the broker stops', async (t) => {
  const waiting = createWaiting({ all: 3, ofCaller: 2 })
  let over = false
  const wait = (caller: string) => waiting.wait(caller, 60, () => over)
  const first = [wait('a'), wait('a')]
  await t.rejects(wait('a'), { code: 'limit_exceeded' })
  const second = wait('b')
  await t.rejects(wait('c'), { code: 'limit_exceeded' })
  waiting.wake()
  t.equal(waiting.waiting(), 3)
  over = true
  waiting.wake()
  await Promise.all(first)
  await second
  over = false
  const last = wait('a')
  waiting.close()
  await last
  await wait('a')
  t.equal(waiting.waiting(), 0)
})
