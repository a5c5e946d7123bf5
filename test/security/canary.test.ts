import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import t, { type Test } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { createRole, startBroker, textOf, type Answer, type Asked, type TestBroker } from '../helpers/broker.ts'
import { command, startRedis, until, type TestRedis } from '../helpers/redis.ts'
import { startReceiver } from '../notify/receiver.ts'
import { filesBelow, findSecrets, formsOf } from './search.ts'

/** Draws markers and keeps what must be found nowhere, by a name that may be told. */
function createSecrets () {
  const kept = new Map<string, string>()
  return {
    kept,
    /** A new marker that stands for a secret of this name. */
    mark (name: string): string {
      const text = `CNRY${randomBytes(18).toString('base64url').replace(/[-_]/g, 'x')}`
      kept.set(name, text)
      return text
    },
    keep (name: string, secret: string): void {
      kept.set(name, secret)
    },
    /** A client token: its text by its signature, and its secret name. */
    keepToken (name: string, token: string): void {
      const [, payload = '', signature = ''] = token.split('.')
      kept.set(`the signature of ${name}`, signature)
      const { jti } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { jti: string }
      kept.set(`the name of ${name}`, jti)
    }
  }
}

/** What answers repeat to whoever sent it, as the contract has it or since it is a path, none of them a secret's place: it is searched for everywhere else. */
const repeated = new Set(['a segment of a path', 'a ttl', 'a cidr list', 'a namespace', 'a grant'])

type Secrets = ReturnType<typeof createSecrets>

