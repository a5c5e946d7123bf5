import t from 'tap'
import { registerStatus } from '../../plugins/status.ts'
import { errorsOf, request, startFront, type Front } from './front.ts'

const facts = {
  version: '2.4.0', buildDate: '2026-01-01T00:00:00Z', clusterName: 'c', clusterId: '0b1f6a1e-7f0a-4f0e-8d2c-1a2b3c4d5e6f', storageType: 'memory', now: () => 1_800_000_000_999, degraded: () => []
}

function start (test: { teardown (end: () => Promise<void> | void): void }): Promise<Front> {
  return startFront(test, { prepare: ({ app }) => registerStatus(app, facts) })
}

t.test('health needs no token, has no envelope, and answers with the code that its caller wants', async (t) => {
  const front = await start(t)
  const answer = await request(front, 'GET /v1/sys/health', ['x-vault-token: unknown'])
  t.equal(answer.status, 200)
  t.match(JSON.parse(answer.body), { initialized: true, sealed: false, standby: false, server_time_utc: 1_800_000_000, version: '2.4.0', cluster_name: 'c' })
  t.equal(answer.headers.get('content-type'), 'application/json')
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.equal((await request(front, 'GET /v1/sys/health?activecode=299&standbyok')).status, 299)
  t.equal((await request(front, 'GET /v1/sys/health?uninitcode=299&sealedcode=299&standbycode=472&drsecondarycode=299')).status, 200)
  const head = await request(front, 'HEAD /v1/sys/health?activecode=472')
  t.match({ status: head.status, body: head.body }, { status: 472, body: '' })
  t.equal(head.headers.get('content-type'), 'application/json', 'clients compare the whole header')
  t.equal(head.headers.get('content-length'), answer.headers.get('content-length'), 'what GET has')
  t.equal(front.seen.length, 0, 'nobody else is asked')
})

t.test('status routes refuse codes that are none, and other methods', async (t) => {
  const front = await start(t)
  for (const query of ['activecode=x', 'sealedcode=x', 'uninitcode=-1', 'standbycode=1e2', 'activecode=99', 'activecode=100', 'activecode=600']) {
    t.match(await request(front, `GET /v1/sys/health?${query}`), { status: 400, body: '{"errors":[]}' }, query)
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'LIST']) {
    t.match(await request(front, `${method} /v1/sys/health`, [], method === 'POST' ? '{"a":1}' : ''), { status: 405, body: '{"errors":[]}' }, method)
  }
  t.strictSame(errorsOf(await request(front, 'PUT /v1/sys/unseal', [], '[')), ['failed to decode JSON input: a small JSON object is expected'])
})

t.test('SEC-017 SEC-291 no other spelling of a status route is open, and it keeps to the rules on HTTP', async (t) => {
  const front = await start(t)
  for (const target of ['/v1/sys/health;x=1', '/v1/sys/health%3fx', '/v1/sys/health/', '/v1/sys/%68ealth', '/v1//sys/health', '/v1/sys/Health', '/v1/sys/seal-status/']) {
    front.seen.length = 0
    await request(front, `GET ${target}`)
    t.equal(front.seen.length, 1, target)
  }
  t.equal((await request(front, 'GET /v1/sys/health', ['host: other'])).status, 400)
  t.equal(front.last().refusal?.message, 'one Host header is required', 'the refusal is audited')
})
