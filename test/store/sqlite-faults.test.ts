import { spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, openSync, readFileSync, statSync, truncateSync, writeSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync, StatementSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { StoreUnavailable, StoreUnknown, type Store } from '../../src/core/store.ts'
import { openSqliteStore, type SqliteStore } from '../../src/store/sqlite.ts'

const writer = path.join(import.meta.dirname, 'sqlite-writer.ts')

function place (t: Test): string {
  return path.join(t.testdir(), 'store', 'latchkey.db')
}

function open (t: Test, location: string): SqliteStore {
  const store = openSqliteStore({ location })
  t.teardown(() => store.close())
  return store
}

async function namesOf (store: Store, prefix: string): Promise<Set<string>> {
  const found = new Set<string>()
  for (let after: string | undefined; ;) {
    const page = await store.list(prefix, { limit: 1000, ...(after === undefined ? {} : { after }) })
    for (const { name } of page) found.add(name)
    if (page.length < 1000) return found
    after = page.at(-1)?.name
  }
}

/** Runs the writer until it acknowledged `count` pairs, kills it, answers all it acknowledged. */
async function writeAndKill (location: string, count: number): Promise<number[]> {
  const child = spawn(process.execPath, [writer, location], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.setEncoding('utf8')
  for await (const chunk of child.stdout) {
    text += chunk
    if (text.split('\n').length > count) child.kill('SIGKILL')
  }
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return text.split('\n').slice(0, -1).map(Number)
}

t.test('a kill -9 under load loses no acknowledged commit and tears none', async (t) => {
  const location = place(t)
  for (let round = 0; round < 3; round++) {
    const target = path.join(path.dirname(location), String(round), 'latchkey.db')
    mkdirSync(path.dirname(location), { recursive: true, mode: 0o700 })
    const acknowledged = await writeAndKill(target, 200 + randomInt(400))
    const store = open(t, target)
    t.strictSame(await store.check(), [])
    const left = await namesOf(store, 'left/')
    const right = await namesOf(store, 'right/')
    t.ok(acknowledged.length >= 200, `${acknowledged.length} acknowledged`)
    t.strictSame(acknowledged.filter((n) => !left.has(String(n))), [], 'nothing lost')
    t.strictSame(left, right, 'each pair whole or absent')
    const [entry] = await store.get([`00:left/${acknowledged.at(-1)}`])
    t.match(Buffer.from(entry?.value ?? []).toString(), new RegExp(`^${acknowledged.at(-1)}\\.`))
  }
})

t.test('a log cut anywhere gives a whole earlier state: no commit is half there (FLT-042)', async (t) => {
  const location = place(t)
  const store = open(t, location)
  for (let n = 0; n < 60; n++) {
    await store.commit([
      { op: 'put', key: `00:left/${n}`, value: Buffer.alloc(300, n), names: [`left/${n}`] },
      { op: 'put', key: `00:right/${n}`, value: Buffer.alloc(300, n), names: [`right/${n}`] }
    ])
  }
  const size = statSync(`${location}-wal`).size
  for (let round = 0; round < 12; round++) {
    const folder = path.join(path.dirname(location), `cut-${round}`)
    mkdirSync(folder, { mode: 0o700 })
    const copy = path.join(folder, 'latchkey.db')
    copyFileSync(location, copy)
    copyFileSync(`${location}-wal`, `${copy}-wal`)
    const kept = round === 0 ? size : randomInt(Math.floor(size / 512)) * 512
    truncateSync(`${copy}-wal`, kept)
    const cut = open(t, copy)
    t.strictSame(await cut.check(), [])
    const left = await namesOf(cut, 'left/')
    t.strictSame(left, await namesOf(cut, 'right/'), `${kept} of ${size} bytes: ${left.size} commits`)
    if (round === 0) t.equal(left.size, 60, 'all of it, when nothing was cut')
  }
})

t.test('commits of one turn share a transaction, each by itself, answered after it is on disk', async (t) => {
  const store = open(t, place(t))
  let commits = 0
  const { run } = StatementSync.prototype
  t.intercept(StatementSync.prototype, 'run', {
    value (this: StatementSync, ...values: Parameters<typeof run>) {
      if (this.sourceSQL === 'commit') commits += 1
      return run.apply(this, values)
    }
  })
  await store.commit([{ op: 'put', key: '00:first', value: Buffer.alloc(1) }])
  commits = 0
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, (_, n) => store.commit([
    { op: 'put', key: `00:${n % 50}`, value: Buffer.alloc(1), expect: 'absent' }
  ])))
  t.equal(commits, 1)
  t.equal(outcomes.filter(({ status }) => status === 'fulfilled').length, 50, 'the others conflict')
  commits = 0
  const many = Array.from({ length: 250 }, (_, n) => ({
    op: 'put' as const, key: `01:${n}`, value: Buffer.alloc(1)
  }))
  await Promise.all(Array.from({ length: 20 }, () => store.commit(many)))
  t.equal(commits, 3, '5,000 changes, at most 2,000 in a transaction')
})

