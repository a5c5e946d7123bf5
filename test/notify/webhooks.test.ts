import t, { type Test } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { StoreIntegrity } from '../../src/core/store.ts'
import { until } from '../helpers/redis.ts'
import { idOf, startReceiver, verified, type Received } from './receiver.ts'
import { createRig, startMs, tripwire, type Rig } from './rig.ts'

const hourMs = 3_600_000

async function start (t: Test, settings: JsonObject = {}) {
  const receiver = await startReceiver(t)
  const rig = await createRig()
  const secret = await rig.write('ops', { type: 'webhook', url: receiver.url, events: 'tripwire', ...settings })
  return { receiver, rig, secret }
}

/** Has what happened told, once. */
async function deliver (rig: Rig): Promise<void> {
  await rig.tick()
  await rig.sweep()
}

/** Waits until nothing is under way. */
const settled = (rig: Rig, name = 'ops') => until('no attempt is under way', async () => (await rig.pending(name)).every(({ leasedUntilMs }) => leasedUntilMs === 0))

/** Attempts until the receiver got so many requests, moving the clock. */
async function attempt (rig: Rig, got: readonly Received[], count: number): Promise<void> {
  while (got.length < count) {
    const before = got.length
    rig.clock.nowMs += hourMs
    await rig.sweep()
    await until('an attempt', () => got.length > before)
    await settled(rig)
  }
}

t.test('an alarm reaches a webhook signed, with its own headers and no others', async (t) => {
  const { receiver, rig, secret } = await start(t)
  rig.publish(tripwire())
  await deliver(rig)
  await until('it came', () => receiver.got.length === 1)
  const [got] = receiver.got
  if (got === undefined) throw new Error('nothing came')
  t.match(got, { method: 'POST', path: '/hook' })
  t.strictSame(verified(got, secret), {
    type: 'tripwire',
    timestamp: new Date(startMs).toISOString(),
    data: {
      mount: 'team/kv', grace: 'outside', slots_ago: 1, age_seconds: 60, known_client: false, token_accessor: 'acc', role: 'job',
      secret_id_accessor: 'sid', address: '10.0.0.1', reaction: 'webhook'
    }
  })
  t.match(idOf(got), /^msg_[0-9a-f]{32}$/)
  t.equal(got.headers['webhook-timestamp'], String(startMs / 1000))
  t.strictSame(Object.keys(got.headers).sort(), ['connection', 'content-length', 'content-type', 'host', 'user-agent', 'webhook-id', 'webhook-signature', 'webhook-timestamp'], 'SEC-114')
  await until('it is done', async () => (await rig.pending('ops')).length === 0)
  t.equal(rig.notifiers.tally.of('delivered').get('webhook'), 1)
  t.strictSame(rig.errors, [])
})

t.test('alarms are told where the mount says webhook or more, of chosen mounts and types only', async (t) => {
  const { receiver, rig } = await start(t, { mounts: 'team/kv,auth/approle', events: 'tripwire,login-failure' })
  await rig.write('all', { type: 'webhook', url: receiver.url, events: 'tripwire,audit-degraded' })
  await rig.write('off', { type: 'webhook', url: receiver.url, enabled: false })
  const told = async (name: string) => (await rig.pending(name)).flatMap(({ subject }) => subject.kind === 'event' ? `${subject.type} ${String(subject.data['mount'] ?? '')}` : [])
  for (const reaction of ['none', 'log', 'webhook', 'revoke-token', 'revoke-secret-id'] as const) rig.publish(tripwire({ reaction }))
  rig.publish(tripwire({ mount: 'elsewhere' }))
  rig.publish({ type: 'login-failure', mount: 'auth/approle', address: '10.0.0.1' })
  rig.publish({ type: 'login-failure', mount: 'auth/other', address: '10.0.0.1' })
  rig.publish({ type: 'audit-degraded', device: 'file', failing: true })
  rig.publish({ type: 'lease', change: 'issued', mount: 'team/kv', leaseId: 'team/kv/x' })
  rig.publish({ type: 'rotation', mount: 'team/kv', slot: 2, cause: 'manual', graceSeconds: 0 })
  await rig.tick()
  t.strictSame((await told('ops')).sort(), ['login-failure auth/approle', 'tripwire team/kv', 'tripwire team/kv', 'tripwire team/kv'])
  t.strictSame((await told('all')).sort(), ['audit-degraded ', 'tripwire elsewhere', 'tripwire team/kv', 'tripwire team/kv', 'tripwire team/kv'])
  t.strictSame(await told('off'), [])
})

