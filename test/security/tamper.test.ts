import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import t, { type Test } from 'tap'
import { authOf, createRole, rootToken, startBroker, wrapOf, type TestBroker } from '../helpers/broker.ts'

/** What somebody who can write the store's file does to it, while the broker is down. */
async function whileDown (broker: TestBroker, change: (db: DatabaseSync) => void): Promise<void> {
  await broker.stop()
  const db = new DatabaseSync(path.join(broker.folder, 'latchkey.db'))
  try {
    change(db)
  } finally {
    db.close()
  }
  await broker.restart()
}

function valueOf (db: DatabaseSync, key: string): Uint8Array {
  const row = db.prepare('select value from record where key = ?').get(key)
  const value = row?.['value']
  if (!(value instanceof Uint8Array)) throw new Error(`no record ${key}`)
  return value
}

function replace (db: DatabaseSync, key: string, value: Uint8Array): void {
  const { changes } = db.prepare('update record set value = ? where key = ?').run(value, key)
  if (Number(changes) !== 1) throw new Error(`no record ${key}`)
}

const keyOfToken = (accessor: string) => `${accessor.slice(0, 2)}:token/${accessor}`
const keyOfWrap = (accessor: string) => `${accessor.slice(0, 2)}:wrap/${accessor}`

/** Neither an answer nor an explanation: a fixed text. */
function isFailClosed (t: Test, answer: { status: number, text: string }, what: string): void {
  t.ok(answer.status >= 400, `${what} is ${answer.status}`)
  t.notMatch(answer.text, /latchkey\.db|gcm|cipher|record|\.ts/i, what)
}

t.test('write access to the store gives no rights and no secrets', async (t) => {
  const broker = await startBroker(t)
  const make = async (policies: string[]) => authOf(await broker.must('POST', 'auth/token/create', { body: { policies, ttl: '1h' } }))

  t.test('SEC-139 SEC-202 wrapped answers that change places open for nobody', async (t) => {
    const wrap = async (secret: string) => wrapOf(await broker.must('POST', 'sys/wrapping/wrap', { body: { secret }, headers: { 'x-vault-wrap-ttl': '600' } }))
    const [mine, other] = [await wrap('for me'), await wrap('for another')]
    const kept = await wrap('kept')
    await whileDown(broker, (db) => {
      const [one, two] = [valueOf(db, keyOfWrap(mine.accessor)), valueOf(db, keyOfWrap(other.accessor))]
      replace(db, keyOfWrap(mine.accessor), two)
      replace(db, keyOfWrap(other.accessor), one)
    })
    for (const { token } of [mine, other]) {
      const answer = await broker.ask('POST', 'sys/wrapping/unwrap', { token })
      isFailClosed(t, answer, 'unwrap')
      t.notMatch(answer.text, /for me|for another/)
    }
    t.equal((await broker.ask('POST', 'sys/wrapping/unwrap', { token: kept.token })).body.data?.['secret'], 'kept')
  })

  t.test('CRY-015 a token does not become another one by its record', async (t) => {
    const admin = await make(['root'])
    const poor = await make(['default'])
    await whileDown(broker, (db) => replace(db, keyOfToken(poor.accessor), valueOf(db, keyOfToken(admin.accessor))))
    isFailClosed(t, await broker.ask('GET', 'sys/mounts', { token: poor.client_token }), 'the poor one')
    t.equal((await broker.ask('GET', 'sys/mounts', { token: admin.client_token })).status, 200)
  })

  t.test('a revoked token\'s record at the place of a new one, or put back under another id, lets nobody in', async (t) => {
    const dead = await make(['root'])
    const live = await make(['default'])
    let record: Uint8Array | null = null
    await whileDown(broker, (db) => { record = valueOf(db, keyOfToken(dead.accessor)) })
    await broker.must('POST', 'auth/token/revoke', { body: { token: dead.client_token } })
    await whileDown(broker, (db) => { if (record !== null) replace(db, keyOfToken(live.accessor), record) })
    isFailClosed(t, await broker.ask('GET', 'sys/mounts', { token: live.client_token }), 'the live one')
    t.equal((await broker.ask('GET', 'sys/mounts', { token: dead.client_token })).status, 403)
  })

  t.test('SEC-204 a policy that is changed by one byte, or taken from another name, grants nothing', async (t) => {
    const write = (name: string, policy: string) => broker.must('PUT', `sys/policies/acl/${name}`, { body: { policy } })
    await write('narrow', 'path "cubbyhole/a" { capabilities = ["read"] }')
    await write('wide', 'path "*" { capabilities = ["read", "sudo"] }')
    const { client_token: token } = authOf(await broker.must('POST', 'auth/token/create', { body: { policies: ['narrow'], no_default_policy: true, ttl: '1h' } }))
    let former: Uint8Array | null = null
    await broker.stop()
    const db = new DatabaseSync(path.join(broker.folder, 'latchkey.db'))
    former = valueOf(db, 'sys:policy/narrow')
    replace(db, 'sys:policy/narrow', valueOf(db, 'sys:policy/wide'))
    db.close()
    const started = await broker.restart().then(() => true, () => false)
    if (started) isFailClosed(t, await broker.ask('GET', 'sys/mounts', { token }), 'the narrow one')
    else t.pass('it does not start on a policy that is not as it was written')
    if (started) await broker.stop()
    const again = new DatabaseSync(path.join(broker.folder, 'latchkey.db'))
    replace(again, 'sys:policy/narrow', former)
    again.close()
    await broker.restart()
    t.equal((await broker.ask('GET', 'cubbyhole/a', { token })).status, 404)
    t.equal((await broker.ask('GET', 'sys/mounts', { token })).status, 403)
  })

  t.test('a secret_id does not log in to another role by its record', async (t) => {
    const one = await createRole(broker, 'one', { token_policies: 'default' })
    const two = await createRole(broker, 'two', { token_policies: 'default' })
    const [first, second] = [await one.secretId(), await two.secretId()]
    await whileDown(broker, (db) => {
      const keyOf = (accessor: string) => String(db.prepare('select key from record where key like ?').get(`%:secret/%${accessor}`)?.['key'])
      const [a, b] = [keyOf(first.accessor), keyOf(second.accessor)]
      const [valueA, valueB] = [valueOf(db, a), valueOf(db, b)]
      replace(db, a, valueB)
      replace(db, b, valueA)
    })
    const answers = [await two.login(first.secretId), await one.login(second.secretId), await one.login(first.secretId), await two.login(second.secretId)]
    for (const answer of answers) isFailClosed(t, answer, 'the login')
  })

  t.test('what was not touched is served as before', async (t) => {
    t.equal((await broker.ask('GET', 'sys/mounts', { token: rootToken })).status, 200)
  })
})