/** Makes every run of a statement fail, as the disk would. */
function breakStatement (t: Test, isBroken: (sql: string) => boolean, errcode: number) {
  const state = { isOn: true }
  const { run } = StatementSync.prototype
  t.intercept(StatementSync.prototype, 'run', {
    value (this: StatementSync, ...values: Parameters<typeof run>) {
      if (state.isOn && isBroken(this.sourceSQL)) throw Object.assign(new Error('disk'), { errcode })
      return run.apply(this, values)
    }
  })
  return state
}

t.test('after a failed commit nothing is written to the file again; reads go on (FLT-049)', async (t) => {
  const location = place(t)
  const store = open(t, location)
  await store.commit([{ op: 'put', key: '00:before', value: Buffer.from('kept') }])
  const broken = breakStatement(t, (sql) => sql === 'commit', 10)
  const put = (key: string) => store.commit([{ op: 'put', key, value: Buffer.alloc(1) }])
  await t.rejects(put('00:lost'), StoreUnknown)
  broken.isOn = false
  await t.rejects(put('00:later'), { name: 'StoreUnavailable', message: /restart/ })
  const [before] = await store.get(['00:before'])
  t.equal(Buffer.from(before?.value ?? []).toString(), 'kept')
})

t.test('a full disk refuses the write, nothing of it stays, and writes go on afterwards (FLT-044)', async (t) => {
  const store = open(t, place(t))
  await store.commit([{ op: 'put', key: '00:a', value: Buffer.from('a') }])
  const broken = breakStatement(t, (sql) => sql.startsWith('insert into name'), 13)
  const change = store.commit([
    { op: 'delete', key: '00:a' }, { op: 'put', key: '00:b', value: Buffer.alloc(1), names: ['n/b'] }
  ])
  await t.rejects(change, { name: 'StoreUnavailable' })
  t.strictSame((await store.get(['00:a', '00:b'])).map((entry) => entry?.key ?? null), ['00:a', null])
  broken.isOn = false
  await store.commit([{ op: 'put', key: '00:b', value: Buffer.alloc(1), names: ['n/b'] }])
  t.equal((await namesOf(store, 'n/')).size, 1)
})

t.test('a lock that another process holds: writes wait, then refuse; reads answer (FLT-043)', async (t) => {
  const location = place(t)
  const store = open(t, location)
  await store.commit([{ op: 'put', key: '00:a', value: Buffer.alloc(1) }])
  const other = new DatabaseSync(location)
  other.exec('begin immediate')
  const late = store.commit([{ op: 'put', key: '00:b', value: Buffer.alloc(1) }])
  t.ok((await store.get(['00:a']))[0])
  await t.rejects(late, { name: 'StoreUnavailable' })
  const patient = store.commit([{ op: 'put', key: '00:c', value: Buffer.alloc(1) }])
  other.exec('rollback')
  await patient
  t.strictSame((await store.get(['00:b', '00:c'])).map((entry) => entry === null), [true, false])
  other.close()
})

t.test('a damaged page is found by the check and never read as another value (FLT-048)', async (t) => {
  const location = place(t)
  const first = openSqliteStore({ location })
  for (let n = 0; n < 200; n++) {
    await first.commit([{ op: 'put', key: `00:r/${n}`, value: Buffer.alloc(400, n) }])
  }
  await first.close()
  const pages = readFileSync(location).length / 4096
  const descriptor = openSync(location, 'r+')
  writeSync(descriptor, Buffer.alloc(4096, 0x5a), 0, 4096, 4096 * (pages - 3))
  const store = open(t, location)
  t.not((await store.check()).length, 0)
  for (let n = 0; n < 200; n++) {
    try {
      const [entry] = await store.get([`00:r/${n}`])
      if (entry) t.ok(Buffer.alloc(400, n).equals(entry.value))
    } catch (error) {
      t.ok(error instanceof StoreUnavailable)
    }
  }
})
