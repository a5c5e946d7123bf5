import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { loadConfig } from '../../config/config.ts'
import { createLogger } from '../../config/logger.ts'
import { deriveName } from '../../src/mounts/rotation.ts'
import { openStore } from '../../src/open-store.ts'
import { createNameMac } from '../../src/rotating-names.ts'
import {
  auditFaults, crashingBroker, createFolder, environmentOf, startBroker, textOf, type BrokerOptions, type TestBroker
} from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

t.setTimeout(100_000)

const shiftMs = 2000
const shiftedClock = path.join(import.meta.dirname, '../helpers/shifted-clock.ts')

/** A name as a broker answered it. */
interface Answered { readonly mount: string, readonly accessor: string, readonly slot: number, readonly name: string }

async function createShared (t: Test) {
  const redis = await startRedis(t)
  const masterKeyFile = path.join(createFolder(t), 'master.key')
  writeFileSync(masterKeyFile, randomBytes(32), { mode: 0o600 })
  return { store: redis.url, masterKeyFile }
}

/** The name of a slot, by the keys of the store that brokers share and by no broker. */
async function openNames (t: Test, shared: BrokerOptions) {
  const environment = environmentOf(shared, createFolder(t))
  const opened = await openStore(loadConfig(environment, ['--development']), environment, createLogger('fatal'))
  t.teardown(() => opened.store.close())
  const mac = createNameMac(opened.keyring)
  return ({ mount, accessor, slot }: Answered) => `${mount}-${deriveName(mac, 1, accessor, slot)}`
}

async function resolve (broker: TestBroker, mount: string): Promise<Answered> {
  const { body: { data } } = await broker.must('GET', `sys/latchkey/resolve/${mount}`)
  const [accessor = '', slot] = String(data?.['revision']).split('.')
  return { mount, accessor, slot: Number(slot), name: String(data?.['name']) }
}

const timeOf = async (broker: TestBroker) => Number((await broker.must('GET', 'sys/health', { token: null })).body['server_time_utc'])

t.test('SEC-216 FLT-011 I7 two brokers on one Redis, two seconds apart, of which one is killed while it rotates', async (t) => {
  const shared = await createShared(t)
  const ahead = await startBroker(t, {
    ...shared, settings: { NODE_OPTIONS: `--import=${shiftedClock}`, CLOCK_SHIFT_MS: String(shiftMs) }
  })
  ahead.process.kill('SIGUSR2')
  const answered: Answered[] = []
  const wrong: string[] = []
  const nameOf = await openNames(t, shared)

  async function enable (mount: string, settings: Record<string, string>): Promise<void> {
    await ahead.must('POST', `sys/mounts/${mount}`, { body: { type: 'kv' } })
    await ahead.must('POST', `${mount}/who`, { body: { value: mount } })
    await ahead.must('POST', `sys/latchkey/rotation/${mount}`, { body: { stable_path: 'never', grace_period: '10m', ...settings } })
  }

  /** Asks one broker for a name and another one for what is there. */
  async function look (asked: TestBroker, used: TestBroker, mount: string): Promise<void> {
    const found = await resolve(asked, mount)
    answered.push(found)
    const { status, text, body } = await used.ask('GET', `${found.name}/who`)
    if (status !== 200 || body.data?.['value'] !== mount) wrong.push(`${mount} ${found.slot}: ${status} ${text}`)
  }

  /** Looks until a broker is killed, which may keep the last answer to itself. */
  async function lookUntilEnd (dying: TestBroker, asked: TestBroker, used: TestBroker, mount: string): Promise<void> {
    let isOver = false
    const over = dying.ended().then(() => { isOver = true })
    while (!isOver) {
      await look(asked, used, mount).catch(async (error: unknown) => {
        if (asked !== dying && used !== dying) throw error
        await over
      })
    }
  }

  t.test('a firing that both come to at another time moves the slot by one', async (t) => {
    const behind = await startBroker(t, shared)
    await until('one is ahead of the other', async () => {
      const [late, early] = [await timeOf(behind), await timeOf(ahead)]
      return early - late >= 1 && early - late <= 3
    })
    const second = (await timeOf(ahead) + 6) % 60
    await enable('timed', { schedule: `${second} * * * * *` })
    await until('both know', async () => (await behind.ask('GET', 'sys/latchkey/rotation/timed')).status === 200)
    const brokers = [ahead, behind]
    const firstAtMs: number[] = []
    await until('both came to it', async () => {
      for (const [n, asked] of brokers.entries()) {
        await look(asked, brokers[1 - n] ?? asked, 'timed')
        if (answered.at(-1)?.slot === 2) firstAtMs[n] ??= performance.now()
      }
      return firstAtMs.length === 2 && performance.now() > Math.max(...firstAtMs) + 2 * shiftMs
    }, 40_000)
    t.strictSame([...new Set(answered.map(({ slot }) => slot))], [1, 2])
    const moved = brokers.flatMap((broker) => broker.audit().filter((entry) =>
      entry.type === 'response' && entry.request.path === 'sys/latchkey/rotation/timed/rotate' && entry.request.remote_address === '' &&
      JSON.stringify(entry).includes('"rotated":true')))
    t.equal(moved.length, 1, 'one entry of one broker')
    await behind.stop()
  })

  await enable('left', {})
  await enable('right', {})
  const folder = createFolder(t)
  for (const [point, moves] of [['before-rotation', 0], ['after-rotation', 1]] as const) {
    t.test(`${point}: every name is the right one for its slot, and leads to its mount`, async (t) => {
      const before = (await resolve(ahead, 'left')).slot
      const behind = await startBroker(t, { ...shared, folder, program: crashingBroker, settings: { CRASH_AT: `${point}:5` } })
      const looking = ['left', 'right'].flatMap((mount) => ([[ahead, behind], [behind, ahead], [ahead, ahead]] as const)
        .map(([asked, used]) => lookUntilEnd(behind, asked, used, mount)))
      let done = 0
      const rotating = (async () => {
        for (;;) {
          const answer = await behind.ask('POST', 'sys/latchkey/rotation/left/rotate').catch(() => null)
          if (answer === null) return
          t.equal(answer.status, 200)
          done++
          await until('the other heard of it', async () => (await resolve(ahead, 'left')).slot >= before + done)
        }
      })()
      t.equal(await behind.ended(), 'SIGKILL')
      await Promise.all([...looking, rotating])
      t.equal(done, 4)
      const rotate = (slot: number) => ahead.ask('POST', 'sys/latchkey/rotation/left/rotate', { body: { expected_slot: slot } })
      t.equal((await rotate(before + done + 1 - moves)).status, 400, 'what was begun was done, or was not')
      t.equal((await rotate(before + done + moves)).status, 200)
      await ahead.must('POST', 'sys/latchkey/rotation/right/rotate')

      const again = await startBroker(t, { ...shared, folder })
      for (const mount of ['left', 'right']) for (const broker of [ahead, again]) await look(broker, again, mount)
      await again.stop()
      t.strictSame(wrong, [])
    })
  }

  t.test('all that was answered', async (t) => {
    t.ok(answered.length > 50, String(answered.length))
    t.strictSame(answered.filter((each) => each.name !== nameOf(each)), [])
    t.ok(new Set(answered.map(({ slot, mount }) => `${mount} ${slot}`)).size > 8)
    const names = new Map(answered.map(({ name, mount }) => [name, mount]))
    for (const [name, mount] of names) {
      t.equal(textOf(await ahead.must('GET', `${name}/who`), 'value'), mount, 'in grace')
    }
    t.strictSame(auditFaults(ahead, [...names.keys()]), [])
  })
})
