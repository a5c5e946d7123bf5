import t from 'tap'
import type { Store } from '../../src/core/store.ts'
import { openStoreClock } from '../../src/store/clock.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

const hour = 3_600_000

/** A store whose clock is moved. */
function shifted (store: Store) {
  const shift = { ms: 0 }
  const inspect = async () => {
    const report = await store.inspect()
    return { ...report, clockOffsetMs: report.clockOffsetMs + shift.ms }
  }
  return { shift, store: { ...store, inspect } }
}

t.test('the time is the store\'s, not this machine\'s', async (t) => {
  const { shift, store } = shifted(createMemoryStore())
  shift.ms = 5 * hour
  const clock = await openStoreClock({ store })
  t.ok(Math.abs(clock.now() - Date.now() - 5 * hour) < 1000)
})

t.test('a store whose clock goes back one hour does not take the time with it (FLT-060)', async (t) => {
  const { shift, store } = shifted(createMemoryStore())
  const clock = await openStoreClock({ store })
  const before = clock.now()
  shift.ms = -hour
  await clock.follow()
  t.ok(clock.now() >= before)
  t.ok(clock.now() - before < 1000)
})

t.test('nor does it over a restart: the highest time is in the store (FLT-060)', async (t) => {
  const { shift, store } = shifted(createMemoryStore())
  const before = (await openStoreClock({ store })).now()
  shift.ms = -hour
  const restarted = await openStoreClock({ store })
  t.ok(restarted.now() >= before - 1)
  t.ok(restarted.now() - before < 1000)
})

t.test('a clock that is ahead of the store still goes on', async (t) => {
  const { shift, store } = shifted(createMemoryStore())
  await openStoreClock({ store })
  shift.ms = -hour
  const clock = await openStoreClock({ store })
  const before = clock.now()
  const endMs = performance.now() + 2000
  while (clock.now() < before + 20 && performance.now() < endMs) await clock.follow()
  t.ok(clock.now() >= before + 20)
})

t.test('times never go down, and are whole milliseconds', async (t) => {
  const { shift, store } = shifted(createMemoryStore())
  const clock = await openStoreClock({ store })
  let last = 0
  for (let n = 0; n < 500; n++) {
    shift.ms = n % 2 === 0 ? -hour : 10
    if (n % 50 === 0) await clock.follow()
    const nowMs = clock.now()
    if (!Number.isSafeInteger(nowMs) || nowMs < last) t.fail(`${nowMs} after ${last}`)
    last = nowMs
  }
})

t.test('the mark is written at most every 5 s, and two brokers share it', async (t) => {
  const memory = createMemoryStore()
  let writes = 0
  const store: Store = {
    ...memory,
    commit (changes) {
      writes += 1
      return memory.commit(changes)
    }
  }
  const [one, other] = await Promise.all([openStoreClock({ store }), openStoreClock({ store })])
  for (let n = 0; n < 20; n++) await Promise.all([one.follow(), other.follow()])
  t.ok(writes <= 2, `${writes} writes`)
  t.ok(Math.abs(one.now() - other.now()) < 100)
})

t.test('a damaged mark refuses to start: without it the time could go back', async (t) => {
  const store = createMemoryStore()
  await store.commit([{ op: 'put', key: 'sys:clock', value: Buffer.from('soon') }])
  await t.rejects(openStoreClock({ store }), { message: /damaged/ })
})
