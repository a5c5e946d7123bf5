import t, { type Test } from 'tap'
import { endIn, remainingMs, type Credentials } from '../../src/cli/credentials.ts'
import { CallFailure, type CallFacts } from '../../src/cli/failure.ts'
import { backOffMs, createKeeper } from '../../src/cli/keeper.ts'
import { manualParts } from './rig.ts'

const minute = 60_000
const hour = 60 * minute
const away: CallFacts = { status: 503, isUnsent: false, retryAfterSeconds: null }
const failed = (facts: Partial<CallFacts> = {}) => new CallFailure('unavailable', 'the broker is away', { ...away, ...facts })

/** A keeper on a broker that is there or away, whose answers take as long as the test wants. */
async function begin (t: Test, { lifeMs = hour, runs = true } = {}) {
  const { parts, said, time, advance, settle } = manualParts()
  const broker: { isAway: boolean, gate: Promise<void> | null } = { isAway: false, gate: null }
  const states: (string | null)[] = []
  let asked = 0
  const keeper = createKeeper({
    async fetch () {
      const n = ++asked
      const end = endIn(lifeMs, parts)
      await broker.gate
      if (broker.isAway) throw failed()
      return { accessKeyId: `ASIA${n}`, secretAccessKey: 's', sessionToken: 't', leaseId: 'x', lifeMs, end }
    },
    changed: (credentials) => states.push(credentials?.accessKeyId ?? null),
    parts
  })
  const stop = new AbortController()
  t.equal(await keeper.refresh(), null)
  const running = runs ? keeper.run(stop.signal) : Promise.resolve()
  t.teardown(async () => {
    stop.abort()
    await running
  })
  const leftMs = (credentials: Credentials | null) => credentials === null ? -1 : remainingMs(credentials.end, parts)
  return { keeper, broker, parts, time, said, states, advance, settle, leftMs, asked: () => asked }
}

t.test('SEC-327 100 requests at once, 6 minutes before the end, are one fetch, and all get what lives for more than 5 minutes', async (t) => {
  const { keeper, broker, time, leftMs, asked, settle } = await begin(t, { runs: false })
  time.steadyMs += 54 * minute
  time.wallMs += 54 * minute
  let open = () => {}
  broker.gate = new Promise((resolve) => { open = resolve })
  const first = await Promise.all(Array.from({ length: 50 }, () => keeper.give()))
  t.equal(asked(), 2, 'the first began a fetch, and nobody another one')
  open()
  await settle()
  const second = await Promise.all(Array.from({ length: 50 }, () => keeper.give()))
  t.equal(asked(), 2)
  t.ok(first.every((credentials) => leftMs(credentials) === 6 * minute), 'nobody waited for it')
  t.ok(second.every((credentials) => leftMs(credentials) === hour))
})

t.test('SEC-327 with less than 5 minutes left requests wait for the fetch, all for the same; with less than 60 s and no answer they get nothing', async (t) => {
  const { keeper, broker, advance, leftMs, asked, time } = await begin(t)
  broker.isAway = true
  await advance(56 * minute)
  t.equal((await keeper.give())?.accessKeyId, 'ASIA1', 'what lives is given while the broker is away')
  await advance(3 * minute)
  t.equal(leftMs(await keeper.give()), 60_000)
  await advance(1)
  t.strictSame(await Promise.all(Array.from({ length: 100 }, () => keeper.give())), Array.from({ length: 100 }, () => null))
  const before = asked()
  broker.isAway = false
  time.steadyMs += 2 * minute
  time.wallMs += 2 * minute
  const given = await Promise.all(Array.from({ length: 100 }, () => keeper.give()))
  t.equal(asked() - before, 1)
  t.ok(given.every((credentials) => leftMs(credentials) > 59 * minute))
})

