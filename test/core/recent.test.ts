import t from 'tap'
import { createRecent } from '../../src/core/recent.ts'

t.test('what is asked for stays, what is not is forgotten within two generations', async (t) => {
  const recent = createRecent<number, string>(10)
  recent.set(-1, 'kept')
  recent.set(-2, 'left')
  for (let n = 0; n < 100; n++) {
    recent.set(n, 'x')
    t.equal(recent.get(-1), 'kept')
  }
  t.equal(recent.get(-2), undefined)
  t.equal(recent.get(50), undefined)
  t.equal(recent.get(99), 'x')
})

t.test('a new value takes the place of the former', async (t) => {
  const recent = createRecent<string, string>(2)
  recent.set('a', '1')
  recent.set('b', '1')
  recent.set('c', '1')
  recent.set('a', '2')
  t.equal(recent.get('a'), '2')
})
