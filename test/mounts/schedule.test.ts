import { createTask } from 'node-cron'
import { randomInt } from 'node:crypto'
import t from 'tap'
import { parseCron } from '../../plugins/cron.ts'
import { createSchedule } from '../../src/mounts/schedule.ts'

const at = (text: string) => Date.parse(text)
const of = (expression: string) => createSchedule(parseCron(expression))
const shown = (ms: number | null) => ms === null ? null : new Date(ms).toISOString()
const oneOf = <T>(list: readonly T[]): T => list[randomInt(list.length)] as T

function randomField (min: number, max: number, words: readonly string[]): string {
  const value = () => randomInt(min, max + 1)
  return oneOf([
    () => '*', () => String(value()), () => `${value()},${value()}`, () => `*/${randomInt(2, 12)}`,
    () => `${min}-${value()}`, () => words.length > 0 ? oneOf(words) : '*'
  ])()
}

t.test('SEC-227 the instants are those of node-cron in UTC, whatever the expression', async (t) => {
  let compared = 0
  for (let round = 0; round < 400; round++) {
    const expression = [
      randomField(0, 59, []), randomField(0, 23, []), randomField(1, 31, ['L', '15W', 'L-3', '1W', '31W', 'LW', '9,LW']),
      randomField(1, 12, ['*', '*']), randomField(0, 7, ['5L', '1#2', '7#5', 'MON'])
    ].join(' ')
    let schedule
    try {
      schedule = of(expression)
    } catch {
      continue
    }
    const task = createTask(expression, () => {}, { timezone: 'Etc/UTC' })
    for (let n = 0; n < 3; n++) {
      const fromMs = at('2024-01-01T00:00:00Z') + randomInt(0, 10 * 365 * 86_400) * 1000
      const next = schedule.nextAfter(fromMs)
      if (next === null) continue
      t.ok(task.match(new Date(next)), `${expression} after ${shown(fromMs)} is ${shown(next)}`)
      t.equal(schedule.latestAt(next), next)
      t.equal(schedule.nextAfter(schedule.latestAt(next - 1) ?? 0), next, `${expression}: nothing lies between`)
      compared++
    }
    // What matches between two instants would have been one.
    const next = schedule.nextAfter(at('2027-03-01T00:00:00Z')) ?? 0
    for (let ms = Math.max(next - 3_600_000, at('2027-03-01T00:01:00Z')); ms < next; ms += 60_000) {
      if (task.match(new Date(ms))) t.fail(`${expression} misses ${shown(ms)}`)
    }
    await task.destroy()
  }
  t.ok(compared > 300, String(compared))
})

t.test('SEC-227 daylight saving, leap days and far years are nothing special in UTC', async (t) => {
  t.equal(shown(of('30 2 * * *').nextAfter(at('2027-03-28T00:00:00Z'))), '2027-03-28T02:30:00.000Z')
  t.equal(shown(of('30 2 * * *').nextAfter(at('2027-03-28T02:30:00Z'))), '2027-03-29T02:30:00.000Z')
  t.equal(shown(of('0 0 29 2 *').nextAfter(at('2096-03-01T00:00:00Z'))), '2104-02-29T00:00:00.000Z')
  t.equal(shown(of('0 0 29 2 1').nextAfter(at('2026-01-01T00:00:00Z'))), '2044-02-29T00:00:00.000Z')
  t.equal(shown(of('0 0 1 1 *').nextAfter(at('9998-06-01T00:00:00Z'))), '9999-01-01T00:00:00.000Z')
  t.equal(shown(of('0 0 1 1 *').nextAfter(at('9999-06-01T00:00:00Z'))), '+010000-01-01T00:00:00.000Z')
  t.equal(shown(of('14 3 19 1 *').latestAt(at('2038-01-19T03:14:08Z'))), '2038-01-19T03:14:00.000Z')
})

t.test('SEC-227 the last weekday of a month, and it in a list, come as node-cron has them', async (t) => {
  t.equal(shown(of('0 0 LW * *').nextAfter(at('2027-01-01T00:00:00Z'))), '2027-01-29T00:00:00.000Z')
  t.equal(shown(of('0 0 9,lw * *').nextAfter(at('2027-05-09T00:00:00Z'))), '2027-05-31T00:00:00.000Z')
  t.equal(shown(of('0 0 LW * *').latestAt(at('2027-03-01T00:00:00Z'))), '2027-02-26T00:00:00.000Z')
})

t.test('who asks for the next instant again and again is answered from the last search', async (t) => {
  const schedule = of('0 0 29 2 1')
  const fromMs = at('2026-06-01T00:00:00Z')
  const first = schedule.nextAfter(fromMs)
  const count = { searches: 0 }
  const { UTC } = Date
  Date.UTC = (...parts) => {
    count.searches++
    return UTC(...parts)
  }
  t.teardown(() => { Date.UTC = UTC })
  for (let n = 0; n < 100; n++) t.equal(schedule.nextAfter(fromMs + n), first)
  t.equal(count.searches, 0)
})

t.test('SEC-227 the shortest time between two instants is known beforehand', async (t) => {
  const least = (expression: string) => of(expression).leastIntervalMs / 1000
  t.equal(least('* * * * *'), 60)
  t.equal(least('* * * * * *'), 1)
  t.equal(least('59 * * * * *'), 60)
  t.equal(least('0,59 * * * *'), 60)
  t.equal(least('0 0 3 * * *'), 86_400)
  t.equal(least('59 23,0 * * *'), 3600)
})

t.test('SEC-227 no text takes long to be refused', async (t) => {
  const texts = ['0-9999999999 * * * *', '*/0 * * * *', `${'*,'.repeat(5000)}* * * * *`, '@reboot', '@every 1s', '0 0 30 2 *', '0 0 31 4,6,9,11 *', '', ' ', '\n', '*'.repeat(256), '1-2-3 * * * *', '٣ * * * *']
  for (const text of texts) {
    const from = performance.now()
    t.throws(() => parseCron(text), text.slice(0, 20))
    t.ok(performance.now() - from < 500)
  }
})
