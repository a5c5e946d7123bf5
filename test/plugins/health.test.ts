import t from 'tap'
import { addHealth, type HealthReport } from '../../plugins/health.ts'
import { request, startFront } from './front.ts'

const states: readonly (readonly [string, Omit<HealthReport, 'details'>, number, string])[] = [
  ['active', { initialized: true, sealed: false, standby: false }, 200, 'activecode'],
  ['standby', { initialized: true, sealed: false, standby: true }, 429, 'standbycode'],
  ['sealed', { initialized: true, sealed: true, standby: true }, 503, 'sealedcode'],
  ['not initialised', { initialized: false, sealed: true, standby: false }, 501, 'uninitcode']
]

const active: HealthReport = { initialized: true, sealed: false, standby: false, details: {} }

t.test('health answers by state, and by the codes that its caller wants', async (t) => {
  for (const [name, state, status, parameter] of states) {
    const front = await startFront(t, { prepare: ({ app }) => addHealth(app, () => ({ ...state, details: { version: '2.4.0' } })) })
    const answer = await request(front, 'GET /v1/sys/health', ['x-vault-token: unknown'])
    t.equal(answer.status, status, name)
    t.strictSame(JSON.parse(answer.body), { ...state, version: '2.4.0' })
    t.equal(answer.headers.get('content-type'), 'application/json')
    t.equal(answer.headers.get('cache-control'), 'no-store')
    t.equal((await request(front, `GET /v1/sys/health?${parameter}=299`)).status, 299)
    const head = await request(front, `HEAD /v1/sys/health?${parameter}=472`)
    t.match({ status: head.status, body: head.body }, { status: 472, body: '' })
    const others = ['uninitcode', 'sealedcode', 'standbycode', 'activecode'].filter((code) => code !== parameter).map((code) => `${code}=299`)
    t.equal((await request(front, `GET /v1/sys/health?${others.join('&')}&drsecondarycode=299&removedcode=x`)).status, status)
    t.equal((await request(front, 'GET /v1/sys/health?standbyok=true')).status, name === 'standby' ? 200 : status)
    t.equal((await request(front, 'GET /v1/sys/health?standbyok')).status, status)
    t.equal(front.seen.length, 0, 'nobody else is asked')
  }
})

t.test('health refuses codes that are none, and other methods', async (t) => {
  const front = await startFront(t, { prepare: ({ app }) => addHealth(app, () => active) })
  for (const query of ['activecode=x', 'sealedcode=x', 'uninitcode=-1', 'standbycode=1e2', 'activecode=99', 'activecode=100', 'activecode=600', 'activecode=200&activecode=200', 'standbyok=x', 'a=%']) {
    const answer = await request(front, `GET /v1/sys/health?${query}`)
    t.equal(answer.status, 400, query)
    t.match(answer.body, /^\{"errors":\[(?:"malformed query")?\]\}$/)
  }
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE']) {
    const answer = await request(front, `${method} /v1/sys/health`, [], method === 'POST' ? '{"a":1}' : '')
    t.match({ status: answer.status, body: answer.body }, { status: 405, body: '{"errors":[]}' }, method)
  }
})

t.test('SEC-017 no other spelling of health is open', async (t) => {
  const front = await startFront(t, { prepare: ({ app }) => addHealth(app, () => active) })
  for (const target of ['/v1/sys/health;x=1', '/v1/sys/health%3fx', '/v1/sys/health/', '/v1/sys/%68ealth', '/v1//sys/health', '/v1/sys/Health']) {
    await request(front, `GET ${target}`)
    t.ok(front.seen.length > 0, target)
    front.seen.length = 0
  }
})