t.test('what failed is attempted again by the same id, with growing pauses, for a day, and then given up', async (t) => {
  const { receiver, rig, secret } = await start(t)
  receiver.answer = () => ({ status: 500, body: 'CNRYbody' })
  rig.publish(tripwire())
  await deliver(rig)
  await until('it came', () => receiver.got.length === 1)
  await settled(rig)
  let pauseMsMax = 5000
  for (let n = 1; n < 200 && rig.dead.length === 0; n++) {
    const [waiting] = await rig.pending('ops')
    if (waiting === undefined) break
    t.equal(waiting.attempts, n)
    t.equal(waiting.lastFailure, 'it answered 500')
    const pauseMs = waiting.dueAtMs - rig.clock.nowMs
    t.ok(pauseMs >= 500 && pauseMs <= pauseMsMax, `${pauseMs} ms after ${n} attempts`)
    pauseMsMax = Math.min(hourMs, pauseMsMax * 2)
    rig.clock.nowMs = waiting.dueAtMs - 1
    await rig.sweep()
    t.equal(receiver.got.length, n, 'not before it is due')
    rig.clock.nowMs++
    await rig.sweep()
    await until('the next attempt', () => receiver.got.length > n)
    await settled(rig)
  }
  t.equal(new Set(receiver.got.map(idOf)).size, 1)
  for (const got of receiver.got) t.match(verified(got, secret), { type: 'tripwire' })
  t.ok(new Set(receiver.got.map(({ headers }) => headers['webhook-timestamp'])).size > 5, 'each attempt has its own time')
  t.ok(receiver.got.length > 15, `${receiver.got.length} attempts`)
  const [letter] = rig.dead
  t.ok(letter !== undefined && letter.diedAtMs - startMs > 22 * hourMs && letter.diedAtMs - startMs <= 24 * hourMs, 'after about a day')
  const id = idOf(receiver.got[0] as Received)
  t.match(await rig.deadOf('ops'), { keys: [id], key_info: { [id]: { id, event: 'tripwire', attempts: receiver.got.length, last_failure: 'it answered 500', first_time: /^2026-11-21T12:00/ } } })
  t.strictSame([...rig.notifiers.tally.of('dead'), ...rig.notifiers.tally.of('failed')], [['webhook', 1], ['webhook', receiver.got.length]])

  receiver.answer = () => ({ status: 200 })
  const before = receiver.got.length
  t.match(await rig.call('write', 'latchkey/notifiers/:name/dead/:id/retry', { captured: { name: 'ops', id } }), { kind: 'accepted' })
  await rig.sweep()
  await until('it was told', () => receiver.got.length > before)
  t.equal(idOf(receiver.got.at(-1) as Received), id, 'by the same id')
  await until('it is done', async () => (await rig.pending('ops')).length === 0)
  t.strictSame(await rig.deadOf('ops'), { keys: [], key_info: {} })
})

t.test('FLT-051 a receiver that says when to come again is left alone until then', async (t) => {
  const { receiver, rig } = await start(t)
  const retryAt = new Date(startMs + 2 * hourMs).toUTCString()
  for (const [header, waitMs] of [['7200', 2 * hourMs], [retryAt, 2 * hourMs], ['0', 0], ['nonsense', 0], ['-1', 0], ['999999999', 24 * hourMs]] as const) {
    const rig = await createRig()
    await rig.write('ops', { type: 'webhook', url: receiver.url, events: 'tripwire' })
    receiver.answer = () => ({ status: 503, headers: { 'retry-after': header } })
    rig.publish(tripwire())
    const before = receiver.got.length
    await deliver(rig)
    await until('it came', () => receiver.got.length > before)
    await settled(rig)
    const [waiting] = await rig.pending('ops')
    t.ok(waiting !== undefined && waiting.dueAtMs - startMs >= waitMs && waiting.dueAtMs - startMs <= waitMs + 5000, header)
  }
  t.strictSame(rig.errors, [])
})