t.test('a request does not wait longer than clients do', async (t) => {
  const { keeper, broker, time } = await begin(t)
  broker.gate = new Promise(() => {})
  time.steadyMs += 58 * minute
  time.wallMs += 58 * minute
  t.equal((await keeper.give())?.accessKeyId, 'ASIA1', 'it gets what lives after less than a second')
})

t.test('credentials are fetched ahead of every client\'s window, at half of a short life, and once for each', async (t) => {
  const long = await begin(t)
  await long.advance(43 * minute)
  t.equal(long.asked(), 1)
  await long.advance(2 * minute)
  t.equal(long.asked(), 2)
  const short = await begin(t, { lifeMs: 15 * minute })
  await short.advance(7 * minute)
  t.equal(short.asked(), 1)
  await short.advance(minute)
  t.equal(short.asked(), 2)
  await short.advance(10 * hour)
  t.ok(short.asked() >= 79 && short.asked() <= 82, String(short.asked()))
  t.ok(short.states.every((state) => state !== null), 'there was always something')
})

t.test('SEC-329 while the broker is away it is asked again, ever more rarely; at the end that is told, and then nothing is given', async (t) => {
  const { keeper, broker, advance, asked, states, said } = await begin(t)
  broker.isAway = true
  await advance(45 * minute)
  const before = asked()
  await advance(10 * minute)
  t.ok(asked() - before >= 9 && asked() - before <= 25, `asked ${asked() - before} times in 10 min`)
  await advance(6 * minute)
  t.strictSame(states, ['ASIA1', null])
  t.equal(await keeper.give(), null)
  t.strictSame(said, [
    'latchkey: the broker is away; trying again\n',
    'latchkey: the credentials have ended: none are given until the broker gives others\n'
  ])
  broker.isAway = false
  await advance(2 * minute)
  t.match(await keeper.give(), { accessKeyId: `ASIA${asked()}` })
  t.equal(said.at(-1), 'latchkey: the broker gave credentials again\n')
})

t.test('SEC-345 neither a clock that is set nor a machine that slept makes what has ended live', async (t) => {
  const back = await begin(t)
  back.broker.isAway = true
  back.time.wallMs -= 10 * minute
  back.time.steadyMs += 59.5 * minute
  back.time.wallMs += 59.5 * minute
  t.equal(await back.keeper.give(), null, 'set back')
  const slept = await begin(t)
  slept.broker.isAway = true
  slept.time.wallMs += 61 * minute
  t.equal(await slept.keeper.give(), null, 'a sleep that only the wall clock saw')
  const forward = await begin(t)
  forward.time.wallMs += 10 * minute
  t.match(await forward.keeper.give(), { accessKeyId: 'ASIA1' }, 'set forward: they are taken to live less')
})

t.test('what was shut forgets, and takes nothing that comes later', async (t) => {
  const { keeper, broker, time, states, settle } = await begin(t)
  let open = () => {}
  broker.gate = new Promise((resolve) => { open = resolve })
  time.steadyMs += 56 * minute
  time.wallMs += 56 * minute
  const waiting = keeper.give()
  await settle()
  keeper.shut()
  open()
  t.equal(await waiting, null)
  await settle()
  t.equal(await keeper.give(), null)
  t.strictSame(states, ['ASIA1', null])
})

t.test('pauses after failures grow, differ, and are as long as the broker asks', async (t) => {
  const least = (error: CallFailure, failures: number) => backOffMs(error, failures, () => 0)
  const most = (error: CallFailure, failures: number) => backOffMs(error, failures, (limit) => limit - 1)
  const unsent = failed({ status: null, isUnsent: true })
  t.strictSame([1, 2, 3, 10].map((n) => [least(unsent, n), most(unsent, n)]), [[500, 1000], [1000, 2000], [2000, 4000], [30_000, 60_000]])
  t.equal(least(failed({ status: null }), 1), 7500, 'what may have been made is asked for again only later')
  t.equal(least(failed({ status: 429, retryAfterSeconds: 90 }), 1), 90_000)
})
