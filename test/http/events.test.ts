import http from 'node:http'
import t, { type Test } from 'tap'
import { createRole, rootToken, startAws, startBroker, textOf, type TestBroker } from '../helpers/broker.ts'
import { until } from '../helpers/redis.ts'

/** Events as they come over a connection of their own. */
async function listen (t: Test, broker: TestBroker, token: string, query = '') {
  const events: Record<string, unknown>[] = []
  const state = { ended: false, status: 0, type: '' }
  const request = http.get(`${broker.address}/v1/sys/events${query}`, { headers: { 'x-vault-token': token }, agent: false })
  t.teardown(() => { request.destroy() })
  request.on('error', () => { state.ended = true })
  await new Promise<void>((resolve) => {
    request.on('response', (response) => {
      state.status = response.statusCode ?? 0
      state.type = response.headers['content-type'] ?? ''
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        text += chunk
        for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
          const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1]
          if (data !== undefined) events.push(JSON.parse(data) as Record<string, unknown>)
          text = text.slice(end + 2)
        }
      })
      response.on('close', () => { state.ended = true })
      resolve()
    })
  })
  return { events, state, close: () => request.destroy() }
}

const reader = 'path "sys/events" { capabilities = ["read"] }'

t.test('sys/events', async (t) => {
  const broker = await startBroker(t, { emulator: await startAws(t) })
  const role = await createRole(broker, 'job', { token_policies: 'wide' })
  await broker.must('PUT', 'sys/policies/acl/wide', { body: { policy: 'path "*" { capabilities = ["read"] }' } })
  const { secretId, accessor: secretIdAccessor } = await role.secretId()
  await broker.must('POST', 'sys/mounts/kv', { body: { type: 'kv' } })
  await broker.must('POST', 'sys/latchkey/rotation/kv', { body: { grace_period: '1h' } })
  const name = async () => textOf(await broker.must('GET', 'sys/latchkey/resolve/kv'), 'name')

  t.test('needs the right to read it, and tells who used which former name of which mount', async (t) => {
    t.equal((await broker.ask('GET', 'sys/events', { token: null })).status, 403)
    t.equal((await broker.ask('GET', 'sys/events', { token: (await broker.tokenFor('path "x" { capabilities = ["read"] }')).client_token })).status, 403)
    t.equal((await broker.ask('GET', 'sys/events', { headers: { 'x-vault-wrap-ttl': '60s' } })).status, 400)
    const { events, state } = await listen(t, broker, (await broker.tokenFor(reader)).client_token)
    t.match(state, { status: 200, type: 'text/event-stream', ended: false })
    const old = await name()
    const auth = (await role.login(secretId)).body.auth
    const token = auth?.client_token ?? ''
    await broker.ask('GET', `${old}/x`, { token })
    await until('the use was seen', async () => {
      const { body } = await broker.must('GET', 'sys/latchkey/rotation/kv/rehearsal')
      return (body.data?.['clients'] as unknown[]).length === 1
    })
    await broker.must('POST', 'sys/latchkey/rotation/kv/rotate')
    await broker.ask('GET', `${old}/x`, { token })
    await broker.ask('GET', `${old}/x`, { token })
    await until('the late client was told of', () => events.some(({ grace }) => grace === 'inside'))
    await broker.must('POST', 'sys/latchkey/rotation/kv/rotate', { body: { grace: 0 } })
    await broker.ask('GET', `${old}/x`, { token })
    await broker.ask('GET', `${old}/x`, { token: null, from: '127.0.0.9' })
    await until('both probes were told of', () => events.filter(({ grace }) => grace === 'outside').length === 2)
    const tripped = events.filter(({ type }) => type === 'tripwire')
    t.match(tripped[0], { mount: 'kv', grace: 'inside', slots_ago: 1, known_client: true, role: 'job', secret_id_accessor: secretIdAccessor, token_accessor: auth?.accessor, address: '127.0.0.1', reaction: 'none' })
    t.match(tripped[1], { mount: 'kv', grace: 'outside', slots_ago: 2, known_client: true, role: 'job', reaction: 'log' })
    t.match(tripped[2], { grace: 'outside', known_client: false, role: null, token_accessor: null, address: '127.0.0.9' })
    t.equal(tripped.length, 3, 'one client\'s lateness is told once a minute')
    t.equal(events.filter(({ type }) => type === 'rotation').length, 2)
    t.notOk(JSON.stringify(events).includes(old.slice(-26)), 'SEC-222 and names none')
  })

  t.test('tells of failed logins, and only of the types that were asked for', async (t) => {
    const only = await listen(t, broker, rootToken, '?types=login-failure')
    await broker.must('POST', 'sys/latchkey/rotation/kv/rotate')
    await role.login('wrong')
    await until('the failure was told of', () => only.events.length > 0)
    t.match(only.events, [{ type: 'login-failure', mount: 'auth/approle', address: '127.0.0.1' }])
  })

  t.test('tells of each lease when its answer is given, and once when it has ended, by the mount\'s own path', async (t) => {
    await broker.must('POST', 'sys/latchkey/rotation/aws', { body: { stable_path: 'never' } })
    const called = async () => textOf(await broker.must('GET', 'sys/latchkey/resolve/aws'), 'name')
    const { events } = await listen(t, broker, rootToken, '?types=lease')
    const vend = async (asked = {}) => broker.must('GET', `${await called()}/creds/ec2-only`, asked)
    const told = (change: string, leaseId: string | undefined) => events.filter((event) => event['change'] === change && event['lease_id'] === leaseId).length
    const { body: { lease_id: first } } = await vend()
    await until('the first was told of', () => told('issued', first) === 1)
    t.match(events, [{ type: 'lease', change: 'issued', mount: 'aws', lease_id: /^aws\/creds\/ec2-only\/\w{24}$/ }])
    const wrapped = (await vend({ headers: { 'x-vault-wrap-ttl': '60s' } })).body.wrap_info
    await until('the wrapped one was told of', () => events.length === 2)
    const { body: { lease_id: second } } = await broker.must('POST', 'sys/wrapping/unwrap', { token: wrapped?.token ?? '' })
    t.equal(told('issued', second), 1)

    await broker.must('PUT', 'sys/leases/revoke', { body: { lease_id: first ?? '' } })
    await broker.must('PUT', 'sys/leases/revoke', { body: { lease_id: first ?? '' } })
    const owner = await broker.tokenFor('path "aws/creds/*" { capabilities = ["read"] }')
    const { body: { lease_id: third } } = await vend({ token: owner.client_token })
    await broker.must('POST', 'auth/token/revoke-accessor', { body: { accessor: owner.accessor } })
    await until('its lease ends with a token', () => told('revoked', third) === 1)
    t.match(events.at(-1), { type: 'lease', change: 'revoked', mount: 'aws' })
    t.equal((await broker.ask('HEAD', `${await called()}/creds/ec2-only`)).status, 405)
    t.equal((await broker.ask('GET', `${await called()}/creds/nothing`)).status, 400)
    await broker.must('PUT', 'sys/leases/revoke', { body: { lease_id: second ?? '' } })
    await until('the last was told of', () => told('revoked', second) === 1)
    t.strictSame([first, second, third].map((id) => [told('issued', id), told('revoked', id)]), [[1, 1], [1, 1], [1, 1]])
    t.equal(events.length, 6, 'and of nothing else')
    t.notOk(JSON.stringify(events).includes((await called()).slice(-26)), 'SEC-222')
    await broker.must('DELETE', 'sys/latchkey/rotation/aws')
  })

  t.test('SEC-375 ends within a second of its token, or of its right', async (t) => {
    const byToken = await broker.tokenFor(reader)
    const first = await listen(t, broker, byToken.client_token)
    await broker.must('POST', 'auth/token/revoke-accessor', { body: { accessor: byToken.accessor } })
    const from = performance.now()
    await until('the stream ends', () => first.state.ended)
    t.ok(performance.now() - from < 1500, 'a second, on a busy machine')
    await broker.must('PUT', 'sys/policies/acl/listener', { body: { policy: reader } })
    const byRight = (await broker.must('POST', 'auth/token/create', { body: { policies: ['listener'] } })).body.auth
    const second = await listen(t, broker, byRight?.client_token ?? '')
    await broker.must('DELETE', 'sys/policies/acl/listener')
    await until('the stream ends', () => second.state.ended)
  })

  t.test('a token has four streams at most, and a place is free again when one ends', async (t) => {
    const { client_token: token } = await broker.tokenFor(reader)
    const four = await Promise.all([1, 2, 3, 4].map(() => listen(t, broker, token)))
    t.ok(four.every(({ state }) => state.status === 200))
    t.equal((await broker.ask('GET', 'sys/events', { token })).status, 429)
    four[0]?.close()
    await until('a place is free', async () => {
      const next = await listen(t, broker, token)
      return next.state.status === 200
    })
  })

  t.test('SEC-372 streams and waiting requests do not hold up a stop', async (t) => {
    const { state } = await listen(t, broker, rootToken)
    const known = textOf(await broker.must('GET', 'sys/latchkey/resolve/kv'), 'revision')
    const waiting = broker.ask('GET', `sys/latchkey/resolve/kv?wait=60s&known=${known}`)
    await until('it waits', async () => broker.auditText().split('latchkey/resolve/kv').length > 2)
    const from = performance.now()
    t.equal(await broker.stop(), 0)
    t.ok(performance.now() - from < 5000)
    await until('the stream ends', () => state.ended)
    t.equal((await waiting).status, 200)
  })
})
