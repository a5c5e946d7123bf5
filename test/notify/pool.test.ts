import t from 'tap'
import { createPool } from '../../src/notify/pool.ts'
import { until } from '../helpers/redis.ts'

/** A pool whose runs end when they are told to. */
function start (limits: { all: number, each: number, waitingMax: number }) {
  const running = new Map<string, (isDealtWith: boolean) => void>()
  const begun: string[] = []
  const pool = createPool({
    ...limits,
    pauseMs: 200,
    run: (key) => new Promise((resolve) => {
      begun.push(key)
      running.set(key, (isDealtWith) => {
        running.delete(key)
        resolve(isDealtWith)
      })
    })
  })
  const end = async (key: string, isDealtWith = true) => {
    running.get(key)?.(isDealtWith)
    await new Promise((resolve) => { setImmediate(resolve) })
  }
  return { pool, begun, running, end }
}

t.test('what waits is not taken again, and what is under way is looked at once more after it', async (t) => {
  const { pool, begun, end } = start({ all: 2, each: 1, waitingMax: 9 })
  pool.take('a', 'a1')
  for (let n = 0; n < 3; n++) pool.take('a', 'a2')
  t.strictSame(begun, ['a1'])
  for (let n = 0; n < 3; n++) pool.take('a', 'a1')
  await end('a1')
  await end('a2')
  t.strictSame(begun, ['a1', 'a2', 'a1'])
  await end('a1')
  t.strictSame(begun, ['a1', 'a2', 'a1'])
  pool.take('a', 'a1')
  t.strictSame(begun, ['a1', 'a2', 'a1', 'a1'])
})

t.test('notifiers take turns, and none waits for another while there is room', async (t) => {
  const { pool, begun, end } = start({ all: 3, each: 2, waitingMax: 9 })
  for (let n = 0; n < 5; n++) pool.take('a', `a${n}`)
  for (let n = 0; n < 2; n++) pool.take('b', `b${n}`)
  t.strictSame(begun, ['a0', 'a1', 'b0'])
  for (const key of ['a0', 'a1', 'b0']) await end(key)
  t.strictSame(begun.slice(3), ['a2', 'b1', 'a3'], 'in turns')
  await end('b1')
  t.strictSame(begun.length, 6, 'and two of one at most')
})

t.test('what is beyond the bound is left to come again', async (t) => {
  const { pool, begun, end } = start({ all: 1, each: 1, waitingMax: 2 })
  for (let n = 0; n < 9; n++) pool.take('a', `a${n}`)
  for (const key of ['a0', 'a1', 'a2', 'a3']) await end(key)
  t.strictSame(begun, ['a0', 'a1', 'a2'])
})

t.test('what could not be dealt with is taken up again after a pause, in which nothing is begun', async (t) => {
  const { pool, begun, end } = start({ all: 9, each: 1, waitingMax: 9 })
  for (const key of ['a0', 'a1']) pool.take('a', key)
  await end('a0', false)
  pool.take('b', 'b0')
  t.strictSame(begun, ['a0'])
  await until('the pause is over', () => begun.length === 3)
  t.strictSame(begun.toSorted(), ['a0', 'a1', 'b0'])
  await end('a1')
  t.strictSame(begun.slice(3), ['a0'])
})

t.test('a stop begins nothing more, and ends with what is under way', async (t) => {
  const { pool, begun, end } = start({ all: 1, each: 1, waitingMax: 9 })
  pool.take('a', 'a0')
  pool.take('a', 'a1')
  let stopped = false
  const stopping = pool.stop().then(() => { stopped = true })
  pool.take('b', 'b0')
  t.notOk(stopped)
  await end('a0')
  await stopping
  t.strictSame(begun, ['a0'])
})
