import t from 'tap'
import { createEventStream, type BrokerEvent } from '../../src/core/events.ts'

const event = (slot: number): BrokerEvent => ({ type: 'rotation', mount: 'kv', slot, cause: 'manual', graceSeconds: 0 })

t.test('each subscriber gets every event from then on, in order, until it is closed', async (t) => {
  const stream = createEventStream({ now: () => 7 })
  stream.publish(event(1))
  const [one, two] = [stream.subscribe(), stream.subscribe()]
  stream.publish(event(2))
  stream.publish(event(3))
  two.close()
  const got: number[] = []
  for await (const { id, atMs, event: { type } } of one) {
    t.equal(atMs, 7)
    t.equal(type, 'rotation')
    got.push(id)
    if (got.length === 2) setImmediate(() => stream.publish(event(4)))
    if (got.length === 3) one.close()
  }
  t.strictSame(got, [2, 3, 4])
  for await (const _ of two) t.fail('it was closed')
})

t.test('a slow subscriber loses the oldest events, sees the gap, and holds up nobody', async (t) => {
  const stream = createEventStream({ now: () => 0 })
  const slow = stream.subscribe()
  for (let n = 1; n <= 5000; n++) stream.publish(event(n))
  t.equal(slow.dropped(), 4000)
  for await (const { id } of slow) {
    t.equal(id, 4001)
    break
  }
})

t.test('what a subscriber did not choose takes no room from what it did', async (t) => {
  const stream = createEventStream({ now: () => 0 })
  const slow = stream.subscribe(['rotation'])
  stream.publish(event(1))
  for (let n = 0; n < 5000; n++) stream.publish({ type: 'login-failure', mount: 'auth/approle', address: '10.0.0.1' })
  stream.publish(event(2))
  t.equal(slow.dropped(), 0)
  const got: number[] = []
  for await (const { id } of slow) {
    got.push(id)
    if (got.length === 2) slow.close()
  }
  t.strictSame(got, [1, 5002])
})

t.test('a stream that is closed ends its subscriptions and takes no more', async (t) => {
  const stream = createEventStream({ now: () => 0 })
  const waiting = (async () => { for await (const _ of stream.subscribe()) t.fail('there is none') })()
  stream.close()
  await waiting
  for await (const _ of stream.subscribe()) t.fail('nobody subscribes any more')
})

t.test('without subscribers an event costs next to nothing', async (t) => {
  let clockCalls = 0
  const stream = createEventStream({ now: () => ++clockCalls })
  for (let n = 0; n < 100_000; n++) stream.publish(event(n))
  t.equal(clockCalls, 0)
})