t.test('410 disables the notifier, and says so', async (t) => {
  const { receiver, rig } = await start(t)
  receiver.answer = () => ({ status: 410 })
  rig.publish(tripwire())
  rig.publish(tripwire({ address: '10.0.0.2' }))
  await deliver(rig)
  await until('both are dead', () => rig.dead.length === 2)
  t.match(rig.dead[0], { failure: 'it answered 410, and wants nothing any more' })
  t.match(await rig.call('read', 'latchkey/notifiers/:name', { captured: { name: 'ops' } }), { data: { enabled: false, disabled_reason: 'it answered 410, and wants nothing any more', dead: 2, pending: 0 } })
  rig.publish(tripwire())
  await deliver(rig)
  t.strictSame(await rig.pending('ops'), [])
  await rig.write('ops', { enabled: true })
  t.match(await rig.call('read', 'latchkey/notifiers/:name', { captured: { name: 'ops' } }), { data: { enabled: true, disabled_reason: '' } })
})

t.test('FLT-052 FLT-053 SEC-163 what does not answer, cuts, floods or redirects is a failure in plain words', async (t) => {
  const elsewhere = await startReceiver(t)
  const cases: [string, (receiver: Awaited<ReturnType<typeof startReceiver>>) => void][] = [
    ['the connection broke off', (receiver) => { receiver.answer = () => null }],
    ['it answered 302: redirects are not followed', (receiver) => { receiver.answer = () => ({ status: 302, headers: { location: elsewhere.url } }) }],
    ['the connection broke off', (receiver) => {
      receiver.answer = (_, socket) => {
        socket.end('nonsense\r\n\r\n')
        return new Promise(() => {})
      }
    }]
  ]
  for (const [failure, prepare] of cases) {
    const { receiver, rig } = await start(t)
    prepare(receiver)
    rig.publish(tripwire())
    await deliver(rig)
    await until('it came', () => receiver.got.length === 1)
    await until('it failed', async () => typeof (await rig.pending('ops'))[0]?.lastFailure === 'string')
    t.equal((await rig.pending('ops'))[0]?.lastFailure, failure)
  }
  t.equal(elsewhere.got.length, 0, 'a redirect leads nowhere')
  const { receiver, rig } = await start(t)
  receiver.answer = () => ({ status: 200, body: Buffer.alloc(5_000_000, 'x') })
  rig.publish(tripwire())
  await deliver(rig)
  await until('a large answer counts by its status', async () => (await rig.pending('ops')).length === 0)
  let closed = false
  receiver.answer = (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n')
    socket.once('close', () => { closed = true })
    return new Promise(() => {})
  }
  rig.publish(tripwire())
  await deliver(rig)
  await until('one that does not end does too', async () => (await rig.pending('ops')).length === 0, 5000)
  await until('and is not waited for', () => closed)
  t.equal(rig.notifiers.tally.of('delivered').get('webhook'), 2)
})

t.test('one endpoint that is slow keeps neither the sweep nor others waiting', async (t) => {
  const { receiver, rig } = await start(t)
  const slow = await startReceiver(t)
  let release = () => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  slow.answer = async () => {
    await held
    return { status: 200 }
  }
  await rig.write('slow', { type: 'webhook', url: slow.url, events: 'tripwire' })
  for (let n = 0; n < 100; n++) rig.publish(tripwire({ address: `10.0.0.${n}` }))
  await deliver(rig)
  await until('the others were told', async () => receiver.got.length === 100 && (await rig.pending('ops')).length === 0)
  t.equal(slow.got.length, 4, 'a few at once')
  t.equal((await rig.pending('slow')).length, 100)
  release()
  await until('all were told', async () => (await rig.pending('slow')).length === 0)
  t.equal(new Set(slow.got.map(idOf)).size, 100)
  t.equal(slow.got.length, 100, 'each once')
})

t.test('410 of a receiver that was replaced meanwhile ends nothing', async (t) => {
  const { receiver, rig } = await start(t)
  const other = await startReceiver(t)
  let release = () => {}
  receiver.answer = () => new Promise((resolve) => { release = () => resolve({ status: 410 }) })
  rig.publish(tripwire())
  await deliver(rig)
  await until('an attempt is under way', () => receiver.got.length === 1)
  await rig.write('ops', { url: other.url })
  release()
  await settled(rig)
  await attempt(rig, other.got, 1)
  t.match(await rig.find('ops'), { enabled: true, disabledReason: null })
  t.strictSame(rig.dead, [])
})

