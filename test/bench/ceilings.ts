import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts'
import fastifyJwt from '@fastify/jwt'
import fastify from 'fastify'
import { Redis } from 'ioredis'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import path from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/*
 * What a broker is measured against: the least that each operation can be, with nothing around it.
 * A process of its own; its one argument is JSON, and it prints its URL and a token.
 */
interface Order {
  readonly redis: string
  readonly folder: string
  readonly sts: { readonly endpoint: string, readonly accessKeyId: string, readonly secretAccessKey: string }
  /** What the broker's role `ec2-only` sends. */
  readonly role: { readonly roleArn: string, readonly externalId: string, readonly policy: string }
}

const { redis: redisUrl, folder, sts, role } = JSON.parse(process.argv[2] ?? '') as Order
const app = fastify()
await app.register(fastifyJwt, { secret: randomBytes(32), sign: { algorithm: 'HS256' }, verify: { algorithms: ['HS256'], cache: true } })
const redis = new Redis(redisUrl, { enableAutoPipelining: true })
const secret = createSecretKey(randomBytes(32))
/** As large as a token's sealed record, or a key of KV with ten short versions. */
const record = randomBytes(700)
await redis.set('bench:token', record)
await redis.set('bench:role', record)

const token = app.jwt.sign({ jti: randomBytes(24).toString('hex'), sub: randomBytes(12).toString('hex') })
const macOf = (text: string) => createHmac('sha256', secret).update(text).digest('base64url')
const answerOf = (data: object | null, auth: object | null) => ({
  request_id: '', lease_id: '', renewable: false, lease_duration: 0, data, wrap_info: null, warnings: null, auth
})

app.get('/lookup', async (request) => {
  const { jti } = app.jwt.verify<{ jti: string }>(String(request.headers['x-vault-token']))
  const found = await redis.getBuffer('bench:token')
  return answerOf({ id: jti, bytes: found?.length }, null)
})

app.post('/login-redis', async (request) => {
  const { secret_id: secretId } = request.body as { secret_id: string }
  const accessor = macOf(secretId)
  await redis.getBuffer('bench:role')
  const jti = randomBytes(32).toString('base64url')
  await redis.set(`bench:${jti}`, record)
  return answerOf(null, { client_token: app.jwt.sign({ jti, sub: accessor }), accessor })
})

const insert = openInserts(path.join(folder, 'ceiling.db'))
app.post('/login-sqlite', async (request) => {
  const { secret_id: secretId } = request.body as { secret_id: string }
  const accessor = macOf(secretId)
  const jti = randomBytes(32).toString('base64url')
  await insert(jti)
  return answerOf(null, { client_token: app.jwt.sign({ jti, sub: accessor }), accessor })
})

app.post('/write-redis', async (request) => {
  const { jti } = app.jwt.verify<{ jti: string }>(String(request.headers['x-vault-token']))
  await redis.set(`bench:write-${randomBytes(12).toString('base64url')}`, record)
  return answerOf({ id: jti }, null)
})

app.post('/write-sqlite', async (request) => {
  const { jti } = app.jwt.verify<{ jti: string }>(String(request.headers['x-vault-token']))
  await insert(randomBytes(12).toString('base64url'))
  return answerOf({ id: jti }, null)
})

const client = new STSClient({
  endpoint: sts.endpoint, region: 'us-east-1', maxAttempts: 1,
  credentials: { accessKeyId: sts.accessKeyId, secretAccessKey: sts.secretAccessKey }
})
let sessions = 0
app.get('/vend', async () => {
  const { Credentials: credentials } = await client.send(new AssumeRoleCommand({
    RoleArn: role.roleArn, RoleSessionName: `bench.${++sessions}`, DurationSeconds: 900, ExternalId: role.externalId, Policy: role.policy
  }))
  return answerOf({ ...credentials }, null)
})

const url = await app.listen({ host: '127.0.0.1', port: 0 })
process.stdout.write(`${JSON.stringify({ url, token })}\n`)

/** One table, synchronous FULL, and one transaction for all that came in one turn of the event loop. */
function openInserts (location: string): (id: string) => Promise<void> {
  const db = new DatabaseSync(location)
  db.exec('pragma journal_mode = wal; pragma synchronous = full; create table token (id text primary key, value blob) strict, without rowid')
  const [begin, commit] = [db.prepare('begin immediate'), db.prepare('commit')]
  const put = db.prepare('insert into token (id, value) values (?, ?)')
  let waiting: { readonly id: string, readonly done: () => void }[] = []
  const flush = () => {
    const group = waiting
    waiting = []
    begin.run()
    for (const { id } of group) put.run(id, record)
    commit.run()
    for (const { done } of group) done()
  }
  return (id) => new Promise((done) => {
    if (waiting.push({ id, done }) === 1) setImmediate(flush)
  })
}
