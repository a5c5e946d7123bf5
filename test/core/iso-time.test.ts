import t from 'tap'
import { isoTime } from '../../src/core/iso-time.ts'

t.test('a time reads as Date writes it', async (t) => {
  const spots = [0, 999, 1000, 59_999, 60_000, 3_599_999, 86_399_999, 86_400_000, 951_782_400_000, 253_402_300_799_999,
    253_402_300_800_000, -1, 1767225600000.5]
  for (const ms of spots) t.equal(isoTime(ms), new Date(ms).toISOString())
  for (let n = 0; n < 5000; n++) {
    const ms = Math.floor(Math.random() * 253_402_300_800_000)
    if (isoTime(ms) !== new Date(ms).toISOString()) t.fail(`${ms}`)
  }
})

t.test('what is no instant has no text', async (t) => {
  t.throws(() => isoTime(NaN), RangeError)
  t.throws(() => isoTime(Infinity), RangeError)
})