/** STS whose every credential is a secret of ours; it answers an error that repeats the request when told to. */
async function startMarkedSts (t: Test, secrets: Secrets) {
  let failing = false
  const server = http.createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => { body += chunk })
    request.on('end', () => {
      const name = new URLSearchParams(body).get('RoleSessionName') ?? ''
      response.writeHead(failing ? 403 : 200, { 'content-type': 'text/xml' })
      if (failing) {
        response.end(`<ErrorResponse><Error><Type>Sender</Type><Code>SignatureDoesNotMatch</Code><Message>${secrets.mark('an error of STS')}</Message></Error></ErrorResponse>`)
        return
      }
      response.end(`<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult>
        <AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:${name}</AssumedRoleId><Arn>arn:aws:sts::123456789012:assumed-role/demo/${name}</Arn></AssumedRoleUser>
        <Credentials><AccessKeyId>ASIA${randomBytes(8).toString('hex').toUpperCase()}</AccessKeyId>
        <SecretAccessKey>${secrets.mark('a secret key of STS')}</SecretAccessKey><SessionToken>${secrets.mark('a session token of STS')}</SessionToken>
        <Expiration>${new Date(Date.now() + 3_600_000).toISOString()}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as net.AddressInfo
  return { url: `http://127.0.0.1:${port}`, fail (does: boolean) { failing = does } }
}

/** Has notifiers fail, with secrets in what they are given and in what they are answered. */
async function notify (t: Test, broker: TestBroker, token: string, { mark, keep }: Secrets): Promise<void> {
  const put = (target: string, body: JsonObject) => broker.must('PUT', target, { token, body })
  const [hook, hcp] = [await startReceiver(t), await startReceiver(t)]
  hook.answer = () => ({ status: 500, headers: { 'x-note': mark('a header that a webhook answered') }, body: mark('what a webhook answered') })
  hcp.answer = () => ({ status: 401, body: JSON.stringify({ errors: [{ title: mark('what HCP Terraform answered') }] }) })
  await put('sys/mounts/named', { type: 'kv' })
  await put('sys/latchkey/rotation/named', { stable_path: 'never', on_tripwire: 'webhook' })
  keep('a name that rotates', textOf(await broker.must('GET', 'sys/latchkey/resolve/named', { token }), 'name').slice(-26))
  await put('sys/latchkey/notifiers/given', {
    type: 'webhook', url: `${hook.url}/${mark('the path of a webhook')}?q=${mark('the query of a webhook')}`, secret: `whsec_${mark('the secret of a webhook')}AAAAAAAA`, include_name: true
  })
  keep('a drawn secret', textOf(await put('sys/latchkey/notifiers/drawn', { type: 'webhook', url: hook.url }), 'secret').slice(6, 40))
  await put('sys/latchkey/notifiers/given/rotate-secret', { secret: `whsec_${mark('the next secret of a webhook')}AAAAAAAA` })
  await put('sys/latchkey/notifiers/tfc', {
    type: 'hcp-terraform', address: hcp.url.replace('/hook', ''), token: mark('a token of HCP Terraform'), workspace_id: 'ws-1', variables: { named: 'n' }
  })
  await put('sys/latchkey/notifiers/given/test', {})
  await put('sys/latchkey/notifiers/tfc/test', {})
  await until('all were tried', () => broker.output().includes('a notification was given up') && hook.got.length > 2)
  for (const path of ['given', 'tfc', 'tfc/dead?list=true']) await broker.must('GET', `sys/latchkey/notifiers/${path}`, { token })
}

/** Puts a secret into every place that takes one. Answers the bodies of all errors. */
async function exercise (broker: TestBroker, root: string, secrets: Secrets, sts: Awaited<ReturnType<typeof startMarkedSts>>): Promise<string> {
  let errors = ''
  const { mark } = secrets
  const ask = async (method: string, target: string, asked: Asked = {}): Promise<Answer> => {
    const answer = await broker.ask(method, target, { token: root, ...asked })
    if (answer.status >= 400) errors += `${answer.text}\n${JSON.stringify(answer.headers)}\n`
    return answer
  }
  const put = (target: string, body: JsonObject) => ask('PUT', target, { body })
  const wrapTtl = { 'x-vault-wrap-ttl': '600' }

  const role = { ...await createRole({ ...broker, must: (method, target, asked) => ask(method, target, asked) }, 'marked', { token_policies: ['default', 'vend'] }) }
  const login = async (secretId: string, name: string) => {
    const answer = await ask('POST', 'auth/approle/login', { token: null, body: { role_id: role.roleId, secret_id: secretId } })
    const token = answer.body.auth?.client_token ?? ''
    secrets.keepToken(name, token)
    return token
  }
  await put('sys/policies/acl/vend', { policy: 'path "cloud/sts/d" { capabilities = ["read"] }\npath "auth/token/create" { capabilities = ["update"] }' })
  const made = textOf(await put('auth/approle/role/marked/secret-id', { metadata: JSON.stringify({ note: mark('metadata of a secret_id') }) }), 'secret_id')
  secrets.keep('a secret_id', made)
  const chosen = mark('a chosen secret_id')
  await put('auth/approle/role/marked/custom-secret-id', { secret_id: chosen })
  const token = await login(made, 'a login\'s token')
  await login(chosen, 'another login\'s token')

  await put('sys/mounts/cloud', { type: 'aws' })
  await put('cloud/config/root', { access_key: 'AKIAEXAMPLEEXAMPLE00', secret_key: mark('the broker\'s own secret key'), region: 'us-east-1', sts_endpoint: sts.url })
  await put('cloud/roles/d', { credential_type: 'assumed_role', role_arns: 'arn:aws:iam::123456789012:role/demo', external_id: mark('an external id') })
  await ask('GET', 'cloud/sts/d', { token })
  const wrappedVend = await ask('GET', 'cloud/sts/d', { token, headers: wrapTtl })
  secrets.keepToken('a wrapping token', wrappedVend.body.wrap_info?.token ?? '')
  sts.fail(true)
  await ask('GET', 'cloud/sts/d', { token })
  sts.fail(false)

  await ask('PUT', 'cubbyhole/place', { token, body: { value: mark('a value in a cubbyhole'), [mark('a name in a cubbyhole')]: 1, deep: [[{ a: mark('a deep value') }]] } })
  const wrapped = await ask('POST', 'sys/wrapping/wrap', { body: { value: mark('a wrapped value') }, headers: wrapTtl })
  secrets.keepToken('another wrapping token', wrapped.body.wrap_info?.token ?? '')
  const rewrapped = await put('sys/wrapping/rewrap', { token: wrapped.body.wrap_info?.token ?? '' })
  await ask('POST', 'sys/wrapping/unwrap', { token: rewrapped.body.wrap_info?.token ?? '' })
  await ask('POST', 'sys/wrapping/unwrap', { token: rewrapped.body.wrap_info?.token ?? '' })
  await ask('POST', 'sys/wrapping/wrap', { body: { value: mark('a value that stays wrapped') }, headers: wrapTtl })

  const child = await ask('POST', 'auth/token/create', { token, body: { meta: { note: mark('metadata of a token') }, display_name: 'x' } })
  secrets.keepToken('a child\'s token', child.body.auth?.client_token ?? '')
  const id = mark('a chosen token')
  await put('auth/token/create', { id, policies: ['default'] })
  await ask('GET', 'auth/token/lookup-self', { token: id })
  for (const path of ['lookup', 'renew', 'revoke']) await put(`auth/token/${path}`, { token: child.body.auth?.client_token ?? '' })

  for (const version of ['1', '2']) {
    const mounted = await put(`sys/mounts/kv${version}`, { type: 'kv', options: { version } })
    if (mounted.status >= 400) continue
    const data = { value: mark(`a value of KV ${version}`), [mark(`a name in a value of KV ${version}`)]: [1, mark(`a list in KV ${version}`)] }
    await put(version === '1' ? 'kv1/a' : 'kv2/data/a', version === '1' ? data : { data })
    await ask('GET', version === '1' ? 'kv1/a' : 'kv2/data/a')
    await ask('PUT', version === '1' ? 'kv1/large' : 'kv2/data/large', { body: version === '1' ? { large: mark('a large value of KV 1').repeat(2000) } : { data: { large: mark('a large value of KV 2').repeat(2000) } } })
  }

  const scope = await put('sys/latchkey/scopes/marked', { mounts: { marked: { rotation: { stable_path: 'never' } } }, metadata: { note: mark('metadata of a scope') } })
  secrets.keep('a scope\'s secret_id', textOf(scope, 'secret_id'))
  secrets.keep('a scope\'s mount name', (scope.body.data?.['mounts'] as Record<string, { name: string }>)['marked']?.name.slice(-26) ?? '')
  secrets.keep('another secret_id of a scope', textOf(await put('sys/latchkey/scopes/marked/secret-id', { metadata: { note: mark('metadata of a scope\'s secret_id') } }), 'secret_id'))
  await put('sys/latchkey/scopes/marked', { mounts: { [mark('a mount of a scope')]: {} } })
  await put('sys/latchkey/scopes/other', { mounts: { other: {} }, grants: { [`kv1/${mark('a grant')}`]: ['everything'] }, metadata: { note: [mark('a list as metadata')] } })

  // Mistakes of every kind, each with a secret in it.
  await ask('PUT', 'cubbyhole/x', { body: `{"value":"${mark('broken JSON')}"` })
  await ask('PUT', 'cubbyhole/x', { body: mark('a body that is no JSON') })
  await ask('PUT', 'cubbyhole/x', { body: `{"a":"${mark('a name given twice')}","a":1}` })
  await ask('POST', 'auth/approle/login', { token: null, body: { role_id: mark('a wrong role_id'), secret_id: mark('a wrong secret_id') } })
  await ask('POST', 'auth/approle/login', { token: null, body: { role_id: [mark('a role_id in a list')], secret_id: { a: mark('a secret_id in an object') } } })
  await ask('POST', 'auth/approle/login', { token: null, body: `role_id=x&secret_id=${mark('a secret_id in a form')}`, headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  await ask('GET', 'sys/mounts', { token: mark('a wrong token') })
  await ask('GET', 'sys/mounts', { token: `${token.slice(0, -4)}AAAA` })
  await ask('GET', `sys/mounts?token=${mark('a token in a query')}`, { token: null })
  await ask('GET', `auth/token/lookup/${token}`, { token: null })
  await ask('GET', `nowhere/${mark('a segment of a path')}`)
  await put('sys/wrapping/unwrap', { token: mark('a wrong wrapping token') })
  await put('auth/token/lookup', { token: mark('a token to look up') })
  await put('auth/token/create', { ttl: mark('a ttl') })
  await put('sys/leases/lookup', { lease_id: mark('a lease id') })
  await put('auth/approle/role/marked/secret-id/lookup', { secret_id: mark('a secret_id to look up') })
  await put('auth/approle/role/marked/secret-id', { cidr_list: mark('a cidr list'), metadata: mark('broken metadata') })
  await put('cloud/config/root', { sts_endpoint: `https://user:${mark('a password in an endpoint')}@sts.example` })
  await ask('GET', 'sys/mounts', {
    headers: { cookie: mark('a cookie'), authorization: `Bearer ${mark('another Authorization')}`, 'user-agent': mark('a user agent'), 'x-vault-namespace': mark('a namespace'), 'x-vault-wrap-ttl': mark('a wrap ttl') }
  })
  const socket = net.connect(broker.port, '127.0.0.1')
  socket.end(`GET /v1/${mark('a request that is none')}\u0001 HTTP/1.1\r\nbad\r\n\r\n`).resume()
  await once(socket, 'close')
  await put('auth/token/revoke', { token })
  return errors
}

/** All commands that a Redis is sent, from now on. */
async function monitor (t: Test, redis: TestRedis): Promise<() => Buffer> {
  const socket = net.connect(redis.port, '127.0.0.1')
  t.teardown(() => { socket.destroy() })
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => { chunks.push(chunk) })
  await once(socket, 'connect')
  socket.write('MONITOR\r\n')
  await until('Redis tells its commands', () => chunks.length > 0)
  return () => Buffer.concat(chunks)
}

/** The answer to a command, as long as it comes. */
async function wholeAnswer (port: number, line: string): Promise<Buffer> {
  const socket = net.connect(port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => { chunks.push(chunk) })
  await once(socket, 'connect')
  socket.end(`${line}\r\nQUIT\r\n`)
  await once(socket, 'close')
  return Buffer.concat(chunks)
}

t.test('the search finds what is planted, in every form and among other bytes', async (t) => {
  const secret = 'CNRY+/planted=secret'
  const text = Buffer.from(secret)
  const around = (middle: Buffer | string) => Buffer.concat([randomBytes(100), Buffer.from(middle), randomBytes(100)])
  const planted = [
    secret, encodeURIComponent(secret), text.toString('hex'), text.toString('hex').toUpperCase(), text.toString('base64'), text.toString('base64url'),
    Buffer.from(`{"a":"${secret}"}`).toString('base64'), Buffer.from(`xy${secret}z`).toString('base64url'), JSON.stringify(`${secret}`),
    [...secret].map((char) => `\\u00${char.charCodeAt(0).toString(16)}`).join('')
  ]
  for (const form of planted) t.strictSame(findSecrets(new Map([['here', around(form)]]), new Map([['it', secret]])), ['here has it'], form)
  t.strictSame(findSecrets(new Map([['here', around('another')]]), new Map([['it', secret]])), [])
  t.ok(formsOf(secret).every((form) => form.length >= 20))
})

for (const kind of ['SQLite', 'Redis'] as const) {
  t.test(`SEC-281 SEC-260 SEC-280 SEC-282 no secret stands anywhere in clear, on ${kind}`, async (t) => {
    const secrets = createSecrets()
    const root = secrets.mark('the root token')
    const sts = await startMarkedSts(t, secrets)
    const redis = kind === 'Redis' ? await startRedis(t, { 'slowlog-log-slower-than': '0', 'slowlog-max-len': '100000' }) : null
    const monitored = redis === null ? null : await monitor(t, redis)
    const broker = await startBroker(t, {
      settings: { LATCHKEY_DEV_ROOT_TOKEN: root, LATCHKEY_LOG_LEVEL: 'trace' }, ...(redis !== null && { store: redis.url })
    })
    const errors = await exercise(broker, root, secrets, sts)
    await notify(t, broker, root, secrets)
    const proc = (name: string) => readFileSync(`/proc/${broker.process.pid}/${name}`)
    const places = new Map<string, Buffer>([['the command line', proc('cmdline')]])
    const environment = proc('environ')
    if (redis !== null && monitored !== null) {
      places.set('MONITOR', monitored())
      places.set('SLOWLOG', await wholeAnswer(redis.port, 'SLOWLOG GET -1'))
      places.set('CLIENT LIST', await wholeAnswer(redis.port, 'CLIENT LIST'))
      t.match(await command(redis.port, 'SAVE'), /OK/)
      t.ok(places.get('MONITOR')?.includes('evalsha') && (places.get('SLOWLOG')?.length ?? 0) > 10_000, 'both show the broker\'s commands')
    }
    for (const [file, bytes] of filesBelow(broker.folder)) places.set(`${file} while it runs`, bytes)
    t.equal(await broker.stop(), 0)
    for (const [file, bytes] of filesBelow(broker.folder)) places.set(file, bytes)
    if (redis !== null) for (const [file, bytes] of filesBelow(redis.folder)) places.set(`Redis ${file}`, bytes)
    places.set('its output', Buffer.from(broker.output()))

    t.ok(secrets.kept.size > 50, `${secrets.kept.size} secrets, ${places.size} places`)
    t.ok([...places.keys()].some((name) => kind === 'SQLite' ? name.startsWith('latchkey.db') : /Redis .*(aof|rdb)/.test(name)), [...places.keys()].join(', '))
    t.strictSame(findSecrets(places, secrets.kept), [])
    const unsaid = new Map([...secrets.kept].filter(([name]) => !repeated.has(name)))
    t.strictSame(findSecrets(new Map([['error answers', Buffer.from(errors)]]), unsaid), [])
    secrets.kept.delete('the root token')
    t.strictSame(findSecrets(new Map([['the environment', environment]]), secrets.kept), [], 'nor the environment, but for the token that was given there')
  })
}
