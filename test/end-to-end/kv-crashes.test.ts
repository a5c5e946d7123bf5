import { randomBytes, randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import { countByStatus, createFolder, startBroker, type BrokerOptions, type TestBroker } from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

t.setTimeout(100_000)

const keys = ['a', 'b', 'folder/c', 'folder/d']

/** Writers that go on until they are told to stop, each on a key that another one writes too. */
function createWriters (broker: TestBroker) {
  const newest = new Map<string, number>()
  let answered = 0
  let stopped = false
  let isUp = Promise.resolve()

  async function write (key: string): Promise<void> {
    while (!stopped) {
      const n = randomInt(1e9)
      const data = { n, same: n, fill: 'x'.repeat(randomInt(2) === 0 ? 10 : 80_000) }
      try {
        const { status, body } = await broker.ask('POST', `kv/data/${key}`, { body: { data } })
        if (status !== 200) throw new Error(`${status}`)
        newest.set(key, Math.max(newest.get(key) ?? 0, Number(body.data?.['version'])))
        answered++
        if (randomInt(5) === 0) await broker.ask('POST', `kv/destroy/${key}`, { body: { versions: [Number(body.data?.['version']) - 1] } })
      } catch {
        await isUp
      }
    }
  }

  return {
    newest,
    answered: () => answered,
    run: () => Promise.all([...keys, ...keys].map(write)),
    stop () { stopped = true },
    wait (ready: Promise<void>) { isUp = ready }
  }
}

/** Every version that the metadata tell of has its data, unless it is said to be destroyed; and nothing that was answered is lost. */
async function judge (t: Test, broker: TestBroker, newest: ReadonlyMap<string, number>): Promise<void> {
  for (const key of keys) {
    const { data } = (await broker.must('GET', `kv/metadata/${key}`)).body
    t.ok(Number(data?.['current_version']) >= (newest.get(key) ?? 0), 'what was answered is there')
    const versions = Object.entries(data?.['versions'] as Record<string, { destroyed: boolean }>)
    t.ok(versions.length > 0 && versions.length <= 10)
    for (const [version, { destroyed }] of versions) {
      const answer = await broker.ask('GET', `kv/data/${key}?version=${version}`)
      const value = answer.body.data?.['data'] as { n: number, same: number } | null
      if (answer.status !== (destroyed ? 404 : 200) || value?.n !== value?.same) t.fail(`version ${version} is ${answer.status}`)
    }
  }
}

async function killDuringWrites (t: Test, options: BrokerOptions): Promise<void> {
  const broker = await startBroker(t, options)
  await broker.must('POST', 'sys/mounts/kv', { body: { type: 'kv-v2' } })
  const writers = createWriters(broker)
  const work = writers.run()
  for (let kill = 0; kill < 4; kill++) {
    const goal = writers.answered() + randomInt(20, 120)
    await until('there are writes', () => writers.answered() >= goal, 30_000)
    let up = () => {}
    writers.wait(new Promise((resolve) => { up = resolve }))
    await broker.kill9()
    await broker.restart()
    await judge(t, broker, writers.newest)
    up()
  }
  writers.stop()
  await work
  await judge(t, broker, writers.newest)
}

function masterKey (t: Test): string {
  const file = path.join(createFolder(t), 'master.key')
  writeFileSync(file, randomBytes(32), { mode: 0o600 })
  return file
}

t.test('FLT-010 kill -9 during writes leaves no version without data and no data without version, on SQLite', (t) =>
  killDuringWrites(t, {}))

t.test('FLT-010 kill -9 during writes leaves no version without data and no data without version, on Redis', async (t) => {
  const redis = await startRedis(t)
  await killDuringWrites(t, { store: redis.url, masterKeyFile: masterKey(t) })
})

t.test('of 100 writes that expect version 3, over two brokers, exactly one is done (SEC-190)', async (t) => {
  const redis = await startRedis(t)
  const masterKeyFile = masterKey(t)
  const one = await startBroker(t, { store: redis.url, masterKeyFile })
  const two = await startBroker(t, { store: redis.url, masterKeyFile })
  await one.must('POST', 'sys/mounts/kv', { body: { type: 'kv-v2' } })
  for (const v of [1, 2, 3]) await one.must('POST', 'kv/data/a', { body: { data: { v } } })
  await until('both know the mount', async () => (await two.ask('GET', 'kv/data/a')).status === 200)
  const answers = await Promise.all(Array.from({ length: 100 }, (_, n) =>
    (n % 2 === 0 ? one : two).ask('POST', 'kv/data/a', { body: { data: { n }, options: { cas: 3 } } })))
  t.strictSame(countByStatus(answers), { 200: 1, 400: 99 })
  t.match((await two.must('GET', 'kv/metadata/a')).body.data, { current_version: 4 })
})
