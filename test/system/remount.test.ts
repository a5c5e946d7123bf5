import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { createFolder, createRole, startAws, startBroker, textOf, type TestBroker } from '../helpers/broker.ts'
import { startRedis, until } from '../helpers/redis.ts'

t.setTimeout(100_000)

const move = (broker: TestBroker, from: string, to: string, token?: string) =>
  broker.ask('POST', 'sys/remount', { body: { from, to }, ...(token !== undefined && { token }) })

async function statusOf (broker: TestBroker, id: string): Promise<unknown> {
  const { body } = await broker.must('GET', `sys/remount/status/${id}`)
  return (body.data?.['migration_info'] as { status?: string }).status
}

/** Begins a move of a key-value mount and goes on while it is under way. */
async function beginMove (broker: TestBroker, from: string, to: string) {
  const answer = move(broker, from, to).catch(() => null)
  await until('the mount is on its way', async () => (await broker.ask('GET', `${from}/x`)).text.includes('tainted'))
  return { answer }
}

const isAt = async (broker: TestBroker, mount: string) => (await broker.ask('GET', `sys/mounts/${mount}`)).status === 200

async function moved (broker: TestBroker, from: string, to: string): Promise<void> {
  const id = textOf(await move(broker, from, to), 'migration_id')
  await until('the mount is moved', async () => await statusOf(broker, id) === 'success')
}

t.test('a move needs sudo and the right to administer both ends (SEC-245)', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/a', { body: { type: 'kv' } })
  await broker.must('POST', 'sys/auth/m', { body: { type: 'approle' } })
  const sudo = 'path "sys/remount" { capabilities = ["update", "sudo"] }'
  const on = (mount: string, words = '"update"') => `path "${mount}" { capabilities = [${words}] }`
  const tokenFor = async (...rules: string[]) => (await broker.tokenFor(rules.join('\n'))).client_token
  const refused = [
    await tokenFor(sudo), await tokenFor(sudo, on('sys/mounts/a')), await tokenFor(sudo, on('sys/mounts/b')),
    await tokenFor(sudo, on('sys/mounts/a'), on('sys/mounts/b', '"read"')), await tokenFor(on('sys/mounts/+')),
    await tokenFor('path "sys/remount" { capabilities = ["update"] }', on('sys/mounts/+'))
  ]
  for (const token of refused) t.equal((await move(broker, 'a', 'b', token)).status, 403)
  t.equal((await move(broker, 'unknown', 'b', refused[1])).status, 403, 'a mount that is not there is refused in the same way')
  t.equal((await move(broker, 'auth/m', 'auth/n', await tokenFor(sudo, on('sys/auth/+')))).status, 403, 'of an auth method with sudo')
  t.equal((await move(broker, 'a', 'b', await tokenFor(sudo, on('sys/mounts/+')))).status, 200)
  t.equal((await move(broker, 'auth/m', 'auth/n', await tokenFor(sudo, on('sys/auth/+', '"update", "sudo"')))).status, 200)
})

t.test('a moved mount keeps its identity and data, and loses its leases', async (t) => {
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator })
  const { body: before } = await broker.must('GET', 'sys/mounts/aws')
  const { body: vended } = await broker.must('GET', 'aws/creds/ec2-only')
  await moved(broker, 'aws', 'cloud/aws')
  t.match(await broker.ask('POST', 'sys/leases/lookup', { body: { lease_id: String(vended.lease_id) } }), { status: 400 })
  t.match((await broker.must('GET', 'sys/mounts/cloud/aws')).body.data, { accessor: before.data?.['accessor'], uuid: before.data?.['uuid'] })
  t.match(await broker.must('GET', 'cloud/aws/creds/ec2-only'), { body: { lease_id: /^cloud\/aws\/creds\/ec2-only\// } })
  t.match(await broker.ask('GET', 'aws/creds/ec2-only'), { status: 404, text: /route entry not found/ })
  await broker.must('POST', 'sys/mounts/aws', { body: { type: 'kv' } })
})

t.test('tokens of a moved auth method end, its roles and secret_ids stay', async (t) => {
  const broker = await startBroker(t)
  const role = await createRole(broker, 'r', { token_policies: 'default' })
  const { secretId } = await role.secretId()
  const { auth } = (await role.login(secretId)).body
  await moved(broker, 'auth/approle', 'auth/other')
  t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: auth?.client_token ?? '' })).status, 403)
  const body = { role_id: role.roleId, secret_id: secretId }
  t.equal((await broker.ask('POST', 'auth/other/login', { token: null, body })).status, 200)
  t.ok([403, 404].includes((await broker.ask('POST', 'auth/approle/login', { token: null, body })).status))
})

