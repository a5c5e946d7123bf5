import t from 'tap'
import { createInFlight, Overloaded } from '../../../src/engines/aws/in-flight.ts'

/** Works that end when they are told to. */
function works () {
  const running: { key: string, end: () => void }[] = []
  return {
    running,
    keys: () => running.map(({ key }) => key),
    work: (key: string) => () => new Promise<string>((resolve) => {
      const entry = {
        key,
        end () {
          running.splice(running.indexOf(entry), 1)
          resolve(key)
        }
      }
      running.push(entry)
    })
  }
}

t.test('FLT-050, FLT-052: a key that hangs holds back only itself', async (t) => {
  const { run } = createInFlight({ inFlightMax: 4, perKeyMax: 2, waitingMax: 10, waitMs: 5000 })
  const { work, keys, running } = works()
  const slow = Array.from({ length: 5 }, () => run('slow', work('slow')))
  const quick = run('quick', work('quick'))
  await new Promise(setImmediate)
  t.same(keys(), ['slow', 'slow', 'quick'])
  running.at(-1)?.end()
  t.equal(await quick, 'quick')
  for (let ended = 0; ended < 5; ended++) {
    await new Promise(setImmediate)
    t.ok(running.length <= 2)
    running[0]?.end()
  }
  await Promise.all(slow)
})

t.test('what waits too long or is too much is refused and was not begun', async (t) => {
  const { run } = createInFlight({ inFlightMax: 1, perKeyMax: 1, waitingMax: 1, waitMs: 20 })
  const { work, keys, running } = works()
  const first = run('a', work('a'))
  const second = run('b', work('b'))
  await t.rejects(run('c', work('c')), Overloaded)
  await t.rejects(second, Overloaded)
  t.same(keys(), ['a'])
  t.equal(running.length, 1)
  running[0]?.end()
  await first
  const again = run('b', work('b'))
  await new Promise(setImmediate)
  running[0]?.end()
  t.equal(await again, 'b')
})

t.test('a work that fails gives its place back', async (t) => {
  const { run } = createInFlight({ inFlightMax: 1, perKeyMax: 1, waitingMax: 1, waitMs: 1000 })
  await t.rejects(run('a', async () => { throw new Error('no') }), { message: 'no' })
  t.equal(await run('a', async () => 1), 1)
})
