import t from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { auditFaults, authOf, countByStatus, createRole, rootToken, startBroker, textOf, wrapOf } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

const invalid = '{"errors":["wrapping token is not valid or does not exist"]}'
const refused = '{"errors":["permission denied"]}'

t.test('wrapping and cubbyhole', async (t) => {
  const broker = await startBroker(t)
  const wrap = async (data: JsonObject = { secret: 'CNRYwrapped' }, ttl = '60s') =>
    wrapOf(await broker.must('POST', 'sys/wrapping/wrap', { body: data, headers: { 'x-vault-wrap-ttl': ttl } }))
  const unwrap = (token: string) => broker.ask('POST', 'sys/wrapping/unwrap', { token })
  const unwrapFor = (token: string, by = rootToken) => broker.ask('POST', 'sys/wrapping/unwrap', { token: by, body: { token } })
  const lookup = (token: string) => broker.ask('POST', 'sys/wrapping/lookup', { token: null, body: { token } })

  t.test('SEC-130 of many who unwrap at once one gets the answer, whichever way they ask', async (t) => {
    const { token } = await wrap()
    const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => i % 2 === 0 ? unwrap(token) : unwrapFor(token)))
    t.strictSame(countByStatus(answers), { 200: 1, 400: 49 })
    for (const answer of answers) if (answer.status === 400) t.equal(answer.text, invalid)
    t.equal(answers.find(({ status }) => status === 200)?.body.data?.['secret'], 'CNRYwrapped')
  })

  t.test('unwrap, rewrap, look-up and a read of the cubbyhole race one another: the answer comes out once', async (t) => {
    for (let round = 0; round < 10; round++) {
      const { token } = await wrap()
      const answers = await Promise.all([
        unwrap(token), broker.ask('POST', 'sys/wrapping/rewrap', { body: { token } }), lookup(token), unwrapFor(token),
        broker.ask('GET', 'cubbyhole/response', { token }), broker.ask('POST', 'sys/wrapping/rewrap', { body: { token } })
      ])
      const opened = answers.filter(({ text }) => text.includes('CNRYwrapped')).length
      const moved = answers.filter(({ body }) => body.wrap_info).map(wrapOf)
      t.ok(opened + moved.length <= 1, `${opened} opened and ${moved.length} moved`)
      for (const { token: next } of moved) t.equal((await unwrap(next)).body.data?.['secret'], 'CNRYwrapped')
      t.equal((await unwrap(token)).text, invalid)
    }
  })

  t.test('SEC-131 a wrapping token opens nothing but its answer, and trying does not use it up', async (t) => {
    const { token, accessor } = await wrap()
    const attempts: [string, string, JsonObject?][] = [
      ['GET', 'sys/mounts'], ['GET', 'auth/token/lookup-self'], ['POST', 'auth/token/create', {}], ['POST', 'auth/token/renew-self', {}],
      ['GET', 'aws/creds/ec2-only'], ['POST', 'sys/wrapping/wrap', { a: 1 }], ['PUT', 'cubbyhole/x', { a: 1 }], ['GET', 'cubbyhole/wrapinfo'], ['LIST', 'cubbyhole']
    ]
    for (const [method, target, body] of attempts) {
      t.equal((await broker.ask(method, target, { token, ...(body !== undefined && { body }) })).status, 403, `${method} ${target}`)
    }
    t.equal((await broker.must('POST', 'auth/token/lookup-accessor', { body: { accessor } })).body.data?.['id'], '')
    const { status, body } = await unwrap(token)
    t.strictSame([status, body.data?.['secret']], [200, 'CNRYwrapped'], 'a denied attempt of a finder does not destroy it')
  })

  t.test('what is no wrapping token is not unwrapped, and is not used up either', async (t) => {
    const plain = await broker.tokenFor('path "x" { capabilities = ["read"] }', { num_uses: 3 })
    const { accessor } = await wrap()
    for (const token of [plain.client_token, rootToken, plain.accessor, accessor, 'x', 'a.b.c', '__proto__']) {
      t.equal((await unwrapFor(token)).text, invalid, token.slice(0, 10))
      t.equal((await lookup(token)).text, invalid)
      t.equal((await broker.ask('POST', 'sys/wrapping/rewrap', { body: { token } })).text, invalid)
    }
    const shown = await broker.must('POST', 'auth/token/lookup', { body: { token: plain.client_token } })
    t.equal(shown.body.data?.['num_uses'], 3)
    for (const token of [5, null, {}, ['x'], '']) {
      const { status } = await broker.ask('POST', 'sys/wrapping/unwrap', { body: { token } })
      t.ok([400, 403].includes(status), JSON.stringify(token))
    }
  })

  t.test('SEC-132 SEC-133 looking consumes nothing and shows where it was made, which the maker cannot choose', async (t) => {
    const { token, creation_path: path } = await wrap({ creation_path: 'auth/approle/role/x/secret-id', path: 'elsewhere', response: '{}' })
    t.equal(path, 'sys/wrapping/wrap')
    for (let i = 0; i < 5; i++) {
      const { body } = await lookup(token)
      t.match(body.data, { creation_path: 'sys/wrapping/wrap', creation_ttl: 60, creation_time: /^\d{4}-/ })
    }
    t.equal((await unwrap(token)).status, 200)
  })

  t.test('SEC-134 a policy bounds how long an answer may lie wrapped, and demands that it is', async (t) => {
    const { client_token: token } = await broker.tokenFor('path "sys/policies/acl/default" { capabilities = ["read"]\n min_wrapping_ttl = "5s"\n max_wrapping_ttl = "30s" }')
    const ask = (ttl?: string) => broker.ask('GET', 'sys/policies/acl/default', { token, headers: ttl === undefined ? {} : { 'x-vault-wrap-ttl': ttl } })
    for (const ttl of [undefined, '0', '1s', '31s', '24h']) t.equal((await ask(ttl)).text, refused, ttl ?? 'none')
    for (const ttl of ['-5s', 'x', '1e400', '5,30']) t.equal((await ask(ttl)).status, 400, ttl)
    for (const ttl of ['5', '30s']) t.equal((await ask(ttl)).status, 200, ttl)
  })

  t.test('SEC-137 a wrapping token that ended opens nothing, and its answer is gone', async (t) => {
    const { token, accessor } = await wrap(undefined, '1s')
    await until('it has ended', async () => (await lookup(token)).status === 400, 4000)
    t.equal((await unwrap(token)).text, invalid)
    await until('it is swept', async () => !JSON.stringify((await broker.must('LIST', 'auth/token/accessors')).body.data).includes(accessor), 5000)
  })

  t.test('SEC-138 rewrapping moves the answer to a new token and kills the old one', async (t) => {
    const first = await wrap({ secret: 'CNRYmoved' }, '90s')
    const answer = await broker.must('POST', 'sys/wrapping/rewrap', { body: { token: first.token } })
    t.notMatch(answer.text, /CNRYmoved/)
    const second = wrapOf(answer)
    t.match(second, { ttl: 90, creation_path: 'sys/wrapping/wrap' })
    t.equal((await unwrap(first.token)).text, invalid)
    t.equal((await lookup(first.token)).text, invalid)
    t.equal((await unwrap(second.token)).body.data?.['secret'], 'CNRYmoved')
  })

  t.test('a secret_id and a login reach their reader sealed', async (t) => {
    const role = await createRole(broker, 'sealed', { token_policies: 'default' })
    const made = wrapOf(await broker.must('POST', 'auth/approle/role/sealed/secret-id', { headers: { 'x-vault-wrap-ttl': '60' } }))
    t.equal(made.creation_path, 'auth/approle/role/sealed/secret-id')
    const opened = await broker.must('POST', 'sys/wrapping/unwrap', { token: made.token })
    t.equal(textOf(opened, 'secret_id_accessor'), made.wrapped_accessor)
    const login = wrapOf(await role.login(textOf(opened, 'secret_id'), { headers: { 'x-vault-wrap-ttl': '60' } }))
    const inner = authOf(await broker.must('POST', 'sys/wrapping/unwrap', { token: login.token }))
    t.equal(inner.accessor, login.wrapped_accessor)
    t.equal((await broker.ask('GET', 'auth/token/lookup-self', { token: inner.client_token })).status, 200)
  })

  t.test('a wrapping token can be revoked unopened, by its accessor', async (t) => {
    const { token, accessor } = await wrap()
    await broker.must('POST', 'auth/token/revoke-accessor', { body: { accessor } })
    t.equal((await unwrap(token)).text, invalid)
    t.match(await broker.ask('POST', 'auth/token/lookup-accessor', { body: { accessor } }), { status: 400, text: /invalid accessor/ })
  })

  t.test('every token has a cubbyhole of its own, which dies with it', async (t) => {
    const own = await broker.tokenFor('path "auth/token/create" { capabilities = ["update"] }')
    const other = await broker.tokenFor('path "x" { capabilities = ["read"] }')
    const child = authOf(await broker.must('POST', 'auth/token/create', { token: own.client_token }))
    await broker.must('PUT', 'cubbyhole/a/b', { token: own.client_token, body: { text: 'CNRYcubby', n: 1 } })
    for (const token of [other.client_token, child.client_token, rootToken]) {
      t.equal((await broker.ask('GET', 'cubbyhole/a/b', { token })).status, 404)
      t.equal((await broker.ask('LIST', 'cubbyhole', { token })).status, 404)
      t.equal((await broker.ask('DELETE', 'cubbyhole/a/b', { token })).status, 204)
    }
    t.match((await broker.must('GET', 'cubbyhole/a/b', { token: own.client_token })).text, /CNRYcubby/)
    t.strictSame((await broker.must('LIST', 'cubbyhole', { token: own.client_token })).body.data?.['keys'], ['a/'])
    await broker.must('POST', 'auth/token/revoke', { body: { token: own.client_token } })
    t.equal((await broker.ask('GET', 'cubbyhole/a/b', { token: own.client_token })).text, refused)
    for (const body of [undefined, {}, null]) {
      const answer = await broker.ask('PUT', 'cubbyhole/empty', body === undefined ? {} : { body: JSON.stringify(body) })
      t.match(answer, { status: 400, text: /missing data fields/ })
    }
  })

  t.test('SEC-211 what a cubbyhole is given it gives back, digit by digit', async (t) => {
    const text = '{"n":9007199254740993,"z":-0,"e":1E2,"big":123456789012345678901234567890,"esc":"\\u0000\\u001f","s":"é\u2028"}'
    await broker.must('PUT', 'cubbyhole/exact', { body: text })
    const back = (await broker.must('GET', 'cubbyhole/exact')).text
    for (const part of ['9007199254740993', '-0', '123456789012345678901234567890']) t.ok(back.includes(part), part)
    t.strictSame(JSON.parse(back).data, JSON.parse(text))
    const { token } = wrapOf(await broker.must('POST', 'sys/wrapping/wrap', { body: text, headers: { 'x-vault-wrap-ttl': '60' } }))
    const inner = (await unwrap(token)).text
    for (const part of ['9007199254740993', '123456789012345678901234567890']) t.ok(inner.includes(part), part)
  })

  t.test('SEC-039 SEC-294 a wrapped answer is data, whatever it holds', async (t) => {
    const body = '{"client_token":"x","wrap_info":{"token":"y"},"auth":{"policies":["root"]},"__proto__":{"a":1}}'
    const { token } = wrapOf(await broker.must('POST', 'sys/wrapping/wrap', { body, headers: { 'x-vault-wrap-ttl': '60' } }))
    const inner = await unwrap(token)
    t.match(inner.body, { auth: null, wrap_info: null, data: { client_token: 'x' } })
    t.match(inner.text, /"__proto__":\{"a":1\}/)
  })

  t.test('SEC-258 SEC-260 every request has its two audit entries, without what was wrapped', async (t) => {
    t.strictSame(auditFaults(broker, ['CNRY', rootToken]), [])
    t.notOk(broker.output().includes('CNRY'))
  })
})
