import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t, { type Test } from 'tap'
import {
  authOf, countByStatus, crashingBroker, createFolder, createRole, startBroker, textOf, type TestBroker
} from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

t.setTimeout(100_000)

const rotation = 'sys/latchkey/rotation'

async function createShared (t: Test) {
  const redis = await startRedis(t)
  const masterKeyFile = path.join(createFolder(t), 'master.key')
  writeFileSync(masterKeyFile, randomBytes(32), { mode: 0o600 })
  return { store: redis.url, masterKeyFile }
}

/** A mount whose first name is retired, and that ends who uses it. */
async function arm (broker: TestBroker): Promise<string> {
  await broker.must('POST', 'sys/mounts/mined', { body: { type: 'kv' } })
  await broker.must('POST', `${rotation}/mined`, { body: { stable_path: 'never', on_tripwire: 'revoke-secret-id' } })
  const name = textOf(await broker.must('GET', 'sys/latchkey/resolve/mined'), 'name')
  await broker.must('POST', `${rotation}/mined/rotate`, { body: { grace: 0 } })
  return name
}

async function createJob (broker: TestBroker) {
  await broker.must('PUT', 'sys/policies/acl/job', { body: { policy: 'path "*" { capabilities = ["read", "create", "update"] }' } })
  return createRole(broker, 'job', { token_policies: 'job' })
}

const statusOf = async (broker: TestBroker, token: string) => (await broker.ask('GET', 'auth/token/lookup-self', { token })).status
const tripwires = (broker: TestBroker) => broker.audit().filter(({ request }) => request.path === `${rotation}/mined/tripwire`)

t.test('revoke-secret-id over two brokers on one Redis', async (t) => {
  const shared = await createShared(t)
  const [one, two] = [await startBroker(t, shared), await startBroker(t, shared)]
  const both = [one, two]
  const role = await createJob(one)
  const name = await arm(one)
  const { secretId } = await role.secretId()
  const { secretId: another } = await role.secretId()
  const { secretId: counted } = await role.secretId({ num_uses: 3 })

  await until('both know the names', async () => (await two.ask('GET', `${rotation}/mined`)).body.data?.['slot'] === 2)
  const logIn = async (secret: string, count: number) => Promise.all(Array.from({ length: count }, async (_, n) =>
    authOf(await role.login(secret, {}, both[n % 2])).client_token))
  const tokens = await logIn(secretId, 40)
  const children = await Promise.all(tokens.slice(0, 10).map(async (token, n) =>
    authOf(await (both[n % 2] ?? one).must('POST', 'auth/token/create', { token, body: {} })).client_token))
  const bystanders = [...await logIn(another, 10), ...await logIn(counted, 2)]

  t.equal((await two.ask('GET', `${name}/x`, { token: children[3] ?? '' })).status, 404)
  await until('every token of it is dead on both', async () => {
    const answers = await Promise.all([...tokens, ...children].flatMap((token) => both.map((broker) => statusOf(broker, token))))
    return answers.every((status) => status === 403)
  })
  for (const broker of both) {
    t.match(await role.login(secretId, {}, broker), { status: 400, text: '{"errors":["invalid role or secret ID"]}' })
    t.strictSame(countByStatus(await Promise.all(bystanders.map((token) => broker.ask('GET', 'auth/token/lookup-self', { token })))), { 200: 12 })
  }
  t.equal((await role.login(counted)).status, 200)
  t.equal((await role.login(counted)).status, 400, 'nobody took a use of it')
  t.equal((await one.must('LIST', 'auth/approle/role/job/secret-id')).body.data?.['keys'] instanceof Array, true)
  t.strictSame([...tripwires(one), ...tripwires(two)].map(({ type }) => type).sort(), ['request', 'response'], 'told once, by whichever broker did it')
})

t.test('FLT-011 a broker that is killed once it has noticed leaves the rest to another', async (t) => {
  const shared = await createShared(t)
  const other = await startBroker(t, shared)
  const role = await createJob(other)
  const name = await arm(other)
  const { secretId } = await role.secretId()
  const tokens = await Promise.all(Array.from({ length: 5 }, async () => authOf(await role.login(secretId)).client_token))
  const dying = await startBroker(t, { ...shared, program: crashingBroker, settings: { CRASH_AT: 'after-alarm:1' } })
  t.equal((await dying.ask('GET', `${name}/x`, { token: tokens[0] ?? '' })).status, 404)
  t.equal(await dying.ended(), 'SIGKILL')
  await until('every token is dead', async () =>
    (await Promise.all(tokens.map((token) => statusOf(other, token)))).every((status) => status === 403))
  t.equal((await role.login(secretId)).status, 400)
  t.equal(tripwires(other).length, 2)
})
