import http from 'node:http'
import t from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { auditFaults, authOf, countByStatus, createRole, startBroker, textOf, wrapOf, type Answer } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

/** What a client can tell one refusal from another by. */
function shown ({ status, text, headers }: Answer) {
  const { date: _date, ...rest } = headers
  return { status, text, headers: rest }
}

t.test('AppRole', async (t) => {
  const broker = await startBroker(t)
  const look = (token: string, more = {}) => broker.ask('GET', 'auth/token/lookup-self', { token, ...more })
  const tokens = async () => [(await broker.must('LIST', 'auth/token/accessors')).body.data?.['keys']].flat().length
  const loginWith = (body: JsonObject | string, more = {}) => broker.ask('POST', 'auth/approle/login', { token: null, body, ...more })

  t.test('SEC-050 every way not to know a pair has one answer, to the byte', async (t) => {
    const first = await createRole(broker, 'first')
    const second = await createRole(broker, 'second')
    const gone = await createRole(broker, 'gone')
    const { secretId } = await first.secretId()
    const { secretId: others } = await second.secretId()
    const { secretId: orphaned } = await gone.secretId()
    await broker.must('DELETE', 'auth/approle/role/gone')
    const attempts = [
      { role_id: '6a0c1f5e-0000-4000-8000-000000000000', secret_id: secretId },
      { role_id: first.roleId, secret_id: '6a0c1f5e-0000-4000-8000-000000000000' },
      { role_id: first.roleId, secret_id: others },
      { role_id: gone.roleId, secret_id: orphaned },
      { role_id: 'first', secret_id: secretId },
      { role_id: first.roleId, secret_id: `${secretId}x` },
      { role_id: first.roleId, secret_id: secretId.toUpperCase() },
      { role_id: '6a0c1f5e-0000-4000-8000-000000000000', secret_id: '6a0c1f5e-0000-4000-8000-000000000001' }
    ]
    const answers = []
    for (const body of attempts) answers.push(shown(await loginWith(body)))
    t.equal(answers[0]?.text, '{"errors":["invalid role or secret ID"]}')
    t.equal(answers[0]?.status, 400)
    for (const answer of answers) t.strictSame(answer, answers[0])
    t.equal((await first.login(secretId)).status, 200)
  })

  t.test('SEC-051 a secret_id is refused from its end on', async (t) => {
    const role = await createRole(broker, 'short')
    const { secretId } = await role.secretId({ ttl: '1s' })
    t.equal((await role.login(secretId)).status, 200)
    await until('the secret_id has ended', async () => (await role.login(secretId)).status === 400, 4000)
    t.equal((await role.login(secretId)).text, '{"errors":["invalid role or secret ID"]}')
  })

  t.test('SEC-052 of many logins at once as many succeed as there are uses', async (t) => {
    const role = await createRole(broker, 'counted')
    const { secretId, accessor } = await role.secretId({ num_uses: 5 })
    const answers = await Promise.all(Array.from({ length: 40 }, () => role.login(secretId)))
    t.strictSame(countByStatus(answers), { 200: 5, 400: 35 })
    const found = await broker.ask('POST', 'auth/approle/role/counted/secret-id-accessor/lookup', { body: { secret_id_accessor: accessor } })
    t.equal(found.status, 404, 'the record is gone')
  })

  t.test('SEC-055 SEC-056 under another role nothing is seen or destroyed', async (t) => {
    const mine = await createRole(broker, 'mine')
    await createRole(broker, 'thine')
    const { secretId, accessor } = await mine.secretId()
    const under = (path: string, body: JsonObject) => broker.ask('POST', `auth/approle/role/thine/${path}`, { body })
    t.equal((await under('secret-id-accessor/lookup', { secret_id_accessor: accessor })).status, 404)
    t.ok((await under('secret-id-accessor/destroy', { secret_id_accessor: accessor })).status >= 400)
    t.equal((await under('secret-id/lookup', { secret_id: secretId })).status, 204)
    await under('secret-id/destroy', { secret_id: secretId })
    await under('secret-id/lookup', { secret_id: secretId, role_name: 'mine', name: 'mine' })
    t.equal((await mine.login(secretId)).status, 200)
  })

  t.test('SEC-057 SEC-074 a role made again knows neither the secret_ids nor the tokens of its former life', async (t) => {
    const role = await createRole(broker, 'reborn', { token_policies: 'default' })
    const { secretId } = await role.secretId()
    const { client_token: token } = authOf(await role.login(secretId))
    await broker.must('DELETE', 'auth/approle/role/reborn')
    t.ok((await broker.ask('POST', 'auth/token/renew-self', { token })).status >= 400)
    await broker.must('POST', 'auth/approle/role/reborn', { body: { token_policies: 'default' } })
    await broker.must('POST', 'auth/approle/role/reborn/role-id', { body: { role_id: role.roleId } })
    t.equal((await role.login(secretId)).status, 400)
    t.ok((await broker.ask('POST', 'auth/token/renew-self', { token })).status >= 400, 'nor does the new role renew the old token')
  })

  t.test('SEC-058 SEC-059 a role_id is one role\'s, and a name is one in any case', async (t) => {
    const one = await createRole(broker, 'one')
    const two = await createRole(broker, 'two')
    t.ok((await broker.ask('POST', 'auth/approle/role/two/role-id', { body: { role_id: one.roleId } })).status >= 400)
    for (const role of [one, two]) t.equal((await role.login((await role.secretId()).secretId)).status, 200)
    t.equal((await broker.ask('POST', 'auth/approle/role/one%20', { body: {} })).status, 400)
  })

  t.test('SEC-060 SEC-061 logins come from where the role and the secret_id allow, whatever headers say; a wrong source burns no use', async (t) => {
    const role = await createRole(broker, 'bound', { secret_id_bound_cidrs: ['127.0.0.8/29'] })
    for (const cidr of ['127.0.1.0/24', '0.0.0.0/0', '::/0', '127.0.0.8/28']) {
      t.equal((await broker.ask('POST', 'auth/approle/role/bound/secret-id', { body: { cidr_list: cidr } })).status, 400, `${cidr} is wider`)
    }
    const { secretId } = await role.secretId({ cidr_list: '127.0.0.9/32', num_uses: 1 })
    for (const name of ['x-forwarded-for', 'x-real-ip', 'true-client-ip', 'forwarded', 'x-client-ip']) {
      const answer = await role.login(secretId, { from: '127.0.0.10', headers: { [name]: name === 'forwarded' ? 'for=127.0.0.9' : '127.0.0.9' } })
      t.match(answer, { status: 400, text: /source address \\"127.0.0.10\\" unauthorized/ }, name)
    }
    t.equal((await role.login(secretId, { from: '127.0.0.9' })).status, 200, 'SEC-054 the use is still there')
    t.equal((await role.login(secretId, { from: '127.0.0.9' })).status, 400)
    const wide = await role.secretId()
    await broker.must('POST', 'auth/approle/role/bound', { body: { secret_id_bound_cidrs: ['127.0.0.12/32'] } })
    t.equal((await role.login(wide.secretId, { from: '127.0.0.9' })).status, 400, 'a role that was narrowed binds what it gave out before')
    t.equal((await role.login(wide.secretId, { from: '127.0.0.12' })).status, 200)
  })

  t.test('SEC-064 SEC-065 what is no text is malformed, a JSON object is read the same under every label, and no form hides one', async (t) => {
    const role = await createRole(broker, 'labels')
    const { secretId } = await role.secretId()
    for (const value of [['k', 'EX', '1'], { a: 1 }, null, true, 5]) {
      const { status, text } = await loginWith({ role_id: value, secret_id: secretId })
      t.equal(status, 400, text)
      t.equal((await loginWith({ role_id: role.roleId, secret_id: value })).status, 400)
    }
    t.equal((await loginWith({ role_id: 'x'.repeat(60_000), secret_id: secretId })).status, 400)
    t.equal((await loginWith({ role_id: 'x'.repeat(1_000_000), secret_id: secretId })).status, 413)
    const pair = JSON.stringify({ role_id: role.roleId, secret_id: secretId })
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/json\t;x', 'APPLICATION/JSON', 'application/vnd.x+json', 'application/json; charset=utf-16']) {
      t.equal((await loginWith(pair, { headers: { 'content-type': type } })).status, 200, type)
    }
    t.equal((await loginWith(pair)).status, 200, 'no type')
    const form = `role_id=${role.roleId}&secret_id=${secretId}`
    t.equal((await loginWith(form, { headers: { 'content-type': 'application/x-www-form-urlencoded' } })).status, 200)
    t.equal((await loginWith(form)).status, 400)
    for (const coding of ['gzip', 'br', 'identity, gzip']) t.equal((await loginWith(pair, { headers: { 'content-encoding': coding } })).status, 415, coding)
  })

  t.test('SEC-069 SEC-068 refused logins leave no token behind', async (t) => {
    const role = await createRole(broker, 'guessed')
    const before = await tokens()
    const guesses = Array.from({ length: 300 }, (_, i) => loginWith(i % 3 === 0
      ? { role_id: role.roleId, secret_id: `guess-${i}` }
      : i % 3 === 1 ? { role_id: `guess-${i}`, secret_id: 'x' } : `{"role_id":${'['.repeat(i)}`))
    const counts = countByStatus(await Promise.all(guesses))
    t.strictSame(counts, { 400: 300 })
    t.equal(await tokens(), before)
  })

  t.test('SEC-070 the secret_id is in the answer that makes it and in no other', async (t) => {
    const role = await createRole(broker, 'shown')
    const { secretId, accessor } = await role.secretId({ metadata: '{"run_id":"7"}' })
    await role.login(secretId)
    const answers = await Promise.all([
      broker.must('LIST', 'auth/approle/role/shown/secret-id'),
      broker.must('GET', 'auth/approle/role/shown'),
      broker.must('POST', 'auth/approle/role/shown/secret-id/lookup', { body: { secret_id: secretId } }),
      broker.must('POST', 'auth/approle/role/shown/secret-id-accessor/lookup', { body: { secret_id_accessor: accessor } }),
      broker.ask('GET', `sys/latchkey/secret-ids/${accessor}`),
      broker.ask('GET', 'sys/latchkey/secret-ids'),
      broker.ask('LIST', 'sys/latchkey/secret-ids')
    ])
    for (const { text } of answers) t.notOk(text.includes(secretId))
  })

  t.test('SEC-072 a policy that demands wrapping lets no secret_id out in clear, and none is made', async (t) => {
    const role = await createRole(broker, 'sealed')
    const { client_token: token } = await broker.tokenFor('path "auth/approle/role/sealed/secret-id" { capabilities = ["update"]\n min_wrapping_ttl = "10s"\n max_wrapping_ttl = "60s" }')
    const ask = (ttl?: string) => broker.ask('POST', 'auth/approle/role/sealed/secret-id', { token, headers: ttl === undefined ? {} : { 'x-vault-wrap-ttl': ttl } })
    for (const ttl of [undefined, '0', '5s', '61s', '1h']) t.equal((await ask(ttl)).status, 403, ttl ?? 'none')
    t.equal((await ask('-1')).status, 400)
    t.equal((await broker.ask('LIST', 'auth/approle/role/sealed/secret-id')).status, 404, 'no secret_id was made')
    const wrap = wrapOf(await ask('60s'))
    const opened = await broker.must('POST', 'sys/wrapping/unwrap', { token: wrap.token })
    t.equal((await role.login(textOf(opened, 'secret_id'))).status, 200)
  })

  t.test('SEC-071 SEC-073 a role without any constraint, and a secret_id that can be guessed, are refused', async (t) => {
    t.equal((await broker.ask('POST', 'auth/approle/role/open', { body: { bind_secret_id: false } })).status, 400)
    await createRole(broker, 'chosen')
    for (const secret of ['short', 'with space in it here', '', ' '.repeat(30)]) {
      t.equal((await broker.ask('POST', 'auth/approle/role/chosen/custom-secret-id', { body: { secret_id: secret } })).status, 400, secret)
    }
  })

  t.test('no login makes a root token, however the role came to name root', async (t) => {
    for (const name of ['root', 'ROOT', ' root ']) {
      const made = await broker.ask('POST', 'auth/approle/role/rooted', { body: { token_policies: [name] } })
      if (made.status >= 400) continue
      const role = await createRole(broker, 'rooted')
      const answer = await role.login((await role.secretId()).secretId)
      t.match(answer, { status: 400, text: /auth methods cannot create root tokens/ }, name)
    }
  })

  t.test('SEC-075 a login whose answer is lost can be made again, and its token is listed and ends by itself', async (t) => {
    const role = await createRole(broker, 'lost', { token_policies: 'default', token_ttl: '1s' })
    const { secretId } = await role.secretId({ num_uses: 2 })
    const before = await tokens()
    const lost = http.request({ port: broker.port, path: '/v1/auth/approle/login', method: 'POST' })
    lost.on('error', () => {})
    lost.end(JSON.stringify({ role_id: role.roleId, secret_id: secretId }), () => lost.destroy())
    await until('the broker heard it', async () => broker.audit().some(({ type, response }) => type === 'response' && JSON.stringify(response ?? {}).includes('"role_name":"lost"')))
    t.equal((await role.login(secretId)).status, 200)
    t.equal((await role.login(secretId)).status, 400, 'both uses are used')
    await until('both ended', async () => await tokens() === before, 5000)
  })

  t.test('SEC-304 a typed field takes what the contract lists and no other kind', async (t) => {
    const table: [string, unknown[], unknown[]][] = [
      ['bind_secret_id', [true, 'true', 1, '1', 't'], [[true], {}, 'yes', 2, 'no', -1]],
      ['token_num_uses', [5, '5', 0], [5.5, 'five', [5], {}, true, 1e300, '0x5', '1e3', -1]],
      ['token_ttl', [60, '60', '1m', '1h30m', 1.9], [[60], {}, true, 'soon', '-5', -5, '1d1d']],
      ['token_policies', [['a', 'b'], 'a,b', ''], [{}, [['a']], [{}], [null]]],
      ['token_bound_cidrs', [['127.0.0.0/8'], '127.0.0.0/8,::1/128'], [{}, ['x'], '127.0.0.0/33', [{}], ['127.0.0.1%lo']]],
      ['token_type', ['service', 'default'], ['batch', {}, ['service'], 'other']]
    ]
    for (const [name, taken, refused] of table) {
      for (const value of taken) {
        const { status, text } = await broker.ask('POST', 'auth/approle/role/typed', { body: { [name]: value as JsonObject } })
        t.equal(status < 300, true, `${name} takes ${JSON.stringify(value)} ${text}`)
      }
      for (const value of refused) {
        const { status } = await broker.ask('POST', 'auth/approle/role/typed', { body: { [name]: value as JsonObject } })
        t.equal(status, 400, `${name} refuses ${JSON.stringify(value)}`)
      }
    }
  })

  t.test('SEC-102 tokens bound by their secret_id are used from there only', async (t) => {
    const role = await createRole(broker, 'tied', { token_policies: 'default', token_bound_cidrs: ['127.0.0.0/28'] })
    const { secretId } = await role.secretId({ token_bound_cidrs: '127.0.0.9/32' })
    const { client_token: token } = authOf(await role.login(secretId))
    t.equal((await look(token)).status, 403)
    t.equal((await look(token, { from: '127.0.0.9' })).status, 200)
    t.equal((await broker.ask('POST', 'auth/approle/role/tied/secret-id', { body: { token_bound_cidrs: '127.0.1.0/24' } })).status, 400)
  })

  t.test('SEC-258 SEC-260 every request has its two audit entries', async (t) => {
    t.strictSame(auditFaults(broker), [])
  })
})