t.test('meanwhile the mount refuses requests and nobody else gets either path', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/a', { body: { type: 'kv' } })
  await broker.must('POST', 'a/x', { body: { v: 1 } })
  const { answer } = await beginMove(broker, 'a', 'b/c')
  t.match(await broker.ask('POST', 'a/x', { body: { v: 2 } }), { status: 404 })
  for (const other of ['a', 'a/d', 'b', 'b/c', 'b/c/d']) t.equal((await broker.ask('POST', `sys/mounts/${other}`, { body: { type: 'kv' } })).status, 400, other)
  t.match(await move(broker, 'a', 'z'), { status: 400, body: { errors: ['no matching mount at "a/"'] } })
  t.match(await answer, { status: 200 }, 'the answer comes when the mount is where it shall be')
  t.match((await broker.must('GET', 'b/c/x')).body.data, { v: 1 })
})

t.test('paths of other forms are refused', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/a', { body: { type: 'kv' } })
  const cases = [
    ['a', 'B C', /^invalid destination mount: /], ['a', '../x', /^invalid destination mount: /], ['a', 'auth/x', /^cannot remount to destination auth\/x\/$/],
    ['cubbyhole', 'x', /^cannot remount "cubbyhole\/"$/], ['a', 'sys/x', /^cannot remount to destination sys\/x\/$/],
    ['auth/token', 'auth/x', /^cannot remount "auth\/token\/"$/], ['a', 'a', /^path already in use at "a\/"$/], ['a', 'a/b', /^path already in use at "a\/"$/]
  ] as const
  for (const [from, to, text] of cases) t.match(await move(broker, from, to), { status: 400, body: { errors: [text] } }, `${from} to ${to}`)
  t.match(await broker.ask('POST', 'sys/remount', { body: { from: 1, to: ['x'] } }), { status: 400 })
  t.equal((await broker.ask('GET', 'sys/remount/status/x')).status, 404)
  t.match(await move(broker, '/a/', 'UPPER/'), { status: 200 }, 'slashes at the ends are dropped, names folded')
})

t.test('a move that a crash stopped is finished after the next start', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/a', { body: { type: 'kv' } })
  await broker.must('POST', 'a/x', { body: { v: 1 } })
  await beginMove(broker, 'a', 'b')
  await broker.kill9()
  await broker.restart()
  await until('the mount is moved', () => isAt(broker, 'b'))
  t.match((await broker.must('GET', 'b/x')).body.data, { v: 1 })
})

t.test('of two brokers either finishes a move, and both know of it', async (t) => {
  const redis = await startRedis(t)
  const masterKeyFile = path.join(createFolder(t), 'master.key')
  writeFileSync(masterKeyFile, randomBytes(32), { mode: 0o600 })
  const one = await startBroker(t, { store: redis.url, masterKeyFile })
  const two = await startBroker(t, { store: redis.url, masterKeyFile })
  await one.must('POST', 'sys/mounts/a', { body: { type: 'kv-v2' } })
  await one.must('POST', 'a/data/x', { body: { data: { v: 1 } } })
  await beginMove(one, 'a', 'b')
  await one.kill9()
  await until('the mount is moved', () => isAt(two, 'b'))
  t.match((await two.must('GET', 'b/data/x')).body.data, { data: { v: 1 } })
})

t.test('a mount that is removed on its way is gone, and the move failed', async (t) => {
  const broker = await startBroker(t)
  await broker.must('POST', 'sys/mounts/a', { body: { type: 'kv' } })
  const { answer } = await beginMove(broker, 'a', 'b')
  await broker.must('DELETE', 'sys/mounts/a')
  const ended = await answer
  const id = ended === null ? '' : textOf(ended, 'migration_id')
  await until('the move has ended', async () => await statusOf(broker, id) === 'failure')
  for (const free of ['a', 'b']) await broker.must('POST', `sys/mounts/${free}`, { body: { type: 'kv' } })
})
