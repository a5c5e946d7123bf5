import t from 'tap'
import { auditFaults, authOf, createRole, startBroker, textOf, wrapOf, type TestBroker } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

const rotation = 'sys/latchkey/rotation'
const nameOf = async (broker: TestBroker, path: string, token?: string) =>
  textOf(await broker.must('GET', `sys/latchkey/resolve/${path}`, token === undefined ? {} : { token }), 'name')
/** A name that nobody ever had, of the same length. */
const unknownLike = (name: string) => name.replace(/.{26}$/, '0123456789abcdefghijklmnop')

async function mountKv (broker: TestBroker, path: string, settings: Record<string, string | number> = {}) {
  await broker.must('POST', `sys/mounts/${path}`, { body: { type: 'kv' } })
  await broker.must('POST', `${rotation}/${path}`, { body: settings })
}

t.test('mount names that rotate', async (t) => {
  const broker = await startBroker(t)
  const rotate = (path: string, body: Record<string, string | number> = {}) => broker.must('POST', `${rotation}/${path}/rotate`, { body })

  t.test('SEC-030 SEC-210 SEC-224 in grace both names lead to the same data with the same rights; afterwards the old one is unknown', async (t) => {
    await mountKv(broker, 'ec2-only', { prefix: 'secret1', stable_path: 'never', grace_period: '1h' })
    const { client_token: token } = await broker.tokenFor('path "ec2-only/*" { capabilities = ["create", "read", "update", "list"] }\npath "sys/latchkey/resolve/ec2-only" { capabilities = ["read"] }')
    const first = await nameOf(broker, 'ec2-only', token)
    t.match(first, /^secret1[0-9a-v]{26}$/)
    await broker.must('POST', `${first}/a`, { token, body: { value: 'one' } })
    await rotate('ec2-only')
    const second = await nameOf(broker, 'ec2-only', token)
    t.not(second, first)
    t.equal((await broker.must('GET', `${first}/a`, { token })).body.data?.['value'], 'one', 'the replaced name')
    await broker.must('POST', `${first}/a`, { token, body: { value: 'two' } })
    t.equal((await broker.must('GET', `${second}/a`, { token })).body.data?.['value'], 'two', 'one history')
    await rotate('ec2-only', { grace: 0 })
    const third = await nameOf(broker, 'ec2-only', token)
    for (const retired of [first, second]) {
      for (const asked of [{ token }, {}, { token: null }]) {
        const gone = await broker.ask('GET', `${retired}/a`, asked)
        const never = await broker.ask('GET', `${unknownLike(retired)}/a`, asked)
        t.equal(gone.status, never.status)
        t.equal(gone.text.replaceAll(retired, 'X'), never.text.replaceAll(unknownLike(retired), 'X'))
      }
    }
    t.equal((await broker.ask('GET', 'ec2-only/a', { token })).text, '{"errors":["no handler for route \\"ec2-only/a\\". route entry not found."]}')
    t.equal((await broker.must('GET', `${third}/a`, { token })).body.data?.['value'], 'two')
  })

  t.test('SEC-220 with any verb a retired name answers as a name that never was', async (t) => {
    await mountKv(broker, 'verbs', { stable_path: 'never' })
    const retired = await nameOf(broker, 'verbs')
    await rotate('verbs', { grace: 0 })
    const { client_token: weak } = await broker.tokenFor('path "elsewhere" { capabilities = ["read"] }')
    for (const method of ['GET', 'HEAD', 'LIST', 'POST', 'PUT', 'PATCH', 'DELETE', 'HELP']) {
      for (const token of [null, weak, undefined]) {
        const asked = { ...(token !== undefined && { token }), ...(method === 'PATCH' && { headers: { 'content-type': 'application/merge-patch+json' } }) }
        const [gone, never] = [await broker.ask(method, `${retired}/x`, asked), await broker.ask(method, `${unknownLike(retired)}/x`, asked)]
        t.equal(gone.status, never.status, `${method} ${String(token)}`)
        t.equal(gone.text.replaceAll(retired, 'X'), never.text.replaceAll(unknownLike(retired), 'X'))
      }
    }
  })

  t.test('SEC-217 of two rotations that expect one slot one happens', async (t) => {
    await mountKv(broker, 'once')
    const answers = await Promise.all([1, 2, 3, 4].map(() => broker.ask('POST', `${rotation}/once/rotate`, { body: { expected_slot: 1 } })))
    t.strictSame(answers.map(({ status }) => status).sort(), [200, 400, 400, 400])
    t.equal((await broker.must('GET', `${rotation}/once`)).body.data?.['slot'], 2)
  })

  t.test('SEC-221 SEC-223 the resolver answers those who may use the mount, and shows others nothing', async (t) => {
    await mountKv(broker, 'hidden', { stable_path: 'never', schedule: '0 3 * * *' })
    const resolve = 'path "sys/latchkey/resolve/*" { capabilities = ["read"] }'
    const { client_token: stranger } = await broker.tokenFor(resolve)
    const { client_token: user } = await broker.tokenFor(`${resolve}\npath "hidden/x" { capabilities = ["read"] }`)
    t.equal((await broker.ask('GET', 'sys/latchkey/resolve/hidden', { token: null })).status, 403)
    const [there, nowhere] = await Promise.all(['hidden', 'hiddex'].map((path) => broker.ask('GET', `sys/latchkey/resolve/${path}`, { token: stranger })))
    t.equal(there?.status, 404)
    t.equal(there?.text, nowhere?.text)
    const answer = await broker.must('GET', 'sys/latchkey/resolve/hidden', { token: user })
    t.equal(answer.headers['cache-control'], 'no-store')
    t.equal(answer.headers['etag'], `"${textOf(answer, 'revision')}"`)
    t.match(answer.body.data, { path: 'hidden', slot: 1, remaining_seconds: Number, revision: String })
    t.ok(Number(answer.body.data?.['remaining_seconds']) <= 86_400)
    t.equal((await broker.must('GET', 'sys/latchkey/resolve/sys')).body.data?.['name'], 'sys', 'a mount that keeps its name')
  })

  t.test('a caller who knows the revision waits for the next one, and no longer than it asked', async (t) => {
    await mountKv(broker, 'waited')
    const known = textOf(await broker.must('GET', 'sys/latchkey/resolve/waited'), 'revision')
    const waiting = broker.must('GET', `sys/latchkey/resolve/waited?wait=30s&known=${known}`)
    await rotate('waited')
    t.equal((await waiting).body.data?.['slot'], 2)
    const same = textOf(await waiting, 'revision')
    t.equal((await broker.must('GET', `sys/latchkey/resolve/waited?wait=1s&known=${same}`)).body.data?.['slot'], 2)
    const { client_token: token, accessor } = await broker.tokenFor('path "*" { capabilities = ["read"] }')
    const cut = broker.ask('GET', `sys/latchkey/resolve/waited?wait=30s&known=${same}`, { token })
    await broker.must('POST', 'auth/token/revoke-accessor', { body: { accessor } })
    await rotate('waited')
    t.equal((await cut).status === 200, false, 'who lost the token meanwhile learns nothing')
    t.equal((await broker.ask('GET', 'sys/latchkey/resolve/waited?wait=60s&known=another')).status, 200, 'another revision is answered at once')
    const present = textOf(await broker.must('GET', 'sys/latchkey/resolve/waited'), 'revision')
    const many = await Promise.all(Array.from({ length: 20 }, () => broker.ask('GET', `sys/latchkey/resolve/waited?wait=1s&known=${present}`)))
    t.equal(many.filter(({ status }) => status === 429).length, 4, 'sixteen of one token wait at once')
  })

  t.test('a caller who sends the ETag of the answer that it has gets no other until there is one', async (t) => {
    await mountKv(broker, 'tagged', { stable_path: 'never' })
    const path = 'sys/latchkey/resolve/tagged'
    const asking = (tags: string, query = '', more = {}) => broker.ask('GET', `${path}${query}`, { headers: { 'if-none-match': tags, ...more } })
    const first = await broker.must('GET', path)
    const tag = String(first.headers.etag)
    for (const tags of [tag, `W/${tag}`, `"other", ${tag}`, '"other",W/' + tag, '*']) {
      const same = await asking(tags)
      t.match(same, { status: 304, text: '' }, tags)
      t.match(same.headers, { etag: tag, 'cache-control': 'no-store', 'content-type': undefined, 'content-length': undefined })
    }
    for (const tags of ['"other"', tag.slice(1, -1), tag.slice(0, -1), tag.toUpperCase(), '"', '', ',,,', 'W/', `x${tag}`]) {
      const whole = await asking(tags)
      t.equal(whole.status, 200, tags)
      t.equal(textOf(whole, 'name'), textOf(first, 'name'))
    }
    t.equal((await broker.ask('HEAD', path, { headers: { 'if-none-match': tag } })).status, 304)
    const last = broker.audit().filter(({ request }) => request.path === path).slice(-2)
    t.strictSame(last.map(({ type }) => type), ['request', 'response'], 'and it is audited')
    t.equal((last[1] as { response?: { data?: unknown } }).response?.data, undefined)

    t.equal((await asking(tag, '?wait=1s')).status, 304, 'after a second without a rotation')
    const waiting = asking(tag, '?wait=30s')
    await rotate('tagged')
    t.match(await waiting, { status: 200, headers: { etag: tag.replace('.1"', '.2"') } })
    t.equal((await asking(tag, '?wait=30s')).status, 200, 'at once where it is another already')

    const wrapped = await broker.must('GET', path, { headers: { 'x-vault-wrap-ttl': '60s' } })
    t.equal(wrapped.headers.etag, undefined)
    const { client_token: stranger } = await broker.tokenFor('path "sys/latchkey/resolve/*" { capabilities = ["read"] }')
    const [there, nowhere] = await Promise.all(['tagged', 'tagger'].map((mount) =>
      broker.ask('GET', `sys/latchkey/resolve/${mount}`, { token: stranger, headers: { 'if-none-match': '*' } })))
    t.equal(there?.status, 404)
    t.equal(there?.text, nowhere?.text)
    t.equal((await broker.ask('GET', path, { token: null, headers: { 'if-none-match': '*' } })).status, 403)
  })

  t.test('SEC-309 SEC-212 elsewhere no ETag is given and none is heeded', async (t) => {
    for (const path of ['sys/mounts', 'auth/token/lookup-self', `${rotation}/tagged`, 'sys/latchkey/rotation/tagged/rehearsal']) {
      const answer = await broker.must('GET', path, { headers: { 'if-none-match': '*' } })
      t.match(answer, { status: 200, headers: { etag: undefined } }, path)
    }
  })

  t.test('a client that goes away waits no longer, and takes no place from those who stay', async (t) => {
    await mountKv(broker, 'left')
    const { client_token: token } = await broker.tokenFor('path "*" { capabilities = ["read"] }')
    const known = textOf(await broker.must('GET', 'sys/latchkey/resolve/left'), 'revision')
    for (let round = 0; round < 3; round++) {
      const leave = new AbortController()
      const before = broker.audit().length
      const gone = Array.from({ length: 16 }, () =>
        broker.ask('GET', `sys/latchkey/resolve/left?wait=60s&known=${known}`, { token, signal: leave.signal }).catch(() => null))
      await until('all wait', () => broker.audit().length - before >= 16)
      leave.abort()
      await Promise.all(gone)
      await until('all are over', () => broker.audit().length - before === 32)
    }
    t.equal((await broker.ask('GET', `sys/latchkey/resolve/left?wait=1s&known=${known}`, { token })).status, 200)
  })

  t.test('who may not ask any more learns nothing at the end of a wait', async (t) => {
    await mountKv(broker, 'narrowed')
    const use = 'path "narrowed/*" { capabilities = ["read"] }'
    const { client_token: token, policies } = await broker.tokenFor(`${use}\npath "sys/latchkey/resolve/narrowed" { capabilities = ["read"] }`)
    const known = textOf(await broker.must('GET', 'sys/latchkey/resolve/narrowed', { token }), 'revision')
    const before = broker.audit().length
    const waiting = broker.ask('GET', `sys/latchkey/resolve/narrowed?wait=30s&known=${known}`, { token })
    await until('it waits', () => broker.audit().length > before)
    const name = policies.find((policy) => policy !== 'default') ?? ''
    await broker.must('PUT', `sys/policies/acl/${name}`, { body: { policy: use } })
    await rotate('narrowed')
    t.match(await waiting, { status: 404, text: '{"errors":[]}' })
  })

  t.test('the own path answers all, only some, or nobody, as it is set', async (t) => {
    await mountKv(broker, 'chosen', { stable_path: 'always' })
    const use = 'path "chosen/*" { capabilities = ["create", "update", "read"] }'
    const { client_token: plain } = await broker.tokenFor(use)
    const { client_token: trusted } = await broker.tokenFor(`${use}\npath "sys/latchkey/stable/chosen" { capabilities = ["read"] }`)
    await broker.must('POST', 'chosen/a', { token: plain, body: { value: '1' } })
    await broker.must('POST', `${rotation}/chosen`, { body: { stable_path: 'capability' } })
    t.equal((await broker.ask('GET', 'chosen/a', { token: plain })).text, '{"errors":["no handler for route \\"chosen/a\\". route entry not found."]}')
    t.equal((await broker.ask('GET', 'chosen/a', { token: trusted })).status, 200)
    t.equal((await broker.ask('GET', 'chosen/a', { token: null })).status, 403)
    await broker.must('POST', `${rotation}/chosen`, { body: { stable_path: 'never' } })
    t.equal((await broker.ask('GET', 'chosen/a', { token: trusted })).status, 404)
    t.equal((await broker.ask('GET', `${await nameOf(broker, 'chosen')}/a`, { token: plain })).status, 200)
  })

  t.test('SEC-076 an auth mount\'s retired name answers logins as a mount that never was', async (t) => {
    const role = await createRole(broker, 'rotated', { token_policies: 'default' })
    const { secretId } = await role.secretId()
    await broker.must('POST', `${rotation}/auth/approle`, { body: { prefix: 'login-', stable_path: 'always' } })
    const name = await nameOf(broker, 'auth/approle')
    t.match(name, /^auth\/login-[0-9a-v]{26}$/)
    const pair = { token: null, body: { role_id: role.roleId, secret_id: secretId } }
    t.equal((await broker.must('POST', `${name}/login`, pair)).body.auth?.policies.join(), 'default')
    await rotate('auth/approle', { grace: 0 })
    const [gone, never] = [await broker.ask('POST', `${name}/login`, pair), await broker.ask('POST', `${unknownLike(name)}/login`, pair)]
    t.equal(gone.status, never.status)
    t.equal(gone.text, never.text)
    await broker.must('DELETE', `${rotation}/auth/approle`)
    t.equal((await role.login(secretId)).status, 200)
  })

  t.test('SEC-226 leases and wrapped answers of an old name outlive it, and name the mount\'s own path', async (t) => {
    await mountKv(broker, 'kept', { stable_path: 'never' })
    const name = await nameOf(broker, 'kept')
    await broker.must('POST', `${name}/a`, { body: { value: 'v' } })
    const wrapped = wrapOf(await broker.must('GET', `${name}/a`, { headers: { 'x-vault-wrap-ttl': '5m' } }))
    t.equal(wrapped.creation_path, 'kept/a')
    await rotate('kept', { grace: 0 })
    t.equal((await broker.must('POST', 'sys/wrapping/unwrap', { token: wrapped.token })).body.data?.['value'], 'v')
  })

  t.test('SEC-227 a schedule is judged when it is set', async (t) => {
    await mountKv(broker, 'cron')
    for (const schedule of ['* * * * * *', '*/30 * * * * *', '0,30 0 3 * * *', '@reboot', '0 0 30 2 *', 'x'.repeat(10_000), '0-9999999999 * * * *', '0 0 * *', '60 * * * *', '* * * * * * *', '\u0000']) {
      const from = performance.now()
      t.equal((await broker.ask('POST', `${rotation}/cron`, { body: { schedule } })).status, 400, schedule.slice(0, 20))
      t.ok(performance.now() - from < 2000)
    }
    for (const schedule of ['* * * * *', '30 0 3 * * *', '30 2 * * *', '0 0 29 2 *', '@daily', '0 3 L * *', '']) {
      t.equal((await broker.ask('POST', `${rotation}/cron`, { body: { schedule } })).status, 204, schedule)
    }
    for (const body of [{ schedule: '* * * * *', grace_period: '7h' }, { schedule: '* * * * *', jitter: 60 }, { grace_period: '31d' }, { prefix: '-x' }, { prefix: 'sys/x' }, { prefix: 'x'.repeat(65) }, { stable_path: 'maybe' }, { on_tripwire: 'explode' }]) {
      t.equal((await broker.ask('POST', `${rotation}/cron`, { body: { ...body } })).status, 400, JSON.stringify(body))
    }
    for (const path of ['sys', 'cubbyhole', 'auth/token']) t.equal((await broker.ask('POST', `${rotation}/${path}`, { body: {} })).status, 400, path)
    t.equal((await broker.ask('POST', `${rotation}/nothing-here`, { body: {} })).status, 404)
  })

  t.test('SEC-028 names neither hide a mount nor are hidden by one', async (t) => {
    await mountKv(broker, 'deep', { prefix: 'shadow/deep-', stable_path: 'never' })
    t.equal((await broker.ask('POST', 'sys/mounts/shadow', { body: { type: 'kv' } })).status, 400)
    t.equal((await broker.ask('POST', `${rotation}/deep`, { body: { prefix: 'kept/x-' } })).status, 400)
    t.equal((await broker.ask('POST', `${rotation}/deep`, { body: { prefix: 'deep/x-' } })).status, 400)
    await broker.must('POST', `${rotation}/deep`, { body: { prefix: 'light-' } })
    t.equal((await broker.ask('POST', 'sys/mounts/shadow', { body: { type: 'kv' } })).status, 400, 'nor is a former name')
  })

  t.test('SEC-220 SEC-229 nothing is mounted where a name is, was or may be, and the refusal does not tell which', async (t) => {
    await mountKv(broker, 'taken', { prefix: 'taken-', stable_path: 'never' })
    await mountKv(broker, 'moves')
    const retired = await nameOf(broker, 'taken')
    await rotate('taken', { grace: 0 })
    const present = await nameOf(broker, 'taken')
    const never = unknownLike(present)
    const answers = new Set<string>()
    for (const name of [retired, present, never]) {
      for (const path of [name, `${name}/x`]) {
        const made = await broker.ask('POST', `sys/mounts/${path}`, { body: { type: 'kv' } })
        const moved = await broker.ask('POST', 'sys/remount', { body: { from: 'moves', to: path } })
        answers.add(`${path.includes('/')} ${made.status} ${made.text} ${moved.status} ${moved.text}`.replaceAll(path, 'PATH'))
      }
    }
    t.equal(answers.size, 2, [...answers].join('\n'))
    t.ok([...answers].every((answer) => answer.includes(' 400 ')))
    await broker.must('POST', 'sys/mounts/taken-by-somebody', { body: { type: 'kv' } })
    await broker.must('POST', `sys/mounts/other-${never.slice(-26)}`, { body: { type: 'kv' } })
  })

  t.test('a rotation that is turned off and on again uses no name twice', async (t) => {
    await mountKv(broker, 'again')
    const before = await nameOf(broker, 'again')
    await broker.must('DELETE', `${rotation}/again`)
    t.equal((await broker.ask('GET', `${before}/x`)).text.includes('no handler'), true)
    t.equal(await nameOf(broker, 'again'), 'again')
    t.equal((await broker.ask('GET', `${rotation}/again`)).status, 404)
    await broker.must('POST', `${rotation}/again`, { body: {} })
    t.not(await nameOf(broker, 'again'), before)
    t.equal((await broker.ask('GET', `${before}/x`)).text.includes('no handler'), true)
  })

  t.test('clients that ask where a path is mounted get the name that they asked with', async (t) => {
    await mountKv(broker, 'preflight', { stable_path: 'never' })
    const name = await nameOf(broker, 'preflight')
    t.equal((await broker.must('GET', `sys/internal/ui/mounts/${name}/a/b`)).body.data?.['path'], `${name}/`)
    t.equal((await broker.ask('GET', 'sys/internal/ui/mounts/preflight/a')).status, 403)
    await broker.must('POST', `${rotation}/preflight`, { body: { stable_path: 'capability' } })
    const rights = 'path "preflight/a" { capabilities = ["read"] }'
    const { client_token: user } = await broker.tokenFor(rights)
    const { client_token: trusted } = await broker.tokenFor(`${rights}\npath "sys/latchkey/stable/preflight" { capabilities = ["read"] }`)
    const [own, never] = await Promise.all(['preflight', 'preflighs'].map((path) => broker.ask('GET', `sys/internal/ui/mounts/${path}/a`, { token: user })))
    t.equal(own?.status, 403, 'as its own path answers, so does the question after it')
    t.equal(own?.text.replace('preflight/a', 'X'), never?.text.replace('preflighs/a', 'X'))
    t.equal((await broker.must('GET', 'sys/internal/ui/mounts/preflight/a', { token: trusted })).body.data?.['path'], 'preflight/')
    const { client_token: token } = await broker.tokenFor('path "preflight/a" { capabilities = ["read"] }')
    t.strictSame((await broker.must('POST', 'sys/capabilities-self', { token, body: { paths: [`${name}/a`] } })).body.data?.['capabilities'], ['read'])
  })

  t.test('SEC-222 no name stands in the audit log, the output, health or the list of mounts', async (t) => {
    await mountKv(broker, 'unnamed', { stable_path: 'never' })
    const former = await nameOf(broker, 'unnamed')
    await rotate('unnamed')
    const name = await nameOf(broker, 'unnamed')
    await broker.ask('GET', `${name}/a`)
    await broker.ask('GET', `${former}/a`)
    await broker.ask('GET', `sys/mounts/${name}`)
    await broker.ask('GET', `sys/internal/ui/mounts/${name}/a`)
    await broker.ask('POST', `sys/mounts/${name}`, { body: { type: 'kv' } })
    await broker.ask('PUT', `sys/leases/revoke-prefix/${name}`)
    await rotate('unnamed', { grace: 0 })
    const next = await nameOf(broker, 'unnamed')
    await broker.ask('GET', `${name}/a`)
    const shown = [
      broker.auditText(), broker.output(), (await broker.must('GET', 'sys/health', { token: null })).text,
      (await broker.must('GET', 'sys/mounts')).text, (await broker.must('GET', `${rotation}/unnamed`)).text,
      (await broker.must('GET', 'sys/metrics?format=prometheus')).text
    ].join('\n')
    for (const each of [former, name, next]) t.notOk(shown.includes(each.slice(-26)))
    t.strictSame(auditFaults(broker), [])
  })
})

