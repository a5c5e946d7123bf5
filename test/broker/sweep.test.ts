import t from 'tap'
import { createSweeper, type DueHandler } from '../../src/broker/sweep.ts'
import { pathOf } from '../../src/core/store.ts'
import { createMemoryStore } from '../../src/store/memory.ts'

async function rig (handler: DueHandler) {
  const store = createMemoryStore()
  const errors: string[] = []
  const clock = { nowMs: 1000, now: () => clock.nowMs }
  const sweeper = createSweeper({
    store, clock, handlers: new Map([['thing', handler]]), onError: (kind) => { errors.push(kind) }
  })
  const put = (path: string) => store.commit([{ op: 'put', key: `00:${path}`, value: new Uint8Array(1), dueAtMs: 1 }])
  return { store, sweeper, errors, clock, put }
}

t.test('SEC-204 a due record that cannot be dealt with keeps none of the others waiting', async (t) => {
  const dealt = new Set<string>()
  const { sweeper, errors, clock, put } = await rig(async (entries) => {
    for (const { key } of entries) {
      if (pathOf(key) === 'thing/bad') throw new Error('not as it was written')
      dealt.add(pathOf(key))
    }
  })
  await put('thing/bad')
  for (let n = 0; n < 120; n++) await put(`thing/${n}`)
  await put('other/1')
  await sweeper.sweep()
  t.equal(dealt.size, 120)
  t.strictSame(errors.sort(), ['other', 'thing'], 'each that failed is told of once')
  clock.nowMs += 59_000
  await sweeper.sweep()
  t.equal(errors.length, 2, 'and left alone for a minute')
})