t.test('deliveries are bounded, what is beyond is counted, and plenty of what anybody can cause leaves room for alarms', async (t) => {
  const { receiver, rig } = await start(t, { events: 'tripwire,login-failure,lease' })
  receiver.answer = () => ({ status: 500 })
  for (let round = 0; round < 10; round++) {
    for (let n = 0; n < 1000; n++) rig.publish({ type: 'login-failure', mount: 'auth/approle', address: '10.0.0.1' })
    await rig.tick()
  }
  t.equal((await rig.pending('ops')).length, 500)
  t.equal(rig.notifiers.tally.of('dropped').get('webhook'), 9500)
  for (let round = 0; round < 4; round++) {
    for (let n = 0; n < 200; n++) rig.publish(tripwire())
    await rig.tick()
  }
  t.equal((await rig.pending('ops')).length, 1000)
  t.equal(rig.notifiers.tally.of('dropped').get('webhook'), 9800)
  await rig.notifiers.look()
  t.equal(rig.notifiers.tally.pending.get('webhook'), 1000)
})

t.test('SEC-301 a flood for a receiver that takes nothing is dropped without looking at the store for each part of it', async (t) => {
  let lists = 0
  const rig = await createRig({
    wrap: (store) => ({
      ...store,
      async list (...asked) {
        lists++
        return store.list(...asked)
      }
    })
  })
  await rig.write('ops', { type: 'webhook', url: 'http://127.0.0.1:9/', events: 'tripwire,login-failure' })
  const flood = async () => {
    for (let n = 0; n < 200; n++) rig.publish({ type: 'login-failure', mount: 'auth/approle', address: '10.0.0.1' })
    await rig.tick()
  }
  for (let round = 0; round < 3; round++) await flood()
  t.equal((await rig.pending('ops')).length, 500)
  const [before, fromMs] = [lists, performance.now()]
  for (let round = 0; round < 50; round++) await flood()
  t.ok(lists - before <= 1 + (performance.now() - fromMs) / 1000, `${lists - before} looks`)
  t.equal(rig.notifiers.tally.of('dropped').get('webhook'), 10_100)
  rig.publish(tripwire())
  await rig.tick()
  t.equal((await rig.pending('ops')).length, 501, 'an alarm finds its room')
})

t.test('a thousand dead letters are kept, the newest', async (t) => {
  const { rig } = await start(t)
  const { id: notifierId, name: notifierName } = await rig.find('ops')
  const bury = async (n: number) => {
    const letter = {
      id: `msg_${n}`, notifierId, notifierName, subject: { kind: 'names', levels: {} }, sinceMs: 0, diedAtMs: n, attempts: 1, failure: 'x'
    } as const
    const { changes, dropped } = await rig.notifiers.deadLetters.changesFor(letter)
    await rig.store.commit(changes)
    return dropped
  }
  let dropped = 0
  for (let n = 0; n < 1010; n++) dropped += await bury(n)
  const keys = (await rig.deadOf('ops'))['keys'] as string[]
  t.ok(keys.length <= 1000 && keys.length >= 998, String(keys.length))
  t.equal(keys.length + dropped, 1010)
  t.equal(keys.at(-1), 'msg_1009')
  t.notOk(keys.includes('msg_0'))
})

t.test('a secret that was replaced signs along for a day, and none is ever shown again', async (t) => {
  const { receiver, rig, secret } = await start(t)
  const rotated = await rig.call('write', 'latchkey/notifiers/:name/rotate-secret', { captured: { name: 'ops' } })
  const next = rotated.kind === 'data' ? String(rotated.data?.['secret']) : ''
  t.not(next, secret)
  rig.publish(tripwire())
  await deliver(rig)
  await until('it came', () => receiver.got.length === 1)
  for (const each of [secret, next]) t.match(verified(receiver.got[0] as Received, each), { type: 'tripwire' })
  rig.clock.nowMs += 24 * hourMs
  rig.publish(tripwire())
  await deliver(rig)
  await until('it came', () => receiver.got.length === 2)
  t.match(verified(receiver.got[1] as Received, next), { type: 'tripwire' })
  t.throws(() => verified(receiver.got[1] as Received, secret))
  const shown = JSON.stringify(await rig.call('read', 'latchkey/notifiers/:name', { captured: { name: 'ops' } }))
  for (const each of [secret, next]) t.notOk(shown.includes(each.slice(6)))
})