t.test('old names that somebody uses', async (t) => {
  const broker = await startBroker(t)
  const role = await createRole(broker, 'job', { token_policies: 'job' })
  await broker.must('PUT', 'sys/policies/acl/job', { body: { policy: 'path "*" { capabilities = ["read", "create", "update"] }' } })
  const { secretId, accessor: secretIdAccessor } = await role.secretId()
  const login = async () => authOf(await role.login(secretId))
  const lives = async (token: string) => (await broker.ask('GET', 'auth/token/lookup-self', { token })).status === 200

  t.test('a rehearsal names the clients that use the name and never ask for it', async (t) => {
    await mountKv(broker, 'rehearsed', { grace_period: '1h' })
    const [direct, asking] = [await login(), await login()]
    const child = authOf(await broker.must('POST', 'auth/token/create', { token: direct.client_token, body: {} }))
    const name = await nameOf(broker, 'rehearsed')
    await broker.ask('GET', `${name}/x`, { token: child.client_token, from: '127.0.0.7' })
    await nameOf(broker, 'rehearsed', asking.client_token)
    await broker.ask('GET', `${name}/x`, { token: asking.client_token })
    const rehearse = async () => (await broker.must('GET', `${rotation}/rehearsed/rehearsal`)).body.data ?? {}
    await until('both were seen', async () => (await rehearse())['resolving'] === 1 && (await rehearse())['clients'] !== null)
    t.match((await rehearse())['clients'], [{ role_name: 'job', secret_id_accessor: secretIdAccessor, address: '127.0.0.7' }])
    t.equal(((await rehearse())['clients'] as unknown[]).length, 1)
    await broker.must('POST', `${rotation}/rehearsed/rotate`)
    const next = await nameOf(broker, 'rehearsed')
    await broker.ask('GET', `${next}/x`, { token: asking.client_token })
    await until('it is named too: it has the next name from somewhere else', async () =>
      (await rehearse())['resolving'] === 0 && JSON.stringify((await rehearse())['clients']).includes('127.0.0.1'))
  })

  t.test('a retired name ends the token that uses it, where that is chosen', async (t) => {
    await mountKv(broker, 'armed', { on_tripwire: 'revoke-token', stable_path: 'never' })
    const name = await nameOf(broker, 'armed')
    await broker.must('POST', `${rotation}/armed/rotate`, { body: { grace: 0 } })
    const [caught, other] = [await login(), await login()]
    t.equal((await broker.ask('GET', `${unknownLike(name)}/x`, { token: other.client_token })).status, 404)
    t.equal((await broker.ask('GET', `${name}/x`, { token: caught.client_token })).status, 404)
    await until('the token ends', async () => !await lives(caught.client_token))
    t.ok(await lives(other.client_token))
    t.equal((await role.login(secretId)).status, 200)
  })

  t.test('so does the question where it is mounted, with which some clients begin and end', async (t) => {
    await mountKv(broker, 'asked', { on_tripwire: 'revoke-token', stable_path: 'never' })
    const name = await nameOf(broker, 'asked')
    await broker.must('POST', `${rotation}/asked/rotate`, { body: { grace: 0 } })
    const [caught, other] = [await login(), await login()]
    const gone = await broker.ask('GET', `sys/internal/ui/mounts/${name}/x`, { token: caught.client_token })
    const never = await broker.ask('GET', `sys/internal/ui/mounts/${unknownLike(name)}/x`, { token: other.client_token })
    t.equal(gone.status, 403)
    t.equal(gone.text.replaceAll(name, 'X'), never.text.replaceAll(unknownLike(name), 'X'))
    await until('the token ends', async () => !await lives(caught.client_token))
    t.ok(await lives(other.client_token))
  })

  t.test('or all tokens of the secret_id, and the secret_id itself', async (t) => {
    await mountKv(broker, 'mined', { on_tripwire: 'revoke-secret-id', stable_path: 'never' })
    const name = await nameOf(broker, 'mined')
    await broker.must('POST', `${rotation}/mined/rotate`, { body: { grace: 0 } })
    const bystander = await role.secretId()
    const far = authOf(await role.login(bystander.secretId))
    const [caught, sibling] = [await login(), await login()]
    const child = authOf(await broker.must('POST', 'auth/token/create', { token: caught.client_token, body: {} }))
    await broker.ask('GET', `${name}/x`, { token: child.client_token })
    await until('the lineage ends', async () => !await lives(sibling.client_token) && !await lives(caught.client_token))
    t.equal((await role.login(secretId)).status, 400)
    t.ok(await lives(far.client_token))
    const entries = broker.audit().filter(({ request }) => request.path === `${rotation}/mined/tripwire`)
    t.match(entries, [
      { type: 'request', request: { operation: 'update', data: { accessor: /^hmac-/, secret_id_accessor: /^hmac-/ } } }, { type: 'response' }
    ], 'and the audit log tells of it')
  })
})
