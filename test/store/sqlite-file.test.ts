import { chmodSync, existsSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { openSqliteFile } from '../../src/store/sqlite-file.ts'
import { prepare, type Bound } from '../../src/store/sqlite-statement.ts'

function place (t: Test): string {
  return path.join(t.testdir(), 'store', 'latchkey.db')
}

t.test('the file and all beside it are 0600 in a 0700 folder, whatever the umask (SEC-361)', async (t) => {
  const location = place(t)
  const former = process.umask(0)
  t.teardown(() => process.umask(former))
  const file = openSqliteFile(location, 10)
  file.db.exec('begin; insert into name values (\'\', \'a\', \'b\'); commit')
  t.equal(statSync(path.dirname(location)).mode & 0o777, 0o700)
  const files = readdirSync(path.dirname(location))
  t.ok(files.includes('latchkey.db-wal'))
  for (const name of files) {
    t.equal(statSync(path.join(path.dirname(location), name)).mode & 0o777, 0o600, name)
  }
  file.close()
})

t.test('a folder or file that others may use is refused, and so is a link (SEC-361)', async (t) => {
  const location = place(t)
  const folder = path.dirname(location)
  mkdirSync(folder)
  for (const mode of [0o755, 0o750, 0o701]) {
    chmodSync(folder, mode)
    t.throws(() => openSqliteFile(location, 10), { message: /chmod 700/ }, mode.toString(8))
    t.strictSame(readdirSync(folder), [], 'nothing was made')
  }
  chmodSync(folder, 0o700)
  writeFileSync(location, '')
  chmodSync(location, 0o640)
  t.throws(() => openSqliteFile(location, 10), { message: /chmod 600/ })
  const link = path.join(folder, 'link.db')
  chmodSync(location, 0o600)
  symlinkSync(location, link)
  t.throws(() => openSqliteFile(link, 10), { message: /symbolic link/ })
})

t.test('ATTACH and extensions are refused, also to text that reached a statement (SEC-361)', async (t) => {
  const location = place(t)
  const { db, close } = openSqliteFile(location, 10)
  t.teardown(close)
  const other = path.join(path.dirname(location), 'other.db')
  t.throws(() => db.exec(`attach '${other}' as other`), { message: /not authorized/ })
  t.throws(() => db.prepare('attach ? as other'), { message: /not authorized/ })
  t.throws(() => db.exec('detach main'), { message: /not authorized/ })
  t.notOk(existsSync(other))
  t.throws(() => db.exec('select load_extension(\'x\')'), { message: /not authorized|no such function/ })
  t.throws(() => db.enableLoadExtension(true))
  db.exec('pragma writable_schema = on')
  t.throws(() => db.exec('update sqlite_schema set sql = \'\''), Error, 'defensive is on')
})

t.test('the settings read back as they were set (SEC-362)', async (t) => {
  const { db, close } = openSqliteFile(place(t), 10)
  t.teardown(close)
  const read = (name: string) => Object.values(db.prepare(`pragma ${name}`).get() ?? {})[0]
  t.equal(read('journal_mode'), 'wal')
  t.equal(read('synchronous'), 2)
  t.equal(read('secure_delete'), 1)
  t.equal(read('trusted_schema'), 0)
  t.equal(read('busy_timeout'), 10)
})

t.test('another application\'s file, and what is no database, are refused (FLT-048)', async (t) => {
  const location = place(t)
  mkdirSync(path.dirname(location), { mode: 0o700 })
  const other = new DatabaseSync(location)
  other.exec('create table theirs (a)')
  other.close()
  chmodSync(location, 0o600)
  t.throws(() => openSqliteFile(location, 10), { message: /belongs to another application/ })
  writeFileSync(location, Buffer.alloc(8192, 7))
  t.throws(() => openSqliteFile(location, 10), { message: /is not a store of this broker/ })
})

t.test('a store of another schema version is refused', async (t) => {
  const location = place(t)
  const file = openSqliteFile(location, 10)
  file.db.exec('pragma user_version = 99')
  file.close()
  t.throws(() => openSqliteFile(location, 10), { message: /another version.*schema 99/ })
})

t.test('a second broker on the file is refused in plain words until the first let go', async (t) => {
  const location = place(t)
  const first = openSqliteFile(location, 10)
  t.throws(() => openSqliteFile(location, 10), { message: /^another broker has .* open/ })
  first.close()
  openSqliteFile(location, 10).close()
})

t.test('a statement binds only what it was made for (SEC-378)', async (t) => {
  const { db, close } = openSqliteFile(place(t), 10)
  t.teardown(close)
  const statement = prepare(db, 'select ? as a, ? as b')
  const call = (values: unknown[]) => () => statement.get(...values as Bound[])
  t.strictSame(statement.get('x', 2 ** 40), ['x', 2 ** 40])
  const bad: unknown[][] = [
    [], ['a'], ['a', 'b', 'c'], [{}, 'b'], ['a', undefined], ['a', null], ['a', NaN], ['a', true], ['a', 1.5],
    ['a', Infinity], ['a', 2 ** 53], ['a', ['b']], ['a', new Date()], [{ a: 1, b: 2 }], ['a', 10n]
  ]
  for (const values of bad) t.throws(call(values), { name: 'TypeError' }, String(values.map(String)))
})

t.test('the tables refuse what a statement of another kind would write (SEC-378)', async (t) => {
  const { db, close } = openSqliteFile(place(t), 10)
  t.teardown(close)
  const row = (values: string) => () => db.exec(`insert into record values (${values})`)
  const stamp = '\'0123456789abcdef\''
  t.throws(row(`'k', ${stamp}, 0, 0, null, '', x''`), Error, 'NULL for a time')
  t.throws(row(`'k', ${stamp}, 0, 0, 'soon', '', x''`), Error, 'text for a time')
  t.throws(row(`'k', ${stamp}, -1, 0, -1, '', x''`), Error, 'uses below none')
  t.throws(row(`'k', ${stamp}, 0, 2147483648, -1, '', x''`), Error, 'a limit beyond 31 bits')
  t.throws(row(`'k', 'short', 0, 0, -1, '', x''`), Error, 'a stamp of another form')
  t.throws(row(`null, ${stamp}, 0, 0, -1, '', x''`), Error, 'no key')
  t.doesNotThrow(row(`'k', ${stamp}, 0, 0, -1, '', x''`))
})