t.test('a test is sent at once, signed, and tells the status alone', async (t) => {
  const { receiver, rig, secret } = await start(t)
  const test = () => rig.call('write', 'latchkey/notifiers/:name/test', { captured: { name: 'ops' } })
  receiver.answer = () => ({ status: 418, body: 'CNRYbody' })
  t.strictSame(await test(), { kind: 'data', data: { delivered: false, status: 418, failure: 'it answered 418' } })
  receiver.answer = () => ({ status: 202, body: 'CNRYbody' })
  t.strictSame(await test(), { kind: 'data', data: { delivered: true, status: 202, failure: null } })
  for (const got of receiver.got) t.match(verified(got, secret), { type: 'test', data: {} })
  t.strictSame(await rig.pending('ops'), [], 'and is not tried again')
  let release = () => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  receiver.answer = async () => {
    await held
    return { status: 200 }
  }
  const four = [test(), test(), test(), test()]
  await until('four are under way', () => receiver.got.length === 6)
  await t.rejects(test(), { code: 'limit_exceeded' })
  release()
  await Promise.all(four)
  t.match(await test(), { data: { delivered: true } })
})

t.test('SEC-161 a destination that is no longer allowed gets nothing', async (t) => {
  const receiver = await startReceiver(t)
  const allowing = await createRig({ egress: { development: false, allowedHosts: [`127.0.0.1:${receiver.port}`] } })
  await allowing.write('ops', { type: 'webhook', url: receiver.url, events: 'tripwire' })
  const rig = await createRig({ store: allowing.store, egress: { development: false, allowedHosts: [] } })
  rig.publish(tripwire())
  await deliver(rig)
  await until('it failed', async () => typeof (await rig.pending('ops'))[0]?.lastFailure === 'string')
  t.match((await rig.pending('ops'))[0]?.lastFailure, /^url is not allowed/)
  t.equal(receiver.got.length, 0)
  await t.rejects(rig.write('other', { type: 'webhook', url: receiver.url }), { code: 'invalid_request' })
})

t.test('a notifier that is removed tells nothing more, and nothing of it stays', async (t) => {
  const { receiver, rig } = await start(t)
  receiver.answer = () => ({ status: 500 })
  const { id } = await rig.find('ops')
  rig.publish(tripwire())
  await deliver(rig)
  await until('it came', () => receiver.got.length === 1)
  await settled(rig)
  await rig.call('delete', 'latchkey/notifiers/:name', { captured: { name: 'ops' } })
  await rig.write('ops', { type: 'webhook', url: receiver.url })
  rig.clock.nowMs += 6000
  await rig.sweep()
  await until('it is gone', async () => (await rig.store.list(`delivery/${id}/`, { limit: 9 })).length === 0)
  t.equal(receiver.got.length, 1, 'another one of the same name is another one')
  t.strictSame(rig.errors, [])
})

t.test('a delivery that two brokers have in hand is attempted by one', async (t) => {
  const { receiver, rig } = await start(t)
  const other = await createRig({ store: rig.store })
  let release = () => {}
  const held = new Promise<void>((resolve) => { release = resolve })
  receiver.answer = async () => {
    await held
    return { status: 200 }
  }
  rig.publish(tripwire())
  await rig.tick()
  const entries = await rig.store.claim({ nowMs: rig.clock.nowMs, limit: 9, holdMs: 60_000 })
  const take = (each: Rig) => each.notifiers.dueHandlers.find(([word]) => word === 'delivery')?.[1](entries)
  await Promise.all([take(rig), take(other)])
  await until('it came', () => receiver.got.length > 0)
  await take(other)
  await take(rig)
  release()
  await until('it is done', async () => (await rig.pending('ops')).length === 0)
  t.equal(receiver.got.length, 1)
  t.strictSame([...rig.errors, ...other.errors], [])
})

