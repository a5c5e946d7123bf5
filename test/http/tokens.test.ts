import type http from 'node:http'
import t from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { auditFaults, authOf, createFolder, createRole, rootToken, startAws, startBroker, wrapOf, type Answer, type TestBroker } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

const refused = '{"errors":["permission denied"]}'

const look = (broker: TestBroker, token: string | null, more = {}) => broker.ask('GET', 'auth/token/lookup-self', { token, ...more })
const errorOf = ({ body }: Answer) => body.errors?.[0] ?? ''

/** The spellings of a token whose last character differs in bits that base64url does not use. */
function otherSpellings (token: string): string[] {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const last = alphabet.indexOf(token.at(-1) ?? '')
  return [1, 2, 3].map((bits) => token.slice(0, -1) + (alphabet[last ^ bits] ?? ''))
}

t.test('tokens', async (t) => {
  const emulator = await startAws(t)
  const broker = await startBroker(t, { emulator })
  const make = async (fields: JsonObject = {}, token = rootToken) =>
    authOf(await broker.must('POST', 'auth/token/create', { token, body: fields }))
  const create = (fields: JsonObject, token: string) => broker.ask('POST', 'auth/token/create', { token, body: fields })

  t.test('SEC-088 SEC-089 a token has one spelling, before and after its revocation', async (t) => {
    const { client_token: token } = await make({ policies: ['default'] })
    const spellings = [...otherSpellings(token), `${token}=`, `${token}.`, `${token}.e30`, token.replace('.', '..'), token.toUpperCase()]
    for (const spelling of spellings) t.equal((await look(broker, spelling)).text, refused)
    await broker.must('POST', 'auth/token/revoke', { body: { token: otherSpellings(token)[0] ?? '' } })
    t.equal((await look(broker, token)).status, 200, 'another spelling revokes nothing')
    await broker.must('POST', 'auth/token/revoke-self', { token })
    for (const spelling of [token, ...spellings]) t.equal((await look(broker, spelling)).text, refused)
  })

  t.test('SEC-090 of two tokens in two headers that of the API counts; two of one kind are malformed', async (t) => {
    const { client_token: token } = await make({ policies: ['default'] })
    t.equal((await look(broker, null, { headers: { authorization: `Bearer ${token}` } })).status, 200)
    t.equal((await look(broker, token, { headers: { authorization: `Bearer ${token}` } })).status, 200)
    t.equal((await look(broker, null, { headers: { 'x-vault-token': [token, rootToken] } })).status, 400)
    t.equal((await look(broker, `${token},${rootToken}`)).status, 400)
  })

  t.test('SEC-091 a token anywhere else is no token, and is not written down', async (t) => {
    const { client_token: token } = await make({ policies: ['default'], meta: { note: 'hidden' } })
    const basic = Buffer.from(`:${token}`).toString('base64')
    const attempts: [string, { headers?: http.OutgoingHttpHeaders }][] = [
      [`auth/token/lookup-self?token=${token}`, {}],
      ['auth/token/lookup-self', { headers: { cookie: `token=${token}; X-Vault-Token=${token}` } }],
      ['auth/token/lookup-self', { headers: { authorization: `Basic ${basic}` } }],
      ['auth/token/lookup-self', { headers: { authorization: `bearer ${token}` } }],
      [`auth/token/lookup/${token}`, {}]
    ]
    for (const [target, more] of attempts) t.equal((await broker.ask('GET', target, { token: null, ...more })).text, refused, target.slice(0, 40))
    t.equal((await broker.ask('POST', 'auth/token/lookup-self', { token: null, body: { token } })).text, refused)
    t.notOk(broker.output().includes(token), 'in no log line')
  })

  t.test('SEC-095 what looks like a token and is of another kind opens nothing', async (t) => {
    const { accessor } = await make({ policies: ['default'] })
    const role = await createRole(broker, 'kinds', { token_policies: 'default' })
    const { secretId, accessor: secretAccessor } = await role.secretId()
    const lease = await broker.must('GET', 'aws/creds/ec2-only')
    const wrapped = wrapOf(await broker.must('GET', 'sys/mounts', { headers: { 'x-vault-wrap-ttl': '60' } }))
    for (const other of [accessor, role.roleId, secretId, secretAccessor, lease.body.lease_id ?? '', wrapped.accessor, wrapped.token]) {
      t.equal((await broker.ask('GET', 'sys/mounts', { token: other })).text, refused, other.slice(0, 8))
    }
  })

  t.test('SEC-096 revoking a token ends all below it, their leases too, and not an orphan', async (t) => {
    const policy = 'path "auth/token/*" { capabilities = ["update", "sudo"] }\npath "aws/creds/ec2-only" { capabilities = ["read"] }'
    const top = await broker.tokenFor(policy)
    const tokens = [top.client_token]
    for (let level = 0; level < 3; level++) tokens.push((await make({}, tokens.at(-1))).client_token)
    const orphan = (await make({ no_parent: true, policies: ['default'] }, tokens.at(-1))).client_token
    const lease = await broker.must('GET', 'aws/creds/ec2-only', { token: tokens.at(-1) ?? null })
    const known = () => broker.ask('PUT', 'sys/leases/lookup', { body: { lease_id: lease.body.lease_id ?? '' } })
    t.equal((await known()).status, 200)
    await broker.must('POST', 'auth/token/revoke', { body: { token: top.client_token } })
    for (const token of tokens) t.equal((await look(broker, token)).text, refused)
    t.equal((await known()).status, 400, 'its lease is gone with the answer')
    t.equal((await look(broker, orphan)).status, 200)
  })

  t.test('SEC-097 a child never has more than its parent, whatever it asks for', async (t) => {
    const { client_token: parent } = await broker.tokenFor('path "auth/token/create" { capabilities = ["update"] }\npath "auth/token/create-orphan" { capabilities = ["update"] }')
    const wishes: JsonObject[] = [
      { policies: ['root'] }, { policies: ['ROOT'] }, { policies: ['default', 'root'] }, { policies: ['default,root'] }, { policies: ['ci-ec2-only'] },
      { no_parent: true }, { id: 'chosen-by-me' }, { period: '1h' }, { policies: ['response-wrapping'] }, { type: 'batch' }
    ]
    for (const wish of wishes) {
      const answer = await create(wish, parent)
      t.equal(answer.status, 400, JSON.stringify(wish))
      t.notOk(answer.body.auth)
    }
    const longest = await broker.must('POST', 'auth/token/create', { token: parent, body: { ttl: '87600h', explicit_max_ttl: '87600h' } })
    t.ok(authOf(longest).lease_duration <= 2_764_800, 'never longer than the mount allows')
    const orphan = await broker.ask('POST', 'auth/token/create-orphan', { token: parent, body: { policies: ['root'] } })
    t.equal(orphan.status, 400)
    const { client_token: sudoer } = await broker.tokenFor('path "auth/token/create" { capabilities = ["update", "sudo"] }')
    t.match(await create({ policies: ['root'] }, sudoer), { status: 400 }, 'sudo is not root')
    const child = authOf(await broker.must('POST', 'auth/token/create', { token: parent, body: { entity_id: 'x', display_name: 'root', meta: { role_name: 'other' } } }))
    t.strictSame(child.policies, (await broker.must('GET', 'auth/token/lookup-self', { token: parent })).body.data?.['policies'])
  })

  t.test('SEC-014 SEC-015 what only looks like a policy\'s name is none', async (t) => {
    for (const name of ['root ', 'r%6fot', 'rооt', 'root\u0000', '../root', 'x/../root', 'ns/root', 'a/b', 'a..b', '-a', 'a'.repeat(129)]) {
      const answer = await create({ policies: [name] }, rootToken)
      const isRoot = answer.body.auth?.policies.includes('root') === true
      t.ok(answer.status === 400 || (name.trim() === 'root' && isRoot), JSON.stringify(name))
      t.equal((await broker.ask('POST', 'auth/approle/role/shape', { body: { token_policies: [name] } })).status, name.trim() === 'root' ? 204 : 400, JSON.stringify(name))
    }
  })

  t.test('SEC-098 renewal moves no end past the maximum, and never makes a token endless', async (t) => {
    const { client_token: token } = await make({ policies: ['default'], ttl: '30m', explicit_max_ttl: '1h' })
    for (const increment of ['2h', '87600h', 10 ** 9, 0, 3601]) {
      const renewed = authOf(await broker.must('POST', 'auth/token/renew-self', { token, body: { increment } }))
      t.ok(renewed.lease_duration > 0 && renewed.lease_duration <= 3600, `${increment} gives ${renewed.lease_duration}`)
    }
    const short = await make({ policies: ['default'], ttl: '1s', explicit_max_ttl: '2s' })
    let last = 200
    await until('the token reaches its maximum', async () => {
      const { status } = await broker.ask('POST', 'auth/token/renew-self', { token: short.client_token, body: { increment: '1h' } })
      last = status
      return status === 403
    }, 5000)
    t.equal(last, 403, 'however often it was renewed')
  })

  t.test('SEC-099 no way to write a duration or a count means for ever', async (t) => {
    const wishes: JsonObject[] = []
    for (const value of [0, -1, '9999999999h', '1d1d', '', [1], 'NaN', '1e400', {}, true, 1e-9, '0.4', 0.4, 1e15, '∞']) {
      for (const field of ['ttl', 'explicit_max_ttl', 'period']) wishes.push({ [field]: value })
    }
    for (const wish of wishes) {
      const { status, body, text } = await create({ ...wish, policies: ['default'] }, rootToken)
      t.ok(status === 400 || (status === 200 && (body.auth?.lease_duration ?? 0) > 0 && (body.auth?.lease_duration ?? 0) <= 2_764_800), `${JSON.stringify(wish)}: ${text.slice(0, 120)}`)
    }
    for (const body of ['{"ttl":1e400}', '{"ttl":NaN}', '{"num_uses":1e400}']) {
      t.equal((await broker.ask('POST', 'auth/token/create', { body })).status, 400, body)
    }
    for (const uses of [0.4, '0.4', 1e-9, -1, 1e15, '5x', [5]]) {
      const { status, body } = await create({ num_uses: uses, policies: ['default'] }, rootToken)
      t.ok(status === 400 || Number(body.auth?.num_uses) > 0, `${JSON.stringify(uses)} is not unlimited`)
    }
  })

  t.test('SEC-102 SEC-115 a token bound to addresses is used and renewed from there only, whatever headers say', async (t) => {
    const { client_token: admin } = await broker.tokenFor('path "auth/token/*" { capabilities = ["update", "sudo"] }')
    await broker.must('POST', 'auth/token/roles/bound', { body: { token_bound_cidrs: ['127.0.0.9/32'], allowed_policies: ['default'] } })
    const { client_token: token } = authOf(await broker.must('POST', 'auth/token/create/bound', { token: admin }))
    t.equal((await look(broker, token, { from: '127.0.0.9' })).status, 200)
    for (const name of ['x-forwarded-for', 'forwarded', 'x-real-ip', 'true-client-ip', 'x-client-ip', 'cf-connecting-ip']) {
      const headers = { [name]: name === 'forwarded' ? 'for=127.0.0.9' : '127.0.0.9' }
      t.equal((await look(broker, token, { headers })).text, refused, name)
    }
    t.equal((await broker.ask('POST', 'auth/token/renew-self', { token, from: '127.0.0.8' })).text, refused)
    const role = await createRole(broker, 'strict', { token_policies: 'default', token_strictly_bind_ip: true })
    const { secretId } = await role.secretId()
    const { client_token: bound } = authOf(await role.login(secretId, { from: '127.0.0.7' }))
    t.equal((await look(broker, bound, { from: '127.0.0.7' })).status, 200)
    t.equal((await look(broker, bound)).text, refused)
    t.equal((await broker.ask('POST', 'auth/token/renew-self', { token: bound })).text, refused)
  })

  t.test('SEC-104 a token sees itself, and nobody\'s accessors', async (t) => {
    const { client_token: token, accessor } = await make({ policies: ['default'] })
    const own = await broker.must('GET', 'auth/token/lookup-self', { token })
    t.equal(own.body.data?.['accessor'], accessor)
    for (const [method, target] of [['LIST', 'auth/token/accessors'], ['LIST', 'auth/token/accessors/'], ['GET', 'auth/token/accessors?list=true']] as const) {
      t.equal((await broker.ask(method, target, { token })).text, refused, target)
    }
    const { client_token: lister } = await broker.tokenFor('path "auth/token/*" { capabilities = ["list", "read", "update"] }')
    t.equal((await broker.ask('LIST', 'auth/token/accessors', { token: lister })).text, refused, 'list without sudo')
    const byAccessor = await broker.must('POST', 'auth/token/lookup-accessor', { body: { accessor } })
    t.equal(byAccessor.body.data?.['id'], '', 'an accessor leads to no token')
    t.notMatch((await broker.must('POST', 'auth/token/renew-accessor', { body: { accessor } })).text, token)
  })

  t.test('what a token was cannot be had again: a chosen id has lives of its own', async (t) => {
    const id = 'chosen-name-of-a-token'
    await make({ id, policies: ['default'] })
    await broker.must('PUT', 'cubbyhole/left', { token: id, body: { from: 'the first life' } })
    t.equal((await create({ id }, rootToken)).status, 400)
    await broker.must('POST', 'auth/token/revoke', { body: { token: id } })
    t.equal((await look(broker, id)).text, refused)
    await make({ id, policies: ['default'] })
    t.equal((await broker.ask('GET', 'cubbyhole/left', { token: id })).status, 404)
  })

  t.test('fields named like those of other endpoints turn no -self call on somebody else', async (t) => {
    const mine = await make({ policies: ['default'] })
    const other = await make({ policies: ['default'] })
    const body = { token: other.client_token, accessor: other.accessor, id: other.client_token }
    const shown = await broker.must('POST', 'auth/token/renew-self', { token: mine.client_token, body })
    t.equal(authOf(shown).accessor, mine.accessor)
    await broker.must('POST', 'auth/token/revoke-self', { token: mine.client_token, body })
    t.equal((await look(broker, other.client_token)).status, 200)
    t.equal((await look(broker, mine.client_token)).text, refused)
  })

  t.test('SEC-053 a token with five uses is let in five times, by however many at once; a denied request is a use', async (t) => {
    const { client_token: token } = await make({ policies: ['default'], num_uses: 5 })
    const answers = await Promise.all(Array.from({ length: 60 }, () => look(broker, token)))
    t.equal(answers.filter(({ status }) => status === 200).length, 5)
    const { client_token: two } = await make({ policies: ['default'], num_uses: 2 })
    await broker.ask('GET', 'sys/mounts', { token: two })
    t.equal((await look(broker, two)).status, 200)
    t.equal((await look(broker, two)).text, refused)
  })

  t.test('a token whose last use would be a credential gets none', async (t) => {
    const { client_token: token } = await broker.tokenFor('path "aws/creds/ec2-only" { capabilities = ["read"] }', { num_uses: 1 })
    const calls = emulator.trail().length
    const answer = await broker.ask('GET', 'aws/creds/ec2-only', { token })
    t.equal(answer.status, 400)
    t.match(errorOf(answer), /token had one use left/)
    t.equal(emulator.trail().length, calls, 'STS was not asked')
  })

  t.test('SEC-107 another cluster\'s token is no token', async (t) => {
    const other = await startBroker(t)
    const { client_token: token } = authOf(await other.must('POST', 'auth/token/create', { body: { policies: ['default'] } }))
    t.equal((await look(other, token)).status, 200)
    t.equal((await look(broker, token)).text, refused)
  })

  t.test('SEC-110 SEC-082 whatever is wrong with a token, the answer is the same', async (t) => {
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const tokens = [
      'x', 'a.b', 'a.b.c', `${part({ alg: 'none' })}.${part({})}.`, `${part({ alg: 'HS256', kid: '../../x' })}.${part({})}.AAAA`,
      `${part({ alg: 'HS256', kid: '__proto__' })}.${part({ sub: 'x' })}.${'A'.repeat(43)}`, '..', '.', 'eyJ', '%00', 's.abcdefghijklmnopqrstuvwx'
    ]
    for (const token of tokens) t.equal((await look(broker, token)).text, refused, token.slice(0, 30))
  })

  t.test('SEC-258 the audit log has both entries of everything, and no token in clear', async (t) => {
    t.strictSame(auditFaults(broker, [rootToken]), [])
    t.notOk(/eyJ[\w-]+\.[\w-]+\.[\w-]{43}/.test(broker.auditText()))
  })
})

t.test('SEC-101 a token whose end passed while the broker was down is refused at its return, and its child with it', async (t) => {
  const folder = createFolder(t)
  const broker = await startBroker(t, { folder })
  const parent = await broker.tokenFor('path "auth/token/create" { capabilities = ["update"] }', { ttl: '1s' })
  const child = authOf(await broker.must('POST', 'auth/token/create', { token: parent.client_token, body: { ttl: '1h' } }))
  const died = Date.now() + 1000
  await broker.stop()
  await until('the token\'s end has passed', () => Date.now() > died)
  await broker.restart()
  for (const { client_token: token } of [parent, child]) t.equal((await look(broker, token)).text, refused)
  t.equal((await look(broker, rootToken)).status, 200)
})