t.test('the late result of an attempt that nobody waits for any more changes nothing', async (t) => {
  const { receiver, rig } = await start(t)
  const other = await createRig({ store: rig.store })
  const releases: ((answer: { status: number }) => void)[] = []
  receiver.answer = () => new Promise((resolve) => { releases.push(resolve) })
  rig.publish(tripwire())
  await deliver(rig)
  await until('the first attempt', () => receiver.got.length === 1)
  other.clock.nowMs = rig.clock.nowMs + 60_001
  await other.sweep()
  await until('the second attempt', () => receiver.got.length === 2)
  const [before] = await rig.pending('ops')
  releases[0]?.({ status: 500 })
  await until('the first failed', () => rig.notifiers.tally.of('failed').get('webhook') === 1)
  t.strictSame(await rig.pending('ops'), [before])
  releases[1]?.({ status: 200 })
  await until('it is done', async () => (await rig.pending('ops')).length === 0)
  t.strictSame(rig.dead, [])
})

t.test('attempts go on after a failure of the store', async (t) => {
  const receiver = await startReceiver(t)
  let failing = false
  const rig = await createRig({
    wrap: (store) => ({ ...store, commit: async (...commit) => failing ? Promise.reject(new Error('the store is away')) : store.commit(...commit) })
  })
  await rig.write('ops', { type: 'webhook', url: receiver.url, events: 'tripwire' })
  failing = true
  rig.publish(tripwire())
  await t.rejects(rig.tick(), /away/)
  await t.rejects(rig.tick(), /away/)
  failing = false
  await deliver(rig)
  await until('it came', () => receiver.got.length === 1)
  await settled(rig)
  receiver.answer = () => {
    failing = true
    return { status: 500 }
  }
  rig.publish(tripwire())
  await deliver(rig)
  await until('the result could not be written', () => rig.errors.length === 1)
  failing = false
  receiver.answer = () => ({ status: 200 })
  await attempt(rig, receiver.got, 3)
  t.equal(idOf(receiver.got[1] as Received), idOf(receiver.got[2] as Received))
})

t.test('SEC-202 a notifier that cannot be read keeps nobody else from being served', async (t) => {
  const receiver = await startReceiver(t)
  let damaged = false
  const rig = await createRig({
    wrap: (store) => ({
      ...store,
      async get (keys) {
        if (damaged && keys.includes('sys:notifier/ops')) throw new StoreIntegrity('sys:notifier/ops')
        return store.get(keys)
      }
    })
  })
  await rig.write('ops', { type: 'webhook', url: receiver.url, events: 'tripwire' })
  damaged = true
  await rig.enable('team/kv', { cron: null })
  t.ok(rig.revision.isFresh())
  t.match(rig.errors[0], { name: 'StoreIntegrity' })
  await t.rejects(rig.tick(), StoreIntegrity)
  damaged = false
  rig.publish(tripwire())
  await deliver(rig)
  await until('it came', () => receiver.got.length === 1)
})

t.test('SEC-202 what cannot be read of one notifier keeps no other from being told', async (t) => {
  for (const what of ['notifier', 'told', 'delivery'] as const) {
    const receiver = await startReceiver(t)
    let damaged = (_key: string) => false
    const rig = await createRig({
      wrap: (store) => ({
        ...store,
        async get (keys) {
          const [key] = keys.filter((each) => damaged(each))
          if (key !== undefined) throw new StoreIntegrity(key)
          return store.get(keys)
        }
      })
    })
    await rig.enable('team/kv', { cron: null })
    await rig.write('first', { type: 'webhook', url: `${receiver.url}/first`, events: 'rotation,tripwire' })
    await rig.write('second', { type: 'webhook', url: `${receiver.url}/second`, events: 'rotation,tripwire' })
    await deliver(rig)
    await until('both know', () => receiver.got.length === 2)
    await settled(rig, 'first')
    await settled(rig, 'second')
    const { id } = await rig.find('first')
    damaged = (key) => what === 'notifier' ? key === 'sys:notifier/first' : key.includes(`:${what}/${id}`)
    await rig.rotator.rotate(rig.mount('team/kv'), { expectedSlot: null, graceSeconds: null })
    rig.publish(tripwire())
    await rig.tick().catch(() => {})
    await rig.sweep()
    await until(`the other one is told beside what is damaged of ${what}`, () => receiver.got.filter(({ path }) => path.endsWith('/second')).length === 3)
    rig.errors.length = 0
    damaged = () => false
    await rig.revision.poll()
    rig.clock.nowMs += 61_000
    await deliver(rig)
    await until(`the first one is made up for after ${what}`, () => receiver.got.filter(({ path }) => path.endsWith('/first')).length >= 2)
  }
})
